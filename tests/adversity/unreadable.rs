//! An `ImageShare` that cannot be read as one: the definition is loosened here, as a newer version of it might be.

use anyhow::Result;
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudImage, ImageShare};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::behind;
use crate::support::sights::strings;
use crate::support::{PATIENCE, Player};

fn untyped(player: &Player) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("imageshare.dev", "v1alpha1", "ImageShare"));
    Api::namespaced_with(player.client.clone(), player.namespace.name(), &kind)
}

fn to_a_planet(player: &Player, numbers: impl IntoIterator<Item = u32>) -> Value {
    let accounts = numbers.into_iter().map(|n| json!({"type": "Account", "id": player.recipient(n)}));
    accounts.chain([json!({"type": "Planet", "id": "Mars"})]).collect()
}

/// Lets the API server take recipients of any kind; this operator knows three.
async fn loosen(player: &Player) -> Result<()> {
    static LOOSE: OnceCell<()> = OnceCell::const_new();
    LOOSE
        .get_or_try_init(async || {
            let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/recipients/items/properties\
                        /type/enum";
            let removal = json!([{"op": "remove", "path": path}]).to_string();
            let definition = "imageshares.imageshare.dev";
            let arguments = ["patch", "customresourcedefinition", definition, "--type=json", "-p", &removal];
            player.stage.control_plane.kubectl(&arguments).await?;
            let object = json!({
                "apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare", "metadata": {"name": "probe"},
                "spec": {"imageRef": {"name": "none"}, "recipients": to_a_planet(player, [])},
            });
            let object = serde_json::from_value(object)?;
            let params = PostParams { dry_run: true, ..PostParams::default() };
            eventually(PATIENCE, "the loosened definition to be served", async || {
                untyped(player).create(&params, &object).await?;
                Ok(Some(()))
            })
            .await
        })
        .await
        .copied()
}

async fn garble(player: &Player, name: &str, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"recipients": to_a_planet(player, numbers)}}));
    untyped(player).patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn mend(player: &Player, name: &str, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
    let accounts: Vec<Value> =
        numbers.into_iter().map(|n| json!({"type": "Account", "id": player.recipient(n)})).collect();
    let patch = Patch::Merge(json!({"spec": {"recipients": accounts}}));
    untyped(player).patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Creates a share that no version of it could ever be read of.
async fn create_garbled(player: &Player, name: &str, image: Value) -> Result<()> {
    let object = json!({
        "apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare", "metadata": {"name": name},
        "spec": {"imageRef": image, "recipients": to_a_planet(player, [1])},
    });
    untyped(player).create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

async fn until_seen(player: &Player, ask: &str) -> Result<()> {
    player.look_now::<CloudImage>("golden", &format!("{ask} 1")).await?;
    player.look_now::<CloudImage>("golden", &format!("{ask} 2")).await?;
    Ok(())
}

#[tokio::test]
async fn a_share_that_cannot_be_read_any_more_blocks_revokes_on_its_image_and_nothing_else() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    player.image("other", |spec| spec.image_id = player.image_id(2)).await?;
    player.share("team", 1..=2).await?;
    player.share("leaving", 3..=4).await?;
    player.share_with("elsewhere", &[player.recipient(5)], |spec| spec.image_ref.name = "other".into()).await?;
    for share in ["team", "leaving", "elsewhere"] {
        player.ready::<ImageShare>(share).await?;
    }
    garble(&player, "team", [1, 3]).await?;
    until_seen(&player, "garbled").await?;
    player.delete::<ImageShare>("leaving").await?;
    player.delete::<ImageShare>("elsewhere").await?;
    player.gone::<ImageShare>("elsewhere").await?;
    player.until_shared_with(2, []).await?;
    player.share("late", [6]).await?;
    player.until_shared_with(1, [1, 2, 3, 4, 6]).await?;
    until_seen(&player, "deleted").await?;
    assert!(player.removed().await?.iter().all(|id| *id == player.recipient(5)), "it may want anybody");
    assert!(player.api::<ImageShare>().get_opt("leaving").await?.is_some(), "its grants have not ended");
    // Who waits for an end is told for whom, on the image and on the share that cannot go.
    let team = format!("{}/team", player.namespace.name());
    let image = player.until_condition::<CloudImage>("golden", "Deletable", "False", "Unreadable").await?;
    assert!(Player::message(&image, "Deletable")?.contains(&team));
    let waits = |share: &Value| Player::message(share, "Ready").is_ok_and(|message| message.contains(&team));
    player.until_it::<ImageShare>("leaving", "the cause is told", waits).await?;
    mend(&player, "team", [1, 3]).await?;
    player.until_shared_with(1, [1, 3, 6]).await?;
    player.gone::<ImageShare>("leaving").await?;
    player.ready::<ImageShare>("team").await?;
    assert!(!player.removed().await?.contains(&player.recipient(3)), "the mended share wishes it");
    behind.audit(&[&player], &[]).await
}

#[tokio::test]
async fn a_share_that_could_never_be_read_blocks_revokes_too_until_it_is_mended() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    create_garbled(&player, "garbled", json!({"name": "golden"})).await?;
    until_seen(&player, "garbled").await?;
    player.reshare("team", [2]).await?;
    until_seen(&player, "edited").await?;
    assert_eq!(player.removed().await?, Vec::<String>::new(), "it may want 1, and does");
    mend(&player, "garbled", [1]).await?;
    player.ready::<ImageShare>("garbled").await?;
    player.until_shared_with(1, 1..=2).await?;
    assert_eq!(player.removed().await?, Vec::<String>::new());
    player.delete::<ImageShare>("garbled").await?;
    player.gone::<ImageShare>("garbled").await?;
    player.until_shared_with(1, 2..=2).await?;
    behind.audit(&[&player], &[]).await
}

#[tokio::test]
async fn a_share_that_cannot_be_read_and_has_no_consent_blocks_nothing() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    let guest = player.guest().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let abroad = json!({"name": "golden", "namespace": player.namespace.name()});
    create_garbled(&guest, "garbled", abroad.clone()).await?;
    let id = [player.recipient(9)];
    guest.share_with("spoilt", &id, |spec| spec.image_ref = serde_json::from_value(abroad).unwrap()).await?;
    guest.until::<ImageShare>("spoilt", "False", "ImageRefUnresolved").await?;
    garble(&guest, "spoilt", [9]).await?;
    until_seen(&player, "garbled").await?;
    player.reshare("team", [2]).await?;
    player.until_shared_with(1, 2..=2).await?;
    assert_eq!(strings(&json!(player.removed().await?)), player.recipients([1]));
    behind.audit(&[&player, &guest], &[]).await
}
