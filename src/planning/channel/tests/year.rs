//! Channels with everybody who follows them: the plans of the channel and of its shares, a cloud that does what they say, and
//! recipients that answer when they like. What must hold is checked after each step, by what the cloud did.

use serde_json::json;

use super::*;
use crate::api::channel_share::ChannelShare;
use crate::api::image_share::{ImageShare, ImageShareStatus, RecipientAnswer, SpecRecipient, WaitingRecipient};
use crate::api::references::ImageRef;
use crate::domain::image::Answer;
use crate::planning::channel_share::{Change, Ending, Offered, is_paused, plan_children};

pub(super) const HOUR: SignedDuration = SignedDuration::from_hours(1);
const GRACE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// By how much a clock may be wrong before a cloud refuses signed calls.
const SKEW: SignedDuration = SignedDuration::from_mins(15);

/// What a list of images brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    Good,
    Failed,
    Empty,
    /// The process was started again, and has no list.
    None,
}

/// What a cloud records of an image and a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    answer: Option<Answer>,
}

pub(super) struct World {
    /// The true time; the operator's clock differs by `skew`.
    pub(super) truth: Timestamp,
    pub(super) skew: SignedDuration,
    pub(super) channel: Channel,
    pub(super) images: Vec<OwnImage>,
    pub(super) list: Option<(Vec<OwnImage>, Timestamp)>,
    pub(super) shares: Vec<ChannelShare>,
    /// The `ImageShares`, by share and image.
    pub(super) children: BTreeMap<(usize, ImageId), ImageShare>,
    pub(super) grants: BTreeMap<(ImageId, String), Grant>,
    /// The cloud asks recipients for an answer.
    pub(super) asks: bool,
    /// How many images of the channel a recipient has room for.
    pub(super) room: BTreeMap<String, usize>,
    /// How often an image was granted to a recipient and taken back.
    pub(super) calls: BTreeMap<(ImageId, String), (u32, u32)>,
    /// What each Deprecated version was told, and since when in truth.
    pub(super) deprecated: BTreeMap<ImageId, (Timestamp, Timestamp)>,
    /// Whoever once had a version that worked.
    pub(super) served: BTreeSet<String>,
}

impl World {
    pub(super) fn new(shares: usize, recipients: usize, asks: bool) -> Self {
        let mut channel = Channel::new();
        channel.terms.rotation =
            Some(Rotation { min_age: SignedDuration::ZERO, grace: GRACE, accepted: true, ends: true });
        channel.terms.soak = SignedDuration::from_hours(24);
        let share = |number: usize| share(number, (0..recipients).map(|one| number * recipients + one));
        Self {
            truth: day(0),
            skew: SignedDuration::ZERO,
            channel,
            images: Vec::new(),
            list: None,
            shares: (0..shares).map(share).collect(),
            children: BTreeMap::new(),
            grants: BTreeMap::new(),
            asks,
            room: BTreeMap::new(),
            calls: BTreeMap::new(),
            deprecated: BTreeMap::new(),
            served: BTreeSet::new(),
        }
    }

    pub(super) fn build(&mut self) {
        let number = self.images.len() + 1;
        let created = Some(self.truth);
        self.images.push(OwnImage { created, ..image(&number.to_string(), 0) });
    }

    fn now(&self) -> Timestamp {
        self.truth + self.skew
    }

    fn stage(&self, image: &ImageId) -> Option<Stage> {
        self.channel.versions.iter().find(|version| version.image == *image).map(|version| version.stage)
    }

    /// Everything reconciles until nothing changes; then the same again changes nothing.
    pub(super) fn settle(&mut self, listing: Listing) -> Result<(), TestCaseError> {
        self.look(listing);
        for _ in 0..12 {
            let before = (self.channel.versions.clone(), self.channel.latest.clone(), self.grants.clone());
            let changes = self.reconcile(listing)?;
            let after = (self.channel.versions.clone(), self.channel.latest.clone(), self.grants.clone());
            if changes == 0 && before == after {
                return self.check();
            }
        }
        Err(TestCaseError::fail(format!("it does not settle: {:?}", self.channel.versions)))
    }

