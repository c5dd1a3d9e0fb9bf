//! What the scenarios cannot ask of every cloud: Huawei Cloud's limits, jobs, kinds of recipients, keys and tokens, judged by
//! the simulator's journal and world.

mod bad_input;
mod calls;
mod credentials;
mod grants;
mod inventory;
mod jobs;
mod limits;
mod projects;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::cloud_image::CloudImageSpec;
use imageshare_operator::api::image_share::ImageShareSpec;
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockReadGuard};

use support::arena::{Arena as _, Tenant, seat};
use support::huawei::{Huawei, REGION};
use support::{PATIENCE, Player, Stage};

const ADD: &str = "BatchAddMembers";
const REMOVE: &str = "BatchDeleteMembers";
const LOOK: &str = "ListImages";
const LIST: &str = "ListImageMembers";
const JOB: &str = "ShowJob";
const EFFECT: &str = "JobEffect";

/// Whoever counts calls has the operator undisturbed; whoever kills it has it alone.
static OPERATOR: RwLock<()> = RwLock::const_new(());

async fn undisturbed() -> RwLockReadGuard<'static, ()> {
    OPERATOR.read().await
}

/// An arena with the owner's place in it.
struct Ground {
    arena: Huawei,
    place: Player,
    since: u64,
}

impl Ground {
    async fn enter() -> Result<Self> {
        Self::enter_as(|arena| arena.tenant(0)).await
    }

    /// With the owner's credentials chosen.
    async fn enter_as(owner: impl Fn(&Huawei) -> Tenant) -> Result<Self> {
        Self::of(crate::stage::huawei().await?, owner).await
    }

    /// On a given stage.
    async fn enter_on(stage: &'static Stage) -> Result<Self> {
        Self::of(Huawei::enter_on(stage).await?, |arena| arena.tenant(0)).await
    }

    async fn of(arena: Huawei, owner: impl Fn(&Huawei) -> Tenant) -> Result<Self> {
        let since = arena.player().stage.cloud.journal(0).await?.last().and_then(|e| e["seq"].as_u64());
        let place = seat(arena.player(), &owner(&arena), None).await?;
        Ok(Self { arena, place, since: since.unwrap_or_default() })
    }

    /// The same with an image, changed by `extra`, and a ready `CloudImage` of this name.
    async fn with_image(name: &str, extra: Value) -> Result<(Self, String)> {
        let ground = Self::enter().await?;
        let id = ground.image(name, extra).await?;
        Ok((ground, id))
    }

    /// A new image with a ready `CloudImage`.
    async fn image(&self, name: &str, extra: Value) -> Result<String> {
        let id = self.arena.image_with(extra).await?;
        self.name_image(name, REGION, &id).await?;
        self.place.ready::<CloudImage>(name).await?;
        Ok(id)
    }

    async fn name_image(&self, name: &str, region: &str, id: &str) -> Result<()> {
        let spec = json!({"accountRef": {"name": "golden"}, "region": region, "imageID": id});
        let spec: CloudImageSpec = serde_json::from_value(spec)?;
        self.place.create(CloudImage::new(name, spec)).await
    }

    /// A share of the same name as its image.
    async fn share(&self, name: &str, recipients: Value) -> Result<()> {
        let spec = json!({"imageRef": {"name": name}, "recipients": recipients});
        let spec: ImageShareSpec = serde_json::from_value(spec)?;
        self.place.create(ImageShare::new(name, spec)).await
    }

    async fn reshare(&self, name: &str, recipients: Value) -> Result<()> {
        self.place.edit::<ImageShare>(name, json!({"spec": {"recipients": recipients}})).await
    }

    /// A receiver's place.
    async fn guest(&self, tenant: u32) -> Result<Player> {
        seat(self.arena.player(), &self.arena.tenant(tenant), None).await
    }

    fn project(&self, tenant: u32) -> String {
        self.arena.tenant(tenant).id
    }

