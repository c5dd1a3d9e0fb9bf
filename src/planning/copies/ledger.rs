//! The part of a ledger that holds who may copy the image, and how it is written into status.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::cloud_image::{CloudImageStatus, CopyGrant, GrantState};
use crate::domain::identifiers::{InvalidIdentifier, PrincipalId, Recipient, SnapshotId};
use crate::planning::attempts::{Attempt, ImageRefusal, written};
use crate::planning::ledger::{Entry, Ledger};

/// Most recipients that may copy one image, so that the longest ledger fits etcd
/// (`tests/operator/tests/planning/bounds.rs`).
pub const COPIES_MAX: usize = 250;
/// Most snapshots of one ledger: those of one image, which has some 30 disks.
pub const SNAPSHOTS_MAX: usize = 100;

/// Who may copy the image through this operator. One entry is a permission on each of several snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies {
    /// By recipient.
    pub grants: BTreeMap<Recipient, Entry>,
    /// By recipient, the snapshots on which this operator gave the permission, or may have given it: a subset of
    /// `snapshots`. Only these are taken back.
    pub ours: BTreeMap<Recipient, BTreeSet<SnapshotId>>,
    /// By recipient, calls without effect so far.
    pub attempts: BTreeMap<Recipient, Attempt>,
    /// The cloud refuses to let anybody copy.
    pub refusal: Option<ImageRefusal>,
    /// The snapshots behind the image as last read, and those of `ours`. Empty where nobody has an entry.
    pub snapshots: BTreeSet<SnapshotId>,
}

impl Copies {
    /// Whether nobody has an entry.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// Whether any permission of this operator may still be at the cloud, other than those left behind on purpose.
    pub fn hold_anything(&self) -> bool {
        self.grants.values().any(|entry| entry.state != GrantState::Retained)
    }

    /// Recipients whose permission is being taken back.
    pub fn revoking(&self) -> impl Iterator<Item = &Recipient> {
        self.grants.iter().filter(|(_, entry)| entry.state == GrantState::Revoking).map(|(recipient, _)| recipient)
    }

    /// The snapshots on which the operator gave a recipient the permission.
    pub fn ours_of(&self, recipient: &Recipient) -> impl Iterator<Item = &SnapshotId> {
        self.ours.get(recipient).into_iter().flatten()
    }

    /// Forgets that these permissions are ours: another image's ledger holds them.
    pub fn hand_over(&mut self, handed: &BTreeMap<Recipient, BTreeSet<SnapshotId>>) {
        for (recipient, snapshots) in handed {
            if let Some(ours) = self.ours.get_mut(recipient) {
                ours.retain(|snapshot| !snapshots.contains(snapshot));
            }
        }
        self.tidy();
    }

    /// The same as a ledger of its own: the planner and the recorder treat it like that of an image.
    pub(super) fn as_ledger(&self) -> Ledger {
        Ledger {
            grants: self.grants.clone(),
            attempts: self.attempts.clone(),
            image_refusal: self.refusal.clone(),
            ..Ledger::default()
        }
    }

    /// The reverse of `as_ledger`.
    pub(super) fn of_ledger(ledger: Ledger, ours: BTreeMap<Recipient, BTreeSet<SnapshotId>>) -> Self {
        let Ledger { grants, attempts, image_refusal: refusal, .. } = ledger;
        Self { grants, ours, attempts, refusal, snapshots: BTreeSet::new() }
    }

    /// The same of an image with these snapshots.
    pub(super) fn with_snapshots(mut self, snapshots: impl IntoIterator<Item = SnapshotId>) -> Self {
        self.snapshots.extend(snapshots);
        self.tidy();
        self
    }

    /// Drops what belongs to no entry.
    fn tidy(&mut self) {
        let Self { grants, ours, snapshots, .. } = self;
        ours.retain(|recipient, snapshots| grants.contains_key(recipient) && !snapshots.is_empty());
        if grants.is_empty() {
            snapshots.clear();
        } else {
            snapshots.extend(ours.values().flatten().cloned());
        }
    }

    /// The same with no time later than `now`.
    #[must_use]
    pub(in crate::planning) fn not_after(self, now: Timestamp) -> Self {
        if self.is_empty() && self.refusal.is_none() {
            return self;
        }
        let ledger = self.as_ledger().not_after(now);
        Self::of_ledger(ledger, self.ours).with_snapshots(self.snapshots)
    }

    /// Reads it from status; one entry that does not parse makes it unreadable.
    pub(in crate::planning) fn parse(status: &CloudImageStatus) -> Result<Self, InvalidIdentifier> {
        let listed: Vec<SnapshotId> =
            status.snapshots.iter().map(|id| SnapshotId::parse(id)).collect::<Result<_, _>>()?;
        let refusal = status.copies_refused.as_ref().map(ImageRefusal::parse);
        let mut copies = Self { refusal, ..Self::default() };
        for grant in &status.copies {
            let recipient = Recipient { kind: grant.kind, id: PrincipalId::parse(&grant.id)? };
            let ours = grant.snapshots.iter().map(|at| nth(&listed, *at)).collect::<Result<_, _>>()?;
            copies.ours.insert(recipient.clone(), ours);
            if let Some(attempt) = &grant.attempt {
                copies.attempts.insert(recipient.clone(), Attempt::parse(attempt));
            }
            let CopyGrant { state, refusal, absent, .. } = *grant;
            copies.grants.insert(recipient, Entry { refusal, absent, ..Entry::new(state, grant.since.0) });
        }
        Ok(copies.with_snapshots(listed))
    }

    /// Writes it into status; lists are sorted.
    pub(in crate::planning) fn encode_into(&self, status: &mut CloudImageStatus) {
        let positions: BTreeMap<&SnapshotId, i32> = self.snapshots.iter().zip(0..).collect();
        status.snapshots = self.snapshots.iter().map(ToString::to_string).collect();
        status.copies_refused = self.refusal.as_ref().map(ImageRefusal::encode);
        let encode = |(recipient, entry): (&Recipient, &Entry)| CopyGrant {
            kind: recipient.kind,
            id: recipient.id.to_string(),
            state: entry.state,
            since: written(entry.since),
            refusal: entry.refusal,
            absent: entry.absent,
            snapshots: self.ours_of(recipient).filter_map(|snapshot| positions.get(snapshot).copied()).collect(),
            attempt: self.attempts.get(recipient).map(Attempt::encode),
        };
        status.copies = self.grants.iter().map(encode).collect();
    }
}

/// A snapshot that is not listed is not forgotten: its permission would stay for ever.
fn nth(listed: &[SnapshotId], at: i32) -> Result<SnapshotId, InvalidIdentifier> {
    let found = usize::try_from(at).ok().and_then(|at| listed.get(at));
    found.cloned().ok_or_else(|| InvalidIdentifier::new(&at.to_string(), "a position in status.snapshots"))
}
