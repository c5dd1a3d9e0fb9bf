//! The commands that the documents show: each names kinds, fields, conditions and values that exist, and each table that is
//! shown has the columns of its kind.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use imageshare_harness::assets;
use serde_json::Value;

use crate::definitions::{Definition, named, resolve};
use crate::{pages, read};

/// Flags whose value is the next word.
const WITH_VALUE: [&str; 9] = ["-n", "-o", "-l", "-f", "-p", "-c", "--namespace", "--field-selector", "--context"];

/// What `--field-selector` takes for events.
const OF_EVENTS: [&str; 5] =
    ["reason", "type", "involvedObject.kind", "involvedObject.name", "involvedObject.namespace"];

/// All pages that people read, by path from the root.
pub(crate) fn documents() -> Result<Vec<(String, String)>> {
    let root = assets::workspace();
    let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    let mut names: Vec<String> = pages(&root.join("docs"))?.iter().map(|path| name(path)).collect();
    names.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(ToOwned::to_owned));
    names.into_iter().map(|name| Ok((name.clone(), read(&name)?))).collect()
}

/// The lines of commands on a page: in indented and fenced blocks, and in code spans of the text.
pub(crate) fn command_lines(page: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let (mut fence, mut open) = (None::<String>, false);
    for line in page.lines() {
        let trimmed = line.trim_start();
        open &= !trimmed.is_empty();
        if let Some(language) = trimmed.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language.to_owned()) };
            continue;
        }
        let is_data = fence.as_deref().is_some_and(|language| ["yaml", "json", "mermaid"].contains(&language));
        // Of a console, what follows the prompt is a command, and all else is what it prints.
        let is_printed = fence.as_deref() == Some("console") && !trimmed.starts_with("$ ");
        if is_data || is_printed {
            continue;
        }
        if open || fence.is_some() || line.starts_with("    ") {
            match found.last_mut().filter(|_| open) {
                Some(last) => *last = format!("{} {trimmed}", last.trim_end_matches('\\')),
                None => found.push(trimmed.to_owned()),
            }
            let quotes = found.last().map_or(0, |last| last.matches('\'').count());
            open = trimmed.ends_with('\\') || quotes % 2 == 1;
        } else {
            let spans = line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("kubectl "));
            found.extend(spans.map(ToOwned::to_owned));
        }
    }
    found
}

/// The words of each kubectl command on a line, as a shell splits them, up to what ends the command.
fn commands(line: &str) -> Vec<Vec<String>> {
    let starts = line.match_indices("kubectl ").filter(|(at, _)| !line[..*at].ends_with(['/', '-', '=', '.']));
    starts.map(|(at, _)| words(&line[at..])).collect()
}

fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::<String>::new(), String::new(), None::<char>);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some('"') | None, '\\') => word.extend(characters.next()),
            (None, '\'' | '"') => quote = Some(character),
            (None, '|' | ';' | ')' | '>' | '<' | '&' | '`') => break,
            (None, '#') if word.is_empty() => break,
            (None, ' ') => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            (_, _) => word.push(character),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// A command taken apart: verb, other words, and flags with their values.
struct Command {
    verb: String,
    words: Vec<String>,
    flags: Vec<(String, String)>,
}

impl Command {
    fn parse(all: &[String]) -> Self {
        let (mut words, mut flags) = (Vec::new(), Vec::new());
        let mut rest = all.iter().skip(1);
        while let Some(word) = rest.next() {
            if WITH_VALUE.contains(&word.as_str()) {
                flags.push((word.clone(), rest.next().cloned().unwrap_or_default()));
            } else if let Some((flag, value)) = word.split_once('=').filter(|(flag, _)| flag.starts_with("--")) {
                flags.push((flag.to_owned(), value.to_owned()));
            } else if word.starts_with('-') && word != "-" {
                flags.push((word.clone(), String::new()));
            } else {
                words.push(word.clone());
            }
        }
        let verb = if words.is_empty() { String::new() } else { words.remove(0) };
        Self { verb, words, flags }
    }

