//! What goes around the vendor's rules: loading, dumping, and what the admin interface does out of band.

use super::permissions::{changed, effect_of};
use super::{Image, Recipient, Snapshot, World, check_image_id, check_snapshot_id};
use crate::aws::world_file::{
    AllowedImages, AwsFile, Encryption, ImageSpec, KmsKey, Protection, Role, SnapshotSpec, SnapshotState, State, Usage,
};
use crate::chassis::effect::Effect;
use crate::chassis::history::History;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use jiff::Timestamp;
use serde::Deserialize;

/// Changes to an image; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagePatch {
    /// New state.
    pub state: Option<State>,
    /// New reason of the state.
    pub state_reason: Option<String>,
    /// New name.
    pub name: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// Whether it is protected against deregistering.
    pub protection: Option<Protection>,
    /// From when it is deprecated.
    pub deprecated_from: Option<Timestamp>,
    /// Whether copies of it fail; true also for those under way.
    pub copies_fail: Option<bool>,
    /// How long copies of it take that begin from now on, in seconds.
    pub copy_seconds: Option<u32>,
    /// Who uses it, all of them.
    pub usage: Option<Vec<Usage>>,
    /// True deregisters it, protected or not.
    #[serde(default)]
    pub delete: bool,
}

/// Changes to a snapshot; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotPatch {
    /// New state.
    pub state: Option<SnapshotState>,
    /// New encryption.
    pub encryption: Option<Encryption>,
    /// True deletes it, used or not.
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
    pub session_token: Option<String>,
}

/// Changes to an account; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountPatch {
    /// Whether it is closed.
    pub closed: Option<bool>,
    /// Most recipients of one of its images.
    pub recipients_per_image: Option<usize>,
    /// The regions it opted in to, all of them; also ones that are none.
    pub opted_in: Option<Vec<RegionId>>,
    /// Whether its images may not be shared with everybody.
    pub blocks_public_access: Option<bool>,
    /// Which others' images it sees.
    pub allowed_images: Option<AllowedImages>,
    /// For how many days its deregistered images are in the Recycle Bin.
    pub recycle_bin_days: Option<u16>,
    /// Its customer-managed keys, all of them.
    pub kms_keys: Option<Vec<KmsKey>>,
    /// Its roles, all of them.
    pub roles: Option<Vec<Role>>,
}

/// Changes to the rules; what is absent stays.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RulesPatch {
    /// Most recipients of one image.
    pub recipients_per_image: Option<usize>,
    /// How long copies take that begin from now on, in seconds.
    pub copy_seconds: Option<u32>,
    /// Most copies at once of an account to a region.
    pub copies_at_once: Option<usize>,
    /// Whether each API has its bucket.
    pub throttling: Option<bool>,
    /// How far owners' lists are behind, in milliseconds.
    pub owner_lag_millis: Option<u32>,
    /// How far what recipients see is behind, in milliseconds.
    pub recipient_lag_millis: Option<u32>,
    /// Whether lists begin with an empty page.
    pub short_pages: Option<bool>,
    /// Whether answers have elements that no client knows.
    pub unknown_elements: Option<bool>,
}

fn ids(recipients: &[Recipient]) -> Vec<AccountId> {
    recipients.iter().map(|one| one.id().clone()).collect()
}

/// The recipients that texts name, each once.
fn recipients(texts: &[AccountId]) -> Result<Vec<Recipient>, String> {
    let parse = |text: &AccountId| {
        Recipient::parse(text.as_str())
            .ok_or_else(|| format!("{text} is neither an account nor an ARN of an organization or a unit, nor all"))
    };
    let all: Vec<_> = texts.iter().map(parse).collect::<Result<_, _>>()?;
    Ok(changed(&[], all, &[]))
}

impl World {
    /// The world as a file.
    pub fn dump(&self) -> Option<AwsFile> {
        if self.regions.is_empty() && self.accounts.is_empty() {
            return None;
        }
        Some(AwsFile {
            rules: self.rules.clone(),
            regions: self.regions.clone(),
            opt_in_regions: self.opt_in_regions.clone(),
            accounts: self.accounts.values().cloned().collect(),
            organizations: self.organizations.dump(),
            snapshots: self.snapshots.keys().filter_map(|id| self.dump_snapshot(id)).collect(),
            images: self.images.keys().filter_map(|id| self.dump_image(id)).collect(),
        })
    }

