//! Recipients which somebody else put there, or took away.

use std::time::Duration;

use anyhow::Result;
use imageshare_operator::api::cloud_image::UnmanagedRecipients;
use imageshare_operator::api::{CloudImage, ImageShare};
use jiff::SignedDuration;

use support::Player;
use support::sights::{LIST, MODIFY, ids, strings, time_of};

/// `--unmanaged-grace` of the stage.
const GRACE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_recipient_already_there_is_adopted_and_revoked_with_its_share() -> Result<()> {
    let player = Player::enter().await?;
    player.share_by_hand(1, &[1, 2], &[]).await?;
    player.account(|_| {}).await?;
    player.image("golden", |_| {}).await?;
    player
        .until_it::<CloudImage>("golden", "1 and 2 reported", |image| {
            ids(&image["status"]["unmanaged"]) == player.recipients([1, 2])
        })
        .await?;
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    assert!(player.calls(MODIFY).await?.is_empty(), "what is there needs no call");
    player.event("Adopted", &player.recipient(1)).await?;
    player.event("UnmanagedFound", &player.recipient(2)).await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    assert_eq!(player.shared_with(1).await?, player.recipients([2]));
    assert_eq!(player.removed().await?, player.recipients([1]));
    let note = player.event("Revoked", &player.recipient(1)).await?;
    for breaks in ["re-initialise", "OS", "no new servers"] {
        assert!(note.contains(breaks), "{note}");
    }
    Ok(())
}

#[tokio::test]
async fn a_recipient_adopted_in_the_image_s_first_pass_is_told_as_adopted() -> Result<()> {
    let player = Player::enter().await?;
    player.share_by_hand(1, &[1], &[]).await?;
    player.account(|_| {}).await?;
    player.share("team", [1]).await?;
    player.image("golden", |_| {}).await?;
    player.ready::<ImageShare>("team").await?;
    assert!(player.calls(MODIFY).await?.is_empty(), "what is there needs no call");
    player.event("Adopted", &player.recipient(1)).await?;
    assert_eq!(player.notes("Granted").await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_foreign_recipient_is_reported_and_left_alone() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    player.share_by_hand(1, &[9], &[]).await?;
    let image = player.look_now::<CloudImage>("golden", "1").await?;
    assert_eq!(ids(&image["status"]["unmanaged"]), player.recipients([9]));
    assert_eq!(image["status"]["recipients"], "3/50", "it uses a place");
    player.event("UnmanagedFound", &player.recipient(9)).await?;
    // Past the time after which the other policy would have acted, and past an edit and an end.
    tokio::time::sleep(GRACE + Duration::from_secs(1)).await;
    player.look_now::<CloudImage>("golden", "2").await?;
    player.reshare("team", [1]).await?;
    player.until_shared_with(1, [1, 9]).await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    assert_eq!(player.shared_with(1).await?, player.recipients([9]));
    assert!(!player.removed().await?.contains(&player.recipient(9)));
    Ok(())
}

#[tokio::test]
async fn a_foreign_recipient_is_revoked_by_policy_after_the_grace_once_a_share_wishes() -> Result<()> {
    let player = Player::enter().await?;
    player.share_by_hand(1, &[9], &[]).await?;
    player.account(|_| {}).await?;
    player.image("golden", |image| image.unmanaged_recipients = UnmanagedRecipients::Revoke).await?;
    player
        .until_it::<CloudImage>("golden", "9 reported", |image| {
            ids(&image["status"]["unmanaged"]) == player.recipients([9])
        })
        .await?;
    tokio::time::sleep(GRACE + Duration::from_secs(1)).await;
    player.look_now::<CloudImage>("golden", "1").await?;
    assert!(player.mutations().await?.is_empty(), "nobody wishes anything, so nothing proves that we look after it");
    player.share("team", [1]).await?;
    player.until_shared_with(1, [1]).await?;
    player.ready::<ImageShare>("team").await?;
    let journal = player.journal().await?;
    let of = |effect: &str, n| {
        journal
            .iter()
            .position(|e| e["action"] == MODIFY && strings(&e["effect"][effect]).contains(&player.recipient(n)))
    };
    let (added, removed) = (of("added", 1).unwrap(), of("removed", 9).unwrap());
    let seen_first = journal[..added].iter().rfind(|e| e["action"] == LIST).unwrap();
    let waited = time_of(&journal[removed]).duration_since(time_of(seen_first));
    assert!(waited >= SignedDuration::try_from(GRACE)?, "revoked after {waited:#}");
    Ok(())
}

#[tokio::test]
async fn a_grant_removed_by_hand_is_granted_again() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    player.share_by_hand(1, &[], &[2]).await?;
    let image = player.look_now::<CloudImage>("golden", "by-hand").await?;
    assert_eq!(image["status"]["lastHandledReconcileAt"], "by-hand");
    player.until_shared_with(1, 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    let changes = player.calls(MODIFY).await?;
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!(strings(&changes[1]["parameters"]["add"]), player.recipients([2]));
    assert!(player.removed().await?.is_empty());
    Ok(())
}
