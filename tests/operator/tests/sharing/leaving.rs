//! The end of a share and of an image, in an order that leaves nobody behind.

use anyhow::Result;
use imageshare_operator::api::cloud_image::ImageDeletionPolicy;
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::Value;

use support::Player;
use support::sights::{LIST, LOOK, MODIFY, strings};

#[tokio::test]
async fn an_image_is_shared_and_unshared_and_let_go_in_that_order() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=3).await?;
    let share = player.ready::<ImageShare>("team").await?;
    assert_eq!(share["status"]["summary"], "3/3");
    player.until_shared_with(1, 1..=3).await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    assert_eq!(player.shared_with(1).await?, Vec::<String>::new(), "the share outlived its grants");
    player.delete::<CloudImage>("golden").await?;
    player.gone::<CloudImage>("golden").await?;
    assert!(player.calls("DeleteImage").await?.is_empty(), "the image itself stays by default");
    Ok(())
}

#[tokio::test]
async fn an_image_to_be_deleted_waits_for_its_shares_and_goes_last() -> Result<()> {
    let player = Player::enter().await?;
    player.account(|_| {}).await?;
    player.image("golden", |image| image.deletion_policy = ImageDeletionPolicy::Delete).await?;
    player.share("team", 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    let team = format!("{}/team", player.namespace.name());
    let image = player.until_condition::<CloudImage>("golden", "Deletable", "False", "ShareExists").await?;
    assert!(Player::message(&image, "Deletable")?.contains(&team));

    let namespace = player.namespace.name();
    let delete = ["delete", "cloudimage", "golden", "-n", namespace, "--timeout=2s"];
    let error = player.stage.control_plane.kubectl(&delete).await.expect_err("kubectl delete was not held");
    assert!(format!("{error:#}").contains("timed out"), "{error:#}");
    let image = player.until_condition::<CloudImage>("golden", "Deletable", "False", "ShareExists").await?;
    assert!(Player::message(&image, "Deletable")?.contains(&team));
    assert!(player.calls("DeleteImage").await?.is_empty());
    assert_eq!(player.shared_with(1).await?, player.recipients(1..=3));

    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.gone::<CloudImage>("golden").await?;
    let note = player.event("ImageDeleted", &player.image_id(1)).await?;
    assert!(note.contains("re-initialise"), "{note}");
    judge_order(&player.journal().await?, &player);
    Ok(())
}

/// Revoked → read as absent → deleted → read as gone, twice.
fn judge_order(journal: &[Value], player: &Player) {
    let position = |what: &dyn Fn(&Value) -> bool| journal.iter().position(what);
    let revoked =
        position(&|e| e["action"] == MODIFY && strings(&e["effect"]["removed"]) == player.recipients(1..=3)).unwrap();
    let deleted = position(&|e| e["action"] == "DeleteImage").unwrap();
    assert_eq!(journal[deleted]["effect"]["deleted"], true);
    assert_eq!(journal[deleted]["parameters"]["force"], false, "deletion is never forced");
    let read = |e: &Value| e["action"] == LIST && e["status"] == 200;
    assert!(journal[..deleted].iter().skip(revoked).any(read), "deleted before the end of access was read");
    let looks = journal[deleted..].iter().filter(|e| e["action"] == LOOK && e["status"] == 200).count();
    assert!(looks >= 2, "let go after {looks} looks");
    assert_eq!(journal.iter().filter(|e| e["action"] == "DeleteImage").count(), 1);
}
