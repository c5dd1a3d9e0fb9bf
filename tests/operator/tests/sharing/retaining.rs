//! `deletionPolicy: Retain` by whom, and what a suspended share keeps.

use anyhow::Result;
use imageshare_operator::api::image_share::{ImageShareSpec, ShareDeletionPolicy};
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::{Value, json};

use support::sights::MODIFY;
use support::{Player, condition};

/// An owner whose image all namespaces may use, and somebody in another namespace.
async fn host_and_guest(shareable_from: Value) -> Result<(Player, Player)> {
    let host = Player::enter().await?;
    host.account(|_| {}).await?;
    host.image("golden", |image| image.shareable_from = serde_json::from_value(shareable_from).unwrap()).await?;
    let guest = host.guest().await?;
    Ok((host, guest))
}

/// A share of the host's image with `deletionPolicy: Retain`.
async fn retaining_share(guest: &Player, host: &Player, n: u32) -> Result<()> {
    let namespace = host.namespace.name().to_owned();
    let retaining = |share: &mut ImageShareSpec| {
        share.image_ref = serde_json::from_value(json!({"name": "golden", "namespace": namespace})).unwrap();
        share.deletion_policy = ShareDeletionPolicy::Retain;
    };
    guest.share_with("keeping", &[guest.recipient(n)], retaining).await
}

#[tokio::test]
async fn a_share_whose_consent_was_withdrawn_keeps_no_access_by_retain() -> Result<()> {
    let from_all = json!({"namespaces": {"from": "All"}, "retain": "Allow"});
    let (host, guest) = host_and_guest(from_all).await?;
    retaining_share(&guest, &host, 9).await?;
    guest.ready::<ImageShare>("keeping").await?;
    // The revoke takes a while, in which the guest deletes its share.
    let throttle = json!({"kind": "throttle"});
    host.fault(json!({"action": MODIFY, "account": host.owner()}), 4, throttle).await?;
    let withheld = json!({"spec": {"shareableFrom": {"namespaces": {"from": "Same"}}}});
    host.edit::<CloudImage>("golden", withheld).await?;
    let revoking = |image: &Value| image["status"]["grants"][0]["state"] == "Revoking";
    host.until_it::<CloudImage>("golden", "the revoke is under way", revoking).await?;
    guest.delete::<ImageShare>("keeping").await?;
    guest.gone::<ImageShare>("keeping").await?;
    host.until_shared_with(1, []).await?;
    let image = host.get::<CloudImage>("golden").await?;
    assert_eq!(image["status"]["grants"], Value::Null, "nothing is retained");
    Ok(())
}

#[tokio::test]
async fn a_guests_retain_counts_only_where_the_image_allows_it() -> Result<()> {
    let (host, guest) = host_and_guest(json!({"namespaces": {"from": "All"}})).await?;
    retaining_share(&guest, &host, 9).await?;
    let share = guest.ready::<ImageShare>("keeping").await?;
    assert!(Player::message(&share, "Ready")?.contains("shareableFrom.retain"), "{share}");
    guest.delete::<ImageShare>("keeping").await?;
    guest.gone::<ImageShare>("keeping").await?;
    host.until_shared_with(1, []).await?;

    host.edit::<CloudImage>("golden", json!({"spec": {"shareableFrom": {"retain": "Allow"}}})).await?;
    retaining_share(&guest, &host, 9).await?;
    guest.ready::<ImageShare>("keeping").await?;
    guest.delete::<ImageShare>("keeping").await?;
    guest.gone::<ImageShare>("keeping").await?;
    // What is left behind is shown where the owner looks.
    let image = host.until_condition::<CloudImage>("golden", "Retained", "True", "Retained").await?;
    assert!(Player::message(&image, "Retained")?.contains(&host.recipient(9)), "{image}");
    assert_eq!(image["status"]["retained"], 1);
    host.event("Retained", &host.recipient(9)).await?;
    assert_eq!(host.shared_with(1).await?, host.recipients([9]));

    // The way back that the condition names.
    host.share("taking-back", [9]).await?;
    host.ready::<ImageShare>("taking-back").await?;
    host.delete::<ImageShare>("taking-back").await?;
    host.gone::<ImageShare>("taking-back").await?;
    host.until_shared_with(1, []).await?;
    let image =
        host.until_it::<CloudImage>("golden", "nothing retained", |image| condition(image, "Retained").is_none());
    assert_eq!(image.await?["status"]["retained"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_suspended_share_keeps_whom_it_loses_from_its_list_until_it_is_active_again() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let only_the_first = json!([{"type": "Account", "id": player.recipient(1)}]);
    player.edit::<ImageShare>("team", json!({"spec": {"suspend": true, "recipients": only_the_first}})).await?;
    player.until::<ImageShare>("team", "False", "Suspended").await?;
    player.look_now::<CloudImage>("golden", "suspended").await?;
    assert_eq!(player.shared_with(1).await?, player.recipients(1..=2));
    assert!(player.removed().await?.is_empty(), "nothing is revoked for a suspended share");
    player.edit::<ImageShare>("team", json!({"spec": {"suspend": false}})).await?;
    player.until_shared_with(1, [1]).await
}

/// `docs/undo-a-deletion.md`, step by step.
#[tokio::test]
async fn an_image_deleted_by_mistake_is_made_again_and_nobody_loses_access() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    player.delete::<CloudImage>("golden").await?;
    player.until_condition::<CloudImage>("golden", "Deletable", "False", "ShareExists").await?;
    player.edit::<ImageShare>("team", json!({"spec": {"deletionPolicy": "Retain"}})).await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.gone::<CloudImage>("golden").await?;
    player.until_shared_with(1, 1..=3).await?;
    player.image("golden", |_| {}).await?;
    player.share("team", 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    assert!(player.removed().await?.is_empty(), "somebody lost access meanwhile");
    player.event("Adopted", "").await?;
    // The new share holds the access: it ends with it.
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await
}
