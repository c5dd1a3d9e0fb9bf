//! Conduct towards both servers, whatever it is about: how often, how many at a time, and of what a status speaks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::rules::line;
use super::witness::Act;
use super::{Auditor, Invariant, Violation, text};
use crate::history::Version;
use crate::proxy::Call;

/// Calls that were made in time may arrive together, on a busy machine.
const JITTER: SignedDuration = SignedDuration::from_secs(1);

/// The code by which Alibaba Cloud refuses a signature that is not the key's. Huawei Cloud has one for all troubles.
const WRONGLY_SIGNED: &str = "SignatureDoesNotMatch";

/// After so long the caller has given a call up.
const DEADLINE: SignedDuration = SignedDuration::from_secs(10);

/// How often an account may be called in a region, and when the operator's processes ended: the next one counts anew, and
/// knows nothing of the calls of the one before.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Calls a second over time.
    pub per_second: u32,
    /// Calls at once after a rest.
    pub burst: u32,
    /// When processes ended, in order.
    pub ended: Vec<Timestamp>,
}

impl Pace {
    pub(super) fn ended_between(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        self.ended.iter().copied().find(|ended| from < *ended && *ended <= to)
    }
}

/// A request that reached a cloud, whatever it was about.
#[derive(Debug)]
pub(super) struct Request {
    time: Timestamp,
    principal: String,
    region: String,
    /// It proves credentials, which has a budget of its own: an object that only claims an account delays nobody.
    proves: bool,
    code: String,
    line: String,
}

impl Request {
    /// `None` for an entry of the journal that was no request.
    pub(super) fn read(entry: &Value) -> Option<Self> {
        let host = text(entry, "host").filter(|host| !host.is_empty());
        host.and_then(|_| {
            Some(Self {
                time: text(entry, "time")?.parse().ok()?,
                principal: text(entry, "principal")?,
                region: text(entry, "region").unwrap_or_default(),
                proves: text(entry, "action").is_some_and(|action| proves(&action)),
                code: text(entry, "code").unwrap_or_default(),
                line: format!("journal {entry}"),
            })
        })
    }
}

impl Auditor {
    /// Nobody may have an image whom nobody named.
    pub(super) fn judge_publication(act: &Act, found: &mut Vec<Violation>) {
        if act.by_an_account() && act.published {
            let (what, evidence) = (format!("{} was made public", act.image), vec![act.line()]);
            found.push(Violation { invariant: Invariant::NeverPublic, at: act.time, what, evidence });
        }
    }

    /// How many an image may have is what its account says, where it says so.
    pub(super) fn judge_places(&self, found: &mut Vec<Violation>) {
        let mut members: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (image, ids) in &self.members {
            members.insert(image, ids.iter().map(String::as_str).collect());
        }
        let mut by_hand: BTreeMap<(&str, &str), Timestamp> = BTreeMap::new();
        for act in &self.acts {
            let now = members.entry(&act.image).or_default();
            now.retain(|id| !act.removed.iter().any(|removed| removed == id));
            now.extend(act.added.iter().map(String::as_str));
            let asks = act.by_an_account() && !act.added.is_empty();
            if !act.by_an_account() {
                by_hand.extend(act.added.iter().map(|id| ((act.image.as_str(), id.as_str()), act.time)));
            }
            // Whom somebody added a moment ago, whoever counts before the call may not have seen.
            let is_known = |id: &&&str| {
                let added = by_hand.get(&(act.image.as_str(), **id));
                added.is_none_or(|added| act.time.duration_since(*added) > DEADLINE)
            };
            let known = now.iter().filter(is_known).count();
            if let Some(limit) = self.limit_of(act).filter(|limit| asks && known > *limit) {
                let what = format!("{} was given {known} recipients of {limit}", act.image);
                let evidence = vec![act.line()];
                found.push(Violation { invariant: Invariant::WithinLimit, at: act.time, what, evidence });
            }
        }
    }

    fn limit_of(&self, act: &Act) -> Option<usize> {
        let mut images = self.witnessed.standing_for(&act.region, &act.image).filter_map(|life| life.first());
        images.find_map(|image| self.limit_of_image(image))
    }

    pub(super) fn limit_of_image(&self, image: &Version) -> Option<usize> {
        let named = |account: &&Version| {
            account.namespace() == image.namespace() && account.name() == image.text("/spec/accountRef/name")
        };
        let account = self.witnessed.lives("CloudAccount").filter_map(|life| life.first()).find(named)?;
        let limit = account.object.pointer("/spec/limits/recipientsPerImage")?.as_u64()?;
        usize::try_from(limit).ok().filter(|limit| *limit > 0)
    }

