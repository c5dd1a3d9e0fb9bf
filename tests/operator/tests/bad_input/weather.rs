//! Trouble that passes: whatever the cloud does to an answer, nobody wanted is revoked, nothing is let go that is not
//! ended, the conditions say that nothing is known, and it goes on by itself.

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use support::{PATIENCE, Player, REGION};

const READ_IMAGE: &str = "DescribeImages";
const READ_RECIPIENTS: &str = "DescribeImageSharePermission";
const CHANGE: &str = "ModifyImageSharePermission";

fn ids(player: &Player, numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|n| player.recipient(n)).collect()
}

fn members(player: &Player, numbers: impl IntoIterator<Item = u32>) -> Value {
    let all: Value = ids(player, numbers).into_iter().map(|id| json!({"type": "Account", "id": id})).collect();
    json!({"spec": {"recipients": all}})
}

fn kind(name: &str) -> Value {
    json!({"kind": name})
}

/// Faults, how often each strikes, and what `Ready` of the image then is, if it is not True all along.
type Faults = Vec<(Value, u64, Option<(&'static str, &'static str)>)>;

const DOWN: Option<(&str, &str)> = Some(("Unknown", "CloudUnavailable"));
const UNCLEAR: Option<(&str, &str)> = Some(("Unknown", "AnswerUnclear"));

/// Recipients 1 and 2 stay all along; under each fault one of those who came at the start leaves, and another comes.
async fn weathers(action: &str, faults: Faults) -> Result<()> {
    let player = Player::with_image().await?;
    let image = player.image_id(1);
    let mut here: Vec<u32> = [1, 2].into_iter().chain((10..).take(faults.len())).collect();
    player.share("team", here.clone()).await?;
    player.ready::<ImageShare>("team").await?;
    let mut left = Vec::new();
    for (leaving, (then, count, ready)) in (10..).zip(faults) {
        here.retain(|n| *n != leaving);
        here.push(leaving + 20);
        let told = then.to_string();
        player.fault(json!({"action": action, "image": image}), count, then).await?;
        player.edit::<ImageShare>("team", members(&player, here.clone())).await?;
        if let Some((status, reason)) = ready {
            let seen = player.until::<CloudImage>("golden", status, reason).await;
            seen.map_err(|e| e.context(format!("{action} under {told}")))?;
        }
        let settled = player.until_shared_with(1, here.clone()).await;
        settled.map_err(|e| e.context(format!("{action} under {told}")))?;
        player.ready::<CloudImage>("golden").await?;
        player.ready::<ImageShare>("team").await?;
        left.push(player.recipient(leaving));
    }
    assert_eq!(player.revoked(&image).await?, left, "exactly those who left were revoked, each once");
    let about = player.about(&image).await?;
    let blind = about.windows(2).filter(|pair| pair[0]["action"] != CHANGE && pair[0]["weather"] != json!([]));
    for pair in blind.filter(|pair| pair[0]["weather"] != json!(["emptyList"])) {
        assert_ne!(pair[1]["action"], CHANGE, "changed what was not seen, after {}", pair[0]);
    }
    Ok(())
}

#[tokio::test]
async fn an_image_that_cannot_be_read_is_not_acted_upon() -> Result<()> {
    let faults = vec![
        (kind("unavailable"), 2, DOWN),
        (kind("internalError"), 1, DOWN),
        (kind("cutBefore"), 1, DOWN),
        (kind("cutAfter"), 1, DOWN),
        (kind("wrongJson"), 2, UNCLEAR),
        (kind("truncatedPage"), 2, UNCLEAR),
        (kind("truncatedBody"), 1, DOWN),
        // Recipients are still listed for the image: what is empty is the list and not the account.
        (kind("emptyList"), 1, UNCLEAR),
    ];
    weathers(READ_IMAGE, faults).await
}

