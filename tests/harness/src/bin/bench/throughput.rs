//! So many images with so many recipients each, from nothing granted to all `Ready`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::fleet::{Fleet, name};
use crate::floor::{Floor, Toll, pay};
use crate::journal::{Tail, by_action, granted};
use crate::objects::{Readiness, status};
use crate::processes::{cpu_seconds, cpu_seconds_of_all, peak_megabytes};
use crate::report::{Figure, Goal, Report};
use crate::requests::{between, writes};
use crate::stage::{Stage, UNPACED};

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(3600);

/// One size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) case: &'static str,
    images: usize,
    recipients: usize,
    /// Whether goals for the operator's memory and processor time are set for it.
    pub(crate) largest: bool,
}

pub(crate) const SIZES: [Size; 4] = [
    Size { case: "1x50", images: 1, recipients: 50, largest: false },
    Size { case: "100x20", images: 100, recipients: 20, largest: false },
    Size { case: "1000x20", images: 1_000, recipients: 20, largest: false },
    Size { case: "10000x20", images: 10_000, recipients: 20, largest: true },
];

impl Size {
    pub(crate) fn fleet(&self, scale: f64) -> Fleet {
        Fleet::new(self.images, self.recipients, scale)
    }
}

/// What an operator took for a fleet.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) fleet: Fleet,
    seconds: f64,
    pub(crate) cpu: f64,
    pub(crate) peak_megabytes: f64,
    servers_cpu: f64,
    toll: Toll,
}

/// Starts an operator and waits until it has shared every image with everybody; it goes on running.
pub(crate) async fn share_all(stage: &mut Stage) -> Result<Run> {
    let fleet = stage.fleet;
    let images = Readiness::watch(&stage.client, "CloudImage").await?;
    let shares = Readiness::watch(&stage.client, "ImageShare").await?;
    let mut tail = Tail::begin(&stage.cloud).await?;
    let before = writes(&stage.client).await?;
    let (servers, spent) = (stage.server_pids(), cpu_seconds_of_all(&stage.server_pids()));
    let begun = Instant::now();
    stage.start_operator(&UNPACED)?;
    let (images, shares) = (images.until(fleet.images, LIMIT).await?, shares.until(fleet.images, LIMIT).await?);
    let seconds = images.max(shares).duration_since(begun).as_secs_f64();
    let servers_cpu = cpu_seconds_of_all(&servers) - spent;
    let after = stage.until_quiet().await?;
    let pid = stage.operator_pid()?;
    let calls = tail.read(&stage.cloud).await?;
    // What counts is what the cloud itself gave.
    ensure!(granted(&calls) == fleet.grants(), "{} of {} recipients were granted", granted(&calls), fleet.grants());
    let toll = Toll {
        calls: by_action(&calls),
        writes: between(&before, &after),
        image_status: status(&stage.client, "CloudImage", &fleet.namespace_of(0), &name(0)).await?,
        share_status: status(&stage.client, "ImageShare", &fleet.namespace_of(0), &name(0)).await?,
    };
    Ok(Run { fleet, seconds, cpu: cpu_seconds(pid)?, peak_megabytes: peak_megabytes(pid)?, servers_cpu, toll })
}

/// Measures the floor of a run, on servers of its own.
pub(crate) async fn floor(run: &Run, latency: Duration) -> Result<(Floor, BTreeMap<String, u64>, u64)> {
    let stage = Stage::start(run.fleet, latency).await?;
    let (mut tail, before) = (Tail::begin(&stage.cloud).await?, writes(&stage.client).await?);
    let floor = pay(&stage, run.toll.clone()).await?;
    let written = between(&before, &writes(&stage.client).await?).values().sum();
    Ok((floor, by_action(&tail.read(&stage.cloud).await?), written))
}

/// Measures one size with one latency whole, and reports it.
pub(crate) async fn report(size: Size, latency: Duration, run: &Run, report: &mut Report) -> Result<()> {
    let case = format!("{}, {} ms", size.case, latency.as_millis());
    let (floor, floor_calls, floor_writes) = floor(run, latency).await?;
    let count = |calls: &BTreeMap<String, u64>| calls.values().sum::<u64>();
    let writes: u64 = run.toll.writes.values().sum();
    report.add(Figure::new(&case, "time to all Ready", "s", run.seconds).floor(floor.seconds).goal(Goal::Ratio(1.5)));
    report.add(Figure::count(&case, "cloud calls", count(&run.toll.calls)).floor_count(count(&floor_calls)));
    report.add(Figure::count(&case, "Kubernetes writes", writes).floor_count(floor_writes));
    report.add(Figure::new(&case, "operator CPU", "s", run.cpu).floor(floor.cpu));
    let each = |cpu: f64| cpu * 1000.0 / float(run.fleet.grants());
    let per_recipient = Figure::new(&case, "operator CPU per recipient", "ms", each(run.cpu)).floor(each(floor.cpu));
    let peak = Figure::new(&case, "operator peak RSS", "MB", run.peak_megabytes);
    let (per_recipient, peak) = if size.largest {
        (per_recipient.goal(Goal::Below(1.0)), peak.goal(Goal::Below(150.0)))
    } else {
        (per_recipient, peak)
    };
    report.add(per_recipient);
    report.add(peak);
    report.add(Figure::new(&case, "Kubernetes servers' CPU", "s", run.servers_cpu).floor(floor.servers_cpu));
    for (write, total) in &run.toll.writes {
        let slash = if write.subresource.is_empty() { "" } else { "/" };
        let what = format!("{} {}{slash}{}", write.verb, write.resource, write.subresource);
        report.note(&case, &what, *total);
    }
    for (action, total) in &run.toll.calls {
        report.note(&case, action, *total);
    }
    Ok(())
}

/// How memory and processor time grow with the number of shares: what a further share takes, between the small sizes and
/// between the large ones.
pub(crate) fn growth(runs: &[Run], report: &mut Report) -> Result<()> {
    let [small, middle, large] = runs else { anyhow::bail!("growth is told from three sizes, not {}", runs.len()) };
    let more = |what: fn(&Run) -> f64, from: &Run, to: &Run| {
        let shares = float(to.fleet.images) - float(from.fleet.images);
        if shares > 0.0 { (what(to) - what(from)).max(0.0) / shares } else { 0.0 }
    };
    let each = |what: fn(&Run) -> f64, run: &Run| what(run) / float(run.fleet.images);
    let memory: fn(&Run) -> f64 = |run| run.peak_megabytes * 1000.0;
    let time: fn(&Run) -> f64 = |run| run.cpu * 1000.0;
    let first = more(memory, small, middle);
    let figure =
        Figure::new("growth", "RSS of a further share, up to the largest size", "kB", more(memory, middle, large));
    // A tenth more than before is what measurements differ by.
    report.add(figure.compared("up to the middle size", first).goal(Goal::Ratio(1.1)));
    let figure = Figure::new("growth", "CPU of a share, largest size", "ms", each(time, large));
    report.add(figure.compared("middle size", each(time, middle)).goal(Goal::Ratio(1.1)));
    report.add(Figure::new("growth", "CPU of a share, smallest size", "ms", each(time, small)));
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "small counts")]
fn float(count: usize) -> f64 {
    count as f64
}
