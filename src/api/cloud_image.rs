//! `CloudImage`: one image an account owns, in one region, with the ledger of who was granted it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::conditions::Reason;
use super::identity::{IMAGE_FOUND, stays};
use super::references::AccountRef;
use super::selector::selector_schema;
use crate::domain::identifiers::RecipientKind;
use crate::domain::image::Answer;

/// One image an account owns, in one region. Its finalizer keeps it while `ImageShares` name it.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "imageshare.dev",
    version = "v1alpha1",
    kind = "CloudImage",
    plural = "cloudimages",
    namespaced,
    status = "CloudImageStatus",
    derive = "PartialEq",
    doc = "One image an account owns, in one region: carries the ledger of grants and guards the image against deletion.",
    shortname = "cli",
    category = "sharing",
    selectable = ".spec.accountRef.name",
    validation = Rule::new(stays("accountRef", IMAGE_FOUND)).field_path(".spec.accountRef")
        .message("accountRef cannot be changed once the image was found: make another CloudImage"),
    validation = Rule::new(stays("region", IMAGE_FOUND)).field_path(".spec.region")
        .message("region cannot be changed once the image was found: an image lives in one region; copy it and make another CloudImage"),
    validation = Rule::new(stays("imageID", IMAGE_FOUND)).field_path(".spec.imageID")
        .message("imageID cannot be changed once the image was found: make another CloudImage"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.imageID"),
    printcolumn(name = "Image Name", type_ = "string", json_path = ".status.imageName", priority = 1),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Recipients", type_ = "string", json_path = ".status.recipients"),
    printcolumn(
        name = "Unmanaged",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Unmanaged\")].status",
        priority = 1
    ),
    printcolumn(name = "Retained", type_ = "integer", json_path = ".status.retained", priority = 1),
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
pub struct CloudImageSpec {
    /// The account that owns the image. Immutable once the image was found.
    pub account_ref: AccountRef,
    /// Region the image lives in; every zone of it works. Immutable once the image was found.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*$')")
        .message("region is a region id such as cn-hangzhou"))]
    pub region: String,
    /// Id of the image in the cloud. Immutable once the image was found.
    #[serde(rename = "imageID")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9_.-]*$')")
        .message("imageID is the image's id in the cloud, such as m-bp67acfmxazb4p0000: letters, digits, '-', '_' and '.'"))]
    pub image_id: String,
    /// From which namespaces `ImageShares` may name this image: the owner's consent.
    #[serde(default)]
    pub shareable_from: ShareableFrom,
    /// What to do with recipients nobody here asked for: report them, or revoke them after they were seen for 10 minutes
    /// while an `ImageShare` asks for recipients.
    #[serde(default)]
    pub unmanaged_recipients: UnmanagedRecipients,
    /// `OpenStack`: whether a private image may be made `shared`, which is what lets it have recipients; it revives those
    /// that it had before. Forbid (default) or Allow.
    #[serde(default)]
    pub visibility_change: VisibilityChange,
    /// What deleting this object does to the image in the cloud: Retain (default) leaves it, Delete deletes it once no
    /// recipient is left. Without the image, servers made from it cannot re-initialise their system disk or change their
    /// OS any more, and no new servers can be made.
    #[serde(default)]
    pub deletion_policy: ImageDeletionPolicy,
}

impl CloudImageSpec {
    /// The spec that names this image and leaves out everything else.
    pub fn of(account_ref: AccountRef, region: String, image_id: String) -> Self {
        Self {
            account_ref,
            region,
            image_id,
            shareable_from: ShareableFrom::default(),
            unmanaged_recipients: UnmanagedRecipients::default(),
            visibility_change: VisibilityChange::default(),
            deletion_policy: ImageDeletionPolicy::default(),
        }
    }

    /// Whether both name the same image through the same account.
    pub fn names_same_image(&self, other: &Self) -> bool {
        (&self.account_ref, &self.region, &self.image_id) == (&other.account_ref, &other.region, &other.image_id)
    }
}

