//! When to reconcile: how long changes are debounced, and when the next reconcile is due after one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::problem::Problem;
use crate::domain::fault::Recovery;

/// Debounces changes that arrive together: the first one after a quiet time is reconciled at once, those that follow it
/// together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debounce {
    /// A reconcile starts when nothing changed for this long.
    pub quiet: SignedDuration,
    /// And at the latest this long after the first change. A change that comes this long after the last one begins anew.
    pub at_most: SignedDuration,
}

impl Debounce {
    /// The debounce before this process's first reconcile of an object. An object made before the process began is
    /// listed with all its changes: there is nothing to debounce. `expecting`: the first reconcile of its account or of
    /// one of its shares is in progress and will trigger this object, so that a reconcile before it would be repeated.
    #[must_use]
    pub fn for_first_reconcile(self, made_before: bool, expecting: bool) -> Self {
        let quiet = match (expecting, made_before) {
            (true, _) => self.at_most,
            (false, true) => SignedDuration::ZERO,
            (false, false) => self.quiet,
        };
        Self { quiet, ..self }
    }
}

/// Changes of one object that no reconcile has acted on yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// When the first one was seen.
    pub first: Timestamp,
    /// When the last one was seen.
    pub last: Timestamp,
    /// There is one change, and it came after a quiet time.
    pub at_once: bool,
}

impl Changes {
    /// The first change of an object that was reconciled before. `before`: when a change of it was seen last.
    pub fn begin(rule: Debounce, before: Option<Timestamp>, now: Timestamp) -> Self {
        let quiet_since = before.map(|before| before.saturating_add(rule.at_most).unwrap_or(Timestamp::MAX));
        Self { first: now, last: now, at_once: quiet_since.is_none_or(|since| since <= now) }
    }

    /// The first change of an object that no reconcile has finished with: it was made a moment ago, and what belongs to it follows.
    pub fn of_new(now: Timestamp) -> Self {
        Self { first: now, last: now, at_once: false }
    }

    /// One more change.
    #[must_use]
    pub fn and(self, now: Timestamp) -> Self {
        Self { last: now, at_once: false, ..self }
    }

    /// How long to wait before a reconcile, or `None` to start now.
    pub fn left(self, rule: Debounce, now: Timestamp) -> Option<Duration> {
        if self.at_once {
            return None;
        }
        debounce_left(rule, self.first, self.last, now)
    }
}

/// How long to wait before a reconcile, or `None` to start now.
fn debounce_left(rule: Debounce, first: Timestamp, last: Timestamp, now: Timestamp) -> Option<Duration> {
    let quiet = last.saturating_add(rule.quiet).unwrap_or(Timestamp::MAX);
    let end = first.saturating_add(rule.at_most).unwrap_or(Timestamp::MAX);
    let due = quiet.min(end);
    (now < due).then(|| due.duration_since(now).unsigned_abs())
}

/// What to do after a reconcile. No variant means "never reconcile again".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requeue {
    /// In the desired state: requeue at the drift interval.
    Settled,
    /// No problem; requeue at this time.
    Waiting(Timestamp),
    /// User action, or a change of another object, is needed; requeued at long intervals all the same.
    Blocked,
    /// Resolves by itself: retry with backoff, not before the hint.
    Retrying {
        /// The minimum delay.
        not_before: Option<Duration>,
    },
}

impl From<&Problem> for Requeue {
    fn from(problem: &Problem) -> Self {
        match problem.recovery {
            Recovery::Retry { not_before } => Self::Retrying { not_before },
            Recovery::Blocked => Self::Blocked,
        }
    }
}

