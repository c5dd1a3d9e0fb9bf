//! Images, as `GET /v2/cloudimages` lists them.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::{PageInfo, bounded, read};
use crate::clouds::Fault;
use crate::domain::identifiers::{ImageId, PrincipalId};
use crate::domain::image::{ImageFacts, ImageKind, ImageState, Ownership, Visibility};
use crate::domain::provider::Provider;

/// Longest image name kept, in characters; the vendor allows 128.
const NAME_CHARS_MAX: usize = 256;

#[derive(Deserialize)]
pub(super) struct ImagesAnswer {
    pub(super) images: Vec<ImageRow>,
    #[serde(default)]
    page_info: Option<PageInfo>,
}

#[derive(Deserialize)]
pub(super) struct ImageRow {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default, rename = "__description")]
    pub(super) description: Option<String>,
    #[serde(rename = "__imagetype")]
    image_type: String,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    virtual_env_type: Option<String>,
    #[serde(default, rename = "__whole_image")]
    whole_image: Option<Value>,
    #[serde(default, rename = "__system__cmkid")]
    key: Option<String>,
    #[serde(default, rename = "__productcode")]
    product_code: Option<String>,
    /// In bytes, as text.
    #[serde(default, rename = "__image_size")]
    size: Option<Value>,
    #[serde(default)]
    pub(super) created_at: Option<String>,
    /// Each as `key=value`.
    #[serde(default)]
    pub(super) tags: Option<Vec<String>>,
}

/// One page of images.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct ImagePage {
    /// The images of this page as sent: duplicates included, deleted ones not.
    pub(in super::super) rows: Vec<(ImageId, ImageFacts)>,
    /// The marker of the next page: the vendor's, or the id of the last row if the answer has no page information. In the
    /// second case only an empty page ends the list: the vendor may filter a page after cutting it.
    pub(in super::super) next: Option<String>,
    /// Whether the vendor reports more pages.
    pub(in super::super) more: bool,
    /// Whether the page has as many rows as it declares.
    pub(in super::super) whole: bool,
}

/// Reads a list requested for one image, as seen by `project`; no row means that the project does not see the image.
pub(in super::super) fn read_image(
    body: &[u8],
    asked: &ImageId,
    project: &PrincipalId,
) -> Result<Option<ImageFacts>, Fault> {
    let ImagePage { mut rows, more, whole, .. } = read_images(body, project)?;
    // If the vendor ignored the filter or withholds rows, the list does not prove absence.
    if more || !whole || rows.len() > 1 || rows.iter().any(|(id, _)| id != asked) {
        return Err(Fault::Unintelligible);
    }
    Ok(rows.pop().map(|(_, facts)| facts))
}

/// Reads one page of images, as seen by `project`. Omits images already deleted.
pub(in super::super) fn read_images(body: &[u8], project: &PrincipalId) -> Result<ImagePage, Fault> {
    page_of(read(body)?, project)
}

pub(super) fn page_of(answer: ImagesAnswer, project: &PrincipalId) -> Result<ImagePage, Fault> {
    let sent = bounded(answer.images)?;
    let rows = sent
        .iter()
        .filter(|row| row.status != "deleted")
        .map(|row| Ok((ImageId::parse(&row.id).map_err(|_| Fault::Unintelligible)?, facts_of(row, project)?)))
        .collect::<Result<_, Fault>>()?;
    let whole = answer.page_info.as_ref().and_then(|info| info.current_count).is_none_or(|count| count == sent.len());
    let (next, more) = match answer.page_info {
        Some(info) => {
            let next = info.next()?;
            (next.clone(), next.is_some())
        }
        None => (sent.last().map(|row| row.id.clone()), false),
    };
    Ok(ImagePage { rows, next, more, whole })
}

/// For an image in creation, the vendor omits the size or sends an empty text.
fn bytes_of(size: &Value) -> Option<u64> {
    size.as_u64().or_else(|| size.as_str()?.parse().ok())
}

