//! Stories of a channel, day by day, and what must hold in all of them.

mod chaos;
mod rotation;
mod year;

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::api::image_channel::{ChannelSelect, OrderBy, VersionFormat};

const PATTERN: &str = "golden-(?P<version>[0-9a-z.]+)";

fn day(number: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + number * 86_400).unwrap()
}

fn id(name: &str) -> ImageId {
    ImageId::parse(&format!("m-{name}")).unwrap()
}

fn image(name: &str, created: i64) -> OwnImage {
    OwnImage {
        image: id(name),
        name: format!("golden-{name}"),
        created: Some(day(created)),
        family: None,
        tags: BTreeMap::new(),
        state: ImageState::Available,
    }
}

fn terms() -> ChannelTerms {
    let select = ChannelSelect { name_pattern: Some(PATTERN.to_owned()), ..ChannelSelect::default() };
    ChannelTerms {
        selection: Selection::of(&select, true).unwrap(),
        order: ChannelOrder::default(),
        soak: SignedDuration::ZERO,
        keep: 3,
        pin: None,
        exclude: BTreeSet::new(),
        urgent: BTreeSet::new(),
        rotation: None,
    }
}

/// A list of these images that was asked for on a day.
fn listed(images: &[OwnImage], at: i64) -> Listed<'_> {
    Listed { images, at: day(at), sound: true }
}

/// A version as it is after a restart: what status holds of it.
fn restarted(version: &Version) -> Version {
    let written = serde_json::to_string(&version.record(None)).unwrap();
    Version::recorded(&serde_json::from_str(&written).unwrap()).unwrap()
}

const ALL: Served = Served { ready: Some(true), shared: true };

/// A channel over time.
struct Channel {
    terms: ChannelTerms,
    versions: Vec<Version>,
    latest: Option<Latest>,
    served: BTreeMap<ImageId, Served>,
    held: BTreeMap<ImageId, Holders>,
    plan: Option<ChannelPlan>,
}

/// What is known in a story.
struct Known<'a>(&'a BTreeMap<ImageId, Served>, &'a BTreeMap<ImageId, Holders>);

impl Facts for Known<'_> {
    fn served(&self, image: &ImageId) -> Served {
        self.0.get(image).copied().unwrap_or(ALL)
    }

    fn holders(&self, image: &ImageId) -> Holders {
        self.1.get(image).cloned().unwrap_or_default()
    }
}

impl Channel {
    fn new() -> Self {
        let held = BTreeMap::new();
        Self { terms: terms(), versions: Vec::new(), latest: None, served: BTreeMap::new(), held, plan: None }
    }

    fn see(&mut self, at: i64, images: &[OwnImage]) -> String {
        self.plan_at(day(at), Some(listed(images, at)))
    }

    fn wait(&mut self, at: i64) -> String {
        self.plan_at(day(at), None)
    }

    fn plan_at(&mut self, now: Timestamp, listed: Option<Listed<'_>>) -> String {
        let former = Former { versions: &self.versions, latest: self.latest.as_ref() };
        let plan = plan_channel(&self.terms, former, listed, &Known(&self.served, &self.held), now);
        (self.versions, self.latest) = (plan.versions.iter().map(restarted).collect(), plan.latest.clone());
        self.plan = Some(plan);
        let stages = self.versions.iter().map(|version| {
            let letter = match version.stage {
                Stage::Candidate => 'c',
                Stage::Current => 'C',
                Stage::Supported => 'S',
                Stage::Deprecated => 'D',
                Stage::Revoking => 'V',
                Stage::Retired => 'R',
            };
            format!("{}{letter}", version.version)
        });
        let latest = self.latest.as_ref().map_or("-", |latest| latest.version.as_str());
        format!("{latest}: {}", stages.collect::<Vec<_>>().join(" "))
    }

    fn reasons(&self) -> Vec<Reason> {
        let plan = self.plan.as_ref().unwrap();
        plan.remarks.iter().chain(&plan.unknown).map(|remark| remark.reason).collect()
    }
}

fn builds(numbers: std::ops::RangeInclusive<i64>) -> Vec<OwnImage> {
    numbers.map(|number| image(&number.to_string(), number)).collect()
}

#[test]
fn of_the_images_that_exist_already_the_newest_enter_and_nobody_gets_older_ones() {
    let mut channel = Channel::new();
    assert_eq!(channel.see(10, &builds(1..=5)), "5: 5C 4S 3S 2R 1R");
    assert_eq!(channel.versions[0].stage, Stage::Current);
    assert_eq!(channel.see(11, &builds(1..=6)), "6: 6C 5S 4S 3S 2R 1R");
}

