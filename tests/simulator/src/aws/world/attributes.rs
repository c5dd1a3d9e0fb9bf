//! What an owner changes of images and snapshots besides their permissions: descriptions, tags, deprecation.

use super::{Asker, Image, View, World};
use crate::aws::rules::{self, bad_value};
use crate::chassis::effect::Effect;
use crate::chassis::names::ImageId;
use crate::chassis::refusal::Refusal;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A tag to be removed: its key, and the value it must have, where one is named.
pub(in crate::aws) type Untag = (String, Option<String>);

impl World {
    /// Changes an image's description.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn describe_as(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        text: &str,
        dry_run: bool,
        view: &View,
    ) -> Result<Effect, Refusal> {
        self.owned(asker, id, view)?;
        if text.chars().count() > rules::MAX_DESCRIPTION {
            return Err(bad_value("Description", "longer than 255 characters"));
        }
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let Some(Image { spec, .. }) = self.images.get_mut(id) else { return Ok(Effect::default()) };
        if spec.description == text {
            return Ok(Effect::default());
        }
        text.clone_into(&mut spec.description);
        Ok(Effect { updated: vec!["description"], ..Effect::default() })
    }

    /// Deprecates an image from an instant on, or never.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn deprecate(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        from: Option<Timestamp>,
        dry_run: bool,
        view: &View,
    ) -> Result<Effect, Refusal> {
        self.owned(asker, id, view)?;
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let Some(Image { spec, .. }) = self.images.get_mut(id) else { return Ok(Effect::default()) };
        let updated = if spec.deprecated_from == from { vec![] } else { vec!["deprecation"] };
        spec.deprecated_from = from;
        Ok(Effect { updated, ..Effect::default() })
    }

    /// Gives images and snapshots tags; those of the same key have the new value then.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn tag(
        &mut self,
        asker: &Asker,
        ids: &[ImageId],
        tags: &BTreeMap<String, String>,
        dry_run: bool,
        view: &View,
    ) -> Result<Effect, Refusal> {
        for id in ids {
            let mut all = self.tags(asker, id, view)?.clone();
            all.extend(tags.clone());
            if all.len() > rules::MAX_TAGS {
                return Err(rules::TOO_MANY_TAGS.about(id.as_str()));
            }
        }
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        Ok(self.change_tags(ids, |own| own.extend(tags.clone())))
    }

    /// Takes tags from images and snapshots; all of them where none is named.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn untag(
        &mut self,
        asker: &Asker,
        ids: &[ImageId],
        tags: &[Untag],
        dry_run: bool,
        view: &View,
    ) -> Result<Effect, Refusal> {
        for id in ids {
            self.tags(asker, id, view)?;
        }
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let is_meant = |key: &String, value: &String| {
            let is = |tag: &Untag| tag.0 == *key && tag.1.as_ref().is_none_or(|wanted| wanted == value);
            tags.is_empty() || tags.iter().any(is)
        };
        Ok(self.change_tags(ids, |own| own.retain(|key, value| !is_meant(key, value))))
    }

    fn change_tags(&mut self, ids: &[ImageId], change: impl Fn(&mut BTreeMap<String, String>)) -> Effect {
        let mut effect = Effect::default();
        for id in ids {
            let image = self.images.get_mut(id).map(|image| &mut image.spec.tags);
            let snapshot = self.snapshots.get_mut(id).map(|snapshot| &mut snapshot.spec.tags);
            let Some(tags) = image.or(snapshot) else { continue };
            let before = tags.clone();
            change(tags);
            if before != *tags {
                effect.updated = vec!["tags"];
            }
        }
        effect
    }

    /// The tags of an own image or snapshot.
    fn tags(&self, asker: &Asker, id: &ImageId, view: &View) -> Result<&BTreeMap<String, String>, Refusal> {
        match id.as_str() {
            text if text.starts_with("ami-") => self.owned(asker, id, view).map(|image| &image.spec.tags),
            text if text.starts_with("snap-") => self.owned_snapshot(asker, id).map(|snapshot| &snapshot.spec.tags),
            text => Err(rules::INVALID_ID.saying(format!("The ID '{text}' is not valid"))),
        }
    }
}
