//! Changes that go around the vendor's rules: loading, dumping, and what the control API does out of band.

use super::{Effect, Grant, Image, World, distinct, effect_on, grants_after};
use crate::simulator::names::{AccountId, ImageId};
use crate::simulator::world_file::{Encryption, ImageSpec, Origin, Status, WorldFile};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::VecDeque;

/// Changes to an image; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagePatch {
    /// New status.
    pub status: Option<Status>,
    /// Whether instances use it.
    pub in_use: Option<bool>,
    /// Whether it is protected against deletion.
    pub protected: Option<bool>,
    /// Whether it is being copied.
    pub copying: Option<bool>,
    /// Whether it is a community image.
    pub public: Option<bool>,
    /// New encryption.
    pub encryption: Option<Encryption>,
    /// New name.
    pub name: Option<String>,
    /// True deletes it, shared or not.
    #[serde(default)]
    pub delete: bool,
}

/// Changes to a key; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyPatch {
    /// Whether it is disabled.
    pub disabled: Option<bool>,
    /// Whether its token is past its time.
    pub expired: Option<bool>,
    /// New secret.
    pub secret: Option<String>,
    /// New token.
    pub security_token: Option<String>,
}

/// Changes to an account; what is absent stays.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountPatch {
    /// Whether it is closed.
    pub closed: Option<bool>,
}

impl Image {
    /// As it is now, in the words of a file.
    fn dump(&self) -> ImageSpec {
        let shared_with = self.grants.iter().map(|grant| grant.account.clone()).collect();
        ImageSpec { shared_with, ..self.spec.clone() }
    }
}

impl World {
    /// The world as a file; its `clock` and Huawei Cloud's part are for the caller to fill in.
    pub fn dump(&self) -> WorldFile {
        let images = self.images.values().map(Image::dump);
        WorldFile {
            clock: None,
            rules: self.rules.clone(),
            regions: self.regions.clone(),
            accounts: self.accounts.values().cloned().collect(),
            images: images.collect(),
            huawei: None,
        }
    }

    /// One image as in [`Self::dump`]; `None` when there is no such image.
    pub fn dump_image(&self, id: &ImageId) -> Option<ImageSpec> {
        self.images.get(id).map(Image::dump)
    }

    /// Puts a new image into the world.
    ///
    /// # Errors
    /// When the id is taken, or region or owner are not in the world.
    pub fn insert_image(&mut self, mut spec: ImageSpec, now: Timestamp) -> Result<(), String> {
        self.known_region(&spec.region)?;
        if spec.alias == Origin::Own && !self.accounts.contains_key(&spec.owner) {
            return Err(format!("image {}: owner {} is not in the world", spec.id, spec.owner));
        }
        if self.images.contains_key(&spec.id) {
            return Err(format!("image {} is there twice", spec.id));
        }
        spec.created.get_or_insert(now);
        let grants: Vec<_> =
            distinct(spec.shared_with.iter()).into_iter().map(|account| Grant { account, since: now }).collect();
        let history = VecDeque::from([(now, grants.clone())]);
        self.images.insert(spec.id.clone(), Image { spec, grants, history });
        Ok(())
    }

    /// Changes sharing without asking any rule; `None` when there is no such image.
    pub fn force_sharing(
        &mut self,
        id: &ImageId,
        add: &[AccountId],
        remove: &[AccountId],
        now: Timestamp,
    ) -> Option<Effect> {
        let image = self.images.get_mut(id)?;
        let effect = effect_on(image, &distinct(add.iter()), &distinct(remove.iter()), None);
        let grants = grants_after(image, &effect, now);
        image.set_grants(grants, now);
        Some(effect)
    }

    /// Changes an image without asking any rule; `None` when there is no such image.
    pub fn patch_image(&mut self, id: &ImageId, patch: ImagePatch) -> Option<Effect> {
        if patch.delete {
            return self.images.remove(id).map(|_| Effect { deleted: true, ..Effect::default() });
        }
        let spec = &mut self.images.get_mut(id)?.spec;
        let published = patch.public.filter(|public| *public != spec.public);
        spec.status = patch.status.unwrap_or(spec.status);
        spec.in_use = patch.in_use.unwrap_or(spec.in_use);
        spec.protected = patch.protected.unwrap_or(spec.protected);
        spec.copying = patch.copying.unwrap_or(spec.copying);
        spec.public = patch.public.unwrap_or(spec.public);
        spec.encryption = patch.encryption.unwrap_or(spec.encryption);
        if let Some(name) = patch.name {
            spec.name = name;
        }
        Some(Effect { published, ..Effect::default() })
    }

    /// Changes a key; whether there is one of that id.
    pub fn patch_key(&mut self, id: &str, patch: KeyPatch) -> bool {
        let mut keys = self.accounts.values_mut().flat_map(|account| account.keys.iter_mut());
        let Some(key) = keys.find(|key| key.id == id) else { return false };
        key.disabled = patch.disabled.unwrap_or(key.disabled);
        key.expired = patch.expired.unwrap_or(key.expired);
        if let Some(secret) = patch.secret {
            key.secret = secret;
        }
        if patch.security_token.is_some() {
            key.security_token = patch.security_token;
        }
        true
    }

    /// Changes an account; whether there is one of that id.
    pub fn patch_account(&mut self, id: &AccountId, patch: AccountPatch) -> bool {
        let Some(account) = self.accounts.get_mut(id) else { return false };
        account.closed = patch.closed.unwrap_or(account.closed);
        true
    }

    /// Whether there is such an account, closed or not.
    pub fn has_account(&self, id: &AccountId) -> bool {
        self.accounts.contains_key(id)
    }
}
