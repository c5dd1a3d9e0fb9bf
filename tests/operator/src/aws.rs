//! The scenarios' cloud: AWS as the simulator has it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use imageshare_harness::eventually;
use imageshare_operator::api::cloud_image::CloudImageSpec;
use imageshare_operator::api::image_share::ImageShareSpec;
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::{Value, json};

use crate::arena::{Tenant, seat};
use crate::sights::strings;
use crate::{PATIENCE, Player, Stage};

pub const REGION: &str = "eu-west-1";
/// Where copies go.
pub const OTHER_REGION: &str = "eu-central-1";
/// How many tests may play.
pub const ARENAS: u32 = 60;
/// An owner and three receivers.
const TENANTS: u32 = 4;

pub const CHANGE: &str = "ModifyImageAttribute";
pub const LIST: &str = "DescribeImageAttribute";
pub const LOOK: &str = "DescribeImages";
pub const CHANGE_SNAPSHOT: &str = "ModifySnapshotAttribute";
pub const LIST_SNAPSHOT: &str = "DescribeSnapshotAttribute";

fn account(arena: u32, tenant: u32) -> String {
    format!("0{arena:05}{tenant:06}")
}

fn key(arena: u32, tenant: u32) -> [String; 2] {
    [format!("AKIAARENA{arena:04}{tenant:04}"), format!("{}{arena}{tenant}", crate::SECRET_CANARY)]
}

/// The nth account that owns nothing; nobody has its key.
pub fn one_of_the_crowd(n: u32) -> String {
    format!("9{n:011}")
}

fn organization(arena: u32) -> String {
    format!("o-arena{arena:05}")
}

fn unit(arena: u32) -> String {
    format!("ou-root-{arena:08}")
}

/// A customer-managed key of an arena's tenant in a region.
pub fn kms_key(arena: u32, tenant: u32, region: &str) -> String {
    format!("arn:aws:kms:{region}:{}:key/{arena:08}-0000-4000-8000-000000000000", account(arena, tenant))
}

fn account_of_the_world(arena: u32, tenant: u32) -> Value {
    let [id, secret] = key(arena, tenant);
    let keys: Vec<Value> =
        [REGION, OTHER_REGION].iter().map(|region| json!({"arn": kms_key(arena, tenant, region)})).collect();
    json!({"id": account(arena, tenant), "keys": [{"id": id, "secret": secret}], "kmsKeys": keys})
}

/// Every arena has accounts of its own. The last one belongs to a unit of an organization that the second last manages.
pub fn world() -> Value {
    let tenants = (0..ARENAS).flat_map(|arena| (0..TENANTS).map(move |tenant| (arena, tenant)));
    let accounts: Vec<Value> = tenants.map(|(arena, tenant)| account_of_the_world(arena, tenant)).collect();
    let organizations: Vec<Value> = (0..ARENAS)
        .map(|arena| {
            json!({"id": organization(arena), "management": account(arena, TENANTS - 2),
                "units": [{"id": unit(arena), "accounts": [account(arena, TENANTS - 1)]}]})
        })
        .collect();
    let mut world = crate::world_of(ARENAS, 0);
    world["aws"] = json!({"rules": {"copySeconds": 1, "normalizesArns": true}, "regions": ["us-east-1", REGION, OTHER_REGION],
        "accounts": accounts, "organizations": organizations});
    world
}

/// Recipients as a share names them: accounts, and organizations or units by their ARNs.
pub fn recipients(ids: impl IntoIterator<Item = String>) -> Value {
    let kind = |id: &str| if id.starts_with("arn:") { "Organization" } else { "Account" };
    ids.into_iter().map(|id| json!({"type": kind(&id), "id": id})).collect()
}

/// Accounts that can copy the image as well.
pub fn copyable(ids: impl IntoIterator<Item = String>) -> Value {
    ids.into_iter().map(|id| json!({"type": "Account", "id": id, "copyable": true})).collect()
}

/// One test's accounts, with the owner's place.
pub struct Aws {
    player: Player,
    /// The owner's namespace, with its `CloudAccount`.
    pub place: Player,
    since: u64,
}

