//! The reference pages under `docs/reference/`, one a kind, made of the custom resource definitions and of nothing else.
//! Cells stay short: conditions are not spelled out, and what the API server demands stands below the table.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};

/// The pages of the definitions in a folder: name and text of each, by name, with an index.
pub fn pages(definitions: &Path) -> Result<Vec<(String, String)>> {
    let mut files: Vec<_> = fs::read_dir(definitions)?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    let read = |file: &fs::DirEntry| -> Result<CustomResourceDefinition> {
        let text = fs::read_to_string(file.path())?;
        serde_yaml::from_str(&text).with_context(|| format!("reading {}", file.path().display()))
    };
    let definitions = files.iter().map(read).collect::<Result<Vec<_>>>()?;
    let mut pages = vec![("README.md".to_owned(), index(&definitions)?)];
    for definition in &definitions {
        pages.push((file_name(definition), page(definition)?));
    }
    Ok(pages)
}

fn file_name(definition: &CustomResourceDefinition) -> String {
    format!("{}.md", definition.spec.names.plural)
}

fn version(definition: &CustomResourceDefinition) -> Result<&CustomResourceDefinitionVersion> {
    definition.spec.versions.first().context("a definition has a version")
}

fn schema(definition: &CustomResourceDefinition) -> Result<&JSONSchemaProps> {
    let schema = version(definition)?.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    schema.context("a version has a schema")
}

const WRITTEN: &str = "<!-- Written by `make docs` from crds/. -->\n";

fn index(definitions: &[CustomResourceDefinition]) -> Result<String> {
    let mut text = format!("{WRITTEN}# Reference\n\n| kind | short | what it is |\n|---|---|---|\n");
    for definition in definitions {
        let names = &definition.spec.names;
        let short = names.short_names.as_deref().unwrap_or_default().join(", ");
        let what = plain(schema(definition)?.description.as_deref());
        writeln!(text, "| [{}]({}) | `{short}` | {what} |", names.kind, file_name(definition))?;
    }
    text.push_str("\nWhat the conditions and their reasons mean: [troubleshooting](../troubleshooting.md).\n");
    Ok(text)
}

fn page(definition: &CustomResourceDefinition) -> Result<String> {
    let (spec, version, schema) = (&definition.spec, version(definition)?, schema(definition)?);
    let names = &spec.names;
    let mut text = format!("{WRITTEN}# {}\n\n{}\n\n", names.kind, schema.description.as_deref().unwrap_or_default());
    let short = names.short_names.as_deref().unwrap_or_default().join("`, `");
    let categories = names.categories.as_deref().unwrap_or_default().join("`, `");
    writeln!(
        text,
        "`apiVersion: {}/{}`, `kind: {}`, {}.",
        spec.group,
        version.name,
        names.kind,
        spec.scope.to_lowercase()
    )?;
    writeln!(text, "For kubectl: `{}`, short `{short}`, among `{categories}`.", names.plural)?;
    let selectable = version
        .selectable_fields
        .iter()
        .flatten()
        .map(|field| format!("`{}`", field.json_path.trim_start_matches('.')));
    let selectable: Vec<String> = selectable.collect();
    if !selectable.is_empty() {
        writeln!(text, "`--field-selector` takes {}.", selectable.join(", "))?;
    }
    for part in ["spec", "status"] {
        let Some(found) = schema.properties.as_ref().and_then(|properties| properties.get(part)) else { continue };
        writeln!(text, "\n## {part}\n\n{}\n", found.description.as_deref().unwrap_or_default())?;
        text.push_str("| field | type | if left out | bounds | meaning |\n|---|---|---|---|---|\n");
        let mut demands = demands(part, found);
        fields(&mut text, &mut demands, part, found)?;
        if part == "spec" {
            demands.extend(rules(schema).map(|(field, message)| format!("`{}`: {message}", field.unwrap_or(part))));
        }
        if !demands.is_empty() {
            writeln!(text, "\nThe API server also demands:\n\n- {}", demands.join("\n- "))?;
        }
    }
    text.push_str("\n## Columns of `kubectl get`\n\n| column | from |\n|---|---|\n");
    for column in version.additional_printer_columns.iter().flatten() {
        let wide = if column.priority.unwrap_or_default() > 0 { " (`-o wide`)" } else { "" };
        writeln!(text, "| {}{wide} | `{}` |", column.name.to_uppercase(), column.json_path)?;
    }
    Ok(text)
}

