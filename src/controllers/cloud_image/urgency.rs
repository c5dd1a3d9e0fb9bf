//! The inputs that decide how urgent an image's reconcile is.

use super::observe::Desired;
use crate::api::CloudImage;
use crate::api::conditions::{READY, find};
use crate::planning::ledger::Ledger;
use crate::planning::urgency::Need;
use crate::reconcile::context::Context;
use crate::reconcile::convert::requested_at;

/// These inputs, from the caches.
pub(super) fn need<'a>(ctx: &Context, image: &CloudImage, desired: &'a Desired, ledger: &'a Ledger) -> Need<'a> {
    let status = image.status.as_ref();
    let ready = status.and_then(|s| find(&s.conditions, READY)).is_some_and(|condition| condition.status == "True");
    Need {
        ledger,
        shares: &desired.shares,
        deleting: image.metadata.deletion_timestamp.is_some(),
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