    /// The bucket of each account and region, filled again by each new process.
    pub(super) fn judge_requests(&self, found: &mut Vec<Violation>) {
        let Some(pace) = &self.pace else { return };
        let rate = f64::from(pace.per_second);
        let full = f64::from(pace.burst) + rate * JITTER.as_secs_f64();
        let mut buckets: BTreeMap<(&str, &str, bool), (Timestamp, f64)> = BTreeMap::new();
        for request in &self.requests {
            let account = (request.principal.as_str(), request.region.as_str(), request.proves);
            let (then, left) = buckets.entry(account).or_insert((request.time, full));
            let filled = *left + rate * request.time.duration_since(*then).as_secs_f64();
            let anew = pace.ended_between(*then, request.time).is_some();
            (*then, *left) = (request.time, if anew { full } else { filled.min(full) } - 1.0);
            if *left < 0.0 {
                let what = format!("{} was called oftener in {:?} than its budget allows", account.0, account.1);
                let evidence = vec![request.line.clone()];
                found.push(Violation { invariant: Invariant::WithinBudget, at: request.time, what, evidence });
                *left = full;
            }
        }
    }

    /// A key that was withdrawn is refused as such; a signature that does not fit it was made with another one's secret.
    pub(super) fn judge_signatures(&self, found: &mut Vec<Violation>) {
        for request in self.requests.iter().filter(|request| request.code == WRONGLY_SIGNED) {
            let what = "a request was signed with another key's secret".to_owned();
            let evidence = vec![request.line.clone()];
            found.push(Violation { invariant: Invariant::KeyOfOneRead, at: request.time, what, evidence });
        }
    }

    /// Calls by which an image's owner changes who has it, in the order in which they were made.
    pub(super) fn judge_calls_in_flight(&self, found: &mut Vec<Violation>) {
        let Some(pace) = &self.pace else { return };
        let mut under_way: BTreeMap<&str, (&Call, Timestamp)> = BTreeMap::new();
        for call in self.carried.iter().filter(|call| changes_recipients(call)) {
            let Some(image) = self.image_of(call) else { continue };
            if let Some((other, until)) = under_way.get(image).filter(|(_, until)| *until > call.asked_at) {
                let what = format!("two calls about {image} were under way, the first until {until}");
                let evidence = vec![other.line(), call.line()];
                found.push(Violation { invariant: Invariant::OneCallInFlight, at: call.asked_at, what, evidence });
            }
            // One without an answer was cut, and its caller knows.
            let Some(answered) = call.answered_at else { continue };
            let until = answered.min(call.asked_at.saturating_add(DEADLINE).unwrap_or(Timestamp::MAX));
            let until = pace.ended_between(call.asked_at, until).unwrap_or(until);
            under_way.insert(image, (call, until));
        }
    }

    fn image_of(&self, call: &Call) -> Option<&str> {
        let named = |image: &&String| call.path.contains(image.as_str()) || call.summary.contains(image.as_str());
        self.owners.keys().find(named).map(String::as_str)
    }

    /// What an object's status says it speaks of.
    pub(super) fn judge_generations(&self, found: &mut Vec<Violation>) {
        let kinds = ["CloudAccount", "CloudImage", "ImageShare", "SharedImageAcceptance", "ImageReplica"];
        for life in kinds.into_iter().flat_map(|kind| self.witnessed.lives(kind)) {
            let mut before = 0;
            for version in life {
                let number = |at: &str| version.object.pointer(at).and_then(Value::as_u64);
                let Some(observed) = number("/status/observedGeneration") else { continue };
                let newest = number("/metadata/generation").unwrap_or(u64::MAX);
                if observed < before || observed > newest {
                    let what = format!("a status speaks of generation {observed} of {newest}, after {before}");
                    let (at, evidence) = (version.seen_at, vec![line(version)]);
                    found.push(Violation { invariant: Invariant::StatusOfItsGeneration, at, what, evidence });
                }
                before = observed;
            }
        }
    }
}

/// Whether a call of this name asks who the caller is, and where it may act.
fn proves(action: &str) -> bool {
    action.starts_with("Keystone") || ["GetCallerIdentity", "DescribeRegions"].contains(&action)
}

/// Only the owner's: who received an image answers in its own time.
fn changes_recipients(call: &Call) -> bool {
    let by_path = call.path.contains("/members") && call.method != "PUT";
    ["ModifyImageSharePermission", "ModifyImageAttribute"].contains(&call.action.as_str()) || by_path
}
