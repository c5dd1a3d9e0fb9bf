//! Wishes that cannot be, images that cannot be shared, and a cloud that answers badly: told, nothing lost, nobody revoked.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::{Value, json};

use super::{ADD, Ground, LIST, REMOVE, ids, projects};
use support::arena::Arena as _;
use support::huawei::REGION;
use support::says;
use support::sights::{strings, time_of};

#[tokio::test]
async fn recipients_that_cannot_be_are_told_each_by_name_and_the_others_are_granted() -> Result<()> {
    let (ground, image) = Ground::with_image("golden", json!({})).await?;
    let [_, elsewhere] = ground.arena.further_projects();
    let (own, own_account, bare) = (ground.project(0), ground.arena.domain(0), "ou-c1".to_owned());
    let wished = json!([
        {"type": "Project", "id": ground.project(1)}, {"type": "Project", "id": elsewhere},
        {"type": "Project", "id": own}, {"type": "Account", "id": own_account}, {"type": "Organization", "id": bare},
    ]);
    ground.share("golden", wished).await?;
    let because = |reason| move |id: &String| (id.clone(), reason);
    let reasons = [&elsewhere, &bare].map(because("InvalidRecipient")).into_iter();
    let reasons: Vec<_> = reasons.chain([&own, &own_account].map(because("RecipientIsOwner"))).collect();
    let reasons: Vec<_> = reasons.iter().map(|(id, reason)| (id.as_str(), *reason)).collect();
    let share = ground.place.until_waiting("golden", "InvalidRecipient", &reasons).await?;
    says(&share, "Ready", &["URN", "organizations::", &bare]);
    ensure!(ground.members(&image).await? == BTreeMap::from([(ground.project(1), "pending".to_owned())]));
    let calls = ground.calls(ADD, &image).await?;
    let codes: Vec<&Value> = calls.iter().map(|call| &call["code"]).collect();
    ensure!(codes.contains(&&json!("IMG.0177")) && calls.len() <= 4, "{codes:?}");
    let asked: Vec<String> = calls.iter().flat_map(|call| strings(&call["parameters"]["add"])).collect();
    ensure!(
        ![own, own_account, bare].iter().any(|id| asked.contains(id)),
        "calls that had to fail were sent: {asked:?}"
    );
    Ok(())
}

#[tokio::test]
async fn images_that_cannot_be_shared_are_told_and_nobody_is_added() -> Result<()> {
    let ground = Ground::enter().await?;
    let strange = json!({"project": "abababababababababababababababab", "origin": "market", "region": REGION});
    let encrypted = ground.image("encrypted", json!({"encrypted": true})).await?;
    let market = ground.arena.image_with(strange).await?;
    let anothers = ground.arena.image_with(json!({"project": ground.project(1)})).await?;
    let nowhere = ground.arena.new_image("nowhere").await?;
    ground.name_image("market", REGION, &market).await?;
    ground.name_image("anothers", REGION, &anothers).await?;
    ground.name_image("nowhere", "cn-nowhere-1", &nowhere).await?;
    let vanishing = ground.image("vanishing", json!({})).await?;
    for name in ["encrypted", "market", "anothers", "nowhere", "vanishing"] {
        ground.share(name, projects(ids(0..2))).await?;
    }
    ground.place.ready::<ImageShare>("vanishing").await?;
    ground.place.stage.cloud.patch(&format!("/huawei/images/{vanishing}"), &json!({"delete": true})).await?;
    for (name, reason, word) in [
        ("encrypted", "ImageNotShareable", "encrypted"),
        ("market", "ImageNotShareable", "marketplace"),
        ("anothers", "ImageNotFound", "imageID"),
        ("nowhere", "RegionUnknown", "cn-nowhere-1"),
        ("vanishing", "ImageNotFound", "imageID"),
    ] {
        let image = ground.place.until::<CloudImage>(name, "False", reason).await?;
        says(&image, "Ready", &[word]);
        ground.place.until::<ImageShare>(name, "False", reason).await?;
    }
    for (image, calls) in [(&market, 0), (&anothers, 0), (&nowhere, 0)] {
        ensure!(ground.calls(ADD, image).await?.len() == calls, "{image}");
        ensure!(ground.members(image).await?.is_empty());
    }
    ensure!(ground.members(&encrypted).await?.is_empty() && !ground.calls(ADD, &encrypted).await?.is_empty());
    // What is gone takes its shares with it, once that is certain.
    ground.place.delete::<ImageShare>("vanishing").await?;
    ground.place.gone::<ImageShare>("vanishing").await
}