    fn look(&mut self, listing: Listing) {
        let at = Timestamp::from_second(self.now().as_second()).unwrap();
        let refused = self.skew.abs() > SKEW;
        match listing {
            Listing::Good if !refused => {
                let at = self.list.as_ref().map_or(at, |(_, former)| at.max(*former + SignedDuration::from_secs(1)));
                self.list = Some((self.images.clone(), at));
            }
            Listing::Empty if !refused => self.list = Some((Vec::new(), at)),
            Listing::None => self.list = None,
            Listing::Good | Listing::Empty | Listing::Failed => {}
        }
    }

    fn reconcile(&mut self, listing: Listing) -> Result<usize, TestCaseError> {
        let (now, list) = (self.now(), self.list.clone());
        let sound = self.skew.abs() <= SKEW && listing != Listing::Failed;
        self.channel.held = self.holders();
        let listed = list.as_ref().map(|(images, at)| Listed { images, at: *at, sound });
        self.channel.plan_at(now, listed);
        for version in &self.channel.versions {
            match (version.stage, version.not_before) {
                (Stage::Deprecated, Some(end)) => {
                    let told = self.deprecated.entry(version.image.clone()).or_insert((end, self.truth));
                    *told = if told.0 == end { *told } else { (end, self.truth) };
                }
                (Stage::Revoking, _) => {}
                _ => drop(self.deprecated.remove(&version.image)),
            }
        }
        let changes = self.share(now);
        self.carry_out()?;
        self.tell();
        Ok(changes)
    }

    fn holders(&self) -> BTreeMap<ImageId, Holders> {
        let mut all = BTreeMap::<ImageId, Holders>::new();
        for ((number, image), child) in &self.children {
            let paused = self.shares.get(*number).is_some_and(is_paused);
            all.entry(image.clone()).or_default().add(format!("team/{number}"), paused, Some(child), true);
        }
        all
    }

    /// The `ChannelShares` make, change and end their `ImageShares`.
    fn share(&mut self, now: Timestamp) -> usize {
        let offered: Vec<Offered> = self.channel.versions.iter().map(offered).collect();
        let mut count = 0;
        for (number, share) in self.shares.iter().enumerate() {
            let own: Vec<&ImageShare> =
                self.children.iter().filter(|((of, _), _)| *of == number).map(|(_, child)| child).collect();
            let changes = plan_children(share, Some(&offered), &own, now);
            count += changes.len();
            for change in changes {
                match change {
                    Change::Create { spec, .. } => {
                        let image = ImageId::parse(&spec.image_ref.name).unwrap();
                        self.children.insert((number, image.clone()), ImageShare::new(image.as_str(), spec));
                    }
                    Change::Patch { name, spec } => {
                        let image = ImageId::parse(&name).unwrap();
                        self.children.get_mut(&(number, image)).unwrap().spec = spec;
                    }
                    Change::End { name } => drop(self.children.remove(&(number, ImageId::parse(&name).unwrap()))),
                }
            }
        }
        count
    }

    /// The cloud has what the `ImageShares` ask for, as far as recipients have room.
    fn carry_out(&mut self) -> Result<(), TestCaseError> {
        let mut wanted = BTreeSet::new();
        let mut kept = BTreeSet::new();
        for ((_, image), child) in &self.children {
            for who in &child.spec.recipients {
                wanted.insert((image.clone(), named(who)));
                kept.extend(child.spec.suspend.then(|| (image.clone(), named(who))));
            }
        }
        let ends: Vec<_> = self.grants.keys().filter(|pair| !wanted.contains(*pair)).cloned().collect();
        for pair in ends {
            self.may_end(&pair.0, &pair.1)?;
            self.grants.remove(&pair);
            self.calls.entry(pair).or_default().1 += 1;
        }
        for pair in wanted {
            let has = self.grants.keys().filter(|(_, who)| *who == pair.1).count();
            let full = self.room.get(&pair.1).is_some_and(|room| has >= *room);
            if !full && !kept.contains(&pair) && !self.grants.contains_key(&pair) {
                self.grants.insert(pair.clone(), Grant { answer: self.asks.then_some(Answer::Pending) });
                self.calls.entry(pair).or_default().0 += 1;
            }
        }
        self.served.extend(self.grants.iter().filter(|(_, grant)| works(**grant)).map(|((_, who), _)| who.clone()));
        Ok(())
    }

