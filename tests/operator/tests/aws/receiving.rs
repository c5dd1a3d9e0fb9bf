//! Two accounts: what one shares, the other lists, acknowledges and copies.

use anyhow::{Context as _, Result, ensure};
use imageshare_operator::api::image_replica::ImageReplicaSpec;
use imageshare_operator::api::{CloudAccount, ImageReplica, ImageShare, SharedImage, SharedImageAcceptance};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::with_image;
use support::arena::{accept, reaches};
use support::aws::{OTHER_REGION, REGION};
use support::{Player, says};

async fn listed(place: &Player) -> Result<Value> {
    Ok(serde_json::to_value(place.api::<SharedImage>().list(&ListParams::default()).await?.items)?)
}

#[tokio::test]
async fn what_is_shared_with_an_account_or_its_unit_is_listed_and_needs_no_answer() -> Result<()> {
    let (owner, image) = with_image(json!({})).await?;
    let direct = owner.receiver(1, true).await?;
    let by_unit = owner.receiver(3, true).await?;
    for place in [&direct, &by_unit] {
        accept(place, "golden", REGION, &image, &owner.account(0), json!({})).await?;
        place.until::<SharedImageAcceptance>("golden", "False", "NotOffered").await?;
    }
    owner.share("golden", [owner.account(1), owner.unit()]).await?;
    owner.place.ready::<ImageShare>("golden").await?;
    for place in [&direct, &by_unit] {
        reaches(&owner.place, "golden", place, "golden").await?;
        let there = place.until::<SharedImageAcceptance>("golden", "True", "NoAnswerNeeded").await?;
        ensure!(there["status"]["state"] == "Shared" && there["status"]["owner"] == owner.account(0).as_str());
        place.nudge::<CloudAccount>("golden").await?;
        place.until_it::<CloudAccount>("golden", "one received", |it| it["status"]["received"] == "1").await?;
        let listed = listed(place).await?;
        ensure!(listed[0]["status"]["state"] == "Shared" && listed[0]["spec"]["imageID"] == image.as_str(), "{listed}");
    }
    direct.edit::<SharedImageAcceptance>("golden", json!({"spec": {"decision": "Reject"}})).await?;
    let cannot = direct.until::<SharedImageAcceptance>("golden", "False", "NoAnswerNeeded").await?;
    says(&cannot, "Ready", &["ask its owner to end the share"]);

    owner.place.delete::<ImageShare>("golden").await?;
    owner.place.gone::<ImageShare>("golden").await?;
    by_unit.nudge::<SharedImageAcceptance>("golden").await?;
    by_unit.until::<SharedImageAcceptance>("golden", "False", "Revoked").await?;
    Ok(())
}

/// Everybody sees a public image; that is no share, and an acceptance of one must not say so.
#[tokio::test]
async fn a_public_image_is_not_a_received_one() -> Result<()> {
    let (owner, image) = with_image(json!({})).await?;
    let place = owner.receiver(1, true).await?;
    owner.by_hand(&image, &["all"], &[]).await?;
    accept(&place, "golden", REGION, &image, &owner.account(0), json!({})).await?;
    place.until::<SharedImageAcceptance>("golden", "False", "NotOffered").await?;
    place.looked::<CloudAccount>("golden").await?;
    ensure!(listed(&place).await? == json!([]));
    Ok(())
}

/// A launch permission does not let anybody copy: the owner must share the snapshots, too.
#[tokio::test]
async fn a_received_image_is_copied_to_another_region_once_its_owner_shares_the_snapshots() -> Result<()> {
    let (owner, image) = with_image(json!({})).await?;
    let place = owner.receiver(1, false).await?;
    owner.share("golden", [owner.account(1)]).await?;
    owner.place.ready::<ImageShare>("golden").await?;
    let received = json!({"accountRef": {"name": "golden"}, "region": REGION, "imageID": image,
        "owner": owner.account(0)});
    let spec: ImageReplicaSpec = serde_json::from_value(json!({"source": {"received": received},
        "destination": {"region": OTHER_REGION, "name": "golden of another"}}))?;
    place.create(ImageReplica::new("copy", spec)).await?;
    let refused = place.until::<ImageReplica>("copy", "False", "ImageNotCopyable").await?;
    says(&refused, "Ready", &["snapshots"]);

    let seen = owner.place.stage.cloud.aws_image(&image).await?.context("the image")?;
    let snapshot = seen["snapshots"][0].as_str().context("a snapshot")?.to_owned();
    owner.by_hand(&snapshot, &[&owner.account(1)], &[]).await?;
    place.nudge::<ImageReplica>("copy").await?;
    let made = place.until::<ImageReplica>("copy", "True", "Replicated").await?;
    let copy = made["status"]["imageID"].as_str().context("a copy")?;
    let copied = owner.place.stage.cloud.aws_image(copy).await?.context("the copy")?;
    ensure!(copied["owner"] == owner.account(1).as_str() && copied["region"] == OTHER_REGION, "{copied}");
    ensure!(copied["sharedWith"] == json!([]), "a copy has no recipients: {copied}");
    Ok(())
}
