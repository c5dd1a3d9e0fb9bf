//! kill -9 at awkward moments, and start again: the same end state, and no grant outlives its share. Beside it: what a
//! Secret holds is never shown, at the most talkative log level.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Duration;

use anyhow::{Context as _, Result};
use imageshare_harness::{Operator, eventually};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};
use support::sights::{MODIFY, ids, strings};
use support::{Kind, PATIENCE, Player, QUICK, SECRET_CANARY, Stage, start, world};
use tokio::sync::{MutexGuard, OnceCell};

async fn stage() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    let mut arguments = QUICK;
    arguments[QUICK.len() - 1] = "trace";
    STAGE.get_or_try_init(async || start(&world(), &arguments).await).await
}

/// A player with an account and a ready image, and the operator: one test at a time has it, and finds it running.
async fn enter() -> Result<(Player, MutexGuard<'static, Operator>)> {
    let stage = stage().await?;
    let mut operator = stage.operator.lock().await;
    if operator.process.ended()?.is_some() {
        operator.restart()?;
    }
    let player = Player::enter_on(stage).await?;
    player.account(|_| {}).await?;
    player.image("golden", |_| {}).await?;
    player.ready::<CloudImage>("golden").await?;
    Ok((player, operator))
}

/// The next change of the player's image meets this weather.
async fn weather(player: &Player, then: Value) -> Result<()> {
    let when = json!({"action": MODIFY, "image": player.image_id(1)});
    player.stage.cloud.post_fault(&json!({"when": when, "count": 1, "then": then})).await?;
    Ok(())
}

/// Waits until the cloud did what this many changes asked, even if the answers are still under way.
async fn until_changes(player: &Player, count: usize) -> Result<()> {
    eventually(PATIENCE, &format!("{count} changes"), async || {
        let changes = player.calls(MODIFY).await?.len();
        anyhow::ensure!(changes >= count, "{changes}");
        Ok(Some(()))
    })
    .await
}

/// As it should be in the end; and after everything is deleted, nobody is left.
async fn judge_and_leave(player: &Player, numbers: std::ops::RangeInclusive<u32>) -> Result<()> {
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, numbers.clone()).await?;
    assert!(player.removed().await?.is_empty(), "somebody wanted was revoked");
    player.delete::<ImageShare>("team").await?;
    judge_left(player).await
}

async fn judge_left(player: &Player) -> Result<()> {
    player.gone::<ImageShare>("team").await?;
    assert_eq!(player.shared_with(1).await?, Vec::<String>::new(), "a grant outlived its share");
    player.delete::<CloudImage>("golden").await?;
    player.gone::<CloudImage>("golden").await
}

#[tokio::test]
async fn killed_after_a_share_was_created_it_goes_on() -> Result<()> {
    let (player, mut operator) = enter().await?;
    player.share("team", 1..=30).await?;
    operator.kill9();
    operator.restart()?;
    judge_and_leave(&player, 1..=30).await
}

#[tokio::test]
async fn killed_when_the_intent_was_written_it_goes_on() -> Result<()> {
    let (player, mut operator) = enter().await?;
    player.share("team", 1..=30).await?;
    let intended = |image: &Value| !image["status"]["grants"].as_array().is_none_or(Vec::is_empty);
    player.until_it::<CloudImage>("golden", "an intent", intended).await?;
    operator.kill9();
    operator.restart()?;
    judge_and_leave(&player, 1..=30).await
}

#[tokio::test]
async fn killed_while_a_change_is_under_way_it_finds_what_came_of_it() -> Result<()> {
    for then in [json!({"kind": "slow", "millis": 60_000}), json!({"kind": "cutAfter"}), json!({"kind": "cutBefore"})] {
        let (player, mut operator) = enter().await?;
        weather(&player, then).await?;
        player.share("team", 1..=15).await?;
        until_changes(&player, 1).await?;
        operator.kill9();
        let known = ids(&player.get::<CloudImage>("golden").await?["status"]["grants"]);
        let asked = strings(&player.calls(MODIFY).await?[0]["parameters"]["add"]);
        assert!(asked.iter().all(|id| known.contains(id)), "called for {asked:?} before {known:?} were written down");
        operator.restart()?;
        judge_and_leave(&player, 1..=15).await?;
    }
    Ok(())
}

/// The share is deleted while nobody is there who knows whether the call was made.
#[tokio::test]
async fn a_share_deleted_while_the_operator_is_dead_leaves_nothing() -> Result<()> {
    let (player, mut operator) = enter().await?;
    weather(&player, json!({"kind": "slow", "millis": 60_000})).await?;
    player.share("team", 1..=15).await?;
    until_changes(&player, 1).await?;
    operator.kill9();
    player.delete::<ImageShare>("team").await?;
    operator.restart()?;
    judge_left(&player).await
}

