//! Sharing an image, end to end: a real API server, the operator as a process, and the cloud's journal as the judge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use anyhow::Result;
use imageshare_operator::api::{CloudImage, ImageShare};
use support::Player;

#[tokio::test]
async fn an_image_is_shared_and_unshared_and_let_go_in_that_order() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=3).await?;
    let share = player.ready::<ImageShare>("team").await?;
    assert_eq!(share["status"]["summary"], "3/3");
    player.until_shared_with(1, 1..=3).await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await?;
    player.delete::<CloudImage>("golden").await?;
    player.gone::<CloudImage>("golden").await
}
