//! Identifiers, parsed once at the boundary and trusted afterwards. Each one is non-empty, bounded and free of
//! characters that could change a URL, a query or a terminal. Nothing here calls a cloud.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::aws::organization_path;

/// Longest identifier accepted, in bytes.
pub const IDENTIFIER_BYTES_MAX: usize = 255;

/// Why a text is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct InvalidIdentifier {
    text: String,
    wanted: &'static str,
}

impl InvalidIdentifier {
    pub(crate) fn new(text: &str, wanted: &'static str) -> Self {
        Self { text: text.chars().take(64).collect(), wanted }
    }
}

fn is_plain(text: &str, others: &[u8]) -> bool {
    !text.is_empty()
        && text.len() <= IDENTIFIER_BYTES_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $wanted:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the identifier; the error names what was expected.
            pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(text) { Ok(Self(text.to_owned())) } else { Err(InvalidIdentifier::new(text, $wanted)) }
            }

            /// The identifier as the cloud writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidIdentifier;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

identifier!(
    /// A region of a cloud, as `cn-hangzhou` or `RegionOne`.
    RegionId, "a region id (letters, digits, '-', '_')", |t| t.len() <= 63 && is_plain(t, b"-_")
);
identifier!(
    /// An image of a cloud, as `m-bp1...` (Alibaba) or a UUID (Huawei, OpenStack).
    ImageId, "an image id (letters, digits, '-', '_', '.')", |t| t.len() <= 128 && planted!("id-climbs", t != "." && t != "..", true) && is_plain(t, b"-_.")
);
identifier!(
    /// An account, project or organization that an image is shared with or owned by. `.` and `..` alone are refused:
    /// escaped or not, they change the path of a URL.
    PrincipalId, "an account, project or organization id", |t| t != "." && t != ".." && is_plain(t, b"-_.:/@")
);

identifier!(
    /// A snapshot behind an image, as `snap-0123456789abcdef0` (AWS).
    SnapshotId, "a snapshot id (letters, digits, '-')", |t| t.len() <= 64 && is_plain(t, b"-")
);
identifier!(
    /// A job of a cloud that carries out a call after the cloud answered it (Huawei).
    JobId, "a job id (letters, digits, '-', '_')", |t| t.len() <= 64 && is_plain(t, b"-_")
);
identifier!(
    /// A backup vault that a full-server image is accepted into (Huawei).
    VaultId, "a vault id (letters, digits, '-')", |t| t.len() <= 64 && is_plain(t, b"-")
);

identifier!(
    /// A key of a vendor's key service, as `08c33a6f-4e0a-4a1b-9f7b-7a5d1e2f3a4b` or an ARN.
    KeyId, "a key id (letters, digits, '-', '_', '/', ':')", |t| is_plain(t, b"-_/:")
);
identifier!(
    /// An agency that lets the image service write into another region (Huawei).
    AgencyName, "an agency's name (up to 64 letters, digits, ' ', '-', '_', '.')", |t| t.len() <= 64 && is_plain(t, b" -_.")
);
identifier!(
    /// The name of a project, as `cn-north-4` or `cn-north-4_team` (Huawei).
    ProjectName, "a project's name (up to 64 letters, digits, '-', '_')", |t| t.len() <= 64 && is_plain(t, b"-_")
);
identifier!(
    /// The uid of a Kubernetes object: the mark of what the operator made for it at a cloud.
    ObjectUid, "an object's uid (up to 48 letters, digits, '-')", |t| t.len() <= 48 && is_plain(t, b"-")
);

/// The name of an image to be made, valid at its cloud. Parsed by `Provider::parse_image_name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName(String);

impl ImageName {
    pub(super) fn trusted(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The name as the cloud writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of party a recipient is. Clouds differ in which they accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum RecipientKind {
    /// A whole account: an Alibaba account UID, a Huawei domain id.
    Account,
    /// A project: Huawei or OpenStack.
    Project,
    /// An organization or organizational unit.
    Organization,
}

impl fmt::Display for RecipientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "Account",
            Self::Project => "Project",
            Self::Organization => "Organization",
        })
    }
}

/// One recipient that an image can be shared with: the key of every ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Recipient {
    /// Which kind of recipient it is.
    pub kind: RecipientKind,
    /// Its id, in the spelling the cloud uses.
    pub id: PrincipalId,
}

/// Kind, partition and id of a recipient, without what may be written differently.
pub type KnownAs<'a> = (RecipientKind, &'a str, &'a str);

/// What tells a recipient from others, however it is written: an organization of AWS is the same under each account that its ARN
/// may name. No other cloud has ids of that form.
pub fn known_as(kind: RecipientKind, id: &str) -> KnownAs<'_> {
    match kind {
        RecipientKind::Organization => {
            let (partition, id) = organization_path(id).unwrap_or(("", id));
            (kind, partition, id)
        }
        RecipientKind::Account | RecipientKind::Project => (kind, "", id),
    }
}

impl Recipient {
    /// What tells it from others, however it is written.
    pub fn known_as(&self) -> KnownAs<'_> {
        known_as(self.kind, self.id.as_str())
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_refuse_what_could_change_a_url_or_a_terminal() {
        for bad in ["", ".", "..", "a/b", "a?b", "a#b", "a b", "a%2e", "a\nb", "a\u{202e}b", "١٢٣", &"x".repeat(300)]
        {
            assert!(ImageId::parse(bad).is_err(), "{bad:?}");
            assert!(RegionId::parse(bad).is_err() || bad.contains('.'), "{bad:?}");
        }
        for dots in [".", ".."] {
            assert!(PrincipalId::parse(dots).is_err(), "a member called so would take its segment out of a path");
        }
        assert!(ImageId::parse("m-bp67acfmxazb4p0000").is_ok());
        assert!(RegionId::parse("cn-hangzhou").is_ok());
    }
}
