//! `ChannelShare`: a channel and who may use its images.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::expiration::Expiration;
use super::image_channel::Stage;
use super::image_share::{ShareDeletionPolicy, SpecRecipient};
use super::references::ChannelRef;

/// A channel and who may use its images. One `ImageShare` is made from it for each version in service.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "imageshare.dev",
    version = "v1alpha1",
    kind = "ChannelShare",
    plural = "channelshares",
    namespaced,
    status = "ChannelShareStatus",
    derive = "PartialEq",
    doc = "A channel and who may use its images: an ImageShare is made in this namespace for each version in service. Deleting it deletes those ImageShares, and so ends their access.",
    shortname = "chs",
    category = "sharing",
    selectable = ".spec.channelRef.name",
    validation = Rule::new("self.metadata.name.size() <= 200")
        .message("the name of a ChannelShare has at most 200 characters: the names of its ImageShares begin with it"),
    validation = Rule::new("self.spec.channelRef == oldSelf.spec.channelRef").field_path(".spec.channelRef")
        .message("channelRef cannot be changed: make another ChannelShare"),
    printcolumn(name = "Channel", type_ = "string", json_path = ".spec.channelRef.name"),
    printcolumn(name = "Channel Namespace", type_ = "string", json_path = ".spec.channelRef.namespace", priority = 1),
    printcolumn(name = "Latest", type_ = "string", json_path = ".status.latest"),
    printcolumn(name = "Images", type_ = "integer", json_path = ".status.images"),
    printcolumn(name = "Recipients", type_ = "string", json_path = ".status.summary"),
    printcolumn(name = "Accepted", type_ = "string", json_path = ".status.accepted"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expirationTime", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ChannelShareSpec {
    /// The channel. Immutable.
    pub channel_ref: ChannelRef,
    /// Who may use its images; each (type, id) once.
    #[serde(deserialize_with = "super::exact")]
    #[schemars(length(min = 1, max = 1000))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into(), "id".into()]))]
    pub recipients: Vec<SpecRecipient>,
    /// In which stages a version is shared: Current and Supported (default). An account that tries new versions first says
    /// Candidate too. Where a version leaves these stages, nobody new gets it and who has it keeps it, until a channel in mode Rotate
    /// ends it.
    #[serde(default = "stages_default")]
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub stages: Vec<SharedStage>,
    /// When access ends by itself; the object stays, with reason `Expired`. Left out, it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self < timestamp('9999-01-01T00:00:00Z')")
        .message("expirationTime must be before the year 9999: leave it out for a share that never expires"))]
    pub expiration_time: Option<Expiration>,
    /// What deleting this object does to its grants: Revoke (default) or Retain.
    #[serde(default)]
    pub deletion_policy: ShareDeletionPolicy,
    /// While true, nothing is granted or revoked for this share; what it holds stays.
    #[serde(default)]
    pub suspend: bool,
}

fn stages_default() -> Vec<SharedStage> {
    vec![SharedStage::Current, SharedStage::Supported]
}

/// A stage in which versions may be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum SharedStage {
    /// Newer than the current version, and not in service yet.
    Candidate,
    /// The current version.
    Current,
    /// Older than the current one, and in service.
    Supported,
}

impl SharedStage {
    /// The stage of a version.
    pub fn stage(self) -> Stage {
        match self {
            Self::Candidate => Stage::Candidate,
            Self::Current => Stage::Current,
            Self::Supported => Stage::Supported,
        }
    }
}

/// What became of the share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelShareStatus {
    /// Generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Value of the last `reconcile-requested-at` annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready`, and `Reconciling` or `Stalled` while they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The latest version of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub latest: Option<String>,
    /// `ImageShares` that were made from this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<i32>,
    /// Granted recipients out of all, over all its `ImageShares`, as `6/6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub summary: Option<String>,
    /// Recipients that accepted of those granted that are asked for an answer, over all its `ImageShares`; absent where nobody is
    /// asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub accepted: Option<String>,
}
