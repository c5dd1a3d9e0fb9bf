//! Bugs that are planted to score the fault campaign: their table, `tests/planted/bugs.yaml`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// One bug.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// What it is called in the score.
    pub name: String,
    /// Which invariant or promise it breaks, and how.
    pub breaks: String,
    /// The seed whose campaign is known to find it, and is tried first.
    pub seed: Option<u64>,
    /// How many minutes that campaign takes, where the usual ones are too few.
    pub minutes: Option<f64>,
    /// Who finds it, where no campaign can.
    pub test: Option<Test>,
}

/// A test of the suite.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// `lib`, or the name of a test binary of the operator's package.
    pub target: String,
    /// Its name with its modules.
    pub name: String,
}

/// By which variable of the environment an operator with bugs is told the name of the one that it is to have.
pub const VARIABLE: &str = "PLANTED_BUG";

/// All bugs, in the order of the table.
pub fn table(workspace: &Path) -> Result<Vec<Bug>> {
    let path = workspace.join("tests/planted/bugs.yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_yaml::from_str(&text).with_context(|| format!("reading {}", path.display()))
}
