use governor::clock::FakeRelativeClock;

use super::*;
use crate::domain::fault::Cause;

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
    budgets.pause("a", "here", Duration::from_secs(60));
    budgets.pause("a", "here", Duration::from_secs(5));
    for priority in [Priority::Resync, Priority::Edit, Priority::Revoke] {
        let Err(Fault::Throttled { retry_after: Some(left) }) = budgets.take("a", "here", priority).await else {
            panic!("not held back")
        };
        assert!(left > Duration::from_secs(50), "{left:?}");
    }
    assert_eq!(budgets.take("a", "there", Priority::Edit).await, Ok(()));
    assert_eq!(budgets.take("b", "here", Priority::Edit).await, Ok(()));
    let bucket = budgets.bucket("a", "here", Instant::now());
    assert_eq!(bucket.honour_retry_after(Instant::now() + Duration::from_secs(61)), Ok(()));
}

#[tokio::test]
async fn resyncs_leave_half_of_the_burst_to_others() {
    let bucket = Bucket::new(settings(5, 10, Duration::ZERO), FakeRelativeClock::default());
    let looks = taken_at_once(&bucket);
    for _ in 0..looks {
        assert_eq!(bucket.take(Priority::Resync.escalate()).await, Ok(()));
    }
    for _ in 0..10 - 2 * looks {
        assert_eq!(bucket.take(Priority::Edit).await, Ok(()));
    }
    assert!(bucket.take(Priority::Edit).await.is_err());
    assert_eq!(looks, 2);
}

