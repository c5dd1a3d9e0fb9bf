//! Object counts as plain numbers, computed at each scrape, so that no counter must be kept in sync.

use std::collections::BTreeMap;

/// Labels of objects that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// Their kind.
    pub kind: &'static str,
    /// The status of `Ready`: True, False or Unknown.
    pub ready: String,
    /// The reason of `Ready`.
    pub reason: String,
}

/// Recipients of all images, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grants {
    /// Named by active shares, each once per image.
    pub wanted: u64,
    /// Observed at the cloud as having the image.
    pub granted: u64,
    /// Requested, or being revoked.
    pub pending: u64,
    /// Left at the cloud without an `ImageShare`.
    pub retained: u64,
    /// Requested, and refused by the cloud.
    pub refused: u64,
    /// Present at the cloud, and requested by no object.
    pub unmanaged: u64,
}

/// One image's recipient slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The namespace of its `CloudImage`.
    pub namespace: String,
    /// The name of its `CloudImage`.
    pub name: String,
    /// Used slots.
    pub recipients: u64,
    /// All slots; `None` if there is no limit.
    pub limit: Option<u64>,
}

/// All counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectCounts {
    /// Objects by kind and readiness.
    pub objects: BTreeMap<Counted, u64>,
    /// Recipients.
    pub grants: Grants,
    /// Recipient slots of images.
    pub images: Vec<Image>,
    /// Fields that are missing in the API server's definitions, by kind.
    pub missing_fields: BTreeMap<String, u64>,
    /// Pending offers, by namespace and account.
    pub offers: BTreeMap<(String, String), u64>,
}

/// A source of object counts.
pub trait ObjectMetrics: Send + Sync {
    /// Counts the objects.
    fn take(&self) -> ObjectCounts;
}
