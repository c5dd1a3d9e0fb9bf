//! Copies that fail: told, cleared away, and tried again.

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudImage, ImageReplica};
use serde_json::{Value, json};

use crate::party::{Cloud, Party};
use support::{PATIENCE, says};

over_both_clouds!(
    a_copy_that_fails_is_told_removed_and_made_again,
    a_source_deleted_while_it_is_copied_is_named_and_nothing_is_left,
    a_copy_deleted_by_somebody_else_while_it_is_made_is_made_again,
);

async fn until_nothing_is_left(party: &Party) -> Result<()> {
    eventually(PATIENCE, "nothing to be left", async || {
        let left = party.left().await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(Some(()))
    })
    .await
}

/// Waits until what there was of a copy that failed is removed.
async fn until_cleared(party: &Party) -> Result<Value> {
    let cleared = |replica: &Value| replica["status"]["copy"]["state"] == "Failed";
    party.place.until_it::<ImageReplica>("far", "cleared", cleared).await
}

async fn a_copy_that_fails_is_told_removed_and_made_again(cloud: Cloud) -> Result<()> {
    let (party, source) = Party::with_image(cloud, json!({})).await?;
    party.let_copies_fail(&source, true).await?;
    party.replicate("far", json!({})).await?;
    let failed = party.place.until::<ImageReplica>("far", "False", "CopyFailed").await?;
    says(&failed, "Ready", &["could not make the copy"]);
    party.place.event("CopyFailed", "could not make the copy").await?;
    let cleared = until_cleared(&party).await?;
    says(&cleared, "Ready", &["could not make the copy"]);
    ensure!(cleared["status"]["imageID"].is_null() && cleared["status"]["progress"].is_null(), "{cleared}");
    until_nothing_is_left(&party).await?;
    ensure!(party.place.api::<CloudImage>().get_opt("far").await?.is_none(), "nothing stands for what failed");

    party.let_copies_fail(&source, false).await?;
    party.place.nudge::<ImageReplica>("far").await?;
    let copy = party.made("far").await?;
    ensure!(party.left().await? == [copy.clone()], "{:?}", party.left().await?);
    let tries = party.copies().await?;
    ensure!(tries.len() >= 2 && tries.last().is_some_and(|last| last.image == copy), "{tries:?}");
    // How many it took depends on how long the copies failed; no more than were written down, each begun after the last.
    let written = party.place.until::<ImageReplica>("far", "True", "Replicated").await?;
    let number = written["status"]["copy"]["number"].as_u64().context("the try that was made has a number")?;
    ensure!(tries.len() as u64 <= number, "{number} tries were written down: {tries:?}");
    Ok(())
}

async fn a_source_deleted_while_it_is_copied_is_named_and_nothing_is_left(cloud: Cloud) -> Result<()> {
    let (party, source) = Party::with_image(cloud, json!({"copySeconds": 10})).await?;
    party.replicate("far", json!({})).await?;
    party.copying("far").await?;
    party.patch(&source, json!({"delete": true})).await?;
    let lost = party.place.until::<ImageReplica>("far", "False", "ImageNotFound").await?;
    says(&lost, "Ready", &["spec.source"]);
    until_nothing_is_left(&party).await?;
    party.refused("far", "ImageNotFound", &["spec.source"]).await?;
    ensure!(party.copies().await?.len() == 1, "what is not there is not asked for again");
    Ok(())
}

async fn a_copy_deleted_by_somebody_else_while_it_is_made_is_made_again(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({"copySeconds": 8})).await?;
    party.replicate("far", json!({})).await?;
    let first = party.copying("far").await?;
    eventually(PATIENCE, "the copy to show", async || Ok(party.seen(&first.image).await?.map(|_| ()))).await?;
    party.patch(&first.image, json!({"delete": true})).await?;
    party.place.event("CopyFailed", "").await?;
    until_cleared(&party).await?;
    party.place.nudge::<ImageReplica>("far").await?;
    let copy = party.made("far").await?;
    ensure!(copy != first.image && party.left().await? == [copy], "{:?}", party.copies().await?);
    Ok(())
}