    async fn journal(&self) -> Result<Vec<Value>> {
        self.place.stage.cloud.journal(self.since).await
    }

    /// What was asked by somebody: a project, a domain or, where it was refused, a key.
    async fn by(&self, who: &str) -> Result<Vec<Value>> {
        Ok(self.journal().await?.into_iter().filter(|entry| entry["principal"] == who).collect())
    }

    /// What the owner asked of one image by one action, and what its jobs did to it.
    async fn calls(&self, action: &str, image: &str) -> Result<Vec<Value>> {
        let all = self.by(&self.project(0)).await?;
        Ok(all.into_iter().filter(|entry| entry["action"] == action && entry["image"] == image).collect())
    }

    async fn until_called(&self, action: &str, image: &str, count: usize) -> Result<()> {
        eventually(PATIENCE, &format!("{count} {action} about {image}"), async || {
            let calls = self.calls(action, image).await?.len();
            ensure!(calls >= count, "{calls}");
            Ok(Some(()))
        })
        .await
    }

    /// Waits for so many further looks at an image's members.
    async fn until_looked(&self, image: &str, more: usize) -> Result<()> {
        let looks = self.calls(LIST, image).await?.len();
        self.until_called(LIST, image, looks + more).await
    }

    /// Whom the cloud took an image from by the operator's jobs, in order.
    async fn removed(&self, image: &str) -> Result<Vec<String>> {
        Ok(strings(&self.calls(EFFECT, image).await?, "removed"))
    }

    async fn added(&self, image: &str) -> Result<Vec<String>> {
        Ok(strings(&self.calls(EFFECT, image).await?, "added"))
    }

    /// Changes members behind everybody's back.
    async fn by_hand(&self, image: &str, add: Value, remove: Value) -> Result<()> {
        let change = json!({"image": image, "add": add, "remove": remove});
        self.place.stage.cloud.post("/huawei/members", &change).await?;
        Ok(())
    }

    /// The next `count` such calls about an image meet this weather.
    async fn weather(&self, action: &str, image: &str, count: u64, then: Value) -> Result<()> {
        let fault = json!({"when": {"action": action, "image": image}, "count": count, "then": then});
        self.place.stage.cloud.post_fault(&fault).await?;
        Ok(())
    }

    /// Waits until an image's weather is over.
    async fn until_fair(&self, image: &str) -> Result<()> {
        eventually(PATIENCE, "the weather to end", async || {
            let faults = self.place.stage.cloud.get("/faults").await?;
            ensure!(!faults.to_string().contains(image), "{faults}");
            Ok(Some(()))
        })
        .await
    }

    async fn members(&self, image: &str) -> Result<BTreeMap<String, String>> {
        self.arena.members(image).await
    }

    async fn until_status(&self, image: &str, who: &str, status: &str) -> Result<()> {
        eventually(PATIENCE, &format!("{who} to be {status}"), async || {
            let members = self.members(image).await?;
            ensure!(members.get(who).is_some_and(|found| found == status), "{members:?}");
            Ok(Some(()))
        })
        .await
    }
}

fn strings(entries: &[Value], what: &str) -> Vec<String> {
    let lists = entries.iter().filter_map(|entry| entry["effect"][what].as_array()).flatten();
    lists.filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect()
}

fn projects(ids: impl IntoIterator<Item = String>) -> Value {
    ids.into_iter().map(|id| json!({"type": "Project", "id": id})).collect()
}

/// So many members of the crowd, as the control interface takes them.
fn crowd(numbers: std::ops::Range<u32>) -> Value {
    let member = |n| json!({"type": "project", "id": support::huawei::one_of_the_crowd(n), "status": "accepted"});
    numbers.map(member).collect()
}

fn ids(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(support::huawei::one_of_the_crowd).collect()
}

fn seq(entry: &Value) -> Result<u64> {
    entry["seq"].as_u64().context("an entry has a number")
}
