//! Shares from other namespaces: only where the image's owner consents, and only for as long.

use std::collections::BTreeMap;

use anyhow::Result;
use imageshare_operator::api::{CloudImage, ImageShare};
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use support::Player;
use support::sights::MODIFY;

/// The owner of an image, and somebody in another namespace.
async fn host_and_guest() -> Result<(Player, Player)> {
    let host = Player::with_image().await?;
    let guest = host.guest().await?;
    Ok((host, guest))
}

async fn share_of(guest: &Player, host: &Player, name: &str, image: &str, n: u32) -> Result<()> {
    let namespace = host.namespace.name().to_owned();
    guest
        .share_with(name, &[guest.recipient(n)], |share| {
            share.image_ref = serde_json::from_value(json!({"name": image, "namespace": namespace})).unwrap();
        })
        .await
}

async fn admit(host: &Player, namespaces: Value) -> Result<()> {
    host.edit::<CloudImage>("golden", json!({"spec": {"shareableFrom": {"namespaces": namespaces}}})).await
}

async fn label(guest: &Player, label: Option<&str>) -> Result<()> {
    let labels = BTreeMap::from([("team", label)]);
    let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
    let namespaces: Api<Object> = Api::all(guest.client.clone());
    namespaces.patch(guest.namespace.name(), &PatchParams::default(), &patch).await?;
    Ok(())
}

#[tokio::test]
async fn absent_and_not_admitted_look_the_same_from_outside() -> Result<()> {
    let (host, guest) = host_and_guest().await?;
    share_of(&guest, &host, "refused", "golden", 1).await?;
    share_of(&guest, &host, "absent", "no-such-image", 1).await?;
    let refused = guest.until::<ImageShare>("refused", "False", "ImageRefUnresolved").await?;
    let absent = guest.until::<ImageShare>("absent", "False", "ImageRefUnresolved").await?;
    let of_the_same_name = Player::message(&absent, "Ready")?.replace("no-such-image", "golden");
    assert_eq!(Player::message(&refused, "Ready")?, of_the_same_name);
    host.look_now::<CloudImage>("golden", "1").await?;
    assert!(host.calls(MODIFY).await?.is_empty(), "nothing is sent for a share without consent");
    // It does not keep the image either.
    host.delete::<CloudImage>("golden").await?;
    host.gone::<CloudImage>("golden").await?;
    guest.delete::<ImageShare>("refused").await?;
    guest.gone::<ImageShare>("refused").await
}

#[tokio::test]
async fn an_image_open_to_all_namespaces_is_shared_from_another_and_revoked_when_closed() -> Result<()> {
    let (host, guest) = host_and_guest().await?;
    host.share("own", [5]).await?;
    host.ready::<ImageShare>("own").await?;
    share_of(&guest, &host, "team", "golden", 1).await?;
    guest.until::<ImageShare>("team", "False", "ImageRefUnresolved").await?;
    admit(&host, json!({"from": "All"})).await?;
    guest.ready::<ImageShare>("team").await?;
    host.until_shared_with(1, [1, 5]).await?;
    admit(&host, json!({"from": "Same"})).await?;
    host.until_shared_with(1, [5]).await?;
    guest.until::<ImageShare>("team", "False", "ImageRefUnresolved").await?;
    host.ready::<ImageShare>("own").await?;
    assert_eq!(host.removed().await?, host.recipients([1]));
    guest.delete::<ImageShare>("team").await?;
    guest.gone::<ImageShare>("team").await
}

#[tokio::test]
async fn a_namespace_is_admitted_by_its_labels_for_as_long_as_it_has_them() -> Result<()> {
    let (host, guest) = host_and_guest().await?;
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"team": "golden"}}});
    admit(&host, selector).await?;
    host.ready::<CloudImage>("golden").await?;
    share_of(&guest, &host, "team", "golden", 1).await?;
    guest.until::<ImageShare>("team", "False", "ImageRefUnresolved").await?;
    label(&guest, Some("golden")).await?;
    guest.ready::<ImageShare>("team").await?;
    host.until_shared_with(1, [1]).await?;
    label(&guest, Some("silver")).await?;
    host.until_shared_with(1, []).await?;
    guest.until::<ImageShare>("team", "False", "ImageRefUnresolved").await?;
    label(&guest, Some("golden")).await?;
    guest.ready::<ImageShare>("team").await?;
    label(&guest, None).await?;
    host.until_shared_with(1, []).await?;
    Ok(())
}
