//! The reference pages under `docs/reference/`, one a kind, made of the custom resource definitions and of nothing else.

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
    let rules_of_all = rules(schema);
    if !rules_of_all.is_empty() {
        writeln!(text, "\nRules of the API server about edits: {}.", rules_of_all.join("; "))?;
    }
    for part in ["spec", "status"] {
        let Some(found) = schema.properties.as_ref().and_then(|properties| properties.get(part)) else { continue };
        writeln!(text, "\n## {part}\n\n{}\n", found.description.as_deref().unwrap_or_default())?;
        let rules = rules(found);
        if !rules.is_empty() {
            writeln!(text, "As a whole: {}.\n", rules.join("; "))?;
        }
        text.push_str("| field | type | if left out | bounds | meaning |\n|---|---|---|---|---|\n");
        fields(&mut text, part, found)?;
    }
    text.push_str("\n## Columns of `kubectl get`\n\n| column | from |\n|---|---|\n");
    for column in version.additional_printer_columns.iter().flatten() {
        writeln!(text, "| {} | `{}` |", column.name.to_uppercase(), column.json_path)?;
    }
    Ok(text)
}

/// A row for each field, each followed by those inside it.
fn fields(text: &mut String, path: &str, of: &JSONSchemaProps) -> Result<()> {
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
        fields(text, &path, field)?;
        if let Some(JSONSchemaPropsOrArray::Schema(item)) = &field.items {
            fields(text, &format!("{path}[]"), item)?;
        }
    }
    Ok(())
}

fn kind(field: &JSONSchemaProps) -> String {
    let words = field.enum_.iter().flatten().filter_map(|word| word.0.as_str());
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    if !words.is_empty() {
        return words.join(", ");
    }
    match (&field.items, &field.additional_properties, field.format.as_deref()) {
        (Some(JSONSchemaPropsOrArray::Schema(item)), _, _) => format!("list of {}", kind(item)),
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
    all.extend(rules(field));
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &field.items {
        if item.properties.is_none() {
            let each = bounds(item);
            all.extend((!each.is_empty()).then(|| format!("each {each}")));
        } else {
            all.extend(rules(item));
        }
    }
    cell(&all.join("; "))
}

/// What the API server demands of it besides, in its own words.
fn rules(field: &JSONSchemaProps) -> Vec<String> {
    let rules = field.x_kubernetes_validations.iter().flatten();
    rules.filter_map(|rule| rule.message.clone()).collect()
}

fn plain(text: Option<&str>) -> String {
    cell(text.unwrap_or_default())
}

/// Text that fits into a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
