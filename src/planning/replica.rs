//! What to do about one copy of an image: whether its source can be copied to there, and from where it stands and what the
//! cloud shows to the next step. A copy is written down before the cloud is asked for it, so that there is never a second.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::ledger::written;
use super::problem::{ACROSS, Problem};
use super::schedule::next_copy_look;
use crate::api::conditions::Reason;
use crate::api::image_replica::{CopyAttempt, CopySource, CopyState};
use crate::domain::call::{CopyProgress, Copying};
use crate::domain::fault::{Fault, Missing, Refusal};
use crate::domain::identifiers::{ImageId, InvalidIdentifier, JobId, PrincipalId, RegionId};
use crate::domain::image::{Answer, ImageFacts, ImageKind, ImageState, Ownership, ReceivedImage};
use crate::domain::provider::{CopyMeans, Provider};

const GIB: u64 = 1 << 30;

/// Largest image copied at Huawei (IMS user guide, replicating images within and across regions), in GiB.
const HUAWEI_GIB_MAX: u64 = 128;
/// Regions from which larger ones go. The vendor does not say whether both ends count, and refuses by itself if so.
const HUAWEI_LARGE_REGIONS: [&str; 4] = ["cn-south-1", "cn-east-2", "cn-east-3", "cn-north-4"];
const HUAWEI_LARGE_GIB_MAX: u64 = 300;

/// The longest pause between two tries, as a multiple of the first.
const PAUSES_MAX: i32 = 64;

/// Where a copy is to go, and by which way.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// The cloud.
    pub provider: Provider,
    /// The source is an image that somebody else shares with us.
    pub received: bool,
    /// The owner that is trusted, where one is named.
    pub trusted: Option<&'a PrincipalId>,
    /// Where the source is.
    pub from: &'a RegionId,
    /// Where the copy goes.
    pub to: &'a RegionId,
    /// The account that is to own the copy is the one that has the source.
    pub same_account: bool,
    /// Fields of the destination that are set.
    pub given: &'a BTreeSet<Extra>,
}

/// A field of the destination that not every copy takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extra {
    /// `agencyName`.
    Agency,
    /// `projectName`.
    Project,
    /// `vaultID`.
    Vault,
    /// `encryption`.
    Encryption,
}

/// Whether the destination makes sense at all, before anything is asked.
pub fn judge_route(route: &Route<'_>) -> Result<(), Problem> {
    let refused = |field: &str, why: &str| {
        Err(Problem::blocked(Reason::DestinationRefused, format!("spec.destination.{field}: {why}")))
    };
    let across = route.from != route.to;
    if !route.same_account && route.provider.copies_by() != CopyMeans::Stream {
        return refused("accountRef", "this cloud copies only within the account that has the image: leave it out");
    }
    let huawei_across = route.provider == Provider::Huawei && across;
    let given = |extra| route.given.contains(&extra);
    for (extra, field) in [(Extra::Agency, "agencyName"), (Extra::Project, "projectName"), (Extra::Vault, "vaultID")] {
        if given(extra) && !huawei_across {
            return refused(field, "only copies to another region of Huawei Cloud take it: leave it out");
        }
    }
    if given(Extra::Encryption) && route.provider == Provider::OpenStack {
        return refused("encryption", "this cloud does not encrypt images: leave it out");
    }
    if given(Extra::Encryption) && route.provider == Provider::Huawei && (across || route.received) {
        return refused("encryption", "only a copy of an own image in the same region can be encrypted: leave it out");
    }
    if route.received && across && route.provider.copies_by() != CopyMeans::Stream {
        return Err(Problem::blocked(Reason::CrossRegionNeedsOwnImage, ACROSS));
    }
    if huawei_across && !given(Extra::Agency) {
        let message = "spec.destination.agencyName: a copy to another region needs an agency that lets the image service \
                       write there: name one with IMS Administrator (or IMS CrossCopyAgencyPolicy) on the \
                       destination's project";
        return Err(Problem::blocked(Reason::AgencyRequired, message));
    }
    Ok(())
}