/// When to poll a job at a cloud again. Jobs end within seconds: polls after half of the time they already took,
/// between 0.3 s and 5 s.
pub fn next_job_poll(since: Timestamp, now: Timestamp) -> Timestamp {
    let (soonest, latest) = (SignedDuration::from_millis(300), SignedDuration::from_secs(5));
    let pause = (now.duration_since(since) / 2).clamp(soonest, latest);
    now.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// When to poll the progress of a copy again. Copies take minutes to hours: polls after a quarter of the time they
/// already took, between 0.5 s and 30 s.
pub fn next_copy_poll(since: Timestamp, now: Timestamp) -> Timestamp {
    let (soonest, latest) = (SignedDuration::from_millis(500), SignedDuration::from_secs(30));
    let pause = (now.duration_since(since) / 4).clamp(soonest, latest);
    now.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// The intervals between reconciles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// Between two reconciles of a settled object.
    pub drift: Duration,
    /// After the first reconcile of an object that needs user action; doubled for each further one that finds nothing new, up
    /// to `drift`.
    pub blocked: Duration,
    /// After the first failure; doubled for each further one.
    pub retry_first: Duration,
    /// The longest delay between retries.
    pub retry_longest: Duration,
}

/// The delay before the next reconcile. `row`: how many reconciles in a row ended like this one, including it.
/// `chance`: a random number in 0..1 for jitter (±10 % if settled, full jitter above half the backoff between retries).
pub fn pause(requeue: &Requeue, intervals: Intervals, row: u32, chance: f64, now: Timestamp) -> Duration {
    let chance = chance.clamp(0.0, 1.0);
    let doubled = |first: Duration| first.saturating_mul(1u32.checked_shl(row.saturating_sub(1).min(16)).unwrap_or(1));
    match requeue {
        Requeue::Settled => intervals.drift.mul_f64(0.9 + 0.2 * chance),
        Requeue::Blocked => {
            let longest = intervals.drift.max(intervals.blocked);
            doubled(intervals.blocked).min(longest).mul_f64(0.9 + 0.2 * chance)
        }
        Requeue::Waiting(until) => until.duration_since(now).max(SignedDuration::from_millis(50)).unsigned_abs(),
        Requeue::Retrying { not_before } => {
            let ceiling = doubled(intervals.retry_first).min(intervals.retry_longest);
            ceiling.mul_f64(0.5 + 0.5 * chance).max(not_before.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Debounce =
        Debounce { quiet: SignedDuration::from_millis(100), at_most: SignedDuration::from_millis(1000) };

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn changes_are_debounced_until_quiet_but_never_longer_than_a_second() {
        assert_eq!(debounce_left(RULE, at(0), at(0), at(40)), Some(Duration::from_millis(60)));
        assert_eq!(debounce_left(RULE, at(0), at(0), at(100)), None);
        assert_eq!(debounce_left(RULE, at(0), at(950), at(960)), Some(Duration::from_millis(40)));
        assert_eq!(debounce_left(RULE, at(0), at(990), at(1000)), None);
    }

    #[test]
    fn the_first_change_after_a_quiet_time_is_reconciled_at_once_and_those_after_it_together() {
        assert_eq!(Changes::begin(RULE, None, at(0)).left(RULE, at(0)), None);
        assert_eq!(Changes::begin(RULE, Some(at(0)), at(1000)).left(RULE, at(1000)), None);
        let soon = Changes::begin(RULE, Some(at(0)), at(999));
        assert_eq!(soon.left(RULE, at(999)), Some(Duration::from_millis(100)));
        // A second change before the reconcile began: more may follow.
        let two = Changes::begin(RULE, None, at(0)).and(at(10));
        assert_eq!(two.left(RULE, at(10)), Some(Duration::from_millis(100)));
        assert_eq!(Changes::of_new(at(0)).left(RULE, at(0)), Some(Duration::from_millis(100)));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_quiet() {
        let changes = Changes::begin(RULE, Some(at(60_000)), at(0));
        assert_eq!(changes.left(RULE, at(0)), Some(Duration::from_millis(100)));
    }

    #[test]
    fn what_was_wished_before_the_start_is_not_gathered() {
        assert_eq!(debounce_left(RULE.for_first_reconcile(true, false), at(0), at(0), at(0)), None);
        assert_eq!(RULE.for_first_reconcile(false, false), RULE);
    }

    #[test]
    fn a_first_pass_waits_a_moment_for_the_first_looks_at_what_it_depends_on() {
        for made_before in [true, false] {
            let waiting = RULE.for_first_reconcile(made_before, true);
            assert_eq!(debounce_left(waiting, at(0), at(0), at(10)), Some(Duration::from_millis(990)));
            assert_eq!(debounce_left(waiting, at(0), at(0), at(1000)), None);
        }
        // The end of that reconcile is itself a change, and no other needs to follow.
        assert_eq!(debounce_left(RULE.for_first_reconcile(true, false), at(0), at(10), at(10)), None);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_keep_to_the_vendors_hint() {
        let intervals = Intervals {
            drift: Duration::from_secs(600),
            blocked: Duration::from_secs(60),
            retry_first: Duration::from_secs(1),
            retry_longest: Duration::from_secs(30),
        };
        let retry = |failures, hint| pause(&Requeue::Retrying { not_before: hint }, intervals, failures, 1.0, at(0));
        assert_eq!(retry(1, None), Duration::from_secs(1));
        assert_eq!(retry(3, None), Duration::from_secs(4));
        assert_eq!(retry(60, None), Duration::from_secs(30));
        assert_eq!(retry(1, Some(Duration::from_secs(45))), Duration::from_secs(45));
        assert_eq!(pause(&Requeue::Settled, intervals, 0, 0.0, at(0)), Duration::from_secs(540));
        let blocked = |row| pause(&Requeue::Blocked, intervals, row, 0.5, at(0)).as_secs();
        assert_eq!([1, 2, 4, 5, 60].map(blocked), [60, 120, 480, 600, 600]);
        let rare = Intervals { blocked: Duration::from_secs(3600), ..intervals };
        assert_eq!(
            pause(&Requeue::Blocked, rare, 9, 0.5, at(0)),
            Duration::from_secs(3600),
            "never more often than asked"
        );
        assert_eq!(pause(&Requeue::Waiting(at(5000)), intervals, 0, 0.5, at(0)), Duration::from_secs(5));
    }
}
