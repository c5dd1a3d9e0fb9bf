//! A copy of an own image is made once, and a `CloudImage` stands for it from then on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_operator::api::image_share::ImageShareSpec;
use imageshare_operator::api::{CloudImage, ImageReplica, ImageShare};
use serde_json::{Value, json};

use crate::party::{Cloud, Party};
use crate::stage::undisturbed;
use support::writes::Writes;

over_both_clouds!(
    an_own_image_is_copied_across_regions_and_shared_there,
    an_own_image_is_copied_in_its_region,
    the_cloud_image_of_a_copy_is_written_once_and_never_again,
    what_a_pass_wrote_that_broke_off_is_taken_for_its_own,
    a_name_taken_while_the_copy_is_made_is_told_and_waited_for,
    a_copy_of_a_copy_waits_for_the_first,
    progress_grows_and_is_told_with_few_writes,
    a_suspended_replica_begins_nothing_and_goes_on_with_what_is_under_way,
);

async fn an_own_image_is_copied_across_regions_and_shared_there(cloud: Cloud) -> Result<()> {
    let (party, source) = Party::with_image(cloud, json!({})).await?;
    party.replicate("far", json!({})).await?;
    let copy = party.made("far").await?;
    party.only_copy(&copy).await?;
    let begun = party.copies().await?.remove(0);
    ensure!(begun.source == source && begun.region == party.elsewhere() && begun.name == "copy-far", "{begun:?}");
    let replica = party.place.get::<ImageReplica>("far").await?;
    ensure!(replica["status"]["progress"] == 100 && replica["status"]["copy"]["state"] == "Made", "{replica}");
    party.place.event("CopyStarted", &source).await?;
    party.place.event("Replicated", &copy).await?;
    let image = party.place.ready::<CloudImage>("far").await?;
    ensure!(image["spec"]["imageID"] == copy.as_str() && image["spec"]["region"] == party.elsewhere(), "{image}");
    ensure!(image["metadata"]["ownerReferences"].is_null(), "nothing of it is deleted behind its back");

    let other = Party::arrive(cloud).await?;
    let mut recipient = other.as_recipient();
    if cloud == Cloud::Huawei {
        recipient["id"] = json!(crate::stage::project_elsewhere(other.place.number));
    }
    let spec: ImageShareSpec = serde_json::from_value(json!({"imageRef": {"name": "far"}, "recipients": [recipient]}))?;
    party.place.create(ImageShare::new("far", spec)).await?;
    party.place.ready::<ImageShare>("far").await?;
    let seen = party.seen(&copy).await?.context("the copy")?;
    let shared = if cloud == Cloud::Alibaba { &seen["sharedWith"][0] } else { &seen["members"][0]["id"] };
    ensure!(*shared == recipient["id"], "{seen}");
    Ok(())
}

async fn an_own_image_is_copied_in_its_region(cloud: Cloud) -> Result<()> {
    let (party, source) = Party::with_image(cloud, json!({})).await?;
    party.replicate_here("near", json!({})).await?;
    let copy = party.made("near").await?;
    party.only_copy(&copy).await?;
    let image = party.place.ready::<CloudImage>("near").await?;
    ensure!(copy != source && image["spec"]["region"] == party.region(), "{image}");
    Ok(())
}

async fn the_cloud_image_of_a_copy_is_written_once_and_never_again(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    party.replicate_here("near", json!({"shareableFrom": {"namespaces": {"from": "All"}}})).await?;
    let copy = party.made("near").await?;
    let written = party.place.ready::<CloudImage>("near").await?;
    ensure!(written["spec"]["shareableFrom"]["namespaces"]["from"] == "All", "{written}");

    // What somebody changes stays changed, whatever the replica says since.
    let same = json!({"spec": {"shareableFrom": {"namespaces": {"from": "Same"}}}});
    party.place.edit::<CloudImage>("near", same).await?;
    party.place.edit::<ImageReplica>("near", json!({"spec": {"deletionPolicy": "Delete"}})).await?;
    party.place.looked::<ImageReplica>("near").await?;
    party.made("near").await?;
    let edited = party.place.get::<CloudImage>("near").await?;
    ensure!(edited["spec"]["shareableFrom"]["namespaces"]["from"] == "Same", "{edited}");
    ensure!(edited["spec"]["deletionPolicy"] == "Retain", "{edited}");

    // Deleted, it stays so, and the copy stays as well.
    party.place.edit::<ImageReplica>("near", json!({"spec": {"deletionPolicy": "Retain"}})).await?;
    party.place.delete::<CloudImage>("near").await?;
    party.place.gone::<CloudImage>("near").await?;
    party.place.looked::<ImageReplica>("near").await?;
    party.place.looked::<ImageReplica>("near").await?;
    ensure!(party.made("near").await? == copy);
    ensure!(party.place.api::<CloudImage>().get_opt("near").await?.is_none(), "it was written again");

    // Nor does it follow that somebody else's of that name is the replica's to delete.
    party.name_image("near", &copy).await?;
    party.place.ready::<CloudImage>("near").await?;
    party.place.edit::<ImageReplica>("near", json!({"spec": {"deletionPolicy": "Delete"}})).await?;
    party.place.delete::<ImageReplica>("near").await?;
    party.place.gone::<ImageReplica>("near").await?;
    let theirs = party.place.get::<CloudImage>("near").await?;
    ensure!(theirs["metadata"]["deletionTimestamp"].is_null() && theirs["spec"]["deletionPolicy"] == "Retain");
    ensure!(party.seen(&copy).await?.is_some());
    party.only_copy(&copy).await
}