impl Aws {
    /// Accounts of a test's own on a stage.
    pub async fn enter_on(stage: &'static Stage) -> Result<Self> {
        let player = Player::enter_on(stage).await?;
        let since = stage.cloud.journal(0).await?.last().and_then(|entry| entry["seq"].as_u64()).unwrap_or_default();
        let place = seat(&player, &tenant(&player, 0), None).await?;
        Ok(Self { player, place, since })
    }

    /// The same with an image, changed by `extra`, and a ready `CloudImage` `golden`.
    pub async fn with_image_on(stage: &'static Stage, extra: Value) -> Result<(Self, String)> {
        let here = Self::enter_on(stage).await?;
        let image = here.image("golden", extra).await?;
        Ok((here, image))
    }

    /// Tenant 0 is the owner; 2 manages an organization, 3 is in its unit.
    pub fn tenant(&self, n: u32) -> Tenant {
        tenant(&self.player, n)
    }

    /// A receiver's place; `inventory`: whether what it receives is listed.
    pub async fn receiver(&self, n: u32, inventory: bool) -> Result<Player> {
        seat(&self.player, &self.tenant(n), inventory.then_some(REGION)).await
    }

    pub fn account(&self, tenant: u32) -> String {
        account(self.player.number, tenant)
    }

    pub fn organization(&self) -> String {
        let (arena, management) = (self.player.number, self.account(TENANTS - 2));
        format!("arn:aws:organizations::{management}:organization/{}", organization(arena))
    }

    pub fn unit(&self) -> String {
        let (arena, management) = (self.player.number, self.account(TENANTS - 2));
        format!("arn:aws:organizations::{management}:ou/{}/{}", organization(arena), unit(arena))
    }

    pub fn kms_key(&self, tenant: u32, region: &str) -> String {
        kms_key(self.player.number, tenant, region)
    }

    /// Puts an image of the owner, changed by `extra`, into the world.
    pub async fn new_image(&self, extra: Value) -> Result<String> {
        let id = format!("ami-0{:016x}", rand::random::<u64>());
        let mut image = json!({"id": id, "region": REGION, "owner": self.account(0), "name": "golden"});
        for (field, value) in extra.as_object().context("an image is an object")? {
            image[field] = value.clone();
        }
        self.place.stage.cloud.post("/aws/images", &image).await?;
        Ok(id)
    }

    /// The same with a ready `CloudImage`.
    pub async fn image(&self, name: &str, extra: Value) -> Result<String> {
        let id = self.new_image(extra).await?;
        self.name_image(name, &id, json!({})).await?;
        self.place.ready::<CloudImage>(name).await?;
        Ok(id)
    }

    /// A `CloudImage` of the owner, changed by `extra`.
    pub async fn name_image(&self, name: &str, id: &str, extra: Value) -> Result<()> {
        let mut spec = json!({"accountRef": {"name": "golden"}, "region": REGION, "imageID": id});
        for (field, value) in extra.as_object().context("a spec is an object")? {
            spec[field] = value.clone();
        }
        let spec: CloudImageSpec = serde_json::from_value(spec)?;
        self.place.create(CloudImage::new(name, spec)).await
    }

    /// An `ImageShare` of the same name as its image.
    pub async fn share(&self, name: &str, ids: impl IntoIterator<Item = String>) -> Result<()> {
        let spec = json!({"imageRef": {"name": name}, "recipients": recipients(ids)});
        let spec: ImageShareSpec = serde_json::from_value(spec)?;
        self.place.create(ImageShare::new(name, spec)).await
    }

    /// The same whose recipients can copy the image as well.
    pub async fn share_copyable(&self, name: &str, image: &str, ids: impl IntoIterator<Item = String>) -> Result<()> {
        let spec = json!({"imageRef": {"name": image}, "recipients": copyable(ids)});
        let spec: ImageShareSpec = serde_json::from_value(spec)?;
        self.place.create(ImageShare::new(name, spec)).await
    }

    /// The snapshots behind an image.
    pub async fn snapshots_of(&self, image: &str) -> Result<Vec<String>> {
        let seen = self.place.stage.cloud.aws_image(image).await?.context("the image")?;
        Ok(strings(&seen["snapshots"]))
    }