    /// One image as in [`Self::dump`]; `None` when there is no such image.
    pub fn dump_image(&self, id: &ImageId) -> Option<ImageSpec> {
        let image = self.images.get(id)?;
        Some(ImageSpec { shared_with: ids(image.permissions()), ..image.spec.clone() })
    }

    /// One snapshot as in [`Self::dump`]; `None` when there is no such snapshot.
    pub fn dump_snapshot(&self, id: &ImageId) -> Option<SnapshotSpec> {
        let snapshot = self.snapshots.get(id)?;
        Some(SnapshotSpec { shared_with: ids(snapshot.permissions()), ..snapshot.spec.clone() })
    }

    /// Puts a new snapshot into the world.
    ///
    /// # Errors
    /// When it contradicts the world.
    pub fn insert_snapshot(&mut self, mut spec: SnapshotSpec, now: Timestamp) -> Result<(), String> {
        let id = spec.id.clone();
        check_snapshot_id(&id).map_err(|_| format!("{id} is no id of a snapshot"))?;
        self.known_region(&spec.region)?;
        if self.snapshots.contains_key(&id) {
            return Err(format!("snapshot {id} is there twice"));
        }
        let shared = recipients(&spec.shared_with)?;
        spec.created.get_or_insert(now);
        self.snapshots.insert(id, Snapshot { spec, permissions: History::new(shared, now) });
        Ok(())
    }

    /// Puts a new image into the world, with the snapshots it names that are not there.
    ///
    /// # Errors
    /// When it contradicts the world.
    pub fn insert_image(&mut self, mut spec: ImageSpec, now: Timestamp) -> Result<(), String> {
        let id = spec.id.clone();
        check_image_id(&id).map_err(|_| format!("{id} is no id of an image"))?;
        self.known_region(&spec.region)?;
        if spec.alias.is_none() && !self.accounts.contains_key(&spec.owner) {
            return Err(format!("image {id}: owner {} is not in the world", spec.owner));
        }
        if self.images.contains_key(&id) {
            return Err(format!("image {id} is there twice"));
        }
        let shared = recipients(&spec.shared_with)?;
        if spec.name.is_empty() {
            spec.name = id.to_string();
        }
        if spec.snapshots.is_empty() && !spec.instance_store {
            spec.snapshots = vec![ImageId::from(id.as_str().replacen("ami-", "snap-", 1).as_str())];
        }
        let gone = spec.state == State::Deregistered;
        for snapshot in spec.snapshots.iter().filter(|_| !gone) {
            match self.snapshots.get(snapshot) {
                Some(there) if there.spec.region != spec.region => {
                    return Err(format!("image {id}: snapshot {snapshot} is in another region"));
                }
                Some(_) => {}
                None => self.insert_snapshot(snapshot_of(&spec, snapshot), now)?,
            }
        }
        spec.created.get_or_insert(now);
        self.images.insert(id, Image { spec, permissions: History::new(shared, now) });
        Ok(())
    }

    /// Changes permissions of an image or a snapshot without asking any rule; `None` when there is no such thing.
    ///
    /// # Errors
    /// When a text names no recipient.
    pub fn force_permissions(
        &mut self,
        id: &ImageId,
        add: &[AccountId],
        remove: &[AccountId],
        now: Timestamp,
    ) -> Result<Option<Effect>, String> {
        let (add, remove) = (recipients(add)?, recipients(remove)?);
        let image = self.images.get_mut(id).map(|image| &mut image.permissions);
        let snapshot = self.snapshots.get_mut(id).map(|snapshot| &mut snapshot.permissions);
        let Some(permissions) = image.or(snapshot) else { return Ok(None) };
        let before = permissions.present().clone();
        let after = changed(&before, add, &remove);
        let effect = effect_of(&before, &after);
        permissions.set(after, now);
        Ok(Some(effect))
    }

