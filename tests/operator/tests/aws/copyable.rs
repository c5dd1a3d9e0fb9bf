//! Recipients that can copy an image as well: permissions on its snapshots, given before the image is, taken back after it, and
//! only those that the operator gave.

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::image_replica::ImageReplicaSpec;
use imageshare_operator::api::{CloudImage, ImageReplica, ImageShare};
use serde_json::{Value, json};

use crate::with_image;
use support::aws::{Aws, CHANGE, CHANGE_SNAPSHOT, LIST_SNAPSHOT, OTHER_REGION, REGION, copyable, one_of_the_crowd};
use support::sights::strings;
use support::{PATIENCE, condition, says};

/// Two snapshots of a test's own, of the owner.
async fn two_snapshots(here: &Aws) -> Result<[String; 2]> {
    let ids = [(); 2].map(|()| format!("snap-0{:016x}", rand::random::<u64>()));
    for id in &ids {
        let spec = json!({"id": id, "region": REGION, "owner": here.account(0)});
        here.place.stage.cloud.post("/aws/snapshots", &spec).await?;
    }
    Ok(ids)
}

/// When a call first gave something to somebody, or took it: the journal's own count.
async fn first(here: &Aws, action: &str, of: &str, effect: &str, who: &str) -> Result<u64> {
    let calls = here.calls(action, of).await?;
    let found = calls.iter().find(|call| strings(&call["effect"][effect]).iter().any(|id| id == who));
    found.and_then(|call| call["seq"].as_u64()).with_context(|| format!("no {effect} of {who} at {of}: {calls:?}"))
}

/// The owner does what the recipient needs to copy, with nothing but the field; and takes all of it back.
#[tokio::test]
async fn a_copyable_recipient_copies_the_image_and_loses_both_permissions_in_order() -> Result<()> {
    let (here, _) = with_image(json!({})).await?;
    let snapshots = two_snapshots(&here).await?;
    let image = here.image("two", json!({"snapshots": snapshots})).await?;
    let (copier, other) = (here.account(1), here.account(2));
    here.share_copyable("two", "two", [copier.clone()]).await?;
    let share = here.place.ready::<ImageShare>("two").await?;
    ensure!(share["status"]["summary"] == "1/1", "{}", share["status"]);
    let shared = first(&here, CHANGE, &image, "added", &copier).await?;
    for snapshot in &snapshots {
        ensure!(here.copiers(snapshot).await? == std::slice::from_ref(&copier));
        ensure!(here.calls(CHANGE_SNAPSHOT, snapshot).await?.len() == 1);
        ensure!(first(&here, CHANGE_SNAPSHOT, snapshot, "added", &copier).await? < shared, "copied before it is seen");
    }
    here.place.event("CopyAllowed", &copier).await?;

    let place = here.receiver(1, false).await?;
    let received =
        json!({"accountRef": {"name": "golden"}, "region": REGION, "imageID": image, "owner": here.account(0)});
    let spec: ImageReplicaSpec = serde_json::from_value(json!({"source": {"received": received},
        "destination": {"region": OTHER_REGION, "name": "two of another"}}))?;
    place.create(ImageReplica::new("copy", spec)).await?;
    place.until::<ImageReplica>("copy", "True", "Replicated").await?;

    let both = json!([{"type": "Account", "id": copier, "copyable": true}, {"type": "Account", "id": other}]);
    here.place.edit::<ImageShare>("two", json!({"spec": {"recipients": both}})).await?;
    here.until_shared_with(&image, [copier.clone(), other.clone()]).await?;
    ensure!(here.copiers(&snapshots[0]).await? == [copier.clone()], "who did not ask to copy cannot");
    here.place.delete::<ImageShare>("two").await?;
    here.place.gone::<ImageShare>("two").await?;
    let unshared = first(&here, CHANGE, &image, "removed", &copier).await?;
    for snapshot in &snapshots {
        ensure!(here.copiers(snapshot).await?.is_empty(), "released while {snapshot} is shared");
        ensure!(
            first(&here, CHANGE_SNAPSHOT, snapshot, "removed", &copier).await? > unshared,
            "seen, and not to be copied"
        );
    }
    here.place.event("CopyEnded", &copier).await?;
    let left = here.place.get::<CloudImage>("two").await?;
    ensure!(left["status"]["copies"].is_null() && left["status"]["snapshots"].is_null(), "{}", left["status"]);
    Ok(())
}

#[tokio::test]
async fn at_rest_the_snapshots_are_read_once_each_and_nothing_is_changed() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let snapshot = here.snapshots_of(&image).await?.remove(0);
    here.share_copyable("golden", "golden", (1..=20).map(one_of_the_crowd)).await?;
    here.place.ready::<ImageShare>("golden").await?;
    ensure!(here.calls(CHANGE_SNAPSHOT, &snapshot).await?.len() == 1, "twenty accounts are one call");
    let settled = here.place.looked::<CloudImage>("golden").await?;
    let reads = here.calls(LIST_SNAPSHOT, &snapshot).await?.len();
    let after = here.place.looked::<CloudImage>("golden").await?;
    ensure!(here.calls(LIST_SNAPSHOT, &snapshot).await?.len() == reads + 1);
    ensure!(here.calls(CHANGE_SNAPSHOT, &snapshot).await?.len() == 1);
    ensure!(settled["status"]["copies"] == after["status"]["copies"], "{}", after["status"]);
    Ok(())
}

