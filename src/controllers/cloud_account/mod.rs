//! The `CloudAccount` controller: proves that the credentials belong to the account, reports it, and keeps the account while
//! anything refers to it.

mod inventory;
mod secret;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};

use crate::accounts::connections::Connection;
use crate::api::CloudAccount;
use crate::api::cloud_account::{CloudAccountStatus, VerifiedCredentials};
use crate::api::conditions::{Decision, LISTED, READY, RECONCILING, Reason, STALLED, Truth, conditions, find};
use crate::cluster::events::EventReason;
use crate::cluster::guard::Guarded;
use crate::cluster::status::apply_status;
use crate::cluster::{ClusterError, finalizers};
use crate::domain::fault::Recovery;
use crate::planning::duplicates::doubt;
use crate::planning::grace::grace_left;
use crate::planning::problem::{Problem, name_some};
use crate::planning::unreadable::names_account;
use crate::reconcile::Outcome;
use crate::reconcile::ReconcileError;
use crate::reconcile::ReconcileOutcome;
use crate::reconcile::admission::Worker;
use crate::reconcile::context::Context;
use crate::reconcile::convert::accounts_named;
use crate::reconcile::convert::{owner, requested_at};
use crate::reconcile::object_state::Listing;
use crate::reconcile::requeue::{overtaken, release, wait_for_newer};
use crate::reconcile::unreadable;

/// Reconciles one account.
pub async fn reconcile(
    guarded: Arc<Guarded<CloudAccount>>,
    ctx: Arc<Context>,
    worker: Worker<Guarded<CloudAccount>>,
) -> Result<ReconcileOutcome, ReconcileError> {
    let account = match guarded.as_ref() {
        Guarded::Readable(account) => account.as_ref(),
        Guarded::Unreadable(left) => {
            let users = users(guarded.as_ref(), &ctx);
            if left.metadata.deletion_timestamp.is_some() && users.is_empty() {
                let written =
                    left.status.get("heldSecrets").and_then(serde_json::Value::as_array).into_iter().flatten();
                secret::release_all(&ctx, guarded.as_ref(), written.filter_map(serde_json::Value::as_str)).await?;
                ctx.connections.forget(&guarded.uid().unwrap_or_default());
            }
            let kept_by = (!users.is_empty()).then(|| format!("these objects still refer to it: {}", name_some(users)));
            return unreadable::reconcile(&ctx, &guarded, left, kept_by.as_deref()).await;
        }
    };
    match look(account, &ctx, worker).await {
        Ok(look) => Ok(look),
        Err(error) if error.is_conflict() => Ok(overtaken(&ctx, account)),
        Err(error) => Err(error.into()),
    }
}

