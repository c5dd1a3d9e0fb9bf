//! How many calls this operator makes: one token bucket an account and region, shared by every client of the process, so
//! that consoles and other tools of the same account keep room. The vendor counts by account, API, region and minute and
//! publishes no figures.
//!
//! Lanes share the tokens by weight (`fair_share`): calls that end access get most of them, and no lane waits until another
//! one is done. Within a lane the calls of the reconcile that began first go first, so that what was begun is finished
//! instead of all being half done. `Resync` leaves half of the burst to the others and never waits, or only after half a
//! minute without room: who finds no room is told when to come again, each at a time of its own, so that ten thousand looks
//! around that are all due come one by one and not all of them again and again.
//!
//! An endpoint that hangs is left alone for a while (`circuit`), and when the process is told to stop, who waits gives up.

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

/// Most buckets kept; beyond it, idle ones are dropped and, if none is idle, the newcomers share one.
const BUCKETS_MAX: usize = 4096;

/// The latest that a look around is told to come again: whoever is told so is gone, or has been told more than once.
const LONGEST_LINE: Duration = Duration::from_secs(600);

/// Where others wait all the time, one look around waits with them after so long without any.
const RESYNC_STARVES: Duration = Duration::from_secs(25);

tokio::task_local! {
    /// The reconcile that makes the calls.
    static BEGUN: Begun;
}

/// A reconcile that has begun. Its calls go before those of reconciles of the same class that began later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Begun {
    number: u64,
    fresh: bool,
}

impl Begun {
    /// A reconcile that begins now. `fresh`: it was asked for a moment ago.
    pub fn now(fresh: bool) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), fresh }
    }

    /// Makes the calls within `work` those of this reconcile.
    pub async fn scope<W: Future>(self, work: W) -> W::Output {
        BEGUN.scope(self, work).await
    }

    /// The reconcile that asks; calls that belong to none begin now.
    fn asking() -> Self {
        BEGUN.try_with(|begun| *begun).unwrap_or_else(|_| Self::now(false))
    }
}

/// How fast calls may be made, by account and region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Calls a second over time.
    pub per_second: NonZeroU32,
    /// Calls that may come at once after a rest.
    pub burst: NonZeroU32,
    /// Longest wait for a token, for the lanes that wait.
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

    /// How looks around may begin. Each makes one more call, in a lane that waits: half of the rate is all of it with those,
    /// and a quarter of the burst is half.
    fn resync_quota(self) -> Quota {
        let burst = NonZeroU32::new(self.burst.get() / 4).unwrap_or(NonZeroU32::MIN);
        Quota::with_period(self.token_every() * 2).unwrap_or_else(|| self.quota()).allow_burst(burst)
    }

    /// After this long without a call a bucket is full again and may be forgotten.
    fn refilled_after(self) -> Duration {
        self.token_every() * self.burst.get() + Duration::from_secs(1)
    }
}

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Somebody waiting, in the order in which a class is served: by when its reconcile began, then by arrival.
type Place = (Class, u64, u64);

#[derive(Debug, Default)]
struct Queue {
    waiting: BTreeSet<Place>,
    arrivals: u64,
    share: FairShare,
}

impl Queue {
    fn first_of(&self, class: Class) -> Option<&Place> {
        self.waiting.range((class, 0, 0)..=(class, u64::MAX, u64::MAX)).next()
    }

    fn join(&mut self, priority: Priority, begun: Begun) -> Place {
        let class = Class { priority: priority.escalate(), fresh: begun.fresh };
        if self.first_of(class).is_none() {
            self.share.begins_to_wait(class);
        }
        self.arrivals += 1;
        let place = (class, begun.number, self.arrivals);
        self.waiting.insert(place);
        place
    }

    fn next(&self) -> Option<&Place> {
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
    /// The vendor asked for no call before this.
    held_back: Mutex<Option<Instant>>,
    /// When the last of the looks around that found no room was told to come again.
    line: Mutex<Option<C::Instant>>,
    /// Since when no look around found room.
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
        tokio::time::timeout(self.settings.longest_wait, self.wait_for_turn(priority))
            .await
            .map_err(|_| Fault::BudgetSpent { retry_after: self.settings.token_every() })
    }

    /// Whether it is time for a look around although others wait; one at a time is told so.
    fn resync_starves(&self) -> bool {
        let (now, mut starving) = (self.clock.now(), lock(&self.starving));
        let starves = starving.is_some_and(|since| Duration::from(now.duration_since(since)) >= RESYNC_STARVES);
        if starves {
            *starving = Some(now);
        }
        starves
    }

