//! `SharedImageAcceptance`: what to answer to one offered image, from an owner named as trusted.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::identity::{OFFER_FOUND, stays};
use super::references::AccountRef;
use crate::domain::identifiers::RecipientKind;
use crate::domain::image::Answer;

/// What to answer to one offered image.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "imageshare.dev",
    version = "v1alpha1",
    kind = "SharedImageAcceptance",
    plural = "sharedimageacceptances",
    namespaced,
    status = "SharedImageAcceptanceStatus",
    derive = "PartialEq",
    doc = "Accepts or rejects one image that somebody shares with us. Take images only from owners you trust: whoever made an image can have put anything on it.",
    shortname = "sia",
    category = "sharing",
    selectable = ".spec.accountRef.name",
    validation = Rule::new(stays("accountRef", OFFER_FOUND)).field_path(".spec.accountRef")
        .message("accountRef cannot be changed once the offer was found: make another SharedImageAcceptance"),
    validation = Rule::new(stays("region", OFFER_FOUND)).field_path(".spec.region")
        .message("region cannot be changed once the offer was found: make another SharedImageAcceptance"),
    validation = Rule::new(stays("imageID", OFFER_FOUND)).field_path(".spec.imageID")
        .message("imageID cannot be changed once the offer was found: make another SharedImageAcceptance"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.imageID"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region"),
    printcolumn(name = "Decision", type_ = "string", json_path = ".spec.decision"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
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
pub struct SharedImageAcceptanceSpec {
    /// The account that receives the image. Immutable once the offer was found.
    pub account_ref: AccountRef,
    /// Region the image is shared in. Immutable once the offer was found.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*$')")
        .message("region is a region id such as cn-north-4"))]
    pub region: String,
    /// Id of the image, the same on both sides. Immutable once the offer was found.
    #[serde(rename = "imageID")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9_.-]*$')")
        .message("imageID is the image's id in the cloud: letters, digits, '-', '_' and '.'"))]
    pub image_id: String,
    /// The owner we trust: an account id at Alibaba Cloud and AWS, a project id at Huawei Cloud and `OpenStack`. An image from
    /// anybody else is not answered.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9A-Za-z_-]+$')")
        .message("owner is the id of the owner's account (Alibaba Cloud, AWS) or project (Huawei Cloud, OpenStack)"))]
    pub owner: String,
    /// What to answer: Accept or Reject. Changing it answers anew. Rejecting hides the image from lists; it does not take
    /// away the access that the owner gave.
    pub decision: AcceptanceDecision,
    /// Huawei Cloud: the backup vault that a full-server image is accepted into.
    #[serde(rename = "vaultID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9A-Za-z-]+$')").message("vaultID is a vault's id: letters, digits and '-'"))]
    pub vault_id: Option<String>,
    /// What deleting this object does: Retain (default) leaves the answer, Reject rejects the image first.
    #[serde(default)]
    pub deletion_policy: AcceptanceDeletionPolicy,
    /// While true, nothing is answered.
    #[serde(default)]
    pub suspend: bool,
}

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum AcceptanceDecision {
    /// Yes.
    Accept,
    /// No.
    Reject,
}

/// What deleting a `SharedImageAcceptance` does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum AcceptanceDeletionPolicy {
    /// The answer stays.
    #[default]
    Retain,
    /// The image is rejected first.
    Reject,
}

/// Where an offer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum OfferState {
    /// Nobody shares the image with this account.
    NotOffered,
    /// Offered, not answered.
    Pending,
    /// Accepted.
    Accepted,
    /// Rejected.
    Rejected,
    /// Shared without asking for an answer.
    Shared,
    /// It was shared, and the owner took it back.
    Revoked,
}

/// What became of the offer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedImageAcceptanceStatus {
    /// Generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Value of the last `reconcile-requested-at` annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready` and `Accepted`, and `Reconciling` or `Stalled` while they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The account recorded at the first contact; another one later is `AccountChanged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub account: Option<String>,
    /// Where the offer is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<OfferState>,
    /// Who owns the image, as the cloud says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub owner: Option<String>,
    /// The image's name, as the cloud says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub image_name: Option<String>,
    /// Through which grants the image comes. Each of them alone keeps it usable: rejecting as a project does not end what
    /// the account or the organization was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub via: Vec<Via>,
    /// The answer that was last sent, or is about to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answering: Option<AcceptanceDecision>,
    /// A job at the cloud that carries out an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<super::cloud_image::PendingJob>,
}

/// A grant through which an image comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Via {
    /// To whom the owner gave it.
    #[serde(rename = "type")]
    pub kind: RecipientKind,
    /// Its id.
    #[schemars(length(max = 255))]
    pub id: String,
    /// What was answered, where the cloud asks for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}
