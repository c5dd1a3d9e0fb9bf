//! Whether the definitions that an API server serves hold every field that this version reads and writes. An API server
//! hides a field that its definition lacks, and drops the field for good at the next write of the object.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{GROUP, VERSION, all_crds};

/// Field paths named in one message.
const NAMED_MAX: usize = 3;

/// The path of the API server's own description of the kinds, as an `OpenAPI` document.
pub fn document_path() -> String {
    format!("/openapi/v3/apis/{GROUP}/{VERSION}")
}

/// What the served definitions lack: paths of fields, by kind. A kind that is not served at all has the empty path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking(pub BTreeMap<String, Vec<String>>);

impl Lacking {
    /// Whether the definition of this kind lacks anything.
    pub fn affects(&self, kind: &str) -> bool {
        self.0.contains_key(kind)
    }

    /// What is wrong and what to do, for people.
    pub fn message(&self) -> String {
        let kinds: Vec<String> = self.0.iter().map(|(kind, paths)| lack(kind, paths)).collect();
        format!(
            "the API server serves older definitions than this version needs ({}), and hides these fields; no object \
             is released and no cloud API calls are made: apply the definitions of this version: kubectl apply \
             --server-side --force-conflicts -f crds/",
            kinds.join("; ")
        )
    }
}

fn lack(kind: &str, paths: &[String]) -> String {
    if paths.iter().any(String::is_empty) {
        return format!("{kind} is not served");
    }
    let named: Vec<&str> = paths.iter().take(NAMED_MAX).map(String::as_str).collect();
    let more = match paths.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{kind} lacks {}{more}", named.join(", "))
}

/// Compares what this version needs with the `OpenAPI` document of the group, or with none where the group is not served.
/// Everything in `spec` and `status` counts; what is served besides does not matter.
pub fn lacking(document: Option<&Value>) -> Lacking {
    let schemas = document.and_then(|document| document.pointer("/components/schemas")?.as_object());
    let served = |kind: &str| {
        let is = |schema: &&Value| names(schema, kind);
        schemas.and_then(|schemas| schemas.values().find(is))
    };
    let mut found = BTreeMap::new();
    for crd in all_crds() {
        let kind = crd.spec.names.kind;
        let version = crd.spec.versions.into_iter().find(|version| version.name == VERSION);
        let needed = version.and_then(|version| serde_json::to_value(version.schema?.open_api_v3_schema?).ok());
        let mut paths = Vec::new();
        match (needed, served(&kind)) {
            (Some(needed), Some(served)) => {
                for part in ["spec", "status"] {
                    compare_property(part, needed.pointer(&format!("/properties/{part}")), served, "", &mut paths);
                }
            }
            (_, None) => paths.push(String::new()),
            (None, Some(_)) => {}
        }
        if !paths.is_empty() {
            found.insert(kind, paths);
        }
    }
    Lacking(found)
}

/// Whether a schema of the document is the one of this kind.
fn names(schema: &Value, kind: &str) -> bool {
    let all = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
    let wanted = serde_json::json!({"group": GROUP, "version": VERSION, "kind": kind});
    all.is_some_and(|all| all.contains(&wanted))
}

fn compare(needed: &Value, served: &Value, path: &str, lacking: &mut Vec<String>) {
    if served.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        return;
    }
    let properties = needed.get("properties").and_then(Value::as_object);
    for (name, field) in properties.into_iter().flatten() {
        compare_property(name, Some(field), served, path, lacking);
    }
    for (part, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        let Some(needed) = needed.get(part).filter(|needed| needed.is_object()) else { continue };
        match served.get(part) {
            Some(served) => compare(needed, served, &format!("{path}{mark}"), lacking),
            None => lacking.push(format!("{path}{mark}")),
        }
    }
}

fn compare_property(name: &str, needed: Option<&Value>, served: &Value, path: &str, lacking: &mut Vec<String>) {
    let Some(needed) = needed else { return };
    let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match served.get("properties").and_then(|properties| properties.get(name)) {
        Some(served) => compare(needed, served, &path, lacking),
        None => lacking.push(path),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The document of an API server that serves exactly our definitions, changed by `edit`.
    fn document(edit: impl Fn(&str, &mut Value)) -> Value {
        let mut schemas = serde_json::Map::new();
        for crd in all_crds() {
            let kind = crd.spec.names.kind.clone();
            let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
            let mut schema = serde_json::to_value(schema).unwrap();
            schema["x-kubernetes-group-version-kind"] = json!([{"group": GROUP, "version": VERSION, "kind": kind}]);
            edit(&kind, &mut schema);
            schemas.insert(format!("dev.imageshare.v1alpha1.{kind}"), schema);
        }
        json!({"components": {"schemas": schemas}})
    }

    fn without(pointer: &'static str, field: &'static str) -> Value {
        document(move |kind, schema| {
            if kind == "CloudImage" {
                schema.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field).unwrap();
            }
        })
    }

    fn of_images(lacking: &Lacking) -> Vec<String> {
        lacking.0.get("CloudImage").cloned().unwrap_or_default()
    }

    #[test]
    fn definitions_that_hold_every_field_and_more_are_whole() {
        assert_eq!(lacking(Some(&document(|_, _| {}))), Lacking::default());
        let newer =
            document(|_, schema| schema["properties"]["status"]["properties"]["new"] = json!({"type": "string"}));
        assert_eq!(lacking(Some(&newer)), Lacking::default());
    }

    #[test]
    fn a_field_that_is_not_served_is_named_with_its_kind_wherever_it_is() {
        let status = "/properties/status/properties";
        assert_eq!(of_images(&lacking(Some(&without(status, "grants")))), ["status.grants"]);
        let grant = "/properties/status/properties/grants/items/properties";
        let found = lacking(Some(&without(grant, "absent")));
        assert_eq!(of_images(&found), ["status.grants[].absent"]);
        assert!(found.affects("CloudImage") && !found.affects("ImageShare"));
        let message = found.message();
        assert!(message.contains("CloudImage lacks status.grants[].absent") && message.contains("kubectl apply"));
        assert_eq!(of_images(&lacking(Some(&without("/properties/spec/properties", "region")))), ["spec.region"]);
        assert_eq!(of_images(&lacking(Some(&without("/properties", "status")))), ["status"]);
    }

    #[test]
    fn what_is_kept_without_being_described_is_not_lacking() {
        let loose = document(|_, schema| {
            schema["properties"]["status"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        });
        assert_eq!(lacking(Some(&loose)), Lacking::default());
    }

    #[test]
    fn kinds_that_are_not_served_are_told_by_name() {
        let found = lacking(None);
        assert_eq!(found.0.len(), all_crds().len());
        assert!(found.message().contains("ImageShare is not served"));
    }

    /// What is served instead of a part of a document.
    fn odd() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), ".{0,9}".prop_map(Value::from)];
        let name = "properties|items|components|schemas|status|spec|[a-z]{1,4}";
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                btree_map(name, inner, 0..4).prop_map(|map| json!(map))
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_document_makes_the_comparison_panic_or_lacks_nothing_by_accident(
            odd in odd(),
            place in "/properties/(status|spec|status/properties/grants|status/properties/grants/items|spec/properties)",
        ) {
            lacking(Some(&odd));
            let whole = document(|_, _| {});
            let served = document(|kind, schema| {
                if kind == "CloudImage" && let Some(part) = schema.pointer_mut(&place) {
                    *part = odd.clone();
                }
            });
            let keeps_unknown = odd.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
            prop_assert!(served == whole || keeps_unknown || !lacking(Some(&served)).0.is_empty());
        }
    }
}
