//! Deletes one object, and never another one that has taken its name.

use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use serde::de::DeserializeOwned;

use super::{ClusterError, within_deadline};

/// Deletes the object with this name and uid. `false` if no object has this name.
pub async fn delete_exactly<K>(api: &Api<K>, name: &str, uid: Option<String>) -> Result<bool, ClusterError>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let preconditions = Some(Preconditions { uid, resource_version: None });
    let params = DeleteParams { preconditions, ..DeleteParams::default() };
    match within_deadline(api.delete(name, &params)).await {
        Ok(_) => Ok(true),
        Err(ClusterError::Api(kube::Error::Api(status))) if status.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}
