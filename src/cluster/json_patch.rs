//! JSON patches with test operations: the API server changes nothing if the object differs from what was read.

use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{ClusterError, FIELD_MANAGER, within_deadline};

/// The start of the API server's message for a patch whose test failed. It gives no detail; a policy that refuses the same
/// patch returns the same code with a message of its own.
const TEST_FAILED: &str = "the server rejected our request due to an error in our request";

/// A test operation of a patch.
pub(crate) fn test(path: &str, value: impl serde::Serialize) -> Value {
    json!({"op": "test", "path": path, "value": value})
}

/// Patches an object by name, or a subresource of it. `Conflict` if a test failed; `None` if the object no longer exists.
pub(crate) async fn patch<W>(
    api: &Api<W>,
    name: &str,
    subresource: Option<&str>,
    operations: Value,
) -> Result<Option<W>, ClusterError>
where
    W: Clone + DeserializeOwned + std::fmt::Debug,
{
    let operations = serde_json::from_value(operations).map_err(kube::Error::SerdeError)?;
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::<()>::Json(operations);
    let patched = match subresource {
        Some(subresource) => within_deadline(api.patch_subresource(subresource, name, &params, &patch)).await,
        None => within_deadline(api.patch(name, &params, &patch)).await,
    };
    match patched {
        Ok(written) => Ok(Some(written)),
        Err(ClusterError::Api(kube::Error::Api(status))) if is_failed_test(&status) => Err(ClusterError::Conflict),
        Err(ClusterError::Api(kube::Error::Api(status))) if status.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_failed_test(status: &kube::core::Status) -> bool {
    status.is_invalid() && status.message.starts_with(TEST_FAILED)
}
