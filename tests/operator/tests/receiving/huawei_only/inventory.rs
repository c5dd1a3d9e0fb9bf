//! The inventory of an account that receives much, and of one with several projects in a region.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudAccount, ImageShare, SharedImage};
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::{Ground, LOOK, projects, undisturbed};
use support::arena::seat;
use support::huawei::{Huawei, REGION};
use support::{Kind, Player};

const MANY: usize = 1000;
/// Making a thousand objects takes a debug build on a busy machine a while.
const LONG: Duration = Duration::from_secs(120);
/// Pages of 100 and the empty one that ends each list: 500 accepted, 500 pending, none rejected.
const CALLS_PER_LISTING: usize = 13;

async fn versions<K: Kind>(place: &Player) -> Result<BTreeMap<String, String>> {
    let all = place.api::<K>().list_metadata(&ListParams::default()).await?.items;
    all.into_iter().map(|one| Ok((one.name_any(), one.resource_version().context("a version")?))).collect()
}

/// Requests of the operator to write inventory of a namespace, also those that changed nothing.
async fn writes_asked_for(place: &Player) -> usize {
    let log = place.stage.operator.lock().await.process.log();
    let path = format!("/namespaces/{}/sharedimages", place.namespace.name());
    let asks = |line: &&str| line.contains(&path) && line.contains("requesting");
    let writes = |line: &&str| ["POST", "PUT", "PATCH", "DELETE"].iter().any(|method| line.contains(method));
    log.lines().filter(asks).filter(writes).count()
}

async fn offer_many(ground: &Ground) -> Result<()> {
    let receiver = ground.project(1);
    let offer = |n: usize| {
        let status = if n.is_multiple_of(2) { "accepted" } else { "pending" };
        ground.arena.image_with(json!({"members": [{"type": "project", "id": receiver, "status": status}]}))
    };
    stream::iter(0..MANY).map(offer).buffer_unordered(8).try_collect::<Vec<_>>().await.map(drop)
}

#[tokio::test]
async fn a_thousand_received_images_are_listed_by_list_calls_only_and_at_rest_nothing_is_written() -> Result<()> {
    let _operator = undisturbed().await;
    let ground = Ground::enter().await?;
    offer_many(&ground).await?;
    let place = seat(ground.place_of_all(), &ground.arena.tenant(1), Some(REGION)).await?;
    eventually(LONG, "a thousand received images", async || {
        let account = place.get::<CloudAccount>("golden").await?;
        let all = versions::<SharedImage>(&place).await?.len();
        let told = account["status"]["received"] == "1000" && account["status"]["pending"] == 500;
        ensure!(told && all == MANY, "{all}: {}", account["status"]);
        Ok(Some(()))
    })
    .await?;
    let is_list = |entry: &Value| entry["action"] == LOOK;
    let lists = async || anyhow::Ok(ground.by(&ground.project(1)).await?.iter().filter(|e| is_list(e)).count());
    let until_listed = async |more: usize| {
        let enough = lists().await? + more * CALLS_PER_LISTING;
        eventually(LONG, &format!("{more} more listings"), async || {
            let found = lists().await?;
            ensure!(found >= enough, "{found} of {enough}");
            Ok(Some(()))
        })
        .await
    };
    // A listing that began before the last object was seen may still bring it into step.
    until_listed(1).await?;
    let writes = writes_asked_for(&place).await;
    ensure!(writes >= 2 * MANY, "{writes}: the operator's log tells its requests");
    let before = (versions::<SharedImage>(&place).await?, versions::<CloudAccount>(&place).await?);
    until_listed(2).await?;
    let after = (versions::<SharedImage>(&place).await?, versions::<CloudAccount>(&place).await?);
    ensure!(before == after, "something was written at rest");
    let more = writes_asked_for(&place).await - writes;
    ensure!(more == 0, "{more} writes that changed nothing");
    let mut asked = ground.by(&ground.project(1)).await?;
    // Whose the key is, and where it has projects, is asked for once.
    asked.retain(|entry| !is_list(entry) && !entry["action"].as_str().unwrap_or_default().starts_with("Keystone"));
    ensure!(asked.is_empty(), "a call that is no list: {asked:?}");
    // The figures are of this world: one image more moves them.
    let one = json!({"members": [{"type": "project", "id": ground.project(1)}]});
    ground.arena.image_with(one).await?;
    place.until_it::<CloudAccount>("golden", "one more", |account| account["status"]["received"] == "1001").await?;
    Ok(())
}

#[tokio::test]
async fn every_named_project_of_a_region_is_listed_with_the_one_that_received() -> Result<()> {
    let (ground, image) = Ground::with_image("golden", json!({})).await?;
    let [team, _] = ground.arena.further_projects();
    let both = [ground.project(4), team];
    ground.share("golden", projects(both.clone())).await?;
    ground.place.ready::<ImageShare>("golden").await?;
    let mut tenant = ground.arena.tenant(4);
    tenant.account["huawei"]["projects"] = both.iter().map(|id| json!({"region": REGION, "projectID": id})).collect();
    let place = seat(ground.place_of_all(), &tenant, Some(REGION)).await?;
    let wanted: BTreeSet<(String, String)> = both.iter().map(|id| (image.clone(), id.clone())).collect();
    eventually(LONG, "both to be listed", async || {
        let listed = place.api::<SharedImage>().list(&ListParams::default()).await?.items;
        let pending = |one: &SharedImage| {
            let value: Value = serde_json::to_value(&one.status).unwrap_or_default();
            value["state"] == "Pending"
        };
        ensure!(listed.iter().all(pending), "{listed:?}");
        let found: BTreeSet<_> =
            listed.into_iter().map(|one| (one.spec.image_id.clone(), one.spec.recipient.clone())).collect();
        ensure!(found == wanted, "{found:?}");
        Ok(Some(()))
    })
    .await?;
    place.until_it::<CloudAccount>("golden", "two", |account| account["status"]["received"] == "2").await?;
    Ok(())
}

impl Ground {
    fn place_of_all(&self) -> &Player {
        <Huawei as support::arena::Arena>::player(&self.arena)
    }
}
