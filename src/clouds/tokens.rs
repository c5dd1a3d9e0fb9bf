//! Tokens of one account, for clouds that give them for a password. All calls of a scope share a token until shortly before it
//! expires. One request runs at a time for a scope; calls that waited for it take its result, a fault included. A refused
//! password is not sent again before a growing pause ends, in no scope, since vendors lock users after a few wrong ones.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex as AsyncMutex;

use super::Fault;

/// Maximum scopes cached. Beyond it, the cache drops all tokens and requests them again.
const SCOPES_MAX: usize = 1024;

/// The first pause after a refused password; each further refusal doubles it.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// The longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(60);

/// One token. `Debug` shows what that of its value shows.
#[derive(Debug)]
pub(super) struct Token<T> {
    /// The request that returned it, counted for each scope.
    number: u64,
    /// When to request another one, by this machine's clock.
    renewed_at: Timestamp,
    /// What the cloud gave.
    pub(super) value: T,
}

/// Which token the call accepts.
#[derive(Debug)]
pub(super) enum Wanted<'a, T> {
    /// Any token not yet due for renewal.
    Valid,
    /// Any token newer than this refused one.
    OtherThan(&'a Token<T>),
    /// A token requested from now on: it proves that the credentials are valid now.
    Fresh,
}

/// What a scope's requests brought.
#[derive(Debug)]
struct Brought<T> {
    token: Option<Arc<Token<T>>>,
    /// Why the last request failed.
    fault: Option<Fault>,
}

#[derive(Debug)]
struct Slot<T> {
    brought: AsyncMutex<Brought<T>>,
    /// Number of finished requests.
    requests: AtomicU64,
}

/// A refused password.
#[derive(Debug)]
struct Refused {
    fault: Fault,
    pause: SignedDuration,
    until: Timestamp,
}

/// The tokens of one account, by scope.
#[derive(Debug)]
pub(super) struct TokenCache<T> {
    slots: Mutex<BTreeMap<String, Arc<Slot<T>>>>,
    refused: Mutex<Option<Refused>>,
}

impl<T> Default for TokenCache<T> {
    fn default() -> Self {
        Self { slots: Mutex::default(), refused: Mutex::default() }
    }
}

impl<T> TokenCache<T> {
    /// Returns a token of the scope, and whether it was cached. Runs `request`, which returns a value and when to renew it, only
    /// if the cached token does not meet `wanted`.
    pub(super) async fn token(
        &self,
        scope: &str,
        wanted: Wanted<'_, T>,
        now: impl Fn() -> Timestamp,
        request: impl Future<Output = Result<(T, Timestamp), Fault>>,
    ) -> Result<(Arc<Token<T>>, bool), Fault> {
        let slot = self.slot(scope);
        let before = slot.requests.load(Ordering::SeqCst);
        let mut brought = slot.brought.lock().await;
        let finished = slot.requests.load(Ordering::SeqCst);
        if let Some(token) = brought.token.as_ref().filter(|token| token.meets(&wanted, finished > before, now())) {
            return Ok((Arc::clone(token), true));
        }
        if let Some(fault) = brought.fault.as_ref().filter(|_| finished > before) {
            return Err(fault.clone());
        }
        self.check_pause(now())?;
        let answer = match request.await {
            // The wait of one call for the budget says nothing about the next call.
            Err(fault @ Fault::BudgetSpent { .. }) => return Err(fault),
            answer => answer,
        };
        let number = finished + 1;
        slot.requests.store(number, Ordering::SeqCst);
        self.remember(answer.as_ref().err(), now());
        brought.fault = answer.as_ref().err().cloned();
        match answer {
            Ok((value, renewed_at)) => {
                let token = Arc::new(Token { number, renewed_at, value });
                brought.token = Some(Arc::clone(&token));
                Ok((token, false))
            }
            Err(fault) => {
                // Any other fault says nothing about the token.
                brought.token.take_if(|_| matches!(fault, Fault::Unauthenticated { .. }));
                Err(fault)
            }
        }
    }

    fn slot(&self, scope: &str) -> Arc<Slot<T>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= SCOPES_MAX && !slots.contains_key(scope) {
            slots.clear();
        }
        let new = || {
            let brought = AsyncMutex::new(Brought { token: None, fault: None });
            Arc::new(Slot { brought, requests: AtomicU64::new(0) })
        };
        Arc::clone(slots.entry(scope.to_owned()).or_insert_with(new))
    }

    fn check_pause(&self, now: Timestamp) -> Result<(), Fault> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.as_ref().filter(|refused| now < refused.until).map_or(Ok(()), |refused| Err(refused.fault.clone()))
    }

    /// Remembers a refusal; any token proves the password.
    fn remember(&self, fault: Option<&Fault>, now: Timestamp) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some(fault @ Fault::Unauthenticated { .. }) => {
                let pause = refused.as_ref().map_or(FIRST_PAUSE, |former| (former.pause * 2).min(LONGEST_PAUSE));
                let until = now.checked_add(pause).unwrap_or(Timestamp::MAX);
                *refused = Some(Refused { fault: fault.clone(), pause, until });
            }
            None => *refused = None,
            Some(_) => {}
        }
    }
}

