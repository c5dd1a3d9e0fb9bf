//! The way from an object to the account it names and on to the cloud: what every kind checks before any call.

use kube::runtime::reflector::ObjectRef;

use super::connections::{Connection, Standing};
use super::context::Context;
use super::convert::owner;
use crate::api::CloudAccount;
use crate::api::conditions::Reason;
use crate::domain::identifiers::RegionId;
use crate::planning::trouble::Trouble;

/// A way to the cloud.
pub struct Access {
    /// The account's connection.
    pub connection: Connection,
    /// The Secret is gone: only endings are still carried out.
    pub only_to_end: Option<Trouble>,
}

/// The account an object names, from the cache.
pub fn account_of(ctx: &Context, namespace: &str, name: &str) -> Option<CloudAccount> {
    let found = ctx.stores.accounts.get(&ObjectRef::new(name).within(namespace))?;
    found.readable().cloned()
}

/// There is no such account.
pub fn no_account(name: &str) -> Trouble {
    Trouble::blocked(Reason::AccountNotFound, format!("spec.accountRef: there is no CloudAccount {name:?} here"))
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

/// The account's connection, to a region it has.
pub async fn connect(ctx: &Context, account: &CloudAccount, region: &RegionId) -> Result<Access, Trouble> {
    let Standing { connection, last_known_good } = ctx.connections.standing(account, false).await;
    let (connection, only_to_end) = match (connection, last_known_good) {
        (Ok(connection), _) => (connection, None),
        (Err(trouble), Some(good)) if trouble.reason == Reason::SecretNotFound => (good, Some(trouble)),
        (Err(trouble), _) => return Err(trouble),
    };
    if !connection.regions.contains(region) {
        let message = format!("spec.region: the account has no region {region}");
        return Err(Trouble::blocked(Reason::RegionUnknown, message));
    }
    Ok(Access { connection, only_to_end })
}
