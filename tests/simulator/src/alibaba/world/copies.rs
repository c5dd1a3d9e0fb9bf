//! Copies of images: what is asked for, how a copy goes on by the clock, how it ends. Who may copy what is in
//! `world/copy_rules.rs`. What ended is told once, by [`World::end_next_copy`], so that the journal misses none.

use super::{Effect, Image, World};
use crate::alibaba::rules;
use crate::alibaba::world_file::{CopiedFrom, ImageSpec, Origin, Status};
use crate::chassis::effect::{CopyRequest, CopyState, CopyStep};
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::refusal::Refusal;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// Client tokens remembered; past that the oldest is forgotten.
const MAX_TOKENS: usize = 100_000;
/// How far a copy that fails comes, in percent.
const FAILS_AT_PERCENT: i32 = 60;

/// A copy that has just ended by itself.
#[derive(Debug, Clone)]
pub struct CopyEnd {
    /// Who asked for it.
    pub account: AccountId,
    /// When it ended.
    pub at: Timestamp,
    /// What became of it.
    pub step: CopyStep,
}

/// A copy under way.
#[derive(Debug, Clone)]
struct Going {
    account: AccountId,
    /// As it began.
    step: CopyStep,
    /// Absent while it is queued.
    run: Option<Run>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    began: Timestamp,
    whole: SignedDuration,
    end: Timestamp,
    fails: bool,
}

impl Run {
    fn new(began: Timestamp, seconds: u32, fails: bool) -> Self {
        let run = Self { began, whole: SignedDuration::from_secs(i64::from(seconds)), end: began, fails: false };
        let end = began.checked_add(run.whole).unwrap_or(began);
        if fails { run.failing(began) } else { Self { end, ..run } }
    }

    /// It fails as far on as copies fail, but not before `now`.
    fn failing(self, now: Timestamp) -> Self {
        let far = self.whole.checked_mul(FAILS_AT_PERCENT).and_then(|far| far.checked_div(100)).unwrap_or_default();
        Self { end: self.began.checked_add(far).unwrap_or(self.began).max(now), fails: true, ..self }
    }

    fn percent(self, now: Timestamp) -> u8 {
        let (elapsed, whole) = (now.duration_since(self.began).as_millis(), self.whole.as_millis().max(1));
        u8::try_from((elapsed.saturating_mul(100) / whole).clamp(0, 99)).unwrap_or_default()
    }
}

/// What a client token stands for.
#[derive(Debug, Clone)]
struct Made {
    region: RegionId,
    source: ImageId,
    request: CopyRequest,
    image: ImageId,
}

/// The copies there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Copies {
    /// In the order they were asked for.
    going: Vec<Going>,
    /// Ended by what befell their source, and not told yet.
    untold: VecDeque<CopyEnd>,
    tokens: BTreeMap<(AccountId, String), Made>,
    /// The keys of `tokens`, oldest first.
    arrivals: VecDeque<(AccountId, String)>,
    count: u64,
}

