//! The conditions of an image: a pure function of its ledger and of what stands in the way.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::api::cloud_image::GrantState;
use crate::api::conditions::{
    DELETABLE, Decision, KEY_REQUIRED, READY, RECONCILING, RETAINED, Reason, STALLED, Truth, UNMANAGED,
};
use crate::domain::fault::Recovery;
use crate::domain::identifiers::{KeyId, Recipient};
use crate::planning::deletion::refused_removals;
use crate::planning::grace::grace_left;
use crate::planning::ledger::Ledger;
use crate::planning::problem::{Problem, name_some};

/// Reasons that block the deletion of an image although nothing is wrong with it.
pub(super) const NOBODYS_FAULT: [Reason; 2] = [Reason::ShareExists, Reason::ReplicaExists];

/// Where the object is in its life, and what is known of its image.
#[derive(Clone, Copy)]
pub(super) struct ObjectStage {
    pub(super) deleting: bool,
    pub(super) created: Option<Timestamp>,
    pub(super) now: Timestamp,
    /// A disk of the image is encrypted. Whether with a key that forbids to share it, the cloud tells only when asked to.
    pub(super) encrypted: bool,
}

fn decide(kind: &'static str, truth: Truth, reason: Reason, message: impl Into<String>) -> Decision {
    Decision { kind, truth, reason, message: message.into() }
}

/// The conditions. `problem`: what keeps the image from its desired state; `held`: what blocks its deletion.
pub(super) fn decisions(
    ledger: &Ledger,
    (problem, held): (Option<&Problem>, Option<&Problem>),
    stage: ObjectStage,
) -> Vec<Decision> {
    let deletable = deletable(ledger, held);
    let mut decisions = vec![match problem {
        Some(problem) => problem.decide(READY, problem.truth()),
        None if stage.deleting && deletable.truth == Truth::False => {
            let truth = held.map_or(Truth::False, Problem::truth);
            decide(READY, truth, deletable.reason, format!("the deletion waits: {}", deletable.message))
        }
        None if stage.encrypted && !ledger.holds_anything() => {
            let message = "the image is ours; it is encrypted, and can be shared only if the key is one of yours";
            decide(READY, Truth::True, Reason::Available, message)
        }
        None => decide(READY, Truth::True, Reason::Available, "the image is ours and can be shared"),
    }];
    decisions.push(deletable);
    decisions.extend(beyond_shares(ledger));
    let waits = |problem: &&Problem| grace_left(problem.reason, stage.created, stage.now).is_some();
    let stalled = problem
        .filter(|t| t.recovery == Recovery::Blocked && t.reason != Reason::Suspended && !waits(t))
        .or(held.filter(|t| t.recovery == Recovery::Blocked && !NOBODYS_FAULT.contains(&t.reason)));
    let moving = ledger
        .grants
        .values()
        .any(|entry| matches!(entry.state, GrantState::Intended | GrantState::Revoking) && entry.refusal.is_none());
    let passing = problem.filter(|t| t.recovery != Recovery::Blocked || waits(t));
    if let Some(problem) = stalled {
        decisions.push(problem.decide(STALLED, Truth::True));
    } else if let Some(problem) = passing {
        decisions.push(problem.decide(RECONCILING, Truth::True));
    } else if moving {
        let refused = refused_removals(ledger);
        let reason = match problem {
            Some(problem) => problem.reason,
            None if refused.is_empty() => Reason::Pending,
            None => Reason::Revoking,
        };
        decisions.push(decide(RECONCILING, Truth::True, reason, format!("access is being granted or ended{refused}")));
    }
    decisions
}

/// What recipients of an image that is encrypted with these keys need. The operator neither reads nor edits who may use a key,
/// so that `Shared` does not prove that a recipient can use the image. `actions`: what they must be permitted to do.
pub(super) fn key_required(ledger: &Ledger, keys: &BTreeSet<KeyId>, actions: &[&str]) -> Option<Decision> {
    if keys.is_empty() || ledger.image_refusal.is_some() || !ledger.holds_anything() {
        return None;
    }
    let message = format!(
        "the image is encrypted: recipients can use it only with permission for {} on the key {}, in the key's policy and in \
         their own policies; the operator neither checks nor changes them",
        actions.join(", "),
        name_some(keys)
    );
    Some(decide(KEY_REQUIRED, Truth::True, Reason::RecipientsNeedKey, message))
}

fn deletable(ledger: &Ledger, held: Option<&Problem>) -> Decision {
    match held {
        Some(problem) => problem.decide(DELETABLE, Truth::False),
        None if ledger.image_is_gone() && !ledger.copies.hold_anything() => {
            let message = "the cloud does not show the image any more: nobody has it";
            decide(DELETABLE, Truth::True, Reason::NotShared, message)
        }
        None if ledger.holds_anything() => {
            let shared = name_some(ledger.recipients());
            let message = format!("still shared by this operator with: {shared}{}", refused_removals(ledger));
            decide(DELETABLE, Truth::False, Reason::Revoking, message)
        }
        None => decide(DELETABLE, Truth::True, Reason::NotShared, "no ImageShare names the image"),
    }
}

