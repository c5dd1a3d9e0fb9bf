//! Owners with many images each, and what the cloud's journal says of them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use imageshare_harness::{ControlPlane, Namespace, Operator, Simulator, eventually, run};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

const REGION: &str = "cn-hangzhou";

/// Accounts that an image may be shared with: each image has its own, since nobody may receive more than 30 images.
const RECIPIENTS: u32 = 30;

/// How many requests a test makes to the API server at the same time.
const AT_ONCE: usize = 16;

/// How long anything may take that is not measured.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long as many objects may take to be set up, on a machine that has more to do.
fn patience(objects: usize) -> Duration {
    PATIENCE + Duration::from_millis(100) * u32::try_from(objects).unwrap_or(u32::MAX)
}

fn owner_id(owner: u32) -> String {
    format!("20000000{owner:04}0000")
}

fn recipient_id(owner: u32, image: u32, n: u32) -> String {
    format!("1{owner:03}{image:06}{n:06}")
}

fn image_id(owner: u32, n: u32) -> String {
    format!("m-bp1owner{owner:04}image{n:05}")
}

fn key(owner: u32) -> (String, String) {
    (format!("LTAIkey{owner:04}"), format!("secret-of-owner-{owner:04}"))
}

/// A name that an object of every kind has.
fn name(n: u32) -> String {
    format!("golden-{n}")
}

/// A cloud, an API server, and one operator after the other.
pub struct Stage {
    control_plane: &'static ControlPlane,
    pub cloud: Simulator,
}

impl Stage {
    /// With owners that have so many images each.
    pub async fn start(owners: &[u32]) -> Result<Self> {
        let (mut accounts, mut images) = (Vec::new(), Vec::new());
        for (owner, count) in (0..).zip(owners) {
            let (id, secret) = key(owner);
            accounts.push(json!({
                "id": owner_id(owner), "site": "International", "keys": [{"id": id, "secret": secret}],
            }));
            for image in 0..*count {
                accounts.extend((1..=RECIPIENTS).map(|n| json!({"id": recipient_id(owner, image, n)})));
            }
            images.extend((0..*count).map(
                |n| json!({"id": image_id(owner, n), "region": REGION, "owner": owner_id(owner), "name": "golden"}),
            ));
        }
        let world = json!({"regions": [REGION], "accounts": accounts, "images": images});
        let cloud = Simulator::start(&run::folder_of_this_binary()?, &world).await?;
        Ok(Self { control_plane: ControlPlane::shared().await?, cloud })
    }

    /// An operator that acts for these owners only.
    pub async fn operator(&self, owners: &[&Owner<'_>], arguments: &[&str]) -> Result<Operator> {
        let namespaces = owners.iter().flat_map(|owner| ["--watch-namespace", owner.namespace.name()]);
        let launch = Operator::launch(self.control_plane.operator_kubeconfig().await?)?
            .arguments(["--allowed-endpoint", self.cloud.cloud()])
            .arguments(namespaces)
            .arguments(arguments.iter().copied());
        Operator::start(launch, &run::folder_of_this_binary()?)
    }

    /// The number of the journal's last entry.
    pub async fn journal_end(&self) -> Result<u64> {
        let reading = self.cloud.get(&format!("/journal?since={}", u64::MAX)).await?;
        reading["last"].as_u64().context("the journal has a last entry")
    }
}

impl Stage {
    /// When the first call after `from` changed something, by the journal since this entry.
    pub async fn next_change(&self, since: u64, from: Timestamp) -> Result<Timestamp> {
        eventually(PATIENCE, "a call that changes something", async || {
            let calls = self.cloud.journal(since).await?;
            let changes = calls.iter().filter(|call| call["action"] == "ModifyImageSharePermission");
            let times = changes.map(time_of).collect::<Result<Vec<_>>>()?;
            Ok(times.into_iter().find(|time| *time > from))
        })
        .await
    }
}

/// One owner: a namespace with an account.
pub struct Owner<'a> {
    stage: &'a Stage,
    pub namespace: Namespace,
    number: u32,
}

impl<'a> Owner<'a> {
    pub async fn enter(stage: &'a Stage, number: u32) -> Result<Self> {
        let namespace = Namespace::create(&stage.control_plane.client().await?, "owner").await?;
        let owner = Self { stage, namespace, number };
        let (id, secret) = key(number);
        let secret = Secret {
            metadata: ObjectMeta { name: Some("key".into()), ..ObjectMeta::default() },
            string_data: Some([("accessKeyID".into(), id), ("accessKeySecret".into(), secret)].into()),
            ..Secret::default()
        };
        owner.namespace.api::<Secret>().create(&PostParams::default(), &secret).await?;
        let spec = serde_json::from_value(json!({"alibaba": {
            "accountID": owner_id(number), "site": "International", "endpoint": stage.cloud.cloud(),
            "credentials": {"secretRef": {"name": "key"}},
        }}))?;
        let account = CloudAccount::new("owner", spec);
        owner.namespace.api::<CloudAccount>().create(&PostParams::default(), &account).await?;
        Ok(owner)
    }

    /// Whether a call was about one of the first so many images.
    pub fn is_about(&self, call: &Value, images: u32) -> bool {
        (0..images).any(|n| call["image"] == image_id(self.number, n).as_str())
    }

    /// A fault by which every call of this owner gets its answer too late.
    pub fn hangs(&self) -> Value {
        json!({"when": {"account": owner_id(self.number)}, "then": {"kind": "slow", "millis": 60_000}})
    }

    /// How many calls of this owner there are in the journal since this entry.
    pub async fn calls(&self, since: u64) -> Result<usize> {
        let calls = self.stage.cloud.journal(since).await?;
        Ok(calls.iter().filter(|call| call["principal"] == owner_id(self.number).as_str()).count())
    }

