//! How many calls this operator makes: one token bucket an account and region, shared by every client of the process, so
//! that consoles and other tools of the same account keep room. The vendor counts by account, API, region and minute and
//! publishes no figures.
//!
//! Who waits is served by lane, then by arrival. `Resync` never waits and leaves half of the burst to the others: who finds no
//! room is told when to come again, each at a time of its own, so that ten thousand looks around that are all due come one by
//! one and not all of them again and again.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Notify;

use super::{Fault, Lane};

/// Most buckets kept; beyond it, idle ones are dropped and, if none is idle, the newcomers share one.
const BUCKETS_MAX: usize = 4096;

/// The latest that a look around is told to come again: whoever is told so is gone, or has been told more than once.
const LONGEST_LINE: Duration = Duration::from_secs(600);

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

/// Somebody waiting: the highest lane first, then the earliest.
type Place = (Reverse<Lane>, u64);

#[derive(Debug, Default)]
struct Queue {
    waiting: BTreeSet<Place>,
    arrivals: u64,
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
        }
    }

    async fn take(&self, lane: Lane) -> Result<(), Fault> {
        match lane {
            Lane::Resync => self.take_if_idle(),
            Lane::Acceptance | Lane::Edit | Lane::Revoke => {
                tokio::time::timeout(self.settings.longest_wait, self.wait_for_turn(lane))
                    .await
                    .map_err(|_| Fault::BudgetSpent { retry_after: self.settings.token_every() })
            }
        }
    }

    fn hold_back(&self, until: Instant) {
        let mut held_back = lock(&self.held_back);
        *held_back = (*held_back).max(Some(until));
    }

    fn heed_the_hint(&self, now: Instant) -> Result<(), Fault> {
        match lock(&self.held_back).filter(|until| *until > now) {
            Some(until) => Err(Fault::Throttled { retry_after: Some(until.saturating_duration_since(now)) }),
            None => Ok(()),
        }
    }

    fn take_if_idle(&self) -> Result<(), Fault> {
        if !lock(&self.queue).waiting.is_empty() {
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
    async fn wait_for_turn(&self, lane: Lane) {
        let turn = Turn::join(self, lane);
        loop {
            let mut moved = pin!(self.moved.notified());
            // From here on no change of the queue is missed.
            moved.as_mut().enable();
            if !turn.is_first() {
                moved.await;
                continue;
            }
            let Err(until) = self.whole.check() else { return };
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
    fn join(bucket: &'a Bucket<C>, lane: Lane) -> Self {
        let mut queue = lock(&bucket.queue);
        queue.arrivals += 1;
        let place = (Reverse(lane), queue.arrivals);
        queue.waiting.insert(place);
        Self { bucket, place }
    }

    fn is_first(&self) -> bool {
        lock(&self.bucket.queue).waiting.first() == Some(&self.place)
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
}

impl Budgets {
    /// No bucket yet; each is made full when it is first asked for.
    pub fn new(settings: BudgetSettings) -> Self {
        let overflow = Arc::new(Bucket::new(settings, DefaultClock::default()));
        Self { settings, kept: Mutex::default(), overflow }
    }

    /// Takes one token of an account's bucket in a region, waiting for it if the lane may.
    ///
    /// Errors: `BudgetSpent`, at once for `Resync`, after `longest_wait` for the others; `Throttled` while a hint of the
    /// vendor's is not over, whoever got it.
    pub async fn take(&self, account: &str, region: &str, lane: Lane) -> Result<(), Fault> {
        let now = Instant::now();
        let bucket = self.bucket(account, region, now);
        bucket.heed_the_hint(now)?;
        bucket.take(lane).await?;
        // Somebody else may have got a hint while this one waited for its turn.
        bucket.heed_the_hint(Instant::now())
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
                    || entry.bucket.heed_the_hint(now).is_err()
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
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn settings(per_second: u32, burst: u32, longest_wait: Duration) -> BudgetSettings {
        BudgetSettings {
            per_second: NonZeroU32::new(per_second).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
            longest_wait,
        }
    }

    fn taken_at_once(bucket: &Bucket<FakeRelativeClock>) -> usize {
        (0..1000).take_while(|_| bucket.take_if_idle().is_ok()).count()
    }

    #[test]
    fn default_is_five_a_second_and_ten_at_once() {
        let default = BudgetSettings::default();
        assert_eq!((default.per_second.get(), default.burst.get()), (5, 10));
        assert_eq!(default.longest_wait, Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_vendors_hint_holds_back_every_call_of_the_account_in_the_region() {
        let budgets = Budgets::new(BudgetSettings::default());
        budgets.hold_back("a", "here", Duration::from_secs(60));
        budgets.hold_back("a", "here", Duration::from_secs(5));
        for lane in [Lane::Resync, Lane::Edit, Lane::Revoke] {
            let Err(Fault::Throttled { retry_after: Some(left) }) = budgets.take("a", "here", lane).await else {
                panic!("not held back")
            };
            assert!(left > Duration::from_secs(50), "{left:?}");
        }
        assert_eq!(budgets.take("a", "there", Lane::Edit).await, Ok(()));
        assert_eq!(budgets.take("b", "here", Lane::Edit).await, Ok(()));
        let bucket = budgets.bucket("a", "here", Instant::now());
        assert_eq!(bucket.heed_the_hint(Instant::now() + Duration::from_secs(61)), Ok(()));
    }

    #[tokio::test]
    async fn looks_around_leave_half_of_the_burst_to_others() {
        let bucket = Bucket::new(settings(5, 10, Duration::ZERO), FakeRelativeClock::default());
        let looks = taken_at_once(&bucket);
        for _ in 0..looks {
            assert_eq!(bucket.take(Lane::Resync.onwards()).await, Ok(()));
        }
        for _ in 0..10 - 2 * looks {
            assert_eq!(bucket.take(Lane::Edit).await, Ok(()));
        }
        assert!(bucket.take(Lane::Edit).await.is_err());
        assert_eq!(looks, 2);
    }

    #[test]
    fn resync_refills_at_half_the_rate_and_says_when() {
        let clock = FakeRelativeClock::default();
        let bucket = Bucket::new(settings(5, 10, Duration::ZERO), clock.clone());
        assert_eq!(taken_at_once(&bucket), 2);
        // Who found out that nothing was left was told 400 ms; who asks after them comes after them.
        assert_eq!(told(&bucket), Duration::from_millis(800));
        clock.advance(Duration::from_millis(800));
        assert_eq!(taken_at_once(&bucket), 2);
        clock.advance(Duration::from_millis(400));
        assert_eq!(taken_at_once(&bucket), 1);
    }

    fn told(bucket: &Bucket<FakeRelativeClock>) -> Duration {
        let Err(Fault::BudgetSpent { retry_after }) = bucket.take_if_idle() else { panic!("there was room") };
        retry_after
    }

    #[test]
    fn looks_around_that_find_no_room_are_told_to_come_one_by_one_and_find_it_then() {
        let clock = FakeRelativeClock::default();
        let bucket = Bucket::new(settings(5, 10, Duration::ZERO), clock.clone());
        assert_eq!(taken_at_once(&bucket), 2);
        let (first, others) = (Duration::from_millis(400), (2..100).map(|n| Duration::from_millis(400 * n)));
        // The one who found out that there was no room any more was the first.
        assert_eq!(others.clone().map(|_| told(&bucket)).collect::<Vec<_>>(), others.collect::<Vec<_>>());
        for _ in 1..100 {
            clock.advance(first);
            assert_eq!(bucket.take_if_idle(), Ok(()));
        }
        assert_eq!(told(&bucket), first, "who is told to come now is not told to wait for those who came");
    }

    #[test]
    fn nobody_is_told_to_come_later_than_the_longest_line() {
        let bucket = Bucket::new(settings(1, 1, Duration::ZERO), FakeRelativeClock::default());
        assert!((0..1000).map(|_| bucket.take_if_idle()).skip(1).all(|refused| refused.is_err()));
        assert_eq!(told(&bucket), LONGEST_LINE);
    }

    #[test]
    fn smallest_bucket_still_has_a_token_for_resync() {
        let bucket = Bucket::new(settings(1, 1, Duration::ZERO), FakeRelativeClock::default());
        assert_eq!(taken_at_once(&bucket), 1);
    }

    #[tokio::test]
    async fn waiting_is_bounded() {
        // The clock of the bucket stands still: no token ever comes.
        let bucket = Bucket::new(settings(5, 1, Duration::from_millis(50)), FakeRelativeClock::default());
        assert_eq!(bucket.take(Lane::Revoke).await, Ok(()));
        let spent = Err(Fault::BudgetSpent { retry_after: Duration::from_millis(200) });
        assert_eq!(bucket.take(Lane::Revoke).await, spent);
        assert!(lock(&bucket.queue).waiting.is_empty(), "who gave up leaves the queue");
    }

    #[tokio::test]
    async fn resync_stands_back_while_anybody_waits() {
        let bucket = Bucket::new(settings(5, 10, Duration::ZERO), FakeRelativeClock::default());
        let turn = Turn::join(&bucket, Lane::Acceptance);
        assert!(matches!(bucket.take_if_idle(), Err(Fault::BudgetSpent { .. })));
        drop(turn);
        assert_eq!(bucket.take_if_idle(), Ok(()));
    }

    #[tokio::test]
    async fn waiting_lanes_are_served_by_urgency_and_then_by_arrival() {
        let clock = FakeRelativeClock::default();
        let bucket = Arc::new(Bucket::new(settings(100, 1, Duration::from_secs(20)), clock.clone()));
        assert_eq!(bucket.take(Lane::Edit).await, Ok(()));
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        let arrivals =
            [(Lane::Acceptance, 1), (Lane::Edit, 2), (Lane::Revoke, 3), (Lane::Acceptance, 4), (Lane::Revoke, 5)];
        for (count, (lane, number)) in arrivals.into_iter().enumerate() {
            let (here, served) = (Arc::clone(&bucket), Arc::clone(&served));
            tasks.push(tokio::spawn(async move {
                here.take(lane).await.unwrap();
                lock(&served).push((lane, number));
            }));
            while lock(&bucket.queue).waiting.len() <= count {
                tokio::task::yield_now().await;
            }
        }
        for left in (0..arrivals.len()).rev() {
            clock.advance(Duration::from_millis(10));
            while lock(&bucket.queue).waiting.len() > left {
                tokio::task::yield_now().await;
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
        let order: Vec<_> = lock(&served).clone();
        let wanted =
            [(Lane::Revoke, 3), (Lane::Revoke, 5), (Lane::Edit, 2), (Lane::Acceptance, 1), (Lane::Acceptance, 4)];
        assert_eq!(order, wanted);
    }

    #[tokio::test]
    async fn tokens_come_at_the_rate_set() {
        let budgets = Budgets::new(settings(100, 1, Duration::from_secs(30)));
        let start = Instant::now();
        for _ in 0..6 {
            budgets.take("a", "r", Lane::Edit).await.unwrap();
        }
        assert!(start.elapsed() >= Duration::from_millis(50), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn accounts_and_regions_do_not_share_a_bucket() {
        let budgets = Budgets::new(settings(1, 1, Duration::ZERO));
        for (account, region) in [("a", "r"), ("b", "r"), ("a", "s")] {
            assert_eq!(budgets.take(account, region, Lane::Edit).await, Ok(()));
            assert!(budgets.take(account, region, Lane::Edit).await.is_err());
        }
    }

    #[test]
    fn number_of_buckets_is_bounded() {
        let budgets = Budgets::new(BudgetSettings::default());
        let start = Instant::now();
        for number in 0..BUCKETS_MAX {
            budgets.bucket("a", &number.to_string(), start);
        }
        let shared = budgets.bucket("b", "x", start);
        assert!(Arc::ptr_eq(&shared, &budgets.overflow), "none is idle yet: the newcomers share one");

        let held = budgets.bucket("a", "7", start);
        let later = start + budgets.settings.refilled_after();
        let own = budgets.bucket("b", "x", later);
        assert!(!Arc::ptr_eq(&own, &budgets.overflow));
        assert_eq!(lock(&budgets.kept).len(), 2, "only the one in use and the new one are left");
        assert!(Arc::ptr_eq(&held, &budgets.bucket("a", "7", later)));
    }
}
