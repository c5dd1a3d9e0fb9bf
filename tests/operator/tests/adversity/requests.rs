//! A look that is asked for of a share: its answer is the image's.

use anyhow::Result;
use imageshare_operator::api::ImageShare;
use serde_json::json;

use crate::behind;
use support::sights::LOOK;

#[tokio::test]
async fn a_look_asked_for_of_a_share_is_answered_once_the_cloud_was_looked_at_for_it() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    let before = player.calls(LOOK).await?.len();
    player.fault(json!({"action": LOOK}), 1, json!({"kind": "slow", "millis": 3_000})).await?;
    player.look_now::<ImageShare>("team", "now").await?;
    assert!(player.calls(LOOK).await?.len() > before, "answered though nobody had looked at the cloud");
    Ok(())
}
