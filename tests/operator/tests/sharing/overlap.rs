//! Shares that want some of the same recipients: the union stays, and nobody wanted is ever revoked.

use anyhow::Result;
use imageshare_operator::api::image_share::ShareDeletionPolicy;
use imageshare_operator::api::{CloudImage, ImageShare};
use kube::api::ListParams;
use serde_json::Value;

use support::Player;
use support::sights::{MODIFY, ids, strings};

/// Two shares of one image: `first` for 1 to 4, `second` for 3 to 6.
async fn two_overlapping() -> Result<Player> {
    let player = Player::with_image().await?;
    player.share("first", 1..=4).await?;
    player.share("second", 3..=6).await?;
    player.ready::<ImageShare>("first").await?;
    player.ready::<ImageShare>("second").await?;
    player.until_shared_with(1, 1..=6).await?;
    Ok(player)
}

#[tokio::test]
async fn what_two_shares_want_stays_until_the_second_has_gone() -> Result<()> {
    for (early, late, kept, ended) in [("first", "second", 3..=6, 1..=2), ("second", "first", 1..=4, 5..=6)] {
        let player = two_overlapping().await?;
        player.delete::<ImageShare>(early).await?;
        player.gone::<ImageShare>(early).await?;
        assert_eq!(player.shared_with(1).await?, player.recipients(kept.clone()));
        assert_eq!(player.removed().await?, player.recipients(ended));
        player.ready::<ImageShare>(late).await?;
        player.delete::<ImageShare>(late).await?;
        player.gone::<ImageShare>(late).await?;
        assert_eq!(player.shared_with(1).await?, Vec::<String>::new());
        assert_eq!(player.removed().await?.len(), 6, "each was revoked once");
    }
    Ok(())
}

#[tokio::test]
async fn an_edit_ends_only_what_no_other_share_wants() -> Result<()> {
    let player = two_overlapping().await?;
    player.reshare("first", 1..=2).await?;
    player.ready::<ImageShare>("first").await?;
    player.look_now::<CloudImage>("golden", "1").await?;
    assert_eq!(player.removed().await?, Vec::<String>::new(), "3 and 4 are wanted by the second");
    player.reshare("second", 4..=6).await?;
    player.until_shared_with(1, [1, 2, 4, 5, 6]).await?;
    player.ready::<ImageShare>("second").await?;
    assert_eq!(player.removed().await?, player.recipients([3]));
    // Taken over by the first while the second goes.
    player.reshare("first", [1, 4]).await?;
    player.delete::<ImageShare>("second").await?;
    player.gone::<ImageShare>("second").await?;
    player.until_shared_with(1, [1, 4]).await?;
    let mut removed = player.removed().await?;
    removed.sort();
    assert_eq!(removed, player.recipients([2, 3, 5, 6]));
    Ok(())
}

/// Edits, deletions and creations as fast as the API server takes them, while a quiet share wants 3 to 6 all the time.
#[tokio::test]
async fn a_storm_of_changes_never_revokes_what_a_quiet_share_wants() -> Result<()> {
    let player = two_overlapping().await?;
    for round in 0..6u32 {
        player.reshare("first", [1, 3, 5]).await?;
        player.reshare("first", [2, 4, 6]).await?;
        player.delete::<ImageShare>("first").await?;
        player.share(&format!("next-{round}"), [3, 4, 7 + round]).await?;
        player.gone::<ImageShare>("first").await?;
        if round % 2 == 0 {
            // Now and then the cloud knows what goes.
            player.ready::<ImageShare>(&format!("next-{round}")).await?;
        }
        player.delete::<ImageShare>(&format!("next-{round}")).await?;
        player.share("first", 1..=4).await?;
    }
    for round in 0..6u32 {
        player.gone::<ImageShare>(&format!("next-{round}")).await?;
    }
    player.ready::<ImageShare>("first").await?;
    player.ready::<ImageShare>("second").await?;
    player.until_shared_with(1, 1..=6).await?;
    let removed = player.removed().await?;
    let wanted = player.recipients(3..=6);
    assert!(removed.iter().all(|id| !wanted.contains(id)), "{removed:?} were removed, {wanted:?} always wanted");
    assert!(!removed.is_empty(), "the storm was felt");
    Ok(())
}

#[tokio::test]
async fn an_edit_that_adds_and_removes_travels_in_one_call() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    let before = player.calls(MODIFY).await?.len();
    player.reshare("team", [1, 2, 4]).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, [1, 2, 4]).await?;
    player.look_now::<CloudImage>("golden", "1").await?;
    let changes = player.calls(MODIFY).await?;
    let made: Vec<&Value> = changes[before..].iter().collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(strings(&made[0]["effect"]["added"]), player.recipients([4]));
    assert_eq!(strings(&made[0]["effect"]["removed"]), player.recipients([3]));
    Ok(())
}

#[tokio::test]
async fn a_retaining_share_leaves_its_grants_and_nothing_touches_them_after() -> Result<()> {
    use imageshare_operator::api::cloud_image::UnmanagedRecipients;
    let player = Player::enter().await?;
    player.account(|_| {}).await?;
    player.image("golden", |image| image.unmanaged_recipients = UnmanagedRecipients::Revoke).await?;
    let two = player.recipients(1..=2);
    player.share_with("keeping", &two, |share| share.deletion_policy = ShareDeletionPolicy::Retain).await?;
    player.ready::<ImageShare>("keeping").await?;
    player.delete::<ImageShare>("keeping").await?;
    player.gone::<ImageShare>("keeping").await?;
    let retained = |image: &Value| {
        let grants = image["status"]["grants"].as_array().cloned().unwrap_or_default();
        ids(&grants.into_iter().filter(|g| g["state"] == "Retained").collect())
    };
    player.until_it::<CloudImage>("golden", "both retained", |image| retained(image) == two).await?;
    // A foreign one beside them is revoked, while another share wishes: so the policy had its chance.
    player.share_by_hand(1, &[9], &[]).await?;
    player.share("other", [5]).await?;
    player.ready::<ImageShare>("other").await?;
    player.look_now::<CloudImage>("golden", "1").await?;
    player.until_shared_with(1, [1, 2, 5]).await?;
    player.delete::<ImageShare>("other").await?;
    player.gone::<ImageShare>("other").await?;
    player.delete::<CloudImage>("golden").await?;
    player.gone::<CloudImage>("golden").await?;
    assert_eq!(player.shared_with(1).await?, two);
    assert_eq!(player.removed().await?, [player.recipient(9), player.recipient(5)]);
    assert!(player.api::<ImageShare>().list(&ListParams::default()).await?.items.is_empty());
    Ok(())
}
