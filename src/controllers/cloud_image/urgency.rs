//! The inputs that decide how urgent an image's reconcile is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::observe::Desired;
use crate::api::CloudImage;
use crate::api::conditions::{READY, Reason, find};
use crate::planning::deletion::blocks_deletion_only;
use crate::planning::ledger::Ledger;
use crate::planning::urgency::Need;
use crate::reconcile::context::Context;
use crate::reconcile::convert::requested_at;

/// These inputs, from the caches.
pub(super) fn need<'a>(ctx: &Context, image: &CloudImage, desired: &'a Desired, ledger: &'a Ledger) -> Need<'a> {
    let status = image.status.as_ref();
    let deleting = image.metadata.deletion_timestamp.is_some();
    let in_order = |ready: &Condition| {
        ready.status == "True" || (deleting && Reason::named(&ready.reason).is_some_and(blocks_deletion_only))
    };
    let ready = status.and_then(|s| find(&s.conditions, READY)).is_some_and(in_order);
    Need {
        ledger,
        shares: &desired.shares,
        deleting,
        amiss: !ready || is_requested(image),
        edited: status.and_then(|s| s.observed_generation) != image.metadata.generation,
        now: ctx.clock.now(),
    }
}

/// Whether a user requested a reconcile of the image that the operator has not handled yet.
pub(super) fn is_requested(image: &CloudImage) -> bool {
    let handled = image.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    requested_at(image).is_some_and(|at| handled != Some(&at))
}
