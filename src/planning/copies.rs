//! Plans who may copy an image, where that takes a permission on each snapshot behind it besides the one to use the image
//! (AWS: `createVolumePermission`; section "Snapshots" of the vendor's user guide).
//!
//! The permissions of one recipient on all snapshots are one entry, and the planner of recipients decides about entries as it
//! does about those of the image: `plan` translates. It adds two rules. The order: a recipient can copy an image before it sees
//! it, and no longer sees it when it can no longer copy it. And whose a permission is: a snapshot can be behind several images,
//! so that each entry names the snapshots on which this operator gave the permission; only there it is taken back, unless the
//! ledger of another image still needs it.

mod ledger;
mod outcome;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

pub use ledger::{COPIES_MAX, Copies, SNAPSHOTS_MAX};
pub use outcome::{merge, record_all, record_none};

use super::desired::{DesiredRecipients, Terms};
use super::ledger::{Entry, Ledger};
use super::sharing::{self, PlanInput, Timing, requeue_by};
use crate::api::cloud_image::{GrantState, UnmanagedRecipients};
use crate::api::conditions::Reason;
use crate::domain::identifiers::{Recipient, SnapshotId};
use crate::domain::image::{
    ImageFacts, ImageKind, ImageState, Ownership, RecipientList, SnapshotPermissions, Visibility,
};

/// What was read of the snapshots behind an image.
#[derive(Debug, Clone, Copy)]
pub struct CopyInput<'a> {
    /// Who may copy each snapshot behind the image or in its ledger; or why that could not be read.
    pub seen: Result<&'a SnapshotPermissions, Reason>,
    /// What the ledgers of other images hold, as the caches show them.
    pub elsewhere: &'a Elsewhere,
}

/// What the ledgers of the other images of an account and region hold of the same snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// Permissions that another ledger calls its own.
    owned: BTreeSet<(SnapshotId, Recipient)>,
    /// Those of them that it is not ending.
    kept: BTreeSet<(SnapshotId, Recipient)>,
    /// Permissions that another ledger needs, whoever gave them.
    needed: BTreeSet<(SnapshotId, Recipient)>,
}

impl Elsewhere {
    /// Adds what another image's ledger holds.
    pub fn add(&mut self, copies: &Copies) {
        for (recipient, entry) in &copies.grants {
            let stays = entry.state != GrantState::Revoking;
            let pair = |snapshot: &SnapshotId| (snapshot.clone(), recipient.clone());
            self.owned.extend(copies.ours_of(recipient).map(pair));
            if stays {
                self.kept.extend(copies.ours_of(recipient).map(pair));
                self.needed.extend(copies.snapshots.iter().map(pair));
            }
        }
    }

    /// Adds that another ledger cannot be read: it may need all permissions on these snapshots.
    pub fn add_unreadable<'a>(&mut self, plan: &CopyPlan, snapshots: impl IntoIterator<Item = &'a SnapshotId>) {
        for snapshot in snapshots {
            let ending = plan.steps.get(snapshot).into_iter().flat_map(|step| &step.remove);
            self.needed.extend(ending.map(|recipient| (snapshot.clone(), recipient.clone())));
        }
    }
}

/// What to change on one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Recipients that get the permission.
    pub add: Vec<Recipient>,
    /// Recipients that lose it.
    pub remove: Vec<Recipient>,
}

/// What to change on the snapshots behind an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyPlan {
    /// By snapshot.
    pub steps: BTreeMap<SnapshotId, Step>,
    /// Permissions that another ledger holds as its own: they stay, and are ours no longer.
    pub handed_over: BTreeMap<Recipient, BTreeSet<SnapshotId>>,
    /// Permissions that stay for now: another ledger needs them and does not hold them as its own yet.
    pub held_back: BTreeSet<Recipient>,
}

impl CopyPlan {
    /// Whether the plan makes any call, or gives permissions away.
    pub fn acts(&self) -> bool {
        !(self.steps.is_empty() && self.handed_over.is_empty() && self.held_back.is_empty())
    }

