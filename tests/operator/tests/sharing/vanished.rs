//! An image that one list lacks is not gone: what was granted is kept in mind until a second witness says so.

use std::time::Duration;

use anyhow::Result;
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::json;

use support::Player;
use support::sights::LOOK;

#[tokio::test]
async fn an_account_whose_lists_are_empty_for_a_while_releases_nobody() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    player.fault(json!({"action": LOOK}), 8, json!({"kind": "emptyList"})).await?;
    player.delete::<ImageShare>("team").await?;
    player.delete::<CloudImage>("golden").await?;
    player.until::<CloudImage>("golden", "Unknown", "AnswerUnclear").await?;
    for _ in 0..4 {
        let (image, share) = (player.get::<CloudImage>("golden").await, player.get::<ImageShare>("team").await);
        if player.shared_with(1).await?.is_empty() {
            break;
        }
        image?;
        share?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    player.gone::<ImageShare>("team").await?;
    player.gone::<CloudImage>("golden").await?;
    assert!(player.shared_with(1).await?.is_empty(), "the objects went before access had ended");
    Ok(())
}

#[tokio::test]
async fn an_image_that_is_gone_keeps_nobody_waiting() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    player.patch_image(&player.image_id(1), json!({"delete": true})).await?;
    player.look_now::<CloudImage>("golden", "gone").await?;
    player.until::<CloudImage>("golden", "False", "ImageNotFound").await?;
    let gone = |image: &serde_json::Value| image["status"]["grants"][0]["state"] == "ImageGone";
    player.until_it::<CloudImage>("golden", "the ledger is kept", gone).await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_condition::<CloudImage>("golden", "Deletable", "True", "NotShared").await?;
    player.delete::<CloudImage>("golden").await?;
    player.gone::<CloudImage>("golden").await
}
