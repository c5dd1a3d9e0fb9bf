//! What the witnesses say: acts at the cloud, versions in etcd, and when each was.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::copies::CopyStep;
use super::text;
use crate::history::{Change, Version};
use crate::proxy::Call;

/// Principals of the journal that are no account: the harness itself, and who could not be told.
const NOBODY: [&str; 3] = ["world", "out-of-band", "anonymous"];

/// Calls by which whoever is offered an image answers.
const ANSWERING: [&str; 2] = ["BatchUpdateMembers", "GlanceUpdateImageMember"];

/// One entry of the journal.
#[derive(Debug)]
pub(super) struct Act {
    /// When it took effect.
    pub(super) time: Timestamp,
    /// When it was asked for: earlier where a job carried it out.
    pub(super) asked: Timestamp,
    pub(super) principal: String,
    pub(super) region: String,
    pub(super) image: String,
    pub(super) action: String,
    pub(super) code: String,
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
    deleted: bool,
    /// Who called was not told by a signature.
    unknown: bool,
    pub(super) published: bool,
    /// The step it was in the life of a copy.
    pub(super) copy: Option<CopyStep>,
    /// What was answered to an offer, in the cloud's word.
    pub(super) answer: Option<String>,
    job: Option<String>,
    /// Its place among all acts.
    pub(super) place: usize,
    line: String,
}

impl Act {
    /// `None` for an entry that names no image or has no time.
    pub(super) fn read(entry: &Value) -> Option<Self> {
        let ids = |what: &str| -> Vec<String> {
            let list = entry.pointer(&format!("/effect/{what}")).and_then(Value::as_array);
            list.into_iter().flatten().filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect()
        };
        let time = text(entry, "time")?.parse().ok()?;
        Some(Self {
            time,
            asked: time,
            principal: text(entry, "principal")?,
            region: text(entry, "region").unwrap_or_default(),
            image: text(entry, "image")?,
            action: text(entry, "action")?,
            code: text(entry, "code").unwrap_or_default(),
            added: ids("added"),
            removed: ids("removed"),
            deleted: entry.pointer("/effect/deleted") == Some(&Value::Bool(true)),
            unknown: entry.get("keyId") == Some(&Value::Null)
                && text(entry, "host").is_some_and(|host| !host.is_empty()),
            published: entry.pointer("/effect/published") == Some(&Value::Bool(true)),
            answer: entry.pointer("/parameters/answer").and_then(Value::as_str).map(ToOwned::to_owned),
            copy: CopyStep::read(entry),
            job: text(entry, "job"),
            place: 0,
            line: format!("journal {entry}"),
        })
    }

    /// Whether an account did it through the cloud's own API.
    pub(super) fn by_an_account(&self) -> bool {
        !self.unknown && !NOBODY.contains(&self.principal.as_str())
    }

    /// What a job did when it ended.
    pub(super) fn is_effect(&self) -> bool {
        self.action == "JobEffect"
    }

    /// The acts in the journal's order; the effects of jobs get the time at which they were asked for.
    pub(super) fn tie(mut acts: Vec<Self>) -> Vec<Self> {
        acts.iter_mut().enumerate().for_each(|(place, act)| act.place = place);
        let started = acts.iter().filter(|act| !act.is_effect() && act.changes());
        let asked: BTreeMap<String, Timestamp> = started.filter_map(|act| Some((act.job.clone()?, act.time))).collect();
        for act in acts.iter_mut().filter(|act| act.is_effect()) {
            if let Some(time) = act.job.as_ref().and_then(|job| asked.get(job)) {
                act.asked = *time;
            }
        }
        acts
    }

    /// Whether it is an answer to an offer, or carries one out: that is for others than the owner.
    pub(super) fn answers(&self) -> bool {
        let only_answers = self.is_effect() && self.added.is_empty() && self.removed.is_empty() && !self.deleted;
        only_answers || ANSWERING.contains(&self.action.as_str())
    }

    pub(super) fn changes(&self) -> bool {
        !reads(&self.action)
    }

    /// Whether by it an image was gone.
    pub(super) fn deletes(&self, image: &str) -> bool {
        self.deleted && self.image == image
    }

    pub(super) fn line(&self) -> String {
        self.line.clone()
    }
}

/// Whether a call of this name only reads.
pub(super) fn reads(action: &str) -> bool {
    ["Describe", "Get", "List", "Show", "GlanceList", "GlanceShow", "Keystone"]
        .iter()
        .any(|verb| action.starts_with(verb))
}

