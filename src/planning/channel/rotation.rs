//! How access to old versions ends: a Deprecated one is Revoking once its grace is over and nothing holds it back, and Retired once
//! nobody has it through the channel any more.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{ChannelTerms, Facts, Latest, Remark, Version};
use crate::api::conditions::Reason;
use crate::api::image_channel::Stage;
use crate::api::image_share::{ImageShare, ImageShareStatus, SpecRecipient};
use crate::domain::image::Answer;
use crate::planning::problem::name_some;

/// How long a version that is Revoking holds up the next one. One that cannot end must not hold up the others for ever.
const REVOKE_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// How access to old versions ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// How old a version is at least when it becomes Deprecated.
    pub min_age: SignedDuration,
    /// How long it is Deprecated.
    pub grace: SignedDuration,
    /// Its recipients must have accepted another version, where the cloud asks for an answer.
    pub accepted: bool,
    /// False where the channel only observes: then nothing gets further than Deprecated.
    pub ends: bool,
}

/// Who has an image through the `ChannelShares` of a channel that may use it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// How many `ImageShares` were made for it.
    pub shares: usize,
    /// Those of them, by namespace and name, that are paused with their `ChannelShare`: they keep what they have.
    pub paused: BTreeSet<String>,
    /// Those that cannot be read, by namespace and name: nobody knows whom they name.
    pub unreadable: BTreeSet<String>,
    /// The recipients of those that are not paused, as `Account 1000000000000001`.
    pub recipients: BTreeMap<String, Hold>,
}

/// How a recipient has an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// It does not have it.
    Waiting,
    /// That is not known.
    Unknown,
    /// It has it, and said this where the cloud asks for an answer.
    Granted(Option<Answer>),
}

impl Holders {
    /// Adds an `ImageShare`, by namespace and name. `paused`: its `ChannelShare` keeps what it has. `share`: unless it cannot be read.
    /// `observed`: its status speaks of its spec.
    pub fn add(&mut self, named: String, paused: bool, share: Option<&ImageShare>, observed: bool) {
        self.shares += 1;
        if paused {
            self.paused.insert(named);
            return;
        }
        let Some(share) = share else {
            self.unreadable.insert(named);
            return;
        };
        // Its own end is under way, whatever becomes of the version.
        if share.metadata.deletion_timestamp.is_some() {
            return;
        }
        let status = share.status.as_ref().filter(|_| observed);
        for who in &share.spec.recipients {
            let hold = status.map_or(Hold::Unknown, |status| Hold::of(status, who));
            let known = self.recipients.entry(format!("{} {}", who.kind, who.id)).or_insert(hold);
            *known = hold.max(*known);
        }
    }
}

impl Hold {
    /// How the status of an `ImageShare` says that one of its recipients has the image.
    pub fn of(status: &ImageShareStatus, who: &SpecRecipient) -> Self {
        if let Some(waiting) = status.waiting.iter().find(|waiting| waiting.kind == who.kind && waiting.id == who.id) {
            // A call may have granted it though nobody knows yet.
            return if waiting.reason == Reason::Pending { Self::Unknown } else { Self::Waiting };
        }
        let said = status.answers.iter().find(|said| said.kind == who.kind && said.id == who.id);
        Self::Granted(said.map(|said| said.answer))
    }

    /// Whether it can be used for sure. `accepted`: an offer without an answer is not enough.
    pub fn works(self, accepted: bool) -> bool {
        match self {
            Self::Granted(answer) => !accepted || answer.is_none_or(|answer| answer == Answer::Accepted),
            Self::Waiting | Self::Unknown => false,
        }
    }
}

/// What versions advance by.
pub(super) struct Advance<'a, F> {
    pub(super) terms: &'a ChannelTerms,
    pub(super) latest: Option<&'a Latest>,
    pub(super) facts: &'a F,
    /// The time of the last complete list, if it is to be relied on.
    pub(super) list: Option<Timestamp>,
    /// The last attempt to list images failed, or brought nothing to rely on.
    pub(super) failed: bool,
    pub(super) now: Timestamp,
}

/// What recipients have instead of an old version.
struct Alternatives {
    /// Those that have one, answered or not.
    granted: BTreeSet<String>,
    /// Those that can use one for sure.
    working: BTreeSet<String>,
}

