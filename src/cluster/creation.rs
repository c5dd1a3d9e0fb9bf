//! Creates one object, and leaves another one alone that has its name.

use std::fmt;

use kube::Api;
use kube::api::PostParams;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ClusterError, FIELD_MANAGER, within_deadline};

/// Creates an object that is not the reconciled one. `None` if an object has its name: an earlier reconcile that lost the response
/// made it, or somebody else did.
pub async fn create_unless_named<K>(api: &Api<K>, object: &K) -> Result<Option<K>, ClusterError>
where
    K: Clone + DeserializeOwned + Serialize + fmt::Debug,
{
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match within_deadline(api.create(&params, object)).await {
        Ok(created) => Ok(Some(created)),
        Err(error) if error.is_already_exists() => Ok(None),
        Err(error) => Err(error.elsewhere()),
    }
}