    fn check(&self, all: &[Definition], conditions: &BTreeSet<String>) -> Result<()> {
        let resource = self.words.first().map_or("", String::as_str);
        match self.verb.as_str() {
            "get" | "describe" | "delete" | "patch" | "annotate" | "edit" | "wait" => {}
            "explain" => {
                let (kind, path) = resource.split_once('.').unwrap_or((resource, ""));
                let path = if path.is_empty() { String::new() } else { format!(".{path}") };
                return resolve(&named(all, kind)?, "", &path);
            }
            "apply" | "create" | "diff" | "kustomize" | "logs" | "auth" | "label" | "scale" | "rollout" | "krew" => {
                return Ok(());
            }
            // The plugin: what its page shows is run.
            "imageshare" => {
                let commands = ["plan", "who-has", "why", "offers", "accept", "reject", "console", "completion"];
                ensure!(
                    resource.is_empty() || commands.contains(&resource),
                    "kubectl imageshare {resource}: no such command"
                );
                return Ok(());
            }
            other => bail!("kubectl {other}: no such verb here"),
        }
        // `kubectl delete -f file` and `kubectl get` in running text name no kind.
        if resource.is_empty() {
            return Ok(());
        }
        let definitions = named(all, resource)?;
        for (flag, value) in &self.flags {
            check_flag(flag, value, &definitions, resource, conditions)?;
        }
        Ok(())
    }
}

fn check_flag(
    flag: &str,
    value: &str,
    definitions: &[&Definition],
    resource: &str,
    conditions: &BTreeSet<String>,
) -> Result<()> {
    let output = value.split_once('=').unwrap_or((value, ""));
    match (flag, output) {
        ("-o", ("jsonpath", template)) => check_template(template, definitions),
        ("-o", ("custom-columns", columns)) => {
            let mut paths = columns.split(',').filter_map(|column| column.split_once(':'));
            paths.try_for_each(|(_, path)| resolve(definitions, "", path))
        }
        ("-o", (form, _)) => {
            ensure!(["json", "yaml", "name", "wide"].contains(&form), "-o {form}: no such form");
            Ok(())
        }
        ("--for", ("condition", kind)) => {
            ensure!(conditions.contains(kind), "{kind}: no such condition");
            Ok(())
        }
        ("--for", ("jsonpath", template)) => {
            check_template(template.split("}=").next().unwrap_or_default(), definitions)
        }
        ("--field-selector", _) => check_selector(value, definitions, resource),
        ("-p", _) => check_patch(value, definitions),
        _ => Ok(()),
    }
}

fn check_patch(patch: &str, definitions: &[&Definition]) -> Result<()> {
    let patch: Value = serde_json::from_str(patch).with_context(|| format!("a patch: {patch}"))?;
    let Some(definition) = definitions.first() else { return Ok(()) };
    let Some(operations) = patch.as_array() else { return definition.admits(definition.schema(), &patch) };
    for operation in operations {
        let place = operation["path"].as_str().context("an operation has a path")?;
        let is_place = |step: &str| step == "-" || step.parse::<usize>().is_ok();
        let steps = place.split('/').skip(1);
        let steps = steps.map(|step| if is_place(step) { "[*]".to_owned() } else { format!(".{step}") });
        resolve(definitions, "", &steps.collect::<String>())?;
    }
    Ok(())
}

fn check_selector(selector: &str, definitions: &[&Definition], resource: &str) -> Result<()> {
    for term in selector.split(',') {
        let field = term.split('=').next().unwrap_or_default().trim_end_matches('!');
        let known = if resource == "events" {
            OF_EVENTS.contains(&field)
        } else {
            definitions.iter().all(|d| d.selects(field))
        };
        ensure!(known, "--field-selector {field}: {resource} cannot be selected by it");
    }
    Ok(())
}

/// The paths of a jsonpath template, those in a range from its items.
fn check_template(template: &str, definitions: &[&Definition]) -> Result<()> {
    let mut base = String::new();
    for part in template.split('{').skip(1) {
        let part = part.split('}').next().unwrap_or_default();
        match part.strip_prefix("range ") {
            Some(path) => path.clone_into(&mut base),
            None if part == "end" => base.clear(),
            None if part.starts_with('.') => resolve(definitions, &base, part).with_context(|| template.to_owned())?,
            None => ensure!(part.starts_with('"'), "{{{part}}} in {template} is understood by nobody"),
        }
    }
    Ok(())
}

/// The strings of `pub const NAME: &str = "string";` in a source.
fn constants(source: &str) -> BTreeSet<String> {
    let lines = source.lines().filter(|line| line.starts_with("pub const ") && line.contains(": &str = \""));
    lines.filter_map(|line| line.split('"').nth(1)).map(ToOwned::to_owned).collect()
}

