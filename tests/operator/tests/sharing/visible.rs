//! Nothing that waits, is paused or left behind looks healthy: `kubectl get` shows it, and what will resolve by itself is not
//! called stalled.

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageReplica, ImageShare};
use serde_json::{Value, json};

use support::{PATIENCE, Player, condition, says};

/// What `kubectl get -o wide` prints of an object, by column.
async fn printed(player: &Player, kind: &str, name: &str) -> Result<Vec<(String, String)>> {
    let namespace = player.namespace.name();
    let text = player.stage.control_plane.kubectl(&["get", kind, name, "-n", namespace, "-o", "wide"]).await?;
    let mut lines = text.lines();
    let (head, row) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    // Columns are aligned by their first character.
    let mut starts: Vec<usize> = vec![0];
    let bytes = head.as_bytes();
    starts.extend((2..bytes.len()).filter(|at| bytes[*at] != b' ' && bytes[at - 1] == b' ' && bytes[at - 2] == b' '));
    let cell = |text: &str, at: usize, end: Option<&usize>| {
        let end = end.copied().unwrap_or(text.len()).min(text.len());
        text.get(at.min(end)..end).unwrap_or_default().trim().to_owned()
    };
    let column = |n: usize| (cell(head, starts[n], starts.get(n + 1)), cell(row, starts[n], starts.get(n + 1)));
    Ok((0..starts.len()).map(column).collect())
}

