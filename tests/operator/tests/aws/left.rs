//! A recipient that gives the image back, as its own clean-up does: the owner's operator does not quarrel with it.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::json;

use crate::with_image;
use support::says;

#[tokio::test]
async fn an_account_that_gives_the_image_back_twice_gets_it_again_only_when_a_share_asks_anew() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let (leaver, other) = (here.account(1), here.account(2));
    here.share("golden", [leaver.clone(), other.clone()]).await?;
    here.place.ready::<ImageShare>("golden").await?;
    let times = async || anyhow::Ok(here.asked_to_add(&image).await?.into_iter().filter(|id| *id == leaver).count());
    here.by_hand(&image, &[], &[&leaver]).await?;
    here.place.nudge::<CloudImage>("golden").await?;
    here.until_shared_with(&image, [leaver.clone(), other.clone()]).await?;
    here.place.ready::<ImageShare>("golden").await?;
    ensure!(times().await? == 2, "given again once");

    here.by_hand(&image, &[], &[&leaver]).await?;
    here.place.nudge::<CloudImage>("golden").await?;
    let told = here.place.until_waiting("golden", "RecipientLeft", &[(&leaver, "RecipientLeft")]).await?;
    says(&told, "Ready", &["gave the image back", &leaver]);
    here.place.event("RecipientLeft", &leaver).await?;
    for _ in 0..3 {
        here.place.looked::<CloudImage>("golden").await?;
    }
    ensure!(here.shared_with(&image).await? == Some(vec![other.clone()]) && times().await? == 2);

    // The remedy: off the list, and on it again.
    here.reshare("golden", [other.clone()]).await?;
    here.place.ready::<ImageShare>("golden").await?;
    here.reshare("golden", [leaver.clone(), other.clone()]).await?;
    here.until_shared_with(&image, [leaver.clone(), other]).await?;
    here.place.ready::<ImageShare>("golden").await?;
    ensure!(times().await? == 3);
    Ok(())
}
