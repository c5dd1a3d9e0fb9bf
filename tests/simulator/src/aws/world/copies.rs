//! Copies of images: what is asked for, how a copy goes on by the clock, how it ends. Who may copy what is in
//! `world/copy_rules.rs`. What ended is told once, by [`World::end_next_copy`], so that the journal misses none.

use super::{Asker, Image, Snapshot, View, World};
use crate::aws::rules;
use crate::aws::world_file::{CopiedFrom, Encryption, ImageSpec, Protection, SnapshotSpec, SnapshotState, State};
use crate::chassis::effect::{CopyState, CopyStep, Effect};
use crate::chassis::history::History;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::refusal::Refusal;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// Client tokens remembered; past that the oldest is forgotten. How long AWS remembers one is unconfirmed.
const MAX_TOKENS: usize = 100_000;
/// How far a copy that fails comes, in percent.
const FAILS_AT_PERCENT: i32 = 60;

/// What a request for a copy asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::aws) struct CopyOrder {
    pub(in crate::aws) source: String,
    pub(in crate::aws) source_region: String,
    pub(in crate::aws) name: String,
    pub(in crate::aws) description: String,
    pub(in crate::aws) encrypted: Option<bool>,
    pub(in crate::aws) kms_key: Option<String>,
    pub(in crate::aws) client_token: Option<String>,
    /// Whether the tags of the source are copied.
    pub(in crate::aws) copies_tags: bool,
    /// The copy's own.
    pub(in crate::aws) tags: BTreeMap<String, String>,
    /// Those of its snapshots.
    pub(in crate::aws) snapshot_tags: BTreeMap<String, String>,
    /// Check only.
    pub(in crate::aws) dry_run: bool,
}

impl CopyOrder {
    pub(super) fn source(&self) -> ImageId {
        ImageId::from(self.source.as_str())
    }

    pub(super) fn source_region(&self) -> RegionId {
        RegionId::from(self.source_region.as_str())
    }
}

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
    step: CopyStep,
    began: Timestamp,
    whole: SignedDuration,
    /// Why it fails, where it does.
    failure: Option<String>,
    end: Timestamp,
}

impl Going {
    fn fail(&mut self, why: String, now: Timestamp) {
        let far = self.whole.checked_mul(FAILS_AT_PERCENT).and_then(|far| far.checked_div(100)).unwrap_or_default();
        self.end = self.began.checked_add(far).unwrap_or(self.began).max(now);
        self.failure = Some(why);
    }

    fn percent(&self, now: Timestamp) -> u8 {
        let (elapsed, whole) = (now.duration_since(self.began).as_millis(), self.whole.as_millis().max(1));
        u8::try_from((elapsed.saturating_mul(100) / whole).clamp(0, 99)).unwrap_or_default()
    }
}

/// The copies there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Copies {
    going: Vec<Going>,
    tokens: BTreeMap<(Asker, String), (CopyOrder, ImageId)>,
    /// The keys of `tokens`, oldest first.
    arrivals: VecDeque<(Asker, String)>,
    count: u64,
}

