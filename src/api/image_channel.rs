//! `ImageChannel`: which own images make up a rotating line, and which one is the latest.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::cloud_image::ShareableFrom;
use super::conditions::Reason;
use super::patterns::{IMAGE_ID, PLAIN_TEXT};
use super::references::AccountRef;
use super::span::Span;

/// Tags that a channel may choose by.
const TAGS_MAX: usize = 10;

/// Longest key or value of a tag; the vendors allow 128 and 255.
const TAG_CHARS_MAX: usize = 255;

/// A line of golden images of one account and region: it finds new builds, decides which one is `latest`, and makes a
/// `CloudImage` for each. `ChannelShares` say who gets them.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "imageshare.dev",
    version = "v1alpha1",
    kind = "ImageChannel",
    plural = "imagechannels",
    namespaced,
    status = "ImageChannelStatus",
    derive = "PartialEq",
    doc = "A line of golden images: finds new builds among an account's own images, decides which one is the latest, and makes a CloudImage for each. Deleting or suspending it changes no access.",
    shortname = "ich",
    category = "sharing",
    selectable = ".spec.accountRef.name",
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("the name of an ImageChannel has at most 63 characters: it becomes a label of its CloudImages"),
    validation = Rule::new("self.spec.accountRef == oldSelf.spec.accountRef").field_path(".spec.accountRef")
        .message("accountRef cannot be changed: make another ImageChannel"),
    validation = Rule::new("self.spec.region == oldSelf.spec.region").field_path(".spec.region")
        .message("region cannot be changed: make another ImageChannel"),
    printcolumn(name = "Latest", type_ = "string", json_path = ".status.latest[0].version"),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.latest[0].since"),
    printcolumn(name = "Matched", type_ = "string", json_path = ".status.discovered"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region", priority = 1),
    printcolumn(
        name = "Rotated",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Rotated\")].status",
        priority = 1
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ImageChannelSpec {
    /// The account that owns the images. Immutable.
    pub account_ref: AccountRef,
    /// Region the images are built in. Immutable.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*$')")
        .message("region is a region id such as cn-hangzhou"))]
    pub region: String,
    /// Observe: status shows what the channel would do, and nothing else is written. Share (default): a `CloudImage` is made
    /// for each version in service, and `ChannelShares` share it; no access ends by itself. Rotate: as Share, and access to old
    /// versions ends by `retire`, once their recipients have newer ones.
    #[serde(default)]
    pub mode: ChannelMode,
    /// Which own images belong to the channel: everything given must match.
    pub select: ChannelSelect,
    /// Which version is newer: by creation time (default), or by the version in the name.
    #[serde(default)]
    pub order: ChannelOrder,
    /// How long a new version is a Candidate before it can become the latest, as `24h`; counted from when the channel first saw
    /// it, or from its creation for images older than the channel. Left out, there is no wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Span>,
    /// The latest is this version, whatever is newer: a rollback. Versions that are newer stay Candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = PLAIN_TEXT))]
    pub pin: Option<String>,
    /// Versions that are never the latest and that nobody new gets. Who has one keeps it in mode Share, and until its grace is over
    /// in mode Rotate; `revoke: Now` ends it at once in both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["version".into()]))]
    pub exclude: Vec<ExcludedVersion>,
    /// How many versions are in service, and how older ones retire.
    #[serde(default)]
    pub retire: ChannelRetire,
    /// From which namespaces `ChannelShares` may name this channel: the owner's consent. Its `CloudImages` have the same.
    #[serde(default)]
    pub shareable_from: ShareableFrom,
    /// While true, no image is listed, `latest` does not move and nothing is made; all access stays.
    #[serde(default)]
    pub suspend: bool,
}

/// What a channel does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ChannelMode {
    /// Status only.
    Observe,
    /// Makes `CloudImages`, which `ChannelShares` share.
    #[default]
    Share,
    /// Shares, and ends the access to old versions.
    Rotate,
}

/// Which own images belong to a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.namePattern) || has(self.family) || has(self.tags) || has(self.imageIDs)")
    .message("select needs at least one of namePattern, family, tags and imageIDs"))]
pub struct ChannelSelect {
    /// A regular expression (RE2 syntax) that the whole name must match, with a group named `version`, such as
    /// `golden-ubuntu-(?P<version>[0-9]{8})`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = PLAIN_TEXT))]
    pub name_pattern: Option<String>,
    /// The image family, at clouds that have families (Alibaba Cloud).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = PLAIN_TEXT))]
    pub family: Option<String>,
    /// Tags that the image must have, with these values. `OpenStack` has tags without values: there, `stage: released` is the tag
    /// `stage=released`, and a key with an empty value is the tag of that name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "tags_schema")]
    pub tags: BTreeMap<String, String>,
    /// Ids of images: a fixed set.
    #[serde(default, rename = "imageIDs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 128), regex(pattern = IMAGE_ID)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub image_ids: Vec<String>,
}

fn tags_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": TAGS_MAX,
        "additionalProperties": {"type": "string", "maxLength": TAG_CHARS_MAX, "pattern": PLAIN_TEXT},
        "x-kubernetes-validations": [{
            "rule": format!("self.all(key, key.size() > 0 && key.size() <= {TAG_CHARS_MAX})"),
            "message": format!("a key of tags has 1 to {TAG_CHARS_MAX} characters"),
        }],
    })
}

/// Which version is newer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.format) == (has(self.by) && self.by == 'Version')")
    .message("format goes with by: Version, and only with it"))]
