//! A cloud's description of one image, reduced to what sharing depends on.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::identifiers::{ImageId, KeyId, PrincipalId, Recipient, SnapshotId, VaultId};

/// Who owns the image, from the point of view of the calling account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// A custom image of this account: the only kind that can be shared.
    Own,
    /// Shared with this account by another one; it can be replicated but not shared further.
    Received {
        /// The account that owns it, where the cloud reports it.
        owner: Option<PrincipalId>,
    },
    /// Published by the vendor.
    System,
    /// Bought or offered at the vendor's marketplace.
    Marketplace,
}

/// The lifecycle state of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageState {
    /// Ready to be shared and used.
    Available,
    /// Still being made; it will become available or fail.
    Creating,
    /// Its creation failed, or the cloud blocks it: it cannot be shared.
    Failed,
    /// Its owner took it out of use; the cloud refuses to share it (Alibaba `Deprecated`).
    Deprecated,
}

/// Which disks an image holds; limits differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// One system disk.
    SystemDisk,
    /// Data disks only.
    DataDisk,
    /// A whole server: system and data disks together.
    FullServer,
    /// An installation medium; it can be shared, not copied (Huawei).
    Iso,
}

/// Whether the cloud allows an image to have recipients at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// It may have recipients: the only visibility of clouds without this setting.
    Shared,
    /// Its recipients are hidden and have no effect until it is made shared (`OpenStack`).
    Private,
    /// Everyone may use it, so it cannot be given to a single recipient (`OpenStack` public and community).
    Public,
}

/// One image as observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// Who owns it.
    pub ownership: Ownership,
    /// Its lifecycle state.
    pub state: ImageState,
    /// Which disks it holds.
    pub kind: ImageKind,
    /// Its name at the cloud: foreign text, not yet made safe for a terminal.
    pub name: String,
    /// Whether any disk is encrypted.
    pub encrypted: bool,
    /// The keys that the disks of an own image are encrypted with, where the cloud reports them and shares such images (AWS).
    pub keys: BTreeSet<KeyId>,
    /// The snapshots behind an image, where copying it takes a permission for each of them (AWS); at most 100.
    pub snapshots: BTreeSet<SnapshotId>,
    /// Whether it was built from a marketplace image, which may not cross sites (Alibaba).
    pub from_marketplace: bool,
    /// Whether it may have recipients.
    pub visibility: Visibility,
    /// Its size in bytes, where the cloud reports it.
    pub size: Option<u64>,
}

/// What a recipient said to an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Answer {
    /// Nothing yet.
    Pending,
    /// Yes: the image is listed and may be used.
    Accepted,
    /// No: the image is not listed. Rejecting does not take the owner's grant away.
    Rejected,
}

/// The recipients of one image. Only a complete list proves that a recipient is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientList {
    /// All recipients of the image and their answers; `None` where the cloud asks for no answer.
    pub recipients: BTreeMap<Recipient, Option<Answer>>,
    /// Every page arrived, and the number of rows equals the total, where the cloud reports one.
    pub complete: bool,
}

/// Who may copy each snapshot, as read: complete for each snapshot that is a key. A snapshot that does not exist has nobody.
pub type SnapshotPermissions = BTreeMap<SnapshotId, BTreeSet<Recipient>>;

/// An image that another account shared with this one, as this one observes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedImage {
    /// Its id, the same for owner and recipient.
    pub image: ImageId,
    /// The recipient: the account, or the project where the cloud shares with projects.
    pub through: PrincipalId,
    /// Who owns it, where the cloud reports it (Alibaba: the account; Huawei, `OpenStack`: the project).
    pub owner: Option<PrincipalId>,
    /// Its name at the cloud: foreign text, not yet made safe for a terminal.
    pub name: String,
    /// Which disks it holds.
    pub kind: ImageKind,
    /// Its lifecycle state.
    pub state: ImageState,
    /// The answer of `through`; `None` where the cloud asks for none (no handshake, or the image comes only by a grant
    /// to the whole account or organization).
    pub answer: Option<Answer>,
    /// The grants it comes through, where the cloud reports them and the call asked for them.
    pub via: BTreeMap<Recipient, Option<Answer>>,
}

/// Images shared with an account in one region. Only a complete list proves that an image is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedList {
    /// All of them; `via` may be empty.
    pub images: Vec<ReceivedImage>,
    /// Every page arrived.
    pub complete: bool,
}

/// Tags of one image that are read; the vendors allow 10 (Huawei), 20 (Alibaba) and 128 (Glance's default).
pub const TAGS_MAX: usize = 128;

/// A custom image of this account, as a list of its images shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnImage {
    /// Its id.
    pub image: ImageId,
    /// Its name at the cloud: foreign text, not yet made safe for a terminal.
    pub name: String,
    /// When it was made, where the cloud reports a time that can be read.
    pub created: Option<Timestamp>,
    /// Its image family, where the cloud has families (Alibaba) and the image is in one.
    pub family: Option<String>,
    /// Its tags. Clouds without values have tags `key=value`, or keys with an empty value.
    pub tags: BTreeMap<String, String>,
    /// Its lifecycle state.
    pub state: ImageState,
}

/// The custom images of an account in one region. Only a complete list proves that an image is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnList {
    /// All of them, each once.
    pub images: Vec<OwnImage>,
    /// Every page arrived, and the number of rows equals the total, where the cloud reports one.
    pub complete: bool,
}

/// Reads a tag written as `key=value`; without `=`, the value is empty.
pub fn tag_of(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

/// The reply to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Accepts; a full-server image goes into the vault.
    Accept {
        /// Required for full-server images (Huawei), refused nowhere.
        vault: Option<VaultId>,
    },
    /// Rejects.
    Reject,
}
