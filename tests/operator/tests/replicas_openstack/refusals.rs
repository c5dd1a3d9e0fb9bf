//! Copies that cannot be made: told by the field, and nothing is left behind.

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::openstack::NewImage;
use imageshare_operator::api::{CloudAccount, ImageReplica};
use serde_json::{Value, json};

use crate::scene::{MIB, Scene, filled};
use support::says;

/// Refused with this reason and these words, and Glance has no copy.
async fn refused(change: Value, reason: &str, words: &[&str]) -> Result<()> {
    let scene = Scene::enter().await?;
    let source = scene.golden("golden", filled(1024)).await?;
    scene.replicate(change).await?;
    let refused = scene.place.until::<ImageReplica>("copy", "False", reason).await?;
    says(&refused, "Ready", words);
    scene.until_nothing_beside(&source).await?;
    ensure!(refused["status"]["imageID"].is_null() && refused["status"]["cloudImageUID"].is_null());
    scene.place.delete::<ImageReplica>("copy").await?;
    scene.place.gone::<ImageReplica>("copy").await
}

#[tokio::test]
async fn a_region_that_the_account_does_not_have_is_refused() -> Result<()> {
    let change = json!({"destination": {"region": "RegionTwo"}});
    refused(change, "RegionUnknown", &["spec.destination.region", "RegionTwo"]).await
}

#[tokio::test]
async fn a_malformed_name_is_refused() -> Result<()> {
    refused(json!({"destination": {"name": " copy"}}), "NameInvalid", &["spec.destination.name"]).await
}

/// A letter of the Supplementary Ideographic Plane: Glance cannot store it.
#[tokio::test]
async fn a_name_that_only_glance_refuses_is_told_too() -> Result<()> {
    refused(json!({"destination": {"name": "copy 𠀋"}}), "NameInvalid", &["spec.destination.name"]).await
}

#[tokio::test]
async fn encryption_is_refused() -> Result<()> {
    let change = json!({"destination": {"encryption": {"keyID": "any"}}});
    refused(change, "DestinationRefused", &["spec.destination.encryption"]).await
}

#[tokio::test]
async fn an_account_of_another_kind_of_cloud_is_refused() -> Result<()> {
    let scene = Scene::enter().await?;
    let source = scene.golden("golden", filled(1024)).await?;
    let spec = json!({"alibaba": {"accountID": scene.place.owner(), "site": "International",
        "credentials": {"secretRef": {"name": "golden"}}, "endpoint": scene.place.stage.cloud.cloud()}});
    scene.place.create(CloudAccount::new("elsewhere", serde_json::from_value(spec)?)).await?;
    scene.replicate(json!({"destination": {"accountRef": {"name": "elsewhere"}}})).await?;
    let refused = scene.place.until::<ImageReplica>("copy", "False", "DestinationRefused").await?;
    says(&refused, "Ready", &["spec.destination.accountRef"]);
    scene.until_nothing_beside(&source).await
}

#[tokio::test]
async fn a_source_deleted_while_it_is_copied_is_told_and_nothing_is_left() -> Result<()> {
    let scene = Scene::enter().await?;
    let (source, halt, _) = scene.half_read(8 * MIB).await?;
    scene.clouds.here.delete_image(&scene.project, source["id"].as_str().context("an id")?).await?;
    halt.cut();
    let told = scene.place.until::<ImageReplica>("copy", "False", "ImageNotFound").await?;
    says(&told, "Ready", &["spec.source"]);
    scene.place.event("CopyFailed", "spec.source").await?;
    scene.until_nothing_beside(&source).await?;
    scene.place.delete::<ImageReplica>("copy").await?;
    scene.place.gone::<ImageReplica>("copy").await
}

#[tokio::test]
async fn an_image_that_holds_nothing_yet_is_waited_for() -> Result<()> {
    let scene = Scene::enter().await?;
    let empty = scene.golden("golden", NewImage { bytes: None, ..NewImage::default() }).await?;
    scene.replicate(json!({})).await?;
    let waiting = scene.place.until::<ImageReplica>("copy", "False", "SourceNotReady").await?;
    says(&waiting, "Ready", &["spec.source"]);
    scene.until_nothing_beside(&empty).await?;

    let id = empty["id"].as_str().context("an id")?;
    scene.clouds.here.fill_image(&scene.project, id, vec![7; 1024]).await?;
    scene.place.ask_for_a_look::<ImageReplica>("copy", "filled").await?;
    scene.made().await?;
    scene.only_copy_beside(&scene.source(id).await?).await.map(drop)
}

#[tokio::test]
async fn an_image_without_any_content_cannot_be_copied() -> Result<()> {
    let scene = Scene::enter().await?;
    let empty = scene.golden("golden", NewImage { bytes: Some(Vec::new()), ..NewImage::default() }).await?;
    ensure!(empty["status"] == "active" && empty["size"] == 0, "{empty}");
    scene.replicate(json!({})).await?;
    let refused = scene.place.until::<ImageReplica>("copy", "False", "ImageNotCopyable").await?;
    says(&refused, "Ready", &["spec.source", "NoContent"]);
    scene.until_nothing_beside(&empty).await
}
