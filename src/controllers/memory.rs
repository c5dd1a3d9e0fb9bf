//! What is remembered of each object between passes: what the last pass looked at, when the next is due, what is being
//! gathered. Nothing here survives a restart, and nothing needs to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::image::ImageFacts;
use crate::planning::schedule::{Gathering, still_gathering};

/// Everything in Kubernetes that a pass depends on, as versions: unchanged inputs need no pass before it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs(pub Vec<String>);

#[derive(Debug, Default)]
struct Memory {
    done: Option<Inputs>,
    gathering: Option<(Inputs, Timestamp, Timestamp)>,
    next_look: Option<Timestamp>,
    failures: u32,
    written: Option<u64>,
    /// A version that was refused as too old, and until when a newer one is waited for.
    overtaken: Option<(u64, Timestamp)>,
    /// The image as read before a job, for the pass that looks at what the job did. Few are carried at a time.
    carried: Option<Box<(ImageFacts, Timestamp)>>,
    /// How many recipients a failed job is blamed on.
    suspects: usize,
    /// Which generation of an account's inventory was listed last, and when the next listing is due.
    listing: Option<(Option<i64>, Timestamp)>,
    /// Since when nothing of a copy is found that may be there.
    missing_since: Option<Timestamp>,
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
pub struct Memories(Mutex<HashMap<String, Memory>>);

impl Memories {
    fn with<T>(&self, uid: &str, act: impl FnOnce(&mut Memory) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry(uid.to_owned()).or_default())
    }

    /// Whether no pass over this object has ended.
    pub fn is_unseen(&self, uid: &str) -> bool {
        self.with(uid, |memory| memory.done.is_none() && memory.failures == 0)
    }

    /// Whether a pass is due for these inputs.
    pub fn due(&self, uid: &str, inputs: &Inputs, rule: Gathering, now: Timestamp) -> Due {
        self.with(uid, |memory| {
            if memory.done.as_ref() == Some(inputs) {
                memory.gathering = None;
                return match memory.next_look.unwrap_or(now) {
                    at if at > now => Due::In(at.duration_since(now).unsigned_abs()),
                    since => Due::Time { since },
                };
            }
            let (first, last) = match &memory.gathering {
                Some((gathered, first, last)) if gathered == inputs => (*first, *last),
                Some((_, first, _)) => (*first, now),
                None => (now, now),
            };
            memory.gathering = Some((inputs.clone(), first, last));
            still_gathering(rule, first, last, now).map_or(Due::Changed { first, last }, Due::In)
        })
    }

    /// A pass over these inputs is over. Returns how many in a row failed.
    pub fn passed(&self, uid: &str, inputs: Inputs, failed: bool) -> u32 {
        self.with(uid, |memory| {
            memory.done = Some(inputs);
            memory.gathering = None;
            memory.failures = if failed { memory.failures.saturating_add(1) } else { 0 };
            memory.failures
        })
    }

    /// When the next look is due.
    pub fn look_at(&self, uid: &str, at: Timestamp) {
        self.with(uid, |memory| memory.next_look = Some(at));
    }

    /// A write upon this version of the object was refused: there should be a newer one, and the next pass is over that.
    pub fn overtaken(&self, uid: &str, version: &str, now: Timestamp) {
        self.with(uid, |memory| {
            memory.done = None;
            let until = now.saturating_add(OVERTAKEN_FOR).unwrap_or(Timestamp::MAX);
            memory.overtaken = version.parse().ok().map(|version| (version, until));
        });
    }

    /// A pass broke off: the next call of `due` finds everything changed. Returns how many in a row failed.
    pub fn broke_off(&self, uid: &str) -> u32 {
        self.with(uid, |memory| {
            memory.done = None;
            memory.failures = memory.failures.saturating_add(1);
            memory.failures
        })
    }

    /// We wrote this version of the object.
    pub fn wrote(&self, uid: &str, version: &str) {
        self.with(uid, |memory| memory.written = version.parse().ok().or(memory.written));
    }

    /// Whether a version is known not to be the newest, by a write of ours or of somebody else: too old to act upon.
    pub fn is_stale(&self, uid: &str, version: &str, now: Timestamp) -> bool {
        let Ok(seen) = version.parse::<u64>() else { return false };
        self.with(uid, |memory| {
            let ours = memory.written.is_some_and(|written| seen < written);
            ours || memory.overtaken.is_some_and(|(refused, until)| seen <= refused && now < until)
        })
    }

    /// Keeps the image as read, across the job that was just asked for.
    pub fn carry(&self, uid: &str, facts: ImageFacts, read_at: Timestamp) {
        self.with(uid, |memory| memory.carried = Some(Box::new((facts, read_at))));
    }

