//! One connection per `CloudAccount`: reads its Secret by name at an interval, proves that the credentials are the account's,
//! and opens one circuit when the cloud refuses them. Only this module turns a Secret into a client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use tokio::sync::Mutex as AsyncMutex;

use crate::accounts::clients::{client_for, missing_key};
use crate::api::CloudAccount;
use crate::api::cloud_account::Tenancy;
use crate::api::conditions::Reason;
use crate::clouds::connect::ClientContext;
use crate::clouds::endpoint_rule::AllowedEndpoints;
use crate::clouds::{Cloud, Fault};
use crate::cluster::credentials::{Keys, NoKeys, read_keys};
use crate::domain::fault::Recovery;
use crate::domain::identifiers::RegionId;
use crate::planning::problem::Problem;

/// How often the operator polls for a missing Secret: that costs no cloud calls.
const MISSING_SECRET_LOOK: SignedDuration = SignedDuration::from_secs(4);

/// The account's message while its Secret is being deleted.
const SECRET_DELETING: &str = "the account's Secret is being deleted: its key only ends access now; once it is gone, make it \
                               again with a valid key, or delete the CloudAccount";

/// Pause after two refusals in a row by a cloud that locks a key after a few wrong signatures in a row. Huawei: more than 5
/// lock it for 5 minutes (API gateway FAQ).
const LOCKING_PAUSE: SignedDuration = SignedDuration::from_mins(15);

/// An account that the operator can call.
#[derive(Clone)]
pub struct Connection {
    /// Its client.
    pub cloud: Arc<dyn Cloud>,
    /// Its regions, sorted.
    pub regions: Arc<[RegionId]>,
}

/// The state of an account.
#[derive(Clone)]
pub struct AccountState {
    /// The connection, or why there is none.
    pub connection: Result<Connection, Problem>,
    /// The last known good credentials, usable only to finish deletions while the Secret is being deleted or is missing.
    pub last_known_good: Option<Connection>,
    /// The Secret as last read; `None` if it was not read.
    pub secret: Option<SecretSeen>,
    /// The `resourceVersion` of the Secret whose credentials the cloud accepted last, and when.
    pub verified: Option<(String, Timestamp)>,
}

/// The state of a Secret besides its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretSeen {
    /// The Secret carries our finalizer.
    pub held: bool,
    /// Since when the Secret has been seen being deleted.
    pub deleting_since: Option<Timestamp>,
}

/// All connections of the process.
pub struct Connections {
    client: kube::Client,
    client_context: ClientContext,
    allowed: AllowedEndpoints,
    interval: SignedDuration,
    keep: SignedDuration,
    slots: Mutex<HashMap<String, Arc<AsyncMutex<Slot>>>>,
}

#[derive(Default)]
struct Slot {
    generation: Option<i64>,
    version: Option<String>,
    good: Option<Connection>,
    problem: Option<Problem>,
    /// When to read the Secret again.
    look_at: Option<Timestamp>,
    /// Until when the circuit stays open: no calls with the refused credentials.
    open_until: Option<Timestamp>,
    vanished: Option<Timestamp>,
    secret: Option<SecretSeen>,
    verified: Option<(String, Timestamp)>,
    failures: u32,
}

impl Slot {
    fn state(&self, keep: SignedDuration, now: Timestamp) -> AccountState {
        let going = self.secret.is_some_and(|secret| secret.deleting_since.is_some()) && self.problem.is_none();
        let fresh = going || self.vanished.is_some_and(|since| now.duration_since(since) < keep);
        let connection = match (&self.problem, &self.good) {
            (None, Some(_)) if going => Err(Problem::blocked(Reason::SecretDeleting, SECRET_DELETING)),
            (None, Some(good)) => Ok(good.clone()),
            (Some(problem), _) => Err(problem.clone()),
            (None, None) => {
                Err(Problem::passing(Reason::Pending, "waiting for the first reconcile of the CloudAccount"))
            }
        };
        let last_known_good = self.good.clone().filter(|_| fresh);
        AccountState { connection, last_known_good, secret: self.secret, verified: self.verified.clone() }
    }

