//! A typo costs one edit: what was never found, served or offered is corrected in place, as the message says.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare, SharedImageAcceptance};
use serde_json::{Value, json};

use crate::stage::enter;
use support::arena::{Arena, accept, image, seat, share, until_members};
use support::{Player, owner_id, says};

/// A player with an account and a share of two recipients, whose `CloudImage` is written with this typo.
async fn with_typo(edit: impl FnOnce(&mut imageshare_operator::api::cloud_image::CloudImageSpec)) -> Result<Player> {
    let player = enter().await?;
    player.account(|_| {}).await?;
    player.image("golden", edit).await?;
    player.share("team", 1..=2).await?;
    Ok(player)
}

/// One edit sets everything right; from then on the field stays.
async fn corrected(player: &Player, field: &str, right: Value, another: Value) -> Result<()> {
    player.edit::<CloudImage>("golden", json!({"spec": {(field): right}})).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=2).await?;
    let late = player.edit::<CloudImage>("golden", json!({"spec": {(field): another}})).await.unwrap_err();
    let told = format!("{field} cannot be changed once the image was found");
    ensure!(format!("{late:#}").contains(&told), "{late:#}");
    Ok(())
}

#[tokio::test]
async fn a_mistyped_image_id_is_corrected_in_place_as_image_and_share_say() -> Result<()> {
    let player = with_typo(|spec| spec.image_id = "m-bp1typo".to_owned()).await?;
    let image = player.until::<CloudImage>("golden", "False", "ImageNotFound").await?;
    says(&image, "Ready", &["correct spec.imageID, spec.region or spec.accountRef"]);
    ensure!(image["status"]["owner"].is_null(), "{}", image["status"]);
    let share = player.until::<ImageShare>("team", "False", "ImageNotFound").await?;
    says(&share, "Ready", &["CloudImage golden: spec.imageID"]);
    // The share's finalizer may have started one more reconcile.
    player.looked::<CloudImage>("golden").await?;
    let wrong = player.about("m-bp1typo").await?.len();
    corrected(&player, "imageID", json!(player.image_id(1)), json!(player.image_id(2))).await?;
    ensure!(player.about("m-bp1typo").await?.len() == wrong, "the mistyped image was called again");
    let image = player.get::<CloudImage>("golden").await?;
    ensure!(
        image["status"]["image"].as_str().is_some_and(|at| at.ends_with(&player.image_id(1))),
        "{}",
        image["status"]
    );
    Ok(())
}

#[tokio::test]
async fn a_mistyped_region_is_corrected_in_place() -> Result<()> {
    let player = with_typo(|spec| spec.region = "cn-hangzou".to_owned()).await?;
    let image = player.until::<CloudImage>("golden", "False", "RegionUnknown").await?;
    says(&image, "Ready", &["spec.region", "CloudAccount golden", "cn-hangzou", "correct it"]);
    corrected(&player, "region", json!("cn-hangzhou"), json!("cn-beijing")).await
}

#[tokio::test]
async fn a_mistyped_account_is_corrected_in_place_and_the_other_one_may_go() -> Result<()> {
    let player = with_typo(|spec| spec.account_ref.name = "golden-old".to_owned()).await?;
    let image = player.until::<CloudImage>("golden", "False", "AccountNotFound").await?;
    says(&image, "Ready", &["spec.accountRef", "golden-old"]);
    corrected(&player, "accountRef", json!({"name": "golden"}), json!({"name": "golden-old"})).await
}

#[tokio::test]
async fn an_account_that_is_deleted_goes_when_the_image_that_kept_it_is_turned_to_another_one() -> Result<()> {
    let player = enter().await?;
    player.account(|_| {}).await?;
    let spec = player.api::<CloudAccount>().get("golden").await?.spec;
    player.create(CloudAccount::new("other", spec)).await?;
    player.ready::<CloudAccount>("other").await?;
    player
        .image("golden", |spec| {
            spec.account_ref.name = "other".to_owned();
            spec.image_id = "m-bp1mistyped".to_owned();
        })
        .await?;
    player.until::<CloudImage>("golden", "False", "ImageNotFound").await?;
    player.delete::<CloudAccount>("other").await?;
    player.until_condition::<CloudAccount>("other", "Reconciling", "True", "StillReferenced").await?;
    player.edit::<CloudImage>("golden", json!({"spec": {"accountRef": {"name": "golden"}}})).await?;
    player.gone::<CloudAccount>("other").await
}

#[tokio::test]
async fn a_mistyped_account_id_is_corrected_in_place_as_the_message_says() -> Result<()> {
    let player = enter().await?;
    let another = owner_id(79);
    player.account(|spec| another.clone_into(&mut spec.alibaba.as_mut().unwrap().account_id)).await?;
    let account = player.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    says(
        &account,
        "Ready",
        &["CloudAccount golden", "Secret \"golden\"", player.namespace.name(), "or the account id in the spec"],
    );
    let right = json!({"spec": {"alibaba": {"accountID": player.owner()}}});
    player.edit::<CloudAccount>("golden", right).await?;
    player.ready::<CloudAccount>("golden").await?;
    let late = json!({"spec": {"alibaba": {"accountID": another}}});
    let late = player.edit::<CloudAccount>("golden", late).await.unwrap_err();
    ensure!(format!("{late:#}").contains("accountID cannot be changed once the account was verified"), "{late:#}");
    Ok(())
}

#[tokio::test]
async fn a_mistyped_reference_of_a_share_is_corrected_in_place_and_then_stays() -> Result<()> {
    let player = enter().await?;
    player.account(|_| {}).await?;
    player.image("golden", |_| {}).await?;
    player.ready::<CloudImage>("golden").await?;
    player.share_with("team", &[player.recipient(1)], |spec| "goldne".clone_into(&mut spec.image_ref.name)).await?;
    let share = player.until::<ImageShare>("team", "False", "ImageRefUnresolved").await?;
    says(&share, "Ready", &["spec.imageRef", "\"goldne\"", player.namespace.name()]);
    player.edit::<ImageShare>("team", json!({"spec": {"imageRef": {"name": "golden"}}})).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=1).await?;
    let late = player.edit::<ImageShare>("team", json!({"spec": {"imageRef": {"name": "other"}}})).await.unwrap_err();
    ensure!(format!("{late:#}").contains("imageRef cannot be changed once"), "{late:#}");
    Ok(())
}

#[tokio::test]
async fn a_mistyped_offer_is_corrected_in_place() -> Result<()> {
    let arena = crate::stage::huawei().await?;
    let owner = seat(arena.player(), &arena.owner(), None).await?;
    let id = arena.new_image("golden").await?;
    image(&owner, arena.region(), &id, json!({})).await?;
    share(&owner, "team", &[arena.receiver(0).id]).await?;
    owner.ready::<ImageShare>("team").await?;
    let place = seat(arena.player(), &arena.receiver(0), None).await?;
    let typo = "00000000-bc5f-4c35-abba-9c5e9a9fc0de";
    accept(&place, "golden", arena.region(), typo, &arena.owner().id, json!({})).await?;
    place.until::<SharedImageAcceptance>("golden", "False", "NotOffered").await?;
    place.edit::<SharedImageAcceptance>("golden", json!({"spec": {"imageID": id}})).await?;
    place.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    until_members(&arena, &id, &[(&arena.receiver(0).id, "accepted")]).await?;
    let late = place.edit::<SharedImageAcceptance>("golden", json!({"spec": {"imageID": typo}})).await.unwrap_err();
    ensure!(format!("{late:#}").contains("imageID cannot be changed once the offer was found"), "{late:#}");
    Ok(())
}
