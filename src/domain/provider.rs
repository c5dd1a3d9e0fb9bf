//! What each provider allows: limits, kinds of recipients, sites and their regions. Every figure names its source. The
//! `CloudAccount` can override it, since vendors raise limits by ticket and open regions.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::aws::{self, Partition};
use super::identifiers::{ImageName, InvalidIdentifier, PrincipalId, Recipient, RecipientKind, RegionId};
use super::openstack;

/// The supported clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Provider {
    /// Alibaba Cloud ECS.
    Alibaba,
    /// Huawei Cloud IMS.
    Huawei,
    /// `OpenStack` Glance.
    OpenStack,
    /// AWS EC2.
    Aws,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alibaba => "Alibaba Cloud",
            Self::Huawei => "Huawei Cloud",
            Self::OpenStack => "OpenStack",
            Self::Aws => "AWS",
        })
    }
}

/// A vendor's site: who sells the account. Sharing crosses sites only in regions both have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Site {
    /// The Chinese Mainland site.
    China,
    /// The International site.
    International,
    /// The European site (Huawei).
    Europe,
    /// A partition of AWS, which `spec.aws.partition` names; it is no site that a recipient could name.
    #[serde(skip)]
    Partition(Partition),
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::China => "China",
            Self::International => "International",
            Self::Europe => "Europe",
            Self::Partition(partition) => partition.id(),
        })
    }
}

/// The default limits and recipient kinds of a provider; the account can override them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a table of capabilities that do not depend on each other")]
pub struct Rules {
    /// Recipients one image may have; 0 means no limit.
    pub recipients_per_image: u32,
    /// Recipients a full-server image may have; 0 means no limit.
    pub recipients_per_full_server_image: u32,
    /// Images one account may receive; 0 means no limit. Only the cloud can count them for other accounts.
    pub received_images: u32,
    /// Recipient kinds of the provider.
    pub recipient_kinds: &'static [RecipientKind],
    /// Whether a recipient that has not accepted uses one of the image's slots.
    pub unaccepted_use_places: bool,
    /// Whether projects answer offers and own images.
    pub handshake: bool,
    /// Whether a full-server image is accepted and copied into a backup vault only.
    pub vault_for_full_servers: bool,
    /// Whether a copy to another region is made by an agency that may write there.
    pub agency_across: bool,
    /// Which copies can be encrypted.
    pub encrypted_copies: EncryptedCopies,
    /// Whether the provider refuses some images as sources of copies, by kind, size or encryption.
    pub restricts_copies: bool,
    /// Whether a few refused signatures in a row lock a key.
    pub locks_keys: bool,
    /// Whether a received image can be copied to another region.
    pub received_across: bool,
    /// Whether a read may lag behind a call for longer than seconds.
    pub reads_lag: bool,
    /// What recipients of an encrypted image must be permitted to do with its key, where the cloud shares such images.
    pub key_actions: &'static [&'static str],
    /// Whether images can be in a family.
    pub image_families: bool,
    /// Whether a recipient that is an account can give a grant back by itself, which the owner only sees as gone.
    pub accounts_leave: bool,
    /// Whether a recipient needs a permission of its own to copy an image that it may use; only accounts can get it.
    pub copy_permissions: bool,
}

/// Which copies a provider can encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptedCopies {
    /// None.
    None,
    /// Copies of own images within their region.
    OwnWithinRegion,
    /// All.
    All,
}

/// Alibaba ECS: 50 accounts per image (API page of `ModifyImageSharePermission`), 30 received images per account
/// (product page; the figure is unconfirmed and therefore configurable), recipients are account UIDs only.
const ALIBABA: Rules = Rules {
    recipients_per_image: 50,
    recipients_per_full_server_image: 50,
    received_images: 30,
    recipient_kinds: &[RecipientKind::Account],
    unaccepted_use_places: true,
    handshake: false,
    vault_for_full_servers: false,
    agency_across: false,
    encrypted_copies: EncryptedCopies::All,
    restricts_copies: false,
    locks_keys: false,
    received_across: false,
    reads_lag: false,
    key_actions: &[],
    image_families: true,
    accounts_leave: false,
    copy_permissions: false,
};