    /// Whether the plan takes a permission back.
    pub fn removes(&self) -> bool {
        self.steps.values().any(|step| !step.remove.is_empty())
    }

    /// Records the additions as intents.
    pub(super) fn record_intents(&self, copies: &mut Copies, now: Timestamp) {
        for (snapshot, step) in &self.steps {
            for recipient in &step.add {
                copies.grants.insert(recipient.clone(), Entry::new(GrantState::Intended, now));
                copies.ours.entry(recipient.clone()).or_default().insert(snapshot.clone());
            }
            copies.snapshots.insert(snapshot.clone());
        }
    }

    /// Drops the steps that the shares no longer ask for.
    pub(super) fn confirm(&mut self, fresh: &DesiredRecipients) {
        let asks = |recipient: &Recipient| fresh.copyable(recipient);
        self.retain(asks, |recipient| {
            planted!("snapshot-fresh-list-unheeded", !asks(recipient), true)
                && !fresh.keeps(recipient)
                && !fresh.retained.contains(recipient)
        });
    }

    /// Drops removals that another ledger stands for, as read after our own intents were recorded: of two ledgers that end
    /// the same permission at once, each then sees that the other ends it, and both take it back.
    pub fn hand_over(&mut self, elsewhere: &Elsewhere) {
        let (mut handed_over, mut held_back) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeSet::new());
        for (snapshot, step) in &mut self.steps {
            step.remove.retain(|recipient| {
                let pair = (snapshot.clone(), recipient.clone());
                if planted!("shared-snapshot-revoked", elsewhere.kept.contains(&pair), false) {
                    handed_over.entry(recipient.clone()).or_default().insert(snapshot.clone());
                    return false;
                }
                let needed = elsewhere.needed.contains(&pair);
                held_back.extend(needed.then(|| recipient.clone()));
                !needed
            });
        }
        (self.handed_over, self.held_back) = (handed_over, held_back);
        self.steps.retain(|_, step| !(step.add.is_empty() && step.remove.is_empty()));
    }

    fn retain(&mut self, add: impl Fn(&Recipient) -> bool, remove: impl Fn(&Recipient) -> bool) {
        for step in self.steps.values_mut() {
            step.add.retain(&add);
            step.remove.retain(&remove);
        }
        self.steps.retain(|_, step| !(step.add.is_empty() && step.remove.is_empty()));
    }
}

/// The decision about who may copy an image.
#[derive(Debug, Clone, Default)]
pub struct CopyDecision {
    /// The entries as the reads show them, without the new intents.
    pub settled: Copies,
    /// What to change.
    pub plan: CopyPlan,
    /// Desired recipients that must not get the image yet, since they cannot copy it yet, and why.
    pub awaiting: BTreeMap<Recipient, Reason>,
    /// The end of a wait that no event reports.
    pub requeue_at: Option<Timestamp>,
}

/// Facts of an image that is gone: its snapshots may outlive it, and so may the permissions on them.
pub fn absent_image() -> ImageFacts {
    ImageFacts {
        ownership: Ownership::Own,
        state: ImageState::Available,
        kind: ImageKind::SystemDisk,
        name: String::new(),
        encrypted: false,
        keys: BTreeSet::new(),
        snapshots: BTreeSet::new(),
        from_marketplace: false,
        visibility: Visibility::Shared,
        size: None,
    }
}

/// Decides who may copy the image. Without `input.copies` nobody asks for it, and nobody has an entry.
pub fn plan(input: &PlanInput<'_>) -> CopyDecision {
    let unchanged = CopyDecision { settled: unseen(&input.ledger.copies, input.desired), ..CopyDecision::default() };
    let Some(copies) = &input.copies else {
        let settled = if unchanged.settled.is_empty() { Copies::default() } else { unchanged.settled };
        return CopyDecision { settled, ..CopyDecision::default() };
    };
    let snapshots = match copies.seen {
        Ok(seen) => Snapshots { input, seen, behind: behind(input) },
        Err(reason) => {
            let granted = |recipient: &Recipient| {
                let entry = input.ledger.copies.grants.get(recipient);
                entry.is_some_and(|entry| entry.state == GrantState::Granted)
            };
            let awaiting = wanted(input.desired).filter(|recipient| !granted(recipient));
            let awaiting = awaiting.map(|recipient| (recipient.clone(), reason)).collect();
            return CopyDecision { awaiting, ..unchanged };
        }
    };
    decide(input, copies.elsewhere, &snapshots)
}

