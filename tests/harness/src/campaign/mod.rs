//! A fault campaign: a stream of wishes and of faults, both from one seed, against a whole stage of real servers; and then
//! the questions whether the cloud became what was wished, whether it came to rest, and whether every invariant held on
//! the way.
//!
//! [`plan`] is data and a pure function of the seed, which first draws what it leans on ([`lean`]). [`outcome`] says from the wishes alone what must be so in the end. [`stage`]
//! starts the servers, [`wishing`] and [`faults`] carry the plan out, [`judge`] asks the witnesses.

mod attempt;
mod author;
mod clouds;
mod errands;
mod excuses;
mod fault;
mod faults;
mod judge;
mod lean;
mod mistakes;
mod outages;
mod outcome;
mod plan;
mod stage;
mod tenants;
mod texts;
mod traps;
mod wish;
mod wishing;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::run;
use lean::Lean;
use stage::Stage;

pub use plan::Plan;

/// What to run.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// From which wishes and faults come.
    pub seed: u64,
    /// How long they go on.
    pub length: Duration,
    /// The operator to try; without it the one of this workspace.
    pub operator: Option<PathBuf>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The invariant or the check.
    pub check: String,
    /// What was found, and the events that show it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

/// What a campaign came to.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Nothing, or the first events that must not be.
    pub findings: Vec<Finding>,
    /// What was done, in one line.
    pub summary: String,
    /// Where the servers' logs are.
    pub run: PathBuf,
}

impl Campaign {
    /// Runs it. Fails where the campaign itself could not be carried out.
    pub async fn run(&self) -> Result<Verdict> {
        let run = run::folder("chaos")?;
        let plan = Plan::of(self.seed, self.length);
        let stage = Stage::start(&run, self.operator.as_deref(), &Lean::of(self.seed)).await?;
        let stuck = stage.play(&plan).await?;
        let findings = stage.judge(&plan, stuck).await?;
        let summary = format!("{}; {}", plan.title(), stage.told().await?);
        Ok(Verdict { findings, summary, run })
    }
}
