//! Images that are not there, not ours, cannot be shared, or cannot be deleted.

use anyhow::Result;
use imageshare_harness::eventually;
use imageshare_operator::api::cloud_image::ImageDeletionPolicy;
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::{Value, json};

use support::{PATIENCE, Player, message, says};

/// A player whose `CloudImage` named `golden` is this image of the cloud, with a share of two recipients waiting on it.
async fn with_share_of(player: &Player, image: &str) -> Result<()> {
    player.account(|_| {}).await?;
    player.image("golden", |spec| image.clone_into(&mut spec.image_id)).await?;
    player.share("team", 1..=2).await
}

/// Demands that image and share are not ready for this reason, in these words, and that nobody was sent anything.
async fn refused(player: &Player, image: &str, reason: &str, words: &[&str]) -> Result<()> {
    let object = player.until::<CloudImage>("golden", "False", reason).await?;
    says(&object, "Ready", words);
    player.until::<ImageShare>("team", "False", reason).await?;
    // It may have been refused for the same reason in other words before, and its status follows the image's.
    let in_these_words = |share: &Value| words.iter().all(|word| message(share, "Ready").contains(word));
    let share = player.until_it::<ImageShare>("team", &format!("{words:?}"), in_these_words).await?;
    assert_eq!(share["status"]["summary"], "0/2");
    player.looked::<CloudImage>("golden").await?;
    assert_eq!(player.sent(image).await?, Vec::<Value>::new(), "nothing may be sent");
    Ok(())
}

async fn two(player: &Player, image: &str) -> Result<()> {
    player.ready::<ImageShare>("team").await?;
    player.until_recipients(image, &[player.recipient(1), player.recipient(2)]).await
}

#[tokio::test]
async fn an_unknown_image_is_not_found_until_it_is_there() -> Result<()> {
    let player = Player::enter().await?;
    let id = format!("m-bp1player{:04}late", player.number);
    with_share_of(&player, &id).await?;
    refused(&player, &id, "ImageNotFound", &["spec.imageID", "correct"]).await?;
    player.new_image("late", json!({})).await?;
    two(&player, &id).await
}

#[tokio::test]
async fn an_image_of_another_owner_is_not_found_as_the_cloud_shows_nothing_of_it() -> Result<()> {
    let player = Player::enter().await?;
    let id = player.new_image("theirs", json!({"owner": player.recipient(60)})).await?;
    with_share_of(&player, &id).await?;
    refused(&player, &id, "ImageNotFound", &["accountRef", "region"]).await
}

#[tokio::test]
async fn a_received_image_is_not_ours_to_share_and_the_remedy_is_told() -> Result<()> {
    let player = Player::enter().await?;
    let them = player.recipient(60);
    let id = player.new_image("received", json!({"owner": them, "sharedWith": [player.owner()]})).await?;
    with_share_of(&player, &id).await?;
    refused(&player, &id, "ImageNotOwned", &["replicate", them.as_str()]).await
}

#[tokio::test]
async fn a_system_image_cannot_be_shared() -> Result<()> {
    let player = Player::enter().await?;
    let id = player.new_image("system", json!({"alias": "system"})).await?;
    with_share_of(&player, &id).await?;
    refused(&player, &id, "ImageNotShareable", &["custom images"]).await
}

#[tokio::test]
async fn a_deprecated_image_is_shared_once_it_is_restored() -> Result<()> {
    let player = Player::enter().await?;
    let id = player.new_image("deprecated", json!({"status": "Deprecated"})).await?;
    with_share_of(&player, &id).await?;
    refused(&player, &id, "ImageNotShareable", &["deprecated", "restore"]).await?;
    player.patch_image(&id, json!({"status": "Available"})).await?;
    player.nudge::<CloudImage>("golden").await?;
    two(&player, &id).await
}

#[tokio::test]
async fn an_image_in_the_making_is_waited_for() -> Result<()> {
    let player = Player::enter().await?;
    let id = player.new_image("creating", json!({"status": "Creating"})).await?;
    with_share_of(&player, &id).await?;
    refused(&player, &id, "ImageNotAvailable", &["still being made", "waiting"]).await?;
    player.patch_image(&id, json!({"status": "CreateFailed"})).await?;
    player.looked::<CloudImage>("golden").await?;
    refused(&player, &id, "ImageNotAvailable", &["could not be made"]).await?;
    player.patch_image(&id, json!({"status": "Available"})).await?;
    player.nudge::<CloudImage>("golden").await?;
    two(&player, &id).await
}