/// From which namespaces `ImageShares` may name an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ShareableFrom {
    /// The namespaces.
    #[serde(default)]
    pub namespaces: ShareableNamespaces,
    /// Whether an `ImageShare` of another namespace may leave its access at the cloud when it is deleted
    /// (`deletionPolicy: Retain`): Forbid (default) revokes it with the `ImageShare`, Allow leaves it.
    #[serde(default)]
    pub retain: RetainPolicy,
}

/// Whether `ImageShares` of other namespaces may leave access at the cloud.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum RetainPolicy {
    /// Their access is revoked with them, whatever their `deletionPolicy` says.
    #[default]
    Forbid,
    /// Their `deletionPolicy` counts.
    Allow,
}

/// The consenting shape of Gateway API's `allowedRoutes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("(has(self.from) && self.from == 'Selector') == has(self.selector)")
    .message("selector goes with from: Selector, and only with it"))]
pub struct ShareableNamespaces {
    /// Same (default), All, or Selector.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Which namespaces, by their labels; only with `from: Selector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "selector_schema")]
    pub selector: Option<LabelSelector>,
}

/// How namespaces are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum NamespacesFrom {
    /// Only the image's own namespace.
    #[default]
    Same,
    /// Every namespace.
    All,
    /// Namespaces whose labels match.
    Selector,
}

/// What to do with recipients nobody here asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum UnmanagedRecipients {
    /// Only tell.
    #[default]
    Report,
    /// Revoke them after 10 minutes, while an `ImageShare` asks for recipients.
    Revoke,
}

/// Whether a private image may be made shared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum VisibilityChange {
    /// It stays private, and cannot be shared.
    #[default]
    Forbid,
    /// It is made shared when an `ImageShare` asks for recipients.
    Allow,
}

/// What deleting a `CloudImage` does to the image in the cloud.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ImageDeletionPolicy {
    /// The image stays.
    #[default]
    Retain,
    /// The image is deleted, once nobody is left to use it.
    Delete,
}

/// The ledger and what was observed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudImageStatus {
    /// Generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Value of the last `reconcile-requested-at` annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready` and `Deletable`, and `Reconciling` or `Stalled` while they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The owner recorded at the first contact; another one later is `AccountChanged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub owner: Option<String>,
    /// Region and id of the image that this status speaks of, as `cn-hangzhou/m-bp67acfmxazb4p0000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub image: Option<String>,
    /// Its name, as the cloud says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub image_name: Option<String>,
    /// Where the image is in its life, as the cloud says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub state: Option<String>,
    /// Recipients the image has in the cloud and how many it may have, as `3/50`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub recipients: Option<String>,
    /// How many recipients keep the image though their `ImageShare` is gone (`deletionPolicy: Retain`); absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained: Option<i32>,
    /// Everybody this operator granted the image, is granting it to, or is revoking it from.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::exact")]
    #[schemars(length(max = 5000))]
    pub grants: Vec<Grant>,
    /// Recipients of `ImageShares` that the operator does not grant, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::exact")]
    #[schemars(length(max = 5000))]
    pub declined: Vec<Declined>,
    /// `ImageShares` this image serves, and the generation of each that was last acted on.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::exact")]
    #[schemars(length(max = 500))]
    pub shares: Vec<ServedShare>,
    /// Recipients in the cloud that nobody here asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::exact")]
    #[schemars(length(max = 200))]
    pub unmanaged: Vec<Unmanaged>,
    /// A job at the cloud that is adding or removing recipients; nothing else is sent before it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<PendingJob>,
    /// When the image was first read as absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_since: Option<Time>,
    /// Set while the cloud refuses to share this image with anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<ImageRefusal>,
    /// Calls that asked the cloud to delete the image, which it still shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Attempt>,
    /// AWS: the snapshots behind the image, while anybody may copy it through this operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub snapshots: Vec<String>,
    /// AWS: everybody whom this operator lets copy the image, is to let copy it, or takes that from.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::exact")]
    #[schemars(length(max = 1000))]
    pub copies: Vec<CopyGrant>,
    /// AWS: set while the cloud refuses to let anybody copy this image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies_refused: Option<ImageRefusal>,
}

