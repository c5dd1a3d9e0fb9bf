//! Whether an object has the shape that the API server takes: the structural schema of its definition, with unknown fields
//! refused as `kubectl --validate=strict` does, then its rules in CEL by the evaluator of kube.
//!
//! A structural schema is not JSON Schema: `nullable`, defaults before validation, and lists with keys are Kubernetes' own.
//! The definitions use few of its words; a test holds the list of those to what is judged here, and another one
//! compares the verdicts with a real API server's.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::cel::{CompiledSchema, ErrorKind, Validator, apply_defaults, compile_schema};
use regex::Regex;
use serde_json::{Map, Value};

use crate::api;

/// One field that the API server would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The field, as `spec.recipients[0].id`; empty for the whole object.
    pub(crate) path: String,
    /// What is wrong, and what to do.
    pub(crate) message: String,
}

/// The definitions of all kinds.
pub(crate) struct Schemas {
    kinds: BTreeMap<String, Definition>,
    rules: Validator,
}

struct Definition {
    schema: Value,
    compiled: CompiledSchema,
}

/// Fields of every object that its own schema does not list.
const OF_EVERY_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

impl Schemas {
    /// Those of this version.
    pub(crate) fn new() -> Self {
        let definition =
            |crd: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
                let schema = crd.spec.versions.into_iter().next()?.schema?.open_api_v3_schema?;
                let schema = serde_json::to_value(schema).ok()?;
                let compiled = compile_schema(&schema);
                Some((crd.spec.names.kind, Definition { schema, compiled }))
            };
        Self { kinds: api::all_crds().into_iter().filter_map(definition).collect(), rules: Validator::new() }
    }

    /// The kinds of this group.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// What the API server takes of an object that people write: without a status, which is the operator's own, and without
    /// nulls that mean nothing.
    pub(crate) fn taken(&self, kind: &str, object: &Value) -> Value {
        let mut object = object.clone();
        if let Value::Object(fields) = &mut object {
            fields.remove("status");
        }
        if let Some(Definition { schema, .. }) = self.kinds.get(kind) {
            drop_nulls(schema, &mut object);
        }
        object
    }

    /// What is wrong with an object of a kind; nothing for a kind that is not of this group. Rules are judged only where
    /// the shape is right, as the API server does.
    pub(crate) fn check(&self, kind: &str, object: &Value) -> Vec<Violation> {
        let Some(Definition { schema, compiled }) = self.kinds.get(kind) else { return Vec::new() };
        let object = apply_defaults(schema, &self.taken(kind, object));
        let mut found = Vec::new();
        check_value(schema, &object, "", &mut found);
        if !found.is_empty() {
            return found;
        }
        let errors = self.rules.validate_compiled(compiled, &object, None).err();
        errors.into_iter().flat_map(kube::core::cel::ValidationErrors::into_vec).map(violation).collect()
    }
}

fn violation(error: kube::core::cel::ValidationError) -> Violation {
    let message = match error.kind {
        ErrorKind::ValidationFailure => error.message,
        _ => format!("a rule cannot be judged here ({}): {}", error.message, error.rule),
    };
    Violation { path: error.field_path, message }
}

/// Leaves out fields that are null and may be, or have a default: the API server takes them for missing.
fn drop_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let of = |name: &str| schema.get("properties").and_then(|fields| fields.get(name)).unwrap_or(&Value::Null);
            fields.retain(|name, value| {
                let schema = of(name);
                !(value.is_null() && (schema["nullable"] == true || !schema["default"].is_null()))
            });
            for (name, value) in fields {
                drop_nulls(of(name), value);
            }
        }
        Value::Array(entries) => {
            let schema = schema.get("items").unwrap_or(&Value::Null);
            for entry in entries {
                drop_nulls(schema, entry);
            }
        }
        _ => {}
    }
}

