//! An `ImageShare` that cannot be read as one: the definition is loosened here, as a newer version of it might be.

use anyhow::Result;
use imageshare_operator::api::{CloudImage, ImageShare};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::behind;
use crate::loosened::{create, loosen, share, to_a_planet};
use support::sights::strings;
use support::{Player, message, says};

async fn garble(player: &Player, name: &str, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"recipients": to_a_planet(player, numbers)}}));
    player.raw::<ImageShare>().patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn mend(player: &Player, name: &str, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
    let accounts: Vec<Value> =
        numbers.into_iter().map(|n| json!({"type": "Account", "id": player.recipient(n)})).collect();
    let patch = Patch::Merge(json!({"spec": {"recipients": accounts}}));
    player.raw::<ImageShare>().patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Creates a share that no version of it could ever be read of.
async fn create_garbled(player: &Player, name: &str, image: Value) -> Result<()> {
    create::<ImageShare>(player, name, &share(image, &to_a_planet(player, [1]))).await
}

async fn until_seen(player: &Player, ask: &str) -> Result<()> {
    player.look_now::<CloudImage>("golden", &format!("{ask} 1")).await?;
    player.look_now::<CloudImage>("golden", &format!("{ask} 2")).await?;
    Ok(())
}

#[tokio::test]
async fn a_share_that_cannot_be_read_any_more_keeps_whom_it_names_and_says_so() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    player.share("team", 1..=2).await?;
    player.share("leaving", 3..=4).await?;
    for share in ["team", "leaving"] {
        player.ready::<ImageShare>(share).await?;
    }
    garble(&player, "team", 1..=3).await?;
    let team = player.until::<ImageShare>("team", "False", "Unreadable").await?;
    says(&team, "Ready", &["spec.recipients[3].type: unknown variant `Planet`", "until the field is mended"]);
    says(&team, "Stalled", &["spec.recipients[3].type"]);
    until_seen(&player, "garbled").await?;
    player.delete::<ImageShare>("leaving").await?;
    player.gone::<ImageShare>("leaving").await?;
    player.until_shared_with(1, 1..=3).await?;
    player.share("late", [6]).await?;
    player.ready::<ImageShare>("late").await?;
    player.until_shared_with(1, [1, 2, 3, 6]).await?;
    assert_eq!(player.removed().await?, player.recipients([4]), "nobody else may lose anything, and 4 must");
    player.event("Unreadable", "spec.recipients[3].type").await?;
    // Nothing is written while nothing changes.
    let before = player.get::<ImageShare>("team").await?;
    until_seen(&player, "calm").await?;
    assert_eq!(
        player.get::<ImageShare>("team").await?["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"]
    );
    mend(&player, "team", [1, 3]).await?;
    player.until_shared_with(1, [1, 3, 6]).await?;
    let mended = player.ready::<ImageShare>("team").await?;
    assert_eq!(message(&mended, "Stalled"), "", "nothing of it may be left: {}", mended["status"]);
    assert!(!player.removed().await?.contains(&player.recipient(3)), "the mended share wishes it");
    behind.audit(&[&player], &[]).await
}

#[tokio::test]
async fn a_share_that_cannot_be_read_ends_like_any_other_when_it_is_deleted() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    player.share("team", 1..=2).await?;
    player.share("others", 2..=3).await?;
    player.ready::<ImageShare>("team").await?;
    player.ready::<ImageShare>("others").await?;
    garble(&player, "team", 1..=2).await?;
    player.until::<ImageShare>("team", "False", "Unreadable").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    assert_eq!(player.shared_with(1).await?, player.recipients(2..=3), "it went before its access had ended");
    // One that never had a finalizer goes at once.
    create_garbled(&player, "garbled", json!({"name": "golden"})).await?;
    player.until::<ImageShare>("garbled", "False", "Unreadable").await?;
    player.delete::<ImageShare>("garbled").await?;
    player.gone::<ImageShare>("garbled").await?;
    player.ready::<ImageShare>("others").await?;
    behind.audit(&[&player], &[]).await
}

#[tokio::test]
async fn a_share_that_could_never_be_read_keeps_whom_it_names_until_it_is_mended() -> Result<()> {
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
    garble(&guest, "spoilt", [1, 9]).await?;
    guest.until::<ImageShare>("spoilt", "False", "Unreadable").await?;
    guest.until::<ImageShare>("garbled", "False", "Unreadable").await?;
    until_seen(&player, "garbled").await?;
    player.reshare("team", [2]).await?;
    player.until_shared_with(1, 2..=2).await?;
    assert_eq!(strings(&json!(player.removed().await?)), player.recipients([1]));
    for share in ["garbled", "spoilt"] {
        guest.delete::<ImageShare>(share).await?;
        guest.gone::<ImageShare>(share).await?;
    }
    behind.audit(&[&player, &guest], &[]).await
}
