//! Jobs that fail, take long, or end while nobody follows them.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::{Value, json};

use super::{ADD, EFFECT, Ground, OPERATOR, REMOVE, ids, projects};
use support::PATIENCE;
use support::says;

fn sorted(mut all: Vec<String>) -> Vec<String> {
    all.sort();
    all
}

async fn with_slow_job(millis: u64) -> Result<(Ground, String)> {
    let (ground, image) = Ground::with_image("golden", json!({})).await?;
    ground.weather(ADD, &image, 1, json!({"kind": "jobSlow", "millis": millis})).await?;
    Ok((ground, image))
}

/// Waits until the image's ledger knows of a job.
async fn until_under_way(ground: &Ground) -> Result<()> {
    let under_way = |image: &Value| image["status"]["job"]["id"].is_string();
    ground.place.until_it::<CloudImage>("golden", "a job under way", under_way).await.map(drop)
}

#[tokio::test]
async fn a_job_that_fails_half_way_by_passing_trouble_is_made_up_for() -> Result<()> {
    let (ground, image) = Ground::with_image("golden", json!({})).await?;
    ground.weather(ADD, &image, 1, json!({"kind": "jobFails", "code": "IMG.0061", "partial": 3})).await?;
    ground.share("golden", projects(ids(0..8))).await?;
    ground.place.ready::<ImageShare>("golden").await?;
    let calls = ground.calls(ADD, &image).await?;
    ensure!(calls.len() == 2, "once and once again: {calls:?}");
    ensure!(calls[1]["parameters"]["add"].as_array().is_some_and(|rest| rest.len() == 5), "{calls:?}");
    ensure!(sorted(ground.added(&image).await?) == sorted(ids(0..8)) && ground.removed(&image).await?.is_empty());
    Ok(())
}

/// Beside so many others, one the cloud does not know.
async fn one_among(others: u32, unknown: String, weather: Option<Value>, most_jobs: usize) -> Result<()> {
    let (ground, image) = Ground::with_image("golden", json!({})).await?;
    if let Some(then) = weather {
        let when = json!({"action": ADD, "image": image, "recipient": unknown});
        ground.place.stage.cloud.post_fault(&json!({"when": when, "then": then})).await?;
    }
    let mut all = ids(0..others);
    all.insert(3, unknown.clone());
    ground.share("golden", projects(all)).await?;
    let share = ground.place.until_waiting("golden", "InvalidRecipient", &[(&unknown, "InvalidRecipient")]).await?;
    says(&share, "Ready", &[&unknown]);
    ensure!(sorted(ground.added(&image).await?) == sorted(ids(0..others)), "the others are granted");
    let (calls, jobs) = (ground.calls(ADD, &image).await?.len(), ground.calls(EFFECT, &image).await?.len());
    ensure!(jobs <= most_jobs && calls <= 24, "{jobs} jobs, {calls} calls");
    ensure!(ground.removed(&image).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn one_unknown_project_is_found_whether_the_call_or_its_job_fails_and_the_others_are_granted() -> Result<()> {
    let unlucky = support::huawei::one_of_the_crowd(130);
    let in_the_job = Some(json!({"kind": "jobFails", "code": "IMG.0108"}));
    let at_the_call = one_among(19, "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd".to_owned(), None, 6);
    futures::try_join!(at_the_call, one_among(5, unlucky, in_the_job, 12)).map(drop)
}

#[tokio::test]
async fn while_a_job_runs_its_share_waits_nothing_else_is_sent_and_other_images_are_served() -> Result<()> {
    let (ground, image) = with_slow_job(6000).await?;
    let other = ground.image("other", json!({})).await?;
    ground.share("golden", projects(ids(0..3))).await?;
    ground.until_called(ADD, &image, 1).await?;
    ground.share("other", projects(ids(0..3))).await?;
    ground.place.ready::<ImageShare>("other").await?;
    ensure!(ground.members(&other).await?.len() == 3 && ground.members(&image).await?.is_empty());
    ground.place.until::<ImageShare>("golden", "Unknown", "Pending").await?;
    ground.place.ready::<ImageShare>("golden").await?;
    ensure!(ground.calls(ADD, &image).await?.len() == 1 && ground.members(&image).await?.len() == 3);
    Ok(())
}

#[tokio::test]
async fn an_operator_killed_while_a_job_runs_follows_it_to_its_end() -> Result<()> {
    let (ground, image) = with_slow_job(3000).await?;
    let _alone = OPERATOR.write().await;
    ground.share("golden", projects(ids(0..5))).await?;
    until_under_way(&ground).await?;
    ground.place.stage.restart_operator().await?;
    ensure!(ground.members(&image).await?.is_empty(), "killed too late to tell anything");
    ground.place.ready::<ImageShare>("golden").await?;
    let calls = ground.calls(ADD, &image).await?;
    ensure!(calls.len() == 1, "the job was known, and is not asked for again: {calls:?}");
    ensure!(sorted(ground.added(&image).await?) == sorted(ids(0..5)) && ground.removed(&image).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_share_edited_or_deleted_while_its_job_runs_is_as_asked_in_the_end() -> Result<()> {
    futures::try_join!(edited_meanwhile(), deleted_meanwhile()).map(drop)
}

async fn edited_meanwhile() -> Result<()> {
    let (ground, image) = with_slow_job(2000).await?;
    ground.share("golden", projects(ids(0..3))).await?;
    until_under_way(&ground).await?;
    ground.reshare("golden", projects(ids(1..5))).await?;
    ground.place.ready::<ImageShare>("golden").await?;
    let wanted: BTreeSet<String> = ids(1..5).into_iter().collect();
    eventually(PATIENCE, "as edited", async || {
        let members: BTreeSet<String> = ground.members(&image).await?.into_keys().collect();
        ensure!(members == wanted, "{members:?}");
        Ok(Some(()))
    })
    .await?;
    ensure!(ground.removed(&image).await? == ids(0..1), "only who was taken off the list lost the image");
    ensure!(sorted(ground.added(&image).await?) == sorted(ids(0..5)), "nobody was added twice");
    Ok(())
}

async fn deleted_meanwhile() -> Result<()> {
    let (ground, image) = with_slow_job(2000).await?;
    ground.share("golden", projects(ids(0..3))).await?;
    until_under_way(&ground).await?;
    ground.place.delete::<ImageShare>("golden").await?;
    ground.place.gone::<ImageShare>("golden").await?;
    ensure!(ground.members(&image).await?.is_empty(), "the share outlived its grants");
    ensure!(sorted(ground.added(&image).await?) == ids(0..3) && sorted(ground.removed(&image).await?) == ids(0..3));
    ensure!(ground.calls(REMOVE, &image).await?.len() == 1);
    Ok(())
}
