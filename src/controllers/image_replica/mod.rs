//! The `ImageReplica` controller: makes one copy, once, and creates a `CloudImage` for it.

mod cloud_image;
mod observe;
mod pass;
mod report;

use std::sync::Arc;

use kube::ResourceExt;

use crate::api::ImageReplica;
use crate::cluster::finalizers;
use crate::cluster::guard::Guarded;
use crate::planning::unreadable::replica_leaves_behind;
use crate::reconcile::ReconcileError;
use crate::reconcile::ReconcileOutcome;
use crate::reconcile::admission::Worker;
use crate::reconcile::context::Context;
use crate::reconcile::requeue;
use crate::reconcile::unreadable;
use observe::observe_desired;

/// Reconciles one copy.
pub async fn reconcile(
    guarded: Arc<Guarded<ImageReplica>>,
    ctx: Arc<Context>,
    worker: Worker<Guarded<ImageReplica>>,
) -> Result<ReconcileOutcome, ReconcileError> {
    let replica = match guarded.as_ref() {
        Guarded::Readable(replica) => replica.as_ref(),
        Guarded::Unreadable(left) => {
            let kept_by = replica_leaves_behind(&left.spec, &left.status);
            return unreadable::reconcile(&ctx, &guarded, left, kept_by).await;
        }
    };
    let uid = replica.uid().unwrap_or_default();
    if let Some(instead) = requeue::preflight(&ctx, replica).await? {
        if replica.metadata.deletion_timestamp.is_some() && !finalizers::is_held(replica) {
            ctx.transfers.stop(&uid);
        }
        return Ok(instead);
    }
    let desired = observe_desired(&ctx, replica);
    let asked = match requeue::is_due(&ctx, replica, &desired.inputs, false) {
        Ok(asked) => asked,
        Err(instead) => return Ok(instead),
    };
    let inputs = desired.inputs.clone();
    let passed = Box::pin(pass::run(&ctx, replica, desired, (asked, worker))).await;
    Ok(requeue::finish(&ctx, replica, inputs, passed))
}