/// Huawei IMS: 128 tenants per system or data disk image and 10 per full-ECS image, no limit on received images; an
/// unanswered offer uses no quota (IMS user guide, "Sharing Images", constraints).
const HUAWEI: Rules = Rules {
    recipients_per_image: 128,
    recipients_per_full_server_image: 10,
    received_images: 0,
    recipient_kinds: &[RecipientKind::Project, RecipientKind::Account, RecipientKind::Organization],
    unaccepted_use_places: false,
    handshake: true,
    vault_for_full_servers: true,
    agency_across: true,
    encrypted_copies: EncryptedCopies::OwnWithinRegion,
    restricts_copies: true,
    locks_keys: true,
    received_across: false,
    reads_lag: false,
    key_actions: &[],
    image_families: false,
    accounts_leave: false,
    copy_permissions: false,
};

/// `OpenStack` Glance: `image_member_quota` is 128 unless the cloud's operator sets another value, and counts members
/// regardless of their answer (Glance configuration reference).
const OPENSTACK: Rules = Rules {
    recipients_per_image: 128,
    recipients_per_full_server_image: 128,
    received_images: 0,
    recipient_kinds: &[RecipientKind::Project],
    unaccepted_use_places: true,
    handshake: true,
    vault_for_full_servers: false,
    agency_across: false,
    encrypted_copies: EncryptedCopies::None,
    restricts_copies: false,
    locks_keys: false,
    received_across: true,
    reads_lag: false,
    key_actions: &[],
    image_families: false,
    accounts_leave: false,
    copy_permissions: false,
};

/// What launching an encrypted image takes (EC2 user guide, permissions to use encrypted AMIs and snapshots).
const AWS_KEY_ACTIONS: [&str; 5] =
    ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"];

/// AWS EC2: 1,000 accounts, organizations and organizational units per image and region (service quota L-70015FFA), whichever
/// disks it holds; no limit on received images. The vendor promises no bound for the time that a read may lag.
const AWS: Rules = Rules {
    recipients_per_image: 1000,
    recipients_per_full_server_image: 1000,
    received_images: 0,
    recipient_kinds: &[RecipientKind::Account, RecipientKind::Organization],
    unaccepted_use_places: true,
    handshake: false,
    vault_for_full_servers: false,
    agency_across: false,
    encrypted_copies: EncryptedCopies::All,
    restricts_copies: false,
    locks_keys: false,
    received_across: true,
    reads_lag: true,
    key_actions: &AWS_KEY_ACTIONS,
    image_families: false,
    accounts_leave: true,
    copy_permissions: true,
};

/// Regions sold only on the China site (Alibaba finance and government clouds; the vendor publishes no list per site,
/// so every other region counts as sold on both).
const ALIBABA_CHINA_ONLY: [&str; 6] = [
    "cn-hangzhou-finance",
    "cn-shanghai-finance-1",
    "cn-shenzhen-finance-1",
    "cn-shenzhen-finance",
    "cn-beijing-finance-1",
    "cn-north-2-gov-1",
];

/// Regions outside the mainland that Huawei's Chinese Mainland site also sells (unconfirmed; override by `spec.sites`).
const HUAWEI_CHINA_ABROAD: [&str; 3] = ["ap-southeast-1", "ap-southeast-2", "ap-southeast-3"];

/// Prefix of the regions of Huawei's European site; no other site sells them.
const HUAWEI_EUROPE: &str = "eu-west-1";

/// Largest image copied at Huawei (IMS user guide, replicating images within and across regions), in GiB.
const HUAWEI_GIB_MAX: u64 = 128;

/// Regions that copy larger ones. The vendor does not document whether both ends count; the cloud refuses if they do.
const HUAWEI_LARGE_REGIONS: [&str; 4] = ["cn-south-1", "cn-east-2", "cn-east-3", "cn-north-4"];
const HUAWEI_LARGE_GIB_MAX: u64 = 300;