impl World {
    /// Copies an image: the new image's id, and what changed. A repetition known by its client token changes nothing,
    /// whatever became of the copy (that a token outlives its copy is unconfirmed).
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub fn copy_image(
        &mut self,
        caller: &AccountId,
        region: &RegionId,
        id: &ImageId,
        request: &CopyRequest,
        now: Timestamp,
    ) -> Result<(ImageId, Effect), Refusal> {
        if let Some(image) = self.made_before(caller, region, id, request)? {
            return Ok((image, Effect::default()));
        }
        let (destination, encryption) = self.may_copy(caller, region, id, request)?;
        if request.dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let source = self.images.get(id).ok_or_else(|| rules::IMAGE_NOT_FOUND.about(id.as_str()))?.spec.clone();
        let image = self.fresh_id();
        let step = CopyStep {
            state: CopyState::Began,
            image: image.clone(),
            source: id.clone(),
            source_region: region.clone(),
            destination: destination.clone(),
            name: request.name.clone().unwrap_or_default(),
            client_token: request.client_token.clone(),
        };
        let copied_from = CopiedFrom {
            image: id.clone(),
            region: region.clone(),
            owner: source.owner,
            client_token: request.client_token.clone(),
            percent: 0,
        };
        let spec = ImageSpec {
            id: image.clone(),
            region: destination.clone(),
            owner: caller.clone(),
            name: step.name.clone(),
            description: request.description.clone().unwrap_or_default(),
            status: Status::Waiting,
            alias: Origin::Own,
            family: String::new(),
            tags: request.tags.clone(),
            resource_group: request.resource_group.clone().unwrap_or_default(),
            product_code: source.product_code,
            encryption,
            size_gib: source.size_gib,
            disks: source.disks,
            in_use: false,
            protected: false,
            copying: false,
            copies_fail: false,
            copy_seconds: None,
            shared_with: Vec::new(),
            public: false,
            created: Some(now),
            copied_from: Some(copied_from),
        };
        self.images.insert(image.clone(), Image::new(spec, now));
        self.remember(caller, region, id, request, &image);
        self.copies.going.push(Going { account: caller.clone(), step: step.clone(), run: None });
        self.start_queued(caller, &destination, now);
        Ok((image, step.effect(CopyState::Began)))
    }

