//! When a `CloudImage` may be released, and what must happen before: no share names it, none of its grants is left at
//! the cloud, and with `deletionPolicy: Delete` the image itself is deleted.

use jiff::Timestamp;

use super::attempts::Attempt;
use super::ledger::Ledger;
use super::problem::{Problem, name_some};
use crate::api::cloud_image::ImageDeletionPolicy;
use crate::api::conditions::Reason;
use crate::domain::identifiers::Recipient;
use crate::domain::image::Ownership;
use crate::domain::share::{Consent, Share};

/// What was observed of an image whose object is being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObservedImage<'a> {
    /// Nothing could be read, or nothing had to be read.
    Unseen,
    /// The image does not exist.
    Absent {
        /// The first read that showed this.
        since: Timestamp,
    },
    /// The image exists.
    Present {
        /// Who owns it.
        ownership: &'a Ownership,
        /// All its recipients.
        recipients: &'a [Recipient],
    },
}

/// What to do with a `CloudImage` that is being deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeletionDecision {
    /// Something blocks the deletion.
    Held(Problem),
    /// Delete the image at the cloud.
    Delete,
    /// The cloud was asked to delete the image: check at this time whether it is deleted.
    Asked(Timestamp),
    /// Reconcile again: at this time, or at the next observation.
    Await(Option<Timestamp>),
    /// Nothing is left: release the object.
    Release,
}

/// Shares that block the deletion: those that the image's owner admits, and those the image still serves.
pub fn blockers(shares: &[Share], ledger: &Ledger) -> Vec<String> {
    let keeps = |share: &&Share| {
        planted!("expired-share-holds-nothing", share.consent != Consent::Withheld, false)
            || ledger.shares.contains_key(&share.uid)
    };
    shares.iter().filter(keeps).map(Share::full_name).collect()
}

/// The shares that name the image, for `Deletable=False`.
pub fn held_by_shares(blockers: &[String]) -> Option<Problem> {
    (!blockers.is_empty()).then(|| {
        let message = format!("delete these ImageShares first, each still names this image: {}", name_some(blockers));
        Problem::blocked(Reason::ShareExists, message)
    })
}

/// The `ImageReplica` that removes the image on its own deletion blocks the object until then. Otherwise nothing would
/// protect the image during the removal, or nothing would remove it if both are deleted at once, as with their
/// namespace.
pub fn held_by_replica(replica: Option<&str>) -> Option<Problem> {
    replica.map(|name| {
        let message = format!(
            "ImageReplica {name} made this image and is to remove it when it goes (deletionPolicy: Delete): delete that \
             one, or set its deletionPolicy: Retain to keep the image"
        );
        Problem::blocked(Reason::ReplicaExists, message)
    })
}

