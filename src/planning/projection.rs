//! The status of an `ImageShare`: a projection of its `CloudImage`'s ledger onto its own recipients. It decides nothing
//! beyond the ledger.

mod messages;

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::deletion::blocks_deletion_only;
use super::grace::grace_left;
use super::guests::for_guests;
use super::problem::name_some;
use crate::api::cloud_image::{CloudImage, CloudImageStatus, CopyGrant, GrantState, ServedShare};
use crate::api::conditions::{ACCEPTED, Decision, READY, RECONCILING, Reason, SHARED, STALLED, Truth, find};
use crate::api::expiration::Expiration;
use crate::api::image_share::{ImageShare, ImageShareStatus, RecipientAnswer, SpecRecipient, WaitingRecipient};
use crate::api::limits::{REQUEST_CHARS_MAX, SHARES_PER_IMAGE_MAX};
use crate::domain::foreign_text::plain;
use crate::domain::identifiers::{KnownAs, PrincipalId, RecipientKind, known_as};
use crate::domain::image::Answer;
use messages::{explain, named_once, shared, shown};

/// Longest part of an unrepresentable time that a condition repeats, in characters.
const ODD_CHARS_MAX: usize = 64;

/// The image a share names.
#[derive(Debug, Clone, Copy)]
pub enum Reference<'a> {
    /// It does not exist, or does not admit this namespace: one message for both, so that nothing leaks across
    /// namespaces.
    Unresolved,
    /// It could not be read.
    Unknown,
    /// It admits namespaces by their labels, which this operator has no permission to read.
    BeyondScope,
    /// It admits namespaces by an invalid selector.
    SelectorInvalid,
    /// It cannot be parsed as its kind.
    Unreadable,
    /// It does not exist yet: an `ImageReplica` that this namespace may know of makes it.
    BeingMade,
    /// It exists.
    Found(&'a CloudImage),
}

/// A share's status without times: its fields and its decided conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// Fields of the status; conditions are empty.
    pub status: ImageShareStatus,
    /// The conditions.
    pub decisions: Vec<Decision>,
}

impl Projection {
    /// Whether it has a condition of this type and status.
    pub fn says(&self, kind: &str, truth: Truth) -> bool {
        self.decisions.iter().any(|decision| decision.kind == kind && decision.truth == truth)
    }

    /// The reason of its condition of this type.
    pub fn reason(&self, kind: &str) -> Option<Reason> {
        self.decisions.iter().find(|decision| decision.kind == kind).map(|decision| decision.reason)
    }
}

struct Readiness {
    truth: Truth,
    reason: Reason,
    message: String,
    /// User action is needed.
    stalled: bool,
}

impl Readiness {
    fn new(truth: Truth, reason: Reason, message: impl Into<String>, stalled: bool) -> Self {
        Self { truth, reason, message: message.into(), stalled }
    }
}

/// Projects the ledger onto one share.
pub fn project(share: &ImageShare, reference: Reference<'_>, now: Timestamp) -> Projection {
    let status = match reference {
        Reference::Found(image) => image.status.as_ref(),
        Reference::Unresolved
        | Reference::Unknown
        | Reference::BeyondScope
        | Reference::SelectorInvalid
        | Reference::BeingMade
        | Reference::Unreadable => None,
    };
    let mut waiting = waiting(share, status);
    if let Some(cause) = cause(share, reference, &waiting, now) {
        let undecided = waiting.iter_mut().filter(|recipient| recipient.reason == Reason::Pending);
        undecided.for_each(|recipient| recipient.reason = cause);
    }
    let answers = answers(share, status);
    let desired = named_once(share).count();
    let granted = desired.saturating_sub(waiting.len());
    let readiness = readiness(share, reference, &waiting, now);
    let status = ImageShareStatus {
        observed_generation: share.metadata.generation,
        last_handled_reconcile_at: last_handled(share, status, readiness.reason),
        conditions: Vec::new(),
        image: served_by(share, reference, readiness.reason),
        summary: Some(format!("{granted}/{desired}")),
        accepted: (!answers.is_empty()).then(|| {
            let accepted = answers.iter().filter(|said| said.answer == Answer::Accepted).count();
            format!("{accepted}/{}", answers.len())
        }),
        answers,
        waiting,
    };
    let accepted = acceptance(share, &readiness, &status);
    let mut decisions = decisions(readiness, granted, desired);
    decisions.extend(accepted);
    Projection { status, decisions }
}

