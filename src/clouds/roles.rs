//! The keys that sign an account's calls: lasting ones, or temporary ones of a role. Temporary keys are held in memory alone. One
//! request for them runs at a time; calls use the last ones until these expire, also where they cannot be renewed.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio::sync::Mutex as AsyncMutex;

use super::Fault;
use super::clock::Clock;
use crate::domain::fault::{AskedBy, Refusal, RoleRefused};
use crate::domain::role::SESSION_SECONDS;

/// Which part of their life keys have lived when they are renewed, in percent; the jitter keeps accounts that began together apart.
const RENEWED_AT: f64 = 80.0;
const JITTER: f64 = 5.0;
/// Which part they have lived when they are not used any more, in percent: a call takes some seconds.
const USED_UNTIL: f64 = 97.0;

/// How long calls share the fault of a request for keys.
const FAULT_SHARED: SignedDuration = SignedDuration::from_secs(2);
/// Bounds of the pause after a renewal that failed: a twentieth of the time left for it.
const PAUSE_MIN: SignedDuration = SignedDuration::from_secs(1);
const PAUSE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// A source of tokens of one `ServiceAccount`.
#[async_trait]
pub trait IdentityTokens: Send + Sync {
    /// A new token.
    async fn token(&self) -> Result<SecretString, Fault>;
}

/// A role to assume with keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// The name of the session.
    pub session: String,
    /// What the role's trust policy may demand to be told.
    pub external_id: Option<String>,
}

/// A role to assume with a token of a `ServiceAccount`.
#[derive(Clone)]
pub struct TokenRole {
    /// Its ARN.
    pub arn: String,
    /// The name of the session.
    pub session: String,
    /// The ARN of the cluster's OIDC provider, where the cloud asks for it.
    pub oidc_provider: Option<String>,
    /// The subject of the tokens.
    pub subject: String,
    /// Their audience.
    pub audience: String,
    /// Where they come from.
    pub tokens: Arc<dyn IdentityTokens>,
}

impl fmt::Debug for TokenRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRole").field("arn", &self.arn).field("subject", &self.subject).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
enum First<C> {
    Keys(C),
    Token(TokenRole),
}

/// Where the keys that sign an account's calls come from.
#[derive(Debug, Clone)]
pub struct KeySource<C> {
    first: First<C>,
    role: Option<Role>,
}

impl<C> From<C> for KeySource<C> {
    fn from(keys: C) -> Self {
        Self { first: First::Keys(keys), role: None }
    }
}

impl<C> KeySource<C> {
    /// Keys of a role, for a token of a `ServiceAccount`.
    pub fn of_token(role: TokenRole) -> Self {
        Self { first: First::Token(role), role: None }
    }

    /// The keys of this role, which the keys of this source assume.
    #[must_use]
    pub fn assuming(self, role: Option<Role>) -> Self {
        Self { role, ..self }
    }

    fn is_lasting(&self) -> bool {
        matches!(self.first, First::Keys(_)) && self.role.is_none()
    }
}

/// Temporary keys, as the cloud gave them.
#[derive(Debug)]
pub(super) struct Granted<C> {
    /// The keys.
    pub(super) credentials: C,
    /// How long they live from the request on, by this machine's clock.
    pub(super) life: SignedDuration,
}

impl<C> Granted<C> {
    /// Keys that the cloud gave at `now` until `expires`. The vendor's clock may be minutes off: no keys live longer than they were
    /// asked for. `Unintelligible`: they have expired.
    pub(super) fn until(credentials: C, expires: Timestamp, now: Timestamp) -> Result<Self, Fault> {
        let life = expires.duration_since(now).min(SignedDuration::from_secs(SESSION_SECONDS.into()));
        if life.is_positive() { Ok(Self { credentials, life }) } else { Err(Fault::Unintelligible) }
    }
}

/// The vendor's calls that give keys.
pub(super) trait Exchange<C>: Sync {
    /// The keys of a role, for other keys.
    fn by_keys(&self, keys: &C, role: &Role) -> impl Future<Output = Result<Granted<C>, Fault>> + Send;

    /// The keys of a role, for a token.
    fn by_token(
        &self,
        role: &TokenRole,
        token: &SecretString,
    ) -> impl Future<Output = Result<Granted<C>, Fault>> + Send;

    /// The ARN of whoever has these keys, if the cloud tells it.
    fn identity_of(&self, keys: &C) -> impl Future<Output = Option<String>> + Send;
}

/// Keys in force. `Debug` shows what that of the credentials shows.
#[derive(Debug)]
pub(super) struct Held<C> {
    /// The keys.
    pub(super) credentials: C,
    /// The request that returned them.
    number: u64,
    renewed_at: Timestamp,
    used_until: Timestamp,
}

/// What the requests for keys brought.
#[derive(Debug, Default)]
struct Flight {
    /// Why the last request failed, and when.
    failed: Option<(Fault, Timestamp)>,
}

/// The keys of one account.
#[derive(Debug)]
pub(super) struct KeyRing<C> {
    source: KeySource<C>,
    held: Mutex<Option<Arc<Held<C>>>>,
    flight: AsyncMutex<Flight>,
    /// Number of finished requests.
    requests: AtomicU64,
}

impl<C: Clone + Send + Sync> KeyRing<C> {
    pub(super) fn new(source: KeySource<C>) -> Self {
        let lasting = match (&source.first, &source.role) {
            (First::Keys(keys), None) => Some(Arc::new(Held {
                credentials: keys.clone(),
                number: 0,
                renewed_at: Timestamp::MAX,
                used_until: Timestamp::MAX,
            })),
            _ => None,
        };
        Self { source, held: Mutex::new(lasting), flight: AsyncMutex::default(), requests: AtomicU64::new(0) }
    }

