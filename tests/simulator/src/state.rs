//! Everything the simulator holds behind its one lock: worlds, clock, weather, journal, nonces. Changes from outside
//! the simulated cloud pass through here, so that none escapes the journal.

use super::alibaba::Nonces;
use super::clock::{Clock, ClockFace, ClockMove};
use super::faults::FaultInjection;
use super::huawei;
use super::journal::{Asked, Entry, Journal, Provider};
use super::names::{AccountId, ImageId};
use super::world::{AccountPatch, CopyState, Effect, ImagePatch, KeyPatch, RulesPatch, World};
use super::world_file::{ImageSpec, WorldFile};
use serde::Deserialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who changed the world around its rules, in the journal.
pub(super) const OUT_OF_BAND: &str = "out-of-band";

/// A change of sharing around the vendor's rules.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharingOutOfBand {
    /// The image.
    pub image: ImageId,
    /// Accounts to add; need not exist, no limit.
    #[serde(default)]
    pub add: Vec<AccountId>,
    /// Accounts to remove.
    #[serde(default)]
    pub remove: Vec<AccountId>,
}

/// Why the control API did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is no such thing.
    NotFound(String),
    /// The request makes no sense.
    Invalid(String),
}

/// Worlds, clock, weather, journal, nonces.
#[derive(Debug)]
pub(super) struct State {
    /// Alibaba Cloud's.
    pub(super) world: World,
    pub(super) huawei: huawei::Cloud,
    pub(super) clock: Clock,
    pub(super) weather: FaultInjection,
    pub(super) journal: Journal,
    pub(super) nonces: Nonces,
}

/// The state, shared by all ports and the in-process handle.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    /// Shares `state`.
    pub(super) fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// The state as of now: jobs and copies that are due have ended. A holder that died left it as whole as each step leaves it.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle();
        state.settle_copies();
        state
    }
}

impl State {
    /// The state of a world just loaded.
    ///
    /// # Errors
    /// When the world contradicts itself.
    pub(super) fn new(mut file: WorldFile) -> Result<Self, String> {
        let clock = Clock::new(file.clock);
        let mut huawei = huawei::Cloud::default();
        huawei.replace(huawei::World::load(file.huawei.take().unwrap_or_default(), clock.now())?);
        let world = World::load(file, clock.now())?;
        let (weather, journal, nonces) = (FaultInjection::default(), Journal::default(), Nonces::default());
        let mut state = Self { world, huawei, clock, weather, journal, nonces };
        state.journal_seeds();
        Ok(state)
    }

    /// Replaces the world and its clock; weather, nonces, tokens and journal stay, jobs and copies under way do not.
    ///
    /// # Errors
    /// When the new world contradicts itself; then the old one stays.
    pub(super) fn load(&mut self, mut file: WorldFile) -> Result<(), Refused> {
        self.room()?;
        let clock = Clock::new(file.clock);
        let huawei = huawei::World::load(file.huawei.take().unwrap_or_default(), clock.now());
        let huawei = huawei.map_err(Refused::Invalid)?;
        self.world = World::load(file, clock.now()).map_err(Refused::Invalid)?;
        self.huawei.replace(huawei);
        self.clock = clock;
        self.journal_seeds();
        Ok(())
    }

    /// `LoadWorld` without an image marks that all before is void; then one entry for each image that is shared.
    fn journal_seeds(&mut self) {
        let now = self.clock.now();
        self.journal.append(Entry::without_request(now, "world", "LoadWorld"));
        for image in self.world.images() {
            let added: Vec<_> = image.grants().iter().map(|grant| grant.account.clone()).collect();
            if let Some(effect) = (Effect { added, ..Effect::default() }).if_any() {
                let entry = Entry::without_request(now, "world", "LoadWorld");
                let spec = image.spec();
                self.journal.append(Entry {
                    provider: Some(Provider::Alibaba),
                    region: Some(spec.region.clone()),
                    image: Some(spec.id.clone()),
                    effect: Some(effect),
                    ..entry
                });
            }
        }
        self.journal_huawei_seeds();
    }

    /// The world as a file, with its clock if that stands still.
    pub(super) fn dump(&self) -> WorldFile {
        let face = self.clock.face();
        let clock = face.fixed.then_some(face.now);
        WorldFile { clock, huawei: self.huawei.world.dump(), ..self.world.dump() }
    }

    /// One image as in [`Self::dump`].
    ///
    /// # Errors
    /// When there is no such image.
    pub(super) fn dump_image(&self, id: &ImageId) -> Result<ImageSpec, Refused> {
        self.world.dump_image(id).ok_or_else(|| no_image(id))
    }

    /// Moves the clock.
    ///
    /// # Errors
    /// When the move makes no sense.
    pub(super) fn move_clock(&mut self, step: ClockMove) -> Result<ClockFace, Refused> {
        self.clock.shift(step).map_err(Refused::Invalid)?;
        Ok(self.clock.face())
    }