/// Whether the source can be copied, from what was read of it. `offer`: how it is shared with us, where the cloud asks for
/// an answer and the source is a received image.
pub fn judge_source(
    route: &Route<'_>,
    image: Option<&ImageFacts>,
    offer: Option<&ReceivedImage>,
) -> Result<(), Problem> {
    let blocked = |reason, message: &str| Err(Problem::blocked(reason, format!("spec.source: {message}")));
    if route.received && route.provider.rules().handshake {
        match offer.map(|offer| (&offer.owner, offer.answer)) {
            None => return not_offered(),
            Some((owner, _)) if !is_trusted(route, owner.as_ref()) => return untrusted(route, owner.as_ref()),
            Some((_, Some(Answer::Pending | Answer::Rejected))) => {
                return blocked(
                    Reason::NotAccepted,
                    "the image must be accepted before it can be copied: make a SharedImageAcceptance for it",
                );
            }
            Some(_) => {}
        }
    }
    let Some(image) = image else {
        return if route.received {
            not_offered()
        } else {
            blocked(Reason::ImageNotFound, "the cloud does not know the image in this account and region")
        };
    };
    match (&image.ownership, route.received) {
        (Ownership::Received { owner }, true) if !is_trusted(route, owner.as_ref()) => {
            return untrusted(route, owner.as_ref());
        }
        (Ownership::Own, false) | (Ownership::Received { .. }, true) => {}
        (Ownership::Received { .. }, false) => {
            return blocked(Reason::ImageNotOwned, "the image belongs to somebody else: name it by source.received");
        }
        (Ownership::Own, true) => {
            return blocked(Reason::DestinationRefused, "the image is our own: name its CloudImage by source.imageRef");
        }
        (Ownership::System | Ownership::Marketplace, _) => {
            return blocked(Reason::ImageNotCopyable, "images of the vendor and of the marketplace cannot be copied");
        }
    }
    match image.state {
        ImageState::Available => {}
        ImageState::Creating => {
            return Err(Problem::passing(
                Reason::SourceNotReady,
                "spec.source: the image is still being made; waiting",
            ));
        }
        ImageState::Failed => return blocked(Reason::ImageNotAvailable, "the image could not be made"),
        ImageState::Deprecated => {
            return blocked(Reason::ImageNotAvailable, "the image was taken out of use: restore it first");
        }
    }
    if route.provider == Provider::Huawei { judge_at_huawei(route, image) } else { Ok(()) }
}

/// What Huawei refuses is told before the call (IMS user guide and error codes IMG.0130, 0197).
fn judge_at_huawei(route: &Route<'_>, image: &ImageFacts) -> Result<(), Problem> {
    let blocked = |reason, message: String| Err(Problem::blocked(reason, message));
    let across = route.from != route.to;
    let uncopyable = |what: &str| blocked(Reason::ImageNotCopyable, format!("spec.source: {what} cannot be copied"));
    match image.kind {
        ImageKind::Iso => return uncopyable("an ISO image"),
        ImageKind::FullServer if !across => return uncopyable("a full-server image, but for to another region,"),
        ImageKind::FullServer if !route.given.contains(&Extra::Vault) => {
            return blocked(
                Reason::VaultRequired,
                "spec.destination.vaultID: a full-server image can only be copied into a backup vault: name one of the \
                 destination region"
                    .to_owned(),
            );
        }
        ImageKind::FullServer | ImageKind::SystemDisk | ImageKind::DataDisk => {}
    }
    if image.encrypted && (across || route.received) {
        return uncopyable("an encrypted image, but for an own one in its own region,");
    }
    let large = HUAWEI_LARGE_REGIONS.contains(&route.from.as_str());
    let most = match (across, route.received) {
        (true, _) if large => Some(HUAWEI_LARGE_GIB_MAX),
        (true, _) | (false, true) => Some(HUAWEI_GIB_MAX),
        (false, false) => None,
    };
    match (image.size, most) {
        (Some(size), Some(most)) if size > most * GIB => blocked(
            Reason::ImageTooLarge,
            format!("spec.source: the image has {} GiB, and at most {most} GiB are copied there", size.div_ceil(GIB)),
        ),
        _ => Ok(()),
    }
}