    fn fail(&mut self, problem: Problem, pause: SignedDuration, now: Timestamp) {
        self.problem = Some(problem);
        self.open_until = now.checked_add(pause).ok();
    }
}

impl Connections {
    /// `interval`: how often the operator reads Secrets and retries refused keys. `keep`: how long the last known good
    /// credentials may finish deletions.
    pub fn new(
        client: kube::Client,
        client_context: ClientContext,
        allowed: AllowedEndpoints,
        interval: Duration,
        keep: Duration,
    ) -> Self {
        let signed = |d: Duration| SignedDuration::try_from(d).unwrap_or(SignedDuration::MAX);
        let (interval, keep) = (signed(interval), signed(keep));
        Self { client, client_context, allowed, interval, keep, slots: Mutex::default() }
    }

    /// The state of an account. Reads its Secret if that is due, or if `now_please`; one read at a time.
    pub async fn state(&self, account: &CloudAccount, now_please: bool) -> AccountState {
        let slot = self.slot(account);
        let mut slot = slot.lock().await;
        let now = self.client_context.clock.now();
        let changed = slot.generation != account.metadata.generation;
        let due = slot.look_at.is_none_or(|at| at <= now);
        if changed || due || now_please {
            self.look(&mut slot, account, changed, now).await;
            // An incomplete Secret is polled like a missing one, even if its content is unchanged.
            if slot.problem.as_ref().is_some_and(|problem| problem.reason == Reason::SecretNotFound) {
                slot.look_at = slot.look_at.min(now.checked_add(MISSING_SECRET_LOOK).ok());
            }
        }
        slot.state(self.keep, now)
    }

    /// Records a fault of a call: one that concerns the credentials opens the account's circuit for all callers.
    pub async fn note(&self, account: &CloudAccount, fault: &Fault) {
        if fault.closes_the_account() {
            let slot = self.slot(account);
            let mut slot = slot.lock().await;
            let now = self.client_context.clock.now();
            let problem = Problem::from(fault);
            // The cloud refuses concurrent calls together: only the first refusal counts.
            if slot.problem.is_none() {
                slot.failures = slot.failures.saturating_add(1);
            }
            let pause = self.pause_after(slot.failures, account, &problem);
            slot.fail(problem, pause, now);
        }
    }

    /// How long to pause after refused credentials: a little less than the interval, so that the next read retries them.
    fn circuit(&self) -> SignedDuration {
        self.interval * 17 / 20
    }

    /// How long to pause calls to an account after this many failed attempts in a row.
    fn pause_after(&self, failures: u32, account: &CloudAccount, problem: &Problem) -> SignedDuration {
        let rejected = problem.reason == Reason::CredentialsRejected;
        match problem.recovery {
            Recovery::Blocked if rejected && locks_keys(account) && failures > 1 => LOCKING_PAUSE,
            Recovery::Blocked => self.circuit(),
            Recovery::Retry { .. } => {
                SignedDuration::from_secs(1i64 << failures.min(5)).min(SignedDuration::from_secs(30))
            }
        }
    }

    /// Makes the account's Secret due for a read after the operator wrote it.
    pub async fn secret_changed(&self, account: &CloudAccount) {
        self.slot(account).lock().await.look_at = None;
    }

    /// Forgets a deleted account.
    pub fn forget(&self, uid: &str) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    fn slot(&self, account: &CloudAccount) -> Arc<AsyncMutex<Slot>> {
        let uid = account.uid().unwrap_or_default();
        Arc::clone(self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(uid).or_default())
    }

