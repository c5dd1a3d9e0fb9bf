//! How many calls it takes.

use anyhow::{Context as _, Result, bail, ensure};
use imageshare_operator::api::ImageShare;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;

use super::{ADD, Ground, JOB, LIST, LOOK, REMOVE, crowd, ids, projects, seq, undisturbed};
use support::sights::time_of;

/// Looks around come every 2.7 s at the soonest here: what is sooner after one is for the change.
const SOONER_THAN_A_LOOK_AROUND: SignedDuration = SignedDuration::from_millis(2500);
const TRIES: usize = 5;

/// Waits for a look around, and gives when it was and the last entry's number.
async fn after_a_look_around(ground: &Ground, image: &str) -> Result<(Timestamp, u64)> {
    ground.until_looked(image, 1).await?;
    let calls = ground.calls(LIST, image).await?;
    let last = calls.last().context("a look")?;
    Ok((time_of(last), seq(last)?))
}

/// What the owner asked since a look around; `None` where the machine was so slow that the next one may be among it.
async fn asked_since(ground: &Ground, (time, number): (Timestamp, u64)) -> Result<Option<Vec<Value>>> {
    let mut all = ground.by(&ground.project(0)).await?;
    all.retain(|entry| entry["seq"].as_u64() > Some(number));
    let in_time = all.last().is_some_and(|last| time_of(last).duration_since(time) < SOONER_THAN_A_LOOK_AROUND);
    Ok(in_time.then_some(all))
}

/// Leaves out what the next look asked: once a share is gone its image may be deleted, which a look a tenth of a second later
/// tells, and on a slow machine that is among the rest.
fn without_the_next_look(asked: &[Value]) -> &[Value] {
    match asked {
        [change @ .., look, list] if ends_in_a_list(change) && look["action"] == LOOK && list["action"] == LIST => {
            change
        }
        whole => whole,
    }
}

fn ends_in_a_list(asked: &[Value]) -> bool {
    asked.last().is_some_and(|last| last["action"] == LIST)
}

fn judge(asked: &[Value], change: &str) -> Result<()> {
    let of = |action: &str| asked.iter().filter(|entry| entry["action"] == action).collect::<Vec<_>>();
    let jobs: BTreeSet<String> = of(JOB).iter().map(|entry| entry["job"].to_string()).collect();
    let told: Vec<&Value> = asked.iter().map(|entry| &entry["action"]).collect();
    ensure!(of(change).len() == 1 && of(ADD).len() + of(REMOVE).len() <= 2, "member calls: {told:?}");
    ensure!(jobs.len() == 1 && of(JOB).len() <= 4, "one chain of looks at one job: {told:?}");
    ensure!(of(LOOK).len() == 1 && of(LIST).len() == 2, "one image read and two member lists: {told:?}");
    Ok(())
}

#[tokio::test]
async fn sharing_with_128_and_ending_it_take_one_call_one_job_one_read_and_two_lists_each() -> Result<()> {
    let _operator = undisturbed().await;
    for _ in 0..TRIES {
        let (ground, image) = Ground::with_image("golden", json!({})).await?;
        let start = after_a_look_around(&ground, &image).await?;
        ground.share("golden", projects(ids(0..128))).await?;
        ground.place.ready::<ImageShare>("golden").await?;
        let Some(asked) = asked_since(&ground, start).await? else { continue };
        judge(&asked, ADD)?;
        ensure!(ground.members(&image).await?.len() == 128);

        // With nothing left to wait for, looks are as rare as at rest.
        ground.by_hand(&image, crowd(0..128), json!([])).await?;
        ground.place.until_condition::<ImageShare>("golden", "Accepted", "True", "Accepted").await?;
        let start = after_a_look_around(&ground, &image).await?;
        ground.place.delete::<ImageShare>("golden").await?;
        ground.place.gone::<ImageShare>("golden").await?;
        ensure!(ground.members(&image).await?.is_empty(), "the share outlived its grants");
        let Some(asked) = asked_since(&ground, start).await? else { continue };
        return judge(without_the_next_look(&asked), REMOVE);
    }
    bail!("the machine was too slow {TRIES} times to tell looks around from those for the change")
}
