//! What only Alibaba Cloud refuses or does.

use anyhow::{Result, ensure};
use imageshare_operator::api::ImageReplica;
use serde_json::json;

use crate::party::{Cloud, Party};
use crate::stage::{KEY, LARGEST};

#[tokio::test]
async fn a_name_that_another_image_there_has_is_refused_until_it_is_free() -> Result<()> {
    let (party, _) = Party::with_image(Cloud::Alibaba, json!({})).await?;
    let taken = json!({"region": party.elsewhere(), "name": "copy-far"});
    let other = party.place.new_image("other", taken).await?;
    party.replicate("far", json!({})).await?;
    party.refused("far", "NameTaken", &["spec.destination.name", "another image"]).await?;
    ensure!(party.copies().await?.is_empty());
    party.patch(&other, json!({"name": "something-else"})).await?;
    party.place.nudge::<ImageReplica>("far").await?;
    let copy = party.made("far").await?;
    party.only_copy(&copy).await
}

#[tokio::test]
async fn a_key_that_is_not_there_is_refused() -> Result<()> {
    let (party, _) = Party::with_image(Cloud::Alibaba, json!({})).await?;
    party.replicate("far", json!({"destination": {"encryption": {"keyID": "no-such-key"}}})).await?;
    party.refused("far", "KeyRefused", &["spec.destination.encryption.keyID"]).await?;
    ensure!(party.copies().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_copy_is_encrypted_with_the_key_that_is_named() -> Result<()> {
    let (party, _) = Party::with_image(Cloud::Alibaba, json!({})).await?;
    party.replicate("far", json!({"destination": {"encryption": {"keyID": KEY}}})).await?;
    let copy = party.made("far").await?;
    let seen = party.seen(&copy).await?.unwrap();
    ensure!(seen["encryption"] == "CustomerKey", "{seen}");
    Ok(())
}

#[tokio::test]
async fn where_there_is_no_room_for_another_image_it_is_said_and_waited_for() -> Result<()> {
    let (party, _) = Party::with_image(Cloud::Alibaba, json!({})).await?;
    let account = format!("/accounts/{}", party.id());
    party.place.stage.cloud.patch(&account, &json!({"privateImages": 2})).await?;
    party.replicate("far", json!({})).await?;
    party.refused("far", "ImageLimit", &["private images"]).await?;
    ensure!(party.copies().await?.is_empty());
    party.place.stage.cloud.patch(&account, &json!({"privateImages": 20})).await?;
    party.place.nudge::<ImageReplica>("far").await?;
    let copy = party.made("far").await?;
    party.only_copy(&copy).await
}

#[tokio::test]
async fn an_image_that_is_too_large_is_refused() -> Result<()> {
    let (party, _) = Party::with_image(Cloud::Alibaba, json!({"sizeGiB": LARGEST + 1})).await?;
    party.replicate("far", json!({})).await?;
    party.refused("far", "ImageTooLarge", &["spec.source", "too large"]).await?;
    ensure!(party.copies().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_image_encrypted_by_another_is_refused() -> Result<()> {
    let (owner, image) = Party::with_image(Cloud::Alibaba, json!({"encryption": "CustomerKey"})).await?;
    let receiver = Party::enter(Cloud::Alibaba).await?;
    owner.give(&image, &receiver).await?;
    receiver.replicate_received("near", &image, json!({})).await?;
    receiver.refused("near", "ImageNotCopyable", &["spec.source"]).await?;
    ensure!(receiver.copies().await?.is_empty());
    Ok(())
}

/// The vendor copies five at a time and queues the others: they wait without being asked for again.
#[tokio::test]
async fn more_copies_than_the_cloud_makes_at_once_are_all_made() -> Result<()> {
    let (party, _) = Party::with_image(Cloud::Alibaba, json!({})).await?;
    for n in 0..8 {
        party.replicate(&format!("copy-{n}"), json!({})).await?;
    }
    for n in 0..8 {
        party.made(&format!("copy-{n}")).await?;
    }
    ensure!(party.copies().await?.len() == 8 && party.left().await?.len() == 8);
    Ok(())
}
