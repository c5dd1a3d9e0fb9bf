//! What only OpenStack has: private images, a quota that counts everybody, doubled rows, protection.

use std::time::Duration;

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_harness::openstack::NewImage;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use serde_json::{Value, json};

use crate::openstack::Glance;
use support::Player;
use support::arena::{Arena, image, recipients, seat, share, until_members};

/// Glance takes any text for a project.
fn crowd(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{:032x}", 0xc0_ffee_0000 + n)).collect()
}

/// Glance takes one member a call, and here it has one thread: on a busy machine this takes minutes.
async fn until_shared(place: &Player, summary: &str) -> Result<Value> {
    eventually(Duration::from_secs(300), &format!("team to be shared with {summary}"), async || {
        let share = place.get::<ImageShare>("team").await?;
        ensure!(share["status"]["summary"] == summary, "{}", share["status"]["summary"]);
        Ok(Some(share))
    })
    .await
}

async fn placed(arena: &Glance, id: &str, extra: Value) -> Result<Player> {
    let place = seat(arena.player(), &arena.owner(), None).await?;
    image(&place, arena.region(), id, extra).await?;
    Ok(place)
}

#[tokio::test]
async fn the_hundred_and_twenty_ninth_waits_until_one_leaves() -> Result<()> {
    let arena = Glance::enter().await?;
    let id = arena.new_image("golden").await?;
    let place = placed(&arena, &id, json!({})).await?;
    let all = crowd(129);
    share(&place, "team", &all).await?;
    let full = until_shared(&place, "128/129").await?;
    let message = Player::message(&full, "Ready")?;
    ensure!(message.contains("128/128") && message.contains(&all[128]), "{message}");
    ensure!(arena.members(&id).await?.len() == 128);
    ensure!(!arena.refused_for_quota(&id).await?, "a call was sent that the cloud had to refuse");

    place.edit::<ImageShare>("team", json!({"spec": {"recipients": recipients(&all[1..])}})).await?;
    place.ready::<ImageShare>("team").await?;
    let members = arena.members(&id).await?;
    ensure!(members.len() == 128 && members.contains_key(&all[128]) && !members.contains_key(&all[0]));
    Ok(())
}

#[tokio::test]
async fn a_quota_lower_than_the_account_says_is_told_as_the_limit() -> Result<()> {
    let arena = Glance::enter().await?;
    let id = arena.new_image("golden").await?;
    let place = placed(&arena, &id, json!({})).await?;
    let raised = json!({"spec": {"limits": {"recipientsPerImage": 500}}});
    place.edit::<CloudAccount>("golden", raised).await?;
    place.ready::<CloudAccount>("golden").await?;
    share(&place, "team", &crowd(130)).await?;
    until_shared(&place, "128/130").await?;
    let share = place.until::<ImageShare>("team", "False", "RecipientLimit").await?;
    let told = Player::message(&share, "Ready")?;
    ensure!(told.contains("spec.limits.recipientsPerImage") && told.contains("golden"), "{told}");
    ensure!(arena.refused_for_quota(&id).await?, "the cloud was not asked");
    ensure!(arena.members(&id).await?.len() == 128, "those that fit are shared");
    Ok(())
}

#[tokio::test]
async fn a_private_image_is_shared_only_where_that_is_allowed() -> Result<()> {
    let arena = Glance::enter().await?;
    let id = arena.create_image(NewImage { visibility: "private", ..NewImage::default() }).await?;
    let place = placed(&arena, &id, json!({})).await?;
    place.until::<CloudImage>("golden", "False", "ImagePrivate").await?;
    let receiver = arena.receiver(0).id;
    share(&place, "team", std::slice::from_ref(&receiver)).await?;
    let refused = place.until::<ImageShare>("team", "False", "ImagePrivate").await?;
    ensure!(Player::message(&refused, "Ready")?.contains("visibilityChange: Allow"));
    ensure!(arena.visibility(&id).await? == "private");

    place.edit::<CloudImage>("golden", json!({"spec": {"visibilityChange": "Allow"}})).await?;
    place.ready::<ImageShare>("team").await?;
    ensure!(arena.visibility(&id).await? == "shared");
    until_members(&arena, &id, &[(&receiver, "pending")]).await
}

