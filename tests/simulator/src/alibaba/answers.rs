//! Answers in the vendor's shapes: rows of images and recipients, pages, refusals, and their JSON or XML text.

use super::params::Params;
use super::world::{Grant, Image, Relation};
use super::world_file::{Disk, Encryption, ImageSpec, Status};
use crate::chassis::refusal::Refusal;
use crate::chassis::wire::Wire;
use crate::chassis::xml::XmlWriter;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Of every simulated image.
pub(super) const OS_TYPE: &str = "linux";
/// Of every simulated image.
pub(super) const ARCHITECTURE: &str = "x86_64";
/// Whether a simulated image supports `NVMe`.
pub(super) const NVME: &str = "unsupported";
/// Size of every simulated data disk, in GiB.
const DATA_DISK_GIB: u64 = 40;

/// An instant as the vendor writes it: UTC, to the second.
pub(super) fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The rows of one page and what surrounds them.
pub(super) struct Page {
    number: u32,
    size: u32,
    total: usize,
    rows: Vec<Value>,
}

impl Page {
    /// Cuts one page out of all rows.
    pub(super) fn of(all: Vec<Value>, (number, size): (u32, u32)) -> Self {
        let total = all.len();
        let skip = usize::try_from(u64::from(number - 1) * u64::from(size)).unwrap_or(usize::MAX);
        let rows = all.into_iter().skip(skip).take(size as usize).collect();
        Self { number, size, total, rows }
    }

    /// The page as an answer: its rows under `list.row`, after `rest`.
    pub(super) fn answer(self, list: &str, row: &str, rest: Value) -> Value {
        let mut answer = rest;
        if let Value::Object(fields) = &mut answer {
            fields.insert("TotalCount".to_owned(), json!(self.total));
            fields.insert("PageNumber".to_owned(), json!(self.number));
            fields.insert("PageSize".to_owned(), json!(self.size));
            fields.insert(list.to_owned(), json!({ row: self.rows }));
        }
        answer
    }
}

/// A recipient as `DescribeImageSharePermission` shows it: the account as text.
pub(super) fn recipient_row(grant: &Grant) -> Value {
    json!({"AliyunId": grant.account.as_str(), "SharedTime": instant(grant.since)})
}

/// An image as `DescribeImages` shows it: the owner as a number.
pub(super) fn image_row(image: &Image, relation: Relation) -> Value {
    let spec = image.spec();
    let alias = match relation {
        Relation::Own => "self",
        Relation::Received | Relation::Community => "others",
        Relation::System => "system",
        Relation::Marketplace => "marketplace",
    };
    // When and how the vendor fills IsSelfShared is unconfirmed beyond "set when the owner shares it".
    let self_shared = if relation == Relation::Own && !image.grants().is_empty() { "True" } else { "" };
    let disks: Vec<_> = spec.disks.iter().zip('a'..='z').map(|(disk, letter)| disk_row(image, *disk, letter)).collect();
    json!({
        "ImageId": spec.id, "ImageName": spec.name, "ImageFamily": spec.family, "ImageVersion": "",
        "ImageOwnerAlias": alias, "ImageOwnerId": spec.owner.as_str().parse::<i64>().unwrap_or_default(),
        "IsSelfShared": self_shared, "IsPublic": spec.public, "IsCopied": spec.copied_from.is_some(), "IsSubscribed": false,
        "Status": spec.status.word(), "Progress": format!("{}%", percent(spec)), "Size": spec.size_gib,
        "Usage": usage(spec), "ProductCode": spec.product_code,
        "Platform": "Aliyun", "OSType": OS_TYPE, "OSName": "Alibaba Cloud Linux 3 64-bit",
        "OSNameEn": "Alibaba Cloud Linux 3 64-bit", "Architecture": ARCHITECTURE, "BootMode": "BIOS",
        "CreationTime": spec.created.map(instant).unwrap_or_default(), "Description": spec.description, "ResourceGroupId": spec.resource_group,
        "SupplierName": "", "LicenseType": "Auto", "LoginAsNonRootSupported": false,
        "IsSupportCloudinit": true, "IsSupportIoOptimized": true, "Usable": true,
        "Tags": {"Tag": tags(spec)}, "Features": {"NvmeSupport": NVME, "ImdsSupport": "v1"},
        "DetectionOptions": {"Status": "", "Items": {"Item": []}},
        "DiskDeviceMappings": {"DiskDeviceMapping": disks},
    })
}

