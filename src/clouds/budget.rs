//! Call budgets: one token bucket per account and region, shared by all clients of the process, so that consoles and other
//! tools of the same account keep room. The vendor counts by account, API, region and minute and publishes no figures.
//!
//! Priorities share the tokens by weight (`fair_share`): calls that end access get most of them, and no priority waits
//! until another one is done. Within a priority the calls of the oldest reconcile go first, so that started reconciles
//! finish. `Resync` leaves half of the burst to the other priorities and does not wait, except after `RESYNC_STARVES`
//! without a token. A resync without a token gets its own retry time, so that ten thousand due resyncs retry one after
//! another and not all at once.
//!
//! After an endpoint hangs, calls to it pause (`circuit`). When the process stops, waiting calls fail.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::circuit::{Circuit, HANGS_AFTER};
use super::fair_share::{Class, FairShare};
use super::{Fault, Priority};
use crate::domain::fault::Unreachable;

/// Most buckets kept. Beyond it, idle buckets are dropped; if none is idle, new accounts share one bucket.
const BUCKETS_MAX: usize = 4096;

/// Longest retry time of a resync. A longer queue counts resyncs that are gone or reserved more than one slot.
const LONGEST_LINE: Duration = Duration::from_secs(600);

/// While other calls always wait, one resync joins the queue after this time without any resync.
const RESYNC_STARVES: Duration = Duration::from_secs(25);

tokio::task_local! {
    /// The reconcile that the current task's calls belong to.
    static BEGUN: Begun;
}

/// A started reconcile. Its calls go before those of later reconciles of the same class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Begun {
    number: u64,
    fresh: bool,
}

impl Begun {
    /// A reconcile that begins now. `fresh`: an event requested it a moment ago.
    pub fn now(fresh: bool) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), fresh }
    }

    /// Assigns the calls within `work` to this reconcile.
    pub async fn scope<W: Future>(self, work: W) -> W::Output {
        BEGUN.scope(self, work).await
    }

    /// The reconcile of the current task; a call outside of any reconcile begins now.
    fn asking() -> Self {
        BEGUN.try_with(|begun| *begun).unwrap_or_else(|_| Self::now(false))
    }
}

/// Call rate limits per account and region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Sustained calls per second.
    pub per_second: NonZeroU32,
    /// Calls at once after an idle time.
    pub burst: NonZeroU32,
    /// Longest wait for a token, for the priorities that wait.
    pub longest_wait: Duration,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        let five = NonZeroU32::MIN.saturating_add(4);
        Self { per_second: five, burst: five.saturating_add(5), longest_wait: Duration::from_secs(30) }
    }
}

impl BudgetSettings {
    fn token_every(self) -> Duration {
        Duration::from_secs(1) / self.per_second.get()
    }

    fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.burst)
    }

    /// Rate at which resyncs may begin. Each resync makes a second call, at a waiting priority, so half of the rate uses all
    /// of it, and a quarter of the burst uses half.
    fn resync_quota(self) -> Quota {
        let burst = NonZeroU32::new(self.burst.get() / 4).unwrap_or(NonZeroU32::MIN);
        Quota::with_period(self.token_every() * 2).unwrap_or_else(|| self.quota()).allow_burst(burst)
    }

    /// A bucket without calls for this time is full again and may be dropped.
    fn refilled_after(self) -> Duration {
        self.token_every() * self.burst.get() + Duration::from_secs(1)
    }
}

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A waiting call. A class is served in this order: by the start of the reconcile, then by arrival.
type Position = (Class, u64, u64);

#[derive(Debug, Default)]
struct Queue {
    waiting: BTreeSet<Position>,
    arrivals: u64,
    share: FairShare,
}

impl Queue {
    fn first_of(&self, class: Class) -> Option<&Position> {
        self.waiting.range((class, 0, 0)..=(class, u64::MAX, u64::MAX)).next()
    }

    fn join(&mut self, priority: Priority, begun: Begun) -> Position {
        let class = Class { priority: priority.escalate(), fresh: begun.fresh };
        if self.first_of(class).is_none() {
            self.share.begins_to_wait(class);
        }
        self.arrivals += 1;
        let place = (class, begun.number, self.arrivals);
        self.waiting.insert(place);
        place
    }

    fn next(&self) -> Option<&Position> {
        let waiting = Class::ALL.into_iter().filter(|class| self.first_of(*class).is_some());
        self.first_of(self.share.next(waiting)?)
    }
}