pub struct ChannelOrder {
    /// `CreationTime` (default) or Version.
    #[serde(default)]
    pub by: OrderBy,
    /// How versions compare, with `by: Version`: Numeric (numbers separated by `.`, `-` or `_`), Semver or Alphabetical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<VersionFormat>,
}

/// What versions are ordered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum OrderBy {
    /// The time at which the image was made, at the cloud.
    #[default]
    CreationTime,
    /// The version in the image's name.
    Version,
}

/// How versions compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum VersionFormat {
    /// Numbers separated by `.`, `-` or `_`, compared one after the other.
    Numeric,
    /// Semantic versions.
    Semver,
    /// Texts, character by character.
    Alphabetical,
}

/// A version that a channel does not offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ExcludedVersion {
    /// The version.
    #[schemars(length(min = 1, max = 128), regex(pattern = PLAIN_TEXT))]
    pub version: String,
    /// `AfterGrace` (default): in mode Rotate, access ends as that to an old version does. Now: it ends at once, in mode Share too,
    /// and also for recipients who have no other version. For an image that must not be used any more.
    #[serde(default)]
    pub revoke: ExcludeRevoke,
}

/// When access to an excluded version ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ExcludeRevoke {
    /// Like that to an old version.
    #[default]
    AfterGrace,
    /// At once.
    Now,
}

/// Which versions are in service, and how older ones retire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.grace) || duration(self.grace) >= duration('1h')")
    .message("retire.grace is at least 1h: to end access to one version at once, exclude it with revoke: Now"))]
pub struct ChannelRetire {
    /// How many versions are in service (default 3). Of the images that exist when the channel first sees them, as many of the
    /// newest enter it; older ones are Retired from the start: nobody gets them, and who has one keeps it. In mode Rotate, a version
    /// beyond this number is Deprecated.
    #[serde(default = "keep_default")]
    #[schemars(range(min = 1, max = 50))]
    pub keep: u8,
    /// Mode Rotate: a version is not Deprecated before it is so old, as `720h`; counted like `soak`. Left out, its age does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_age: Option<Span>,
    /// Mode Rotate: how long a version is Deprecated before access to it may end (default `336h`, at least `1h`). Status says until
    /// when before it counts.
    #[serde(default = "grace_default")]
    pub grace: Span,
    /// Mode Rotate: what each recipient must have of a version in service before the old one ends. Accepted (default): it accepted
    /// one, where the cloud asks for an answer. Granted: an unanswered offer is enough.
    #[serde(default)]
    pub require: RetireRequire,
}

fn keep_default() -> u8 {
    3
}

fn grace_default() -> Span {
    Span("336h".to_owned())
}

impl Default for ChannelRetire {
    fn default() -> Self {
        Self { keep: keep_default(), min_age: None, grace: grace_default(), require: RetireRequire::default() }
    }
}

/// What recipients must have of a version in service before an old one ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum RetireRequire {
    /// It is granted.
    Granted,
    /// It is granted, and accepted where the cloud asks for an answer.
    #[default]
    Accepted,
}

/// Where a version is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Stage {
    /// Newer than the current one, and not in service yet.
    Candidate,
    /// The one that `latest` names, or will name once it is shared.
    Current,
    /// Older than the current one, and in service.
    Supported,
    /// Excluded, not selected any more or, in mode Rotate, beyond `retire.keep`: nobody new gets it, who has it keeps it for now.
    Deprecated,
    /// Access to it is being ended.
    Revoking,
    /// Not in service, and the channel shares it with nobody.
    Retired,
}

/// What a channel found and decided.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageChannelStatus {
    /// Generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Value of the last `reconcile-requested-at` annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready` and `Discovered`; `Rotated` in mode Rotate; `Reconciling` or `Stalled` while they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The latest version in each region: what consumers should use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["region".into()]))]
    pub latest: Vec<LatestVersion>,
    /// The versions, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["imageID".into()]))]
    pub versions: Vec<ChannelVersion>,
    /// Images that matched and images that the last complete list held, as `14/17`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub discovered: Option<String>,
}

/// The latest version in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatestVersion {
    /// The region.
    #[schemars(length(max = 63))]
    pub region: String,
    /// The version.
    #[schemars(length(max = 128))]
    pub version: String,
    /// Its image in that region.
    #[serde(rename = "imageID")]
    #[schemars(length(max = 128))]
    pub image_id: String,
    /// The `CloudImage` of it; absent in mode Observe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub cloud_image: Option<String>,
    /// Since when it has been the latest.
    pub since: Time,
}

/// One version of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelVersion {
    /// The version: the group `version` of the name, or the image's id where `select` has no `namePattern`.
    #[schemars(length(max = 128))]
    pub version: String,
    /// Its image.
    #[serde(rename = "imageID")]
    #[schemars(length(max = 128))]
    pub image_id: String,
    /// Where it is in its life.
    pub stage: Stage,
    /// Since when its soak counts: when the channel first saw it.
    pub since: Time,
    /// Since when it has been in its stage.
    pub stage_since: Time,
    /// When the image was made, as the cloud says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Its next stage, and the earliest time for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextStage>,
    /// When a complete list first came after the grace of a Deprecated version. Access to it ends after a second one at the earliest.
    /// Absent from one that is Revoking because it is excluded with `revoke: Now`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue_since: Option<Time>,
    /// What holds the next stage back, once its time has come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub blocked_by: Vec<Reason>,
    /// When a complete list first lacked the image. A second one removes it from the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_since: Option<Time>,
    /// The `CloudImage` of it, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub cloud_image: Option<String>,
}

/// The next stage of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextStage {
    /// The stage.
    pub stage: Stage,
    /// The earliest time.
    pub not_before: Time,
}
