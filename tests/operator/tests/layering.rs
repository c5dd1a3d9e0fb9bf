//! One way: which part of the crate may know which other (invariant 8), read from the sources; and no file outgrows a
//! reader.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines a source file may have.
const LINES_MAX: usize = 500;

/// What one part may name.
struct Rule {
    part: &'static str,
    /// Paths of this crate; each allows what is below it too.
    inside: &'static [&'static str],
    /// Other crates; `None` where any is fit.
    outside: Option<&'static [&'static str]>,
    /// Names that may not appear at all.
    never: &'static [&'static str],
}

/// Anything that waits, tells the time or throws dice.
const IMPURE: &[&str] = &["async", "await", "SystemTime", "Instant", "Timestamp::now", "Zoned::now", "thread", "rand"];

const RULES: &[Rule] = &[
    Rule {
        part: "domain",
        inside: &["domain"],
        outside: Some(&["serde", "jiff", "schemars", "thiserror"]),
        never: IMPURE,
    },
    Rule {
        part: "api",
        inside: &["api", "domain"],
        outside: Some(&["serde", "serde_json", "serde_yaml", "jiff", "schemars", "k8s_openapi", "kube"]),
        never: &["async", "await", "SystemTime", "Instant", "Timestamp::now", "kube::Client", "kube::Api"],
    },
    Rule {
        part: "planning",
        inside: &["api", "domain", "planning"],
        outside: Some(&["serde_json", "jiff", "thiserror", "k8s_openapi", "aws_lc_rs", "hex", "regex", "semver"]),
        never: IMPURE,
    },
    Rule { part: "clouds", inside: &["clouds", "domain"], outside: None, never: &["kube", "k8s_openapi"] },
    Rule { part: "cluster", inside: &["cluster", "api"], outside: None, never: &["reqwest"] },
    Rule { part: "telemetry", inside: &["telemetry"], outside: None, never: &["kube", "k8s_openapi", "reqwest"] },
    Rule {
        part: "accounts",
        inside: &["api", "domain", "planning", "clouds", "cluster", "accounts"],
        outside: None,
        never: &["reqwest"],
    },
    Rule {
        part: "reconcile",
        inside: &["api", "domain", "planning", "clouds", "cluster", "accounts", "reconcile", "telemetry"],
        outside: None,
        never: &["reqwest"],
    },
    Rule {
        part: "controllers",
        inside: &[
            "api",
            "domain",
            "planning",
            "clouds",
            "cluster",
            "accounts",
            "reconcile",
            "controllers",
            "telemetry",
        ],
        outside: None,
        never: &["reqwest"],
    },
    Rule {
        part: "operator",
        inside: &[
            "api",
            "domain",
            "planning",
            "clouds",
            "cluster",
            "accounts",
            "reconcile",
            "controllers",
            "telemetry",
            "operator",
        ],
        outside: None,
        never: &[],
    },
    Rule {
        part: "cli",
        inside: &["api", "domain", "planning", "clouds", "cluster", "accounts", "reconcile", "cli"],
        outside: None,
        never: &["reqwest", "Secret"],
    },
    Rule { part: "bin", inside: &["cli"], outside: None, never: &["reqwest", "kube"] },
    Rule { part: "main", inside: &["api", "operator"], outside: None, never: &["reqwest"] },
    Rule { part: "planted", inside: &["planted"], outside: None, never: &[] },
    Rule { part: "lib", inside: &[], outside: None, never: &[] },
];

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The crates that a package depends on, as sources spell them, by the sections of its manifest that end so.
fn listed(manifest: &str, section: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(workspace().join(manifest)).unwrap();
    let mut in_section = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_section = line.ends_with(section);
        } else if let Some((name, _)) = line.split_once('=').filter(|_| in_section) {
            names.insert(name.trim().replace('-', "_"));
        }
    }
    names
}

/// The crates this one may depend on; those of tests included.
fn dependencies() -> BTreeSet<String> {
    let names = listed("Cargo.toml", "dependencies]");
    assert!(names.contains("kube") && names.contains("proptest"), "{names:?}");
    names
}

/// What both knew would be wrong on both sides unseen.
#[test]
fn the_simulator_and_the_operator_do_not_know_each_other() {
    let simulator = listed("tests/simulator/Cargo.toml", "[dependencies]");
    assert!(simulator.contains("axum"), "{simulator:?}");
    let foreign = ["imageshare_operator", "imageshare_harness", "kube", "k8s_openapi", "reqwest"];
    assert!(foreign.iter().all(|name| !simulator.contains(*name)), "{simulator:?}");
    assert!(!listed("Cargo.toml", "[dependencies]").contains("cloud_simulator"));
}

/// The source without comments, strings and characters.
fn code(source: &str) -> String {
    let mut code = String::new();
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or(' ');
    let mut i = 0;
    while i < chars.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => i = (i..chars.len()).find(|&j| at(j) == '\n').unwrap_or(chars.len()),
            ('/', '*') => i = (i + 2..chars.len()).find(|&j| at(j) == '*' && at(j + 1) == '/').unwrap_or(i) + 2,
            ('r', '#' | '"') if !at(i.wrapping_sub(1)).is_alphanumeric() && raw_string(&chars, i).is_some() => {
                i = raw_string(&chars, i).unwrap();
            }
            ('"', _) => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            ('\'', '\\') => i = (i + 3..chars.len()).find(|&j| at(j) == '\'').unwrap_or(i) + 1,
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (c, _) => {
                code.push(c);
                i += 1;
            }
        }
    }
    code
}

