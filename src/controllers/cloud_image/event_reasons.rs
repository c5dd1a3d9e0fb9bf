//! The events about an image that follow from two ledgers, except those about changes of access; and the drift counts.

use std::collections::BTreeSet;

use crate::api::cloud_image::GrantState;
use crate::api::conditions::Reason;
use crate::api::limits::UNMANAGED_LISTED_MAX;
use crate::cluster::events::EventReason;
use crate::domain::identifiers::Recipient;
use crate::domain::image::Answer;
use crate::planning::access::WHAT_BREAKS;
use crate::planning::deletion::refused_removals;
use crate::planning::ledger::{Entry, Ledger};
use crate::planning::problem::name_in_event;
use crate::telemetry::metrics::Drift;

/// The events between two ledgers. `intended`: the ledger before the calls, where there were any.
pub(super) fn event_reasons(
    image_id: &str,
    before: &Ledger,
    intended: Option<&Ledger>,
    after: &Ledger,
) -> Vec<(EventReason, String)> {
    let full = |ledger: &Ledger, recipient: &Recipient| ledger.declined.get(recipient) == Some(&Reason::RecipientLimit);
    let without_room: Vec<&Recipient> =
        after.declined.keys().filter(|recipient| full(after, recipient) && !full(before, recipient)).collect();
    let answered = |answer: Answer| -> Vec<&Recipient> {
        let said = |entries: &Ledger, recipient: &Recipient| entries.grants.get(recipient).and_then(|e| e.answer);
        let newly = |recipient: &&Recipient| {
            said(after, recipient) == Some(answer) && said(before, recipient) == Some(Answer::Pending)
        };
        after.grants.keys().filter(newly).collect()
    };
    let (accepted, rejected) = (answered(Answer::Accepted), answered(Answer::Rejected));
    let (foreign, lost) = (strangers(before, after), lost(before, intended));
    let has_left = |ledger: &Ledger, recipient: &Recipient| {
        ledger.grants.get(recipient).is_some_and(|entry| entry.refusal == Some(Reason::RecipientLeft))
    };
    let left: Vec<&Recipient> =
        after.grants.keys().filter(|recipient| has_left(after, recipient) && !has_left(before, recipient)).collect();
    let (can_copy, could_copy) = (can_copy(after), can_copy(before));
    let allowed: Vec<&Recipient> = can_copy.difference(&could_copy).copied().collect();
    let ended: Vec<&Recipient> =
        could_copy.iter().filter(|recipient| !after.copies.grants.contains_key(**recipient)).copied().collect();
    let events = [
        (EventReason::Accepted, "accepted the image: ", accepted),
        (EventReason::Rejected, "rejected the image, which stays shared with them: ", rejected),
        (EventReason::UnmanagedFound, "the image is shared with recipients no ImageShare names: ", foreign),
        (EventReason::CopyAllowed, "can copy the image: ", allowed),
        (EventReason::CopyEnded, "can no longer copy the image; copies that they made are theirs: ", ended),
        (EventReason::DriftFound, "somebody ended access that ImageShares still ask for, which is given again: ", lost),
        (EventReason::RecipientLeft, "gave the image back, and do not get it again before a share asks anew: ", left),
        (
            EventReason::RecipientLimit,
            "the image has as many recipients as it may have; waiting for room: ",
            without_room,
        ),
    ];
    let events = events.iter().filter_map(|(reason, what, recipients)| note(*reason, what, recipients, ""));
    events.chain(endings(image_id, before, after)).collect()
}

/// Who can copy the image through this operator, or could until its permission was taken back.
fn can_copy(ledger: &Ledger) -> BTreeSet<&Recipient> {
    let can = |entry: &Entry| matches!(entry.state, GrantState::Granted | GrantState::Revoking | GrantState::Retained);
    ledger.copies.grants.iter().filter(|(_, entry)| can(entry)).map(|(recipient, _)| recipient).collect()
}

/// An event about recipients, if there are any.
fn note(reason: EventReason, what: &str, recipients: &[&Recipient], after: &str) -> Option<(EventReason, String)> {
    (!recipients.is_empty()).then(|| (reason, format!("{what}{}{after}", name_in_event(recipients))))
}

/// The events about the image's deletion, and about access that cannot be ended.
fn endings(image_id: &str, before: &Ledger, after: &Ledger) -> Vec<(EventReason, String)> {
    let refused_before: Vec<(&Recipient, &str)> = before.refused_removals().collect();
    let refused: Vec<&Recipient> =
        after.refused_removals().filter(|refused| !refused_before.contains(refused)).map(|(who, _)| who).collect();
    let why = format!(" is not ended yet{}", refused_removals(after));
    let deleted = after.deletion.is_some() && after.absent_since.is_some() && before.absent_since.is_none();
    let deletion = format!("deleted image {image_id} at the cloud; whoever still had it: {WHAT_BREAKS}");
    let events = [
        note(EventReason::RevokeRefused, "access of ", &refused, &why),
        deleted.then_some((EventReason::ImageDeleted, deletion)),
    ];
    events.into_iter().flatten().collect()
}

/// How many recipients had drifted, by kind of drift.
pub(super) fn drifted(before: &Ledger, intended: Option<&Ledger>, after: &Ledger) -> [(Drift, usize); 2] {
    [(Drift::Missing, lost(before, intended).len()), (Drift::Unmanaged, strangers(before, after).len())]
}

/// Recipients that lost their grant and need it again.
fn lost<'a>(before: &Ledger, intended: Option<&'a Ledger>) -> Vec<&'a Recipient> {
    let again = intended.into_iter().flat_map(|ledger| &ledger.grants);
    again
        .filter(|(recipient, entry)| {
            let had = before.grants.get(*recipient).is_some_and(|entry| entry.state == GrantState::Granted);
            had && entry.state == GrantState::Intended
        })
        .map(|(recipient, _)| recipient)
        .collect()
}

/// Newly found recipients that no share asked for.
fn strangers<'a>(before: &Ledger, after: &'a Ledger) -> Vec<&'a Recipient> {
    let listed = after.unmanaged.keys().take(UNMANAGED_LISTED_MAX);
    listed.filter(|recipient| !before.unmanaged.contains_key(*recipient)).collect()
}
