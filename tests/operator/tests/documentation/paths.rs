//! What the documents name of this repository: files, make targets with their variables, test programs and flags exist.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::{Args as _, CommandFactory as _};
use imageshare_harness::assets;
use imageshare_operator::operator::RunArguments;

use crate::commands::{command_lines, documents, spans};
use crate::read;

/// The folders of this repository whose files documents name.
const ROOTS: [&str; 7] = [".ci", "charts", "crds", "docs", "examples", "src", "tests"];

/// Whether there is a file of this name; `<kind>` or `*` in it stands for any text.
fn exists(below: &Path, name: &str) -> bool {
    let Some((first, rest)) = name.split_once('/') else { return is_there(below, name).next().is_some() };
    is_there(below, first).any(|folder| rest.is_empty() || exists(&folder, rest))
}

fn is_there(below: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    let (start, end) = match (name.find(['<', '*']), name.rfind(['>', '*'])) {
        (Some(from), Some(to)) => (&name[..from], Some(&name[to + 1..])),
        _ => (name, None),
    };
    let entries = fs::read_dir(below).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(move |path| {
        let found = path.file_name().unwrap_or_default().to_string_lossy();
        end.map_or(found == start, |end| found.starts_with(start) && found.ends_with(end))
    })
}

/// The commands of a page and the code spans of its text.
fn code_of(page: &str) -> Vec<String> {
    [command_lines(page), spans(page)].concat()
}

#[test]
fn every_file_that_a_page_names_exists() -> Result<()> {
    let root = assets::workspace();
    let (mut checked, mut wrong) = (0, Vec::new());
    for (name, text) in documents()? {
        for code in code_of(&text) {
            let words = code
                .split([' ', '=', ',', '\'', '"', '`', '(', ')'])
                .map(|word| word.trim_end_matches(['.', ':', ';']));
            for word in words.filter(|word| word.split_once('/').is_some_and(|(first, _)| ROOTS.contains(&first))) {
                checked += 1;
                wrong.extend((!exists(&root, word)).then(|| format!("{name}: {word}")));
            }
        }
    }
    ensure!(checked > 60, "only {checked} files were found");
    ensure!(wrong.is_empty(), "these do not exist:\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_file_that_does_not_exist_is_noticed() {
    let root = assets::workspace();
    for there in
        ["src/lib.rs", "crds/", "src/controllers/<kind>/report.rs", "docs/<cloud>.md", "tests/simulator/src/<cloud>/"]
    {
        assert!(exists(&root, there), "{there}");
    }
    for gone in
        ["src/pass.rs", "src/controllers/<kind>/pass.rs", "docs/<cloud>.html", "src/lib.rs/x", "src/<kind>/lib.rs"]
    {
        assert!(!exists(&root, gone), "{gone}");
    }
}

/// What is wrong with the call of make, if anything is.
fn judge_make(makefile: &str, call: &str) -> Option<String> {
    for word in call.split_whitespace().take_while(|word| !word.starts_with('#')) {
        let known = match word.split_once('=') {
            Some((variable, _)) => makefile.contains(&format!("$({variable})")),
            None => makefile.lines().any(|line| line.split_once(':').is_some_and(|(target, _)| target == word)),
        };
        if !known {
            return Some(word.to_owned());
        }
        // Quoted values have words of their own.
        if word.contains('\'') {
            break;
        }
    }
    None
}

#[test]
fn every_make_target_and_variable_that_a_page_names_exists() -> Result<()> {
    let makefile = read("Makefile")?;
    let (mut checked, mut wrong) = (0, Vec::new());
    for (name, text) in documents()? {
        for code in code_of(&text) {
            let Some(call) = code.trim_start_matches("$ ").strip_prefix("make ") else { continue };
            checked += 1;
            wrong.extend(judge_make(&makefile, call).map(|word| format!("{name}: make {call}: {word}")));
        }
    }
    ensure!(checked > 25, "only {checked} calls were found");
    ensure!(wrong.is_empty(), "the Makefile does not know:\n{}", wrong.join("\n"));
    for call in ["demmo", "chaos SEEED=1", "test demo EVERYTHING=1"] {
        ensure!(judge_make(&makefile, call).is_some(), "make {call} was taken");
    }
    Ok(())
}

#[test]
fn every_test_program_that_a_page_runs_exists() -> Result<()> {
    let root = assets::workspace();
    let mut checked = 0;
    for (name, text) in documents()? {
        for code in code_of(&text).into_iter().filter(|code| code.starts_with("cargo ")) {
            for program in code.split("--test ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
                let folders = ["tests/operator/tests", "tests/harness/tests", "tests/simulator/tests"]
                    .map(|folder| root.join(folder));
                let files = [format!("{program}.rs"), format!("{program}/main.rs")];
                let found = folders.iter().any(|folder| files.iter().any(|file| folder.join(file).exists()));
                ensure!(found, "{name}: {code}: there is no test program {program}");
                checked += 1;
            }
        }
    }
    ensure!(checked > 3, "only {checked} test programs were found");
    Ok(())
}

/// Flags of other programs: helm, kubectl, velero, cargo, and the vendors' command lines.
const OTHER_FLAGS: [&str; 11] = [
    "--reset-then-reuse-values",
    "--reuse-values",
    "--skip-crds",
    "--take-ownership",
    "--force-conflicts",
    "--subresource",
    "--status-include-resources",
    "--features",
    "--locked",
    "--PageSize",
    "--Status",
];

/// Flags of the simulator, as its source declares them.
fn simulator_flags() -> Result<Vec<String>> {
    let source = read("tests/simulator/src/main.rs")?;
    let after = source.split("#[arg(").skip(1).filter_map(|rest| rest.split("]\n").nth(1));
    let fields = after.filter_map(|rest| rest.trim_start().trim_start_matches("pub ").split(':').next());
    Ok(fields.map(|field| format!("--{}", field.trim().replace('_', "-"))).collect())
}

/// Flags of a program and of its commands.
fn flags_of(command: &clap::Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|flag| Some(format!("--{}", flag.get_long()?)));
    own.chain(command.get_subcommands().flat_map(flags_of)).collect()
}

#[test]
fn every_flag_that_a_page_names_exists() -> Result<()> {
    let command = RunArguments::augment_args(clap::Command::new("run"));
    let mut known: Vec<String> =
        command.get_arguments().filter_map(|flag| Some(format!("--{}", flag.get_long()?))).collect();
    ensure!(known.len() > 20, "the flags are not understood: {known:?}");
    known.extend(simulator_flags()?);
    known.extend(flags_of(&imageshare_operator::cli::Arguments::command()));
    let (mut checked, mut wrong) = (0, Vec::new());
    for (name, text) in documents()? {
        for span in spans(&text).into_iter().filter(|span| span.starts_with("--")) {
            let flag = span.split([' ', '=']).next().context("a word")?;
            checked += 1;
            let is_known = OTHER_FLAGS.contains(&flag) || known.iter().any(|known| known == flag);
            wrong.extend((!is_known).then(|| format!("{name}: {span}")));
        }
    }
    ensure!(checked > 40, "only {checked} flags were found");
    ensure!(wrong.is_empty(), "no program has these flags:\n{}", wrong.join("\n"));
    Ok(())
}