/// How a cloud makes a copy of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyMeans {
    /// The cloud copies; a repeated request with the same token returns the same copy (Alibaba, AWS).
    Token,
    /// The cloud copies by a job; a repeated request makes a second copy (Huawei).
    Job,
    /// This process reads the image and writes it to the destination, under an id of its own choice (`OpenStack`).
    Stream,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Alibaba, Self::Huawei, Self::OpenStack, Self::Aws];

    /// How this provider makes copies.
    pub fn copies_by(self) -> CopyMeans {
        match self {
            Self::Alibaba | Self::Aws => CopyMeans::Token,
            Self::Huawei => CopyMeans::Job,
            Self::OpenStack => CopyMeans::Stream,
        }
    }

    /// Parses the name of an image to be made.
    ///
    /// Alibaba: 2 to 128 characters, beginning with a letter, of letters, digits, `.`, `:`, `_` and `-`, not beginning
    /// with `aliyun` or `acs:` (API page of `CopyImage`). Huawei: 1 to 128 letters, digits, spaces, `-`, `_` and `.`,
    /// neither beginning nor ending with a space (API page of the copy). `OpenStack`: up to 255 characters. Letters of
    /// every script are allowed; characters that could change a terminal are not. AWS: see [`aws`].
    pub fn parse_image_name(self, text: &str) -> Result<ImageName, InvalidIdentifier> {
        let length = text.chars().count();
        let of = |others: &str| text.chars().all(|c| c.is_alphanumeric() || others.contains(c));
        let (fits, wanted) = match self {
            Self::Alibaba => {
                let begins = text.chars().next().is_some_and(char::is_alphabetic);
                let reserved = ["aliyun", "acs:", "http://", "https://"].iter().any(|word| text.starts_with(word));
                let fits = (2..=128).contains(&length) && begins && !reserved && of(".:_-");
                (
                    fits,
                    "an image name of Alibaba Cloud (2 to 128 letters, digits, '.', ':', '_' and '-', beginning with \
                        a letter, not with aliyun or acs:)",
                )
            }
            Self::Huawei => {
                let fits = (1..=128).contains(&length) && text.trim() == text && of(" -_.");
                (
                    fits,
                    "an image name of Huawei Cloud (1 to 128 letters, digits, spaces, '-', '_' and '.', no space at \
                        either end)",
                )
            }
            Self::OpenStack => {
                let fits = (1..=255).contains(&length) && text.trim() == text && of(" .:_-+()[]/@,=~#");
                (fits, "an image name (1 to 255 letters, digits, spaces and plain punctuation, no space at either end)")
            }
            Self::Aws => (
                aws::is_image_name(text),
                "an image name of AWS (3 to 128 letters, digits, spaces and ( ) [ ] . / - ' @ _, no space at either end)",
            ),
        };
        if fits { Ok(ImageName::trusted(text)) } else { Err(InvalidIdentifier::new(text, wanted)) }
    }

    /// The provider's published rules.
    pub fn rules(self) -> Rules {
        match self {
            Self::Alibaba => ALIBABA,
            Self::Huawei => HUAWEI,
            Self::OpenStack => OPENSTACK,
            Self::Aws => AWS,
        }
    }

    /// The name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Alibaba => "Alibaba",
            Self::Huawei => "Huawei",
            Self::OpenStack => "OpenStack",
            Self::Aws => "AWS",
        }
    }

    /// What owns images, in the provider's own word.
    pub fn owner_word(self) -> &'static str {
        match self {
            Self::OpenStack => "project",
            Self::Alibaba | Self::Huawei | Self::Aws => "account",
        }
    }

    /// The largest image, in GiB, that is copied from a region; `None` if there is no limit. `across`: to another region;
    /// `received`: of another account.
    pub fn largest_copy_gib(self, from: &RegionId, across: bool, received: bool) -> Option<u64> {
        match self {
            Self::Huawei if across && HUAWEI_LARGE_REGIONS.contains(&from.as_str()) => Some(HUAWEI_LARGE_GIB_MAX),
            Self::Huawei if across || received => Some(HUAWEI_GIB_MAX),
            Self::Alibaba | Self::Huawei | Self::OpenStack | Self::Aws => None,
        }
    }

    /// Whether jobs change recipients, some time after the cloud answered the call.
    pub fn works_by_jobs(self) -> bool {
        match self {
            Self::Huawei => true,
            Self::Alibaba | Self::OpenStack | Self::Aws => false,
        }
    }

    /// Whether a site sells a region, by the built-in table.
    pub fn site_has_region(self, site: Site, region: &RegionId) -> bool {
        let region = region.as_str();
        match (self, site) {
            (Self::OpenStack, _) | (Self::Alibaba, Site::China) => true,
            (Self::Alibaba, Site::International) => !ALIBABA_CHINA_ONLY.contains(&region),
            (Self::Aws, Site::Partition(partition)) => partition.has_region(region),
            (Self::Alibaba, Site::Europe) | (Self::Aws, _) | (_, Site::Partition(_)) => false,
            (Self::Huawei, Site::China) => region.starts_with("cn-") || HUAWEI_CHINA_ABROAD.contains(&region),
            (Self::Huawei, Site::International) => !region.starts_with(HUAWEI_EUROPE),
            (Self::Huawei, Site::Europe) => region.starts_with(HUAWEI_EUROPE),
        }
    }

    /// Parses an account's own id in this provider's format.
    ///
    /// Alibaba: decimal UID of 5 to 20 digits without a leading zero (samples have 12 to 16; the vendor gives no
    /// grammar). Huawei: the id of the domain, 32 hexadecimal digits. `OpenStack`: the id of the project. AWS: 12 digits.
    pub fn parse_account(self, text: &str) -> Result<PrincipalId, InvalidIdentifier> {
        match self {
            Self::Alibaba => {
                let digits = (5..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
                if digits && !text.starts_with('0') {
                    PrincipalId::parse(text)
                } else {
                    Err(InvalidIdentifier::new(text, "an Alibaba Cloud account UID (5 to 20 digits, no leading zero)"))
                }
            }
            Self::Huawei => hexadecimal(text, "a Huawei Cloud account (domain) id (32 hexadecimal digits)"),
            Self::Aws => aws::parse_account(text),
            Self::OpenStack => self.parse_principal(text),
        }
    }

    /// Parses the id of an image owner: the account at Alibaba, else a project.
    ///
    /// Huawei: 32 hexadecimal digits. `OpenStack`: usually the same, but other backends use other formats.
    pub fn parse_principal(self, text: &str) -> Result<PrincipalId, InvalidIdentifier> {
        match self {
            Self::Alibaba | Self::Aws => self.parse_account(text),
            Self::Huawei => hexadecimal(text, "a Huawei Cloud project id (32 hexadecimal digits)"),
            Self::OpenStack => openstack::parse_project(text),
        }
    }

    /// Parses a recipient in this provider's format. The kind must be one of `rules().recipient_kinds`.
    pub fn parse_recipient(self, kind: RecipientKind, id: &str) -> Result<Recipient, InvalidIdentifier> {
        let id = match kind {
            RecipientKind::Account => self.parse_account(id)?,
            RecipientKind::Project if self == Self::OpenStack => openstack::parse_recipient(id)?,
            RecipientKind::Project => self.parse_principal(id)?,
            RecipientKind::Organization if self == Self::Aws => aws::parse_organization(id)?,
            RecipientKind::Organization => organization(id)?,
        };
        Ok(Recipient { kind, id })
    }

    /// The site of a recipient, if its id shows it: the owner's must be the same.
    pub fn site_of(self, recipient: &Recipient) -> Option<Site> {
        match self {
            Self::Aws => aws::organization_partition(recipient.id.as_str()).map(Site::Partition),
            Self::Alibaba | Self::Huawei | Self::OpenStack => None,
        }
    }
}