    /// Changes an image without asking any rule; `None` when there is no such image. A copy under way that gets a state goes on
    /// no more.
    pub fn patch_image(&mut self, id: &ImageId, patch: ImagePatch, now: Timestamp) -> Option<Effect> {
        if patch.delete {
            self.images.get(id).filter(|image| !image.is_gone())?;
            return Some(self.end_image(id, false, now).1);
        }
        if patch.state.is_some() {
            self.drop_copy(id);
        }
        if patch.copies_fail == Some(true) {
            self.fail_copies_of(id, now);
        }
        let image = self.images.get_mut(id)?;
        let mut effect = Effect::default();
        if patch.state == Some(State::Disabled) {
            effect = effect_of(image.permissions(), &[]);
            image.permissions.set(Vec::new(), now);
        }
        let spec = &mut image.spec;
        spec.state = patch.state.unwrap_or(spec.state);
        spec.protection = patch.protection.unwrap_or(spec.protection);
        spec.deprecated_from = patch.deprecated_from.or(spec.deprecated_from);
        spec.copies_fail = patch.copies_fail.unwrap_or(spec.copies_fail);
        spec.copy_seconds = patch.copy_seconds.or(spec.copy_seconds);
        for (field, value) in [
            (&mut spec.state_reason, patch.state_reason),
            (&mut spec.name, patch.name),
            (&mut spec.description, patch.description),
        ] {
            if let Some(value) = value {
                *field = value;
            }
        }
        if let Some(usage) = patch.usage {
            spec.usage = usage;
        }
        Some(effect)
    }

    /// Changes a snapshot without asking any rule; `None` when there is no such snapshot.
    pub fn patch_snapshot(&mut self, id: &ImageId, patch: SnapshotPatch) -> Option<Effect> {
        if patch.delete {
            self.snapshots.remove(id)?;
            return Some(Effect { deleted: true, ..Effect::default() });
        }
        let spec = &mut self.snapshots.get_mut(id)?.spec;
        spec.state = patch.state.unwrap_or(spec.state);
        if let Some(encryption) = patch.encryption {
            spec.encryption = encryption;
        }
        Some(Effect::default())
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
        if patch.session_token.is_some() {
            key.session_token = patch.session_token;
        }
        true
    }

    /// Changes an account; whether there is one of that id.
    pub fn patch_account(&mut self, id: &AccountId, patch: AccountPatch) -> bool {
        let Some(account) = self.accounts.get_mut(id) else { return false };
        account.closed = patch.closed.unwrap_or(account.closed);
        account.recipients_per_image = patch.recipients_per_image.or(account.recipients_per_image);
        account.blocks_public_access = patch.blocks_public_access.unwrap_or(account.blocks_public_access);
        account.recycle_bin_days = patch.recycle_bin_days.or(account.recycle_bin_days);
        if let Some(regions) = patch.opted_in {
            account.opted_in = regions;
        }
        if let Some(allowed) = patch.allowed_images {
            account.allowed_images = allowed;
        }
        if let Some(keys) = patch.kms_keys {
            account.kms_keys = keys;
        }
        if let Some(roles) = patch.roles {
            account.roles = roles;
        }
        true
    }

    /// Changes the rules.
    pub fn patch_rules(&mut self, patch: RulesPatch) {
        let rules = &mut self.rules;
        rules.recipients_per_image = patch.recipients_per_image.unwrap_or(rules.recipients_per_image);
        rules.copy_seconds = patch.copy_seconds.unwrap_or(rules.copy_seconds);
        rules.copies_at_once = patch.copies_at_once.unwrap_or(rules.copies_at_once);
        rules.throttling = patch.throttling.unwrap_or(rules.throttling);
        rules.owner_lag_millis = patch.owner_lag_millis.unwrap_or(rules.owner_lag_millis);
        rules.recipient_lag_millis = patch.recipient_lag_millis.unwrap_or(rules.recipient_lag_millis);
        rules.short_pages = patch.short_pages.unwrap_or(rules.short_pages);
        rules.unknown_elements = patch.unknown_elements.unwrap_or(rules.unknown_elements);
    }
}

/// A snapshot that is made with its image.
fn snapshot_of(image: &ImageSpec, id: &ImageId) -> SnapshotSpec {
    SnapshotSpec {
        id: id.clone(),
        region: image.region.clone(),
        owner: image.owner.clone(),
        state: SnapshotState::Completed,
        message: String::new(),
        size_gib: 8,
        encryption: image.encryption.clone(),
        tags: std::collections::BTreeMap::new(),
        shared_with: Vec::new(),
        created: image.created,
    }
}
