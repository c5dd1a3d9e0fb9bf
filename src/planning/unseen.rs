//! Plans the ledger of an image that cannot be observed: the cloud cannot be read, or it shows no such image.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::copies::{self, unseen, unwanted_left};
use super::desired::{DesiredRecipients, to_serve};
use super::ledger::Ledger;
use super::sharing::{Plan, PlanInput};
use crate::api::cloud_image::GrantState;
use crate::domain::share::Share;

/// Decides without an observation of the cloud: grants that a deleted share leaves behind are retained, and a share
/// with nothing left to revoke is released.
pub fn plan_unseen(ledger: &Ledger, desired: &DesiredRecipients, shares: &[Share], now: Timestamp) -> Ledger {
    let mut settled = ledger.clone();
    settled.set_holders(desired.holders.clone(), ledger);
    for (recipient, entry) in &mut settled.grants {
        if !desired.wanted.contains_key(recipient) && !desired.keeps(recipient) && desired.retained.contains(recipient)
        {
            (entry.state, entry.absent) = (GrantState::Retained, false);
        }
    }
    settled.copies = unseen(&ledger.copies, desired);
    let unwanted_left = unwanted_left(&settled.copies, desired)
        || settled.grants.iter().any(|(recipient, entry)| {
            entry.state != GrantState::Retained && !desired.wanted.contains_key(recipient) && !desired.keeps(recipient)
        });
    if !unwanted_left {
        keep_served(&mut settled, shares, now);
    }
    settled
}

/// Removes ended shares.
fn keep_served(ledger: &mut Ledger, shares: &[Share], now: Timestamp) {
    let serving: BTreeSet<&str> = to_serve(shares, now).map(|share| share.uid.as_str()).collect();
    ledger.shares.retain(|uid, _| serving.contains(uid.as_str()));
}

/// The ledger once the cloud showed the image as absent. After two such reads, an absence window apart, no recipient
/// has it any more, and ended shares are removed. Granted entries stay in the ledger as `ImageGone`, and entries being
/// revoked stay so: if the image comes back, undesired access is ended. Returns when to read again, if necessary.
pub fn plan_absent(
    ledger: &Ledger,
    shares: &[Share],
    window: SignedDuration,
    now: Timestamp,
) -> (Ledger, Option<Timestamp>) {
    let mut settled = ledger.clone();
    let since = ledger.absent_since.unwrap_or(now);
    settled.absent_since = Some(since);
    settled.job = None;
    settled.unmanaged.clear();
    let over = since.saturating_add(planted!("image-gone-at-once", window, SignedDuration::ZERO));
    let over = over.unwrap_or(Timestamp::MAX);
    if now < over {
        return (settled, Some(over));
    }
    for entry in settled.grants.values_mut() {
        if matches!(entry.state, GrantState::Granted | GrantState::Intended) && entry.refusal.is_none() {
            (entry.state, entry.absent) = (GrantState::ImageGone, false);
        }
    }
    keep_served(&mut settled, shares, now);
    (settled, None)
}

/// The plan of an image that the cloud does not show: no call about the image, but its snapshots may outlive it, and so may
/// permissions on them. `input`: of `copies::absent_image`, without recipients.
pub fn plan_absent_image(input: &PlanInput<'_>) -> Plan {
    let (mut settled, requeue_at) = plan_absent(input.ledger, input.shares, input.timing.absence_window, input.now);
    let decided = copies::plan(&PlanInput { deleting: true, ..*input });
    if unwanted_left(&decided.settled, input.desired) {
        settled.shares.clone_from(&input.ledger.shares);
    }
    Plan::of_absent_image(settled, requeue_at, decided)
}
