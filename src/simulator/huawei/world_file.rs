//! The `huawei` section of a world file. Unknown fields are errors.

use super::recipient::{MemberKind, Recipient};
use super::rules::Rules;
use crate::simulator::names::{AccountId, ImageId, RegionId};
use jiff::Timestamp;
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
    /// Its members. Default none.
    #[serde(default)]
    pub members: Vec<MemberSpec>,
    /// When it was made. Default: when the world was loaded.
    #[serde(default)]
    pub created: Option<Timestamp>,
}

fn yes() -> bool {
    true
}
