//! Everything at once goes: a namespace with all that is in it, an account that a replica still names.

use std::time::Duration;

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::image_share::ImageShareSpec;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageReplica, ImageShare};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::party::{Cloud, Party};
use crate::stage::{alone, project_elsewhere, undisturbed};
use support::{PATIENCE, condition};

/// How long a namespace may take: its controllers look at it with growing pauses.
const NAMESPACE: Duration = Duration::from_secs(75);

over_both_clouds!(
    a_namespace_goes_with_everything_in_it,
    an_account_stays_while_a_replica_names_it,
    without_a_way_to_the_cloud_a_replica_goes_only_if_it_may_leave_the_copy_there,
    with_refused_credentials_a_replica_says_how_it_may_go,
);

/// One copy is made and shared, one is retained, one is under way, one waits for its source. The Secret goes with them: only
/// an operator that goes on remembers the key, by which the copies are removed.
async fn a_namespace_goes_with_everything_in_it(cloud: Cloud) -> Result<()> {
    let _undisturbed = undisturbed().await;
    let (party, source) = Party::with_image(cloud, json!({})).await?;
    party.replicate("kept", json!({})).await?;
    let kept = party.made("kept").await?;
    party.replicate("shared", json!({"deletionPolicy": "Delete"})).await?;
    party.made("shared").await?;
    let other = Party::arrive(cloud).await?;
    let mut recipient = other.as_recipient();
    if cloud == Cloud::Huawei {
        recipient["id"] = json!(project_elsewhere(other.place.number));
    }
    let spec: ImageShareSpec =
        serde_json::from_value(json!({"imageRef": {"name": "shared"}, "recipients": [recipient]}))?;
    party.place.create(ImageShare::new("partners", spec)).await?;
    party.place.ready::<ImageShare>("partners").await?;
    party.replicate("waiting", json!({"source": {"imageRef": {"name": "nobody"}}})).await?;
    party.place.until::<ImageReplica>("waiting", "False", "SourceNotReady").await?;
    let seconds = if cloud == Cloud::Alibaba { 300 } else { 4 };
    party.patch(&source, json!({"copySeconds": seconds})).await?;
    party.replicate("moving", json!({"deletionPolicy": "Delete"})).await?;
    party.copying("moving").await?;

    party.place.namespace.delete().await?;
    party.place.namespace.gone(NAMESPACE).await?;
    ensure!(party.left().await? == [kept], "{:?}", party.left().await?);
    ensure!(party.seen(&source).await?.is_some());
    Ok(())
}

async fn an_account_stays_while_a_replica_names_it(cloud: Cloud) -> Result<()> {
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    party.replicate("far", json!({})).await?;
    party.made("far").await?;
    party.place.delete::<CloudAccount>("golden").await?;
    for image in ["golden", "far"] {
        party.place.delete::<CloudImage>(image).await?;
        party.place.gone::<CloudImage>(image).await?;
    }
    let names_it = |account: &Value| {
        let kept = condition(account, "Reconciling");
        kept.is_some_and(|kept| {
            kept.reason == "StillReferenced"
                && kept.message.contains("ImageReplica far")
                && !kept.message.contains("CloudImage")
        })
    };
    party.place.until_it::<CloudAccount>("golden", "names the replica only", names_it).await?;
    party.place.delete::<ImageReplica>("far").await?;
    party.place.gone::<ImageReplica>("far").await?;
    party.place.gone::<CloudAccount>("golden").await
}

/// After a restart nobody remembers a key whose Secret is gone.
async fn without_a_way_to_the_cloud_a_replica_goes_only_if_it_may_leave_the_copy_there(cloud: Cloud) -> Result<()> {
    let (party, source) = Party::with_image(cloud, json!({})).await?;
    party.patch(&source, json!({"copySeconds": 60})).await?;
    party.replicate("moving", json!({"deletionPolicy": "Delete"})).await?;
    party.copying("moving").await?;
    {
        let _alone = alone().await;
        party.place.delete::<Secret>("golden").await?;
        party.place.nudge::<CloudAccount>("golden").await?;
        // The operator holds it for a moment, in case its namespace goes too.
        party.place.gone::<Secret>("golden").await?;
        party.place.stage.restart_operator().await?;
        party.place.delete::<ImageReplica>("moving").await?;
        let kept = party.place.until::<ImageReplica>("moving", "False", "SecretNotFound").await?;
        ensure!(condition(&kept, "Ready").is_some_and(|ready| ready.message.contains("restore it")), "{kept}");
        party.place.edit::<ImageReplica>("moving", json!({"spec": {"deletionPolicy": "Retain"}})).await?;
        party.place.gone::<ImageReplica>("moving").await?;
    }
    eventually(PATIENCE, "the copy to be left to whoever wants it", async || {
        Ok((party.left().await?.len() == 1).then_some(()))
    })
    .await
}

/// An account that was closed will never end the copy under way.
async fn with_refused_credentials_a_replica_says_how_it_may_go(cloud: Cloud) -> Result<()> {
    let (party, source) = Party::with_image(cloud, json!({})).await?;
    party.patch(&source, json!({"copySeconds": 30})).await?;
    party.replicate("moving", json!({"deletionPolicy": "Delete"})).await?;
    party.copying("moving").await?;
    party.place.edit::<Secret>("golden", json!({"stringData": {"accessKeySecret": "Wrong"}})).await?;
    party.place.nudge::<CloudAccount>("golden").await?;
    party.place.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    party.place.delete::<ImageReplica>("moving").await?;
    let kept = party.place.until::<ImageReplica>("moving", "False", "CredentialsRejected").await?;
    ensure!(
        condition(&kept, "Ready").is_some_and(|ready| ready.message.contains("or set deletionPolicy: Retain")),
        "{}",
        kept["status"]
    );
    party.place.edit::<ImageReplica>("moving", json!({"spec": {"deletionPolicy": "Retain"}})).await?;
    party.place.gone::<ImageReplica>("moving").await
}