fn check_value(schema: &Value, value: &Value, path: &str, found: &mut Vec<Violation>) {
    let mut wrong = |message: String| found.push(Violation { path: path.to_owned(), message });
    if value.is_null() {
        // One that may be null is left out by now.
        if !schema["type"].is_null() {
            wrong("must not be null".to_owned());
        }
        return;
    }
    let wanted = schema["type"].as_str().unwrap_or_default();
    if !has_type(wanted, value) {
        let hint = if wanted == "string" { ": put it in quotes" } else { "" };
        let article = if wanted.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
        return wrong(format!("must be {article} {wanted}, and is {}{hint}", describe(value)));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        return wrong(format!("must be one of {}, and is {}", allowed.join(", "), describe(value)));
    }
    match value {
        Value::String(text) => check_text(schema, text, &mut wrong),
        Value::Number(_) => check_number(schema, value, &mut wrong),
        Value::Array(entries) => check_list(schema, entries, path, found),
        Value::Object(fields) => check_fields(schema, fields, path, found),
        Value::Null | Value::Bool(_) => {}
    }
}

fn has_type(wanted: &str, value: &Value) -> bool {
    match wanted {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

/// What a value is, without repeating much of it.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(text) => format!("{:?}", text.chars().take(64).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn bound(schema: &Value, name: &str) -> Option<usize> {
    usize::try_from(schema[name].as_u64()?).ok()
}

fn check_text(schema: &Value, text: &str, wrong: &mut impl FnMut(String)) {
    let length = text.chars().count();
    if let Some(least) = bound(schema, "minLength").filter(|least| length < *least) {
        wrong(format!("must have at least {least} characters"));
    } else if let Some(most) = bound(schema, "maxLength").filter(|most| length > *most) {
        wrong(format!("must have at most {most} characters"));
    } else if let Some(pattern) = schema["pattern"].as_str() {
        // The patterns are those of this program; a test compiles each.
        if !Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text)) {
            wrong(format!("must match {pattern}"));
        }
    }
    if schema["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
        wrong("must be a time such as 2027-01-31T00:00:00Z".to_owned());
    }
}

fn check_number(schema: &Value, value: &Value, wrong: &mut impl FnMut(String)) {
    let Some(number) = value.as_f64() else { return };
    if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
        wrong(format!("must be at least {least}"));
    }
    if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
        wrong(format!("must be at most {most}"));
    }
}

fn check_list(schema: &Value, entries: &[Value], path: &str, found: &mut Vec<Violation>) {
    let mut wrong = |message: String| found.push(Violation { path: path.to_owned(), message });
    if let Some(least) = bound(schema, "minItems").filter(|least| entries.len() < *least) {
        wrong(format!("must have at least {least} entries"));
    }
    if let Some(most) = bound(schema, "maxItems").filter(|most| entries.len() > *most) {
        wrong(format!("must have at most {most} entries"));
    }
    let keys: Vec<&str> =
        schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let is_set = schema["x-kubernetes-list-type"] == "set";
    let mut seen = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let key: Vec<String> =
            if is_set { vec![entry.to_string()] } else { keys.iter().map(|key| entry[*key].to_string()).collect() };
        if !key.is_empty() && !seen.insert(key.clone()) {
            let names = if is_set { String::new() } else { format!("{} ", keys.join(" and ")) };
            let message = format!("is in the list twice ({names}{})", key.join(" "));
            found.push(Violation { path: path.clone(), message });
        }
        check_value(&schema["items"], entry, &path, found);
    }
}