/// A row for each field, each followed by those inside it. Collects what the API server demands of them besides.
fn fields(text: &mut String, demanded: &mut Vec<String>, path: &str, of: &JSONSchemaProps) -> Result<()> {
    for (name, field) in of.properties.iter().flatten() {
        let required = of.required.iter().flatten().any(|required| required == name);
        let left_out = match &field.default {
            Some(default) => format!("`{}`", default.0),
            None if required => "required".to_owned(),
            None => String::new(),
        };
        let path = format!("{path}.{name}");
        let (kind, bounds, meaning) = (kind(field), bounds(field), plain(field.description.as_deref()));
        writeln!(text, "| `{path}` | {kind} | {left_out} | {bounds} | {meaning} |")?;
        demanded.extend(demands(&path, field));
        fields(text, demanded, &path, field)?;
        let item = item(field).filter(|item| !is_condition(item));
        if let Some(item) = item {
            let path = format!("{path}[]");
            demanded.extend(demands(&path, item));
            fields(text, demanded, &path, item)?;
        }
    }
    Ok(())
}

/// The schema of a list's items.
fn item(field: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &field.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => Some(item),
        _ => None,
    }
}

/// Whether it is a condition as Kubernetes defines it, whose fields need no explanation.
fn is_condition(of: &JSONSchemaProps) -> bool {
    let has = |name: &str| of.properties.as_ref().is_some_and(|all| all.contains_key(name));
    has("lastTransitionTime") && has("reason") && has("status") && has("type")
}

/// Whether it is one of the reasons of the conditions.
fn is_reason(of: &JSONSchemaProps) -> bool {
    of.pattern.as_deref() == Some("^[A-Za-z]+$")
}

const REASONS: &str = "[reason](../troubleshooting.md)";

fn kind(field: &JSONSchemaProps) -> String {
    let words = field.enum_.iter().flatten().filter_map(|word| word.0.as_str());
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    if !words.is_empty() {
        return words.join(", ");
    }
    if is_reason(field) {
        return REASONS.to_owned();
    }
    match (item(field), &field.additional_properties, field.format.as_deref()) {
        (Some(item), _, _) if is_condition(item) => format!("list of conditions, each with a {REASONS}"),
        (Some(item), _, _) => format!("list of {}", kind(item)),
        (_, Some(JSONSchemaPropsOrBool::Schema(value)), _) => format!("map to {}", kind(value)),
        (_, _, Some("date-time")) => "time".to_owned(),
        _ => field.type_.clone().unwrap_or_default(),
    }
}

fn bounds(field: &JSONSchemaProps) -> String {
    let span = |least: Option<i64>, most: Option<i64>, of: &str| match (least.filter(|least| *least > 0), most) {
        (Some(least), Some(most)) if least == most => Some(format!("{most}{of}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most}{of}")),
        (None, Some(most)) => Some(format!("at most {most}{of}")),
        (Some(least), None) => Some(format!("at least {least}{of}")),
        (None, None) => None,
    };
    let number = |bound: Option<f64>| bound.map(|bound| bound.to_string());
    let between = match (number(field.minimum), number(field.maximum)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    };
    let keys = field.x_kubernetes_list_map_keys.as_ref().map(|keys| format!("one for each {}", keys.join(" and ")));
    let spans =
        [span(field.min_length, field.max_length, " characters"), span(field.min_items, field.max_items, " items")];
    let mut all: Vec<String> = spans.into_iter().chain([between, keys]).flatten().collect();
    all.extend(rules(field).any(|(_, message)| message == IMMUTABLE).then(|| IMMUTABLE.to_owned()));
    let each = item(field).filter(|item| item.properties.is_none()).map(bounds).filter(|each| !each.is_empty());
    all.extend(each.map(|each| format!("each {each}")));
    cell(&all.join("; "))
}

const IMMUTABLE: &str = "immutable";

/// What the API server demands of it besides, in its own words, and of which field if it says so.
fn rules(of: &JSONSchemaProps) -> impl Iterator<Item = (Option<&str>, &str)> {
    let rules = of.x_kubernetes_validations.iter().flatten();
    rules.filter_map(|rule| {
        let message = if rule.rule == "self == oldSelf" { Some(IMMUTABLE) } else { rule.message.as_deref() };
        Some((rule.field_path.as_deref().map(|path| path.trim_start_matches('.')), message?))
    })
}

/// The same as sentences, without what stands in the table.
fn demands(path: &str, of: &JSONSchemaProps) -> Vec<String> {
    rules(of).filter(|(_, message)| *message != IMMUTABLE).map(|(_, message)| format!("`{path}`: {message}")).collect()
}

fn plain(text: Option<&str>) -> String {
    cell(text.unwrap_or_default())
}

/// Text that fits into a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
