//! The `SharedImageAcceptance` controller: answers one offer as its spec decides, and reports the result.

mod observe;
mod pass;
mod report;

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;

use crate::api::SharedImageAcceptance;
use crate::api::acceptance::AcceptanceDeletionPolicy;
use crate::cluster::guard::Guarded;
use crate::planning::unreadable::acceptance_leaves_behind;
use crate::reconcile::Outcome;
use crate::reconcile::ReconcileError;
use crate::reconcile::ReconcileOutcome;
use crate::reconcile::admission::Worker;
use crate::reconcile::context::Context;
use crate::reconcile::requeue;
use crate::reconcile::unreadable;
use observe::observe_desired;

/// Reconciles one offer.
pub async fn reconcile(
    guarded: Arc<Guarded<SharedImageAcceptance>>,
    ctx: Arc<Context>,
    worker: Worker<Guarded<SharedImageAcceptance>>,
) -> Result<ReconcileOutcome, ReconcileError> {
    let acceptance = match guarded.as_ref() {
        Guarded::Readable(acceptance) => acceptance.as_ref(),
        Guarded::Unreadable(left) => {
            let kept_by = acceptance_leaves_behind(&left.spec, &left.status);
            return unreadable::reconcile(&ctx, &guarded, left, kept_by).await;
        }
    };
    if let Some(instead) = requeue::preflight(&ctx, acceptance).await? {
        return Ok(instead);
    }
    let deleting = acceptance.metadata.deletion_timestamp.is_some();
    if deleting && acceptance.spec.deletion_policy == AcceptanceDeletionPolicy::Retain {
        requeue::release(&ctx, acceptance).await?;
        ctx.states.forget(&acceptance.uid().unwrap_or_default());
        return Ok(ReconcileOutcome::new(Outcome::Gone, Action::await_change()));
    }
    let desired = observe_desired(&ctx, acceptance);
    let asked = match requeue::is_due(&ctx, acceptance, &desired.inputs, desired.expecting) {
        Ok(asked) => asked,
        Err(instead) => return Ok(instead),
    };
    let inputs = desired.inputs.clone();
    let passed = pass::run(&ctx, acceptance, desired, (asked, worker)).await;
    Ok(requeue::finish(&ctx, acceptance, inputs, passed))
}
