//! Who may find a bug: a campaign of some seed, or a test of the suite.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use imageshare_harness::assets;
use imageshare_harness::planted::Bug;

use crate::tree::Tree;

/// What a campaign says first when it found something.
const FOUND: &str = "FOUND ";

/// How a search ended.
pub(crate) struct Search {
    /// The bug, or nothing where the sound operator was tried.
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// From the first try to the verdict, without the build.
    pub(crate) took: Duration,
}

pub(crate) enum Verdict {
    /// By the campaign of this seed, which told so.
    BySeed { seed: u64, told: String },
    /// By a test of this name.
    ByTest(String),
    /// By nobody.
    Missed,
    /// It could not be tried.
    Untried(String),
}

/// The campaigns that are tried.
pub(crate) struct Campaigns {
    program: PathBuf,
    /// From 1 to this one.
    pub(crate) seeds: u64,
    pub(crate) minutes: f64,
}

impl Campaigns {
    pub(crate) fn new(seeds: u64, minutes: f64) -> Result<Self> {
        Ok(Self { program: assets::built("chaos")?, seeds, minutes })
    }

    /// What the campaign of a seed finds in an operator, if anything. Fails where it could not be carried out.
    pub(crate) fn run(&self, seed: u64, operator: &Path) -> Result<Option<String>> {
        let mut command = Command::new(&self.program);
        command.args(["--seed", &seed.to_string(), "--minutes", &self.minutes.to_string(), "--operator"]).arg(operator);
        let ended = command.output().context("starting the campaign")?;
        let told = [ended.stdout, ended.stderr].map(|told| String::from_utf8_lossy(&told).into_owned()).concat();
        match ended.status.code() {
            Some(0) => Ok(None),
            Some(1) => {
                let found = told.lines().find_map(|line| line.strip_prefix(FOUND));
                found.map(|line| Some(line.to_owned())).with_context(|| format!("seed {seed} says not what it found"))
            }
            _ => bail!("the campaign of seed {seed} could not run: {}", told.lines().last().unwrap_or("no word")),
        }
    }
}

/// Plants a bug and looks for somebody who finds it.
pub(crate) fn search(tree: &Tree, campaigns: &Campaigns, bug: &Bug) -> Search {
    let end = |verdict, took| Search { name: bug.name.clone(), verdict, took };
    if let Some(test) = &bug.test {
        let began = Instant::now();
        let verdict = match tree.test_fails(bug, test) {
            Ok(true) => Verdict::ByTest(test.name.clone()),
            Ok(false) => Verdict::Missed,
            Err(error) => Verdict::Untried(format!("{error:#}")),
        };
        return end(verdict, began.elapsed());
    }
    let operator = match tree.operator(Some(bug)) {
        Ok(operator) => operator,
        Err(error) => return end(Verdict::Untried(format!("{error:#}")), Duration::ZERO),
    };
    let began = Instant::now();
    let mut verdict = Verdict::Missed;
    for seed in bug.seed.into_iter().chain((1..=campaigns.seeds).filter(|seed| Some(*seed) != bug.seed)) {
        match campaigns.run(seed, &operator) {
            Ok(None) => println!("{}: seed {seed} finds nothing, {:?}", bug.name, began.elapsed()),
            Ok(Some(told)) => return end(Verdict::BySeed { seed, told }, began.elapsed()),
            Err(error) => verdict = Verdict::Untried(format!("{error:#}")),
        }
    }
    end(verdict, began.elapsed())
}
