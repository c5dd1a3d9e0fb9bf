//! What every reconcile uses: the frame around it, what is kept between two of them, and how it is reported. Here and in the
//! controllers both edges are seen; each reconcile is observe → plan → execute → report, and the choices are made in
//! `planning`.

pub mod access;
pub mod admission;
pub mod context;
pub mod convert;
pub mod duplicates;
pub mod index;
pub mod jobs;
pub mod leader;
pub mod metrics;
pub mod object_metrics;
pub mod object_state;
pub mod queue;
pub mod requeue;
pub mod status_writer;
pub mod transfers;
pub mod unreadable;

/// How a look at one object ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was due.
    Idle,
    /// All is as wished.
    Settled,
    /// Its turn to call the cloud comes later.
    Queued,
    /// Something is waited for.
    Waiting,
    /// A person must act.
    Blocked,
    /// It is tried again.
    Retrying,
    /// The object has gone.
    Gone,
    /// The look broke off.
    Failed,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Settled => "settled",
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Retrying => "retrying",
            Self::Gone => "gone",
            Self::Failed => "failed",
        }
    }
}

/// What a look at one object came to.
#[derive(Debug)]
pub struct ReconcileOutcome {
    pub(crate) outcome: Outcome,
    pub(crate) next: kube::runtime::controller::Action,
}

impl ReconcileOutcome {
    pub(crate) fn new(outcome: Outcome, next: kube::runtime::controller::Action) -> Self {
        Self { outcome, next }
    }
}

/// Why a reconcile could not be finished. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server is in trouble or somebody wrote the object first.
    #[error(transparent)]
    Cluster(#[from] crate::cluster::ClusterError),
}
