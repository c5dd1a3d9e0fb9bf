//! Publishes changes of access: one line of the audit log for each, and one event for all of a kind, on the `CloudImage` and
//! on each `ImageShare` whose namespace may learn of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{CloudImage, ImageShare};
use crate::cluster::events::{EventReason, reference};
use crate::domain::foreign_text::plain;
use crate::domain::identifiers::Recipient;
use crate::planning::access::{AccessChange, AskedBy, Cause, Change, WHAT_BREAKS};
use crate::planning::problem::{name_in_event, with_name};
use crate::reconcile::access_notes::AccessNotes;
use crate::reconcile::context::Context;

/// A field manager is text of the client's choice.
const MANAGER_CHARS_MAX: usize = 128;

/// A change of access, and what else is known of it.
pub(super) struct Known {
    change: AccessChange,
    name: Option<String>,
    manager: Option<String>,
    request: Option<String>,
}

/// Adds what the notes know of the changes.
pub(super) fn known(changes: Vec<AccessChange>, notes: &AccessNotes) -> Vec<Known> {
    let of = |change: AccessChange| {
        let share = change.share.as_ref().map(|share| share.uid.as_str());
        let name = share.and_then(|share| notes.name(share, &change.recipient));
        let manager = share.and_then(|share| notes.manager(share)).map(|name| plain(&name, MANAGER_CHARS_MAX));
        Known { name, manager, request: notes.request(&change.recipient), change }
    };
    changes.into_iter().map(of).collect()
}

/// Writes one line of the audit log for each change that it does not have yet: nothing is cut, and all foreign text is quoted.
pub(super) fn audit(image: &CloudImage, changes: &[Known], notes: &mut AccessNotes) {
    for Known { change, name, manager, request } in changes {
        let share = change.share.as_ref().map(|share| share.uid.clone());
        if !notes.is_news((change.recipient.clone(), share, change.change.word())) {
            continue;
        }
        tracing::info!(
            target: "audit",
            change = change.change.word(),
            cause = change.change.cause().map(|cause| format!("{cause:?}")),
            offered = change.offered.then_some(true),
            image.id = image.spec.image_id,
            image.region = image.spec.region,
            "recipient.type" = change.recipient.kind.to_string(),
            recipient.id = change.recipient.id.as_str(),
            recipient.name = name.as_deref(),
            share.namespace = change.share.as_ref().map(|share| share.namespace.as_str()),
            share.name = change.share.as_ref().map(|share| share.name.as_str()),
            share.manager = manager.as_deref(),
            request.id = request.as_deref(),
            "access to an image changed"
        );
    }
}

/// Publishes the events.
pub(super) fn publish(ctx: &Context, image: &CloudImage, changes: &[Known]) {
    for (reason, note) in notes(changes.iter()) {
        ctx.events.publish(image, reason, note);
    }
    let mut by_share: BTreeMap<&AskedBy, Vec<&Known>> = BTreeMap::new();
    for known in changes.iter().filter(|known| known.change.visible_to_share) {
        if let Some(share) = &known.change.share {
            by_share.entry(share).or_default().push(known);
        }
    }
    for (share, changes) in by_share {
        for (reason, note) in notes(changes.into_iter()) {
            let about = reference::<ImageShare>(&share.namespace, &share.name, &share.uid);
            ctx.events.publish_about(about, reason, note);
        }
    }
}

/// One note for each kind of change, which names each recipient once.
fn notes<'a>(changes: impl Iterator<Item = &'a Known>) -> Vec<(EventReason, String)> {
    let (mut seen, mut by_kind) = (BTreeSet::<&Recipient>::new(), BTreeMap::<(Change, bool), Vec<String>>::new());
    for Known { change, name, .. } in changes {
        if seen.insert(&change.recipient) {
            let shown = with_name(&change.recipient, name.as_deref());
            by_kind.entry((change.change, change.offered)).or_default().push(shown);
        }
    }
    by_kind.into_iter().map(|((change, offered), who)| note(change, offered, &who)).collect()
}

