//! What deleting a replica leaves: while its copy is being made nothing; later what its policy says, and never an image that
//! others still have.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::image_share::ImageShareSpec;
use imageshare_operator::api::{CloudImage, ImageReplica, ImageShare};
use serde_json::{Value, json};

use crate::party::{Cloud, Party};
use crate::stage::project_elsewhere;
use support::{PATIENCE, condition, says};

over_both_clouds!(
    a_replica_deleted_before_anything_was_asked_goes_at_once,
    what_is_retained_stays_with_its_cloud_image,
    what_is_to_be_deleted_goes_with_its_cloud_image,
    a_copy_that_is_shared_stays_until_the_share_goes,
    the_cloud_image_of_a_copy_that_is_to_be_removed_waits_for_its_replica,
    a_copy_that_is_to_stay_after_all_lets_its_cloud_image_go,
    deleted_while_the_answer_is_lost_nothing_is_left,
    deleted_while_failing_nothing_is_left,
);

async fn a_replica_deleted_before_anything_was_asked_goes_at_once(cloud: Cloud) -> Result<()> {
    let party = Party::enter(cloud).await?;
    party.replicate("far", json!({})).await?;
    party.place.until::<ImageReplica>("far", "False", "SourceNotReady").await?;
    party.place.delete::<ImageReplica>("far").await?;
    party.place.gone::<ImageReplica>("far").await?;
    ensure!(party.asked().await?.is_empty());
    Ok(())
}

async fn what_is_retained_stays_with_its_cloud_image(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    party.replicate("far", json!({})).await?;
    let copy = party.made("far").await?;
    party.place.delete::<ImageReplica>("far").await?;
    party.place.gone::<ImageReplica>("far").await?;
    party.place.looked::<CloudImage>("far").await?;
    let image = party.place.ready::<CloudImage>("far").await?;
    ensure!(image["metadata"]["deletionTimestamp"].is_null(), "{image}");
    ensure!(party.left().await? == [copy]);
    Ok(())
}

async fn what_is_to_be_deleted_goes_with_its_cloud_image(cloud: Cloud) -> Result<()> {
    let (party, source) = Party::with_image(cloud, json!({})).await?;
    party.replicate("far", json!({"deletionPolicy": "Delete"})).await?;
    party.made("far").await?;
    party.place.ready::<CloudImage>("far").await?;
    party.place.delete::<ImageReplica>("far").await?;
    party.place.gone::<ImageReplica>("far").await?;
    ensure!(party.place.api::<CloudImage>().get_opt("far").await?.is_none());
    ensure!(party.left().await?.is_empty() && party.seen(&source).await?.is_some());
    Ok(())
}

async fn a_copy_that_is_shared_stays_until_the_share_goes(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    party.replicate("far", json!({"deletionPolicy": "Delete"})).await?;
    let copy = party.made("far").await?;
    let other = Party::arrive(cloud).await?;
    let mut recipient = other.as_recipient();
    if cloud == Cloud::Huawei {
        recipient["id"] = json!(project_elsewhere(other.place.number));
    }
    let spec: ImageShareSpec = serde_json::from_value(json!({"imageRef": {"name": "far"}, "recipients": [recipient]}))?;
    party.place.create(ImageShare::new("partners", spec)).await?;
    party.place.ready::<ImageShare>("partners").await?;

    party.place.delete::<ImageReplica>("far").await?;
    let names_it = |replica: &Value| {
        condition(replica, "Ready")
            .is_some_and(|ready| ready.reason == "ShareExists" && ready.message.contains("partners"))
    };
    let kept = party.place.until_it::<ImageReplica>("far", "names the share", names_it).await?;
    says(&kept, "Ready", &["CloudImage far"]);
    party.place.looked::<ImageReplica>("far").await?;
    let seen = party.seen(&copy).await?;
    let shared = seen.as_ref().is_some_and(|image| {
        image["sharedWith"] == json!([recipient["id"]]) || image["members"][0]["id"] == recipient["id"]
    });
    ensure!(shared, "the image and its share stay: {seen:?}");

    party.place.delete::<ImageShare>("partners").await?;
    party.place.gone::<ImageReplica>("far").await?;
    ensure!(party.place.api::<CloudImage>().get_opt("far").await?.is_none());
    ensure!(party.place.api::<ImageShare>().get_opt("partners").await?.is_none());
    ensure!(party.left().await?.is_empty());
    Ok(())
}