fn facts_of(row: &ImageRow, project: &PrincipalId) -> Result<ImageFacts, Fault> {
    let ownership = match row.image_type.as_str() {
        "gold" => Ownership::System,
        "market" => Ownership::Marketplace,
        // The vendor marks an own image as "shared" too, once it has a recipient.
        "private" | "shared" => {
            let owner = row.owner.as_deref().ok_or(Fault::Unintelligible)?;
            let owner = Provider::Huawei.parse_principal(owner).map_err(|_| Fault::Unintelligible)?;
            if owner == *project { Ownership::Own } else { Ownership::Received { owner: Some(owner) } }
        }
        _ => return Err(Fault::Unintelligible),
    };
    let state = match row.status.as_str() {
        "active" => ImageState::Available,
        "queued" | "saving" => ImageState::Creating,
        "killed" => ImageState::Failed,
        _ => return Err(Fault::Unintelligible),
    };
    let whole = match &row.whole_image {
        Some(Value::Bool(whole)) => *whole,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        None | Some(Value::Null) => false,
        Some(_) => return Err(Fault::Unintelligible),
    };
    let kind = match row.virtual_env_type.as_deref() {
        _ if whole => ImageKind::FullServer,
        Some("DataImage") => ImageKind::DataDisk,
        Some("IsoImage") => ImageKind::Iso,
        // `FusionCompute`, `Ironic`: the same limits.
        _ => ImageKind::SystemDisk,
    };
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    Ok(ImageFacts {
        ownership,
        state,
        kind,
        name: row.name.as_deref().unwrap_or_default().chars().take(NAME_CHARS_MAX).collect(),
        encrypted: given(&row.key),
        keys: BTreeSet::new(),
        snapshots: BTreeSet::new(),
        from_marketplace: given(&row.product_code),
        visibility: Visibility::Shared,
        size: row.size.as_ref().and_then(bytes_of),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "0b1e494e2660441a957313163095fe5c";
    const OTHER: &str = "edc89b490d7d4392898e19b2deb34797";

    fn image() -> ImageId {
        ImageId::parse("37ca2b35-6fc7-47ab-93c7-900324809c5c").unwrap()
    }

    fn observed(body: &str) -> Result<Option<ImageFacts>, Fault> {
        read_image(body.as_bytes(), &image(), &PrincipalId::parse(PROJECT).unwrap())
    }

    /// An answer from the vendor's documentation, with unused fields.
    const FULL: &str = r#"{"images":[{"schema":"/v2/schemas/image","min_disk":100,"created_at":"2018-09-06T14:03:27Z",
        "__image_source_type":"uds","container_format":"bare","file":"/v2/images/37ca2b35-6fc7-47ab-93c7-900324809c5c/file",
        "updated_at":"2018-09-06T15:17:33Z","protected":false,"checksum":"d41d8cd98f00b204e9800998ecf8427e",
        "id":"37ca2b35-6fc7-47ab-93c7-900324809c5c","__isregistered":"true","min_ram":2048,"__lazyloading":"true",
        "owner":"0b1e494e2660441a957313163095fe5c","__os_type":"Linux","__imagetype":"private","visibility":"private",
        "virtual_env_type":"FusionCompute","tags":[],"__platform":"CentOS","size":0,"__os_bit":"64","__os_version":"CentOS 7.3 64bit",
        "name":"CentOS 7.3 golden 镜像","self":"/v2/images/37ca2b35-6fc7-47ab-93c7-900324809c5c","disk_format":"zvhd2",
        "virtual_size":null,"hw_firmware_type":"bios","status":"active","__image_size":"1073741824"}]}"#;

    /// The documented answer with one text replaced.
    fn with(from: &str, to: &str) -> Result<Option<ImageFacts>, Fault> {
        assert!(FULL.contains(from), "{from}");
        observed(&FULL.replace(from, to))
    }

    #[test]
    fn documented_answer_is_read() {
        let wanted = ImageFacts {
            ownership: Ownership::Own,
            state: ImageState::Available,
            kind: ImageKind::SystemDisk,
            name: "CentOS 7.3 golden 镜像".to_owned(),
            encrypted: false,
            keys: BTreeSet::new(),
            snapshots: BTreeSet::new(),
            from_marketplace: false,
            visibility: Visibility::Shared,
            size: Some(1_073_741_824),
        };
        assert_eq!(observed(FULL), Ok(Some(wanted)));
    }

    #[test]
    fn owner_tells_own_from_received_whatever_the_type() {
        let received = Ownership::Received { owner: Some(PrincipalId::parse(OTHER).unwrap()) };
        for (kind, owner, wanted) in [
            ("private", PROJECT, Ownership::Own),
            ("shared", PROJECT, Ownership::Own),
            ("shared", OTHER, received.clone()),
            ("private", OTHER, received),
            ("gold", OTHER, Ownership::System),
            ("gold", PROJECT, Ownership::System),
            ("market", OTHER, Ownership::Marketplace),
        ] {
            let body = FULL
                .replace(PROJECT, owner)
                .replace(r#""__imagetype":"private""#, &format!(r#""__imagetype":"{kind}""#));
            assert_eq!(observed(&body).unwrap().unwrap().ownership, wanted, "{kind} {owner}");
        }
        let gold =
            FULL.replace(r#""__imagetype":"private""#, r#""__imagetype":"gold""#).replace(r#""owner""#, r#""x""#);
        assert_eq!(observed(&gold).unwrap().unwrap().ownership, Ownership::System);
    }

    #[test]
    fn every_status_of_the_vendor_is_known() {
        for (status, wanted) in [
            ("active", Some(ImageState::Available)),
            ("queued", Some(ImageState::Creating)),
            ("saving", Some(ImageState::Creating)),
            ("killed", Some(ImageState::Failed)),
            ("deleted", None),
        ] {
            let facts = with(r#""status":"active""#, &format!(r#""status":"{status}""#)).unwrap();
            assert_eq!(facts.map(|facts| facts.state), wanted, "{status}");
        }
    }

    #[test]
    fn kind_key_and_product_are_told_by_their_fields() {
        let kind = |extra: &str| with(r#""tags":[]"#, extra).unwrap().unwrap().kind;
        assert_eq!(kind(r#""__whole_image":"true""#), ImageKind::FullServer);
        assert_eq!(kind(r#""__whole_image":true"#), ImageKind::FullServer);
        assert_eq!(kind(r#""__whole_image":"false""#), ImageKind::SystemDisk);
        assert_eq!(with("FusionCompute", "DataImage").unwrap().unwrap().kind, ImageKind::DataDisk);
        assert_eq!(with("FusionCompute", "IsoImage").unwrap().unwrap().kind, ImageKind::Iso);
        assert!(with(r#""tags":[]"#, r#""__system__cmkid":"k-1""#).unwrap().unwrap().encrypted);
        assert!(!with(r#""tags":[]"#, r#""__system__cmkid":"""#).unwrap().unwrap().encrypted);
        assert!(with(r#""tags":[]"#, r#""__productcode":"p-1""#).unwrap().unwrap().from_marketplace);
    }

    #[test]
    fn unknown_image_is_an_empty_list() {
        assert_eq!(observed(r#"{"images":[]}"#), Ok(None));
        assert_eq!(observed(r#"{"images":[],"page_info":{"current_count":0}}"#), Ok(None));
    }

    #[test]
    fn answers_that_prove_nothing_are_unintelligible() {
        let row = FULL.strip_prefix(r#"{"images":["#).unwrap().strip_suffix("]}").unwrap();
        for body in [
            "",
            "null",
            "{}",
            "[]",
            "<html>",
            r#"{"images":null}"#,
            r#"{"images":[],"page_info":{"next_marker":"x"}}"#,
            r#"{"images":[],"page_info":{"current_count":1}}"#,
            &format!(r#"{{"images":[],"page_info":{{"next_marker":"{}"}}}}"#, "x".repeat(2000)),
            &format!(r#"{{"images":[{row},{row}]}}"#),
            &FULL[..FULL.len() - 1],
            &FULL.replace("37ca2b35-6fc7", "00000000-6fc7"),
            &FULL.replace(r#""__imagetype":"private""#, r#""__imagetype":"lent""#),
            &FULL.replace("__imagetype", "other"),
            &FULL.replace(r#""status":"active""#, r#""status":"melting""#),
            &FULL.replace(r#""owner""#, r#""other""#),
            &FULL.replace(PROJECT, "nobody"),
            &FULL.replace(r#""tags":[]"#, r#""__whole_image":7"#),
        ] {
            assert_eq!(observed(body), Err(Fault::Unintelligible), "{body}");
        }
    }

    #[test]
    fn endless_names_are_cut() {
        let facts = with("CentOS 7.3 golden 镜像", &"名".repeat(5000)).unwrap().unwrap();
        assert_eq!(facts.name.chars().count(), NAME_CHARS_MAX);
    }

    #[test]
    fn marker_of_the_next_page_is_handed_on() {
        let rows = FULL.strip_suffix('}').unwrap();
        let body = format!(r#"{rows},"page_info":{{"next_marker":"abc","current_count":1}}}}"#);
        let page = read_images(body.as_bytes(), &PrincipalId::parse(PROJECT).unwrap());
        let page = page.unwrap();
        assert_eq!((page.next.as_deref(), page.more, page.whole), (Some("abc"), true, true));
        let last = read_images(FULL.as_bytes(), &PrincipalId::parse(PROJECT).unwrap()).unwrap();
        assert_eq!((last.next.as_deref(), last.more, last.whole), (Some(image().as_str()), false, true));
    }
}
