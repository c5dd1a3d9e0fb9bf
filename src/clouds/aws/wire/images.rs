//! Parsers of images.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::super::Operation;
use super::super::xml::Element;
use super::read;
use crate::clouds::Fault;
use crate::domain::identifiers::{ImageId, PrincipalId, SnapshotId};
use crate::domain::image::{ImageFacts, ImageKind, ImageState, Ownership, TAGS_MAX, Visibility};
use crate::domain::provider::Provider;

/// Most images read from one page: the vendor's largest.
pub(in super::super) const ROWS_MAX: usize = 1000;
/// Longest image name kept, in characters; the vendor allows 128.
const NAME_CHARS_MAX: usize = 256;
/// Most snapshots of an image that are read; an instance has some 30 disks.
const SNAPSHOTS_MAX: usize = 100;
/// Longest token of a next page, in bytes.
const TOKEN_BYTES_MAX: usize = 8192;

/// An image as an account sees it.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct ImageSeen {
    /// Its id.
    pub(in super::super) image: ImageId,
    /// What sharing depends on.
    pub(in super::super) facts: ImageFacts,
    /// Everybody may use it.
    pub(in super::super) public: bool,
    /// Its description.
    pub(in super::super) description: String,
    /// When it was made, where the cloud reports a time that can be read.
    pub(in super::super) created: Option<Timestamp>,
    /// Its tags that this account may see.
    pub(in super::super) tags: BTreeMap<String, String>,
    /// The snapshots of its encrypted disks.
    pub(in super::super) encrypted_snapshots: Vec<String>,
    /// Why it failed, if it did: the vendor's code and message.
    pub(in super::super) failure: Option<(String, String)>,
}

/// One page of images.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct ImagePage {
    /// Its images, without deregistered ones.
    pub(in super::super) images: Vec<ImageSeen>,
    /// The token of the next page. A page may be short or empty and still have a next one.
    pub(in super::super) next: Option<String>,
}

/// Reads `DescribeImages` for one image, as `account` sees it; `None` if the account sees none of this id. The vendor lists a
/// deregistered image for a while, and then answers an empty list.
pub(in super::super) fn read_image(
    body: &[u8],
    asked: &ImageId,
    account: &PrincipalId,
) -> Result<Option<ImageSeen>, Fault> {
    let mut page = read_images(body, account)?;
    // If the vendor ignored the id or withheld rows, the answer does not prove absence.
    if page.next.is_some() || page.images.len() > 1 || page.images.iter().any(|row| row.image != *asked) {
        return Err(Fault::Unintelligible);
    }
    Ok(page.images.pop())
}

/// Reads one page of `DescribeImages`.
pub(in super::super) fn read_images(body: &[u8], account: &PrincipalId) -> Result<ImagePage, Fault> {
    let root = read(body, Operation::DescribeImages)?;
    let rows = root.demand_rows("imagesSet")?;
    let next = root.text_of("nextToken")?;
    if rows.len() > ROWS_MAX || next.is_some_and(|token| token.len() > TOKEN_BYTES_MAX) {
        return Err(Fault::Unintelligible);
    }
    let images = rows.iter().filter_map(|row| read_row(row, account).transpose()).collect::<Result<_, Fault>>()?;
    Ok(ImagePage { images, next: next.map(ToOwned::to_owned) })
}

