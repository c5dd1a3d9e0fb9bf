//! The documents say what is so: what is generated is up to date, links lead somewhere, policies to paste hold what the
//! operator calls and nothing else, every flag is told, and commands name what exists, as do files, targets and flags.

mod commands;
mod definitions;
mod paths;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args as _;
use imageshare_harness::{assets, reference};
use imageshare_operator::domain::provider::Provider;
use imageshare_operator::operator::RunArguments;
use serde_json::Value;

fn read(path: &str) -> Result<String> {
    fs::read_to_string(assets::workspace().join(path)).with_context(|| path.to_owned())
}

/// The Markdown files of a folder.
fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut pages: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    Ok(pages)
}

#[test]
fn the_reference_is_what_the_definitions_say() -> Result<()> {
    let written = reference::pages(&assets::workspace().join("crds"))?;
    for (name, text) in &written {
        ensure!(read(&format!("docs/reference/{name}"))? == *text, "{name} is old: run `make docs`");
        // All reasons stand in docs/troubleshooting.md, and not in each table again.
        let long = text.lines().find(|line| line.matches(", ").count() > 20);
        ensure!(long.is_none(), "{name} enumerates: {long:?}");
    }
    let there = pages(&assets::workspace().join("docs/reference"))?.len();
    ensure!(there == written.len(), "{there} pages, but {} are written: remove the others", written.len());
    Ok(())
}

/// A heading as GitHub makes an anchor of it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

/// The links of a page to files, and to headings in them.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(ToOwned::to_owned).collect()
}

#[test]
fn links_between_pages_lead_somewhere() -> Result<()> {
    let root = assets::workspace();
    let mut all = pages(&root.join("docs"))?;
    all.extend(pages(&root.join("docs/reference"))?);
    all.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(|page| root.join(page)));
    let mut checked = 0;
    for page in all {
        let text = fs::read_to_string(&page)?;
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().context("a folder")?.join(file) };
            ensure!(target.exists(), "{}: {link} leads nowhere", page.display());
            if !heading.is_empty() {
                let headings = fs::read_to_string(&target)?;
                let found = headings.lines().filter(|line| line.starts_with('#'));
                let found = found.map(|line| anchor(line.trim_start_matches('#'))).any(|anchor| anchor == heading);
                ensure!(found, "{}: {link}: no such heading", page.display());
            }
            checked += 1;
        }
    }
    ensure!(checked > 30, "only {checked} links were found");
    Ok(())
}

#[test]
fn the_readme_leads_to_every_page() -> Result<()> {
    let root = assets::workspace();
    let linked = links(&read("README.md")?);
    for page in pages(&root.join("docs"))? {
        let name = page.strip_prefix(&root)?.display().to_string();
        ensure!(
            linked.iter().any(|link| link.split('#').next() == Some(name.as_str())),
            "README.md has no link to {name}"
        );
    }
    Ok(())
}

/// The titles of the demo's chapters, as its source calls `chapter(number, title)`.
fn chapters() -> Result<Vec<String>> {
    let sources =
        [read("tests/harness/src/bin/demo/story.rs")?, read("tests/harness/src/bin/demo/offers.rs")?].concat();
    let calls = sources.split("chapter(").skip(1).filter_map(|call| call.split_once('"'));
    let calls = calls.filter(|(number, _)| number.trim().trim_end_matches(',').parse::<u8>().is_ok());
    Ok(calls.filter_map(|(_, rest)| rest.split('"').next()).map(ToOwned::to_owned).collect())
}

#[test]
fn the_picture_of_the_demo_has_its_chapters() -> Result<()> {
    let (picture, chapters) = (read("docs/pictures/demo.svg")?, chapters()?);
    ensure!(chapters.len() >= 10, "the source is not understood: {chapters:?}");
    for chapter in chapters {
        ensure!(picture.contains(&chapter), "no {chapter:?}: draw docs/pictures/demo.svg again, as terminal.py says");
    }
    Ok(())
}