#[test]
fn resync_refills_at_half_the_rate_and_says_when() {
    let clock = FakeRelativeClock::default();
    let bucket = Bucket::new(settings(5, 10, Duration::ZERO), clock.clone());
    assert_eq!(taken_at_once(&bucket), 2);
    // The first refused resync got 400 ms; the next one gets the slot after it.
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
fn resyncs_that_find_no_room_are_told_to_come_one_by_one_and_find_it_then() {
    let clock = FakeRelativeClock::default();
    let bucket = Bucket::new(settings(5, 10, Duration::ZERO), clock.clone());
    assert_eq!(taken_at_once(&bucket), 2);
    let (first, others) = (Duration::from_millis(400), (2..100).map(|n| Duration::from_millis(400 * n)));
    // `taken_at_once` already refused the first resync.
    assert_eq!(others.clone().map(|_| told(&bucket)).collect::<Vec<_>>(), others.collect::<Vec<_>>());
    for _ in 1..100 {
        clock.advance(first);
        assert_eq!(bucket.take_if_idle(), Ok(()));
    }
    assert_eq!(told(&bucket), first, "a caller whose waiter it is does not wait for earlier callers");
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
    // The bucket's clock stands still, so no token becomes available.
    let bucket = Bucket::new(settings(5, 1, Duration::from_millis(50)), FakeRelativeClock::default());
    assert_eq!(bucket.take(Priority::Revoke).await, Ok(()));
    let spent = Err(Fault::BudgetSpent { retry_after: Duration::from_millis(200) });
    assert_eq!(bucket.take(Priority::Revoke).await, spent);
    assert!(lock(&bucket.queue).waiting.is_empty(), "who gave up leaves the queue");
}

#[tokio::test]
async fn resync_stands_back_while_anybody_waits() {
    let bucket = Bucket::new(settings(5, 10, Duration::ZERO), FakeRelativeClock::default());
    let waiter = Waiter::join(&bucket, Priority::Acceptance);
    assert!(matches!(bucket.take_if_idle(), Err(Fault::BudgetSpent { .. })));
    drop(waiter);
    assert_eq!(bucket.take_if_idle(), Ok(()));
}

#[tokio::test]
async fn waiting_lanes_are_served_by_urgency_and_then_by_arrival() {
    let clock = FakeRelativeClock::default();
    let bucket = Arc::new(Bucket::new(settings(100, 1, Duration::from_secs(20)), clock.clone()));
    assert_eq!(bucket.take(Priority::Edit).await, Ok(()));
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    let arrivals = [
        (Priority::Acceptance, 1),
        (Priority::Edit, 2),
        (Priority::Revoke, 3),
        (Priority::Acceptance, 4),
        (Priority::Revoke, 5),
    ];
    for (count, (priority, number)) in arrivals.into_iter().enumerate() {
        let (here, served) = (Arc::clone(&bucket), Arc::clone(&served));
        tasks.push(tokio::spawn(async move {
            here.take(priority).await.unwrap();
            lock(&served).push((priority, number));
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
    let wanted = [
        (Priority::Revoke, 3),
        (Priority::Revoke, 5),
        (Priority::Edit, 2),
        (Priority::Acceptance, 1),
        (Priority::Acceptance, 4),
    ];
    assert_eq!(order, wanted);
}

/// Adds one token after another until no call waits.
async fn let_all_through(bucket: &Bucket<FakeRelativeClock>, clock: &FakeRelativeClock) {
    loop {
        let left = lock(&bucket.queue).waiting.len();
        if left == 0 {
            return;
        }
        clock.advance(Duration::from_millis(10));
        while lock(&bucket.queue).waiting.len() >= left {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn what_began_first_is_finished_first() {
    let clock = FakeRelativeClock::default();
    let bucket = Arc::new(Bucket::new(settings(100, 1, Duration::from_secs(20)), clock.clone()));
    assert_eq!(bucket.take(Priority::Edit).await, Ok(()));
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for name in ["first", "second", "third"] {
        let (bucket, served) = (Arc::clone(&bucket), Arc::clone(&served));
        let begun = Begun::now(false);
        tasks.push(tokio::spawn(begun.scope(async move {
            for _ in 0..4 {
                bucket.take(Priority::Edit).await.unwrap();
                lock(&served).push(name);
                // During a call the other reconciles would proceed if they could.
                tokio::task::yield_now().await;
            }
        })));
    }
    while lock(&bucket.queue).waiting.len() < 3 {
        tokio::task::yield_now().await;
    }
    for _ in 0..12 {
        clock.advance(Duration::from_millis(10));
        let before = lock(&served).len();
        while lock(&served).len() == before {
            tokio::task::yield_now().await;
        }
        // The served reconcile asks again before the next token is available.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let order = lock(&served).clone();
    assert_eq!(order, [["first"; 4], ["second"; 4], ["third"; 4]].concat());
}

#[tokio::test]
async fn one_resync_waits_with_the_others_after_half_a_minute_without_room() {
    let clock = FakeRelativeClock::default();
    let bucket = Arc::new(Bucket::new(settings(100, 1, Duration::from_secs(20)), clock.clone()));
    assert_eq!(bucket.take(Priority::Edit).await, Ok(()));
    let held = Waiter::join(&bucket, Priority::Revoke);
    assert!(bucket.take(Priority::Resync).await.is_err());
    clock.advance(RESYNC_STARVES);
    // Another call waits all the time: one resync joins the queue, the next one gets a retry time.
    let joined = tokio::spawn({
        let bucket = Arc::clone(&bucket);
        async move { bucket.take(Priority::Resync).await }
    });
    while lock(&bucket.queue).waiting.len() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(bucket.take(Priority::Resync).await, Err(Fault::BudgetSpent { .. })));
    drop(held);
    let_all_through(&bucket, &clock).await;
    assert_eq!(joined.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_process_that_stops_makes_nobody_wait_for_a_token() {
    let stop = CancellationToken::new();
    let budgets = Arc::new(Budgets::new(settings(1, 2, Duration::from_secs(30))).until(stop.clone()));
    assert_eq!(budgets.take("a", "r", Priority::Edit).await, Ok(()));
    stop.cancel();
    assert_eq!(budgets.take("a", "r", Priority::Edit).await, Ok(()), "a token that is there is taken");
    let begun = Instant::now();
    for priority in [Priority::Acceptance, Priority::Edit, Priority::Revoke] {
        assert_eq!(budgets.take("a", "r", priority).await, Err(Fault::NotLeading));
    }
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_left_alone_and_no_other_one() {
    let budgets = Budgets::new(settings(100, 100, Duration::from_secs(30)));
    let why = Unreachable { host: "cloud.example".to_owned(), cause: Cause::Timeout, sent: false };
    for region in ["here", "there"] {
        for _ in 0..3 {
            assert_eq!(budgets.take("a", region, Priority::Edit).await, Ok(()));
            let ago = if region == "here" { HANGS_AFTER } else { Duration::ZERO };
            budgets.ended("a", region, Some(&why), Instant::now().checked_sub(ago).unwrap());
        }
    }
    for priority in [Priority::Resync, Priority::Edit, Priority::Revoke] {
        assert_eq!(budgets.take("a", "here", priority).await, Err(Fault::Unreachable(why.clone())));
        assert_eq!(budgets.take("a", "there", priority).await, Ok(()), "calls that fail at once hold nobody up");
        assert_eq!(budgets.take("b", "here", priority).await, Ok(()));
    }
    budgets.ended("a", "here", None, Instant::now());
    assert_eq!(budgets.take("a", "here", Priority::Edit).await, Ok(()), "one of those under way was answered");
}

#[tokio::test]
async fn tokens_come_at_the_rate_set() {
    let budgets = Budgets::new(settings(100, 1, Duration::from_secs(30)));
    let start = Instant::now();
    for _ in 0..6 {
        budgets.take("a", "r", Priority::Edit).await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(50), "{:?}", start.elapsed());
}

#[tokio::test]
async fn accounts_and_regions_do_not_share_a_bucket() {
    let budgets = Budgets::new(settings(1, 1, Duration::ZERO));
    for (account, region) in [("a", "r"), ("b", "r"), ("a", "s")] {
        assert_eq!(budgets.take(account, region, Priority::Edit).await, Ok(()));
        assert!(budgets.take(account, region, Priority::Edit).await.is_err());
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