/// The image that serves the share: the first that did, told with what became of the share and not by a write of its own.
fn served_by(share: &ImageShare, reference: Reference<'_>, reason: Reason) -> Option<String> {
    let written = share.status.as_ref().and_then(|status| status.image.clone());
    let Reference::Found(image) = reference else { return written };
    let serves =
        reason != Reason::Pending && image.status.as_ref().is_some_and(|status| serving(share, status).is_some());
    let named = || {
        let (namespace, name) = (image.metadata.namespace.as_ref()?, image.metadata.name.as_ref()?);
        serves.then(|| format!("{namespace}/{name}"))
    };
    written.or_else(named)
}

/// The reconcile request that was handled last: by the image, if it serves the share or is about to.
fn last_handled(share: &ImageShare, image: Option<&CloudImageStatus>, reason: Reason) -> Option<String> {
    let asked = share.metadata.annotations.as_ref()?.get(crate::api::RECONCILE_REQUESTED_AT)?;
    let answered = match image.and_then(|status| serving(share, status)) {
        Some(served) => served.last_handled_reconcile_at == Some(asked.chars().take(REQUEST_CHARS_MAX).collect()),
        None => reason != Reason::Pending,
    };
    let before = || share.status.as_ref().and_then(|status| status.last_handled_reconcile_at.clone());
    if answered { Some(asked.chars().take(256).collect()) } else { before() }
}

/// Whether the granted recipients accepted. Reported beside `Shared`, which does not wait for it.
fn acceptance(share: &ImageShare, readiness: &Readiness, status: &ImageShareStatus) -> Option<Decision> {
    let decide = |truth, reason, message: String| Some(Decision { kind: ACCEPTED, truth, reason, message });
    let those_who_said = |answer| {
        let said = status.answers.iter().filter(|said| said.answer == answer);
        said.map(|said| shown(share, said.kind, &said.id)).collect::<Vec<_>>()
    };
    let (pending, rejected) = (those_who_said(Answer::Pending), those_who_said(Answer::Rejected));
    if readiness.truth != Truth::True && status.answers.is_empty() {
        return None;
    }
    if status.answers.is_empty() {
        return decide(Truth::True, Reason::NoAnswerNeeded, "nobody who has it is asked for an answer".to_owned());
    }
    if !rejected.is_empty() {
        let message = format!(
            "these rejected the image, which stays shared with them until they are taken off the list; taken off and put \
             on again they are asked again: {}",
            name_some(rejected)
        );
        return decide(Truth::False, Reason::Rejected, message);
    }
    if !pending.is_empty() {
        let message = format!("these have not answered yet, and can accept at any time: {}", name_some(pending));
        return decide(Truth::False, Reason::AwaitingAnswer, message);
    }
    decide(Truth::True, Reason::Accepted, "everybody who was asked accepted".to_owned())
}

/// The answers of the share's recipients, as far as they are granted and asked.
fn answers(share: &ImageShare, status: Option<&CloudImageStatus>) -> Vec<RecipientAnswer> {
    let grants = status.map(|s| s.grants.as_slice()).unwrap_or_default().iter();
    let granted = grants.filter(|grant| matches!(grant.state, GrantState::Granted | GrantState::Retained));
    let said: HashMap<(RecipientKind, &str), Answer> =
        granted.filter_map(|grant| Some(((grant.kind, grant.id.as_str()), grant.answer?))).collect();
    let answer = |recipient: &SpecRecipient| {
        let answer = *said.get(&(recipient.kind, recipient.id.as_str()))?;
        Some(RecipientAnswer { kind: recipient.kind, id: recipient.id.clone(), answer })
    };
    share.spec.recipients.iter().filter_map(answer).collect()
}

/// `Ready` explains; `Shared` counts: `granted` of `desired` recipients.
fn decisions(readiness: Readiness, granted: usize, desired: usize) -> Vec<Decision> {
    let Readiness { truth, reason, message, stalled } = readiness;
    let decide = |kind, truth| Decision { kind, truth, reason, message: message.clone() };
    let counted = format!("the image is shared with {granted} of {desired} recipients");
    let mut decisions = vec![decide(READY, truth), Decision { message: counted, ..decide(SHARED, truth) }];
    if stalled {
        decisions.push(decide(STALLED, Truth::True));
    } else if is_moving(reason, truth) {
        decisions.push(decide(RECONCILING, Truth::True));
    }
    decisions
}

/// Whether something goes on by itself. Objects that others refer to count, for as long as they do not make it stalled.
fn is_moving(reason: Reason, truth: Truth) -> bool {
    let awaited =
        [Reason::ImageRefUnresolved, Reason::AccountNotFound, Reason::SecretNotFound, Reason::ServiceAccountNotFound];
    truth == Truth::Unknown || matches!(reason, Reason::Pending | Reason::Revoking) || awaited.contains(&reason)
}

