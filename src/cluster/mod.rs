//! The edge towards Kubernetes: guarded reading, status, finalizers, events and credentials. Knows `api`; knows nothing of
//! clouds or of planning.

pub mod credentials;
pub mod events;
pub mod finalizers;
pub mod guard;
pub mod status;

use std::time::Duration;

/// Every call to the API server ends within this time.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// Why a call to the API server brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The API server refused or could not be reached.
    #[error("{0}")]
    Api(#[from] kube::Error),
    /// No answer in time.
    #[error("the API server did not answer within {} s", CALL_DEADLINE.as_secs())]
    Deadline,
    /// The object is newer than what we acted upon.
    #[error("the object changed meanwhile")]
    Conflict,
}

impl ClusterError {
    /// Whether somebody else wrote the object first: look again at once.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict)
    }
}

/// How the API server words that a JSON patch, here one of its tests, does not apply: `NewGenericServerResponse` in
/// apimachinery. What breaks a definition's rules is worded otherwise.
const PATCH_DOES_NOT_APPLY: &str = "the server rejected our request due to an error in our request";

/// Runs one call under its deadline. A stale version and a failed patch test both are `Conflict`.
pub async fn within_deadline<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(kube::Error::Api(status)))
            if status.is_conflict() || status.is_invalid() && status.message.starts_with(PATCH_DOES_NOT_APPLY) =>
        {
            Err(ClusterError::Conflict)
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ClusterError::Deadline),
    }
}