impl<F: Facts> Advance<'_, F> {
    /// Moves versions on, the oldest first. Versions: newest first. Returns what holds one back that a person should know of.
    pub(super) fn advance(&self, versions: &mut [Version]) -> Option<Remark> {
        let mut remarks = Vec::new();
        let mut busy = false;
        let alive = versions.to_vec();
        for version in versions.iter_mut().filter(|version| version.stage == Stage::Revoking) {
            let holders = self.facts.holders(&version.image);
            if holders.shares == 0 {
                (version.stage, version.staged, version.overdue_since) = (Stage::Retired, self.now, None);
                version.blocked.clear();
                continue;
            }
            let paused = holders.paused.len() >= holders.shares;
            let held_back = if paused { Some(suspended(version, &holders)) } else { self.resumed(version, &alive) };
            version.blocked = held_back.iter().map(|remark| remark.reason).collect();
            remarks.extend(held_back);
            busy |= !paused && self.clock().is_none_or(|clock| clock < waited_until(version));
        }
        if let Some(rotation) = &self.terms.rotation {
            for place in (0..versions.len()).rev() {
                let Some(version) = versions.get(place).filter(|version| version.stage == Stage::Deprecated) else {
                    continue;
                };
                let Some(gates) = self.gates(rotation, version, versions, busy) else { continue };
                let Some(version) = versions.get_mut(place) else { continue };
                busy |= self.pass(version, &gates);
                remarks.extend(gates.remarks);
            }
        }
        // The others pass by themselves.
        remarks.into_iter().find(|remark| !matches!(remark.reason, Reason::AwaitingDiscovery | Reason::RevokingAnother))
    }

    /// Who holds back a version that is Revoking: a `ChannelShare` that was suspended meanwhile waits for newer ones like all others.
    fn resumed(&self, version: &Version, versions: &[Version]) -> Option<Remark> {
        let rotation = self.terms.rotation.as_ref().filter(|_| version.overdue_since.is_some())?;
        self.recipients_gate(rotation, version, versions)
    }

    /// Records what holds a Deprecated version back; if nothing does, it is Revoking.
    fn pass(&self, version: &mut Version, gates: &Gates) -> bool {
        version.overdue_since = gates.overdue_since;
        version.blocked = gates.remarks.iter().map(|remark| remark.reason).collect();
        let passes = version.overdue_since.is_some() && version.blocked.is_empty();
        if passes {
            (version.stage, version.staged) = (Stage::Revoking, self.clock().unwrap_or(self.now));
            // `overdue_since` stays: it says that nothing held the version back.
            version.not_before = None;
        }
        passes
    }

    fn clock(&self) -> Option<Timestamp> {
        self.list.map(|list| list.min(self.now))
    }

    /// What holds back the end of access to a Deprecated version; `None` if there is no list to tell by.
    fn gates(&self, rotation: &Rotation, version: &Version, versions: &[Version], busy: bool) -> Option<Gates> {
        let not_yet = Gates { overdue_since: None, remarks: Vec::new() };
        let Some(list) = self.list else { return self.failed.then_some(not_yet) };
        let over = version.not_before.is_some_and(|end| end <= list.min(self.now));
        if !over || !rotation.ends {
            return Some(not_yet);
        }
        let first = version.overdue_since.filter(|first| *first <= list).unwrap_or(list);
        let mut remarks = Vec::new();
        let second = planted!("one-list-ends-access", first < list, true);
        if !second || version.absent_since.is_some() {
            let message = format!("version {}: a second complete list of images is needed", version.version);
            remarks.push(Remark { reason: Reason::AwaitingDiscovery, message });
        }
        remarks.extend(self.service_gate(version, versions));
        let behind = self.recipients_gate(rotation, version, versions);
        remarks.extend(planted!("old-version-ends-without-a-new-one", behind, None));
        if busy {
            let message = format!("version {}: access to another version is ending", version.version);
            remarks.push(Remark { reason: Reason::RevokingAnother, message });
        }
        Some(Gates { overdue_since: Some(first), remarks })
    }

    /// The Current version is the latest, and as many versions as `keep` are in service and Ready.
    fn service_gate(&self, version: &Version, versions: &[Version]) -> Option<Remark> {
        let current = versions.iter().find(|version| version.stage == Stage::Current);
        let latest = current.is_some_and(|current| self.latest.is_some_and(|latest| latest.image == current.image));
        let ready = versions.iter().filter(|version| in_service(version) && self.is_ready(version)).count();
        if latest && ready >= self.terms.keep && current.is_some_and(|current| self.is_ready(current)) {
            return None;
        }
        let message = format!(
            "version {} is over, and stays until {} versions are in service and Ready, and the Current one is the latest; now \
             there are {ready}: see status.versions and their CloudImages, or lower spec.retire.keep",
            version.version, self.terms.keep
        );
        Some(Remark { reason: Reason::NewerNotReady, message })
    }

    fn is_ready(&self, version: &Version) -> bool {
        version.absent_since.is_none() && self.facts.served(&version.image).ready == Some(true)
    }

    /// Everybody who has the old version has a newer one, or another one in service. Deprecated ones count too: a recipient that has
    /// no room for more images gets a newer one only when an older one ends.
    fn recipients_gate(&self, rotation: &Rotation, version: &Version, versions: &[Version]) -> Option<Remark> {
        let old = self.facts.holders(&version.image);
        let others = self.alternatives(rotation, version, versions);
        let lacks = |who: &String, hold: Hold| match hold {
            Hold::Waiting => false,
            // Who did not accept the old one cannot use it either.
            Hold::Granted(Some(Answer::Pending | Answer::Rejected)) => !others.granted.contains(who),
            Hold::Granted(_) | Hold::Unknown => !others.working.contains(who),
        };
        let lacking: Vec<&String> =
            old.recipients.iter().filter(|(who, hold)| lacks(who, **hold)).map(|(who, _)| who).collect();
        let behind: Vec<&&String> = lacking.iter().filter(|who| !others.granted.contains(**who)).collect();
        let unreadable: Vec<String> =
            old.unreadable.iter().map(|name| format!("ImageShare {name}, which cannot be read")).collect();
        let (reason, what, names) = if !behind.is_empty() || !unreadable.is_empty() {
            let names = behind.into_iter().map(ToString::to_string).chain(unreadable).collect::<Vec<_>>();
            (Reason::RecipientsBehind, "have no newer version", names)
        } else if !lacking.is_empty() {
            let names = lacking.iter().map(ToString::to_string).collect();
            (Reason::AwaitingAnswer, "accepted no newer version", names)
        } else {
            return None;
        };
        let message = format!(
            "version {} is over, and stays since these {what}: {}. Help them, or take them out of their ChannelShare",
            version.version,
            name_some(names)
        );
        Some(Remark { reason, message })
    }

    fn alternatives(&self, rotation: &Rotation, old: &Version, versions: &[Version]) -> Alternatives {
        let mut others = Alternatives { granted: BTreeSet::new(), working: BTreeSet::new() };
        let newer = versions.iter().take_while(|version| version.image != old.image);
        let newer = newer
            .filter(|version| version.stage == Stage::Deprecated && !self.terms.exclude.contains(&version.version));
        for version in
            versions.iter().filter(|version| in_service(version)).chain(newer).filter(|version| self.is_ready(version))
        {
            for (who, hold) in self.facts.holders(&version.image).recipients {
                if hold.works(rotation.accepted) {
                    others.working.insert(who.clone());
                }
                if hold.works(false) {
                    others.granted.insert(who);
                }
            }
        }
        others
    }
}

fn in_service(version: &Version) -> bool {
    matches!(version.stage, Stage::Current | Stage::Supported)
}

/// What holds a version back.
struct Gates {
    overdue_since: Option<Timestamp>,
    remarks: Vec<Remark>,
}

fn waited_until(version: &Version) -> Timestamp {
    version.staged.saturating_add(REVOKE_WAIT).unwrap_or(Timestamp::MAX)
}

fn suspended(version: &Version, holders: &Holders) -> Remark {
    let message = format!(
        "access to version {} has ended but for what was made by suspended ChannelShares: ImageShares {}",
        version.version,
        name_some(&holders.paused)
    );
    Remark { reason: Reason::Suspended, message }
}
