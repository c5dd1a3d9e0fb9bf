//! The stage of the end-to-end tests: one real API server, one simulated cloud and one operator for a whole test binary;
//! each test plays in a namespace, with an owner account, an image and recipients of its own.

pub mod arena;
pub mod aws;
pub mod behind;
pub mod crash_walk;
pub mod door;
mod evidence;
pub mod huawei;
pub mod sights;
pub mod writes;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use imageshare_harness::{ControlPlane, Namespace, Operator, Simulator, assets, eventually, run};
use imageshare_operator::api::cloud_account::CloudAccountSpec;
use imageshare_operator::api::cloud_image::CloudImageSpec;
use imageshare_operator::api::image_share::ImageShareSpec;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

pub use evidence::{message, says};
pub use imageshare_harness::Kind;

/// How long anything that must happen may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How many tests may play at most in one binary.
const PLAYERS: u32 = 64;

/// Recipients that belong to each test.
const RECIPIENTS: u32 = 60;

/// Region every image lives in unless a test says otherwise.
pub const REGION: &str = "cn-hangzhou";

/// Everything a test binary shares.
pub struct Stage {
    pub control_plane: &'static ControlPlane,
    pub cloud: Simulator,
    /// Held by a test for as long as it kills and starts the operator.
    pub operator: Mutex<Operator>,
    /// How many tests may play.
    pub players: u32,
}

impl Stage {
    /// Kills the operator (SIGKILL) and starts it again.
    pub async fn restart_operator(&self) -> Result<()> {
        self.operator.lock().await.restart()
    }
}

/// The id of an owner account, a recipient, an image of one player.
pub fn owner_id(player: u32) -> String {
    format!("20000000{player:04}0000")
}

fn recipient_id(player: u32, n: u32) -> String {
    format!("10000000{player:04}{n:04}")
}

fn image_id(player: u32, n: u32) -> String {
    format!("m-bp1player{player:04}image{n:02}")
}

pub const SECRET_CANARY: &str = "CanarySecretThatMustNeverBeShown";

/// An account of the China site; every other one is of the International site.
pub const CHINA_ACCOUNT: &str = "3000000000000001";

pub fn key(player: u32) -> Value {
    json!({"id": format!("LTAIkey{player:04}"), "secret": format!("{SECRET_CANARY}{player:04}")})
}

/// The world of all players: each owner has two images, and 60 accounts it may share with.
pub fn world() -> Value {
    world_of(PLAYERS, RECIPIENTS)
}

/// The same for so many players with so many recipients each.
pub fn world_of(players: u32, recipients: u32) -> Value {
    let mut accounts = Vec::new();
    let mut images = Vec::new();
    for player in 0..players {
        accounts.push(json!({"id": owner_id(player), "site": "International", "keys": [key(player)]}));
        accounts.extend((1..=recipients).map(|n| json!({"id": recipient_id(player, n)})));
        for n in 1..=2 {
            images.push(
                json!({"id": image_id(player, n), "region": REGION, "owner": owner_id(player), "name": "golden"}),
            );
        }
    }
    accounts.push(json!({"id": CHINA_ACCOUNT, "site": "China"}));
    let regions = [REGION, "cn-beijing", "cn-hongkong", "cn-hangzhou-finance"];
    json!({"regions": regions, "accounts": accounts, "images": images})
}

/// Arguments of the operator that make waits short. No interval ends within a test: only what happens moves the operator, so
/// that a watch that tells nobody is seen. What no watch tells is asked for by an annotation, or found where [`quick`] sets an interval.
pub const QUICK: [&str; 24] = [
    "--takeover-after",
    "6s",
    "--absence-window",
    "1s",
    "--lagging-absence-window",
    "1s",
    "--lost-job-window",
    "5s",
    "--lost-copy-window",
    "5s",
    "--credentials-interval",
    "1h",
    "--blocked-interval",
    "1h",
    "--inventory-interval",
    "1h",
    "--unmanaged-grace",
    "3s",
    "--longest-retry",
    "2s",
    "--drift-interval",
    "1h",
    "--log",
    "info,imageshare_operator=trace,kube=debug",
];

/// Intervals by which a mended Secret and a mended cloud are found.
pub const POLLING: [&str; 4] = ["--credentials-interval", "2s", "--blocked-interval", "2s"];

/// [`QUICK`] with other values of these arguments: each name is followed by its value.
pub fn quick<'a>(others: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = QUICK.to_vec();
    for other in others.chunks_exact(2) {
        match arguments.iter().position(|argument| *argument == other[0]) {
            Some(at) => arguments[at + 1] = other[1],
            None => arguments.extend(other),
        }
    }
    arguments
}

/// Starts everything: an API server of this binary's own, a simulator with `world`, an operator with `arguments`.
pub async fn start(world: &Value, arguments: &[&str]) -> Result<Stage> {
    start_on(ControlPlane::shared().await?, world, arguments).await
}