    /// Changes sharing around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such image.
    pub(super) fn share_out_of_band(&mut self, change: SharingOutOfBand) -> Result<Effect, Refused> {
        self.room()?;
        let now = self.clock.now();
        let SharingOutOfBand { image, add, remove } = change;
        let effect = self.world.force_sharing(&image, &add, &remove, now).ok_or_else(|| no_image(&image))?;
        let asked = Asked { add, remove, ..Asked::default() };
        self.journal_out_of_band("ShareOutOfBand", Some(image), asked, Some(effect.clone()));
        Ok(effect)
    }

    /// Puts a new image into the world.
    ///
    /// # Errors
    /// When it contradicts the world.
    pub(super) fn create_image(&mut self, spec: ImageSpec) -> Result<(), Refused> {
        self.room()?;
        let id = spec.id.clone();
        let added = spec.shared_with.clone();
        self.world.insert_image(spec, self.clock.now()).map_err(Refused::Invalid)?;
        let effect = Effect { added, ..Effect::default() };
        self.journal_out_of_band("CreateImage", Some(id), Asked::default(), Some(effect));
        Ok(())
    }

    /// Changes or deletes an image around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such image.
    pub(super) fn patch_image(&mut self, id: &ImageId, patch: ImagePatch) -> Result<(), Refused> {
        self.room()?;
        let region = self.world.image(id).map(|image| image.spec().region.clone());
        let effect = self.world.patch_image(id, patch, self.clock.now()).ok_or_else(|| no_image(id))?;
        let entry = Entry::without_request(self.clock.now(), OUT_OF_BAND, "PatchImage");
        let provider = Some(Provider::Alibaba);
        self.journal.append(Entry { provider, region, image: Some(id.clone()), effect: effect.if_any(), ..entry });
        self.settle_copies();
        Ok(())
    }

    /// Changes the rules on copies.
    ///
    /// # Errors
    /// When the journal is full.
    pub(super) fn patch_rules(&mut self, patch: RulesPatch) -> Result<(), Refused> {
        self.room()?;
        self.world.patch_rules(patch, self.clock.now());
        self.journal_out_of_band("PatchRules", None, Asked::default(), None);
        Ok(())
    }

    /// Ends the copies that are due, and journals that; those under way are shown as far as they are.
    pub(super) fn settle_copies(&mut self) {
        let now = self.clock.now();
        while self.journal.has_room()
            && let Some(end) = self.world.end_next_copy(now)
        {
            let failed = end.step.state == CopyState::Failed;
            self.journal.append(Entry {
                provider: Some(Provider::Alibaba),
                region: Some(end.step.destination.clone()),
                image: Some(end.step.image.clone()),
                code: if failed { "CreateFailed" } else { "OK" }.to_owned(),
                effect: Some(Effect { copy: Some(end.step), ..Effect::default() }),
                ..Entry::without_request(end.at, end.account.as_str(), "CopyEnded")
            });
        }
        self.world.refresh_copies(now);
    }

    /// Changes a key.
    ///
    /// # Errors
    /// When there is no such key.
    pub(super) fn patch_key(&mut self, id: &str, patch: KeyPatch) -> Result<(), Refused> {
        self.room()?;
        if !self.world.patch_key(id, patch) {
            return Err(Refused::NotFound(format!("there is no key {id}")));
        }
        self.journal_out_of_band("PatchKey", None, Asked::default(), None);
        Ok(())
    }

    /// Changes an account.
    ///
    /// # Errors
    /// When there is no such account.
    pub(super) fn patch_account(&mut self, id: &AccountId, patch: AccountPatch) -> Result<(), Refused> {
        self.room()?;
        if !self.world.patch_account(id, patch) {
            return Err(no_account(id));
        }
        self.journal_out_of_band("PatchAccount", None, Asked::default(), None);
        Ok(())
    }

    /// The images shared with an account, in all regions.
    ///
    /// # Errors
    /// When there is no such account.
    pub(super) fn received(&self, id: &AccountId) -> Result<Vec<ImageId>, Refused> {
        if !self.world.has_account(id) {
            return Err(no_account(id));
        }
        Ok(self.world.received(id).into_iter().cloned().collect())
    }

    /// What cannot be journalled is not done.
    pub(super) fn room(&self) -> Result<(), Refused> {
        if self.journal.has_room() { Ok(()) } else { Err(Refused::Invalid("the journal is full".to_owned())) }
    }

    fn journal_out_of_band(&mut self, action: &str, image: Option<ImageId>, parameters: Asked, effect: Option<Effect>) {
        let region = image.as_ref().and_then(|id| self.world.image(id)).map(|image| image.spec().region.clone());
        let entry = Entry::without_request(self.clock.now(), OUT_OF_BAND, action);
        let effect = effect.and_then(Effect::if_any);
        let provider = Some(Provider::Alibaba);
        self.journal.append(Entry { provider, region, image, parameters, effect, ..entry });
    }
}

fn no_image(id: &ImageId) -> Refused {
    Refused::NotFound(format!("there is no image {id}"))
}

fn no_account(id: &AccountId) -> Refused {
    Refused::NotFound(format!("there is no account {id}"))
}
