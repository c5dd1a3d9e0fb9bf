//! kill -9 at awkward moments, and start again: the same end state, and no grant outlives its share. Beside it: what a
//! Secret holds is never shown, at the most talkative log level.

use std::time::Duration;

use anyhow::{Context as _, Result};
use imageshare_harness::{Canaries, Operator, canaries, eventually, ports};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use support::sights::{MODIFY, ids, strings};
use support::{PATIENCE, Player, SECRET_CANARY, Stage, quick, start, world};
use tokio::sync::{MutexGuard, OnceCell};

/// The stage, and where the operator's metrics are served.
async fn stage() -> Result<&'static (Stage, String)> {
    static STAGE: OnceCell<(Stage, String)> = OnceCell::const_new();
    STAGE
        .get_or_try_init(async || {
            let at = format!("127.0.0.1:{}", ports::free()?);
            let arguments = quick(&["--log", "trace", "--listen", &at]);
            Ok((start(&world(), &arguments).await?, at))
        })
        .await
}

/// A player with an account and a ready image, and the operator: one test at a time has it, and finds it running.
async fn enter() -> Result<(Player, MutexGuard<'static, Operator>)> {
    let (stage, _) = stage().await?;
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

#[tokio::test]
async fn what_a_secret_holds_is_never_shown() -> Result<()> {
    let (player, mut operator) = enter().await?;
    player.share("team", 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    // Another key, a wrong one, half a one, and none: every way to speak about a Secret.
    let wrong = json!({"id": format!("LTAIkey{:04}", player.number), "secret": format!("{SECRET_CANARY}-is-wrong")});
    player.secret(&wrong).await?;
    player.nudge::<CloudAccount>("golden").await?;
    player.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    player.delete::<Secret>("golden").await?;
    player.nudge::<CloudAccount>("golden").await?;
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
    let mut shown = canaries::logs(&folder, "imageshare-operator")?;
    assert!(shown.len() >= 2 && shown.iter().any(|log| log.text.contains("TRACE")), "these are not all the logs");
    shown.extend(canaries::objects(&player.client).await?);
    for kind in ["CloudAccount", "CloudImage", "ImageShare", "Event"] {
        assert!(shown.iter().any(|object| object.place.starts_with(&format!("{kind} "))), "no {kind}");
    }
    shown.push(canaries::metrics(&stage().await?.1).await?);
    // A wrong one is seen by the same first letters.
    Canaries::of([SECRET_CANARY])?.ensure_hidden(&shown)
}