    fn hold_back(&self, until: Instant) {
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
            return Err(self.told_to_come_again(self.settings.token_every()));
        }
        // Its own bucket first: a token lost there when the whole is empty costs nobody else anything.
        for limiter in [&self.resync, &self.whole] {
            limiter.check().map_err(|until| self.told_to_come_again(until.wait_time_from(self.clock.now())))?;
        }
        Ok(())
    }

    /// Gives a look around the next place in the line, not before `soonest` from now.
    fn told_to_come_again(&self, soonest: Duration) -> Fault {
        let (now, mut line) = (self.clock.now(), lock(&self.line));
        let ahead = line.map_or(Duration::ZERO, |last| last.duration_since(now).into());
        // Looks around begin at half of the rate.
        let retry_after = soonest.max(ahead + self.settings.token_every() * 2).min(LONGEST_LINE);
        *line = Some(now + retry_after.into());
        Fault::BudgetSpent { retry_after }
    }

    /// Waits until nobody goes before this caller and a token is there.
    async fn wait_for_turn(&self, priority: Priority) {
        let turn = Turn::join(self, priority);
        loop {
            let mut moved = pin!(self.moved.notified());
            // From here on no change of the queue is missed.
            moved.as_mut().enable();
            if !turn.is_first() {
                moved.await;
                continue;
            }
            let spent = self.whole.check().err();
            let Some(until) = planted!("bucket-ignored", spent, spent.filter(|_| priority == Priority::Resync)) else {
                return turn.served();
            };
            let wait = until.wait_time_from(self.clock.now());
            // Woken early or not, the queue is asked again: somebody more urgent may have come.
            if tokio::time::timeout(wait, moved).await.is_ok() {
                tracing::trace!("the queue for a call budget moved");
            }
        }
    }
}

/// A place in the queue; leaving it, also by cancellation, lets the others look again.
struct Turn<'a, C: Clock> {
    bucket: &'a Bucket<C>,
    place: Place,
}

impl<'a, C: Clock> Turn<'a, C> {
    fn join(bucket: &'a Bucket<C>, priority: Priority) -> Self {
        Self { bucket, place: lock(&bucket.queue).join(priority, Begun::asking()) }
    }

    fn is_first(&self) -> bool {
        lock(&self.bucket.queue).next() == Some(&self.place)
    }

    fn served(self) {
        lock(&self.bucket.queue).share.served(self.place.0);
    }
}

impl<C: Clock> Drop for Turn<'_, C> {
    fn drop(&mut self) {
        lock(&self.bucket.queue).waiting.remove(&self.place);
        self.bucket.moved.notify_waiters();
    }
}

/// No lock here is held while anything can fail, so what a poisoned one holds is whole.
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
    /// No bucket yet; each is made full when it is first asked for.
    pub fn new(settings: BudgetSettings) -> Self {
        let overflow = Arc::new(Bucket::new(settings, DefaultClock::default()));
        Self { settings, kept: Mutex::default(), overflow, stop: CancellationToken::new() }
    }

    /// New ones with the same settings, for a process that is told to stop by `stop`.
    #[must_use]
    pub fn until(&self, stop: CancellationToken) -> Self {
        Self { stop, ..Self::new(self.settings) }
    }

    /// Takes one token of an account's bucket in a region, waiting for it if the lane may.
    ///
    /// Errors: `BudgetSpent`, at once for `Resync`, after `longest_wait` for the others; `Throttled` while a hint of the
    /// vendor's is not over, whoever got it; `Unavailable` while the endpoint is left alone since it hung; `NotLeading` for
    /// who would have to wait in a process that is told to stop: what it was about to do is written down, and the next
    /// leader does it sooner.
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
        // Somebody else may have got a hint, or no answer, while this one waited for its turn.
        let now = Instant::now();
        bucket.honour_retry_after(now)?;
        lock(&bucket.circuit).enter(now)
    }

    /// A call has ended for which a token was taken just before `begun`. `answered`: not by its deadline.
    pub fn ended(&self, account: &str, region: &str, answered: bool, begun: Instant) {
        let now = Instant::now();
        let hung = !answered && now.saturating_duration_since(begun) >= HANGS_AFTER;
        let bucket = self.bucket(account, region, now);
        if lock(&bucket.circuit).ended(hung, begun, now) {
            tracing::warn!(account, region, "the cloud does not answer: calls of this account in the region pause");
        }
    }

    /// The vendor asked this account to make no call in the region for so long.
    pub fn hold_back(&self, account: &str, region: &str, wait: Duration) {
        let now = Instant::now();
        if let Some(until) = now.checked_add(wait) {
            self.bucket(account, region, now).hold_back(until);
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