#[tokio::test]
async fn killed_while_revoking_it_ends_every_grant() -> Result<()> {
    for then in [json!({"kind": "slow", "millis": 60_000}), json!({"kind": "cutAfter"}), json!({"kind": "cutBefore"})] {
        let (player, mut operator) = enter().await?;
        player.share("team", 1..=15).await?;
        player.ready::<ImageShare>("team").await?;
        let before = player.calls(MODIFY).await?.len();
        weather(&player, then).await?;
        player.delete::<ImageShare>("team").await?;
        until_changes(&player, before + 1).await?;
        operator.kill9();
        operator.restart()?;
        judge_left(&player).await?;
    }
    Ok(())
}

/// Killed again and again, whatever it is doing, while shares come, change and go.
#[tokio::test]
async fn killed_again_and_again_it_ends_up_where_it_should() -> Result<()> {
    let (player, mut operator) = enter().await?;
    player.share("team", 1..=10).await?;
    for round in 0..6u32 {
        // Each pause ends at another moment of a pass.
        tokio::time::sleep(Duration::from_millis(350 + u64::from(round) * 170)).await;
        operator.kill9();
        player.reshare("team", (1..=10).chain(20..=20 + round)).await?;
        operator.restart()?;
    }
    judge_and_leave_after_edits(&player).await
}

async fn judge_and_leave_after_edits(player: &Player) -> Result<()> {
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, (1..=10).chain(20..=25)).await?;
    assert!(player.removed().await?.is_empty(), "somebody wanted was revoked");
    player.delete::<ImageShare>("team").await?;
    judge_left(player).await
}

/// How a secret may look where it must not be: as text, as the API server stores it, as bytes in a debug print, in hex.
fn disguises(secret: &str, stored: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let list = bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let hex = hex::encode(bytes);
    // Four letters of base64 stand for three bytes: the whole ones are the same whatever follows.
    let base64 = stored[..secret.len() / 3 * 4].to_owned();
    vec![secret.to_owned(), base64, list, hex.to_uppercase(), hex]
}

async fn as_json<K: Kind>(player: &Player) -> Result<Vec<(String, String)>> {
    let all = kube::Api::<K>::all(player.client.clone()).list(&ListParams::default()).await?;
    anyhow::ensure!(!all.items.is_empty(), "no {}", K::kind(&()));
    all.items.iter().map(|o| Ok((K::kind(&()).into_owned(), serde_json::to_string(o)?))).collect()
}

/// All the operator's logs so far.
fn logs(folder: &std::path::Path) -> Result<Vec<(String, String)>> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        if name.starts_with("imageshare-operator") {
            logs.push((name, String::from_utf8_lossy(&std::fs::read(&path)?).into_owned()));
        }
    }
    Ok(logs)
}

#[tokio::test]
async fn what_a_secret_holds_is_never_shown() -> Result<()> {
    let (player, mut operator) = enter().await?;
    player.share("team", 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    let stored = serde_json::to_value(player.api::<Secret>().get("golden").await?)?;
    let stored = stored["data"]["accessKeySecret"].as_str().context("a stored secret")?.to_owned();
    // Another key, a wrong one, half a one, and none: every way to speak about a Secret.
    let wrong = json!({"id": format!("LTAIkey{:04}", player.number), "secret": format!("{SECRET_CANARY}-is-wrong")});
    player.secret(&wrong).await?;
    player.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    player.delete::<Secret>("golden").await?;
    let gone = Player::message(&player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?, "Ready")?;
    player.secret(&json!({"secret": format!("{SECRET_CANARY}-and-half")})).await?;
    let otherwise = |o: &Value| Player::message(o, "Ready").is_ok_and(|message| message != gone);
    player.until_it::<CloudAccount>("golden", "half a key", otherwise).await?;
    player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    player.account_secret().await?;
    player.ready::<CloudAccount>("golden").await?;
    operator.restart()?;
    player.share("again", 4..=5).await?;
    player.ready::<ImageShare>("again").await?;

    let folder = operator.process.log_path().parent().context("a folder")?.to_path_buf();
    let mut shown = logs(&folder)?;
    assert!(shown.len() >= 2 && shown.iter().any(|(_, log)| log.contains("TRACE")), "these are not all the logs");
    shown.extend(as_json::<CloudAccount>(&player).await?);
    shown.extend(as_json::<CloudImage>(&player).await?);
    shown.extend(as_json::<ImageShare>(&player).await?);
    shown.extend(as_json::<Event>(&player).await?);
    for disguise in disguises(SECRET_CANARY, &stored) {
        for (place, text) in &shown {
            let Some(at) = text.find(&disguise) else { continue };
            let line = text[..at].rsplit('\n').next().unwrap_or_default();
            panic!("{place} shows {disguise} after {}", line.chars().take(300).collect::<String>());
        }
    }
    Ok(())
}
