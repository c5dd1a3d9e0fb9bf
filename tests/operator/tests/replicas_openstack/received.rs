//! Images that others share, made own ones.

use std::time::Duration;

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_harness::openstack::REGION;
use imageshare_operator::api::acceptance::SharedImageAcceptanceSpec;
use imageshare_operator::api::{ImageReplica, SharedImageAcceptance};
use serde_json::json;

use crate::scene::{MIB, Scene, filled, only};
use support::says;

#[tokio::test]
async fn a_received_image_waits_for_its_acceptance_and_is_then_copied_by_itself() -> Result<()> {
    let scene = Scene::enter().await?;
    let here = &scene.clouds.here;
    let owner = here.create_project("owner").await?;
    let image = here.create_image(&owner, "theirs", filled(MIB)).await?;
    here.add_member(&owner, &image, &scene.project.id).await?;
    let received = json!({"accountRef": {"name": "golden"}, "region": REGION, "imageID": image, "owner": owner.id});
    scene.replicate(json!({"source": {"imageRef": null, "received": received}})).await?;
    let waiting = scene.place.until::<ImageReplica>("copy", "False", "NotAccepted").await?;
    says(&waiting, "Ready", &["SharedImageAcceptance"]);
    ensure!(here.images_of(&scene.project).await?.is_empty(), "nothing is copied unaccepted");

    let mut spec = received;
    spec["decision"] = json!("Accept");
    let spec: SharedImageAcceptanceSpec = serde_json::from_value(spec)?;
    scene.place.create(SharedImageAcceptance::new("answer", spec)).await?;
    scene.place.until::<SharedImageAcceptance>("answer", "True", "Accepted").await?;
    // Long before the next look that nobody asks for.
    eventually(Duration::from_secs(15), "the copy to begin", async || {
        let replica = scene.place.get::<ImageReplica>("copy").await?;
        ensure!(!replica["status"]["copy"].is_null(), "{}", replica["status"]);
        Ok(Some(()))
    })
    .await?;
    let id = scene.made().await?;
    let theirs = here.image(&owner, &image).await?.unwrap();
    let copy = only(here.images_of(&scene.project).await?, &theirs)?;
    ensure!(copy["id"] == id.as_str() && copy["owner"] == scene.project.id.as_str(), "{copy}");

    // It is our own: it outlives what it was made of.
    here.delete_image(&owner, &image).await?;
    let kept = here.download(&scene.project, &id).await?;
    ensure!(kept.is_some_and(|kept| kept.len() == MIB));
    Ok(())
}

#[tokio::test]
async fn a_received_image_of_another_owner_than_the_trusted_one_is_not_copied() -> Result<()> {
    let scene = Scene::enter().await?;
    let here = &scene.clouds.here;
    let (owner, trusted) = (here.create_project("owner").await?, here.create_project("trusted").await?);
    let image = here.create_image(&owner, "theirs", filled(1024)).await?;
    here.add_member(&owner, &image, &scene.project.id).await?;
    here.answer(&scene.project, &image, "accepted").await?;
    let received = json!({"accountRef": {"name": "golden"}, "region": REGION, "imageID": image, "owner": trusted.id});
    scene.replicate(json!({"source": {"imageRef": null, "received": received}})).await?;
    let refused = scene.place.until::<ImageReplica>("copy", "False", "UntrustedOwner").await?;
    says(&refused, "Ready", &["spec.source.received.owner", &owner.id, &trusted.id]);
    ensure!(here.images_of(&scene.project).await?.is_empty());
    Ok(())
}
