//! Adds and removes our finalizer by name, pinned to the version that was read, without hidden control flow.

use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

use super::object::Object;
use super::written::Written;
use super::{ClusterError, json_patch};
use crate::api::FINALIZER;

/// Whether the object carries our finalizer.
pub fn is_held<K: Resource>(object: &K) -> bool {
    object.meta().finalizers.as_ref().is_some_and(|all| all.iter().any(|f| f == FINALIZER))
}

/// Adds our finalizer, unless the object is being deleted. Returns the new version; `None` if the object no longer exists.
pub async fn hold<K: Object>(client: &Client, object: &K) -> Result<Option<String>, ClusterError> {
    add(client, object, FINALIZER).await
}

/// Removes our finalizer and no other.
pub async fn release<K: Object>(client: &Client, object: &K) -> Result<(), ClusterError> {
    remove(client, object, FINALIZER).await
}

/// Adds a finalizer, if it is missing.
pub(super) async fn add<K: Object>(
    client: &Client,
    object: &K,
    finalizer: &str,
) -> Result<Option<String>, ClusterError> {
    if object.finalizers().iter().any(|f| f == finalizer) {
        return Ok(object.resource_version());
    }
    let add = if object.finalizers().is_empty() {
        json!({"op": "add", "path": "/metadata/finalizers", "value": [finalizer]})
    } else {
        json!({"op": "add", "path": "/metadata/finalizers/-", "value": finalizer})
    };
    patch(client, object, json!([version(object), add])).await
}

/// Removes a finalizer, if it is present.
pub(super) async fn remove<K: Object>(client: &Client, object: &K, finalizer: &str) -> Result<(), ClusterError> {
    let Some(index) = object.finalizers().iter().position(|f| f == finalizer) else { return Ok(()) };
    let path = format!("/metadata/finalizers/{index}");
    let ours = json_patch::test(&path, finalizer);
    patch(client, object, json!([version(object), ours, {"op": "remove", "path": path}])).await.map(drop)
}

fn version<K: Resource>(object: &K) -> serde_json::Value {
    json_patch::test("/metadata/resourceVersion", object.resource_version())
}

async fn patch<K: Object>(
    client: &Client,
    object: &K,
    operations: serde_json::Value,
) -> Result<Option<String>, ClusterError> {
    let api: Api<Written<K>> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let written = json_patch::patch(&api, &object.name_any(), None, operations).await?;
    Ok(written.and_then(|written| written.resource_version()))
}
