//! What others share is made one's own: once it is offered, by whom it should be, and accepted where the cloud asks for it.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudImage, ImageReplica, ImageShare, SharedImageAcceptance};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::party::{Cloud, Party};
use crate::stage::undisturbed;
use support::sights::time_of;

over_both_clouds!(
    a_received_image_becomes_an_own_one_that_outlives_the_share,
    what_nobody_shares_is_waited_for,
    what_an_owner_shares_who_is_not_trusted_is_not_copied,
    a_received_image_is_not_copied_to_another_region,
    an_image_of_somebody_else_is_no_own_one_and_the_other_way_round,
);

async fn share(owner: &Party, with: &Party) -> Result<()> {
    let spec = json!({"imageRef": {"name": "golden"}, "recipients": [with.as_recipient()]});
    owner.place.create(ImageShare::new("team", serde_json::from_value(spec)?)).await?;
    owner.place.ready::<ImageShare>("team").await?;
    Ok(())
}

async fn accept(receiver: &Party, image: &str, owner: &Party) -> Result<()> {
    let spec = json!({"accountRef": {"name": "golden"}, "region": receiver.region(), "imageID": image,
        "owner": owner.id(), "decision": "Accept"});
    receiver.place.create(SharedImageAcceptance::new("golden", serde_json::from_value(spec)?)).await
}

fn from(owner: &Party) -> Value {
    json!({"source": {"received": {"owner": owner.id()}}})
}

async fn a_received_image_becomes_an_own_one_that_outlives_the_share(cloud: Cloud) -> Result<()> {
    let (owner, image) = Party::with_image(cloud, json!({})).await?;
    let receiver = Party::enter(cloud).await?;
    share(&owner, &receiver).await?;
    receiver.replicate_received("near", &image, from(&owner)).await?;
    if cloud == Cloud::Huawei {
        receiver.refused("near", "NotAccepted", &["spec.source", "SharedImageAcceptance"]).await?;
        ensure!(receiver.asked().await?.is_empty(), "it was not accepted");
        accept(&receiver, &image, &owner).await?;
    }
    let copy = receiver.made("near").await?;
    receiver.only_copy(&copy).await?;

    owner.place.delete::<ImageShare>("team").await?;
    owner.place.gone::<ImageShare>("team").await?;
    receiver.place.looked::<ImageReplica>("near").await?;
    ensure!(receiver.made("near").await? == copy);
    receiver.place.looked::<CloudImage>("near").await?;
    receiver.place.ready::<CloudImage>("near").await?;
    receiver.only_copy(&copy).await
}

/// A slow look comes at any time within 2 s: that four of them begin so soon, taken together, is no accident.
#[tokio::test]
async fn an_image_is_copied_as_soon_as_it_is_accepted() -> Result<()> {
    let _undisturbed = undisturbed().await;
    let (owner, image) = Party::with_image(Cloud::Huawei, json!({})).await?;
    let mut waits = Vec::new();
    for _ in 0..4 {
        let receiver = Party::enter(Cloud::Huawei).await?;
        owner
            .place
            .stage
            .cloud
            .post(
                "/huawei/members",
                &json!({"image": image, "add": [
            {"type": "project", "id": receiver.id()}]}),
            )
            .await?;
        receiver.replicate_received("near", &image, from(&owner)).await?;
        receiver.refused("near", "NotAccepted", &["spec.source"]).await?;
        accept(&receiver, &image, &owner).await?;
        receiver.place.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
        let accepted = Timestamp::now();
        receiver.made("near").await?;
        waits.push(time_of(&receiver.asked().await?[0]).duration_since(accepted));
    }
    let all = waits.iter().fold(SignedDuration::ZERO, |all, wait| all + *wait);
    ensure!(all < SignedDuration::from_millis(2400), "{waits:?}");
    Ok(())
}

async fn what_nobody_shares_is_waited_for(cloud: Cloud) -> Result<()> {
    let (owner, image) = Party::with_image(cloud, json!({})).await?;
    let receiver = Party::enter(cloud).await?;
    receiver.replicate_received("near", &image, from(&owner)).await?;
    receiver.refused("near", "NotOffered", &["spec.source.received"]).await?;
    ensure!(receiver.asked().await?.is_empty());
    owner.give(&image, &receiver).await?;
    receiver.place.nudge::<ImageReplica>("near").await?;
    let copy = receiver.made("near").await?;
    receiver.only_copy(&copy).await
}

async fn what_an_owner_shares_who_is_not_trusted_is_not_copied(cloud: Cloud) -> Result<()> {
    let (owner, image) = Party::with_image(cloud, json!({})).await?;
    let (receiver, trusted) = (Party::enter(cloud).await?, Party::arrive(cloud).await?);
    owner.give(&image, &receiver).await?;
    receiver.replicate_received("near", &image, from(&trusted)).await?;
    let words = ["spec.source.received.owner", &owner.id(), &trusted.id()];
    receiver.refused("near", "UntrustedOwner", &words).await?;
    ensure!(receiver.asked().await?.is_empty(), "nothing of a stranger is copied");
    Ok(())
}

async fn a_received_image_is_not_copied_to_another_region(cloud: Cloud) -> Result<()> {
    let (owner, image) = Party::with_image(cloud, json!({})).await?;
    let receiver = Party::enter(cloud).await?;
    owner.give(&image, &receiver).await?;
    let mut there = json!({"destination": {"region": receiver.elsewhere()}});
    if cloud == Cloud::Huawei {
        there["destination"]["agencyName"] = json!(crate::stage::AGENCY);
    }
    receiver.replicate_received("far", &image, there).await?;
    let remedy = ["spec.destination.region", "make one ImageReplica of it there", "source.imageRef"];
    receiver.refused("far", "CrossRegionNeedsOwnImage", &remedy).await?;
    ensure!(receiver.asked().await?.is_empty());
    Ok(())
}

async fn an_image_of_somebody_else_is_no_own_one_and_the_other_way_round(cloud: Cloud) -> Result<()> {
    let (owner, image) = Party::with_image(cloud, json!({})).await?;
    let receiver = Party::enter(cloud).await?;
    owner.give(&image, &receiver).await?;
    receiver.name_image("golden", &image).await?;
    receiver.replicate("far", json!({})).await?;
    receiver.refused("far", "ImageNotOwned", &["spec.source", "source.received"]).await?;
    owner.replicate_received("near", &image, json!({})).await?;
    let reason = if cloud == Cloud::Alibaba { "DestinationRefused" } else { "NotOffered" };
    owner.refused("near", reason, &["spec.source"]).await?;
    ensure!(owner.asked().await?.is_empty() && receiver.asked().await?.is_empty());
    Ok(())
}
