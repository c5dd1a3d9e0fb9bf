//! The rhythm of controllers that look at a cloud: when a pass is due, and what follows one.

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

/// How soon to look again after a write that somebody else's write overtook, or at a cache that lags behind our own.
pub(crate) const SOON: Duration = Duration::from_millis(200);

/// Within which time after a start what asks for nothing is first looked at: all of it comes at once.
const CALM_AFTER: Duration = Duration::from_secs(1);

/// How a pass ended.
pub(crate) enum Next {
    /// The object is gone.
    Gone,
    /// Its turn to call the cloud comes later.
    Queued,
    /// It is to be looked at again.
    Requeue(Requeue),
}

/// What comes before any pass over an object: it is the newest that is known, and carries our finalizer. `Some` with what to
/// do instead of a pass.
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
        // A look that was already asked for would find the object as it was, and be refused.
        ctx.states.wrote(&uid, &version);
    }
    Ok(Some(ReconcileOutcome::new(Outcome::Idle, Action::await_change())))
}

/// Where a version is known not to be the newest, what to do instead of acting upon it.
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

/// What follows a write that was refused: the next pass is over a newer version, or comes after a while.
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

/// Lets an object go: removes our finalizer, once it is certain that the API server hid nothing of what was read before.
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
    /// When somebody last changed something, if somebody did and as far as that is known.
    edited: Option<Timestamp>,
}

impl Asked {
    /// Whether somebody changed something.
    pub(crate) fn changed(&self) -> bool {
        self.edited.is_some()
    }

    /// What it asks to begin for, if its first calls are of this lane.
    pub(crate) fn with(&self, priority: Priority) -> Ask {
        Ask { priority, since: self.since, edited: self.edited }
    }
}

/// Whether a pass over an object is due: `Err` with what to do instead. `expecting`: what it depends on is looked at for the
/// first time.
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
        // When this process begins, all that was edited before looks as if it had been edited now.
        Due::Changed { first, last } if unseen && first == last => {
            Ok(Asked { since: first, edited: made.or(Some(last)) })
        }
        Due::Changed { first, last } => Ok(Asked { since: first, edited: Some(last) }),
        Due::Time { since } => Ok(Asked { since, edited: None }),
    }
}

/// Puts off the first look of this process at an object that asks for nothing, as if a pass had ended.
pub(crate) fn defer_settled(ctx: &Context, uid: &str, inputs: Inputs) {
    ctx.states.passed(uid, inputs, &Requeue::Settled);
    let now = ctx.clock.now();
    ctx.states.requeue_at(uid, moment_after(now, CALM_AFTER.mul_f64(ctx.chance())), now);
}

/// What follows a pass over an object, as it was when the pass began.
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
        // It is called; the slow look is for the case that a mistake of ours loses the call.
        Ok(Next::Queued) => ReconcileOutcome::new(Outcome::Queued, Action::requeue(ctx.settings.intervals.drift)),
        Ok(Next::Requeue(verdict)) => next_requeue(ctx, &uid, inputs, &verdict),
        Err(error) if error.is_conflict() => overtaken(ctx, object),
        // Each try looks at the cloud too: while the API server is away, the tries grow rare.
        Err(error) => {
            tracing::warn!(object.name = %object.name_any(), %error, "the pass broke off and is tried again");
            let failures = ctx.states.broke_off(&uid);
            let verdict = Requeue::Retrying { not_before: None };
            let wait = pause(&verdict, ctx.settings.intervals, failures, ctx.chance(), ctx.clock.now());
            ReconcileOutcome::new(Outcome::Failed, Action::requeue(wait))
        }
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

/// When a wait that a budget asks for is over. Each who waits was told a time of its own; a little chance keeps apart those
/// who were not.
pub(crate) fn later(ctx: &Context, wait: Duration) -> Timestamp {
    moment_after(ctx.clock.now(), wait.max(SOON) + SOON.mul_f64(ctx.chance()))
}

fn moment_after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
