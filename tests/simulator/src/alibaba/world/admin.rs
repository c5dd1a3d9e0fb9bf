//! Changes that go around the vendor's rules: loading, dumping, and what the admin interface does out of band.

use super::{Effect, Image, World, distinct, effect_on, grants_after};
use crate::alibaba::world_file::{Encryption, ImageSpec, Origin, Role, Status};
use crate::chassis::names::{AccountId, ImageId};
use crate::world_file::WorldFile;
use jiff::Timestamp;
use serde::Deserialize;

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
    /// New size, in GiB.
    #[serde(rename = "sizeGiB")]
    pub size_gib: Option<u64>,
    /// Whether copies of it fail; true also for those under way.
    pub copies_fail: Option<bool>,
    /// How long copies of it take that begin from now on, in seconds.
    pub copy_seconds: Option<u32>,
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
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountPatch {
    /// Whether it is closed.
    pub closed: Option<bool>,
    /// Most private images it may have.
    pub private_images: Option<usize>,
    /// Its RAM roles, all of them.
    pub roles: Option<Vec<Role>>,
}

/// Changes to the rules on copies; what is absent stays.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RulesPatch {
    /// How long copies take that begin from now on, in seconds.
    pub copy_seconds: Option<u32>,
    /// Most private images of an account.
    pub private_images: Option<usize>,
    /// Largest image that is copied, in GiB.
    #[serde(rename = "copySizeGiB")]
    pub copy_size_gib: Option<u64>,
}

impl Image {
    /// As it is now, in the words of a file.
    fn dump(&self) -> ImageSpec {
        let shared_with = self.grants().iter().map(|grant| grant.account.clone()).collect();
        ImageSpec { shared_with, ..self.spec.clone() }
    }
}

impl World {
    /// The world as a file; its `clock`, its limits and the other clouds' parts are for the caller to fill in.
    pub fn dump(&self) -> WorldFile {
        let images = self.images.values().map(Image::dump);
        WorldFile {
            clock: None,
            rules: self.rules.clone(),
            regions: self.regions.clone(),
            accounts: self.accounts.values().cloned().collect(),
            images: images.collect(),
            limits: Vec::new(),
            huawei: None,
            aws: None,
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
        self.images.insert(spec.id.clone(), Image::new(spec, now));
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
        image.grants.set(grants, now);
        Some(effect)
    }

    /// Changes an image without asking any rule; `None` when there is no such image. A copy under way that gets a status
    /// goes on no more.
    pub fn patch_image(&mut self, id: &ImageId, patch: ImagePatch, now: Timestamp) -> Option<Effect> {
        if patch.delete {
            self.images.remove(id)?;
            self.image_left(id, now);
            return Some(Effect { deleted: true, ..Effect::default() });
        }
        if patch.status.is_some() {
            self.drop_copy(id, now);
        }
        if patch.copies_fail == Some(true) {
            self.fail_copies_of(id, now);
        }
        let spec = &mut self.images.get_mut(id)?.spec;
        let published = patch.public.filter(|public| *public != spec.public);
        spec.status = patch.status.unwrap_or(spec.status);
        spec.in_use = patch.in_use.unwrap_or(spec.in_use);
        spec.protected = patch.protected.unwrap_or(spec.protected);
        spec.copying = patch.copying.unwrap_or(spec.copying);
        spec.public = patch.public.unwrap_or(spec.public);
        spec.encryption = patch.encryption.unwrap_or(spec.encryption);
        spec.size_gib = patch.size_gib.unwrap_or(spec.size_gib);
        spec.copies_fail = patch.copies_fail.unwrap_or(spec.copies_fail);
        spec.copy_seconds = patch.copy_seconds.or(spec.copy_seconds);
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
        account.private_images = patch.private_images.or(account.private_images);
        if let Some(roles) = patch.roles {
            account.roles = roles;
        }
        true
    }

    /// Changes the rules on copies.
    pub fn patch_rules(&mut self, patch: RulesPatch) {
        let rules = &mut self.rules;
        rules.copy_seconds = patch.copy_seconds.unwrap_or(rules.copy_seconds);
        rules.private_images = patch.private_images.or(rules.private_images);
        rules.copy_size_gib = patch.copy_size_gib.or(rules.copy_size_gib);
    }

    /// Whether there is such an account, closed or not.
    pub fn has_account(&self, id: &AccountId) -> bool {
        self.accounts.contains_key(id)
    }
}
