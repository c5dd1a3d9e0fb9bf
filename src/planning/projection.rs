//! What an `ImageShare` says of itself: a projection of its `CloudImage`'s ledger onto its own recipients. Nothing is
//! decided here that the ledger does not already say.

use std::collections::HashMap;

use jiff::Timestamp;

use super::trouble::name_some;
use crate::api::cloud_image::{CloudImage, CloudImageStatus, GrantState, RetainPolicy};
use crate::api::conditions::{ACCEPTED, DELETABLE, Decision, READY, RECONCILING, Reason, SHARED, STALLED, Truth, find};
use crate::api::image_share::{
    ImageShare, ImageShareStatus, RecipientAnswer, ShareDeletionPolicy, SpecRecipient, WaitingRecipient,
};
use crate::api::limits::SHARES_PER_IMAGE_MAX;
use crate::domain::identifiers::RecipientKind;
use crate::domain::image::Answer;

/// The image a share names.
#[derive(Debug, Clone, Copy)]
pub enum Reference<'a> {
    /// There is none, or it does not admit this namespace: one text for both, so that nothing is told across namespaces.
    Unresolved,
    /// It could not be looked at.
    Unknown,
    /// It admits namespaces by their labels, which this operator has no right to read.
    BeyondScope,
    /// It is there.
    Found(&'a CloudImage),
}

/// A share's status but for times: fields and the conditions decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// Fields of the status; conditions are left empty.
    pub status: ImageShareStatus,
    /// The conditions.
    pub decisions: Vec<Decision>,
}

impl Projection {
    /// Whether a condition of this kind was decided so.
    pub fn says(&self, kind: &str, truth: Truth) -> bool {
        self.decisions.iter().any(|decision| decision.kind == kind && decision.truth == truth)
    }
}

struct Readiness {
    truth: Truth,
    reason: Reason,
    message: String,
    /// A person must act.
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
        Reference::Unresolved | Reference::Unknown | Reference::BeyondScope => None,
    };
    let waiting = waiting(share, status);
    let answers = answers(share, status);
    let wished = share.spec.recipients.len();
    let granted = wished.saturating_sub(waiting.len());
    let readiness = readiness(share, reference, &waiting, now);
    let status = ImageShareStatus {
        observed_generation: share.metadata.generation,
        last_handled_reconcile_at: share
            .metadata
            .annotations
            .as_ref()
            .and_then(|a| a.get(crate::api::RECONCILE_REQUESTED_AT))
            .map(|v| v.chars().take(256).collect()),
        conditions: Vec::new(),
        summary: Some(format!("{granted}/{wished}")),
        accepted: (!answers.is_empty()).then(|| {
            let accepted = answers.iter().filter(|said| said.answer == Answer::Accepted).count();
            format!("{accepted}/{}", answers.len())
        }),
        answers,
        waiting,
    };
    let accepted = acceptance(&readiness, &status);
    let mut decisions = decisions(readiness);
    decisions.extend(accepted);
    Projection { status, decisions }
}

