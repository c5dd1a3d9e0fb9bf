//! One recipient in two spellings: a cloud may list a recipient otherwise than it was named. Compared as texts it would be
//! missing and foreign at the same time, for ever.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::Ledger;
use crate::domain::identifiers::{Recipient, RecipientKind};
use crate::domain::image::RecipientList;

/// How each recipient is written: of two spellings of one recipient, the first counts. The ledger's come first, so that a share
/// which names the recipient otherwise changes nothing.
#[derive(Debug, Default)]
pub(super) struct Spellings {
    known: BTreeMap<(String, String), Recipient>,
}

impl Spellings {
    /// Those of a ledger.
    pub(super) fn of(ledger: &Ledger) -> Self {
        let mut spellings = Self::default();
        ledger.grants.keys().for_each(|recipient| drop(spellings.spell(recipient.clone())));
        spellings
    }

    /// The recipient as it was written first.
    pub(super) fn spell(&mut self, recipient: Recipient) -> Recipient {
        if recipient.kind != RecipientKind::Organization {
            return recipient;
        }
        let (_, partition, id) = recipient.known_as();
        self.known.entry((partition.to_owned(), id.to_owned())).or_insert(recipient).clone()
    }
}

/// The observed recipients, each as the shares and the ledger name it. `named`: all that these name.
pub fn as_named<'a>(observed: &RecipientList, named: impl IntoIterator<Item = &'a Recipient>) -> RecipientList {
    let mut spellings: BTreeMap<_, &Recipient> = BTreeMap::new();
    for recipient in named {
        spellings.entry(recipient.known_as()).or_insert(recipient);
    }
    let spelt = |recipient: &Recipient| (*spellings.get(&recipient.known_as()).unwrap_or(&recipient)).clone();
    let recipients = observed.recipients.iter().map(|(recipient, answer)| (spelt(recipient), *answer)).collect();
    RecipientList { recipients, complete: observed.complete }
}

/// Whether one of these is the same recipient.
pub(super) fn names_any(recipients: &BTreeSet<Recipient>, recipient: &Recipient) -> bool {
    recipients.contains(recipient) || recipients.iter().any(|other| other.known_as() == recipient.known_as())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identifiers::{PrincipalId, RecipientKind};

    fn recipient(kind: RecipientKind, id: &str) -> Recipient {
        Recipient { kind, id: PrincipalId::parse(id).unwrap() }
    }

    fn organization(account: &str, path: &str) -> Recipient {
        recipient(RecipientKind::Organization, &format!("arn:aws:organizations::{account}:{path}"))
    }

    #[test]
    fn an_organization_listed_under_another_account_is_the_one_that_was_named() {
        let (one, other) = ("111122223333", "999988887777");
        let named = [organization(one, "organization/o-abcdefghij"), recipient(RecipientKind::Account, other)];
        let listed = [
            organization(other, "organization/o-abcdefghij"),
            organization(other, "organization/o-zzzzzzzzzz"),
            organization(other, "ou/o-abcdefghij/ou-abcd-12345678"),
            recipient(RecipientKind::Account, one),
            recipient(RecipientKind::Organization, "all"),
        ];
        let observed = RecipientList { recipients: listed.clone().map(|found| (found, None)).into(), complete: true };
        let mut wanted = listed;
        wanted[0] = named[0].clone();
        let spelt = as_named(&observed, &named);
        assert_eq!(spelt, RecipientList { recipients: wanted.map(|found| (found, None)).into(), complete: true });
    }
}
