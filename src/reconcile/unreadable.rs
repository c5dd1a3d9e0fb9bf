//! Objects that cannot be read as their kind: each reports it in its status, and is deletable once nothing is left behind.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::conditions::{READY, conditions, find};
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::cluster::guard::{Guarded, Unreadable};
use crate::cluster::status::apply_status;
use crate::planning::unreadable::decisions;
use crate::reconcile::Outcome;
use crate::reconcile::ReconcileError;
use crate::reconcile::ReconcileOutcome;
use crate::reconcile::context::Context;
use crate::reconcile::convert::requested_at;
use crate::reconcile::requeue::{overtaken, release, wait_for_newer};

/// Reconciles an object that cannot be read. `kept_by`: the reason that blocks its deletion.
pub(crate) async fn reconcile<K>(
    ctx: &Context,
    object: &Guarded<K>,
    left: &Unreadable,
    kept_by: Option<&str>,
) -> Result<ReconcileOutcome, ReconcileError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let uid = object.uid().unwrap_or_default();
    if let Some(instead) = wait_for_newer(ctx, object).await? {
        return Ok(instead);
    }
    let deleting = object.meta().deletion_timestamp.is_some();
    let passed = if deleting && kept_by.is_none() {
        release(ctx, object).await.map(|()| ctx.states.forget(&uid))
    } else {
        say_so(ctx, object, left, kept_by.filter(|_| deleting)).await
    };
    match passed {
        Ok(()) if deleting && kept_by.is_none() => Ok(ReconcileOutcome::new(Outcome::Gone, Action::await_change())),
        Ok(()) => Ok(ReconcileOutcome::new(Outcome::Blocked, Action::requeue(ctx.settings.intervals.drift))),
        Err(error) if error.is_conflict() => Ok(overtaken(ctx, object)),
        Err(error) => Err(error.into()),
    }
}

/// Writes the status as it was read with new conditions, unless it has them already.
async fn say_so<K>(
    ctx: &Context,
    object: &Guarded<K>,
    left: &Unreadable,
    kept_by: Option<&str>,
) -> Result<(), ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let generation = left.metadata.generation;
    let old = conditions_of(left);
    let new = conditions(&old, decisions(&left.error, kept_by), generation, ctx.clock.now());
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
    let told = |all: &[Condition]| find(all, READY).map(|ready| (ready.reason.clone(), ready.message.clone()));
    if told(&old) != told(&new) {
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