/// The end of a raw string that begins here.
fn raw_string(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    (open + 1..chars.len()).find(|&i| chars[i..].starts_with(&closing)).map(|i| i + closing.len())
}

fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut glued = false;
    for c in code.chars() {
        let word = c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if glued && word && last.chars().all(|c| c.is_alphanumeric() || c == '_') => last.push(c),
            Some(last) if glued && c == ':' && last == ":" => last.push(c),
            _ if c.is_whitespace() => {}
            _ => tokens.push(c.to_string()),
        }
        glued = !c.is_whitespace();
    }
    tokens
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Every path the code names, with the trees of its `use` lines spread out, and relative ones made absolute.
/// `module`: the module of the file, as `planning::sharing`.
fn paths(source: &str, module: &[String]) -> BTreeSet<String> {
    let tokens = tokens(&code(source));
    let mut found = BTreeSet::new();
    let (mut depth, mut inner) = (0_usize, Vec::<usize>::new());
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].as_str() {
            "{" => {
                depth += 1;
                if i >= 2 && tokens[i - 2] == "mod" {
                    inner.push(depth);
                }
            }
            "}" => {
                inner.pop_if(|at| *at == depth);
                depth = depth.saturating_sub(1);
            }
            word if is_word(word) && (i == 0 || tokens[i - 1] != "::") => {
                let mut here = Vec::new();
                i = spread(&tokens, i, &[], &mut here);
                found.extend(here.iter().map(|path| absolute(path, module, inner.len())));
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    found
}

/// Reads a path, or a tree of them, from `tokens[i]`; gives the place after it.
fn spread(tokens: &[String], mut i: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(i).map(String::as_str) {
            Some(word) if is_word(word) => path.push(word.to_owned()),
            Some("{") if i > 0 && tokens[i - 1] == "::" => {
                i += 1;
                while tokens.get(i).is_some_and(|t| t != "}") {
                    i = if is_word(&tokens[i]) { spread(tokens, i, &path, found) } else { i + 1 };
                }
                return i + 1;
            }
            _ => {}
        }
        let next = tokens.get(i + 1).map(String::as_str);
        let after = tokens.get(i + 2).is_some_and(|t| is_word(t) || t == "{");
        if next == Some("::") && after {
            i += 2;
        } else {
            found.push(path);
            return i + 1;
        }
    }
}

fn absolute(path: &[String], module: &[String], inner: usize) -> String {
    let mut base: Vec<String> = std::iter::once("crate".to_owned()).chain(module.iter().cloned()).collect();
    base.extend((0..inner).map(|_| "(inner)".to_owned()));
    let ups = path.iter().take_while(|p| *p == "super").count();
    match path.first().map(String::as_str) {
        Some("super") => {
            base.truncate(base.len().saturating_sub(ups).max(1));
            base.extend(path[ups..].iter().cloned());
            base.retain(|part| part != "(inner)");
            base.join("::")
        }
        Some("imageshare_operator") => path.join("::").replacen("imageshare_operator", "crate", 1),
        _ => path.join("::"),
    }
}

fn below(path: &str, allowed: &str) -> bool {
    path == allowed || path.strip_prefix(allowed).is_some_and(|rest| rest.starts_with("::"))
}

/// What a source of this part names but may not.
fn violations(rule: &Rule, source: &str, module: &[String], dependencies: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for path in paths(source, module) {
        let first = path.split("::").next().unwrap();
        if let Some(inside) = path.strip_prefix("crate::") {
            if rule.part != "lib" && !rule.inside.iter().any(|allowed| below(inside, allowed)) {
                wrong.push(path.clone());
            }
        } else if path.contains("::") && dependencies.contains(first) {
            // Tests may use what tests use.
            let fit = |outside: &[&str]| outside.contains(&first) || first == "proptest";
            if rule.outside.is_some_and(|outside| !fit(outside)) {
                wrong.push(path.clone());
            }
        }
        let padded = format!("::{path}::");
        wrong.extend(rule.never.iter().filter(|name| padded.contains(&format!("::{name}::"))).map(|_| path.clone()));
    }
    wrong
}

