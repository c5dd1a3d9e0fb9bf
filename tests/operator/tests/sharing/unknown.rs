//! An account the cloud does not know fails the vendor's whole call: it is found by halving, remembered, and named.

use anyhow::Result;
use imageshare_operator::api::{CloudImage, ImageShare};

use support::Player;
use support::sights::{MODIFY, ids, strings};

/// Accounts that no world has.
fn stranger(n: u32) -> String {
    format!("39999999{n:08}")
}

/// Shares with `known` recipients and strangers at these positions; tells how many changes it took.
async fn share_with_strangers(player: &Player, known: u32, at: &[usize]) -> Result<(Vec<String>, usize)> {
    let mut all = player.recipients(1..=known);
    let mut strangers = Vec::new();
    for (n, position) in (0..).zip(at) {
        all.insert(*position, stranger(n));
        strangers.push(stranger(n));
    }
    player.share_with("team", &all, |_| {}).await?;
    let share = player.until::<ImageShare>("team", "False", "InvalidRecipient").await?;
    player.until_shared_with(1, 1..=known).await?;
    assert_eq!(ids(&share["status"]["waiting"]), strangers);
    let message = Player::message(&share, "Ready")?;
    assert!(strangers.iter().all(|id| message.contains(id)), "{message}");
    assert!(player.recipients(1..=known).iter().all(|id| !message.contains(id)), "{message}");
    Ok((strangers, player.calls(MODIFY).await?.len()))
}

#[tokio::test]
async fn an_unknown_account_is_isolated_by_halving_and_remembered() -> Result<()> {
    for position in [0, 4, 9] {
        let player = Player::with_image().await?;
        let (strangers, changes) = share_with_strangers(&player, 9, &[position]).await?;
        assert!(changes <= 2 + 4, "{changes} changes for one among 10 at {position}");
        player.look_now::<CloudImage>("golden", "1").await?;
        player.look_now::<ImageShare>("team", "2").await?;
        player.reshare_with("team", strangers.iter().cloned().chain(player.recipients([1, 2]))).await?;
        player.until_shared_with(1, 1..=2).await?;
        let after: Vec<_> = player.calls(MODIFY).await?.split_off(changes);
        let resent = after.iter().any(|e| strings(&e["parameters"]["add"]).contains(&strangers[0]));
        assert!(!resent, "what is known to be refused was sent again: {after:?}");
    }
    Ok(())
}

#[tokio::test]
async fn two_unknown_accounts_cost_no_more_than_twice_one() -> Result<()> {
    let player = Player::with_image().await?;
    let (_, changes) = share_with_strangers(&player, 8, &[2, 7]).await?;
    assert!(changes <= 2 * (2 + 4), "{changes} changes for two among 10");
    Ok(())
}

#[tokio::test]
async fn an_unknown_account_is_let_go_with_its_share_without_a_call_about_it() -> Result<()> {
    let player = Player::with_image().await?;
    let (strangers, changes) = share_with_strangers(&player, 3, &[1]).await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    assert_eq!(player.shared_with(1).await?, Vec::<String>::new());
    let after: Vec<_> = player.calls(MODIFY).await?.split_off(changes);
    assert!(after.iter().all(|e| e["code"] == "OK"), "{after:?}");
    assert!(after.iter().all(|e| !strings(&e["parameters"]["remove"]).contains(&strangers[0])), "{after:?}");
    Ok(())
}