/// The same with an API server of its own, for an operator with other intervals than the one of the others: two would act on
/// the same objects. No controller manager looks after it.
pub async fn start_apart(world: &Value, arguments: &[&str]) -> Result<Stage> {
    let control_plane = ControlPlane::start(&run::folder_of_this_binary()?).await?;
    control_plane.install(&assets::workspace().join("crds")).await?;
    // As long as the process, whose end is its end too.
    start_on(Box::leak(Box::new(control_plane)), world, arguments).await
}

async fn start_on(control_plane: &'static ControlPlane, world: &Value, arguments: &[&str]) -> Result<Stage> {
    let run = run::folder_of_this_binary()?;
    let cloud = Simulator::start(&run, world).await?;
    let launch = Operator::launch(control_plane.operator_kubeconfig().await?)?
        .arguments([cloud.cloud(), cloud.huawei(), cloud.aws()].into_iter().flat_map(|at| ["--allowed-endpoint", at]))
        .arguments(arguments.iter().copied());
    let operator = Mutex::new(Operator::start(launch, &run)?);
    Ok(Stage { control_plane, cloud, operator, players: players_of(world) })
}

/// How many players a world has: each has two images.
pub fn players_of(world: &Value) -> u32 {
    world["images"].as_array().map_or(0, |images| u32::try_from(images.len() / 2).unwrap_or(u32::MAX))
}

/// The stage shared by the tests of a binary that need nothing special.
pub async fn stage() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE.get_or_try_init(async || start(&world(), &QUICK).await).await
}

/// One test's own place on the stage.
#[derive(Clone)]
pub struct Player {
    pub stage: &'static Stage,
    /// Its own, since a client dies with the runtime of the test that made it.
    pub client: kube::Client,
    pub namespace: Namespace,
    pub number: u32,
    since: u64,
}

impl Player {
    /// A new namespace with nothing in it.
    pub async fn enter() -> Result<Self> {
        Self::enter_on(stage().await?).await
    }

    /// The same, on a given stage.
    pub async fn enter_on(stage: &'static Stage) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        anyhow::ensure!(number < stage.players, "too many tests for this world");
        let client = stage.control_plane.client().await?;
        let namespace = Namespace::create(&client, "player").await?;
        let since = stage.cloud.journal(0).await?.last().and_then(|e| e["seq"].as_u64()).unwrap_or_default();
        Ok(Self { stage, client, namespace, number, since })
    }

    /// The same player in another namespace: same image and recipients at the cloud.
    pub async fn guest(&self) -> Result<Self> {
        Ok(Self { namespace: Namespace::create(&self.client, "guest").await?, ..self.clone() })
    }

    /// A namespace with a Secret, a ready `CloudAccount` named `golden`, and a `CloudImage` named `golden`.
    pub async fn with_image() -> Result<Self> {
        Self::with_image_on(stage().await?).await
    }

    /// The same, on a given stage.
    pub async fn with_image_on(stage: &'static Stage) -> Result<Self> {
        let player = Self::enter_on(stage).await?;
        player.account(|_| {}).await?;
        player.image("golden", |_| {}).await?;
        player.ready::<CloudImage>("golden").await?;
        Ok(player)
    }

    pub fn owner(&self) -> String {
        owner_id(self.number)
    }

    pub fn recipient(&self, n: u32) -> String {
        recipient_id(self.number, n)
    }

    pub fn image_id(&self, n: u32) -> String {
        image_id(self.number, n)
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        self.namespace.api()
    }

