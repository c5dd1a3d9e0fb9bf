//! One connection per `CloudAccount`: reads its Secret by name at an interval, proves that the credentials are the account's,
//! and opens one circuit when the cloud refuses them. Only this module turns a Secret into a client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use tokio::sync::Mutex as AsyncMutex;

use crate::accounts::account_log::AccountLog;
use crate::accounts::clients::{also_suspect, client_for, missing_key};
use crate::accounts::roles::source_name;
use crate::api::CloudAccount;
use crate::api::cloud_account::Tenancy;
use crate::api::conditions::Reason;
use crate::clouds::connect::ClientContext;
use crate::clouds::endpoint_rule::AllowedEndpoints;
use crate::clouds::{Cloud, Fault};
use crate::cluster::credentials::{Keys, NoKeys, SecretState, read_keys, secret_state};
use crate::domain::fault::Recovery;
use crate::domain::identifiers::{PrincipalId, RegionId};
use crate::planning::problem::Problem;

/// When to read a Secret again that could not be read: the API server may be in trouble for a moment.
const UNREAD_PAUSE: SignedDuration = SignedDuration::from_secs(4);

/// Pauses after the second refusal in a row, the third and all later ones, where a few in a row lock a user or a key. Huawei: more
/// than 5 wrong signatures lock a key for 5 minutes (API gateway FAQ). Keystone locks users after as many wrong passwords as its
/// operator sets, half an hour by default (`lockout_duration`), and forgets the failures after that time.
const LOCKING_PAUSES: [SignedDuration; 3] =
    [SignedDuration::from_mins(5), SignedDuration::from_mins(15), SignedDuration::from_mins(60)];

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
    verify: SignedDuration,
    slots: Mutex<HashMap<String, Arc<AsyncMutex<Slot>>>>,
    /// The clients whose credentials were proven last, by the uid of the account.
    proven: Mutex<HashMap<String, Arc<dyn Cloud>>>,
}

#[derive(Default)]
struct Slot {
    log: Arc<AccountLog>,
    generation: Option<i64>,
    version: Option<String>,
    /// The Secret as it was read last.
    state: Option<SecretState>,
    good: Option<Connection>,
    /// When the credentials were proven last.
    proven_at: Option<Timestamp>,
    problem: Option<Problem>,
    /// When to read the Secret again.
    next_read: Option<Timestamp>,
    /// Until when the circuit stays open: no calls with the refused credentials.
    open_until: Option<Timestamp>,
    /// The Secret holds a password.
    password: bool,
    vanished: Option<Timestamp>,
    secret: Option<SecretSeen>,
    verified: Option<(String, Timestamp)>,
    failures: u32,
}

