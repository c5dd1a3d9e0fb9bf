//! Plans one copy of an image: whether its source can be copied to the destination, and the next step from its stage
//! and what the cloud shows. The operator records a copy before it asks the cloud for it, so that there is never a
//! second one.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::attempts::written;
use super::problem::{ACROSS, Problem};
use super::schedule::next_copy_poll;
use crate::api::conditions::Reason;
use crate::api::image_replica::{CopyAttempt, CopySource, CopyState, ReplicaDestination};
use crate::domain::call::{CopyProgress, Copying};
use crate::domain::fault::{Fault, Missing, Refusal};
use crate::domain::identifiers::{ImageId, InvalidIdentifier, JobId, PrincipalId, RegionId};
use crate::domain::image::{Answer, ImageFacts, ImageKind, ImageState, Ownership, ReceivedImage};
use crate::domain::provider::{CopyMeans, EncryptedCopies, Provider};

const GIB: u64 = 1 << 30;

/// The longest delay between two attempts, as a multiple of the first.
const PAUSES_MAX: i32 = 64;

/// Source and destination of a copy.
#[derive(Debug, Clone)]
pub struct Route {
    /// The cloud.
    pub provider: Provider,
    /// The source is an image that another account shares with this one.
    pub received: bool,
    /// The trusted owner, if one is named.
    pub trusted: Option<PrincipalId>,
    /// The region of the source.
    pub from: RegionId,
    /// The region of the copy.
    pub to: RegionId,
    /// The account that will own the copy is the one that has the source.
    pub same_account: bool,
    /// Destination fields that are set.
    pub given: BTreeSet<Extra>,
}

/// A destination field that not every copy accepts.
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

/// Whether the destination is valid at all, before any call.
pub fn judge_route(route: &Route) -> Result<(), Problem> {
    let refused = |field: &str, why: &str| {
        Err(Problem::blocked(Reason::DestinationRefused, format!("spec.destination.{field}: {why}")))
    };
    let across = route.from != route.to;
    if !route.same_account && route.provider.copies_by() != CopyMeans::Stream {
        return refused("accountRef", "this cloud copies only within the account that has the image: leave it out");
    }
    let rules = route.provider.rules();
    let by_agency = rules.agency_across && across;
    let given = |extra| route.given.contains(&extra);
    for (extra, field) in [(Extra::Agency, "agencyName"), (Extra::Project, "projectName"), (Extra::Vault, "vaultID")] {
        if given(extra) && !by_agency {
            return refused(field, "only copies to another region of Huawei Cloud take it: leave it out");
        }
    }
    if given(Extra::Encryption) && rules.encrypted_copies == EncryptedCopies::None {
        return refused("encryption", "this cloud does not encrypt images: leave it out");
    }
    let own_only = rules.encrypted_copies == EncryptedCopies::OwnWithinRegion;
    if given(Extra::Encryption) && own_only && (across || route.received) {
        return refused("encryption", "only a copy of an own image in the same region can be encrypted: leave it out");
    }
    if route.received && across && !rules.received_across {
        return Err(Problem::blocked(Reason::CrossRegionNeedsOwnImage, ACROSS));
    }
    if by_agency && !given(Extra::Agency) {
        let message = "spec.destination.agencyName: a copy to another region needs an agency that lets the image service \
                       write there: name one with IMS Administrator (or IMS CrossCopyAgencyPolicy) on the \
                       destination's project";
        return Err(Problem::blocked(Reason::AgencyRequired, message));
    }
    Ok(())
}

/// Whether the source can be copied, from what was read of it. `offer`: how it is shared with this account, if the
/// cloud asks for an answer and the source is a received image.
pub fn judge_source(route: &Route, image: Option<&ImageFacts>, offer: Option<&ReceivedImage>) -> Result<(), Problem> {
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
    if route.provider.rules().restricts_copies { judge_restrictions(route, image) } else { Ok(()) }
}

