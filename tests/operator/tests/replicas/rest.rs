//! A copy that is made needs nothing more: no call, no write.

use anyhow::{Context as _, Result, ensure};
use imageshare_operator::api::{CloudImage, ImageReplica};
use serde_json::{Value, json};

use crate::party::{Cloud, Party};
use crate::stage::{polling, undisturbed};
use support::writes::Writes;

over_both_clouds!(a_made_replica_calls_no_cloud_and_writes_nothing, a_refused_replica_writes_nothing);

const LOOKS: usize = 12;

/// Calls that prove whose the credentials are, and in which regions they work.
const VERIFIES: [&str; 5] =
    ["GetCallerIdentity", "DescribeRegions", "KeystoneListAuthDomains", "KeystoneListProjects", "KeystoneListRegions"];

fn version(object: &Value) -> Result<String> {
    Ok(object["metadata"]["resourceVersion"].as_str().context("a version")?.to_owned())
}

async fn a_made_replica_calls_no_cloud_and_writes_nothing(cloud: Cloud) -> Result<()> {
    let _undisturbed = undisturbed().await;
    let (party, _) = Party::with_image(cloud, json!({})).await?;
    let writes = Writes::<ImageReplica>::count(party.place.api()).await?;
    party.replicate("far", json!({})).await?;
    party.made("far").await?;
    party.place.ready::<CloudImage>("far").await?;
    let image = version(&party.place.get::<CloudImage>("far").await?)?;
    let calls = |journal: Vec<Value>| -> Vec<Value> {
        // The account is verified again all the time.
        journal.into_iter().filter(|entry| !VERIFIES.iter().any(|one| entry["action"] == *one)).collect()
    };
    let before = calls(party.journal().await?).len();
    let written = writes.to("far").await?;
    for look in 0..LOOKS {
        let asked = format!("look-{look}");
        let answered = party.place.look_now::<ImageReplica>("far", &asked).await?;
        let annotated = answered["metadata"]["annotations"]["imageshare.dev/reconcile-requested-at"].as_str();
        ensure!(annotated == Some(&asked), "{answered}");
    }
    // Each time ours, and the answer to it.
    ensure!(writes.to("far").await? == written + 2 * LOOKS, "{written} writes, and then {}", writes.to("far").await?);
    let after = calls(party.journal().await?);
    ensure!(after.len() == before, "{:?}", &after[before..]);
    ensure!(version(&party.place.get::<CloudImage>("far").await?)? == image, "its CloudImage was written");
    Ok(())
}

/// It is read again every few seconds, and says the same.
async fn a_refused_replica_writes_nothing(cloud: Cloud) -> Result<()> {
    let (party, image) = Party::with_image_on(polling().await?, cloud, json!({})).await?;
    let making = if cloud == Cloud::Alibaba { "UnAvailable" } else { "killed" };
    party.patch(&image, json!({"status": making})).await?;
    party.replicate("far", json!({})).await?;
    let refused = party.refused("far", "ImageNotAvailable", &["spec.source"]).await?;
    let look = if cloud == Cloud::Alibaba { "DescribeImages" } else { "ListImages" };
    let looks = party.calls(look).await?.len();
    imageshare_harness::eventually(support::PATIENCE, "three more looks", async || {
        Ok((party.calls(look).await?.len() >= looks + 3).then_some(()))
    })
    .await?;
    let now = party.place.get::<ImageReplica>("far").await?;
    ensure!(version(&now)? == version(&refused)?, "{now}");
    Ok(())
}