/// The entries while nothing can be read: those that a deleted share leaves behind are retained.
pub(super) fn unseen(copies: &Copies, desired: &DesiredRecipients) -> Copies {
    let mut settled = copies.clone();
    for (recipient, entry) in &mut settled.grants {
        if !desired.copyable(recipient) && !desired.keeps(recipient) && desired.retained.contains(recipient) {
            (entry.state, entry.absent) = (GrantState::Retained, false);
        }
    }
    settled
}

/// Whether a permission is to be taken back that may still be at the cloud.
pub(super) fn unwanted_left(copies: &Copies, desired: &DesiredRecipients) -> bool {
    copies.grants.iter().any(|(recipient, entry)| {
        entry.state != GrantState::Retained && !desired.copyable(recipient) && !desired.keeps(recipient)
    })
}

/// Recipients that are to be able to copy.
fn wanted(desired: &DesiredRecipients) -> impl Iterator<Item = &Recipient> {
    desired.wanted.iter().filter(|(_, wanted)| wanted.copyable).map(|(recipient, _)| recipient)
}

/// The snapshots on which a recipient needs the permission. Those of an image that is gone are those of its ledger.
fn behind<'a>(input: &PlanInput<'a>) -> &'a BTreeSet<SnapshotId> {
    let known = &input.image.snapshots;
    if known.is_empty() { &input.ledger.copies.snapshots } else { known }
}

/// The snapshots as read.
struct Snapshots<'a> {
    input: &'a PlanInput<'a>,
    seen: &'a SnapshotPermissions,
    behind: &'a BTreeSet<SnapshotId>,
}

impl Snapshots<'_> {
    fn carries(&self, snapshot: &SnapshotId, recipient: &Recipient) -> bool {
        self.seen.get(snapshot).is_some_and(|recipients| recipients.contains(recipient))
    }

    /// Whether a recipient can copy the whole image.
    fn complete(&self, recipient: &Recipient) -> bool {
        self.behind.iter().all(|snapshot| self.carries(snapshot, recipient))
    }

    /// The permissions of this operator that a recipient still has.
    fn left<'b>(&'b self, recipient: &'b Recipient) -> impl Iterator<Item = &'b SnapshotId> {
        self.input.ledger.copies.ours_of(recipient).filter(|snapshot| self.carries(snapshot, recipient))
    }

    /// The snapshots as the planner of recipients sees them: a desired recipient is present if it can copy the whole image,
    /// another one while it has any permission of ours.
    fn as_list(&self) -> RecipientList {
        let desired: BTreeSet<&Recipient> = wanted(self.input.desired).collect();
        let known = desired.iter().copied().chain(self.input.ledger.copies.grants.keys());
        let present = known.filter(|recipient| {
            if desired.contains(*recipient) { self.complete(recipient) } else { self.left(recipient).next().is_some() }
        });
        RecipientList { recipients: present.map(|recipient| (recipient.clone(), None)).collect(), complete: true }
    }
}

