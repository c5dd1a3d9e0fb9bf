//! Owner and receiver in one cluster: what the one does, the other knows at once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare, SharedImage, SharedImageAcceptance};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::stage::took_at_most;
use support::arena::{Arena, accept, image, seat, share};
use support::huawei::Huawei;
use support::{Kind, PATIENCE, Player};

/// What the two sides of a cluster are promised.
const AT_ONCE: Duration = Duration::from_secs(2);

/// How long nothing may happen.
const A_WHILE: Duration = Duration::from_secs(3);

/// An owner's place with a ready image, the place of a receiver whose inventory is listed, and the image's id.
async fn both(arena: &Huawei) -> Result<(Player, Player, String)> {
    let owner = seat(arena.player(), &arena.owner(), None).await?;
    let id = arena.new_image("golden").await?;
    image(&owner, arena.region(), &id, json!({})).await?;
    owner.ready::<CloudImage>("golden").await?;
    let receiver = seat(arena.player(), &arena.receiver(0), Some(arena.region())).await?;
    Ok((owner, receiver, id))
}

/// Waits until the inventory has the image in this state (`None`: not at all), and the account counts so many pending offers.
async fn until_listed(receiver: &Player, state: Option<&str>, pending: u64) -> Result<()> {
    eventually(PATIENCE, &format!("the inventory to say {state:?}, {pending} pending"), async || {
        let listed = receiver.api::<SharedImage>().list(&ListParams::default()).await?;
        let listed = serde_json::to_value(listed.items)?;
        let states: Vec<&str> =
            listed.as_array().into_iter().flatten().filter_map(|image| image["status"]["state"].as_str()).collect();
        let account = receiver.get::<CloudAccount>("golden").await?;
        ensure!(states == Vec::from_iter(state), "{states:?}");
        ensure!(account["status"]["pending"] == pending, "{}", account["status"]);
        Ok(Some(()))
    })
    .await
}

async fn until_accepted(owner: &Player, accepted: &str, reason: &str) -> Result<()> {
    let judge = |share: &Value| {
        share["status"]["accepted"] == accepted
            && support::condition(share, "Accepted").is_some_and(|condition| condition.reason == reason)
    };
    owner.until_it::<ImageShare>("team", reason, judge).await.map(drop)
}

#[tokio::test]
async fn an_offer_and_its_answers_are_known_on_both_sides_at_once() -> Result<()> {
    let arena = crate::stage::huawei().await?;
    let (owner, receiver, id) = both(&arena).await?;
    let begun = Instant::now();
    share(&owner, "team", &[arena.receiver(0).id]).await?;
    until_listed(&receiver, Some("Pending"), 1).await?;
    took_at_most(begun, AT_ONCE, "an offer to the inventory");

    accept(&receiver, "golden", arena.region(), &id, &arena.owner().id, json!({})).await?;
    receiver.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    let begun = Instant::now();
    until_listed(&receiver, Some("Accepted"), 0).await?;
    took_at_most(begun, AT_ONCE, "an acceptance to the inventory");
    until_accepted(&owner, "1/1", "Accepted").await?;
    took_at_most(begun, AT_ONCE, "an acceptance to the owner");

    receiver.edit::<SharedImageAcceptance>("golden", json!({"spec": {"decision": "Reject"}})).await?;
    receiver.until::<SharedImageAcceptance>("golden", "True", "Rejected").await?;
    let begun = Instant::now();
    until_accepted(&owner, "0/1", "Rejected").await?;
    until_listed(&receiver, Some("Rejected"), 0).await?;
    took_at_most(begun, AT_ONCE, "a rejection to both");

    owner.delete::<ImageShare>("team").await?;
    owner.gone::<ImageShare>("team").await?;
    let begun = Instant::now();
    receiver.until::<SharedImageAcceptance>("golden", "False", "Revoked").await?;
    until_listed(&receiver, None, 0).await?;
    took_at_most(begun, AT_ONCE, "the end of a share to the receiver");
    Ok(())
}

