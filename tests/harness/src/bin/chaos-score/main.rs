//! The score of the fault campaign: plants each known bug into a copy of the operator, runs the campaign seed by seed until
//! one finds it, and prints who found which. Then the operator as it is must pass the same seeds.

mod finders;
mod tree;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use imageshare_harness::assets;
use imageshare_harness::planted::{Bug, table};

use finders::{Campaigns, Search, Verdict, by_campaigns, by_test};
use tree::Tree;

const USAGE: &str = "usage: chaos-score [--bug NAME]... [--seeds N] [--minutes M] [--build]

Plants each bug of tests/planted/bugs.yaml, or those named, into a copy of the sources under target/planted, and runs the
fault campaign for M minutes (default 0.5) on the seed that the table names and the seeds 1 to N (default 6) until one finds it. Prints a table, and ends with
status 0 only if every bug was found and the operator as it is passes every seed that found one. With --build, every
operator is built and none is tried.";

/// Bugs that the campaign itself must find, where all are tried.
const BY_CAMPAIGN_MIN: usize = 20;

/// Most characters shown of what was found.
const TOLD_CHARS_MAX: usize = 100;

struct Arguments {
    bugs: Vec<Bug>,
    all: bool,
    seeds: u64,
    minutes: f64,
    build: bool,
}

fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("chaos-score: {error:#}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let scored = if arguments.build { build(&arguments) } else { score(&arguments) };
    match scored {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nchaos-score: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments> {
    let known = table(&assets::workspace())?;
    let mut arguments = Arguments { bugs: Vec::new(), all: true, seeds: 6, minutes: 0.5, build: false };
    while let Some(option) = given.next() {
        let mut value = || given.next().with_context(|| format!("{option} names nothing"));
        match option.as_str() {
            "--bug" => {
                let name = value()?;
                let bug = known.iter().find(|bug| bug.name == name).cloned();
                arguments.bugs.push(bug.with_context(|| format!("there is no bug {name:?} in the table"))?);
                arguments.all = false;
            }
            "--seeds" => arguments.seeds = value()?.parse().context("--seeds")?,
            "--minutes" => arguments.minutes = value()?.parse().context("--minutes")?,
            "--build" => arguments.build = true,
            other => bail!("{other:?} is no option"),
        }
    }
    if arguments.all {
        arguments.bugs = known;
    }
    Ok(arguments)
}

/// Builds every operator, and tells of all that do not compile.
fn build(arguments: &Arguments) -> Result<()> {
    let tree = Tree::open()?;
    let mut failed = Vec::new();
    for bug in &arguments.bugs {
        match tree.operator(Some(bug)) {
            Ok(operator) => println!("{}", operator.display()),
            Err(error) => {
                eprintln!("{error:#}");
                failed.push(bug.name.as_str());
            }
        }
    }
    ensure!(failed.is_empty(), "{} do not compile: {}", failed.len(), failed.join(", "));
    Ok(())
}

fn score(arguments: &Arguments) -> Result<()> {
    let campaigns = Campaigns::new(arguments.seeds, arguments.minutes)?;
    let tree = Tree::open()?;
    let tell = |search: &Search| println!("{}", row(search));
    let for_campaigns: Vec<&Bug> = arguments.bugs.iter().filter(|bug| bug.test.is_none()).collect();
    let mut searches = by_campaigns(&tree, &campaigns, &for_campaigns, tell);
    for (bug, test) in arguments.bugs.iter().filter_map(|bug| Some((bug, bug.test.as_ref()?))) {
        let search = by_test(&tree, bug, test);
        tell(&search);
        searches.push(search);
    }
    let place = |search: &Search| arguments.bugs.iter().position(|bug| bug.name == search.name);
    searches.sort_by_key(place);
    println!("\n{:32} {:44} {:>7}  what was found", "bug", "found by", "seconds");
    for search in &searches {
        println!("{}", row(search));
    }
    let judged = judge(&searches, arguments.all);
    pass(&tree, &campaigns, &searches)?;
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

/// The operator as it is passes every seed that found a bug: or the seed found something else.
fn pass(tree: &Tree, campaigns: &Campaigns, searches: &[Search]) -> Result<()> {
    let seed_of = |search: &Search| match search.verdict {
        Verdict::BySeed { seed, .. } => Some(seed),
        Verdict::ByTest(_) | Verdict::Missed | Verdict::Untried(_) => None,
    };
    let seeds: BTreeSet<u64> = searches.iter().filter_map(seed_of).collect();
    let operator = tree.operator(None)?;
    let mut amiss = Vec::new();
    for (seed, found) in campaigns.run_all(seeds, &operator) {
        match found {
            Ok(None) => println!("the operator as it is passes seed {seed}"),
            Ok(Some(told)) => amiss.push(format!("seed {seed} finds something in the operator as it is: {told}")),
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