    /// The image as read before the job, if that is not too long ago. Given once.
    pub fn take_carried(&self, uid: &str, now: Timestamp) -> Option<ImageFacts> {
        let carried = self.with(uid, |memory| memory.carried.take());
        carried.filter(|carried| now.duration_since(carried.1) < CARRIED_FOR).map(|carried| carried.0)
    }

    /// How many recipients are suspected after what the last job taught.
    pub fn suspect(&self, uid: &str, suspects: usize) {
        self.with(uid, |memory| memory.suspects = suspects);
    }

    /// What `suspect` was told last; 0 before.
    pub fn suspects(&self, uid: &str) -> usize {
        self.with(uid, |memory| memory.suspects)
    }

    /// Since when nothing of an object's copy is found; from now, the first time.
    pub fn missing_since(&self, uid: &str, now: Timestamp) -> Timestamp {
        self.with(uid, |memory| *memory.missing_since.get_or_insert(now))
    }

    /// A look at an object's copy showed something, or nothing that counts.
    pub fn not_missing(&self, uid: &str) {
        self.with(uid, |memory| memory.missing_since = None);
    }

    /// An account's inventory was listed.
    pub fn listed(&self, uid: &str, generation: Option<i64>, next: Timestamp) {
        self.with(uid, |memory| memory.listing = Some((generation, next)));
    }

    /// The generation of the account at its last listing; `None` before the first.
    pub fn listed_generation(&self, uid: &str) -> Option<Option<i64>> {
        self.with(uid, |memory| memory.listing.map(|(generation, _)| generation))
    }

    /// When the account's inventory is to be listed again.
    pub fn next_listing(&self, uid: &str) -> Option<Timestamp> {
        self.with(uid, |memory| memory.listing.map(|(_, next)| next))
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
        let (memories, rule) =
            (Memories::default(), Gathering { quiet: SignedDuration::ZERO, at_most: SignedDuration::ZERO });
        let inputs = |wish: &str| Inputs(vec![wish.to_owned()]);
        assert!(memories.is_unseen("uid"));
        memories.passed("uid", inputs("as it was"), false);
        memories.look_at("uid", at(1));
        assert!(!memories.is_unseen("uid"));
        assert_eq!(memories.due("uid", &inputs("as it was"), rule, at(0)), Due::In(Duration::from_secs(1)));
        assert_eq!(memories.due("uid", &inputs("as it was"), rule, at(3)), Due::Time { since: at(1) });
        assert_eq!(memories.due("uid", &inputs("edited"), rule, at(0)), Due::Changed { first: at(0), last: at(0) });
    }

    #[test]
    fn what_waits_for_its_turn_keeps_the_time_of_its_first_change_and_of_its_last() {
        let (memories, rule) =
            (Memories::default(), Gathering { quiet: SignedDuration::ZERO, at_most: SignedDuration::ZERO });
        let inputs = |wish: &str| Inputs(vec![wish.to_owned()]);
        let changed = |first, last| Due::Changed { first: at(first), last: at(last) };
        assert_eq!(memories.due("uid", &inputs("edited"), rule, at(1)), changed(1, 1));
        assert_eq!(memories.due("uid", &inputs("edited"), rule, at(2)), changed(1, 1));
        assert_eq!(memories.due("uid", &inputs("edited again"), rule, at(3)), changed(1, 3));
        memories.passed("uid", inputs("edited again"), false);
        assert_eq!(memories.due("uid", &inputs("edited once more"), rule, at(4)), changed(4, 4));
    }

    #[test]
    fn after_a_conflict_the_next_pass_is_over_a_newer_version() {
        let memories = Memories::default();
        memories.overtaken("uid", "7", at(0));
        assert!(memories.is_stale("uid", "7", at(1)) && memories.is_stale("uid", "6", at(1)));
        assert!(!memories.is_stale("uid", "8", at(1)));
    }

    #[test]
    fn a_conflict_that_no_newer_version_explains_stops_nobody_for_long() {
        let memories = Memories::default();
        memories.overtaken("uid", "7", at(0));
        assert!(memories.is_stale("uid", "7", at(4)));
        assert!(!memories.is_stale("uid", "7", at(5)));
    }

    #[test]
    fn what_we_wrote_is_waited_for_however_long_the_cache_lags() {
        let memories = Memories::default();
        memories.wrote("uid", "9");
        assert!(memories.is_stale("uid", "8", at(1_000)));
        assert!(!memories.is_stale("uid", "9", at(1_000)));
    }
}
