//! The scenarios, each over any cloud that asks for answers.

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare, SharedImage, SharedImageAcceptance};
use kube::api::ListParams;
use serde_json::{Value, json};

use support::arena::{Arena, accept, image, reaches, recipients, seat, share, until_members};
use support::{PATIENCE, Player};

fn projects(arena: &dyn Arena) -> Vec<String> {
    (0..3).map(|n| arena.receiver(n).id).collect()
}

/// The owner's place with a `CloudImage` for a new image, and that image's id.
async fn owned(arena: &dyn Arena) -> Result<(Player, String)> {
    let place = seat(arena.player(), &arena.owner(), None).await?;
    let id = arena.new_image("golden").await?;
    image(&place, arena.region(), &id, json!({})).await?;
    place.ready::<CloudImage>("golden").await?;
    Ok((place, id))
}

pub async fn an_image_is_offered_to_three_accepted_rejected_accepted_again_and_unshared(
    arena: &dyn Arena,
) -> Result<()> {
    let (owner, id) = owned(arena).await?;
    let [a, b, c] = [0, 1, 2].map(|n| arena.receiver(n).id);
    share(&owner, "team", &[a.clone(), b.clone(), c.clone()]).await?;
    owner.ready::<ImageShare>("team").await?;
    until_members(arena, &id, &[(&a, "pending"), (&b, "pending"), (&c, "pending")]).await?;
    let said = owner.until_condition::<ImageShare>("team", "Accepted", "False", "AwaitingAnswer").await?;
    ensure!(said["status"]["accepted"] == "0/3", "{}", said["status"]);

    let place = seat(arena.player(), &arena.receiver(0), None).await?;
    accept(&place, "golden", arena.region(), &id, &arena.owner().id, json!({})).await?;
    place.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    until_members(arena, &id, &[(&a, "accepted"), (&b, "pending"), (&c, "pending")]).await?;

    place.edit::<SharedImageAcceptance>("golden", json!({"spec": {"decision": "Reject"}})).await?;
    let rejected = place.until::<SharedImageAcceptance>("golden", "True", "Rejected").await?;
    ensure!(Player::message(&rejected, "Ready")?.contains("grant stays until the owner takes it back"));
    until_members(arena, &id, &[(&a, "rejected"), (&b, "pending"), (&c, "pending")]).await?;
    let said = owner.until_condition::<ImageShare>("team", "Accepted", "False", "Rejected").await?;
    ensure!(Player::message(&said, "Accepted")?.contains(&a));

    place.edit::<SharedImageAcceptance>("golden", json!({"spec": {"decision": "Accept"}})).await?;
    place.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    until_members(arena, &id, &[(&a, "accepted"), (&b, "pending"), (&c, "pending")]).await?;

    owner.delete::<ImageShare>("team").await?;
    owner.gone::<ImageShare>("team").await?;
    ensure!(arena.members(&id).await?.is_empty(), "the share outlived its grants");
    Ok(())
}

pub async fn the_owner_sees_the_answer_and_the_receiver_sees_the_end(arena: &dyn Arena) -> Result<()> {
    let (owner, id) = owned(arena).await?;
    let place = seat(arena.player(), &arena.receiver(0), None).await?;
    accept(&place, "golden", arena.region(), &id, &arena.owner().id, json!({})).await?;
    let waiting = place.until::<SharedImageAcceptance>("golden", "False", "NotOffered").await?;
    ensure!(waiting["status"]["state"] == "NotOffered");

    share(&owner, "team", &[arena.receiver(0).id]).await?;
    reaches(&owner, "team", &place, "golden").await?;
    let accepted = place.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    ensure!(accepted["status"]["state"] == "Accepted");
    ensure!(accepted["status"]["owner"] == arena.owner().id.as_str());
    ensure!(accepted["status"]["via"][0]["id"] == arena.receiver(0).id.as_str(), "{}", accepted["status"]);
    let said = owner.until_condition::<ImageShare>("team", "Accepted", "True", "Accepted").await?;
    ensure!(said["status"]["accepted"] == "1/1", "{}", said["status"]);
    place.event("Accepted", &id).await?;

    owner.delete::<ImageShare>("team").await?;
    owner.gone::<ImageShare>("team").await?;
    let revoked = place.until::<SharedImageAcceptance>("golden", "False", "Revoked").await?;
    ensure!(revoked["status"]["state"] == "Revoked");
    place.event("RevokedByOwner", &id).await?;

    share(&owner, "again", &[arena.receiver(0).id]).await?;
    reaches(&owner, "again", &place, "golden").await?;
    place.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    Ok(())
}

