//! The `huawei` section of a world file. Unknown fields are errors.

use super::recipient::{MemberKind, Recipient};
use super::rules::Rules;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Huawei Cloud's part of a world.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HuaweiFile {
    /// The rules that differ from the vendor's defaults.
    #[serde(default)]
    pub rules: Rules,
    /// The regions of each site; one may be on several.
    pub sites: BTreeMap<Site, Vec<RegionId>>,
    /// The domains there are.
    pub domains: Vec<Domain>,
    /// The images there are.
    #[serde(default)]
    pub images: Vec<ImageSpec>,
}

/// The vendor's sites; a domain belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Site {
    /// www.huaweicloud.com.
    China,
    /// The international one.
    #[default]
    International,
    /// The European one.
    Europe,
}

/// A domain: an account with its projects.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Domain {
    /// Its id: 32 lower-case hexadecimal digits, as those of projects.
    pub id: AccountId,
    /// Its name, for tokens. Default empty.
    #[serde(default)]
    pub name: String,
    /// Its site. Default International.
    #[serde(default)]
    pub site: Site,
    /// Its access keys. Default none.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Its users, for tokens. Default none.
    #[serde(default)]
    pub users: Vec<User>,
    /// Its projects. Default none.
    #[serde(default)]
    pub projects: Vec<Project>,
    /// The organizations, roots and units it is in, by URN. Default none.
    #[serde(default)]
    pub organizations: Vec<AccountId>,
    /// Whether it was closed: unknown as a recipient, its keys and users as well. Default false.
    #[serde(default)]
    pub closed: bool,
    /// Its agencies for the image service. Default none: nothing is copied to another region.
    #[serde(default)]
    pub agencies: Vec<Agency>,
    /// Its keys to encrypt images with. Default none.
    #[serde(default)]
    pub kms_keys: Vec<KmsKey>,
}

/// An agency: by it the image service acts in the account's name, or other domains do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Agency {
    /// Its name.
    pub name: String,
    /// The projects in which it is IMS Administrator. Default none.
    #[serde(default)]
    pub projects: Vec<AccountId>,
    /// The domains it is delegated to, which have temporary keys by it. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusts: Vec<AccountId>,
}

/// A key of the key management service, in all regions of its domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KmsKey {
    /// Its id.
    pub id: String,
    /// Default false.
    #[serde(default)]
    pub disabled: bool,
}

/// A backup vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vault {
    /// Its id.
    pub id: String,
    /// The code with which it takes no copy: `IMG.0182` where it is full, `IMG.0185` at its limit, `IMG.0188` unavailable,
    /// `IMG.0189` not for replication, `IMG.0193` of the wrong kind. Default none: it takes them.
    #[serde(default)]
    pub code: Option<String>,
}

/// A span of time written as a number of seconds, whole or not, from 0 to one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Seconds(SignedDuration);

impl Seconds {
    /// The longest, in seconds.
    const MAX: f64 = 86_400.0;

    /// So many seconds, of which one may write no more than fit a day.
    pub(super) fn whole(seconds: u16) -> Self {
        Self(SignedDuration::from_secs(i64::from(seconds)))
    }

    /// The span.
    pub fn span(self) -> SignedDuration {
        self.0
    }
}

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        let fits = (0.0..=Self::MAX).contains(&seconds);
        let span = fits.then(|| SignedDuration::try_from_secs_f64(seconds).ok()).flatten();
        span.map(Self).ok_or_else(|| format!("{seconds} is not from 0 to {} seconds", Self::MAX))
    }
}

impl From<Seconds> for f64 {
    fn from(seconds: Seconds) -> Self {
        seconds.0.as_secs_f64()
    }
}

/// An access key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Key {
    /// Its id.
    pub ak: String,
    /// Its secret.
    pub sk: String,
    /// The security token of a temporary key. Default none: a lasting key.
    #[serde(default)]
    pub token: Option<String>,
    /// The project of a request that names none. Default the domain's first.
    #[serde(default)]
    pub project: Option<AccountId>,
    /// Default false.
    #[serde(default)]
    pub disabled: bool,
    /// Whether it is past its time. Default false.
    #[serde(default)]
    pub expired: bool,
}

/// A user who may have tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// Its name, unique in its domain.
    pub name: String,
    /// Its password.
    pub password: String,
}

/// A project: a domain's place in a region.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Project {
    /// Its id.
    pub id: AccountId,
    /// Its region, one of the domain's site.
    pub region: RegionId,
    /// Its name. Default the region's, as that of a region's own project is.
    #[serde(default)]
    pub name: Option<String>,
    /// Its servers and its system disks, by id: what images are made of. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// Its backup vaults, for full-ECS images copied into it. Default none.
    #[serde(default)]
    pub vaults: Vec<Vault>,
}

impl Project {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.region.as_str())
    }
}

/// An image's status, in the vendor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Waiting for its content.
    Queued,
    /// Being made.
    Saving,
    /// Ready.
    #[default]
    Active,
    /// Withdrawn.
    Deleted,
    /// Broken.
    Killed,
}

