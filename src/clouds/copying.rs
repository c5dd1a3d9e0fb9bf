//! Copying images: what is asked of a cloud, and what it must be able to do for it. How a copy comes about differs by cloud
//! (`domain::provider::CopyMeans`); which of these calls are made, and when, is decided in `planning`.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{Fault, ImageRef, Priority};
use crate::domain::call::{CopyProgress, Copying};
use crate::domain::fault::Refusal;
use crate::domain::identifiers::{AgencyName, ImageId, ImageName, KeyId, ObjectUid, ProjectName, RegionId, VaultId};

/// One copy to be made. The same order finds its own copy again after an answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOrder {
    /// What is copied.
    pub source: ImageRef,
    /// Where to.
    pub region: RegionId,
    /// What the copy is called.
    pub name: ImageName,
    /// What tells this copy from every other.
    pub mark: CopyMark,
    /// The agency that lets the image service write into the other region (Huawei).
    pub agency: Option<AgencyName>,
    /// The project there, where it is not the region's own (Huawei).
    pub project: Option<ProjectName>,
    /// The vault that a full-server image goes into (Huawei, to another region).
    pub vault: Option<VaultId>,
    /// The key that the copy is encrypted with.
    pub key: Option<KeyId>,
}

impl CopyOrder {
    /// Where the copy is, or is being made.
    #[must_use]
    pub fn place_of(&self, copy: &ImageId) -> ImageRef {
        ImageRef { region: self.region.clone(), image: copy.clone() }
    }
}

/// What tells a copy from every other: for whom it was made, and by which try. Clouds keep it in the description, the
/// client token or the id of the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyMark {
    /// The object that asks for the copy.
    pub uid: ObjectUid,
    /// Which try this is, from 1.
    pub attempt: u32,
}

impl CopyMark {
    /// The description of the copy: at most 120 plain characters, and no other copy has the same.
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

/// What an image holds, apart from its content: what a new one is given so that it works like the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentFacts {
    /// As `qcow2`.
    pub disk_format: String,
    /// As `bare`.
    pub container_format: String,
    /// The smallest disk for it, in GiB.
    pub min_disk: u64,
    /// The smallest memory for it, in MiB.
    pub min_ram: u64,
    /// Size of the content, in bytes.
    pub size: u64,
    /// What proves that content arrived whole, as the cloud names it: algorithm and value.
    pub hash: Option<(String, String)>,
    /// Properties that go with the image, bounded; none that bind it to its own cloud.
    pub properties: BTreeMap<String, String>,
}

/// Content on its way: never more than a few pieces are held at a time.
pub struct Content {
    /// How long it is, in bytes.
    pub size: u64,
    /// The pieces, each of at most some hundred KiB.
    pub pieces: BoxStream<'static, Result<bytes::Bytes, Fault>>,
}

/// What a cloud does to copy images. Vendors' clouds are asked at the account that has the source, which is the one that
/// will own the copy; where content is streamed, the account that is to own the copy makes the empty image.
#[async_trait]
pub trait Copies: Send + Sync {
    /// Asks for the copy. Called again with the same order, `CopyMeans::Token` and `Stream` make no second one.
    ///
    /// `content` is what the new image is to be like, given where content is streamed: the image is made empty.
    async fn begin_copy(
        &self,
        order: &CopyOrder,
        content: Option<&ContentFacts>,
        priority: Priority,
    ) -> Result<Copying, Fault>;

    /// The copy that this very order made or is making, in any state.
    async fn find_copy(&self, order: &CopyOrder, priority: Priority) -> Result<Option<ImageId>, Fault>;

    /// How far a copy is. One that is made has been seen as available in its region and, where content was streamed, has
    /// the source's checksum.
    async fn follow_copy(
        &self,
        order: &CopyOrder,
        copying: &Copying,
        priority: Priority,
    ) -> Result<CopyProgress, Fault>;

    /// Ends a copy under way and removes what there is of it. Where a cloud knows no such call, it is
    /// `Fault::Conflict(Conflict::ImageBusy)` until the copy has ended, and then deletes the image.
    async fn cancel_copy(&self, order: &CopyOrder, image: &ImageId) -> Result<(), Fault>;

    /// What a new image must be like to hold the content of this one. Only where content is streamed.
    async fn content_facts(&self, _at: &ImageRef, _lane: Priority) -> Result<ContentFacts, Fault> {
        Err(not_streamed())
    }

    /// Opens the content of an image. Only where content is streamed.
    async fn download(&self, _at: &ImageRef, _lane: Priority) -> Result<Content, Fault> {
        Err(not_streamed())
    }

    /// Writes content into an empty image; returns when the cloud has all of it. Only where content is streamed.
    async fn upload(&self, _at: &ImageRef, _content: Content, _lane: Priority) -> Result<(), Fault> {
        Err(not_streamed())
    }
}

fn not_streamed() -> Fault {
    Fault::Refused { refusal: Refusal::Copy, code: "NotStreamed".to_owned() }
}
