//! Writing status: one apply, pinned to the version the decision was made on, so that a stale writer is refused.

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::written::Written;
use super::{ClusterError, within_deadline};

/// Field manager of every status write.
pub const FIELD_MANAGER: &str = "imageshare-operator";

/// Applies `status` to `object` at exactly `version`; `Conflict` if the object is newer. Returns the new version.
pub async fn apply_status<K, S>(client: &Client, object: &K, version: &str, status: &S) -> Result<String, ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    S: Serialize,
{
    let api: Api<Written<K>> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let body = serde_json::json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": object.name_any(), "resourceVersion": version, "uid": object.uid()},
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written =
        within_deadline(api.patch_subresource("status", &object.name_any(), &params, &Patch::Apply(body))).await?;
    Ok(written.resource_version().unwrap_or_default())
}