/// Somebody shared the snapshot by hand before: with a stranger, and with our recipient.
#[tokio::test]
async fn permissions_that_others_gave_stay_when_the_share_ends() -> Result<()> {
    let (here, _) = with_image(json!({})).await?;
    let snapshots = two_snapshots(&here).await?;
    here.image("two", json!({"snapshots": snapshots})).await?;
    let (copier, stranger) = (here.account(1), one_of_the_crowd(7));
    here.by_hand(&snapshots[0], &[&copier, &stranger], &[]).await?;
    here.share_copyable("two", "two", [copier.clone()]).await?;
    here.place.ready::<ImageShare>("two").await?;
    here.until_copiers(&snapshots[1], [copier.clone()]).await?;
    here.place.delete::<ImageShare>("two").await?;
    here.place.gone::<ImageShare>("two").await?;
    ensure!(here.copiers(&snapshots[1]).await?.is_empty());
    let mut stay = vec![copier, stranger];
    stay.sort();
    ensure!(here.copiers(&snapshots[0]).await? == stay);
    ensure!(here.calls(CHANGE_SNAPSHOT, &snapshots[0]).await?.is_empty(), "what is not ours is left alone");
    Ok(())
}

/// Two images of one account stand on the same snapshot; each is shared with the same account.
#[tokio::test]
async fn a_snapshot_of_two_images_stays_shared_until_the_last_of_them_ends() -> Result<()> {
    let (here, _) = with_image(json!({})).await?;
    let [common, alone] = two_snapshots(&here).await?;
    here.image("one", json!({"snapshots": [common, alone]})).await?;
    here.image("other", json!({"snapshots": [common]})).await?;
    let copier = here.account(1);
    for name in ["one", "other"] {
        here.share_copyable(name, name, [copier.clone()]).await?;
        here.place.ready::<ImageShare>(name).await?;
    }
    ensure!(here.calls(CHANGE_SNAPSHOT, &common).await?.len() == 1, "one call gave it");
    here.place.delete::<ImageShare>("one").await?;
    here.place.gone::<ImageShare>("one").await?;
    ensure!(here.copiers(&alone).await?.is_empty());
    ensure!(here.copiers(&common).await? == [copier.clone()], "the other image needs it");
    ensure!(here.calls(CHANGE_SNAPSHOT, &common).await?.len() == 1, "not even for a moment was it taken back");
    here.place.looked::<CloudImage>("other").await?;
    here.place.ready::<ImageShare>("other").await?;

    here.place.delete::<ImageShare>("other").await?;
    here.place.gone::<ImageShare>("other").await?;
    ensure!(here.copiers(&common).await?.is_empty(), "handed over, and then forgotten");
    Ok(())
}

#[tokio::test]
async fn two_images_with_a_common_snapshot_that_end_at_once_leave_nothing() -> Result<()> {
    let (here, _) = with_image(json!({})).await?;
    let snapshots = two_snapshots(&here).await?;
    for name in ["one", "other"] {
        here.image(name, json!({"snapshots": snapshots})).await?;
        here.share_copyable(name, name, [here.account(1), here.account(2)]).await?;
        here.place.ready::<ImageShare>(name).await?;
    }
    for name in ["one", "other"] {
        here.place.delete::<ImageShare>(name).await?;
    }
    for name in ["one", "other"] {
        here.place.gone::<ImageShare>(name).await?;
    }
    for snapshot in &snapshots {
        ensure!(here.copiers(snapshot).await?.is_empty());
    }
    Ok(())
}

/// A snapshot outlives its image: whoever may copy it still could.
#[tokio::test]
async fn the_snapshots_of_a_deregistered_image_are_taken_back_before_its_objects_go() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let snapshot = here.snapshots_of(&image).await?.remove(0);
    here.share_copyable("golden", "golden", [here.account(1)]).await?;
    here.place.ready::<ImageShare>("golden").await?;
    here.patch_image(&image, json!({"delete": true})).await?;
    here.place.nudge::<CloudImage>("golden").await?;
    here.place.until::<CloudImage>("golden", "False", "ImageNotFound").await?;
    ensure!(here.copiers(&snapshot).await? == [here.account(1)], "the share still asks for it");
    here.place.delete::<ImageShare>("golden").await?;
    here.place.delete::<CloudImage>("golden").await?;
    here.place.gone::<ImageShare>("golden").await?;
    here.place.gone::<CloudImage>("golden").await?;
    ensure!(here.copiers(&snapshot).await?.is_empty());
    Ok(())
}

