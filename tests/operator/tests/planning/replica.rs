//! What is decided about one copy: the whole table of what may be copied where, and a copy carried through every kind of
//! cloud with answers lost anywhere: one copy in the end, and none where it is not wanted.

use std::collections::BTreeSet;

use imageshare_operator::api::conditions::Reason;
use imageshare_operator::api::image_replica::CopySource;
use imageshare_operator::clouds::Fault;
use imageshare_operator::domain::call::{CopyProgress, Copying};
use imageshare_operator::domain::identifiers::{ImageId, JobId, PrincipalId, RegionId};
use imageshare_operator::domain::image::{
    Answer, ImageFacts, ImageKind, ImageState, Ownership, ReceivedImage, Visibility,
};
use imageshare_operator::domain::provider::{CopyMeans, Provider};
use imageshare_operator::planning::problem::Problem;
use imageshare_operator::planning::replica::{
    Attempt, ClearingSight, Extra, Patience, Route, Stage, Step, after_asking, after_clearing, after_following,
    after_losing_the_writer, judge_route, judge_source, next_try,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const GIB: u64 = 1 << 30;

struct Case {
    provider: Provider,
    received: bool,
    trusted: Option<PrincipalId>,
    from: RegionId,
    to: RegionId,
    same_account: bool,
    given: BTreeSet<Extra>,
}

impl Case {
    fn own(provider: Provider, from: &str, to: &str) -> Self {
        Self {
            provider,
            received: false,
            trusted: None,
            from: RegionId::parse(from).unwrap(),
            to: RegionId::parse(to).unwrap(),
            same_account: true,
            given: BTreeSet::new(),
        }
    }

    fn received(provider: Provider, from: &str, to: &str) -> Self {
        Self { received: true, ..Self::own(provider, from, to) }
    }

    fn with(mut self, extras: &[Extra]) -> Self {
        self.given = extras.iter().copied().collect();
        self
    }

    fn route(&self) -> Route {
        Route {
            provider: self.provider,
            received: self.received,
            trusted: self.trusted.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            same_account: self.same_account,
            given: self.given.clone(),
        }
    }

    fn refused(&self) -> Option<(Reason, String)> {
        judge_route(&self.route()).err().map(told)
    }

    fn source(&self, image: Option<&ImageFacts>, offer: Option<&ReceivedImage>) -> Option<(Reason, String)> {
        judge_source(&self.route(), image, offer).err().map(told)
    }
}

fn told(trouble: Problem) -> (Reason, String) {
    (trouble.reason, trouble.message)
}

fn friend() -> PrincipalId {
    PrincipalId::parse("friend").unwrap()
}

fn image(ownership: Ownership, kind: ImageKind, gib: u64) -> ImageFacts {
    ImageFacts {
        ownership,
        state: ImageState::Available,
        kind,
        name: "golden".into(),
        encrypted: false,
        keys: BTreeSet::new(),
        snapshots: BTreeSet::new(),
        from_marketplace: false,
        visibility: Visibility::Shared,
        size: Some(gib * GIB),
    }
}

fn theirs() -> Ownership {
    Ownership::Received { owner: Some(friend()) }
}

fn offer(answer: Option<Answer>) -> ReceivedImage {
    ReceivedImage {
        image: ImageId::parse("m-1").unwrap(),
        through: PrincipalId::parse("us").unwrap(),
        owner: Some(friend()),
        name: "golden".into(),
        kind: ImageKind::SystemDisk,
        state: ImageState::Available,
        answer,
        via: std::collections::BTreeMap::new(),
    }
}

#[test]
fn destinations_that_no_cloud_takes_are_refused_with_their_field() {
    use Extra::{Agency, Encryption, Project, Vault};
    use Provider::{Alibaba, Aws, Huawei, OpenStack};
    let elsewhere = |case: Case| Case { same_account: false, ..case };
    let across = |provider| Case::own(provider, "cn-north-4", "ap-southeast-1");
    let within = |provider| Case::own(provider, "cn-north-4", "cn-north-4");
    let field = |name: &str| Some((Reason::DestinationRefused, format!("spec.destination.{name}: ")));
    let agency = Some((Reason::AgencyRequired, "spec.destination.agencyName: ".to_owned()));
    let own_first = Some((Reason::CrossRegionNeedsOwnImage, "spec.destination.region: ".to_owned()));
    let cases = [
        (across(Alibaba), None),
        (within(Alibaba).with(&[Encryption]), None),
        (elsewhere(across(Alibaba)), field("accountRef")),
        (elsewhere(across(Huawei).with(&[Agency])), field("accountRef")),
        (elsewhere(across(OpenStack)), None),
        (elsewhere(across(Aws)), field("accountRef")),
        (across(Aws).with(&[Encryption]), None),
        (across(Aws).with(&[Agency]), field("agencyName")),
        (Case::received(Aws, "us-east-1", "eu-west-1").with(&[Encryption]), None),
        (across(Alibaba).with(&[Agency]), field("agencyName")),
        (across(OpenStack).with(&[Project]), field("projectName")),
        (within(Huawei).with(&[Vault]), field("vaultID")),
        (within(Huawei).with(&[Agency]), field("agencyName")),
        (across(OpenStack).with(&[Encryption]), field("encryption")),
        (across(Huawei).with(&[Agency, Encryption]), field("encryption")),
        (within(Huawei).with(&[Encryption]), None),
        (across(Huawei), agency),
        (across(Huawei).with(&[Agency, Project, Vault]), None),
        (Case::received(Huawei, "cn-north-4", "cn-north-4").with(&[Encryption]), field("encryption")),
        (Case::received(Huawei, "cn-north-4", "cn-south-1").with(&[Agency]), own_first.clone()),
        (Case::received(Alibaba, "cn-hangzhou", "cn-hongkong"), own_first),
        (Case::received(Alibaba, "cn-hangzhou", "cn-hangzhou"), None),
        (Case::received(OpenStack, "one", "two"), None),
    ];
    for (case, wanted) in cases {
        let refused = case.refused();
        let what = format!("{} {} to {} {:?}: {refused:?}", case.provider, case.from, case.to, case.given);
        match (refused, wanted) {
            (None, None) => {}
            (Some((reason, message)), Some((wanted, field))) => {
                assert!(reason == wanted && message.starts_with(&field), "{what}");
            }
            (_, wanted) => panic!("{what}, but wanted {wanted:?}"),
        }
    }
}

#[test]
fn a_received_image_is_copied_once_it_is_offered_trusted_and_accepted() {
    use Provider::{Alibaba, Huawei, OpenStack};
    let facts = image(theirs(), ImageKind::SystemDisk, 40);
    for provider in [Huawei, OpenStack] {
        let case = Case::received(provider, "r", "r");
        let reason = |offer: Option<&ReceivedImage>| case.source(Some(&facts), offer).map(|(reason, _)| reason);
        assert_eq!(reason(None), Some(Reason::NotOffered));
        assert_eq!(reason(Some(&offer(Some(Answer::Pending)))), Some(Reason::NotAccepted));
        assert_eq!(reason(Some(&offer(Some(Answer::Rejected)))), Some(Reason::NotAccepted));
        assert_eq!(reason(Some(&offer(Some(Answer::Accepted)))), None);
        assert_eq!(reason(Some(&offer(None))), None, "it came to the whole account, which is not asked");
        let choosy = Case { trusted: Some(PrincipalId::parse("other").unwrap()), ..Case::received(provider, "r", "r") };
        let untrusted = choosy.source(Some(&facts), Some(&offer(Some(Answer::Pending)))).unwrap();
        assert_eq!(untrusted.0, Reason::UntrustedOwner, "said before anybody is asked to accept it");
        assert!(untrusted.1.contains("friend") && untrusted.1.contains("other"), "{}", untrusted.1);
    }
    let case = Case { trusted: Some(friend()), ..Case::received(Alibaba, "r", "r") };
    assert_eq!(case.source(Some(&facts), None), None, "no answer is asked for");
    assert_eq!(case.source(None, None).unwrap().0, Reason::NotOffered);
    let choosy = Case { trusted: Some(PrincipalId::parse("12345").unwrap()), ..Case::received(Alibaba, "r", "r") };
    assert_eq!(choosy.source(Some(&facts), None).unwrap().0, Reason::UntrustedOwner);
}

#[test]
fn sources_that_cannot_be_copied_are_told_before_the_call() {
    use Provider::{Alibaba, Huawei, OpenStack};
    let own = |kind, gib| image(Ownership::Own, kind, gib);
    let encrypted = |facts: ImageFacts| ImageFacts { encrypted: true, ..facts };
    let state = |state| ImageFacts { state, ..own(ImageKind::SystemDisk, 40) };
    let accepted = offer(Some(Answer::Accepted));
    let across = |extras: &[Extra]| Case::own(Huawei, "cn-north-9", "ap-southeast-1").with(extras);
    let large = || Case::own(Huawei, "cn-north-4", "cn-south-1");
    let within = || Case::own(Huawei, "cn-north-4", "cn-north-4");
    let received = || Case::received(Huawei, "cn-north-4", "cn-north-4");
    let given = |ownership, kind, gib| image(ownership, kind, gib);
    let cases = [
        (within(), own(ImageKind::FullServer, 40), Some(Reason::ImageNotCopyable)),
        (within(), own(ImageKind::Iso, 4), Some(Reason::ImageNotCopyable)),
        (within(), encrypted(own(ImageKind::SystemDisk, 40)), None),
        (within(), own(ImageKind::SystemDisk, 500), None),
        (across(&[Extra::Agency]), own(ImageKind::FullServer, 40), Some(Reason::VaultRequired)),
        (across(&[Extra::Agency, Extra::Vault]), own(ImageKind::FullServer, 40), None),
        (across(&[]), encrypted(own(ImageKind::DataDisk, 40)), Some(Reason::ImageNotCopyable)),
        (across(&[]), own(ImageKind::DataDisk, 128), None),
        (across(&[]), own(ImageKind::DataDisk, 129), Some(Reason::ImageTooLarge)),
        (large(), own(ImageKind::DataDisk, 300), None),
        (large(), own(ImageKind::DataDisk, 301), Some(Reason::ImageTooLarge)),
        (received(), given(theirs(), ImageKind::SystemDisk, 128), None),
        (received(), given(theirs(), ImageKind::SystemDisk, 129), Some(Reason::ImageTooLarge)),
        (received(), encrypted(given(theirs(), ImageKind::SystemDisk, 40)), Some(Reason::ImageNotCopyable)),
        (received(), given(theirs(), ImageKind::FullServer, 40), Some(Reason::ImageNotCopyable)),
        (received(), own(ImageKind::SystemDisk, 40), Some(Reason::DestinationRefused)),
        (within(), given(theirs(), ImageKind::SystemDisk, 40), Some(Reason::ImageNotOwned)),
        (within(), given(Ownership::System, ImageKind::SystemDisk, 40), Some(Reason::ImageNotCopyable)),
        (Case::own(Alibaba, "a", "b"), encrypted(own(ImageKind::FullServer, 900)), None),
        (Case::own(OpenStack, "a", "b"), own(ImageKind::SystemDisk, 900), None),
        (Case::own(Alibaba, "a", "b"), state(ImageState::Creating), Some(Reason::SourceNotReady)),
        (Case::own(Alibaba, "a", "b"), state(ImageState::Failed), Some(Reason::ImageNotAvailable)),
        (Case::own(Alibaba, "a", "b"), state(ImageState::Deprecated), Some(Reason::ImageNotAvailable)),
    ];
    for (case, facts, wanted) in cases {
        let refused = case.source(Some(&facts), Some(&accepted));
        assert_eq!(refused.as_ref().map(|(reason, _)| *reason), wanted, "{facts:?} {refused:?}");
        assert!(refused.is_none_or(|(_, message)| message.starts_with("spec.")), "a message names its field");
    }
    assert_eq!(Case::own(Alibaba, "a", "b").source(None, None).unwrap().0, Reason::ImageNotFound);
}

#[test]
fn image_names_are_what_each_cloud_takes() {
    use Provider::{Alibaba, Huawei, OpenStack};
    let long = |count| "n".repeat(count);
    for (name, taken) in [
        ("golden-ubuntu_1.0", [true, true, true]),
        ("金镜像", [true, true, true]),
        ("g", [false, true, true]),
        ("golden ubuntu", [false, true, true]),
        ("golden:1", [true, false, true]),
        ("1golden", [false, true, true]),
        ("aliyun-golden", [false, true, true]),
        ("acs:golden", [false, false, true]),
        (" golden", [false, false, false]),
        ("", [false, false, false]),
        ("a\u{1b}[2J", [false, false, false]),
        ("a\u{202e}b", [false, false, false]),
        ("a\nb", [false, false, false]),
        (&long(128), [true, true, true]),
        (&long(129), [false, false, true]),
        (&long(256), [false, false, false]),
    ] {
        let parsed = [Alibaba, Huawei, OpenStack].map(|provider| provider.parse_image_name(name).is_ok());
        assert_eq!(parsed, taken, "{name:?}");
    }
}

const PATIENCE: Patience = Patience {
    lost: SignedDuration::from_secs(30),
    unanswered: SignedDuration::from_secs(30),
    lag: SignedDuration::from_secs(5),
    others_until: Timestamp::UNIX_EPOCH,
    retry: SignedDuration::from_secs(60),
};

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn source() -> CopySource {
    CopySource { account: "golden".into(), region: "r".into(), image_id: "m-1".into() }
}

#[test]
fn pauses_between_tries_double_up_to_a_bound() {
    let pause = |number| {
        let attempt = Attempt { number, ..Attempt::after(None, source(), start()) };
        next_try(&attempt, PATIENCE).duration_since(start()).as_secs()
    };
    assert_eq!([1, 2, 3, 7, 8, u32::MAX].map(pause), [60, 120, 240, 3840, 3840, 3840]);
}

#[test]
fn a_try_reads_back_as_it_was_written_and_never_sooner() {
    let stages = [
        Stage::Asked,
        Stage::Copying(Copying::Image(ImageId::parse("m-2").unwrap())),
        Stage::Copying(Copying::Job(JobId::parse("j-1").unwrap())),
        Stage::Clearing(None),
        Stage::Clearing(Some(Copying::Job(JobId::parse("j-1").unwrap()))),
        Stage::Failed,
        Stage::Made(ImageId::parse("m-2").unwrap()),
    ];
    for stage in stages {
        let since = start() + SignedDuration::from_millis(1);
        let attempt = Attempt { number: 3, since, stage, source: source(), destination: None };
        let read = Attempt::parse(&attempt.encode()).unwrap();
        assert_eq!(Attempt { since, ..read.clone() }, attempt);
        assert!(read.since >= since && read.since.duration_since(since) <= SignedDuration::from_secs(1));
    }
}

#[test]
fn content_that_nobody_here_writes_is_waited_for_and_then_given_up() {
    let attempt = Attempt::after(None, source(), start());
    let at = |seconds| {
        let now = start() + SignedDuration::from_secs(seconds);
        after_losing_the_writer(&attempt, start(), PATIENCE, now)
    };
    assert!(matches!(at(29), Step::Progress(None, _)));
    assert!(matches!(at(30), Step::GiveUp(trouble) if trouble.reason == Reason::CopyFailed));
}

/// A cloud that copies, as far as copies are concerned.
struct Cloud {
    means: CopyMeans,
    now: Timestamp,
    /// By number of the try: how far each copy is, in looks still needed; `None` once removed.
    copies: Vec<(u32, Option<u8>)>,
    /// How many copies fail before one is made.
    fails: u8,
}

impl Cloud {
    fn id(index: usize) -> ImageId {
        ImageId::parse(&format!("m-{index}")).unwrap()
    }

    fn index(image: &ImageId) -> usize {
        image.as_str()[2..].parse().unwrap()
    }

    fn ask(&mut self, number: u32) -> Copying {
        let known = self.copies.iter().position(|(of, _)| *of == number).filter(|_| self.means != CopyMeans::Job);
        let index = known.unwrap_or_else(|| {
            self.copies.push((number, Some(2)));
            self.copies.len() - 1
        });
        match self.means {
            CopyMeans::Job => Copying::Job(JobId::parse(&format!("j-{index}")).unwrap()),
            CopyMeans::Token | CopyMeans::Stream => Copying::Image(Self::id(index)),
        }
    }

    fn find(&self, number: u32) -> Option<ImageId> {
        let index = self.copies.iter().position(|(of, left)| *of == number && left.is_some())?;
        Some(Self::id(index))
    }

    fn follow(&mut self, copying: &Copying) -> CopyProgress {
        let index = match copying {
            Copying::Image(image) => Self::index(image),
            Copying::Job(job) => job.as_str()[2..].parse().unwrap(),
        };
        let copy = &mut self.copies[index].1;
        match copy {
            None => CopyProgress::Gone,
            Some(0) => CopyProgress::Made(Self::id(index)),
            Some(_) if self.fails > 0 => {
                self.fails -= 1;
                CopyProgress::Failed(Fault::Unavailable)
            }
            Some(left) => {
                *left -= 1;
                CopyProgress::Running { percent: None }
            }
        }
    }

    fn remove(&mut self, image: &ImageId, luck: Option<Luck>) {
        if !matches!(luck, Some(Luck::Never)) {
            self.copies[Self::index(image)].1 = None;
        }
    }

    fn alive(&self) -> usize {
        self.copies.iter().filter(|(_, left)| left.is_some()).count()
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
enum Luck {
    Good,
    /// It has its effect, and the answer is lost (or we die before we write it down).
    Lost,
    /// It never arrives.
    Never,
}

/// Runs passes as the controller does; returns where the try stands in the end.
fn carry_through(cloud: &mut Cloud, luck: &[Luck], leave_after: Option<usize>) -> Option<Attempt> {
    let mut luck = luck.iter().copied();
    let mut written = Attempt::after(None, source(), cloud.now);
    for pass in 0..400 {
        let leaving = leave_after.is_some_and(|after| pass >= after);
        // What is written down reads back with whole seconds only.
        let mut attempt = Attempt::parse(&written.encode()).unwrap();
        if leaving && !matches!(attempt.stage, Stage::Clearing(_)) {
            let made = match attempt.stage.clone() {
                Stage::Copying(copying) => Some(copying),
                Stage::Made(image) => Some(Copying::Image(image)),
                Stage::Failed => return None,
                _ => None,
            };
            attempt = attempt.at(Stage::Clearing(made));
        }
        let step = match attempt.stage.clone() {
            Stage::Asked if pass == 0 => Step::Ask,
            Stage::Asked => after_asking(&attempt, cloud.means, cloud.find(attempt.number), PATIENCE, cloud.now),
            Stage::Copying(copying) => {
                let progress = cloud.follow(&copying);
                after_following(&attempt, progress, PATIENCE, cloud.now)
            }
            Stage::Clearing(None) => {
                let sight = ClearingSight::Found(cloud.find(attempt.number));
                after_clearing(&attempt, sight, PATIENCE, cloud.now)
            }
            Stage::Clearing(Some(copying)) => {
                let sight = ClearingSight::Progress(cloud.follow(&copying));
                after_clearing(&attempt, sight, PATIENCE, cloud.now)
            }
            Stage::Failed if cloud.now >= next_try(&attempt, PATIENCE) => Step::Anew,
            Stage::Failed => Step::Wait(next_try(&attempt, PATIENCE)),
            Stage::Made(_) => return Some(attempt),
        };
        let mut next = cloud.now + SignedDuration::from_millis(300);
        written = match step {
            Step::Wait(at) | Step::Progress(_, at) => {
                next = at;
                attempt
            }
            Step::Ask | Step::Anew => {
                if step == Step::Anew {
                    attempt = Attempt::after(Some(&attempt), source(), cloud.now);
                }
                match luck.next().unwrap_or(Luck::Good) {
                    Luck::Good => attempt.at(Stage::Copying(cloud.ask(attempt.number))),
                    Luck::Lost => {
                        cloud.ask(attempt.number);
                        attempt
                    }
                    Luck::Never => attempt,
                }
            }
            Step::Fill(_) => unreachable!("no copy here is empty"),
            Step::Now(stage) => attempt.at(stage),
            Step::GiveUp(_) | Step::Missing(_) => {
                let Stage::Copying(copying) = attempt.stage.clone() else { unreachable!() };
                attempt.at(Stage::Clearing(Some(copying)))
            }
            Step::Remove(image) => {
                cloud.remove(&image, luck.next());
                attempt.at(Stage::Clearing(Some(Copying::Image(image))))
            }
            Step::Cleared if leaving => return None,
            Step::Cleared => Attempt { since: cloud.now, stage: Stage::Failed, ..attempt },
        };
        cloud.now = next.max(cloud.now);
    }
    panic!("it never comes to an end: {written:?}");
}

fn any_luck() -> impl Strategy<Value = Vec<Luck>> {
    let one = prop_oneof![Just(Luck::Good), Just(Luck::Lost), Just(Luck::Never)];
    proptest::collection::vec(one, 0..6)
}

fn any_means() -> impl Strategy<Value = CopyMeans> {
    prop_oneof![Just(CopyMeans::Token), Just(CopyMeans::Job), Just(CopyMeans::Stream)]
}

proptest! {
    #[test]
    fn whatever_is_lost_there_is_exactly_one_copy_in_the_end(
        means in any_means(), luck in any_luck(), fails in 0_u8..3,
    ) {
        let mut cloud = Cloud { means, now: start(), copies: Vec::new(), fails };
        let made = carry_through(&mut cloud, &luck, None).unwrap();
        prop_assert_eq!(cloud.alive(), 1, "{:?}", cloud.copies);
        let Stage::Made(image) = made.stage else { panic!("{made:?}") };
        prop_assert!(cloud.copies[Cloud::index(&image)].1.is_some(), "the one that is told is the one that is there");
    }

    #[test]
    fn whenever_it_leaves_before_it_is_made_nothing_is_left_behind(
        means in any_means(), luck in any_luck(), fails in 0_u8..3, leave_after in 1_usize..12,
    ) {
        let mut cloud = Cloud { means, now: start(), copies: Vec::new(), fails };
        if carry_through(&mut cloud, &luck, Some(leave_after)).is_none() {
            prop_assert_eq!(cloud.alive(), 0, "{:?}", cloud.copies);
        }
    }
}
