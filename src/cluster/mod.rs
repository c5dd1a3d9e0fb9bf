//! The Kubernetes side: watches, guarded reads, status, finalizers, events, credentials and definitions. Depends on `api`, and
//! not on clouds or planning.

pub mod api_server;
pub mod changes;
pub mod connect;
pub mod creation;
pub mod credentials;
pub mod definitions;
pub mod deletion;
pub mod events;
pub mod finalizers;
pub mod guard;
pub(crate) mod json_patch;
pub mod lease;
pub mod lookup;
pub mod managed;
pub mod newest;
pub mod object;
mod pruned;
pub mod scope;
pub mod status;
pub mod tokens;
mod written;

use std::time::Duration;

/// Field manager of every status write.
pub const FIELD_MANAGER: &str = "imageshare-operator";

/// Every call to the API server ends within this time.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// Why a call to the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The API server refused the call or could not be reached.
    #[error("{}", api_server::plain(.0))]
    Api(#[from] kube::Error),
    /// The API server did not answer in time.
    #[error("the API server did not answer within {} s", CALL_DEADLINE.as_secs())]
    Deadline,
    /// The object is newer than the version that we acted on.
    #[error("the object changed meanwhile")]
    Conflict,
    /// An object other than the reconciled one was changed, created or deleted meanwhile. The reconciled object gets no newer
    /// version from it, so do not wait for one.
    #[error("another object changed meanwhile")]
    ConflictElsewhere,
    /// The API server hides fields: it shows only a part of the object.
    #[error("{0}")]
    Definitions(String),
}

impl ClusterError {
    /// Whether another client wrote the object first: reconcile again at once.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict)
    }

    /// Whether an object with that name already exists.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.is_already_exists())
    }

    /// Whether the API server refuses us: an unknown token, or rights that were taken away.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if matches!(status.code, 401 | 403))
    }

    /// Whether `api_server` logs what is wrong: missing rights, refused credentials, no connection.
    pub fn is_logged_already(&self) -> bool {
        self.is_denied() || matches!(self, Self::Api(error) if !matches!(error, kube::Error::Api(_)))
    }

    /// The same error for a call about another object than the reconciled one.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        match self {
            Self::Conflict => Self::ConflictElsewhere,
            other => other,
        }
    }
}

/// Runs one call with a deadline. A stale version returns `Conflict`.
pub async fn within_deadline<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() => Err(ClusterError::Conflict),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ClusterError::Deadline),
    }
}