    /// C2, C4: who may lose an image, and when.
    fn may_end(&self, image: &ImageId, who: &str) -> Result<(), TestCaseError> {
        if !self.names(who) {
            return Ok(());
        }
        prop_assert_eq!(self.stage(image), Some(Stage::Revoking), "{} of {} ended", image, who);
        let version = self.channel.versions.iter().find(|version| version.image == *image).unwrap();
        if self.channel.terms.urgent.contains(&version.version) {
            return Ok(());
        }
        let since = self.deprecated.get(image).map_or(Timestamp::MAX, |(_, since)| *since);
        let told = self.channel.terms.rotation.unwrap().grace - SKEW - SKEW;
        prop_assert!(self.truth.duration_since(since) >= told, "{image} ended early: {since} {}", self.truth);
        let old = self.grants.get(&(image.clone(), who.to_owned())).copied().is_some_and(works);
        let others = self.grants.iter().filter(|((other, of), _)| of == who && other != image);
        prop_assert!(!old || others.into_iter().any(|(_, grant)| works(*grant)), "{who} lost its last one, {image}");
        Ok(())
    }

    /// Whether a `ChannelShare` names a recipient.
    fn names(&self, who: &str) -> bool {
        self.shares.iter().any(|share| share.spec.recipients.iter().any(|one| named(one) == who))
    }

    /// The `ImageShares` tell what the cloud has.
    fn tell(&mut self) {
        for ((_, image), child) in &mut self.children {
            let mut status = ImageShareStatus::default();
            for who in &child.spec.recipients {
                let (kind, id) = (who.kind, who.id.clone());
                match self.grants.get(&(image.clone(), named(who))) {
                    None => status.waiting.push(WaitingRecipient { kind, id, reason: Reason::RecipientFull }),
                    Some(Grant { answer: Some(answer) }) => {
                        status.answers.push(RecipientAnswer { kind, id, answer: *answer });
                    }
                    Some(Grant { answer: None }) => {}
                }
            }
            child.status = Some(status);
        }
    }

    /// What holds at every time.
    fn check(&self) -> Result<(), TestCaseError> {
        for (image, who) in self.grants.keys() {
            let retired = self.stage(image) == Some(Stage::Retired);
            prop_assert!(!retired, "{who} is left with {image}: {:?}", self.channel.versions);
        }
        let current = self.channel.versions.iter().filter(|version| version.stage == Stage::Current);
        prop_assert!(current.count() <= 1);
        if let Some(latest) = &self.channel.latest {
            let excluded = self.channel.terms.exclude.contains(&latest.version);
            let stage = self.stage(&latest.image);
            prop_assert!(!excluded && !matches!(stage, Some(Stage::Revoking | Stage::Retired)), "{latest:?} {stage:?}");
        }
        Ok(())
    }

    /// A recipient answers all its offers.
    pub(super) fn answer(&mut self, who: &str, answer: Answer) {
        for ((_, of), grant) in &mut self.grants {
            if of == who && grant.answer == Some(Answer::Pending) {
                grant.answer = Some(answer);
            }
        }
    }
}

fn works(grant: Grant) -> bool {
    grant.answer.is_none_or(|answer| answer == Answer::Accepted)
}

pub(super) fn recipient(number: usize) -> serde_json::Value {
    json!({"type": "Account", "id": format!("{}", 1_000_000 + number)})
}

pub(super) fn name(number: usize) -> String {
    format!("Account {}", 1_000_000 + number)
}

pub(super) fn named(who: &SpecRecipient) -> String {
    format!("{} {}", who.kind, who.id)
}

fn share(number: usize, recipients: impl Iterator<Item = usize>) -> ChannelShare {
    let recipients: Vec<_> = recipients.map(recipient).collect();
    let spec = json!({"channelRef": {"name": "golden"}, "recipients": recipients});
    let meta = json!({"namespace": "team", "name": format!("share-{number}")});
    serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap()
}

fn offered(version: &Version) -> Offered {
    let image = ImageRef { name: version.image.to_string(), namespace: None };
    let ending = (version.stage == Stage::Revoking).then_some(match version.overdue_since {
        Some(_) => Ending::OnceReplaced { accepted: true },
        None => Ending::Now,
    });
    Offered { version: version.version.clone(), stage: version.stage, image, ending }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    /// One time in so many.
    fn one_in(&mut self, of: u64) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33).is_multiple_of(of)
    }
}

