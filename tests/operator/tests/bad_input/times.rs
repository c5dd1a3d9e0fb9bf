//! What is past its time, suspended, or of a suspended account: nothing is sent, nothing is lost, and it goes on.

use anyhow::Result;
use imageshare_operator::api::expiration::Expiration;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use support::{Player, says};

fn ids(player: &Player, numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|n| player.recipient(n)).collect()
}

fn recipients(player: &Player, numbers: impl IntoIterator<Item = u32>) -> Value {
    ids(player, numbers).into_iter().map(|id| json!({"type": "Account", "id": id})).collect()
}

async fn nothing_sent(player: &Player) -> Result<()> {
    player.looked::<CloudImage>("golden").await?;
    assert_eq!(player.sent(&player.image_id(1)).await?, Vec::<Value>::new(), "nothing may be sent");
    Ok(())
}

#[tokio::test]
async fn a_share_expired_on_arrival_sends_nothing_until_it_gets_a_later_time() -> Result<()> {
    let player = Player::with_image().await?;
    let past = Expiration::At(Timestamp::now() - SignedDuration::from_secs(60));
    player.share_with("team", &ids(&player, 1..=2), |spec| spec.expiration_time = Some(past)).await?;
    let share = player.until::<ImageShare>("team", "False", "Expired").await?;
    says(&share, "Ready", &["spec.expirationTime", "later time"]);
    nothing_sent(&player).await?;
    player.edit::<ImageShare>("team", json!({"spec": {"expirationTime": "2099-01-01T00:00:00Z"}})).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=2).await
}

#[tokio::test]
async fn access_ends_by_itself_at_the_time_and_not_before() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("others", 3..=3).await?;
    let end = Timestamp::from_second(Timestamp::now().as_second() + 6)?;
    player.share_with("team", &ids(&player, 1..=3), |spec| spec.expiration_time = Some(Expiration::At(end))).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=3).await?;
    player.until::<ImageShare>("team", "False", "Expired").await?;
    player.until_shared_with(1, 3..=3).await?;
    let sent = player.sent(&player.image_id(1)).await?;
    for entry in sent.iter().filter(|e| e["effect"]["removed"].as_array().is_some_and(|all| !all.is_empty())) {
        let at: Timestamp = entry["time"].as_str().unwrap().parse()?;
        assert!(at >= end, "revoked at {at}, before {end}");
        assert!(at < end + SignedDuration::from_secs(10), "revoked at {at}, long after {end}");
    }
    player.ready::<ImageShare>("others").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await
}

#[tokio::test]
async fn a_suspended_share_sends_nothing_until_it_is_let_go_on() -> Result<()> {
    let player = Player::with_image().await?;
    player.share_with("team", &ids(&player, 1..=2), |spec| spec.suspend = true).await?;
    let share = player.until::<ImageShare>("team", "False", "Suspended").await?;
    says(&share, "Ready", &["spec.suspend"]);
    nothing_sent(&player).await?;
    player.edit::<ImageShare>("team", json!({"spec": {"suspend": false}})).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=2).await
}

#[tokio::test]
async fn suspending_a_share_holds_what_is_there_and_deleting_it_ends_it() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let image = player.image_id(1);
    let calls = player.sent(&image).await?.len();
    let change = json!({"spec": {"suspend": true, "recipients": recipients(&player, 1..=4)}});
    player.edit::<ImageShare>("team", change).await?;
    player.until::<ImageShare>("team", "False", "Suspended").await?;
    player.looked::<CloudImage>("golden").await?;
    assert_eq!(player.sent(&image).await?.len(), calls, "a suspended share adds nobody");
    assert_eq!(player.shared_with(1).await?, ids(&player, 1..=2), "and loses nobody");
    player.edit::<ImageShare>("team", json!({"spec": {"suspend": false}})).await?;
    player.until_shared_with(1, 1..=4).await?;
    player.ready::<ImageShare>("team").await?;
    player.edit::<ImageShare>("team", json!({"spec": {"suspend": true}})).await?;
    player.until::<ImageShare>("team", "False", "Suspended").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await
}

#[tokio::test]
async fn a_suspended_account_holds_everything_until_it_is_let_go_on() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    player.edit::<CloudAccount>("golden", json!({"spec": {"suspend": true}})).await?;
    let image = player.until::<CloudImage>("golden", "False", "Suspended").await?;
    says(&image, "Ready", &["CloudAccount", "suspended"]);
    let about = player.about(&player.image_id(1)).await?.len();
    player.share("more", 3..=4).await?;
    let share = player.until::<ImageShare>("more", "False", "Suspended").await?;
    says(&share, "Ready", &["CloudAccount"]);
    player.delete::<ImageShare>("team").await?;
    player.until::<ImageShare>("team", "False", "Revoking").await?;
    player.looked::<CloudImage>("golden").await?;
    assert_eq!(player.about(&player.image_id(1)).await?.len(), about, "a suspended account is not called about images");
    assert_eq!(player.shared_with(1).await?, ids(&player, 1..=2));
    let held = serde_json::to_value(player.api::<ImageShare>().get("team").await?)?;
    says(&held, "Ready", &["suspended"]);
    player.edit::<CloudAccount>("golden", json!({"spec": {"suspend": false}})).await?;
    player.gone::<ImageShare>("team").await?;
    player.ready::<ImageShare>("more").await?;
    player.until_shared_with(1, 3..=4).await
}
