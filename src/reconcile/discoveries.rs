//! Lists of the accounts' own images: one for each account and region, which all channels share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clouds::Fault;
use crate::domain::image::OwnImage;

/// An account, by the uid of its object, and a region.
pub(crate) type AccountRegion = (String, String);

/// What is known of the images of one account in one region.
#[derive(Debug, Clone, Default)]
pub(crate) struct Discovery {
    /// The last complete list, and when it was asked for.
    pub(crate) list: Option<(Arc<[OwnImage]>, Timestamp)>,
    /// Why the last attempt brought no complete list.
    pub(crate) fault: Option<Fault>,
    /// When the last attempt was made.
    asked: Option<Timestamp>,
    /// How long it holds.
    holds: Duration,
}

impl Discovery {
    /// How long it holds from now on; `None` if it is due. A clock that was set back makes it due.
    pub(crate) fn left(&self, now: Timestamp) -> Option<Duration> {
        let passed = self.asked.filter(|asked| *asked <= now).map(|asked| now.duration_since(asked).unsigned_abs())?;
        self.holds.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

#[derive(Debug, Default)]
struct Entry {
    discovery: Discovery,
    /// A reconcile lists them right now.
    busy: bool,
}

/// The lists of all accounts and regions. Losing them at a restart is harmless: nothing is concluded without a list.
#[derive(Debug, Default)]
pub struct Discoveries(Mutex<HashMap<AccountRegion, Entry>>);

impl Discoveries {
    fn all(&self) -> MutexGuard<'_, HashMap<AccountRegion, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of an account in a region.
    pub(crate) fn known(&self, key: &AccountRegion) -> Discovery {
        self.all().get(key).map(|entry| entry.discovery.clone()).unwrap_or_default()
    }

    /// Reserves the next list; `None` while another reconcile lists the images, or if one has since the caller saw
    /// this.
    pub(crate) fn begin(&self, key: &AccountRegion, seen: &Discovery) -> Option<Listing<'_>> {
        let mut all = self.all();
        let entry = all.entry(key.clone()).or_default();
        if entry.discovery.asked != seen.asked || std::mem::replace(&mut entry.busy, true) {
            return None;
        }
        Some(Listing { of: self, key: key.clone() })
    }

    /// Forgets a deleted account.
    pub(crate) fn forget(&self, uid: &str) {
        self.all().retain(|(account, _), _| account != uid);
    }
}

/// A list that is being made. A reconcile that ends without a result gives it back.
pub(crate) struct Listing<'a> {
    of: &'a Discoveries,
    key: AccountRegion,
}

impl Listing<'_> {
    /// Records the result of an attempt that was made at a time, and how long it holds. A failure keeps the last complete list.
    pub(crate) fn record(self, result: Result<Arc<[OwnImage]>, Fault>, asked: Timestamp, holds: Duration) -> Discovery {
        let mut all = self.of.all();
        let entry = all.entry(self.key.clone()).or_default();
        let known = &mut entry.discovery;
        (known.asked, known.holds) = (Some(asked), holds);
        match result {
            Ok(images) => {
                // Two lists never have the same time, also where the clock was set back or stands still. Whole seconds: status,
                // which holds such times, has no parts of them.
                let asked = Timestamp::from_second(asked.as_second()).unwrap_or(asked);
                let later = |former: Timestamp| former.saturating_add(SignedDuration::from_secs(1)).unwrap_or(asked);
                let at = known.list.as_ref().map_or(asked, |(_, former)| asked.max(later(*former)));
                (known.list, known.fault) = (Some((images, at)), None);
            }
            Err(fault) => known.fault = Some(fault),
        }
        known.clone()
    }
}

impl Drop for Listing<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.of.all().get_mut(&self.key) {
            entry.busy = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn key() -> AccountRegion {
        ("uid".to_owned(), "here".to_owned())
    }

    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn one_list_serves_all_until_it_is_due_again() {
        let all = Discoveries::default();
        assert_eq!(all.known(&key()).left(at(0)), None);
        let before = all.known(&key());
        let listing = all.begin(&key(), &before).unwrap();
        assert!(all.begin(&key(), &all.known(&key())).is_none(), "nobody lists the same images twice at once");
        listing.record(Ok(Arc::from([])), at(0), TEN);
        assert!(all.begin(&key(), &before).is_none(), "who saw none has one now");
        let known = all.known(&key());
        assert_eq!([4, 9].map(|second| known.left(at(second))), [6, 1].map(|left| Some(Duration::from_secs(left))));
        assert_eq!([10, 11, -1].map(|second| known.left(at(second))), [None; 3]);
        drop(all.begin(&key(), &all.known(&key())).unwrap());
        assert!(all.begin(&key(), &all.known(&key())).is_some(), "a list that was given up is free again");
    }

    #[test]
    fn a_failure_keeps_the_last_list_and_a_clock_set_back_makes_no_older_one() {
        let all = Discoveries::default();
        all.begin(&key(), &all.known(&key())).unwrap().record(Ok(Arc::from([])), at(100), TEN);
        let failed = all.begin(&key(), &all.known(&key())).unwrap().record(Err(Fault::Unavailable), at(110), TEN);
        assert_eq!((failed.list.unwrap().1, failed.fault), (at(100), Some(Fault::Unavailable)));
        let later = all.begin(&key(), &all.known(&key())).unwrap().record(Ok(Arc::from([])), at(50), TEN);
        assert!(later.list.unwrap().1 > at(100));
        // Status holds whole seconds: the same list must never look like a later one.
        let part = at(200) + SignedDuration::from_millis(700);
        let exact = all.begin(&key(), &all.known(&key())).unwrap().record(Ok(Arc::from([])), part, TEN);
        assert_eq!(exact.list.unwrap().1, at(200));
        all.forget("uid");
        assert!(all.known(&key()).list.is_none());
    }
}
