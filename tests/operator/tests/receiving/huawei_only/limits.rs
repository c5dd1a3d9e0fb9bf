//! How many recipients an image may have: told with the figure before any call, counted as the vendor counts.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudImage, ImageShare, SharedImageAcceptance};
use serde_json::{Value, json};

use super::{ADD, EFFECT, Ground, REMOVE, crowd, projects};
use support::arena::accept;
use support::huawei::{REGION, one_of_the_crowd};
use support::{Player, says};

async fn one_more_waits(extra: Value, limit: u32) -> Result<()> {
    let (ground, image) = Ground::with_image("golden", extra).await?;
    ground.by_hand(&image, crowd(0..limit), json!([])).await?;
    let receiver = ground.project(1);
    ground.share("golden", projects([receiver.clone()])).await?;
    let share = ground.place.until::<ImageShare>("golden", "False", "RecipientLimit").await?;
    says(&share, "Ready", &[&format!("{limit}/{limit}"), &receiver]);
    ground.until_looked(&image, 2).await?;
    ensure!(ground.calls(ADD, &image).await?.is_empty(), "a call that has to fail was sent");

    let leaver = json!([{"type": "project", "id": one_of_the_crowd(3)}]);
    ground.by_hand(&image, json!([]), leaver).await?;
    ground.until_status(&image, &receiver, "pending").await?;
    ground.place.ready::<ImageShare>("golden").await?;
    ensure!(ground.added(&image).await? == [receiver] && ground.calls(ADD, &image).await?.len() == 1);
    ensure!(ground.calls(REMOVE, &image).await?.is_empty(), "a foreign recipient was touched");
    Ok(())
}

#[tokio::test]
async fn the_129th_recipient_and_the_11th_of_a_full_server_wait_before_any_call_until_one_leaves() -> Result<()> {
    let full_server = one_more_waits(json!({"kind": "fullServer"}), 10);
    futures::try_join!(one_more_waits(json!({}), 128), full_server).map(drop)
}

#[tokio::test]
async fn pending_offers_stay_beside_a_full_quota_and_an_acceptance_goes_through_once_there_is_room() -> Result<()> {
    let (ground, image) = Ground::with_image("golden", json!({})).await?;
    let [a, b] = [1, 2].map(|n| ground.project(n));
    ground.share("golden", projects([a.clone(), b.clone()])).await?;
    ground.place.ready::<ImageShare>("golden").await?;
    ground.by_hand(&image, crowd(0..128), json!([])).await?;
    ground.place.until_it::<CloudImage>("golden", "full", |image| image["status"]["recipients"] == "128/128").await?;

    let guest = ground.guest(1).await?;
    accept(&guest, "golden", REGION, &image, &ground.project(0), json!({})).await?;
    let refused = guest.until::<SharedImageAcceptance>("golden", "False", "RecipientLimit").await?;
    ensure!(refused["status"]["state"] == "Pending", "{}", refused["status"]);
    let jobs = ground.by(&a).await?.into_iter().filter(|e| e["action"] == EFFECT).collect::<Vec<_>>();
    ensure!(jobs.iter().any(|job| job["code"] == "IMG.0088"), "the cloud itself refused: {jobs:?}");
    let members = ground.members(&image).await?;
    ensure!(members[&a] == "pending" && members[&b] == "pending");
    ensure!(ground.place.get::<ImageShare>("golden").await?["status"]["summary"] == "2/2");

    ground.by_hand(&image, json!([]), json!([{"type": "project", "id": one_of_the_crowd(9)}])).await?;
    guest.nudge::<SharedImageAcceptance>("golden").await?;
    guest.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    let members = ground.members(&image).await?;
    ensure!(members[&a] == "accepted" && members[&b] == "pending");
    ensure!(ground.calls(REMOVE, &image).await?.is_empty(), "an offer was taken back");
    Ok(())
}

#[tokio::test]
async fn a_full_server_image_is_accepted_into_a_vault_only() -> Result<()> {
    let (ground, image) = Ground::with_image("golden", json!({"kind": "fullServer"})).await?;
    let receiver = ground.project(1);
    ground.share("golden", projects([receiver.clone()])).await?;
    ground.place.ready::<ImageShare>("golden").await?;
    let guest = ground.guest(1).await?;
    accept(&guest, "golden", REGION, &image, &ground.project(0), json!({})).await?;
    let wants = guest.until::<SharedImageAcceptance>("golden", "False", "VaultRequired").await?;
    ensure!(Player::message(&wants, "Ready")?.contains("spec.vaultID"));
    guest.look_now::<SharedImageAcceptance>("golden", "again").await?;
    let answers = |all: Vec<Value>| all.into_iter().filter(|e| e["action"] == "BatchUpdateMembers").count();
    ensure!(answers(ground.by(&receiver).await?) == 0, "an answer that has to fail was sent");

    guest.edit::<SharedImageAcceptance>("golden", json!({"spec": {"vaultID": "vault-1"}})).await?;
    guest.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    ensure!(answers(ground.by(&receiver).await?) == 1 && ground.members(&image).await?[&receiver] == "accepted");
    Ok(())
}
