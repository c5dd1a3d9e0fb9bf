//! The versions of an `ImageChannel`: which of the account's images belong to it, in which stage each is, and which one is the
//! latest. What is known already stays known while the images cannot be listed, or only in part.

mod order;
mod record;
mod rotation;
mod select;
mod stages;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::api::conditions::Reason;
use crate::api::image_channel::{ChannelOrder, Stage};
use crate::domain::identifiers::ImageId;
use crate::domain::image::{ImageState, OwnImage};
use crate::planning::naming::hash_of;
use crate::planning::problem::name_some;
pub use rotation::{Hold, Holders, Rotation};
pub use select::{Match, Selection};
use stages::{Assignment, soaked_at};

/// Versions that a channel's status holds, as its schema has it.
pub const VERSIONS_MAX: usize = 50;

/// How long `latest` waits for the `ChannelShares` of a version that became Current: one that is stuck must not hold it back from
/// everybody else.
const SHARES_WAIT: SignedDuration = SignedDuration::from_mins(1);

/// What a person asks of a channel.
#[derive(Debug)]
pub struct ChannelTerms {
    /// Which images belong to it.
    pub selection: Selection,
    /// Which version is newer.
    pub order: ChannelOrder,
    /// How long a new version is a Candidate.
    pub soak: SignedDuration,
    /// How many of the newest images enter the channel when they are first seen, and how many are in service where it rotates.
    pub keep: usize,
    /// The version that is the latest whatever is newer.
    pub pin: Option<String>,
    /// Versions that are never the latest.
    pub exclude: BTreeSet<String>,
    /// Those of them whose access ends at once.
    pub urgent: BTreeSet<String>,
    /// How access to old versions ends; `None` where it does not.
    pub rotation: Option<Rotation>,
}

/// A version of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The version.
    pub version: String,
    /// Its image.
    pub image: ImageId,
    /// Its stage.
    pub stage: Stage,
    /// Since when its soak counts.
    pub since: Timestamp,
    /// Since when it has been in its stage.
    pub staged: Timestamp,
    /// When the image was made, where the cloud says so.
    pub created: Option<Timestamp>,
    /// The earliest time at which a Candidate can become Current, while it soaks; and at which access to a Deprecated one may end.
    pub not_before: Option<Timestamp>,
    /// When a complete list first lacked the image.
    pub absent_since: Option<Timestamp>,
    /// When a complete list first came after the grace of a Deprecated version. One that is Revoking without it was excluded, and
    /// ends at once.
    pub overdue_since: Option<Timestamp>,
    /// What holds back the end of access to it, once its grace is over.
    pub blocked: Vec<Reason>,
}

/// The latest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// The version.
    pub version: String,
    /// Its image.
    pub image: ImageId,
    /// Since when.
    pub since: Timestamp,
}

/// A complete list of the account's own images.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// The images.
    pub images: &'a [OwnImage],
    /// When the list was asked for. Two lists have different times, in whole seconds as status holds them.
    pub at: Timestamp,
    /// No later attempt to list them failed.
    pub sound: bool,
}

/// What a plan asks of the objects of an image.
pub trait Facts {
    /// What is known of them.
    fn served(&self, image: &ImageId) -> Served;
    /// Who has the image through the channel.
    fn holders(&self, image: &ImageId) -> Holders;
}

/// What is known of a version's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Whether its `CloudImage` is Ready: the image is available, the account's own, and can be shared. `None` while that is not
    /// known.
    pub ready: Option<bool>,
    /// Every `ChannelShare` that asks for it has shared it, or says why it does not.
    pub shared: bool,
}

/// Something that a person should know of a channel's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Why.
    pub reason: Reason,
    /// What, and what to do.
    pub message: String,
}

/// What becomes of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelPlan {
    /// Its versions, newest first.
    pub versions: Vec<Version>,
    /// The latest one.
    pub latest: Option<Latest>,
    /// Images that matched, and images in the list; `None` without a list.
    pub discovered: Option<(usize, usize)>,
    /// What is odd about the images, the most important first.
    pub remarks: Vec<Remark>,
    /// What is odd about `pin` and `exclude`.
    pub unknown: Option<Remark>,
    /// What holds back the end of access to old versions; `None` where the channel does not rotate or nothing does.
    pub held_back: Option<Remark>,
    /// When something can move by itself.
    pub next: Option<Timestamp>,
}