/// A permission to copy the image: one on every snapshot behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CopyGrant {
    /// Kind of recipient.
    #[serde(rename = "type")]
    pub kind: RecipientKind,
    /// Its id.
    #[schemars(length(max = 255))]
    pub id: String,
    /// Where the permission is in its life.
    pub state: GrantState,
    /// When a call that may have added it was last recorded.
    pub since: Time,
    /// Why the cloud refused it, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Reason>,
    /// Where no share asks for it: whether it was removed, or read as absent, so that its absence counts from `since`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// The snapshots on which this operator gave it, or may have given it, as positions in `snapshots`. Permissions that
    /// others gave are not listed, and never taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub snapshots: Vec<i32>,
    /// Calls that were to add or remove it, whose effect the cloud does not show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
}

/// A row of calls that had no visible effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attempt {
    /// The first call of the row.
    pub since: Time,
    /// The last call.
    pub last: Time,
    /// The vendor's code, where the cloud refused the last call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub code: Option<String>,
}

/// The cloud refuses to share the image with anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ImageRefusal {
    /// Why.
    pub reason: Reason,
    /// The calls that were refused.
    pub attempt: Attempt,
}

/// A job at the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PendingJob {
    /// Its id.
    #[schemars(length(max = 64))]
    pub id: String,
    /// When it was asked for.
    pub since: Time,
}

/// Where a grant is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum GrantState {
    /// Written down before the cloud is called; not yet seen there.
    Intended,
    /// Seen at the cloud.
    Granted,
    /// To be ended; stays until it is read as absent.
    Revoking,
    /// Left at the cloud by `deletionPolicy: Retain`; no policy touches it.
    Retained,
    /// The cloud does not show the image any more. If the image comes back, the grant is judged anew.
    ImageGone,
}

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Kind of recipient.
    #[serde(rename = "type")]
    pub kind: RecipientKind,
    /// Its id.
    #[schemars(length(max = 255))]
    pub id: String,
    /// Where the grant is in its life.
    pub state: GrantState,
    /// When a call that may have added it was last recorded.
    pub since: Time,
    /// Why the cloud refused this recipient, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Reason>,
    /// What the recipient said, where the cloud asks for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Where no share asks for it: whether it was removed, or read as absent, so that its absence counts from `since`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// When it was last given again after it had vanished from the cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regiven: Option<Time>,
    /// Which `ImageShares` the grant is held for, as positions in `shares`: at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub shares: Vec<i32>,
    /// Where no `ImageShare` holds the grant any more: which ones did last, as positions in `shares`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub former_shares: Vec<i32>,
    /// Calls that were to add or remove the recipient, whose effect the cloud does not show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Box<Attempt>>,
}

/// A recipient that the operator does not grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Declined {
    /// Kind of recipient.
    #[serde(rename = "type")]
    pub kind: RecipientKind,
    /// Its id.
    #[schemars(length(max = 255))]
    pub id: String,
    /// Why.
    pub reason: Reason,
}

/// An `ImageShare` this image serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServedShare {
    /// Its uid.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Its namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its generation last acted on.
    pub generation: i64,
    /// Value of its `reconcile-requested-at` annotation that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_handled_reconcile_at: Option<String>,
}

/// A recipient nobody here asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Unmanaged {
    /// Kind of recipient.
    #[serde(rename = "type")]
    pub kind: RecipientKind,
    /// Its id.
    #[schemars(length(max = 255))]
    pub id: String,
    /// Since when it was seen while a share was wishing; `unmanagedRecipients: Revoke` counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}
