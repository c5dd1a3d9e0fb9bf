//! The `ImageShare` controller: keeps the share's finalizer until its grants have ended, and reports its state by projecting
//! the `CloudImage`'s ledger. It never calls a cloud.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;

use crate::api::cloud_image::CloudImage;
use crate::api::conditions::{READY, STALLED, Truth, conditions};
use crate::api::expiration::Expiration;
use crate::api::image_share::ImageShare;
use crate::cluster::ClusterError;
use crate::cluster::finalizers::{self, is_held};
use crate::cluster::guard::Guarded;
use crate::cluster::lookup::find;
use crate::cluster::status::apply_status;
use crate::domain::share::Consent;
use crate::planning::grace::grace_left;
use crate::planning::projection::{Projection, Reference, project};
use crate::planning::unreadable::serves;
use crate::reconcile::Outcome;
use crate::reconcile::ReconcileError;
use crate::reconcile::ReconcileOutcome;
use crate::reconcile::admission::Worker;
use crate::reconcile::context::Context;
use crate::reconcile::convert::{consent, image_named_by, selector_problem};
use crate::reconcile::requeue::{overtaken, release, wait_for_newer};
use crate::reconcile::unreadable;

/// Why an unreadable share keeps its finalizer.
const KEPT: &str = "its access must be ended at the cloud first, for which its CloudImage must be in order";

/// Reconciles one share.
pub async fn reconcile(
    guarded: Arc<Guarded<ImageShare>>,
    ctx: Arc<Context>,
    _worker: Worker<Guarded<ImageShare>>,
) -> Result<ReconcileOutcome, ReconcileError> {
    let share = match guarded.as_ref() {
        Guarded::Readable(share) => share.as_ref(),
        Guarded::Unreadable(left) => {
            let ending = left.metadata.deletion_timestamp.is_some() && is_held(guarded.as_ref());
            let kept = ending && !is_released(&guarded, &ctx).await?;
            return unreadable::reconcile(&ctx, &guarded, left, kept.then_some(KEPT)).await;
        }
    };
    match look(share, &guarded, &ctx).await {
        Ok(look) => Ok(look),
        Err(error) if error.is_conflict() => Ok(overtaken(&ctx, share)),
        Err(error) => Err(error.into()),
    }
}

async fn look(
    share: &ImageShare,
    guarded: &Guarded<ImageShare>,
    ctx: &Context,
) -> Result<ReconcileOutcome, ClusterError> {
    let deleting = share.metadata.deletion_timestamp.is_some();
    let uid = share.uid().unwrap_or_default();
    // The cache lags behind our own writes, and the API server refuses a write on an old version.
    if let Some(instead) = wait_for_newer(ctx, share).await? {
        return Ok(instead);
    }
    if !finalizers::is_held(share) {
        if deleting {
            ctx.states.forget(&uid);
        } else if let Some(version) = finalizers::hold(&ctx.client, share).await? {
            ctx.states.wrote(&uid, &version);
        }
        return Ok(ReconcileOutcome::new(Outcome::Idle, Action::await_change()));
    }
    let image = image_named_by(guarded)
        .and_then(|(namespace, name)| ctx.stores.images.get(&ObjectRef::new(&name).within(&namespace)));
    if deleting {
        ctx.stopwatches.begin(&uid, share.metadata.generation, deleting);
        if !image.as_deref().is_some_and(|image| is_served(&uid, image)) && is_released(guarded, ctx).await? {
            release(ctx, share).await?;
            ctx.states.forget(&uid);
            ctx.stopwatches.end(&uid).into_iter().for_each(|time| ctx.metrics.revoked(time));
            return Ok(ReconcileOutcome::new(Outcome::Gone, Action::await_change()));
        }
    }
    let now = ctx.clock.now();
    let projection = project(share, reference(share, image.as_deref(), ctx), now);
    if !deleting {
        time(ctx, share, &projection);
    }
    let outcome = outcome_of(&projection);
    let reason = projection.reason(READY);
    report(share, ctx, projection, now).await?;
    let created = share.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let grace = reason.and_then(|reason| grace_left(reason, created, now));
    let grace = grace.map(|left| left.unsigned_abs() + Duration::from_millis(10));
    let expiry = share.spec.expiration_time.as_ref().and_then(Expiration::at).filter(|end| *end > now);
    let wait = expiry.map(|end| end.duration_since(now).unsigned_abs() + Duration::from_millis(10));
    let waits = [wait, grace, Some(ctx.settings.intervals.drift)];
    let wait = waits.into_iter().flatten().min().unwrap_or_default();
    Ok(ReconcileOutcome::new(outcome, Action::requeue(wait)))
}

