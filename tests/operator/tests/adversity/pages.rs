//! More recipients than one page of the cloud's list holds, and a second page that does not come.

use anyhow::Result;
use futures::future::try_join_all;
use imageshare_harness::proxy::{Deed, Rule, Upstream, Which};
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::json;

use crate::behind;
use support::sights::{LIST, MODIFY};
use support::{Player, condition};

const MANY: u32 = 105;

/// In an answer, the image of whoever asks.
const THIS_IMAGE: &str = "this image";

/// Accounts that belong to no player.
pub(crate) fn crowd() -> impl Iterator<Item = String> {
    (1..=MANY).map(|n| format!("3100000000{n:06}"))
}

/// A player whose image is shared with `MANY` by the share `crowd`, and with one more by the share `one`.
async fn crowded() -> Result<Player> {
    let behind = behind().await?;
    let limits = serde_json::from_value(json!({"recipientsPerImage": 200}))?;
    let player = behind.player_with(|account| account.limits = Some(limits)).await?;
    player.image("golden", |_| {}).await?;
    player.share_with("crowd", &crowd().collect::<Vec<_>>(), |_| {}).await?;
    player.share("one", [1]).await?;
    player.ready::<ImageShare>("crowd").await?;
    player.ready::<ImageShare>("one").await?;
    Ok(player)
}

async fn judge(deed: Deed, status: &str, reason: &str) -> Result<()> {
    let behind = behind().await?;
    let player = crowded().await?;
    let changes = player.calls(MODIFY).await?;
    let deed = match deed {
        Deed::Answer(status, text) => Deed::Answer(status, text.replace(THIS_IMAGE, &player.image_id(1))),
        other => other,
    };
    let second_page = Which::read().to(Upstream::Cloud).action(LIST).path(&player.image_id(1)).path("PageNumber=2");
    let trouble = behind.proxy.add(Rule::new(second_page, deed));
    player.reshare_with("crowd", crowd().take(3)).await?;
    player.delete::<ImageShare>("one").await?;
    player.until::<CloudImage>("golden", status, reason).await?;
    let met = trouble.hits().len();
    imageshare_harness::eventually(support::PATIENCE, "further looks", async || {
        Ok((trouble.hits().len() >= met + 2).then_some(()))
    })
    .await?;
    assert_eq!(player.calls(MODIFY).await?, changes, "nothing is revoked upon half a list");
    let left = player.get::<ImageShare>("one").await?;
    assert!(left["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty()));
    let image = player.get::<CloudImage>("golden").await?;
    assert_eq!(condition(&image, "Ready").unwrap().reason, reason);
    assert_eq!(player.shared_with(1).await?.len(), MANY as usize + 1);
    drop(trouble);
    player.gone::<ImageShare>("one").await?;
    player.ready::<ImageShare>("crowd").await?;
    assert_eq!(player.shared_with(1).await?, crowd().take(3).collect::<Vec<_>>());
    behind.audit(&[&player], &[]).await
}

#[tokio::test]
async fn nothing_is_concluded_from_a_first_page_whose_second_does_not_come_or_contradicts_it() -> Result<()> {
    let empty = |image: &str, total: u32| {
        let answer = json!({
            "RequestId": "0", "PageNumber": 2, "PageSize": 100, "TotalCount": total, "RegionId": "cn-hangzhou",
            "ShareGroups": {"ShareGroup": []}, "Accounts": {"Account": []}, "ImageId": image,
        });
        Deed::Answer(200, answer.to_string())
    };
    let cases = [
        (Deed::CutAfter, "CloudUnavailable"),
        (
            Deed::Answer(503, json!({"Code": "ServiceUnavailable", "Message": "", "RequestId": "0"}).to_string()),
            "CloudUnavailable",
        ),
        // The list is said to be empty by now; as long as before, but nothing more comes; another image's.
        (empty(THIS_IMAGE, 0), "AnswerUnclear"),
        (empty(THIS_IMAGE, MANY + 1), "AnswerUnclear"),
        (empty("m-0", MANY + 1), "AnswerUnclear"),
    ];
    try_join_all(cases.into_iter().map(|(deed, reason)| judge(deed, "Unknown", reason))).await?;
    Ok(())
}
