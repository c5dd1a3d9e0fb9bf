//! Parsers of images for copies: the properties a new image needs, and whether a copy is the requested one and complete.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::read;
use crate::clouds::{ContentFacts, CopyProgress, Fault};
use crate::domain::fault::{Conflict, Missing, Refusal};
use crate::domain::identifiers::{ImageId, PrincipalId};

/// On a copy: the object it was made for, and the attempt (`CopyMark::description`).
pub(in crate::clouds::openstack) const MARK: &str = "imageshare_mark";
/// On a copy: the hash that proves that the source's content arrived complete, as `sha512:0f…`.
pub(in crate::clouds::openstack) const SOURCE_HASH: &str = "imageshare_source_hash";
/// On a copy: the same as MD5, which every Glance supports, for clouds whose other algorithms differ.
pub(in crate::clouds::openstack) const SOURCE_CHECKSUM: &str = "imageshare_source_checksum";

/// Maximum properties copied with an image. Glance's default limit is 128, ours included.
const PROPERTIES_MAX: usize = 100;
/// Longest name of a property, in bytes: Glance's own limit.
const PROPERTY_NAME_BYTES_MAX: usize = 255;
/// Longest value of a property, in bytes.
const PROPERTY_VALUE_BYTES_MAX: usize = 4096;
/// Longest name of a format or an algorithm, and longest hash, in bytes: SHA-512 has 128 digits.
const WORD_BYTES_MAX: usize = 256;

/// Fields of the image itself (Glance's schema), and properties that bind it to its own cloud: the server and images it
/// comes from (Nova's snapshots).
const NOT_TAKEN: &[&str] = &[
    "name",
    "visibility",
    "protected",
    "os_hidden",
    "tags",
    "virtual_size",
    "created_at",
    "updated_at",
    "deleted",
    "deleted_at",
    "self",
    "file",
    "schema",
    "direct_url",
    "location",
    "locations",
    "stores",
    "user_id",
    "instance_uuid",
    "base_image_ref",
    "image_location",
    "image_state",
    "boot_roles",
    "block_device_mapping",
    "bdm_v2",
    "kernel_id",
    "ramdisk_id",
];

/// Prefixes of such properties. A copy's cloud would check signatures with certificates of the source's cloud; `owner`
/// covers Nova's `owner_id` and the SDK's `owner_specified.…`, which name the source's project and file.
const FAMILIES_NOT_TAKEN: &[&str] =
    &["imageshare_", "os_hash_", "os_glance_", "os_encrypt_", "os_decrypt_", "cinder_", "img_signature", "owner"];

#[derive(Deserialize)]
struct CopyRow {
    id: String,
    owner: Option<String>,
    status: String,
    #[serde(default)]
    disk_format: Option<String>,
    #[serde(default)]
    container_format: Option<String>,
    #[serde(default)]
    min_disk: Option<u64>,
    #[serde(default)]
    min_ram: Option<u64>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    checksum: Option<String>,
    #[serde(default)]
    os_hash_algo: Option<String>,
    #[serde(default)]
    os_hash_value: Option<String>,
    /// All other properties: Glance shows them beside its own fields.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl CopyRow {
    fn of(body: &[u8], asked: &ImageId) -> Result<Self, Fault> {
        let row: Self = read(body)?;
        if row.id == asked.as_str() { Ok(row) } else { Err(Fault::Unintelligible) }
    }

