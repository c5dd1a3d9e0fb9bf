//! Shared parts of every reconcile: its frame, the state between two reconciles, and its reports. Here and in the controllers,
//! the Kubernetes side and the cloud side meet. Each reconcile is observe → plan → execute → report, and `planning` makes the
//! decisions.

pub mod access;
pub(crate) mod access_notes;
pub mod admission;
pub mod caches;
pub mod context;
pub mod convert;
pub mod counterparts;
pub mod discoveries;
pub mod duplicates;
pub mod frame;
pub mod index;
pub mod jobs;
pub mod leader;
pub mod metrics;
pub(crate) mod neighbours;
pub mod object_metrics;
pub mod object_state;
pub mod queue;
pub mod relisting;
pub mod reporter;
pub mod requeue;
pub mod status;
pub mod transfers;
pub mod unreadable;

/// The result of one reconcile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was due.
    Idle,
    /// The actual state matches the desired state.
    Settled,
    /// It waits for a seat to call the cloud.
    Queued,
    /// It waits until a given time.
    Waiting,
    /// The object needs user action.
    Blocked,
    /// The operator will retry.
    Retrying,
    /// The object no longer exists.
    Gone,
    /// The reconcile failed.
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

/// The result of one reconcile and its requeue.
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
