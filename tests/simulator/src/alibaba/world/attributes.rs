//! What an owner changes of an image besides its sharing: its name, description, family and state, and its tags.

use super::copy_rules::check_description;
use super::{Image, Relation, World, relation};
use crate::alibaba::rules;
use crate::alibaba::world_file::Status;
use crate::chassis::effect::Effect;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::refusal::Refusal;
use std::collections::BTreeMap;

/// What `ModifyImageAttribute` changes; what is absent stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) family: Option<String>,
    /// Available or Deprecated.
    pub(crate) status: Option<Status>,
    /// Check only.
    pub(crate) dry_run: bool,
}

impl World {
    /// Changes an image's attributes.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(crate) fn modify_attributes(
        &mut self,
        caller: &AccountId,
        region: &RegionId,
        id: &ImageId,
        change: Attributes,
    ) -> Result<Effect, Refusal> {
        let spec = &self.owned(caller, region, id)?.spec;
        if let Some(name) = change.name.as_deref().filter(|name| *name != spec.name) {
            self.may_be_named(caller, region, name)?;
        }
        change.description.as_deref().map_or(Ok(()), check_description)?;
        // An image is withdrawn and put back; other states are not the owner's to set (`ModifyImageAttribute` page, `Status`).
        let settable = |status| matches!(status, Status::Available | Status::Deprecated);
        if change.status.is_some() && !settable(spec.status) {
            return Err(rules::IMAGE_STATUS.about(spec.status.word()));
        }
        if change.dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let Some(Image { spec, .. }) = self.images.get_mut(id) else { return Ok(Effect::default()) };
        let mut updated = Vec::new();
        let mut set = |field: &mut String, value: Option<String>, name| {
            if let Some(value) = value.filter(|value| value != field) {
                *field = value;
                updated.push(name);
            }
        };
        set(&mut spec.name, change.name, "name");
        set(&mut spec.description, change.description, "description");
        set(&mut spec.family, change.family, "family");
        if let Some(status) = change.status.filter(|status| *status != spec.status) {
            spec.status = status;
            updated.push("status");
        }
        Ok(Effect { updated, ..Effect::default() })
    }

    /// Gives images tags; those of the same key have the new value then.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(crate) fn tag(
        &mut self,
        caller: &AccountId,
        region: &RegionId,
        ids: &[ImageId],
        tags: &BTreeMap<String, String>,
    ) -> Result<Effect, Refusal> {
        check_tags(tags)?;
        for id in ids {
            let mut all = self.taggable(caller, region, id)?.spec.tags.clone();
            all.extend(tags.clone());
            if all.len() > rules::MAX_TAGS {
                return Err(rules::TOO_MANY_TAGS.about(id.as_str()));
            }
        }
        Ok(self.change_tags(ids, |own| own.extend(tags.clone())))
    }

    /// Takes tags from images: those of these keys, or all.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(crate) fn untag(
        &mut self,
        caller: &AccountId,
        region: &RegionId,
        ids: &[ImageId],
        keys: Option<&[String]>,
    ) -> Result<Effect, Refusal> {
        for id in ids {
            self.taggable(caller, region, id)?;
        }
        Ok(self.change_tags(ids, |own| own.retain(|key, _| keys.is_some_and(|keys| !keys.contains(key)))))
    }

    fn change_tags(&mut self, ids: &[ImageId], change: impl Fn(&mut BTreeMap<String, String>)) -> Effect {
        let mut effect = Effect::default();
        for id in ids {
            let Some(image) = self.images.get_mut(id) else { continue };
            let before = image.spec.tags.clone();
            change(&mut image.spec.tags);
            if before != image.spec.tags {
                effect.updated = vec!["tags"];
            }
        }
        effect
    }

    /// The caller's own images of a region, for their tags.
    ///
    /// # Errors
    /// Unknown region.
    pub(crate) fn tagged(&self, caller: &AccountId, region: &RegionId) -> Result<Vec<&Image>, Refusal> {
        let seen = self.seen_by(caller, region)?;
        Ok(seen.into_iter().filter(|(_, relation)| *relation == Relation::Own).map(|(image, _)| image).collect())
    }

    fn taggable(&self, caller: &AccountId, region: &RegionId, id: &ImageId) -> Result<&Image, Refusal> {
        self.open_region(caller, region)?;
        let image = self.images.get(id).filter(|image| image.spec.region == *region);
        let own = image.filter(|image| relation(image, caller) == Some(Relation::Own));
        own.ok_or_else(|| rules::RESOURCE_NOT_FOUND.about(id.as_str()))
    }
}

/// Keys have 1 to 128 characters and values up to 128; neither begins with `aliyun` or `acs:` (keys) or holds an address.
pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let has_address = |text: &str| text.contains("http://") || text.contains("https://");
    for (key, value) in tags {
        let reserved = key.starts_with("aliyun") || key.starts_with("acs:");
        if key.is_empty() || reserved || has_address(key) || key.chars().count() > rules::MAX_TAG_KEY {
            return Err(rules::TAG_KEY.about(key));
        }
        if has_address(value) || value.chars().count() > rules::MAX_TAG_VALUE {
            return Err(rules::TAG_VALUE.about(key));
        }
    }
    if tags.len() > rules::MAX_TAGS { Err(rules::TOO_MANY_TAGS.refuse()) } else { Ok(()) }
}