/// As when both go with their namespace, and the `CloudImage` is first.
async fn the_cloud_image_of_a_copy_that_is_to_be_removed_waits_for_its_replica(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    party.replicate("far", json!({"deletionPolicy": "Delete"})).await?;
    let copy = party.made("far").await?;
    party.place.delete::<CloudImage>("far").await?;
    party.place.until_condition::<CloudImage>("far", "Deletable", "False", "ReplicaExists").await?;
    party.place.looked::<CloudImage>("far").await?;
    ensure!(party.left().await? == [copy], "{:?}", party.left().await?);

    party.place.delete::<ImageReplica>("far").await?;
    party.place.gone::<ImageReplica>("far").await?;
    party.place.gone::<CloudImage>("far").await?;
    ensure!(party.left().await?.is_empty(), "{:?}", party.left().await?);
    Ok(())
}

async fn a_copy_that_is_to_stay_after_all_lets_its_cloud_image_go(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    party.replicate("far", json!({"deletionPolicy": "Delete"})).await?;
    let copy = party.made("far").await?;
    party.place.delete::<CloudImage>("far").await?;
    party.place.until_condition::<CloudImage>("far", "Deletable", "False", "ReplicaExists").await?;
    party.place.edit::<ImageReplica>("far", json!({"spec": {"deletionPolicy": "Retain"}})).await?;
    party.place.gone::<CloudImage>("far").await?;
    ensure!(party.left().await? == [copy], "{:?}", party.left().await?);
    Ok(())
}

/// The intent is written, the cloud copies, and nobody here knows which image.
async fn deleted_while_the_answer_is_lost_nothing_is_left(cloud: Cloud) -> Result<()> {
    let (party, source) = Party::with_image(cloud, json!({"copySeconds": 3})).await?;
    party.weather(party.ask(true), &source, 1, json!({"kind": "cutAfter"})).await?;
    party.replicate("far", json!({})).await?;
    party.until_asked(1).await?;
    party.place.delete::<ImageReplica>("far").await?;
    party.place.gone::<ImageReplica>("far").await?;
    ensure!(party.copies().await?.len() == 1 && party.left().await?.is_empty(), "{:?}", party.left().await?);
    Ok(())
}

async fn deleted_while_failing_nothing_is_left(cloud: Cloud) -> Result<()> {
    let (party, source) = Party::with_image(cloud, json!({})).await?;
    party.let_copies_fail(&source, true).await?;
    party.replicate("far", json!({"deletionPolicy": "Retain"})).await?;
    party.place.until::<ImageReplica>("far", "False", "CopyFailed").await?;
    party.place.delete::<ImageReplica>("far").await?;
    party.place.gone::<ImageReplica>("far").await?;
    ensure!(party.left().await?.is_empty());
    Ok(())
}

/// Copies at Alibaba Cloud that were cancelled.
async fn cancelled(party: &Party) -> Result<Vec<Value>> {
    let calls = party.calls("CancelCopyImage").await?;
    Ok(calls.into_iter().map(|e| e["effect"]["copy"].clone()).filter(|copy| copy["state"] == "cancelled").collect())
}

