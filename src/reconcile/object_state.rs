//! What is remembered of each object between passes: what the last pass looked at, when the next is due, what is being
//! gathered. Nothing here survives a restart, and nothing needs to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::conditions::Decision;
use crate::domain::image::ImageFacts;
use crate::planning::schedule::{Debounce, Requeue, debounce_left};

/// What taking stock brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    /// How many images are received of how many that may be, and how many wait for an answer; `None` if not all regions
    /// were listed.
    pub(crate) counts: Option<(String, u32)>,
    /// What the `Listed` condition says; `None` if nothing was listed now.
    pub(crate) decision: Option<Decision>,
    /// When the next listing is due.
    pub(crate) next_reconcile: Option<Duration>,
}

/// Everything in Kubernetes that a pass depends on, as versions: unchanged inputs need no pass before it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs(pub Vec<String>);

#[derive(Debug, Default)]
struct ObjectState {
    done: Option<Inputs>,
    debounce: Option<(Inputs, Timestamp, Timestamp)>,
    next_reconcile: Option<Wait>,
    failures: u32,
    /// How many passes in a row found the same obstacle.
    blocked: u32,
    written: Option<u64>,
    /// Since when only versions older than the one we wrote are seen, or since the API server was asked about it.
    stale_since: Option<Timestamp>,
    /// A version that was refused as too old, and until when a newer one is waited for.
    overtaken: Option<(u64, Wait)>,
    /// The image as read before a job, for the pass that looks at what the job did. Few are carried at a time.
    carried: Option<Box<(ImageFacts, Timestamp)>>,
    /// How many recipients a failed job is blamed on.
    candidates: usize,
    /// Which generation of an account's inventory was listed last, and when the next listing is due.
    listing: Option<(Option<i64>, Wait)>,
    /// What that listing brought, until it is in the account's status.
    untold: Option<Box<Listing>>,
    /// Since when nothing of a copy is found that may be there.
    missing_since: Option<Timestamp>,
}

/// A time that is waited for, and when that began: by a clock that somebody may set back meanwhile.
#[derive(Debug, Clone, Copy)]
struct Wait {
    begun: Timestamp,
    until: Timestamp,
}

impl Wait {
    /// How much of it is left; nothing where the clock shows a time before its beginning.
    fn left(self, now: Timestamp) -> Option<Duration> {
        (self.begun <= now && now < self.until).then(|| self.until.duration_since(now).unsigned_abs())
    }
}

/// How long older versions than the one we wrote are seen before the API server is asked which is the newest. A cache may lag
/// for long; but where etcd was restored from a backup, ours never comes.
const DOUBTED_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// What is known of a version of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// None is known to be newer.
    Newest,
    /// There is a newer one, by a write of ours or of somebody else.
    Stale,
    /// The same, but for so long that the API server should be asked.
    Doubtful,
}

/// How long an image read before a job counts as read in the pass that follows it.
const CARRIED_FOR: SignedDuration = SignedDuration::from_secs(60);

/// How long a newer version is waited for after a conflict. A conflict need not be another's write: an admission webhook, a
/// quota or a gateway answers so too, and then none ever comes.
const OVERTAKEN_FOR: SignedDuration = SignedDuration::from_secs(5);

/// Whether a pass is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Not before this long.
    In(Duration),
    /// Now, since something changed.
    Changed {
        /// When the first of the changes was seen.
        first: Timestamp,
        /// When the last was.
        last: Timestamp,
    },
    /// Now, since it is time.
    Time {
        /// Since when.
        since: Timestamp,
    },
}

/// The memories of all objects, by uid.
#[derive(Debug, Default)]
pub struct ObjectStates(Mutex<HashMap<String, ObjectState>>);

