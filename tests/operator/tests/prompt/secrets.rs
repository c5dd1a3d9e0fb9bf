//! A mended or rotated Secret is in force within seconds, and a lost right to it is noticed as soon: nobody lists or watches
//! Secrets.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::stage::{enter, spare_key, took_at_most};
use support::{PATIENCE, Player, key, says};

/// What is promised of a Secret.
const SOON: Duration = Duration::from_secs(5);

async fn ready() -> Result<Player> {
    let player = enter().await?;
    player.account(|_| {}).await?;
    player.image("golden", |_| {}).await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    Ok(player)
}

/// The key of the last call about the image.
async fn last_key(player: &Player) -> Result<Value> {
    player.looked::<CloudImage>("golden").await?;
    let calls = player.about(&player.image_id(1)).await?;
    Ok(calls.last().context("no call")?["keyId"].clone())
}

#[tokio::test]
async fn a_rotated_key_is_in_force_within_seconds_and_the_old_one_is_used_no_more() -> Result<()> {
    let player = ready().await?;
    let new = spare_key(player.number);
    player.secret(&new).await?;
    let begun = Instant::now();
    eventually(PATIENCE, "the new key to be used", async || Ok((last_key(&player).await? == new["id"]).then_some(())))
        .await?;
    took_at_most(begun, SOON, "a rotated key");
    let old = key(player.number)["id"].clone();
    player.stage.cloud.patch(&format!("/keys/{}", old.as_str().context("an id")?), &json!({"disabled": true})).await?;
    player.share("more", [3]).await?;
    player.ready::<ImageShare>("more").await?;
    Ok(())
}

#[tokio::test]
async fn a_wrong_key_names_the_secret_and_a_mended_one_is_in_force_within_seconds() -> Result<()> {
    let player = ready().await?;
    let good = key(player.number);
    player.secret(&json!({"id": good["id"], "secret": "WrongCanary"})).await?;
    let begun = Instant::now();
    let account = player.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    took_at_most(begun, SOON, "a wrong key");
    let named = ["CloudAccount golden", "Secret \"golden\"", player.namespace.name(), "put a valid key"];
    says(&account, "Ready", &named);
    let share = player.until::<ImageShare>("team", "False", "CredentialsRejected").await?;
    says(&share, "Ready", &["CloudImage golden: CloudAccount golden, Secret \"golden\""]);
    player.secret(&good).await?;
    let begun = Instant::now();
    player.ready::<ImageShare>("team").await?;
    took_at_most(begun, SOON, "a mended key");
    Ok(())
}

#[tokio::test]
async fn a_secret_that_goes_and_comes_is_noticed_within_seconds_and_told_with_its_namespace() -> Result<()> {
    let player = enter().await?;
    player.account(|_| {}).await?;
    player.ready::<CloudAccount>("golden").await?;
    player.api::<Secret>().delete("golden", &DeleteParams::default()).await?;
    let begun = Instant::now();
    player
        .until_it::<CloudAccount>("golden", "no Secret", |account| {
            let reason = support::condition(account, "Ready").map(|condition| condition.reason);
            ["SecretDeleting", "SecretNotFound"].map(Some).contains(&reason.as_deref())
        })
        .await?;
    took_at_most(begun, SOON, "a Secret that goes");
    player.edit::<Secret>("golden", json!({"metadata": {"finalizers": null}})).await.ok();
    let account = player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    says(&account, "Ready", &[&format!("no Secret \"golden\" in namespace {:?}", player.namespace.name())]);
    player.account_secret().await?;
    let begun = Instant::now();
    player.ready::<CloudAccount>("golden").await?;
    took_at_most(begun, SOON, "a Secret that comes");
    Ok(())
}

/// An account that nothing uses calls its cloud when it is asked, and tells what it learns.
#[tokio::test]
async fn an_account_that_is_asked_for_proves_its_credentials_again() -> Result<()> {
    let player = enter().await?;
    player.account(|_| {}).await?;
    player.ready::<CloudAccount>("golden").await?;
    let id = key(player.number)["id"].as_str().context("an id")?.to_owned();
    player.stage.cloud.patch(&format!("/keys/{id}"), &json!({"disabled": true})).await?;
    player.looked::<CloudAccount>("golden").await?;
    player.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    player.stage.cloud.patch(&format!("/keys/{id}"), &json!({"disabled": false})).await?;
    Ok(())
}
