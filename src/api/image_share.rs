//! `ImageShare`: an image and who may use it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::conditions::Reason;
use super::expiration::Expiration;
use super::identity::{SHARE_SERVED, stays};
use super::limits::RECIPIENT_NAME_CHARS_MAX;
use super::patterns::PLAIN_TEXT;
use super::references::ImageRef;
use crate::domain::foreign_text::plain;
use crate::domain::identifiers::RecipientKind;
use crate::domain::image::Answer;
use crate::domain::provider::Site;

/// An image and who may use it. Many may name the same image; their recipients add up.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "imageshare.dev",
    version = "v1alpha1",
    kind = "ImageShare",
    plural = "imageshares",
    namespaced,
    status = "ImageShareStatus",
    derive = "PartialEq",
    doc = "An image and who may use it. Data on the image leaves with it; recipients cannot share it on. Ending a share breaks system-disk re-initialisation, OS change and new servers on the recipients' side.",
    shortname = "ish",
    category = "sharing",
    selectable = ".spec.imageRef.name",
    validation = Rule::new(stays("imageRef", SHARE_SERVED)).field_path(".spec.imageRef")
        .message("imageRef cannot be changed once the CloudImage served this share: make another ImageShare"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.imageRef.name"),
    printcolumn(name = "Image Namespace", type_ = "string", json_path = ".spec.imageRef.namespace", priority = 1),
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
pub struct ImageShareSpec {
    /// The image. Immutable once the `CloudImage` served this share.
    pub image_ref: ImageRef,
    /// Who may use it; each (type, id) once.
    #[serde(deserialize_with = "super::exact")]
    #[schemars(length(min = 1, max = 1000))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into(), "id".into()]))]
    pub recipients: Vec<SpecRecipient>,
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

/// One recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("self.type != 'Account' || self.id.matches('^([1-9][0-9]{4,19}|[0-9]{12}|[0-9a-f]{32})$')")
    .message("an Account is 5 to 20 digits without a leading zero, in quotes (Alibaba Cloud UID), 12 digits, in quotes (AWS account id), or 32 hexadecimal digits (Huawei Cloud account id)"))]
#[x_kube(validation = Rule::new("self.type != 'Project' || self.id.matches('^[0-9A-Za-z_-]{1,64}$')")
    .message("a Project is a project id: up to 64 letters, digits, '-' and '_'"))]
#[x_kube(validation = Rule::new("self.type != 'Organization' || self.id.matches('^[0-9A-Za-z_.:/@-]+$') && !self.id.matches('^[.]{1,2}$')")
    .message("an Organization is an organization's or organizational unit's id, URN or ARN"))]
#[x_kube(validation = Rule::new("self.type == 'Account' || !has(self.copyable) || !self.copyable")
    .message("copyable goes with type: Account: snapshots cannot be shared with organizations or projects"))]
pub struct SpecRecipient {
    /// Kind of recipient: Account at Alibaba Cloud; Project, Account or Organization at Huawei Cloud; Project at `OpenStack`;
    /// Account or Organization at AWS.
    /// Another kind gets the reason `RecipientKindUnsupported`.
    #[serde(rename = "type")]
    pub kind: RecipientKind,
    /// Its id. Account: the UID, 5 to 20 digits in quotes (Alibaba Cloud), the account id, 32 hexadecimal digits (Huawei Cloud),
    /// or the account id, 12 digits in quotes (AWS). Project: the project's id, not its name; at Huawei Cloud that of the image's
    /// region. Organization: its URN (Huawei Cloud), or the ARN of an organization or organizational unit (AWS).
    #[schemars(length(min = 1, max = 255))]
    pub id: String,
    /// Site that sold the recipient's account, if it is another than the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Site>,
    /// What people call it: free text that events, the audit log and messages show beside the id. No part of its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = PLAIN_TEXT))]
    pub name: Option<String>,
    /// AWS: whether it may copy the image as well, which takes a permission on every snapshot behind the image. What it copies
    /// stays its own after access has ended. Only for Accounts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub copyable: bool,
}

impl SpecRecipient {
    /// Its name, safe for a terminal; `None` if it has none.
    pub fn shown_name(&self) -> Option<String> {
        let name = self.name.as_deref().map(|name| plain(name, RECIPIENT_NAME_CHARS_MAX));
        name.filter(|name| !name.is_empty())
    }
}

/// What deleting an `ImageShare` does to its grants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ShareDeletionPolicy {
    /// They are revoked.
    #[default]
    Revoke,
    /// They stay at the cloud, and no policy touches them.
    Retain,
}

/// What became of the share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageShareStatus {
    /// Generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Value of the last `reconcile-requested-at` annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready`, `Shared` and `Accepted`, and `Reconciling` or `Stalled` while they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The `CloudImage` that serves this share, as `namespace/name`; written at the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub image: Option<String>,
    /// Granted recipients out of all, as `3/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub summary: Option<String>,
    /// Recipients that accepted of those granted that are asked for an answer, as `2/3`; absent where nobody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub accepted: Option<String>,
    /// What granted recipients said, where the cloud asks them for an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::exact")]
    #[schemars(length(max = 1000))]
    pub answers: Vec<RecipientAnswer>,
    /// Recipients that are not granted, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::exact")]
    #[schemars(length(max = 1000))]
    pub waiting: Vec<WaitingRecipient>,
}

/// What a recipient said to the offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RecipientAnswer {
    /// Kind of recipient.
    #[serde(rename = "type")]
    pub kind: RecipientKind,
    /// Its id.
    #[schemars(length(max = 255))]
    pub id: String,
    /// Its answer.
    pub answer: Answer,
}

/// A recipient that is not granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WaitingRecipient {
    /// Kind of recipient.
    #[serde(rename = "type")]
    pub kind: RecipientKind,
    /// Its id.
    #[schemars(length(max = 255))]
    pub id: String,
    /// Why it is not granted.
    pub reason: Reason,
}
