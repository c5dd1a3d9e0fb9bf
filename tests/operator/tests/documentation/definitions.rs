//! The custom resource definitions as the documents speak of them: kinds by every name that kubectl takes, and the fields of
//! each.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use imageshare_harness::assets;
use serde_json::Value;

/// Kinds of Kubernetes itself that the documents name.
const OTHER_KINDS: [&str; 11] = [
    "secret",
    "secrets",
    "namespace",
    "crd",
    "events",
    "pod",
    "pods",
    "lease",
    "deployment",
    "configmap",
    "serviceaccounts",
];

/// Fields of `metadata` that commands may read.
const METADATA: [&str; 12] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "managedFields",
];

pub(crate) struct Definition(Value);

impl Definition {
    /// All definitions of `crds/`.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let folder = assets::workspace().join("crds");
        let files: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
        files.iter().map(|file| Ok(Self(serde_yaml::from_str(&fs::read_to_string(file.path())?)?))).collect()
    }

    fn names(&self) -> &Value {
        &self.0["spec"]["names"]
    }

    fn version(&self) -> &Value {
        &self.0["spec"]["versions"][0]
    }

    pub(crate) fn schema(&self) -> &Value {
        &self.version()["schema"]["openAPIV3Schema"]
    }

    pub(crate) fn kind(&self) -> &str {
        self.names()["kind"].as_str().unwrap()
    }

    fn is_called(&self, name: &str) -> bool {
        let names = self.names();
        let listed = |key: &str| names[key].as_array().is_some_and(|all| all.iter().any(|one| one == name));
        let is_called = ["plural", "singular"].iter().any(|key| names[*key] == name);
        is_called || listed("shortNames") || listed("categories") || self.kind().eq_ignore_ascii_case(name)
    }

    /// The fields that `--field-selector` takes.
    pub(crate) fn selects(&self, field: &str) -> bool {
        let selectable = self.version()["selectableFields"].as_array().into_iter().flatten();
        let mut own = selectable.filter_map(|one| one["jsonPath"].as_str());
        ["metadata.name", "metadata.namespace"].contains(&field) || own.any(|path| path == format!(".{field}"))
    }

    /// The header that `kubectl get` prints, with or without the columns of `-o wide`.
    pub(crate) fn header(&self, wide: bool) -> Vec<String> {
        let columns = self.version()["additionalPrinterColumns"].as_array().into_iter().flatten();
        let shown = columns.filter(|column| wide || column["priority"].as_i64().unwrap_or_default() == 0);
        let names = shown.filter_map(|column| column["name"].as_str()).map(str::to_uppercase);
        std::iter::once("NAME".to_owned()).chain(names).collect()
    }

    /// Every word that the schema admits as a value.
    pub(crate) fn words(&self) -> BTreeSet<String> {
        fn collect(schema: &Value, words: &mut BTreeSet<String>) {
            let listed = schema["enum"].as_array().into_iter().flatten();
            words.extend(listed.filter_map(|word| word.as_str().map(ToOwned::to_owned)));
            match schema {
                Value::Object(all) => all.values().for_each(|inner| collect(inner, words)),
                Value::Array(all) => all.iter().for_each(|inner| collect(inner, words)),
                _ => {}
            }
        }
        let mut words = BTreeSet::from([self.kind().to_owned()]);
        collect(self.schema(), &mut words);
        words
    }

    /// The part of the schema at a path such as `.status.grants[*].id`, from a part of it.
    pub(crate) fn field<'s>(&'s self, from: &'s Value, path: &str) -> Result<&'s Value> {
        if let Some(field) = path.strip_prefix(".metadata.") {
            let name = field.split(['.', '[']).next().unwrap_or_default();
            ensure!(METADATA.contains(&name), "{path}: metadata has no such field");
            return Ok(&Value::Null);
        }
        let mut at = from;
        for (name, filter) in steps(path) {
            let own = &at["properties"][&name];
            let of_a_map = &at["additionalProperties"];
            at = if own.is_null() { of_a_map } else { own };
            ensure!(
                !at.is_null() && *at != Value::Bool(false),
                "{} has no field {path}: {name} is unknown",
                self.kind()
            );
            if let Some(filter) = filter {
                let item = &at["items"];
                ensure!(!item.is_null(), "{path}: {name} is no list");
                if let Some(asked) = filter.strip_prefix("?(@.").and_then(|rest| rest.split("==").next()) {
                    ensure!(!item["properties"][asked].is_null(), "{path}: items of {name} have no {asked}");
                }
                at = item;
            }
        }
        Ok(at)
    }

    /// Whether a JSON value, as in a merge patch, has only fields that the schema has, with values that it admits.
    pub(crate) fn admits(&self, schema: &Value, value: &Value) -> Result<()> {
        let Value::Object(fields) = value else {
            let words = schema["enum"].as_array();
            ensure!(words.is_none_or(|words| words.contains(value)), "{value} is none of {words:?}");
            return Ok(());
        };
        for (name, inner) in fields.iter().filter(|(name, _)| *name != "metadata") {
            match &schema["properties"][name] {
                Value::Null if schema["additionalProperties"].is_null() => bail!("{} has no field {name}", self.kind()),
                Value::Null => {}
                found => self.admits(found, inner)?,
            }
        }
        Ok(())
    }
}

/// The steps of a path: each name, and what stands in brackets after it. Dots in brackets separate nothing.
fn steps(path: &str) -> Vec<(String, Option<String>)> {
    let mut steps: Vec<(String, Option<String>)> = Vec::new();
    let mut depth = 0;
    for character in path.chars() {
        match (character, steps.last_mut()) {
            ('[', Some((_, filter))) => {
                depth += 1;
                *filter = Some(String::new());
            }
            (']', _) => depth -= 1,
            (_, Some((_, Some(filter)))) if depth > 0 => filter.push(character),
            ('.', _) => steps.push((String::new(), None)),
            (_, Some((name, _))) => name.push(character),
            (_, None) => {}
        }
    }
    steps
}

/// The definitions that a resource argument of kubectl names; none for a kind of Kubernetes itself.
pub(crate) fn named<'d>(all: &'d [Definition], resource: &str) -> Result<Vec<&'d Definition>> {
    let mut found = Vec::new();
    for one in resource.split(',') {
        let kind = one.split('/').next().unwrap_or_default();
        if kind.starts_with('$') || OTHER_KINDS.contains(&kind) {
            continue;
        }
        let definitions: Vec<_> = all.iter().filter(|definition| definition.is_called(kind)).collect();
        ensure!(!definitions.is_empty(), "{kind}: no such kind");
        found.extend(definitions);
    }
    Ok(found)
}

/// The schema of one of them has the path.
pub(crate) fn resolve(definitions: &[&Definition], base: &str, path: &str) -> Result<()> {
    let full = format!("{base}{path}");
    // `kubectl get` of several objects prints a list.
    let full = match full.strip_prefix(".items[").and_then(|rest| rest.split_once(']')) {
        Some((_, of_an_item)) => of_an_item,
        None => full.as_str(),
    };
    if definitions.is_empty() || [".kind", ".apiVersion", ""].contains(&full) {
        return Ok(());
    }
    let mut tries = definitions.iter().map(|definition| definition.field(definition.schema(), full).map(drop));
    let first = tries.next().context("a definition")?;
    if first.is_ok() || tries.any(|tried| tried.is_ok()) { Ok(()) } else { first }
}
