//! Adding and removing our finalizer by name, each pinned to what was read, with no hidden control flow.

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::written::Written;
use super::{ClusterError, within_deadline};
use crate::api::FINALIZER;

/// Whether our finalizer is on the object.
pub fn is_held<K: Resource>(object: &K) -> bool {
    object.meta().finalizers.as_ref().is_some_and(|all| all.iter().any(|f| f == FINALIZER))
}

/// Adds our finalizer. An object that is being deleted gets none. Returns the new version; `None` if the object is gone.
pub async fn hold<K>(client: &Client, object: &K) -> Result<Option<String>, ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let version = json!({"op": "test", "path": "/metadata/resourceVersion", "value": object.resource_version()});
    let add = if object.finalizers().is_empty() {
        json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]})
    } else {
        json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER})
    };
    patch(client, object, json!([version, add])).await
}

/// Removes our finalizer, and only ours.
pub async fn release<K>(client: &Client, object: &K) -> Result<(), ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let Some(index) = object.finalizers().iter().position(|f| f == FINALIZER) else { return Ok(()) };
    let path = format!("/metadata/finalizers/{index}");
    let ours = json!({"op": "test", "path": path, "value": FINALIZER});
    let version = json!({"op": "test", "path": "/metadata/resourceVersion", "value": object.resource_version()});
    patch(client, object, json!([version, ours, {"op": "remove", "path": path}])).await.map(drop)
}

async fn patch<K>(client: &Client, object: &K, operations: serde_json::Value) -> Result<Option<String>, ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<Written<K>> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let patch = serde_json::from_value(operations).map_err(kube::Error::SerdeError)?;
    let (name, params, patch) = (object.name_any(), PatchParams::default(), Patch::<()>::Json(patch));
    match within_deadline(api.patch(&name, &params, &patch)).await {
        Ok(written) => Ok(written.resource_version()),
        // A failed test of these patches is answered as an invalid request; nothing else in them can be invalid.
        Err(ClusterError::Api(kube::Error::Api(status))) if status.is_invalid() => Err(ClusterError::Conflict),
        Err(ClusterError::Api(kube::Error::Api(status))) if status.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
