//! What the operator's caches show is old: its watches are held back while the world goes on.

use std::time::Duration;

use anyhow::Result;
use imageshare_harness::proxy::{Deed, Moment, Rule, Trigger, Upstream, Which};
use imageshare_operator::api::{CloudImage, ImageShare};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::alone;
use support::PATIENCE;
use support::behind::Behind;
use support::sights::{MODIFY, strings};

/// How long a stale view is watched for what it makes the operator do.
const A_WHILE: Duration = Duration::from_secs(4);

/// From here on the operator learns nothing new of a kind (plural), until the trigger is dropped.
async fn blindfold(behind: &Behind, kind: &str) -> Result<Trigger> {
    let which = Which::read().to(Upstream::Kubernetes).path(&format!("/{kind}?")).path("watch=true");
    let held = behind.proxy.add(Rule::new(which, Deed::Hold(Moment::BeforeForward)));
    behind.proxy.disconnect(Upstream::Kubernetes);
    held.reached(PATIENCE).await?;
    // The other watches are back; what was under way when they were cut is over.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(held)
}

fn gifts(calls: &[Value]) -> Vec<String> {
    calls.iter().flat_map(|entry| strings(&entry["effect"]["added"])).collect()
}

#[tokio::test]
async fn a_share_edited_there_and_back_behind_a_held_watch_moves_nothing() -> Result<()> {
    let (_alone, behind) = alone().await?;
    let player = behind.player().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let before = player.mutations().await?;
    let held = blindfold(behind, "imageshares").await?;
    player.reshare("team", [1, 3]).await?;
    player.reshare("team", [1, 2]).await?;
    player.look_now::<CloudImage>("golden", "while blind").await?;
    drop(held);
    player.ready::<ImageShare>("team").await?;
    player.look_now::<CloudImage>("golden", "seeing again").await?;
    assert_eq!(player.mutations().await?, before);
    behind.audit(&[&player], &[]).await
}

#[tokio::test]
async fn a_share_deleted_behind_a_held_watch_is_granted_nothing_and_tried_without_a_storm() -> Result<()> {
    let (_alone, behind) = alone().await?;
    let player = behind.player().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let before = player.calls(MODIFY).await?.len();
    let held = blindfold(behind, "imageshares").await?;
    player.delete::<ImageShare>("team").await?;
    // By its cache, the operator has to grant this again.
    player.share_by_hand(1, &[], &[2]).await?;
    let since = behind.proxy.last();
    player.ask_for_a_look::<CloudImage>("golden", "while blind").await?;
    tokio::time::sleep(A_WHILE).await;
    let calls = behind.proxy.calls();
    let about = player.image_id(1);
    let of_image = |c: &&imageshare_harness::proxy::Call| c.seq > since && c.path.contains(&about);
    let looks = calls.iter().filter(of_image).count();
    assert!(looks > 0, "the operator looked");
    let status = format!("/namespaces/{}/cloudimages/golden/status", player.namespace.name());
    let writes = calls.iter().filter(|c| c.seq > since && c.path.contains(&status)).count();
    drop(held);
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await?;
    let after = player.calls(MODIFY).await?.split_off(before);
    assert_eq!(gifts(&after), Vec::<String>::new(), "the fresh list shows that the share leaves");
    assert!(looks <= 10 && writes <= 10, "{looks} calls and {writes} status writes in {A_WHILE:?} of a stale view");
    behind.audit(&[&player], &[]).await
}

#[tokio::test]
async fn what_expires_by_a_stale_view_stays_if_another_share_wishes_it_by_now() -> Result<()> {
    let (_alone, behind) = alone().await?;
    let player = behind.player().await?;
    let end = Timestamp::now() + SignedDuration::from_secs(8);
    let time = serde_json::from_value(json!(end.to_string()))?;
    player.share_with("passing", &[player.recipient(1)], |spec| spec.expiration_time = Some(time)).await?;
    player.share("lasting", [2]).await?;
    player.until_shared_with(1, 1..=2).await?;
    player.ready::<ImageShare>("lasting").await?;
    player.ready::<ImageShare>("passing").await?;
    let held = blindfold(behind, "imageshares").await?;
    player.reshare("lasting", 1..=2).await?;
    let status = format!("/namespaces/{}/cloudimages/golden/status", player.namespace.name());
    let revoking = Which::write().to(Upstream::Kubernetes).path(&status).body("\"Revoking\"");
    let intended = behind.proxy.add(Rule::new(revoking, Deed::Hold(Moment::AfterAnswer)));
    let left = end.duration_since(Timestamp::now()).max(SignedDuration::ZERO).unsigned_abs();
    tokio::time::sleep(left).await;
    player.ask_for_a_look::<CloudImage>("golden", "expired").await?;
    intended.reached(PATIENCE).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(held);
    player.ready::<ImageShare>("lasting").await?;
    player.until::<ImageShare>("passing", "False", "Expired").await?;
    player.until_shared_with(1, 1..=2).await?;
    assert_eq!(player.removed().await?, Vec::<String>::new());
    behind.audit(&[&player], &[]).await
}

#[tokio::test]
async fn behind_a_held_watch_of_images_no_call_is_made_for_an_image_that_changed() -> Result<()> {
    let (_alone, behind) = alone().await?;
    let player = behind.player().await?;
    let held = blindfold(behind, "cloudimages").await?;
    player.ask_for_a_look::<CloudImage>("golden", "unseen").await?;
    let since = behind.proxy.last();
    player.share("team", 1..=2).await?;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(player.calls(MODIFY).await?, Vec::<Value>::new(), "an intent upon a stale image is no intent");
    let calls = behind.proxy.calls();
    let about = player.image_id(1);
    let looks = calls.iter().filter(|c| c.seq > since && c.path.contains(&about)).count();
    assert!(looks <= 4, "{looks} calls in {A_WHILE:?} of a stale view");
    drop(held);
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=2).await?;
    behind.audit(&[&player], &[]).await
}