/// Measures how long the share takes to become `Ready`.
fn time(ctx: &Context, share: &ImageShare, projection: &Projection) {
    let uid = share.uid().unwrap_or_default();
    if projection.says(READY, Truth::True) {
        ctx.stopwatches.end(&uid).into_iter().for_each(|time| ctx.metrics.granted(time));
    } else {
        ctx.stopwatches.begin(&uid, share.metadata.generation, false);
    }
}

fn outcome_of(projection: &Projection) -> Outcome {
    if projection.says(STALLED, Truth::True) {
        Outcome::Blocked
    } else if projection.says(READY, Truth::True) {
        Outcome::Settled
    } else {
        Outcome::Waiting
    }
}

/// The image that the share names, as far as the share's namespace may learn of it.
fn reference<'a>(share: &ImageShare, image: Option<&'a Guarded<CloudImage>>, ctx: &Context) -> Reference<'a> {
    let namespace = share.namespace().unwrap_or_default();
    match image {
        None if is_being_made(share, &namespace, ctx) => Reference::BeingMade,
        None => Reference::Unresolved,
        Some(Guarded::Unreadable(left)) => {
            let known = left.metadata.namespace.as_ref() == Some(&namespace)
                || serves(&left.status, &share.uid().unwrap_or_default());
            if known { Reference::Unreadable } else { Reference::Unresolved }
        }
        Some(Guarded::Readable(image)) => match consent(image, &namespace, &ctx.stores) {
            Consent::Given => Reference::Found(image),
            Consent::Withheld => Reference::Unresolved,
            Consent::Unknown if selector_problem(image).is_some() => Reference::SelectorInvalid,
            Consent::Unknown if !ctx.scope.sees_namespaces() => Reference::BeyondScope,
            Consent::Unknown => Reference::Unknown,
        },
    }
}

/// Whether an `ImageReplica` of the share's own namespace makes the image: in others, whether there is one stays unknown.
fn is_being_made(share: &ImageShare, namespace: &str, ctx: &Context) -> bool {
    let reference = &share.spec.image_ref;
    if reference.namespace.as_deref().is_some_and(|named| named != namespace) {
        return false;
    }
    let replica = ctx.stores.replicas.get(&ObjectRef::new(&reference.name).within(namespace));
    let replica = replica.as_deref().and_then(Guarded::readable);
    replica.is_some_and(|replica| {
        let mut conditions = replica.status.iter().flat_map(|status| &status.conditions);
        replica.metadata.deletion_timestamp.is_none()
            && !conditions.any(|condition| condition.type_ == STALLED && condition.status == "True")
    })
}

/// Whether all grants of this share have ended, read from the API server and not from the cache. The `CloudImage` lists a
/// share before it calls the cloud for it, and removes the share only after a read showed its grants as absent. A
/// `CloudImage` in a namespace where this operator does not act serves none of our shares.
async fn is_released(share: &Guarded<ImageShare>, ctx: &Context) -> Result<bool, ClusterError> {
    let Some((namespace, name)) = image_named_by(share) else { return Ok(true) };
    if !ctx.scope.holds(&namespace) {
        return Ok(true);
    }
    let uid = share.uid().unwrap_or_default();
    let image = find::<Guarded<CloudImage>>(&ctx.client, &namespace, &name).await?;
    Ok(!image.is_some_and(|image| is_served(&uid, &image)))
}

/// Whether the image's ledger lists this share. The controller reads the API server only if the cache does not list it: when
/// five hundred shares of one image are deleted at once, each one that ends enqueues the others, which still have to wait.
fn is_served(uid: &str, image: &Guarded<CloudImage>) -> bool {
    match image {
        Guarded::Readable(image) => image.status.iter().flat_map(|s| &s.shares).any(|served| served.uid == uid),
        Guarded::Unreadable(left) => serves(&left.status, uid),
    }
}

async fn report(
    share: &ImageShare,
    ctx: &Context,
    projection: Projection,
    now: jiff::Timestamp,
) -> Result<(), ClusterError> {
    let old = share.status.clone().unwrap_or_default();
    let mut status = projection.status;
    status.conditions = conditions(&old.conditions, projection.decisions, share.metadata.generation, now);
    if share.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let version = apply_status(&ctx.client, share, &share.resource_version().unwrap_or_default(), &status).await?;
    ctx.states.wrote(&share.uid().unwrap_or_default(), &version);
    Ok(())
}