#[test]
fn a_new_version_soaks_from_when_it_was_first_seen_and_an_old_image_from_its_creation() {
    let mut channel = Channel::new();
    channel.terms.soak = SignedDuration::from_hours(48);
    assert_eq!(channel.see(10, &builds(8..=9)), "8: 9c 8C", "9 is one day old");
    assert_eq!(channel.versions[0].not_before, Some(day(11)));
    assert_eq!(channel.plan.as_ref().unwrap().next, Some(day(11)));
    // Whatever its creation time says: nobody could try it before.
    let images = [builds(8..=9), vec![image("x", 1)]].concat();
    assert_eq!(channel.see(20, &images), "9: 9C 8S xS");
    let images = [images, vec![image("10", 12)]].concat();
    assert_eq!(channel.see(21, &images), "9: 10c 9C 8S xS");
    assert_eq!(channel.versions[0].not_before, Some(day(23)));
    assert_eq!(channel.see(22, &images), "9: 10c 9C 8S xS");
    assert_eq!(channel.wait(23), "10: 10C 9S 8S xS");
}

#[test]
fn an_old_image_that_turns_up_late_is_in_service_only_among_the_newest() {
    let mut channel = Channel::new();
    channel.see(10, &builds(5..=9));
    assert_eq!(channel.see(11, &[builds(5..=9), vec![image("old", 1)]].concat()), "9: 9C 8S 7S 6R 5R oldR");
}

#[test]
fn latest_moves_once_the_image_is_ready_and_shared_or_a_minute_later() {
    let mut channel = Channel::new();
    channel.see(10, &builds(1..=2));
    let (three, images) = (id("3"), builds(1..=3));
    channel.served.insert(three.clone(), Served { ready: None, shared: false });
    assert_eq!(channel.see(11, &images), "2: 3c 2C 1S");
    channel.served.insert(three.clone(), Served { ready: Some(false), shared: false });
    assert_eq!(channel.see(11, &images), "2: 3c 2C 1S");
    assert_eq!(channel.versions[1].stage, Stage::Current);
    channel.served.insert(three.clone(), Served { ready: Some(true), shared: false });
    assert_eq!(channel.see(11, &images), "2: 3C 2S 1S");
    assert_eq!(channel.plan.as_ref().unwrap().next, Some(day(11) + SignedDuration::from_mins(1)));
    let listed = Some(listed(&images, 11));
    assert_eq!(channel.plan_at(day(11) + SignedDuration::from_secs(59), listed), "2: 3C 2S 1S");
    assert_eq!(channel.plan_at(day(11) + SignedDuration::from_mins(1), listed), "3: 3C 2S 1S");
    // Trouble that passes does not move it back.
    channel.served.insert(three, Served { ready: Some(false), shared: false });
    assert_eq!(channel.see(12, &images), "3: 3C 2S 1S");
}

#[test]
fn several_new_images_move_latest_once() {
    let mut channel = Channel::new();
    for image in builds(1..=3) {
        channel.served.insert(image.image, Served { ready: None, shared: false });
    }
    channel.served.insert(id("2"), ALL);
    assert_eq!(channel.see(10, &builds(1..=3)), "-: 3c 2c 1c", "3 may be ready a moment later");
    channel.served.insert(id("3"), ALL);
    assert_eq!(channel.see(10, &builds(1..=3)), "3: 3C 2S 1S");
}

#[test]
fn an_image_that_is_still_being_made_enters_when_it_is_there() {
    let mut channel = Channel::new();
    let making = OwnImage { state: ImageState::Creating, ..image("2", 2) };
    assert_eq!(channel.see(10, &[image("1", 1), making]), "1: 1C");
    assert_eq!(channel.see(11, &builds(1..=2)), "2: 2C 1S");
}

#[test]
fn a_pin_is_a_rollback_and_its_end_goes_forward_again() {
    let mut channel = Channel::new();
    channel.see(10, &builds(1..=3));
    channel.terms.pin = Some("2".to_owned());
    assert_eq!(channel.see(11, &builds(1..=4)), "2: 4c 3c 2C 1S");
    assert_eq!(channel.latest.as_ref().unwrap().since, day(11));
    channel.terms.pin = None;
    assert_eq!(channel.see(12, &builds(1..=4)), "4: 4C 3S 2S 1S");
    channel.terms.pin = Some("nine".to_owned());
    assert_eq!(channel.see(13, &builds(1..=5)), "4: 5c 4C 3S 2S 1S");
    assert_eq!(channel.reasons(), [Reason::VersionUnknown]);
}