fn check_fields(schema: &Value, fields: &Map<String, Value>, path: &str, found: &mut Vec<Violation>) {
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let none = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&none);
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            found.push(Violation { path: at(name), message: "is missing".to_owned() });
        }
    }
    if let Some(least) = bound(schema, "minProperties").filter(|least| fields.len() < *least) {
        found.push(Violation { path: path.to_owned(), message: format!("must have at least {least} entries") });
    }
    if let Some(most) = bound(schema, "maxProperties").filter(|most| fields.len() > *most) {
        found.push(Violation { path: path.to_owned(), message: format!("must have at most {most} entries") });
    }
    for (name, value) in fields {
        let other = &schema["additionalProperties"];
        match known.get(name) {
            Some(schema) => check_value(schema, value, &at(name), found),
            None if path.is_empty() && OF_EVERY_OBJECT.contains(&name.as_str()) => {}
            None if other.is_object() => check_value(other, value, &at(name), found),
            None => {
                let known: Vec<&str> = known.keys().map(String::as_str).filter(|name| *name != "status").collect();
                let message = format!("no such field; there are {}", known.join(", "));
                found.push(Violation { path: at(name), message });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Words of schemas that are judged here, or that say nothing of what people write.
    const WORDS: [&str; 23] = [
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "minProperties",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "nullable",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
    ];

    fn walk<'a>(schema: &'a Value, visit: &mut dyn FnMut(&'a str, &'a Value)) {
        for (word, value) in schema.as_object().unwrap() {
            visit(word, value);
            match word.as_str() {
                "properties" => value.as_object().unwrap().values().for_each(|field| walk(field, visit)),
                "items" | "additionalProperties" => walk(value, visit),
                _ => {}
            }
        }
    }

    #[test]
    fn every_word_of_the_definitions_is_judged() {
        let schemas = Schemas::new();
        assert_eq!(schemas.kinds.len(), 8);
        for (kind, definition) in &schemas.kinds {
            assert!(definition.compiled.compilation_errors().is_empty(), "{kind}: a rule does not compile");
            walk(&definition.schema, &mut |word, value| match word {
                "x-kubernetes-validations" => {}
                "pattern" => drop(Regex::new(value.as_str().unwrap()).unwrap()),
                "format" => assert!(["date-time", "int32", "int64"].contains(&value.as_str().unwrap()), "{value}"),
                "x-kubernetes-list-type" => assert!(value == "map" || value == "set", "{value}"),
                _ => assert!(WORDS.contains(&word), "{kind}: nobody judges {word}"),
            });
        }
    }

    fn check(kind: &str, spec: &Value) -> Vec<String> {
        let object =
            json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec});
        Schemas::new().check(kind, &object).into_iter().map(|v| format!("{}: {}", v.path, v.message)).collect()
    }

    #[test]
    fn each_mistake_is_told_with_its_field() {
        let share = |recipients: Value| json!({"imageRef": {"name": "ubuntu"}, "recipients": recipients});
        let one = json!({"type": "Account", "id": "1000000000000001"});
        assert!(check("ImageShare", &share(json!([one]))).is_empty());
        for (kind, spec, told) in [
            (
                "ImageShare",
                share(json!([{"type": "Account", "id": 1}])),
                "spec.recipients[0].id: must be a string, and is a number: put it in quotes",
            ),
            (
                "ImageShare",
                share(json!([{"type": "Acount", "id": "1"}])),
                "spec.recipients[0].type: must be one of Account, Project, Organization, and is \"Acount\"",
            ),
            (
                "ImageShare",
                share(json!([one, one])),
                "spec.recipients[1]: is in the list twice (type and id \"Account\" \"1000000000000001\")",
            ),
            (
                "ChannelShare",
                json!({"channelRef": {"name": "x"}, "recipients": [one], "stages": ["Current", "Current"]}),
                "spec.stages[1]: is in the list twice (\"Current\")",
            ),
            ("ImageShare", share(json!([])), "spec.recipients: must have at least 1 entries"),
            (
                "ImageShare",
                share(json!([{"type": "Account", "id": "12"}])),
                "spec.recipients[0]: an Account is 5 to 20 digits without a leading zero, in quotes (Alibaba Cloud UID), \
                 12 digits, in quotes (AWS account id), or 32 hexadecimal digits (Huawei Cloud account id)",
            ),
            ("ImageShare", json!({"imageref": {"name": "x"}, "recipients": [one]}), "spec.imageRef: is missing"),
            (
                "ImageShare",
                json!({"imageref": {"name": "x"}, "recipients": [one]}),
                "spec.imageref: no such field; there are deletionPolicy, expirationTime, imageRef, recipients, suspend",
            ),
            ("ImageShare", json!({"imageRef": null, "recipients": [one]}), "spec.imageRef: must not be null"),
            ("CloudAccount", json!({}), "spec: give exactly one provider: alibaba, huawei, openstack or aws"),
        ] {
            let found = check(kind, &spec);
            assert!(found.contains(&told.to_owned()), "{told}\n{found:#?}");
        }
    }
}