/// Killed after it wrote the `CloudImage` and before it noted so, an operator finds one that is just as it would write it.
async fn what_a_pass_wrote_that_broke_off_is_taken_for_its_own(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({"copySeconds": 6})).await?;
    party.replicate_here("near", json!({"deletionPolicy": "Delete"})).await?;
    let copy = party.copying("near").await?;
    party.name_image("near", &copy.image).await?;
    party.made("near").await?;
    let (replica, image) =
        (party.place.get::<ImageReplica>("near").await?, party.place.ready::<CloudImage>("near").await?);
    ensure!(replica["status"]["cloudImageUID"] == image["metadata"]["uid"], "{replica}");
    party.place.delete::<ImageReplica>("near").await?;
    party.place.gone::<ImageReplica>("near").await?;
    ensure!(party.left().await?.is_empty());
    Ok(())
}

async fn a_name_taken_while_the_copy_is_made_is_told_and_waited_for(cloud: Cloud) -> Result<()> {
    let (party, source) = Party::with_image(cloud, json!({"copySeconds": 6})).await?;
    party.replicate_here("near", json!({})).await?;
    party.copying("near").await?;
    let another = party.image(json!({})).await?;
    party.name_image("near", &another).await?;
    party.refused("near", "NameTaken", &["metadata.name", &another]).await?;
    party.place.delete::<CloudImage>("near").await?;
    let copy = party.made("near").await?;
    party.only_copy(&copy).await?;
    let image = party.place.ready::<CloudImage>("near").await?;
    ensure!(image["spec"]["imageID"] == copy.as_str() && party.seen(&source).await?.is_some(), "{image}");
    Ok(())
}

async fn a_copy_of_a_copy_waits_for_the_first(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({"copySeconds": 6})).await?;
    party.replicate("far", json!({"source": {"imageRef": {"name": "near"}}})).await?;
    let waits = party.place.until::<ImageReplica>("far", "False", "SourceNotReady").await?;
    support::says(&waits, "Ready", &["spec.source.imageRef", "near"]);
    party.replicate_here("near", json!({})).await?;
    party.copying("near").await?;
    party.place.looked::<ImageReplica>("far").await?;
    party.place.until::<ImageReplica>("far", "False", "SourceNotReady").await?;
    ensure!(party.copies().await?.len() == 1, "nothing is copied from what is not there");

    let (near, far) = (party.made("near").await?, party.made("far").await?);
    let sources: Vec<String> = party.copies().await?.into_iter().map(|copy| copy.source).collect();
    ensure!(sources.len() == 2 && sources[1] == near && near != far, "{sources:?}");
    Ok(())
}

async fn progress_grows_and_is_told_with_few_writes(cloud: Cloud) -> Result<()> {
    let _undisturbed = undisturbed().await;
    let (party, _) = Party::with_image(cloud, json!({"copySeconds": 8})).await?;
    let writes = Writes::<ImageReplica>::count(party.place.api()).await?;
    party.replicate("far", json!({})).await?;
    let mut told: Vec<u64> = Vec::new();
    loop {
        let replica = party.place.get::<ImageReplica>("far").await?;
        told.extend(replica["status"]["progress"].as_u64());
        if support::condition(&replica, "Ready").is_some_and(|ready| ready.status == "True") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(told.is_sorted(), "{told:?}");
    ensure!(told.iter().any(|percent| (1..100).contains(percent)), "{told:?}");
    told.dedup();
    // Its finalizer, that it was noticed, the intent, the answer, each progress, the end, the CloudImage.
    let written = writes.to("far").await?;
    ensure!(written <= 6 + told.len() + 1, "{written} writes for {told:?}");
    ensure!(written <= 20, "{written} writes in 8 s");
    ensure!(party.place.notes("CopyStarted").await?.len() == 1);
    ensure!(party.place.notes("Replicated").await?.len() == 1);
    Ok(())
}

async fn a_suspended_replica_begins_nothing_and_goes_on_with_what_is_under_way(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({"copySeconds": 6})).await?;
    party.replicate("far", json!({"suspend": true})).await?;
    let waits = party.refused("far", "Suspended", &["spec.suspend"]).await?;
    ensure!(waits["status"]["copy"] == Value::Null, "{waits}");
    ensure!(party.asked().await?.is_empty());
    party.place.edit::<ImageReplica>("far", json!({"spec": {"suspend": false}})).await?;
    party.copying("far").await?;
    party.place.edit::<ImageReplica>("far", json!({"spec": {"suspend": true}})).await?;
    let copy = party.made("far").await?;
    party.only_copy(&copy).await
}