/// Recipients of the share that the ledger does not show as granted.
fn waiting(share: &ImageShare, status: Option<&CloudImageStatus>) -> Vec<WaitingRecipient> {
    let mut known: HashMap<KnownAs<'_>, Option<Reason>> = HashMap::new();
    if let Some(status) = status {
        for grant in &status.grants {
            let reason = match (grant.state, grant.refusal) {
                (GrantState::Granted | GrantState::Retained, _) => None,
                (GrantState::Intended, refusal) => Some(refusal.unwrap_or(Reason::Pending)),
                (GrantState::Revoking, _) => Some(Reason::Revoking),
                (GrantState::ImageGone, _) => Some(Reason::ImageNotFound),
            };
            known.insert(known_as(grant.kind, &grant.id), reason);
        }
        for declined in &status.declined {
            known.insert(known_as(declined.kind, &declined.id), Some(declined.reason));
        }
    }
    let copies = status.map(copies).unwrap_or_default();
    named_once(share)
        .filter_map(|recipient| {
            // A text that is no identifier has no entry in a ledger.
            let unknown =
                if PrincipalId::parse(&recipient.id).is_ok() { Reason::Pending } else { Reason::InvalidRecipient };
            let key = known_as(recipient.kind, &recipient.id);
            // What it waits for to copy the image; the operator lets it copy first, and then use it.
            let no_copy = || copies.get(&key).copied().unwrap_or(Some(Reason::Pending)).filter(|_| recipient.copyable);
            let reason = known.get(&key).copied().unwrap_or(Some(unknown)).or_else(no_copy)?;
            Some(WaitingRecipient { kind: recipient.kind, id: recipient.id.clone(), reason })
        })
        .collect()
}

/// What recipients wait for that are to be able to copy the image; `None` for those that can.
fn copies(status: &CloudImageStatus) -> HashMap<KnownAs<'_>, Option<Reason>> {
    let refused = status.copies_refused.as_ref().map(|_| Reason::CopyRefused);
    let waits_for = |grant: &CopyGrant| match grant.state {
        GrantState::Granted | GrantState::Retained => None,
        GrantState::Intended | GrantState::ImageGone => grant.refusal.or(refused).or(Some(Reason::Pending)),
        GrantState::Revoking => Some(Reason::Revoking),
    };
    status.copies.iter().map(|grant| (known_as(grant.kind, &grant.id), waits_for(grant))).collect()
}

/// What all recipients wait for that nothing is decided about.
fn cause(share: &ImageShare, reference: Reference<'_>, waiting: &[WaitingRecipient], now: Timestamp) -> Option<Reason> {
    let image = match found(share, reference) {
        Ok(image) => image,
        Err(hidden) => return Some(hidden.reason),
    };
    let problem = stopped(share, now).or_else(|| image_problem(share, image, waiting))?;
    Some(problem.reason)
}

/// The image that a share names, or why nothing can be reported about it.
fn found<'a>(share: &ImageShare, reference: Reference<'a>) -> Result<&'a CloudImage, Readiness> {
    let (truth, reason, message) = match reference {
        Reference::Found(image) => return Ok(image),
        Reference::Unknown => {
            let message = "waiting for the first reconcile of the CloudImage";
            return Err(Readiness::new(Truth::Unknown, Reason::Pending, message, false));
        }
        Reference::Unresolved => {
            return Err(Readiness::new(Truth::False, Reason::ImageRefUnresolved, unresolved(share), true));
        }
        Reference::BeingMade => {
            let message = "spec.imageRef: an ImageReplica of that name makes this CloudImage; waiting for the copy";
            return Err(Readiness::new(Truth::False, Reason::ImageRefUnresolved, message, false));
        }
        Reference::BeyondScope => (
            Truth::Unknown,
            Reason::SelectorNeedsClusterScope,
            "the CloudImage admits namespaces by a selector, and this operator may not read their labels: nothing is \
             granted or revoked; let the owner set shareableFrom to All or Same, or run the operator for the whole cluster",
        ),
        Reference::SelectorInvalid => (
            Truth::Unknown,
            Reason::SelectorInvalid,
            "the CloudImage admits namespaces by a selector that cannot be read, so that nothing is granted or revoked \
             for this share; its owner must mend shareableFrom",
        ),
        Reference::Unreadable => (
            Truth::Unknown,
            Reason::Unreadable,
            "this version of the operator cannot read the CloudImage, so that nothing is granted or revoked for this \
             share; the CloudImage says which field must be mended",
        ),
    };
    Err(Readiness::new(truth, reason, message, true))
}

