//! A fault campaign from the command line: `chaos --seed 7 --minutes 2`. The same seed brings the same wishes and faults.

use std::io::{Write as _, stdout};
use std::path::absolute;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use imageshare_harness::campaign::{Campaign, Plan, Verdict};
use imageshare_harness::run;
use tokio::signal::unix::{Signal, SignalKind, signal};

const USAGE: &str = "usage: chaos --seed N [--minutes M] [--operator PATH] [--plan]

Starts etcd, kube-apiserver, kube-controller-manager, both simulated clouds and the operator, and lets wishes and faults of
this seed befall them for M minutes (default 1, at most 45). With --plan it only prints the plan.

Exit status: 0 nothing found, 1 something found (told in lines that begin with FOUND), 2 the campaign itself could not run.";

/// A token of the operator's is good for an hour.
const LONGEST_MINUTES: f64 = 45.0;

const FOUND: u8 = 1;
const FAILED: u8 = 2;
/// Exit status after Ctrl-C, as shells give it.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(status) => status,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

async fn run() -> Result<ExitCode> {
    let (campaign, only_plan) = arguments(std::env::args().skip(1)).context(USAGE)?;
    let plan = Plan::of(campaign.seed, campaign.length);
    println!("{}", plan.title());
    if only_plan {
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

fn arguments(mut given: impl Iterator<Item = String>) -> Result<(Campaign, bool)> {
    let (mut seed, mut minutes, mut operator, mut only_plan) = (None, 1.0, None, false);
    while let Some(name) = given.next() {
        let mut value = || given.next().with_context(|| format!("{name} needs a value"));
        match name.as_str() {
            "--seed" => seed = Some(value()?.parse().context("--seed is a number")?),
            "--minutes" => minutes = value()?.parse::<f64>().context("--minutes is a number")?,
            "--operator" => operator = Some(absolute(value()?).context("--operator")?),
            "--plan" => only_plan = true,
            other => bail!("what is {other}?"),
        }
    }
    ensure!(minutes > 0.0 && minutes <= LONGEST_MINUTES, "--minutes is above 0 and at most {LONGEST_MINUTES}");
    let seed = seed.context("--seed is missing")?;
    Ok((Campaign { seed, length: Duration::from_secs_f64(minutes * 60.0), operator }, only_plan))
}

async fn told_to_end(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
