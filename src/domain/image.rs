//! What a cloud says of one image, reduced to what sharing depends on.

use super::identifiers::{PartyId, Recipient};

/// Whose image it is, seen from the account that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// A custom image of this account: the only kind that can be shared.
    Own,
    /// Shared with this account by another; it can be replicated but never shared on.
    Received {
        /// The account that owns it, where the cloud says so.
        owner: Option<PartyId>,
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
}

/// The recipients of one image. Only a complete list proves that somebody is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientList {
    /// Everybody the image is shared with, without duplicates.
    pub recipients: Vec<Recipient>,
    /// Every page arrived and the rows equal the total the cloud gave.
    pub complete: bool,
}
