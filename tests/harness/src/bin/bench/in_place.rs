//! What an operator does when everything is in place already: after a restart, at rest, and when one wish among many changes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;

use crate::arguments::Arguments;
use crate::bare::{BareCloud, BareKubernetes};
use crate::floor::each;
use crate::hand_over;
use crate::journal::{Call, LookedAt, Tail, excess, looks};
use crate::latency::{self, Bare, Editor, Latencies, granted_at};
use crate::processes::{cpu_seconds, peak_megabytes};
use crate::report::{Figure, Goal, Report};
use crate::requests::{between, writes};
use crate::stage::Stage;
use crate::throughput::LIMIT;

/// The token bucket of each account, as the operator has it by default.
const PER_SECOND: f64 = 5.0;
const BURST: f64 = 10.0;

/// More recipients than are ever added to one share here.
const NEVER_ADDED: usize = 25;

/// Minutes between two looks at an image, by default.
const DRIFT_MINUTES: f64 = 10.0;

/// Cases that need a fleet in place.
pub(crate) const CASES: [&str; 5] = ["restart", "handover", "rest", "edit", "delete"];

/// How often the operator is started for its first edit: how long the API server takes for the same lists differs by half.
const STARTS: usize = 5;

/// An operator that was started anew.
struct Restart {
    steady: f64,
    first_edits: Latencies,
    calls: Vec<Call>,
    /// How often the image was looked at that was looked at most, but for the edited one.
    most_looks: u64,
    cpu: f64,
    peak_megabytes: f64,
}

/// An operator at rest.
struct Rest {
    /// Writes while nothing is due, and while everything is looked at once.
    writes: [u64; 2],
    calls: usize,
    looks: usize,
    /// Processor seconds of one second in which nothing is due.
    cpu: f64,
    cpu_per_look: f64,
}

/// Measures what is wanted of these cases, then their floors, and reports.
pub(crate) async fn measure(stage: &mut Stage, arguments: &Arguments, report: &mut Report) -> Result<()> {
    ensure!(stage.fleet.images >= 4, "with fewer than 4 images in place there is nothing to see: --scale is too small");
    let mut editor = Editor::new(stage);
    let wanted = |case| arguments.wants(case);
    let handed_over = if wanted("handover") { Some(hand_over::measure(stage, &mut editor).await?) } else { None };
    let restarted = if wanted("restart") { Some(restart(stage, &mut editor).await?) } else { None };
    let rest = if wanted("rest") { Some(rest(stage, arguments.seconds, restarted.is_some()).await?) } else { None };
    if rest.is_none() && arguments.wants_any(&["edit", "delete"]) {
        look_on_and_on(stage, arguments.seconds).await?;
    }
    let edits = if wanted("edit") { Some(latency::edit(stage, &mut editor).await?) } else { None };
    let deletes = if wanted("delete") { Some(latency::delete(stage, &editor).await?) } else { None };
    stage.stop_operator().await?;
    if let Some(restarted) = restarted {
        let mut floor = Vec::new();
        for _ in 0..STARTS {
            floor.push(first_edit(stage).await? * 1000.0);
        }
        report_restart(&restarted, paced_reads(stage).await?, &Latencies::new(floor), report);
    }
    if let Some(first_edit) = handed_over {
        hand_over::report(stage, first_edit, report).await?;
    }
    if let Some(rest) = rest {
        report_rest(stage, &rest, bare_look(stage).await?, report);
    }
    let bare = Bare::new(stage).await?;
    let mut told =
        |case, what, measured: &Latencies, floor: &Latencies| latency::report(case, what, measured, floor, report);
    if let Some(edits) = edits {
        told("edit", "spec edit to granted", &edits, &bare.edit(&mut editor).await?);
    }
    if let Some(deletes) = deletes {
        told("delete", "delete to gone from the cloud", &deletes, &bare.delete(&editor).await?);
    }
    Ok(())
}

/// Waits until every image was looked at since `tail` began; gives all calls.
pub(crate) async fn until_all_looked_at(
    stage: &Stage,
    tail: &mut Tail,
    mut also: impl FnMut(&[Call]) -> bool,
) -> Result<Vec<Call>> {
    let (images, mut looked_at) = (stage.fleet.images, LookedAt::default());
    let enough = |new: &[Call]| also(new) & (looked_at.add(new) >= images);
    tail.until(&stage.cloud, LIMIT, "every image to be looked at", enough).await
}