    async fn look(&self, slot: &mut Slot, account: &CloudAccount, changed: bool, now: Timestamp) {
        slot.generation = account.metadata.generation;
        // A little sooner than the interval, so that a reconcile at every interval always finds it due.
        slot.look_at = now.checked_add(self.interval * 3 / 4).ok();
        if changed {
            slot.version = None;
        }
        let name = account.spec.tenancy().map_or("", Tenancy::secret_name);
        let keys = match read_keys(&self.client, &account.namespace().unwrap_or_default(), name).await {
            Ok(keys) => keys,
            Err(NoKeys::Unread(_)) if slot.good.is_some() && slot.problem.is_none() => {
                // The API server failed, not the account: keep the good connection until the next read.
                return;
            }
            Err(error) => return self.without_key(slot, account, &error, now),
        };
        slot.vanished = None;
        let since = slot.secret.and_then(|seen| seen.deleting_since).unwrap_or(now);
        slot.secret = Some(SecretSeen { held: keys.held, deleting_since: keys.deleting.then_some(since) });
        let open = slot.open_until.is_some_and(|until| now < until);
        if slot.version.as_deref() == Some(&keys.version) && (slot.problem.is_none() || open) {
            // After an unscheduled read, the next one is due when the pause ends, not an interval later.
            if slot.problem.is_some() {
                slot.look_at = slot.look_at.min(slot.open_until);
            } else if let Some((version, _)) = &mut slot.verified {
                *version = keys.resource_version;
            }
            return;
        }
        slot.version = Some(keys.version.clone());
        match self.prove(account, &keys).await {
            Ok(connection) => {
                slot.good = Some(connection);
                slot.verified = Some((keys.resource_version.clone(), now));
                slot.problem = None;
                slot.failures = 0;
                slot.open_until = None;
            }
            Err(problem) => {
                slot.failures = slot.failures.saturating_add(1);
                let pause = self.pause_after(slot.failures, account, &problem);
                // Retry a transient problem as soon as the pause ends.
                slot.look_at = slot.look_at.min(now.checked_add(pause).ok());
                slot.fail(problem, pause, now);
            }
        }
    }

    fn without_key(&self, slot: &mut Slot, account: &CloudAccount, error: &NoKeys, now: Timestamp) {
        let name = account.name_any();
        let problem = match error {
            NoKeys::NoSecret(_) | NoKeys::NoKey { .. } => match account.spec.tenancy() {
                Some(tenancy) => missing_key(&name, tenancy, error),
                None => Problem::blocked(Reason::Unreadable, "spec: exactly one provider must be given"),
            },
            NoKeys::Forbidden(secret) => {
                // An administrator who revokes the permission wants the key unused, even to end access.
                slot.good = None;
                let message = format!(
                    "CloudAccount {name}: the operator may not read Secret {secret:?}: grant its ServiceAccount get on it"
                );
                Problem::blocked(Reason::SecretForbidden, message)
            }
            NoKeys::Unread(_) => {
                Problem::passing(Reason::CloudUnavailable, format!("CloudAccount {name}: its Secret cannot be read"))
            }
        };
        slot.vanished.get_or_insert(now);
        (slot.version, slot.secret) = (None, None);
        slot.look_at = now.checked_add(self.interval.min(MISSING_SECRET_LOOK)).ok();
        slot.fail(problem, SignedDuration::ZERO, now);
    }

    /// Proves that the credentials are the account's and reads its regions: two calls.
    async fn prove(&self, account: &CloudAccount, keys: &Keys) -> Result<Connection, Problem> {
        let client_context = self.client_context.made_for(account.metadata.uid.as_deref().unwrap_or_default());
        let cloud = client_for(account, keys, &self.allowed, &client_context)?;
        let wanted = account.spec.tenancy().map_or("", Tenancy::account_id);
        let identity = cloud.identity().await.map_err(|fault| Problem::from(&fault))?;
        if planted!("key-of-another-account", identity.as_str() != wanted, false) {
            let message = format!(
                "the credentials belong to account {identity}, but the CloudAccount says {wanted}: correct the Secret \
                 or make a CloudAccount for that account"
            );
            return Err(Problem::blocked(Reason::CredentialsRejected, message));
        }
        let mut regions = cloud.regions().await.map_err(|fault| Problem::from(&fault))?;
        regions.sort();
        regions.dedup();
        Ok(Connection { cloud, regions: regions.into() })
    }
}

fn locks_keys(account: &CloudAccount) -> bool {
    account.spec.tenancy().is_some_and(|tenancy| tenancy.provider().rules().locks_keys)
}
