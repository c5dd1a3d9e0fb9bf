//! The demo: a Kubernetes API server, a simulated cloud and the operator on one machine, and a short story told
//! with real `kubectl` output. Each step is checked against what truly happened at the simulated cloud.

mod offers;
mod stage;
mod story;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use stage::Stage;

/// The demo of the operator.
///
/// Starts etcd, kube-apiserver, the cloud simulator and the operator, and shows how an image is shared and no longer shared, and
/// how another is offered and accepted. Then it stays up until Ctrl-C.
#[derive(Debug, Parser)]
struct Options {
    /// End after the story, with exit status 0 only if every step held.
    #[arg(long)]
    once: bool,
}

/// Exit status after Ctrl-C before the story has ended, as shells give it.
const INTERRUPTED: u8 = 130;

/// How often the demo checks that the servers run while it stays up.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse().once).await {
        Ok(status) => status,
        Err(error) => {
            eprintln!("\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(once: bool) -> Result<ExitCode> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // Whatever was started ends with the future that is dropped here.
    let mut stage = tokio::select! {
        () = told_to_end(&mut interrupt, &mut terminate) => return Ok(interrupted()),
        stage = Stage::start() => stage?,
    };
    let told = tokio::select! {
        () = told_to_end(&mut interrupt, &mut terminate) => None,
        told = story::tell(&stage) => Some(told),
    };
    let Some(told) = told else {
        stage.end().await?;
        return Ok(interrupted());
    };
    if let Err(error) = told {
        // A server that has ended is why.
        let error = stage.ensure_running().err().unwrap_or(error);
        eprintln!("\ndemo: a step of the story did not hold: {error:#}\n\n{}", stage.logs());
        return Ok(ExitCode::FAILURE);
    }
    println!("\nEvery step held.");
    if !once {
        story::invite(&stage);
        loop {
            tokio::select! {
                () = told_to_end(&mut interrupt, &mut terminate) => break,
                () = tokio::time::sleep(CHECK_INTERVAL) => stage.keep_running().await?,
            }
        }
    }
    println!("\nEnding the servers…");
    let status = stage.end().await?;
    ensure!(status == 0, "the operator ended with status {status}");
    Ok(ExitCode::SUCCESS)
}

async fn told_to_end(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn interrupted() -> ExitCode {
    println!("\nInterrupted: everything that was started has ended.");
    ExitCode::from(INTERRUPTED)
}
