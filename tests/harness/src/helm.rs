//! Calling helm on the chart, as whoever installs it would. What is rendered is applied by others.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::assets;

/// The chart's folder.
pub fn chart() -> PathBuf {
    assets::workspace().join("charts/imageshare-operator")
}

/// Runs helm; gives its output, or fails with its error message.
pub async fn helm(args: &[&str]) -> Result<String> {
    Ok(run(args).await?.0)
}

/// Runs helm; gives what it said besides its output, such as warnings of the API server.
pub async fn messages(args: &[&str]) -> Result<String> {
    Ok(run(args).await?.1)
}

async fn run(args: &[&str]) -> Result<(String, String)> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    tokio::task::spawn_blocking(move || call(&args)).await?
}

/// The objects of a release of the chart, as YAML documents; `args` are more of helm's, as `--set` or `--show-only`.
pub async fn template(release: &str, namespace: &str, args: &[&str]) -> Result<String> {
    let chart = chart();
    let chart = chart.to_str().context("the path is not UTF-8")?;
    helm(&[&["template", release, chart, "--namespace", namespace], args].concat()).await
}

fn call(args: &[String]) -> Result<(String, String)> {
    let mut command = Command::new(assets::helm()?);
    // What the developer has set up for helm must not change a test.
    command.args(args).env_clear().env("HOME", assets::workspace().join("target/tmp/helm-home"));
    let output = command.stdin(Stdio::null()).output().context("starting helm")?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm {}: {}", args.join(" "), message.trim());
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), message.into_owned()))
}
