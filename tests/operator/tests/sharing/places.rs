//! The 51st recipient: places are given by (creation of the share, its uid, index in its list), and nobody is displaced.

use anyhow::Result;
use futures::future::try_join_all;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use support::Player;
use support::sights::{ids, strings};

const LIMIT: usize = 50;

/// The shares in order of their turns.
async fn in_turn(player: &Player) -> Result<Vec<ImageShare>> {
    let mut shares = player.api::<ImageShare>().list(&ListParams::default()).await?.items;
    shares.sort_by_key(|s| (s.creation_timestamp().map(|t| t.0), s.uid()));
    Ok(shares)
}

/// All recipients in order of their turns.
fn turns(shares: &[ImageShare]) -> Vec<String> {
    shares.iter().flat_map(|s| s.spec.recipients.iter().map(|r| r.id.clone())).collect()
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}

/// Waits until a share waits for places for exactly these recipients, and says so with the figure.
async fn until_waiting(player: &Player, share: &str, whom: &[String]) -> Result<()> {
    let limited = |o: &Value| {
        let waiting = o["status"]["waiting"].as_array().cloned().unwrap_or_default();
        ids(&o["status"]["waiting"]) == sorted(whom) && waiting.iter().all(|w| w["reason"] == "RecipientLimit")
    };
    player.until_it::<ImageShare>(share, &format!("{whom:?} to wait for places"), limited).await?;
    let object = player.until::<ImageShare>(share, "False", "RecipientLimit").await?;
    let message = Player::message(&object, "Ready")?;
    assert!(message.contains("50/50"), "{message}");
    assert!(whom.iter().all(|id| message.contains(id)), "{message}");
    Ok(())
}

/// Takes a recipient off a share's list, and puts another at its end.
async fn drop_recipient(player: &Player, share: &ImageShare, leaver: &str, joiner: Option<&str>) -> Result<()> {
    let current = player.api::<ImageShare>().get(&share.name_any()).await?;
    let stay = current.spec.recipients.iter().map(|r| r.id.as_str()).filter(|id| *id != leaver);
    let list: Vec<Value> = stay.chain(joiner).map(|id| json!({"type": "Account", "id": id})).collect();
    player.edit::<ImageShare>(&share.name_any(), json!({"spec": {"recipients": list}})).await
}

/// Three shares of 17 under a suspended account that is let go once all are known.
async fn fifty_one_at_once() -> Result<(Player, Vec<ImageShare>)> {
    let player = Player::enter().await?;
    player.account(|account| account.suspend = true).await?;
    player.image("golden", |_| {}).await?;
    let names = ["one", "two", "three"];
    try_join_all(names.iter().zip([1..=17, 18..=34, 35..=51]).map(|(name, whom)| player.share(name, whom))).await?;
    for name in names {
        player.until::<ImageShare>(name, "False", "Suspended").await?;
    }
    assert!(player.mutations().await?.is_empty(), "a suspended account sends nothing");
    let shares = in_turn(&player).await?;
    player.edit::<CloudAccount>("golden", json!({"spec": {"suspend": false}})).await?;
    Ok((player, shares))
}

#[tokio::test]
async fn places_go_by_turn_and_the_51st_waits_until_one_leaves() -> Result<()> {
    let (player, shares) = fifty_one_at_once().await?;
    let turns = turns(&shares);
    let (placed, waiting) = turns.split_at(LIMIT);
    let names: Vec<String> = shares.iter().map(ResourceExt::name_any).collect();
    until_waiting(&player, &names[2], waiting).await?;
    player.ready::<ImageShare>(&names[0]).await?;
    player.ready::<ImageShare>(&names[1]).await?;
    assert_eq!(player.shared_with(1).await?, sorted(placed));

    // One that comes later in an older share displaces nobody, but is next in turn.
    let newcomer = player.recipient(52);
    drop_recipient(&player, &shares[0], "", Some(&newcomer)).await?;
    until_waiting(&player, &names[0], std::slice::from_ref(&newcomer)).await?;
    assert_eq!(player.shared_with(1).await?, sorted(placed));

    drop_recipient(&player, &shares[1], &placed[17], None).await?;
    player.ready::<ImageShare>(&names[0]).await?;
    until_waiting(&player, &names[2], waiting).await?;
    assert!(player.shared_with(1).await?.contains(&newcomer));
    drop_recipient(&player, &shares[0], &placed[0], None).await?;
    player.ready::<ImageShare>(&names[2]).await?;
    let placed_now = player.shared_with(1).await?;
    assert_eq!(placed_now.len(), LIMIT);
    assert!(placed_now.contains(&waiting[0]));
    judge_calls(&player, &[placed[17].clone(), placed[0].clone()]).await?;
    let image = player.ready::<CloudImage>("golden").await?;
    assert_eq!(image["status"]["recipients"], "50/50");
    Ok(())
}

/// Only these were ever removed, and nothing was sent that the cloud had to refuse.
async fn judge_calls(player: &Player, leavers: &[String]) -> Result<()> {
    assert_eq!(player.removed().await?, leavers);
    for call in player.journal().await? {
        assert_eq!(call["code"], "OK", "{call}");
        let (asked, done) = (strings(&call["parameters"]["add"]), strings(&call["effect"]["added"]));
        assert!(call["principal"] == "out-of-band" || asked == done, "asked for {asked:?}, got {done:?}");
    }
    Ok(())
}

#[tokio::test]
async fn foreign_recipients_use_places() -> Result<()> {
    let player = Player::enter().await?;
    player.share_by_hand(1, &[58, 59], &[]).await?;
    player.account(|_| {}).await?;
    player.image("golden", |_| {}).await?;
    player.share("team", 1..=50).await?;
    until_waiting(&player, "team", &player.recipients(49..=50)).await?;
    player.until_shared_with(1, (1..=48).chain([58, 59])).await?;
    // One of the foreign leaves: the next in turn comes in.
    player.share_by_hand(1, &[], &[58]).await?;
    player.look_now::<CloudImage>("golden", "1").await?;
    until_waiting(&player, "team", &player.recipients([50])).await?;
    player.until_shared_with(1, (1..=49).chain([59])).await?;
    judge_calls(&player, &[]).await
}