fn is_trusted(route: &Route<'_>, owner: Option<&PrincipalId>) -> bool {
    route.trusted.is_none_or(|trusted| owner == Some(trusted))
}

fn untrusted(route: &Route<'_>, owner: Option<&PrincipalId>) -> Result<(), Problem> {
    let owner = owner.map_or("nobody the cloud names", PrincipalId::as_str);
    let trusted = route.trusted.map_or("", PrincipalId::as_str);
    let message = format!(
        "spec.source.received.owner: the image comes from {owner}, and only {trusted} is trusted: nothing is copied; \
         correct owner if you trust that one"
    );
    Err(Problem::blocked(Reason::UntrustedOwner, message))
}

fn not_offered() -> Result<(), Problem> {
    let message =
        "spec.source.received: nobody shares this image with this account in this region; waiting for the offer";
    Err(Problem::blocked(Reason::NotOffered, message))
}

/// One try to make the copy, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which try it is, from 1.
    pub number: u32,
    /// When it was written down or, where it failed, when it was given up.
    pub since: Timestamp,
    /// Where it stands.
    pub stage: Stage,
    /// What is copied.
    pub source: CopySource,
}

/// Where a try stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Written down; the cloud's answer is not known.
    Asked,
    /// Under way.
    Copying(Copying),
    /// Not wanted any more, and perhaps not yet gone.
    Clearing(Option<Copying>),
    /// Given up, and nothing of it is left.
    Failed,
    /// There.
    Made(ImageId),
}

impl Attempt {
    /// Reads a try from a status.
    pub fn parse(copy: &CopyAttempt) -> Result<Self, InvalidIdentifier> {
        let image = copy.image_id.as_deref().map(ImageId::parse).transpose()?;
        let job = copy.job_id.as_deref().map(JobId::parse).transpose()?;
        let copying = image.clone().map(Copying::Image).or(job.map(Copying::Job));
        let stage = match (copy.state, copying, image) {
            (CopyState::Asked, _, _) | (CopyState::Copying, None, _) | (CopyState::Made, _, None) => Stage::Asked,
            (CopyState::Copying, Some(copying), _) => Stage::Copying(copying),
            (CopyState::Clearing, copying, _) => Stage::Clearing(copying),
            (CopyState::Failed, _, _) => Stage::Failed,
            (CopyState::Made, _, Some(image)) => Stage::Made(image),
        };
        Ok(Self { number: copy.number, since: copy.since.0, stage, source: copy.source.clone() })
    }

    /// Writes the try for a status.
    pub fn encode(&self) -> CopyAttempt {
        let (state, copying) = match &self.stage {
            Stage::Asked => (CopyState::Asked, None),
            Stage::Copying(copying) => (CopyState::Copying, Some(copying.clone())),
            Stage::Clearing(copying) => (CopyState::Clearing, copying.clone()),
            Stage::Failed => (CopyState::Failed, None),
            Stage::Made(image) => (CopyState::Made, Some(Copying::Image(image.clone()))),
        };
        let (image_id, job_id) = match copying {
            Some(Copying::Image(image)) => (Some(image.to_string()), None),
            Some(Copying::Job(job)) => (None, Some(job.to_string())),
            None => (None, None),
        };
        let since = written(self.since);
        CopyAttempt { number: self.number, since, state, source: self.source.clone(), image_id, job_id }
    }

    /// The same try at another stage.
    #[must_use]
    pub fn at(&self, stage: Stage) -> Self {
        Self { stage, ..self.clone() }
    }

    /// The try after this one, or the first.
    pub fn after(last: Option<&Self>, source: CopySource, now: Timestamp) -> Self {
        let number = last.map_or(1, |last| last.number.saturating_add(1));
        Self { number, since: now, stage: Stage::Asked, source }
    }
}

