//! At rest nothing moves: over 100 looks at what is as it should be, no call changes anything and nothing is written.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use support::sights::{LOOK, ids};
use support::{Kind, Player, Stage, start, world};

/// Everything is looked at again all the time, and nothing is short of budget.
const RESTLESS: [&str; 16] = [
    "--drift-interval",
    "100ms",
    "--credentials-interval",
    "200ms",
    "--blocked-interval",
    "200ms",
    "--absence-window",
    "200ms",
    "--unmanaged-grace",
    "1s",
    "--calls-per-second",
    "1000",
    "--calls-burst",
    "1000",
    "--log",
    "info",
];

const LOOKS: usize = 100;

/// Versions of all objects of a kind, by name.
async fn versions<K: Kind>(player: &Player, of: &mut BTreeMap<String, String>) -> Result<()> {
    for object in player.api::<K>().list_metadata(&ListParams::default()).await?.items {
        let name = format!("{} {}", K::kind(&()), object.name_any());
        of.insert(name, object.resource_version().context("a version")?);
    }
    Ok(())
}

async fn all_versions(player: &Player) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    versions::<CloudAccount>(player, &mut all).await?;
    versions::<CloudImage>(player, &mut all).await?;
    versions::<ImageShare>(player, &mut all).await?;
    versions::<Event>(player, &mut all).await?;
    Ok(all)
}

/// Requests to write our kinds, or events, which the API server has answered: also those that changed nothing.
async fn writes_asked_for(player: &Player) -> Result<u64> {
    let metrics = player.stage.control_plane.kubectl(&["get", "--raw", "/metrics"]).await?;
    let concerns = |line: &str| {
        line.starts_with("apiserver_request_total{")
            && (line.contains("group=\"imageshare.dev\"") || line.contains("resource=\"events\""))
            && ["POST", "PUT", "PATCH", "APPLY", "DELETE"].iter().any(|verb| line.contains(&format!("verb=\"{verb}\"")))
    };
    let count = |line: &str| line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok());
    let counts: Vec<f64> = metrics.lines().filter(|line| concerns(line)).filter_map(count).collect();
    anyhow::ensure!(!counts.is_empty(), "the API server counts no writes at all");
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters are whole and small")]
    Ok(counts.iter().sum::<f64>() as u64)
}

async fn looks(player: &Player) -> Result<usize> {
    Ok(player.calls(LOOK).await?.len())
}

async fn until_looked(player: &Player, more: usize) -> Result<()> {
    let enough = looks(player).await? + more;
    eventually(Duration::from_secs(120), &format!("{more} more looks"), async || {
        let looks = looks(player).await?;
        anyhow::ensure!(looks >= enough, "{looks} of {enough}");
        Ok(Some(()))
    })
    .await
}

/// 49 recipients and a foreign one fill the image; one more waits for a place, and one is none the cloud knows.
async fn settle(player: &Player) -> Result<()> {
    player.share_by_hand(1, &[60], &[]).await?;
    player.account(|_| {}).await?;
    player.image("golden", |_| {}).await?;
    player.share("most", 1..=49).await?;
    player.ready::<ImageShare>("most").await?;
    player.share("late", [50]).await?;
    player.until::<ImageShare>("late", "False", "RecipientLimit").await?;
    player.image("second", |image| image.image_id = player.image_id(2)).await?;
    let strange = vec![player.recipient(1), "3999999900000001".to_owned()];
    let second = |share: &mut imageshare_operator::api::image_share::ImageShareSpec| {
        share.image_ref = serde_json::from_value(serde_json::json!({"name": "second"})).unwrap();
    };
    player.share_with("strange", &strange, second).await?;
    player.until::<ImageShare>("strange", "False", "InvalidRecipient").await?;
    let image = player.ready::<CloudImage>("golden").await?;
    assert_eq!(ids(&image["status"]["unmanaged"]), player.recipients([60]));
    player.until_shared_with(1, (1..=49).chain([60])).await?;
    // What is still being told is told within a few looks.
    until_looked(player, 10).await
}

#[tokio::test]
async fn over_a_hundred_looks_nothing_moves() -> Result<()> {
    let stage: &'static Stage = Box::leak(Box::new(start(&world(), &RESTLESS).await?));
    let player = Player::enter_on(stage).await?;
    settle(&player).await?;
    let (versions, writes) = (all_versions(&player).await?, writes_asked_for(&player).await?);
    let changes = player.mutations().await?.len();
    until_looked(&player, LOOKS).await?;
    assert_eq!(player.mutations().await?.len(), changes, "a call changed something at rest");
    assert_eq!(all_versions(&player).await?, versions);
    assert_eq!(writes_asked_for(&player).await?, writes, "writes that changed nothing");
    // The figures are of this world: an edit moves them.
    player.reshare("most", 2..=49).await?;
    player.ready::<ImageShare>("late").await?;
    assert!(writes_asked_for(&player).await? > writes && player.mutations().await?.len() > changes);
    assert_ne!(all_versions(&player).await?, versions);
    Ok(())
}
