//! Everything the simulator holds behind its one lock: worlds, clock, faults, limits, journal. Changes from outside the
//! simulated clouds pass through here, so that none escapes the journal.

use crate::chassis::clock::{Clock, ClockFace, ClockMove};
use crate::chassis::effect::{Asked, Effect};
use crate::chassis::faults::FaultInjection;
use crate::chassis::journal::{Entry, Journal, Provider};
use crate::chassis::names::{ImageId, RegionId};
use crate::chassis::throttling::CallLimits;
use crate::world_file::WorldFile;
use crate::{alibaba, aws, huawei};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who changed the world around its rules, in the journal.
const OUT_OF_BAND: &str = "out-of-band";

/// Why the admin interface did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no such thing.
    NotFound(String),
    /// The request makes no sense.
    Invalid(String),
}

/// Worlds, clock, faults, limits, journal.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) alibaba: alibaba::Cloud,
    pub(crate) huawei: huawei::Cloud,
    pub(crate) aws: aws::Cloud,
    pub(crate) clock: Clock,
    pub(crate) faults: FaultInjection,
    pub(crate) limits: CallLimits,
    pub(crate) journal: Journal,
}

/// The state, shared by all ports and the in-process handle.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Mutex<State>>);

impl Shared {
    /// Shares `state`.
    pub(crate) fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// The state as of now: jobs and copies that are due have ended. A holder that died left it as whole as each step leaves it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle();
        state
    }
}

/// Something changed around the rules, for the journal.
#[derive(Debug, Default)]
pub(crate) struct OutOfBand {
    pub(crate) image: Option<ImageId>,
    pub(crate) region: Option<RegionId>,
    pub(crate) asked: Asked,
    pub(crate) effect: Effect,
}

impl State {
    /// The state of a world just loaded.
    ///
    /// # Errors
    /// When the world contradicts itself.
    pub(crate) fn new(file: WorldFile) -> Result<Self, String> {
        let mut state = Self {
            alibaba: alibaba::Cloud::default(),
            huawei: huawei::Cloud::default(),
            aws: aws::Cloud::default(),
            clock: Clock::new(None),
            faults: FaultInjection::default(),
            limits: CallLimits::default(),
            journal: Journal::default(),
        };
        state.replace(file)?;
        Ok(state)
    }

    /// Replaces the world, its clock and its limits; faults, nonces, tokens and journal stay, jobs and copies under way do
    /// not.
    ///
    /// # Errors
    /// When the new world contradicts itself; then the old one stays.
    pub(crate) fn load(&mut self, file: WorldFile) -> Result<(), Refused> {
        self.room()?;
        self.replace(file).map_err(Refused::Invalid)
    }

    fn replace(&mut self, mut file: WorldFile) -> Result<(), String> {
        let clock = Clock::new(file.clock);
        let mut limits = CallLimits::default();
        limits.set(std::mem::take(&mut file.limits))?;
        let huawei = huawei::World::load(file.huawei.take().unwrap_or_default(), clock.now())?;
        let aws = aws::World::load(file.aws.take().unwrap_or_default(), clock.now())?;
        self.alibaba.world = alibaba::World::load(file, clock.now())?;
        (self.huawei.world, self.aws.world) = (huawei, aws);
        (self.clock, self.limits) = (clock, limits);
        // Without an image it marks that all before is void; then one entry follows for each image that is shared.
        self.journal.append(Entry::without_request(self.clock.now(), "world", "LoadWorld"));
        self.journal_alibaba_seeds();
        self.journal_huawei_seeds();
        self.journal_aws_seeds();
        Ok(())
    }

    /// That an image was shared when its world was loaded.
    pub(crate) fn seed(&self, provider: Provider, region: &RegionId, image: &ImageId, effect: Effect) -> Option<Entry> {
        Some(Entry {
            provider: Some(provider),
            region: Some(region.clone()),
            image: Some(image.clone()),
            effect: Some(effect.if_any()?),
            ..Entry::without_request(self.clock.now(), "world", "LoadWorld")
        })
    }

    /// The world as a file, with its clock if that stands still.
    pub(crate) fn dump(&self) -> WorldFile {
        let face = self.clock.face();
        let clock = face.fixed.then_some(face.now);
        let limits = self.limits.all().to_vec();
        let (huawei, aws) = (self.huawei.world.dump(), self.aws.world.dump());
        WorldFile { clock, limits, huawei, aws, ..self.alibaba.world.dump() }
    }

    /// Moves the clock.
    ///
    /// # Errors
    /// When the move makes no sense.
    pub(crate) fn move_clock(&mut self, step: ClockMove) -> Result<ClockFace, Refused> {
        self.clock.shift(step).map_err(Refused::Invalid)?;
        Ok(self.clock.face())
    }

    /// Ends the jobs and copies that are due, and journals that.
    pub(crate) fn settle(&mut self) {
        self.settle_jobs();
        self.settle_copies();
        self.settle_aws_copies();
    }

    /// What cannot be journalled is not done.
    pub(crate) fn room(&self) -> Result<(), Refused> {
        if self.journal.has_room() { Ok(()) } else { Err(Refused::Invalid("the journal is full".to_owned())) }
    }

    /// Journals a change around the rules.
    pub(crate) fn journal_out_of_band(&mut self, provider: Provider, action: &str, change: OutOfBand) {
        self.journal.append(Entry {
            provider: Some(provider),
            region: change.region,
            image: change.image,
            parameters: change.asked,
            effect: change.effect.if_any(),
            ..Entry::without_request(self.clock.now(), OUT_OF_BAND, action)
        });
    }
}

/// That there is no such thing.
pub(crate) fn no_such(what: &str, id: impl std::fmt::Display) -> Refused {
    Refused::NotFound(format!("there is no {what} {id}"))
}
