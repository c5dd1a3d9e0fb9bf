//! The `ImageReplica` controller: has a copy made, once, and lets a `CloudImage` stand for it.

mod observe;
mod pass;
mod report;
mod standing;
mod transfers;

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;

use super::admission::Worker;
use super::context::Context;
use super::rhythm;
use super::{Look, Outcome, ReconcileError};
use crate::api::ImageReplica;
use crate::cluster::finalizers;
use crate::cluster::guard::Guarded;
pub(super) use observe::accounts_named;
use observe::observe_desired;
pub use transfers::Transfers;

/// One look at one copy.
pub async fn reconcile(
    guarded: Arc<Guarded<ImageReplica>>,
    ctx: Arc<Context>,
    worker: Worker<Guarded<ImageReplica>>,
) -> Result<Look, ReconcileError> {
    let Some(replica) = guarded.readable() else {
        tracing::warn!(object.name = %guarded.name_any(), "an ImageReplica cannot be read and is left alone");
        return Ok(Look::new(Outcome::Idle, Action::await_change()));
    };
    let uid = replica.uid().unwrap_or_default();
    if let Some(instead) = rhythm::enter(&ctx, replica).await? {
        if replica.metadata.deletion_timestamp.is_some() && !finalizers::is_held(replica) {
            ctx.transfers.stop(&uid);
        }
        return Ok(instead);
    }
    let desired = observe_desired(&ctx, replica);
    let asked = match rhythm::due(&ctx, replica, &desired.inputs, false) {
        Ok(asked) => asked,
        Err(instead) => return Ok(instead),
    };
    let inputs = desired.inputs.clone();
    let passed = Box::pin(pass::run(&ctx, replica, desired, (asked, worker))).await;
    Ok(rhythm::after(&ctx, replica, inputs, passed))
}