/// Why there is no image. Where it may be another namespace's, absent and not admitted read the same.
fn unresolved(share: &ImageShare) -> String {
    let reference = &share.spec.image_ref;
    let own = share.metadata.namespace.as_deref().unwrap_or_default();
    let name = &reference.name;
    match reference.namespace.as_deref().filter(|namespace| *namespace != own) {
        None => format!(
            "spec.imageRef: there is no CloudImage {name:?} in namespace {own:?}: correct imageRef, or make the CloudImage"
        ),
        Some(namespace) => format!(
            "spec.imageRef: there is no CloudImage {name:?} in namespace {namespace:?}, or its shareableFrom does not admit \
             namespace {own:?}: correct imageRef, or ask its owner"
        ),
    }
}

/// What in its own spec stops a share, whatever its image.
fn stopped(share: &ImageShare, now: Timestamp) -> Option<Readiness> {
    if share.spec.suspend {
        let message = "spec.suspend: nothing is granted or revoked for this share; what it has stays";
        return Some(Readiness::new(Truth::False, Reason::Suspended, message, false));
    }
    match share.spec.expiration_time.as_ref()? {
        Expiration::Odd(text) => {
            let message = format!(
                "spec.expirationTime: {:?} is not a time that this operator can represent, so that nothing is granted or \
                 revoked for this share: write a time before the year 9999, such as 2030-01-31T00:00:00Z, or leave it out \
                 for a share that never expires",
                plain(text, ODD_CHARS_MAX)
            );
            Some(Readiness::new(Truth::False, Reason::Unreadable, message, true))
        }
        Expiration::At(end) if *end <= now => {
            let message = "spec.expirationTime has passed: access is ended; give a later time to share again";
            Some(Readiness::new(Truth::False, Reason::Expired, message, false))
        }
        Expiration::At(_) => None,
    }
}

fn readiness(share: &ImageShare, reference: Reference<'_>, waiting: &[WaitingRecipient], now: Timestamp) -> Readiness {
    let image = match found(share, reference) {
        Ok(image) => image,
        Err(hidden) => {
            let created = share.metadata.creation_timestamp.as_ref().map(|time| time.0);
            let stalled = hidden.stalled && grace_left(hidden.reason, created, now).is_none();
            return Readiness { stalled, ..hidden };
        }
    };
    if share.metadata.deletion_timestamp.is_some() {
        return deleting(share, image);
    }
    if let Some(stopped) = stopped(share, now) {
        return stopped;
    }
    let status = image.status.as_ref();
    let served = served_generation(share, status);
    if let Some(problem) = image_problem(share, image, waiting) {
        return problem;
    }
    let worst = waiting.iter().map(|w| w.reason).min_by_key(|reason| urgency(*reason));
    let worst = match worst.filter(|worst| !matches!(worst, Reason::Pending | Reason::Revoking)) {
        Some(worst) => worst,
        None if served.is_none() && status.is_some_and(|s| s.shares.len() >= SHARES_PER_IMAGE_MAX) => {
            let message = "more ImageShares name this image than it serves: put recipients together into fewer shares";
            return Readiness::new(Truth::False, Reason::TooManyShares, message, true);
        }
        None if waiting.is_empty() && served >= share.metadata.generation => {
            return Readiness::new(Truth::True, Reason::Shared, shared(share, image, &answers(share, status)), false);
        }
        None => return pending(),
    };
    Readiness::new(Truth::False, worst, each_group(share, waiting, status), worst != Reason::ImageNotAvailable)
}

/// Whom the image is not shared with, each reason by itself, what a user must act on first.
fn each_group(share: &ImageShare, waiting: &[WaitingRecipient], status: Option<&CloudImageStatus>) -> String {
    let mut reasons: Vec<(u8, String, Reason)> =
        waiting.iter().map(|w| (urgency(w.reason), w.reason.as_str(), w.reason)).collect();
    reasons.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    reasons.dedup_by(|a, b| a.2 == b.2);
    let told = reasons.into_iter().map(|(_, _, reason)| {
        let whom = waiting.iter().filter(|w| w.reason == reason).map(|w| shown(share, w.kind, &w.id));
        explain(reason, &name_some(whom), status)
    });
    told.collect::<Vec<_>>().join("; ")
}

fn pending() -> Readiness {
    Readiness::new(Truth::Unknown, Reason::Pending, "waiting for the image to be shared", false)
}

