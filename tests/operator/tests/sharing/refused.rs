//! A removal that the cloud refuses, or shows late: not repeated without a growing pause, shown with the cloud's code, and nobody
//! else waits for it.

use std::time::{Duration, Instant};

use anyhow::Result;
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::{Value, json};

use support::Player;
use support::sights::MODIFY;

async fn removals(player: &Player) -> Result<usize> {
    let calls = player.calls(MODIFY).await?;
    let removes = |call: &&Value| call["parameters"]["remove"].as_array().is_some_and(|named| !named.is_empty());
    Ok(calls.iter().filter(removes).count())
}

#[tokio::test]
async fn a_removal_that_the_cloud_refuses_is_paused_and_shown_and_delays_nobody() -> Result<()> {
    let player = Player::with_image().await?;
    player.image("other", |spec| spec.image_id = player.image_id(2)).await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let refuse = json!({"kind": "refuse", "status": 400, "code": "SomethingNew"});
    player.fault(json!({"action": MODIFY, "recipient": player.recipient(1)}), 6, refuse).await?;
    player.delete::<ImageShare>("team").await?;
    let told = |share: &Value| Player::message(share, "Ready").is_ok_and(|message| message.contains("SomethingNew"));
    player.until_it::<ImageShare>("team", "the refusal is told on the share", told).await?;
    let image = player.until_condition::<CloudImage>("golden", "Reconciling", "True", "Revoking").await?;
    assert!(Player::message(&image, "Reconciling")?.contains("SomethingNew"), "{image}");
    player.event("RevokeRefused", "SomethingNew").await?;

    // Another image of the same account is served meanwhile.
    let begun = Instant::now();
    player.share_with("elsewhere", &[player.recipient(5)], |spec| spec.image_ref.name = "other".into()).await?;
    player.ready::<ImageShare>("elsewhere").await?;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    tokio::time::sleep(Duration::from_secs(12)).await;
    let calls = removals(&player).await?;
    assert!(calls <= 4, "{calls} removals");

    // The cause passes, and somebody asks for reconciles: no pause is waited for.
    for request in 1..=6 {
        player.look_now::<CloudImage>("golden", &format!("request {request}")).await?;
    }
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await
}

#[tokio::test]
async fn a_removal_that_the_cloud_shows_late_is_not_asked_for_again_and_again() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    // What is shown late is how things were when the share was long in place.
    tokio::time::sleep(Duration::from_secs(13)).await;
    let lag = json!({"kind": "describeLag", "millis": 12_000});
    player.fault(json!({"action": "DescribeImageSharePermission", "image": player.image_id(1)}), 1_000, lag).await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    let (removals, all) = (removals(&player).await?, player.journal().await?.len());
    assert!(removals <= 5, "{removals} removals");
    assert!(all <= 70, "{all} calls");
    player.until_shared_with(1, []).await
}
