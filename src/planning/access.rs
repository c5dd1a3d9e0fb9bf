//! Who gained or lost access between two ledgers of an image, for which `ImageShare`, and why. The edge publishes these
//! changes as events and as lines of the audit log, and decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::ledger::Ledger;
use crate::api::cloud_image::GrantState;
use crate::domain::identifiers::Recipient;
use crate::domain::image::Answer;
use crate::domain::share::{Activity, Consent, Share};

/// What breaks on the recipient's side; every text about ended access includes it.
pub const WHAT_BREAKS: &str = "their servers made from it cannot re-initialise their system disk or change their OS any more, \
                               and no new servers can be made";

/// Most shares that one change names; the ledger records no more holders of a grant either.
const SHARES_PER_CHANGE_MAX: usize = 16;

/// How the access of a recipient changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The operator gave it access.
    Granted,
    /// It had access already, and the operator revokes it from now on when no share asks for it.
    Adopted,
    /// Its access stays without an `ImageShare`.
    Retained,
    /// Its access ended because the share expired.
    Expired,
    /// Its access ended for another cause.
    Revoked(Cause),
}

impl Change {
    /// The word of the audit log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Adopted => "adopted",
            Self::Retained => "retained",
            Self::Expired => "expired",
            Self::Revoked(_) => "revoked",
        }
    }

    /// Why access ended, where the word does not say it.
    pub fn cause(self) -> Option<Cause> {
        match self {
            Self::Revoked(cause) => Some(cause),
            Self::Granted | Self::Adopted | Self::Retained | Self::Expired => None,
        }
    }
}

/// Why access was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The `ImageShare` was deleted.
    ShareDeleted,
    /// The recipient was taken out of the `ImageShare`.
    RecipientRemoved,
    /// The image's owner no longer admits the namespace of the `ImageShare`.
    ConsentWithdrawn,
    /// The cloud does not show the image any more.
    ImageGone,
    /// No `ImageShare` asked for the recipient (`unmanagedRecipients: Revoke`).
    Unmanaged,
}

/// The `ImageShare` that asked for a recipient.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedBy {
    /// Its uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// One change of access, for one share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessChange {
    /// Whose access changed.
    pub recipient: Recipient,
    /// How.
    pub change: Change,
    /// The recipient must accept before it can use the image.
    pub offered: bool,
    /// The share; `None` where no share asked for the recipient, or none is known any more.
    pub share: Option<AskedBy>,
    /// Whether the share's namespace may learn of the change: the image's owner admits it.
    pub visible_to_share: bool,
}

/// The ledgers of one reconcile.
#[derive(Debug, Clone, Copy)]
pub struct Ledgers<'a> {
    /// Before the reconcile.
    pub before: &'a Ledger,
    /// With the intents written before the calls, if there were calls.
    pub intended: Option<&'a Ledger>,
    /// After the reconcile.
    pub after: &'a Ledger,
    /// Recipients that another object for the same image granted it to: their access goes on there.
    pub elsewhere: &'a BTreeSet<Recipient>,
}

/// What changed between the ledgers: each recipient once for each share that asked for it, at least once.
pub fn access_changes(ledgers: Ledgers<'_>, shares: &[Share], now: Timestamp) -> Vec<AccessChange> {
    let by_uid: BTreeMap<&str, &Share> = shares.iter().map(|share| (share.uid.as_str(), share)).collect();
    let Ledgers { before, intended, after, .. } = ledgers;
    let called = intended.into_iter().flat_map(|ledger| ledger.grants.keys());
    let everybody: BTreeSet<&Recipient> = before.grants.keys().chain(after.grants.keys()).chain(called).collect();
    let mut changes = Vec::new();
    for recipient in everybody {
        let Some(kind) = kind_of(ledgers, recipient) else { continue };
        let mut found = Vec::new();
        for uid in asking(ledgers, recipient, kind, &by_uid, now) {
            let share = by_uid.get(uid).copied();
            let Some(share_ref) = share.map(named).or_else(|| recorded(ledgers, uid)) else { continue };
            found.push(AccessChange {
                recipient: recipient.clone(),
                change: kind.change(share, now),
                offered: is_offered(after, recipient),
                share: Some(share_ref),
                visible_to_share: share.is_some_and(|share| share.consent == Consent::Given),
            });
        }
        if found.is_empty() {
            found.push(AccessChange {
                recipient: recipient.clone(),
                change: kind.without_share(),
                offered: is_offered(after, recipient),
                share: None,
                visible_to_share: false,
            });
        }
        changes.append(&mut found);
    }
    changes
}

/// A change before its share is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Granted,
    Adopted,
    Retained,
    Ended,
    ImageGone,
}