/// How long things are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a copy that was asked for may still appear at the cloud, if the answer was lost.
    pub lost: SignedDuration,
    /// How long one whose id is known may be missing in what the cloud shows.
    pub lag: SignedDuration,
    /// Until when calls of a former leader may still take effect; long past where there was none.
    pub others_until: Timestamp,
    /// The pause after the first try that failed; doubled for each further one.
    pub retry: SignedDuration,
}

/// What to do about a try, when its look is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing but looking again then.
    Wait(Timestamp),
    /// So far; look again then.
    Progress(Option<u8>, Timestamp),
    /// Ask the cloud for the copy, by the same order as before.
    Ask,
    /// Forget this try and begin the next one.
    Anew,
    /// Write the content into the empty image.
    Fill(ImageId),
    /// It is at this stage now.
    Now(Stage),
    /// It failed: clear what there is of it, and say why.
    GiveUp(Problem),
    /// The same, because the cloud does not show the copy any more.
    Missing(Problem),
    /// End and remove this image.
    Remove(ImageId),
    /// Nothing of it is left.
    Cleared,
}

impl Step {
    /// Whether it would be wrong if there were something of the copy after all.
    pub fn rests_on_absence(&self) -> bool {
        matches!(self, Self::Anew | Self::Cleared | Self::Missing(_))
    }
}

/// When the next try may begin after one that was given up.
pub fn next_try(attempt: &Attempt, patience: Patience) -> Timestamp {
    let doublings = attempt.number.saturating_sub(1).min(16);
    let times = 1_i32.checked_shl(doublings).unwrap_or(PAUSES_MAX).min(PAUSES_MAX);
    attempt.since.saturating_add(patience.retry * times).unwrap_or(Timestamp::MAX)
}

/// A copy was asked for and the answer is not known; `found`: what the cloud has of it.
pub fn after_asking(
    attempt: &Attempt,
    means: CopyMeans,
    found: Option<ImageId>,
    patience: Patience,
    now: Timestamp,
) -> Step {
    let settled = after(attempt, patience.lost, patience);
    match (found, means) {
        (Some(image), _) => Step::Now(Stage::Copying(Copying::Image(image))),
        // Asked again, the cloud makes no second one.
        (None, CopyMeans::Token | CopyMeans::Stream) => Step::Ask,
        (None, CopyMeans::Job) if now < planted!("second-copy", settled, attempt.since) => Step::Wait(settled),
        (None, CopyMeans::Job) => Step::Anew,
    }
}

/// A copy is under way; `progress`: how far.
pub fn after_following(attempt: &Attempt, progress: CopyProgress, patience: Patience, now: Timestamp) -> Step {
    let settled = settled(attempt, patience);
    match (progress, &attempt.stage) {
        (CopyProgress::Running { percent }, _) => Step::Progress(percent, next_copy_look(attempt.since, now)),
        (CopyProgress::Made(image), _) => Step::Now(Stage::Made(image)),
        (CopyProgress::Empty, Stage::Copying(Copying::Image(image))) => Step::Fill(image.clone()),
        (CopyProgress::Empty, _) => Step::GiveUp(failed("the image was made without content")),
        (CopyProgress::Failed(fault), _) => {
            Step::GiveUp(failed(&format!("the cloud could not make the copy: {}", refusal_to_copy(&fault).message)))
        }
        // A list may lag behind.
        (CopyProgress::Gone, _) if now < settled => Step::Wait(settled),
        (CopyProgress::Gone, _) => Step::Missing(failed("the copy vanished at the cloud before it was made")),
    }
}

