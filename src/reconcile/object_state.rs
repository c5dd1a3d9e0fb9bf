//! Per-object state between reconciles: the inputs of the last reconcile, when the next is due, and the running debounce.
//! Nothing here survives a restart, and nothing needs to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::conditions::Decision;
use crate::domain::image::ImageFacts;
use crate::planning::schedule::{Changes, Debounce, Requeue};
use crate::reconcile::access_notes::AccessNotes;

/// The result of listing an account's inventory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    /// The number of received images and its limit, and how many offers are pending; `None` if not all regions were listed.
    pub(crate) counts: Option<(String, u32)>,
    /// The `Listed` condition; `None` if nothing was listed now.
    pub(crate) decision: Option<Decision>,
    /// When the next listing is due.
    pub(crate) next_reconcile: Option<Duration>,
}

/// Input fingerprint: the versions of a reconcile's Kubernetes inputs. If unchanged, no reconcile runs before it is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs(pub Vec<String>);

#[derive(Debug, Default)]
struct ObjectState {
    done: Option<Inputs>,
    debounce: Option<(Inputs, Changes)>,
    /// When a change was seen last.
    changed: Option<Timestamp>,
    next_reconcile: Option<Wait>,
    failures: u32,
    /// How many reconciles in a row found the same problem.
    blocked: u32,
    written: Option<u64>,
    /// Since when the cache shows only versions older than the one we wrote, or when we last asked the API server about it.
    stale_since: Option<Timestamp>,
    /// A version that the API server refused as too old, and how long to wait for a newer one.
    conflicted: Option<(u64, Wait)>,
    /// The image as read before a job, for the reconcile that checks the job's result. Few are stashed at a time.
    stashed: Option<Box<(ImageFacts, Timestamp)>>,
    /// How many recipients may have caused a job's failure.
    candidates: usize,
    /// The account's generation at the last inventory listing, and when the next listing is due.
    listing: Option<(Option<i64>, Wait)>,
    /// The result of that listing, until it is in the account's status.
    unreported: Option<Box<Listing>>,
    /// Since when no trace of a replica's copy is found, though the copy may exist.
    missing_since: Option<Timestamp>,
    /// The image that the object may act for, from before it records its owner until the caches show that to the others.
    claim: Option<(String, Wait)>,
    /// What the audit log says of changes of access under way.
    access: Option<Box<AccessNotes>>,
}

/// A wait: its start and its end, on a clock that may be set back meanwhile.
#[derive(Debug, Clone, Copy)]
struct Wait {
    begun: Timestamp,
    until: Timestamp,
}

impl Wait {
    /// The remaining time; `None` if the clock shows a time before the start.
    fn left(self, now: Timestamp) -> Option<Duration> {
        (self.begun <= now && now < self.until).then(|| self.until.duration_since(now).unsigned_abs())
    }
}

/// How long the cache may show older versions than the one we wrote before we ask the API server which is the newest. A cache
/// may lag for long; but after a restore of etcd from a backup, our version never appears.
const DOUBTED_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Whether a version of an object is the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// No newer version is known.
    Newest,
    /// A newer version exists, written by us or by another client.
    Stale,
    /// As `Stale`, but for so long that we should ask the API server.
    Doubtful,
}

/// How long a claim counts: longer than a write and the news of it in the caches take.
const CLAIMED_FOR: SignedDuration = SignedDuration::from_secs(60);

/// How long an image read before a job counts as read in the next reconcile.
const STASHED_FOR: SignedDuration = SignedDuration::from_secs(60);

/// How long to wait for a newer version after a conflict. A conflict need not come from another write: an admission webhook, a
/// quota or a gateway may return one too, and then no newer version ever appears.
const CONFLICT_BACKOFF: SignedDuration = SignedDuration::from_secs(5);

