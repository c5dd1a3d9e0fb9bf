//! The `CloudAccount` controller: proves that the credentials belong to the account, reports it, and keeps the account while
//! anything refers to it.

mod inventory;
mod secret;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};
use serde_json::Value;

use crate::accounts::connections::Connection;
use crate::api::CloudAccount;
use crate::api::cloud_account::{CloudAccountStatus, Tenancy, VerifiedCredentials};
use crate::api::conditions::{Decision, LISTED, READY, RECONCILING, Reason, STALLED, Truth, find};
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::cluster::guard::{Guarded, Unreadable};
use crate::cluster::object::Object;
use crate::domain::fault::Recovery;
use crate::planning::duplicates::doubt;
use crate::planning::grace::grace_left;
use crate::planning::problem::{Problem, name_some};
use crate::planning::unreadable::names_account;
use crate::reconcile::Outcome;
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Context;
use crate::reconcile::convert::{accounts_named, created_at, owner};
use crate::reconcile::frame::{Due, LeftBehind, Reconcile, Reconciled};
use crate::reconcile::object_state::Listing;
use crate::reconcile::reporter::Reporter;
use crate::reconcile::requeue::{Next, release};
use crate::reconcile::status::is_requested;

impl Reconcile for CloudAccount {
    type Desired = ();

    const DEBOUNCED: bool = false;

    async fn left_behind(ctx: &Context, object: &Guarded<Self>, left: &Unreadable) -> LeftBehind {
        let users = users(object, ctx);
        if users.is_empty() {
            let written = left.status.get("heldSecrets").and_then(Value::as_array).into_iter().flatten();
            secret::release_all(ctx, object, written.filter_map(Value::as_str)).await?;
            ctx.connections.forget(&object.uid().unwrap_or_default());
        }
        Ok((!users.is_empty()).then(|| format!("these objects still refer to it: {}", name_some(users))))
    }

