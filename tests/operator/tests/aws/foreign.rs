//! Whom somebody else gave the image: an account, or everybody.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::json;

use crate::with_image;
use support::aws::CHANGE;
use support::says;
use support::sights::ids;

#[tokio::test]
async fn an_image_that_somebody_made_public_is_told_left_alone_and_made_private_by_policy() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    here.share("golden", [here.account(1)]).await?;
    here.place.ready::<ImageShare>("golden").await?;
    here.by_hand(&image, &["all"], &[]).await?;
    here.place.nudge::<CloudImage>("golden").await?;
    let told = here.place.until_condition::<CloudImage>("golden", "Unmanaged", "True", "UnmanagedRecipients").await?;
    says(&told, "Unmanaged", &["Organization all"]);
    ensure!(ids(&told["status"]["unmanaged"]) == ["all"], "{}", told["status"]);
    here.place.event("UnmanagedFound", "all").await?;
    ensure!(here.calls(CHANGE, &image).await?.len() == 1, "what is not ours is left alone");

    here.place.edit::<CloudImage>("golden", json!({"spec": {"unmanagedRecipients": "Revoke"}})).await?;
    here.until_shared_with(&image, [here.account(1)]).await?;
    let changes = here.calls(CHANGE, &image).await?;
    ensure!(changes.len() == 2 && changes[1]["effect"]["published"] == false, "{changes:?}");
    Ok(())
}
