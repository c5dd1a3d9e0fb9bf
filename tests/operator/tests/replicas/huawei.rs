//! What only Huawei Cloud refuses or does.

use anyhow::{Result, ensure};
use imageshare_operator::api::ImageReplica;
use serde_json::{Value, json};

use crate::party::{Cloud, Party};
use crate::stage::{AGENCY, DISABLED_KEY, FULL_VAULT, KEY, QUOTA, VAULT, domain, project_elsewhere};

async fn owner(extra: Value) -> Result<(Party, String)> {
    Party::with_image(Cloud::Huawei, extra).await
}

/// A receiver of a new image that it has accepted already.
async fn receiver_of(extra: Value) -> Result<(Party, String)> {
    let (owner, image) = owner(extra).await?;
    let receiver = Party::enter(Cloud::Huawei).await?;
    owner.give(&image, &receiver).await?;
    Ok((receiver, image))
}

#[tokio::test]
async fn a_copy_to_another_region_without_an_agency_is_refused() -> Result<()> {
    let (party, _) = owner(json!({})).await?;
    party.replicate("far", json!({"destination": {"agencyName": null}})).await?;
    party.refused("far", "AgencyRequired", &["spec.destination.agencyName"]).await?;
    ensure!(party.asked().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_agency_that_is_not_there_is_refused_until_it_is() -> Result<()> {
    let (party, _) = owner(json!({})).await?;
    party.replicate("far", json!({"destination": {"agencyName": "late-agency"}})).await?;
    party.refused("far", "AgencyRequired", &["spec.destination.agencyName"]).await?;
    ensure!(party.copies().await?.is_empty());
    let projects = [project_elsewhere(party.place.number)];
    let agencies =
        json!({"agencies": [{"name": AGENCY, "projects": projects}, {"name": "late-agency", "projects": projects}]});
    party.place.stage.cloud.patch(&format!("/huawei/domains/{}", domain(party.place.number)), &agencies).await?;
    party.place.nudge::<ImageReplica>("far").await?;
    let copy = party.made("far").await?;
    party.only_copy(&copy).await
}

#[tokio::test]
async fn a_missing_agency_and_a_mistyped_one_are_corrected_in_place_and_tried_at_once() -> Result<()> {
    let (party, _) = owner(json!({})).await?;
    let name = |agency: &str| json!({"spec": {"destination": {"agencyName": agency}}});
    party.replicate("far", json!({"destination": {"agencyName": null}})).await?;
    party.place.until::<ImageReplica>("far", "False", "AgencyRequired").await?;
    ensure!(party.asked().await?.is_empty());
    // The cloud refuses this one, and the attempt is given up: the next would be an hour later.
    party.place.edit::<ImageReplica>("far", name("ims-kopies")).await?;
    let refused = |replica: &Value| replica["status"]["copy"]["state"] == "Failed";
    party.place.until_it::<ImageReplica>("far", "refused by the cloud", refused).await?;
    let asked = party.asked().await?.len();
    ensure!(asked == 1, "{asked}");
    party.place.edit::<ImageReplica>("far", name(AGENCY)).await?;
    let copy = party.made("far").await?;
    party.only_copy(&copy).await?;
    let late = party.place.edit::<ImageReplica>("far", name("another")).await.unwrap_err();
    ensure!(format!("{late:#}").contains("destination cannot be changed once the copy was begun"), "{late:#}");
    Ok(())
}

#[tokio::test]
async fn a_project_that_is_not_there_is_refused() -> Result<()> {
    let (party, _) = owner(json!({})).await?;
    party.replicate("far", json!({"destination": {"projectName": "cn-east-3_nobody"}})).await?;
    let refused = party.place.until_it::<ImageReplica>("far", "refused", |replica| {
        support::message(replica, "Ready").contains("projectName")
    });
    refused.await?;
    ensure!(party.copies().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_not_there_or_disabled_is_refused() -> Result<()> {
    let (party, _) = owner(json!({})).await?;
    for (name, key) in [("absent", "8f7e0000-0000-4000-8000-00000000ffff"), ("disabled", DISABLED_KEY)] {
        party.replicate_here(name, json!({"destination": {"encryption": {"keyID": key}}})).await?;
        party.refused(name, "KeyRefused", &["spec.destination.encryption.keyID"]).await?;
    }
    ensure!(party.copies().await?.is_empty());
    party.replicate("far", json!({"destination": {"encryption": {"keyID": KEY}}})).await?;
    party.refused("far", "DestinationRefused", &["spec.destination.encryption"]).await?;
    party.replicate_here("good", json!({"destination": {"encryption": {"keyID": KEY}}})).await?;
    let copy = party.made("good").await?;
    let seen = party.seen(&copy).await?.unwrap();
    ensure!(seen["encrypted"] == true && seen["cmkId"] == KEY, "{seen}");
    party.only_copy(&copy).await
}

#[tokio::test]
async fn where_there_is_no_room_for_another_image_it_is_said_and_waited_for() -> Result<()> {
    let (party, _) = owner(json!({})).await?;
    let mut others = Vec::new();
    for _ in 1..QUOTA {
        others.push(party.image(json!({})).await?);
    }
    party.replicate_here("near", json!({})).await?;
    party.refused("near", "ImageLimit", &["images"]).await?;
    ensure!(party.copies().await?.is_empty());
    party.patch(&others[0], json!({"delete": true})).await?;
    party.place.nudge::<ImageReplica>("near").await?;
    let copy = party.made("near").await?;
    party.only_copy(&copy).await
}

#[tokio::test]
async fn an_image_that_is_too_large_is_refused_before_the_call() -> Result<()> {
    let (party, _) = owner(json!({"sizeGiB": 301})).await?;
    party.replicate("far", json!({})).await?;
    party.refused("far", "ImageTooLarge", &["spec.source", "301 GiB", "300 GiB"]).await?;
    ensure!(party.asked().await?.is_empty());
    party.replicate_here("near", json!({})).await?;
    party.made("near").await?;
    let (receiver, image) = receiver_of(json!({"sizeGiB": 129})).await?;
    receiver.replicate_received("near", &image, json!({})).await?;
    receiver.refused("near", "ImageTooLarge", &["spec.source", "129 GiB", "128 GiB"]).await?;
    ensure!(receiver.asked().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused_before_the_call() -> Result<()> {
    for kind in ["fullServer", "iso"] {
        let (party, _) = owner(json!({"kind": kind})).await?;
        party.replicate_here("near", json!({})).await?;
        party.refused("near", "ImageNotCopyable", &["spec.source"]).await?;
        let (receiver, image) = receiver_of(json!({"kind": kind})).await?;
        receiver.replicate_received("near", &image, json!({})).await?;
        receiver.refused("near", "ImageNotCopyable", &["spec.source"]).await?;
        ensure!(party.asked().await?.is_empty() && receiver.asked().await?.is_empty());
    }
    let (receiver, image) = receiver_of(json!({"encrypted": true})).await?;
    receiver.replicate_received("near", &image, json!({})).await?;
    receiver.refused("near", "ImageNotCopyable", &["spec.source", "encrypted"]).await?;
    ensure!(receiver.asked().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_own_encrypted_image_is_copied_in_its_region_only() -> Result<()> {
    let (party, _) = owner(json!({"encrypted": true})).await?;
    party.replicate("far", json!({})).await?;
    party.refused("far", "ImageNotCopyable", &["spec.source", "encrypted"]).await?;
    ensure!(party.asked().await?.is_empty());
    party.replicate_here("near", json!({})).await?;
    let copy = party.made("near").await?;
    party.only_copy(&copy).await
}

#[tokio::test]
async fn a_full_server_image_goes_into_a_vault_of_the_other_region() -> Result<()> {
    let (party, _) = owner(json!({"kind": "fullServer"})).await?;
    party.replicate("none", json!({})).await?;
    party.refused("none", "VaultRequired", &["spec.destination.vaultID"]).await?;
    ensure!(party.asked().await?.is_empty());
    for (name, vault) in [("unknown", "5a0b0000-0000-4000-8000-00000000ffff"), ("full", FULL_VAULT)] {
        party.replicate(name, json!({"destination": {"vaultID": vault}})).await?;
        let refused = party.refused(name, "VaultRequired", &["spec.destination.vaultID"]).await?;
        let message = support::message(&refused, "Ready");
        ensure!(!message.contains("spec.vaultID"), "there is no such field: {message}");
    }
    ensure!(party.copies().await?.is_empty());
    party.replicate("good", json!({"destination": {"vaultID": VAULT}})).await?;
    let copy = party.made("good").await?;
    party.only_copy(&copy).await
}

/// The vendor makes five copies to other regions at a time and refuses further ones: they are asked for again later.
#[tokio::test]
async fn more_copies_than_the_cloud_makes_at_once_are_all_made() -> Result<()> {
    let (party, _) = owner(json!({"copySeconds": 4})).await?;
    for n in 0..6 {
        party.replicate(&format!("copy-{n}"), json!({})).await?;
    }
    for n in 0..6 {
        party.made(&format!("copy-{n}")).await?;
    }
    ensure!(party.copies().await?.len() == 6 && party.left().await?.len() == 6);
    Ok(())
}

#[tokio::test]
async fn a_copy_that_is_shown_late_is_waited_for() -> Result<()> {
    let (party, _) = owner(json!({"copySeconds": 3, "copyShownLate": true})).await?;
    party.replicate("far", json!({})).await?;
    let copy = party.made("far").await?;
    party.only_copy(&copy).await
}
