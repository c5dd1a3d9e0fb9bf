//! What sharing costs in calls, by the cloud's journal.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::{Value, json};

use crate::with_image;
use support::aws::{CHANGE, LIST, LOOK, one_of_the_crowd};

#[tokio::test]
async fn fifty_accounts_take_one_change_and_at_rest_nothing_is_changed() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    here.share("golden", (1..=50).map(one_of_the_crowd)).await?;
    let share = here.place.ready::<ImageShare>("golden").await?;
    ensure!(share["status"]["summary"] == "50/50", "{}", share["status"]);
    let count = async |action: &str| anyhow::Ok(here.calls(action, &image).await?.len());
    ensure!(count(CHANGE).await? == 1);
    let reads = (count(LOOK).await?, count(LIST).await?);
    ensure!(reads.0 <= 4 && reads.1 <= 5, "{reads:?} reads of the image and of its recipients");

    let settled = here.place.get::<CloudImage>("golden").await?;
    for _ in 0..5 {
        here.place.looked::<CloudImage>("golden").await?;
    }
    let after = here.place.get::<CloudImage>("golden").await?;
    let ledger = |image: &Value| (image["status"]["grants"].clone(), image["status"]["conditions"].clone());
    ensure!(ledger(&settled) == ledger(&after), "{}", after["status"]);
    ensure!(count(CHANGE).await? == 1);
    let reads_of_five = (count(LOOK).await? - reads.0, count(LIST).await? - reads.1);
    ensure!(reads_of_five == (5, 5), "a look takes one read of each: {reads_of_five:?}");
    Ok(())
}

#[tokio::test]
async fn a_thousand_accounts_take_two_changes_and_are_taken_back_by_two() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    here.share("golden", (1..=1000).map(one_of_the_crowd)).await?;
    let share = here.place.ready::<ImageShare>("golden").await?;
    ensure!(share["status"]["summary"] == "1000/1000", "{}", share["status"]["summary"]);
    let changes = here.calls(CHANGE, &image).await?;
    ensure!(changes.len() == 2, "{} changes", changes.len());
    let image_object = here.place.ready::<CloudImage>("golden").await?;
    ensure!(image_object["status"]["recipients"] == "1000/1000");
    here.place.delete::<ImageShare>("golden").await?;
    here.place.gone::<ImageShare>("golden").await?;
    ensure!(here.shared_with(&image).await? == Some(Vec::new()));
    ensure!(here.calls(CHANGE, &image).await?.len() == 4);
    Ok(())
}

/// Foreign recipients count: whoever has no slot waits, and is granted when one is free.
#[tokio::test]
async fn more_recipients_than_the_quota_wait_for_a_slot() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let quota = json!({"recipientsPerImage": 3});
    here.place.stage.cloud.patch(&format!("/aws/accounts/{}", here.account(0)), &quota).await?;
    let stranger = one_of_the_crowd(99);
    here.by_hand(&image, &[&stranger], &[]).await?;
    here.share("golden", (1..=3).map(one_of_the_crowd)).await?;
    here.place.until::<ImageShare>("golden", "False", "RecipientLimit").await?;
    ensure!(here.removed(&image).await?.is_empty());
    here.by_hand(&image, &[], &[&stranger]).await?;
    here.place.nudge::<CloudImage>("golden").await?;
    here.until_shared_with(&image, (1..=3).map(one_of_the_crowd)).await?;
    here.place.ready::<ImageShare>("golden").await?;
    Ok(())
}