/// Whether instances use an image, in the vendor's words.
pub(super) fn usage(spec: &ImageSpec) -> &'static str {
    if spec.in_use { "instance" } else { "none" }
}

fn tags(spec: &ImageSpec) -> Vec<Value> {
    spec.tags.iter().map(|(key, value)| json!({"TagKey": key, "TagValue": value})).collect()
}

/// The snapshot of an image's disk, by the disk's letter.
pub(in crate::alibaba) fn snapshot(spec: &ImageSpec, letter: char) -> String {
    let id = spec.id.as_str();
    format!("s-{}{letter}", id.strip_prefix("m-").unwrap_or(id))
}

/// How far an image is; one that is no copy is whole in every status.
fn percent(spec: &ImageSpec) -> u8 {
    let part = matches!(spec.status, Status::Waiting | Status::Creating | Status::CreateFailed);
    spec.copied_from.as_ref().filter(|_| part).map_or(100, |from| from.percent)
}

fn disk_row(image: &Image, disk: Disk, letter: char) -> Value {
    json!({
        "Device": format!("/dev/xvd{letter}"),
        "Type": match disk { Disk::System => "system", Disk::Data => "data" },
        "Size": match disk { Disk::System => image.spec().size_gib, Disk::Data => DATA_DISK_GIB }.to_string(),
        "SnapshotId": snapshot(image.spec(), letter),
        "Format": "", "Encrypted": image.spec().encryption != Encryption::None,
        "Progress": "", "RemainTime": 0, "ImportOSSBucket": "", "ImportOSSObject": "",
    })
}

/// A refusal as an answer. `Recommend` is the address of the vendor's page on the error.
pub(super) fn refusal(refusal: &Refusal, request_id: &str, host: &str) -> Value {
    let recommend = format!("https://api.aliyun.com/troubleshoot?q={}&requestId={request_id}", refusal.code);
    json!({
        "RequestId": request_id, "HostId": host, "Code": refusal.code, "Message": refusal.message, "Recommend": recommend,
    })
}

/// The form an answer is asked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `application/json`.
    Json,
    /// `text/xml`, the vendor's default.
    Xml,
}

impl Format {
    /// The form a request asks for.
    pub(super) fn of(wire: &Wire, params: &Params) -> Self {
        let asked = params.get("Format").is_some_and(|format| format.eq_ignore_ascii_case("json"));
        let accepted = wire.header("accept").is_some_and(|accept| accept.contains("application/json"));
        if asked || accepted { Self::Json } else { Self::Xml }
    }

    /// The content type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::Xml => "text/xml;charset=utf-8",
        }
    }

    /// The answer's text; `root` names the XML root.
    pub(super) fn write(self, answer: &Value, root: &str) -> String {
        match self {
            Self::Json => answer.to_string(),
            Self::Xml => {
                let declaration = "<?xml version='1.0' encoding='UTF-8'?>";
                XmlWriter::new(declaration, None).document(root, "", answer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alibaba::Alibaba;
    use crate::chassis::exchange::distort;
    use crate::chassis::faults::Action;

    #[test]
    fn a_truncated_page_still_counts_the_missing_rows_and_an_empty_list_does_not() {
        let page = || Page::of(vec![json!(1), json!(2), json!(3)], (1, 10)).answer("Images", "Image", json!({}));
        let mut short = page();
        distort::<Alibaba>(&mut short, &Action::TruncatedPage { drop: 2 });
        assert_eq!((&short["TotalCount"], &short["Images"]["Image"]), (&json!(3), &json!([1])));
        let mut empty = page();
        distort::<Alibaba>(&mut empty, &Action::EmptyList);
        assert_eq!((&empty["TotalCount"], &empty["Images"]["Image"]), (&json!(0), &json!([])));
    }

    #[test]
    fn a_page_past_the_end_is_empty_and_knows_the_total() {
        let page = Page::of(vec![json!(1)], (u32::MAX, 100)).answer("Images", "Image", json!({"RegionId": "r"}));
        assert_eq!(page["TotalCount"], 1);
        assert_eq!(page["Images"]["Image"], json!([]));
        assert_eq!(page["RegionId"], "r");
    }
}
