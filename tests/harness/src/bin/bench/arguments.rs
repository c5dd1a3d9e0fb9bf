//! The command line: what to measure.

use std::num::ParseIntError;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use imageshare_harness::assets;

/// Every case, in the order of the table.
const CASES: [&str; 10] =
    ["1x50", "100x20", "1000x20", "10000x20", "restart", "handover", "rest", "edit", "delete", "growth"];

/// The benchmark of the operator.
///
/// Measures the operator on a real API server and the cloud simulator, each figure beside its floor: what a bare client takes for
/// the same cloud calls and the same number of Kubernetes writes. Prints a table and writes JSON.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// 1x50, 100x20, 1000x20, 10000x20: images x recipients, each with every latency; restart, handover, rest, edit, delete: with
    /// 10,000 images in place; growth: from 100 to 10,000. All where none is named.
    #[arg(long, value_name = "CASE,...", value_delimiter = ',', value_parser = PossibleValuesParser::new(CASES),
          hide_possible_values = true)]
    cases: Vec<String>,
    /// Of the number of images and accounts, as 0.01; names of cases and goals stay.
    #[arg(long, value_name = "FRACTION", default_value = "1", value_parser = fraction)]
    pub(crate) scale: f64,
    /// How late each answer of the cloud comes, in milliseconds.
    #[arg(long, value_name = "MS,...", value_delimiter = ',', default_value = "0,50", value_parser = milliseconds)]
    pub(crate) latencies: Vec<Duration>,
    /// How long a settled operator is observed.
    #[arg(long, value_name = "N", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,
    /// Where the figures are written.
    #[arg(long, value_name = "FILE", default_value_os_t = assets::workspace().join("target/bench/bench.json"))]
    pub(crate) json: PathBuf,
}

impl Arguments {
    /// Whether a case is to be measured.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| wanted == case)
    }

    /// Whether any of these is.
    pub(crate) fn wants_any(&self, cases: &[&str]) -> bool {
        cases.iter().any(|case| self.wants(case))
    }
}

fn milliseconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_millis)
}

fn fraction(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if scale > 0.0 && scale <= 1.0 { Ok(scale) } else { Err("it is above 0 and at most 1".to_owned()) }
}