/// That a write was asked for and answered, and which version it led to.
#[derive(Debug)]
pub(super) struct Proof {
    path: String,
    revision: u64,
    asked_at: Timestamp,
    answered_at: Timestamp,
}

impl Proof {
    pub(super) fn read(call: &Call) -> Option<Self> {
        let path = call.path.split('?').next()?.to_owned();
        Some(Self { path, revision: call.version?, asked_at: call.asked_at, answered_at: call.answered_at? })
    }
}

/// One object through its life: its versions in order.
pub(super) type Life = Vec<Version>;

/// Every object's life, and when each version was written.
#[derive(Debug)]
pub(super) struct Witnessed {
    lives: BTreeMap<String, Life>,
    proofs: BTreeMap<u64, Vec<Proof>>,
    pub(super) lag: SignedDuration,
}

impl Witnessed {
    pub(super) fn new(versions: Vec<Version>, lag: SignedDuration) -> Self {
        let mut lives: BTreeMap<String, Life> = BTreeMap::new();
        for version in versions {
            lives.entry(version.uid().to_owned()).or_default().push(version);
        }
        for life in lives.values_mut() {
            life.sort_by_key(|version| version.revision);
        }
        Self { lives, proofs: BTreeMap::new(), lag }
    }

    pub(super) fn prove(&mut self, proof: Proof) {
        self.proofs.entry(proof.revision).or_default().push(proof);
    }

    /// The lives of one kind.
    pub(super) fn lives(&self, kind: &str) -> impl Iterator<Item = &Life> {
        self.lives.values().filter(move |life| life.first().is_some_and(|version| version.kind() == kind))
    }

    /// Last versions of objects of a kind that left etcd.
    pub(super) fn departures(&self, kind: &str) -> impl Iterator<Item = &Version> {
        self.lives(kind).filter_map(|life| life.last()).filter(|version| version.change == Change::Deleted)
    }

    /// Lives of the `CloudImages` that stand for an image.
    pub(super) fn standing_for(&self, region: &str, image: &str) -> impl Iterator<Item = &Life> {
        self.lives("CloudImage").filter(move |life| {
            let spec = |v: &Version| v.text("/spec/region") == region && v.text("/spec/imageID") == image;
            life.first().is_some_and(spec)
        })
    }

    fn proofs_of(&self, version: &Version) -> impl Iterator<Item = &Proof> {
        self.proofs.get(&version.revision).into_iter().flatten()
    }

    /// It was not written before this.
    pub(super) fn earliest(&self, version: &Version) -> Timestamp {
        // An answer that came sooner shows that the watch lagged more than it should.
        let told = version.seen_at.saturating_sub(self.lag).unwrap_or(Timestamp::MIN).min(self.latest(version));
        // A write that changes nothing answers with the version that was there: it came too late to be its origin.
        let asked = self.proofs_of(version).map(|proof| proof.asked_at).min();
        asked.filter(|asked| *asked <= version.seen_at).map_or(told, |asked| asked.max(told))
    }

    /// It was written by then.
    pub(super) fn latest(&self, version: &Version) -> Timestamp {
        let answered = self.proofs_of(version).map(|proof| proof.answered_at).min();
        answered.map_or(version.seen_at, |answered| answered.min(version.seen_at))
    }

    /// The versions that may have been the newest at a moment: one, or more within the bounds of what is known.
    pub(super) fn newest_at<'a>(&'a self, life: &'a Life, at: Timestamp) -> impl Iterator<Item = &'a Version> {
        let sure = life.iter().rposition(|version| self.latest(version) <= at).unwrap_or(0);
        life.iter().skip(sure).filter(move |version| version.change != Change::Deleted && self.earliest(version) <= at)
    }

    /// The version that an object's status was last written into before a moment, if `newest` was the newest one then: what
    /// its writer certainly knew. Writes that changed nothing count where the proxy carried them.
    pub(super) fn last_written<'a>(&self, life: &'a Life, newest: &'a Version, at: Timestamp) -> &'a Version {
        let past = || life.iter().filter(|version| version.revision <= newest.revision);
        let status = |version: &Version| version.object.get("status").cloned();
        let changed = past().zip(past().skip(1)).filter(|(before, after)| status(before) != status(after));
        let changed = changed.map(|(_, after)| after).last().or_else(|| life.first()).unwrap_or(newest);
        let carried = past().rfind(|version| {
            let plural = format!("/{}s/{}/status", version.kind().to_lowercase(), version.name());
            self.proofs_of(version).any(|proof| proof.path.ends_with(&plural) && proof.asked_at <= at)
        });
        carried.filter(|version| version.revision > changed.revision).unwrap_or(changed)
    }

