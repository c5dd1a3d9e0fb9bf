//! How applying a document changes an object that exists: as the tool does that applied it before. Pure.
//!
//! A field that a document leaves out is removed only where the same tool had set it. `kubectl apply` and Argo CD keep what they
//! applied last in an annotation, and server-side apply keeps the owner of each field.

use serde_json::{Map, Value};

/// The annotation in which client-side apply keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The request that applies a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Application {
    /// A merge patch, as of client-side apply; empty where nothing changes.
    Merge(Value),
    /// Server-side apply by this field manager.
    Apply(String),
}

/// How `document` is applied to `live`, which has its managed fields.
pub(crate) fn application(live: &Value, document: &Value) -> Application {
    if let Some(manager) = applier(live) {
        return Application::Apply(manager);
    }
    let last = live.pointer("/metadata/annotations").and_then(|annotations| annotations.get(LAST_APPLIED));
    let last = last.and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
    Application::Merge(three_way(last.as_ref(), document, live))
}

/// The field manager that applied the spec server-side, if one did.
fn applier(live: &Value) -> Option<String> {
    let entries = live.pointer("/metadata/managedFields")?.as_array()?;
    let applied = |entry: &&Value| {
        entry["operation"] == "Apply"
            && entry["subresource"].as_str().unwrap_or_default().is_empty()
            && entry.pointer("/fieldsV1/f:spec").is_some()
    };
    entries.iter().find(applied)?["manager"].as_str().map(ToOwned::to_owned)
}

/// The merge patch that sets what `wanted` says, and removes what `last` said and `wanted` does not. Lists are replaced as a
/// whole, as client-side apply does with custom resources.
fn three_way(last: Option<&Value>, wanted: &Value, live: &Value) -> Value {
    let none = Map::new();
    let of = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let (wanted, live, last) = (wanted.as_object().unwrap_or(&none), of(Some(live)), of(last));
    let mut patch = Map::new();
    for (key, value) in wanted {
        match live.get(key) {
            Some(there) if there == value => {}
            Some(there @ Value::Object(_)) if value.is_object() => {
                let inner = three_way(last.get(key), value, there);
                if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                    patch.insert(key.clone(), inner);
                }
            }
            _ => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    for key in last.keys().filter(|key| !wanted.contains_key(*key) && live.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live(last: Option<&Value>, manager: Option<&str>) -> Value {
        let mut live = json!({
            "metadata": {"name": "team", "annotations": {"a": "b"}, "managedFields": [
                {"manager": "imageshare-operator", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}},
            ]},
            "spec": {"suspend": true, "recipients": [{"id": "1"}, {"id": "2"}], "expirationTime": "2030-01-01T00:00:00Z"},
            "status": {"x": 1},
        });
        if let Some(last) = last {
            live["metadata"]["annotations"][LAST_APPLIED] = last.to_string().into();
        }
        if let Some(manager) = manager {
            let entry = json!({"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {}}});
            live["metadata"]["managedFields"].as_array_mut().unwrap().push(entry);
        }
        live
    }

    #[test]
    fn a_field_that_is_left_out_is_removed_only_where_it_was_applied() {
        let document = json!({"metadata": {"name": "team"}, "spec": {"recipients": [{"id": "1"}]}});
        let recipients = json!({"spec": {"recipients": [{"id": "1"}]}});
        assert_eq!(application(&live(None, None), &document), Application::Merge(recipients), "suspend is another's");
        let last =
            json!({"spec": {"recipients": [{"id": "1"}, {"id": "2"}], "expirationTime": "2030-01-01T00:00:00Z"}});
        let patch = json!({"spec": {"recipients": [{"id": "1"}], "expirationTime": null}});
        assert_eq!(application(&live(Some(&last), None), &document), Application::Merge(patch));
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_annotation_holds_the_document_is_applied(last in ".{0,200}", depth in 0_usize..10_000) {
            let document = json!({"metadata": {"name": "team"}, "spec": {"suspend": false}});
            for text in [last, "[".repeat(depth), "{\"spec\":".repeat(depth)] {
                let mut live = live(None, None);
                live["metadata"]["annotations"][LAST_APPLIED] = text.into();
                let Application::Merge(patch) = application(&live, &document) else { panic!("nobody applied it") };
                proptest::prop_assert_eq!(&patch["spec"]["suspend"], &json!(false));
            }
        }
    }

    #[test]
    fn what_is_there_already_is_an_empty_patch() {
        let live = live(None, None);
        let document = json!({"metadata": {"name": "team"}, "spec": {"suspend": true}});
        assert_eq!(application(&live, &document), Application::Merge(json!({})));
    }

    #[test]
    fn an_object_that_was_applied_server_side_is_applied_as_its_manager_does() {
        let document = json!({"spec": {}});
        let applied = application(&live(Some(&json!({})), Some("kustomize-controller")), &document);
        assert_eq!(applied, Application::Apply("kustomize-controller".to_owned()));
        assert!(
            matches!(application(&live(None, None), &document), Application::Merge(_)),
            "the status is the operator's"
        );
    }
}
