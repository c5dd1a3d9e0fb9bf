//! One image by several grants: to the project, to its account, to an organization it is in.

use anyhow::{Result, ensure};
use imageshare_operator::api::{ImageShare, SharedImageAcceptance};
use serde_json::{Value, json};

use super::{ADD, Ground, REMOVE};
use support::arena::{Arena as _, accept, until_members};
use support::huawei::REGION;
use support::sights::{ids, strings};
use support::{Player, says};

fn all_kinds(ground: &Ground) -> [Value; 3] {
    [
        json!({"type": "Project", "id": ground.project(4)}),
        json!({"type": "Account", "id": ground.arena.domain(4)}),
        json!({"type": "Organization", "id": ground.arena.unit()}),
    ]
}

#[tokio::test]
async fn an_image_that_came_by_three_grants_names_them_and_stays_usable_after_a_reject() -> Result<()> {
    let (ground, image) = Ground::with_image("golden", json!({})).await?;
    let (project, account, unit) = (ground.project(4), ground.arena.domain(4), ground.arena.unit());
    let [by_project, by_account, by_unit] = all_kinds(&ground);
    ground.share("golden", json!([by_project, by_account, by_unit])).await?;
    ground.place.ready::<ImageShare>("golden").await?;
    let there = |project_said| [(project.as_str(), project_said), (&account, "accepted"), (&unit, "accepted")];
    until_members(&ground.arena, &image, &there("pending")).await?;
    let added = ground.calls(ADD, &image).await?;
    ensure!(added.len() == 1 && strings(&added[0]["parameters"]["add"]).contains(&unit), "by URN: {added:?}");

    let guest = ground.guest(4).await?;
    accept(&guest, "golden", REGION, &image, &ground.project(0), json!({})).await?;
    let accepted = guest.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    let mut all = vec![project.clone(), account.clone(), unit.clone()];
    all.sort();
    ensure!(ids(&accepted["status"]["via"]) == all, "{}", accepted["status"]);

    guest.edit::<SharedImageAcceptance>("golden", json!({"spec": {"decision": "Reject"}})).await?;
    let rejected = guest.until::<SharedImageAcceptance>("golden", "True", "Rejected").await?;
    says(&rejected, "Ready", &["can still be used through", &account, &unit]);
    let message = Player::message(&rejected, "Ready")?;
    ensure!(!message.contains(&project), "it cannot be used through what was rejected: {message}");
    until_members(&ground.arena, &image, &there("rejected")).await?;

    ground.reshare("golden", json!([by_project, by_account])).await?;
    until_members(&ground.arena, &image, &[(&project, "rejected"), (&account, "accepted")]).await?;
    let removed = ground.calls(REMOVE, &image).await?;
    let bare = unit.rsplit('/').next().unwrap().to_owned();
    ensure!(removed.len() == 1 && strings(&removed[0]["parameters"]["remove"]) == [bare], "{removed:?}");
    ground.reshare("golden", json!([by_account])).await?;
    until_members(&ground.arena, &image, &[(&account, "accepted")]).await?;
    guest
        .until_it::<SharedImageAcceptance>("golden", "one grant left", |found| {
            ids(&found["status"]["via"]) == [account.clone()]
        })
        .await?;
    ensure!(ground.removed(&image).await? == [unit, project], "each ended once, and nothing else");
    Ok(())
}

#[tokio::test]
async fn an_image_that_came_by_the_account_alone_needs_no_answer_and_cannot_be_rejected() -> Result<()> {
    let (ground, image) = Ground::with_image("golden", json!({})).await?;
    ground.share("golden", json!([{"type": "Account", "id": ground.arena.domain(1)}])).await?;
    ground.place.ready::<ImageShare>("golden").await?;
    ground.place.until_condition::<ImageShare>("golden", "Accepted", "True", "Accepted").await?;
    let guest = ground.guest(1).await?;
    accept(&guest, "golden", REGION, &image, &ground.arena.owner().id, json!({})).await?;
    let there = guest.until::<SharedImageAcceptance>("golden", "True", "NoAnswerNeeded").await?;
    ensure!(ids(&there["status"]["via"]) == [ground.arena.domain(1)], "{}", there["status"]);
    guest.edit::<SharedImageAcceptance>("golden", json!({"spec": {"decision": "Reject"}})).await?;
    guest.until::<SharedImageAcceptance>("golden", "False", "NoAnswerNeeded").await?;
    let answers = ground.by(&ground.project(1)).await?;
    ensure!(answers.iter().all(|entry| entry["action"] != "BatchUpdateMembers"), "{answers:?}");
    Ok(())
}