impl Kind {
    fn change(self, share: Option<&Share>, now: Timestamp) -> Change {
        match self {
            Self::Granted => Change::Granted,
            Self::Adopted => Change::Adopted,
            Self::Retained => Change::Retained,
            Self::ImageGone => Change::Revoked(Cause::ImageGone),
            Self::Ended => match share {
                Some(share) if share.consent == Consent::Withheld => Change::Revoked(Cause::ConsentWithdrawn),
                Some(share) if share.deleting => Change::Revoked(Cause::ShareDeleted),
                Some(share) if share.expired(now) => Change::Expired,
                Some(_) => Change::Revoked(Cause::RecipientRemoved),
                None => Change::Revoked(Cause::ShareDeleted),
            },
        }
    }

    fn without_share(self) -> Change {
        match self {
            Self::Ended => Change::Revoked(Cause::Unmanaged),
            other => other.change(None, Timestamp::UNIX_EPOCH),
        }
    }
}

fn kind_of(ledgers: Ledgers<'_>, recipient: &Recipient) -> Option<Kind> {
    let Ledgers { before, intended, after, elsewhere } = ledgers;
    let entry = before.grants.get(recipient);
    let was = entry.map(|entry| entry.state);
    let called = intended.and_then(|ledger| ledger.grants.get(recipient)).map(|entry| entry.state);
    match (was, after.grants.get(recipient).map(|entry| entry.state)) {
        // Given anew after somebody else had taken it away, or after the operator had.
        (Some(GrantState::Granted | GrantState::Revoking), Some(GrantState::Granted)) => {
            (called == Some(GrantState::Intended)).then_some(Kind::Granted)
        }
        (None | Some(GrantState::Retained), Some(GrantState::Granted)) if called != Some(GrantState::Intended) => {
            Some(Kind::Adopted)
        }
        (_, Some(GrantState::Granted)) => Some(Kind::Granted),
        (was, Some(GrantState::Retained)) => (was != Some(GrantState::Retained)).then_some(Kind::Retained),
        (was, Some(GrantState::ImageGone)) => (was != Some(GrantState::ImageGone)).then_some(Kind::ImageGone),
        // Nobody's grant, and revoked within this reconcile.
        (None, None) if called == Some(GrantState::Revoking) => (!elsewhere.contains(recipient)).then_some(Kind::Ended),
        // The end of `ImageGone` was reported when the image went; the others are under way.
        (Some(GrantState::ImageGone | GrantState::Retained) | None, None)
        | (_, Some(GrantState::Intended | GrantState::Revoking)) => None,
        (Some(_), None) => {
            let never_had_it = entry.is_some_and(|entry| entry.refusal.is_some());
            (!never_had_it && !elsewhere.contains(recipient)).then_some(Kind::Ended)
        }
    }
}

/// The uids of the shares that a change concerns.
fn asking<'a>(
    ledgers: Ledgers<'a>,
    recipient: &Recipient,
    kind: Kind,
    shares: &BTreeMap<&str, &Share>,
    now: Timestamp,
) -> Vec<&'a str> {
    let Ledgers { before, after, .. } = ledgers;
    let of = |uids: Option<&'a BTreeSet<String>>| -> Vec<&'a str> {
        uids.into_iter().flatten().map(String::as_str).collect()
    };
    let (held, holds) = (of(before.holders.get(recipient)), of(after.holders.get(recipient)));
    let found = match kind {
        Kind::Granted | Kind::Adopted => {
            // A paused share, and one without consent, did not ask.
            let active = |uid: &&str| shares.get(uid).is_some_and(|share| share.activity(now) == Activity::Active);
            holds.into_iter().filter(active).collect()
        }
        Kind::Retained => {
            let leaves = |uid: &&str| shares.get(uid).is_some_and(|share| share.leaves_its_grants());
            held.iter().chain(&holds).copied().filter(leaves).collect::<BTreeSet<_>>().into_iter().collect()
        }
        Kind::Ended | Kind::ImageGone if held.is_empty() => of(before.former_holders.get(recipient)),
        Kind::Ended | Kind::ImageGone => held,
    };
    found.into_iter().take(SHARES_PER_CHANGE_MAX).collect()
}

fn named(share: &Share) -> AskedBy {
    AskedBy { uid: share.uid.clone(), namespace: share.namespace.clone(), name: share.name.clone() }
}

/// A share that is gone, as a ledger lists it.
fn recorded(ledgers: Ledgers<'_>, uid: &str) -> Option<AskedBy> {
    let served = ledgers.before.shares.get(uid).or_else(|| ledgers.after.shares.get(uid))?;
    Some(AskedBy { uid: uid.to_owned(), namespace: served.namespace.clone(), name: served.name.clone() })
}

fn is_offered(ledger: &Ledger, recipient: &Recipient) -> bool {
    ledger.grants.get(recipient).is_some_and(|entry| entry.answer == Some(Answer::Pending))
}
