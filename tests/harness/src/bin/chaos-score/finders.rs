//! Who may find a bug: a campaign of some seed, or a test of the suite.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use imageshare_harness::assets;
use imageshare_harness::planted::{Bug, Test, VARIABLE};

use crate::build::Build;

/// What a campaign says first when it found something.
const FOUND: &str = "FOUND ";

/// Campaigns that run at the same time.
const AT_ONCE: usize = 2;

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

    /// What the campaign of a seed finds in an operator with this bug (or none: ""), if anything. Fails where it could not
    /// be carried out.
    pub(crate) fn run(&self, (seed, minutes): (u64, f64), operator: &Path, bug: &str) -> Result<Option<String>> {
        let mut command = Command::new(&self.program);
        command.env(VARIABLE, bug);
        command.args(["--seed", &seed.to_string(), "--minutes", &minutes.to_string(), "--operator"]).arg(operator);
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

    /// What the campaigns of these seeds find in an operator without a bug.
    pub(crate) fn run_all(&self, seeds: BTreeSet<u64>, operator: &Path) -> BTreeMap<u64, Result<Option<String>>> {
        let mut seeds = seeds.into_iter();
        side_by_side(move || seeds.next(), |seed| (seed, self.run((seed, self.minutes), operator, "")))
            .into_iter()
            .collect()
    }
}

/// Works at [`AT_ONCE`] things at a time, until there is no next one. Only one asks for the next at any time.
fn side_by_side<T, R: Send>(next: impl FnMut() -> Option<T> + Send, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (next, done) = (Mutex::new(next), Mutex::new(Vec::new()));
    let take = || (next.lock().unwrap_or_else(PoisonError::into_inner))();
    let worker = || {
        while let Some(one) = take() {
            let result = work(one);
            done.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(worker))));
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Search {
    fn new(bug: &Bug, verdict: Verdict, began: Instant) -> Self {
        Self { name: bug.name.clone(), verdict, took: began.elapsed() }
    }
}

/// Looks for a test that fails with a bug.
pub(crate) fn by_test(build: &Build, bug: &Bug, test: &Test) -> Search {
    let began = Instant::now();
    let verdict = match build.test_fails(bug, test) {
        Ok(true) => Verdict::ByTest(test.name.clone()),
        Ok(false) => Verdict::Missed,
        Err(error) => Verdict::Untried(format!("{error:#}")),
    };
    Search::new(bug, verdict, began)
}

/// Looks for the campaign that finds a bug in this operator: first the one that is known to.
fn by_campaign(campaigns: &Campaigns, bug: &Bug, operator: &Path) -> Search {
    let began = Instant::now();
    let mut verdict = Verdict::Missed;
    for seed in bug.seed.into_iter().chain((1..=campaigns.seeds).filter(|seed| Some(*seed) != bug.seed)) {
        let minutes = bug.minutes.filter(|_| Some(seed) == bug.seed).unwrap_or(campaigns.minutes);
        match campaigns.run((seed, minutes), operator, &bug.name) {
            Ok(None) => println!("{}: seed {seed} finds nothing, {:?}", bug.name, began.elapsed()),
            Ok(Some(told)) => return Search::new(bug, Verdict::BySeed { seed, told }, began),
            Err(error) => verdict = Verdict::Untried(format!("{error:#}")),
        }
    }
    Search::new(bug, verdict, began)
}

/// Looks for the campaigns that find these bugs, a few at a time: each waits more than it works.
pub(crate) fn by_campaigns(
    operator: &Path,
    campaigns: &Campaigns,
    bugs: &[&Bug],
    tell: impl Fn(&Search) + Sync,
) -> Vec<Search> {
    let mut bugs = bugs.iter();
    side_by_side(
        move || bugs.next(),
        |bug| {
            let search = by_campaign(campaigns, bug, operator);
            tell(&search);
            search
        },
    )
}