impl World {
    /// Copies an image to the region it is asked in: the new image's id, and what changed. A repetition known by its client
    /// token changes nothing, whatever became of the copy.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn copy_image(
        &mut self,
        asker: &Asker,
        order: &CopyOrder,
        view: &View,
    ) -> Result<(ImageId, Effect), Refusal> {
        if let Some(image) = self.made_before(asker, order)? {
            return Ok((image, Effect::default()));
        }
        let source = self.may_copy(asker, order, view)?.spec.clone();
        if order.dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let id = self.fresh_image_id();
        let (encryption, failure) = self.encryption_of_copy(asker, &source, order);
        let snapshots = self.copy_snapshots(asker, &source, order, encryption.as_ref(), view.now);
        let step = CopyStep {
            state: CopyState::Began,
            image: id.clone(),
            source: source.id.clone(),
            source_region: source.region.clone(),
            destination: asker.region.clone(),
            name: order.name.clone(),
            client_token: order.client_token.clone(),
        };
        let whole = SignedDuration::from_secs(i64::from(source.copy_seconds.unwrap_or(self.rules.copy_seconds)));
        let end = view.now.checked_add(whole).unwrap_or(view.now);
        let account = asker.account.clone();
        let mut going = Going { account, step: step.clone(), began: view.now, whole, failure: None, end };
        let failure = if source.copies_fail { Some(rules::COPY_FAILED.to_owned()) } else { failure };
        if let Some(why) = failure {
            going.fail(why, view.now);
        }
        self.copies.going.push(going);
        let spec = spec_of_copy(asker, &source, order, snapshots, &id, view.now);
        self.images.insert(id.clone(), Image { spec, permissions: History::new(Vec::new(), view.now) });
        self.remember(asker, order, &id);
        Ok((id, step.effect(CopyState::Began)))
    }

    fn copy_snapshots(
        &mut self,
        asker: &Asker,
        source: &ImageSpec,
        order: &CopyOrder,
        encryption: Option<&Encryption>,
        now: Timestamp,
    ) -> Vec<ImageId> {
        let copied: Vec<_> = self.snapshots_of(source).map(|snapshot| snapshot.spec.clone()).collect();
        let mut ids = Vec::new();
        for snapshot in copied {
            let id = self.fresh_snapshot_id();
            let spec = SnapshotSpec {
                id: id.clone(),
                region: asker.region.clone(),
                owner: asker.account.clone(),
                state: SnapshotState::Pending,
                encryption: encryption.cloned().unwrap_or(Encryption::None),
                tags: order.snapshot_tags.clone(),
                shared_with: Vec::new(),
                created: Some(now),
                ..snapshot
            };
            self.snapshots.insert(id.clone(), Snapshot { spec, permissions: History::new(Vec::new(), now) });
            ids.push(id);
        }
        ids
    }

    /// Ends the next copy that is due by `now`, if there is one: its image is available or failed.
    pub fn end_next_copy(&mut self, now: Timestamp) -> Option<CopyEnd> {
        let due = |(index, copy): (usize, &Going)| (copy.end <= now).then_some((index, copy.end));
        let (index, _) = self.copies.going.iter().enumerate().filter_map(due).min_by_key(|(_, end)| *end)?;
        let copy = self.copies.going.remove(index);
        let state = if copy.failure.is_some() { CopyState::Failed } else { CopyState::Done };
        if let Some(image) = self.images.get_mut(&copy.step.image) {
            image.spec.state = if copy.failure.is_some() { State::Failed } else { State::Available };
            image.spec.state_reason = copy.failure.clone().unwrap_or_default();
            for id in &image.spec.snapshots {
                let Some(snapshot) = self.snapshots.get_mut(id) else { continue };
                let failed = copy.failure.is_some();
                snapshot.spec.state = if failed { SnapshotState::Error } else { SnapshotState::Completed };
                snapshot.spec.message = copy.failure.clone().unwrap_or_default();
            }
        }
        Some(CopyEnd { account: copy.account, at: copy.end, step: CopyStep { state, ..copy.step } })
    }

    /// How far a snapshot is, in percent.
    pub(in crate::aws) fn progress(&self, snapshot: &SnapshotSpec, now: Timestamp) -> u8 {
        let of_it = |copy: &&Going| {
            let image = self.images.get(&copy.step.image);
            image.is_some_and(|image| image.spec.snapshots.contains(&snapshot.id))
        };
        match snapshot.state {
            SnapshotState::Completed => 100,
            SnapshotState::Error => u8::try_from(FAILS_AT_PERCENT).unwrap_or_default(),
            SnapshotState::Pending => self.copies.going.iter().find(of_it).map_or(0, |copy| copy.percent(now)),
        }
    }

    /// How many copies of an account to a region are under way.
    pub(super) fn copies_under_way(&self, asker: &Asker) -> usize {
        let here = |copy: &&Going| copy.account == asker.account && copy.step.destination == asker.region;
        self.copies.going.iter().filter(here).count()
    }

    /// Ends the work on a copy, as when its image is deregistered; what became of it.
    pub(super) fn drop_copy(&mut self, id: &ImageId) -> Option<CopyStep> {
        let index = self.copies.going.iter().position(|copy| copy.step.image == *id)?;
        Some(self.copies.going.remove(index).step)
    }

    /// Has the copies of an image that are under way fail.
    pub(super) fn fail_copies_of(&mut self, id: &ImageId, now: Timestamp) {
        for copy in self.copies.going.iter_mut().filter(|copy| copy.step.source == *id) {
            copy.fail(rules::COPY_FAILED.to_owned(), now);
        }
    }

    fn made_before(&self, asker: &Asker, order: &CopyOrder) -> Result<Option<ImageId>, Refusal> {
        let Some(token) = order.client_token.clone().filter(|_| !order.dry_run) else { return Ok(None) };
        let Some((made, image)) = self.copies.tokens.get(&(asker.clone(), token)) else { return Ok(None) };
        if made == order { Ok(Some(image.clone())) } else { Err(rules::TOKEN_OF_ANOTHER.refuse()) }
    }

    fn remember(&mut self, asker: &Asker, order: &CopyOrder, image: &ImageId) {
        let Some(token) = order.client_token.clone() else { return };
        let key = (asker.clone(), token);
        self.copies.tokens.insert(key.clone(), (order.clone(), image.clone()));
        self.copies.arrivals.push_back(key);
        if self.copies.arrivals.len() > MAX_TOKENS
            && let Some(oldest) = self.copies.arrivals.pop_front()
        {
            self.copies.tokens.remove(&oldest);
        }
    }

    /// An id no image of this world has, or had since it was loaded.
    fn fresh_image_id(&mut self) -> ImageId {
        loop {
            let id = self.fresh_id("ami-");
            if !self.images.contains_key(&id) {
                return id;
            }
        }
    }

    fn fresh_snapshot_id(&mut self) -> ImageId {
        loop {
            let id = self.fresh_id("snap-");
            if !self.snapshots.contains_key(&id) {
                return id;
            }
        }
    }

    fn fresh_id(&mut self, prefix: &str) -> ImageId {
        self.copies.count += 1;
        ImageId::from(format!("{prefix}0c0de{:012x}", self.copies.count).as_str())
    }
}