fn note(change: Change, offered: bool, who: &[String]) -> (EventReason, String) {
    let who = name_in_event(who);
    match change {
        Change::Granted if offered => {
            (EventReason::Granted, format!("offered the image to {who}: they can use it once they accept it"))
        }
        Change::Granted => (EventReason::Granted, format!("shared the image with {who}: data on it is theirs now")),
        Change::Adopted => {
            (EventReason::Adopted, format!("already shared, revoked with its ImageShare from now on: {who}"))
        }
        Change::Retained => (
            EventReason::Retained,
            format!("left at the cloud (deletionPolicy: Retain), though no ImageShare names them: {who}"),
        ),
        Change::Expired => {
            (EventReason::Expired, format!("ended the access of {who}, since the ImageShare expired: {WHAT_BREAKS}"))
        }
        Change::Revoked(Cause::ImageGone) => {
            (EventReason::Revoked, format!("the cloud does not show the image any more, and nobody has it: {who}"))
        }
        Change::Revoked(cause) => {
            (EventReason::Revoked, format!("ended the access of {who}, since {}: {WHAT_BREAKS}", because(cause)))
        }
    }
}

fn because(cause: Cause) -> &'static str {
    match cause {
        Cause::ShareDeleted => "the ImageShare was deleted",
        Cause::RecipientRemoved => "no ImageShare names them any more",
        Cause::ConsentWithdrawn => "shareableFrom does not admit the namespace of the ImageShare any more",
        Cause::ImageGone => "the image is gone",
        Cause::Unmanaged => "no ImageShare names them (unmanagedRecipients: Revoke)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identifiers::{PrincipalId, RecipientKind};

    fn changed(n: usize, change: Change, share: &str) -> Known {
        let id = PrincipalId::parse(&format!("{}", 100_000 + n)).unwrap();
        let share = AskedBy { uid: share.into(), namespace: "team".into(), name: share.into() };
        let change = AccessChange {
            recipient: Recipient { kind: RecipientKind::Account, id },
            change,
            offered: false,
            share: Some(share),
            visible_to_share: true,
        };
        Known { change, name: None, manager: None, request: None }
    }

    #[test]
    fn two_hundred_recipients_are_one_event_of_twenty_and_a_count() {
        let all: Vec<Known> = (0..200).map(|n| changed(n, Change::Granted, "a")).collect();
        let notes = notes(all.iter());
        let [(reason, note)] = notes.as_slice() else { panic!("{notes:?}") };
        assert_eq!(*reason, EventReason::Granted);
        assert!(note.matches("Account ").count() == 20 && note.contains("and 180 more"), "{note}");
        assert!(note.len() < 1024);
    }

    #[test]
    fn the_longest_recipients_leave_room_for_what_happened_to_them() {
        let long = |n: usize| {
            let mut known = changed(n, Change::Revoked(Cause::ConsentWithdrawn), "a");
            known.change.recipient.id = PrincipalId::parse(&format!("{n:x<255}")).unwrap();
            known.name = Some("n".repeat(63));
            known
        };
        let all: Vec<Known> = (0..30).map(long).collect();
        let notes = notes(all.iter());
        assert!(notes[0].1.ends_with(WHAT_BREAKS) && notes[0].1.len() <= 1024, "{notes:?}");
    }

    #[test]
    fn a_recipient_of_two_shares_is_named_once_and_each_kind_of_change_by_itself() {
        let both = [changed(1, Change::Granted, "a"), changed(1, Change::Granted, "b")];
        assert_eq!(notes(both.iter())[0].1.matches("100001").count(), 1);
        let kinds = [changed(1, Change::Granted, "a"), changed(2, Change::Expired, "a")];
        assert_eq!(
            notes(kinds.iter()).iter().map(|(reason, _)| *reason).collect::<Vec<_>>(),
            [EventReason::Granted, EventReason::Expired]
        );
    }
}
