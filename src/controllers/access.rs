//! The way from an object to the account it names and on to the cloud: what every kind checks before any call.

use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};

use super::connections::{Connection, Standing};
use super::context::Context;
use super::convert::owner;
use super::index::Index;
use crate::api::conditions::Reason;
use crate::api::references::AccountRef;
use crate::api::{CloudAccount, CloudImage};
use crate::cluster::guard::Guarded;
use crate::domain::identifiers::RegionId;
use crate::planning::trouble::Trouble;

/// A way to the cloud.
pub struct Access {
    /// The account's connection.
    pub connection: Connection,
    /// The Secret is going or gone: only endings are still carried out.
    pub only_to_end: Option<Trouble>,
}

/// The account an object names, from the cache.
pub fn account_of(ctx: &Context, namespace: &str, name: &str) -> Option<CloudAccount> {
    let found = ctx.stores.accounts.get(&ObjectRef::new(name).within(namespace))?;
    found.readable().cloned()
}

/// The image an object names, from the cache.
pub fn image_of(ctx: &Context, namespace: &str, name: &str) -> Option<CloudImage> {
    let found = ctx.stores.images.get(&ObjectRef::new(name).within(namespace))?;
    found.readable().cloned()
}

/// The older object of the same kind that names the same thing at the cloud, of the same owner, if there is one: it acts,
/// this one does not. `key` and `account` tell what an object names and through which account.
pub fn elder<K: Resource<DynamicType = ()>>(
    ctx: &Context,
    (object, through): (&K, Option<&CloudAccount>),
    (index, store): (&Index<Guarded<K>>, &Store<Guarded<K>>),
    key: impl Fn(&K) -> String,
    account: impl Fn(&K) -> &AccountRef,
) -> Option<String>
where
    Guarded<K>: Clone,
{
    let owner_here = owner(through?);
    let age = |o: &K| (o.meta().creation_timestamp.as_ref().map(|t| t.0), o.uid());
    let (ours, here) = (age(object), key(object));
    let older_namesake = |other: &&K| {
        key(other) == here && other.uid() != object.uid() && age(other) < ours && {
            let account = account_of(ctx, &other.namespace().unwrap_or_default(), &account(other).name);
            account.is_some_and(|account| owner(&account) == owner_here)
        }
    };
    let found = index.find(&here, store);
    let elders = found.iter().filter_map(|other| other.readable()).filter(older_namesake);
    elders.map(|other| format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any())).min()
}

/// There is no such account, which `field` names.
pub fn no_account(field: &str, name: &str) -> Trouble {
    Trouble::blocked(Reason::AccountNotFound, format!("{field}: there is no CloudAccount {name:?} here"))
}

/// Whether an account may be called for an object that recorded its owner at the first contact.
pub fn check_account(account: &CloudAccount, recorded: Option<&String>) -> Result<(), Trouble> {
    let owner = owner(account);
    if let Some(recorded) = recorded.filter(|recorded| **recorded != owner) {
        let message = format!(
            "this object was recorded as one of {recorded}, but the CloudAccount is now {owner}: nothing is called; \
             restore the former CloudAccount, or delete this object once its shares are retained"
        );
        return Err(Trouble::blocked(Reason::AccountChanged, message));
    }
    if account.spec.suspend {
        let message = "the CloudAccount is suspended: nothing is granted, revoked, answered or deleted";
        return Err(Trouble::blocked(Reason::Suspended, message));
    }
    Ok(())
}

/// The account's connection, to a region it has and that `field` names.
pub async fn connect(ctx: &Context, account: &CloudAccount, region: &RegionId, field: &str) -> Result<Access, Trouble> {
    let Standing { connection, last_known_good, .. } = ctx.connections.standing(account, false).await;
    let (connection, only_to_end) = match (connection, last_known_good) {
        (Ok(connection), _) => (connection, None),
        (Err(trouble), Some(good)) if matches!(trouble.reason, Reason::SecretNotFound | Reason::SecretDeleting) => {
            (good, Some(trouble))
        }
        (Err(trouble), _) => return Err(trouble),
    };
    if !connection.regions.contains(region) {
        let message = format!("{field}: the account has no region {region}");
        return Err(Trouble::blocked(Reason::RegionUnknown, message));
    }
    Ok(Access { connection, only_to_end })
}
