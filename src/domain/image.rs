//! What a cloud says of one image, reduced to what sharing depends on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::identifiers::{ImageId, PrincipalId, Recipient, VaultId};

/// Whose image it is, seen from the account that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// A custom image of this account: the only kind that can be shared.
    Own,
    /// Shared with this account by another; it can be replicated but never shared on.
    Received {
        /// The account that owns it, where the cloud says so.
        owner: Option<PrincipalId>,
    },
    /// Published by the vendor.
    System,
    /// Bought or offered at the vendor's marketplace.
    Marketplace,
}

/// Where the image is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageState {
    /// Ready to be shared and used.
    Available,
    /// Still being made; it will become available or fail.
    Creating,
    /// Its making failed, or the cloud holds it back: it cannot be shared.
    Failed,
    /// Taken out of use by its owner; sharing is refused (Alibaba `Deprecated`).
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

/// Whether the cloud lets an image have recipients at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// It may have recipients: the only visibility where a cloud knows no other.
    Shared,
    /// Its recipients are hidden and without effect until it is made shared (`OpenStack`).
    Private,
    /// Everybody may use it, so nobody in particular can be given it (`OpenStack` public and community).
    Public,
}

/// One image as observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// Whose it is.
    pub ownership: Ownership,
    /// Where it is in its life.
    pub state: ImageState,
    /// Which disks it holds.
    pub kind: ImageKind,
    /// Its name in the cloud: foreign text, not yet made safe for a terminal.
    pub name: String,
    /// Whether any disk is encrypted. Which key was used is not told by every cloud.
    pub encrypted: bool,
    /// Whether it was built from a marketplace image, which may not cross sites (Alibaba).
    pub from_marketplace: bool,
    /// Whether it may have recipients.
    pub visibility: Visibility,
    /// Its size in bytes, where the cloud tells.
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

/// The recipients of one image. Only a complete list proves that somebody is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientList {
    /// Everybody the image is shared with, and what they said; `None` where the cloud asks for no answer.
    pub recipients: BTreeMap<Recipient, Option<Answer>>,
    /// Every page arrived and the rows equal the total, where the cloud gave one.
    pub complete: bool,
}

/// An image that somebody else shared with an account, seen from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedImage {
    /// Its id, the same on both sides.
    pub image: ImageId,
    /// Whom it reached: the account, or the project where the cloud shares with projects.
    pub through: PrincipalId,
    /// Who owns it, where the cloud says so (Alibaba: the account; Huawei, `OpenStack`: the project).
    pub owner: Option<PrincipalId>,
    /// Its name in the cloud: foreign text, not yet made safe for a terminal.
    pub name: String,
    /// Which disks it holds.
    pub kind: ImageKind,
    /// Where it is in its life.
    pub state: ImageState,
    /// What was answered by `through`; `None` where no answer is asked for (no handshake, or it comes only by a grant to
    /// the whole account or organization).
    pub answer: Option<Answer>,
    /// Through which grants it comes, where the cloud tells and the call asked for it.
    pub via: BTreeMap<Recipient, Option<Answer>>,
}

/// Images shared with an account in one region. Only a complete list proves that one is not there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedList {
    /// All of them; `via` may be empty.
    pub images: Vec<ReceivedImage>,
    /// Every page arrived.
    pub complete: bool,
}

/// What to answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Yes; a full-server image goes into the vault.
    Accept {
        /// Demanded for full-server images (Huawei), refused nowhere.
        vault: Option<VaultId>,
    },
    /// No.
    Reject,
}