/// Who has the image without an `ImageShare`.
fn beyond_shares(ledger: &Ledger) -> Vec<Decision> {
    let retained: Vec<&Recipient> = ledger.retained().collect();
    let mut decisions = Vec::new();
    if !retained.is_empty() {
        let message = format!(
            "these keep the image though no ImageShare names them (deletionPolicy: Retain); to end their access, name them \
             in an ImageShare of this namespace and delete it with deletionPolicy: Revoke: {}",
            name_some(retained)
        );
        decisions.push(decide(RETAINED, Truth::True, Reason::Retained, message));
    }
    if !ledger.unmanaged.is_empty() {
        let message = format!(
            "these have the image though no ImageShare names them, and not through this operator: {}",
            name_some(ledger.unmanaged.keys())
        );
        decisions.push(decide(UNMANAGED, Truth::True, Reason::UnmanagedRecipients, message));
    }
    decisions
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::domain::identifiers::{PrincipalId, RecipientKind};
    use crate::planning::ledger::Entry;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn at(age: i64, deleting: bool) -> ObjectStage {
        ObjectStage { deleting, created: Some(NOW - SignedDuration::from_secs(age)), now: NOW, encrypted: false }
    }

    fn find(decisions: &[Decision], kind: &str) -> Option<(Truth, Reason)> {
        decisions.iter().find(|decision| decision.kind == kind).map(|found| (found.truth, found.reason))
    }

    #[test]
    fn an_object_whose_deletion_waits_is_not_ready_and_says_who_is_in_the_way() {
        let held = Problem::blocked(Reason::ShareExists, "delete these ImageShares first: team/app");
        let told = decisions(&Ledger::default(), (None, Some(&held)), at(9_000, true));
        assert_eq!(find(&told, READY), Some((Truth::False, Reason::ShareExists)));
        assert!(told[0].message.contains("team/app") && find(&told, STALLED).is_none(), "{told:?}");
        let alive = decisions(&Ledger::default(), (None, Some(&held)), at(9_000, false));
        assert_eq!(find(&alive, READY), Some((Truth::True, Reason::Available)));
        assert_eq!(find(&alive, DELETABLE), Some((Truth::False, Reason::ShareExists)));
    }

    #[test]
    fn an_encrypted_image_promises_no_share_before_the_cloud_has_taken_one() {
        let stage = ObjectStage { encrypted: true, ..at(0, false) };
        let told = decisions(&Ledger::default(), (None, None), stage);
        assert_eq!(find(&told, READY), Some((Truth::True, Reason::Available)));
        assert!(told[0].message.contains("encrypted") && told[0].message.contains("only if the key"), "{told:?}");
        assert!(!decisions(&Ledger::default(), (None, None), at(0, false))[0].message.contains("encrypted"));
    }

    #[test]
    fn what_may_still_be_applied_is_reconciling_and_after_some_minutes_stalled() {
        let missing = Problem::blocked(Reason::AccountNotFound, "no CloudAccount");
        let told = |age| decisions(&Ledger::default(), (Some(&missing), None), at(age, false));
        assert_eq!(find(&told(10), RECONCILING), Some((Truth::True, Reason::AccountNotFound)));
        assert_eq!(find(&told(10), STALLED), None);
        assert_eq!(find(&told(600), STALLED), Some((Truth::True, Reason::AccountNotFound)));
        assert_eq!(find(&told(10), READY), Some((Truth::False, Reason::AccountNotFound)));
    }

    #[test]
    fn the_key_of_a_shared_image_is_named_with_what_recipients_need_and_a_refused_image_promises_nothing() {
        let recipient = Recipient { kind: RecipientKind::Account, id: PrincipalId::parse("100001").unwrap() };
        let shared = Ledger { grants: [(recipient, Entry::new(GrantState::Granted, NOW))].into(), ..Ledger::default() };
        let keys = BTreeSet::from([KeyId::parse("arn:aws:kms:eu-west-1:111122223333:key/1").unwrap()]);
        let told = key_required(&shared, &keys, &["kms:Decrypt"]).unwrap();
        assert_eq!((told.kind, told.truth, told.reason), (KEY_REQUIRED, Truth::True, Reason::RecipientsNeedKey));
        assert!(told.message.contains("key/1") && told.message.contains("kms:Decrypt"), "{}", told.message);
        assert_eq!(key_required(&shared, &BTreeSet::new(), &[]), None);
        assert_eq!(key_required(&Ledger::default(), &keys, &[]), None);
    }

    #[test]
    fn recipients_that_no_share_names_are_a_condition() {
        let id = PrincipalId::parse("100001").unwrap();
        let recipient = Recipient { kind: RecipientKind::Account, id };
        let ledger = Ledger { unmanaged: [(recipient, None)].into(), ..Ledger::default() };
        let told = decisions(&ledger, (None, None), at(0, false));
        assert_eq!(find(&told, UNMANAGED), Some((Truth::True, Reason::UnmanagedRecipients)));
        assert_eq!(find(&told, READY), Some((Truth::True, Reason::Available)));
    }
}