impl ObjectStates {
    fn with<T>(&self, uid: &str, act: impl FnOnce(&mut ObjectState) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry(uid.to_owned()).or_default())
    }

    /// Whether no pass over this object has ended.
    pub fn is_unseen(&self, uid: &str) -> bool {
        self.with(uid, |state| state.done.is_none() && state.failures == 0)
    }

    /// Whether a pass is due for these inputs.
    pub fn due(&self, uid: &str, inputs: &Inputs, rule: Debounce, now: Timestamp) -> Due {
        self.with(uid, |state| {
            if state.done.as_ref() == Some(inputs) {
                state.debounce = None;
                let Some(wait) = state.next_reconcile else { return Due::Time { since: now } };
                return wait.left(now).map_or(Due::Time { since: wait.until.min(now) }, Due::In);
            }
            let (first, last) = match &state.debounce {
                Some((gathered, first, last)) if gathered == inputs && *last <= now => (*first, *last),
                Some((_, first, _)) if *first <= now => (*first, now),
                Some(_) | None => (now, now),
            };
            state.debounce = Some((inputs.clone(), first, last));
            debounce_left(rule, first, last, now).map_or(Due::Changed { first, last }, Due::In)
        })
    }

    /// A pass over these inputs is over. Returns how many in a row ended so: were to be tried again, or were blocked with the
    /// same inputs.
    pub fn passed(&self, uid: &str, inputs: Inputs, verdict: &Requeue) -> u32 {
        self.with(uid, |state| {
            let again = state.done.as_ref() == Some(&inputs);
            state.done = Some(inputs);
            state.debounce = None;
            (state.failures, state.blocked) = match verdict {
                Requeue::Retrying { .. } => (state.failures.saturating_add(1), 0),
                Requeue::Blocked if again => (0, state.blocked.saturating_add(1)),
                Requeue::Blocked => (0, 1),
                Requeue::Settled | Requeue::Waiting(_) => (0, 0),
            };
            state.failures.max(state.blocked)
        })
    }

    /// When the next look is due.
    pub fn requeue_at(&self, uid: &str, at: Timestamp, now: Timestamp) {
        self.with(uid, |state| state.next_reconcile = Some(Wait { begun: now, until: at }));
    }

    /// A write upon this version of the object was refused: there should be a newer one, and the next pass is over that. Returns
    /// whether it was refused before, and none came.
    pub fn overtaken(&self, uid: &str, version: &str, now: Timestamp) -> bool {
        self.with(uid, |state| {
            state.done = None;
            let again = state.overtaken.is_some_and(|(refused, _)| version.parse() == Ok(refused));
            let until = now.saturating_add(OVERTAKEN_FOR).unwrap_or(Timestamp::MAX);
            state.overtaken = version.parse().ok().map(|version| (version, Wait { begun: now, until }));
            again
        })
    }

    /// A pass broke off: the next call of `due` finds everything changed. Returns how many in a row failed.
    pub fn broke_off(&self, uid: &str) -> u32 {
        self.with(uid, |state| {
            state.done = None;
            state.failures = state.failures.saturating_add(1);
            state.failures
        })
    }

    /// We wrote this version of the object.
    pub fn wrote(&self, uid: &str, version: &str) {
        self.with(uid, |state| {
            state.written = version.parse().ok().or(state.written);
            state.stale_since = None;
        });
    }

    /// Whether a version is the newest that is known of; an older one is too old to act upon.
    pub fn freshness(&self, uid: &str, version: &str, now: Timestamp) -> Freshness {
        let Ok(seen) = version.parse::<u64>() else { return Freshness::Newest };
        self.with(uid, |state| {
            if state.written.is_some_and(|written| seen < written) {
                let since = *state.stale_since.get_or_insert(now);
                if (SignedDuration::ZERO..DOUBTED_AFTER).contains(&now.duration_since(since)) {
                    return Freshness::Stale;
                }
                state.stale_since = Some(now);
                return Freshness::Doubtful;
            }
            state.stale_since = None;
            let overtaken = state.overtaken.is_some_and(|(refused, wait)| seen <= refused && wait.left(now).is_some());
            if overtaken { Freshness::Stale } else { Freshness::Newest }
        })
    }

    /// The API server itself says that this version is the newest, though we wrote a later one: that was lost.
    pub fn is_newest(&self, uid: &str, version: &str) {
        self.with(uid, |state| {
            let known: Option<u64> = version.parse().ok();
            if state.written > known {
                state.written = known;
            }
        });
    }

    /// Keeps the image as read, across the job that was just asked for.
    pub fn carry(&self, uid: &str, facts: ImageFacts, read_at: Timestamp) {
        self.with(uid, |state| state.carried = Some(Box::new((facts, read_at))));
    }

    /// The image as read before the job, if that is not too long ago. Given once.
    pub fn take_carried(&self, uid: &str, now: Timestamp) -> Option<ImageFacts> {
        let carried = self.with(uid, |state| state.carried.take());
        carried
            .filter(|carried| (SignedDuration::ZERO..CARRIED_FOR).contains(&now.duration_since(carried.1)))
            .map(|carried| carried.0)
    }

    /// How many recipients are suspected after what the last job taught.
    pub fn set_candidates(&self, uid: &str, candidates: usize) {
        self.with(uid, |state| state.candidates = candidates);
    }

    /// What `suspect` was told last; 0 before.
    pub fn candidates(&self, uid: &str) -> usize {
        self.with(uid, |state| state.candidates)
    }

    /// Since when nothing of an object's copy is found; from now, the first time.
    pub fn missing_since(&self, uid: &str, now: Timestamp) -> Timestamp {
        self.with(uid, |state| {
            let since = state.missing_since.filter(|since| *since <= now).unwrap_or(now);
            *state.missing_since.insert(since)
        })
    }

    /// A look at an object's copy showed something, or nothing that counts.
    pub fn not_missing(&self, uid: &str) {
        self.with(uid, |state| state.missing_since = None);
    }

    /// An account's inventory was listed.
    pub fn listed(&self, uid: &str, generation: Option<i64>, next: Timestamp, now: Timestamp) {
        self.with(uid, |state| state.listing = Some((generation, Wait { begun: now, until: next })));
    }

    /// Keeps what a listing brought until it is told.
    pub(crate) fn keep_listing(&self, uid: &str, listing: Listing) {
        self.with(uid, |state| state.untold = Some(Box::new(listing)));
    }

    /// What the last listing brought, if that is not told yet.
    pub(crate) fn untold_listing(&self, uid: &str) -> Option<Listing> {
        self.with(uid, |state| state.untold.as_deref().cloned())
    }

    /// What the last listing brought is in the account's status.
    pub fn listing_is_told(&self, uid: &str) {
        self.with(uid, |state| state.untold = None);
    }

    /// The generation of the account at its last listing; `None` before the first.
    pub fn listed_generation(&self, uid: &str) -> Option<Option<i64>> {
        self.with(uid, |state| state.listing.map(|(generation, _)| generation))
    }

    /// How long the account's inventory need not be listed again.
    pub fn next_listing(&self, uid: &str, now: Timestamp) -> Option<Duration> {
        self.with(uid, |state| state.listing.and_then(|(_, next)| next.left(now)))
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_first_look_that_was_put_off_waits_for_its_time_or_for_a_change() {
        let (states, rule) =
            (ObjectStates::default(), Debounce { quiet: SignedDuration::ZERO, at_most: SignedDuration::ZERO });
        let inputs = |wish: &str| Inputs(vec![wish.to_owned()]);
        assert!(states.is_unseen("uid"));
        states.passed("uid", inputs("as it was"), &Requeue::Settled);
        states.requeue_at("uid", at(1), at(0));
        assert!(!states.is_unseen("uid"));
        assert_eq!(states.due("uid", &inputs("as it was"), rule, at(0)), Due::In(Duration::from_secs(1)));
        assert_eq!(states.due("uid", &inputs("as it was"), rule, at(3)), Due::Time { since: at(1) });
        assert_eq!(states.due("uid", &inputs("edited"), rule, at(0)), Due::Changed { first: at(0), last: at(0) });
    }

    #[test]
    fn what_waits_for_its_turn_keeps_the_time_of_its_first_change_and_of_its_last() {
        let (states, rule) =
            (ObjectStates::default(), Debounce { quiet: SignedDuration::ZERO, at_most: SignedDuration::ZERO });
        let inputs = |wish: &str| Inputs(vec![wish.to_owned()]);
        let changed = |first, last| Due::Changed { first: at(first), last: at(last) };
        assert_eq!(states.due("uid", &inputs("edited"), rule, at(1)), changed(1, 1));
        assert_eq!(states.due("uid", &inputs("edited"), rule, at(2)), changed(1, 1));
        assert_eq!(states.due("uid", &inputs("edited again"), rule, at(3)), changed(1, 3));
        states.passed("uid", inputs("edited again"), &Requeue::Settled);
        assert_eq!(states.due("uid", &inputs("edited once more"), rule, at(4)), changed(4, 4));
    }

    #[test]
    fn a_row_is_of_one_outcome_and_a_change_begins_it_anew() {
        let states = ObjectStates::default();
        let row = |wish: &str, verdict: &Requeue| states.passed("uid", Inputs(vec![wish.to_owned()]), verdict);
        let retrying = Requeue::Retrying { not_before: None };
        assert_eq!(["a", "a", "a", "b", "b"].map(|wish| row(wish, &Requeue::Blocked)), [1, 2, 3, 1, 2]);
        assert_eq!([row("b", &retrying), row("c", &retrying)], [1, 2], "an outage is one, whatever changes meanwhile");
        assert_eq!([row("c", &Requeue::Blocked), row("c", &Requeue::Settled), row("c", &Requeue::Blocked)], [1, 0, 1]);
    }

    #[test]
    fn after_a_conflict_the_next_pass_is_over_a_newer_version() {
        let states = ObjectStates::default();
        assert!(!states.overtaken("uid", "7", at(0)));
        assert_eq!(states.freshness("uid", "7", at(1)), Freshness::Stale);
        assert_eq!(states.freshness("uid", "6", at(1)), Freshness::Stale);
        assert_eq!(states.freshness("uid", "8", at(1)), Freshness::Newest);
    }

    #[test]
    fn a_conflict_that_no_newer_version_explains_stops_nobody_for_long() {
        let states = ObjectStates::default();
        assert!(!states.overtaken("uid", "7", at(0)));
        assert!(states.overtaken("uid", "7", at(0)), "again");
        assert_eq!(states.freshness("uid", "7", at(4)), Freshness::Stale);
        assert_eq!(states.freshness("uid", "7", at(5)), Freshness::Newest);
    }

    #[test]
    fn no_wait_outlasts_a_clock_that_is_set_back() {
        let hour = |n: i64| at(3_600 * n);
        let rule = Debounce { quiet: SignedDuration::from_millis(100), at_most: SignedDuration::from_secs(1) };
        let (states, inputs) = (ObjectStates::default(), |wish: &str| Inputs(vec![wish.to_owned()]));
        states.passed("uid", inputs("a"), &Requeue::Settled);
        states.requeue_at("uid", hour(9) + SignedDuration::from_mins(10), hour(9));
        assert_eq!(states.due("uid", &inputs("a"), rule, hour(9)), Due::In(Duration::from_secs(600)));
        assert_eq!(states.due("uid", &inputs("a"), rule, hour(1)), Due::Time { since: hour(1) });
        assert_eq!(states.due("uid", &inputs("b"), rule, hour(9)), Due::In(Duration::from_millis(100)));
        assert_eq!(states.due("uid", &inputs("b"), rule, hour(1)), Due::In(Duration::from_millis(100)));
        assert!(!states.overtaken("uid", "7", hour(9)));
        assert_eq!(states.freshness("uid", "7", hour(1)), Freshness::Newest);
        states.listed("uid", None, hour(10), hour(9));
        assert_eq!(states.next_listing("uid", hour(1)), None);
        states.missing_since("uid", hour(9));
        assert_eq!(states.missing_since("uid", hour(1)), hour(1));
    }

    #[test]
    fn a_version_that_was_lost_with_a_backup_is_not_waited_for_once_the_api_server_was_asked() {
        let states = ObjectStates::default();
        states.wrote("uid", "900");
        assert_eq!(states.freshness("uid", "8", at(0)), Freshness::Stale);
        assert_eq!(states.freshness("uid", "8", at(9)), Freshness::Stale);
        assert_eq!(states.freshness("uid", "8", at(10)), Freshness::Doubtful);
        assert_eq!(states.freshness("uid", "8", at(11)), Freshness::Stale, "asked once in a while");
        states.is_newest("uid", "8");
        assert_eq!(states.freshness("uid", "8", at(12)), Freshness::Newest);
    }

    #[test]
    fn what_we_wrote_is_waited_for_however_long_the_cache_lags() {
        let states = ObjectStates::default();
        states.wrote("uid", "9");
        assert_ne!(states.freshness("uid", "8", at(1_000)), Freshness::Newest);
        states.is_newest("uid", "9");
        assert_ne!(states.freshness("uid", "8", at(2_000)), Freshness::Newest, "the API server confirmed it");
        assert_eq!(states.freshness("uid", "9", at(2_000)), Freshness::Newest);
    }
}