/// What was decided before.
#[derive(Debug, Clone, Copy)]
pub struct Former<'a> {
    /// The versions.
    pub versions: &'a [Version],
    /// The latest one.
    pub latest: Option<&'a Latest>,
}

/// Decides the stages of a channel. `listed`: the last complete list, if this process has one.
///
/// What ends access goes by the times of complete lists, not by this machine's clock: clouds that check signed times refuse the
/// lists of a machine whose clock is wrong.
pub fn plan_channel(
    terms: &ChannelTerms,
    former: Former<'_>,
    listed: Option<Listed<'_>>,
    facts: &impl Facts,
    now: Timestamp,
) -> ChannelPlan {
    let (mut found, mut remarks) = listed.map(|listed| find(terms, listed)).unwrap_or_default();
    // A list without any match may be a mistake in `select`, or of whoever tags images: nothing is concluded from it.
    let believed = listed.filter(|_| !found.matched.is_empty());
    if let (Some(listed), None) = (listed, believed) {
        remarks.insert(0, no_match(listed.images.len(), found.odd));
    }
    let mut versions = former.versions.to_vec();
    if let Some(listed) = believed {
        merge(&mut versions, &mut found, listed, now);
    }
    order::sort(terms.order, &mut versions);
    let selected = |version: &Version| match believed {
        Some(_) if version.absent_since.is_none() => found.matched.contains(&version.image),
        // Without a list that holds it, what was not selected stays so.
        _ => !matches!(version.stage, Stage::Deprecated | Stage::Revoking),
    };
    let served = |image: &ImageId| facts.served(image);
    let current = choose(terms, &versions, former.latest, selected, &served, now);
    let list = believed.filter(|listed| listed.sound).map(|listed| listed.at);
    let assignment = Assignment { terms, current: current.as_ref(), facts, clock: list.map(|at| at.min(now)), now };
    let first_seen = &found.first_seen;
    assignment.assign(&mut versions, selected, |version| first_seen.contains(&version.image));
    let unknown = unknown(terms, &versions);
    let latest = latest(former.latest, terms, &versions, &served, now);
    let failed = listed.is_some() && list.is_none();
    let held_back =
        rotation::Advance { terms, latest: latest.as_ref(), facts, list, failed, now }.advance(&mut versions);
    cut(&mut versions, latest.as_ref());
    let next = next(&versions, latest.as_ref(), now);
    let discovered = listed.map(|listed| (found.count, listed.images.len()));
    ChannelPlan { versions, latest, discovered, remarks, unknown, held_back, next }
}

/// What a list says about a channel.
#[derive(Default)]
struct Found<'a> {
    /// Images that match, of each version the newest and those known before.
    images: BTreeMap<ImageId, (&'a OwnImage, String)>,
    /// All images that match.
    matched: BTreeSet<ImageId>,
    /// Those that the channel sees for the first time.
    first_seen: BTreeSet<ImageId>,
    /// How many match.
    count: usize,
    /// How many match without a version.
    odd: usize,
}

fn find<'a>(terms: &ChannelTerms, listed: Listed<'a>) -> (Found<'a>, Vec<Remark>) {
    let mut found = Found::default();
    let (mut invalid, mut of_version) = (Vec::new(), BTreeMap::<String, Vec<&OwnImage>>::new());
    for image in listed.images {
        match terms.selection.matches(image) {
            Match::No => {}
            Match::Odd => found.odd += 1,
            Match::Version(version) if !order::is_ordered(terms.order, &version) => invalid.push(version),
            Match::Version(version) => {
                found.count += 1;
                found.matched.insert(image.image.clone());
                found.images.insert(image.image.clone(), (image, version.clone()));
                of_version.entry(version).or_default().push(image);
            }
        }
    }
    let mut remarks = Vec::new();
    let mut ambiguous = Vec::new();
    for (version, mut same) in of_version {
        same.sort_by_key(|image| std::cmp::Reverse((image.created, image.image.clone())));
        if let [newest, others @ ..] = same.as_slice()
            && !others.is_empty()
        {
            let ids = name_some(same.iter().map(|image| &image.image));
            ambiguous.push(format!("{version} is {ids}, of which {} is used", newest.image));
            for other in others {
                found.images.remove(&other.image);
            }
        }
    }
    if found.count > VERSIONS_MAX {
        let message = format!(
            "spec.select: {} images match, and the channel holds the newest {VERSIONS_MAX}; nothing is done with older ones: \
             narrow select, or delete images",
            found.count
        );
        remarks.push(Remark { reason: Reason::DiscoveryCut, message });
    }
    if !ambiguous.is_empty() {
        let message = format!("several images have one version; give each its own: {}", name_some(ambiguous));
        remarks.push(Remark { reason: Reason::VersionAmbiguous, message });
    }
    if found.odd > 0 || !invalid.is_empty() {
        let count = found.odd + invalid.len();
        let message = format!(
            "spec.order, spec.select.namePattern: {count} matching images have versions that cannot be used, and are left \
             out: {}",
            if invalid.is_empty() { "they are empty or no plain text".to_owned() } else { name_some(invalid) }
        );
        remarks.push(Remark { reason: Reason::VersionInvalid, message });
    }
    (found, remarks)
}