fn hexadecimal(text: &str, wanted: &'static str) -> Result<PrincipalId, InvalidIdentifier> {
    let fits = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if fits { PrincipalId::parse(text) } else { Err(InvalidIdentifier::new(text, wanted)) }
}

/// A Huawei organization, its root or one of its units, as the vendor's URN: `organizations::<account>:organization:o-…`,
/// `…:root:o-…/r-…`, `…:ou:o-…/ou-…`.
fn organization(text: &str) -> Result<PrincipalId, InvalidIdentifier> {
    let refused =
        || InvalidIdentifier::new(text, "an organization URN, as organizations::<account id>:ou:o-.../ou-...");
    let part = |text: &str, prefix: &str| {
        text.strip_prefix(prefix).is_some_and(|rest| {
            (1..=32).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
    };
    let mut parts = text.strip_prefix("organizations::").ok_or_else(refused)?.splitn(3, ':');
    let (account, what, path) = (parts.next(), parts.next(), parts.next());
    let path_fits = match (what, path.map(|path| path.split_once('/').unwrap_or((path, "")))) {
        (Some("organization"), Some((organization, ""))) => part(organization, "o-"),
        (Some("root"), Some((organization, root))) => part(organization, "o-") && part(root, "r-"),
        (Some("ou"), Some((organization, unit))) => part(organization, "o-") && part(unit, "ou-"),
        _ => false,
    };
    hexadecimal(account.unwrap_or_default(), "an organization URN")?;
    if path_fits { PrincipalId::parse(text) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alibaba_accounts_are_digits_without_a_leading_zero() {
        for bad in
            ["", "1234", "0123456789", "12345a", "١٢٣٤٥٦", "123456789012345678901", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]
        {
            assert!(Provider::Alibaba.parse_account(bad).is_err(), "{bad}");
        }
        assert!(Provider::Alibaba.parse_account("1000000000000001").is_ok());
    }

    #[test]
    fn finance_regions_are_sold_on_the_china_site_only() {
        let finance = RegionId::parse("cn-hangzhou-finance").unwrap();
        assert!(Provider::Alibaba.site_has_region(Site::China, &finance));
        assert!(!Provider::Alibaba.site_has_region(Site::International, &finance));
        let public = RegionId::parse("cn-hangzhou").unwrap();
        assert!(Provider::Alibaba.site_has_region(Site::International, &public));
    }

    #[test]
    fn huawei_organizations_are_urns() {
        let account = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
        let parse = |text: String| Provider::Huawei.parse_recipient(RecipientKind::Organization, &text);
        for good in ["organization:o-abc123", "root:o-abc/r-9", "ou:o-abc/ou-xyz"] {
            assert!(parse(format!("organizations::{account}:{good}")).is_ok(), "{good}");
        }
        for bad in ["organization:o-", "organization:o-a/r-b", "root:o-a", "ou:o-a/r-b", "ou:o-a/ou-A", "unit:o-a", ""]
        {
            assert!(parse(format!("organizations::{account}:{bad}")).is_err(), "{bad}");
        }
        assert!(parse("organizations::123:ou:o-abc/ou-xyz".into()).is_err());
        assert!(parse("o-abc".into()).is_err());
    }

    #[test]
    fn huawei_projects_and_accounts_look_alike_and_are_hexadecimal() {
        for kind in [RecipientKind::Project, RecipientKind::Account] {
            assert!(Provider::Huawei.parse_recipient(kind, "7c6b5a49382716050f0e0d0c0b0a0908").is_ok());
            assert!(Provider::Huawei.parse_recipient(kind, "7C6B5A49382716050F0E0D0C0B0A0908").is_err());
            assert!(Provider::Huawei.parse_recipient(kind, "1000000000000001").is_err());
        }
    }

    #[test]
    fn huawei_sells_hong_kong_on_both_sites_and_ireland_on_the_european_one_only() {
        let sold = |region: &str| {
            let region = RegionId::parse(region).unwrap();
            [Site::China, Site::International, Site::Europe].map(|site| Provider::Huawei.site_has_region(site, &region))
        };
        assert_eq!(sold("ap-southeast-1"), [true, true, false]);
        assert_eq!(sold("cn-north-4"), [true, true, false]);
        assert_eq!(sold("la-south-2"), [false, true, false]);
        assert_eq!(sold("eu-west-101"), [false, false, true]);
    }
}
