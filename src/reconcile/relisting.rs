//! Listings of an inventory between its intervals: what this operator did at a cloud shows in the inventories of this cluster
//! at once. Each lists only the regions concerned, and one that found nothing new makes the next one wait longer.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedSender;

use crate::api::CloudAccount;
use crate::cluster::guard::Guarded;
use crate::domain::identifiers::{Recipient, RegionId};
use crate::reconcile::context::Context;
use crate::reconcile::counterparts::ids_of;

/// The shortest pause between two such listings of one account. What happens meanwhile is listed together.
const PAUSE: SignedDuration = SignedDuration::from_millis(500);

/// The longest one.
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(5);

#[derive(Debug)]
struct Asked {
    regions: BTreeSet<String>,
    /// When the last such listing began, and how long the next one waits from then on.
    last: Option<Timestamp>,
    pause: SignedDuration,
}

/// Whether an account's inventory is to be listed between its intervals.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Relist {
    /// Nobody asked.
    No,
    /// After this time.
    In(Duration),
    /// Now, in these regions.
    Now(BTreeSet<String>),
}

/// The listings that were asked for, by the uid of the account.
#[derive(Debug, Default)]
pub struct Relistings {
    asked: Mutex<HashMap<String, Asked>>,
    queue: OnceLock<UnboundedSender<ObjectRef<Guarded<CloudAccount>>>>,
}

impl Relistings {
    /// Sets where accounts are enqueued.
    pub(crate) fn connect(&self, queue: UnboundedSender<ObjectRef<Guarded<CloudAccount>>>) {
        self.queue.get_or_init(|| queue);
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<String, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a listing of one region, if the account's inventory has it.
    pub(crate) fn ask(&self, account: &CloudAccount, region: &str) {
        if !lists(account, region) {
            return;
        }
        let fresh = || Asked { regions: BTreeSet::new(), last: None, pause: PAUSE };
        let mut asked = self.asked();
        asked.entry(account.uid().unwrap_or_default()).or_insert_with(fresh).regions.insert(region.to_owned());
        drop(asked);
        let here = ObjectRef::new(&account.name_any()).within(&account.namespace().unwrap_or_default());
        self.queue.get().into_iter().for_each(|queue| drop(queue.send(here.clone())));
    }

    /// Whether a listing is due; takes what was asked for.
    pub(crate) fn due(&self, uid: &str, now: Timestamp) -> Relist {
        let mut all = self.asked();
        let Some(asked) = all.get_mut(uid).filter(|asked| !asked.regions.is_empty()) else { return Relist::No };
        let passed = asked.last.filter(|last| *last <= now).map(|last| now.duration_since(last));
        if let Some(passed) = passed.filter(|passed| *passed < asked.pause) {
            return Relist::In((asked.pause - passed).unsigned_abs());
        }
        asked.last = Some(now);
        Relist::Now(std::mem::take(&mut asked.regions))
    }

    /// How long until a listing that was asked for is due.
    pub(crate) fn wait(&self, uid: &str, now: Timestamp) -> Option<Duration> {
        let all = self.asked();
        let asked = all.get(uid).filter(|asked| !asked.regions.is_empty())?;
        let passed = asked.last.map_or(SignedDuration::MAX, |last| now.duration_since(last));
        Some((asked.pause - passed.min(asked.pause)).max(SignedDuration::ZERO).unsigned_abs())
    }

    /// Records what a listing found. `failed`: these regions are still to be listed.
    pub(crate) fn listed(&self, uid: &str, found_something: bool, failed: BTreeSet<String>) {
        if let Some(asked) = self.asked().get_mut(uid) {
            asked.pause = if found_something { PAUSE } else { (asked.pause * 2).min(PAUSE_MAX) };
            asked.regions.extend(failed);
        }
    }

    /// Forgets what was asked for: all regions are listed anyway, or the account is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.asked().remove(uid);
    }
}

fn lists(account: &CloudAccount, region: &str) -> bool {
    account.spec.inventory.as_ref().is_some_and(|inventory| inventory.regions.iter().any(|listed| listed == region))
}

/// Asks for listings of the accounts of this cluster that these recipients stand for: their access to an image began or ended.
pub(crate) fn relist_recipients<'a>(ctx: &Context, region: &str, changed: impl Iterator<Item = &'a Recipient>) {
    let ids: BTreeSet<&str> = changed.map(|recipient| recipient.id.as_str()).collect();
    if ids.is_empty() {
        return;
    }
    let listing = ctx.stores.accounts.state_filter(|account| account.readable().is_some_and(|a| lists(a, region)));
    let parsed = RegionId::parse(region).ok();
    for account in listing.iter().filter_map(|account| account.readable()) {
        let principal = parsed.as_ref().and_then(|region| ctx.connections.principal(account, region));
        if ids_of(account, principal.as_ref()).iter().any(|id| ids.contains(id.as_str())) {
            ctx.relistings.ask(account, region);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account() -> CloudAccount {
        let spec = json!({"openstack": {"authURL": "https://k", "projectID": "p",
            "credentials": {"secretRef": {"name": "s"}}}, "inventory": {"regions": ["here", "there"]}});
        let meta = json!({"namespace": "n", "name": "a", "uid": "u"});
        serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap()
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    fn now(regions: &[&str]) -> Relist {
        Relist::Now(regions.iter().map(|region| (*region).to_owned()).collect())
    }

    #[test]
    fn what_is_asked_for_is_listed_together_and_other_regions_are_not() {
        let relistings = Relistings::default();
        assert_eq!(relistings.due("u", at(0)), Relist::No);
        for region in ["here", "there", "here", "elsewhere"] {
            relistings.ask(&account(), region);
        }
        assert_eq!(relistings.due("u", at(0)), now(&["here", "there"]));
        assert_eq!(relistings.due("u", at(0)), Relist::No);
        relistings.ask(&account(), "here");
        assert_eq!(relistings.due("u", at(100)), Relist::In(Duration::from_millis(400)));
        assert_eq!(relistings.due("u", at(500)), now(&["here"]));
    }

    #[test]
    fn listings_that_find_nothing_new_come_ever_more_rarely() {
        let relistings = Relistings::default();
        let mut waits = Vec::new();
        let mut time = 0;
        for _ in 0..4 {
            relistings.ask(&account(), "here");
            let wait = relistings.wait("u", at(time)).unwrap();
            waits.push(wait.as_millis());
            time += i64::try_from(wait.as_millis()).unwrap();
            assert_eq!(relistings.due("u", at(time)), now(&["here"]));
            relistings.listed("u", false, BTreeSet::new());
        }
        assert_eq!(waits, [0, 1000, 2000, 4000]);
        relistings.listed("u", true, BTreeSet::from(["there".to_owned()]));
        assert_eq!(relistings.due("u", at(time)), Relist::In(Duration::from_millis(500)), "what failed is tried again");
        relistings.forget("u");
        assert_eq!(relistings.due("u", at(time)), Relist::No);
    }
}