pub async fn a_decision_changed_is_answered_anew(arena: &dyn Arena) -> Result<()> {
    let (owner, id) = owned(arena).await?;
    let receiver = arena.receiver(1).id;
    share(&owner, "team", std::slice::from_ref(&receiver)).await?;
    let place = seat(arena.player(), &arena.receiver(1), None).await?;
    accept(&place, "golden", arena.region(), &id, &arena.owner().id, json!({"decision": "Reject"})).await?;
    reaches(&owner, "team", &place, "golden").await?;
    place.until::<SharedImageAcceptance>("golden", "True", "Rejected").await?;
    until_members(arena, &id, &[(&receiver, "rejected")]).await?;

    // Taken off the list and put on again, it is offered again, and rejected again.
    owner.edit::<ImageShare>("team", json!({"spec": {"recipients": recipients(&[arena.receiver(2).id])}})).await?;
    until_members(arena, &id, &[(&arena.receiver(2).id, "pending")]).await?;
    owner
        .edit::<ImageShare>("team", json!({"spec": {"recipients": recipients(std::slice::from_ref(&receiver))}}))
        .await?;
    reaches(&owner, "team", &place, "golden").await?;
    until_members(arena, &id, &[(&receiver, "rejected")]).await
}

pub async fn an_image_from_another_owner_is_not_answered(arena: &dyn Arena) -> Result<()> {
    let (owner, id) = owned(arena).await?;
    let receiver = arena.receiver(0).id;
    share(&owner, "team", std::slice::from_ref(&receiver)).await?;
    let place = seat(arena.player(), &arena.receiver(0), None).await?;
    accept(&place, "golden", arena.region(), &id, &arena.receiver(2).id, json!({})).await?;
    reaches(&owner, "team", &place, "golden").await?;
    let refused = place.until::<SharedImageAcceptance>("golden", "False", "UntrustedOwner").await?;
    let message = Player::message(&refused, "Ready")?;
    ensure!(message.contains(&arena.owner().id) && message.contains(&arena.receiver(2).id), "{message}");
    until_members(arena, &id, &[(&receiver, "pending")]).await
}

pub async fn of_two_acceptances_of_one_offer_the_elder_acts(arena: &dyn Arena) -> Result<()> {
    let (owner, id) = owned(arena).await?;
    let receiver = arena.receiver(0).id;
    share(&owner, "team", std::slice::from_ref(&receiver)).await?;
    let place = seat(arena.player(), &arena.receiver(0), None).await?;
    accept(&place, "elder", arena.region(), &id, &arena.owner().id, json!({})).await?;
    reaches(&owner, "team", &place, "elder").await?;
    place.until::<SharedImageAcceptance>("elder", "True", "Accepted").await?;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await; // Kubernetes tells ages by whole seconds.
    accept(&place, "younger", arena.region(), &id, &arena.owner().id, json!({"decision": "Reject"})).await?;
    place.until::<SharedImageAcceptance>("younger", "False", "DuplicateAcceptance").await?;
    place.look_now::<SharedImageAcceptance>("younger", "again").await?;
    until_members(arena, &id, &[(&receiver, "accepted")]).await?;

    place.delete::<SharedImageAcceptance>("elder").await?;
    place.until::<SharedImageAcceptance>("younger", "True", "Rejected").await?;
    until_members(arena, &id, &[(&receiver, "rejected")]).await
}

pub async fn deleting_an_acceptance_leaves_the_answer_or_rejects_as_asked(arena: &dyn Arena) -> Result<()> {
    let (owner, id) = owned(arena).await?;
    let receiver = arena.receiver(0).id;
    share(&owner, "team", std::slice::from_ref(&receiver)).await?;
    let place = seat(arena.player(), &arena.receiver(0), None).await?;
    owner.ready::<ImageShare>("team").await?;
    for (policy, left) in [("Retain", "accepted"), ("Reject", "rejected")] {
        let extra = json!({"deletionPolicy": policy});
        accept(&place, "golden", arena.region(), &id, &arena.owner().id, extra).await?;
        place.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
        place.delete::<SharedImageAcceptance>("golden").await?;
        place.gone::<SharedImageAcceptance>("golden").await?;
        until_members(arena, &id, &[(&receiver, left)]).await?;
    }
    Ok(())
}

