//! What is to be measured, as told on the command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use imageshare_harness::assets;

pub(crate) const USAGE: &str = "usage: bench [--cases CASE,CASE,...] [--scale FRACTION] [--latencies MS,MS,...]
             [--seconds N] [--json FILE]

Measures the operator on a real API server and the cloud simulator, each figure beside its floor: what a bare client takes
for the same cloud calls and the same number of Kubernetes writes. Prints a table and writes JSON.

  --cases      1x50, 100x20, 1000x20, 10000x20: images x recipients, each with every latency;
               restart, rest, edit, delete: with 10,000 images in place; growth: from 100 to 10,000. Default: all
  --scale      of the number of images and accounts, as 0.01; names of cases and goals stay. Default: 1
  --latencies  how late each answer of the cloud comes, in milliseconds. Default: 0,50
  --seconds    how long an operator at rest is looked at. Default: 60
  --json       where the figures are written. Default: target/bench/bench.json";

/// Every case, in the order of the table.
pub(crate) const CASES: [&str; 10] =
    ["1x50", "100x20", "1000x20", "10000x20", "restart", "handover", "rest", "edit", "delete", "growth"];

fn milliseconds(list: &str) -> Result<Vec<Duration>, std::num::ParseIntError> {
    list.split(',').map(|text| text.parse().map(Duration::from_millis)).collect()
}

/// What is to be measured.
#[derive(Debug)]
pub(crate) struct Arguments {
    cases: Vec<String>,
    pub(crate) scale: f64,
    /// How late each answer of the cloud comes.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) seconds: u64,
    pub(crate) json: PathBuf,
}

impl Arguments {
    /// Reads them. An empty value counts as not given, so that `make` may pass its variables on.
    pub(crate) fn parse(given: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut arguments = Self {
            cases: CASES.iter().map(ToString::to_string).collect(),
            scale: 1.0,
            latencies: [0, 50].map(Duration::from_millis).into(),
            seconds: 60,
            json: assets::workspace().join("target/bench/bench.json"),
        };
        let mut given = given.into_iter();
        while let Some(flag) = given.next() {
            let value = given.next().with_context(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                _ if value.is_empty() => {}
                "--cases" => arguments.cases = value.split(',').map(ToOwned::to_owned).collect(),
                "--scale" => arguments.scale = value.parse().context("--scale")?,
                "--latencies" => arguments.latencies = milliseconds(&value).context("--latencies")?,
                "--seconds" => arguments.seconds = value.parse().context("--seconds")?,
                "--json" => arguments.json = PathBuf::from(value),
                _ => bail!("there is no {flag}"),
            }
        }
        for case in &arguments.cases {
            ensure!(CASES.contains(&case.as_str()), "there is no case {case}");
        }
        ensure!(arguments.scale > 0.0 && arguments.scale <= 1.0, "--scale is above 0 and at most 1");
        ensure!((1..=3600).contains(&arguments.seconds), "--seconds is 1 to 3600");
        Ok(arguments)
    }

    /// Whether a case is to be measured.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.cases.iter().any(|wanted| wanted == case)
    }

    /// Whether any of these is.
    pub(crate) fn wants_any(&self, cases: &[&str]) -> bool {
        cases.iter().any(|case| self.wants(case))
    }
}
