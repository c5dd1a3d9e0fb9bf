//! The table of planted bugs keeps step with the sources, or the score would rot unseen. Whether they compile and are found
//! is for `make chaos-score`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::assets::workspace;
use imageshare_harness::planted::{Bug, Test, table};

fn bugs() -> Result<Vec<Bug>> {
    table(&workspace())
}

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let inside = fs::read_dir(path).into_iter().flatten().flatten();
    inside.flat_map(|entry| sources(&entry.path())).collect()
}

/// Where a test binary's source is, or the crate's own tests are.
fn folders_of(test: &Test) -> Vec<PathBuf> {
    if test.target == "lib" {
        return vec![workspace().join("src")];
    }
    let tests = workspace().join("tests/operator/tests");
    vec![tests.join(format!("{}.rs", test.target)), tests.join(&test.target)]
}

/// The names that `planted!` is given in the operator's sources.
fn planted() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for path in sources(&workspace().join("src")) {
        let source = fs::read_to_string(&path)?;
        for rest in source.split("planted!(").skip(1) {
            let literal = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'));
            // The macro's own documentation names none of the table.
            names.extend(literal.map(|(name, _)| name.to_owned()).filter(|name| name != "name"));
        }
    }
    Ok(names)
}

#[test]
fn every_bug_of_the_table_has_a_place_in_the_sources_and_no_other_has_one() -> Result<()> {
    let (planted, table): (BTreeSet<String>, BTreeSet<String>) =
        (planted()?.into_iter().collect(), bugs()?.into_iter().map(|bug| bug.name).collect());
    assert_eq!(planted, table);
    Ok(())
}

#[test]
fn no_release_has_a_bug() -> Result<()> {
    for path in ["Containerfile", ".ci/image", "charts"].map(|path| workspace().join(path)) {
        for file in sources(&path) {
            let text = fs::read_to_string(&file).unwrap_or_default();
            ensure!(!text.contains("planted") && !text.contains("all-features"), "{}", file.display());
        }
    }
    let manifest = fs::read_to_string(workspace().join("Cargo.toml"))?;
    ensure!(manifest.contains("\nplanted = []\n"), "the feature is called planted");
    let features = manifest.split_once("\n[features]\n").map_or("", |(_, rest)| rest);
    let others = features.lines().take_while(|line| !line.starts_with('[')).filter(|line| line.contains(" = ["));
    for line in others.filter(|line| !line.starts_with("planted = ")) {
        ensure!(!line.contains("planted"), "no other feature brings it: {line}");
    }
    ensure!(features.starts_with("default = [\"cli\"]\n"), "by default the kubectl plugin is on, and nothing else");
    Ok(())
}

#[test]
fn there_are_at_least_thirty_bugs_each_by_a_name_of_its_own_and_most_are_for_the_campaign() -> Result<()> {
    let bugs = bugs()?;
    let names: BTreeSet<&str> = bugs.iter().map(|bug| bug.name.as_str()).collect();
    ensure!(names.len() == bugs.len(), "two of one name");
    ensure!(bugs.iter().all(|bug| !bug.breaks.trim().is_empty()), "one says not what it breaks");
    let for_the_campaign = bugs.iter().filter(|bug| bug.test.is_none()).count();
    ensure!(bugs.len() >= 30 && for_the_campaign >= 20, "{} bugs, {for_the_campaign} for the campaign", bugs.len());
    Ok(())
}

#[test]
fn every_test_that_is_to_find_a_bug_is_there() -> Result<()> {
    for bug in bugs()? {
        let Some(test) = &bug.test else { continue };
        let name = test.name.rsplit("::").next().context("a name")?;
        let here = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("fn {name}(")));
        let files: Vec<PathBuf> = folders_of(test).iter().flat_map(|folder| sources(folder)).collect();
        ensure!(files.iter().any(here), "{}: no test {name} in {}", bug.name, test.target);
    }
    Ok(())
}
