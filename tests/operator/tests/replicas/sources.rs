//! A replica waits for what it is to be made from, and says for what.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageReplica, ImageShare};
use serde_json::{Value, json};

use crate::party::{Cloud, Party};
use support::{message, says};

over_both_clouds!(
    a_source_that_is_not_there_yet_is_waited_for,
    a_source_that_is_being_deleted_is_not_copied,
    an_account_that_is_not_there_yet_is_waited_for,
    a_suspended_account_is_not_called,
);

async fn a_source_that_is_not_there_yet_is_waited_for(cloud: Cloud) -> Result<()> {
    let party = Party::enter(cloud).await?;
    party.replicate("far", json!({})).await?;
    let waits = party.refused("far", "SourceNotReady", &["spec.source.imageRef", "golden"]).await?;
    ensure!(support::condition(&waits, "Reconciling").is_some(), "it waits and is not stuck: {waits}");
    let image = party.image(json!({})).await?;
    party.name_image("golden", &image).await?;
    let copy = party.made("far").await?;
    party.only_copy(&copy).await
}

async fn a_source_that_is_being_deleted_is_not_copied(cloud: Cloud) -> Result<()> {
    let (party, image) = Party::with_image(cloud, json!({})).await?;
    // A share that nobody ends keeps the image where it is.
    let other = Party::arrive(cloud).await?;
    let spec = json!({"imageRef": {"name": "golden"}, "recipients": [other.as_recipient()]});
    party.place.create(ImageShare::new("team", serde_json::from_value(spec)?)).await?;
    party.place.ready::<ImageShare>("team").await?;
    party.place.delete::<CloudImage>("golden").await?;
    party.place.until_condition::<CloudImage>("golden", "Deletable", "False", "ShareExists").await?;
    party.replicate("far", json!({})).await?;
    party.refused("far", "SourceNotReady", &["spec.source.imageRef", "being deleted"]).await?;
    ensure!(party.asked().await?.is_empty());

    party.place.delete::<ImageShare>("team").await?;
    party.place.gone::<CloudImage>("golden").await?;
    let absent = |replica: &Value| message(replica, "Ready").contains("there is no CloudImage");
    party.place.until_it::<ImageReplica>("far", "waits for it to come back", absent).await?;
    party.name_image("golden", &image).await?;
    let copy = party.made("far").await?;
    party.only_copy(&copy).await
}

async fn an_account_that_is_not_there_yet_is_waited_for(cloud: Cloud) -> Result<()> {
    let (owner, image) = Party::with_image(cloud, json!({})).await?;
    let receiver = Party::arrive(cloud).await?;
    owner.give(&image, &receiver).await?;
    receiver.replicate_received("near", &image, json!({})).await?;
    let waits = receiver.refused("near", "AccountNotFound", &["golden"]).await?;
    says(&waits, "Ready", &["spec.source.received.accountRef"]);
    receiver.account("golden", json!({})).await?;
    let copy = receiver.made("near").await?;
    receiver.only_copy(&copy).await
}

async fn a_suspended_account_is_not_called(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    party.place.edit::<CloudAccount>("golden", json!({"spec": {"suspend": true}})).await?;
    party
        .place
        .until_it::<CloudAccount>("golden", "suspended", |account| {
            account["status"]["observedGeneration"] == account["metadata"]["generation"]
        })
        .await?;
    party.replicate("far", json!({})).await?;
    party.refused("far", "Suspended", &["CloudAccount"]).await?;
    ensure!(party.asked().await?.is_empty());
    party.place.edit::<CloudAccount>("golden", json!({"spec": {"suspend": false}})).await?;
    party.made("far").await?;
    party.place.until::<ImageReplica>("far", "True", "Replicated").await?;
    Ok(())
}
