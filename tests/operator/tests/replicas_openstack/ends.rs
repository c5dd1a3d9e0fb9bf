//! Copies that are not wanted any more.

use anyhow::{Result, ensure};
use imageshare_operator::api::image_share::ImageShareSpec;
use imageshare_operator::api::{CloudImage, ImageReplica, ImageShare};
use serde_json::json;

use crate::scene::{MIB, Scene, filled};
use support::says;

#[tokio::test]
async fn deleted_while_its_content_is_on_its_way_the_transfer_ends_and_nothing_is_left() -> Result<()> {
    let scene = Scene::enter().await?;
    let (source, halt, partial) = scene.half_read(8 * MIB).await?;

    scene.place.delete::<ImageReplica>("copy").await?;
    scene.place.gone::<ImageReplica>("copy").await?;
    scene.until_nothing_beside(&source).await?;
    // The download is still held: the upload has ended nevertheless.
    scene.until_upload_ended(&partial).await?;
    halt.release();
    scene.until_nothing_beside(&source).await?;
    ensure!(scene.place.api::<CloudImage>().get_opt("copy").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn deleted_with_retain_the_copy_and_its_cloud_image_stay() -> Result<()> {
    let scene = Scene::enter().await?;
    let source = scene.golden("golden", filled(1024)).await?;
    scene.replicate(json!({})).await?;
    let id = scene.made().await?;
    scene.place.delete::<ImageReplica>("copy").await?;
    scene.place.gone::<ImageReplica>("copy").await?;
    let image = scene.place.ready::<CloudImage>("copy").await?;
    ensure!(image["metadata"]["deletionTimestamp"].is_null() && image["spec"]["deletionPolicy"] == "Retain");
    ensure!(scene.only_copy_beside(&source).await?["id"] == id.as_str());
    Ok(())
}

#[tokio::test]
async fn deleted_with_delete_the_copy_goes_when_nobody_has_it_any_more() -> Result<()> {
    let scene = Scene::enter().await?;
    let source = scene.golden("golden", filled(1024)).await?;
    scene.replicate(json!({"deletionPolicy": "Delete"})).await?;
    let id = scene.made().await?;
    let receiver = scene.clouds.here.create_project("receiver").await?;
    let spec = json!({"imageRef": {"name": "copy"}, "recipients": [{"type": "Project", "id": receiver.id}]});
    let spec: ImageShareSpec = serde_json::from_value(spec)?;
    scene.place.create(ImageShare::new("on", spec)).await?;
    scene.place.ready::<ImageShare>("on").await?;

    scene.place.delete::<ImageReplica>("copy").await?;
    let held = scene.place.until::<ImageReplica>("copy", "False", "ShareExists").await?;
    says(&held, "Ready", &["CloudImage copy"]);
    scene.place.until_condition::<CloudImage>("copy", "Deletable", "False", "ShareExists").await?;
    ensure!(scene.only_copy_beside(&source).await?["id"] == id.as_str(), "somebody still has it");

    scene.place.delete::<ImageShare>("on").await?;
    scene.place.gone::<ImageShare>("on").await?;
    scene.place.gone::<CloudImage>("copy").await?;
    scene.place.gone::<ImageReplica>("copy").await?;
    scene.until_nothing_beside(&source).await
}