pub async fn what_others_share_is_listed_and_kept_in_step(arena: &dyn Arena) -> Result<()> {
    let (owner, id) = owned(arena).await?;
    let receiver = arena.receiver(0).id;
    let place = seat(arena.player(), &arena.receiver(0), Some(arena.region())).await?;
    until_listed(&place, &[]).await?;
    share(&owner, "team", std::slice::from_ref(&receiver)).await?;
    until_listed(&place, &[(&id, "Pending")]).await?;
    place.event("OfferReceived", &id).await?;
    let account = place
        .until_it::<CloudAccount>("golden", "one received, one pending", |account| {
            account["status"]["received"] == "1" && account["status"]["pending"] == 1
        })
        .await?;
    let listed = place.api::<SharedImage>().list(&ListParams::default()).await?;
    let owners = serde_json::to_value(&listed.items[0].metadata.owner_references)?;
    ensure!(owners[0]["uid"] == account["metadata"]["uid"], "{owners}");

    accept(&place, "golden", arena.region(), &id, &arena.owner().id, json!({})).await?;
    place.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    until_listed(&place, &[(&id, "Accepted")]).await?;
    place.edit::<SharedImageAcceptance>("golden", json!({"spec": {"decision": "Reject"}})).await?;
    until_listed(&place, &[(&id, "Rejected")]).await?;
    owner.delete::<ImageShare>("team").await?;
    until_listed(&place, &[]).await
}

async fn until_listed(place: &Player, wanted: &[(&str, &str)]) -> Result<()> {
    eventually(PATIENCE, &format!("the inventory to be {wanted:?}"), async || {
        let listed = place.api::<SharedImage>().list(&ListParams::default()).await?;
        let mut listed: Vec<Value> = serde_json::from_value(serde_json::to_value(listed.items)?)?;
        listed.sort_by_key(|image| image["spec"]["imageID"].to_string());
        let same = listed.len() == wanted.len()
            && listed
                .iter()
                .zip(wanted)
                .all(|(image, (id, state))| image["spec"]["imageID"] == **id && image["status"]["state"] == **state);
        ensure!(same, "{listed:?}");
        Ok(Some(()))
    })
    .await
}

pub async fn an_image_to_be_deleted_waits_for_its_recipients(arena: &dyn Arena) -> Result<()> {
    let place = seat(arena.player(), &arena.owner(), None).await?;
    let id = arena.new_image("golden").await?;
    image(&place, arena.region(), &id, json!({"deletionPolicy": "Delete"})).await?;
    share(&place, "team", &projects(arena)).await?;
    place.ready::<ImageShare>("team").await?;
    place.delete::<CloudImage>("golden").await?;
    place.until_condition::<CloudImage>("golden", "Deletable", "False", "ShareExists").await?;
    ensure!(arena.exists(&id).await? && arena.members(&id).await?.len() == 3);
    place.delete::<ImageShare>("team").await?;
    place.gone::<ImageShare>("team").await?;
    place.gone::<CloudImage>("golden").await?;
    ensure!(!arena.exists(&id).await?, "the image outlived its CloudImage");
    Ok(())
}

pub async fn a_received_image_cannot_be_shared_on(arena: &dyn Arena) -> Result<()> {
    let (owner, id) = owned(arena).await?;
    let receiver = arena.receiver(0).id;
    share(&owner, "team", std::slice::from_ref(&receiver)).await?;
    owner.ready::<ImageShare>("team").await?;
    let place = seat(arena.player(), &arena.receiver(0), None).await?;
    accept(&place, "golden", arena.region(), &id, &arena.owner().id, json!({})).await?;
    place.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    image(&place, arena.region(), &id, json!({})).await?;
    place.until::<CloudImage>("golden", "False", "ImageNotOwned").await?;
    share(&place, "on", &[arena.receiver(1).id]).await?;
    place.until::<ImageShare>("on", "False", "ImageNotOwned").await?;
    until_members(arena, &id, &[(&receiver, "accepted")]).await
}
