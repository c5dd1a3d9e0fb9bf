//! Amazon Web Services' world: accounts, organizations, regions, images, snapshots and who may use them. A pure state machine:
//! time comes in as an argument, and nothing here knows of HTTP, faults or journal. Who sees what is in `world/sight.rs`,
//! permissions in `world/permissions.rs`, copies in `world/copies.rs`, ends of images in `world/ends.rs`, usage reports in
//! `world/reports.rs`, admin overrides in `world/admin.rs`.

mod admin;
mod attributes;
mod copies;
mod copy_rules;
mod ends;
mod permissions;
mod reports;
mod sight;
#[cfg(test)]
mod tests;

pub use admin::{AccountPatch, ImagePatch, KeyPatch, RulesPatch, SnapshotPatch};
pub(super) use attributes::Untag;
pub use copies::CopyEnd;
pub(super) use copies::CopyOrder;
pub(super) use permissions::{PermissionChange, bad_recipient};
pub(super) use reports::{Report, ReportOrder};
pub(super) use sight::{ImageQuery, Relation, View};

use super::organizations::Organizations;
use super::recipient::{Kind, Recipient, is_account};
use super::rules::{self, Rules};
use super::world_file::{Account, AwsFile, Encryption, ImageSpec, Key, KmsKey, Partition, SnapshotSpec, State};
use crate::chassis::history::History;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::refusal::Refusal;
use copies::Copies;
use jiff::Timestamp;
use reports::Reports;
use std::collections::{BTreeMap, BTreeSet};

/// How the key of a tag begins that every recipient of an image sees. What's New of 2026-10-05.
pub(super) const SHARED_TAG: &str = "ec2:SharedTag/";

/// Who asks, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asker {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: RegionId,
}

/// An image and its launch permissions.
#[derive(Debug, Clone)]
pub struct Image {
    spec: ImageSpec,
    permissions: History<Vec<Recipient>>,
}

impl Image {
    /// All but the permissions (`shared_with` is of the time of loading; see [`Image::permissions`]).
    pub fn spec(&self) -> &ImageSpec {
        &self.spec
    }

    /// Who may launch it at present, besides its owner.
    pub fn permissions(&self) -> &[Recipient] {
        self.permissions.present()
    }

    /// The same as it was at `instant`; the oldest remembered where that is longer ago.
    pub fn permissions_at(&self, instant: Timestamp) -> &[Recipient] {
        self.permissions.at(instant)
    }

    /// Whether everybody may launch it at present.
    pub fn is_public(&self) -> bool {
        is_public(self.permissions())
    }

    fn is_gone(&self) -> bool {
        self.spec.state == State::Deregistered
    }

    fn is_owned_by(&self, account: &AccountId) -> bool {
        self.spec.owner == *account
    }
}

/// A snapshot and who may make volumes of it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    spec: SnapshotSpec,
    permissions: History<Vec<Recipient>>,
}

impl Snapshot {
    /// All but the permissions (`shared_with` is of the time of loading; see [`Snapshot::permissions`]).
    pub fn spec(&self) -> &SnapshotSpec {
        &self.spec
    }

    /// Who may make volumes of it at present, besides its owner.
    pub fn permissions(&self) -> &[Recipient] {
        self.permissions.present()
    }

    /// The same as it was at `instant`; the oldest remembered where that is longer ago.
    pub fn permissions_at(&self, instant: Timestamp) -> &[Recipient] {
        self.permissions.at(instant)
    }

    /// Whether an account may use it at `instant`: its own, or one shared with it or with everybody.
    fn is_usable_by(&self, account: &AccountId, instant: Timestamp) -> bool {
        let holds = |one: &Recipient| one.kind() == Kind::Group || one.id() == account;
        self.spec.owner == *account || self.permissions_at(instant).iter().any(holds)
    }
}

fn is_public(permissions: &[Recipient]) -> bool {
    permissions.iter().any(|one| one.kind() == Kind::Group)
}

/// Accounts, organizations, regions, images, snapshots.
#[derive(Debug, Clone, Default)]
pub struct World {
    rules: Rules,
    regions: Vec<RegionId>,
    opt_in_regions: Vec<RegionId>,
    accounts: BTreeMap<AccountId, Account>,
    organizations: Organizations,
    snapshots: BTreeMap<ImageId, Snapshot>,
    images: BTreeMap<ImageId, Image>,
    copies: Copies,
    reports: Reports,
}

impl World {
    /// Builds the world of `file`; sharing and images without a date date from `now`.
    ///
    /// # Errors
    /// When ids repeat or are not of the vendor's form, or something names a region, an account or a snapshot that is not there.
    pub fn load(file: AwsFile, now: Timestamp) -> Result<Self, String> {
        let mut world = Self {
            rules: file.rules,
            regions: file.regions,
            opt_in_regions: file.opt_in_regions,
            organizations: Organizations::load(file.organizations)?,
            ..Self::default()
        };
        let mut keys = BTreeSet::new();
        for account in file.accounts {
            if let Some(key) = account.keys.iter().find(|key| !keys.insert(key.id.clone())) {
                return Err(format!("key {} is there twice", key.id));
            }
            world.insert_account(account)?;
        }
        for snapshot in file.snapshots {
            world.insert_snapshot(snapshot, now)?;
        }
        for image in file.images {
            world.insert_image(image, now)?;
        }
        Ok(world)
    }