/// Reports what Huawei would refuse, before the call (IMS user guide and error codes IMG.0130, 0197).
fn judge_restrictions(route: &Route, image: &ImageFacts) -> Result<(), Problem> {
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
    let most = route.provider.largest_copy_gib(&route.from, across, route.received);
    match (image.size, most) {
        (Some(size), Some(most)) if size > most * GIB => blocked(
            Reason::ImageTooLarge,
            format!("spec.source: the image has {} GiB, and at most {most} GiB are copied there", size.div_ceil(GIB)),
        ),
        _ => Ok(()),
    }
}

fn is_trusted(route: &Route, owner: Option<&PrincipalId>) -> bool {
    route.trusted.as_ref().is_none_or(|trusted| owner == Some(trusted))
}

fn untrusted(route: &Route, owner: Option<&PrincipalId>) -> Result<(), Problem> {
    let owner = owner.map_or("nobody the cloud names", PrincipalId::as_str);
    let trusted = route.trusted.as_ref().map_or("", PrincipalId::as_str);
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

/// One recorded attempt to make the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// When it was recorded or, if it failed, given up.
    pub since: Timestamp,
    /// Its stage.
    pub stage: Stage,
    /// The source of the copy.
    pub source: CopySource,
    /// Where the copy goes; `None`: an older version recorded the attempt, and the spec could not change.
    pub destination: Option<ReplicaDestination>,
}

/// The stage of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Recorded; the cloud's answer is not known.
    Asked,
    /// In progress.
    Copying(Copying),
    /// Not desired any more, and perhaps not yet removed.
    Clearing(Option<Copying>),
    /// Given up, and nothing of it is left.
    Failed,
    /// The copy exists.
    Made(ImageId),
}

impl Attempt {
    /// Reads an attempt from status.
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
        let (source, destination) = (copy.source.clone(), copy.destination.clone());
        Ok(Self { number: copy.number, since: copy.since.0, stage, source, destination })
    }

    /// Writes the attempt for status.
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
        let (source, destination) = (self.source.clone(), self.destination.clone());
        CopyAttempt { number: self.number, since, state, source, destination, image_id, job_id }
    }

    /// The same attempt at another stage.
    #[must_use]
    pub fn at(&self, stage: Stage) -> Self {
        Self { stage, ..self.clone() }
    }

    /// The attempt after this one, or the first. It goes where the last one went.
    pub fn after(last: Option<&Self>, source: CopySource, now: Timestamp) -> Self {
        let number = last.map_or(1, |last| last.number.saturating_add(1));
        let destination = last.and_then(|last| last.destination.clone());
        Self { number, since: now, stage: Stage::Asked, source, destination }
    }

    /// The same attempt to another destination.
    #[must_use]
    pub fn to(self, destination: ReplicaDestination) -> Self {
        Self { destination: Some(destination), ..self }
    }

    /// Whether the spec asks for something else by now than this attempt did. `source`: what the spec names.
    pub fn is_corrected(&self, source: &CopySource, destination: &ReplicaDestination) -> bool {
        self.source != *source || self.destination.as_ref().is_some_and(|asked| asked != destination)
    }
}

/// Time limits and delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a requested copy may still appear at the cloud, if the answer was lost.
    pub lost: SignedDuration,
    /// The same before a second copy is asked for, where the cloud would make one: some clouds show a copy only once it is made, which
    /// takes minutes to an hour.
    pub unanswered: SignedDuration,
    /// How long a copy with a known id may be missing from the cloud's answers.
    pub lag: SignedDuration,
    /// Until when calls of a former leader may still take effect; long past if there was none.
    pub others_until: Timestamp,
    /// The delay after the first failed attempt; doubled for each further one.
    pub retry: SignedDuration,
}

/// The next step of an attempt after its observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Only observe it again at this time.
    Wait(Timestamp),
    /// The progress so far; observe it again at this time.
    Progress(Option<u8>, Timestamp),
    /// Ask the cloud for the copy, with the same request as before.
    Ask,
    /// Discard this attempt and begin the next one.
    Anew,
    /// Write the content into the empty image.
    Fill(ImageId),
    /// It is at this stage now.
    Now(Stage),
    /// It failed: remove what exists of it, and report why.
    GiveUp(Problem),
    /// The same, because the cloud does not show the copy any more.
    Missing(Problem),
    /// Stop and remove this image.
    Remove(ImageId),
    /// Nothing of it is left.
    Cleared,
}