#[tokio::test]
async fn a_throttled_call_is_made_again_once_the_cloud_allows() -> Result<()> {
    let (ground, image) = Ground::with_image("golden", json!({})).await?;
    ground.weather(ADD, &image, 1, json!({"kind": "throttle", "retryAfterMillis": 3000})).await?;
    ground.share("golden", projects(ids(0..2))).await?;
    ground.place.until::<ImageShare>("golden", "Unknown", "Throttled").await?;
    ground.place.ready::<ImageShare>("golden").await?;
    let calls = ground.calls(ADD, &image).await?;
    ensure!(calls.len() == 2 && calls[0]["status"] == 429, "{calls:?}");
    let waited = time_of(&calls[1]).duration_since(time_of(&calls[0]));
    ensure!(waited >= jiff::SignedDuration::from_secs(3), "{waited:?}");
    let mut between = ground.by(&ground.project(0)).await?;
    between.retain(|entry| time_of(entry) > time_of(&calls[0]) && time_of(entry) < time_of(&calls[1]) - waited / 2);
    ensure!(between.is_empty(), "calls while the cloud asked for none: {between:?}");
    Ok(())
}

/// A member list that tells wrong, for so many looks. An empty one is whole by all it says; it is only believed when it
/// comes twice, an absence window apart.
async fn badly_told(then: Value, times: u64) -> Result<()> {
    let (ground, image) = Ground::with_image("golden", json!({})).await?;
    ground.share("golden", projects(ids(0..3))).await?;
    ground.place.ready::<ImageShare>("golden").await?;
    ground.weather(LIST, &image, times, then.clone()).await?;
    ground.place.ask_for_a_look::<CloudImage>("golden", "foul").await?;
    ground.until_fair(&image).await?;
    ground.place.look_now::<CloudImage>("golden", "fair").await?;
    ground.place.ready::<ImageShare>("golden").await?;
    ensure!(ground.calls(REMOVE, &image).await?.is_empty() && ground.members(&image).await?.len() == 3);

    ground.weather(LIST, &image, times, then).await?;
    ground.place.delete::<ImageShare>("golden").await?;
    ground.place.gone::<ImageShare>("golden").await?;
    ensure!(ground.members(&image).await?.is_empty(), "the share was let go while its grants stood");
    ensure!(ground.removed(&image).await?.len() == 3);
    Ok(())
}

#[tokio::test]
async fn a_member_list_that_is_truncated_empty_cut_short_or_anothers_revokes_nobody_and_lets_no_share_go() -> Result<()>
{
    let row = json!({"status": "accepted", "image_id": "00000000-0000-4000-8000-000000000000", "member_type": "project",
        "member_id": "edc89b490d7d4392898e19b2deb34797"});
    let anothers = json!({"members": [row], "page_info": {"current_count": 1}}).to_string();
    let cases = [
        (json!({"kind": "truncatedPage", "drop": 2}), 4),
        (json!({"kind": "emptyList"}), 1),
        (json!({"kind": "truncatedBody"}), 2),
        (json!({"kind": "wrongJson", "body": anothers}), 2),
    ];
    let run = |(then, times): (Value, u64)| async move {
        badly_told(then.clone(), times).await.with_context(|| then.to_string())
    };
    try_join_all(cases.map(run)).await.map(drop)
}
