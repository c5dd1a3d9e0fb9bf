//! The edge towards Kubernetes: watching, guarded reading, status, finalizers, events, credentials and definitions. Knows `api`; knows nothing of
//! clouds or of planning.

pub mod changes;
pub mod connect;
pub mod credentials;
pub mod definitions;
pub mod deletion;
pub mod events;
pub mod finalizers;
pub mod guard;
mod json_patch;
pub mod lease;
pub mod lookup;
pub mod newest;
mod pruned;
pub mod scope;
pub mod status;
mod written;

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
    /// Another object than the one that is reconciled changed, came or went meanwhile. No newer version of ours follows
    /// from it, so that waiting for one would be in vain.
    #[error("another object changed meanwhile")]
    ConflictElsewhere,
    /// The API server hides fields: what it shows is not all there is.
    #[error("{0}")]
    Definitions(String),
}

impl ClusterError {
    /// Whether somebody else wrote the object first: look again at once.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict)
    }

    /// Whether there is an object of that name already.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.is_already_exists())
    }

    /// The same where the call was about another object than the one that is reconciled.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        match self {
            Self::Conflict => Self::ConflictElsewhere,
            other => other,
        }
    }
}

/// Runs one call under its deadline. A stale version is `Conflict`.
pub async fn within_deadline<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() => Err(ClusterError::Conflict),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ClusterError::Deadline),
    }
}
