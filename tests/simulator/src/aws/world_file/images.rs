//! Images and snapshots in a world file.

use crate::chassis::names::{AccountId, ImageId, RegionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// With which key a snapshot is encrypted: in a file `none`, `default`, or the ARN of a customer-managed one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Encryption {
    /// None.
    #[default]
    None,
    /// The account's AWS managed key of the region; what is encrypted with it cannot be shared.
    Default,
    /// A customer-managed key, by its ARN.
    Key(String),
}

impl From<String> for Encryption {
    fn from(text: String) -> Self {
        match text.as_str() {
            "none" => Self::None,
            "default" => Self::Default,
            _ => Self::Key(text),
        }
    }
}

impl From<Encryption> for String {
    fn from(encryption: Encryption) -> Self {
        match encryption {
            Encryption::None => "none".to_owned(),
            Encryption::Default => "default".to_owned(),
            Encryption::Key(arn) => arn,
        }
    }
}

/// How a snapshot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotState {
    /// Being made.
    Pending,
    /// Ready.
    #[default]
    Completed,
    /// Never made.
    Error,
}

impl SnapshotState {
    /// The vendor's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Error => "error",
        }
    }
}

/// A snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotSpec {
    /// `snap-…`, unique in the world.
    pub id: ImageId,
    /// Its region.
    pub region: RegionId,
    /// Its owner.
    pub owner: AccountId,
    /// Default completed.
    #[serde(default)]
    pub state: SnapshotState,
    /// Why it failed. Default empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Its size, in GiB. Default 8.
    #[serde(default = "eight", rename = "sizeGiB")]
    pub size_gib: u32,
    /// Default none.
    #[serde(default)]
    pub encryption: Encryption,
    /// Its tags. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The accounts that may make volumes of it, and copies; `all` for everybody. Default none.
    #[serde(default)]
    pub shared_with: Vec<AccountId>,
    /// When it was made. Default: when the world was loaded.
    #[serde(default)]
    pub created: Option<Timestamp>,
}

fn eight() -> u32 {
    8
}

/// How an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Being made.
    Pending,
    /// Ready.
    #[default]
    Available,
    /// Broken.
    Invalid,
    /// Gone.
    Deregistered,
    /// In between.
    Transient,
    /// Never made.
    Failed,
    /// Broken.
    Error,
    /// Withdrawn by its owner.
    Disabled,
}

impl State {
    /// The vendor's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Invalid => "invalid",
            Self::Deregistered => "deregistered",
            Self::Transient => "transient",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Disabled => "disabled",
        }
    }
}

/// Who made an image, where it was no ordinary account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alias {
    /// The vendor.
    Amazon,
    /// A seller of the Marketplace.
    AwsMarketplace,
    /// AWS Backup, for the owner.
    AwsBackupVault,
}

impl Alias {
    /// The vendor's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Amazon => "amazon",
            Self::AwsMarketplace => "aws-marketplace",
            Self::AwsBackupVault => "aws-backup-vault",
        }
    }
}

/// Whether an image is protected against deregistering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// No.
    #[default]
    Disabled,
    /// Until it is disabled.
    EnabledWithoutCooldown,
    /// Until a day after it is disabled.
    EnabledWithCooldown,
}

impl Protection {
    /// The vendor's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::EnabledWithoutCooldown => "enabled-without-cooldown",
            Self::EnabledWithCooldown => "enabled-with-cooldown",
        }
    }
}

/// An image.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageSpec {
    /// `ami-…`, unique in the world.
    pub id: ImageId,
    /// Its region.
    pub region: RegionId,
    /// Its owner; must be an account of the world where there is no alias.
    pub owner: AccountId,
    /// Its name. Default that it is named after its id.
    #[serde(default)]
    pub name: String,
    /// Its description. Default empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Default available.
    #[serde(default)]
    pub state: State,
    /// Why it is failed or the like. Default empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state_reason: String,
    /// Who made it, where it was no ordinary account. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Alias>,
    /// The snapshots behind it; those that are not among the world's are made with it. Default one, named after the image.
    #[serde(default)]
    pub snapshots: Vec<ImageId>,
    /// How the snapshots are encrypted that are made with it. Default not.
    #[serde(default)]
    pub encryption: Encryption,
    /// Whether it is an old one without snapshots. Default false.
    #[serde(default)]
    pub instance_store: bool,
    /// The Marketplace products in it. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub product_codes: Vec<String>,
    /// Whether something in it is billed by AWS, Windows say. Default false.
    #[serde(default)]
    pub billed: bool,
    /// Its tags. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// From when it is deprecated. Default never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated_from: Option<Timestamp>,
    /// Default disabled.
    #[serde(default)]
    pub protection: Protection,
    /// Until when it stays protected after that was disabled. Default not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected_until: Option<Timestamp>,
    /// Until when it is in the Recycle Bin. Default: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recycled_until: Option<Timestamp>,
    /// Whether copies of it fail. Default false.
    #[serde(default)]
    pub copies_fail: bool,
    /// How long copies of it take, in seconds. Default what the rules say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_seconds: Option<u32>,
    /// With whom it is shared: accounts, ARNs of organizations and units, `all`. Default nobody.
    #[serde(default)]
    pub shared_with: Vec<AccountId>,
    /// When it was made. Default: when the world was loaded.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// What it was copied from, finished or not. Default: no copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_from: Option<CopiedFrom>,
    /// Who uses it, as usage reports tell. Default nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<Usage>,
}

impl ImageSpec {
    /// Whether it is the vendor's or a seller's, which everybody sees.
    pub fn is_offered_to_all(&self) -> bool {
        matches!(self.alias, Some(Alias::Amazon | Alias::AwsMarketplace))
    }
}

/// Where a copy comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopiedFrom {
    /// The image copied.
    pub image: ImageId,
    /// Its region.
    pub region: RegionId,
    /// The token the copy was asked for with. Default none. A world that is loaded knows no tokens.
    #[serde(default)]
    pub client_token: Option<String>,
}

/// That an account uses an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Usage {
    /// Who.
    pub account: AccountId,
    /// For what: `ec2:Instance`, `ec2:LaunchTemplate` and the like.
    pub resource_type: String,
    /// How many.
    pub count: u32,
}
