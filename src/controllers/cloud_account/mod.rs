//! The `CloudAccount` controller: proves that the credentials are the account's, says so, and keeps the account while
//! anything refers to it.

mod inventory;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;

use super::admission::Worker;
use super::connections::Connection;
use super::context::Context;
use super::convert::requested_at;
use super::image_replica::accounts_named;
use super::{Look, Outcome, ReconcileError};
use crate::api::CloudAccount;
use crate::api::cloud_account::CloudAccountStatus;
use crate::api::conditions::{Decision, LISTED, READY, RECONCILING, Reason, STALLED, Truth, conditions, find};
use crate::clouds::fault::Recovery;
use crate::cluster::events::Occurrence;
use crate::cluster::guard::Guarded;
use crate::cluster::status::apply_status;
use crate::cluster::{ClusterError, finalizers};
use crate::planning::trouble::{Trouble, name_some};
use inventory::Listing;

/// How soon to look again after a write that somebody else's write overtook.
const SOON: Duration = Duration::from_millis(200);

/// One look at one account.
pub async fn reconcile(
    guarded: Arc<Guarded<CloudAccount>>,
    ctx: Arc<Context>,
    worker: Worker<Guarded<CloudAccount>>,
) -> Result<Look, ReconcileError> {
    let Some(account) = guarded.readable() else {
        tracing::warn!(object.name = %guarded.name_any(), "a CloudAccount cannot be read and is left alone");
        return Ok(Look::new(Outcome::Idle, Action::await_change()));
    };
    match look(account, &ctx, worker).await {
        Ok(look) => Ok(look),
        Err(error) if error.is_conflict() => Ok(Look::new(Outcome::Retrying, Action::requeue(SOON))),
        Err(error) => Err(error.into()),
    }
}

async fn look(
    account: &CloudAccount,
    ctx: &Context,
    worker: Worker<Guarded<CloudAccount>>,
) -> Result<Look, ClusterError> {
    let leaving = account.metadata.deletion_timestamp.is_some();
    if !finalizers::is_held(account) {
        if !leaving {
            finalizers::hold(&ctx.client, account).await?;
        }
        return Ok(Look::new(Outcome::Idle, Action::await_change()));
    }
    let users = if leaving { users(account, ctx) } else { Vec::new() };
    if leaving && users.is_empty() {
        finalizers::release(&ctx.client, account).await?;
        ctx.connections.forget(&account.uid().unwrap_or_default());
        ctx.memories.forget(&account.uid().unwrap_or_default());
        return Ok(Look::new(Outcome::Gone, Action::await_change()));
    }
    let old = account.status.clone().unwrap_or_default();
    let asked = requested_at(account).filter(|asked| old.last_handled_reconcile_at.as_ref() != Some(asked));
    // One reconcile an account calls its cloud, and no other one waits for it.
    drop(worker);
    let standing = ctx.connections.standing(account, asked.is_some()).await;
    let connection = standing.connection.as_ref();
    let mut decisions = decisions(connection.map(|_| ()), leaving.then_some(users.as_slice()));
    let listing = match connection {
        Ok(connection) if !leaving => inventory::take_stock(ctx, account, connection, asked.is_some()).await,
        _ => Listing::default(),
    };
    decisions.extend(listing.decision.clone().or_else(|| kept(&old)));
    let status = status(account, &old, connection.ok(), &listing, decisions, ctx.clock.now());
    if account.status.as_ref() != Some(&status) {
        apply_status(&ctx.client, account, &account.resource_version().unwrap_or_default(), &status).await?;
    }
    let rejected = connection.err().filter(|trouble| trouble.reason == Reason::CredentialsRejected);
    let was = find(&old.conditions, READY).is_some_and(|ready| ready.reason == "CredentialsRejected");
    if let Some(trouble) = rejected.filter(|_| !was) {
        ctx.events.publish(account, Occurrence::CredentialsRejected, trouble.message.clone()).await;
    }
    let wait = pause(connection.err(), ctx);
    let outcome = match connection.err().map(|trouble| trouble.recovery) {
        None => Outcome::Settled,
        Some(Recovery::Blocked) => Outcome::Blocked,
        Some(Recovery::Retry { .. }) => Outcome::Retrying,
    };
    Ok(Look::new(outcome, Action::requeue(listing.next_look.map_or(wait, |next| next.min(wait)))))
}

/// What was told of the inventory when it was last listed, where it was not listed now.
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
fn users(account: &CloudAccount, ctx: &Context) -> Vec<String> {
    let (namespace, name) = (account.namespace(), account.name_any());
    let images = ctx.stores.images.state_filter(|image| {
        image.namespace() == namespace && image.readable().is_none_or(|image| image.spec.account_ref.name == name)
    });
    let acceptances = ctx.stores.acceptances.state_filter(|acceptance| {
        acceptance.namespace() == namespace && acceptance.readable().is_none_or(|a| a.spec.account_ref.name == name)
    });
    let replicas = ctx.stores.replicas.state_filter(|replica| {
        replica.namespace() == namespace && replica.readable().is_none_or(|r| accounts_named(r, None).contains(&name))
    });
    let replicas = replicas.iter().map(|replica| format!("ImageReplica {}", replica.name_any()));
    let images = images.iter().map(|image| format!("CloudImage {}", image.name_any()));
    let acceptances = acceptances.iter().map(|found| format!("SharedImageAcceptance {}", found.name_any()));
    let mut users: Vec<String> = images.chain(acceptances).chain(replicas).collect();
    users.sort();
    users
}

fn pause(trouble: Option<&Trouble>, ctx: &Context) -> Duration {
    // Every look must find the Secret due, and none may come later than the interval promises.
    let interval = ctx.settings.credentials_interval.mul_f64(0.9);
    match trouble.map(|t| (t.reason, t.recovery)) {
        // A Secret that is not there yet is looked for often: it costs the cloud nothing.
        Some((Reason::SecretNotFound, _)) => interval.min(Duration::from_secs(5)),
        Some((_, Recovery::Retry { not_before })) => not_before.unwrap_or(Duration::from_secs(2)).min(interval),
        Some((_, Recovery::Blocked)) | None => interval,
    }
}

fn decisions(connection: Result<(), &Trouble>, kept_by: Option<&[String]>) -> Vec<Decision> {
    let decide = |kind, truth, reason, message: &str| Decision { kind, truth, reason, message: message.to_owned() };
    let mut decisions = Vec::new();
    match connection {
        Ok(()) => {
            let message = "the credentials belong to the account and it can be used";
            decisions.push(decide(READY, Truth::True, Reason::Verified, message));
        }
        Err(trouble) => {
            decisions.push(decide(READY, trouble.truth(), trouble.reason, &trouble.message));
            let kind = if trouble.recovery == Recovery::Blocked { STALLED } else { RECONCILING };
            decisions.push(decide(kind, Truth::True, trouble.reason, &trouble.message));
        }
    }
    if let Some(users) = kept_by {
        decisions.retain(|decision| decision.kind == READY);
        let message = format!("kept while objects refer to it: delete these first: {}", name_some(users));
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