    fn observe(&self, _caches: &Caches<'_>) {}

    async fn run(&self, ctx: &Context, (): (), due: Due<Self>) -> Reconciled {
        let deleting = self.metadata.deletion_timestamp.is_some();
        let users = if deleting { users(self, ctx) } else { Vec::new() };
        let users: Vec<String> = planted!(
            "account-leaves-first",
            users,
            users.into_iter().filter(|user| !user.starts_with("CloudImage ")).collect()
        );
        if deleting && users.is_empty() {
            return leave(ctx, self).await;
        }
        // Each account has one such reconcile that calls its cloud, and no other reconcile waits for it.
        drop(due);
        let mut reporter = Reporter::new(ctx, self);
        let (old, requested) = (reporter.written().clone(), is_requested(self));
        let state = ctx.connections.state(self, requested).await;
        let connection = state.connection.as_ref();
        let held = secret::tend(ctx, self, &old.held_secrets, state.secret).await?;
        let listing = match connection {
            Ok(connection) if !deleting => inventory::take_stock(ctx, self, connection, requested).await,
            _ => Listing::default(),
        };
        let blockers = deleting.then_some(users.as_slice());
        let mut decisions = decisions(self, connection.map(|_| ()), blockers, ctx.clock.now());
        if self.spec.inventory.is_some() {
            decisions.extend(listing.decision.clone().or_else(|| kept(&old)));
        }
        let mut status = status(self, &old, connection.ok(), &listing);
        status.credentials = credentials(self, &old, connection.ok().and(state.verified.as_ref()));
        status.held_secrets.clone_from(&held.names);
        prove(self, connection.map(|_| ()), &mut status, ctx);
        let doubted = until_doubted(&status, ctx);
        reporter.report(status, Some(decisions)).await?;
        ctx.states.listing_is_reported(&self.uid().unwrap_or_default());
        held.put_on(ctx, self).await?;
        publish_events(&reporter, &old, connection.err());
        let wait = pause(connection.err(), ctx).min(doubted);
        let outcome = match connection.err().map(|problem| problem.recovery) {
            None => Outcome::Settled,
            Some(Recovery::Blocked) => Outcome::Blocked,
            Some(Recovery::Retry { .. }) => Outcome::Retrying,
        };
        let wait = [listing.next_reconcile, held.next_reconcile].into_iter().flatten().fold(wait, Duration::min);
        Ok(Next::After(outcome, wait))
    }
}

/// Releases a deleting account that nothing refers to.
async fn leave(ctx: &Context, account: &CloudAccount) -> Result<Next, ClusterError> {
    let written = account.status.iter().flat_map(|status| &status.held_secrets);
    secret::release_all(ctx, account, written.map(String::as_str)).await?;
    release(ctx, account).await?;
    ctx.connections.forget(&account.uid().unwrap_or_default());
    Ok(Next::Gone)
}

/// The credentials in force. Those of a Secret that did not change keep the time at which the cloud accepted them first.
/// `None` where they are not in a Secret.
fn credentials(
    account: &CloudAccount,
    old: &CloudAccountStatus,
    verified: Option<&(String, Timestamp)>,
) -> Option<VerifiedCredentials> {
    account.spec.tenancy().and_then(Tenancy::secret_name)?;
    let former = old.credentials.clone();
    match verified {
        Some((version, _)) if former.as_ref().is_some_and(|former| former.secret_version == *version) => former,
        Some((version, at)) => Some(VerifiedCredentials {
            secret_version: version.clone(),
            verified_at: Time(at.round(Unit::Second).unwrap_or(*at)),
        }),
        None => former,
    }
}

/// Publishes events: the cloud accepted a new key or refuses the key, the account's Secret is being deleted, or other objects
/// block the account's deletion.
fn publish_events(reporter: &Reporter<'_, CloudAccount>, old: &CloudAccountStatus, problem: Option<&Problem>) {
    let new = reporter.written();
    let verified_at = |status: &CloudAccountStatus| status.credentials.as_ref().map(|key| key.verified_at.clone());
    // An edit of the Secret's metadata changes its version, but verifies no new key.
    if old.credentials.is_some() && verified_at(old) != verified_at(new) {
        let note = "the cloud accepts the credentials that the Secret holds now, and they are in force".to_owned();
        reporter.event(EventReason::CredentialsVerified, note);
    }
    let blocked = |status: &CloudAccountStatus| {
        let reconciling = find(&status.conditions, RECONCILING)?.clone();
        (reconciling.reason == Reason::StillReferenced.as_str()).then_some(reconciling.message)
    };
    if let Some(note) = blocked(new).filter(|_| blocked(old).is_none()) {
        reporter.event(EventReason::DeletionBlocked, note);
    }
    let Some(problem) = problem else { return };
    let (reason, message) = (problem.reason.as_str(), &problem.message);
    let (event_reason, note) = match problem.reason {
        Reason::CredentialsRejected => (EventReason::CredentialsRejected, message.clone()),
        Reason::SecretDeleting => (EventReason::SecretDeleting, message.clone()),
        Reason::Pending | Reason::Throttled => return,
        _ => (EventReason::AccountBlocked, format!("{reason}: {message}")),
    };
    if find(&old.conditions, READY).is_none_or(|ready| ready.reason != reason || ready.message != *message) {
        reporter.event(event_reason, note);
    }
}

/// Records whether the credentials are proven, which decides about duplicates for the same images. A proof of an identity other
/// than the spec's does not count.
fn prove(account: &CloudAccount, connection: Result<(), &Problem>, status: &mut CloudAccountStatus, ctx: &Context) {
    let claimed = owner(account);
    let Err(problem) = connection else {
        (status.identity, status.refused_since) = (Some(claimed), None);
        return;
    };
    let refused = problem.truth() == Truth::False;
    let since = status.refused_since.as_ref().map(|since| since.0);
    let (since, counts) = doubt(refused, since, takeover_after(ctx), ctx.clock.now());
    status.refused_since = since.map(Time);
    status.identity = status.identity.take().filter(|identity| counts && *identity == claimed);
}

fn takeover_after(ctx: &Context) -> SignedDuration {
    SignedDuration::try_from(ctx.settings.takeover_after).unwrap_or(SignedDuration::MAX)
}

/// How long the credentials still count as proven while the cloud refuses them.
fn until_doubted(status: &CloudAccountStatus, ctx: &Context) -> Duration {
    let (Some(since), Some(_)) = (&status.refused_since, &status.identity) else { return Duration::MAX };
    let over = since.0.saturating_add(takeover_after(ctx)).unwrap_or(Timestamp::MAX);
    over.duration_since(ctx.clock.now()).max(SignedDuration::from_millis(50)).unsigned_abs()
}

/// The `Listed` condition of the last listing, for a reconcile that did not list the inventory.
fn kept(old: &CloudAccountStatus) -> Option<Decision> {
    let condition = find(&old.conditions, LISTED)?;
    let reason = serde_json::from_value(serde_json::Value::String(condition.reason.clone())).ok()?;
    let truth = match condition.status.as_str() {
        "True" => Truth::True,
        "False" => Truth::False,
        _ => Truth::Unknown,
    };
    Some(Decision { kind: LISTED, truth, reason, message: condition.message.clone() })
}

/// Images, acceptances and replicas of the same namespace that name this account.
fn users(account: &impl Resource, ctx: &Context) -> Vec<String> {
    let stores = &ctx.stores;
    let images = naming(account, &stores.images, |image, name| image.spec.account_ref.name == name);
    let acceptances = naming(account, &stores.acceptances, |found, name| found.spec.account_ref.name == name);
    let replicas =
        naming(account, &stores.replicas, |found, name| accounts_named(found, None).iter().any(|n| n == name));
    let mut users = [images, acceptances, replicas].concat();
    users.sort();
    users
}

/// The objects of a kind in the account's namespace that name it, as far as they can be parsed.
fn naming<K: Object>(
    account: &impl Resource,
    store: &Store<Guarded<K>>,
    names: impl Fn(&K, &str) -> bool,
) -> Vec<String> {
    let (namespace, name) = (account.namespace(), account.name_any());
    let names = |object: &Guarded<K>| match object {
        Guarded::Readable(object) => names(object, &name),
        Guarded::Unreadable(left) => names_account(&left.spec, &left.status, &name),
    };
    let found = store.state_filter(|object| object.namespace() == namespace && names(object));
    found.iter().map(|object| format!("{} {}", K::kind(&()), object.name_any())).collect()
}

fn pause(problem: Option<&Problem>, ctx: &Context) -> Duration {
    // Every reconcile must find the Secret due, and none may come later than the interval promises.
    let interval = ctx.settings.credentials_interval.mul_f64(0.9);
    match problem.map(|problem| problem.recovery) {
        Some(Recovery::Retry { not_before }) => not_before.unwrap_or(Duration::from_secs(2)).min(interval),
        Some(Recovery::Blocked) | None => interval,
    }
}

/// The conditions. `users`: while the account is being deleted, the objects that refer to it.
fn decisions(
    account: &CloudAccount,
    connection: Result<(), &Problem>,
    users: Option<&[String]>,
    now: Timestamp,
) -> Vec<Decision> {
    let decide = |kind, truth, reason, message: String| Decision { kind, truth, reason, message };
    let blocked = users.map(|users| format!("still referenced; delete these first: {}", name_some(users)));
    let mut decisions = match (connection, &blocked) {
        (Ok(()), Some(blocked)) => {
            let message = format!("the deletion waits: {blocked}");
            vec![decide(READY, Truth::False, Reason::StillReferenced, message)]
        }
        (Ok(()), None) if account.spec.suspend => {
            let message = "spec.suspend: nothing is granted, revoked, answered, copied or deleted through this account; \
                           everything granted stays";
            vec![decide(READY, Truth::False, Reason::Suspended, message.to_owned())]
        }
        (Ok(()), None) => {
            let message = "the credentials belong to the account and it can be used";
            vec![decide(READY, Truth::True, Reason::Verified, message.to_owned())]
        }
        (Err(problem), Some(_)) => vec![problem.decide(READY, problem.truth())],
        (Err(problem), None) => {
            let waits = grace_left(problem.reason, created_at(account), now).is_some();
            let kind = if problem.recovery == Recovery::Blocked && !waits { STALLED } else { RECONCILING };
            vec![problem.decide(READY, problem.truth()), problem.decide(kind, Truth::True)]
        }
    };
    decisions.extend(blocked.map(|message| decide(RECONCILING, Truth::True, Reason::StillReferenced, message)));
    decisions
}

fn status(
    account: &CloudAccount,
    old: &CloudAccountStatus,
    connection: Option<&Connection>,
    listing: &Listing,
) -> CloudAccountStatus {
    let mut status = old.clone();
    status.provider = account.spec.tenancy().map(|tenancy| tenancy.provider().to_string());
    if let (Some(connection), Some(tenancy)) = (connection, account.spec.tenancy()) {
        status.account = Some(tenancy.account_id().to_owned());
        status.regions = connection.regions.iter().take(200).map(ToString::to_string).collect();
    }
    if account.spec.inventory.is_none() {
        (status.received, status.pending) = (None, None);
    } else if let Some((received, pending)) = &listing.counts {
        (status.received, status.pending) = (Some(received.clone()), Some(*pending));
    }
    status
}
