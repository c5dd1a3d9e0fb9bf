//! Reports a reconcile of one `ChannelShare`: a summary of its `ImageShares`.

use std::time::Duration;

use kube::ResourceExt;

use super::Offer;
use super::children::Children;
use crate::api::channel_share::{ChannelShare, ChannelShareStatus};
use crate::api::conditions::{Decision, READY, RECONCILING, Reason, STALLED, Truth, find};
use crate::api::expiration::Expiration;
use crate::api::image_share::ImageShare;
use crate::cluster::ClusterError;
use crate::cluster::guard::Guarded;
use crate::planning::channel_share::is_shared;
use crate::planning::grace::grace_left;
use crate::planning::problem::{Problem, name_some};
use crate::reconcile::Outcome;
use crate::reconcile::convert::created_at;
use crate::reconcile::reporter::Reporter;
use crate::reconcile::requeue::Next;
use crate::reconcile::status::{conditions_of, is_observed};

fn decide(truth: Truth, reason: Reason, message: impl Into<String>) -> Decision {
    Decision { kind: READY, truth, reason, message: message.into() }
}

/// Reports the state of the share. `taken`: another object has the name of one of its `ImageShares`.
pub(super) async fn report(
    reporter: &mut Reporter<'_, ChannelShare>,
    offer: Option<&Offer>,
    children: &Children<'_>,
    taken: Option<Problem>,
) -> Result<Next, ClusterError> {
    let share = reporter.object;
    let now = reporter.ctx.clock.now();
    let ready = match taken {
        Some(problem) => problem.decide(READY, Truth::False),
        None => ready(share, offer, children, now),
    };
    let all = children.readable();
    let total = |of: &dyn Fn(&ImageShare) -> Option<String>| {
        let counts: Vec<(u64, u64)> = all.iter().filter_map(|child| counts(&of(child)?)).collect();
        let (some, all) = counts.iter().fold((0, 0), |(some, all), (s, a)| (some + s, all + a));
        (!counts.is_empty()).then(|| format!("{some}/{all}"))
    };
    let status = ChannelShareStatus {
        latest: offer.and_then(|offer| offer.latest.clone()),
        images: i32::try_from(children.len()).ok(),
        summary: total(&|child| child.status.as_ref()?.summary.clone()),
        accepted: total(&|child| child.status.as_ref()?.accepted.clone()),
        ..reporter.written().clone()
    };
    let grace = grace_left(ready.reason, created_at(share), now);
    let stalled = ready.truth == Truth::False && grace.is_none() && is_stuck(ready.reason);
    let mut decisions = vec![ready.clone()];
    let kind = match ready.truth {
        Truth::True => None,
        _ if ready.reason == Reason::Suspended || ready.reason == Reason::Expired => None,
        _ => Some(if stalled { STALLED } else { RECONCILING }),
    };
    decisions.extend(kind.map(|kind| Decision { kind, truth: Truth::True, ..ready.clone() }));
    reporter.report(status, Some(decisions)).await?;
    let expiry = share.spec.expiration_time.as_ref().and_then(Expiration::at).filter(|end| *end > now);
    let soonest = expiry.map(|end| end.duration_since(now)).into_iter().chain(grace).min();
    let wait = soonest.map_or(Duration::MAX, |left| left.unsigned_abs() + Duration::from_millis(10));
    let outcome = match ready.truth {
        Truth::True => Outcome::Settled,
        _ if stalled => Outcome::Blocked,
        _ => Outcome::Waiting,
    };
    Ok(Next::After(outcome, wait.min(reporter.ctx.settings.intervals.drift)))
}

/// Whether nothing moves on by itself. The `ImageShares` say so for themselves.
fn is_stuck(reason: Reason) -> bool {
    !matches!(reason, Reason::Pending | Reason::NoVersion | Reason::Revoking | Reason::AwaitingAnswer)
}

/// `3/4` as numbers.
fn counts(text: &str) -> Option<(u64, u64)> {
    let (some, all) = text.split_once('/')?;
    Some((some.parse().ok()?, all.parse().ok()?))
}

fn ready(share: &ChannelShare, offer: Option<&Offer>, children: &Children<'_>, now: jiff::Timestamp) -> Decision {
    let spec = &share.spec;
    if let Some(odd) = spec.expiration_time.as_ref().and_then(Expiration::odd) {
        let message =
            format!("spec.expirationTime: {odd:?} is no time that the operator can read; the share is paused");
        return decide(Truth::False, Reason::Unreadable, message);
    }
    if spec.expiration_time.as_ref().and_then(Expiration::at).is_some_and(|end| end <= now) {
        return decide(Truth::False, Reason::Expired, "spec.expirationTime has passed: access has ended");
    }
    if spec.suspend {
        let message = "spec.suspend: nothing is granted or revoked for this share; what it holds stays";
        return decide(Truth::False, Reason::Suspended, message);
    }
    let Some(offer) = offer else {
        let message = "spec.channelRef: there is no such ImageChannel, or its shareableFrom does not admit this namespace; \
                       what is shared already stays";
        return decide(Truth::False, Reason::ChannelRefUnresolved, message);
    };
    if offer.observes {
        let message = "the channel is in mode Observe and shares nothing; what is shared already stays";
        return decide(Truth::False, Reason::NoVersion, message);
    }
    let wanted: Vec<_> = offer.versions.iter().filter(|version| is_shared(share, version.stage)).collect();
    if wanted.is_empty() {
        let message = "the channel has no version in the stages of spec.stages yet";
        return decide(Truth::False, Reason::NoVersion, message);
    }
    let all = children.readable();
    let child_of = |image| all.iter().find(|child| child.spec.image_ref == image).copied();
    for version in &wanted {
        let child = child_of(version.image.clone());
        if let Some(decision) = not_ready(&version.version, child) {
            return decision;
        }
    }
    let message = format!("every recipient may use the versions in service: {}", wanted.len());
    decide(Truth::True, Reason::Shared, message)
}

/// Why the `ImageShare` of a version is not Ready; `None` if it is.
fn not_ready(version: &str, child: Option<&ImageShare>) -> Option<Decision> {
    let pending = |message: String| Some(decide(Truth::Unknown, Reason::Pending, message));
    let Some(child) = child else { return pending(format!("version {version} is about to be shared")) };
    let ready = find(conditions_of(child), READY).filter(|_| is_observed(child));
    let Some(ready) = ready else { return pending(format!("ImageShare {} is being shared", child.name_any())) };
    let truth = match ready.status.as_str() {
        "True" => return None,
        "False" => Truth::False,
        _ => Truth::Unknown,
    };
    let reason = Reason::named(&ready.reason).unwrap_or(Reason::Pending);
    Some(decide(truth, reason, format!("ImageShare {} of version {version}: {}", child.name_any(), ready.message)))
}

/// Reports that the share is being deleted and waits for its `ImageShares`.
pub(super) async fn deleting(
    reporter: &mut Reporter<'_, ChannelShare>,
    left: &[Guarded<ImageShare>],
) -> Result<(), ClusterError> {
    let names = name_some(left.iter().map(|child| format!("ImageShare {}", child.name_any())));
    let message = format!("the deletion waits for access to end: {names}");
    let ready = decide(Truth::False, Reason::Revoking, message);
    let moving = Decision { kind: RECONCILING, truth: Truth::True, ..ready.clone() };
    let status = reporter.written().clone();
    reporter.report(status, Some(vec![ready, moving])).await
}
