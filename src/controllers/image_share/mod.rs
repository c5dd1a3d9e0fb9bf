//! The `ImageShare` controller: holds the share until its grants have ended, and tells what became of it by projecting
//! the `CloudImage`'s ledger. It never talks to a cloud.

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};

use super::access::image_of;
use super::admission::Worker;
use super::context::Context;
use super::convert::consent;
use super::rhythm::{overtaken, release, wait_for_newer};
use super::{Look, Outcome, ReconcileError};
use crate::api::cloud_image::CloudImage;
use crate::api::conditions::{READY, STALLED, Truth, conditions};
use crate::api::image_share::ImageShare;
use crate::cluster::guard::Guarded;
use crate::cluster::status::apply_status;
use crate::cluster::{ClusterError, finalizers, within_deadline};
use crate::domain::share::Consent;
use crate::planning::projection::{Projection, Reference, project};

/// One look at one share.
pub async fn reconcile(
    guarded: Arc<Guarded<ImageShare>>,
    ctx: Arc<Context>,
    _worker: Worker<Guarded<ImageShare>>,
) -> Result<Look, ReconcileError> {
    let Some(share) = guarded.readable() else {
        tracing::warn!(object.name = %guarded.name_any(), "an ImageShare cannot be read; what it holds stays");
        return Ok(Look::new(Outcome::Idle, Action::await_change()));
    };
    match look(share, &ctx).await {
        Ok(look) => Ok(look),
        Err(error) if error.is_conflict() => Ok(overtaken(&ctx, share)),
        Err(error) => Err(error.into()),
    }
}

async fn look(share: &ImageShare, ctx: &Context) -> Result<Look, ClusterError> {
    let leaving = share.metadata.deletion_timestamp.is_some();
    let uid = share.uid().unwrap_or_default();
    let (namespace, name) = image_key(share);
    // The cache lags behind our own writes, and what is written upon an old version is refused.
    if let Some(instead) = wait_for_newer(ctx, share).await? {
        return Ok(instead);
    }
    if !finalizers::is_held(share) {
        if leaving {
            ctx.memories.forget(&uid);
        } else if let Some(version) = finalizers::hold(&ctx.client, share).await? {
            ctx.memories.wrote(&uid, &version);
        }
        return Ok(Look::new(Outcome::Idle, Action::await_change()));
    }
    let image = image_of(ctx, &namespace, &name);
    if leaving {
        ctx.stopwatches.begin(&uid, share.metadata.generation, leaving);
        if !is_served(share, image.as_ref()) && is_released(share, ctx).await? {
            release(ctx, share).await?;
            ctx.memories.forget(&uid);
            ctx.stopwatches.end(&uid).into_iter().for_each(|time| ctx.metrics.revoked(time));
            return Ok(Look::new(Outcome::Gone, Action::await_change()));
        }
    }
    let now = ctx.clock.now();
    let admitted = image.as_ref().map(|image| consent(image, &share.namespace().unwrap_or_default(), &ctx.stores));
    let reference = match (&image, admitted) {
        (Some(image), Some(Consent::Given)) => Reference::Found(image),
        (Some(_), Some(Consent::Unknown)) if !ctx.scope.sees_namespaces() => Reference::BeyondScope,
        (Some(_), Some(Consent::Unknown)) => Reference::Unknown,
        _ => Reference::Unresolved,
    };
    let projection = project(share, reference, now);
    if !leaving {
        time(ctx, share, &projection);
    }
    let outcome = outcome_of(&projection);
    report(share, ctx, projection, now).await?;
    let expiry = share.spec.expiration_time.as_ref().filter(|end| end.0 > now);
    let wait = expiry.map(|end| end.0.duration_since(now).unsigned_abs() + Duration::from_millis(10));
    let wait = wait.map_or(ctx.settings.pace.drift, |wait| wait.min(ctx.settings.pace.drift));
    Ok(Look::new(outcome, Action::requeue(wait)))
}

/// Times how long the share's wishes take.
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

/// Namespace and name of the image that a share names.
pub(super) fn image_key(share: &ImageShare) -> (String, String) {
    let reference = &share.spec.image_ref;
    (reference.namespace.clone().or_else(|| share.namespace()).unwrap_or_default(), reference.name.clone())
}

/// Whether no grant of this share is left unended, as the API server says and not the cache. The `CloudImage` lists a
/// share before it calls the cloud for it and strikes it off only once its grants were read as absent. One that is in a
/// namespace where this operator does not act serves no share of ours.
async fn is_released(share: &ImageShare, ctx: &Context) -> Result<bool, ClusterError> {
    let (namespace, name) = image_key(share);
    if !ctx.scope.holds(&namespace) {
        return Ok(true);
    }
    let images: Api<CloudImage> = Api::namespaced(ctx.client.clone(), &namespace);
    let image = within_deadline(images.get_opt(&name)).await?;
    Ok(!is_served(share, image.as_ref()))
}

/// Whether the image's ledger lists this share. The API server is asked only where the cache does not: five hundred shares
/// of one image that go at once see each other's ends, and hold on all the same.
fn is_served(share: &ImageShare, image: Option<&CloudImage>) -> bool {
    let status = image.and_then(|image| image.status.as_ref());
    status.is_some_and(|status| status.shares.iter().any(|served| Some(&served.uid) == share.metadata.uid.as_ref()))
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
    ctx.memories.wrote(&share.uid().unwrap_or_default(), &version);
    Ok(())
}