    fn insert_account(&mut self, account: Account) -> Result<(), String> {
        if !is_account(account.id.as_str()) {
            return Err(format!("account {} is not twelve digits", account.id));
        }
        if let Some(region) = account.opted_in.iter().find(|region| !self.opt_in_regions.contains(region)) {
            return Err(format!("account {}: {region} is no region to opt in to", account.id));
        }
        let id = account.id.clone();
        if self.accounts.insert(id.clone(), account).is_some() {
            return Err(format!("account {id} is there twice"));
        }
        Ok(())
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// An account, closed or not.
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id)
    }

    /// Account and key of a key id; a closed account's keys are gone.
    pub fn key(&self, id: &str) -> Option<(&Account, &Key)> {
        let open = self.accounts.values().filter(|account| !account.closed);
        open.flat_map(|account| account.keys.iter().map(move |key| (account, key))).find(|(_, key)| key.id == id)
    }

    /// The regions of an account's partition, and whether the account has each; `None` for regions that everybody has.
    pub fn regions(&self, account: &AccountId) -> Vec<(&RegionId, Option<bool>)> {
        let Some(account) = self.accounts.get(account) else { return Vec::new() };
        let here = |region: &&RegionId| Partition::of(region) == account.partition;
        let open = self.regions.iter().filter(here).map(|region| (region, None));
        let opt_in = self.opt_in_regions.iter().filter(here);
        open.chain(opt_in.map(|region| (region, Some(account.opted_in.contains(region))))).collect()
    }

    /// Whether an account has a region.
    pub fn has_region(&self, account: &AccountId, region: &RegionId) -> bool {
        self.regions(account).iter().any(|(one, opted_in)| *one == region && *opted_in != Some(false))
    }

    /// All images by id, also those that are gone.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.images.values()
    }

    /// An image, whoever owns it, also one that is gone.
    pub fn image(&self, id: &ImageId) -> Option<&Image> {
        self.images.get(id)
    }

    /// All snapshots by id.
    pub fn snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.snapshots.values()
    }

    /// A snapshot, whoever owns it.
    pub fn snapshot(&self, id: &ImageId) -> Option<&Snapshot> {
        self.snapshots.get(id)
    }

    /// The snapshots behind an image.
    pub(super) fn snapshots_of(&self, image: &ImageSpec) -> impl Iterator<Item = &Snapshot> {
        image.snapshots.iter().filter_map(|id| self.snapshots.get(id))
    }

    /// A customer-managed key by its ARN, and whose it is.
    fn kms_key(&self, arn: &str) -> Option<(&Account, &KmsKey)> {
        let mut keys =
            self.accounts.values().flat_map(|account| account.kms_keys.iter().map(move |key| (account, key)));
        keys.find(|(_, key)| key.arn == arn)
    }

    fn known_region(&self, region: &RegionId) -> Result<(), String> {
        let known = self.regions.contains(region) || self.opt_in_regions.contains(region);
        if known { Ok(()) } else { Err(format!("region {region} is not in the world")) }
    }
}

/// The ARN of the key that a snapshot is encrypted with.
pub(super) fn key_arn(snapshot: &SnapshotSpec) -> Option<String> {
    match &snapshot.encryption {
        Encryption::None => None,
        Encryption::Default => Some(default_key(&snapshot.owner, &snapshot.region)),
        Encryption::Key(arn) => Some(arn.clone()),
    }
}

/// The AWS managed key of an account in a region.
fn default_key(account: &AccountId, region: &RegionId) -> String {
    let partition = Partition::of(region).word();
    format!("arn:{partition}:kms:{region}:{account}:key/00000000-0000-4000-8000-{account}")
}

/// `ami-` or `snap-` and 8 or 17 hexadecimal digits. AWS has a check of its own besides (moto issue 5050), which nobody knows.
fn has_form(id: &ImageId, prefix: &str) -> bool {
    let digits = id.as_str().strip_prefix(prefix);
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digits.is_some_and(|digits| matches!(digits.len(), 8 | 17) && digits.bytes().all(is_digit))
}

/// Whether an image's id has the form of one.
pub(super) fn check_image_id(id: &ImageId) -> Result<(), Refusal> {
    let refusal = || rules::IMAGE_MALFORMED.saying(format!("Invalid id: \"{id}\""));
    if has_form(id, "ami-") { Ok(()) } else { Err(refusal()) }
}

/// Whether a snapshot's id has the form of one.
pub(super) fn check_snapshot_id(id: &ImageId) -> Result<(), Refusal> {
    let refusal = || rules::SNAPSHOT_MALFORMED.saying(format!("Value ({id}) for parameter snapshotId is invalid."));
    if has_form(id, "snap-") { Ok(()) } else { Err(refusal()) }
}
