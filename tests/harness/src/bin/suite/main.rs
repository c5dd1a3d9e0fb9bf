//! Runs all tests of the workspace: several test programs side by side, since most of their time is waiting for servers.
//!
//! `cargo test` runs one program after the other, and two thirds of its time the machine is idle. cargo-nextest gives each test a
//! process of its own, and each process would start a control plane of its own: here the tests of one program share theirs.

mod durations;
mod programs;
mod running;

use std::fmt::Write as _;
use std::io::stdout;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use imageshare_harness::{assets, run};

use durations::Durations;
use running::Ended;

/// Runs all tests of the workspace.
///
/// Builds them, runs several test programs side by side, prints the output of each once it has ended, and of failed ones last.
/// For a single program use `cargo test --test NAME`.
#[derive(Debug, Parser)]
struct Options {
    /// How many test programs run at the same time.
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: u32,
    /// How many tests of each program run at the same time.
    #[arg(long, value_name = "N", default_value = "2", env = "RUST_TEST_THREADS")]
    threads: u32,
    /// Run only programs whose source has one of these in its path.
    #[arg(value_name = "PATH")]
    only: Vec<String>,
}

fn main() -> ExitCode {
    match suite(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("suite: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all tests passed.
fn suite(options: &Options) -> Result<bool> {
    let begin = Instant::now();
    let mut programs = programs::all(options.threads)?;
    programs.retain(|program| options.only.is_empty() || options.only.iter().any(|only| program.name.contains(only)));
    ensure!(!programs.is_empty(), "no test program has {:?} in the path of its source", options.only);
    let mut durations = Durations::read(assets::workspace().join("target/suite.json"));
    durations.slowest_first(&mut programs);
    let ended = running::side_by_side(programs, options.jobs, &run::folder("suite")?, stdout())?;
    for program in ended.iter().filter(|program| program.passed()) {
        durations.note(&program.name, program.took);
    }
    durations.write()?;
    println!("\n{}", summary(&ended, begin.elapsed()));
    Ok(ended.iter().all(Ended::passed))
}

fn summary(ended: &[Ended], took: Duration) -> String {
    let failed: Vec<&Ended> = ended.iter().filter(|program| !program.passed()).collect();
    let mut text = format!("suite: {} test programs in {}: ", ended.len(), minutes(took));
    if failed.is_empty() {
        text.push_str("all passed");
    } else {
        write!(text, "{} FAILED:", failed.len()).ok();
        for program in failed {
            write!(text, "\n    {} ({})", program.name, program.status).ok();
        }
    }
    text
}

/// A duration for people.
fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {:02} s", seconds / 60, seconds % 60) }
}
