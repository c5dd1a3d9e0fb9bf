//! The end of an image. AWS deregisters an image that others have; the operator does not.

use anyhow::{Context as _, Result, ensure};
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::json;

use crate::with_image;
use support::aws::{LIST, one_of_the_crowd};
use support::says;
use support::sights::strings;

const DEREGISTER: &str = "DeregisterImage";

#[tokio::test]
async fn an_image_is_deregistered_only_when_nobody_has_it() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    here.place.edit::<CloudImage>("golden", json!({"spec": {"deletionPolicy": "Delete"}})).await?;
    here.share("golden", [here.account(1), here.unit()]).await?;
    here.place.ready::<ImageShare>("golden").await?;
    let stranger = one_of_the_crowd(7);
    here.by_hand(&image, &[&stranger], &[]).await?;
    here.place.nudge::<CloudImage>("golden").await?;
    here.place.until_condition::<CloudImage>("golden", "Unmanaged", "True", "UnmanagedRecipients").await?;

    here.place.delete::<CloudImage>("golden").await?;
    here.place.until_condition::<CloudImage>("golden", "Deletable", "False", "ShareExists").await?;
    here.place.delete::<ImageShare>("golden").await?;
    here.place.gone::<ImageShare>("golden").await?;
    let held = here.place.until_condition::<CloudImage>("golden", "Deletable", "False", "UnmanagedRecipients").await?;
    says(&held, "Deletable", &[&stranger]);
    here.place.nudge::<CloudImage>("golden").await?;
    ensure!(here.shared_with(&image).await? == Some(vec![stranger.clone()]));
    ensure!(here.calls(DEREGISTER, &image).await?.is_empty(), "somebody still has it");

    here.by_hand(&image, &[], &[&stranger]).await?;
    here.place.nudge::<CloudImage>("golden").await?;
    here.place.gone::<CloudImage>("golden").await?;
    let all = here.about(&image).await?;
    let place = |what: &dyn Fn(&serde_json::Value) -> bool| all.iter().position(what);
    let revoked = place(&|entry| strings(&entry["effect"]["removed"]).contains(&here.unit())).context("a revoke")?;
    let deleted = place(&|entry| entry["action"] == DEREGISTER).context("an end")?;
    ensure!(all[revoked..deleted].iter().any(|entry| entry["action"] == LIST && entry["status"] == 200));
    ensure!(all.iter().filter(|entry| entry["action"] == DEREGISTER).count() == 1);
    ensure!(here.shared_with(&image).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_protected_image_stays_until_its_protection_is_lifted() -> Result<()> {
    let (here, image) = with_image(json!({"protection": "enabled-without-cooldown"})).await?;
    here.place.edit::<CloudImage>("golden", json!({"spec": {"deletionPolicy": "Delete"}})).await?;
    here.place.delete::<CloudImage>("golden").await?;
    let held = here.place.until_condition::<CloudImage>("golden", "Deletable", "False", "ImageProtected").await?;
    says(&held, "Deletable", &["protected"]);
    ensure!(here.shared_with(&image).await?.is_some());
    here.patch_image(&image, json!({"protection": "disabled"})).await?;
    here.place.nudge::<CloudImage>("golden").await?;
    here.place.gone::<CloudImage>("golden").await?;
    ensure!(here.shared_with(&image).await?.is_none());
    Ok(())
}
