//! Amazon Web Services' part of a world file. Unknown fields are errors. Images and snapshots are in `world_file/images.rs`.

mod images;

pub use images::{Alias, CopiedFrom, Encryption, ImageSpec, Protection, SnapshotSpec, SnapshotState, State, Usage};

use super::rules::Rules;
use crate::chassis::names::{AccountId, RegionId};
use crate::chassis::tokens::TrustedServiceAccount;
use serde::{Deserialize, Serialize};

/// The `aws` of a world file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AwsFile {
    /// The rules that differ from the vendor's defaults.
    pub rules: Rules,
    /// The regions that every account of their partition has. The name tells the partition.
    pub regions: Vec<RegionId>,
    /// The regions that an account has only where it opted in.
    pub opt_in_regions: Vec<RegionId>,
    /// The accounts there are.
    pub accounts: Vec<Account>,
    /// The organizations there are.
    pub organizations: Vec<Organization>,
    /// The snapshots there are, besides those that images name and that are then made with them.
    pub snapshots: Vec<SnapshotSpec>,
    /// The images there are.
    pub images: Vec<ImageSpec>,
}

/// A partition: accounts, images and organizations never cross it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Partition {
    /// The commercial one.
    #[default]
    #[serde(rename = "aws")]
    Commercial,
    /// China.
    #[serde(rename = "aws-cn")]
    China,
    /// `GovCloud`.
    #[serde(rename = "aws-us-gov")]
    Government,
    /// The European sovereign cloud.
    #[serde(rename = "aws-eusc")]
    Europe,
}

impl Partition {
    /// That of a region, by its name.
    pub fn of(region: &RegionId) -> Self {
        match region.as_str() {
            name if name.starts_with("cn-") => Self::China,
            name if name.starts_with("us-gov-") => Self::Government,
            name if name.starts_with("eusc-") => Self::Europe,
            _ => Self::Commercial,
        }
    }

    /// Its name in ARNs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Commercial => "aws",
            Self::China => "aws-cn",
            Self::Government => "aws-us-gov",
            Self::Europe => "aws-eusc",
        }
    }

    /// The end of its hosts' names.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Commercial | Self::Government => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
            Self::Europe => "amazonaws.eu",
        }
    }
}

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    /// Twelve digits.
    pub id: AccountId,
    /// Its partition. Default the commercial one.
    #[serde(default)]
    pub partition: Partition,
    /// Its access keys. Default none: an account that only receives.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// The opt-in regions it has. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opted_in: Vec<RegionId>,
    /// Whether it was closed: its keys are no more. Default false.
    #[serde(default)]
    pub closed: bool,
    /// Most organizations, units and accounts that one of its images is shared with. Default what the rules say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_per_image: Option<usize>,
    /// Whether what it copies is encrypted without being asked. Default false.
    #[serde(default)]
    pub encrypts_by_default: bool,
    /// Whether its images may not be shared with everybody. Default false.
    #[serde(default)]
    pub blocks_public_access: bool,
    /// For how many days its deregistered images are in the Recycle Bin. Default: no such rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recycle_bin_days: Option<u16>,
    /// Which others' images it sees. Default all.
    #[serde(default)]
    pub allowed_images: AllowedImages,
    /// Its customer-managed keys to encrypt with. The AWS managed one of each region is there always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kms_keys: Vec<KmsKey>,
    /// The roles in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
}

/// An access key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The token of temporary credentials. Default none: a lasting key.
    #[serde(default)]
    pub session_token: Option<String>,
    /// Default false.
    #[serde(default)]
    pub disabled: bool,
    /// Whether its token is past its time. Default false.
    #[serde(default)]
    pub expired: bool,
}

/// What an account allows of others' images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AllowedImages {
    /// Whether it is in force.
    pub state: Allowing,
    /// The owners whose images are allowed: accounts, `amazon`, `aws-marketplace`, `aws-backup-vault`.
    pub providers: Vec<String>,
}

/// Whether Allowed AMIs are in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allowing {
    /// Every image is allowed.
    #[default]
    Disabled,
    /// Images that are not allowed are marked.
    AuditMode,
    /// Images that are not allowed are not seen.
    Enabled,
}

/// A customer-managed key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KmsKey {
    /// Its ARN, which names its region and its account.
    pub arn: String,
    /// Its alias, `alias/NAME`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The other accounts that may use it. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usable_by: Vec<AccountId>,
    /// Default false.
    #[serde(default)]
    pub disabled: bool,
}

/// A role.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// The accounts whose principals may assume it. Default none.
    #[serde(default)]
    pub trusts: Vec<AccountId>,
    /// The external id that whoever assumes it has to tell. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The web identity tokens it is assumed with; by which provider they are is not simulated. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub web_identities: Vec<String>,
    /// The longest session, in seconds. Default an hour.
    #[serde(default = "an_hour")]
    pub max_session_seconds: u32,
    /// The `ServiceAccounts` of a cluster whose tokens it is assumed with. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<TrustedServiceAccount>,
    /// How long its keys live, in seconds, whatever was asked for; also less than the vendor's shortest session. Default: what was
    /// asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_seconds: Option<u32>,
}

fn an_hour() -> u32 {
    3600
}

/// An organization.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Organization {
    /// `o-…`.
    pub id: String,
    /// The account that manages it and belongs to it.
    pub management: AccountId,
    /// The accounts directly below the root. Default none.
    #[serde(default)]
    pub accounts: Vec<AccountId>,
    /// Its units. Default none.
    #[serde(default)]
    pub units: Vec<Unit>,
}

/// An organizational unit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unit {
    /// `ou-…`.
    pub id: String,
    /// The unit it is below. Default the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The accounts directly in it. Default none.
    #[serde(default)]
    pub accounts: Vec<AccountId>,
}