    /// Who can make volumes of a snapshot, as the cloud itself says, sorted.
    pub async fn copiers(&self, snapshot: &str) -> Result<Vec<String>> {
        let found = self.place.stage.cloud.aws_snapshot(snapshot).await?.context("the snapshot")?;
        Ok(strings(&found["sharedWith"]))
    }

    /// Waits until exactly these can make volumes of a snapshot.
    pub async fn until_copiers(&self, snapshot: &str, ids: impl IntoIterator<Item = String>) -> Result<()> {
        let mut wanted: Vec<String> = ids.into_iter().collect();
        wanted.sort();
        eventually(PATIENCE, &format!("{snapshot} to be shared with {wanted:?}"), async || {
            let shared = self.copiers(snapshot).await?;
            anyhow::ensure!(shared == wanted, "{shared:?}");
            Ok(Some(()))
        })
        .await
    }

    pub async fn reshare(&self, name: &str, ids: impl IntoIterator<Item = String>) -> Result<()> {
        self.place.edit::<ImageShare>(name, json!({"spec": {"recipients": recipients(ids)}})).await
    }

    /// Changes whom an image is shared with behind the operator's back; `all` for everybody.
    pub async fn by_hand(&self, image: &str, add: &[&str], remove: &[&str]) -> Result<()> {
        let change = json!({"image": image, "add": add, "remove": remove});
        self.place.stage.cloud.post("/aws/permissions", &change).await?;
        Ok(())
    }

    /// Changes an image at the cloud, around its rules.
    pub async fn patch_image(&self, image: &str, change: Value) -> Result<()> {
        self.place.stage.cloud.patch(&format!("/aws/images/{image}"), &change).await?;
        Ok(())
    }

    /// Whom an image is shared with, as the cloud itself says, sorted; `None` where it is gone.
    pub async fn shared_with(&self, image: &str) -> Result<Option<Vec<String>>> {
        let found = self.place.stage.cloud.aws_image(image).await?;
        let found = found.filter(|found| found["state"] != "deregistered");
        Ok(found.map(|found| strings(&found["sharedWith"])))
    }

    /// Waits until an image is shared with exactly these.
    pub async fn until_shared_with(&self, image: &str, ids: impl IntoIterator<Item = String>) -> Result<()> {
        let mut wanted: Vec<String> = ids.into_iter().collect();
        wanted.sort();
        eventually(PATIENCE, &format!("{image} to be shared with {wanted:?}"), async || {
            let shared = self.shared_with(image).await?;
            anyhow::ensure!(shared.as_ref() == Some(&wanted), "{shared:?}");
            Ok(Some(()))
        })
        .await
    }

    /// What reached the cloud about one image since the test began, by whomever; not what the test did to the world.
    pub async fn about(&self, image: &str) -> Result<Vec<Value>> {
        let all = self.place.stage.cloud.journal(self.since).await?;
        let by_call = |entry: &Value| entry["principal"] != "out-of-band" && entry["principal"] != "world";
        Ok(all.into_iter().filter(|entry| entry["image"] == image && by_call(entry)).collect())
    }

    /// The calls of one action about an image.
    pub async fn calls(&self, action: &str, image: &str) -> Result<Vec<Value>> {
        Ok(self.about(image).await?.into_iter().filter(|entry| entry["action"] == action).collect())
    }

    /// Everybody whom a call about an image asked to add.
    pub async fn asked_to_add(&self, image: &str) -> Result<Vec<String>> {
        Ok(self.calls(CHANGE, image).await?.iter().flat_map(|call| strings(&call["parameters"]["add"])).collect())
    }

    /// Everybody from whom a call truly took an image, in order.
    pub async fn removed(&self, image: &str) -> Result<Vec<String>> {
        Ok(self.calls(CHANGE, image).await?.iter().flat_map(|call| strings(&call["effect"]["removed"])).collect())
    }
}

fn tenant(player: &Player, n: u32) -> Tenant {
    let id = account(player.number, n);
    let [key_id, secret] = key(player.number, n);
    let account = json!({"aws": {"accountID": id, "credentials": {"secretRef": {"name": "golden"}},
        "endpoint": player.stage.cloud.aws()}});
    let secret = BTreeMap::from([("accessKeyID".to_owned(), key_id), ("secretAccessKey".to_owned(), secret)]);
    Tenant { id, account, secret }
}
