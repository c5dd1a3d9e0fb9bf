//! The controllers: the only place that sees both edges. Each reconcile is observe → plan → execute → report; the choices
//! are made in `planning`.

pub mod acceptance;
pub mod access;
pub mod admission;
mod census;
mod clients;
pub mod cloud_account;
pub mod cloud_image;
mod concerns;
pub mod connections;
pub mod context;
pub mod convert;
pub mod counting;
mod duplicates;
pub mod execute;
pub mod image_replica;
pub mod image_share;
pub mod index;
mod jobs;
pub mod leadership;
pub mod memory;
mod opening;
pub mod outdated;
mod rhythm;
mod status_writer;
mod unreadable;
pub mod watching;

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
    fn name(self) -> &'static str {
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
pub struct Look {
    outcome: Outcome,
    next: kube::runtime::controller::Action,
}

impl Look {
    fn new(outcome: Outcome, next: kube::runtime::controller::Action) -> Self {
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