#[test]
fn a_pin_to_a_version_out_of_service_brings_it_back_once_its_cloud_image_is_ready() {
    let mut channel = Channel::new();
    channel.see(10, &builds(1..=5));
    channel.terms.pin = Some("1".to_owned());
    channel.served.insert(id("1"), Served { ready: None, shared: false });
    assert_eq!(channel.see(11, &builds(1..=5)), "5: 5C 4S 3S 2R 1S");
    channel.served.insert(id("1"), ALL);
    assert_eq!(channel.see(12, &builds(1..=5)), "1: 5c 4c 3c 2R 1C");
}

#[test]
fn an_excluded_version_is_never_the_latest_and_nobody_new_gets_it() {
    let mut channel = Channel::new();
    channel.see(10, &builds(1..=3));
    channel.terms.exclude.insert("3".to_owned());
    assert_eq!(channel.see(11, &builds(1..=3)), "2: 3D 2C 1S");
    channel.terms.exclude.insert("1l".to_owned());
    assert_eq!(channel.see(12, &builds(1..=4)), "4: 4C 3D 2S 1S");
    assert_eq!(channel.reasons(), [Reason::VersionUnknown], "a typo in exclude is told");
    channel.terms.exclude.clear();
    assert_eq!(channel.see(13, &builds(1..=4)), "4: 4C 3S 2S 1S");
    // The only one there is: no version is the latest then.
    let mut alone = Channel::new();
    alone.see(10, &builds(1..=1));
    alone.terms.exclude.insert("1".to_owned());
    assert_eq!(alone.see(11, &builds(1..=1)), "-: 1D");
}

#[test]
fn a_version_that_is_pinned_and_excluded_is_not_the_latest_and_the_contradiction_is_told() {
    let mut channel = Channel::new();
    channel.see(10, &builds(1..=3));
    channel.terms.pin = Some("2".to_owned());
    channel.terms.exclude.insert("2".to_owned());
    assert_eq!(channel.see(11, &builds(1..=3)), "3: 3C 2D 1S");
    assert_eq!(channel.reasons(), [Reason::VersionUnknown]);
}

#[test]
fn pin_and_exclude_work_while_images_cannot_be_listed() {
    let mut channel = Channel::new();
    channel.see(10, &builds(1..=3));
    assert_eq!(channel.wait(11), "3: 3C 2S 1S");
    channel.terms.exclude.insert("3".to_owned());
    assert_eq!(channel.wait(12), "2: 3D 2C 1S");
    channel.terms.pin = Some("1".to_owned());
    assert_eq!(channel.wait(13), "1: 3D 2c 1C");
}

#[test]
fn an_image_is_gone_when_two_lists_lack_it() {
    let mut channel = Channel::new();
    channel.see(10, &builds(1..=3));
    assert_eq!(channel.see(11, &builds(1..=2)), "3: 3C 2S 1S");
    let images = builds(1..=2);
    assert_eq!(channel.plan_at(day(12), Some(listed(&images, 11))), "3: 3C 2S 1S", "the same list says nothing new");
    assert_eq!(channel.wait(12), "3: 3C 2S 1S");
    assert_eq!(channel.see(12, &builds(1..=3)), "3: 3C 2S 1S", "it is back");
    assert_eq!(channel.versions[0].absent_since, None);
    channel.see(13, &builds(1..=2));
    assert_eq!(channel.see(14, &builds(1..=2)), "2: 2C 1S");
}

#[test]
fn a_list_without_a_match_changes_nothing_and_is_told() {
    let mut channel = Channel::new();
    channel.see(10, &builds(1..=3));
    let renamed: Vec<OwnImage> =
        builds(1..=3).into_iter().map(|one| OwnImage { name: "x".to_owned(), ..one }).collect();
    for (at, images) in [(11, Vec::new()), (12, Vec::new()), (13, renamed)] {
        assert_eq!(channel.see(at, &images), "3: 3C 2S 1S");
        assert_eq!(channel.reasons(), [Reason::NoImageMatches]);
    }
    assert_eq!(channel.plan.as_ref().unwrap().discovered, Some((0, 3)));
}

#[test]
fn a_version_that_is_not_selected_any_more_goes_like_an_excluded_one() {
    let mut channel = Channel::new();
    channel.see(10, &builds(1..=3));
    let select =
        ChannelSelect { image_ids: vec!["m-1".into(), "m-2".into(), "m-4".into()], ..ChannelSelect::default() };
    channel.terms.selection = Selection::of(&select, true).unwrap();
    assert_eq!(channel.see(11, &builds(1..=4)), "m-4: m-4C 3D m-2S m-1S");
}