/// The names of the variants of an enumeration in a source.
fn variants(source: &str, name: &str) -> BTreeSet<String> {
    let body = source.split(&format!("pub enum {name} {{")).nth(1).and_then(|rest| rest.split("\n}").next());
    let lines = body.unwrap_or_default().lines().filter_map(|line| line.strip_prefix("    "));
    let names =
        lines.filter(|line| line.starts_with(char::is_uppercase)).filter_map(|line| line.split([',', ' ', '(']).next());
    names.map(ToOwned::to_owned).collect()
}

#[test]
fn every_kubectl_command_names_what_the_definitions_have() -> Result<()> {
    let definitions = Definition::all()?;
    let conditions = constants(&read("src/api/conditions.rs")?);
    ensure!(conditions.contains("Ready"), "the conditions are not understood: {conditions:?}");
    let (mut checked, mut wrong) = (0, Vec::new());
    for (name, text) in documents()? {
        for line in command_lines(&text) {
            for command in commands(&line) {
                checked += 1;
                if let Err(error) = Command::parse(&command).check(&definitions, &conditions) {
                    wrong.push(format!("{name}: {line}\n    {error:#}"));
                }
            }
        }
    }
    ensure!(checked > 80, "only {checked} commands were found");
    ensure!(wrong.is_empty(), "these commands would fail:\n{}", wrong.join("\n"));
    Ok(())
}

/// A wrong command is found, whatever is wrong with it.
#[test]
fn a_command_that_would_fail_is_noticed() -> Result<()> {
    let (definitions, conditions) = (Definition::all()?, BTreeSet::from(["Ready".to_owned()]));
    let wrong = [
        "kubectl get imagshares",
        "kubectl look imageshares",
        "kubectl get ish -o jsonpath='{.status.sumary}'",
        "kubectl get ish -o jsonpath='{range .status.waiting[*]}{.why}{end}'",
        "kubectl get cli -o jsonpath='{.status.grants[?(@.uid==\"1\")].state}'",
        "kubectl get cli -o custom-columns=IMAGE:.spec.image",
        "kubectl get cli --field-selector spec.imageID=x",
        "kubectl get events --field-selector object=x",
        "kubectl wait --for=condition=Redy ish/app-teams",
        "kubectl patch ish x --type=merge -p '{\"spec\":{\"deletionPolicy\":\"Keep\"}}'",
        "kubectl patch ish x --type=json -p '[{\"op\":\"remove\",\"path\":\"/spec/recipient/2\"}]'",
        "kubectl explain ish.spec.recipient",
    ];
    for line in wrong {
        let all = commands(line);
        ensure!(all.len() == 1, "{line}: {all:?}");
        ensure!(Command::parse(&all[0]).check(&definitions, &conditions).is_err(), "{line} was taken");
    }
    Ok(())
}

#[test]
fn a_table_that_is_shown_has_the_columns_of_its_kind() -> Result<()> {
    let definitions = Definition::all()?;
    let mut checked = 0;
    for (name, text) in documents()? {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0].starts_with("$ kubectl get ")) {
            let command = Command::parse(&words(&pair[0][2..]));
            let resource = command.words.first().context("a kind")?;
            let [definition] = named(&definitions, resource)?[..] else { continue };
            let wide = command.flags.iter().any(|(flag, value)| flag == "-o" && value == "wide");
            let shown: Vec<&str> = pair[1].split_whitespace().collect();
            ensure!(shown == definition.header(wide), "{name}: {}: columns {:?}", pair[0], definition.header(wide));
            checked += 1;
        }
    }
    ensure!(checked > 0, "no table is shown");
    Ok(())
}

/// The code spans of a page's text, without its blocks.
pub(crate) fn spans(page: &str) -> Vec<String> {
    let outside: String = page.split("```").step_by(2).collect::<Vec<_>>().join("\n");
    let lines = outside.lines().filter(|line| !line.starts_with("    "));
    lines.flat_map(|line| line.split('`').skip(1).step_by(2)).map(ToOwned::to_owned).collect()
}

#[test]
fn every_field_that_a_page_names_is_in_a_definition() -> Result<()> {
    let definitions = Definition::all()?;
    let (mut checked, mut wrong) = (0, Vec::new());
    for (name, text) in documents()? {
        for span in spans(&text) {
            let (kind, path) = match span.split_once('.') {
                Some((kind, path)) if definitions.iter().any(|d| d.kind() == kind) => (Some(kind), path),
                _ => (None, span.as_str()),
            };
            let is_path = path.starts_with("spec.") || path.starts_with("status.");
            if !is_path || !path.chars().all(|c| c.is_alphanumeric() || ".[]".contains(c)) {
                continue;
            }
            checked += 1;
            let path = format!(".{}", path.replace("[]", "[*]"));
            let mut of_kind = definitions.iter().filter(|definition| kind.is_none_or(|kind| definition.kind() == kind));
            if !of_kind.any(|definition| definition.field(definition.schema(), &path).is_ok()) {
                wrong.push(format!("{name}: {span}"));
            }
        }
    }
    ensure!(checked > 20, "only {checked} fields were found");
    ensure!(wrong.is_empty(), "no definition has these fields:\n{}", wrong.join("\n"));
    Ok(())
}