    /// Ends a copy under way and removes its image.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub fn cancel_copy(
        &mut self,
        caller: &AccountId,
        region: &RegionId,
        id: &ImageId,
        now: Timestamp,
    ) -> Result<Effect, Refusal> {
        let spec = &self.owned(caller, region, id)?.spec;
        let from = spec.copied_from.clone().ok_or_else(|| rules::NOT_FROM_COPY.about(id.as_str()))?;
        if !spec.is_copying() {
            return Err(rules::IMAGE_STATUS.about(spec.status.word()));
        }
        let step = CopyStep {
            state: CopyState::Cancelled,
            image: id.clone(),
            source: from.image,
            source_region: from.region,
            destination: region.clone(),
            name: spec.name.clone(),
            client_token: from.client_token,
        };
        self.images.remove(id);
        self.drop_copy(id, now);
        Ok(step.effect(CopyState::Cancelled))
    }

    /// Ends the next copy that is due by `now`, if there is one: its image is Available or `CreateFailed`, and the next
    /// in the queue has begun as of that end.
    pub fn end_next_copy(&mut self, now: Timestamp) -> Option<CopyEnd> {
        if let Some(end) = self.copies.untold.pop_front() {
            return Some(end);
        }
        let due = |(index, copy): (usize, &Going)| copy.run.filter(|run| run.end <= now).map(|run| (index, run));
        let (index, run) = self.copies.going.iter().enumerate().filter_map(due).min_by_key(|(_, run)| run.end)?;
        let copy = self.copies.going.remove(index);
        let end = self.end(copy, run.fails, run.end);
        self.start_queued(&end.account, &end.step.destination, end.at);
        Some(end)
    }

    /// Has the images of copies under way show how far they are.
    pub fn refresh_copies(&mut self, now: Timestamp) {
        for copy in &self.copies.going {
            if let (Some(run), Some(image)) = (copy.run, self.images.get_mut(&copy.step.image)) {
                image.set_copy(Status::Creating, run.percent(now));
            }
        }
    }

    /// What the end of an image means for copies: of it they fail, and it itself is no copy under way any more.
    pub(super) fn image_left(&mut self, id: &ImageId, now: Timestamp) {
        self.drop_copy(id, now);
        let (lost, kept): (Vec<_>, Vec<_>) =
            self.copies.going.drain(..).partition(|copy: &Going| copy.step.source == *id);
        self.copies.going = kept;
        for copy in lost {
            let end = self.end(copy, true, now);
            self.start_queued(&end.account, &end.step.destination, now);
            self.copies.untold.push_back(end);
        }
    }

    /// Ends the work on a copy without telling; what becomes of its image is for the caller.
    pub(super) fn drop_copy(&mut self, id: &ImageId, now: Timestamp) {
        if let Some(index) = self.copies.going.iter().position(|copy| copy.step.image == *id) {
            let copy = self.copies.going.remove(index);
            self.start_queued(&copy.account, &copy.step.destination, now);
        }
    }

    /// Has the copies of an image that are under way fail.
    pub(super) fn fail_copies_of(&mut self, id: &ImageId, now: Timestamp) {
        let of_it = self.copies.going.iter_mut().filter(|copy| copy.step.source == *id);
        for run in of_it.filter_map(|copy| copy.run.as_mut()) {
            *run = run.failing(now);
        }
    }

    fn end(&mut self, copy: Going, fails: bool, at: Timestamp) -> CopyEnd {
        if let Some(image) = self.images.get_mut(&copy.step.image) {
            match (fails, copy.run) {
                (false, _) => image.set_copy(Status::Available, 100),
                (true, run) => image.set_copy(Status::CreateFailed, run.map_or(0, |run| run.percent(at))),
            }
        }
        let state = if fails { CopyState::Failed } else { CopyState::Done };
        CopyEnd { account: copy.account, at, step: CopyStep { state, ..copy.step } }
    }

    /// Starts queued copies of an account to a region as far as there is room; how long they take and whether they fail
    /// is settled here.
    fn start_queued(&mut self, account: &AccountId, region: &RegionId, at: Timestamp) {
        let here = |copy: &&mut Going| copy.account == *account && copy.step.destination == *region;
        let running = self.copies.going.iter_mut().filter(here).filter(|copy| copy.run.is_some()).count();
        let room = rules::COPIES_AT_ONCE.saturating_sub(running);
        for next in self.copies.going.iter_mut().filter(here).filter(|copy| copy.run.is_none()).take(room) {
            let source = self.images.get(&next.step.source).map(Image::spec);
            let seconds = source.and_then(|source| source.copy_seconds).unwrap_or(self.rules.copy_seconds);
            let run = Run::new(at, seconds, source.is_none_or(|source| source.copies_fail));
            next.run = Some(run);
            if let Some(image) = self.images.get_mut(&next.step.image) {
                image.set_copy(Status::Creating, 0);
            }
        }
    }

    fn made_before(
        &self,
        caller: &AccountId,
        region: &RegionId,
        id: &ImageId,
        request: &CopyRequest,
    ) -> Result<Option<ImageId>, Refusal> {
        let Some(token) = request.client_token.clone().filter(|_| !request.dry_run) else { return Ok(None) };
        let Some(made) = self.copies.tokens.get(&(caller.clone(), token)) else { return Ok(None) };
        if (&made.region, &made.source, &made.request) == (region, id, request) {
            Ok(Some(made.image.clone()))
        } else {
            Err(rules::TOKEN_OF_ANOTHER.refuse())
        }
    }

    fn remember(
        &mut self,
        caller: &AccountId,
        region: &RegionId,
        id: &ImageId,
        request: &CopyRequest,
        image: &ImageId,
    ) {
        let Some(token) = request.client_token.clone() else { return };
        let key = (caller.clone(), token);
        let made = Made { region: region.clone(), source: id.clone(), request: request.clone(), image: image.clone() };
        self.copies.tokens.insert(key.clone(), made);
        self.copies.arrivals.push_back(key);
        if self.copies.arrivals.len() > MAX_TOKENS
            && let Some(oldest) = self.copies.arrivals.pop_front()
        {
            self.copies.tokens.remove(&oldest);
        }
    }

    /// An id no image of this world has, or had since it was loaded.
    pub(super) fn fresh_id(&mut self) -> ImageId {
        loop {
            self.copies.count += 1;
            let id = ImageId::from(format!("m-sim{:017}", self.copies.count).as_str());
            if !self.images.contains_key(&id) {
                return id;
            }
        }
    }
}
