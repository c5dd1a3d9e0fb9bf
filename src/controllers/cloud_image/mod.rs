//! The `CloudImage` controller: the unit of reconciliation is the image, because recipients, limits and deletion are
//! properties of an image at the cloud. Only this controller changes who has an image.

mod access;
mod conditions;
mod event_reasons;
mod execute;
mod observe;
mod pass;
mod report;
mod urgency;

use std::sync::Arc;

use kube::ResourceExt;

use crate::api::CloudImage;
use crate::clouds::Priority;
use crate::cluster::guard::Guarded;
use crate::planning::ledger::Ledger;
use crate::planning::unreadable::image_leaves_behind;
use crate::reconcile::ReconcileError;
use crate::reconcile::ReconcileOutcome;
use crate::reconcile::admission::Worker;
use crate::reconcile::context::Context;
use crate::reconcile::requeue;
use crate::reconcile::unreadable;
use observe::{Desired, observe_desired};

/// Reconciles one image.
pub async fn reconcile(
    guarded: Arc<Guarded<CloudImage>>,
    ctx: Arc<Context>,
    worker: Worker<Guarded<CloudImage>>,
) -> Result<ReconcileOutcome, ReconcileError> {
    let image = match guarded.as_ref() {
        Guarded::Readable(image) => image.as_ref(),
        Guarded::Unreadable(left) => {
            let kept_by = image_leaves_behind(&left.spec, &left.status);
            return unreadable::reconcile(&ctx, &guarded, left, kept_by).await;
        }
    };
    if let Some(instead) = requeue::preflight(&ctx, image).await? {
        return Ok(instead);
    }
    let uid = image.uid().unwrap_or_default();
    let desired = observe_desired(&ctx, image);
    if ctx.states.is_unseen(&uid) && is_settled(&ctx, image, &desired) {
        requeue::defer_settled(&ctx, &uid, desired.inputs.clone());
    }
    let asked = match requeue::is_due(&ctx, image, &desired.inputs, desired.expecting) {
        Ok(asked) => asked,
        Err(instead) => return Ok(instead),
    };
    let inputs = desired.inputs.clone();
    let passed = Box::pin(pass::run(&ctx, image, desired, (asked, worker))).await;
    Ok(requeue::finish(&ctx, image, inputs, passed))
}

/// Whether the ledger shows everything as served: a reconcile would only detect drift at the cloud.
fn is_settled(ctx: &Context, image: &CloudImage, desired: &Desired) -> bool {
    let ledger = Ledger::parse(image.status.as_ref());
    ledger.is_ok_and(|ledger| urgency::need(ctx, image, desired, &ledger).priority(true) == Priority::Resync)
}