    /// A property that is set to a non-empty text.
    fn property(&self, name: &str) -> Option<&str> {
        self.others.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The hash of the content, in the algorithm the cloud chose.
    fn hash(&self) -> Option<(&str, &str)> {
        said(self.os_hash_algo.as_deref()).zip(said(self.os_hash_value.as_deref()))
    }

    fn checksum(&self) -> Option<&str> {
        said(self.checksum.as_deref())
    }
}

fn said(text: Option<&str>) -> Option<&str> {
    text.filter(|text| (1..=WORD_BYTES_MAX).contains(&text.len()))
}

fn not_copyable(code: &str) -> Fault {
    Fault::Refused { refusal: Refusal::Copy, code: code.to_owned() }
}

/// Reads the facts a new image needs to hold the content of this one.
///
/// Errors: `Conflict::ImageBusy` while Glance creates it; `Refusal::Copy` if it holds no content or none that the
/// operator can read or verify, or needs a part of its own cloud: a key, or another image.
pub(in crate::clouds::openstack) fn read_content(body: &[u8], asked: &ImageId) -> Result<ContentFacts, Fault> {
    let row = CopyRow::of(body, asked)?;
    match row.status.as_str() {
        "active" => {}
        "queued" | "saving" | "uploading" | "importing" => return Err(Fault::Conflict(Conflict::ImageBusy)),
        "deactivated" => return Err(not_copyable("Deactivated")),
        "killed" => return Err(not_copyable("Killed")),
        "deleted" | "pending_delete" => return Err(Fault::NotFound(Missing::Image)),
        _ => return Err(Fault::Unintelligible),
    }
    let encrypted = |name: &String| name.starts_with("os_encrypt_") || name == "cinder_encryption_key_id";
    if row.others.iter().any(|(name, value)| encrypted(name) && !value.is_null()) {
        return Err(not_copyable("Encrypted"));
    }
    if row.property("kernel_id").or(row.property("ramdisk_id")).is_some() {
        return Err(not_copyable("NeedsOtherImages"));
    }
    let Some(size) = row.size.filter(|size| *size > 0) else {
        // A snapshot of a server that boots from a volume: the volume snapshot holds the content.
        let elsewhere = row.property("block_device_mapping").is_some();
        return Err(not_copyable(if elsewhere { "VolumeSnapshot" } else { "NoContent" }));
    };
    let mut properties = properties_of(&row)?;
    if let Some(checksum) = row.checksum() {
        properties.insert(SOURCE_CHECKSUM.to_owned(), checksum.to_owned());
    }
    let hash = row.hash().or(row.checksum().map(|checksum| ("md5", checksum)));
    // Glance has no checksum for content it only knows by location; no copy could be verified.
    let (algorithm, value) = hash.ok_or_else(|| not_copyable("ChecksumUnknown"))?;
    let hash = Some((algorithm.to_owned(), value.to_owned()));
    let word = |text: &Option<String>| said(text.as_deref()).map(str::to_owned).ok_or(Fault::Unintelligible);
    Ok(ContentFacts {
        disk_format: word(&row.disk_format)?,
        container_format: word(&row.container_format)?,
        min_disk: row.min_disk.unwrap_or_default(),
        min_ram: row.min_ram.unwrap_or_default(),
        size,
        hash,
        properties,
    })
}

/// Fails on too long or too many properties instead of dropping any: without the hardware ones, a copy may not start.
fn properties_of(row: &CopyRow) -> Result<BTreeMap<String, String>, Fault> {
    let mut properties = BTreeMap::new();
    for (name, value) in &row.others {
        let own =
            NOT_TAKEN.contains(&name.as_str()) || FAMILIES_NOT_TAKEN.iter().any(|family| name.starts_with(family));
        let Some(value) = value.as_str().filter(|_| !own) else { continue };
        if name.len() > PROPERTY_NAME_BYTES_MAX || value.len() > PROPERTY_VALUE_BYTES_MAX {
            return Err(not_copyable("PropertyTooLong"));
        }
        properties.insert(name.clone(), value.to_owned());
    }
    if properties.len() > PROPERTIES_MAX { Err(not_copyable("TooManyProperties")) } else { Ok(properties) }
}

/// Reads the progress of the copy with this mark, which a project creates under this id. `Gone` if it is another image or
/// Glance is deleting it.
pub(in crate::clouds::openstack) fn read_copy(
    body: &[u8],
    asked: &ImageId,
    project: &PrincipalId,
    mark: &str,
) -> Result<CopyProgress, Fault> {
    let row = CopyRow::of(body, asked)?;
    if row.owner.as_deref() != Some(project.as_str()) || row.property(MARK) != Some(mark) {
        return Ok(CopyProgress::Gone);
    }
    Ok(match row.status.as_str() {
        "queued" => CopyProgress::Empty,
        "saving" | "uploading" | "importing" => CopyProgress::Running { percent: None },
        "active" => match is_whole(&row) {
            Some(true) => CopyProgress::Made(asked.clone()),
            Some(false) => failed("ChecksumDiffers"),
            None => failed("ChecksumUnknown"),
        },
        "killed" => failed("Killed"),
        "deactivated" => failed("Deactivated"),
        "deleted" | "pending_delete" => CopyProgress::Gone,
        _ => return Err(Fault::Unintelligible),
    })
}

fn failed(code: &str) -> CopyProgress {
    CopyProgress::Failed(Fault::Refused { refusal: Refusal::Unknown, code: code.to_owned() })
}

/// Whether the content is the source's; `None` if the two clouds have no algorithm in common.
fn is_whole(row: &CopyRow) -> Option<bool> {
    let source = row.property(SOURCE_HASH).and_then(|text| text.split_once(':'));
    let sources = [source, row.property(SOURCE_CHECKSUM).map(|value| ("md5", value))];
    let here = [row.hash(), row.checksum().map(|value| ("md5", value))];
    sources.into_iter().flatten().find_map(|(algorithm, value)| {
        let (_, here) = here.into_iter().flatten().find(|(other, _)| other.eq_ignore_ascii_case(algorithm))?;
        Some(here.eq_ignore_ascii_case(value))
    })
}

#[cfg(test)]
mod tests;
