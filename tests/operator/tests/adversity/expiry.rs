//! A share whose time runs out while a call for it is under way: it goes after its grants.

use anyhow::Result;
use imageshare_operator::api::ImageShare;
use imageshare_operator::api::expiration::Expiration;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::behind;
use support::sights::MODIFY;

#[tokio::test]
async fn a_share_that_expires_during_its_own_call_does_not_leave_before_its_grants() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    player.fault(json!({"action": MODIFY}), 1, json!({"kind": "slow", "millis": 6_000})).await?;
    let end = Timestamp::now() + SignedDuration::from_secs(3);
    player
        .share_with("team", &player.recipients([1, 2]), |share| share.expiration_time = Some(Expiration::At(end)))
        .await?;
    player.until_shared_with(1, [1, 2]).await?;
    assert!(Timestamp::now() < end, "the call began too late for this test");
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await?;
    behind.audit(&[&player], &[]).await
}
