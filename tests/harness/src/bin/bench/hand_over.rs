//! What an edit waits for when the operator that leads is told to stop and another, whose caches are filled, goes on: the way
//! an update restarts what the chart runs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{Release, eventually, ports};
use jiff::Timestamp;

use crate::in_place::{change_of_first_edit, until_all_looked_at};
use crate::journal::Tail;
use crate::latency::{Editor, granted_at};
use crate::report::{Figure, Goal, Report};
use crate::stage::Stage;
use crate::throughput::LIMIT;

/// How long the other may take until its caches are filled.
const FILLING: Duration = Duration::from_secs(60);

/// Seconds from the order to stop until an edit was served that was made when the leader had ended.
pub(crate) async fn measure(stage: &mut Stage, editor: &mut Editor) -> Result<f64> {
    let lease = Release::default().lease();
    let mut tail = Tail::begin(&stage.cloud).await?;
    stage.start_operator(&["--lease", &lease])?;
    until_all_looked_at(stage, &mut tail, |_| true).await?;
    let at = format!("127.0.0.1:{}", ports::free()?);
    let next = stage.operator(&["--lease", &lease, "--listen", &at])?;
    let readiness = reqwest::Client::builder().no_proxy().build()?.get(format!("http://{at}/readyz"));
    eventually(FILLING, "the caches of the other to be filled", async || {
        let request = readiness.try_clone().context("it has no body")?;
        Ok(request.send().await?.status().is_success().then_some(()))
    })
    .await?;
    stage.until_quiet().await?;
    tail.read(&stage.cloud).await?;
    let told = Timestamp::now();
    let status = stage.hand_over(next).await?;
    ensure!(status == 0, "the leader ended with {status}");
    let edited = stage.fleet.images / 2;
    let (_, newcomer) = editor.add(stage, edited).await?;
    let mut served = None;
    tail.until(&stage.cloud, LIMIT, "the edit to be served", |new| {
        served = served.or(granted_at(new, edited, &newcomer));
        served.is_some()
    })
    .await?;
    stage.stop_operator().await?;
    Ok(served.context("the edit was served")?.duration_since(told).as_secs_f64())
}

pub(crate) async fn report(stage: &Stage, first_edit: f64, report: &mut Report) -> Result<()> {
    let figure = Figure::new("handover", "first edit served", "s", first_edit);
    report.add(figure.floor(change_of_first_edit(stage).await?).goal(Goal::Below(2.0)));
    Ok(())
}
