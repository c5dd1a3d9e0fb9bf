//! A status that another tool wrote, as a restored backup: what does not hold any more goes, and then nothing is written.

use std::time::Duration;

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::behind;
use support::sights::ids;
use support::{Kind, PATIENCE, Player, condition};

/// Writes a status as a backup's restore does: whole, in its own name.
async fn restore<K: Kind>(player: &Player, name: &str, change: impl Fn(&mut Value)) -> Result<()> {
    imageshare_harness::eventually(PATIENCE, "the backup to be restored", async || {
        let mut object = player.get::<K>(name).await?;
        change(&mut object["status"]);
        let params = PostParams { field_manager: Some("backup".to_owned()), ..PostParams::default() };
        let restored = player.api::<K>().replace_status(name, &params, &serde_json::from_value(object)?).await;
        // The operator may write meanwhile.
        Ok(Some(restored?))
    })
    .await
    .map(drop)
}

fn stalled(status: &mut Value) {
    let condition = json!({"type": "Stalled", "status": "True", "reason": "CredentialsRejected", "message": "of the backup",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1});
    status["conditions"].as_array_mut().unwrap().push(condition);
}

fn is_stalled(object: &Value) -> bool {
    condition(object, "Stalled").is_some()
}

/// Who owns fields of the status, besides the operator.
fn strangers(object: &Value) -> Vec<&Value> {
    let all = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    all.filter(|entry| entry["subresource"] == "status" && entry["manager"] != "imageshare-operator").collect()
}

#[tokio::test]
async fn what_a_backup_restored_and_is_not_so_any_more_goes_and_then_nothing_is_written() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let lost = player.recipient(5);
    restore::<CloudImage>(&player, "golden", |status| {
        stalled(status);
        status["absentSince"] = json!("2026-01-01T00:00:00Z");
        let gone = json!({"uid": "gone", "namespace": player.namespace.name(), "name": "gone", "generation": 1});
        status["shares"].as_array_mut().unwrap().push(gone);
        let grant = json!({"type": "Account", "id": lost, "state": "Granted", "since": "2026-01-01T00:00:00Z"});
        status["grants"].as_array_mut().unwrap().push(grant);
    })
    .await?;
    player.ask_for_a_look::<CloudImage>("golden", "restored").await?;
    let as_it_is = |image: &Value| {
        let status = &image["status"];
        let served = status["shares"].as_array().map_or(0, Vec::len);
        !is_stalled(image)
            && status["absentSince"].is_null()
            && served == 1
            && ids(&status["grants"]) == player.recipients(1..=2)
    };
    player.until_it::<CloudImage>("golden", "nothing of the backup", as_it_is).await?;
    restore::<ImageShare>(&player, "team", stalled).await?;
    player.until_it::<ImageShare>("team", "not stalled", |share| !is_stalled(share)).await?;
    restore::<CloudAccount>(&player, "golden", stalled).await?;
    player.until_it::<CloudAccount>("golden", "not stalled", |account| !is_stalled(account)).await?;
    player.until_shared_with(1, 1..=2).await?;

    player.look_now::<CloudImage>("golden", "settled").await?;
    let all = async || {
        let image = player.get::<CloudImage>("golden").await?;
        anyhow::Ok([image, player.get::<ImageShare>("team").await?, player.get::<CloudAccount>("golden").await?])
    };
    let settled = all().await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    for (before, after) in settled.iter().zip(all().await?) {
        ensure!(before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"], "written: {after}");
        ensure!(strangers(&after).is_empty(), "it would stay when it is left out: {after}");
    }
    Ok(())
}

#[tokio::test]
async fn after_one_write_has_taken_a_status_over_each_change_is_one_write_again() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    restore::<ImageShare>(&player, "team", stalled).await?;
    player.until_it::<ImageShare>("team", "not stalled", |share| !is_stalled(share)).await?;
    let since = behind.proxy.last();
    let path = format!("/namespaces/{}/imageshares/team/status", player.namespace.name());
    player.edit::<ImageShare>("team", json!({"spec": {"suspend": true}})).await?;
    player.until::<ImageShare>("team", "False", "Suspended").await?;
    player.edit::<ImageShare>("team", json!({"spec": {"suspend": false}})).await?;
    player.ready::<ImageShare>("team").await?;
    let calls = behind.proxy.calls();
    let patches = calls.iter().filter(|call| call.seq > since && call.path.contains(&path)).map(|call| &call.path);
    let taken_over = patches.filter(|path| !path.contains("force=true")).count();
    ensure!(taken_over == 0, "{taken_over} more");
    Ok(())
}