impl<T> Token<T> {
    fn meets(&self, wanted: &Wanted<'_, T>, requested_meanwhile: bool, now: Timestamp) -> bool {
        let other = match wanted {
            Wanted::Valid => true,
            Wanted::OtherThan(refused) => self.number > refused.number,
            Wanted::Fresh => requested_meanwhile,
        };
        other && now < self.renewed_at
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use futures::future::join_all;

    use super::*;

    /// An account whose cloud answers as scripted: `None` refuses the password.
    #[derive(Default)]
    struct Setting {
        cache: TokenCache<u64>,
        minutes: AtomicI64,
        sent: AtomicU64,
    }

    impl Setting {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH + SignedDuration::from_mins(self.minutes.load(Ordering::SeqCst))
        }

        async fn ask(&self, scope: &str, wanted: Wanted<'_, u64>, right: bool) -> Result<Arc<Token<u64>>, Fault> {
            let request = async {
                let number = self.sent.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::task::yield_now().await;
                let renewed_at = self.now() + SignedDuration::from_mins(10);
                if right { Ok((number, renewed_at)) } else { Err(refusal()) }
            };
            self.cache.token(scope, wanted, || self.now(), request).await.map(|(token, _)| token)
        }

        fn sent(&self) -> u64 {
            self.sent.load(Ordering::SeqCst)
        }
    }

    fn refusal() -> Fault {
        Fault::Unauthenticated { code: "401".to_owned() }
    }

    #[tokio::test]
    async fn a_wrong_password_is_sent_once_for_all_callers_and_again_only_after_growing_pauses() {
        let setting = Setting::default();
        for (minute, sent) in [(0, 1), (0, 1), (1, 2), (2, 2), (3, 3), (6, 3), (7, 4)] {
            setting.minutes.store(minute, Ordering::SeqCst);
            let callers = (0..64).map(|number| {
                let wanted = if number % 2 == 0 { Wanted::Valid } else { Wanted::Fresh };
                setting.ask("scope", wanted, false)
            });
            assert!(join_all(callers).await.into_iter().all(|token| token.unwrap_err() == refusal()));
            assert_eq!(setting.ask("another", Wanted::Valid, false).await.unwrap_err(), refusal());
            assert_eq!(setting.sent(), sent, "minute {minute}");
        }
        setting.minutes.store(1000, Ordering::SeqCst);
        assert!(setting.ask("scope", Wanted::Valid, true).await.is_ok(), "the password is right now");
        assert_eq!(setting.ask("another", Wanted::Valid, false).await.unwrap_err(), refusal());
        setting.minutes.store(1001, Ordering::SeqCst);
        assert!(setting.ask("another", Wanted::Valid, true).await.is_ok(), "the pause begins anew after a success");
    }

    #[tokio::test]
    async fn callers_share_one_token_of_their_scope_until_it_is_due_or_refused() {
        let setting = Setting::default();
        let tokens = join_all((0..64).map(|_| setting.ask("scope", Wanted::Valid, true))).await;
        assert!(tokens.into_iter().all(|token| token.unwrap().value == 1));
        let first = setting.ask("scope", Wanted::Valid, true).await.unwrap();
        assert_eq!(setting.sent(), 1);
        setting.ask("another", Wanted::Valid, true).await.unwrap();
        let others = join_all((0..64).map(|_| setting.ask("scope", Wanted::OtherThan(&first), true))).await;
        assert!(others.into_iter().all(|other| other.unwrap().value == 3));
        setting.ask("scope", Wanted::Fresh, true).await.unwrap();
        assert_eq!(setting.sent(), 4);
        setting.minutes.store(10, Ordering::SeqCst);
        assert_eq!(setting.ask("scope", Wanted::Valid, true).await.unwrap().value, 5);
    }

    #[tokio::test]
    async fn a_call_without_budget_says_nothing_about_the_next_one() {
        let setting = Setting::default();
        let spent = Fault::BudgetSpent { retry_after: std::time::Duration::from_secs(1) };
        let request = async { Err(spent.clone()) };
        let asked = setting.cache.token("scope", Wanted::Valid, || setting.now(), request).await;
        assert_eq!(asked.unwrap_err(), spent);
        assert!(setting.ask("scope", Wanted::Valid, true).await.is_ok());
    }
}