/// The copy of an image: private, without permissions, and with the tags that are asked for.
fn spec_of_copy(
    asker: &Asker,
    source: &ImageSpec,
    order: &CopyOrder,
    snapshots: Vec<ImageId>,
    id: &ImageId,
    now: Timestamp,
) -> ImageSpec {
    let own = source.owner == asker.account;
    let copied = source.tags.iter().filter(|(key, _)| own || key.starts_with(super::SHARED_TAG));
    let mut tags: BTreeMap<_, _> =
        copied.filter(|_| order.copies_tags).map(|(key, value)| (key.clone(), value.clone())).collect();
    tags.extend(order.tags.clone());
    let (image, region) = (source.id.clone(), source.region.clone());
    ImageSpec {
        id: id.clone(),
        region: asker.region.clone(),
        owner: asker.account.clone(),
        name: order.name.clone(),
        description: order.description.clone(),
        state: State::Pending,
        state_reason: String::new(),
        alias: None,
        snapshots,
        encryption: Encryption::None,
        tags,
        deprecated_from: None,
        protection: Protection::Disabled,
        protected_until: None,
        recycled_until: None,
        copies_fail: false,
        copy_seconds: None,
        shared_with: Vec::new(),
        created: Some(now),
        copied_from: Some(CopiedFrom { image, region, client_token: order.client_token.clone() }),
        usage: Vec::new(),
        ..source.clone()
    }
}
