//! `ImageReplica`: a copy of an image, own or received, as an own private image, in the same region or in another one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::cloud_image::ShareableFrom;
use super::identity::{COPY_BEGUN, stays};
use super::patterns::{AGENCY_NAME, KEY_ID, PROJECT_NAME, VAULT_ID};
use super::references::{AccountRef, LocalImageRef};

/// A copy of an image as an own private image.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "imageshare.dev",
    version = "v1alpha1",
    kind = "ImageReplica",
    plural = "imagereplicas",
    namespaced,
    status = "ImageReplicaStatus",
    derive = "PartialEq",
    doc = "Copies an image, own or received, into an own private image, in the same region or in another one. When the copy is made, a CloudImage of the same name stands for it, so that it can be shared and copied on.",
    shortname = "irep",
    category = "sharing",
    validation = Rule::new(stays("source", COPY_BEGUN)).field_path(".spec.source")
        .message("source cannot be changed once the copy was begun, unless it failed: make another ImageReplica"),
    validation = Rule::new(stays("destination", COPY_BEGUN)).field_path(".spec.destination")
        .message("destination cannot be changed once the copy was begun, unless it failed: make another ImageReplica"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.destination.region"),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.imageID"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.copy.state"),
    printcolumn(name = "Progress", type_ = "integer", json_path = ".status.progress"),
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
pub struct ImageReplicaSpec {
    /// What is copied. Immutable once the copy was begun, unless it failed.
    pub source: ReplicaSource,
    /// Where the copy goes. Immutable once the copy was begun, unless it failed.
    pub destination: ReplicaDestination,
    /// From which namespaces `ImageShares` may name the `CloudImage` of the copy, when it is made; from then on its own
    /// `shareableFrom` decides.
    #[serde(default)]
    pub shareable_from: ShareableFrom,
    /// What deleting this object does once the copy is made: Retain (default) keeps the copy and its `CloudImage`, Delete
    /// deletes both, once no `ImageShare` names the image. A copy still being made is ended.
    #[serde(default)]
    pub deletion_policy: ReplicaDeletionPolicy,
    /// While true, no copy is begun; one under way goes on.
    #[serde(default)]
    pub suspend: bool,
}

/// What is copied: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.imageRef) != has(self.received)").message("give exactly one of imageRef and received"))]
pub struct ReplicaSource {
    /// An own image: a `CloudImage` of this namespace. It is waited for while it does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<LocalImageRef>,
    /// An image that somebody else shares with an account of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<ReceivedSource>,
}

/// An image that somebody else shares with an account of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceivedSource {
    /// The account that receives the image.
    pub account_ref: AccountRef,
    /// Region the image is shared in.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*$')")
        .message("region is a region id such as cn-north-4"))]
    pub region: String,
    /// Id of the image, the same on both sides.
    #[serde(rename = "imageID")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9_.-]*$')")
        .message("imageID is the image's id in the cloud: letters, digits, '-', '_' and '.'"))]
    pub image_id: String,
    /// The owner we trust, where one is named: an image from anybody else is not copied. An account id at Alibaba
    /// Cloud and AWS, a project id at Huawei Cloud and `OpenStack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9A-Za-z_-]+$')")
        .message("owner is the id of the owner's account (Alibaba Cloud, AWS) or project (Huawei Cloud, OpenStack)"))]
    pub owner: Option<String>,
}

/// Where the copy goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaDestination {
    /// The account that is to own the copy; the source's when left out. Another one works only between projects and clouds
    /// of `OpenStack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<AccountRef>,
    /// Region of the copy.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*$')")
        .message("region is a region id such as cn-hangzhou"))]
    pub region: String,
    /// Name of the copy in the cloud; each cloud has rules of its own for it.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Huawei Cloud, to another region: the agency that lets IMS write into the project there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = AGENCY_NAME))]
    pub agency_name: Option<String>,
    /// Huawei Cloud, to another region: the project there; the region's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = PROJECT_NAME))]
    pub project_name: Option<String>,
    /// Huawei Cloud, to another region: the backup vault there that a full-server image goes into.
    #[serde(rename = "vaultID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = VAULT_ID))]
    pub vault_id: Option<String>,
    /// Encrypts the copy. Not at `OpenStack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<ReplicaEncryption>,
}

/// How a copy is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaEncryption {
    /// The key of the vendor's key service in the destination region. An image encrypted with the account's default key
    /// cannot be shared. AWS: the key's id or ARN, or `alias/` and its alias.
    #[serde(rename = "keyID")]
    #[schemars(length(min = 1, max = 255), regex(pattern = KEY_ID))]
    pub key_id: String,
}

/// What deleting an `ImageReplica` does to the copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ReplicaDeletionPolicy {
    /// The copy and its `CloudImage` stay.
    #[default]
    Retain,
    /// Both are deleted, once nobody has the image any more.
    Delete,
}

/// How far the copy is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageReplicaStatus {
    /// Generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Value of the last `reconcile-requested-at` annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready` and `Replicated`, and `Reconciling` or `Stalled` while they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The account that owns the copy, recorded at the first contact; another one later is `AccountChanged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub account: Option<String>,
    /// The account that has the source, recorded at the first contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub source_account: Option<String>,
    /// The copy that is being made, or was made last; written down before the cloud is asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyAttempt>,
    /// How much of it is made, in hundredths, where the cloud tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub progress: Option<u8>,
    /// Id of the copy in the cloud, once it is made.
    #[serde(rename = "imageID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub image_id: Option<String>,
    /// Uid of the `CloudImage` that stands for the copy; it was written once and is not touched again.
    #[serde(rename = "cloudImageUID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cloud_image_uid: Option<String>,
}

/// One try to make the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CopyAttempt {
    /// Which try it is, from 1.
    pub number: u32,
    /// When it was written down or, where it failed, when it was given up.
    pub since: Time,
    /// Where it is.
    pub state: CopyState,
    /// What is copied, as it was when the cloud was asked.
    pub source: CopySource,
    /// Where it goes, as it was when the cloud was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<ReplicaDestination>,
    /// The image being made, once the cloud said which.
    #[serde(rename = "imageID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub image_id: Option<String>,
    /// The job that makes it.
    #[serde(rename = "jobID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub job_id: Option<String>,
}

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CopySource {
    /// Name of the `CloudAccount` that has it.
    #[schemars(length(max = 253))]
    pub account: String,
    /// Its region.
    #[schemars(length(max = 63))]
    pub region: String,
    /// Its id.
    #[serde(rename = "imageID")]
    #[schemars(length(max = 128))]
    pub image_id: String,
}

/// Where a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum CopyState {
    /// Written down; the cloud is being asked, or its answer was lost.
    Asked,
    /// Under way at the cloud.
    Copying,
    /// It failed or is not wanted any more: what there is of it is being removed.
    Clearing,
    /// It failed, and nothing of it is left; tried again later.
    Failed,
    /// It is there.
    Made,
}
