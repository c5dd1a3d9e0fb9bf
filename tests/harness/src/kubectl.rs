//! Calling kubectl, as a user of the operator would.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Runs kubectl with `input` on its standard input; gives what it printed, or fails with its error message.
pub(crate) async fn run(program: PathBuf, kubeconfig: PathBuf, args: &[&str], input: &str) -> Result<String> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let input = input.to_owned();
    tokio::task::spawn_blocking(move || call(&program, &kubeconfig, &args, &input)).await?
}

fn call(program: &PathBuf, kubeconfig: &PathBuf, args: &[String], input: &str) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("KUBECONFIG", kubeconfig);
    // kubectl keeps what it discovered about a server under HOME; this server is a new one.
    command.env("HOME", kubeconfig.with_file_name("kubectl-home"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("starting kubectl")?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read its input closes it; whether that is an error is its own to say. It reads all
        // before it prints more than a pipe holds.
        stdin.write_all(input.as_bytes()).ok();
    }
    let output = child.wait_with_output().context("waiting for kubectl")?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {}: {}", args.join(" "), message.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
