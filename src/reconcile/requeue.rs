//! The rhythm of controllers that look at a cloud: when a pass is due, and what follows one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::clouds::Lane;
use crate::cluster::newest::newest_version;
use crate::cluster::{ClusterError, finalizers};
use crate::planning::admission::Ask;
use crate::planning::schedule::{Verdict, pause};
use crate::reconcile::Look;
use crate::reconcile::Outcome;
use crate::reconcile::context::Context;
use crate::reconcile::object_state::{Due, Freshness, Inputs};

/// How soon to look again after a write that somebody else's write overtook, or at a cache that lags behind our own.
pub(crate) const SOON: Duration = Duration::from_millis(200);

/// Within which time after a start what asks for nothing is first looked at: all of it comes at once.
const CALM_AFTER: Duration = Duration::from_secs(1);

/// How a pass ended.
pub(crate) enum Passed {
    /// The object is gone.
    Gone,
    /// Its turn to call the cloud comes later.
    Queued,
    /// It is to be looked at again.
    LookAgain(Verdict),
}

/// What comes before any pass over an object: it is the newest that is known, and carries our finalizer. `Some` with what to
/// do instead of a pass.
pub(crate) async fn enter<K>(ctx: &Context, object: &K) -> Result<Option<Look>, ClusterError>
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
        ctx.memories.forget(&uid);
    } else if let Some(version) = finalizers::hold(&ctx.client, object).await? {
        // A look that was already asked for would find the object as it was, and be refused.
        ctx.memories.wrote(&uid, &version);
    }
    Ok(Some(Look::new(Outcome::Idle, Action::await_change())))
}

/// Where a version is known not to be the newest, what to do instead of acting upon it.
pub(crate) async fn wait_for_newer<K>(ctx: &Context, object: &K) -> Result<Option<Look>, ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let (uid, version) = (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default());
    match ctx.memories.freshness(&uid, &version, ctx.clock.now()) {
        Freshness::Newest => return Ok(None),
        Freshness::Stale => {}
        Freshness::Doubtful => {
            if let Some(newest) = newest_version(&ctx.client, object).await? {
                ctx.memories.is_newest(&uid, &newest);
            }
        }
    }
    Ok(Some(Look::new(Outcome::Idle, Action::requeue(SOON))))
}

/// What follows a write that was refused: the next pass is over a newer version, or comes after a while.
pub(crate) fn overtaken<K: Resource<DynamicType = ()>>(ctx: &Context, object: &K) -> Look {
    let (uid, version) = (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default());
    if ctx.memories.overtaken(&uid, &version, ctx.clock.now()) {
        tracing::warn!(
            object.kind = %K::kind(&()), object.name = %object.name_any(),
            "writes are refused as conflicts though the object does not change: does an admission webhook answer so?"
        );
    }
    Look::new(Outcome::Retrying, Action::requeue(SOON))
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
    pub(crate) fn with(&self, lane: Lane) -> Ask {
        Ask { lane, since: self.since, edited: self.edited }
    }
}

/// Whether a pass over an object is due: `Err` with what to do instead. `expecting`: what it depends on is looked at for the
/// first time.
pub(crate) fn due<K: Resource>(ctx: &Context, object: &K, inputs: &Inputs, expecting: bool) -> Result<Asked, Look> {
    let uid = object.uid().unwrap_or_default();
    let (mut rule, unseen) = (ctx.settings.gathering, ctx.memories.is_unseen(&uid));
    let made = object.creation_timestamp().map(|made| made.0);
    if unseen {
        rule = rule.of_first_pass(made.is_some_and(|made| made < ctx.begun_at), expecting);
    }
    match ctx.memories.due(&uid, inputs, rule, ctx.clock.now()) {
        Due::In(time) => Err(Look::new(Outcome::Idle, Action::requeue(time))),
        // When this process begins, all that was edited before looks as if it had been edited now.
        Due::Changed { first, last } if unseen && first == last => {
            Ok(Asked { since: first, edited: made.or(Some(last)) })
        }
        Due::Changed { first, last } => Ok(Asked { since: first, edited: Some(last) }),
        Due::Time { since } => Ok(Asked { since, edited: None }),
    }
}

/// Puts off the first look of this process at an object that asks for nothing, as if a pass had ended.
pub(crate) fn let_others_go_first(ctx: &Context, uid: &str, inputs: Inputs) {
    ctx.memories.passed(uid, inputs, &Verdict::Settled);
    let now = ctx.clock.now();
    ctx.memories.look_at(uid, moment_after(now, CALM_AFTER.mul_f64(ctx.chance())), now);
}

/// What follows a pass over an object, as it was when the pass began.
pub(crate) fn after<K: Resource<DynamicType = ()>>(
    ctx: &Context,
    object: &K,
    inputs: Inputs,
    passed: Result<Passed, ClusterError>,
) -> Look {
    let uid = object.uid().unwrap_or_default();
    match passed {
        Ok(Passed::Gone) => {
            ctx.memories.forget(&uid);
            Look::new(Outcome::Gone, Action::await_change())
        }
        // It is called; the slow look is for the case that a mistake of ours loses the call.
        Ok(Passed::Queued) => Look::new(Outcome::Queued, Action::requeue(ctx.settings.pace.drift)),
        Ok(Passed::LookAgain(verdict)) => next_look(ctx, &uid, inputs, &verdict),
        Err(error) if error.is_conflict() => overtaken(ctx, object),
        // Each try looks at the cloud too: while the API server is away, the tries grow rare.
        Err(error) => {
            tracing::warn!(object.name = %object.name_any(), %error, "the pass broke off and is tried again");
            let failures = ctx.memories.broke_off(&uid);
            let verdict = Verdict::Retrying { not_before: None };
            let wait = pause(&verdict, ctx.settings.pace, failures, ctx.chance(), ctx.clock.now());
            Look::new(Outcome::Failed, Action::requeue(wait))
        }
    }
}

fn next_look(ctx: &Context, uid: &str, inputs: Inputs, verdict: &Verdict) -> Look {
    let row = ctx.memories.passed(uid, inputs, verdict);
    let now = ctx.clock.now();
    let wait = pause(verdict, ctx.settings.pace, row, ctx.chance(), now);
    ctx.memories.look_at(uid, moment_after(now, wait), now);
    let outcome = match verdict {
        Verdict::Settled => Outcome::Settled,
        Verdict::Waiting(_) => Outcome::Waiting,
        Verdict::Blocked => Outcome::Blocked,
        Verdict::Retrying { .. } => Outcome::Retrying,
    };
    Look::new(outcome, Action::requeue(wait))
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