/// Whether those granted accepted. Told beside `Shared`, which does not wait for it.
fn acceptance(readiness: &Readiness, status: &ImageShareStatus) -> Option<Decision> {
    let decide = |truth, reason, message: String| Some(Decision { kind: ACCEPTED, truth, reason, message });
    let those_who_said = |answer| {
        let said = status.answers.iter().filter(|said| said.answer == answer);
        said.map(|said| format!("{} {}", said.kind, said.id)).collect::<Vec<_>>()
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

/// What the share's recipients said, as far as they are granted and asked.
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

fn decisions(readiness: Readiness) -> Vec<Decision> {
    let Readiness { truth, reason, message, stalled } = readiness;
    let decide = |kind, truth| Decision { kind, truth, reason, message: message.clone() };
    let mut decisions = vec![decide(READY, truth), decide(SHARED, truth)];
    if stalled {
        decisions.push(decide(STALLED, Truth::True));
    } else if matches!(reason, Reason::Pending | Reason::Revoking) || truth == Truth::Unknown {
        decisions.push(decide(RECONCILING, Truth::True));
    }
    decisions
}

/// Recipients of the share that the ledger does not show as granted.
fn waiting(share: &ImageShare, status: Option<&CloudImageStatus>) -> Vec<WaitingRecipient> {
    let mut known: HashMap<(RecipientKind, &str), Option<Reason>> = HashMap::new();
    if let Some(status) = status {
        for grant in &status.grants {
            let reason = match (grant.state, grant.refusal) {
                (GrantState::Granted | GrantState::Retained, _) => None,
                (GrantState::Intended, refusal) => Some(refusal.unwrap_or(Reason::Pending)),
                (GrantState::Revoking, _) => Some(Reason::Revoking),
                (GrantState::ImageGone, _) => Some(Reason::ImageNotFound),
            };
            known.insert((grant.kind, &grant.id), reason);
        }
        for declined in &status.declined {
            known.insert((declined.kind, &declined.id), Some(declined.reason));
        }
    }
    share
        .spec
        .recipients
        .iter()
        .filter_map(|recipient| {
            let reason =
                known.get(&(recipient.kind, recipient.id.as_str())).copied().unwrap_or(Some(Reason::Pending))?;
            Some(WaitingRecipient { kind: recipient.kind, id: recipient.id.clone(), reason })
        })
        .collect()
}

fn readiness(share: &ImageShare, reference: Reference<'_>, waiting: &[WaitingRecipient], now: Timestamp) -> Readiness {
    let image = match reference {
        Reference::Unresolved => {
            return Readiness::new(
                Truth::False,
                Reason::ImageRefUnresolved,
                "spec.imageRef: no such CloudImage, or its shareableFrom does not admit this namespace",
                true,
            );
        }
        Reference::Unknown => {
            return Readiness::new(Truth::Unknown, Reason::Pending, "the CloudImage could not be looked at yet", false);
        }
        Reference::BeyondScope => {
            return Readiness::new(
                Truth::Unknown,
                Reason::SelectorNeedsClusterScope,
                "the CloudImage admits namespaces by a selector, and this operator may not read their labels: nothing is \
                 granted or revoked; let the owner set shareableFrom to All or Same, or run the operator for the whole cluster",
                true,
            );
        }
        Reference::Found(image) => image,
    };
    if share.metadata.deletion_timestamp.is_some() {
        return leaving(share, image);
    }
    if share.spec.suspend {
        let message = "spec.suspend: nothing is granted or revoked for this share; what it has stays";
        return Readiness::new(Truth::False, Reason::Suspended, message, false);
    }
    if share.spec.expiration_time.as_ref().is_some_and(|end| end.0 <= now) {
        let message = "spec.expirationTime has passed: access is ended; give a later time to share again";
        return Readiness::new(Truth::False, Reason::Expired, message, false);
    }
    let status = image.status.as_ref();
    let served = served_generation(share, status);
    if let Some(trouble) = image_trouble(image, waiting) {
        return trouble;
    }
    let worst = waiting.iter().map(|w| w.reason).min_by_key(|reason| urgency(*reason));
    let worst = match worst.filter(|worst| !matches!(worst, Reason::Pending | Reason::Revoking)) {
        Some(worst) => worst,
        None if served.is_none() && status.is_some_and(|s| s.shares.len() >= SHARES_PER_IMAGE_MAX) => {
            let message = "more ImageShares name this image than it serves: put recipients together into fewer shares";
            return Readiness::new(Truth::False, Reason::TooManyShares, message, true);
        }
        None if waiting.is_empty() && served >= share.metadata.generation => {
            return Readiness::new(Truth::True, Reason::Shared, shared(share, image), false);
        }
        None => return pending(),
    };
    let whom = name_some(waiting.iter().filter(|w| w.reason == worst).map(|w| format!("{} {}", w.kind, w.id)));
    Readiness::new(Truth::False, worst, explain(worst, &whom, status), worst != Reason::ImageNotAvailable)
}

fn pending() -> Readiness {
    Readiness::new(Truth::Unknown, Reason::Pending, "waiting for the image to be shared", false)
}

/// Whether deleting the share will do what its `deletionPolicy` says.
fn shared(share: &ImageShare, image: &CloudImage) -> &'static str {
    let retains = share.spec.deletion_policy == ShareDeletionPolicy::Retain;
    if retains
        && image.metadata.namespace != share.metadata.namespace
        && image.spec.shareable_from.retain == RetainPolicy::Forbid
    {
        return "every recipient may use the image; spec.deletionPolicy: Retain has no effect, since the CloudImage does not \
                allow it (shareableFrom.retain: Forbid): deleting this object revokes their access";
    }
    "every recipient may use the image"
}

/// What the cloud answers to the calls that are to end this share's access.
fn refused_removals(share: &ImageShare, status: Option<&CloudImageStatus>) -> Option<String> {
    let refused = status?.grants.iter().filter_map(|grant| {
        let ours = share.spec.recipients.iter().any(|asked| asked.kind == grant.kind && asked.id == grant.id);
        let code = grant.attempt.as_ref()?.code.as_ref()?;
        (ours && grant.state == GrantState::Revoking).then(|| format!("{} {} ({code})", grant.kind, grant.id))
    });
    let refused: Vec<String> = refused.collect();
    (!refused.is_empty()).then(|| name_some(refused))
}

fn leaving(share: &ImageShare, image: &CloudImage) -> Readiness {
    let status = image.status.as_ref();
    if let Some(refused) = refused_removals(share, status) {
        let message = format!(
            "the cloud refuses to end access, which is tried again with growing pauses: {refused}; look the code up at the \
             vendor, or set deletionPolicy: Retain to leave the access at the cloud and let this object go"
        );
        return Readiness::new(Truth::False, Reason::Revoking, message, false);
    }
    let find = |kind| status.and_then(|s| find(&s.conditions, kind));
    let unreadable = find(DELETABLE).filter(|c| c.reason == Reason::Unreadable.as_str());
    let cause = unreadable.or_else(|| find(READY).filter(|c| c.status != "True"));
    let message = match cause {
        Some(condition) => format!(
            "access must be ended first, which waits for: {}; or set deletionPolicy: Retain to leave it at the cloud \
             and let this object go",
            condition.message
        ),
        None => "access is being ended at the cloud".to_owned(),
    };
    Readiness::new(Truth::False, Reason::Revoking, message, false)
}

fn served_generation(share: &ImageShare, status: Option<&CloudImageStatus>) -> Option<i64> {
    let uid = share.metadata.uid.as_deref()?;
    status?.shares.iter().find(|served| served.uid == uid).map(|served| served.generation)
}

/// Trouble of the image itself is the share's trouble too.
fn image_trouble(image: &CloudImage, waiting: &[WaitingRecipient]) -> Option<Readiness> {
    let conditions = &image.status.as_ref()?.conditions;
    let ready = find(conditions, READY).filter(|condition| condition.status != "True")?;
    let reason: Reason = serde_json::from_value(serde_json::Value::String(ready.reason.clone())).ok()?;
    if reason == Reason::Pending {
        return (!waiting.is_empty()).then(pending);
    }
    let truth = if ready.status == "False" { Truth::False } else { Truth::Unknown };
    let stalled = find(conditions, STALLED).is_some();
    Some(Readiness::new(truth, reason, ready.message.clone(), stalled))
}

/// What a person must know first: what only they can mend, then what waits, then what passes by itself.
fn urgency(reason: Reason) -> u8 {
    match reason {
        Reason::RecipientKindUnsupported => 0,
        Reason::InvalidRecipient => 1,
        Reason::RegionNotOnSite => 2,
        Reason::ImageNotShareable => 3,
        Reason::RecipientFull => 4,
        Reason::RecipientRefused => 5,
        Reason::RecipientLimit => 6,
        Reason::Pending | Reason::Revoking => 8,
        _ => 7,
    }
}

fn explain(reason: Reason, whom: &str, status: Option<&CloudImageStatus>) -> String {
    match reason {
        Reason::RecipientKindUnsupported => {
            format!("spec.recipients: this cloud does not share with recipients of this type, left out: {whom}")
        }
        Reason::InvalidRecipient => {
            let organizations = if whom.contains(RecipientKind::Organization.to_string().as_str()) {
                " (an organization is named by its URN, as organizations::<account id>:ou:o-.../ou-...)"
            } else {
                ""
            };
            format!(
                "spec.recipients: no such account or project, not an id of this cloud{organizations}, or the owner itself; the \
                 others are shared: {whom}"
            )
        }
        Reason::RegionNotOnSite => {
            format!("spec.recipients: the image's region is not sold on the site of: {whom}")
        }
        Reason::ImageNotShareable => format!(
            "spec.recipients: the image was made from the marketplace and cannot leave its site, so these of another site \
             are left out: {whom}"
        ),
        Reason::RecipientFull => {
            format!("these hold as many shared images as an account may receive; they must give one up first: {whom}")
        }
        Reason::RecipientLimit => {
            let figure = status.and_then(|s| s.recipients.clone()).unwrap_or_default();
            format!("the image has {figure} recipients; waiting for a free place: {whom}")
        }
        Reason::RecipientRefused => format!("the cloud refuses these recipients: {whom}"),
        Reason::ImageDeleting => {
            let held = status.and_then(|s| find(&s.conditions, DELETABLE)).is_some_and(|c| c.status == "False");
            let hint = if held { " (it waits for the shares that name it)" } else { "" };
            format!("the CloudImage is being deleted{hint} and admits nobody new: {whom}")
        }
        Reason::ImageNotAvailable => format!("the image is not available; waiting to share it with: {whom}"),
        _ => format!("waiting: {whom}"),
    }
}