/// The bucket of one account in one region.
#[derive(Debug)]
struct Bucket<C: Clock> {
    clock: C,
    settings: BudgetSettings,
    whole: Limiter<C>,
    resync: Limiter<C>,
    queue: Mutex<Queue>,
    moved: Notify,
    /// The vendor asked for no call before this time.
    held_back: Mutex<Option<Instant>>,
    /// Last retry time given to a resync.
    line: Mutex<Option<C::Instant>>,
    /// Since when no resync got a token.
    starving: Mutex<Option<C::Instant>>,
    circuit: Mutex<Circuit>,
}

impl<C: Clock + Clone> Bucket<C> {
    fn new(settings: BudgetSettings, clock: C) -> Self {
        Self {
            whole: RateLimiter::direct_with_clock(settings.quota(), clock.clone()),
            resync: RateLimiter::direct_with_clock(settings.resync_quota(), clock.clone()),
            clock,
            settings,
            queue: Mutex::default(),
            moved: Notify::new(),
            held_back: Mutex::default(),
            line: Mutex::default(),
            starving: Mutex::default(),
            circuit: Mutex::default(),
        }
    }

    async fn take(&self, priority: Priority) -> Result<(), Fault> {
        if priority == Priority::Resync && !self.resync_starves() {
            self.take_if_idle()?;
            *lock(&self.starving) = None;
            return Ok(());
        }
        tokio::time::timeout(self.settings.longest_wait, self.wait_for_token(priority))
            .await
            .map_err(|_| Fault::BudgetSpent { retry_after: self.settings.token_every() })
    }

    /// Whether a resync may join the queue although other calls wait; true for one resync at a time.
    fn resync_starves(&self) -> bool {
        let (now, mut starving) = (self.clock.now(), lock(&self.starving));
        let starves = starving.is_some_and(|since| Duration::from(now.duration_since(since)) >= RESYNC_STARVES);
        if starves {
            *starving = Some(now);
        }
        starves
    }

    fn pause_until(&self, until: Instant) {
        let mut held_back = lock(&self.held_back);
        *held_back = (*held_back).max(Some(until));
    }

    fn honour_retry_after(&self, now: Instant) -> Result<(), Fault> {
        match lock(&self.held_back).filter(|until| *until > now) {
            Some(until) => Err(Fault::Throttled { retry_after: Some(until.saturating_duration_since(now)) }),
            None => Ok(()),
        }
    }

    fn take_if_idle(&self) -> Result<(), Fault> {
        if !lock(&self.queue).waiting.is_empty() {
            lock(&self.starving).get_or_insert(self.clock.now());
            return Err(self.throttled(self.settings.token_every()));
        }
        // The resync bucket first: when `whole` is empty, the token lost in `resync` costs other priorities nothing.
        for limiter in [&self.resync, &self.whole] {
            limiter.check().map_err(|until| self.throttled(until.wait_time_from(self.clock.now())))?;
        }
        Ok(())
    }

    /// Reserves the next resync slot, not before `soonest` from now.
    fn throttled(&self, soonest: Duration) -> Fault {
        let (now, mut line) = (self.clock.now(), lock(&self.line));
        let ahead = line.map_or(Duration::ZERO, |last| last.duration_since(now).into());
        // Resyncs begin at half of the rate.
        let retry_after = soonest.max(ahead + self.settings.token_every() * 2).min(LONGEST_LINE);
        *line = Some(now + retry_after.into());
        Fault::BudgetSpent { retry_after }
    }

    /// Waits until this call is first in the queue and a token is available.
    async fn wait_for_token(&self, priority: Priority) {
        let waiter = Waiter::join(self, priority);
        loop {
            let mut moved = pin!(self.moved.notified());
            // Register before the check, so that no change of the queue is missed.
            moved.as_mut().enable();
            if !waiter.is_first() {
                moved.await;
                continue;
            }
            let spent = self.whole.check().err();
            let Some(until) = planted!("bucket-ignored", spent, spent.filter(|_| priority == Priority::Resync)) else {
                return waiter.served();
            };
            let wait = until.wait_time_from(self.clock.now());
            // Check the queue again in both cases: a more urgent call may have arrived.
            if tokio::time::timeout(wait, moved).await.is_ok() {
                tracing::trace!("the queue for a call budget moved");
            }
        }
    }
}

/// A place in the queue. Dropping it, also by cancellation, wakes the other waiting calls.
struct Waiter<'a, C: Clock> {
    bucket: &'a Bucket<C>,
    position: Position,
}

impl<'a, C: Clock> Waiter<'a, C> {
    fn join(bucket: &'a Bucket<C>, priority: Priority) -> Self {
        Self { bucket, position: lock(&bucket.queue).join(priority, Begun::asking()) }
    }

