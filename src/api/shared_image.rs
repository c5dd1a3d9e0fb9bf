//! `SharedImage`: one image that somebody shares with one of our accounts. Written by the operator alone.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::references::AccountRef;

/// One image shared with an account: an entry of its inventory.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "imageshare.dev",
    version = "v1alpha1",
    kind = "SharedImage",
    plural = "sharedimages",
    namespaced,
    status = "SharedImageStatus",
    derive = "PartialEq",
    doc = "One image that somebody shares with an account of ours. Written by the operator; to answer an offer, write a SharedImageAcceptance.",
    shortname = "shi",
    category = "sharing",
    selectable = ".spec.accountRef.name",
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.imageID"),
    printcolumn(name = "Image Name", type_ = "string", json_path = ".status.imageName"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region"),
    printcolumn(name = "Owner", type_ = "string", json_path = ".status.owner"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SharedImageSpec {
    /// The account that receives the image.
    pub account_ref: AccountRef,
    /// Region the image is shared in.
    #[schemars(length(min = 1, max = 63))]
    pub region: String,
    /// Id of the image.
    #[serde(rename = "imageID")]
    #[schemars(length(min = 1, max = 128))]
    pub image_id: String,
    /// Whom it reached: the account, or the project where the cloud shares with projects.
    #[schemars(length(min = 1, max = 255))]
    pub recipient: String,
}

/// Whether an image was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum SharedImageState {
    /// Offered, not answered.
    Pending,
    /// Accepted.
    Accepted,
    /// Rejected.
    Rejected,
    /// Shared without asking for an answer.
    Shared,
}

/// What the cloud says of the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedImageStatus {
    /// Whether it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SharedImageState>,
    /// Who owns it, as the cloud says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub owner: Option<String>,
    /// Its name, as the cloud says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub image_name: Option<String>,
    /// Which disks it holds: `SystemDisk`, `DataDisk` or `FullServer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub kind: Option<String>,
}
