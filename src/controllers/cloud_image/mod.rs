//! The `CloudImage` controller: the unit of reconciliation is the image, because recipients, limits and deletion are
//! properties of an image at the cloud. Only this controller changes who has an image.

mod job;
mod observe;
mod pass;
mod report;

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::controller::Action;

use super::ReconcileError;
use super::context::Context;
use super::memory::Due;
use crate::api::CloudImage;
use crate::cluster::finalizers;
use crate::cluster::guard::Guarded;
use crate::planning::schedule::{Verdict, pause};
use observe::observe_desired;

/// How soon to look again after a write that somebody else's write overtook, or at a cache that lags behind our own.
const SOON: Duration = Duration::from_millis(200);

/// One look at one image.
pub async fn reconcile(guarded: Arc<Guarded<CloudImage>>, ctx: Arc<Context>) -> Result<Action, ReconcileError> {
    let Some(image) = guarded.readable() else {
        tracing::warn!(object.name = %guarded.name_any(), "a CloudImage cannot be read and is left alone");
        return Ok(Action::await_change());
    };
    let uid = image.uid().unwrap_or_default();
    if ctx.memories.is_stale(&uid, &image.resource_version().unwrap_or_default()) {
        return Ok(Action::requeue(SOON));
    }
    if image.metadata.deletion_timestamp.is_some() && !finalizers::is_held(image) {
        ctx.memories.forget(&uid);
        return Ok(Action::await_change());
    }
    if image.metadata.deletion_timestamp.is_none() && !finalizers::is_held(image) {
        finalizers::hold(&ctx.client, image).await?;
        return Ok(Action::await_change());
    }
    let desired = observe_desired(&ctx, image);
    let changed = match ctx.memories.due(&uid, &desired.inputs, ctx.settings.gathering, ctx.clock.now()) {
        Due::In(time) => return Ok(Action::requeue(time)),
        Due::Changed => true,
        Due::Time => false,
    };
    let inputs = desired.inputs.clone();
    match pass::run(&ctx, image, desired, changed).await {
        Ok(pass::Passed::Gone) => {
            ctx.memories.forget(&uid);
            Ok(Action::await_change())
        }
        Ok(pass::Passed::LookAgain(verdict)) => Ok(next_look(&ctx, &uid, inputs, &verdict)),
        Err(error) if error.is_conflict() => {
            ctx.memories.overtaken(&uid, &image.resource_version().unwrap_or_default());
            Ok(Action::requeue(SOON))
        }
        // Each try looks at the cloud too: while the API server is away, the tries grow rare.
        Err(error) => {
            tracing::warn!(object.name = %image.name_any(), %error, "the pass broke off and is tried again");
            let failures = ctx.memories.broke_off(&uid);
            let verdict = Verdict::Retrying { not_before: None };
            Ok(Action::requeue(pause(&verdict, ctx.settings.pace, failures, ctx.chance(), ctx.clock.now())))
        }
    }
}

fn next_look(ctx: &Context, uid: &str, inputs: super::memory::Inputs, verdict: &Verdict) -> Action {
    let failures = ctx.memories.passed(uid, inputs, matches!(verdict, Verdict::Retrying { .. }));
    let now = ctx.clock.now();
    let wait = pause(verdict, ctx.settings.pace, failures, ctx.chance(), now);
    let wait_signed = jiff::SignedDuration::try_from(wait).unwrap_or(jiff::SignedDuration::MAX);
    ctx.memories.look_at(uid, now.saturating_add(wait_signed).unwrap_or(jiff::Timestamp::MAX));
    Action::requeue(wait)
}
