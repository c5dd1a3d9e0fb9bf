//! The `SharedImageAcceptance` controller: answers one offer as asked, and says what became of it.

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
use crate::api::SharedImageAcceptance;
use crate::api::acceptance::AcceptanceDeletionPolicy;
use crate::cluster::finalizers;
use crate::cluster::guard::Guarded;
use crate::planning::schedule::{Verdict, pause};
use observe::observe_desired;

/// How soon to look again after a write that somebody else's write overtook.
const SOON: Duration = Duration::from_millis(200);

/// One look at one offer.
pub async fn reconcile(
    guarded: Arc<Guarded<SharedImageAcceptance>>,
    ctx: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let Some(acceptance) = guarded.readable() else {
        tracing::warn!(object.name = %guarded.name_any(), "a SharedImageAcceptance cannot be read and is left alone");
        return Ok(Action::await_change());
    };
    let uid = acceptance.uid().unwrap_or_default();
    let leaving = acceptance.metadata.deletion_timestamp.is_some();
    if ctx.memories.is_stale(&uid, &acceptance.resource_version().unwrap_or_default()) {
        return Ok(Action::requeue(SOON));
    }
    match (leaving, finalizers::is_held(acceptance)) {
        (false, false) => {
            finalizers::hold(&ctx.client, acceptance).await?;
            return Ok(Action::await_change());
        }
        (true, false) => {
            ctx.memories.forget(&uid);
            return Ok(Action::await_change());
        }
        (true, true) if acceptance.spec.deletion_policy == AcceptanceDeletionPolicy::Retain => {
            finalizers::release(&ctx.client, acceptance).await?;
            return Ok(Action::await_change());
        }
        (_, true) => {}
    }
    let desired = observe_desired(&ctx, acceptance);
    let changed = match ctx.memories.due(&uid, &desired.inputs, ctx.settings.gathering, ctx.clock.now()) {
        Due::In(time) => return Ok(Action::requeue(time)),
        Due::Changed => true,
        Due::Time => false,
    };
    let inputs = desired.inputs.clone();
    match pass::run(&ctx, acceptance, desired, changed).await {
        Ok(pass::Passed::Gone) => {
            ctx.memories.forget(&uid);
            Ok(Action::await_change())
        }
        Ok(pass::Passed::LookAgain(verdict)) => {
            let failures = ctx.memories.passed(&uid, inputs, matches!(verdict, Verdict::Retrying { .. }));
            let now = ctx.clock.now();
            let wait = pause(&verdict, ctx.settings.pace, failures, ctx.chance(), now);
            let wait_signed = jiff::SignedDuration::try_from(wait).unwrap_or(jiff::SignedDuration::MAX);
            ctx.memories.look_at(&uid, now.saturating_add(wait_signed).unwrap_or(jiff::Timestamp::MAX));
            Ok(Action::requeue(wait))
        }
        Err(error) if error.is_conflict() => {
            ctx.memories.overtaken(&uid, &acceptance.resource_version().unwrap_or_default());
            Ok(Action::requeue(SOON))
        }
        Err(error) => {
            tracing::warn!(object.name = %acceptance.name_any(), %error, "the pass broke off and is tried again");
            let failures = ctx.memories.broke_off(&uid);
            let verdict = Verdict::Retrying { not_before: None };
            Ok(Action::requeue(pause(&verdict, ctx.settings.pace, failures, ctx.chance(), ctx.clock.now())))
        }
    }
}