#[tokio::test]
async fn recipients_that_cannot_be_read_whole_are_not_acted_upon() -> Result<()> {
    let faults = vec![
        (kind("unavailable"), 2, DOWN),
        (kind("internalError"), 1, DOWN),
        (kind("cutBefore"), 1, DOWN),
        (kind("cutAfter"), 1, DOWN),
        (kind("wrongJson"), 2, UNCLEAR),
        (kind("truncatedPage"), 2, UNCLEAR),
        (kind("truncatedBody"), 1, DOWN),
        (json!({"kind": "truncatedPage", "drop": 100}), 1, UNCLEAR),
        (kind("emptyList"), 1, None),
    ];
    weathers(READ_RECIPIENTS, faults).await
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_looked_up_and_not_guessed() -> Result<()> {
    let faults = vec![
        (kind("unavailable"), 2, DOWN),
        (kind("internalError"), 1, DOWN),
        (kind("cutBefore"), 2, DOWN),
        (kind("cutAfter"), 1, DOWN),
        (kind("wrongJson"), 1, UNCLEAR),
        (kind("truncatedBody"), 1, DOWN),
    ];
    weathers(CHANGE, faults).await
}

#[tokio::test]
async fn while_the_cloud_is_down_nothing_is_let_go() -> Result<()> {
    let player = Player::with_image().await?;
    let image = player.image_id(1);
    player.share("team", 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    player.fault(json!({"image": image}), 4, kind("unavailable")).await?;
    player.delete::<ImageShare>("team").await?;
    player.delete::<CloudImage>("golden").await?;
    let share = player.until::<ImageShare>("team", "False", "Revoking").await?;
    assert!(share["metadata"]["finalizers"].to_string().contains("imageshare.dev"), "{share}");
    let held = player.until::<CloudImage>("golden", "Unknown", "CloudUnavailable").await?;
    assert!(held["metadata"]["finalizers"].to_string().contains("imageshare.dev"), "{held}");
    assert_eq!(player.shared_with(1).await?, ids(&player, 1..=3));
    player.gone::<ImageShare>("team").await?;
    player.gone::<CloudImage>("golden").await?;
    assert_eq!(player.shared_with(1).await?, Vec::<String>::new(), "let go before the access had ended");
    let down = player.about(&image).await?.iter().filter(|e| e["weather"] == json!(["unavailable"])).count();
    assert_eq!(down, 4, "it was tried again until the cloud was back");
    Ok(())
}

/// Demands that after the throttled request no other about the image came before the hint was over.
async fn heeds_the_hint(action: &str) -> Result<()> {
    let player = Player::with_image().await?;
    let image = player.image_id(1);
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let hint = 4000;
    player
        .fault(json!({"action": action, "image": image}), 1, json!({"kind": "throttle", "retryAfterMillis": hint}))
        .await?;
    player.share("more", 3..=3).await?;
    player.until::<CloudImage>("golden", "Unknown", "Throttled").await?;
    player.until::<ImageShare>("more", "Unknown", "Throttled").await?;
    // Somebody wishes something else meanwhile: that is no reason to call earlier.
    player.share("most", 4..=4).await?;
    player.until_shared_with(1, 1..=4).await?;
    player.ready::<ImageShare>("most").await?;
    let about = player.about(&image).await?;
    let throttled = about.iter().position(|e| e["weather"] == json!(["throttle"])).expect("one was throttled");
    let at = |entry: &Value| -> Timestamp { entry["time"].as_str().unwrap().parse().unwrap() };
    let waited = at(&about[throttled + 1]).duration_since(at(&about[throttled]));
    assert!(waited >= SignedDuration::from_millis(hint), "called again after {waited:?} of {hint} ms");
    assert!(waited < SignedDuration::from_millis(hint + 10_000), "called again only after {waited:?}");
    Ok(())
}

#[tokio::test]
async fn a_throttled_read_is_not_tried_before_the_hint_in_milliseconds_is_over() -> Result<()> {
    heeds_the_hint(READ_IMAGE).await
}

#[tokio::test]
async fn a_throttled_change_is_not_tried_before_the_hint_in_milliseconds_is_over() -> Result<()> {
    heeds_the_hint(CHANGE).await
}

/// The next listing is minutes away: what this one brought must be told now.
#[tokio::test]
async fn what_a_slow_listing_brought_is_told_though_the_account_changed_meanwhile() -> Result<()> {
    let player = Player::enter().await?;
    player.account(|_| {}).await?;
    player.ready::<CloudAccount>("golden").await?;
    player.fault(json!({"action": READ_IMAGE}), 1, json!({"kind": "slow", "millis": 3000})).await?;
    player.edit::<CloudAccount>("golden", json!({"spec": {"inventory": {"regions": [REGION]}}})).await?;
    eventually(PATIENCE, "the listing to begin", async || {
        ensure!(!player.calls(READ_IMAGE).await?.is_empty());
        Ok(Some(()))
    })
    .await?;
    player.edit::<CloudAccount>("golden", json!({"metadata": {"labels": {"edited": "meanwhile"}}})).await?;
    let listed = player.until_condition::<CloudAccount>("golden", "Listed", "True", "Listed").await?;
    ensure!(listed["status"]["received"] == "0/30", "{}", listed["status"]);
    ensure!(listed["metadata"]["labels"]["edited"] == "meanwhile" && player.calls(READ_IMAGE).await?.len() == 1);
    Ok(())
}
