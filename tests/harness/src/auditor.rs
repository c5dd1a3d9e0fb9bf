//! The auditor of the invariants. It believes two witnesses only: the simulator's journal, which tells what truly happened
//! at the cloud, and the API's history, which tells what was written in Kubernetes. The operator's status counts as what
//! it is: a ledger that must have been written in time.
//!
//! Both clocks are the same machine's. When a version was written is known within bounds: it was written before the watch
//! told it, by the lag at most; where the proxy carried the write, between its question and its answer.

mod answers;
mod conduct;
mod copies;
mod foreign;
mod promptness;
mod proof;
mod requests;
mod rules;
#[cfg(test)]
mod tests;
mod truth;
mod witness;

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::history::Version;
use crate::proxy::{Call, Upstream};
use conduct::Request;
use requests::Asked;
use witness::{Act, Proof, Witnessed};

pub use conduct::Pace;
pub use promptness::{Excuse, Promptness, Scope};

/// How late the watch tells a version, at most, unless said otherwise.
const LAG: SignedDuration = SignedDuration::from_millis(500);

/// Violations shown in one error.
const SHOWN: usize = 5;

/// What must always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Every effective grant was in the ledger before.
    LedgerBeforeCall,
    /// A grant was wished by a live share when the ledger was last written before it, or by one that came until the call.
    NoGrantWithoutWish,
    /// A revoke was in the ledger before, and no live share wished or held its recipient then, or left it behind.
    NoWrongfulRevoke,
    /// When a share leaves etcd, what was granted for it is absent at the cloud.
    NoLeak,
    /// When an image leaves etcd, no share with consent names it and its ledger is empty.
    ImageLast,
    /// Nobody changes another account's image; who received it may copy it in its region.
    OwnImagesOnly,
    /// Every copy was written down before it was asked for, in an `ImageReplica` that wanted it.
    IntentBeforeCopy,
    /// No `ImageReplica` ever has two copies.
    OneCopy,
    /// An image is deleted only along with its `CloudImage`, or as a copy that is written down to be cleared; and a
    /// `CloudImage` by the operator only along with its `ImageReplica`.
    NoWrongfulDeletion,
    /// When an `ImageReplica` leaves etcd, there is nothing of a copy that no `CloudImage` stands for, nor of one that was to
    /// go along.
    NoCopyLeftBehind,
    /// Whoever answered an offer was asked to by a `SharedImageAcceptance` of its own that trusts the image's owner, in
    /// which the answer was written before.
    NoAnswerWithoutDecision,
    /// Whom somebody added by hand is left alone for a while.
    GraceForForeign,
    /// No request was signed with another key's secret.
    KeyOfOneRead,
    /// The cloud never had to refuse a recipient over the limit, nor was the account's own limit passed.
    WithinLimit,
    /// No image is made public.
    NeverPublic,
    /// An account is called in a region no oftener than its budget allows.
    WithinBudget,
    /// One call that changes who has an image is under way at a time.
    OneCallInFlight,
    /// A status speaks of a generation that there was, and never of an older one than before.
    StatusOfItsGeneration,
    /// A share that is said to be shared speaks of recipients who were given the image.
    StatusTruth,
    /// A ledger entry ends only after a complete read at the cloud that lacks its recipient.
    NoEntryWithoutProof,
    /// A recipient is retained only for a share that the image admits and that may retain.
    RetainNeedsConsent,
    /// An object whose deletion was asked for goes within a bound after what holds it has gone.
    EndsInTime,
    /// Whoever is named by an admitted share has the image within a bound, whatever strangers do.
    ServedInTime,
    /// No call is repeated over and over with the same outcome.
    NoCallInVain,
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub what: String,
    /// The events that show it.
    pub evidence: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)?;
        self.evidence.iter().try_for_each(|event| write!(f, "\n    {event}"))
    }
}

/// What both witnesses say, ready to be judged.
#[derive(Debug)]
pub struct Auditor {
    acts: Vec<Act>,
    witnessed: Witnessed,
    owners: BTreeMap<String, String>,
    /// With whom images were shared from the beginning.
    members: BTreeMap<String, Vec<String>>,
    /// Of projects, whose they are.
    domains: BTreeMap<String, String>,
    /// Every request that reached a cloud.
    requests: Vec<Request>,
    /// The same requests with what they asked for.
    asked: Vec<Asked>,
    /// What the proxy carried to the clouds.
    carried: Vec<Call>,
    /// `CloudImages` whose deletion was asked for through the proxy.
    deletions: Vec<Call>,
    pace: Option<Pace>,
    grace: Option<SignedDuration>,
    promptness: Option<Promptness>,
    repetitions: Option<usize>,
}

