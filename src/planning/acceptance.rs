//! Plans one offer: from the spec of its `SharedImageAcceptance` and what the cloud shows to the answer to send and the
//! conditions to report.

use super::problem::Problem;
use crate::api::acceptance::{AcceptanceDecision, OfferState};
use crate::api::conditions::Reason;
use crate::domain::fault::Recovery;
use crate::domain::identifiers::{PrincipalId, Recipient, VaultId};
use crate::domain::image::{Answer, ImageKind, ReceivedImage, Reply};
use crate::domain::provider::Provider;

/// The input of the decision.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The cloud.
    pub provider: Provider,
    /// The desired answer.
    pub decision: AcceptanceDecision,
    /// The trusted owner.
    pub trusted: &'a PrincipalId,
    /// The vault a full-server image goes into.
    pub vault: Option<&'a VaultId>,
    /// The image as read; `None` if it is not shared with this account.
    pub received: Option<&'a ReceivedImage>,
    /// An earlier read showed it as shared with this account.
    pub known: bool,
}

/// The state of the offer, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptancePlan {
    /// The state of the offer.
    pub state: OfferState,
    /// The answer to send now.
    pub reply: Option<Reply>,
    /// In the desired state (and why), or the problem that prevents it.
    pub result: Result<(Reason, String), Problem>,
}

/// Decides about one offer.
pub fn plan_acceptance(offer: &Offer<'_>) -> AcceptancePlan {
    let Some(received) = offer.received else { return not_there(offer) };
    let state = match received.answer {
        None => OfferState::Shared,
        Some(Answer::Pending) => OfferState::Pending,
        Some(Answer::Accepted) => OfferState::Accepted,
        Some(Answer::Rejected) => OfferState::Rejected,
    };
    let blocked =
        |reason, message: &str| AcceptancePlan { state, reply: None, result: Err(Problem::blocked(reason, message)) };
    let answer = |reply, message| {
        let result = Err(Problem::passing(Reason::Pending, message));
        AcceptancePlan { state, reply: Some(reply), result }
    };
    match &received.owner {
        Some(owner) if planted!("owner-not-checked", owner == offer.trusted, true) => {}
        Some(owner) => {
            let message = format!(
                "the image comes from {owner}, and spec.owner trusts only {}: nothing is answered; correct owner if you \
                 trust that one",
                offer.trusted
            );
            return blocked(Reason::UntrustedOwner, &message);
        }
        None => return blocked(Reason::UntrustedOwner, "the cloud does not say who owns the image"),
    }
    let done = |reason, message| AcceptancePlan { state, reply: None, result: Ok((reason, message)) };
    match (offer.decision, received.answer) {
        (AcceptanceDecision::Accept, None) => {
            done(Reason::NoAnswerNeeded, "shared without asking for an answer".into())
        }
        (AcceptanceDecision::Reject, None) => blocked(
            Reason::NoAnswerNeeded,
            "the image is shared without asking for an answer and cannot be rejected: ask its owner to end the share",
        ),
        (AcceptanceDecision::Accept, Some(Answer::Accepted)) => done(Reason::Accepted, "the image may be used".into()),
        (AcceptanceDecision::Reject, Some(Answer::Rejected)) => done(Reason::Rejected, rejected(received)),
        (AcceptanceDecision::Accept, Some(_)) if needs_vault(offer, received) => blocked(
            Reason::VaultRequired,
            "spec.vaultID: a full-server image can only be accepted into a backup vault: name one of this region",
        ),
        (AcceptanceDecision::Accept, Some(_)) => {
            answer(Reply::Accept { vault: offer.vault.cloned() }, "the image is being accepted")
        }
        (AcceptanceDecision::Reject, Some(_)) => answer(Reply::Reject, "the image is being rejected"),
    }
}

fn not_there(offer: &Offer<'_>) -> AcceptancePlan {
    let (state, reason, message) = if offer.known {
        let message = "the owner took the image back: servers made from it cannot re-initialise their system disk or \
                       change their OS any more; ask the owner to share it again, or delete this object";
        (OfferState::Revoked, Reason::Revoked, message)
    } else {
        let message = "nobody shares this image with this account in this region yet; waiting for the offer";
        (OfferState::NotOffered, Reason::NotOffered, message)
    };
    AcceptancePlan { state, reply: None, result: Err(Problem::blocked(reason, message)) }
}

fn needs_vault(offer: &Offer<'_>, received: &ReceivedImage) -> bool {
    offer.provider.rules().vault_for_full_servers && received.kind == ImageKind::FullServer && offer.vault.is_none()
}

/// The message for a rejected image. Rejecting does not protect: the owner's grant stays, and other grants may bring
/// the image too.
fn rejected(received: &ReceivedImage) -> String {
    let others: Vec<&Recipient> =
        received.via.iter().filter(|(_, answer)| **answer != Some(Answer::Rejected)).map(|(via, _)| via).collect();
    let text = "the image is not listed any more; the owner's grant stays until the owner takes it back";
    if others.is_empty() {
        return text.to_owned();
    }
    format!("{text}, and it can still be used through: {}", super::problem::name_some(others))
}

/// Whether an offer that is not in the desired state waits for the owner, rather than being stuck.
pub fn waits_for_the_owner(problem: &Problem) -> bool {
    problem.recovery == Recovery::Blocked && problem.reason == Reason::NotOffered
}
