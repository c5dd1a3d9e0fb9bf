//! An owner shares with accounts, an organization and a unit, and takes it back.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::json;

use crate::with_image;
use support::aws::{CHANGE, recipients};
use support::{condition, says};

#[tokio::test]
async fn an_image_is_shared_with_accounts_an_organization_and_a_unit_and_taken_back_from_them() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let everyone = [here.account(1), here.organization(), here.unit()];
    here.share("golden", everyone.clone()).await?;
    let share = here.place.ready::<ImageShare>("golden").await?;
    ensure!(share["status"]["summary"] == "3/3", "{}", share["status"]);
    let accepted = condition(&share, "Accepted");
    ensure!(accepted.is_some_and(|told| told.status == "True" && told.reason == "NoAnswerNeeded"));
    here.until_shared_with(&image, everyone.clone()).await?;
    ensure!(here.calls(CHANGE, &image).await?.len() == 1);

    here.reshare("golden", [here.account(1), here.unit()]).await?;
    here.until_shared_with(&image, [here.account(1), here.unit()]).await?;
    here.place.delete::<ImageShare>("golden").await?;
    here.place.gone::<ImageShare>("golden").await?;
    ensure!(here.shared_with(&image).await? == Some(Vec::new()), "the share outlived its grants");
    ensure!(here.calls(CHANGE, &image).await?.len() == 3);
    Ok(())
}

#[tokio::test]
async fn a_grant_removed_by_hand_is_granted_again_and_nobody_else_is_touched() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let team = [here.account(1), here.account(2), here.unit()];
    here.share("golden", team.clone()).await?;
    here.place.ready::<ImageShare>("golden").await?;
    here.by_hand(&image, &[], &[&here.account(2)]).await?;
    here.place.nudge::<CloudImage>("golden").await?;
    here.until_shared_with(&image, team).await?;
    here.place.ready::<ImageShare>("golden").await?;
    let changes = here.calls(CHANGE, &image).await?;
    ensure!(changes.len() == 2 && changes[1]["parameters"]["add"] == json!([here.account(2)]), "{changes:?}");
    ensure!(here.removed(&image).await?.is_empty());
    Ok(())
}

/// The vendor takes every grant away when somebody disables the image, and gives none back when it is enabled.
#[tokio::test]
async fn a_disabled_image_is_told_and_shared_again_once_it_is_enabled() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let team = [here.account(1), here.unit()];
    here.share("golden", team.clone()).await?;
    here.place.ready::<ImageShare>("golden").await?;
    here.patch_image(&image, json!({"state": "disabled"})).await?;
    here.by_hand(&image, &[], &[&team[0], &team[1]]).await?;
    here.place.nudge::<CloudImage>("golden").await?;
    let told = here.place.until::<CloudImage>("golden", "False", "ImageNotShareable").await?;
    says(&told, "Ready", &["disabled", "Available"]);
    here.place.until::<ImageShare>("golden", "False", "ImageNotShareable").await?;
    here.place.looked::<CloudImage>("golden").await?;
    ensure!(here.calls(CHANGE, &image).await?.len() == 1, "the cloud refuses to share a disabled image");

    here.patch_image(&image, json!({"state": "available"})).await?;
    here.place.nudge::<CloudImage>("golden").await?;
    here.until_shared_with(&image, team).await?;
    here.place.ready::<ImageShare>("golden").await?;
    Ok(())
}

/// Whether AWS lists an ARN with the account that it was given with is not documented; here it lists the management account.
#[tokio::test]
async fn an_organization_that_is_listed_under_another_account_is_the_one_that_was_named() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let foreign = here.organization().replace(&here.account(2), &here.account(1));
    here.share("golden", [foreign]).await?;
    here.place.ready::<ImageShare>("golden").await?;
    here.until_shared_with(&image, [here.organization()]).await?;
    let told = here.place.looked::<CloudImage>("golden").await?;
    ensure!(condition(&told, "Unmanaged").is_none() && told["status"]["recipients"] == "1/1000", "{}", told["status"]);
    ensure!(here.calls(CHANGE, &image).await?.len() == 1);
    here.place.delete::<ImageShare>("golden").await?;
    here.place.gone::<ImageShare>("golden").await?;
    ensure!(here.shared_with(&image).await? == Some(Vec::new()));
    Ok(())
}

/// Two teams name one organization, each by another of its accounts.
#[tokio::test]
async fn an_organization_that_two_shares_write_differently_is_one_recipient_until_the_last_share_ends() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let foreign = here.organization().replace(&here.account(2), &here.account(1));
    here.share("golden", [foreign.clone()]).await?;
    here.place.ready::<ImageShare>("golden").await?;
    let both = recipients([here.organization(), foreign]);
    let spec = serde_json::from_value(json!({"imageRef": {"name": "golden"}, "recipients": both}))?;
    here.place.create(ImageShare::new("other", spec)).await?;
    let share = here.place.ready::<ImageShare>("other").await?;
    ensure!(share["status"]["summary"] == "1/1", "{}", share["status"]);
    let told = here.place.looked::<CloudImage>("golden").await?;
    ensure!(told["status"]["recipients"] == "1/1000" && condition(&told, "Unmanaged").is_none(), "{}", told["status"]);
    ensure!(here.calls(CHANGE, &image).await?.len() == 1, "it was shared once");

    here.place.delete::<ImageShare>("golden").await?;
    here.place.gone::<ImageShare>("golden").await?;
    ensure!(here.shared_with(&image).await? == Some(vec![here.organization()]));
    here.place.ready::<ImageShare>("other").await?;
    ensure!(here.removed(&image).await?.is_empty(), "the other share still names it");
    here.place.delete::<ImageShare>("other").await?;
    here.place.gone::<ImageShare>("other").await?;
    ensure!(here.shared_with(&image).await? == Some(Vec::new()));
    Ok(())
}
