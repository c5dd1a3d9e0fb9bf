//! Copying images: the order for a copy, and the calls that a cloud implements for it. Clouds copy in different ways
//! (`domain::provider::CopyMeans`); `planning` decides which of these calls to make, and when.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{Fault, ImageRef, Priority};
use crate::domain::call::{CopyProgress, Copying};
use crate::domain::fault::Refusal;
use crate::domain::identifiers::{AgencyName, ImageId, ImageName, KeyId, ObjectUid, ProjectName, RegionId, VaultId};

/// An order for one copy. The same order finds its own copy again after a lost answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOrder {
    /// The source image.
    pub source: ImageRef,
    /// The target region.
    pub region: RegionId,
    /// The name of the copy.
    pub name: ImageName,
    /// Identifies this copy.
    pub mark: CopyMark,
    /// The agency that lets the image service write into the other region (Huawei).
    pub agency: Option<AgencyName>,
    /// The project in the target region, if it is not the region's own (Huawei).
    pub project: Option<ProjectName>,
    /// The vault for a full-server image (Huawei, to another region).
    pub vault: Option<VaultId>,
    /// The key that encrypts the copy.
    pub key: Option<KeyId>,
}

impl CopyOrder {
    /// Region and id of the copy, finished or not.
    #[must_use]
    pub fn place_of(&self, copy: &ImageId) -> ImageRef {
        ImageRef { region: self.region.clone(), image: copy.clone() }
    }
}

/// Identifies a copy: the requesting object and the attempt. Clouds keep it in the description, the client token or the id
/// of the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyMark {
    /// The object that requests the copy.
    pub uid: ObjectUid,
    /// The attempt, from 1.
    pub attempt: u32,
}

impl CopyMark {
    /// The description of the copy: at most 120 plain characters, unique for this copy.
    pub fn description(&self) -> String {
        format!("Made by imageshare-operator for ImageReplica {} ({})", self.uid, self.attempt)
    }
}

impl fmt::Display for CopyMark {
    /// At most 64 letters, digits and `-`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.uid, self.attempt)
    }
}

/// The properties of an image apart from its content. A new image gets them so that it works like the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentFacts {
    /// For example `qcow2`.
    pub disk_format: String,
    /// For example `bare`.
    pub container_format: String,
    /// The smallest disk for the image, in GiB.
    pub min_disk: u64,
    /// The smallest memory for the image, in MiB.
    pub min_ram: u64,
    /// Size of the content, in bytes.
    pub size: u64,
    /// The checksum of the content: algorithm, as the cloud names it, and value.
    pub hash: Option<(String, String)>,
    /// Properties to copy with the image, bounded; none that bind it to its own cloud.
    pub properties: BTreeMap<String, String>,
}

/// A stream of content; memory holds only a few pieces at a time.
pub struct Content {
    /// Size of the content, in bytes.
    pub size: u64,
    /// The pieces, each at most some hundred KiB.
    pub pieces: BoxStream<'static, Result<bytes::Bytes, Fault>>,
}

/// The copy operations of a cloud. At vendors' clouds the account with the source makes the call and owns the copy; for
/// streamed content the account that is to own the copy creates the empty image.
#[async_trait]
pub trait Copies: Send + Sync {
    /// Requests the copy. Repeated with the same order, `CopyMeans::Token` and `Stream` make no second copy.
    ///
    /// `content`: for streamed content, the properties of the new image, which is created empty.
    async fn begin_copy(
        &self,
        order: &CopyOrder,
        content: Option<&ContentFacts>,
        priority: Priority,
    ) -> Result<Copying, Fault>;

    /// Finds the copy of this order, in any state.
    async fn find_copy(&self, order: &CopyOrder, priority: Priority) -> Result<Option<ImageId>, Fault>;

    /// Reads the progress of a copy. A made copy was observed as available in its region and, for streamed content, has the
    /// source's checksum.
    async fn follow_copy(
        &self,
        order: &CopyOrder,
        copying: &Copying,
        priority: Priority,
    ) -> Result<CopyProgress, Fault>;

    /// Cancels a running copy and removes its image. Without such a call at the cloud, it returns
    /// `Fault::Conflict(Conflict::ImageBusy)` until the copy has ended, and then deletes the image.
    async fn cancel_copy(&self, order: &CopyOrder, image: &ImageId) -> Result<(), Fault>;

    /// Reads the properties that a new image needs for the content of this one. Only for streamed content.
    async fn content_facts(&self, _at: &ImageRef, _lane: Priority) -> Result<ContentFacts, Fault> {
        Err(not_streamed())
    }

    /// Opens the content of an image. Only for streamed content.
    async fn download(&self, _at: &ImageRef, _lane: Priority) -> Result<Content, Fault> {
        Err(not_streamed())
    }

    /// Writes content into an empty image; returns when the cloud has all of it. Only for streamed content.
    async fn upload(&self, _at: &ImageRef, _content: Content, _lane: Priority) -> Result<(), Fault> {
        Err(not_streamed())
    }
}

fn not_streamed() -> Fault {
    Fault::Refused { refusal: Refusal::Copy, code: "NotStreamed".to_owned() }
}
