//! Alibaba Cloud's world: accounts, regions, images and who may use them. A pure state machine: time comes in as an
//! argument, and nothing here knows of HTTP, faults or journal. Admin overrides are in `world/admin.rs`, copying in
//! `world/copies.rs`, making images in `world/making.rs`, names and tags in `world/attributes.rs`.

mod admin;
mod attributes;
mod copies;
mod copy_rules;
mod making;
#[cfg(test)]
mod tests;

pub use admin::{AccountPatch, ImagePatch, KeyPatch, RulesPatch};
pub(crate) use attributes::Attributes;
pub use copies::CopyEnd;
pub(crate) use making::Making;

use super::rules::{self, Rules};
use super::world_file::{Account, Encryption, ImageSpec, Key, Origin, Status};
use crate::chassis::effect::Effect;
use crate::chassis::history::History;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::refusal::Refusal;
use crate::world_file::WorldFile;
use copies::Copies;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// One account's leave to use an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub account: AccountId,
    /// Since when.
    pub since: Timestamp,
}

/// An image and its sharing.
#[derive(Debug, Clone)]
pub struct Image {
    spec: ImageSpec,
    grants: History<Vec<Grant>>,
}

impl Image {
    fn new(spec: ImageSpec, now: Timestamp) -> Self {
        let shared_with = distinct(spec.shared_with.iter());
        let grants: Vec<_> = shared_with.into_iter().map(|account| Grant { account, since: now }).collect();
        Self { spec, grants: History::new(grants, now) }
    }

    /// All but the sharing (`shared_with` is of the time of loading; see [`Image::grants`]).
    pub fn spec(&self) -> &ImageSpec {
        &self.spec
    }

    /// The sharing at present.
    pub fn grants(&self) -> &[Grant] {
        self.grants.present()
    }

    /// The sharing as it was at `instant`; the oldest remembered where that is longer ago.
    pub fn grants_at(&self, instant: Timestamp) -> &[Grant] {
        self.grants.at(instant)
    }

    fn is_shared_with(&self, account: &AccountId) -> bool {
        self.grants().iter().any(|grant| grant.account == *account)
    }

    /// How a copy stands; nothing where the image is none.
    fn set_copy(&mut self, status: Status, percent: u8) {
        if let Some(from) = &mut self.spec.copied_from {
            from.percent = percent;
            self.spec.status = status;
        }
    }
}

/// A change of an image's sharing, as a request asks for it.
#[derive(Debug, Clone, Default)]
pub struct SharingChange {
    /// Accounts to add; past the tenth they are dropped.
    pub add: Vec<AccountId>,
    /// Accounts to remove; past the tenth they are dropped.
    pub remove: Vec<AccountId>,
    /// Whether to publish (true) or withdraw (false). That absent means neither is unconfirmed.
    pub public: Option<bool>,
    /// Check only.
    pub dry_run: bool,
}

/// How an image relates to the account that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Owned.
    Own,
    /// Shared with it.
    Received,
    /// Somebody's community image.
    Community,
    /// The vendor's.
    System,
    /// A Marketplace seller's.
    Marketplace,
}

/// Accounts, regions, images.
#[derive(Debug, Clone, Default)]
pub struct World {
    rules: Rules,
    regions: Vec<RegionId>,
    accounts: BTreeMap<AccountId, Account>,
    images: BTreeMap<ImageId, Image>,
    copies: Copies,
    made: making::Made,
}

