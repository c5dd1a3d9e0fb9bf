//! Requeueing in controllers that call a cloud: checks before a reconcile, whether it is due, and what follows it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::clouds::Priority;
use crate::cluster::newest::newest_version;
use crate::cluster::{ClusterError, finalizers};
use crate::planning::admission::Ask;
use crate::planning::schedule::{Requeue, pause};
use crate::reconcile::Outcome;
use crate::reconcile::ReconcileOutcome;
use crate::reconcile::context::Context;
use crate::reconcile::object_state::{Due, Freshness, Inputs};

/// Requeue delay after a conflicting write, or while the cache lags behind our own write.
pub(crate) const SOON: Duration = Duration::from_millis(200);

/// The first reconciles of settled objects are spread over this time after startup: all of them arrive at once.
const CALM_AFTER: Duration = Duration::from_secs(1);

/// The result of a reconcile.
pub(crate) enum Next {
    /// The object no longer exists.
    Gone,
    /// It waits for a seat to call the cloud.
    Queued,
    /// The object is requeued.
    Requeue(Requeue),
}

/// Checks before every reconcile: the object is the newest known version and carries our finalizer. `Some`: the outcome to
/// return instead of reconciling.
pub(crate) async fn preflight<K>(ctx: &Context, object: &K) -> Result<Option<ReconcileOutcome>, ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let uid = object.uid().unwrap_or_default();
    if let Some(instead) = wait_for_newer(ctx, object).await? {
        return Ok(Some(instead));
    }
    if finalizers::is_held(object) {
        return Ok(None);
    }
    if object.meta().deletion_timestamp.is_some() {
        ctx.states.forget(&uid);
    } else if let Some(version) = finalizers::hold(&ctx.client, object).await? {
        // A reconcile that is already enqueued would see the old version and fail with a conflict.
        ctx.states.wrote(&uid, &version);
    }
    Ok(Some(ReconcileOutcome::new(Outcome::Idle, Action::await_change())))
}

/// For a version that is known to be stale, the outcome to return instead of reconciling it.
pub(crate) async fn wait_for_newer<K>(ctx: &Context, object: &K) -> Result<Option<ReconcileOutcome>, ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let (uid, version) = (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default());
    match ctx.states.freshness(&uid, &version, ctx.clock.now()) {
        Freshness::Newest => return Ok(None),
        Freshness::Stale => {}
        Freshness::Doubtful => {
            if let Some(newest) = newest_version(&ctx.client, object).await? {
                ctx.states.is_newest(&uid, &newest);
            }
        }
    }
    Ok(Some(ReconcileOutcome::new(Outcome::Idle, Action::requeue(SOON))))
}

/// Handles a refused write: the next reconcile uses a newer version, or comes after a while.
pub(crate) fn overtaken<K: Resource<DynamicType = ()>>(ctx: &Context, object: &K) -> ReconcileOutcome {
    let (uid, version) = (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default());
    if ctx.states.overtaken(&uid, &version, ctx.clock.now()) {
        tracing::warn!(
            object.kind = %K::kind(&()), object.name = %object.name_any(),
            "writes are refused as conflicts though the object does not change: does an admission webhook answer so?"
        );
    }
    ReconcileOutcome::new(Outcome::Retrying, Action::requeue(SOON))
}

/// Removes our finalizer, once it is certain that the API server hid no field of any object read before.
pub(crate) async fn release<K>(ctx: &Context, object: &K) -> Result<(), ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    ctx.definitions.check().await?;
    finalizers::release(&ctx.client, object).await
}

/// Since when a reconcile is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    since: Timestamp,
    /// When the object was last edited, if it was and as far as is known.
    edited: Option<Timestamp>,
}

impl Asked {
    /// Whether the object or its inputs were edited.
    pub(crate) fn changed(&self) -> bool {
        self.edited.is_some()
    }

    /// The request for a seat, for a reconcile whose first calls have this priority.
    pub(crate) fn with(&self, priority: Priority) -> Ask {
        Ask { priority, since: self.since, edited: self.edited }
    }
}