/// The actions of the JSON policies on a page.
fn pasted_actions(page: &str) -> Result<BTreeSet<String>> {
    let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut actions = BTreeSet::new();
    for block in blocks {
        let policy: Value = serde_json::from_str(block)?;
        for statement in policy["Statement"].as_array().context("a policy has statements")? {
            let listed = statement["Action"].as_array().context("a statement has actions")?;
            actions.extend(listed.iter().filter_map(|action| action.as_str().map(ToOwned::to_owned)));
        }
    }
    Ok(actions)
}

/// What a client can call, as its source names it: `Self::X => "X"`, each with the service it belongs to.
fn called(source: &str, images: &str) -> Result<BTreeSet<String>> {
    let source = read(source)?;
    let body =
        source.split("fn action(").nth(1).and_then(|rest| rest.split("fn version(").next()).context("actions")?;
    // Who gives keys is asked by other policies than what they are for: docs/credentials.md.
    let names = body.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
    let names = names.filter(|name| !name.starts_with("AssumeRole"));
    let service = |name: &str| if name == "GetCallerIdentity" { "sts" } else { images };
    Ok(names.map(|name| format!("{}:{name}", service(name))).collect())
}

#[test]
fn the_policy_for_alibaba_cloud_holds_what_is_called_and_nothing_else() -> Result<()> {
    let (pasted, called) =
        (pasted_actions(&read("docs/alibaba-cloud.md")?)?, called("src/clouds/alibaba/mod.rs", "ecs")?);
    ensure!(called.len() > 5, "the source is not understood: {called:?}");
    ensure!(pasted == called, "pasted {pasted:?}, called {called:?}");
    Ok(())
}

#[test]
fn the_policy_for_aws_holds_what_is_called_and_nothing_else() -> Result<()> {
    let (mut pasted, mut called) = (pasted_actions(&read("docs/aws.md")?)?, called("src/clouds/aws/mod.rs", "ec2")?);
    // Those on the key are what recipients need, and a condition tells them.
    let of_key: BTreeSet<String> = pasted.extract_if(.., |action| action.starts_with("kms:")).collect();
    let told = Provider::Aws.rules().key_actions.iter().map(|action| (*action).to_owned()).collect();
    ensure!(of_key == told, "pasted {of_key:?}, told {told:?}");
    ensure!(called.len() > 5, "the source is not understood: {called:?}");
    // By this right, deregistering a copy deletes its snapshots.
    called.insert("ec2:DeleteSnapshot".to_owned());
    ensure!(pasted == called, "pasted {pasted:?}, called {called:?}");
    Ok(())
}

/// Both clouds call what a trust policy allows `sts:AssumeRole`; only AWS has another name for it where a token is given.
#[test]
fn the_trust_policies_allow_what_the_operator_asks_for() -> Result<()> {
    let pasted = pasted_actions(&read("docs/credentials.md")?)?;
    let wanted = ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"].map(ToOwned::to_owned);
    ensure!(pasted == BTreeSet::from(wanted), "{pasted:?}");
    for source in ["src/clouds/alibaba/mod.rs", "src/clouds/aws/mod.rs"] {
        ensure!(read(source)?.contains("=> \"AssumeRole\""), "{source}");
    }
    Ok(())
}

/// The rows of a table whose first cell is a flag: the flag, and the row.
fn rows(page: &str) -> Vec<(String, &str)> {
    let flags = page.lines().filter(|line| line.starts_with("| `--"));
    let named = flags.flat_map(|row| {
        let names = row.split('|').nth(1).unwrap_or_default().split('`').filter(|part| part.starts_with("--"));
        names.map(move |name| (name.to_owned(), row))
    });
    named.collect()
}

#[test]
fn every_flag_is_told_with_its_default_and_no_other() -> Result<()> {
    let page = read("docs/flags.md")?;
    let told = rows(&page);
    let command = RunArguments::augment_args(clap::Command::new("run"));
    let flags: Vec<&clap::Arg> = command.get_arguments().collect();
    for flag in &flags {
        let name = format!("--{}", flag.get_long().context("every argument is a flag")?);
        let (_, row) = told.iter().find(|(told, _)| *told == name).with_context(|| format!("{name} is not told"))?;
        for default in flag.get_default_values() {
            let default = format!("`{}`", default.to_string_lossy());
            ensure!(row.contains(&default), "{name}: the default is {default}: {row}");
        }
    }
    ensure!(told.len() == flags.len(), "{} flags are told, {} there are", told.len(), flags.len());
    // The chart refuses others: the pod would never start.
    let names: BTreeSet<String> = flags.iter().filter_map(|flag| Some(format!("--{}", flag.get_long()?))).collect();
    let chart = "charts/imageshare-operator/files/flags.txt";
    let known: BTreeSet<String> = read(chart)?.lines().map(ToOwned::to_owned).collect();
    let differing: Vec<&String> = known.symmetric_difference(&names).collect();
    ensure!(differing.is_empty(), "add to {chart}, or remove: {differing:?}");
    Ok(())
}

