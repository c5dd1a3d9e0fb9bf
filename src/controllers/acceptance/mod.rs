//! The `SharedImageAcceptance` controller: answers one offer as asked, and says what became of it.

mod observe;
mod pass;
mod report;

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;

use super::ReconcileError;
use super::context::Context;
use super::rhythm::{self, SOON};
use crate::api::SharedImageAcceptance;
use crate::api::acceptance::AcceptanceDeletionPolicy;
use crate::cluster::finalizers;
use crate::cluster::guard::Guarded;
use observe::observe_desired;

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
    let changed = match rhythm::due(&ctx, &uid, &desired.inputs) {
        Ok(changed) => changed,
        Err(instead) => return Ok(instead),
    };
    let inputs = desired.inputs.clone();
    let passed = pass::run(&ctx, acceptance, desired, changed).await;
    Ok(rhythm::after(&ctx, acceptance, inputs, passed))
}
