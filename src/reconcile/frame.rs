//! The frame of every reconcile: what precedes the work of a kind, and what follows it.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::object::HasStatus;

use crate::api::CloudAccount;
use crate::clouds::Priority;
use crate::cluster::ClusterError;
use crate::cluster::guard::{Guarded, Unreadable};
use crate::cluster::object::Object;
use crate::domain::identifiers::RegionId;
use crate::planning::admission::Ask;
use crate::reconcile::ReconcileOutcome;
use crate::reconcile::admission::Worker;
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Context;
use crate::reconcile::object_state::Inputs;
use crate::reconcile::requeue::{self, Next};
use crate::reconcile::status::Status;
use crate::reconcile::unreadable;

/// A kind that the operator reconciles.
pub(crate) trait Reconcile: Object + HasStatus<Status: Status> + Send + Sync + 'static {
    /// The desired state in Kubernetes.
    type Desired: Send + Sync;

    /// Whether changes are debounced, and a reconcile with unchanged inputs waits until it is due. Otherwise each event starts a
    /// reconcile.
    const DEBOUNCED: bool = true;

    /// What blocks the deletion of an object that cannot be read.
    fn left_behind(ctx: &Context, object: &Guarded<Self>, left: &Unreadable)
    -> impl Future<Output = LeftBehind> + Send;

    /// Observes the desired state in Kubernetes: reads the caches, and nothing else.
    fn observe(&self, caches: &Caches<'_>) -> Self::Desired;

    /// Whether the first reconcile of a dependency is still pending.
    fn expects_dependency(_desired: &Self::Desired) -> bool {
        false
    }

    /// Whether a first reconcile after startup could only detect drift at the cloud.
    fn is_settled(&self, _desired: &Self::Desired, _ctx: &Context) -> bool {
        false
    }

    /// Runs a reconcile that is due: plans, executes and reports.
    fn run(&self, ctx: &Context, desired: Self::Desired, due: Due<Self>) -> impl Future<Output = Reconciled> + Send;
}

/// What follows a reconcile.
pub(crate) type Reconciled = Result<Next, ClusterError>;

/// What blocks the deletion of an object, if anything does.
pub(crate) type LeftBehind = Result<Option<String>, ClusterError>;

/// A reconcile that is due, and its worker until it calls a cloud.
pub(crate) struct Due<K: Object> {
    since: Timestamp,
    /// When the object or its inputs were last edited, if they were and as far as is known.
    edited: Option<Timestamp>,
    worker: Worker<Guarded<K>>,
}

impl<K: Object> Due<K> {
    /// Whether the object or its inputs were edited.
    pub(crate) fn changed(&self) -> bool {
        self.edited.is_some()
    }

    /// Runs the part of the reconcile that may call the cloud, with a seat at an account and region. `priority`: that of its
    /// first calls.
    pub(crate) async fn seated(
        self,
        account: &str,
        region: &str,
        priority: Priority,
        work: impl Future<Output = Reconciled>,
    ) -> Reconciled {
        let ask = Ask { priority, since: self.since, edited: self.edited };
        let Some((_place, begun)) = self.worker.begin(account, region, ask) else { return Ok(Next::Queued) };
        begun.scope(work).await
    }
}

/// Reconciles one object.
pub(crate) async fn reconcile<K: Reconcile>(
    guarded: Arc<Guarded<K>>,
    ctx: Arc<Context>,
    worker: Worker<Guarded<K>>,
) -> ReconcileOutcome {
    let reconciled = match guarded.as_ref() {
        Guarded::Readable(object) => readable(&ctx, object.as_ref(), worker).await,
        Guarded::Unreadable(left) => {
            let left_behind = K::left_behind(&ctx, guarded.as_ref(), left);
            unreadable::reconcile(&ctx, guarded.as_ref(), left, left_behind).await
        }
    };
    reconciled.unwrap_or_else(|error| requeue::failed(&ctx, guarded.as_ref(), &error))
}

/// Since when a reconcile is due, and when the object or its inputs were last edited, as far as is known. `Break`: it is not due.
fn when_due<K: Reconcile>(
    ctx: &Context,
    object: &K,
    desired: &K::Desired,
    inputs: &Inputs,
) -> ControlFlow<ReconcileOutcome, (Timestamp, Option<Timestamp>)> {
    if !K::DEBOUNCED {
        return Continue((ctx.clock.now(), None));
    }
    if ctx.states.is_unseen(&object.uid().unwrap_or_default()) && object.is_settled(desired, ctx) {
        requeue::defer_settled(ctx, object, inputs.clone());
    }
    requeue::is_due(ctx, object, inputs, K::expects_dependency(desired))
}

async fn readable<K: Reconcile>(
    ctx: &Context,
    object: &K,
    worker: Worker<Guarded<K>>,
) -> Result<ReconcileOutcome, ClusterError> {
    if let Break(outcome) = requeue::preflight(ctx, object).await? {
        return Ok(outcome);
    }
    let (desired, inputs) = {
        let principals = |account: &CloudAccount, region: &RegionId| ctx.connections.principal(account, region);
        let caches = Caches::new(&ctx.stores, &principals, ctx.clock.now(), object);
        let desired = object.observe(&caches);
        // Only a debounced kind compares its inputs with those of the last reconcile.
        (desired, if K::DEBOUNCED { caches.into_inputs() } else { Inputs::default() })
    };
    let (since, edited) = match when_due(ctx, object, &desired, &inputs) {
        Continue(due) => due,
        Break(outcome) => return Ok(outcome),
    };
    let next = Box::pin(object.run(ctx, desired, Due { since, edited, worker })).await?;
    Ok(requeue::requeue(ctx, object, inputs, next))
}