impl Slot {
    fn state(&self, account: &CloudAccount, keep: SignedDuration, now: Timestamp) -> AccountState {
        let going = self.secret.is_some_and(|secret| secret.deleting_since.is_some()) && self.problem.is_none();
        let fresh = going || self.vanished.is_some_and(|since| now.duration_since(since) < keep);
        let connection = match (&self.problem, &self.good) {
            (None, Some(_)) if going => Err(secret_deleting(account)),
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
    /// credentials may finish deletions. `verify`: how often it proves credentials again, and reads the account's regions.
    pub fn new(
        client: kube::Client,
        client_context: ClientContext,
        allowed: AllowedEndpoints,
        [interval, keep, verify]: [Duration; 3],
    ) -> Self {
        let signed = |d: Duration| SignedDuration::try_from(d).unwrap_or(SignedDuration::MAX);
        let [interval, keep, verify] = [interval, keep, verify].map(signed);
        let (slots, proven) = (Mutex::default(), Mutex::default());
        Self { client, client_context, allowed, interval, keep, verify, slots, proven }
    }

    /// The state of an account. Reads its Secret if that is due, or if `now_please`, which also proves the credentials again;
    /// one read at a time.
    pub async fn state(&self, account: &CloudAccount, now_please: bool) -> AccountState {
        let slot = self.slot(account);
        let mut slot = slot.lock().await;
        let now = self.client_context.clock.now();
        let changed = slot.generation != account.metadata.generation;
        let due = slot.next_read.is_none_or(|at| at <= now);
        if changed || due || now_please {
            self.refresh(&mut slot, account, (changed, now_please), now).await;
            slot.log.set(slot.problem.as_ref());
        }
        slot.state(account, self.keep, now)
    }

    /// As whom an account acts in a region, as far as proven credentials told.
    pub fn principal(&self, account: &CloudAccount, region: &RegionId) -> Option<PrincipalId> {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.get(account.metadata.uid.as_deref()?)?.principal(region)
    }

    /// Whether an account's Secret is another one than was read last; then it is due for a read. Tells each change once.
    pub async fn secret_has_changed(&self, account: &CloudAccount) -> bool {
        let Some(name) = account.spec.tenancy().and_then(Tenancy::secret_name) else { return false };
        let read = secret_state(&self.client, &account.namespace().unwrap_or_default(), name).await;
        // Whoever holds the slot reads the Secret.
        let slot = self.slot(account);
        let (Ok(state), Ok(mut slot)) = (read, slot.try_lock()) else { return false };
        let changed = slot.state.as_ref().is_some_and(|known| *known != state);
        if changed {
            (slot.state, slot.next_read) = (Some(state), None);
        }
        changed
    }

    /// Records a fault of a call: one that concerns the credentials opens the account's circuit for all callers.
    pub async fn note(&self, account: &CloudAccount, fault: &Fault) {
        if fault.closes_the_account() {
            let slot = self.slot(account);
            let mut slot = slot.lock().await;
            let now = self.client_context.clock.now();
            let problem = of_account(account, Problem::from(fault));
            // The cloud refuses concurrent calls together: only the first refusal counts.
            if slot.problem.is_none() {
                slot.failures = slot.failures.saturating_add(1);
            }
            let pause = self.pause_after(&slot, account, &problem);
            slot.fail(problem, pause, now);
            slot.log.set(slot.problem.as_ref());
        }
    }

    /// How long to pause after refused credentials: a little less than the interval, so that the next read retries them.
    fn circuit(&self) -> SignedDuration {
        self.interval * 17 / 20
    }

    /// How long to pause calls to an account after its failed attempts in a row.
    fn pause_after(&self, slot: &Slot, account: &CloudAccount, problem: &Problem) -> SignedDuration {
        let (failures, rejected) = (slot.failures, problem.reason == Reason::CredentialsRejected);
        let locks = slot.password || locks_keys(account);
        match problem.recovery {
            Recovery::Blocked if rejected && locks && failures > 1 => locking_pause(failures),
            Recovery::Blocked => self.circuit(),
            Recovery::Retry { .. } => {
                SignedDuration::from_secs(1i64 << failures.min(5)).min(SignedDuration::from_secs(30))
            }
        }
    }

    /// Makes the account's Secret due for a read after the operator wrote it.
    pub async fn secret_changed(&self, account: &CloudAccount) {
        self.slot(account).lock().await.next_read = None;
    }

    /// Forgets a deleted account.
    pub fn forget(&self, uid: &str) {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    fn slot(&self, account: &CloudAccount) -> Arc<AsyncMutex<Slot>> {
        let uid = account.uid().unwrap_or_default();
        let new = || {
            let name = format!("{}/{}", account.namespace().unwrap_or_default(), account.name_any());
            Arc::new(AsyncMutex::new(Slot { log: Arc::new(AccountLog::new(name)), ..Slot::default() }))
        };
        Arc::clone(self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(uid).or_insert_with(new))
    }

    async fn refresh(&self, slot: &mut Slot, account: &CloudAccount, (changed, asked): (bool, bool), now: Timestamp) {
        slot.generation = account.metadata.generation;
        // A little sooner than the interval, so that a reconcile at every interval always finds it due.
        slot.next_read = now.checked_add(self.interval * 3 / 4).ok();
        if changed {
            slot.version = None;
        }
        let keys = match self.secret_of(account).await {
            Ok(keys) => keys,
            Err(NoKeys::Unread(_)) if slot.good.is_some() && slot.problem.is_none() => {
                // The API server failed, not the account: keep the good connection until the next read.
                return;
            }
            Err(error) => return without_key(slot, account, &error, self.interval, now),
        };
        if keys.is_some() {
            slot.vanished = None;
        }
        let since = slot.secret.and_then(|seen| seen.deleting_since).unwrap_or(now);
        let seen = |keys: &Keys| SecretSeen { held: keys.held, deleting_since: keys.deleting.then_some(since) };
        slot.secret = keys.as_ref().map(seen);
        slot.state = keys.as_ref().map(|keys| keys.state.clone());
        // Without a Secret, only the account itself tells which credentials it has.
        let version = keys.as_ref().map_or_else(String::new, |keys| keys.version.clone());
        let open = slot.open_until.is_some_and(|until| now < until);
        let same = slot.version.as_deref() == Some(&version);
        let verified = slot.proven_at.is_some_and(|at| now.duration_since(at) < self.verify) && !asked;
        let nothing_to_try = if slot.problem.is_none() { verified } else { open };
        if same && nothing_to_try {
            // After an unscheduled read, the next one is due when the pause ends, not an interval later.
            if slot.problem.is_some() {
                slot.next_read = slot.next_read.min(slot.open_until);
            } else if let (Some((version, _)), Some(keys)) = (&mut slot.verified, &keys) {
                *version = keys.resource_version();
            }
            return;
        }
        let again = same && slot.problem.is_none();
        slot.version = Some(version);
        slot.password = keys.as_ref().is_some_and(|keys| keys.has("username"));
        match self.prove(account, keys.as_ref(), &slot.log).await {
            Ok(connection) => {
                let uid = account.uid().unwrap_or_default();
                let cloud = Arc::clone(&connection.cloud);
                self.proven.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, cloud);
                slot.good = Some(connection);
                slot.proven_at = Some(now);
                slot.verified = keys.map(|keys| (keys.resource_version(), now));
                slot.problem = None;
                slot.vanished = None;
                slot.failures = 0;
                slot.open_until = None;
            }
            // A cloud that has trouble says nothing about credentials that were good before: the next read asks again.
            Err(problem) if again && problem.recovery != Recovery::Blocked => {}
            Err(problem) => {
                slot.failures = slot.failures.saturating_add(1);
                // Kubernetes deletes a ServiceAccount with its namespace, as it does a Secret: the keys in force may end access.
                slot.vanished =
                    slot.vanished.or(Some(now)).filter(|_| problem.reason == Reason::ServiceAccountNotFound);
                let pause = self.pause_after(slot, account, &problem);
                // Retry a transient problem as soon as the pause ends.
                slot.next_read = slot.next_read.min(now.checked_add(pause).ok());
                slot.fail(problem, pause, now);
            }
        }
    }

    /// Reads the account's Secret; `None` if its credentials are in none.
    async fn secret_of(&self, account: &CloudAccount) -> Result<Option<Keys>, NoKeys> {
        let Some(tenancy) = account.spec.tenancy() else { return Ok(None) };
        let Some(name) = tenancy.secret_name() else { return Ok(None) };
        read_keys(&self.client, &account.namespace().unwrap_or_default(), name).await.map(Some)
    }

    /// Proves that the credentials are the account's and reads its regions: two calls, and those that give temporary keys.
    async fn prove(
        &self,
        account: &CloudAccount,
        keys: Option<&Keys>,
        log: &Arc<AccountLog>,
    ) -> Result<Connection, Problem> {
        let client_context = self.client_context.made_for(account.metadata.uid.as_deref().unwrap_or_default());
        let observer = log.observing(&client_context.observer);
        let client_context = client_context.with_observer(observer);
        let made = client_for(account, keys, &self.client, &self.allowed, &client_context);
        let cloud = made.map_err(|problem| of_account(account, problem))?;
        let wanted = account.spec.tenancy().map_or("", Tenancy::account_id);
        let problem = |fault: Fault| of_account(account, Problem::from(&fault));
        let identity = cloud.identity().await.map_err(problem)?;
        if planted!("key-of-another-account", identity.as_str() != wanted, false) {
            let verified = account.status.as_ref().is_some_and(|status| status.account.is_some());
            let remedy = if verified {
                "correct the Secret, or make a CloudAccount for that account"
            } else {
                "correct the Secret, or the account id in the spec"
            };
            let message =
                format!("the credentials belong to account {identity}, but the CloudAccount says {wanted}: {remedy}");
            return Err(of_account(account, Problem::blocked(Reason::CredentialsRejected, message)));
        }
        let mut regions = cloud.regions().await.map_err(problem)?;
        regions.sort();
        regions.dedup();
        Ok(Connection { cloud, regions: regions.into() })
    }
}

/// The pause after so many refusals in a row, where they lock a user or a key; at least two.
fn locking_pause(failures: u32) -> SignedDuration {
    let [.., longest] = LOCKING_PAUSES;
    let nth = usize::try_from(failures.saturating_sub(2)).unwrap_or(usize::MAX);
    LOCKING_PAUSES.get(nth).copied().unwrap_or(longest)
}

/// Records that the account's key could not be read. `interval`: how often Secrets are read.
fn without_key(slot: &mut Slot, account: &CloudAccount, error: &NoKeys, interval: SignedDuration, now: Timestamp) {
    let name = account.name_any();
    let problem = match error {
        NoKeys::NoSecret { .. } | NoKeys::NoKey { .. } => match account.spec.tenancy() {
            Some(tenancy) => missing_key(&name, tenancy, error),
            None => Problem::blocked(Reason::Unreadable, "spec: exactly one provider must be given"),
        },
        NoKeys::Forbidden(secret) => {
            // An administrator who revokes the permission wants the key unused, even to end access.
            slot.good = None;
            let namespace = account.namespace().unwrap_or_default();
            let message = format!(
                "CloudAccount {name}: the operator may not read Secret {secret:?} in namespace {namespace:?}: grant its \
                 ServiceAccount get on it"
            );
            Problem::blocked(Reason::SecretForbidden, message)
        }
        NoKeys::Unread(_) => {
            Problem::passing(Reason::CloudUnavailable, format!("CloudAccount {name}: its Secret cannot be read"))
        }
    };
    slot.vanished.get_or_insert(now);
    (slot.version, slot.secret) = (None, None);
    slot.state = match error {
        NoKeys::NoSecret { .. } => Some(SecretState::Missing),
        NoKeys::Forbidden(_) => Some(SecretState::Forbidden),
        NoKeys::NoKey { .. } | NoKeys::Unread(_) => None,
    };
    if slot.state.is_none() {
        slot.next_read = now.checked_add(interval.min(UNREAD_PAUSE)).ok();
    }
    slot.fail(problem, SignedDuration::ZERO, now);
}

/// A problem of an account's credentials, told with the names that a user needs to act on it.
fn of_account(account: &CloudAccount, problem: Problem) -> Problem {
    let (name, namespace) = (account.name_any(), account.namespace().unwrap_or_default());
    let message = match problem.reason {
        Reason::CredentialsRejected | Reason::PermissionDenied => {
            let also = account.spec.tenancy().and_then(also_suspect).unwrap_or_default();
            let source = source_name(account);
            format!("CloudAccount {name}, {source} in namespace {namespace:?}: {}{also}", problem.message)
        }
        Reason::AssumeRoleRefused | Reason::ServiceAccountNotFound | Reason::TokenRequestForbidden => {
            format!("CloudAccount {name}: {}", problem.message)
        }
        _ => return problem,
    };
    Problem { message, ..problem }
}

fn secret_deleting(account: &CloudAccount) -> Problem {
    let secret = account.spec.tenancy().and_then(Tenancy::secret_name).unwrap_or_default();
    let (name, namespace) = (account.name_any(), account.namespace().unwrap_or_default());
    let message = format!(
        "CloudAccount {name}: Secret {secret:?} in namespace {namespace:?} is being deleted: its key only ends access now; once it \
         is gone, make it again with a valid key, or delete the CloudAccount"
    );
    Problem::blocked(Reason::SecretDeleting, message)
}

fn locks_keys(account: &CloudAccount) -> bool {
    account.spec.tenancy().is_some_and(|tenancy| tenancy.provider().rules().locks_keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six wrong passwords, of which Keystone's usual limits lock a user at the earliest, take more than two hours.
    #[test]
    fn a_wrong_password_is_tried_after_pauses_that_grow_to_an_hour() {
        let minutes = [2, 3, 4, 5, u32::MAX].map(|failures| locking_pause(failures).as_mins());
        assert_eq!(minutes, [5, 15, 60, 60, 60]);
    }
}
