//! What a large copy costs the operator's process.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::stream;
use imageshare_harness::eventually;
use imageshare_harness::openstack::NewImage;
use imageshare_operator::api::{CloudImage, ImageReplica};
use serde_json::json;

use crate::scene::{MIB, Scene, Way, only};
use crate::stage::rough;

const SIZE: usize = 1024 * MIB;
const GROWTH_MAX: u64 = 64 * MIB as u64;

/// How long it may take on a busy machine.
const COPYING: Duration = Duration::from_secs(300);

/// What a process holds in memory, and the most it ever held: `VmRSS` and `VmHWM` of `proc(5)`, in bytes.
fn memory(process: u32) -> Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let field = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such field")?;
        Ok(line.trim_end_matches("kB").trim().parse::<u64>()? * 1024)
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

/// A block, repeated, with its number in each.
fn generated() -> reqwest::Body {
    let blocks = (0..SIZE / MIB).map(|number| {
        let mut block = vec![0_u8; MIB];
        block[..8].copy_from_slice(&number.to_be_bytes());
        Ok::<_, std::io::Error>(Bytes::from(block))
    });
    reqwest::Body::wrap_stream(stream::iter(blocks))
}

#[tokio::test]
async fn a_gibibyte_is_copied_to_another_cloud_in_less_than_64_mib() -> Result<()> {
    let rough = rough().await?;
    let _alone = rough.alone.write().await;
    // The most it ever held counts from its start.
    rough.stage.restart_operator().await?;
    let scene = Scene::enter_on(&rough.stage).await?;
    let there = scene.clouds.there.create_project("there").await?;
    scene.seat("there", &scene.clouds.there, &there, Way::Straight).await?;
    let empty = scene.golden("golden", NewImage { bytes: None, ..NewImage::default() }).await?;
    let id = empty["id"].as_str().context("an id")?;
    let begun = Instant::now();
    scene.clouds.here.fill_image(&scene.project, id, generated()).await?;
    println!("written in {:?}", begun.elapsed());
    scene.place.look_now::<CloudImage>("golden", "filled").await?;
    let process = rough.stage.operator.lock().await.process.pid();
    let (before, _) = memory(process)?;

    let begun = Instant::now();
    scene.replicate(json!({"destination": {"accountRef": {"name": "there"}}, "deletionPolicy": "Delete"})).await?;
    let (mut most, mut percents) = (0, Vec::new());
    eventually(COPYING, "the copy", async || {
        most = most.max(memory(process)?.0);
        let replica = scene.place.get::<ImageReplica>("copy").await?;
        percents.extend(replica["status"]["progress"].as_u64());
        ensure!(replica["status"]["copy"]["state"] == "Made", "{}", replica["status"]);
        Ok(Some(()))
    })
    .await?;
    println!("copied in {:?}", begun.elapsed());
    scene.made().await?;
    let (_, ever) = memory(process)?;
    let grown = |to: u64| to.saturating_sub(before) / MIB as u64;
    println!(
        "memory: {} MiB before, {} MiB more while copying, {} at most",
        before / MIB as u64,
        grown(most),
        grown(ever)
    );
    percents.dedup();
    ensure!(percents.iter().any(|percent| (1..100).contains(percent)), "no progress was told: {percents:?}");
    for held in [most, ever] {
        ensure!(held < before + GROWTH_MAX, "{} MiB more", grown(held));
    }
    only(scene.clouds.there.images_of(&there).await?, &scene.source(id).await?)?;

    // Their content goes with them.
    scene.place.delete::<ImageReplica>("copy").await?;
    scene.place.gone::<ImageReplica>("copy").await?;
    ensure!(scene.clouds.there.images_of(&there).await?.is_empty());
    scene.clouds.here.delete_image(&scene.project, id).await
}