#[test]
fn of_two_images_with_one_version_the_newer_is_used_and_both_are_told() {
    let mut channel = Channel::new();
    let twin = OwnImage { name: "golden-2".to_owned(), ..image("twin", 9) };
    let images = [builds(1..=2), vec![twin]].concat();
    assert_eq!(channel.see(10, &images), "2: 2C 1S");
    assert_eq!(channel.latest.as_ref().unwrap().image, id("twin"));
    assert_eq!(channel.reasons(), [Reason::VersionAmbiguous]);
    assert!(channel.plan.as_ref().unwrap().remarks[0].message.contains("2 is m-twin, m-2, of which m-twin is used"));
    // One that was in service before stays so.
    let mut channel = Channel::new();
    channel.see(10, &builds(1..=2));
    assert_eq!(channel.see(11, &images), "2: 2C 2S 1S");
}

#[test]
fn versions_are_ordered_as_the_channel_says() {
    let named = ["10", "9", "1.2", "1.10"];
    let images: Vec<OwnImage> = (1..).zip(named).map(|(created, name)| image(name, created)).collect();
    let mut seen = Vec::new();
    for (by, format) in [
        (OrderBy::CreationTime, None),
        (OrderBy::Version, Some(VersionFormat::Numeric)),
        (OrderBy::Version, Some(VersionFormat::Alphabetical)),
    ] {
        let mut channel = Channel::new();
        channel.terms.order = ChannelOrder { by, format };
        seen.push(channel.see(10, &images));
    }
    assert_eq!(seen, ["1.10: 1.10C 1.2S 9S 10R", "10: 10C 9S 1.10S 1.2R", "9: 9C 10S 1.2S 1.10R"]);
    let mut channel = Channel::new();
    channel.terms.order = ChannelOrder { by: OrderBy::Version, format: Some(VersionFormat::Semver) };
    let semantic: Vec<OwnImage> = ["1.2.0", "1.10.0", "v1.9.0", "7"].into_iter().map(|name| image(name, 1)).collect();
    assert_eq!(channel.see(10, &semantic), "1.10.0: 1.10.0C v1.9.0S 1.2.0S");
    assert_eq!(channel.reasons(), [Reason::VersionInvalid]);
}

#[test]
fn more_images_than_a_channel_holds_are_told_and_the_newest_stay() {
    let mut channel = Channel::new();
    channel.see(100, &builds(1..=80));
    assert_eq!((channel.versions.len(), channel.versions[0].version.as_str()), (VERSIONS_MAX, "80"));
    assert_eq!(channel.reasons(), [Reason::DiscoveryCut]);
    channel.terms.pin = Some("78".to_owned());
    for number in 81..=200 {
        channel.see(number, &builds(1..=number));
    }
    assert_eq!(channel.latest.as_ref().unwrap().version, "78", "the latest one is never dropped");
}

#[test]
fn the_cloud_image_of_an_image_has_one_name_that_fits_however_long_its_account_is_called() {
    let long = "a".repeat(253);
    let name = image_name(&long, "cn-hangzhou", &id("m-1"));
    assert!(name.len() <= 63, "{name}");
    assert_eq!(image_name(&long, "cn-hangzhou", &id("m-1")), name);
    for other in [
        image_name("b", "cn-hangzhou", &id("m-1")),
        image_name(&long, "cn-beijing", &id("m-1")),
        image_name(&long, "cn-hangzhou", &id("m-2")),
    ] {
        assert_ne!(other, name);
    }
}

/// One thing that happens to a channel.
#[derive(Debug, Clone)]
enum Step {
    Build,
    Delete(u8),
    Exclude(u8),
    Include,
    Pin(u8),
    Unpin,
    Trouble(u8, Option<bool>, bool),
    ListAll,
    ListNothing,
    NoList,
    Clock(i8),
}

fn step() -> impl Strategy<Value = Step> {
    let one = 0_u8..6;
    prop_oneof![
        3 => Just(Step::Build),
        1 => one.clone().prop_map(Step::Delete),
        1 => one.clone().prop_map(Step::Exclude),
        1 => Just(Step::Include),
        1 => one.clone().prop_map(Step::Pin),
        1 => Just(Step::Unpin),
        2 => (one, any::<Option<bool>>(), any::<bool>()).prop_map(|(at, ready, shared)| Step::Trouble(at, ready, shared)),
        6 => Just(Step::ListAll),
        1 => Just(Step::ListNothing),
        2 => Just(Step::NoList),
        2 => (-3_i8..4).prop_map(Step::Clock),
    ]
}