async fn look(
    account: &CloudAccount,
    ctx: &Context,
    worker: Worker<Guarded<CloudAccount>>,
) -> Result<ReconcileOutcome, ClusterError> {
    if let Some(instead) = wait_for_newer(ctx, account).await? {
        return Ok(instead);
    }
    let deleting = account.metadata.deletion_timestamp.is_some();
    if !finalizers::is_held(account) {
        if !deleting {
            finalizers::hold(&ctx.client, account).await?;
        }
        return Ok(ReconcileOutcome::new(Outcome::Idle, Action::await_change()));
    }
    let users = if deleting { users(account, ctx) } else { Vec::new() };
    let users: Vec<String> = planted!(
        "account-leaves-first",
        users,
        users.into_iter().filter(|user| !user.starts_with("CloudImage ")).collect()
    );
    if deleting && users.is_empty() {
        let written = account.status.iter().flat_map(|status| &status.held_secrets);
        secret::release_all(ctx, account, written.map(String::as_str)).await?;
        release(ctx, account).await?;
        ctx.connections.forget(&account.uid().unwrap_or_default());
        ctx.states.forget(&account.uid().unwrap_or_default());
        return Ok(ReconcileOutcome::new(Outcome::Gone, Action::await_change()));
    }
    let old = account.status.clone().unwrap_or_default();
    let asked = requested_at(account).filter(|asked| old.last_handled_reconcile_at.as_ref() != Some(asked));
    // Each account has one such reconcile that calls its cloud, and no other reconcile waits for it.
    drop(worker);
    let state = ctx.connections.state(account, asked.is_some()).await;
    let connection = state.connection.as_ref();
    let held = secret::tend(ctx, account, &old.held_secrets, state.secret).await?;
    let kept_by = deleting.then_some(users.as_slice());
    let mut decisions = decisions(account, connection.map(|_| ()), kept_by, ctx.clock.now());
    let listing = match connection {
        Ok(connection) if !deleting => inventory::take_stock(ctx, account, connection, asked.is_some()).await,
        _ => Listing::default(),
    };
    decisions.extend(listing.decision.clone().or_else(|| kept(&old)));
    let mut status = status(account, &old, connection.ok(), &listing, decisions, ctx.clock.now());
    status.credentials = credentials(&old, connection.ok().and(state.verified.as_ref()));
    status.held_secrets.clone_from(&held.names);
    prove(account, connection.map(|_| ()), &mut status, ctx);
    if account.status.as_ref() != Some(&status) {
        apply_status(&ctx.client, account, &account.resource_version().unwrap_or_default(), &status).await?;
    }
    ctx.states.listing_is_told(&account.uid().unwrap_or_default());
    held.put_on(ctx, account).await?;
    tell(ctx, account, (&old, &status), connection.err());
    let wait = pause(connection.err(), ctx).min(until_doubted(&status, ctx));
    let outcome = match connection.err().map(|problem| problem.recovery) {
        None => Outcome::Settled,
        Some(Recovery::Blocked) => Outcome::Blocked,
        Some(Recovery::Retry { .. }) => Outcome::Retrying,
    };
    let wait = [listing.next_reconcile, held.next_reconcile].into_iter().flatten().fold(wait, Duration::min);
    Ok(ReconcileOutcome::new(outcome, Action::requeue(wait)))
}

