//! Images made of a snapshot or of an instance (`CreateImage`). Snapshots are those of an account's own images, instances those
//! that the world gives it. Such an image is Available at once, where the vendor's takes minutes.

use super::attributes::check_tags;
use super::copy_rules::check_description;
use super::{Image, World};
use crate::alibaba::answers::snapshot;
use crate::alibaba::rules;
use crate::alibaba::world_file::{Disk, Encryption, ImageSpec, Origin, Status};
use crate::chassis::effect::Effect;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::refusal::Refusal;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Client tokens remembered; past that those that sort first are forgotten.
const MAX_TOKENS: usize = 10_000;

/// What an image is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Making {
    pub(crate) instance: Option<String>,
    pub(crate) snapshot: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) family: String,
    pub(crate) resource_group: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) client_token: Option<String>,
    pub(crate) dry_run: bool,
}

/// What client tokens stand for.
pub(super) type Made = BTreeMap<(AccountId, String), (RegionId, Making, ImageId)>;

impl World {
    /// Makes an image: its id, and what changed. A repetition known by its client token changes nothing.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(crate) fn make_image(
        &mut self,
        caller: &AccountId,
        region: &RegionId,
        making: Making,
        now: Timestamp,
    ) -> Result<(ImageId, Effect), Refusal> {
        let token = making.client_token.clone().map(|token| (caller.clone(), token));
        match token.as_ref().and_then(|token| self.made.get(token)) {
            Some((place, before, image)) if place == region && *before == making => {
                return Ok((image.clone(), Effect::default()));
            }
            Some(_) => return Err(rules::TOKEN_OF_ANOTHER.refuse()),
            None => {}
        }
        self.open_region(caller, region)?;
        let (disk, size_gib) = self.disk_of(caller, region, &making)?;
        making.name.as_deref().map_or(Ok(()), |name| self.may_be_named(caller, region, name))?;
        making.description.as_deref().map_or(Ok(()), check_description)?;
        check_tags(&making.tags)?;
        self.check_room(caller)?;
        if making.dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let id = self.fresh_id();
        let spec = spec_of(&making, id.clone(), (caller, region), (disk, size_gib), now);
        self.images.insert(id.clone(), Image::new(spec, now));
        if let Some(token) = token {
            self.made.insert(token, (region.clone(), making, id.clone()));
            if self.made.len() > MAX_TOKENS {
                self.made.pop_first();
            }
        }
        Ok((id.clone(), Effect { created: Some(id), ..Effect::default() }))
    }

    /// What the image is made of. An instance goes before a snapshot (`CreateImage` page).
    fn disk_of(&self, caller: &AccountId, region: &RegionId, making: &Making) -> Result<(Disk, u64), Refusal> {
        if let Some(instance) = &making.instance {
            let instances = self.account(caller).map(|account| account.instances.as_slice()).unwrap_or_default();
            let there = instances.contains(instance);
            return if there { Ok((Disk::System, 20)) } else { Err(rules::INSTANCE_NOT_FOUND.about(instance)) };
        }
        let wanted = making.snapshot.as_deref().ok_or_else(|| rules::MISSING_PARAMETER.about("SnapshotId"))?;
        let here = self
            .images
            .values()
            .map(Image::spec)
            .filter(|spec| spec.owner == *caller && spec.alias == Origin::Own && spec.region == *region);
        for spec in here {
            let mut disks = spec.disks.iter().zip('a'..='z');
            if let Some((disk, _)) = disks.find(|(_, letter)| snapshot(spec, *letter) == wanted) {
                // An image starts from a system disk.
                let fits = *disk == Disk::System;
                return if fits { Ok((*disk, spec.size_gib)) } else { Err(rules::SNAPSHOT_KIND.about(wanted)) };
            }
        }
        Err(rules::SNAPSHOT_NOT_FOUND.about(wanted))
    }
}

fn spec_of(
    making: &Making,
    id: ImageId,
    (owner, region): (&AccountId, &RegionId),
    (disk, size_gib): (Disk, u64),
    now: Timestamp,
) -> ImageSpec {
    ImageSpec {
        // The vendor makes a name up; which is unconfirmed.
        name: making.name.clone().unwrap_or_else(|| id.to_string()),
        id,
        region: region.clone(),
        owner: owner.clone(),
        description: making.description.clone().unwrap_or_default(),
        status: Status::Available,
        alias: Origin::Own,
        family: making.family.clone(),
        tags: making.tags.clone(),
        resource_group: making.resource_group.clone(),
        product_code: String::new(),
        encryption: Encryption::None,
        size_gib,
        disks: vec![disk],
        in_use: false,
        protected: false,
        copying: false,
        copies_fail: false,
        copy_seconds: None,
        shared_with: Vec::new(),
        public: false,
        created: Some(now),
        copied_from: None,
    }
}