/// A year of weekly builds in one region with 40 recipients, of whom some answer late; lists fail, and the process is started again.
fn a_year(seed: u64, asks: bool) -> World {
    let (mut world, mut dice) = (World::new(4, 10, asks), Dice(seed));
    for quarter_day in 0..365 * 4_u32 {
        if quarter_day.is_multiple_of(28) {
            world.build();
        }
        for number in 0..40 {
            if dice.one_in(if number < 3 { 40 } else { 3 }) {
                world.answer(&name(number), Answer::Accepted);
            }
        }
        let odd = [Listing::Failed, Listing::Empty, Listing::None].into_iter().find(|_| dice.one_in(2));
        let listing = odd.filter(|_| dice.one_in(8)).unwrap_or(Listing::Good);
        world.settle(listing).unwrap();
        for who in &world.served {
            let works = world.grants.iter().any(|((_, of), grant)| of == who && works(*grant));
            assert!(works, "{who} has no version that works");
        }
        world.truth += HOUR * 6;
    }
    world
}

#[test]
fn in_a_year_of_weekly_builds_everybody_always_has_a_version_and_nobody_an_old_one() {
    for (region, asks) in [(1, false), (2, true), (3, true)] {
        let world = a_year(region, asks);
        assert_eq!(world.images.len(), 53);
        // The minimum by hand: each version is granted once to each recipient, and taken back once.
        assert!(world.calls.values().all(|calls| *calls == (1, 0) || *calls == (1, 1)), "{:?}", world.calls);
        assert_eq!(world.calls.len(), 52 * 40, "the newest one still soaks");
        let ended = world.calls.values().filter(|(_, revoked)| *revoked == 1).count();
        let stages = |stage| world.channel.versions.iter().filter(|version| version.stage == stage).count();
        assert_eq!((stages(Stage::Current), stages(Stage::Supported)), (1, 2));
        let waiting = stages(Stage::Deprecated);
        assert!((2..=5).contains(&waiting), "{waiting} are Deprecated: two weeks of grace, and whoever answers late");
        assert_eq!(ended, (52 - 3 - waiting) * 40);
        assert_eq!(world.children.len(), (3 + waiting) * 4);
    }
}

#[test]
fn a_recipient_without_room_gets_a_newer_version_once_an_older_one_ends() {
    let mut world = World::new(1, 2, false);
    world.room.insert(name(0), 2);
    for day in 0..120_u32 {
        if day.is_multiple_of(7) {
            world.build();
        }
        world.settle(Listing::Good).unwrap();
        world.truth += HOUR * 24;
    }
    let has = |who: usize| -> Vec<&str> {
        world.grants.keys().filter(|(_, of)| *of == name(who)).map(|(image, _)| image.as_str()).collect()
    };
    assert_eq!(has(0).len(), 2);
    let newest = has(0).iter().filter_map(|image| image.strip_prefix("m-")?.parse::<usize>().ok()).max();
    assert!(newest.unwrap() + 6 >= world.images.len(), "{:?} of {}", has(0), world.images.len());
    assert!(has(1).len() <= 12, "{:?}", has(1));
}

#[test]
fn who_resumes_a_share_has_a_newer_version_before_the_old_one_ends() {
    let mut world = World::new(2, 2, false);
    world.build();
    world.settle(Listing::Good).unwrap();
    world.truth += HOUR * 24;
    world.settle(Listing::Good).unwrap();
    world.shares[0].spec.suspend = true;
    for _ in 0..40 {
        world.build();
        world.settle(Listing::Good).unwrap();
        world.truth += HOUR * 24;
    }
    let has = |world: &World, who: usize| world.grants.keys().any(|(image, of)| *image == id("1") && *of == name(who));
    assert_eq!((has(&world, 0), has(&world, 2), world.stage(&id("1"))), (true, false, Some(Stage::Revoking)));
    assert!(world.stage(&id("2")) == Some(Stage::Retired), "the next ones go on");
    world.shares[0].spec.suspend = false;
    world.settle(Listing::Good).unwrap();
    assert_eq!((has(&world, 0), world.stage(&id("1"))), (false, Some(Stage::Retired)));
}