/// Decides about a `CloudImage` that is being deleted. `replica`: the `ImageReplica` that is to remove the image;
/// `window`: the minimum time between two absent reads. The ledger of a deleted image does not block the object: no
/// recipient has the image any more.
pub fn plan_deletion(
    blockers: &[String],
    replica: Option<&str>,
    ledger: &Ledger,
    policy: ImageDeletionPolicy,
    observed: ObservedImage<'_>,
    window: jiff::SignedDuration,
    now: Timestamp,
) -> DeletionDecision {
    if let Some(problem) = held_by_shares(blockers) {
        return DeletionDecision::Held(problem);
    }
    let gone_at = match observed {
        ObservedImage::Absent { since } => Some(since.saturating_add(window).unwrap_or(Timestamp::MAX)),
        ObservedImage::Unseen | ObservedImage::Present { .. } => None,
    };
    if let Some(over) = gone_at.filter(|over| now < *over)
        && (ledger.holds_anything() || policy == ImageDeletionPolicy::Delete)
    {
        return DeletionDecision::Await(Some(over));
    }
    // Snapshots outlive their image, and so do the permissions on them.
    let holds = ledger.copies.hold_anything() || (ledger.holds_anything() && gone_at.is_none());
    if planted!("snapshots-left-behind", holds, ledger.holds_anything() && gone_at.is_none()) {
        let message = format!("still being revoked: {}{}", name_some(ledger.recipients()), refused_removals(ledger));
        return DeletionDecision::Held(Problem::passing(Reason::Revoking, message));
    }
    if policy == ImageDeletionPolicy::Retain {
        return held_by_replica(replica).map_or(DeletionDecision::Release, DeletionDecision::Held);
    }
    match observed {
        ObservedImage::Unseen => DeletionDecision::Await(None),
        ObservedImage::Absent { .. } => DeletionDecision::Release,
        ObservedImage::Present { ownership, .. } if *ownership != Ownership::Own => {
            DeletionDecision::Held(Problem::blocked(
                Reason::ImageNotOwned,
                "the image belongs to somebody else and is not deleted: set deletionPolicy: Retain to let this object go",
            ))
        }
        ObservedImage::Present { recipients, .. }
            if planted!("image-deleted-from-recipients", !recipients.is_empty(), false) =>
        {
            let message = format!(
                "recipients that no ImageShare names still have the image; end their access at the cloud or set \
                 deletionPolicy: Retain: {}",
                name_some(recipients)
            );
            DeletionDecision::Held(Problem::blocked(Reason::UnmanagedRecipients, message))
        }
        ObservedImage::Present { .. } => match &ledger.deletion {
            Some(asked) if now < planted!("unseen-deletion-repeated", asked.next_call(window), asked.last) => {
                DeletionDecision::Asked(asked.next_call(window).min(asked.next_read(now)))
            }
            _ => DeletionDecision::Delete,
        },
    }
}

/// The cloud's refusals of calls that are to end access, for a message; empty if there are none.
pub fn refused_removals(ledger: &Ledger) -> String {
    let refused: Vec<String> =
        ledger.refused_removals().map(|(recipient, code)| format!("{recipient} ({code})")).collect();
    if refused.is_empty() {
        return String::new();
    }
    format!("; the cloud refuses to remove these, which is tried again with growing pauses: {}", name_some(refused))
}

/// Whether this reason only blocks the deletion of an image, which serves its shares as before.
pub fn blocks_deletion_only(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ShareExists
            | Reason::ReplicaExists
            | Reason::ImageInUse
            | Reason::ImageProtected
            | Reason::UnmanagedRecipients
            | Reason::Revoking
            | Reason::ImageDeleting
    )
}

/// The cloud accepted the request to delete the image and still shows it.
pub fn deletion_asked() -> Problem {
    Problem::passing(Reason::ImageDeleting, "the cloud was asked to delete the image; waiting until it is gone")
}