#[tokio::test]
async fn members_that_the_change_of_visibility_revives_are_nobodys_here() -> Result<()> {
    let arena = Glance::enter().await?;
    let id = arena.new_image("golden").await?;
    let (wished, former) = (arena.receiver(0).id, arena.receiver(1).id);
    arena.add_member(&id, &former).await?;
    arena.set_visibility(&id, "private").await?;
    let place = placed(&arena, &id, json!({"visibilityChange": "Allow"})).await?;
    share(&place, "team", std::slice::from_ref(&wished)).await?;
    place.ready::<ImageShare>("team").await?;
    until_members(&arena, &id, &[(&wished, "pending"), (&former, "pending")]).await?;
    let told = place
        .until_it::<CloudImage>("golden", "the revived member is unmanaged", |image| {
            image["status"]["unmanaged"][0]["id"] == former.as_str()
        })
        .await?;
    ensure!(told["status"]["grants"].as_array().is_some_and(|grants| grants.len() == 1), "{}", told["status"]);
    place.event("UnmanagedFound", &former).await?;
    Ok(())
}

/// Made private, an image hides its members and keeps their rows: made shared again, they would have it again.
#[tokio::test]
async fn an_image_made_private_by_hand_ends_nobodys_grant() -> Result<()> {
    let arena = Glance::enter().await?;
    let id = arena.new_image("golden").await?;
    let receiver = arena.receiver(0).id;
    let place = placed(&arena, &id, json!({})).await?;
    share(&place, "team", std::slice::from_ref(&receiver)).await?;
    place.ready::<ImageShare>("team").await?;
    arena.set_visibility(&id, "private").await?;
    place.until::<CloudImage>("golden", "False", "ImagePrivate").await?;
    place.delete::<ImageShare>("team").await?;
    let held = place.until::<ImageShare>("team", "False", "Revoking").await?;
    ensure!(Player::message(&held, "Ready")?.contains("private"), "{}", held["status"]);

    arena.set_visibility(&id, "shared").await?;
    place.nudge::<CloudImage>("golden").await?;
    place.gone::<ImageShare>("team").await?;
    ensure!(arena.members(&id).await?.is_empty(), "the member came back to life");
    Ok(())
}

#[tokio::test]
async fn a_doubled_row_is_removed_until_nobody_is_left() -> Result<()> {
    let arena = Glance::enter().await?;
    let id = arena.new_image("golden").await?;
    let receiver = arena.receiver(0).id;
    let place = placed(&arena, &id, json!({})).await?;
    share(&place, "team", std::slice::from_ref(&receiver)).await?;
    place.ready::<ImageShare>("team").await?;
    arena.double_member(&id, &receiver).await?;
    place.delete::<ImageShare>("team").await?;
    place.gone::<ImageShare>("team").await?;
    ensure!(arena.members(&id).await?.is_empty(), "one of the two rows is left");
    Ok(())
}

#[tokio::test]
async fn a_protected_image_is_not_deleted() -> Result<()> {
    let arena = Glance::enter().await?;
    let id = arena.create_image(NewImage { protected: true, ..NewImage::default() }).await?;
    let place = placed(&arena, &id, json!({"deletionPolicy": "Delete"})).await?;
    place.ready::<CloudImage>("golden").await?;
    place.delete::<CloudImage>("golden").await?;
    place.until_condition::<CloudImage>("golden", "Deletable", "False", "ImageProtected").await?;
    ensure!(arena.exists(&id).await?);
    arena.unprotect(&id).await?;
    place.nudge::<CloudImage>("golden").await?;
    place.gone::<CloudImage>("golden").await?;
    ensure!(!arena.exists(&id).await?);
    Ok(())
}