async fn shows(player: &Player, kind: &str, name: &str, wanted: &[(&str, &str)]) -> Result<()> {
    eventually(PATIENCE, &format!("{kind} {name} to show {wanted:?}"), async || {
        let all = printed(player, kind, name).await?;
        for (column, text) in wanted {
            let found = all.iter().find(|(head, _)| head == column);
            ensure!(found.is_some_and(|(_, cell)| cell.contains(text)), "{column}: {all:?}");
        }
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn an_object_whose_deletion_waits_is_not_ready_and_says_for_whom() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    player.delete::<CloudAccount>("golden").await?;
    let account = player.until::<CloudAccount>("golden", "False", "StillReferenced").await?;
    says(&account, "Ready", &["the deletion waits", "CloudImage golden"]);
    player.event("DeletionBlocked", "CloudImage golden").await?;
    player.delete::<CloudImage>("golden").await?;
    let image = player.until::<CloudImage>("golden", "False", "ShareExists").await?;
    says(&image, "Ready", &["the deletion waits", "/team"]);
    ensure!(image["status"]["imageName"] == "golden", "{}", image["status"]);
    for (kind, holder) in [("cloudaccount", "CloudImage golden"), ("cloudimage", "/team")] {
        shows(&player, kind, "golden", &[("READY", "False"), ("MESSAGE", holder)]).await?;
    }
    player.looked::<CloudImage>("golden").await?;
    player.looked::<ImageShare>("team").await?;
    player.until::<ImageShare>("team", "True", "Shared").await?;
    player.delete::<ImageShare>("team").await?;
    for gone in [player.gone::<ImageShare>("team").await, player.gone::<CloudImage>("golden").await] {
        gone?;
    }
    player.gone::<CloudAccount>("golden").await?;
    ensure!(player.notes("DeletionBlocked").await?.len() == 2, "{:?}", player.notes("DeletionBlocked").await?);
    Ok(())
}

#[tokio::test]
async fn a_suspended_account_says_so_itself() -> Result<()> {
    let player = Player::with_image().await?;
    player.edit::<CloudAccount>("golden", json!({"spec": {"suspend": true}})).await?;
    let account = player.until::<CloudAccount>("golden", "False", "Suspended").await?;
    says(&account, "Ready", &["spec.suspend"]);
    ensure!(condition(&account, "Stalled").is_none() && condition(&account, "Reconciling").is_none(), "{account}");
    player.until::<CloudImage>("golden", "False", "Suspended").await?;
    player.share("team", [1]).await?;
    player.until_waiting("team", "Suspended", &[(&player.recipient(1), "Suspended")]).await?;
    player.edit::<CloudAccount>("golden", json!({"spec": {"suspend": false}})).await?;
    player.ready::<CloudAccount>("golden").await?;
    player.ready::<ImageShare>("team").await?;
    Ok(())
}

#[tokio::test]
async fn recipients_beyond_the_shares_and_an_expiry_are_visible() -> Result<()> {
    let player = Player::with_image().await?;
    player.share_by_hand(1, &[9], &[]).await?;
    player.looked::<CloudImage>("golden").await?;
    let image = player.until_condition::<CloudImage>("golden", "Unmanaged", "True", "UnmanagedRecipients").await?;
    says(&image, "Unmanaged", &[&player.recipient(9)]);
    shows(&player, "cloudimage", "golden", &[("READY", "True"), ("UNMANAGED", "True")]).await?;
    player.share_by_hand(1, &[], &[9]).await?;
    player.looked::<CloudImage>("golden").await?;
    player
        .until_it::<CloudImage>("golden", "nobody unmanaged", |image| condition(image, "Unmanaged").is_none())
        .await?;

    let ids = [player.recipient(1)];
    player
        .share_with("ended", &ids, |share| {
            share.expiration_time = serde_json::from_value(json!("2020-01-01T00:00:00Z")).unwrap();
        })
        .await?;
    player.until_waiting("ended", "Expired", &[(&ids[0], "Expired")]).await?;
    shows(&player, "imageshare", "ended", &[("REASON", "Expired"), ("EXPIRES", "2020-01-01T00:00:00Z")]).await?;
    player.share_with("paused", &ids, |share| share.suspend = true).await?;
    player.until_waiting("paused", "Suspended", &[(&ids[0], "Suspended")]).await?;
    Ok(())
}

/// `Reconciling`, and not `Stalled`.
fn moves(object: &Value) -> bool {
    condition(object, "Reconciling").is_some_and(|c| c.status == "True") && condition(object, "Stalled").is_none()
}

#[tokio::test]
async fn objects_applied_in_any_order_wait_for_each_other_without_being_stalled() -> Result<()> {
    let player = Player::enter().await?;
    player.share("team", [1]).await?;
    let share = player.until::<ImageShare>("team", "False", "ImageRefUnresolved").await?;
    ensure!(moves(&share), "{}", share["status"]);
    player.image("golden", |_| {}).await?;
    let image = player.until::<CloudImage>("golden", "False", "AccountNotFound").await?;
    ensure!(moves(&image), "{}", image["status"]);
    let share = player.until::<ImageShare>("team", "False", "AccountNotFound").await?;
    ensure!(moves(&share), "{}", share["status"]);
    let spec = json!({"alibaba": {"accountID": player.owner(), "site": "International",
        "credentials": {"secretRef": {"name": "golden"}}, "endpoint": player.stage.cloud.cloud()}});
    player.create(CloudAccount::new("golden", serde_json::from_value(spec)?)).await?;
    let account = player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    ensure!(moves(&account), "{}", account["status"]);
    player.account_secret().await?;
    player.nudge::<CloudAccount>("golden").await?;
    player.ready::<ImageShare>("team").await?;
    Ok(())
}

#[tokio::test]
async fn a_share_of_a_copy_that_is_not_begun_yet_names_what_it_waits_for() -> Result<()> {
    let player = Player::enter().await?;
    let replica = json!({"source": {"imageRef": {"name": "golden"}},
        "destination": {"region": "cn-hongkong", "name": "far"}});
    player.create(ImageReplica::new("far", serde_json::from_value(replica)?)).await?;
    player.until::<ImageReplica>("far", "False", "SourceNotReady").await?;
    player
        .share_with("team", &[player.recipient(1)], |share| {
            share.image_ref = serde_json::from_value(json!({"name": "far"})).unwrap();
        })
        .await?;
    let share = player.until::<ImageShare>("team", "False", "ImageRefUnresolved").await?;
    ensure!(moves(&share), "{}", share["status"]);
    says(&share, "Ready", &["ImageReplica"]);
    let guest = player.guest().await?;
    let abroad = json!({"name": "far", "namespace": player.namespace.name()});
    guest
        .share_with("curious", &[player.recipient(1)], |share| {
            share.image_ref = serde_json::from_value(abroad).unwrap();
        })
        .await?;
    let share = guest.until::<ImageShare>("curious", "False", "ImageRefUnresolved").await?;
    ensure!(!share["status"].to_string().contains("ImageReplica"), "{}", share["status"]);
    Ok(())
}
