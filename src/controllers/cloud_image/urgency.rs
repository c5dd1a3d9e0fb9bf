//! How urgent a reconcile of an image is, and whether it needs the cloud at all: told by Kubernetes alone.

use super::observe::Desired;
use super::pass::blockers;
use crate::api::CloudImage;
use crate::api::cloud_image::ImageDeletionPolicy;
use crate::api::conditions::{READY, find};
use crate::clouds::Lane;
use crate::controllers::context::Context;
use crate::controllers::convert::requested_at;
use crate::domain::share::{Share, Standing};
use crate::planning::deletion::{held_by_replica, held_by_shares};
use crate::planning::ledger::Ledger;
use crate::planning::trouble::Trouble;

/// Whether the ledger shows everything as served: a look would only tell what others changed at the cloud.
pub(super) fn asks_for_nothing(ctx: &Context, image: &CloudImage, desired: &Desired) -> bool {
    let ledger = Ledger::parse(image.status.as_ref());
    ledger.is_ok_and(|ledger| lane(ctx, image, desired, &ledger, true) == Lane::Resync)
}

/// In which lane a look travels. After a restart everything looks changed; what the ledger shows as served is not.
pub(super) fn lane(ctx: &Context, image: &CloudImage, desired: &Desired, ledger: &Ledger, changed: bool) -> Lane {
    let edited =
        is_amiss(image) || image.status.as_ref().and_then(|s| s.observed_generation) != image.metadata.generation;
    if ends_access(ctx, image, desired, ledger) {
        Lane::Revoke
    } else if ledger.job.is_some() || (changed && (edited || is_unserved(ctx, desired, ledger))) {
        // A job is asked for until its end can be read: what it did is not known before.
        Lane::Edit
    } else {
        Lane::Resync
    }
}

/// Whether somebody's access is to end and may: nothing goes before that. An image that is being deleted ends nobody's
/// while others keep it. A removal that the cloud refused waits for its pause.
fn ends_access(ctx: &Context, image: &CloudImage, desired: &Desired, ledger: &Ledger) -> bool {
    let now = ctx.clock.now();
    let ended = |share: &Share| share.standing(now) == Standing::Ended && ledger.shares.contains_key(&share.uid);
    let last = image.metadata.deletion_timestamp.is_some() && blockers(&desired.shares, ledger).is_empty();
    ledger.removal_is_due(now) || desired.shares.iter().any(ended) || (last && ledger.holds_anything())
}

/// Whether a share wishes something that was not decided about yet.
fn is_unserved(ctx: &Context, desired: &Desired, ledger: &Ledger) -> bool {
    let now = ctx.clock.now();
    desired.shares.iter().any(|share| {
        let served = ledger.shares.get(&share.uid).map(|served| served.generation);
        share.standing(now) == Standing::Wishing && served != Some(share.generation)
    })
}

/// What changed for an image that is not as asked, such as its account's credentials, is somebody's act too: it must not
/// starve behind looks around. So is a request to look now.
fn is_amiss(image: &CloudImage) -> bool {
    let status = image.status.as_ref();
    let ready = status.and_then(|s| find(&s.conditions, READY)).is_some_and(|condition| condition.status == "True");
    !ready || is_requested(image)
}

/// Who keeps a deleting image that is as asked otherwise: the cloud could say nothing about it that matters now.
pub(super) fn kept_by_others(ctx: &Context, image: &CloudImage, desired: &Desired, ledger: &Ledger) -> Option<Trouble> {
    let asks = ledger.job.is_some() || ends_access(ctx, image, desired, ledger) || is_unserved(ctx, desired, ledger);
    let replica = held_by_replica(desired.replica.as_deref());
    let replica = replica.filter(|_| image.spec.deletion_policy == ImageDeletionPolicy::Retain);
    let keeps = held_by_shares(&blockers(&desired.shares, ledger)).or(replica);
    keeps.filter(|_| !asks && !is_amiss(image))
}

/// Whether somebody asked for a reconcile of the image that was not answered yet.
pub(super) fn is_requested(image: &CloudImage) -> bool {
    let handled = image.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    requested_at(image).is_some_and(|at| handled != Some(&at))
}
