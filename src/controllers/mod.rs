//! The controllers: the only place that sees both edges. Each reconcile is observe → plan → execute → report; the choices
//! are made in `planning`.

pub mod acceptance;
pub mod access;
mod clients;
pub mod cloud_account;
pub mod cloud_image;
mod concerns;
pub mod connections;
pub mod context;
pub mod convert;
pub mod execute;
pub mod image_replica;
pub mod image_share;
pub mod index;
mod jobs;
pub mod leadership;
pub mod memory;
mod rhythm;
mod status_writer;
pub mod watching;

/// Why a reconcile could not be finished. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server is in trouble or somebody wrote the object first.
    #[error(transparent)]
    Cluster(#[from] crate::cluster::ClusterError),
}
