//! Recipients that give an image back by themselves. The owner's side of the cloud shows only that a grant is gone: the first
//! time it is given again, as after a mistake by hand; if it is gone again soon after, the recipient has left. Giving the image
//! again and again would be a quarrel of two operators that neither wins.

use jiff::Timestamp;

use super::PlanInput;
use crate::api::cloud_image::GrantState;
use crate::api::conditions::Reason;
use crate::domain::identifiers::{Recipient, RecipientKind, known_as};
use crate::domain::image::{ImageState, Ownership};
use crate::domain::share::{Activity, Share};
use crate::planning::ledger::{Entry, Ledger};

/// Whether the recipient left the image, and no share has asked anew since.
pub(super) fn has_left(entry: &Entry) -> bool {
    entry.refusal == Some(Reason::RecipientLeft)
}

/// The entry of a granted recipient that is gone again soon after it was given the image again; `None` for any other. An image
/// that cannot be shared has lost its recipients for another reason.
pub(super) fn leaves(input: &PlanInput<'_>, recipient: &Recipient, entry: &Entry) -> Option<Entry> {
    let shareable = input.image.state == ImageState::Available && input.image.ownership == Ownership::Own;
    let regiven = entry.regiven.filter(|_| entry.state == GrantState::Granted && entry.refusal.is_none())?;
    let soon = input.now.duration_since(regiven) < input.timing.left_within;
    let left = shareable && soon && recipient.kind == RecipientKind::Account;
    planted!("recipient-left-unheeded", left, false)
        .then(|| Entry { refusal: Some(Reason::RecipientLeft), ..Entry::new(GrantState::Intended, input.now) })
}

/// The ledger without the recipients that left, and for which an active share asks anew: one that was edited, or made, since it
/// was last served.
#[must_use]
pub fn ask_anew(mut ledger: Ledger, shares: &[Share], now: Timestamp) -> Ledger {
    let served = |share: &Share| ledger.shares.get(&share.uid).map(|served| served.generation);
    let anew: Vec<&Share> = shares
        .iter()
        .filter(|share| share.activity(now) == Activity::Active && served(share) != Some(share.generation))
        .collect();
    ledger.grants.retain(|recipient, entry| {
        let names = |share: &&Share| {
            share.recipients.iter().any(|asked| known_as(asked.kind, &asked.id) == recipient.known_as())
        };
        !(has_left(entry) && anew.iter().any(names))
    });
    ledger
}