/// Records one more call that asks the cloud to delete the image.
pub fn ask_again(ledger: &Ledger, now: Timestamp) -> Ledger {
    Ledger { deletion: Some(Attempt::again(ledger.deletion.as_ref(), None, now)), ..ledger.clone() }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::api::cloud_image::GrantState;
    use crate::domain::identifiers::{PrincipalId, RecipientKind};
    use crate::planning::copies::Copies;
    use crate::planning::ledger::Entry;

    const WINDOW: SignedDuration = SignedDuration::from_secs(5);

    fn somebody() -> Recipient {
        Recipient { kind: RecipientKind::Account, id: PrincipalId::parse("1000000000000001").unwrap() }
    }

    fn depart(
        blockers: &[&str],
        ledger: &Ledger,
        policy: ImageDeletionPolicy,
        observed: ObservedImage<'_>,
    ) -> DeletionDecision {
        let blockers: Vec<String> = blockers.iter().map(|s| (*s).to_owned()).collect();
        plan_deletion(
            &blockers,
            None,
            ledger,
            policy,
            observed,
            WINDOW,
            Timestamp::UNIX_EPOCH + SignedDuration::from_secs(100),
        )
    }

    fn ledger(state: GrantState) -> Ledger {
        let entry = Entry::new(state, Timestamp::UNIX_EPOCH);
        Ledger { grants: [(somebody(), entry)].into(), ..Ledger::default() }
    }

    #[test]
    fn an_image_that_shares_name_is_held_and_says_who() {
        let DeletionDecision::Held(problem) =
            depart(&["team/app"], &Ledger::default(), ImageDeletionPolicy::Retain, ObservedImage::Unseen)
        else {
            panic!("not held")
        };
        assert_eq!(problem.reason, Reason::ShareExists);
        assert!(problem.message.contains("team/app"));
    }

    #[test]
    fn a_grant_left_in_the_ledger_holds_the_image_but_a_retained_one_does_not() {
        for state in [GrantState::Intended, GrantState::Granted, GrantState::Revoking] {
            assert!(matches!(
                depart(&[], &ledger(state), ImageDeletionPolicy::Retain, ObservedImage::Unseen),
                DeletionDecision::Held(Problem { reason: Reason::Revoking, .. })
            ));
        }
        assert_eq!(
            depart(&[], &ledger(GrantState::Retained), ImageDeletionPolicy::Retain, ObservedImage::Unseen),
            DeletionDecision::Release
        );
    }

    #[test]
    fn a_permission_on_snapshots_holds_the_object_also_when_the_image_is_long_gone() {
        let copies = Copies { grants: ledger(GrantState::Revoking).grants, ..Copies::default() };
        let holding = Ledger { copies, ..Ledger::default() };
        let absent = ObservedImage::Absent { since: Timestamp::UNIX_EPOCH };
        for policy in [ImageDeletionPolicy::Retain, ImageDeletionPolicy::Delete] {
            let DeletionDecision::Held(problem) = depart(&[], &holding, policy, absent) else { panic!("not held") };
            assert!(problem.reason == Reason::Revoking && problem.message.contains(somebody().id.as_str()));
            assert_eq!(depart(&[], &Ledger::default(), policy, absent), DeletionDecision::Release);
        }
    }

    #[test]
    fn deleting_the_image_waits_for_every_recipient_even_foreign_ones() {
        let recipients = [somebody()];
        let observed = ObservedImage::Present { ownership: &Ownership::Own, recipients: &recipients };
        assert!(matches!(
            depart(&[], &Ledger::default(), ImageDeletionPolicy::Delete, observed),
            DeletionDecision::Held(Problem { reason: Reason::UnmanagedRecipients, .. })
        ));
    }

    #[test]
    fn an_image_whose_replica_is_to_remove_it_waits_for_the_replica() {
        let leave = |replica, policy| {
            let (ledger, now) = (Ledger::default(), Timestamp::UNIX_EPOCH);
            plan_deletion(&[], replica, &ledger, policy, ObservedImage::Unseen, WINDOW, now)
        };
        let DeletionDecision::Held(problem) = leave(Some("far"), ImageDeletionPolicy::Retain) else {
            panic!("not held")
        };
        assert_eq!(problem.reason, Reason::ReplicaExists);
        assert!(problem.message.contains("ImageReplica far"));
        assert_eq!(leave(None, ImageDeletionPolicy::Retain), DeletionDecision::Release);
        assert_eq!(
            leave(Some("far"), ImageDeletionPolicy::Delete),
            DeletionDecision::Await(None),
            "the replica asked for it"
        );
    }

    #[test]
    fn an_image_is_gone_after_two_absent_reads_a_window_apart() {
        let at = |seconds| ObservedImage::Absent { since: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds) };
        let once = depart(&[], &Ledger::default(), ImageDeletionPolicy::Delete, at(97));
        assert_eq!(once, DeletionDecision::Await(Some(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(102))));
        assert_eq!(depart(&[], &Ledger::default(), ImageDeletionPolicy::Delete, at(95)), DeletionDecision::Release);
    }

    #[test]
    fn somebody_elses_image_is_never_deleted() {
        let ownership = Ownership::Received { owner: None };
        let observed = ObservedImage::Present { ownership: &ownership, recipients: &[] };
        assert!(matches!(
            depart(&[], &Ledger::default(), ImageDeletionPolicy::Delete, observed),
            DeletionDecision::Held(_)
        ));
    }
}