fn in_service(stage: Stage) -> bool {
    matches!(stage, Stage::Current | Stage::Supported)
}

proptest! {
    #[test]
    fn whatever_happens_a_channel_never_empties_and_moves_back_only_when_asked(steps in vec(step(), 1..60)) {
        let (mut channel, mut images, mut now, mut list_at, mut built) = (Channel::new(), builds(1..=2), 10, 10, 2);
        channel.terms.soak = SignedDuration::from_hours(24);
        let mut deleted = BTreeSet::new();
        for step in steps {
            let before = (channel.versions.clone(), channel.latest.clone());
            let mut lists = true;
            let of = |at: u8| images.get(usize::from(at)).map(|image: &OwnImage| image.image.clone());
            match step {
                Step::Build => {
                    built += 1;
                    images.push(image(&built.to_string(), built));
                }
                Step::Delete(at) => {
                    deleted.extend(of(at));
                    images.retain(|image| !deleted.contains(&image.image));
                }
                Step::Exclude(at) => drop(channel.terms.exclude.insert(at.to_string())),
                Step::Include => channel.terms.exclude.clear(),
                Step::Pin(at) => channel.terms.pin = Some(at.to_string()),
                Step::Unpin => channel.terms.pin = None,
                Step::Trouble(at, ready, shared) => {
                    channel.served.extend(of(at).map(|image| (image, Served { ready, shared })));
                }
                Step::ListAll | Step::ListNothing => {}
                Step::NoList => lists = false,
                Step::Clock(days) => now += i64::from(days),
            }
            list_at += 1;
            let seen = if matches!(step, Step::ListNothing) { Vec::new() } else { images.clone() };
            let list = listed(&seen, list_at);
            channel.plan_at(day(now), lists.then_some(list));
            check(&channel, &before, &deleted, lists && !seen.is_empty())?;
            // C6: the same again changes nothing.
            let after = (channel.versions.clone(), channel.latest.clone());
            channel.plan_at(day(now), lists.then_some(list));
            channel.plan_at(day(now), lists.then_some(list));
            let again = (channel.versions.clone(), channel.latest.clone());
            channel.plan_at(day(now), lists.then_some(list));
            prop_assert_eq!((&channel.versions, &channel.latest), (&again.0, &again.1), "it settles");
            prop_assert_eq!(after.0.len(), again.0.len());
        }
    }
}

fn check(
    channel: &Channel,
    (versions, latest): &(Vec<Version>, Option<Latest>),
    deleted: &BTreeSet<ImageId>,
    listed: bool,
) -> Result<(), TestCaseError> {
    let terms = &channel.terms;
    let now = |image: &ImageId| channel.versions.iter().find(|version| version.image == *image);
    for old in versions {
        let new = now(&old.image);
        // C1: only two lists that lack an image end its version, and an exclusion is all that takes it out of service.
        let Some(new) = new else {
            prop_assert!(listed && deleted.contains(&old.image) && old.absent_since.is_some(), "{old:?} vanished");
            continue;
        };
        let out = terms.exclude.contains(&old.version);
        let rolled_back = new.stage == Stage::Candidate;
        prop_assert!(!in_service(old.stage) || in_service(new.stage) || out || rolled_back, "{old:?} became {new:?}");
        if old.stage == Stage::Candidate {
            // C4: what was told is not shortened.
            let (told, tells) = (old.not_before, new.not_before);
            prop_assert!(tells.is_none() || told.is_none() || tells == told, "{old:?} {new:?}");
            prop_assert_eq!(old.since, new.since);
        }
    }
    prop_assert!(channel.versions.iter().filter(|version| version.stage == Stage::Current).count() <= 1);
    // C3: the latest one is known, and not excluded.
    if let Some(named) = &channel.latest {
        let version = now(&named.image);
        prop_assert!(version.is_some_and(|version| !terms.exclude.contains(&version.version)), "{named:?}");
    }
    // C3: it goes back only by pin, exclude or disappearance.
    if let (Some(former), Some(named)) = (latest, &channel.latest) {
        let place = |image: &ImageId| channel.versions.iter().position(|version| version.image == *image);
        let back = place(&named.image) > place(&former.image);
        let excluded = terms.exclude.contains(&former.version);
        prop_assert!(
            !back || place(&former.image).is_none() || excluded || terms.pin.is_some(),
            "{former:?} {named:?}"
        );
    }
    // C2: while there was a latest one, it goes only if it was excluded or is gone.
    if let (Some(former), None) = (latest, &channel.latest) {
        prop_assert!(now(&former.image).is_none() || terms.exclude.contains(&former.version), "{former:?} went");
    }
    Ok(())
}