/// A copy is not wanted any more. `sight`: how far the one being made is, or, where it is not known which it is, the one
/// that was found.
pub fn after_clearing(attempt: &Attempt, sight: ClearingSight, patience: Patience, now: Timestamp) -> Step {
    let settled = settled(attempt, patience);
    let copying = match &attempt.stage {
        Stage::Clearing(copying) => copying.as_ref(),
        _ => None,
    };
    match (sight, copying) {
        (ClearingSight::Found(Some(image)) | ClearingSight::Progress(CopyProgress::Made(image)), _) => {
            Step::Remove(image)
        }
        (ClearingSight::Found(None) | ClearingSight::Progress(CopyProgress::Gone), _) if now < settled => {
            Step::Wait(settled)
        }
        (ClearingSight::Found(None) | ClearingSight::Progress(CopyProgress::Gone), _) => Step::Cleared,
        (ClearingSight::Progress(_), Some(Copying::Image(image))) => Step::Remove(image.clone()),
        // A job cannot be stopped; what it made is removed afterwards.
        (ClearingSight::Progress(CopyProgress::Running { .. }), _) => Step::Wait(next_copy_look(attempt.since, now)),
        // It ended without a copy; what it left is found by its mark.
        (ClearingSight::Progress(_), _) => Step::Now(Stage::Clearing(None)),
    }
}

/// A step that rests on nothing having been found is taken only when that was read twice: a single list may lack a row, or
/// all. `first_missing`: when it was first read so, since nothing spoke against it.
pub fn after_missing(step: Step, first_missing: Timestamp, patience: Patience, now: Timestamp) -> Step {
    let sure = first_missing.saturating_add(patience.lag).unwrap_or(Timestamp::MAX);
    if step.rests_on_absence() && now < planted!("missing-copy-believed", sure, first_missing) {
        Step::Wait(sure)
    } else {
        step
    }
}

/// Content is being written by nobody this process knows of, and has been since `first_seen`: by a process that died, or
/// that is about to.
pub fn after_losing_the_writer(attempt: &Attempt, first_seen: Timestamp, patience: Patience, now: Timestamp) -> Step {
    if now.duration_since(first_seen) < patience.lost {
        return Step::Progress(None, next_copy_look(attempt.since.max(first_seen), now));
    }
    Step::GiveUp(failed("whoever wrote the copy's content is gone"))
}

/// What kept the cloud from making the copy when it was asked, in the words of the fields.
pub fn refusal_to_copy(fault: &Fault) -> Problem {
    let of = Problem::from(fault);
    let (reason, field) = match fault {
        Fault::NotFound(Missing::Image) => (of.reason, "spec.source: "),
        Fault::NotFound(Missing::Region) => (of.reason, "spec.destination.region: "),
        Fault::Conflict(_) => (Reason::SourceNotReady, "spec.source: "),
        Fault::Refused { refusal: Refusal::Vault, code } => {
            let message = format!(
                "spec.destination.vaultID: the cloud refuses the vault ({code}): name a backup vault of the destination \
                 region with room"
            );
            return Problem { message, ..of };
        }
        _ => (of.reason, ""),
    };
    Problem { reason, message: format!("{field}{}", of.message), recovery: of.recovery }
}

/// Whether a trouble passes when somebody else acts whom this object waits for, rather than being stuck.
pub fn waits_for_others(problem: &Problem) -> bool {
    matches!(
        problem.reason,
        Reason::SourceNotReady | Reason::NotOffered | Reason::NotAccepted | Reason::CopyFailed | Reason::ShareExists
    )
}

/// What was seen of a copy that is being cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClearingSight {
    /// How far it is.
    Progress(CopyProgress),
    /// What was found by its mark.
    Found(Option<ImageId>),
}

/// From then on, what is not seen of a try is not there.
fn settled(attempt: &Attempt, patience: Patience) -> Timestamp {
    match &attempt.stage {
        Stage::Copying(Copying::Image(_)) | Stage::Clearing(Some(Copying::Image(_))) => {
            after(attempt, patience.lag, patience)
        }
        _ => after(attempt, patience.lost, patience),
    }
}

fn after(attempt: &Attempt, time: SignedDuration, patience: Patience) -> Timestamp {
    attempt.since.max(patience.others_until).saturating_add(time).unwrap_or(Timestamp::MAX)
}

fn failed(message: &str) -> Problem {
    Problem::blocked(
        Reason::CopyFailed,
        format!("{message}; what there was of it is removed, and it is tried again later"),
    )
}