/// Whether a reconcile is due; `Err` with the outcome to return otherwise. `expecting`: a first reconcile of a dependency is
/// still pending.
pub(crate) fn is_due<K: Resource>(
    ctx: &Context,
    object: &K,
    inputs: &Inputs,
    expecting: bool,
) -> Result<Asked, ReconcileOutcome> {
    let uid = object.uid().unwrap_or_default();
    let (mut rule, unseen) = (ctx.settings.debounce, ctx.states.is_unseen(&uid));
    let made = object.creation_timestamp().map(|made| made.0);
    if unseen {
        rule = rule.for_first_reconcile(made.is_some_and(|made| made < ctx.begun_at), expecting);
    }
    match ctx.states.due(&uid, inputs, rule, ctx.clock.now()) {
        Due::In(time) => Err(ReconcileOutcome::new(Outcome::Idle, Action::requeue(time))),
        // At startup, every earlier edit looks as if it were made now.
        Due::Changed { first, last } if unseen && first == last => {
            Ok(Asked { since: first, edited: made.or(Some(last)) })
        }
        Due::Changed { first, last } => Ok(Asked { since: first, edited: Some(last) }),
        Due::Time { since } => Ok(Asked { since, edited: None }),
    }
}

/// Defers the first reconcile after startup of a settled object, as if a reconcile had ended.
pub(crate) fn defer_settled(ctx: &Context, uid: &str, inputs: Inputs) {
    ctx.states.passed(uid, inputs, &Requeue::Settled);
    let now = ctx.clock.now();
    ctx.states.requeue_at(uid, moment_after(now, CALM_AFTER.mul_f64(ctx.chance())), now);
}

/// Completes a reconcile of an object, given as it was when the reconcile began.
pub(crate) fn finish<K: Resource<DynamicType = ()>>(
    ctx: &Context,
    object: &K,
    inputs: Inputs,
    passed: Result<Next, ClusterError>,
) -> ReconcileOutcome {
    let uid = object.uid().unwrap_or_default();
    match passed {
        Ok(Next::Gone) => {
            ctx.states.forget(&uid);
            ReconcileOutcome::new(Outcome::Gone, Action::await_change())
        }
        // Admission enqueues it; the drift interval is a fallback in case a bug loses that call.
        Ok(Next::Queued) => ReconcileOutcome::new(Outcome::Queued, Action::requeue(ctx.settings.intervals.drift)),
        Ok(Next::Requeue(verdict)) => next_requeue(ctx, &uid, inputs, &verdict),
        Err(error) if error.is_conflict() => overtaken(ctx, object),
        // Each retry calls the cloud too: back off while the API server is unavailable.
        Err(error) => {
            log_failure(ctx, object, &error);
            let failures = ctx.states.broke_off(&uid);
            let verdict = Requeue::Retrying { not_before: None };
            let wait = pause(&verdict, ctx.settings.intervals, failures, ctx.chance(), ctx.clock.now());
            ReconcileOutcome::new(Outcome::Failed, Action::requeue(wait))
        }
    }
}

/// Logs a failed reconcile. Where the API server does not serve the operator at all, the log tells that once instead.
pub(crate) fn log_failure<K: Resource<DynamicType = ()>>(ctx: &Context, object: &K, error: &ClusterError) {
    let (kind, name) = (K::kind(&()), object.name_any());
    let namespace = object.namespace().unwrap_or_default();
    if matches!(error, ClusterError::Api(kube::Error::Api(status)) if status.code != 401) {
        tracing::warn!(%kind, namespace, name, %error, "reconcile failed; will retry");
    } else {
        tracing::debug!(%kind, namespace, name, %error, "reconcile failed; will retry");
        ctx.definitions.api_server().suspect();
    }
}

fn next_requeue(ctx: &Context, uid: &str, inputs: Inputs, verdict: &Requeue) -> ReconcileOutcome {
    let row = ctx.states.passed(uid, inputs, verdict);
    let now = ctx.clock.now();
    let wait = pause(verdict, ctx.settings.intervals, row, ctx.chance(), now);
    ctx.states.requeue_at(uid, moment_after(now, wait), now);
    let outcome = match verdict {
        Requeue::Settled => Outcome::Settled,
        Requeue::Waiting(_) => Outcome::Waiting,
        Requeue::Blocked => Outcome::Blocked,
        Requeue::Retrying { .. } => Outcome::Retrying,
    };
    ReconcileOutcome::new(outcome, Action::requeue(wait))
}

/// When a wait that a budget asks for ends. Each waiter got its own time from the budget; jitter separates those that did not.
pub(crate) fn later(ctx: &Context, wait: Duration) -> Timestamp {
    moment_after(ctx.clock.now(), wait.max(SOON) + SOON.mul_f64(ctx.chance()))
}

fn moment_after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