impl Step {
    /// Whether the step would be wrong if parts of the copy existed after all.
    pub fn rests_on_absence(&self) -> bool {
        matches!(self, Self::Anew | Self::Cleared | Self::Missing(_))
    }
}

/// When the next attempt may begin after one that was given up.
pub fn next_try(attempt: &Attempt, patience: Patience) -> Timestamp {
    let doublings = attempt.number.saturating_sub(1).min(16);
    let times = 1_i32.checked_shl(doublings).unwrap_or(PAUSES_MAX).min(PAUSES_MAX);
    attempt.since.saturating_add(patience.retry * times).unwrap_or(Timestamp::MAX)
}

/// A copy was requested and the answer is not known; `found`: the copy at the cloud, if any.
pub fn after_asking(
    attempt: &Attempt,
    means: CopyMeans,
    found: Option<ImageId>,
    patience: Patience,
    now: Timestamp,
) -> Step {
    let settled = after(attempt, patience.unanswered, patience);
    match (found, means) {
        (Some(image), _) => Step::Now(Stage::Copying(Copying::Image(image))),
        // A repeated request makes no second copy.
        (None, CopyMeans::Token | CopyMeans::Stream) => Step::Ask,
        (None, CopyMeans::Job) if now < planted!("second-copy", settled, attempt.since) => Step::Wait(settled),
        (None, CopyMeans::Job) => Step::Anew,
    }
}

/// A copy is in progress; `progress`: how far.
pub fn after_following(attempt: &Attempt, progress: CopyProgress, patience: Patience, now: Timestamp) -> Step {
    let settled = settled(attempt, patience);
    match (progress, &attempt.stage) {
        (CopyProgress::Running { percent }, _) => Step::Progress(percent, next_copy_poll(attempt.since, now)),
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

/// A copy is not desired any more. `sight`: its progress or, if its id is not known, the copy that was found.
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
        // A job cannot be stopped; its image is removed afterwards.
        (ClearingSight::Progress(CopyProgress::Running { .. }), _) => Step::Wait(next_copy_poll(attempt.since, now)),
        // It ended without a copy; its mark identifies what it left.
        (ClearingSight::Progress(_), _) => Step::Now(Stage::Clearing(None)),
    }
}

/// Takes a step that rests on absence only after two reads: a single list may lack a row, or all rows. `first_missing`:
/// the first absent read since the last contrary one.
pub fn after_missing(step: Step, first_missing: Timestamp, patience: Patience, now: Timestamp) -> Step {
    let sure = first_missing.saturating_add(patience.lag).unwrap_or(Timestamp::MAX);
    if step.rests_on_absence() && now < planted!("missing-copy-believed", sure, first_missing) {
        Step::Wait(sure)
    } else {
        step
    }
}

/// No process known to this one has written the content since `first_seen`: the writer died, or is about to.
pub fn after_losing_the_writer(attempt: &Attempt, first_seen: Timestamp, patience: Patience, now: Timestamp) -> Step {
    if now.duration_since(first_seen) < patience.lost {
        return Step::Progress(None, next_copy_poll(attempt.since.max(first_seen), now));
    }
    Step::GiveUp(failed("whoever wrote the copy's content is gone"))
}

/// Why the cloud refused to make the copy, with the spec field that it concerns.
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

/// Whether this object waits for another object or user, rather than being stuck.
pub fn waits_for_others(problem: &Problem) -> bool {
    matches!(
        problem.reason,
        Reason::SourceNotReady | Reason::NotOffered | Reason::NotAccepted | Reason::CopyFailed | Reason::ShareExists
    )
}

/// The observation of a copy that is being removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClearingSight {
    /// Its progress.
    Progress(CopyProgress),
    /// The image found by its mark.
    Found(Option<ImageId>),
}

/// From this time on, parts of an attempt that are not observed do not exist.
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
