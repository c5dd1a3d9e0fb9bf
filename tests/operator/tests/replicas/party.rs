//! One side at one cloud: a namespace with a ready account `golden`, and what the cloud itself says of it. The tests that
//! hold for both clouds speak of nothing else.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::cloud_account::CloudAccountSpec;
use imageshare_operator::api::cloud_image::CloudImageSpec;
use imageshare_operator::api::image_replica::ImageReplicaSpec;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageReplica};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use serde_json::{Value, json};

use crate::stage::{self, AGENCY, stage};
use support::{PATIENCE, Player, Stage};

/// Which cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    Alibaba,
    Huawei,
}

/// A copy that the cloud was made to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub source: String,
    pub image: String,
    pub region: String,
    pub name: String,
}

/// One side.
pub struct Party {
    pub place: Player,
    pub cloud: Cloud,
    since: u64,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Party {
    /// Somebody new at a cloud, without an account in Kubernetes.
    pub async fn arrive(cloud: Cloud) -> Result<Self> {
        Self::arrive_on(stage().await?, cloud).await
    }

    /// The same on a given stage.
    async fn arrive_on(stage: &'static Stage, cloud: Cloud) -> Result<Self> {
        let place = Player::enter_on(stage).await?;
        let since = place.stage.cloud.journal(0).await?.last().and_then(|entry| entry["seq"].as_u64());
        Ok(Self { place, cloud, since: since.unwrap_or_default() })
    }

    /// Somebody with a ready account `golden`.
    pub async fn enter(cloud: Cloud) -> Result<Self> {
        Self::enter_on(stage().await?, cloud).await
    }

    async fn enter_on(stage: &'static Stage, cloud: Cloud) -> Result<Self> {
        let party = Self::arrive_on(stage, cloud).await?;
        party.account("golden", json!({})).await?;
        party.place.ready::<CloudAccount>("golden").await?;
        Ok(party)
    }

    /// The same with a new image, changed by `extra`, and a ready `CloudImage` `golden` for it.
    pub async fn with_image(cloud: Cloud, extra: Value) -> Result<(Self, String)> {
        Self::with_image_on(stage().await?, cloud, extra).await
    }

    /// The same on a given stage.
    pub async fn with_image_on(stage: &'static Stage, cloud: Cloud, extra: Value) -> Result<(Self, String)> {
        let party = Self::enter_on(stage, cloud).await?;
        let image = party.image(extra).await?;
        party.name_image("golden", &image).await?;
        party.place.ready::<CloudImage>("golden").await?;
        Ok((party, image))
    }

    /// A `CloudAccount` and its Secret of the same name, changed by `extra`.
    pub async fn account(&self, name: &str, extra: Value) -> Result<()> {
        self.account_of(self, name, extra).await
    }

    /// The same for somebody else's account.
    pub async fn account_of(&self, whose: &Self, name: &str, extra: Value) -> Result<()> {
        let number = whose.place.number;
        let key = match self.cloud {
            Cloud::Alibaba => support::key(number),
            Cloud::Huawei => stage::huawei_key(number),
        };
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            string_data: Some(
                [("accessKeyID".to_owned(), text(&key["id"])), ("accessKeySecret".to_owned(), text(&key["secret"]))]
                    .into(),
            ),
            ..Secret::default()
        };
        self.place.create(secret).await?;
        let credentials = json!({"secretRef": {"name": name}});
        let servers = &self.place.stage.cloud;
        let mut spec = match self.cloud {
            Cloud::Alibaba => json!({"alibaba": {"accountID": whose.id(), "site": "International",
                "credentials": credentials, "endpoint": servers.cloud()}}),
            Cloud::Huawei => json!({"huawei": {"domainID": stage::domain(number), "site": "China",
                "credentials": credentials, "endpoint": servers.huawei()}}),
        };
        merge(&mut spec, &extra);
        let spec: CloudAccountSpec = serde_json::from_value(spec)?;
        self.place.create(CloudAccount::new(name, spec)).await
    }

    /// As whom it owns and receives images in its own region.
    pub fn id(&self) -> String {
        match self.cloud {
            Cloud::Alibaba => self.place.owner(),
            Cloud::Huawei => stage::project(self.place.number),
        }
    }

