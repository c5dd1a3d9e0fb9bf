//! Alibaba Cloud's part of a world file. Unknown fields are errors.

use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::tokens::TrustedServiceAccount;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The vendor's sites; an account belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Site {
    /// aliyun.com.
    China,
    /// alibabacloud.com.
    #[default]
    International,
    /// jp.alibabacloud.com.
    Japan,
}

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    /// Its UID: decimal digits.
    pub id: AccountId,
    /// Its site. Default International.
    #[serde(default)]
    pub site: Site,
    /// Its access keys. Default none: an account that only receives.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// The regions open to it. Default all.
    #[serde(default)]
    pub regions: Option<Vec<RegionId>>,
    /// Whether it was closed: unknown as a recipient, its keys as well. Default false.
    #[serde(default)]
    pub closed: bool,
    /// Most private images it may have. Default what the rules say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_images: Option<usize>,
    /// The keys for encryption it has, by id, in every region. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kms_keys: Vec<String>,
    /// The instances it has, by id, in every region: what images are made of. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    /// Its RAM roles. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
}

/// A RAM role, which callers assume by `AssumeRole`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// The accounts that may assume it. Default none.
    #[serde(default)]
    pub trusts: Vec<AccountId>,
    /// The name of the OIDC provider in its account whose tokens it is assumed with. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc_provider: Option<String>,
    /// What a caller has to tell as `ExternalId`. Default nothing.
    #[serde(default)]
    pub external_id: Option<String>,
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
    3_600
}

/// An access key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The token of a temporary key. Default none: a lasting key.
    #[serde(default)]
    pub security_token: Option<String>,
    /// Default false.
    #[serde(default)]
    pub disabled: bool,
    /// Whether its token is past its time. Default false.
    #[serde(default)]
    pub expired: bool,
}

/// An image's status, in the vendor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Status {
    /// Being made.
    Creating,
    /// Queued.
    Waiting,
    /// Ready.
    #[default]
    Available,
    /// Broken.
    UnAvailable,
    /// Never made.
    CreateFailed,
    /// Withdrawn by its owner.
    Deprecated,
}

impl Status {
    /// The vendor's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Waiting => "Waiting",
            Self::Available => "Available",
            Self::UnAvailable => "UnAvailable",
            Self::CreateFailed => "CreateFailed",
            Self::Deprecated => "Deprecated",
        }
    }

    /// The status of the vendor's word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Creating, Self::Waiting, Self::Available, Self::UnAvailable, Self::CreateFailed, Self::Deprecated]
            .into_iter()
            .find(|status| status.word() == word)
    }
}

/// Where an image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Its owner's custom image.
    #[default]
    #[serde(rename = "self")]
    Own,
    /// The vendor's.
    System,
    /// A Marketplace seller's.
    Marketplace,
}

/// With which key an image's disks are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Encryption {
    /// None.
    #[default]
    None,
    /// The customer's; can be shared.
    CustomerKey,
    /// The service's; cannot be shared.
    ServiceKey,
}

/// What a disk is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disk {
    /// The system disk.
    System,
    /// A data disk.
    Data,
}

/// An image.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each its own field of the file")]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageSpec {
    /// Its id, unique in the world.
    pub id: ImageId,
    /// Its region.
    pub region: RegionId,
    /// Its owner; must be an account of the world where the alias is `self`.
    pub owner: AccountId,
    /// Its name. Default empty.
    #[serde(default)]
    pub name: String,
    /// Its description. Default empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its status. Default Available.
    #[serde(default)]
    pub status: Status,
    /// Where it comes from. Default `self`.
    #[serde(default)]
    pub alias: Origin,
    /// Its family; empty for none. Default empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub family: String,
    /// Its tags. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Its resource group; empty for the default one. Default empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource_group: String,
    /// The Marketplace product it derives from; empty for none. Default empty.
    #[serde(default)]
    pub product_code: String,
    /// Default None.
    #[serde(default)]
    pub encryption: Encryption,
    /// Size of its system disk, in GiB. Default 20.
    #[serde(default = "twenty", rename = "sizeGiB")]
    pub size_gib: u64,
    /// Its disks. Default one system disk.
    #[serde(default = "one_system_disk")]
    pub disks: Vec<Disk>,
    /// Whether instances use it. Default false.
    #[serde(default)]
    pub in_use: bool,
    /// Whether it is protected against deletion. Default false.
    #[serde(default)]
    pub protected: bool,
    /// Whether it is being copied. Default false.
    #[serde(default)]
    pub copying: bool,
    /// Whether copies of it fail, at 60 %. Default false.
    #[serde(default)]
    pub copies_fail: bool,
    /// How long copies of it take, in seconds. Default what the rules say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_seconds: Option<u32>,
    /// With whom it is shared. Default nobody.
    #[serde(default)]
    pub shared_with: Vec<AccountId>,
    /// Whether it is a community image. Default false.
    #[serde(default)]
    pub public: bool,
    /// When it was made. Default: when the world was loaded.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// What it was copied from, finished or not. Default: no copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_from: Option<CopiedFrom>,
}

impl ImageSpec {
    /// Whether it is a copy that is still being made.
    pub fn is_copying(&self) -> bool {
        self.copied_from.is_some() && matches!(self.status, Status::Waiting | Status::Creating)
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
    /// Its owner.
    pub owner: AccountId,
    /// The token the copy was asked for with. Default none. A world that is loaded knows no tokens.
    #[serde(default)]
    pub client_token: Option<String>,
    /// How far the copy is or came, in percent. Default 0.
    #[serde(default)]
    pub percent: u8,
}

fn twenty() -> u64 {
    20
}

fn one_system_disk() -> Vec<Disk> {
    vec![Disk::System]
}
