//! A cloud without a handshake: an acceptance only tells whether the image is there, and from whom.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudAccount, ImageShare, SharedImage, SharedImageAcceptance};
use kube::api::ListParams;
use serde_json::json;

use crate::stage::servers;
use support::arena::{Tenant, accept, reaches, seat};
use support::huawei::ARENAS;
use support::{Player, REGION};

/// The owner of another player's images receives.
fn receiver(player: &Player) -> Tenant {
    let number = ARENAS - 1 - player.number;
    let id = support::owner_id(number);
    let account = json!({"alibaba": {"accountID": id, "site": "International",
        "credentials": {"secretRef": {"name": "golden"}}, "endpoint": player.stage.cloud.cloud()}});
    let key = support::key(number);
    let secret = [("accessKeyID", &key["id"]), ("accessKeySecret", &key["secret"])];
    let secret = secret.into_iter().map(|(name, value)| (name.to_owned(), value.as_str().unwrap().to_owned()));
    Tenant { id, account, secret: secret.collect() }
}

#[tokio::test]
async fn what_is_shared_without_an_answer_is_verified_and_listed() -> Result<()> {
    let owner = Player::with_image_on(&servers().await?.stage).await?;
    let receiver = receiver(&owner);
    let place = seat(&owner, &receiver, Some(REGION)).await?;
    accept(&place, "golden", REGION, &owner.image_id(1), &owner.owner(), json!({})).await?;
    place.until::<SharedImageAcceptance>("golden", "False", "NotOffered").await?;
    place.until_it::<CloudAccount>("golden", "nothing received", |a| a["status"]["received"] == "0/30").await?;

    owner.share_with("team", std::slice::from_ref(&receiver.id), |_| {}).await?;
    let shared = owner.ready::<ImageShare>("team").await?;
    ensure!(
        support::condition(&shared, "Accepted").is_some_and(|c| c.status == "True" && c.reason == "NoAnswerNeeded")
    );
    let there = place.until::<SharedImageAcceptance>("golden", "True", "NoAnswerNeeded").await?;
    ensure!(there["status"]["state"] == "Shared" && there["status"]["owner"] == owner.owner().as_str());
    place.until_it::<CloudAccount>("golden", "one received", |a| a["status"]["received"] == "1/30").await?;
    let listed = serde_json::to_value(place.api::<SharedImage>().list(&ListParams::default()).await?.items)?;
    ensure!(listed[0]["status"]["state"] == "Shared" && listed[0]["spec"]["imageID"] == owner.image_id(1).as_str());

    place.edit::<SharedImageAcceptance>("golden", json!({"spec": {"decision": "Reject"}})).await?;
    let cannot = place.until::<SharedImageAcceptance>("golden", "False", "NoAnswerNeeded").await?;
    ensure!(Player::message(&cannot, "Ready")?.contains("ask its owner to end the share"));

    owner.delete::<ImageShare>("team").await?;
    place.until::<SharedImageAcceptance>("golden", "False", "Revoked").await?;
    place.until_it::<CloudAccount>("golden", "nothing received again", |a| a["status"]["received"] == "0/30").await?;
    Ok(())
}

#[tokio::test]
async fn what_another_account_shares_is_not_trusted() -> Result<()> {
    let owner = Player::with_image_on(&servers().await?.stage).await?;
    let receiver = receiver(&owner);
    let place = seat(&owner, &receiver, None).await?;
    owner.share_with("team", &[receiver.id], |_| {}).await?;
    accept(&place, "golden", REGION, &owner.image_id(1), support::CHINA_ACCOUNT, json!({})).await?;
    reaches(&owner, "team", &place, "golden").await?;
    let refused = place.until::<SharedImageAcceptance>("golden", "False", "UntrustedOwner").await?;
    ensure!(Player::message(&refused, "Ready")?.contains(&owner.owner()));
    Ok(())
}