#[tokio::test]
async fn an_acceptance_that_waits_is_woken_by_the_offer_and_by_the_next_one() -> Result<()> {
    let arena = crate::stage::huawei().await?;
    let (owner, _, id) = both(&arena).await?;
    let place = seat(arena.player(), &arena.receiver(1), None).await?;
    accept(&place, "golden", arena.region(), &id, &arena.owner().id, json!({})).await?;
    place.until::<SharedImageAcceptance>("golden", "False", "NotOffered").await?;
    for name in ["team", "again"] {
        share(&owner, name, &[arena.receiver(1).id]).await?;
        owner.ready::<ImageShare>(name).await?;
        let begun = Instant::now();
        place.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
        took_at_most(begun, AT_ONCE, "an offer to the acceptance");
        owner.delete::<ImageShare>(name).await?;
        owner.gone::<ImageShare>(name).await?;
        place.until::<SharedImageAcceptance>("golden", "False", "Revoked").await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_cloud_image_of_the_cluster_that_offers_the_image_wakes_the_acceptance_too() -> Result<()> {
    let arena = crate::stage::huawei().await?;
    let (first, _, id) = both(&arena).await?;
    first.delete::<CloudImage>("golden").await?;
    first.gone::<CloudImage>("golden").await?;
    let place = seat(arena.player(), &arena.receiver(0), None).await?;
    accept(&place, "golden", arena.region(), &id, &arena.owner().id, json!({})).await?;
    place.until::<SharedImageAcceptance>("golden", "False", "NotOffered").await?;
    let second = seat(arena.player(), &arena.owner(), None).await?;
    image(&second, arena.region(), &id, json!({})).await?;
    share(&second, "team", &[arena.receiver(0).id]).await?;
    place.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    until_accepted(&second, "1/1", "Accepted").await
}

async fn version<K: Kind>(place: &Player, name: &str) -> Result<String> {
    place.raw::<K>().get(name).await?.resource_version().context("a version")
}

#[tokio::test]
async fn who_was_told_is_silent_again_and_one_sides_offers_to_others_concern_nobody_else() -> Result<()> {
    let arena = crate::stage::huawei().await?;
    let (owner, receiver, id) = both(&arena).await?;
    let before = calls(&receiver).await?;
    share(&owner, "team", &[arena.receiver(0).id]).await?;
    accept(&receiver, "golden", arena.region(), &id, &arena.owner().id, json!({})).await?;
    until_listed(&receiver, Some("Accepted"), 0).await?;
    until_accepted(&owner, "1/1", "Accepted").await?;
    tokio::time::sleep(A_WHILE).await;
    let told = calls(&receiver).await?;
    println!("calls for one offer and its acceptance, on both sides: {}", told - before);
    let versions = async || -> Result<[String; 4]> {
        Ok([
            version::<CloudAccount>(&receiver, "golden").await?,
            version::<SharedImageAcceptance>(&receiver, "golden").await?,
            version::<CloudImage>(&owner, "golden").await?,
            version::<ImageShare>(&owner, "team").await?,
        ])
    };
    let settled = versions().await?;
    tokio::time::sleep(A_WHILE).await;
    ensure!(versions().await? == settled, "an object is written though nothing happens");
    ensure!(calls(&receiver).await? == told, "the cloud is called though nothing happens");

    // An offer to somebody else is none of this receiver's concern.
    let others = of_receiver(&arena, 0, &receiver).await?;
    share(&owner, "others", &[arena.receiver(2).id]).await?;
    owner.ready::<ImageShare>("others").await?;
    tokio::time::sleep(A_WHILE).await;
    ensure!(of_receiver(&arena, 0, &receiver).await? == others, "an offer to another project was looked up");
    Ok(())
}

/// Calls of everybody in this arena.
async fn calls(place: &Player) -> Result<usize> {
    let all = place.stage.cloud.journal(0).await?;
    let arena = format!("b0{:010x}", place.number);
    let domains = format!("d0{:010x}", place.number);
    let ours = |entry: &&Value| {
        entry["principal"].as_str().is_some_and(|id| id.starts_with(&arena) || id.starts_with(&domains))
    };
    Ok(all.iter().filter(ours).count())
}

/// Calls of one receiver.
async fn of_receiver(arena: &Huawei, n: usize, place: &Player) -> Result<usize> {
    let id = arena.receiver(n).id;
    let all = place.stage.cloud.journal(0).await?;
    Ok(all.iter().filter(|entry| entry["principal"] == id.as_str()).count())
}