fn no_match(images: usize, odd: usize) -> Remark {
    let odd = if odd > 0 { format!(", and {odd} that match have no usable version") } else { String::new() };
    let message = format!(
        "spec.select: none of the account's {images} images in the region matches{odd}; correct select, or the images' names \
         and tags. Until then the channel keeps its versions"
    );
    Remark { reason: Reason::NoImageMatches, message }
}

/// Takes over what a list says: new images, times, absence.
fn merge<'a>(versions: &mut Vec<Version>, found: &mut Found<'a>, listed: Listed<'a>, now: Timestamp) {
    let first_sight = versions.is_empty();
    let there: BTreeSet<&ImageId> = listed.images.iter().map(|image| &image.image).collect();
    versions.retain_mut(|version| {
        if there.contains(&version.image) {
            version.absent_since = None;
            return true;
        }
        // One list may be wrong; a second one proves it.
        let first = *version.absent_since.get_or_insert(listed.at);
        first >= listed.at
    });
    for version in versions.iter_mut() {
        if let Some((image, named)) = found.images.get(&version.image) {
            version.created = image.created.or(version.created);
            version.version.clone_from(named);
        }
    }
    let known: BTreeSet<ImageId> = versions.iter().map(|version| version.image.clone()).collect();
    for (id, (image, named)) in &found.images {
        // What is still being made enters once it is there.
        if known.contains(id) || image.state != ImageState::Available {
            continue;
        }
        found.first_seen.insert(id.clone());
        let made = image.created.filter(|_| first_sight).map_or(now, |created| created.min(now));
        versions.push(Version {
            version: named.clone(),
            image: id.clone(),
            stage: Stage::Candidate,
            since: made,
            staged: now,
            created: image.created,
            not_before: None,
            absent_since: None,
            overdue_since: None,
            blocked: Vec::new(),
        });
    }
}

/// The image of the version that is Current. It goes back only by `pin`, `exclude` or `select`, or since the image is gone.
fn choose(
    terms: &ChannelTerms,
    versions: &[Version],
    latest: Option<&Latest>,
    selected: impl Fn(&Version) -> bool,
    served: &impl Fn(&ImageId) -> Served,
    now: Timestamp,
) -> Option<ImageId> {
    let allowed = |version: &Version| !terms.exclude.contains(&version.version);
    let kept = versions.iter().find(|version| version.stage == Stage::Current).filter(|former| allowed(former));
    let kept = kept.map(|version| version.image.clone());
    // Trouble that passes, or one list that lacks its image, moves neither the Current one nor the latest one back.
    let was_latest = |version: &Version| latest.is_some_and(|latest| latest.image == version.image);
    let ready = |version: &Version| match version.stage {
        Stage::Current => Some(true),
        _ if was_latest(version) => Some(true),
        _ if version.absent_since.is_some() => Some(false),
        _ => served(&version.image).ready,
    };
    if let Some(pin) = &terms.pin {
        let mut pinned = versions.iter().filter(|version| version.version == *pin && allowed(version));
        return pinned.find(|version| ready(version) == Some(true)).map(|version| version.image.clone()).or(kept);
    }
    for version in versions.iter().filter(|version| allowed(version) && selected(version)) {
        // A version that was pinned before its soak was over does not soak again while it is the latest.
        let soaks = version.stage == Stage::Candidate && soaked_at(terms, version) > now && !was_latest(version);
        match ready(version) {
            _ if soaks || matches!(version.stage, Stage::Revoking | Stage::Retired) => {}
            Some(true) => return Some(version.image.clone()),
            Some(false) => {}
            // Wait for what is not known yet, rather than move twice.
            None => return kept,
        }
    }
    // While nothing else can be Current, what was stays.
    kept
}