    /// The same for objects that need not read as their kind.
    pub fn raw<K: Kind>(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &ApiResource::erase::<K>(&()))
    }

    pub async fn secret(&self, key: &Value) -> Result<()> {
        let secret = Secret {
            metadata: ObjectMeta { name: Some("golden".into()), ..ObjectMeta::default() },
            string_data: Some(
                [("accessKeyID", &key["id"]), ("accessKeySecret", &key["secret"])]
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value.as_str()?.to_owned())))
                    .collect(),
            ),
            ..Secret::default()
        };
        let params = PatchParams::apply("test").force();
        self.api::<Secret>().patch("golden", &params, &Patch::Apply(secret)).await?;
        Ok(())
    }

    /// The Secret `golden` with the account's own key.
    pub async fn account_secret(&self) -> Result<()> {
        self.secret(&key(self.number)).await
    }

    /// The Secret and the account `golden`, changed by `edit` before it is created.
    pub async fn account(&self, edit: impl FnOnce(&mut CloudAccountSpec)) -> Result<()> {
        self.secret(&key(self.number)).await?;
        let mut spec: CloudAccountSpec = serde_json::from_value(json!({"alibaba": {
            "accountID": self.owner(), "site": "International",
            "credentials": {"secretRef": {"name": "golden"}}, "endpoint": self.stage.cloud.cloud(),
        }}))?;
        edit(&mut spec);
        self.create(CloudAccount::new("golden", spec)).await
    }

    /// A `CloudImage` of the account `golden` for this player's first image, changed by `edit`.
    pub async fn image(&self, name: &str, edit: impl FnOnce(&mut CloudImageSpec)) -> Result<()> {
        let mut spec: CloudImageSpec = serde_json::from_value(json!({
            "accountRef": {"name": "golden"}, "region": REGION, "imageID": self.image_id(1),
        }))?;
        edit(&mut spec);
        self.create(CloudImage::new(name, spec)).await
    }

    /// An `ImageShare` of the image `golden` for these recipients, changed by `edit`.
    pub async fn share_with(&self, name: &str, ids: &[String], edit: impl FnOnce(&mut ImageShareSpec)) -> Result<()> {
        let recipients: Vec<Value> = ids.iter().map(|id| json!({"type": "Account", "id": id})).collect();
        let mut spec: ImageShareSpec =
            serde_json::from_value(json!({"imageRef": {"name": "golden"}, "recipients": recipients}))?;
        edit(&mut spec);
        self.create(ImageShare::new(name, spec)).await
    }

    /// The same for recipients by number.
    pub async fn share(&self, name: &str, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
        let ids: Vec<String> = numbers.into_iter().map(|n| self.recipient(n)).collect();
        self.share_with(name, &ids, |_| {}).await
    }

    pub async fn create<K: Kind>(&self, object: K) -> Result<()> {
        self.api::<K>().create(&PostParams::default(), &object).await?;
        Ok(())
    }

    /// Merges `change` into an object.
    pub async fn edit<K: Kind>(&self, name: &str, change: Value) -> Result<()> {
        self.raw::<K>().patch(name, &PatchParams::default(), &Patch::Merge(change)).await?;
        Ok(())
    }

    pub async fn delete<K: Kind>(&self, name: &str) -> Result<()> {
        self.raw::<K>().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until an object is gone.
    pub async fn gone<K: Kind>(&self, name: &str) -> Result<()> {
        eventually(PATIENCE, &format!("{name} to go"), async || match self.raw::<K>().get_opt(name).await? {
            None => Ok(Some(())),
            Some(object) => anyhow::bail!("{}", serde_json::to_value(&object)?["status"]),
        })
        .await
    }

    /// Waits until `Ready` of an object is `status` with this reason; gives the whole object.
    pub async fn until<K: Kind>(&self, name: &str, status: &str, reason: &str) -> Result<Value> {
        self.until_condition::<K>(name, "Ready", status, reason).await
    }

    /// The same for any condition.
    pub async fn until_condition<K: Kind>(&self, name: &str, kind: &str, status: &str, reason: &str) -> Result<Value> {
        eventually(PATIENCE, &format!("{name}: {kind}={status} {reason}"), async || {
            let object = serde_json::to_value(self.raw::<K>().get(name).await?)?;
            let found = condition(&object, kind);
            anyhow::ensure!(
                found.as_ref().is_some_and(|c| c.status == status
                    && c.reason == reason
                    && c.observed_generation == object["metadata"]["generation"].as_i64()),
                "{}",
                object["status"]
            );
            Ok(Some(object))
        })
        .await
    }

    /// Waits until an object is `Ready`, at its newest generation.
    pub async fn ready<K: Kind>(&self, name: &str) -> Result<Value> {
        let reason = match K::kind(&()).as_ref() {
            "CloudAccount" => "Verified",
            "CloudImage" => "Available",
            _ => "Shared",
        };
        self.until::<K>(name, "True", reason).await
    }

    /// What the cloud's journal says of this player's images and account since the test began.
    pub async fn journal(&self) -> Result<Vec<Value>> {
        let (owner, images) = (self.owner(), [self.image_id(1), self.image_id(2)]);
        let all = self.stage.cloud.journal(self.since).await?;
        Ok(all
            .into_iter()
            .filter(|e| e["principal"] == owner.as_str() || images.iter().any(|image| e["image"] == image.as_str()))
            .collect())
    }

    /// The journal's entries of one action.
    pub async fn calls(&self, action: &str) -> Result<Vec<Value>> {
        Ok(self.journal().await?.into_iter().filter(|e| e["action"] == action).collect())
    }

    /// Whom an image is shared with, as the cloud itself says.
    pub async fn shared_with(&self, image: u32) -> Result<Vec<String>> {
        let found = self.stage.cloud.image(&self.image_id(image)).await?.context("no such image")?;
        let mut shared: Vec<String> = found["sharedWith"]
            .as_array()
            .map(|all| all.iter().filter_map(|v| v.as_str().map(ToOwned::to_owned)).collect())
            .unwrap_or_default();
        shared.sort();
        Ok(shared)
    }

    /// Waits until an image is shared with exactly these recipients.
    pub async fn until_shared_with(&self, image: u32, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
        let mut wanted: Vec<String> = numbers.into_iter().map(|n| self.recipient(n)).collect();
        wanted.sort();
        eventually(PATIENCE, &format!("image {image} to be shared with {wanted:?}"), async || {
            let shared = self.shared_with(image).await?;
            anyhow::ensure!(shared == wanted, "{shared:?}");
            Ok(Some(()))
        })
        .await
    }
}

/// A condition of an object.
pub fn condition(object: &Value, kind: &str) -> Option<Condition> {
    let all: Vec<Condition> = serde_json::from_value(object["status"]["conditions"].clone()).ok()?;
    all.into_iter().find(|c| c.type_ == kind)
}
