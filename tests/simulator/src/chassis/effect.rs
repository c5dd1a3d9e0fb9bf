//! What requests ask and what they change, as the journal tells it: the words all clouds share.

use super::names::{AccountId, ImageId, RegionId};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a request changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Recipients that were not there and now are.
    pub added: Vec<AccountId>,
    /// Recipients that were there and were removed (one that was added again is in both).
    pub removed: Vec<AccountId>,
    /// Whether the image was deleted.
    pub deleted: bool,
    /// Whether the image became public (true) or ceased to be (false).
    pub published: Option<bool>,
    /// Recipients already there whose answer to the offer changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answered: Vec<Answered>,
    /// The attributes of the image that changed: its name, its tags and the like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub updated: Vec<&'static str>,
    /// The image that was made of a snapshot or an instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<ImageId>,
    /// What became of a copy at Alibaba Cloud or Amazon Web Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyStep>,
    /// The snapshots that were deleted with the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub snapshots_deleted: Vec<ImageId>,
}

/// A recipient's answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// Who.
    pub recipient: AccountId,
    /// The offer's status from now on, in the vendor's word: `accepted`, `rejected`; `pending` where it was made anew.
    pub status: String,
}

impl Effect {
    /// This effect; `None` where nothing changed.
    pub fn if_any(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

/// What a request asked, as far as it concerns sharing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Recipients to add, all of them, also those past the vendor's ten.
    pub add: Vec<AccountId>,
    /// Recipients to remove, likewise.
    pub remove: Vec<AccountId>,
    /// The images, where the request named more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageId>,
    /// The answer a recipient gave to an offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Whether the deletion was to be forced.
    pub force: bool,
    /// Whether the request was a dry run.
    pub dry_run: bool,
    /// Whether the image was to be published or withdrawn.
    pub is_public: Option<bool>,
    /// The copy asked for at Alibaba Cloud or Amazon Web Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyRequest>,
}

/// What `CopyImage` of Alibaba Cloud or Amazon Web Services asks for, besides the image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyRequest {
    /// The region of the copy; the source's where absent.
    pub destination: Option<RegionId>,
    /// The copy's name.
    pub name: Option<String>,
    /// The copy's description.
    pub description: Option<String>,
    /// Whether the copy is to be encrypted.
    pub encrypted: Option<bool>,
    /// With which of the caller's keys.
    pub kms_key: Option<String>,
    /// By which a repetition is known.
    pub client_token: Option<String>,
    /// The copy's tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The copy's resource group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_group: Option<String>,
    /// Check only.
    #[serde(skip)]
    pub dry_run: bool,
}

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CopyState {
    /// It was taken in; there is a new image.
    Began,
    /// The new image is Available.
    Done,
    /// The new image is `CreateFailed`, at Amazon Web Services `failed`.
    Failed,
    /// The new image is gone.
    Cancelled,
}

/// A step in the life of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyStep {
    /// What became of it.
    pub state: CopyState,
    /// The new image.
    pub image: ImageId,
    /// The image copied.
    pub source: ImageId,
    /// Its region.
    pub source_region: RegionId,
    /// The new image's region.
    pub destination: RegionId,
    /// The name asked for; empty where none was.
    pub name: String,
    /// The token it was asked for with.
    pub client_token: Option<String>,
}

impl CopyStep {
    pub(crate) fn effect(self, state: CopyState) -> Effect {
        let deleted = state == CopyState::Cancelled;
        Effect { deleted, copy: Some(Self { state, ..self }), ..Effect::default() }
    }
}

/// A copy of an image at Huawei Cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replica {
    /// Of which image.
    pub source: ImageId,
    /// Where it is made.
    pub region: RegionId,
    /// The project that owns it.
    pub owner: AccountId,
    /// Its own id, also while it is being made.
    pub image: ImageId,
    /// Its name.
    pub name: String,
    /// Its description, as it was asked for: by it a copy is told from others of its name.
    pub description: String,
    /// Whether there is anything of its image: not before it is begun in earnest, nor if it failed before that.
    pub there: bool,
}
