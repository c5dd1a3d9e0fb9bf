//! Parsers of the vendor's answers. They ignore unknown fields and are strict about required ones: an answer that lacks one,
//! or does not match the request, is `Unintelligible` and proves nothing.

pub(super) mod copies;
pub(super) mod own;
pub(super) mod roles;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clouds::Fault;
use crate::domain::identifiers::{ImageId, PrincipalId, Recipient, RecipientKind, RegionId};
use crate::domain::image::{ImageFacts, ImageKind, ImageState, Ownership, Visibility};
use crate::domain::provider::Provider;

/// Most rows read from one answer; the vendor sends at most 100 a page and has some 40 regions.
const ROWS_MAX: usize = 1000;
/// Longest image name kept, in characters; the vendor allows 128.
const NAME_CHARS_MAX: usize = 256;

/// An id that the vendor writes as text in some answers and as a number in others.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(u64),
}

impl TextOrNumber {
    fn parse(&self) -> Result<PrincipalId, Fault> {
        let parsed = match self {
            Self::Text(text) => Provider::Alibaba.parse_account(text),
            Self::Number(number) => Provider::Alibaba.parse_account(&number.to_string()),
        };
        parsed.map_err(|_| Fault::Unintelligible)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImagesAnswer {
    total_count: usize,
    #[serde(default)]
    page_number: Option<u32>,
    images: ImageRows,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageRows {
    image: Vec<ImageRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageRow {
    image_id: String,
    image_owner_alias: String,
    image_owner_id: Option<TextOrNumber>,
    status: String,
    #[serde(default)]
    image_name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    /// Progress of the copy, for example `40%`.
    #[serde(default)]
    progress: Option<String>,
    #[serde(default)]
    product_code: Option<String>,
    /// Whether it is a community image, which every account may use.
    #[serde(default)]
    is_public: Option<bool>,
    /// In GiB.
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    disk_device_mappings: Option<Disks>,
    #[serde(default)]
    creation_time: Option<String>,
    #[serde(default)]
    image_family: Option<String>,
    #[serde(default)]
    tags: Option<Tags>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(default)]
    tag: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: String,
    #[serde(default)]
    tag_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Disks {
    #[serde(default)]
    disk_device_mapping: Vec<Disk>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Disk {
    #[serde(rename = "Type", default)]
    kind: Option<String>,
    #[serde(default)]
    encrypted: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PermissionsAnswer {
    total_count: u32,
    #[serde(default)]
    page_number: Option<u32>,
    #[serde(default)]
    image_id: Option<String>,
    accounts: AccountRows,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccountRows {
    account: Vec<AccountRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccountRow {
    aliyun_id: TextOrNumber,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RegionsAnswer {
    regions: RegionRows,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RegionRows {
    region: Vec<RegionRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RegionRow {
    region_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IdentityAnswer {
    account_id: TextOrNumber,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WriteAnswer {
    request_id: String,
}

/// One page of images.
#[derive(Debug)]
pub(super) struct ImagePage {
    /// The vendor's count of images on all pages.
    pub(super) total: usize,
    /// The images of this page.
    pub(super) rows: Vec<(ImageId, ImageFacts)>,
}

/// One page of an image's recipients.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RecipientPage {
    /// The vendor's count of recipients on all pages.
    pub(super) total: u32,
    /// The recipients of this page, as sent: duplicates included.
    pub(super) rows: Vec<Recipient>,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Unintelligible)
}

fn bounded<T>(rows: Vec<T>) -> Result<Vec<T>, Fault> {
    if rows.len() > ROWS_MAX { Err(Fault::Unintelligible) } else { Ok(rows) }
}

/// Reads `DescribeImages` for one image, as `account` sees it; no row means that the account cannot see the image.
pub(super) fn read_image(body: &[u8], asked: &ImageId, account: &PrincipalId) -> Result<Option<ImageFacts>, Fault> {
    read_row(body, asked)?.map(|row| facts_of(&row, account)).transpose()
}

fn read_row(body: &[u8], asked: &ImageId) -> Result<Option<ImageRow>, Fault> {
    let answer: ImagesAnswer = read(body)?;
    let mut rows = bounded(answer.images.image)?;
    // If the vendor ignored the filter or withheld rows, the answer does not prove absence.
    if answer.total_count != rows.len() || rows.len() > 1 || rows.iter().any(|row| row.image_id != asked.as_str()) {
        return Err(Fault::Unintelligible);
    }
    Ok(rows.pop())
}

/// Reads one page of `DescribeImages` for received images.
pub(super) fn read_images(body: &[u8], account: &PrincipalId, page: u32) -> Result<ImagePage, Fault> {
    let (total, rows) = read_page(body, page)?;
    let rows = rows.iter().map(|row| Ok((id_of(row)?, facts_of(row, account)?))).collect::<Result<_, Fault>>()?;
    Ok(ImagePage { total, rows })
}

/// Reads the total and the rows of one page of `DescribeImages`.
fn read_page(body: &[u8], page: u32) -> Result<(usize, Vec<ImageRow>), Fault> {
    let answer: ImagesAnswer = read(body)?;
    if answer.page_number.is_some_and(|number| number != page) {
        return Err(Fault::Unintelligible);
    }
    Ok((answer.total_count, bounded(answer.images.image)?))
}

fn id_of(row: &ImageRow) -> Result<ImageId, Fault> {
    ImageId::parse(&row.image_id).map_err(|_| Fault::Unintelligible)
}

fn facts_of(row: &ImageRow, account: &PrincipalId) -> Result<ImageFacts, Fault> {
    let owner = row.image_owner_id.as_ref();
    let ownership = match row.image_owner_alias.as_str() {
        "system" => Ownership::System,
        "marketplace" => Ownership::Marketplace,
        "others" => Ownership::Received { owner: owner.map(TextOrNumber::parse).transpose()? },
        "self" => match owner.map(TextOrNumber::parse).transpose()? {
            // "self" is the account of the key; if it is not the expected account, the image is not its own.
            Some(owner) if owner != *account => Ownership::Received { owner: Some(owner) },
            _ => Ownership::Own,
        },
        _ => return Err(Fault::Unintelligible),
    };
    let state = match row.status.as_str() {
        "Available" => ImageState::Available,
        "Creating" | "Waiting" => ImageState::Creating,
        "CreateFailed" | "UnAvailable" => ImageState::Failed,
        "Deprecated" => ImageState::Deprecated,
        _ => return Err(Fault::Unintelligible),
    };
    let disks = row.disk_device_mappings.as_ref().map_or(&[][..], |disks| disks.disk_device_mapping.as_slice());
    let is_data = |disk: &&Disk| disk.kind.as_deref() == Some("data");
    let data = disks.iter().filter(is_data).count();
    let kind = match (data, disks.len()) {
        (0, _) => ImageKind::SystemDisk,
        (data, all) if data == all => ImageKind::DataDisk,
        _ => ImageKind::FullServer,
    };
    Ok(ImageFacts {
        ownership,
        state,
        kind,
        name: row.image_name.as_deref().unwrap_or_default().chars().take(NAME_CHARS_MAX).collect(),
        encrypted: disks.iter().any(|disk| disk.encrypted == Some(true)),
        keys: BTreeSet::new(),
        snapshots: BTreeSet::new(),
        from_marketplace: row.product_code.as_deref().is_some_and(|code| !code.is_empty()),
        visibility: if row.is_public == Some(true) { Visibility::Public } else { Visibility::Shared },
        size: row.size.map(|gib| gib.saturating_mul(1 << 30)),
    })
}

/// Reads one page of `DescribeImageSharePermission`.
pub(super) fn read_recipients(body: &[u8], asked: &ImageId, page: u32) -> Result<RecipientPage, Fault> {
    let answer: PermissionsAnswer = read(body)?;
    let other_image = answer.image_id.is_some_and(|image| image != asked.as_str());
    let other_page = answer.page_number.is_some_and(|number| number != page);
    if other_image || other_page {
        return Err(Fault::Unintelligible);
    }
    let rows = bounded(answer.accounts.account)?
        .iter()
        .map(|row| Ok(Recipient { kind: RecipientKind::Account, id: row.aliyun_id.parse()? }))
        .collect::<Result<_, Fault>>()?;
    Ok(RecipientPage { total: answer.total_count, rows })
}

/// Reads `DescribeRegions`.
pub(super) fn read_regions(body: &[u8]) -> Result<Vec<RegionId>, Fault> {
    let rows = bounded(read::<RegionsAnswer>(body)?.regions.region)?;
    rows.iter().map(|row| RegionId::parse(&row.region_id).map_err(|_| Fault::Unintelligible)).collect()
}

/// Reads `GetCallerIdentity`.
pub(super) fn read_identity(body: &[u8]) -> Result<PrincipalId, Fault> {
    read::<IdentityAnswer>(body)?.account_id.parse()
}

/// Reads the answer to a write. It contains only the request's id, which proves that the vendor's API answered and not an
/// intermediary.
pub(super) fn read_write(body: &[u8]) -> Result<(), Fault> {
    if read::<WriteAnswer>(body)?.request_id.is_empty() { Err(Fault::Unintelligible) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