impl Status {
    /// The vendor's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Saving => "saving",
            Self::Active => "active",
            Self::Deleted => "deleted",
            Self::Killed => "killed",
        }
    }

    /// The status of the vendor's word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Queued, Self::Saving, Self::Active, Self::Deleted, Self::Killed].into_iter().find(|s| s.word() == word)
    }
}

/// What an image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A system disk.
    #[default]
    System,
    /// A data disk.
    Data,
    /// A whole server with its disks.
    FullServer,
    /// A disc to install from.
    Iso,
}

/// Where an image comes from, in the vendor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Its owner's.
    #[default]
    Private,
    /// The vendor's.
    Gold,
    /// A Marketplace seller's.
    Market,
}

/// The status of a member, in the vendor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// Not answered.
    Pending,
    /// Taken.
    Accepted,
    /// Declined; the image can still be used, but is not listed.
    Rejected,
}

impl MemberStatus {
    /// The vendor's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }

    /// The status of the vendor's word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Pending, Self::Accepted, Self::Rejected].into_iter().find(|status| status.word() == word)
    }
}

/// A member of an image, as loaded or changed out of band.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberSpec {
    /// What kind.
    #[serde(rename = "type")]
    pub kind: MemberKind,
    /// Its id; an organization's URN.
    pub id: AccountId,
    /// Its status. Default `pending` for a project, `accepted` else.
    #[serde(default)]
    pub status: Option<MemberStatus>,
}

impl MemberSpec {
    /// Who.
    pub fn recipient(&self) -> Recipient {
        Recipient { kind: self.kind, id: self.id.clone() }
    }

    /// The status, given or by default.
    pub fn status(&self) -> MemberStatus {
        self.status.unwrap_or(first_status(self.kind))
    }
}

/// The status a new member has. Projects answer (sharing FAQ); organizations have it at once (sample of the members
/// page), and so do domains (unconfirmed).
pub(super) fn first_status(kind: MemberKind) -> MemberStatus {
    match kind {
        MemberKind::Project => MemberStatus::Pending,
        MemberKind::Domain | MemberKind::Organization => MemberStatus::Accepted,
    }
}

/// An image.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageSpec {
    /// Its id, a UUID, unique in this cloud.
    pub id: ImageId,
    /// The project that owns it; must be in the world where the origin is `private`.
    pub project: AccountId,
    /// Its region, where the project is not in the world. Default the project's.
    #[serde(default)]
    pub region: Option<RegionId>,
    /// Its name. Default empty.
    #[serde(default)]
    pub name: String,
    /// Its status. Default `active`.
    #[serde(default)]
    pub status: Status,
    /// What it holds. Default `system`.
    #[serde(default)]
    pub kind: Kind,
    /// Where it comes from. Default `private`.
    #[serde(default)]
    pub origin: Origin,
    /// Default false.
    #[serde(default)]
    pub encrypted: bool,
    /// Whether it is protected against deletion. Default false.
    #[serde(default)]
    pub protected: bool,
    /// Whether a full-ECS image is from a CBR backup. Default true.
    #[serde(default = "yes")]
    pub from_cbr: bool,
    /// Its tags. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Where its data come from: `instance,<id>`, `volume,<id>`, `file,<url>`. Default an instance; nothing where it is the
    /// vendor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_origin: Option<String>,
    /// The least memory of a server made from it, in MiB. Default 0.
    #[serde(default)]
    pub min_ram: u32,
    /// The most. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ram: Option<u32>,
    /// When it was last changed. Default: when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
    /// Its members. Default none.
    #[serde(default)]
    pub members: Vec<MemberSpec>,
    /// When it was made. Default: when the world was loaded.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// Its size, which is also its least disk, in GiB. Default 40.
    #[serde(default = "forty", rename = "sizeGiB")]
    pub size_gib: u32,
    /// Its description. Default empty.
    #[serde(default)]
    pub description: String,
    /// The image it is a copy of. Default none.
    #[serde(default)]
    pub parent: Option<ImageId>,
    /// The key it is encrypted with. Default: some key, where it is encrypted.
    #[serde(default)]
    pub cmk_id: Option<String>,
    /// The code with which copies of it fail, at six tenths of their time. Default none: they do not.
    #[serde(default)]
    pub copies_fail: Option<String>,
    /// How long a copy of it takes, in seconds. Default as the rules say.
    #[serde(default)]
    pub copy_seconds: Option<Seconds>,
    /// Whether a copy of it is listed only from the end of its job on. Default as the rules say.
    #[serde(default)]
    pub copy_shown_late: Option<bool>,
}

impl ImageSpec {
    /// When it was last changed.
    pub fn updated(&self) -> Option<Timestamp> {
        self.changed.or(self.created)
    }

    /// Whether it has a tag: `key=value`, or `key.value` as it was once written.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|(key, value)| ['=', '.'].iter().any(|between| format!("{key}{between}{value}") == tag))
    }
}

fn forty() -> u32 {
    40
}

fn yes() -> bool {
    true
}
