//! Objects that cannot be read as their kind: each reports it in its status, and is deletable once nothing is left behind.

use std::ops::ControlFlow::Break;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api::conditions::{READY, conditions, find};
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::cluster::guard::{Guarded, Unreadable};
use crate::cluster::object::Object;
use crate::cluster::status::apply_status;
use crate::planning::unreadable::decisions;
use crate::reconcile::Outcome;
use crate::reconcile::ReconcileOutcome;
use crate::reconcile::context::Context;
use crate::reconcile::convert::requested_at;
use crate::reconcile::requeue::{release, wait_for_newer};

/// Reconciles an object that cannot be read. `left_behind`: what blocks its deletion.
pub(crate) async fn reconcile<K: Object>(
    ctx: &Context,
    object: &Guarded<K>,
    left: &Unreadable,
    left_behind: impl Future<Output = Result<Option<String>, ClusterError>>,
) -> Result<ReconcileOutcome, ClusterError> {
    if let Break(outcome) = wait_for_newer(ctx, object).await? {
        return Ok(outcome);
    }
    let deleting = object.meta().deletion_timestamp.is_some();
    let blocked = if deleting { left_behind.await? } else { None };
    if deleting && blocked.is_none() {
        release(ctx, object).await?;
        ctx.forget(&object.uid().unwrap_or_default());
        return Ok(ReconcileOutcome::new(Outcome::Gone, Action::await_change()));
    }
    report(ctx, object, left, blocked.as_deref()).await?;
    Ok(ReconcileOutcome::new(Outcome::Blocked, Action::requeue(ctx.settings.intervals.drift)))
}

/// Writes the status as it was read with new conditions, unless it has them already.
async fn report<K: Object>(
    ctx: &Context,
    object: &Guarded<K>,
    left: &Unreadable,
    blocked: Option<&str>,
) -> Result<(), ClusterError> {
    let generation = left.metadata.generation;
    let old = conditions_of(left);
    let new = conditions(&old, decisions(&left.error, blocked), generation, ctx.clock.now());
    let mut status = left.status.as_object().cloned().unwrap_or_default();
    status.insert("conditions".to_owned(), json!(new));
    status.insert("observedGeneration".to_owned(), json!(generation));
    if let Some(asked) = requested_at(object) {
        status.insert("lastHandledReconcileAt".to_owned(), json!(asked));
    }
    let status = Value::Object(status);
    if status == left.status {
        return Ok(());
    }
    let version = object.resource_version().unwrap_or_default();
    let version = apply_status(&ctx.client, object, &version, &status).await?;
    ctx.states.wrote(&object.uid().unwrap_or_default(), &version);
    let ready = |all: &[Condition]| find(all, READY).map(|ready| (ready.reason.clone(), ready.message.clone()));
    if ready(&old) != ready(&new) {
        tracing::warn!(object.name = %object.name_any(), error = %left.error, "the object cannot be read");
        let note = find(&new, READY).map(|ready| ready.message.clone()).unwrap_or_default();
        ctx.events.publish(object, EventReason::Unreadable, note);
    }
    Ok(())
}

/// The readable conditions of an object that cannot be read.
pub(crate) fn conditions_of(left: &Unreadable) -> Vec<Condition> {
    let listed = left.status.get("conditions").and_then(Value::as_array).into_iter().flatten();
    listed.filter_map(|condition| serde_json::from_value(condition.clone()).ok()).collect()
}