#[tokio::test]
async fn an_image_encrypted_with_the_services_key_is_refused_by_the_cloud_and_says_why() -> Result<()> {
    let player = Player::enter().await?;
    let id = player.new_image("encrypted", json!({"encryption": "ServiceKey"})).await?;
    player.account(|_| {}).await?;
    player.image("golden", |spec| id.clone_into(&mut spec.image_id)).await?;
    says(&player.ready::<CloudImage>("golden").await?, "Ready", &["encrypted", "only if the key"]);
    player.share("team", 1..=2).await?;
    let share = player.until::<ImageShare>("team", "False", "ImageNotShareable").await?;
    says(&share, "Ready", &["encrypted", "key of yours"]);
    player.until::<CloudImage>("golden", "False", "ImageNotShareable").await?;
    let sent = player.sent(&id).await?;
    assert!(sent.iter().all(|e| e["effect"].is_null() && e["code"] == "OperationDeined.EncryptedSnapshot"), "{sent:?}");
    player.patch_image(&id, json!({"encryption": "CustomerKey"})).await?;
    two(&player, &id).await
}

/// The image is to be deleted at the cloud, and something of the image's own forbids it until `free`.
async fn kept_from_deletion(obstacle: Value, reason: &str, words: &[&str], free: Value) -> Result<()> {
    let player = Player::enter().await?;
    let id = player.new_image("kept", obstacle).await?;
    player.account(|_| {}).await?;
    let delete = |spec: &mut imageshare_operator::api::cloud_image::CloudImageSpec| {
        id.clone_into(&mut spec.image_id);
        spec.deletion_policy = ImageDeletionPolicy::Delete;
    };
    player.image("golden", delete).await?;
    player.ready::<CloudImage>("golden").await?;
    player.delete::<CloudImage>("golden").await?;
    let held = player.until_condition::<CloudImage>("golden", "Deletable", "False", reason).await?;
    says(&held, "Deletable", words);
    player.looked::<CloudImage>("golden").await?;
    assert!(player.recipients_of(&id).await?.is_some(), "the image must still be there");
    player.patch_image(&id, free).await?;
    player.nudge::<CloudImage>("golden").await?;
    player.gone::<CloudImage>("golden").await?;
    assert_eq!(player.recipients_of(&id).await?, None, "the image must be gone at the cloud");
    let tries = player.calls("DeleteImage").await?;
    assert!(tries.len() >= 2, "{tries:?}");
    assert!(tries.iter().all(|e| e["parameters"]["force"] == false), "deletion is never forced: {tries:?}");
    Ok(())
}

#[tokio::test]
async fn an_image_in_use_is_deleted_once_it_is_free_and_never_by_force() -> Result<()> {
    let words = ["servers still use", "release"];
    kept_from_deletion(json!({"inUse": true}), "ImageInUse", &words, json!({"inUse": false})).await
}

#[tokio::test]
async fn a_protected_image_is_deleted_once_the_protection_is_lifted_and_never_by_force() -> Result<()> {
    let words = ["protected", "lift"];
    kept_from_deletion(json!({"protected": true}), "ImageProtected", &words, json!({"protected": false})).await
}

#[tokio::test]
async fn an_image_that_vanished_for_good_lets_its_shares_and_itself_go() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    player.patch_image(&player.image_id(1), json!({"delete": true})).await?;
    player.looked::<CloudImage>("golden").await?;
    player.until::<ImageShare>("team", "False", "ImageNotFound").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.delete::<CloudImage>("golden").await?;
    player.gone::<CloudImage>("golden").await?;
    eventually(PATIENCE, "the account to be free", async || {
        player.delete::<imageshare_operator::api::CloudAccount>("golden").await?;
        Ok(Some(()))
    })
    .await?;
    player.gone::<imageshare_operator::api::CloudAccount>("golden").await
}
