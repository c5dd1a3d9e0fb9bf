//! Writes status: one apply, pinned to the version that the decision used, so that the API server refuses a stale writer.
//! Compares the stored status with the applied one, takes over fields of other managers, and reports hidden fields.

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use super::object::Object;
use super::written::Written;
use super::{ClusterError, FIELD_MANAGER, json_patch, within_deadline};

/// Applies `status` to `object` at exactly `version`; `Conflict` if the object is newer. Returns the new version.
///
/// An apply keeps fields of other writers that it does not mention, and a restored backup is such a writer: a second write
/// removes everything that is not in `status`.
pub async fn apply_status<K: Object, S: Serialize>(
    client: &Client,
    object: &K,
    version: &str,
    status: &S,
) -> Result<String, ClusterError> {
    let api: Api<Written<K>> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let (name, status) = (object.name_any(), serde_json::to_value(status).map_err(kube::Error::SerdeError)?);
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "resourceVersion": version, "uid": object.uid()},
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written = within_deadline(api.patch_subresource("status", &name, &params, &Patch::Apply(body))).await?;
    let stored = written.status();
    if !covers(&stored, &status) {
        let why = format!("the API server does not keep all of the status of {} {name}", K::kind(&()));
        return Err(ClusterError::Definitions(why));
    }
    let written = if planted!("restored-status-stays", covers(&status, &stored), covers(&stored, &status)) {
        written
    } else {
        take_over(&api, &name, &written, &status).await?
    };
    Ok(written.resource_version().unwrap_or_default())
}

/// Makes the status exactly this, owned by us alone: a field that another manager owns too would stay when we omit it.
async fn take_over<K: Object>(
    api: &Api<Written<K>>,
    name: &str,
    written: &Written<K>,
    status: &Value,
) -> Result<Written<K>, ClusterError> {
    let mut operations = vec![
        json_patch::test("/metadata/resourceVersion", written.resource_version()),
        json!({"op": "replace", "path": "/status", "value": status}),
    ];
    // From the last to the first, so that the indexes of the others stay valid.
    for (place, entry) in written.managed_fields().iter().enumerate().rev() {
        let ours =
            entry.get("manager") == Some(&json!(FIELD_MANAGER)) && entry.get("operation") == Some(&json!("Apply"));
        if !ours && entry.get("subresource") == Some(&json!("status")) {
            operations.push(json!({"op": "remove", "path": format!("/metadata/managedFields/{place}")}));
        }
    }
    tracing::info!(object.kind = %K::kind(&()), object.name = name, "taking over a status that somebody else wrote");
    json_patch::patch(api, name, Some("status"), json!(operations)).await?.ok_or(ClusterError::Conflict)
}

/// Whether `whole` contains everything in `part`. Lists compare without order, because an API server may reorder them when
/// merging; empty values need not be present.
fn covers(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (_, Value::Null) => true,
        (Value::Object(whole), Value::Object(part)) => part.iter().all(|(key, value)| match whole.get(key) {
            Some(found) => covers(found, value),
            None => is_empty(value),
        }),
        (Value::Array(whole), Value::Array(part)) => {
            let in_order =
                || whole.len() >= part.len() && whole.iter().zip(part).all(|(one, other)| covers(one, other));
            in_order() || part.iter().all(|value| whole.iter().any(|found| covers(found, value)))
        }
        (whole, part) => whole == part,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Array(entries) => entries.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_covers_what_was_applied_in_any_order_and_with_more_besides() {
        let grant = |id: &str, state: &str| json!({"id": id, "state": state});
        let applied = json!({"grants": [grant("1", "Granted"), grant("2", "Granted")], "owner": null, "shares": []});
        let other_order = json!({"grants": [grant("2", "Granted"), grant("1", "Granted")]});
        assert!(covers(&other_order, &applied) && covers(&applied, &other_order));
        let more = json!({"grants": [grant("1", "Granted"), grant("3", "Granted"), grant("2", "Granted")], "new": 1});
        assert!(covers(&more, &applied) && !covers(&applied, &more));
    }

    #[test]
    fn a_field_that_is_missing_anywhere_is_not_covered() {
        let applied = json!({"grants": [{"id": "1", "absent": true}], "observedGeneration": 1});
        for stored in [
            json!({"grants": [{"id": "1"}], "observedGeneration": 1}),
            json!({"observedGeneration": 1}),
            json!({"grants": [], "observedGeneration": 1}),
            json!({"grants": [{"id": "1", "absent": true}], "observedGeneration": 2}),
            json!(null),
        ] {
            assert!(!covers(&stored, &applied), "{stored}");
        }
    }
}
