//! Parsers of the vendor's answers. They ignore unknown fields and are strict about required ones: an answer that lacks one,
//! or does not match the request, is `Unintelligible` and proves nothing.

pub(super) mod copies;
pub(super) mod own;

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
mod tests {
    use super::*;

    const ACCOUNT: &str = "1000000000000001";

    fn image() -> ImageId {
        ImageId::parse("m-2ze1a2b3c4d5e6f7g8h9").unwrap()
    }

    fn principal(id: &str) -> PrincipalId {
        PrincipalId::parse(id).unwrap()
    }

    fn observed(body: &str) -> Result<Option<ImageFacts>, Fault> {
        read_image(body.as_bytes(), &image(), &principal(ACCOUNT))
    }

    /// An answer from the vendor's documentation, with fields that the parser ignores.
    const FULL: &str = r#"{"RequestId":"473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E","RegionId":"cn-beijing","TotalCount":1,
        "PageNumber":1,"PageSize":10,"Images":{"Image":[{"ImageId":"m-2ze1a2b3c4d5e6f7g8h9","ImageName":"golden 镜像",
        "ImageOwnerAlias":"self","ImageOwnerId":1000000000000001,"Status":"Available","Progress":"100%","Size":40,
        "ProductCode":"","IsSelfShared":"true","Usable":true,"Tags":{"Tag":[{"TagKey":"k","TagValue":"v"}]},
        "DiskDeviceMappings":{"DiskDeviceMapping":[
          {"Device":"/dev/xvda","Type":"system","Size":"40","Encrypted":false},
          {"Device":"/dev/xvdb","Type":"data","Size":"100","Encrypted":true}]}}]}}"#;

    #[test]
    fn documented_answer_is_read() {
        let facts = observed(FULL).unwrap().unwrap();
        let wanted = ImageFacts {
            ownership: Ownership::Own,
            state: ImageState::Available,
            kind: ImageKind::FullServer,
            name: "golden 镜像".to_owned(),
            encrypted: true,
            keys: BTreeSet::new(),
            from_marketplace: false,
            visibility: Visibility::Shared,
            size: Some(40 << 30),
        };
        assert_eq!(facts, wanted);
    }

    /// The documented answer with one text replaced.
    fn with(from: &str, to: &str) -> Result<Option<ImageFacts>, Fault> {
        assert!(FULL.contains(from), "{from}");
        observed(&FULL.replace(from, to))
    }

    #[test]
    fn a_community_image_is_public() {
        let public =
            |value: &str| with(r#""Usable":true"#, &format!(r#""IsPublic":{value}"#)).unwrap().unwrap().visibility;
        let found = ["true", "false", "null"].map(public);
        assert_eq!(found, [Visibility::Public, Visibility::Shared, Visibility::Shared]);
    }

    #[test]
    fn owner_is_told_from_alias_and_id() {
        let owner = Some(principal("1000000000000009"));
        for (alias, id, wanted) in [
            ("self", r#","ImageOwnerId":"1000000000000001""#, Ownership::Own),
            ("self", "", Ownership::Own),
            ("self", r#","ImageOwnerId":null"#, Ownership::Own),
            ("self", r#","ImageOwnerId":1000000000000009"#, Ownership::Received { owner: owner.clone() }),
            ("others", r#","ImageOwnerId":1000000000000009"#, Ownership::Received { owner }),
            ("others", "", Ownership::Received { owner: None }),
            ("system", r#","ImageOwnerId":0"#, Ownership::System),
            ("marketplace", r#","ImageOwnerId":1"#, Ownership::Marketplace),
        ] {
            let from = r#""self","ImageOwnerId":1000000000000001"#;
            let facts = with(from, &format!(r#""{alias}"{id}"#)).unwrap().unwrap();
            assert_eq!(facts.ownership, wanted, "{alias} {id}");
        }
    }

    #[test]
    fn every_status_of_the_vendor_is_known() {
        for (status, wanted) in [
            ("Available", ImageState::Available),
            ("Creating", ImageState::Creating),
            ("Waiting", ImageState::Creating),
            ("CreateFailed", ImageState::Failed),
            ("UnAvailable", ImageState::Failed),
            ("Deprecated", ImageState::Deprecated),
        ] {
            assert_eq!(with("Available", status).unwrap().unwrap().state, wanted, "{status}");
        }
    }

    #[test]
    fn disks_tell_the_kind() {
        assert_eq!(with(r#""data""#, r#""system""#).unwrap().unwrap().kind, ImageKind::SystemDisk);
        assert_eq!(with(r#""system""#, r#""data""#).unwrap().unwrap().kind, ImageKind::DataDisk);
        assert_eq!(with("DiskDeviceMappings", "Other").unwrap().unwrap().kind, ImageKind::SystemDisk);
        assert_eq!(with("DiskDeviceMapping\"", "Other\"").unwrap().unwrap().kind, ImageKind::SystemDisk);
        assert!(with("\"ProductCode\":\"\"", "\"ProductCode\":\"cmjj01\"").unwrap().unwrap().from_marketplace);
    }

    #[test]
    fn unknown_image_is_an_empty_list() {
        let empty = r#"{"RequestId":"R","TotalCount":0,"Images":{"Image":[]}}"#;
        assert_eq!(observed(empty), Ok(None));
    }

    #[test]
    fn answers_that_prove_nothing_are_unintelligible() {
        let row = FULL.split_once("\"Image\":[").unwrap().1.rsplit_once("]}}").unwrap().0;
        for body in [
            "",
            "null",
            "{}",
            "[]",
            "<html>",
            r#"{"Images":{"Image":[]}}"#,
            r#"{"TotalCount":0,"Images":{}}"#,
            r#"{"TotalCount":0,"Images":{"Image":null}}"#,
            r#"{"TotalCount":1,"Images":{"Image":[]}}"#,
            &FULL.replace("\"TotalCount\":1", "\"TotalCount\":2"),
            &FULL[..FULL.len() - 1],
            &FULL.replace("m-2ze1a2b3c4d5e6f7g8h9", "m-other"),
            &FULL.replace("\"self\"", "\"nobody\""),
            &FULL.replace("\"Available\"", "\"Melting\""),
            &FULL.replace("ImageOwnerAlias", "Other"),
            &FULL.replace("1000000000000001", "-1"),
            &format!(r#"{{"TotalCount":2,"Images":{{"Image":[{row},{row}]}}}}"#),
        ] {
            assert_eq!(observed(body), Err(Fault::Unintelligible), "{body}");
        }
    }

    #[test]
    fn endless_names_are_cut() {
        let facts = with("golden 镜像", &"名".repeat(5000)).unwrap().unwrap();
        assert_eq!(facts.name.chars().count(), NAME_CHARS_MAX);
    }

    const PAGE: &str = r#"{"RequestId":"R","RegionId":"cn-beijing","ImageId":"m-2ze1a2b3c4d5e6f7g8h9","TotalCount":2,
        "PageNumber":1,"PageSize":100,"Accounts":{"Account":[
        {"AliyunId":"1000000000000002","SharedTime":"2024-05-06T07:08:09Z"},{"AliyunId":1000000000000003}]},
        "ShareGroups":{"ShareGroup":[]}}"#;

    #[test]
    fn page_of_recipients_is_read_with_text_and_number_ids() {
        let page = read_recipients(PAGE.as_bytes(), &image(), 1).unwrap();
        let ids: Vec<&str> = page.rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!((page.total, ids), (2, vec!["1000000000000002", "1000000000000003"]));
        assert!(page.rows.iter().all(|row| row.kind == RecipientKind::Account));
    }

    #[test]
    fn total_and_duplicates_are_handed_on_as_sent() {
        let body = PAGE.replace("\"TotalCount\":2", "\"TotalCount\":7").replace("0003", "0002");
        let page = read_recipients(body.as_bytes(), &image(), 1).unwrap();
        assert_eq!((page.total, page.rows.len()), (7, 2));
        assert_eq!(page.rows[0], page.rows[1]);
    }

    #[test]
    fn pages_of_something_else_are_unintelligible() {
        for body in [
            PAGE.replace("m-2ze1a2b3c4d5e6f7g8h9", "m-other"),
            PAGE.replace("\"PageNumber\":1", "\"PageNumber\":2"),
            PAGE.replace("TotalCount", "Other"),
            PAGE.replace("\"TotalCount\":2", "\"TotalCount\":-2"),
            PAGE.replace("1000000000000002", "somebody"),
            PAGE.replace("Accounts", "Other"),
            PAGE.replace("AliyunId", "Other"),
            PAGE[..PAGE.len() - 2].to_owned(),
            format!(
                r#"{{"TotalCount":1001,"Accounts":{{"Account":[{}]}}}}"#,
                vec![r#"{"AliyunId":"12345"}"#; ROWS_MAX + 1].join(",")
            ),
        ] {
            assert_eq!(read_recipients(body.as_bytes(), &image(), 1), Err(Fault::Unintelligible));
        }
    }

    #[test]
    fn regions_and_identity_are_read() {
        let regions = br#"{"RequestId":"R","Regions":{"Region":[{"RegionId":"cn-beijing","LocalName":"x"},
            {"RegionId":"cn-hangzhou"}]}}"#;
        let names: Vec<String> = read_regions(regions).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["cn-beijing", "cn-hangzhou"]);
        assert_eq!(read_regions(br#"{"Regions":{"Region":[{"RegionId":"a/b"}]}}"#), Err(Fault::Unintelligible));

        let identity = br#"{"IdentityType":"Account","RequestId":"R","AccountId":"1000000000000001","UserId":"2"}"#;
        assert_eq!(read_identity(identity), Ok(principal(ACCOUNT)));
        assert_eq!(read_identity(br#"{"AccountId":"root"}"#), Err(Fault::Unintelligible));
    }

    #[test]
    fn write_counts_only_with_a_request_id() {
        assert_eq!(read_write(br#"{"RequestId":"R"}"#), Ok(()));
        for body in [&b""[..], b"{}", b"<html>Welcome</html>", br#"{"RequestId":""}"#, br#"{"RequestId":1}"#] {
            assert_eq!(read_write(body), Err(Fault::Unintelligible));
        }
    }
}