    pub fn region(&self) -> &'static str {
        match self.cloud {
            Cloud::Alibaba => support::REGION,
            Cloud::Huawei => stage::HUAWEI_REGION,
        }
    }

    /// Where copies go that leave the region.
    pub fn elsewhere(&self) -> &'static str {
        match self.cloud {
            Cloud::Alibaba => stage::ELSEWHERE,
            Cloud::Huawei => stage::HUAWEI_ELSEWHERE,
        }
    }

    fn path(&self, image: &str) -> String {
        match self.cloud {
            Cloud::Alibaba => format!("/images/{image}"),
            Cloud::Huawei => format!("/huawei/images/{image}"),
        }
    }

    /// A new image at the cloud, changed by `extra`; gives its id.
    pub async fn image(&self, extra: Value) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        match self.cloud {
            Cloud::Alibaba => self.place.new_image(&format!("golden{n}"), extra).await,
            Cloud::Huawei => {
                let id = format!("{n:08x}-0000-4000-8000-{:012x}", self.place.number);
                let mut image = json!({"id": id, "project": self.id(), "name": format!("golden{n}")});
                merge(&mut image, &extra);
                self.place.stage.cloud.post("/huawei/images", &image).await?;
                Ok(id)
            }
        }
    }

    /// Changes an image behind everybody's back.
    pub async fn patch(&self, image: &str, change: Value) -> Result<()> {
        self.place.stage.cloud.patch(&self.path(image), &change).await?;
        Ok(())
    }

    /// Whether copies of an image fail.
    pub async fn let_copies_fail(&self, image: &str, fail: bool) -> Result<()> {
        let change = match (self.cloud, fail) {
            (Cloud::Alibaba, fail) => json!({"copiesFail": fail}),
            (Cloud::Huawei, true) => json!({"copiesFail": "IMG.0046"}),
            (Cloud::Huawei, false) => json!({"copiesFail": ""}),
        };
        self.patch(image, change).await
    }

    /// An image as the cloud has it.
    pub async fn seen(&self, image: &str) -> Result<Option<Value>> {
        match self.cloud {
            Cloud::Alibaba => self.place.stage.cloud.image(image).await,
            Cloud::Huawei => self.place.stage.cloud.huawei_image(image).await,
        }
    }

    /// A `CloudImage` for an image of this party's region.
    pub async fn name_image(&self, name: &str, image: &str) -> Result<()> {
        let spec = json!({"accountRef": {"name": "golden"}, "region": self.region(), "imageID": image});
        let spec: CloudImageSpec = serde_json::from_value(spec)?;
        self.place.create(CloudImage::new(name, spec)).await
    }

    /// Shares an image with another party behind everybody's back; it has accepted already.
    pub async fn give(&self, image: &str, to: &Self) -> Result<()> {
        let (path, change) = match self.cloud {
            Cloud::Alibaba => ("/permissions", json!({"image": image, "add": [to.id()]})),
            Cloud::Huawei => {
                let member = json!({"type": "project", "id": to.id(), "status": "accepted"});
                ("/huawei/members", json!({"image": image, "add": [member]}))
            }
        };
        self.place.stage.cloud.post(path, &change).await?;
        Ok(())
    }

    /// What shares need to name this party.
    pub fn as_recipient(&self) -> Value {
        let kind = if self.cloud == Cloud::Alibaba { "Account" } else { "Project" };
        json!({"type": kind, "id": self.id()})
    }

    /// An `ImageReplica` of the `CloudImage` `golden` to the other region, changed by `extra`.
    pub async fn replicate(&self, name: &str, extra: Value) -> Result<()> {
        let mut spec = json!({"source": {"imageRef": {"name": "golden"}},
            "destination": {"region": self.elsewhere(), "name": format!("copy-{name}")}});
        if self.cloud == Cloud::Huawei {
            spec["destination"]["agencyName"] = json!(AGENCY);
        }
        self.make(name, spec, &extra).await
    }

    /// The same in the image's own region.
    pub async fn replicate_here(&self, name: &str, extra: Value) -> Result<()> {
        let spec = json!({"source": {"imageRef": {"name": "golden"}},
            "destination": {"region": self.region(), "name": format!("copy-{name}")}});
        self.make(name, spec, &extra).await
    }

    /// One of the two.
    pub async fn replicate_to(&self, across: bool, name: &str, extra: Value) -> Result<()> {
        if across { self.replicate(name, extra).await } else { self.replicate_here(name, extra).await }
    }

    /// An `ImageReplica` of an image that this party receives, in its own region, changed by `extra`.
    pub async fn replicate_received(&self, name: &str, image: &str, extra: Value) -> Result<()> {
        let received = json!({"accountRef": {"name": "golden"}, "region": self.region(), "imageID": image});
        let spec = json!({"source": {"received": received},
            "destination": {"region": self.region(), "name": format!("copy-{name}")}});
        self.make(name, spec, &extra).await
    }

    async fn make(&self, name: &str, mut spec: Value, extra: &Value) -> Result<()> {
        merge(&mut spec, extra);
        let spec: ImageReplicaSpec = serde_json::from_value(spec)?;
        self.place.create(ImageReplica::new(name, spec)).await
    }

    /// Waits until a replica is made; gives the id of the copy, which is there.
    pub async fn made(&self, name: &str) -> Result<String> {
        let made = self.place.until::<ImageReplica>(name, "True", "Replicated").await?;
        let copy = made["status"]["imageID"].as_str().context("a made replica has an image")?.to_owned();
        let seen = self.seen(&copy).await?;
        let status = if self.cloud == Cloud::Alibaba { "Available" } else { "active" };
        ensure!(seen.as_ref().is_some_and(|image| image["status"] == status), "{copy}: {seen:?}");
        Ok(copy)
    }

    /// Waits until a replica is not ready for this reason, which it tells with these words, also at another look; gives it.
    pub async fn refused(&self, name: &str, reason: &str, words: &[&str]) -> Result<Value> {
        let first = self.place.until::<ImageReplica>(name, "False", reason).await?;
        support::says(&first, "Ready", words);
        self.place.looked::<ImageReplica>(name).await?;
        let again = self.place.until::<ImageReplica>(name, "False", reason).await?;
        support::says(&again, "Ready", words);
        Ok(again)
    }

    /// Waits until the cloud is making a replica's copy, and the status says so; gives the copy.
    pub async fn copying(&self, name: &str) -> Result<Copied> {
        let under_way = |replica: &Value| replica["status"]["copy"]["state"] == "Copying";
        self.place.until_it::<ImageReplica>(name, "copying", under_way).await?;
        self.copies().await?.pop().context("a copy under way was begun")
    }

    /// Everything this party asked of the cloud, and what became of it.
    pub async fn journal(&self) -> Result<Vec<Value>> {
        let ids = match self.cloud {
            Cloud::Alibaba => [self.id(), self.id()],
            Cloud::Huawei => [self.id(), stage::project_elsewhere(self.place.number)],
        };
        let all = self.place.stage.cloud.journal(self.since).await?;
        Ok(all.into_iter().filter(|entry| ids.iter().any(|id| entry["principal"] == id.as_str())).collect())
    }

    /// The calls of one action.
    pub async fn calls(&self, action: &str) -> Result<Vec<Value>> {
        Ok(self.journal().await?.into_iter().filter(|entry| entry["action"] == action).collect())
    }

    /// Calls that asked for a copy, whatever was answered.
    pub async fn asked(&self) -> Result<Vec<Value>> {
        let asks = ["CopyImage", "CopyImageInRegion", "CopyImageCrossRegion"];
        Ok(self.journal().await?.into_iter().filter(|entry| asks.iter().any(|ask| entry["action"] == *ask)).collect())
    }

    /// Copies that the cloud was made to make, in order.
    pub async fn copies(&self) -> Result<Vec<Copied>> {
        let asked = self.asked().await?;
        let begun = asked.iter().filter_map(|entry| match self.cloud {
            Cloud::Alibaba => {
                let copy = &entry["effect"]["copy"];
                (copy["state"] == "began").then(|| (copy, text(&copy["destination"])))
            }
            Cloud::Huawei => {
                Some((&entry["copy"], text(&entry["copy"]["region"]))).filter(|(copy, _)| copy.is_object())
            }
        });
        let copied = begun.map(|(copy, region)| Copied {
            source: text(&copy["source"]),
            image: text(&copy["image"]),
            region,
            name: text(&copy["name"]),
        });
        Ok(copied.collect())
    }

    /// Exactly one copy was made, and it is this one.
    pub async fn only_copy(&self, image: &str) -> Result<()> {
        let copies = self.copies().await?;
        ensure!(copies.len() == 1 && copies[0].image == image, "one copy, {image}: {copies:?}");
        Ok(())
    }

    /// Of all copies that were ever begun, these are left at the cloud.
    pub async fn left(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for copy in self.copies().await? {
            left.extend(self.seen(&copy.image).await?.map(|_| copy.image));
        }
        Ok(left)
    }

    /// The next `count` calls about an image meet this weather.
    pub async fn weather(&self, action: &str, image: &str, count: u64, then: Value) -> Result<()> {
        let fault = json!({"when": {"action": action, "image": image}, "count": count, "then": then});
        self.place.stage.cloud.post_fault(&fault).await?;
        Ok(())
    }

    /// What asks for a copy to the other region, or in the region.
    pub fn ask(&self, across: bool) -> &'static str {
        match (self.cloud, across) {
            (Cloud::Alibaba, _) => "CopyImage",
            (Cloud::Huawei, false) => "CopyImageInRegion",
            (Cloud::Huawei, true) => "CopyImageCrossRegion",
        }
    }

    /// Waits for so many calls for a copy.
    pub async fn until_asked(&self, count: usize) -> Result<()> {
        eventually(PATIENCE, &format!("{count} calls for a copy"), async || {
            let asked = self.asked().await?;
            ensure!(asked.len() >= count, "{asked:?}");
            Ok(Some(()))
        })
        .await
    }
}

/// Puts what `change` has over what `base` has.
pub fn merge(base: &mut Value, change: &Value) {
    match (base, change) {
        (Value::Object(base), Value::Object(change)) => {
            for (key, value) in change {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, change) => *base = change.clone(),
    }
}