impl Auditor {
    /// From a journal's entries and the versions of a history, both from their beginning.
    pub fn new(journal: &[Value], versions: Vec<Version>) -> Self {
        let acts = Act::tie(journal.iter().filter_map(Act::read).collect());
        let copies = acts.iter().filter_map(|act| act.copy.as_ref());
        let owners = copies.map(|copy| (copy.image.clone(), copy.owner.clone())).collect();
        let (members, domains) = (BTreeMap::new(), BTreeMap::new());
        let requests = journal.iter().filter_map(Request::read).collect();
        let asked = journal.iter().filter_map(Asked::read).collect();
        let (witnessed, carried, deletions) = (Witnessed::new(versions, LAG), Vec::new(), Vec::new());
        let (pace, grace, promptness, repetitions) = (None, None, None, None);
        Self {
            acts,
            witnessed,
            owners,
            members,
            domains,
            requests,
            asked,
            carried,
            deletions,
            pace,
            grace,
            promptness,
            repetitions,
        }
    }

    /// Takes from a world file or dump who owns and has which image, and whose the projects are; without it,
    /// [`Invariant::OwnImagesOnly`] is not judged, nor through whose account an offer was answered.
    #[must_use]
    pub fn owners_of(mut self, world: &Value) -> Self {
        let owned = |by: &'static str| move |image: &Value| Some((text(image, "id")?, text(image, by)?));
        self.owners.extend(list(world, "/images").filter_map(owned("owner")));
        self.owners.extend(list(world, "/aws/images").filter_map(owned("owner")));
        self.owners.extend(list(world, "/huawei/images").filter_map(owned("project")));
        for (images, field) in
            [("/images", "/sharedWith"), ("/aws/images", "/sharedWith"), ("/huawei/images", "/members")]
        {
            for image in list(world, images) {
                let id = |member: &Value| member.as_str().map(ToOwned::to_owned).or_else(|| text(member, "id"));
                self.members.insert(text(image, "id").unwrap_or_default(), list(image, field).filter_map(id).collect());
            }
        }
        for domain in list(world, "/huawei/domains") {
            let projects = list(domain, "/projects").filter_map(|project| text(project, "id"));
            self.domains.extend(projects.filter_map(|project| Some((project, text(domain, "id")?))));
        }
        self
    }

    /// Takes from the proxy's record when writes were asked for and answered, which narrows the bounds, and shows writes
    /// that changed nothing and so made no version.
    #[must_use]
    pub fn carried(mut self, calls: &[Call]) -> Self {
        let kubernetes = calls.iter().filter(|call| call.upstream == Upstream::Kubernetes);
        kubernetes.filter_map(Proof::read).for_each(|proof| self.witnessed.prove(proof));
        let cloud = calls.iter().filter(|call| call.upstream == Upstream::Cloud && call.write.is_some());
        self.carried.extend(cloud.cloned());
        let deleting = |call: &&Call| call.upstream == Upstream::Kubernetes && call.method == "DELETE";
        let deleting = calls.iter().filter(deleting).filter(|call| call.path.contains("/cloudimages/"));
        self.deletions.extend(deleting.cloned());
        self
    }

    /// The budget of calls, and when processes of the operator ended: without it, [`Invariant::WithinBudget`] and
    /// [`Invariant::OneCallInFlight`] are not judged.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Another bound for how late the watch tells a version.
    #[must_use]
    pub fn lag(mut self, lag: SignedDuration) -> Self {
        self.witnessed.lag = lag;
        self
    }

    /// Every violation, in the order of events.
    pub fn audit(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for act in &self.acts {
            self.judge_grants(act, &mut found);
            self.judge_revokes(act, &mut found);
            self.judge_retained(act, &mut found);
            self.judge_grace(act, &mut found);
            self.judge_manners(act, &mut found);
            Self::judge_publication(act, &mut found);
            self.judge_answer(act, &mut found);
            self.judge_copy(act, &mut found);
            self.judge_deletion(act, &mut found);
        }
        for version in self.witnessed.departures("ImageShare") {
            self.judge_share_left(version, &mut found);
        }
        for version in self.witnessed.departures("CloudImage") {
            self.judge_image_left(version, &mut found);
        }
        for version in self.witnessed.departures("ImageReplica") {
            self.judge_replica_left(version, &mut found);
        }
        self.judge_asked_deletions(&mut found);
        self.judge_places(&mut found);
        self.judge_signatures(&mut found);
        self.judge_requests(&mut found);
        self.judge_calls_in_flight(&mut found);
        self.judge_generations(&mut found);
        self.judge_truth(&mut found);
        self.judge_ledgers(&mut found);
        self.judge_retention(&mut found);
        self.judge_ends(&mut found);
        self.judge_service(&mut found);
        self.judge_repetitions(&mut found);
        found.sort_by_key(|violation| (violation.at, violation.invariant));
        found
    }

    /// Fails with the first violations, if there are any.
    pub fn ensure_clean(&self) -> anyhow::Result<()> {
        let found = self.audit();
        let shown: Vec<String> = found.iter().take(SHOWN).map(ToString::to_string).collect();
        anyhow::ensure!(shown.is_empty(), "{} violations, among them\n{}", found.len(), shown.join("\n"));
        Ok(())
    }
}

fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field)?.as_str().map(ToOwned::to_owned)
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}