#[tokio::test]
async fn a_copy_under_way_at_alibaba_is_cancelled() -> Result<()> {
    let (party, _) = Party::with_image(Cloud::Alibaba, json!({"copySeconds": 300})).await?;
    party.replicate("far", json!({})).await?;
    let copy = party.copying("far").await?;
    party.place.delete::<ImageReplica>("far").await?;
    party.place.gone::<ImageReplica>("far").await?;
    let cancelled = cancelled(&party).await?;
    ensure!(cancelled.len() == 1 && cancelled[0]["image"] == copy.image.as_str(), "{cancelled:?}");
    ensure!(party.left().await?.is_empty() && party.copies().await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn cancelling_is_tried_until_it_is_done() -> Result<()> {
    for then in [json!({"kind": "cutAfter"}), json!({"kind": "cutBefore"}), json!({"kind": "throttle"})] {
        let (party, _) = Party::with_image(Cloud::Alibaba, json!({"copySeconds": 300})).await?;
        party.replicate("far", json!({})).await?;
        party.copying("far").await?;
        party.place.fault(json!({"action": "CancelCopyImage"}), 1, then).await?;
        party.place.delete::<ImageReplica>("far").await?;
        party.place.gone::<ImageReplica>("far").await?;
        ensure!(cancelled(&party).await?.len() == 1 && party.left().await?.is_empty());
    }
    Ok(())
}

/// A job cannot be stopped; only what it made can be removed.
async fn ended_at_huawei(extra: Value, across: bool) -> Result<()> {
    let (party, _) = Party::with_image(Cloud::Huawei, extra).await?;
    party.replicate_to(across, "copy", json!({})).await?;
    let copy = party.copying("copy").await?;
    party.place.delete::<ImageReplica>("copy").await?;
    party.place.until::<ImageReplica>("copy", "False", "Clearing").await?;
    party.place.gone::<ImageReplica>("copy").await?;
    let journal = party.journal().await?;
    let of_copy = |entry: &&Value| entry["action"] == "JobEffect" && entry["copy"]["image"] == copy.image.as_str();
    ensure!(journal.iter().filter(of_copy).count() == 1, "it left before the job had ended: {journal:?}");
    ensure!(party.left().await?.is_empty() && party.copies().await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_copy_under_way_at_huawei_is_waited_for_and_removed() -> Result<()> {
    ended_at_huawei(json!({"copySeconds": 4}), true).await
}

#[tokio::test]
async fn a_copy_in_its_region_under_way_at_huawei_is_waited_for_and_removed() -> Result<()> {
    ended_at_huawei(json!({"copySeconds": 4}), false).await
}

#[tokio::test]
async fn a_copy_that_huawei_shows_late_is_waited_for_and_removed() -> Result<()> {
    ended_at_huawei(json!({"copySeconds": 7, "copyShownLate": true}), true).await
}

/// Deleted and made anew under the same name, a replica is another one with a copy of its own.
#[tokio::test]
async fn a_replica_of_the_same_name_is_another_one() -> Result<()> {
    let (party, _) = Party::with_image(Cloud::Alibaba, json!({})).await?;
    party.replicate("far", json!({"deletionPolicy": "Delete"})).await?;
    let first = party.made("far").await?;
    party.place.delete::<ImageReplica>("far").await?;
    party.place.gone::<ImageReplica>("far").await?;
    party.replicate("far", json!({})).await?;
    let second = party.made("far").await?;
    ensure!(first != second && party.left().await? == [second], "{first}");
    Ok(())
}

/// The guard of an image that somebody else changed since holds all the same: a share that came later.
#[tokio::test]
async fn a_copy_that_strangers_have_stays() -> Result<()> {
    let (party, _) = Party::with_image(Cloud::Alibaba, json!({})).await?;
    let stranger = Party::arrive(Cloud::Alibaba).await?;
    party.replicate("far", json!({"deletionPolicy": "Delete"})).await?;
    let copy = party.made("far").await?;
    party.give(&copy, &stranger).await?;
    party.place.delete::<ImageReplica>("far").await?;
    let names_it =
        |replica: &Value| condition(replica, "Ready").is_some_and(|ready| ready.message.contains(&stranger.id()));
    party.place.until_it::<ImageReplica>("far", "names who has it", names_it).await?;
    ensure!(party.left().await?.len() == 1);
    let change = json!({"image": copy, "remove": [stranger.id()]});
    party.place.stage.cloud.post("/permissions", &change).await?;
    party.place.nudge::<CloudImage>("far").await?;
    party.place.gone::<ImageReplica>("far").await?;
    ensure!(party.left().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn deleting_ends_quickly_where_nothing_stands_in_the_way() -> Result<()> {
    let _undisturbed = crate::stage::undisturbed().await;
    let (party, _) = Party::with_image(Cloud::Alibaba, json!({})).await?;
    party.replicate("far", json!({"deletionPolicy": "Delete"})).await?;
    party.made("far").await?;
    party.place.ready::<CloudImage>("far").await?;
    let begun = Instant::now();
    party.place.delete::<ImageReplica>("far").await?;
    party.place.gone::<ImageReplica>("far").await?;
    ensure!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    eventually(PATIENCE, "the copy to be gone", async || Ok(party.left().await?.is_empty().then_some(()))).await
}
