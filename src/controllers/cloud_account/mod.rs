//! The `CloudAccount` controller: proves that the credentials belong to the account, reports it, and keeps the account while
//! anything refers to it.

mod inventory;
mod secret;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};
use serde_json::Value;

use crate::accounts::connections::Connection;
use crate::api::CloudAccount;
use crate::api::cloud_account::CloudAccountStatus;
use crate::api::conditions::{Decision, LISTED, READY, RECONCILING, Reason, STALLED, Truth, find};
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::cluster::guard::{Guarded, Unreadable};
use crate::cluster::object::Object;
use crate::domain::fault::Recovery;
use crate::planning::duplicates::doubt;
use crate::planning::problem::{Problem, name_some};
use crate::planning::unreadable::names_account;
use crate::reconcile::Outcome;
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Context;
use crate::reconcile::convert::{accounts_named, owner};
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
        let mut decisions = decisions(connection.map(|_| ()), deleting.then_some(users.as_slice()));
        if self.spec.inventory.is_some() {
            decisions.extend(listing.decision.clone().or_else(|| kept(&old)));
        }
        let mut status = status(self, &old, connection.ok(), &listing);
        status.held_secrets.clone_from(&held.names);
        prove(self, connection.map(|_| ()), &mut status, ctx);
        let doubted = until_doubted(&status, ctx);
        reporter.report(status, Some(decisions)).await?;
        ctx.states.listing_is_reported(&self.uid().unwrap_or_default());
        held.put_on(ctx, self).await?;
        publish_event(&reporter, &old, connection.err());
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

/// Publishes one event when the cloud refuses the account's key, or when the account's Secret is being deleted.
fn publish_event(reporter: &Reporter<'_, CloudAccount>, old: &CloudAccountStatus, problem: Option<&Problem>) {
    let Some(problem) = problem else { return };
    let event_reason = match problem.reason {
        Reason::CredentialsRejected => EventReason::CredentialsRejected,
        Reason::SecretDeleting => EventReason::SecretDeleting,
        _ => return,
    };
    if find(&old.conditions, READY).is_none_or(|ready| ready.reason != problem.reason.as_str()) {
        reporter.event(event_reason, problem.message.clone());
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
    match problem.map(|t| (t.reason, t.recovery)) {
        // Check often for a Secret that does not exist yet: that costs the cloud nothing.
        Some((Reason::SecretNotFound, _)) => interval.min(Duration::from_secs(5)),
        Some((_, Recovery::Retry { not_before })) => not_before.unwrap_or(Duration::from_secs(2)).min(interval),
        Some((_, Recovery::Blocked)) | None => interval,
    }
}

fn decisions(connection: Result<(), &Problem>, users: Option<&[String]>) -> Vec<Decision> {
    let decide = |kind, reason, message: String| Decision { kind, truth: Truth::True, reason, message };
    let mut decisions = match connection {
        Ok(()) => {
            let message = "the credentials belong to the account and it can be used";
            vec![decide(READY, Reason::Verified, message.to_owned())]
        }
        Err(problem) => {
            let kind = if problem.recovery == Recovery::Blocked { STALLED } else { RECONCILING };
            vec![problem.decide(READY, problem.truth()), problem.decide(kind, Truth::True)]
        }
    };
    if let Some(users) = users {
        decisions.retain(|decision| decision.kind == READY);
        let message = format!("kept while objects refer to it: delete these first: {}", name_some(users));
        decisions.push(decide(RECONCILING, Reason::StillReferenced, message));
    }
    decisions
}

fn status(
    account: &CloudAccount,
    old: &CloudAccountStatus,
    connection: Option<&Connection>,
    listing: &Listing,
) -> CloudAccountStatus {
    let mut status = old.clone();
    if let (Some(connection), Some(tenancy)) = (connection, account.spec.tenancy()) {
        status.provider = Some(tenancy.provider().to_string());
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
