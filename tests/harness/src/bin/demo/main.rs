//! The demo: a whole Kubernetes control plane, a simulated cloud and the operator on one machine, and a short story told
//! with real `kubectl` output. Each step is checked against what truly happened at the simulated cloud.

mod offers;
mod stage;
mod story;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::signal::unix::{Signal, SignalKind, signal};

use stage::Stage;

const USAGE: &str = "usage: demo [--once]

Starts etcd, kube-apiserver, kube-controller-manager, the cloud simulator and the operator, and shows how an image is
shared and let go, and how another is offered and accepted. Then it stays up until Ctrl-C; with --once it ends by itself, with exit status 0 only if every step
held.";

/// Exit status after Ctrl-C before the story has ended, as shells give it.
const INTERRUPTED: u8 = 130;

/// How often the servers are looked at while the demo stays up.
const LOOK: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let once = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => false,
        ["--once"] => true,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(once).await {
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
        eprintln!("\n{}", stage.tails());
        return Err(error.context("a step of the story did not hold"));
    }
    println!("\nEvery step held.");
    if !once {
        story::invite(&stage);
        loop {
            tokio::select! {
                () = told_to_end(&mut interrupt, &mut terminate) => break,
                () = tokio::time::sleep(LOOK) => stage.ensure_running()?,
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
