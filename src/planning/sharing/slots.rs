//! Assigns an image's slots to recipients: counted as the vendor counts, in order of priority, without displacing
//! anyone.

use super::{Plan, PlanInput};
use crate::api::cloud_image::GrantState;
use crate::api::conditions::Reason;
use crate::domain::identifiers::{Recipient, RecipientKind};
use crate::domain::image::{Answer, ImageKind};
use crate::planning::desired::SlotPriority;
use crate::planning::ledger::{Entry, GRANTS_MAX};

/// How many recipients an image of this kind may have; 0 means no limit.
pub(super) fn limit(input: &PlanInput<'_>) -> usize {
    let limit = match input.image.kind {
        ImageKind::FullServer => input.terms.recipients_per_full_server_image,
        ImageKind::SystemDisk | ImageKind::DataDisk | ImageKind::Iso => input.terms.recipients_per_image,
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// How many recipients use a slot. Huawei: an offer that is not accepted uses none.
pub(super) fn taken(input: &PlanInput<'_>) -> usize {
    let answers = input.recipients.recipients.values();
    answers.filter(|answer| answer_uses_slot(input, **answer)).count()
}

fn answer_uses_slot(input: &PlanInput<'_>, answer: Option<Answer>) -> bool {
    input.terms.provider.rules().unaccepted_use_places || matches!(answer, None | Some(Answer::Accepted))
}

/// Whether a recipient uses a slot as soon as it is added: where only accepted ones do, projects are asked first.
fn uses_slot_at_once(input: &PlanInput<'_>, recipient: &Recipient) -> bool {
    input.terms.provider.rules().unaccepted_use_places || recipient.kind != RecipientKind::Project
}

/// Assigns the free slots: first to recipients that had one and lost it, then by priority. No recipient is displaced. A
/// recipient that needs no slot before it accepts gets the offer while any slot is free.
pub(super) fn give(input: &PlanInput<'_>, mut candidates: Vec<(SlotPriority, Recipient)>, plan: &mut Plan) {
    let present = &input.recipients.recipients;
    let expected = plan.settled.grants.iter().filter(|(recipient, entry)| {
        let moving = matches!(entry.state, GrantState::Intended | GrantState::Granted) && entry.refusal.is_none();
        moving && !present.contains_key(recipient) && uses_slot_at_once(input, recipient)
    });
    let taken = plan.slots_taken + expected.count();
    let limit = planted!("limit-unheeded", plan.limit, 0);
    let bound = if limit == 0 { GRANTS_MAX } else { limit.min(GRANTS_MAX) };
    let counts_all = input.terms.provider.rules().unaccepted_use_places;
    plan.free_slots = (plan.limit != 0 && counts_all).then(|| bound.saturating_sub(taken));
    let uses_one =
        |recipient: &&Recipient| present.get(*recipient).is_some_and(|answer| answer_uses_slot(input, *answer));
    let freed = plan.remove.iter().filter(uses_one).count();
    let mut slots = bound.saturating_sub(taken.saturating_sub(freed));
    let offers_allowed = slots > 0;
    let mut room = GRANTS_MAX.saturating_sub(plan.settled.grants.len());
    let had_a_slot = |recipient: &Recipient| {
        let had = |e: &Entry| e.refusal.is_none() && matches!(e.state, GrantState::Granted | GrantState::ImageGone);
        input.ledger.grants.get(recipient).is_some_and(had)
    };
    candidates.sort_by(|(a, x), (b, y)| {
        planted!(
            "places-by-id",
            (!had_a_slot(x), a).cmp(&(!had_a_slot(y), b)),
            (!had_a_slot(x), x).cmp(&(!had_a_slot(y), y))
        )
    });
    for (_, recipient) in candidates {
        let needs_slot = uses_slot_at_once(input, &recipient);
        let served = room > 0 && if needs_slot { slots > 0 } else { offers_allowed };
        if served {
            slots -= usize::from(needs_slot);
            room -= 1;
            // Keeps the recorded entry until the recipient is read as present.
            if let Some(entry) = input.ledger.grants.get(&recipient) {
                plan.settled.grants.insert(recipient.clone(), *entry);
            }
            plan.add.push(recipient);
        } else {
            if let Some(entry) = input.ledger.grants.get(&recipient)
                && entry.state != GrantState::Retained
            {
                plan.settled.grants.insert(recipient.clone(), Entry { state: GrantState::Intended, ..*entry });
            }
            plan.settled.declined.insert(recipient, Reason::RecipientLimit);
        }
    }
}