/// The credentials in force. Those of a Secret that did not change keep the time at which the cloud accepted them first.
fn credentials(old: &CloudAccountStatus, verified: Option<&(String, Timestamp)>) -> Option<VerifiedCredentials> {
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
fn tell(
    ctx: &Context,
    account: &CloudAccount,
    (old, new): (&CloudAccountStatus, &CloudAccountStatus),
    problem: Option<&Problem>,
) {
    if old.credentials.is_some() && old.credentials != new.credentials {
        let note = "the cloud accepts the credentials that the Secret holds now, and they are in force".to_owned();
        ctx.events.publish(account, EventReason::CredentialsVerified, note);
    }
    let blocked = |status: &CloudAccountStatus| {
        let reconciling = find(&status.conditions, RECONCILING)?.clone();
        (reconciling.reason == Reason::StillReferenced.as_str()).then_some(reconciling.message)
    };
    if let Some(note) = blocked(new).filter(|_| blocked(old).is_none()) {
        ctx.events.publish(account, EventReason::DeletionBlocked, note);
    }
    let Some(problem) = problem else { return };
    let event_reason = match problem.reason {
        Reason::CredentialsRejected => EventReason::CredentialsRejected,
        Reason::SecretDeleting => EventReason::SecretDeleting,
        _ => return,
    };
    if find(&old.conditions, READY).is_none_or(|ready| ready.reason != problem.reason.as_str()) {
        ctx.events.publish(account, event_reason, problem.message.clone());
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
    let (namespace, name) = (account.namespace(), account.name_any());
    let images = ctx.stores.images.state_filter(|image| {
        image.namespace() == namespace && refers(image, &name, |image| image.spec.account_ref.name == name)
    });
    let acceptances = ctx.stores.acceptances.state_filter(|acceptance| {
        acceptance.namespace() == namespace && refers(acceptance, &name, |found| found.spec.account_ref.name == name)
    });
    let replicas = ctx.stores.replicas.state_filter(|replica| {
        replica.namespace() == namespace && refers(replica, &name, |found| accounts_named(found, None).contains(&name))
    });
    let replicas = replicas.iter().map(|replica| format!("ImageReplica {}", replica.name_any()));
    let images = images.iter().map(|image| format!("CloudImage {}", image.name_any()));
    let acceptances = acceptances.iter().map(|found| format!("SharedImageAcceptance {}", found.name_any()));
    let mut users: Vec<String> = images.chain(acceptances).chain(replicas).collect();
    users.sort();
    users
}

/// Whether an object of the account's namespace names the account, as far as the object can be parsed.
fn refers<K>(object: &Guarded<K>, account: &str, readable: impl Fn(&K) -> bool) -> bool {
    match object {
        Guarded::Readable(object) => readable(object),
        Guarded::Unreadable(left) => names_account(&left.spec, &left.status, account),
    }
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

fn decisions(
    account: &CloudAccount,
    connection: Result<(), &Problem>,
    kept_by: Option<&[String]>,
    now: Timestamp,
) -> Vec<Decision> {
    let decide = |kind, truth, reason, message: &str| Decision { kind, truth, reason, message: message.to_owned() };
    let mut decisions = Vec::new();
    match connection {
        Ok(()) if kept_by.is_some() => {}
        Ok(()) if account.spec.suspend => {
            let message = "spec.suspend: nothing is granted, revoked, answered, copied or deleted through this account; \
                           everything granted stays";
            decisions.push(decide(READY, Truth::False, Reason::Suspended, message));
        }
        Ok(()) => {
            let message = "the credentials belong to the account and it can be used";
            decisions.push(decide(READY, Truth::True, Reason::Verified, message));
        }
        Err(problem) => {
            decisions.push(decide(READY, problem.truth(), problem.reason, &problem.message));
            let created = account.metadata.creation_timestamp.as_ref().map(|time| time.0);
            let waits = grace_left(problem.reason, created, now).is_some();
            let kind = if problem.recovery == Recovery::Blocked && !waits { STALLED } else { RECONCILING };
            decisions.push(decide(kind, Truth::True, problem.reason, &problem.message));
        }
    }
    if let Some(users) = kept_by {
        decisions.retain(|decision| decision.kind == READY);
        let message = format!("still referenced; delete these first: {}", name_some(users));
        if decisions.is_empty() {
            decisions.push(decide(
                READY,
                Truth::False,
                Reason::StillReferenced,
                &format!("the deletion waits: {message}"),
            ));
        }
        decisions.push(decide(RECONCILING, Truth::True, Reason::StillReferenced, &message));
    }
    decisions
}

fn status(
    account: &CloudAccount,
    old: &CloudAccountStatus,
    connection: Option<&Connection>,
    listing: &Listing,
    decisions: Vec<Decision>,
    now: Timestamp,
) -> CloudAccountStatus {
    let generation = account.metadata.generation;
    let mut status = CloudAccountStatus {
        observed_generation: generation,
        last_handled_reconcile_at: requested_at(account).or_else(|| old.last_handled_reconcile_at.clone()),
        conditions: conditions(&old.conditions, decisions, generation, now),
        ..old.clone()
    };
    if let (Some(connection), Some(tenancy)) = (connection, account.spec.tenancy()) {
        status.provider = Some(tenancy.provider().to_string());
        status.account = Some(tenancy.account_id().to_owned());
        status.regions = connection.regions.iter().take(200).map(ToString::to_string).collect();
    }
    if account.spec.inventory.is_none() {
        (status.received, status.pending) = (None, None);
        status.conditions.retain(|condition| condition.type_ != LISTED);
    } else if let Some((received, pending)) = &listing.counts {
        (status.received, status.pending) = (Some(received.clone()), Some(*pending));
    }
    status
}
