//! An object with the field manager that changed its spec last. Lists for the caches skip managed fields; the list before a
//! cloud call reads this one fact of them, for the audit log.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::guard::Guarded;

/// An object, and who changed its spec last.
#[derive(Debug, Clone)]
pub struct Managed<K> {
    /// The object.
    pub object: Guarded<K>,
    /// The field manager of the last change of its spec, as the client named itself: foreign text.
    pub manager: Option<String>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    managed_fields: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    manager: Option<String>,
    /// In RFC 3339 and UTC: later ones sort last.
    #[serde(default)]
    time: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    fields_v1: Fields,
}

#[derive(Default, Deserialize)]
struct Fields {
    #[serde(rename = "f:spec")]
    spec: Option<IgnoredAny>,
}

fn last_manager(raw: &RawValue) -> Option<String> {
    let head: Head = serde_json::from_str(raw.get()).ok()?;
    let entries = head.metadata.managed_fields.into_iter();
    let of_spec = entries.filter(|entry| entry.subresource.is_empty() && entry.fields_v1.spec.is_some());
    let of_spec: Vec<Entry> = of_spec.collect();
    let last = of_spec.iter().map(|entry| &entry.time).max()?;
    let mut managers = of_spec.iter().filter(|entry| entry.time == *last).map(|entry| &entry.manager);
    // The API server records whole seconds: of two changes within one, nobody knows which was the last.
    let first = managers.next()?;
    managers.all(|manager| manager == first).then(|| first.clone())?
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Managed<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let object = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        Ok(Self { object, manager: last_manager(&raw) })
    }
}

impl<K: Resource> Resource for Managed<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        self.object.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.object.meta_mut()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::ImageShare;

    fn manager(fields: &Value) -> Option<String> {
        let share = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare",
            "metadata": {"name": "team", "managedFields": fields},
            "spec": {"imageRef": {"name": "golden"}, "recipients": [{"type": "Account", "id": "100001"}]}});
        let read: Managed<ImageShare> = serde_json::from_value(share).unwrap();
        assert!(read.object.readable().is_some());
        read.manager
    }

    #[test]
    fn the_manager_of_the_last_change_of_the_spec_is_read_and_no_other() {
        let entry = |manager: &str, time: &str, fields: Value| json!({"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields});
        let mut status = entry("status", "2026-01-04T00:00:00Z", json!({"f:spec": {}}));
        status["subresource"] = "status".into();
        let all = json!([
            entry("argocd", "2026-01-01T00:00:00Z", json!({"f:spec": {"f:recipients": {}}})),
            entry("kubectl-edit", "2026-01-02T00:00:00Z", json!({"f:spec": {"f:suspend": {}}})),
            entry("imageshare-operator", "2026-01-03T00:00:00Z", json!({"f:metadata": {"f:finalizers": {}}})),
            status,
        ]);
        assert_eq!(manager(&all).as_deref(), Some("kubectl-edit"));
    }

    #[test]
    fn of_two_managers_within_one_second_none_is_said_to_be_the_last() {
        let entry = |manager: &str, time: &str| json!({"manager": manager, "operation": "Update", "time": time, "fieldsV1": {"f:spec": {}}});
        let (one, other) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
        assert_eq!(manager(&json!([entry("kubectl", one), entry("argocd", one)])), None);
        assert_eq!(manager(&json!([entry("argocd", one), entry("argocd", one)])).as_deref(), Some("argocd"));
        assert_eq!(manager(&json!([entry("kubectl", one), entry("argocd", other)])).as_deref(), Some("argocd"));
    }

    #[test]
    fn managed_fields_of_any_shape_hide_no_object() {
        for odd in [json!(null), json!([]), json!("x"), json!([{"time": 7}]), json!([{"fieldsV1": []}])] {
            assert_eq!(manager(&odd), None, "{odd}");
        }
    }
}
