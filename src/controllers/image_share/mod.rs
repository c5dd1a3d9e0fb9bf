//! The `ImageShare` controller: keeps the share's finalizer until its grants have ended, and reports its state by projecting
//! the `CloudImage`'s ledger. It never calls a cloud.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;

use crate::api::cloud_image::CloudImage;
use crate::api::conditions::{READY, STALLED, Truth};
use crate::api::expiration::Expiration;
use crate::api::image_share::ImageShare;
use crate::cluster::ClusterError;
use crate::cluster::finalizers::is_held;
use crate::cluster::guard::{Guarded, Unreadable};
use crate::cluster::lookup::find;
use crate::domain::share::Consent;
use crate::planning::grace::grace_left;
use crate::planning::projection::{Projection, Reference, project};
use crate::planning::unreadable::serves;
use crate::reconcile::Outcome;
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Context;
use crate::reconcile::convert::{consent, created_at, image_named_by, image_of, selector_problem};
use crate::reconcile::frame::{Due, LeftBehind, Reconcile, Reconciled};
use crate::reconcile::reporter::Reporter;
use crate::reconcile::requeue::{Next, release};

/// The image that a share names.
pub(crate) struct NamedImage {
    cached: Option<Arc<Guarded<CloudImage>>>,
    /// An `ImageReplica` of the share's own namespace makes it.
    is_being_made: bool,
}

/// Why an unreadable share keeps its finalizer.
const KEPT: &str = "its access must be ended at the cloud first, for which its CloudImage must be in order";

impl Reconcile for ImageShare {
    type Desired = NamedImage;

    const DEBOUNCED: bool = false;

    async fn left_behind(ctx: &Context, object: &Guarded<Self>, _: &Unreadable) -> LeftBehind {
        let released = !is_held(object) || is_released(ctx, object.uid(), image_named_by(object)).await?;
        Ok((!released).then(|| KEPT.to_owned()))
    }

    fn observe(&self, caches: &Caches<'_>) -> Self::Desired {
        let (namespace, name) = image_of(self);
        // In other namespaces, whether there is a replica stays unknown.
        let here = self.namespace().as_ref() == Some(&namespace);
        let is_being_made = here && caches.is_being_made(&namespace, &name);
        NamedImage { cached: caches.guarded_image(&(namespace, name)), is_being_made }
    }

    async fn run(&self, ctx: &Context, image: NamedImage, _due: Due<Self>) -> Reconciled {
        let deleting = self.metadata.deletion_timestamp.is_some();
        if deleting && end(ctx, self, image.cached.as_deref()).await? {
            return Ok(Next::Gone);
        }
        let now = ctx.clock.now();
        let projection = project(self, reference(self, &image, ctx), now);
        if !deleting {
            time(ctx, self, &projection);
        }
        let outcome = outcome_of(&projection);
        let grace = projection.reason(READY).and_then(|reason| grace_left(reason, created_at(self), now));
        let mut reporter = Reporter::new(ctx, self);
        let mut status = projection.status;
        reporter.set_conditions(&mut status, projection.decisions);
        reporter.write_if_changed(status).await?;
        let expiry = self.spec.expiration_time.as_ref().and_then(Expiration::at).filter(|end| *end > now);
        let soonest = expiry.map(|end| end.duration_since(now)).into_iter().chain(grace).min();
        let wait = soonest.map(|left| left.unsigned_abs() + Duration::from_millis(10));
        Ok(Next::After(outcome, wait.unwrap_or(Duration::MAX).min(ctx.settings.intervals.drift)))
    }
}

/// Releases a deleting share whose grants have ended; returns whether it did.
async fn end(ctx: &Context, share: &ImageShare, image: Option<&Guarded<CloudImage>>) -> Result<bool, ClusterError> {
    let uid = share.uid().unwrap_or_default();
    ctx.stopwatches.begin(&uid, share.metadata.generation, true);
    let served = image.is_some_and(|image| is_served(&uid, image));
    if served || !is_released(ctx, share.uid(), Some(image_of(share))).await? {
        return Ok(false);
    }
    release(ctx, share).await?;
    ctx.stopwatches.end(&uid).into_iter().for_each(|time| ctx.metrics.revoked(time));
    Ok(true)
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
fn reference<'a>(share: &ImageShare, image: &'a NamedImage, ctx: &Context) -> Reference<'a> {
    let namespace = share.namespace().unwrap_or_default();
    match image.cached.as_deref() {
        None if image.is_being_made => Reference::BeingMade,
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

/// Whether all grants of this share have ended, read from the API server and not from the cache. The `CloudImage` lists a
/// share before it calls the cloud for it, and removes the share only after a read showed its grants as absent. A
/// `CloudImage` in a namespace where this operator does not act serves none of our shares.
async fn is_released(
    ctx: &Context,
    uid: Option<String>,
    image: Option<(String, String)>,
) -> Result<bool, ClusterError> {
    let Some((namespace, name)) = image.filter(|(namespace, _)| ctx.scope.holds(namespace)) else { return Ok(true) };
    let image = find::<Guarded<CloudImage>>(&ctx.client, &namespace, &name).await?;
    Ok(!image.is_some_and(|image| is_served(&uid.unwrap_or_default(), &image)))
}

/// Whether the image's ledger lists this share. The controller reads the API server only if the cache does not list it: when
/// five hundred shares of one image are deleted at once, each one that ends enqueues the others, which still have to wait.
fn is_served(uid: &str, image: &Guarded<CloudImage>) -> bool {
    match image {
        Guarded::Readable(image) => image.status.iter().flat_map(|s| &s.shares).any(|served| served.uid == uid),
        Guarded::Unreadable(left) => serves(&left.status, uid),
    }
}
