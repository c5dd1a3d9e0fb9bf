//! Plans the inventory of an account: from the images that the cloud lists and the existing `SharedImage`s to the
//! objects to create, update and delete.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::references::AccountRef;
use crate::api::shared_image::{SharedImageSpec, SharedImageState, SharedImageStatus};
use crate::domain::foreign_text::image_name;
use crate::domain::identifiers::RegionId;
use crate::domain::image::{Answer, ImageKind, ReceivedImage, ReceivedList};
use crate::planning::naming::hash_of;

/// Most images one account's inventory lists; further ones are left out and reported.
pub const INVENTORY_MAX: usize = 5000;

/// One desired entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its identity.
    pub spec: SharedImageSpec,
    /// Its current state.
    pub status: SharedImageStatus,
}

/// The changes to an inventory. Names are those of `SharedImage` objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// To create.
    pub create: Vec<(String, Entry)>,
    /// To update.
    pub update: Vec<(String, Entry)>,
    /// To delete.
    pub delete: Vec<String>,
    /// How many images the account receives.
    pub received: usize,
    /// How many of them wait for an answer.
    pub pending: u32,
    /// The account receives more images than the inventory holds.
    pub cut: bool,
}

impl Changes {
    /// How many images the account receives with these changes, and how many of them wait for an answer, where not all regions
    /// were listed.
    pub fn counted_over(
        &self,
        existing: &BTreeMap<String, (SharedImageSpec, Option<SharedImageStatus>)>,
    ) -> (usize, u32) {
        let gone: BTreeSet<&String> = self.delete.iter().collect();
        let kept = existing.iter().filter(|(name, _)| !gone.contains(name));
        let mut states: BTreeMap<&str, Option<SharedImageState>> =
            kept.map(|(name, (_, status))| (name.as_str(), status.as_ref().and_then(|status| status.state))).collect();
        states.extend(self.create.iter().chain(&self.update).map(|(name, entry)| (name.as_str(), entry.status.state)));
        let pending = states.values().filter(|state| **state == Some(SharedImageState::Pending)).count();
        (states.len(), u32::try_from(pending).unwrap_or(u32::MAX))
    }
}

/// Name of the object created for an image: it depends only on account, recipient, region and image.
pub fn name_of(account: &str, recipient: &str, region: &str, image: &str) -> String {
    format!("shared-{}", hash_of(&[account, recipient, region, image], 10))
}

/// Plans the changes. `existing`: the account's objects. `listed`: the images of each region of the inventory, or
/// `None` if the region could not be listed. Only a complete list proves that an image is not shared any more. Removing
/// a region from the inventory removes its objects.
pub fn plan_inventory(
    account: &str,
    existing: &BTreeMap<String, (SharedImageSpec, Option<SharedImageStatus>)>,
    listed: &BTreeMap<RegionId, Option<ReceivedList>>,
) -> Changes {
    let mut changes = Changes::default();
    let mut wanted: BTreeMap<String, Entry> = BTreeMap::new();
    for (region, list) in listed {
        for image in list.iter().flat_map(|list| &list.images) {
            let name = name_of(account, image.through.as_str(), region.as_str(), image.image.as_str());
            wanted.insert(name, entry(account, region, image));
        }
    }
    changes.received = wanted.len();
    let proven = |spec: &SharedImageSpec| {
        let region = RegionId::parse(&spec.region).ok().and_then(|region| listed.get(&region));
        region.is_none_or(|list| list.as_ref().is_some_and(|list| list.complete))
    };
    let gone = existing.iter().filter(|(name, (spec, _))| !wanted.contains_key(*name) && proven(spec));
    changes.delete.extend(gone.map(|(name, _)| name.clone()));
    // Existing objects stay: names are hashes, and a new one must not displace an old one.
    let mut room = INVENTORY_MAX.saturating_sub(existing.len().saturating_sub(changes.delete.len()));
    for (name, entry) in wanted {
        changes.pending += u32::from(entry.status.state == Some(SharedImageState::Pending));
        match existing.get(&name) {
            Some((_, Some(status))) if *status == entry.status => {}
            Some(_) => changes.update.push((name, entry)),
            None if room > 0 => {
                room -= 1;
                changes.create.push((name, entry));
            }
            None => changes.cut = true,
        }
    }
    changes
}

fn entry(account: &str, region: &RegionId, image: &ReceivedImage) -> Entry {
    let state = match image.answer {
        None => SharedImageState::Shared,
        Some(Answer::Pending) => SharedImageState::Pending,
        Some(Answer::Accepted) => SharedImageState::Accepted,
        Some(Answer::Rejected) => SharedImageState::Rejected,
    };
    let kind = match image.kind {
        ImageKind::SystemDisk => "SystemDisk",
        ImageKind::DataDisk => "DataDisk",
        ImageKind::FullServer => "FullServer",
        ImageKind::Iso => "ISO",
    };
    Entry {
        spec: SharedImageSpec {
            account_ref: AccountRef { name: account.to_owned() },
            region: region.to_string(),
            image_id: image.image.to_string(),
            recipient: image.through.to_string(),
        },
        status: SharedImageStatus {
            state: Some(state),
            owner: image.owner.as_ref().map(ToString::to_string),
            image_name: image_name(&image.name),
            kind: Some(kind.to_owned()),
        },
    }
}
