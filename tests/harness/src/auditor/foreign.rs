//! What is not the operator's to take: what a share that goes leaves behind, and for a while whom somebody added by hand.

use jiff::{SignedDuration, Timestamp};

use super::rules::{consents, entry_of, is_deleting, line, may_retain, title};
use super::witness::{Act, Life, alive, ledger_state, names, recipients};
use super::{Auditor, Invariant, Violation};
use crate::history::{Change, Version};

impl Auditor {
    /// A share that is deleted with `Retain` leaves behind what was granted for it: nobody loses it while that share goes.
    pub(super) fn judge_retained(&self, act: &Act, found: &mut Vec<Violation>) {
        if !act.by_an_account() {
            return;
        }
        for recipient in act.removed.iter().filter(|recipient| !act.added.contains(recipient)) {
            let mut images = self.witnessed.standing_for(&act.region, &act.image);
            // Who lets a share retain no more when the call is made may take back what it would have left behind.
            let retains = |share: &&Version| {
                let newest = self.witnessed.standing_for(&act.region, &act.image);
                let mut newest = newest.flat_map(|image| self.witnessed.newest_at(image, act.asked));
                newest.any(|image| names(share, image) && consents(share, image) && may_retain(share, image))
            };
            let leaving = images.find_map(|image| self.leaves_behind(image, recipient, act.asked).filter(retains));
            if let Some(share) = leaving {
                let what = format!("{recipient} lost {} though {} leaves it behind", act.image, title(share));
                let evidence = vec![act.line(), line(share)];
                found.push(Violation { invariant: Invariant::NoWrongfulRevoke, at: act.time, what, evidence });
            }
        }
    }

    /// A share that is certainly leaving then and names a recipient who was granted the image when the ledger had counted
    /// the share in as it was last.
    fn leaves_behind(&self, image: &Life, recipient: &str, at: Timestamp) -> Option<&Version> {
        let mut lives = self.witnessed.lives("ImageShare");
        lives.find_map(|life| {
            let mut newest = self.witnessed.newest_at(life, at);
            let share = newest.next().filter(|share| is_deleting(share) && newest.all(is_deleting))?;
            let gone = life.last().filter(|last| last.change == Change::Deleted);
            let stays = gone.is_none_or(|gone| self.witnessed.earliest(gone) > at);
            let wished = self.witnessed.as_wished(share);
            let asks = recipients(wished).any(|id| id == recipient) && wished.text("/spec/expirationTime").is_empty();
            let granted = |version: &Version| {
                let consented = names(share, version) && consents(share, version) && may_retain(share, version);
                consented && counts(version, wished) && ledger_state(version, recipient) == Some("Granted")
            };
            // The ledger as it was when the share began to go.
            let version = alive(image, life.iter().find(|version| is_deleting(version))?.revision);
            let kept = share.text("/spec/deletionPolicy") == "Retain" && stays && asks;
            (kept && version.is_some_and(granted)).then_some(share)
        })
    }

    /// For how long whom somebody added by hand is left alone, whatever an image's policy is: without it,
    /// [`Invariant::GraceForForeign`] is not judged.
    #[must_use]
    pub fn graced(mut self, grace: SignedDuration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Who was added by hand, and whom nobody wished since, may lose the image only after a while.
    pub(super) fn judge_grace(&self, act: &Act, found: &mut Vec<Violation>) {
        let Some(grace) = self.grace.filter(|_| act.by_an_account()) else { return };
        for recipient in &act.removed {
            let Some(since) = self.by_hand_since(act, recipient) else { continue };
            let images = || self.witnessed.standing_for(&act.region, &act.image).flatten();
            let meanwhile = |version: &&Version| {
                self.witnessed.latest(version) >= since && self.witnessed.earliest(version) <= act.asked
            };
            // What the ledger held when it was added, or came to hold, was the operator's own.
            let own = |version: &Version| ledger_state(version, recipient).is_some_and(|state| state != "Revoking");
            let before = self.witnessed.standing_for(&act.region, &act.image).any(|life| {
                self.witnessed.newest_at(life, since).any(|version| ledger_state(version, recipient).is_some())
            });
            let hasty = act.asked.duration_since(since) < grace;
            if hasty && !before && !images().filter(meanwhile).any(own) {
                let what = format!("{recipient} lost {} a moment after somebody added it by hand", act.image);
                let evidence = vec![act.line()];
                found.push(Violation { invariant: Invariant::GraceForForeign, at: act.time, what, evidence });
            }
        }
    }

    /// Since when somebody had the image by hand before an act; `None` where it was given by an account since.
    fn by_hand_since(&self, act: &Act, recipient: &str) -> Option<Timestamp> {
        let past = self.acts.iter().filter(|other| other.place < act.place && other.image == act.image);
        let touching = past.filter(|other| other.added.iter().chain(&other.removed).any(|id| id == recipient));
        // Whoever took it away and gave it back by hand may not have been seen in between.
        let by_hand = touching.rev().take_while(|other| !other.by_an_account());
        by_hand.filter(|other| other.added.iter().any(|id| id == recipient)).last().map(|first| first.time)
    }
}

/// Whether the ledger counts a share in, in this generation.
fn counts(image: &Version, share: &Version) -> bool {
    entry_of(image, share)
        .is_some_and(|served| served.get("generation") == share.object.pointer("/metadata/generation"))
}