/// Words of Kubernetes and of the vendors, which look like reasons.
const OTHER_WORDS: [&str; 9] = [
    "True",
    "False",
    "Unknown",
    "None",
    "Terminating",
    "SelfSubjectReview",
    "ValidatingAdmissionPolicy",
    "RegionOne",
    "AliyunECSShareEncryptImageDefaultRole",
];

/// Pages with the words of others: of the code, of Argo CD and Flux, of the vendors' APIs.
const OTHER_VOCABULARIES: [&str; 5] =
    ["docs/development.md", "docs/gitops.md", "docs/find-ids.md", "docs/simulator.md", "CONTRIBUTING.md"];

#[test]
fn every_reason_and_value_that_a_page_names_exists() -> Result<()> {
    let mut known: BTreeSet<String> = Definition::all()?.iter().flat_map(Definition::words).collect();
    let conditions = read("src/api/conditions.rs")?;
    known.extend(constants(&conditions));
    known.extend(variants(&conditions, "Reason"));
    known.extend(variants(&read("src/cluster/events.rs")?, "EventReason"));
    known.extend(variants(&read("src/domain/fault.rs")?, "Fault"));
    known.extend(variants(&read("src/planning/access.rs")?, "Cause"));
    known.extend(OTHER_WORDS.map(ToOwned::to_owned));
    ensure!(known.len() > 120, "the sources are not understood: {known:?}");
    let (mut checked, mut wrong) = (0, Vec::new());
    for (name, text) in documents()? {
        if OTHER_VOCABULARIES.contains(&name.as_str()) {
            continue;
        }
        for span in spans(&text) {
            let is_word = span.starts_with(char::is_uppercase) && span.chars().all(char::is_alphabetic);
            if is_word && span.contains(char::is_lowercase) {
                checked += 1;
                wrong.extend((!known.contains(&span)).then(|| format!("{name}: {span}")));
            }
        }
    }
    ensure!(checked > 200, "only {checked} words were found");
    ensure!(wrong.is_empty(), "nothing has these names:\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_value_that_helm_is_told_to_set_exists() -> Result<()> {
    let values: Value = serde_yaml::from_str(&read("charts/imageshare-operator/values.yaml")?)?;
    let mut checked = 0;
    for (name, text) in documents()? {
        for line in text.lines().filter(|line| line.contains("--set")) {
            for setting in line.split("--set").skip(1).filter(|rest| rest.contains('=')) {
                let key = setting.split('=').next().unwrap_or_default();
                let key = key.trim_start_matches("-string").trim_start_matches("-json").trim().trim_matches('\'');
                let found = key.split('.').try_fold(&values, |at, part| at.get(part));
                ensure!(found.is_some(), "{name}: the chart has no value {key}: {line}");
                checked += 1;
            }
        }
    }
    ensure!(checked > 2, "only {checked} values were found");
    Ok(())
}

/// The YAML blocks of a page that are no whole object.
fn fragments(page: &str) -> Result<Vec<Value>> {
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut fragments = Vec::new();
    for block in blocks {
        for document in serde_yaml::Deserializer::from_str(block) {
            let document: Value = serde::Deserialize::deserialize(document)?;
            fragments.extend(document["kind"].is_null().then_some(document));
        }
    }
    Ok(fragments)
}

#[test]
fn a_part_of_a_spec_that_is_shown_has_fields_of_a_spec() -> Result<()> {
    let definitions = Definition::all()?;
    let mut checked = 0;
    for name in
        ["docs/alibaba-cloud.md", "docs/huawei-cloud.md", "docs/openstack.md", "docs/concepts.md", "docs/receiving.md"]
    {
        for fragment in fragments(&read(name)?)? {
            let admits =
                |definition: &Definition| definition.admits(&definition.schema()["properties"]["spec"], &fragment);
            ensure!(definitions.iter().any(|definition| admits(definition).is_ok()), "{name}: no spec has {fragment}");
            checked += 1;
        }
    }
    ensure!(checked > 0, "no part of a spec is shown");
    Ok(())
}