/// What stands behind a word in the lines of a file, up to the next space.
fn behind(text: &str, words: &str) -> Result<String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(words)).with_context(|| words.to_owned())?;
    Ok(line.split([' ', '"']).next().unwrap_or_default().to_owned())
}

/// As `1.31` of a version such as `v1.31.4`.
fn minor(version: &str) -> String {
    version.trim_start_matches('v').split('.').take(2).collect::<Vec<_>>().join(".")
}

#[test]
fn the_versions_that_are_supported_are_those_of_the_chart_and_of_the_tests() -> Result<()> {
    let page = read("docs/install.md")?;
    let row = |name: &str| {
        let row = page.lines().find(|line| line.starts_with(&format!("| {name} |"))).context(name.to_owned())?;
        anyhow::Ok(row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>())
    };
    let oldest = behind(&read("charts/imageshare-operator/Chart.yaml")?, "kubeVersion: \">=")?;
    let tested = behind(&read("tests/assets/go.mod")?, "k8s.io/kubernetes ")?;
    let kubernetes = row("Kubernetes")?;
    ensure!(kubernetes[2] == format!("{} or newer", minor(&oldest)), "the chart takes {oldest}: {kubernetes:?}");
    ensure!(kubernetes[3] == minor(&tested), "the tests run {tested}: {kubernetes:?}");
    let helm = row("helm")?;
    let tested = behind(&read("tests/assets/helm/go.mod")?, "helm.sh/helm/v4 ")?;
    ensure!(helm[3] == minor(&tested), "the tests run {tested}: {helm:?}");
    Ok(())
}

#[test]
fn whoever_finds_a_vulnerability_is_led_to_the_policy() -> Result<()> {
    let page = read("docs/security.md")?;
    let told = page.lines().find(|line| line.starts_with("Report vulnerabilities")).context("a line")?;
    ensure!(links(told) == ["../SECURITY.md"], "{told}");
    Ok(())
}

/// Words that this project once used for what Kubernetes has words for; who knows Kubernetes must not have to learn them.
const FORBIDDEN: [&str; 16] = [
    "looked at",
    "look around",
    "looks around",
    "at rest",
    "wishes",
    "newcomer",
    "namesake",
    "elder",
    "aftermath",
    "rhythm",
    "weather",
    "now, please",
    "nothing is called",
    "asks for fewer calls",
    "everything has been listed",
    "let go of",
];

/// All files of these endings in a folder, or the file itself.
fn files(path: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            files(&entry.path(), endings, found);
        }
    } else if path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
        found.push(path.to_path_buf());
    }
}

#[test]
fn the_sources_and_the_documents_use_the_words_of_the_field() -> Result<()> {
    let root = assets::workspace();
    let mut all = Vec::new();
    for path in
        ["src", "docs", "charts", "crds", "examples", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
    {
        files(&root.join(path), &["rs", "md", "yaml", "tpl", "txt", "json"], &mut all);
    }
    ensure!(all.len() > 200, "only {} files were found", all.len());
    let mut found = Vec::new();
    for file in all {
        for (number, line) in fs::read_to_string(&file)?.lines().enumerate() {
            let words = format!(" {} ", line.to_lowercase().replace(|c: char| !c.is_alphanumeric() && c != ',', " "));
            let forbidden = FORBIDDEN.iter().filter(|phrase| words.contains(&format!(" {phrase} ")));
            found.extend(forbidden.map(|phrase| format!("{}:{}: {phrase}", file.display(), number + 1)));
        }
    }
    ensure!(found.is_empty(), "say it as Kubernetes does:\n{}", found.join("\n"));
    Ok(())
}
