//! Keeps the Secret of an account while the operator may need its key to end access. `planning::secret` decides what to do;
//! the status records the Secrets to hold first, so that the operator releases each one day.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use super::users;
use crate::accounts::connections::SecretSeen;
use crate::api::CloudAccount;
use crate::api::cloud_account::Tenancy;
use crate::cluster::credentials::{hold_secret, release_secret};
use crate::cluster::guard::Guarded;
use crate::cluster::{ClusterError, finalizers};
use crate::planning::secret::{ObservedSecret, SecretStep, decide};
use crate::reconcile::context::Context;

/// How much later than a Secret's deletion the operator observes that of its namespace.
const GRACE: SignedDuration = SignedDuration::from_secs(5);

/// The same for the deletion of accounts, where the operator cannot read namespaces: Kubernetes deletes kind by kind.
const GRACE_WITHOUT_NAMESPACES: SignedDuration = SignedDuration::from_secs(30);

/// The Secrets held for an account.
#[derive(Default)]
pub(super) struct Held {
    /// The names that the status must record before the finalizer is set.
    pub(super) names: Vec<String>,
    /// The Secret to put the finalizer on.
    hold: Option<String>,
    /// When to reconcile again.
    pub(super) next_reconcile: Option<Duration>,
}

/// Decides about the Secret that the account names, and releases those it does not need any more.
pub(super) async fn tend(
    ctx: &Context,
    account: &CloudAccount,
    written: &[String],
    seen: Option<SecretSeen>,
) -> Result<Held, ClusterError> {
    let mut names: BTreeSet<String> = written.iter().cloned().collect();
    let current = name_of(account);
    for former in written.iter().filter(|name| **name != current) {
        release_unneeded(ctx, account, former).await?;
        names.remove(former);
    }
    let mut held = Held::default();
    // An account without a Secret has none to keep.
    if let Some(seen) = seen {
        let observed = ObservedSecret {
            held: seen.held,
            deleting_since: seen.deleting_since,
            going_with_others: is_namespace_deleting(ctx, account)
                || accounts_naming(ctx, account, &current).any(|one| is_deleting(&one)),
        };
        let grace = if ctx.scope.sees_namespaces() { GRACE } else { GRACE_WITHOUT_NAMESPACES };
        let now = ctx.clock.now();
        match decide(ctx.settings.secrets, observed, grace, now) {
            // Another account may have set the finalizer, and may leave it to this one.
            SecretStep::Leave if seen.held => drop(names.insert(current)),
            SecretStep::Leave => {}
            SecretStep::Hold => {
                names.insert(current.clone());
                held.hold = Some(current);
            }
            SecretStep::Release => {
                free(ctx, account, &current).await?;
                ctx.connections.secret_changed(account).await;
                names.remove(&current);
            }
            SecretStep::Await(until) => held.next_reconcile = Some(until.duration_since(now).unsigned_abs()),
        }
    }
    held.names = names.into_iter().collect();
    Ok(held)
}

impl Held {
    /// Sets the finalizer, once the status records it. An operator without the permission continues without the finalizer.
    pub(super) async fn put_on(&self, ctx: &Context, account: &CloudAccount) -> Result<(), ClusterError> {
        let Some(name) = &self.hold else { return Ok(()) };
        let held = hold_secret(&ctx.client, &account.namespace().unwrap_or_default(), name).await.map(drop);
        ctx.connections.secret_changed(account).await;
        let without = "the Secret cannot be held: where its namespace is deleted, access may be left at the cloud; grant patch \
                       on Secrets, or run with --secret-finalizer=off";
        unless_refused(held, account, name, without)
    }
}

/// Releases every Secret held for a deleting account.
pub(super) async fn release_all(
    ctx: &Context,
    account: &impl Resource,
    written: impl Iterator<Item = &str>,
) -> Result<(), ClusterError> {
    for name in written {
        release_unneeded(ctx, account, name).await?;
    }
    Ok(())
}

/// Releases a Secret, unless another account needs it. A deleting account that nothing refers to needs none: of two accounts
/// deleted at once, the later one observes this of the other.
async fn release_unneeded(ctx: &Context, account: &impl Resource, name: &str) -> Result<(), ClusterError> {
    let needs =
        |other: &CloudAccount| finalizers::is_held(other) && (!is_deleting(other) || !users(other, ctx).is_empty());
    let mut others = accounts_naming(ctx, account, name).filter(|other| other.uid() != account.uid());
    if others.any(|other| needs(&other)) || unreadable_holding(ctx, account, name) {
        return Ok(());
    }
    free(ctx, account, name).await
}

/// Removes the finalizer. Without the permission, the account still reconciles and can be deleted.
async fn free(ctx: &Context, account: &impl Resource, name: &str) -> Result<(), ClusterError> {
    let freed = release_secret(&ctx.client, &account.namespace().unwrap_or_default(), name).await;
    let left = "the finalizer imageshare.dev/credentials stays on the Secret and keeps it from being deleted: grant patch on \
                Secrets, or take it off by hand";
    unless_refused(freed, account, name, left)
}

/// Logs a write to a Secret that the API server refuses, and lets the reconcile continue.
fn unless_refused(
    written: Result<(), ClusterError>,
    account: &impl Resource,
    secret: &str,
    what_follows: &str,
) -> Result<(), ClusterError> {
    match written {
        Err(ClusterError::Api(kube::Error::Api(status))) if status.is_forbidden() || status.is_invalid() => {
            tracing::warn!(object.name = %account.name_any(), secret, error = status.message, "{what_follows}");
            Ok(())
        }
        other => other,
    }
}

fn name_of(account: &CloudAccount) -> String {
    account.spec.tenancy().and_then(Tenancy::secret_name).unwrap_or_default().to_owned()
}

/// All accounts of the namespace that name a Secret.
fn accounts_naming<K: Resource>(ctx: &Context, account: &K, name: &str) -> impl Iterator<Item = CloudAccount> + use<K> {
    let (namespace, name) = (account.namespace(), name.to_owned());
    let all = ctx.stores.accounts.state_filter(|other| other.namespace() == namespace);
    let readable = all.into_iter().filter_map(|other| other.readable().cloned());
    readable.filter(move |other| name_of(other) == name)
}

/// Whether another, unreadable account of the namespace recorded that it holds a Secret.
fn unreadable_holding(ctx: &Context, account: &impl Resource, name: &str) -> bool {
    let (namespace, uid) = (account.namespace(), account.uid());
    let holds = |other: &Guarded<CloudAccount>| {
        let Guarded::Unreadable(left) = other else { return false };
        let held = left.status.get("heldSecrets").and_then(serde_json::Value::as_array);
        held.into_iter().flatten().any(|held| held == name)
            && left.metadata.namespace == namespace
            && left.metadata.uid != uid
    };
    ctx.stores.accounts.find(|other| holds(other)).is_some()
}

fn is_deleting(account: &CloudAccount) -> bool {
    account.metadata.deletion_timestamp.is_some()
}

fn is_namespace_deleting(ctx: &Context, account: &CloudAccount) -> bool {
    let found = ctx.stores.namespaces.get(&ObjectRef::new(&account.namespace().unwrap_or_default()));
    found.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
}