/// The cloud's refusals of calls that are to end this share's access.
fn refused_removals(share: &ImageShare, status: Option<&CloudImageStatus>) -> Option<String> {
    let refused = status?.grants.iter().filter_map(|grant| {
        let whom = known_as(grant.kind, &grant.id);
        let ours = share.spec.recipients.iter().any(|asked| known_as(asked.kind, &asked.id) == whom);
        let code = grant.attempt.as_ref()?.code.as_ref()?;
        (ours && grant.state == GrantState::Revoking)
            .then(|| format!("{} ({code})", shown(share, grant.kind, &grant.id)))
    });
    let refused: Vec<String> = refused.collect();
    (!refused.is_empty()).then(|| name_some(refused))
}

fn deleting(share: &ImageShare, image: &CloudImage) -> Readiness {
    let status = image.status.as_ref();
    if let Some(refused) = refused_removals(share, status) {
        let message = format!(
            "the cloud refuses to end access, which is tried again with growing pauses: {refused}; look the code up at the \
             vendor, or set deletionPolicy: Retain to leave the access at the cloud and let this object go"
        );
        return Readiness::new(Truth::False, Reason::Revoking, message, false);
    }
    let cause = status.and_then(|s| find(&s.conditions, READY)).filter(|c| c.status != "True");
    let cause = cause.filter(|ready| reason_in(ready).is_none_or(affects_shares));
    let message = match cause {
        Some(ready) => format!(
            "access must be ended first, which waits for: {}; or set deletionPolicy: Retain to leave it at the cloud \
             and let this object go",
            message_of(share, image, ready)
        ),
        None => "access is being ended at the cloud".to_owned(),
    };
    Readiness::new(Truth::False, Reason::Revoking, message, false)
}

fn served_generation(share: &ImageShare, status: Option<&CloudImageStatus>) -> Option<i64> {
    serving(share, status?).map(|served| served.generation)
}

fn serving<'a>(share: &ImageShare, status: &'a CloudImageStatus) -> Option<&'a ServedShare> {
    let uid = share.metadata.uid.as_deref()?;
    status.shares.iter().find(|served| served.uid == uid)
}

/// A problem of the image is also the share's problem. Recipients that have the image keep it while the cloud refuses
/// others.
fn image_problem(share: &ImageShare, image: &CloudImage, waiting: &[WaitingRecipient]) -> Option<Readiness> {
    let conditions = &image.status.as_ref()?.conditions;
    let ready = find(conditions, READY).filter(|condition| condition.status != "True")?;
    let reason = reason_in(ready).filter(|reason| affects_shares(*reason))?;
    if waiting.is_empty() && image.status.as_ref()?.refused.is_some() {
        return None;
    }
    if reason == Reason::Pending {
        return (!waiting.is_empty()).then(pending);
    }
    let truth = if ready.status == "False" { Truth::False } else { Truth::Unknown };
    let stalled = find(conditions, STALLED).is_some();
    let message = match &image.metadata.deletion_timestamp {
        Some(_) => format!(
            "the CloudImage is being deleted, which waits for the ImageShares that name it: delete this one; {}",
            message_of(share, image, ready)
        ),
        None => message_of(share, image, ready),
    };
    Some(Readiness::new(truth, reason, message, stalled))
}

fn reason_in(condition: &Condition) -> Option<Reason> {
    Reason::named(&condition.reason)
}

/// Whether a problem of the image affects the shares that it serves. A problem of its namespace selector does not, nor what
/// blocks its deletion.
fn affects_shares(reason: Reason) -> bool {
    !matches!(reason, Reason::SelectorInvalid | Reason::SelectorNeedsClusterScope) && !blocks_deletion_only(reason)
}

/// What a share reports of its image's problem: the owner's message in the owner's namespace, and no name elsewhere.
fn message_of(share: &ImageShare, image: &CloudImage, ready: &Condition) -> String {
    match reason_in(ready) {
        Some(reason) if share.metadata.namespace != image.metadata.namespace => for_guests(reason).to_owned(),
        Some(_) => format!("CloudImage {}: {}", share.spec.image_ref.name, ready.message),
        None => for_guests(Reason::Pending).to_owned(),
    }
}

/// What to report first: reasons that need user action, then those that wait, then those that resolve by themselves.
fn urgency(reason: Reason) -> u8 {
    match reason {
        Reason::RecipientKindUnsupported => 0,
        Reason::InvalidRecipient => 1,
        Reason::RecipientIsOwner => 2,
        Reason::RegionNotOnSite => 3,
        Reason::ImageNotShareable => 4,
        Reason::RecipientFull => 5,
        Reason::RecipientRefused => 6,
        Reason::RecipientLimit => 7,
        Reason::RecipientLeft | Reason::CopyableUnsupported | Reason::CopyableLimit | Reason::CopyRefused => 8,
        Reason::Pending | Reason::Revoking => 10,
        _ => 9,
    }
}
