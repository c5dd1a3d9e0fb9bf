//! Bad input, told by its field; nothing is made of it.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageReplica};
use serde_json::json;

use crate::party::{Cloud, Party};

over_both_clouds!(
    a_region_that_is_not_there_is_refused,
    a_source_region_that_is_not_there_is_refused,
    a_malformed_name_is_refused,
    a_name_of_another_cloud_image_is_refused_until_that_is_gone,
    another_account_is_refused,
    a_vault_and_an_agency_in_the_own_region_are_refused,
    an_image_that_is_not_ready_is_refused,
);

async fn a_region_that_is_not_there_is_refused(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    party.replicate("far", json!({"destination": {"region": "cn-nowhere-1"}})).await?;
    party.refused("far", "RegionUnknown", &["spec.destination.region", "cn-nowhere-1"]).await?;
    ensure!(party.asked().await?.is_empty());
    let corrected = json!({"spec": {"destination": {"region": party.elsewhere()}}});
    party.place.edit::<ImageReplica>("far", corrected).await?;
    party.made("far").await?;
    Ok(())
}

async fn a_source_region_that_is_not_there_is_refused(cloud: Cloud) -> Result<()> {
    let (party, image) = Party::with_image(cloud, json!({})).await?;
    let nowhere = json!({"source": {"received": {"region": "cn-nowhere-1"}},
        "destination": {"region": "cn-nowhere-1"}});
    party.replicate_received("far", &image, nowhere).await?;
    party.refused("far", "RegionUnknown", &["spec.source", "cn-nowhere-1"]).await?;
    ensure!(party.asked().await?.is_empty());
    Ok(())
}

async fn a_malformed_name_is_refused(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    for (name, bad) in [("slash", "golden/ubuntu"), ("long", &"x".repeat(129))] {
        party.replicate(name, json!({"destination": {"name": bad}})).await?;
        party.refused(name, "NameInvalid", &["spec.destination.name"]).await?;
    }
    ensure!(party.asked().await?.is_empty());
    party.place.edit::<ImageReplica>("slash", json!({"spec": {"destination": {"name": "golden-ubuntu"}}})).await?;
    let copy = party.made("slash").await?;
    party.only_copy(&copy).await?;
    Ok(())
}

async fn a_name_of_another_cloud_image_is_refused_until_that_is_gone(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    let another = party.image(json!({})).await?;
    party.name_image("far", &another).await?;
    party.replicate("far", json!({})).await?;
    party.refused("far", "NameTaken", &["metadata.name", &another]).await?;
    ensure!(party.asked().await?.is_empty());
    party.place.delete::<CloudImage>("far").await?;
    let copy = party.made("far").await?;
    party.only_copy(&copy).await?;
    ensure!(party.seen(&another).await?.is_some());
    Ok(())
}

async fn another_account_is_refused(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    let other = Party::arrive(cloud).await?;
    party.account_of(&other, "other", json!({})).await?;
    party.place.ready::<CloudAccount>("other").await?;
    party.replicate("far", json!({"destination": {"accountRef": {"name": "other"}}})).await?;
    party.refused("far", "DestinationRefused", &["spec.destination.accountRef"]).await?;
    party.replicate("lost", json!({"destination": {"accountRef": {"name": "nobody"}}})).await?;
    party.refused("lost", "AccountNotFound", &["spec.destination.accountRef", "nobody"]).await?;
    ensure!(party.asked().await?.is_empty() && other.asked().await?.is_empty());
    // The own one may be named.
    party.replicate_here("near", json!({"destination": {"accountRef": {"name": "golden"}}})).await?;
    party.made("near").await?;
    Ok(())
}

async fn a_vault_and_an_agency_in_the_own_region_are_refused(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    for (name, field) in [("vault", "vaultID"), ("agency", "agencyName"), ("project", "projectName")] {
        let extra = json!({"destination": {(field): "some-text"}});
        if cloud == Cloud::Alibaba {
            party.replicate(name, extra).await?;
        } else {
            party.replicate_here(name, extra).await?;
        }
        party.refused(name, "DestinationRefused", &[&format!("spec.destination.{field}")]).await?;
    }
    ensure!(party.asked().await?.is_empty());
    Ok(())
}

async fn an_image_that_is_not_ready_is_refused(cloud: Cloud) -> Result<()> {
    let (party, image) = Party::with_image(cloud, json!({})).await?;
    let (making, broken, ready) =
        if cloud == Cloud::Alibaba { ("Creating", "UnAvailable", "Available") } else { ("saving", "killed", "active") };
    party.patch(&image, json!({"status": making})).await?;
    party.replicate("far", json!({})).await?;
    party.refused("far", "SourceNotReady", &["spec.source"]).await?;
    party.patch(&image, json!({"status": broken})).await?;
    party.place.nudge::<ImageReplica>("far").await?;
    party.refused("far", "ImageNotAvailable", &["spec.source"]).await?;
    ensure!(party.asked().await?.is_empty());
    party.patch(&image, json!({"status": ready})).await?;
    party.place.nudge::<ImageReplica>("far").await?;
    let copy = party.made("far").await?;
    party.only_copy(&copy).await?;
    party.place.until::<ImageReplica>("far", "True", "Replicated").await?;
    Ok(())
}