/// Whether a reconcile is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Not before this time has passed.
    In(Duration),
    /// Now, because something changed.
    Changed {
        /// When the first change was seen.
        first: Timestamp,
        /// When the last change was seen.
        last: Timestamp,
    },
    /// Now, because the requeue interval has passed.
    Time {
        /// Since when.
        since: Timestamp,
    },
}

/// The states of all objects, by uid.
#[derive(Debug, Default)]
pub struct ObjectStates(Mutex<HashMap<String, ObjectState>>);

impl ObjectStates {
    fn with<T>(&self, uid: &str, act: impl FnOnce(&mut ObjectState) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry(uid.to_owned()).or_default())
    }

    /// Whether no reconcile of this object has ended yet.
    pub fn is_unseen(&self, uid: &str) -> bool {
        self.with(uid, |state| state.done.is_none() && state.failures == 0)
    }

    /// Whether a reconcile is due for these inputs.
    pub fn due(&self, uid: &str, inputs: &Inputs, rule: Debounce, now: Timestamp) -> Due {
        self.with(uid, |state| {
            if state.done.as_ref() == Some(inputs) {
                state.debounce = None;
                let Some(wait) = state.next_reconcile else { return Due::Time { since: now } };
                return wait.left(now).map_or(Due::Time { since: wait.until.min(now) }, Due::In);
            }
            let changes = match &state.debounce {
                Some((gathered, changes)) if gathered == inputs && changes.last <= now => *changes,
                Some((_, changes)) if changes.first <= now => changes.and(now),
                None if state.done.is_some() => Changes::begin(rule, state.changed, now),
                Some(_) | None => Changes::of_new(now),
            };
            (state.debounce, state.changed) = (Some((inputs.clone(), changes)), Some(changes.last));
            let Changes { first, last, .. } = changes;
            changes.left(rule, now).map_or(Due::Changed { first, last }, Due::In)
        })
    }

    /// Records the end of a reconcile with these inputs. Returns how many in a row ended the same way: with a retry, or blocked
    /// with the same inputs.
    pub fn reconciled(&self, uid: &str, inputs: Inputs, requeue: &Requeue) -> u32 {
        self.with(uid, |state| {
            let again = state.done.as_ref() == Some(&inputs);
            state.done = Some(inputs);
            state.debounce = None;
            (state.failures, state.blocked) = match requeue {
                Requeue::Retrying { .. } => (state.failures.saturating_add(1), 0),
                Requeue::Blocked if again => (0, state.blocked.saturating_add(1)),
                Requeue::Blocked => (0, 1),
                Requeue::Settled | Requeue::Waiting(_) => (0, 0),
            };
            state.failures.max(state.blocked)
        })
    }

    /// Sets when the next reconcile is due.
    pub fn requeue_at(&self, uid: &str, at: Timestamp, now: Timestamp) {
        self.with(uid, |state| state.next_reconcile = Some(Wait { begun: now, until: at }));
    }

    /// Records that the API server refused a write to this version: there should be a newer one for the next reconcile. Returns
    /// whether it refused this version before.
    pub fn conflicted(&self, uid: &str, version: &str, now: Timestamp) -> bool {
        self.with(uid, |state| {
            state.done = None;
            let again = state.conflicted.is_some_and(|(refused, _)| version.parse() == Ok(refused));
            let until = now.saturating_add(CONFLICT_BACKOFF).unwrap_or(Timestamp::MAX);
            state.conflicted = version.parse().ok().map(|version| (version, Wait { begun: now, until }));
            again
        })
    }

    /// Records a failed reconcile: the next call of `due` treats everything as changed. Returns how many in a row failed.
    pub fn failed(&self, uid: &str) -> u32 {
        self.with(uid, |state| {
            state.done = None;
            state.failures = state.failures.saturating_add(1);
            state.failures
        })
    }

    /// Records that we wrote this version of the object.
    pub fn wrote(&self, uid: &str, version: &str) {
        self.with(uid, |state| {
            state.written = version.parse().ok().or(state.written);
            state.stale_since = None;
        });
    }

    /// Whether a version is the newest known one; do not act on an older one.
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
            let conflicted =
                state.conflicted.is_some_and(|(refused, wait)| seen <= refused && wait.left(now).is_some());
            if conflicted { Freshness::Stale } else { Freshness::Newest }
        })
    }

    /// The API server confirmed that this version is the newest. If we wrote a later one, that version was lost.
    pub fn is_newest(&self, uid: &str, version: &str) {
        self.with(uid, |state| {
            let known: Option<u64> = version.parse().ok();
            if state.written > known {
                state.written = known;
            }
        });
    }

    /// Stashes the image as read, across the job that just started.
    pub fn stash(&self, uid: &str, facts: ImageFacts, read_at: Timestamp) {
        self.with(uid, |state| state.stashed = Some(Box::new((facts, read_at))));
    }

    /// Takes the image stashed before the job, if it is recent enough.
    pub fn take_stashed(&self, uid: &str, now: Timestamp) -> Option<ImageFacts> {
        let stashed = self.with(uid, |state| state.stashed.take());
        stashed
            .filter(|stashed| (SignedDuration::ZERO..STASHED_FOR).contains(&now.duration_since(stashed.1)))
            .map(|stashed| stashed.0)
    }

    /// Sets how many recipients remain bisection candidates after the last job.
    pub fn set_candidates(&self, uid: &str, candidates: usize) {
        self.with(uid, |state| state.candidates = candidates);
    }

    /// The last value of `set_candidates`; 0 before.
    pub fn candidates(&self, uid: &str) -> usize {
        self.with(uid, |state| state.candidates)
    }

    /// Reads or changes the notes about changes of access.
    pub(crate) fn access_notes<T>(&self, uid: &str, act: impl FnOnce(&mut AccessNotes) -> T) -> T {
        self.with(uid, |state| act(state.access.get_or_insert_default()))
    }

    /// Since when no trace of a replica's copy is found; from now on at the first call.
    pub fn missing_since(&self, uid: &str, now: Timestamp) -> Timestamp {
        self.with(uid, |state| {
            let since = state.missing_since.filter(|since| *since <= now).unwrap_or(now);
            *state.missing_since.insert(since)
        })
    }

    /// Resets `missing_since`: a read showed a trace of the copy, or was inconclusive.
    pub fn not_missing(&self, uid: &str) {
        self.with(uid, |state| state.missing_since = None);
    }

    /// Claims an image for an object that did not record its owner yet. Returns false if one of the others, which name the same
    /// image and recorded none either, did so before. One process leads, so of objects that observe an image at once exactly one acts.
    pub(crate) fn claim(&self, uid: &str, image: &str, others: &[String], now: Timestamp) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = |state: &ObjectState| {
            state.claim.as_ref().is_some_and(|(claimed, wait)| claimed == image && wait.left(now).is_some())
        };
        if others.iter().any(|other| all.get(other).is_some_and(claims)) {
            return false;
        }
        let until = now.saturating_add(CLAIMED_FOR).unwrap_or(Timestamp::MAX);
        all.entry(uid.to_owned()).or_default().claim = Some((image.to_owned(), Wait { begun: now, until }));
        true
    }

    /// Records that an account's inventory was listed, and keeps the result until it is in the account's status.
    pub(crate) fn listed(&self, uid: &str, generation: Option<i64>, next: Timestamp, now: Timestamp, result: Listing) {
        self.with(uid, |state| {
            state.listing = Some((generation, Wait { begun: now, until: next }));
            state.unreported = Some(Box::new(result));
        });
    }

    /// Keeps the result of a listing of some regions between two of all.
    pub(crate) fn relisted(&self, uid: &str, result: Listing) {
        self.with(uid, |state| state.unreported = Some(Box::new(result)));
    }

    /// The last listing of an account's generation, unless the next one is due. A conflicting write of the object may have kept
    /// its result from the status.
    pub(crate) fn last_listing(&self, uid: &str, generation: Option<i64>, now: Timestamp) -> Option<Listing> {
        self.with(uid, |state| {
            let (_, next) = state.listing.filter(|(listed, _)| *listed == generation)?;
            let next_reconcile = Some(next.left(now)?);
            Some(Listing { next_reconcile, ..state.unreported.as_deref().cloned().unwrap_or_default() })
        })
    }

    /// Drops the result of the last listing once it is in the account's status.
    pub fn listing_is_reported(&self, uid: &str) {
        self.with(uid, |state| state.unreported = None);
    }

    /// Forgets a deleted object.
    pub fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Debounce = Debounce { quiet: SignedDuration::ZERO, at_most: SignedDuration::ZERO };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_first_look_that_was_put_off_waits_for_its_time_or_for_a_change() {
        let (states, rule) = (ObjectStates::default(), AT_ONCE);
        let inputs = |input: &str| Inputs(vec![input.to_owned()]);
        assert!(states.is_unseen("uid"));
        states.reconciled("uid", inputs("as it was"), &Requeue::Settled);
        states.requeue_at("uid", at(1), at(0));
        assert!(!states.is_unseen("uid"));
        assert_eq!(states.due("uid", &inputs("as it was"), rule, at(0)), Due::In(Duration::from_secs(1)));
        assert_eq!(states.due("uid", &inputs("as it was"), rule, at(3)), Due::Time { since: at(1) });
        assert_eq!(states.due("uid", &inputs("edited"), rule, at(0)), Due::Changed { first: at(0), last: at(0) });
    }

    #[test]
    fn what_waits_for_its_turn_keeps_the_time_of_its_first_change_and_of_its_last() {
        let (states, rule) = (ObjectStates::default(), AT_ONCE);
        let inputs = |input: &str| Inputs(vec![input.to_owned()]);
        let changed = |first, last| Due::Changed { first: at(first), last: at(last) };
        assert_eq!(states.due("uid", &inputs("edited"), rule, at(1)), changed(1, 1));
        assert_eq!(states.due("uid", &inputs("edited"), rule, at(2)), changed(1, 1));
        assert_eq!(states.due("uid", &inputs("edited again"), rule, at(3)), changed(1, 3));
        states.reconciled("uid", inputs("edited again"), &Requeue::Settled);
        assert_eq!(states.due("uid", &inputs("edited once more"), rule, at(4)), changed(4, 4));
    }

    #[test]
    fn a_row_is_of_one_outcome_and_a_change_begins_it_anew() {
        let states = ObjectStates::default();
        let row = |input: &str, requeue: &Requeue| states.reconciled("uid", Inputs(vec![input.to_owned()]), requeue);
        let retrying = Requeue::Retrying { not_before: None };
        assert_eq!(["a", "a", "a", "b", "b"].map(|input| row(input, &Requeue::Blocked)), [1, 2, 3, 1, 2]);
        assert_eq!([row("b", &retrying), row("c", &retrying)], [1, 2], "an outage is one, whatever changes meanwhile");
        assert_eq!([row("c", &Requeue::Blocked), row("c", &Requeue::Settled), row("c", &Requeue::Blocked)], [1, 0, 1]);
    }

    #[test]
    fn after_a_conflict_the_next_pass_is_over_a_newer_version() {
        let states = ObjectStates::default();
        assert!(!states.conflicted("uid", "7", at(0)));
        assert_eq!(states.freshness("uid", "7", at(1)), Freshness::Stale);
        assert_eq!(states.freshness("uid", "6", at(1)), Freshness::Stale);
        assert_eq!(states.freshness("uid", "8", at(1)), Freshness::Newest);
    }

    #[test]
    fn a_conflict_that_no_newer_version_explains_stops_nobody_for_long() {
        let states = ObjectStates::default();
        assert!(!states.conflicted("uid", "7", at(0)));
        assert!(states.conflicted("uid", "7", at(0)), "again");
        assert_eq!(states.freshness("uid", "7", at(4)), Freshness::Stale);
        assert_eq!(states.freshness("uid", "7", at(5)), Freshness::Newest);
    }

    #[test]
    fn an_edit_after_a_quiet_time_does_not_wait_and_those_that_follow_do() {
        let rule = Debounce { quiet: SignedDuration::from_millis(100), at_most: SignedDuration::from_secs(1) };
        let (states, inputs) = (ObjectStates::default(), |input: &str| Inputs(vec![input.to_owned()]));
        let made = states.due("uid", &inputs("made"), rule, at(0));
        assert_eq!(made, Due::In(Duration::from_millis(100)), "what belongs to a new object is applied with it");
        states.reconciled("uid", inputs("made"), &Requeue::Settled);
        let edit = |input: &str, time| states.due("uid", &inputs(input), rule, time);
        assert_eq!(edit("first", at(5)), Due::Changed { first: at(5), last: at(5) });
        states.reconciled("uid", inputs("first"), &Requeue::Settled);
        let soon = at(5) + SignedDuration::from_millis(50);
        assert_eq!(edit("second", soon), Due::In(Duration::from_millis(100)));
        states.failed("uid");
        assert_eq!(edit("third", at(9)), Due::Changed { first: soon, last: at(9) }, "it was long enough");
    }

    #[test]
    fn no_wait_outlasts_a_clock_that_is_set_back() {
        let hour = |n: i64| at(3_600 * n);
        let rule = Debounce { quiet: SignedDuration::from_millis(100), at_most: SignedDuration::from_secs(1) };
        let (states, inputs) = (ObjectStates::default(), |input: &str| Inputs(vec![input.to_owned()]));
        assert_eq!(states.due("uid", &inputs("a"), rule, hour(9)), Due::In(Duration::from_millis(100)));
        states.reconciled("uid", inputs("a"), &Requeue::Settled);
        states.requeue_at("uid", hour(9) + SignedDuration::from_mins(10), hour(9));
        assert_eq!(states.due("uid", &inputs("a"), rule, hour(9)), Due::In(Duration::from_secs(600)));
        assert_eq!(states.due("uid", &inputs("a"), rule, hour(1)), Due::Time { since: hour(1) });
        assert_eq!(states.due("uid", &inputs("b"), rule, hour(9)), Due::In(Duration::from_millis(100)));
        assert_eq!(states.due("uid", &inputs("b"), rule, hour(1)), Due::In(Duration::from_millis(100)));
        assert!(!states.conflicted("uid", "7", hour(9)));
        assert_eq!(states.freshness("uid", "7", hour(1)), Freshness::Newest);
        states.listed("uid", None, hour(10), hour(9), Listing::default());
        assert!(states.last_listing("uid", None, hour(1)).is_none());
        states.missing_since("uid", hour(9));
        assert_eq!(states.missing_since("uid", hour(1)), hour(1));
    }

    #[test]
    fn of_objects_that_observe_an_image_at_once_the_first_claims_it() {
        let states = ObjectStates::default();
        let claim = |own: &str, other: &str, image: &str, now| states.claim(own, image, &[other.to_owned()], at(now));
        assert!(claim("younger", "older", "image", 0));
        assert!(!claim("older", "younger", "image", 1), "whatever their age");
        assert!(claim("younger", "older", "image", 2), "the same one again");
        assert!(claim("older", "younger", "another image", 3));
        assert!(!claim("older", "younger", "image", 61));
        assert!(claim("older", "younger", "image", 62), "the first one never recorded its owner");
        assert!(!claim("younger", "older", "image", 63));
        states.forget("older");
        assert!(claim("younger", "older", "image", 64));
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