fn decide(input: &PlanInput<'_>, elsewhere: &Elsewhere, snapshots: &Snapshots<'_>) -> CopyDecision {
    let desired = desired_copies(input);
    let ledger = input.ledger.copies.as_ledger();
    let most = u32::try_from(COPIES_MAX).unwrap_or(u32::MAX);
    let terms = Terms { recipients_per_image: most, recipients_per_full_server_image: most, ..input.terms.clone() };
    let planned = sharing::plan(&PlanInput {
        terms: &terms,
        // Nobody can give such a permission back.
        timing: Timing { left_within: SignedDuration::ZERO, ..input.timing },
        unmanaged: UnmanagedRecipients::Report,
        desired: &desired,
        ledger: &ledger,
        recipients: &snapshots.as_list(),
        copies: None,
        ..*input
    });
    let mut decision = CopyDecision { requeue_at: planned.requeue_at, ..CopyDecision::default() };
    for recipient in &planned.add {
        for snapshot in snapshots.behind.iter().filter(|snapshot| !snapshots.carries(snapshot, recipient)) {
            decision.plan.steps.entry(snapshot.clone()).or_default().add.push(recipient.clone());
        }
    }
    for recipient in &planned.remove {
        for snapshot in snapshots.left(recipient) {
            decision.plan.steps.entry(snapshot.clone()).or_default().remove.push(recipient.clone());
        }
    }
    decision.awaiting = awaiting(&planned.settled, &desired, snapshots);
    let mut ours = input.ledger.copies.ours.clone();
    for recipient in desired.wanted.keys() {
        let own = |snapshot: &&SnapshotId| {
            let pair = ((*snapshot).clone(), recipient.clone());
            let shared = snapshots.carries(snapshot, recipient) && elsewhere.owned.contains(&pair);
            // The other ledger may be about to take it back: read again once it has.
            if shared && !elsewhere.kept.contains(&pair) {
                let over = input.now.saturating_add(input.timing.absence_window).unwrap_or(Timestamp::MAX);
                requeue_by(&mut decision.requeue_at, over);
            }
            shared
        };
        let shared: Vec<SnapshotId> = snapshots.behind.iter().filter(own).cloned().collect();
        ours.entry(recipient.clone()).or_default().extend(shared);
    }
    let settled = Copies::of_ledger(planned.settled, ours);
    decision.settled = settled.with_snapshots(snapshots.behind.iter().cloned());
    decision
}

/// Who is to be able to copy. A recipient that loses the image keeps the permission to copy until it has lost the image, unless
/// the cloud refuses to take the image from it.
fn desired_copies(input: &PlanInput<'_>) -> DesiredRecipients {
    let desired = input.desired;
    let loses_the_image = |recipient: &&Recipient| {
        let entry = input.ledger.grants.get(*recipient);
        let refused = input.ledger.attempts.get(*recipient).is_some_and(|attempt| attempt.code.is_some());
        entry.is_some_and(|entry| entry.state != GrantState::Retained)
            && !desired.wanted.contains_key(*recipient)
            && !desired.retained.contains(*recipient)
            && input.recipients.recipients.contains_key(*recipient)
            && !refused
    };
    let losing = input.ledger.copies.grants.keys().filter(loses_the_image);
    DesiredRecipients {
        wanted: wanted(desired).filter_map(|r| Some((r.clone(), desired.wanted.get(r)?.clone()))).collect(),
        held: desired.held.iter().chain(losing).cloned().collect(),
        retained: desired.retained.clone(),
        anyone_asking: desired.anyone_asking,
        ..DesiredRecipients::default()
    }
}

/// The desired recipients that cannot copy yet, and why.
fn awaiting(settled: &Ledger, desired: &DesiredRecipients, snapshots: &Snapshots<'_>) -> BTreeMap<Recipient, Reason> {
    let why = |recipient: &Recipient| {
        let entry = settled.grants.get(recipient);
        match entry.and_then(|entry| entry.refusal).or_else(|| settled.declined.get(recipient).copied()) {
            _ if settled.image_refusal.is_some() => Reason::CopyRefused,
            Some(Reason::RecipientLimit) => Reason::CopyableLimit,
            reason => reason.unwrap_or(Reason::Pending),
        }
    };
    let waiting = desired.wanted.keys().filter(|recipient| !snapshots.complete(recipient));
    waiting.map(|recipient| (recipient.clone(), why(recipient))).collect()
}
