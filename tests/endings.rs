//! Ends can be reached: a namespace deleted with everything in it ends clean, or says what holds it and what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Duration;

use anyhow::Result;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use support::{Player, QUICK, Stage, start, world};
use tokio::sync::{OnceCell, RwLock};

const A_MINUTE: Duration = Duration::from_secs(60);

/// A test that stops and starts the one operator has the stage alone.
static ALONE: RwLock<()> = RwLock::const_new(());

async fn stage() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE.get_or_try_init(async || start(&world(), &QUICK).await).await
}

async fn player() -> Result<Player> {
    let player = Player::enter_on(stage().await?).await?;
    player.account(|_| {}).await?;
    player.image("golden", |_| {}).await?;
    player.share("team", 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    Ok(player)
}

#[tokio::test]
async fn a_namespace_deleted_with_everything_in_it_ends_clean() -> Result<()> {
    let _shared = ALONE.read().await;
    let player = player().await?;
    player.until_shared_with(1, 1..=3).await?;
    player.namespace.delete().await?;
    player.namespace.gone(A_MINUTE).await?;
    player.until_shared_with(1, []).await
}

#[tokio::test]
async fn a_secret_gone_before_its_deletions_is_forgiven_while_it_is_remembered() -> Result<()> {
    let _shared = ALONE.read().await;
    let player = player().await?;
    player.delete::<Secret>("golden").await?;
    player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await
}

#[tokio::test]
async fn without_credentials_a_deletion_is_held_with_its_remedy_and_retain_lets_it_go() -> Result<()> {
    let _alone = ALONE.write().await;
    let player = player().await?;
    player.delete::<Secret>("golden").await?;
    player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    player.until::<CloudImage>("golden", "False", "SecretNotFound").await?;
    player.stage.restart_operator().await?;
    player.namespace.delete().await?;
    let held = player.until::<ImageShare>("team", "False", "Revoking").await?;
    let message = support::condition(&held, "Ready").unwrap().message;
    assert!(message.contains("Secret") && message.contains("Retain"), "{message}");
    let account = player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    assert!(support::condition(&account, "Ready").unwrap().message.contains("restore it"));
    player.edit::<ImageShare>("team", json!({"spec": {"deletionPolicy": "Retain"}})).await?;
    player.namespace.gone(A_MINUTE).await?;
    player.until_shared_with(1, 1..=3).await
}