/// Starts the operator again and again, each time with an edit; the last one until it has looked at everything.
async fn restart(stage: &mut Stage, editor: &mut Editor) -> Result<Restart> {
    let mut first_edits = Vec::new();
    for _ in 1..STARTS {
        let mut start = Start::begin(stage, editor).await?;
        let granted = |calls: &[Call]| start.first.served(calls);
        start.tail.until(&stage.cloud, LIMIT, "the first edit to be granted", granted).await?;
        first_edits.push(start.first.took()?);
        stage.until_quiet().await?;
    }
    let mut start = Start::begin(stage, editor).await?;
    let served = |calls: &[Call]| start.first.served(calls);
    let mut calls = until_all_looked_at(stage, &mut start.tail, served).await?;
    first_edits.push(start.first.took()?);
    let steady = calls.iter().map(|call| call.at).max().context("there were calls")?;
    // What comes after it has seen everything counts too.
    stage.until_quiet().await?;
    calls.extend(start.tail.read(&stage.cloud).await?);
    let edited = crate::fleet::image_id(start.first.image);
    let others: Vec<Call> = calls.iter().filter(|call| call.image != edited).cloned().collect();
    Ok(Restart {
        steady: steady.duration_since(start.begun).as_secs_f64(),
        first_edits: Latencies::new(first_edits),
        most_looks: looks(&others).1,
        calls,
        cpu: cpu_seconds(stage.operator_pid()?)?,
        peak_megabytes: peak_megabytes(stage.operator_pid()?)?,
    })
}

/// An operator that was just started, and an edit made at once.
struct Start {
    begun: Timestamp,
    tail: Tail,
    first: FirstEdit,
}

struct FirstEdit {
    image: usize,
    newcomer: String,
    asked: Timestamp,
    served: Option<Timestamp>,
}

impl Start {
    async fn begin(stage: &mut Stage, editor: &mut Editor) -> Result<Self> {
        let (image, tail) = (stage.fleet.images / 2, Tail::begin(&stage.cloud).await?);
        let begun = Timestamp::now();
        stage.start_operator(&[])?;
        let (asked, newcomer) = editor.add(stage, image).await?;
        Ok(Self { begun, tail, first: FirstEdit { image, newcomer, asked, served: None } })
    }
}

impl FirstEdit {
    /// Whether it was served, in these calls or before.
    fn served(&mut self, calls: &[Call]) -> bool {
        self.served = self.served.or_else(|| granted_at(calls, self.image, &self.newcomer));
        self.served.is_some()
    }

    /// In milliseconds.
    fn took(&self) -> Result<f64> {
        let served = self.served.context("the edit was not served")?;
        Ok(served.duration_since(self.asked).as_secs_f64() * 1000.0)
    }
}

/// Starts an operator that looks at everything once every `seconds`, and waits until it has looked at all once.
async fn look_on_and_on(stage: &mut Stage, seconds: u64) -> Result<()> {
    let mut tail = Tail::begin(&stage.cloud).await?;
    stage.start_operator(&["--drift-interval", &format!("{seconds}s")])?;
    until_all_looked_at(stage, &mut tail, |_| true).await?;
    stage.until_quiet().await.map(drop)
}

/// What an operator does in some seconds.
struct Window {
    writes: u64,
    calls: Vec<Call>,
    cpu: f64,
    seconds: f64,
}

