//! The score of the fault campaign: builds the operator with all known bugs, runs the campaign with one of them, seed by seed
//! until one finds it, and prints who found which. Then the operator without a bug must pass the same seeds.

mod build;
mod finders;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use imageshare_harness::assets;
use imageshare_harness::planted::{Bug, table};

use build::Build;
use finders::{Campaigns, Search, Verdict, by_campaigns, by_test};

/// Which known bugs the fault campaign finds.
///
/// Builds the operator with the bugs of tests/planted/bugs.yaml, and for each of them, or for those named, runs the fault campaign
/// on the seed that the table names and the seeds 1 to N until one finds it. Prints a table, and ends with status 0 only if every
/// bug was found and the operator without a bug passes every seed that found one.
#[derive(Debug, Parser)]
struct Options {
    /// A bug to try instead of all; may be given several times.
    #[arg(long = "bug", value_name = "NAME")]
    bugs: Vec<String>,
    /// How many seeds are tried.
    #[arg(long, value_name = "N", default_value = "6")]
    seeds: u64,
    /// How many minutes each campaign takes.
    #[arg(long, value_name = "M", default_value = "0.5")]
    minutes: f64,
}

/// Bugs that the campaign itself must find, where all are tried.
const BY_CAMPAIGN_MIN: usize = 20;

/// Most characters shown of what was found.
const TOLD_CHARS_MAX: usize = 100;

fn main() -> ExitCode {
    let options = Options::parse();
    let bugs = match chosen(&options.bugs) {
        Ok(bugs) => bugs,
        Err(error) => {
            eprintln!("chaos-score: {error:#}");
            return ExitCode::from(2);
        }
    };
    match score(&options, &bugs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nchaos-score: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The bugs of these names; all where none is named.
fn chosen(names: &[String]) -> Result<Vec<Bug>> {
    let known = table(&assets::workspace())?;
    if names.is_empty() {
        return Ok(known);
    }
    let find = |name: &String| {
        let bug = known.iter().find(|bug| &bug.name == name).cloned();
        bug.with_context(|| format!("--bug: there is no bug {name:?} in tests/planted/bugs.yaml"))
    };
    names.iter().map(find).collect()
}

fn score(options: &Options, bugs: &[Bug]) -> Result<()> {
    let campaigns = Campaigns::new(options.seeds, options.minutes)?;
    let build = Build::make(bugs)?;
    let operator = build.operator();
    let tell = |search: &Search| println!("{}", row(search));
    let for_campaigns: Vec<&Bug> = bugs.iter().filter(|bug| bug.test.is_none()).collect();
    let mut searches = by_campaigns(&operator, &campaigns, &for_campaigns, tell);
    for (bug, test) in bugs.iter().filter_map(|bug| Some((bug, bug.test.as_ref()?))) {
        let search = by_test(&build, bug, test);
        tell(&search);
        searches.push(search);
    }
    let place = |search: &Search| bugs.iter().position(|bug| bug.name == search.name);
    searches.sort_by_key(place);
    println!("\n{:32} {:44} {:>7}  what was found", "bug", "found by", "seconds");
    for search in &searches {
        println!("{}", row(search));
    }
    let judged = judge(&searches, options.bugs.is_empty());
    pass(&operator, &campaigns, &searches)?;
    judged
}

fn row(search: &Search) -> String {
    let (by, told) = match &search.verdict {
        Verdict::BySeed { seed, told } => (format!("seed {seed}"), told.as_str()),
        Verdict::ByTest(name) => (format!("test {}", name.rsplit("::").next().unwrap_or(name)), ""),
        Verdict::Missed => ("nobody".to_owned(), ""),
        Verdict::Untried(why) => ("not tried".to_owned(), why.as_str()),
    };
    let told: String = told.lines().next().unwrap_or_default().chars().take(TOLD_CHARS_MAX).collect();
    format!("{:32} {by:44} {:>7}  {told}", search.name, search.took.as_secs())
}

/// The operator without a bug passes every seed that found a bug: or the seed found something else.
fn pass(operator: &Path, campaigns: &Campaigns, searches: &[Search]) -> Result<()> {
    let seed_of = |search: &Search| match search.verdict {
        Verdict::BySeed { seed, .. } => Some(seed),
        Verdict::ByTest(_) | Verdict::Missed | Verdict::Untried(_) => None,
    };
    let seeds: BTreeSet<u64> = searches.iter().filter_map(seed_of).collect();
    let mut amiss = Vec::new();
    for (seed, found) in campaigns.run_all(seeds, operator) {
        match found {
            Ok(None) => println!("the operator without a bug passes seed {seed}"),
            Ok(Some(told)) => amiss.push(format!("seed {seed} finds something in the operator without a bug: {told}")),
            Err(error) => amiss.push(format!("{error:#}")),
        }
    }
    ensure!(amiss.is_empty(), "{}", amiss.join("\n"));
    Ok(())
}

fn judge(searches: &[Search], all: bool) -> Result<()> {
    let count = |so: fn(&Verdict) -> bool| searches.iter().filter(|search| so(&search.verdict)).count();
    let by_campaign = count(|verdict| matches!(verdict, Verdict::BySeed { .. }));
    let by_tests = count(|verdict| matches!(verdict, Verdict::ByTest(_)));
    println!("\n{} bugs: {by_campaign} found by the campaign, {by_tests} by tests", searches.len());
    let missed = searches.len() - by_campaign - by_tests;
    ensure!(missed == 0, "{missed} of {} bugs were not found", searches.len());
    ensure!(!all || by_campaign >= BY_CAMPAIGN_MIN, "the campaign found only {by_campaign}");
    Ok(())
}
