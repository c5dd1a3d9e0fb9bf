//! Who can be offered an image: a project, a domain or an organization, and the form of their names.

use crate::chassis::names::AccountId;
use serde::{Deserialize, Serialize};

/// What kind of recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberKind {
    /// A project: it answers the offer.
    Project,
    /// A domain (an account): has the image at once.
    Domain,
    /// An organization, its root or one of its units: its domains have the image at once.
    Organization,
}

impl MemberKind {
    /// The vendor's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Domain => "domain",
            Self::Organization => "organization",
        }
    }
}

/// One recipient.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recipient {
    /// What kind.
    #[serde(rename = "type")]
    pub kind: MemberKind,
    /// Its id; an organization's URN.
    pub id: AccountId,
}

impl Recipient {
    /// A project.
    pub fn project(id: &AccountId) -> Self {
        Self { kind: MemberKind::Project, id: id.clone() }
    }

    /// The id as the vendor's member rows give it: of an organization the last part of its URN.
    pub fn bare_id(&self) -> &str {
        match self.kind {
            MemberKind::Organization => bare(self.id.as_str()),
            MemberKind::Project | MemberKind::Domain => self.id.as_str(),
        }
    }

    /// Whether `text` names this recipient: by its id, or by its bare one.
    pub fn is_named(&self, text: &str) -> bool {
        self.id.as_str() == text || self.bare_id() == text
    }
}

/// The last part of a URN: the id of the organization, root or unit. A bare id is its own.
fn bare(urn: &str) -> &str {
    urn.rsplit([':', '/']).next().unwrap_or(urn)
}

/// 32 lower-case hexadecimal digits: project, domain and job ids.
pub(super) fn is_hex_id(text: &str) -> bool {
    text.len() == 32 && is_lower_hex(text)
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A lower-case UUID: image ids.
pub(super) fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<_> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(part, length)| part.len() == length && is_lower_hex(part))
}

/// A URN taken apart: who manages the organization, what it names, the organization's id.
struct Urn<'a> {
    account: &'a str,
    whole: bool,
    organization: &'a str,
}

fn parse(urn: &str) -> Option<Urn<'_>> {
    let (account, rest) = urn.strip_prefix("organizations::")?.split_once(':')?;
    let (kind, path) = rest.split_once(':')?;
    let id = |text: &str, prefix: &str| {
        let length = text.strip_prefix(prefix).map_or(0, str::len);
        (1..=32).contains(&length)
            && text.bytes().skip(prefix.len()).all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let (organization, unit) = path.split_once('/').map_or((path, None), |(o, unit)| (o, Some(unit)));
    let fits = match (kind, unit) {
        ("organization", None) => true,
        ("root", Some(root)) => id(root, "r-"),
        ("ou", Some(unit)) => id(unit, "ou-"),
        _ => false,
    };
    (fits && is_hex_id(account) && id(organization, "o-")).then_some(Urn { account, whole: kind != "ou", organization })
}

/// Whether `text` has the form of an organization's URN.
pub(super) fn is_urn(text: &str) -> bool {
    parse(text).is_some()
}

/// Whether what is granted to the organization `granted` reaches a domain that is in `home`. An organization has one
/// root; a domain names each unit it is in, also those above.
pub(super) fn reaches(granted: &str, home: &str) -> bool {
    let (Some(granted_urn), Some(home_urn)) = (parse(granted), parse(home)) else { return false };
    let same = granted_urn.account == home_urn.account && granted_urn.organization == home_urn.organization;
    granted == home || (granted_urn.whole && same)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

    fn urn(rest: &str) -> String {
        format!("organizations::{ACCOUNT}:{rest}")
    }

    #[test]
    fn a_urn_names_an_organization_its_root_or_a_unit() {
        for good in ["organization:o-a1", "root:o-a1/r-b2", "ou:o-a1/ou-c3"] {
            assert!(is_urn(&urn(good)), "{good}");
        }
        let bad = ["organization:o-", "organization:o-a1/r-b2", "root:o-a1", "ou:o-a1/r-b2", "ou:o-A/ou-c", "user:o-a"];
        for bad in bad {
            assert!(!is_urn(&urn(bad)), "{bad}");
        }
        assert!(!is_urn("organizations::short:organization:o-a1") && !is_urn("o-a1"));
    }

    #[test]
    fn a_whole_organization_reaches_its_units_and_a_unit_only_itself() {
        let (whole, root) = (urn("organization:o-a"), urn("root:o-a/r-b"));
        let (unit, other) = (urn("ou:o-a/ou-c"), urn("ou:o-a/ou-d"));
        assert!(reaches(&whole, &unit) && reaches(&root, &unit) && reaches(&unit, &unit));
        assert!(!reaches(&unit, &other) && !reaches(&unit, &whole));
        assert!(!reaches(&urn("organization:o-b"), &unit));
    }

    #[test]
    fn a_recipient_is_named_by_urn_or_bare_id() {
        let recipient = Recipient { kind: MemberKind::Organization, id: AccountId::from(urn("ou:o-a/ou-c").as_str()) };
        assert!(recipient.is_named("ou-c") && recipient.is_named(&urn("ou:o-a/ou-c")) && !recipient.is_named("o-a"));
    }

    #[test]
    fn ids_have_one_form() {
        assert!(is_uuid("cc4f2d1e-0000-4000-8000-000000000001") && !is_uuid("cc4f2d1e00004000800000000000000001"));
        assert!(!is_uuid("CC4F2D1E-0000-4000-8000-000000000001"));
        assert!(is_hex_id(ACCOUNT) && !is_hex_id("0123") && !is_hex_id(&ACCOUNT.to_uppercase()));
    }
}
