//! Copies interrupted while their content is on its way: by a kill of the operator (SIGKILL), or by a broken connection. In
//! the end there is one good copy and nothing else.

use anyhow::{Result, ensure};
use imageshare_harness::proxy::{Deed, Moment, Rule, Trigger, Which};
use imageshare_operator::api::ImageReplica;
use serde_json::Value;

use crate::scene::{SIZE, Scene};
use crate::stage::rough;
use support::PATIENCE;

/// The copy is made, it is the only one, and as good as the source; gives the object.
async fn ended_well(scene: &Scene, source: &Value) -> Result<Value> {
    let id = scene.made().await?;
    let copy = scene.only_copy_beside(source).await?;
    ensure!(copy["id"] == id.as_str(), "{copy}");
    scene.place.get::<ImageReplica>("copy").await
}

/// The connection breaks: that is told, and the second try makes the copy.
async fn told_and_tried_again(scene: &Scene, source: &Value, halt: &Trigger) -> Result<()> {
    halt.cut();
    scene.place.event("CopyFailed", "").await?;
    let replica = ended_well(scene, source).await?;
    ensure!(replica["status"]["copy"]["number"] == 2, "{}", replica["status"]);
    Ok(())
}

#[tokio::test]
async fn killed_while_the_content_is_read_there_is_one_good_copy() -> Result<()> {
    let rough = rough().await?;
    let _alone = rough.alone.write().await;
    let scene = Scene::enter_on(&rough.stage).await?;
    let (source, halt, _) = scene.half_read(SIZE).await?;
    rough.stage.operator.lock().await.kill9();
    halt.cut();
    rough.stage.restart_operator().await?;
    ended_well(&scene, &source).await.map(drop)
}

/// The half image is still being written when the operator is back.
#[tokio::test]
async fn killed_while_the_content_is_written_there_is_one_good_copy() -> Result<()> {
    let rough = rough().await?;
    let _alone = rough.alone.write().await;
    let scene = Scene::enter_on(&rough.stage).await?;
    let label = "killed while the content is written";
    let (source, halt, partial) = scene.half_written(label).await?;
    rough.stage.restart_operator().await?;
    let replica = ended_well(&scene, &source).await?;
    ensure!(replica["status"]["copy"]["number"] == 2, "another writer's image was not taken: {}", replica["status"]);
    // He comes to his end long after, and finds nothing to write into.
    halt.release();
    scene.until_upload_ended(&partial).await?;
    ended_well(&scene, &source).await.map(drop)
}

/// Deleted while its content is on its way, and killed at this moment of the half image's removal.
async fn killed_in_its_removal(moment: Moment) -> Result<()> {
    let rough = rough().await?;
    let _alone = rough.alone.write().await;
    let scene = Scene::enter_on(&rough.stage).await?;
    let label = format!("killed while it is removed, {moment:?}");
    let (source, halt, partial) = scene.half_written(&label).await?;
    let removal = Which::write().method("DELETE").path(&partial);
    let removal = scene.clouds.proxy.add(Rule::new(removal, Deed::Hold(moment)).times(1));
    scene.place.delete::<ImageReplica>("copy").await?;
    removal.reached(PATIENCE).await?;
    rough.stage.operator.lock().await.kill9();
    removal.cut();
    rough.stage.restart_operator().await?;
    scene.place.gone::<ImageReplica>("copy").await?;
    halt.release();
    scene.until_upload_ended(&partial).await?;
    scene.until_nothing_beside(&source).await
}

#[tokio::test]
async fn killed_before_the_half_image_is_removed_nothing_is_left() -> Result<()> {
    killed_in_its_removal(Moment::BeforeForward).await
}

#[tokio::test]
async fn killed_after_the_half_image_was_removed_nothing_is_left() -> Result<()> {
    killed_in_its_removal(Moment::AfterApply).await
}

#[tokio::test]
async fn cut_off_while_the_content_is_read_it_is_told_and_tried_again() -> Result<()> {
    let rough = rough().await?;
    let _together = rough.alone.read().await;
    let scene = Scene::enter_on(&rough.stage).await?;
    let (source, halt, _) = scene.half_read(SIZE).await?;
    told_and_tried_again(&scene, &source, &halt).await
}

#[tokio::test]
async fn cut_off_while_the_content_is_written_it_is_told_and_tried_again() -> Result<()> {
    let rough = rough().await?;
    let _together = rough.alone.read().await;
    let scene = Scene::enter_on(&rough.stage).await?;
    let label = "cut off while the content is written";
    let (source, halt, _) = scene.half_written(label).await?;
    told_and_tried_again(&scene, &source, &halt).await
}