    fn is_first(&self) -> bool {
        lock(&self.bucket.queue).next() == Some(&self.position)
    }

    fn served(self) {
        lock(&self.bucket.queue).share.served(self.position.0);
    }
}

impl<C: Clock> Drop for Waiter<'_, C> {
    fn drop(&mut self) {
        lock(&self.bucket.queue).waiting.remove(&self.position);
        self.bucket.moved.notify_waiters();
    }
}

/// No code that can panic runs under these locks, so the data of a poisoned lock is consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Kept {
    bucket: Arc<Bucket<DefaultClock>>,
    last_used: Instant,
}

/// All buckets of the process.
#[derive(Debug)]
pub struct Budgets {
    settings: BudgetSettings,
    kept: Mutex<HashMap<(String, String), Kept>>,
    overflow: Arc<Bucket<DefaultClock>>,
    stop: CancellationToken,
}

impl Budgets {
    /// Starts without buckets; each is created full on first use.
    pub fn new(settings: BudgetSettings) -> Self {
        let overflow = Arc::new(Bucket::new(settings, DefaultClock::default()));
        Self { settings, kept: Mutex::default(), overflow, stop: CancellationToken::new() }
    }

    /// New budgets with the same settings; `stop` ends all waits.
    #[must_use]
    pub fn until(&self, stop: CancellationToken) -> Self {
        Self { stop, ..Self::new(self.settings) }
    }

    /// Takes one token of an account's bucket in a region; waits for it if the priority allows.
    ///
    /// Errors: `BudgetSpent`, at once for `Resync`, after `longest_wait` for the other priorities; `Throttled` until the
    /// vendor's retry time has passed, whichever call got it; `Unreachable` while the circuit of a hanging endpoint is open;
    /// `NotLeading` for a call that would wait in a stopping process: its intent is recorded, and the next leader makes the
    /// call sooner.
    pub async fn take(&self, account: &str, region: &str, priority: Priority) -> Result<(), Fault> {
        let now = Instant::now();
        let bucket = self.bucket(account, region, now);
        bucket.honour_retry_after(now)?;
        lock(&bucket.circuit).check(now)?;
        tokio::select! {
            biased;
            taken = bucket.take(priority) => taken?,
            () = self.stop.cancelled() => return Err(Fault::NotLeading),
        }
        // During the wait another call may have got a retry time, or no answer.
        let now = Instant::now();
        bucket.honour_retry_after(now)?;
        lock(&bucket.circuit).enter(now)
    }

    /// Records the end of a call that took its token just before `begun`. `unanswered`: why it got no answer.
    pub fn ended(&self, account: &str, region: &str, unanswered: Option<&Unreachable>, begun: Instant) {
        let now = Instant::now();
        let hung = unanswered.filter(|_| now.saturating_duration_since(begun) >= HANGS_AFTER);
        let bucket = self.bucket(account, region, now);
        if lock(&bucket.circuit).ended(hung, begun, now) {
            tracing::debug!(account, region, "the cloud does not answer: calls of this account in the region pause");
        }
    }

    /// Stops the account's calls in the region for the time that the vendor asked for.
    pub fn pause(&self, account: &str, region: &str, wait: Duration) {
        let now = Instant::now();
        if let Some(until) = now.checked_add(wait) {
            self.bucket(account, region, now).pause_until(until);
        }
    }

    fn bucket(&self, account: &str, region: &str, now: Instant) -> Arc<Bucket<DefaultClock>> {
        let mut kept = lock(&self.kept);
        let key = (account.to_owned(), region.to_owned());
        if let Some(found) = kept.get_mut(&key) {
            found.last_used = now;
            return Arc::clone(&found.bucket);
        }
        if kept.len() >= BUCKETS_MAX {
            let refilled = self.settings.refilled_after();
            kept.retain(|_, entry| {
                Arc::strong_count(&entry.bucket) > 1
                    || now.saturating_duration_since(entry.last_used) < refilled
                    || entry.bucket.honour_retry_after(now).is_err()
                    || lock(&entry.bucket.circuit).check(now).is_err()
            });
        }
        if kept.len() >= BUCKETS_MAX {
            return Arc::clone(&self.overflow);
        }
        let bucket = Arc::new(Bucket::new(self.settings, DefaultClock::default()));
        kept.insert(key, Kept { bucket: Arc::clone(&bucket), last_used: now });
        bucket
    }
}

#[cfg(test)]
mod tests;
