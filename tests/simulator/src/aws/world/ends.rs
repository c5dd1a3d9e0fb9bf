//! How images and snapshots end or pause: deregistering, the Recycle Bin, disabling, protection.

use super::sight::unavailable;
use super::{Asker, Image, View, World, check_image_id};
use crate::aws::rules;
use crate::aws::world_file::{Alias, Protection, State};
use crate::chassis::effect::{CopyState, Effect};
use crate::chassis::names::ImageId;
use crate::chassis::refusal::Refusal;
use jiff::{SignedDuration, Timestamp};

/// What became of a snapshot that was to be deleted with its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::aws) struct SnapshotEnd {
    pub(in crate::aws) snapshot: ImageId,
    pub(in crate::aws) code: &'static str,
}

impl World {
    /// Deregisters an image, shared or not; a pending copy ends with it. Where the account has a Recycle Bin, the image waits
    /// there with its permissions.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn deregister(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        deletes_snapshots: bool,
        dry_run: bool,
        view: &View,
    ) -> Result<(Vec<SnapshotEnd>, Effect), Refusal> {
        let image = self.owned(asker, id, view)?;
        if image.spec.alias == Some(Alias::AwsBackupVault) {
            return Err(rules::BACKUP_IMAGE_UNCONFIRMED.refuse());
        }
        let cooling = image.spec.protected_until.is_some_and(|until| view.now < until);
        if image.spec.protection != Protection::Disabled || cooling {
            return Err(rules::PROTECTED_UNCONFIRMED.about(id.as_str()));
        }
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        Ok(self.end_image(id, deletes_snapshots, view.now))
    }

    /// Ends an image without asking any rule.
    pub(super) fn end_image(
        &mut self,
        id: &ImageId,
        deletes_snapshots: bool,
        now: Timestamp,
    ) -> (Vec<SnapshotEnd>, Effect) {
        let step = self.drop_copy(id);
        let Some(image) = self.images.get_mut(id) else { return (Vec::new(), Effect::default()) };
        let bin = self.accounts.get(&image.spec.owner).and_then(|account| account.recycle_bin_days);
        let kept = bin.and_then(|days| now.checked_add(SignedDuration::from_hours(24 * i64::from(days))).ok());
        image.spec.state = State::Deregistered;
        image.spec.recycled_until = kept;
        let (owner, snapshots) = (image.spec.owner.clone(), image.spec.snapshots.clone());
        if kept.is_none() {
            // The past stays: whoever looks with lag still sees it shared.
            image.permissions.set(Vec::new(), now);
        }
        let mut ends = Vec::new();
        for snapshot in snapshots.into_iter().filter(|_| deletes_snapshots) {
            let code = match self.snapshots.get(&snapshot) {
                Some(one) if one.spec.owner != owner => "missing-permissions",
                Some(_) if self.user_of(&snapshot).is_some() => "skipped",
                Some(_) => "success",
                None => "client-error",
            };
            if code == "success" {
                self.snapshots.remove(&snapshot);
            }
            ends.push(SnapshotEnd { snapshot, code });
        }
        let effect = step.map_or_else(Effect::default, |step| step.effect(CopyState::Cancelled));
        let gone = ends.iter().filter(|end| end.code == "success").map(|end| end.snapshot.clone()).collect();
        (ends, Effect { deleted: true, snapshots_deleted: gone, ..effect })
    }

    /// An image that uses a snapshot.
    fn user_of(&self, snapshot: &ImageId) -> Option<&Image> {
        self.images.values().find(|image| !image.is_gone() && image.spec.snapshots.contains(snapshot))
    }

    /// Deletes a snapshot.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn delete_snapshot(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        dry_run: bool,
    ) -> Result<Effect, Refusal> {
        self.owned_snapshot(asker, id)?;
        if let Some(image) = self.user_of(id) {
            let user = &image.spec.id;
            return Err(rules::SNAPSHOT_IN_USE.saying(format!("The snapshot {id} is currently in use by {user}")));
        }
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        self.snapshots.remove(id);
        Ok(Effect { deleted: true, ..Effect::default() })
    }

    /// Disables an image: its permissions are gone for good. Those of its snapshots stay (unconfirmed).
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn disable(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        dry_run: bool,
        view: &View,
    ) -> Result<Effect, Refusal> {
        let image = self.owned(asker, id, view)?;
        if !matches!(image.spec.state, State::Available | State::Disabled) {
            return Err(unavailable(id));
        }
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let effect = super::permissions::effect_of(image.permissions(), &[]);
        let updated = if image.spec.state == State::Disabled { vec![] } else { vec!["state"] };
        if let Some(image) = self.images.get_mut(id) {
            image.spec.state = State::Disabled;
            image.permissions.set(Vec::new(), view.now);
        }
        Ok(Effect { updated, ..effect })
    }

    /// Enables a disabled image, without the permissions it had.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn enable(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        dry_run: bool,
        view: &View,
    ) -> Result<Effect, Refusal> {
        let image = self.owned(asker, id, view)?;
        if !matches!(image.spec.state, State::Available | State::Disabled) {
            return Err(unavailable(id));
        }
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let updated = if image.spec.state == State::Available { vec![] } else { vec!["state"] };
        if let Some(image) = self.images.get_mut(id) {
            image.spec.state = State::Available;
        }
        Ok(Effect { updated, ..Effect::default() })
    }

    /// Protects an image against deregistering, or ends that: with cooldown it stays protected for a day more.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn protect(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        protection: Protection,
        dry_run: bool,
        view: &View,
    ) -> Result<Effect, Refusal> {
        self.owned(asker, id, view)?;
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let Some(Image { spec, .. }) = self.images.get_mut(id) else { return Ok(Effect::default()) };
        if spec.protection == protection {
            return Ok(Effect::default());
        }
        let cools = spec.protection == Protection::EnabledWithCooldown && protection == Protection::Disabled;
        let day = SignedDuration::from_hours(rules::COOLDOWN_HOURS);
        spec.protected_until = view.now.checked_add(day).ok().filter(|_| cools);
        spec.protection = protection;
        Ok(Effect { updated: vec!["protection"], ..Effect::default() })
    }

    /// The images of an account that wait in the Recycle Bin of a region: these, or all.
    pub(in crate::aws) fn recycled(&self, asker: &Asker, ids: &[ImageId], now: Timestamp) -> Vec<&Image> {
        let waits = |image: &&Image| {
            let spec = &image.spec;
            let own = spec.owner == asker.account && spec.region == asker.region;
            own && image.is_gone() && spec.recycled_until.is_some_and(|until| now < until)
        };
        self.images.values().filter(waits).filter(|image| ids.is_empty() || ids.contains(&image.spec.id)).collect()
    }

    /// Takes an image out of the Recycle Bin, with the permissions it had.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn restore(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Effect, Refusal> {
        check_image_id(id)?;
        let found = self.recycled(asker, std::slice::from_ref(id), now);
        let image = found.first().ok_or_else(|| super::sight::not_found(&[id.as_str()]))?;
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let effect = super::permissions::effect_of(&[], image.permissions());
        if let Some(image) = self.images.get_mut(id) {
            image.spec.state = State::Available;
            image.spec.recycled_until = None;
        }
        Ok(Effect { updated: vec!["state"], ..effect })
    }
}
