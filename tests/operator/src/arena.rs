//! What the scenarios need of a cloud: an owner, receivers, images, and the cloud's own word on who has them.

use std::collections::BTreeMap;

use anyhow::Result;
use async_trait::async_trait;
use imageshare_harness::eventually;
use imageshare_operator::api::acceptance::SharedImageAcceptanceSpec;
use imageshare_operator::api::cloud_account::CloudAccountSpec;
use imageshare_operator::api::cloud_image::CloudImageSpec;
use imageshare_operator::api::image_share::ImageShareSpec;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare, SharedImageAcceptance};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{PATIENCE, Player};

/// Somebody at a cloud, and how the operator is told of it.
#[derive(Clone)]
pub struct Tenant {
    /// As whom it owns and receives images: its project.
    pub id: String,
    /// Its `CloudAccount`'s spec, which names the Secret `golden`.
    pub account: Value,
    /// What the Secret holds.
    pub secret: BTreeMap<String, String>,
}

/// One owner and three receivers at one cloud, of a test's own.
#[async_trait]
pub trait Arena: Send + Sync {
    /// The stage's player whose namespace is the owner's.
    fn player(&self) -> &Player;
    fn region(&self) -> &str;
    fn owner(&self) -> Tenant;
    /// Receiver 0, 1 or 2.
    fn receiver(&self, n: usize) -> Tenant;
    /// A new image of the owner.
    async fn new_image(&self, name: &str) -> Result<String>;
    /// Who has an image, by the cloud's own word: id of the recipient and what it answered, in lower case.
    async fn members(&self, image: &str) -> Result<BTreeMap<String, String>>;
    async fn exists(&self, image: &str) -> Result<bool>;
}

/// A namespace with a tenant's Secret and its account, both named `golden`.
pub async fn seat(player: &Player, tenant: &Tenant, inventory: Option<&str>) -> Result<Player> {
    let place = seat_unready(player, tenant, inventory).await?;
    place.ready::<CloudAccount>("golden").await?;
    Ok(place)
}

/// The same, whatever becomes of the account.
pub async fn seat_unready(player: &Player, tenant: &Tenant, inventory: Option<&str>) -> Result<Player> {
    let place = player.guest().await?;
    let secret = Secret {
        metadata: ObjectMeta { name: Some("golden".into()), ..ObjectMeta::default() },
        string_data: Some(tenant.secret.clone()),
        ..Secret::default()
    };
    place.api::<Secret>().patch("golden", &PatchParams::apply("test").force(), &Patch::Apply(secret)).await?;
    let mut spec: CloudAccountSpec = serde_json::from_value(tenant.account.clone())?;
    if let Some(region) = inventory {
        spec.inventory = Some(serde_json::from_value(json!({"regions": [region]}))?);
    }
    place.create(CloudAccount::new("golden", spec)).await?;
    Ok(place)
}

/// A `CloudImage` named `golden` in an owner's place.
pub async fn image(place: &Player, region: &str, id: &str, extra: Value) -> Result<()> {
    let mut spec = json!({"accountRef": {"name": "golden"}, "region": region, "imageID": id});
    merge(&mut spec, extra);
    let spec: CloudImageSpec = serde_json::from_value(spec)?;
    place.create(CloudImage::new("golden", spec)).await
}

/// An `ImageShare` of the image `golden` with projects.
pub async fn share(place: &Player, name: &str, projects: &[String]) -> Result<()> {
    let spec = json!({"imageRef": {"name": "golden"}, "recipients": recipients(projects)});
    let spec: ImageShareSpec = serde_json::from_value(spec)?;
    place.create(ImageShare::new(name, spec)).await
}

pub fn recipients(projects: &[String]) -> Value {
    projects.iter().map(|id| json!({"type": "Project", "id": id})).collect()
}

/// A `SharedImageAcceptance` in a receiver's place.
pub async fn accept(place: &Player, name: &str, region: &str, image: &str, owner: &str, extra: Value) -> Result<()> {
    let mut spec = json!({"accountRef": {"name": "golden"}, "region": region, "imageID": image, "owner": owner,
        "decision": "Accept"});
    merge(&mut spec, extra);
    let spec: SharedImageAcceptanceSpec = serde_json::from_value(spec)?;
    place.create(SharedImageAcceptance::new(name, spec)).await
}

/// An owner's share reached the cloud, and a receiver's acceptance is asked for a reconcile: no watch tells a receiver what
/// another object brought about at the cloud.
pub async fn reaches(owner: &Player, share: &str, place: &Player, acceptance: &str) -> Result<()> {
    owner.ready::<ImageShare>(share).await?;
    place.nudge::<SharedImageAcceptance>(acceptance).await?;
    Ok(())
}

fn merge(spec: &mut Value, extra: Value) {
    if let Value::Object(extra) = extra {
        for (field, value) in extra {
            spec[field] = value;
        }
    }
}

/// Waits until the cloud says that exactly these have the image, with these answers.
pub async fn until_members(arena: &dyn Arena, image: &str, wanted: &[(&str, &str)]) -> Result<()> {
    let wanted: BTreeMap<String, String> = wanted.iter().map(|(id, said)| ((*id).into(), (*said).into())).collect();
    eventually(PATIENCE, &format!("{image} to have {wanted:?}"), async || {
        let members = arena.members(image).await?;
        anyhow::ensure!(members == wanted, "{members:?}");
        Ok(Some(()))
    })
    .await
}
