//! Who gets the places an image has: counted as the vendor counts, given in the order of turns, taken from nobody.

use super::ledger::{Entry, GRANTS_MAX};
use super::sharing::{Plan, Scene};
use super::wishes::Turn;
use crate::api::cloud_image::GrantState;
use crate::api::conditions::Reason;
use crate::domain::identifiers::{Recipient, RecipientKind};
use crate::domain::image::{Answer, ImageKind};

/// How many recipients an image of this kind may have; 0 means no limit.
pub(super) fn limit(scene: &Scene<'_>) -> usize {
    let limit = match scene.image.kind {
        ImageKind::FullServer => scene.terms.recipients_per_full_server_image,
        ImageKind::SystemDisk | ImageKind::DataDisk | ImageKind::Iso => scene.terms.recipients_per_image,
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// How many recipients use a place. Huawei: an offer that is not accepted uses none.
pub(super) fn taken(scene: &Scene<'_>) -> usize {
    let answers = scene.recipients.recipients.values();
    answers.filter(|answer| answer_uses_place(scene, **answer)).count()
}

fn answer_uses_place(scene: &Scene<'_>, answer: Option<Answer>) -> bool {
    scene.terms.provider.rules().unaccepted_use_places || matches!(answer, None | Some(Answer::Accepted))
}

/// Whether a recipient uses a place as soon as it is added: where only accepted ones do, projects are asked first.
fn uses_place_at_once(scene: &Scene<'_>, recipient: &Recipient) -> bool {
    scene.terms.provider.rules().unaccepted_use_places || recipient.kind != RecipientKind::Project
}

/// Gives the free places: first to those who had one and lost it, then in the order of turns. Nobody is displaced. Who
/// needs no place before it accepts is offered the image while there is one free at all.
pub(super) fn give(scene: &Scene<'_>, mut candidates: Vec<(Turn, Recipient)>, plan: &mut Plan) {
    let present = &scene.recipients.recipients;
    let expected = plan.settled.grants.iter().filter(|(recipient, entry)| {
        let moving = matches!(entry.state, GrantState::Intended | GrantState::Granted) && entry.refusal.is_none();
        moving && !present.contains_key(recipient) && uses_place_at_once(scene, recipient)
    });
    let taken = plan.places_taken + expected.count();
    let limit = planted!("limit-unheeded", plan.limit, 0);
    let bound = if limit == 0 { GRANTS_MAX } else { limit.min(GRANTS_MAX) };
    let counts_all = scene.terms.provider.rules().unaccepted_use_places;
    plan.free_places = (plan.limit != 0 && counts_all).then(|| bound.saturating_sub(taken));
    let uses_one =
        |recipient: &&Recipient| present.get(*recipient).is_some_and(|answer| answer_uses_place(scene, *answer));
    let freed = plan.remove.iter().filter(uses_one).count();
    let mut places = bound.saturating_sub(taken.saturating_sub(freed));
    let offers_allowed = places > 0;
    let mut room = GRANTS_MAX.saturating_sub(plan.settled.grants.len());
    let had_a_place = |recipient: &Recipient| {
        let had = |e: &Entry| e.refusal.is_none() && matches!(e.state, GrantState::Granted | GrantState::ImageGone);
        scene.ledger.grants.get(recipient).is_some_and(had)
    };
    candidates.sort_by(|(a, x), (b, y)| {
        planted!(
            "places-by-id",
            (!had_a_place(x), a).cmp(&(!had_a_place(y), b)),
            (!had_a_place(x), x).cmp(&(!had_a_place(y), y))
        )
    });
    for (_, recipient) in candidates {
        let needs_place = uses_place_at_once(scene, &recipient);
        let served = room > 0 && if needs_place { places > 0 } else { offers_allowed };
        if served {
            places -= usize::from(needs_place);
            room -= 1;
            // Until it is read as present, what was known of it stays written.
            if let Some(entry) = scene.ledger.grants.get(&recipient) {
                plan.settled.grants.insert(recipient.clone(), *entry);
            }
            plan.add.push(recipient);
        } else {
            if let Some(entry) = scene.ledger.grants.get(&recipient)
                && entry.state != GrantState::Retained
            {
                plan.settled.grants.insert(recipient.clone(), Entry { state: GrantState::Intended, ..*entry });
            }
            plan.settled.declined.insert(recipient, Reason::RecipientLimit);
        }
    }
}
