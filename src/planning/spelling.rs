//! One recipient in two spellings: a cloud may list a recipient otherwise than it was named. Compared as texts it would be
//! missing and foreign at the same time, for ever.

use std::collections::BTreeMap;

use crate::domain::identifiers::Recipient;
use crate::domain::image::RecipientList;
use crate::domain::provider::Provider;

/// The observed recipients, each as the shares and the ledger name it. `named`: all that these name; of two spellings of one
/// recipient, the first counts.
pub fn as_named<'a>(
    observed: &RecipientList,
    provider: Provider,
    named: impl IntoIterator<Item = &'a Recipient>,
) -> RecipientList {
    let mut spellings: BTreeMap<&str, &Recipient> = BTreeMap::new();
    for recipient in named {
        if let Some(key) = provider.known_by(recipient) {
            spellings.entry(key).or_insert(recipient);
        }
    }
    let spelt = |recipient: &Recipient| {
        let named = provider.known_by(recipient).and_then(|key| spellings.get(key).copied());
        named.unwrap_or(recipient).clone()
    };
    let recipients = observed.recipients.iter().map(|(recipient, answer)| (spelt(recipient), *answer)).collect();
    RecipientList { recipients, complete: observed.complete }
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
        let spelt = as_named(&observed, Provider::Aws, &named);
        assert_eq!(spelt, RecipientList { recipients: wanted.map(|found| (found, None)).into(), complete: true });
        assert_eq!(as_named(&observed, Provider::Huawei, &named), observed, "other clouds list what was named");
    }
}