async fn watch_for(stage: &mut Stage, seconds: u64) -> Result<Window> {
    let (pid, mut tail) = (stage.operator_pid()?, Tail::begin(&stage.cloud).await?);
    let (before, begun, cpu) = (writes(&stage.client).await?, Instant::now(), cpu_seconds(pid)?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (cpu, seconds) = (cpu_seconds(stage.operator_pid()?)? - cpu, begun.elapsed().as_secs_f64());
    let writes = between(&before, &writes(&stage.client).await?).values().sum();
    Ok(Window { writes, calls: tail.read(&stage.cloud).await?, cpu, seconds })
}

/// `steady`: an operator runs with its defaults and has just looked at everything, so that nothing is due for minutes.
async fn rest(stage: &mut Stage, seconds: u64, steady: bool) -> Result<Rest> {
    if !steady {
        let mut tail = Tail::begin(&stage.cloud).await?;
        stage.start_operator(&[])?;
        until_all_looked_at(stage, &mut tail, |_| true).await?;
        stage.until_quiet().await?;
    }
    let nothing_due = watch_for(stage, seconds).await?;
    let cpu = nothing_due.cpu / nothing_due.seconds;
    look_on_and_on(stage, seconds).await?;
    let all_due = watch_for(stage, seconds).await?;
    let looks = all_due.calls.iter().filter(|call| call.action == crate::journal::LOOK).count();
    ensure!(looks > 0, "nothing was looked at within {seconds} s");
    let cpu_per_look = (all_due.cpu - cpu * all_due.seconds).max(0.0) / float(looks);
    let writes = [nothing_due.writes, all_due.writes];
    Ok(Rest { writes, calls: all_due.calls.len(), looks, cpu, cpu_per_look })
}

/// How long the reads of one look at each image take within the bucket of each account, in seconds.
async fn paced_reads(stage: &Stage) -> Result<f64> {
    let (fleet, cloud) = (stage.fleet, BareCloud::new(stage.cloud.cloud(), stage.fleet)?);
    let begun = Instant::now();
    let (cloud, fleet) = (&cloud, &fleet);
    let owners = (0..fleet.owners).map(|owner| async move {
        let mut asked = 0.0;
        for image in (0..fleet.images).filter(|image| fleet.owner_of(*image) == owner) {
            for read in 0..2 {
                asked += 1.0;
                let due = Duration::from_secs_f64(((asked - BURST) / PER_SECOND).max(0.0));
                tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
                if read == 0 { cloud.describe(image).await? } else { cloud.recipients(image).await? }
            }
        }
        Ok::<_, anyhow::Error>(())
    });
    futures::future::try_join_all(owners).await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// How long one edit takes, in seconds, where every image and every share is listed before: whoever acts upon less may take
/// from a recipient what a share that it has not seen gives.
async fn first_edit(stage: &Stage) -> Result<f64> {
    let kubernetes = BareKubernetes::new(stage.client_as_operator().await?);
    let begun = Instant::now();
    tokio::try_join!(kubernetes.list("CloudImage"), kubernetes.list("ImageShare"))?;
    let listed = begun.elapsed().as_secs_f64();
    Ok(listed + change_of_first_edit(stage).await?)
}

/// How long the cloud's calls of one edit take, in seconds.
pub(crate) async fn change_of_first_edit(stage: &Stage) -> Result<f64> {
    let cloud = BareCloud::new(stage.cloud.cloud(), stage.fleet)?;
    let edited = stage.fleet.images / 2;
    let newcomer = stage.fleet.recipients_of(edited, NEVER_ADDED);
    let begun = Instant::now();
    cloud.describe(edited).await?;
    cloud.recipients(edited).await?;
    cloud.change(edited, "AddAccount", newcomer.last().map(std::slice::from_ref).unwrap_or_default()).await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Processor seconds of a bare client for the two reads of one look.
async fn bare_look(stage: &Stage) -> Result<f64> {
    let cloud = &BareCloud::new(stage.cloud.cloud(), stage.fleet)?;
    let me = std::process::id();
    let before = cpu_seconds(me)?;
    each(stage.fleet.images, |image| async move {
        cloud.describe(image).await?;
        cloud.recipients(image).await
    })
    .await?;
    Ok((cpu_seconds(me)? - before) / float(stage.fleet.images))
}

fn report_restart(measured: &Restart, steady: f64, first_edits: &Latencies, report: &mut Report) {
    let case = "restart";
    report.add(Figure::new(case, "time to steady", "s", measured.steady).floor(steady));
    for (what, part) in [("first edit served, P50", 0.5), ("first edit served, slowest", 1.0)] {
        let seconds = |latencies: &Latencies| latencies.at(part) / 1000.0;
        let figure = Figure::new(case, what, "s", seconds(&measured.first_edits)).floor(seconds(first_edits));
        report.add(if part < 1.0 { figure.goal(Goal::Below(2.0)) } else { figure });
    }
    let most = Figure::count(case, "looks at one image, most", measured.most_looks);
    report.add(most.floor_count(1).goal(Goal::AtMost(1.0)));
    report.add(Figure::count(case, "cloud calls", u64::try_from(measured.calls.len()).unwrap_or(u64::MAX)));
    // By the cloud's clock: a call that was on its way longer than the next one seems to come too early.
    let over = excess(&measured.calls, PER_SECOND, BURST);
    report.add(Figure::new(case, "calls of an account over its bucket", "", over.round()).goal(Goal::AtMost(1.0)));
    report.add(Figure::new(case, "operator CPU", "s", measured.cpu));
    report.add(Figure::new(case, "operator peak RSS", "MB", measured.peak_megabytes));
}

fn report_rest(stage: &Stage, measured: &Rest, floor: f64, report: &mut Report) {
    let (case, images) = ("rest", float(stage.fleet.images));
    let [nothing_due, all_due] = measured.writes;
    report.add(Figure::count(case, "Kubernetes writes while nothing is due", nothing_due).goal(Goal::AtMost(0.0)));
    report.add(Figure::count(case, "Kubernetes writes while all are looked at", all_due).goal(Goal::AtMost(0.0)));
    let calls = float(measured.calls) / float(measured.looks);
    report.add(Figure::new(case, "cloud calls per look", "", calls).floor(2.0));
    let per_look = measured.cpu_per_look * 1000.0;
    report.add(Figure::new(case, "operator CPU per look", "ms", per_look).floor(floor * 1000.0));
    let beyond = Figure::new(case, "operator CPU beyond the looks", "% of a core", measured.cpu * 100.0);
    report.add(beyond.goal(Goal::Below(1.0)));
    let looks_a_minute = images / DRIFT_MINUTES;
    report.add(Figure::new(case, "cloud calls at the default interval", "a minute", looks_a_minute * calls));
    let all = measured.cpu + looks_a_minute / 60.0 * measured.cpu_per_look;
    report.add(Figure::new(case, "operator CPU at the default interval", "% of a core", all * 100.0));
    report.note(case, "looks", u64::try_from(measured.looks).unwrap_or(u64::MAX));
}

#[allow(clippy::cast_precision_loss, reason = "small counts")]
fn float(count: usize) -> f64 {
    count as f64
}