impl World {
    /// Builds the world of `file`; sharing and images without a date date from `now`. A copy under way in the file stays
    /// as far as it is.
    ///
    /// # Errors
    /// When ids repeat, an account id is not decimal digits, or an image names a region or owner that is not there.
    pub fn load(file: WorldFile, now: Timestamp) -> Result<Self, String> {
        let (accounts, images, copies) = (BTreeMap::new(), BTreeMap::new(), Copies::default());
        let made = BTreeMap::new();
        let mut world = Self { rules: file.rules, regions: file.regions, accounts, images, copies, made };
        let mut keys = BTreeSet::new();
        for account in file.accounts {
            let id = account.id.as_str();
            if id.parse::<i64>().is_err() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!("account {} is not decimal digits below 2^63", account.id));
            }
            for region in account.regions.iter().flatten() {
                world.known_region(region)?;
            }
            for key in &account.keys {
                if !keys.insert(key.id.clone()) {
                    return Err(format!("key {} is there twice", key.id));
                }
            }
            let id = account.id.clone();
            if world.accounts.insert(id.clone(), account).is_some() {
                return Err(format!("account {id} is there twice"));
            }
        }
        for image in file.images {
            world.insert_image(image, now)?;
        }
        Ok(world)
    }

    fn known_region(&self, region: &RegionId) -> Result<(), String> {
        if self.regions.contains(region) { Ok(()) } else { Err(format!("region {region} is not in the world")) }
    }

    /// Account and key of a key id; a closed account's keys are gone.
    pub fn key(&self, id: &str) -> Option<(&Account, &Key)> {
        let open = self.accounts.values().filter(|account| !account.closed);
        open.flat_map(|account| account.keys.iter().map(move |key| (account, key))).find(|(_, key)| key.id == id)
    }

    /// An account that is open.
    pub(super) fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id).filter(|account| !account.closed)
    }

    /// The regions open to an account.
    pub fn regions(&self, caller: &AccountId) -> Vec<&RegionId> {
        let subset = self.accounts.get(caller).and_then(|account| account.regions.as_ref());
        self.regions.iter().filter(|region| subset.is_none_or(|subset| subset.contains(region))).collect()
    }

    /// All images by id.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.images.values()
    }

    /// An image, whoever owns it.
    pub fn image(&self, id: &ImageId) -> Option<&Image> {
        self.images.get(id)
    }

    /// Changes an image's sharing: removals first, then additions; all or nothing.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub fn modify_sharing(
        &mut self,
        caller: &AccountId,
        region: &RegionId,
        id: &ImageId,
        change: &SharingChange,
        now: Timestamp,
    ) -> Result<Effect, Refusal> {
        let image = self.owned(caller, region, id)?;
        // The first ten as listed are taken, so a repetition within them costs a place.
        let add = distinct(change.add.iter().take(rules::ACCOUNTS_PER_CALL));
        let remove = distinct(change.remove.iter().take(rules::ACCOUNTS_PER_CALL));
        let shares = !add.is_empty();
        let publishes = change.public == Some(true);
        if (shares && image.spec.encryption == Encryption::ServiceKey)
            || (publishes && image.spec.encryption != Encryption::None)
        {
            return Err(rules::ENCRYPTED_SNAPSHOT.refuse());
        }
        if (shares || publishes) && image.spec.status != Status::Available {
            return Err(rules::IMAGE_STATUS.about(image.spec.status.word()));
        }
        for account in &add {
            self.may_receive(image, account)?;
        }
        let effect = effect_on(image, &add, &remove, change.public);
        let grants = grants_after(image, &effect, now);
        if !effect.added.is_empty() && grants.len() > self.rules.recipients_per_image {
            return Err(rules::TOO_MANY_RECIPIENTS.refuse());
        }
        for account in effect.added.iter().filter(|account| !image.is_shared_with(account)) {
            if self.rules.received_images.is_some_and(|limit| self.received(account).len() >= limit) {
                return Err(rules::RECIPIENT_FULL_UNCONFIRMED.about(account.as_str()));
            }
        }
        if change.dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        if let Some(image) = self.images.get_mut(id) {
            image.spec.public = effect.published.unwrap_or(image.spec.public);
            if !(effect.added.is_empty() && effect.removed.is_empty()) {
                image.grants.set(grants, now);
            }
        }
        Ok(effect)
    }

    /// Deletes an image. Copies of it that are under way fail.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub fn delete_image(
        &mut self,
        caller: &AccountId,
        region: &RegionId,
        id: &ImageId,
        force: bool,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Effect, Refusal> {
        let image = self.owned(caller, region, id)?;
        if image.spec.copying || image.spec.is_copying() {
            return Err(rules::DELETE_COPYING.refuse());
        }
        if !image.grants().is_empty() {
            return Err(rules::DELETE_SHARED.refuse());
        }
        if image.spec.in_use && !force {
            return Err(rules::DELETE_IN_USE.refuse());
        }
        if image.spec.protected {
            return Err(rules::DELETE_PROTECTED_UNCONFIRMED.refuse());
        }
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        self.images.remove(id);
        self.image_left(id, now);
        Ok(Effect { deleted: true, ..Effect::default() })
    }

    /// The caller's own image in a region: the only ones whose sharing it may see or change.
    ///
    /// # Errors
    /// Unknown region, or no such image of the caller's there.
    pub fn owned(&self, caller: &AccountId, region: &RegionId, id: &ImageId) -> Result<&Image, Refusal> {
        self.open_region(caller, region)?;
        let image = self.images.get(id).filter(|image| {
            image.spec.owner == *caller && image.spec.region == *region && image.spec.alias == Origin::Own
        });
        image.ok_or_else(|| rules::IMAGE_NOT_FOUND.about(id.as_str()))
    }

    /// Every image of a region the caller may know of, with how it relates to it, by id.
    ///
    /// # Errors
    /// Unknown region.
    pub fn seen_by(&self, caller: &AccountId, region: &RegionId) -> Result<Vec<(&Image, Relation)>, Refusal> {
        self.open_region(caller, region)?;
        let here = self.images.values().filter(|image| image.spec.region == *region);
        Ok(here.filter_map(|image| relation(image, caller).map(|relation| (image, relation))).collect())
    }

    /// The same of the images with these ids alone, without a walk through all.
    ///
    /// # Errors
    /// Unknown region.
    pub fn seen_of(
        &self,
        caller: &AccountId,
        region: &RegionId,
        ids: &BTreeSet<ImageId>,
    ) -> Result<Vec<(&Image, Relation)>, Refusal> {
        self.open_region(caller, region)?;
        let here = ids.iter().filter_map(|id| self.images.get(id)).filter(|image| image.spec.region == *region);
        Ok(here.filter_map(|image| relation(image, caller).map(|relation| (image, relation))).collect())
    }

    /// The images shared with an account, in all regions.
    pub fn received(&self, account: &AccountId) -> Vec<&ImageId> {
        self.images.values().filter(|image| image.is_shared_with(account)).map(|image| &image.spec.id).collect()
    }

    fn open_region(&self, caller: &AccountId, region: &RegionId) -> Result<(), Refusal> {
        let open = self.regions(caller).contains(&region);
        if open { Ok(()) } else { Err(rules::REGION_NOT_FOUND.about(region.as_str())) }
    }

    fn may_receive(&self, image: &Image, account: &AccountId) -> Result<(), Refusal> {
        if *account == image.spec.owner {
            return Err(rules::SELF_SHARE.refuse());
        }
        let recipient = self.account(account).ok_or_else(|| rules::ACCOUNT_NOT_FOUND.about(account.as_str()))?;
        let owner_site = self.accounts.get(&image.spec.owner).map(|owner| owner.site);
        if !image.spec.product_code.is_empty() && owner_site != Some(recipient.site) {
            return Err(rules::CROSS_SITE_UNCONFIRMED.about(account.as_str()));
        }
        Ok(())
    }
}

