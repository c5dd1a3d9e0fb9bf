//! The benchmark: the operator on a real API server and the cloud simulator, each figure beside its floor, measured in the
//! same run. What the figures mean is told in `docs/benchmark.md`.

mod arguments;
mod bare;
mod fleet;
mod floor;
mod hand_over;
mod in_place;
mod journal;
mod latency;
mod objects;
mod processes;
mod report;
mod requests;
mod stage;
mod throughput;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use arguments::Arguments;
use report::Report;
use stage::Stage;
use throughput::{Run, SIZES, Size};

/// Exit status after Ctrl-C before the end, as shells give it.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(status) => status,
        Err(error) => {
            eprintln!("\nbench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // Whatever was started ends with the future that is dropped here.
    tokio::select! {
        _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
        _ = terminate.recv() => Ok(ExitCode::from(INTERRUPTED)),
        measured = measure(arguments) => measured.map(|()| ExitCode::SUCCESS),
    }
}

/// Measures all cases that are wanted. What was measured is written also when a later case fails.
async fn measure(arguments: &Arguments) -> Result<()> {
    let mut report = Report::begin(arguments.scale);
    let measured = measure_all(arguments, &mut report).await;
    report.write(&arguments.json)?;
    measured?;
    let (met, missed) = report.goals();
    println!("\n{met} goals met, {missed} missed; {}", arguments.json.display());
    Ok(())
}

async fn measure_all(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let mut grown: Vec<Run> = Vec::new();
    // What is not about one latency is measured without any.
    let latencies: BTreeSet<Duration> = arguments.latencies.iter().copied().chain([Duration::ZERO]).collect();
    for size in SIZES {
        for &latency in &latencies {
            let at_once = latency.is_zero();
            let timed = arguments.wants(size.case) && arguments.latencies.contains(&latency);
            let in_place = at_once && size.largest && arguments.wants_any(&in_place::CASES);
            let is_of_growth = at_once && size.case != "1x50" && arguments.wants("growth");
            if !(timed || in_place || is_of_growth) {
                continue;
            }
            let run = on_one_stage(arguments, (size, latency), in_place, report).await;
            let run = run.with_context(|| format!("{}, {latency:?}", size.case))?;
            if timed {
                throughput::report(size, latency, &run, report).await?;
            }
            grown.extend(is_of_growth.then_some(run));
        }
    }
    if arguments.wants("growth") { throughput::growth(&grown, report) } else { Ok(()) }
}

/// Shares a fleet, and measures what is wanted while it is in place.
async fn on_one_stage(
    arguments: &Arguments,
    (size, latency): (Size, Duration),
    in_place: bool,
    report: &mut Report,
) -> Result<Run> {
    let mut stage = Stage::start(size.fleet(arguments.scale), latency).await?;
    let run = throughput::share_all(&mut stage).await;
    let run = run.with_context(|| format!("logs are in {}", stage.logs().display()))?;
    if in_place {
        let measured = in_place::measure(&mut stage, arguments, report).await;
        measured.with_context(|| format!("logs are in {}", stage.logs().display()))?;
    }
    Ok(run)
}