/// Reads one image; `None` for a deregistered one.
fn read_row(row: &Element, account: &PrincipalId) -> Result<Option<ImageSeen>, Fault> {
    let image = ImageId::parse(row.demand("imageId")?).map_err(|_| Fault::Unintelligible)?;
    let state = match row.demand("imageState")? {
        "available" => ImageState::Available,
        "pending" | "transient" => ImageState::Creating,
        "failed" | "error" | "invalid" => ImageState::Failed,
        // The vendor refuses to share or launch it; what it calls deprecated is available.
        "disabled" => ImageState::Deprecated,
        "deregistered" => return Ok(None),
        _ => return Err(Fault::Unintelligible),
    };
    let disks = Disks::read(row)?;
    let codes = row.rows("productCodes")?.unwrap_or_default();
    let from_marketplace =
        codes.iter().map(|code| Ok(code.text_of("type")? == Some("marketplace"))).collect::<Result<Vec<_>, Fault>>()?;
    let facts = ImageFacts {
        ownership: read_owner(row, account)?,
        state,
        kind: if disks.count > 1 { ImageKind::FullServer } else { ImageKind::SystemDisk },
        name: row.text_of("name")?.unwrap_or_default().chars().take(NAME_CHARS_MAX).collect(),
        encrypted: disks.encrypted,
        keys: BTreeSet::new(),
        snapshots: disks.snapshots,
        from_marketplace: from_marketplace.contains(&true),
        visibility: Visibility::Shared,
        size: (disks.gib > 0).then(|| disks.gib.saturating_mul(1 << 30)),
    };
    let failure = match row.child("stateReason")? {
        Some(reason) if state == ImageState::Failed => {
            let [code, message] = ["code", "message"].map(|name| reason.text_of(name));
            Some((code?.unwrap_or_default().to_owned(), message?.unwrap_or_default().to_owned()))
        }
        _ => None,
    };
    let description = row.text_of("description")?.unwrap_or_default().to_owned();
    let public = read_flag(row, "isPublic")?;
    let created = row.text_of("creationDate")?.and_then(|time| time.parse().ok());
    let (tags, encrypted_snapshots) = (read_tags(row)?, disks.encrypted_snapshots);
    Ok(Some(ImageSeen { image, facts, public, description, created, tags, encrypted_snapshots, failure }))
}

fn read_tags(row: &Element) -> Result<BTreeMap<String, String>, Fault> {
    let tags = row.rows("tagSet")?.unwrap_or_default();
    let pair =
        |tag: &Element| Ok((tag.demand("key")?.to_owned(), tag.text_of("value")?.unwrap_or_default().to_owned()));
    tags.iter().take(TAGS_MAX).map(pair).collect()
}

fn read_owner(row: &Element, account: &PrincipalId) -> Result<Ownership, Fault> {
    let owner = row.demand("imageOwnerId")?;
    if owner == account.as_str() {
        return Ok(Ownership::Own);
    }
    match row.text_of("imageOwnerAlias")? {
        Some("amazon") => Ok(Ownership::System),
        Some("aws-marketplace") => Ok(Ownership::Marketplace),
        _ => {
            let owner = Provider::Aws.parse_account(owner).map_err(|_| Fault::Unintelligible)?;
            Ok(Ownership::Received { owner: Some(owner) })
        }
    }
}

fn read_flag(element: &Element, name: &str) -> Result<bool, Fault> {
    match element.text_of(name)? {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(_) => Err(Fault::Unintelligible),
    }
}

/// Whether a text is the id of a snapshot. What is none is left out: of a key that is not known nobody is told.
fn is_snapshot(text: &str) -> bool {
    let id = text.strip_prefix("snap-");
    id.is_some_and(|id| (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// The disks of an image that come from snapshots.
#[derive(Default)]
struct Disks {
    count: usize,
    encrypted: bool,
    /// At most `SNAPSHOTS_MAX`.
    snapshots: BTreeSet<SnapshotId>,
    /// Those of encrypted disks, at most `SNAPSHOTS_MAX`.
    encrypted_snapshots: Vec<String>,
    gib: u64,
}

impl Disks {
    fn read(row: &Element) -> Result<Self, Fault> {
        let mut disks = Self::default();
        for mapping in row.rows("blockDeviceMapping")?.unwrap_or_default() {
            let Some(disk) = mapping.child("ebs")? else { continue };
            disks.count += 1;
            let snapshot =
                disk.text_of("snapshotId")?.filter(|id| is_snapshot(id) && disks.snapshots.len() < SNAPSHOTS_MAX);
            disks.snapshots.extend(snapshot.and_then(|id| SnapshotId::parse(id).ok()));
            if read_flag(disk, "encrypted")? {
                disks.encrypted = true;
                disks
                    .encrypted_snapshots
                    .extend(disk.text_of("snapshotId")?.filter(|id| is_snapshot(id)).map(ToOwned::to_owned));
                disks.encrypted_snapshots.truncate(SNAPSHOTS_MAX);
            }
            let gib = disk.text_of("volumeSize")?.map(|size| size.parse::<u32>().map_err(|_| Fault::Unintelligible));
            disks.gib = disks.gib.saturating_add(gib.transpose()?.unwrap_or_default().into());
        }
        Ok(disks)
    }
}

#[cfg(test)]
mod tests;