fn module_of(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// `reconcile::caches` records what it reads as an input of the reconcile.
#[test]
fn no_debounced_reconcile_reads_a_cache_that_is_not_its_input() {
    for kind in ["acceptance", "cloud_image", "image_replica"] {
        let files = sources(&workspace().join("src/controllers").join(kind));
        assert!(files.len() > 2, "{kind}");
        for file in files {
            let source = fs::read_to_string(&file).unwrap();
            let product = source.split("#[cfg(test)]").next().unwrap();
            assert!(!tokens(&code(product)).contains(&"stores".to_owned()), "{}", file.display());
        }
    }
}

/// The proof lets a plan be executed (invariant 1); `cloud_image/report.rs` makes one for a planted bug alone.
#[test]
fn only_the_reporter_proves_that_an_intent_is_recorded() {
    let src = workspace().join("src");
    let proves = |file: &PathBuf| {
        let made = paths(&fs::read_to_string(file).unwrap(), &module_of(file.strip_prefix(&src).unwrap()));
        made.iter().any(|path| path.ends_with("IntentRecorded::at"))
    };
    // Tests in a file of their own pretend to be the reporter.
    let product = sources(&src).into_iter().filter(|file| !file.ends_with("tests.rs"));
    let makers: Vec<PathBuf> = product.filter(proves).collect();
    let expected = ["controllers/cloud_image/report.rs", "reconcile/reporter.rs"].map(|file| src.join(file));
    assert_eq!(makers, expected);
}

#[test]
fn each_part_knows_only_what_it_may() {
    let src = workspace().join("src");
    let dependencies = dependencies();
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for file in sources(&src) {
        let inside = file.strip_prefix(&src).unwrap();
        let module = module_of(inside);
        let rule = RULES.iter().find(|rule| rule.part == module[0]);
        let rule =
            rule.unwrap_or_else(|| panic!("{} belongs to no part: say in RULES what it may know", inside.display()));
        let source = fs::read_to_string(&file).unwrap();
        seen.extend(paths(&source, &module));
        let found = violations(rule, &source, &module, &dependencies);
        wrong.extend(found.into_iter().map(|path| format!("src/{} names {path}", inside.display())));
    }
    assert!(seen.contains("crate::domain::call::RecipientChange") && seen.contains("crate::planning::ledger::Ledger"));
    assert!(wrong.is_empty(), "one way only (see the table of invariants in src/lib.rs):\n{}", wrong.join("\n"));
}

#[test]
fn every_trespass_is_noticed() {
    let dependencies = dependencies();
    let cases = [
        ("domain", "use crate::api::CloudImage;"),
        ("domain", "fn f() { let c: kube::Client; }"),
        ("domain", "use std::time::{Duration, SystemTime};"),
        ("api", "use kube::{CustomResource, Client};"),
        ("api", "fn f() { crate::planning::ledger::f() }"),
        ("planning", "use crate::clouds::{fault::Fault, transport::Transport};"),
        ("planning", "use super::super::clouds::Cloud;"),
        ("planning", "mod tests { use super::super::super::clouds::Cloud; }"),
        ("planning", "fn f() -> jiff::Timestamp { jiff::Timestamp::now() }"),
        ("planning", "use jiff::Timestamp; fn f() -> Timestamp { Timestamp::now() }"),
        ("planning", "async fn f() {}"),
        ("planning", "fn f() -> u8 { rand::random() }"),
        ("clouds", "use crate::planning::exchange::Exchange;"),
        ("clouds", "use kube::Api;"),
        ("cluster", "use crate::{api::CloudImage, domain::image::ImageFacts};"),
        ("main", "use imageshare_operator::{api, planning};"),
        ("cli", "use k8s_openapi::api::core::v1::{Namespace, Secret};"),
        ("cli", "use crate::controllers::cloud_image::execute;"),
        ("bin", "use imageshare_operator::{cli, planning};"),
    ];
    for (part, source) in cases {
        let rule = RULES.iter().find(|rule| rule.part == part).unwrap();
        let module = [part.to_owned(), "file".to_owned()];
        assert!(!violations(rule, source, &module, &dependencies).is_empty(), "{part}: {source}");
    }
}

#[test]
fn what_is_fit_or_only_talked_about_is_no_trespass() {
    let dependencies = dependencies();
    let cases = [
        ("planning", "use crate::domain::fault::{Conflict, Fault}; use super::ledger::Ledger;"),
        ("planning", "mod tests { use super::*; use super::super::ledger::Ledger; use proptest::prelude::*; }"),
        (
            "planning",
            "// see crate::controllers::cloud_image::execute, which is async\nfn f() -> &'static str { \"crate::cluster::x\" }",
        ),
        ("planning", "fn f() -> &'static str { r#\"a \" crate::cluster::x\"# }"),
        ("domain", "const QUOTE: char = '\"'; use jiff::Timestamp; // \"crate::api\""),
    ];
    for (part, source) in cases {
        let rule = RULES.iter().find(|rule| rule.part == part).unwrap();
        let module = [part.to_owned(), "file".to_owned()];
        let found = violations(rule, source, &module, &dependencies);
        assert!(found.is_empty(), "{part}: {source}: {found:?}");
    }
}

#[test]
fn no_file_outgrows_a_reader() {
    let files = ["src", "tests"].iter().flat_map(|folder| sources(&workspace().join(folder)));
    let lines = |file: &Path| fs::read_to_string(file).unwrap().lines().count();
    let long: Vec<String> = files
        .filter(|file| lines(file) >= LINES_MAX)
        .map(|file| format!("{}: {} lines", file.strip_prefix(workspace()).unwrap().display(), lines(&file)))
        .collect();
    assert!(long.is_empty(), "split these, {LINES_MAX} lines are too many: {long:?}");
}
