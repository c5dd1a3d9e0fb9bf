//! Requeueing: checks before a reconcile, whether it is due, and what follows it.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};

use crate::clouds::{Fault, Priority};
use crate::cluster::newest::newest_version;
use crate::cluster::object::Object;
use crate::cluster::{ClusterError, finalizers};
use crate::planning::schedule::{Requeue, pause};
use crate::reconcile::Outcome;
use crate::reconcile::ReconcileOutcome;
use crate::reconcile::context::Context;
use crate::reconcile::object_state::{Due, Freshness, Inputs};

/// Requeue delay after a conflicting write, or while the cache lags behind our own write.
pub(crate) const SOON: Duration = Duration::from_millis(200);

/// The first reconciles of settled objects are spread over this time after startup: all of them arrive at once.
const SETTLED_SPREAD: Duration = Duration::from_secs(1);

/// The result of a reconcile.
pub(crate) enum Next {
    /// The object no longer exists.
    Gone,
    /// It waits for a seat to call the cloud.
    Queued,
    /// The object is requeued.
    Requeue(Requeue),
    /// The object is requeued after a wait that its kind chose.
    After(Outcome, Duration),
}

impl Next {
    /// Reconcile again at this time.
    pub(crate) fn at(time: Timestamp) -> Self {
        Self::Requeue(Requeue::Waiting(time))
    }

    /// Reconcile again soon, with backoff.
    pub(crate) fn retry() -> Self {
        Self::Requeue(Requeue::Retrying { not_before: None })
    }
}

/// Whether a reconcile may go on, or the outcome that ends it.
type Checked = Result<ControlFlow<ReconcileOutcome>, ClusterError>;

/// Checks before every reconcile: the object is the newest known version and carries our finalizer.
pub(crate) async fn preflight<K: Object>(ctx: &Context, object: &K) -> Checked {
    let uid = object.uid().unwrap_or_default();
    if let stale @ Break(_) = wait_for_newer(ctx, object).await? {
        return Ok(stale);
    }
    if finalizers::is_held(object) {
        return Ok(Continue(()));
    }
    if object.meta().deletion_timestamp.is_some() {
        ctx.forget(&uid);
    } else if let Some(version) = finalizers::hold(&ctx.client, object).await? {
        // A reconcile that is already enqueued would see the old version and fail with a conflict.
        ctx.states.wrote(&uid, &version);
    }
    Ok(Break(ReconcileOutcome::new(Outcome::Idle, Action::await_change())))
}

/// Stops the reconcile of a version that is known to be stale.
pub(crate) async fn wait_for_newer<K: Object>(ctx: &Context, object: &K) -> Checked {
    let (uid, version) = (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default());
    match ctx.states.freshness(&uid, &version, ctx.clock.now()) {
        Freshness::Newest => return Ok(Continue(())),
        Freshness::Stale => {}
        Freshness::Doubtful => {
            if let Some(newest) = newest_version(&ctx.client, object).await? {
                ctx.states.is_newest(&uid, &newest);
            }
        }
    }
    Ok(Break(ReconcileOutcome::new(Outcome::Idle, Action::requeue(SOON))))
}

/// Removes our finalizer, once it is certain that the API server hid no field of any object read before.
pub(crate) async fn release<K: Object>(ctx: &Context, object: &K) -> Result<(), ClusterError> {
    ctx.definitions.check().await?;
    finalizers::release(&ctx.client, object).await
}

/// Whether a reconcile is due: since when, and when the object was last edited, if it was. `expecting`: a first reconcile of
/// a dependency is still pending.
pub(crate) fn is_due<K: Resource>(
    ctx: &Context,
    object: &K,
    inputs: &Inputs,
    expecting: bool,
) -> ControlFlow<ReconcileOutcome, (Timestamp, Option<Timestamp>)> {
    let uid = object.uid().unwrap_or_default();
    let (mut rule, unseen) = (ctx.settings.debounce, ctx.states.is_unseen(&uid));
    let made = object.creation_timestamp().map(|made| made.0);
    if unseen {
        rule = rule.for_first_reconcile(made.is_some_and(|made| made < ctx.begun_at), expecting);
    }
    let (since, edited) = match ctx.states.due(&uid, inputs, rule, ctx.clock.now()) {
        Due::In(time) => return Break(ReconcileOutcome::new(Outcome::Idle, Action::requeue(time))),
        // At startup, every earlier edit looks as if it were made now.
        Due::Changed { first, last } if unseen && first == last => (first, made.or(Some(last))),
        Due::Changed { first, last } => (first, Some(last)),
        Due::Time { since } => (since, None),
    };
    Continue((since, edited))
}