/// The accounts, each once, in their order.
fn distinct<'a>(accounts: impl Iterator<Item = &'a AccountId>) -> Vec<AccountId> {
    let mut seen = BTreeSet::new();
    accounts.filter(|account| seen.insert(*account)).cloned().collect()
}

/// What a change would change. Adding a present and removing an absent account is a success without effect
/// (unconfirmed: no vendor page says).
fn effect_on(image: &Image, add: &[AccountId], remove: &[AccountId], public: Option<bool>) -> Effect {
    let removed: Vec<_> = remove.iter().filter(|account| image.is_shared_with(account)).cloned().collect();
    let present = |account: &AccountId| image.is_shared_with(account) && !removed.contains(account);
    let added = add.iter().filter(|account| !present(account)).cloned().collect();
    let published = public.filter(|public| *public != image.spec.public);
    Effect { added, removed, published, ..Effect::default() }
}

fn grants_after(image: &Image, effect: &Effect, now: Timestamp) -> Vec<Grant> {
    let kept = image.grants().iter().filter(|grant| !effect.removed.contains(&grant.account)).cloned();
    let new = effect.added.iter().map(|account| Grant { account: account.clone(), since: now });
    kept.chain(new).collect()
}

fn relation(image: &Image, caller: &AccountId) -> Option<Relation> {
    match image.spec.alias {
        Origin::System => Some(Relation::System),
        Origin::Marketplace => Some(Relation::Marketplace),
        Origin::Own if image.spec.owner == *caller => Some(Relation::Own),
        Origin::Own if image.is_shared_with(caller) => Some(Relation::Received),
        Origin::Own => image.spec.public.then_some(Relation::Community),
    }
}