/// What a team asks for must not stop what others get, nor what must end.
#[tokio::test]
async fn an_owner_without_permission_on_snapshots_still_shares_with_everybody_else() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let snapshot = here.snapshots_of(&image).await?.remove(0);
    let denied =
        json!({"kind": "refuse", "status": 403, "code": "UnauthorizedOperation", "message": "You are not authorized"});
    let when = json!({"action": LIST_SNAPSHOT, "account": here.account(0)});
    let fault = json!({"when": when, "then": denied});
    here.place.stage.cloud.post_fault(&fault).await?;
    here.share_copyable("copying", "golden", [here.account(1)]).await?;
    here.share("golden", [here.account(2)]).await?;
    here.place.ready::<ImageShare>("golden").await?;
    let waits = here.place.until_waiting("copying", "CopyRefused", &[(&here.account(1), "CopyRefused")]).await?;
    says(&waits, "Ready", &["the condition Copyable of the CloudImage"]);
    let told = here.place.until_condition::<CloudImage>("golden", "Copyable", "False", "PermissionDenied").await?;
    says(&told, "Copyable", &["UnauthorizedOperation"]);
    ensure!(condition(&told, "Ready").is_some_and(|ready| ready.status == "True"), "{}", told["status"]);
    here.until_shared_with(&image, [here.account(2)]).await?;
    here.place.delete::<ImageShare>("golden").await?;
    here.place.gone::<ImageShare>("golden").await?;
    ensure!(here.shared_with(&image).await? == Some(Vec::new()));

    // No other test of this world has faults.
    here.place.stage.cloud.clear_faults().await?;
    here.place.nudge::<CloudImage>("golden").await?;
    here.place.ready::<ImageShare>("copying").await?;
    ensure!(here.copiers(&snapshot).await? == [here.account(1)]);
    here.place.until_it::<CloudImage>("golden", "nothing in the way", |it| condition(it, "Copyable").is_none()).await?;
    Ok(())
}

/// A snapshot of the default key can be shared with nobody; without copyable recipients the image would not be either.
#[tokio::test]
async fn an_image_of_the_default_key_lets_nobody_copy_and_says_why() -> Result<()> {
    let (here, _) = with_image(json!({})).await?;
    let image = here.image("default", json!({"encryption": "default"})).await?;
    here.share_copyable("default", "default", [here.account(1)]).await?;
    let told = here.place.until_condition::<CloudImage>("default", "Copyable", "False", "ImageNotShareable").await?;
    says(&told, "Copyable", &["default key", "ImageReplica"]);
    here.place.until_waiting("default", "CopyRefused", &[(&here.account(1), "CopyRefused")]).await?;
    ensure!(here.shared_with(&image).await? == Some(Vec::new()));
    here.place.delete::<ImageShare>("default").await?;
    here.place.gone::<ImageShare>("default").await?;
    Ok(())
}

/// A tenant that the owner does not admit asks for everything, and gets nothing, not even a call.
#[tokio::test]
async fn a_copyable_recipient_of_a_share_without_consent_costs_no_call() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let snapshot = here.snapshots_of(&image).await?.remove(0);
    let guest = here.place.guest().await?;
    let spec = json!({"imageRef": {"name": "golden", "namespace": here.place.namespace.name()},
        "recipients": copyable([here.account(1)])});
    guest.create(ImageShare::new("guest", serde_json::from_value(spec)?)).await?;
    guest.until::<ImageShare>("guest", "False", "ImageRefUnresolved").await?;
    here.place.looked::<CloudImage>("golden").await?;
    ensure!(here.about(&snapshot).await?.is_empty() && here.asked_to_add(&image).await?.is_empty());
    Ok(())
}

/// Undone by the owner: the field goes, and the recipient keeps the image.
#[tokio::test]
async fn copyable_taken_out_of_a_share_ends_the_copying_alone() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let snapshot = here.snapshots_of(&image).await?.remove(0);
    here.share_copyable("golden", "golden", [here.account(1)]).await?;
    here.place.ready::<ImageShare>("golden").await?;
    here.reshare("golden", [here.account(1)]).await?;
    here.until_copiers(&snapshot, []).await?;
    let ended = |image: &Value| image["status"]["copies"].is_null();
    here.place.until_it::<CloudImage>("golden", "nobody copies", ended).await?;
    here.place.ready::<ImageShare>("golden").await?;
    ensure!(here.removed(&image).await?.is_empty() && here.shared_with(&image).await? == Some(vec![here.account(1)]));

    here.by_hand(&snapshot, &[&here.account(1)], &[]).await?;
    here.place.edit::<ImageShare>("golden", json!({"spec": {"recipients": copyable([here.account(1)])}})).await?;
    eventually(PATIENCE, "the share to be ready", async || {
        let share = here.place.get::<ImageShare>("golden").await?;
        ensure!(share["status"]["observedGeneration"] == share["metadata"]["generation"], "{share}");
        Ok(condition(&share, "Ready").filter(|ready| ready.status == "True"))
    })
    .await?;
    Ok(())
}
