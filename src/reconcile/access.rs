//! From an object to its account and the account's cloud client: the checks of every kind before any call.

use kube::ResourceExt;

use crate::accounts::connections::{AccountState, Connection};
use crate::api::CloudAccount;
use crate::api::cloud_account::Tenancy;
use crate::api::conditions::Reason;
use crate::clouds::Fault;
use crate::domain::identifiers::RegionId;
use crate::planning::duplicates::Owner;
use crate::planning::problem::Problem;
use crate::reconcile::context::Context;
use crate::reconcile::convert::owner;

/// Access to the cloud.
pub struct Access {
    /// The account's connection.
    pub connection: Connection,
    /// The owner of the region's images.
    pub owner: Owner,
    /// Set while the Secret is being deleted or is missing: the connection may then only end access.
    pub only_to_end: Option<Problem>,
}

/// Why an object has no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAccount {
    /// There is no account of that name.
    Missing,
    /// The account cannot be read.
    Unreadable,
}

impl NoAccount {
    /// The problem of an object whose `field` names the account.
    pub fn problem(self, field: &str, name: &str) -> Problem {
        let (reason, what) = match self {
            Self::Missing => (Reason::AccountNotFound, format!("there is no CloudAccount {name:?} here")),
            Self::Unreadable => {
                let mend = "mend the field that its conditions name";
                (Reason::Unreadable, format!("the operator cannot read CloudAccount {name:?}: {mend}"))
            }
        };
        Problem::blocked(reason, format!("{field}: {what}"))
    }
}

/// Tells the connection of an account of a fault, whose credentials may be the cause.
pub async fn note_fault(ctx: &Context, account: &Result<CloudAccount, NoAccount>, fault: &Fault) {
    if let Ok(account) = account {
        ctx.connections.note(account, fault).await;
    }
}

/// Whether the operator may call an account for an object that recorded `recorded` as its owner.
pub fn check_account(account: &CloudAccount, recorded: Option<&String>) -> Result<(), Problem> {
    let owner = owner(account);
    if let Some(recorded) = recorded.filter(|recorded| Owner::parse(recorded).account() != owner) {
        return Err(changed(recorded, &owner));
    }
    if account.spec.suspend {
        let message = format!(
            "CloudAccount {} is suspended (its spec.suspend): nothing is granted, revoked, answered or deleted",
            account.name_any()
        );
        return Err(Problem::blocked(Reason::Suspended, message));
    }
    Ok(())
}

fn changed(recorded: &str, owner: &str) -> Problem {
    let message = format!(
        "this object was recorded as one of {recorded}, but the CloudAccount is now {owner}: no cloud API calls are made; \
         restore the former CloudAccount and its projects, or delete this object once its shares are retained"
    );
    Problem::blocked(Reason::AccountChanged, message)
}

/// Whether the last keys may end access, though the account has no others: what they came from may have gone with its namespace.
fn ends_with_last_keys(reason: Reason) -> bool {
    matches!(reason, Reason::SecretNotFound | Reason::SecretDeleting | Reason::ServiceAccountNotFound)
}

/// The account's connection to a region that `field` names. The account must have the region, with the recorded owner.
pub async fn connect(
    ctx: &Context,
    account: &CloudAccount,
    (region, field): (&RegionId, &str),
    recorded: Option<&String>,
) -> Result<Access, Problem> {
    let AccountState { connection, last_known_good, .. } = ctx.connections.state(account, false).await;
    let (connection, only_to_end) = match (connection, last_known_good) {
        (Ok(connection), _) => (connection, None),
        (Err(problem), Some(good)) if ends_with_last_keys(problem.reason) => (good, Some(problem)),
        (Err(problem), _) => return Err(problem),
    };
    if !connection.regions.contains(region) {
        let name = account.name_any();
        let message = format!(
            "{field}: CloudAccount {name} has no region {region}: correct it, or have the region opened for the account"
        );
        return Err(Problem::blocked(Reason::RegionUnknown, message));
    }
    let whole = account.spec.tenancy().map(Tenancy::account_id);
    let project = connection.cloud.principal(region).filter(|principal| Some(principal.as_str()) != whole);
    let owner = Owner::new(owner(account), project.as_ref());
    if let Some(recorded) = recorded.filter(|recorded| !owner.is_recorded_as(recorded)) {
        return Err(changed(recorded, &owner.to_string()));
    }
    Ok(Access { connection, owner, only_to_end })
}