fn unknown(terms: &ChannelTerms, versions: &[Version]) -> Option<Remark> {
    let is_known = |named: &String| versions.iter().any(|version| version.version == *named);
    let pin = terms.pin.iter().filter(|pin| !is_known(pin)).map(|pin| format!("spec.pin: {pin:?}"));
    let excluded = terms.exclude.iter().filter(|excluded| !is_known(excluded));
    let unknown: Vec<String> = pin.chain(excluded.map(|excluded| format!("spec.exclude: {excluded:?}"))).collect();
    if let Some(pin) = terms.pin.as_ref().filter(|pin| terms.exclude.contains(*pin)) {
        let message =
            format!("spec.pin: {pin:?} is excluded, and the latest version stays as it is: remove one of both");
        return Some(Remark { reason: Reason::VersionUnknown, message });
    }
    if unknown.is_empty() {
        return None;
    }
    let message =
        format!("the channel has no such version, and the latest version stays as it is: {}", name_some(unknown));
    Some(Remark { reason: Reason::VersionUnknown, message })
}

/// The latest version moves to the Current one once that is shared; until then it stays, while it can be used.
fn latest(
    former: Option<&Latest>,
    terms: &ChannelTerms,
    versions: &[Version],
    served: &impl Fn(&ImageId) -> Served,
    now: Timestamp,
) -> Option<Latest> {
    let current = versions.iter().find(|version| version.stage == Stage::Current);
    let usable = |latest: &&Latest| {
        let version = versions.iter().find(|version| version.image == latest.image);
        version.is_some_and(|version| !terms.exclude.contains(&version.version))
    };
    let stays = former.filter(usable);
    let Some(current) = current else { return stays.cloned() };
    if let Some(same) = former.filter(|former| former.image == current.image) {
        return Some(Latest { version: current.version.clone(), ..same.clone() });
    }
    let Served { ready, shared } = served(&current.image);
    if ready == Some(true) && (shared || waited_until(current) <= now) {
        return Some(Latest { version: current.version.clone(), image: current.image.clone(), since: now });
    }
    stays.cloned()
}

/// Until when `latest` waits for the shares of the Current version.
fn waited_until(current: &Version) -> Timestamp {
    current.staged.saturating_add(SHARES_WAIT).unwrap_or(Timestamp::MAX)
}

/// When something can move by itself.
fn next(versions: &[Version], latest: Option<&Latest>, now: Timestamp) -> Option<Timestamp> {
    let current = versions.iter().find(|version| version.stage == Stage::Current);
    let waits = current.filter(|current| latest.is_none_or(|latest| latest.image != current.image));
    let times = versions.iter().filter_map(|version| version.not_before).chain(waits.map(waited_until));
    times.filter(|time| *time > now).min()
}

/// Drops the oldest versions that the status has no room for. Nothing is done to what was made for them.
fn cut(versions: &mut Vec<Version>, latest: Option<&Latest>) {
    while versions.len() > VERSIONS_MAX {
        let kept = |version: &Version| {
            version.stage == Stage::Current || latest.is_some_and(|latest| latest.image == version.image)
        };
        let oldest =
            |stage: &dyn Fn(Stage) -> bool| versions.iter().rposition(|version| !kept(version) && stage(version.stage));
        let Some(place) = oldest(&|stage| stage == Stage::Retired).or_else(|| oldest(&|_| true)) else { return };
        versions.remove(place);
    }
}

/// The name of the `CloudImage` that is made for an image: the same for every channel of the account in its namespace, so that of
/// several channels that find the image at once one makes it.
pub fn image_name(account: &str, region: &str, image: &ImageId) -> String {
    format!("image-{}", hash_of(&[account, region, image.as_str()], 10))
}

/// Whether a version has, or is to have, a `CloudImage`.
pub fn wants_image(stage: Stage) -> bool {
    matches!(stage, Stage::Candidate | Stage::Current | Stage::Supported)
}
