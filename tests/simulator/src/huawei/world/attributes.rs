//! What an owner changes of an image besides its members: its name, description and memory, and its tags.

use super::{Image, World};
use crate::chassis::effect::Effect;
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use crate::huawei::rules;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A new value of an attribute, checked for its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attribute {
    Name(String),
    Description(String),
    MinRam(u32),
    MaxRam(Option<u32>),
    Protected(bool),
}

/// A change of an image's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TagChange {
    /// These are there afterwards.
    Add(BTreeMap<String, String>),
    /// Those of these keys are not.
    Remove(Vec<String>),
}

impl World {
    /// Changes attributes of a project's own image.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::huawei) fn update_image(
        &mut self,
        project: &AccountId,
        id: &ImageId,
        attributes: &[Attribute],
        now: Timestamp,
    ) -> Result<Effect, Refusal> {
        self.owned(project, id)?;
        self.change_image(id, now, |image| attributes.iter().filter_map(|attribute| attribute.set(image)).collect())
    }

    /// Changes the tags of a project's own image.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::huawei) fn change_tags(
        &mut self,
        project: &AccountId,
        id: &ImageId,
        change: &TagChange,
        now: Timestamp,
    ) -> Result<Effect, Refusal> {
        let mut tags = self.owned(project, id)?.spec.tags.clone();
        match change {
            TagChange::Add(more) => tags.extend(more.clone()),
            TagChange::Remove(keys) => tags.retain(|key, _| !keys.contains(key)),
        }
        if tags.len() > rules::MAX_TAGS {
            return Err(rules::TOO_MANY_TAGS_UNCONFIRMED.about(id.as_str()));
        }
        self.change_image(id, now, |image| {
            let changed = image.spec.tags != tags;
            image.spec.tags = tags;
            changed.then_some("tags").into_iter().collect()
        })
    }

    fn change_image(
        &mut self,
        id: &ImageId,
        now: Timestamp,
        change: impl FnOnce(&mut Image) -> Vec<&'static str>,
    ) -> Result<Effect, Refusal> {
        let image = self.images.get_mut(id).ok_or_else(|| rules::IMAGE_NOT_FOUND.about(id.as_str()))?;
        let updated = change(image);
        if !updated.is_empty() {
            image.spec.changed = Some(now);
        }
        Ok(Effect { updated, ..Effect::default() })
    }
}

impl Attribute {
    /// Sets it; its name where it was another before.
    fn set(&self, image: &mut Image) -> Option<&'static str> {
        fn put<T: PartialEq + Clone>(field: &mut T, value: &T, name: &'static str) -> Option<&'static str> {
            let changed = field != value;
            field.clone_from(value);
            changed.then_some(name)
        }
        let spec = &mut image.spec;
        match self {
            Self::Name(name) => put(&mut spec.name, name, "name"),
            Self::Description(text) => put(&mut spec.description, text, "description"),
            Self::MinRam(mib) => put(&mut spec.min_ram, mib, "minRam"),
            Self::MaxRam(mib) => put(&mut spec.max_ram, mib, "maxRam"),
            Self::Protected(protected) => put(&mut spec.protected, protected, "protected"),
        }
    }
}
