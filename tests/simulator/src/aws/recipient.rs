//! Whom a permission is for: an account, an organization or an organizational unit by its ARN, or everybody.

use crate::chassis::names::AccountId;

/// What kind of recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An account.
    Account,
    /// An organization.
    Organization,
    /// An organizational unit, with the units below it.
    Unit,
    /// Everybody.
    Group,
}

/// Whom a permission is for.
#[derive(Debug, Clone)]
pub struct Recipient {
    kind: Kind,
    id: AccountId,
}

/// Organizations and units are the same where their own ids are: whether AWS compares the ARN's account is unconfirmed.
impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, self.key()) == (other.kind, other.key())
    }
}

impl Eq for Recipient {}

impl Recipient {
    /// Everybody.
    pub fn everybody() -> Self {
        Self { kind: Kind::Group, id: AccountId::from("all") }
    }

    /// A recipient of a kind; `None` where the text has not the form of one.
    pub fn of(kind: Kind, text: &str) -> Option<Self> {
        let fits = match kind {
            Kind::Account => is_account(text),
            Kind::Group => text == "all",
            Kind::Organization => arn(text).is_some_and(|arn| arn.unit.is_none()),
            Kind::Unit => arn(text).is_some_and(|arn| arn.unit.is_some()),
        };
        fits.then(|| Self { kind, id: AccountId::from(text) })
    }

    /// The recipient that a text of any of the forms names.
    pub fn parse(text: &str) -> Option<Self> {
        [Kind::Account, Kind::Organization, Kind::Unit, Kind::Group].into_iter().find_map(|kind| Self::of(kind, text))
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The account, the ARN, or `all`.
    pub fn id(&self) -> &AccountId {
        &self.id
    }

    /// The account, the ids of organization and unit, or `all`.
    pub(super) fn key(&self) -> &str {
        self.id.as_str().rsplit(':').next().unwrap_or_default()
    }

    /// The partition of an ARN; none for accounts, which do not show theirs.
    pub(super) fn partition(&self) -> Option<&str> {
        arn(self.id.as_str()).map(|arn| arn.partition)
    }

    /// The id of its organization, and that of its unit, where it is one.
    pub(super) fn place(&self) -> Option<(&str, Option<&str>)> {
        arn(self.id.as_str()).map(|arn| (arn.organization, arn.unit))
    }

    /// Itself in the words of its organization: with the management account in the ARN.
    pub(super) fn managed_by(&self, account: &AccountId) -> Self {
        let Some(partition) = self.partition() else { return self.clone() };
        let id = format!("arn:{partition}:organizations::{account}:{}", self.key());
        Self { kind: self.kind, id: AccountId::from(id.as_str()) }
    }
}

struct Arn<'a> {
    partition: &'a str,
    organization: &'a str,
    unit: Option<&'a str>,
}

/// `arn:aws:organizations::111122223333:organization/o-…` or `…:ou/o-…/ou-…-…`.
fn arn(text: &str) -> Option<Arn<'_>> {
    let parts: Vec<_> = text.split(':').collect();
    let ["arn", partition, "organizations", "", account, resource] = parts.as_slice() else { return None };
    if !partition.starts_with("aws") || !is_account(account) {
        return None;
    }
    let (organization, unit) = match resource.split('/').collect::<Vec<_>>().as_slice() {
        ["organization", organization] => (*organization, None),
        ["ou", organization, unit] => (*organization, Some(*unit)),
        _ => return None,
    };
    let fits = is_organization(organization) && unit.is_none_or(is_unit);
    fits.then_some(Arn { partition, organization, unit })
}

/// Twelve digits.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_lower(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

/// `o-` and 10 to 32 letters and digits.
pub(super) fn is_organization(text: &str) -> bool {
    text.strip_prefix("o-").is_some_and(|id| is_lower(id, 10..=32))
}

/// `ou-`, 4 to 32 letters and digits of the root, and 8 to 32 of its own.
pub(super) fn is_unit(text: &str) -> bool {
    let parts = text.strip_prefix("ou-").and_then(|id| id.split_once('-'));
    parts.is_some_and(|(root, own)| is_lower(root, 4..=32) && is_lower(own, 8..=32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORGANIZATION: &str = "arn:aws:organizations::111122223333:organization/o-abcdefghij";
    const UNIT: &str = "arn:aws-us-gov:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678";

    #[test]
    fn recipients_are_told_apart_by_their_form() {
        let kind = |text| Recipient::parse(text).map(|recipient| recipient.kind());
        assert_eq!(kind("012345678901"), Some(Kind::Account));
        assert_eq!(kind(ORGANIZATION), Some(Kind::Organization));
        assert_eq!(kind(UNIT), Some(Kind::Unit));
        assert_eq!(kind("all"), Some(Kind::Group));
        let account = ORGANIZATION.replace("organization/o-abcdefghij", "account/o-abcdefghij/123456789012");
        let bad = [
            "",
            "12345678901",
            "o-abcdefghij",
            "All",
            &account,
            &ORGANIZATION.replace("o-a", "o-A"),
            &ORGANIZATION.replace("arn:aws", "arn:azure"),
            &UNIT.replace("ou-abcd-", "ou-abcd"),
            &UNIT.replace("1111", "111"),
            &format!("{UNIT}/ou-abcd-12345679"),
        ];
        for text in bad {
            assert_eq!(kind(text), None, "{text}");
        }
    }

    #[test]
    fn an_arn_is_the_same_under_another_account() {
        let one = Recipient::parse(ORGANIZATION).unwrap();
        let other = one.managed_by(&AccountId::from("999988887777"));
        assert_eq!(one, other);
        assert_eq!(other.id().as_str(), "arn:aws:organizations::999988887777:organization/o-abcdefghij");
        assert_ne!(one, Recipient::parse(&ORGANIZATION.replace("o-a", "o-b")).unwrap());
        assert_eq!(Recipient::parse(UNIT).unwrap().place(), Some(("o-abcdefghij", Some("ou-abcd-12345678"))));
    }
}