    /// The versions that whoever wrote an object's status before a moment may have read since, if `newest` was the newest one
    /// then: its owner may have edited it after the last read and before the call.
    pub(super) fn since_written<'a>(&'a self, newest: &'a Version, at: Timestamp) -> impl Iterator<Item = &'a Version> {
        let life = self.life_of(newest);
        let written = life.map_or(newest, |life| self.last_written(life, newest, at)).revision;
        life.into_iter().flatten().filter(move |version| (written..=newest.revision).contains(&version.revision))
    }

    /// What a list must have shown that was asked for after the status of this version of an image was written, and before
    /// `at`: all up to this revision. Writes that changed nothing count, for their answer proved the version to be the newest.
    pub(super) fn horizon(&self, image: &Version, at: Timestamp) -> u64 {
        let path = format!("/namespaces/{}/cloudimages/{}/status", image.namespace(), image.name());
        let writes = self.proofs.values().flatten().filter(|proof| proof.path.ends_with(&path) && proof.asked_at <= at);
        let known = writes.map(|proof| proof.asked_at).max().map_or(0, |asked| self.revision_by(asked));
        // Whoever else changed the image since did not list anything.
        let written = self.life_of(image).map_or(image, |life| self.last_written(life, image, at));
        known.max(written.revision)
    }

    /// The revisions that a list asked for after `horizon` and answered before `at` may have shown.
    pub(super) fn lists(&self, horizon: u64, at: Timestamp) -> Vec<u64> {
        let shares = self.lives("ImageShare").flatten();
        let possible = shares.filter(|version| version.revision > horizon && self.earliest(version) <= at);
        [horizon].into_iter().chain(possible.map(|version| version.revision)).collect()
    }

    /// The last revision of any share that was certainly written by then.
    fn revision_by(&self, at: Timestamp) -> u64 {
        let shares = self.lives("ImageShare").flatten();
        shares.filter(|version| self.latest(version) <= at).map(|version| version.revision).max().unwrap_or(0)
    }

    /// A share as it was before its deletion was asked for: what it is edited to afterwards it does not wish, and what it
    /// had is what it answers for.
    pub(super) fn as_wished<'a>(&'a self, share: &'a Version) -> &'a Version {
        let deleting = |version: &Version| version.object.pointer("/metadata/deletionTimestamp").is_some();
        let life = self.lives.get(share.uid()).filter(|_| deleting(share));
        life.and_then(|life| life.iter().rfind(|version| !deleting(version))).unwrap_or(share)
    }

    /// All versions of the same object.
    pub(super) fn life_of(&self, version: &Version) -> Option<&Life> {
        self.lives.get(version.uid())
    }
}

/// Where a recipient's grant is in its life, by a `CloudImage`'s ledger.
pub(super) fn ledger_state<'a>(image: &'a Version, recipient: &str) -> Option<&'a str> {
    let grants = image.object.pointer("/status/grants")?.as_array()?;
    let grant = grants.iter().find(|grant| grant.get("id").and_then(Value::as_str) == Some(recipient))?;
    grant.get("state")?.as_str()
}

/// The ids of all recipients in a `CloudImage`'s ledger.
pub(super) fn ids_in_ledger(image: &Version) -> BTreeSet<&str> {
    let grants = image.object.pointer("/status/grants").and_then(Value::as_array);
    grants.into_iter().flatten().filter_map(|grant| grant.get("id").and_then(Value::as_str)).collect()
}

/// The recipients a share names.
pub(super) fn recipients(share: &Version) -> impl Iterator<Item = &str> {
    let list = share.object.pointer("/spec/recipients").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|recipient| recipient.get("id").and_then(Value::as_str))
}

/// Whether a share names this `CloudImage`.
pub(super) fn names(share: &Version, image: &Version) -> bool {
    let namespace = share.object.pointer("/spec/imageRef/namespace").and_then(Value::as_str);
    share.text("/spec/imageRef/name") == image.name() && namespace.unwrap_or(share.namespace()) == image.namespace()
}

/// An object's newest version up to a revision; `None` if it did not live then.
pub(super) fn alive(life: &Life, revision: u64) -> Option<&Version> {
    life.iter().rfind(|v| v.revision <= revision).filter(|v| v.change != Change::Deleted)
}
