//! A fault campaign from the command line: `chaos --seed 7 --minutes 2`. The same seed brings the same wishes and faults.

use std::io::{Write as _, stdout};
use std::path::{PathBuf, absolute};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use imageshare_harness::campaign::{Campaign, Plan, Verdict};
use imageshare_harness::run;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A fault campaign.
///
/// Starts etcd, kube-apiserver, kube-controller-manager, both simulated clouds and the operator, and carries out the operations
/// and faults of a seed.
#[derive(Debug, Parser)]
#[command(after_help = EXIT_STATUS)]
struct Options {
    /// Which campaign: the same seed brings the same operations and faults.
    #[arg(long, value_name = "N")]
    seed: u64,
    /// How many minutes it takes, at most 45.
    #[arg(long, value_name = "M", default_value = "1", value_parser = minutes)]
    minutes: f64,
    /// Another operator binary.
    #[arg(long, value_name = "PATH")]
    operator: Option<PathBuf>,
    /// Only print the plan.
    #[arg(long)]
    plan: bool,
}

const EXIT_STATUS: &str = "Exit status: 0 nothing found, 1 something found (lines that begin with FOUND), 2 the campaign \
                           itself could not run.";

/// Longer ones were never tried.
const LONGEST_MINUTES: f64 = 45.0;

const FOUND: u8 = 1;
const FAILED: u8 = 2;
/// Exit status after Ctrl-C, as shells give it.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(status) => status,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

async fn run(options: Options) -> Result<ExitCode> {
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    let operator = options.operator.map(absolute).transpose()?;
    let campaign = Campaign { seed: options.seed, length, operator };
    let plan = Plan::of(campaign.seed, campaign.length);
    println!("{}", plan.title());
    if options.plan {
        let mut out = stdout().lock();
        plan.lines().try_for_each(|line| writeln!(out, "{line}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // Whatever was started ends with the future that is dropped here.
    let verdict = tokio::select! {
        () = told_to_end(&mut interrupt, &mut terminate) => return Ok(ExitCode::from(INTERRUPTED)),
        verdict = campaign.run() => verdict?,
    };
    Ok(tell(campaign.seed, &verdict))
}

fn tell(seed: u64, verdict: &Verdict) -> ExitCode {
    for finding in &verdict.findings {
        println!("FOUND {finding}");
    }
    println!("{}", verdict.summary);
    if verdict.findings.is_empty() {
        println!("clean: seed {seed}");
        return ExitCode::SUCCESS;
    }
    let kept = run::keep(&verdict.run, &format!("found-by-seed-{seed}")).unwrap_or_else(|_| verdict.run.clone());
    println!("seed {seed} found something; logs in {}", kept.display());
    ExitCode::from(FOUND)
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let so = minutes > 0.0 && minutes <= LONGEST_MINUTES;
    if so { Ok(minutes) } else { Err(format!("it is above 0 and at most {LONGEST_MINUTES}")) }
}

async fn told_to_end(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