    fn wishes(&self, image: u32, recipients: &[u32]) -> Vec<Value> {
        recipients.iter().map(|n| json!({"type": "Account", "id": recipient_id(self.number, image, *n)})).collect()
    }

    fn images(&self) -> Api<CloudImage> {
        self.namespace.api()
    }

    fn shares(&self) -> Api<ImageShare> {
        self.namespace.api()
    }

    /// Creates an image and a share of it with these recipients.
    pub async fn share(&self, n: u32, recipients: &[u32]) -> Result<()> {
        let image = json!({"accountRef": {"name": "owner"}, "region": REGION, "imageID": image_id(self.number, n)});
        let image = CloudImage::new(&name(n), serde_json::from_value(image)?);
        let share = json!({"imageRef": {"name": name(n)}, "recipients": self.wishes(n, recipients)});
        let share = ImageShare::new(&name(n), serde_json::from_value(share)?);
        self.images().create(&PostParams::default(), &image).await?;
        self.shares().create(&PostParams::default(), &share).await?;
        Ok(())
    }

    /// Changes whom an image is shared with; gives when that was asked for.
    pub async fn reshare(&self, n: u32, recipients: &[u32]) -> Result<Timestamp> {
        let (asked, change) = (Timestamp::now(), json!({"spec": {"recipients": self.wishes(n, recipients)}}));
        self.shares().patch(&name(n), &PatchParams::default(), &Patch::Merge(change)).await?;
        Ok(asked)
    }

    /// Ends the share of an image; gives when that was asked for.
    pub async fn unshare(&self, n: u32) -> Result<Timestamp> {
        let asked = Timestamp::now();
        self.shares().delete(&name(n), &DeleteParams::default()).await?;
        Ok(asked)
    }

    pub async fn delete_image(&self, n: u32) -> Result<()> {
        self.images().delete(&name(n), &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until so many shares are ready.
    pub async fn ready(&self, count: usize) -> Result<()> {
        eventually(patience(count), &format!("{count} shares to be ready"), async || {
            let all = serde_json::to_value(self.shares().list(&ListParams::default()).await?.items)?;
            let ready = all.as_array().into_iter().flatten().filter(|share| is(share, "Ready", "True", "Shared"));
            let ready = ready.count();
            ensure!(ready == count, "{ready} are");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until so many images say that shares keep them.
    pub async fn kept(&self, count: usize) -> Result<()> {
        eventually(patience(count), &format!("{count} images to be kept"), async || {
            let all = serde_json::to_value(self.images().list(&ListParams::default()).await?.items)?;
            let kept = |image: &&Value| {
                image["metadata"]["deletionTimestamp"].is_string() && is(image, "Deletable", "False", "ShareExists")
            };
            let kept = all.as_array().into_iter().flatten().filter(kept).count();
            ensure!(kept == count, "{kept} are");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until an image is gone.
    pub async fn gone(&self, n: u32) -> Result<()> {
        eventually(PATIENCE, &format!("image {n} to go"), async || {
            Ok(self.images().get_opt(&name(n)).await?.is_none().then_some(()))
        })
        .await
    }

    /// The journal's entries about an image since this one.
    async fn calls_since(&self, since: u64, n: u32) -> Result<Vec<Value>> {
        let mut calls = self.stage.cloud.journal(since).await?;
        calls.retain(|call| call["image"] == image_id(self.number, n).as_str());
        Ok(calls)
    }

    /// How long after `asked` a recipient was added to an image, or removed (`effect`), by the journal since this entry.
    pub async fn took(
        &self,
        since: u64,
        n: u32,
        effect: &str,
        recipient: u32,
        asked: Timestamp,
    ) -> Result<SignedDuration> {
        eventually(PATIENCE, &format!("{recipient} to be {effect} at image {n}"), async || {
            let calls = self.calls_since(since, n).await?;
            let done = |call: &&Value| {
                let all = call["effect"][effect].as_array();
                all.is_some_and(|all| all.iter().any(|id| *id == recipient_id(self.number, n, recipient)))
            };
            let Some(call) = calls.iter().find(done) else { return Ok(None) };
            Ok(Some(time_of(call)?.duration_since(asked)))
        })
        .await
    }

    /// How many images were exchanged, with the recipient added, by the journal since this entry.
    pub async fn exchanged(&self, since: u64, recipient: u32) -> Result<Vec<Timestamp>> {
        let calls = self.stage.cloud.journal(since).await?;
        let (owner, end) = (format!("1{:03}", self.number), format!("{recipient:06}"));
        let it = |id: &Value| id.as_str().is_some_and(|id| id.starts_with(&owner) && id.ends_with(&end));
        let added = |call: &&Value| call["effect"]["added"].as_array().is_some_and(|all| all.iter().any(it));
        calls.iter().filter(added).map(time_of).collect()
    }
}

fn time_of(call: &Value) -> Result<Timestamp> {
    Ok(call["time"].as_str().context("a call has a time")?.parse()?)
}

/// Whether a condition of the newest generation is so.
fn is(object: &Value, kind: &str, status: &str, reason: &str) -> bool {
    let current = |condition: &Value| condition["observedGeneration"] == object["metadata"]["generation"];
    object["status"]["conditions"].as_array().into_iter().flatten().any(|condition| {
        condition["type"] == kind
            && condition["status"] == status
            && condition["reason"] == reason
            && current(condition)
    })
}

/// Does the same for many numbers, a few at a time.
pub async fn each(numbers: impl IntoIterator<Item = u32>, work: impl AsyncFn(u32) -> Result<()>) -> Result<()> {
    stream::iter(numbers).map(|n| work(n)).buffer_unordered(AT_ONCE).try_collect().await
}
