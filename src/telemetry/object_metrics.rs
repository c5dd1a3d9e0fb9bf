//! What there is, as plain numbers: counted when somebody asks, so that nothing is kept in step.

use std::collections::BTreeMap;

/// Objects that are alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// Their kind.
    pub kind: &'static str,
    /// What `Ready` says: True, False or Unknown.
    pub ready: String,
    /// Why.
    pub reason: String,
}

/// Recipients of all images, by how far they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grants {
    /// Named by shares in force, each once for an image.
    pub wanted: u64,
    /// Read at the cloud as having the image.
    pub granted: u64,
    /// Asked for, or being revoked.
    pub pending: u64,
    /// Left at the cloud without an `ImageShare`.
    pub retained: u64,
    /// Asked for, and refused by the cloud.
    pub refused: u64,
    /// There without anybody here having asked for them.
    pub unmanaged: u64,
}

/// One image's places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The namespace of its `CloudImage`.
    pub namespace: String,
    /// The name of its `CloudImage`.
    pub name: String,
    /// Places taken.
    pub recipients: u64,
    /// Places there are; none where there is no limit.
    pub limit: Option<u64>,
}

/// Everything that is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectCounts {
    /// Objects by kind and readiness.
    pub objects: BTreeMap<Counted, u64>,
    /// Recipients.
    pub grants: Grants,
    /// Places of images.
    pub images: Vec<Image>,
    /// Fields that the API server's definitions lack, by kind.
    pub missing_fields: BTreeMap<String, u64>,
    /// Offers nobody answered, by namespace and account.
    pub offers: BTreeMap<(String, String), u64>,
}

/// Whoever can count.
pub trait ObjectMetrics: Send + Sync {
    /// Counts.
    fn take(&self) -> ObjectCounts;
}