    /// The keys to sign a call with. Requests them if there are none in force, and renews those that are due.
    pub(super) async fn keys(&self, cloud: &impl Exchange<C>, clock: &dyn Clock) -> Result<Arc<Held<C>>, Fault> {
        match self.held(clock.now()) {
            Some(held) if clock.now() < held.renewed_at => Ok(held),
            Some(held) => Ok(self.renewed(cloud, clock).await.unwrap_or(held)),
            None => self.requested(cloud, clock).await,
        }
    }

    /// Withdraws keys that the cloud refused, unless there are other ones by now. Whether the call may be repeated with others.
    pub(super) fn withdraw(&self, refused: &Held<C>) -> bool {
        if self.source.is_lasting() {
            return false;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.take_if(|held| held.number == refused.number);
        true
    }

    fn held(&self, now: Timestamp) -> Option<Arc<Held<C>>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|held| now < held.used_until).map(Arc::clone)
    }

    /// Newer keys, while those in force can be used. One caller requests them and nobody waits for it.
    async fn renewed(&self, cloud: &impl Exchange<C>, clock: &dyn Clock) -> Option<Arc<Held<C>>> {
        let mut flight = self.flight.try_lock().ok()?;
        let held = self.held(clock.now())?;
        if clock.now() < held.renewed_at {
            return Some(held);
        }
        let pause = (held.used_until.duration_since(held.renewed_at) / 20).clamp(PAUSE_MIN, PAUSE_MAX);
        if flight.failed.as_ref().is_some_and(|(_, at)| clock.now().duration_since(*at) < pause) {
            return None;
        }
        let answer = self.request(&mut flight, cloud, clock).await;
        if let Err(fault) = &answer {
            tracing::debug!(%fault, "temporary keys cannot be renewed; the last ones stay in force until they expire");
        }
        answer.ok()
    }

    /// New keys, where there are none in force. Callers that waited for a request take its result.
    async fn requested(&self, cloud: &impl Exchange<C>, clock: &dyn Clock) -> Result<Arc<Held<C>>, Fault> {
        let before = self.requests.load(Ordering::SeqCst);
        let mut flight = self.flight.lock().await;
        if let Some(held) = self.held(clock.now()) {
            return Ok(held);
        }
        let waited = self.requests.load(Ordering::SeqCst) > before;
        match &flight.failed {
            Some((fault, at)) if waited || clock.now().duration_since(*at) < FAULT_SHARED => Err(fault.clone()),
            _ => self.request(&mut flight, cloud, clock).await,
        }
    }

    async fn request(
        &self,
        flight: &mut Flight,
        cloud: &impl Exchange<C>,
        clock: &dyn Clock,
    ) -> Result<Arc<Held<C>>, Fault> {
        let begun = clock.now();
        let granted = match self.obtain(cloud).await {
            // The wait of one call for the budget says nothing about the next call.
            Err(fault @ Fault::BudgetSpent { .. }) => return Err(fault),
            granted => granted,
        };
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        match granted {
            Ok(Granted { credentials, life }) => {
                *flight = Flight::default();
                let after =
                    |percent: f64| begun.saturating_add(life.mul_f64(percent / 100.0)).unwrap_or(Timestamp::MAX);
                let renewed_at = after(RENEWED_AT - JITTER * rand::random::<f64>());
                let held = Arc::new(Held { credentials, number, renewed_at, used_until: after(USED_UNTIL) });
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&held));
                Ok(held)
            }
            Err(fault) => {
                flight.failed = Some((fault.clone(), clock.now()));
                Err(fault)
            }
        }
    }

    async fn obtain(&self, cloud: &impl Exchange<C>) -> Result<Granted<C>, Fault> {
        let (keys, granted) = match &self.source.first {
            First::Keys(keys) => (keys.clone(), None),
            First::Token(role) => {
                let token = role.tokens.token().await?;
                let granted = cloud.by_token(role, &token).await.map_err(|fault| refused_token(fault, role))?;
                (granted.credentials.clone(), Some(granted))
            }
        };
        let Some(role) = &self.source.role else { return granted.ok_or(Fault::Unintelligible) };
        match cloud.by_keys(&keys, role).await {
            Err(fault) if is_refusal(&fault) => {
                let identity = cloud.identity_of(&keys).await;
                let asked_by = AskedBy::Keys { identity, external_id: role.external_id.clone() };
                Err(refused(&fault, &role.arn, asked_by))
            }
            granted => granted,
        }
    }
}

/// Longest ARN shown, in characters.
const ARN_CHARS_MAX: usize = 300;

/// An ARN as a cloud tells it, if it is of a form that can be shown.
pub(super) fn printable_arn(text: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
    ((1..=ARN_CHARS_MAX).contains(&text.len()) && text.chars().all(fits)).then(|| text.to_owned())
}

/// Whether the cloud refuses to give a role's keys to whoever asks.
fn is_refusal(fault: &Fault) -> bool {
    matches!(fault, Fault::Forbidden { .. } | Fault::Refused { refusal: Refusal::Unknown, .. })
}

fn refused(fault: &Fault, role: &str, asked_by: AskedBy) -> Fault {
    let code = fault.code().unwrap_or_default().to_owned();
    Fault::RoleRefused(Box::new(RoleRefused { role: role.to_owned(), code, asked_by }))
}

/// A token has no other fault than that the cloud does not accept it for the role.
fn refused_token(fault: Fault, role: &TokenRole) -> Fault {
    if !is_refusal(&fault) && !matches!(fault, Fault::Unauthenticated { .. }) {
        return fault;
    }
    let asked_by = AskedBy::ServiceAccount { subject: role.subject.clone(), audience: role.audience.clone() };
    refused(&fault, &role.arn, asked_by)
}