/// Defers the first reconcile after startup of a settled object, as if a reconcile had ended.
pub(crate) fn defer_settled<K: Resource>(ctx: &Context, object: &K, inputs: Inputs) {
    let (uid, now) = (object.uid().unwrap_or_default(), ctx.clock.now());
    ctx.states.reconciled(&uid, inputs, &Requeue::Settled);
    ctx.states.requeue_at(&uid, moment_after(now, SETTLED_SPREAD.mul_f64(ctx.chance())), now);
}

/// Requeues an object after a reconcile.
pub(crate) fn requeue<K: Resource>(ctx: &Context, object: &K, inputs: Inputs, next: Next) -> ReconcileOutcome {
    let uid = object.uid().unwrap_or_default();
    match next {
        Next::Gone => {
            ctx.forget(&uid);
            ReconcileOutcome::new(Outcome::Gone, Action::await_change())
        }
        // Admission enqueues it; the drift interval is a fallback in case a bug loses that call.
        Next::Queued => ReconcileOutcome::new(Outcome::Queued, Action::requeue(ctx.settings.intervals.drift)),
        Next::After(outcome, wait) => {
            ctx.states.reconciled(&uid, inputs, &Requeue::Settled);
            ReconcileOutcome::new(outcome, Action::requeue(wait))
        }
        Next::Requeue(requeue) => {
            let (row, now) = (ctx.states.reconciled(&uid, inputs, &requeue), ctx.clock.now());
            let wait = pause(&requeue, ctx.settings.intervals, row, ctx.chance(), now);
            ctx.states.requeue_at(&uid, moment_after(now, wait), now);
            let outcome = match requeue {
                Requeue::Settled => Outcome::Settled,
                Requeue::Waiting(_) => Outcome::Waiting,
                Requeue::Blocked => Outcome::Blocked,
                Requeue::Retrying { .. } => Outcome::Retrying,
            };
            ReconcileOutcome::new(outcome, Action::requeue(wait))
        }
    }
}

/// Requeues an object, given as it was when the reconcile began, whose reconcile failed. After a refused write, the next
/// reconcile uses a newer version or comes after a while. Otherwise it backs off while the API server is unavailable: each
/// retry may call the cloud too.
pub(crate) fn failed<K: Resource<DynamicType = ()>>(
    ctx: &Context,
    object: &K,
    error: &ClusterError,
) -> ReconcileOutcome {
    let (uid, version) = (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default());
    if error.is_conflict() {
        if ctx.states.conflicted(&uid, &version, ctx.clock.now()) {
            tracing::warn!(
                object.kind = %K::kind(&()), object.name = %object.name_any(),
                "writes are refused as conflicts though the object does not change: does an admission webhook answer so?"
            );
        }
        return ReconcileOutcome::new(Outcome::Retrying, Action::requeue(SOON));
    }
    log_failure(ctx, object, error);
    let (retry, failures) = (Requeue::Retrying { not_before: None }, ctx.states.failed(&uid));
    let wait = pause(&retry, ctx.settings.intervals, failures, ctx.chance(), ctx.clock.now());
    ReconcileOutcome::new(Outcome::Failed, Action::requeue(wait))
}

/// Logs a failed reconcile. Where the API server does not serve the operator at all, its own log lines say so instead.
fn log_failure<K: Resource<DynamicType = ()>>(ctx: &Context, object: &K, error: &ClusterError) {
    let (kind, name) = (K::kind(&()), object.name_any());
    let namespace = object.namespace().unwrap_or_default();
    if matches!(error, ClusterError::Api(kube::Error::Api(status)) if status.code != 401) {
        tracing::warn!(%kind, namespace, name, %error, "reconcile failed; will retry");
    } else {
        tracing::debug!(%kind, namespace, name, %error, "reconcile failed; will retry");
        ctx.definitions.api_server().suspect();
    }
}

/// How a fault ends a reconcile that it kept from observing the cloud; `Continue` with a fault to report.
pub(crate) fn unobserved(ctx: &Context, fault: Fault, priority: Priority) -> ControlFlow<Next, Fault> {
    match fault {
        // A resync without room in the call budget learned nothing: requeue it, and leave the status unchanged.
        Fault::BudgetSpent { retry_after } if priority == Priority::Resync => Break(Next::at(later(ctx, retry_after))),
        // The same in a process that stops: the next process reconciles the object.
        Fault::NotLeading => Break(Next::retry()),
        fault => Continue(fault),
    }
}

/// When a wait that a budget asks for ends. Each waiter got its own time from the budget; jitter separates those that did not.
pub(crate) fn later(ctx: &Context, wait: Duration) -> Timestamp {
    moment_after(ctx.clock.now(), wait.max(SOON) + SOON.mul_f64(ctx.chance()))
}

fn moment_after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
