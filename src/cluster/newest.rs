//! Asks the API server itself for the newest version of an object, when the cache and our own writes disagree.

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::object::Object;
use super::written::Written;
use super::{ClusterError, within_deadline};

/// The newest version of an object; `None` if it is gone. Uses a list of one: RBAC does not allow `get` for every kind.
pub async fn newest_version<K: Object>(client: &Client, object: &K) -> Result<Option<String>, ClusterError> {
    let api: Api<Written<K>> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let only = ListParams::default().fields(&format!("metadata.name={}", object.name_any()));
    let found = within_deadline(api.list(&only)).await?;
    Ok(found.items.first().and_then(ResourceExt::resource_version))
}
