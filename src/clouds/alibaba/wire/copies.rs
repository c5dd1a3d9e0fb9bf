//! Parsers of the answers about copies: the answer to `CopyImage`, and a copy among the images of its region.

use serde::Deserialize;

use super::{ImageRow, facts_of, id_of, read, read_page, read_row};
use crate::clouds::Fault;
use crate::domain::identifiers::{ImageId, PrincipalId};
use crate::domain::image::{ImageState, Ownership};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CopyAnswer {
    request_id: String,
    image_id: String,
}

/// A copy, as its own region reports it.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct CopySeen {
    /// The state of the image.
    pub(in super::super) state: ImageState,
    /// Progress of the copy, in percent.
    pub(in super::super) percent: Option<u8>,
}

/// One page of images in the search for a copy.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct CopyPage {
    /// The vendor's count of images on all pages.
    pub(in super::super) total: usize,
    /// The images of this page, as sent: duplicates included.
    pub(in super::super) rows: Vec<ImageId>,
    /// The image with the wanted description.
    pub(in super::super) found: Option<ImageId>,
}

/// Reads the answer to `CopyImage`: the id of the new, incomplete image.
pub(in super::super) fn read_begun(body: &[u8]) -> Result<ImageId, Fault> {
    let answer: CopyAnswer = read(body)?;
    match ImageId::parse(&answer.image_id) {
        Ok(image) if !answer.request_id.is_empty() => Ok(image),
        _ => Err(Fault::Unintelligible),
    }
}

/// Reads `DescribeImages` for one copy; no row means that the copy does not exist. An image of another owner is no copy of
/// `account`.
pub(in super::super) fn read_copy(
    body: &[u8],
    asked: &ImageId,
    account: &PrincipalId,
) -> Result<Option<CopySeen>, Fault> {
    let Some(row) = read_row(body, asked)? else { return Ok(None) };
    let state = own_state(&row, account)?;
    Ok(Some(CopySeen { state, percent: row.progress.as_deref().and_then(percent) }))
}

/// Reads one page of `DescribeImages` for own images of one name, and finds the one with `description`.
pub(in super::super) fn read_copies(
    body: &[u8],
    account: &PrincipalId,
    page: u32,
    description: &str,
) -> Result<CopyPage, Fault> {
    let (total, sent) = read_page(body, page)?;
    let (mut rows, mut found) = (Vec::with_capacity(sent.len()), None);
    for row in &sent {
        own_state(row, account)?;
        let image = id_of(row)?;
        if row.description.as_deref() == Some(description) && found.replace(image.clone()).is_some() {
            // A mark belongs to one copy: with two images, the parser cannot tell which one is ours.
            return Err(Fault::Unintelligible);
        }
        rows.push(image);
    }
    Ok(CopyPage { total, rows, found })
}

fn own_state(row: &ImageRow, account: &PrincipalId) -> Result<ImageState, Fault> {
    let facts = facts_of(row, account)?;
    if facts.ownership == Ownership::Own { Ok(facts.state) } else { Err(Fault::Unintelligible) }
}

/// Parses `40%`; `None` for anything that is not a percentage up to 100.
fn percent(text: &str) -> Option<u8> {
    text.strip_suffix('%')?.trim().parse().ok().filter(|percent| *percent <= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "m-bp1h46wfpjsjastc0001";
    const MARK: &str = "Made by imageshare-operator for ImageReplica 7f3c (1)";

    /// A copy in progress from the vendor's documentation, with fields that the parser ignores.
    const COPYING: &str = r#"{"RequestId":"473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E","RegionId":"cn-shanghai","TotalCount":1,
        "PageNumber":1,"PageSize":10,"Images":{"Image":[{"ImageId":"m-bp1h46wfpjsjastc0001","ImageName":"golden-copy",
        "Description":"Made by imageshare-operator for ImageReplica 7f3c (1)","ImageOwnerAlias":"self",
        "ImageOwnerId":1000000000000001,"Status":"Creating","Progress":"40%","Size":40,"IsCopied":true,
        "IsSelfShared":"","Usage":"none","Tags":{"Tag":[]},"DiskDeviceMappings":{"DiskDeviceMapping":[
          {"Device":"/dev/xvda","Type":"system","Size":"40","Progress":"40%","RemainTime":120}]}}]}}"#;

    fn account() -> PrincipalId {
        PrincipalId::parse("1000000000000001").unwrap()
    }

    fn image() -> ImageId {
        ImageId::parse(IMAGE).unwrap()
    }

    fn seen(body: &str) -> Result<Option<CopySeen>, Fault> {
        read_copy(body.as_bytes(), &image(), &account())
    }

    fn page(body: &str) -> Result<CopyPage, Fault> {
        read_copies(body.as_bytes(), &account(), 1, MARK)
    }

    #[test]
    fn documented_answer_to_the_call_is_read() {
        let begun = format!(r#"{{"RequestId":"C8B26B44-0189-443E-9816-D951F59623A9","ImageId":"{IMAGE}"}}"#);
        assert_eq!(read_begun(begun.as_bytes()), Ok(image()));
        for body in [
            "",
            "{}",
            "<html>",
            r#"{"RequestId":"R"}"#,
            r#"{"RequestId":"R","ImageId":""}"#,
            r#"{"RequestId":"R","ImageId":null}"#,
            r#"{"RequestId":"R","ImageId":"a b"}"#,
            r#"{"RequestId":"","ImageId":"m-1"}"#,
            r#"{"ImageId":"m-1"}"#,
        ] {
            assert_eq!(read_begun(body.as_bytes()), Err(Fault::Unintelligible), "{body}");
        }
    }

    #[test]
    fn state_and_percent_of_a_copy_are_read() {
        assert_eq!(seen(COPYING), Ok(Some(CopySeen { state: ImageState::Creating, percent: Some(40) })));
        for (progress, percent) in [
            (r#""0%""#, Some(0)),
            (r#""100%""#, Some(100)),
            (r#""""#, None),
            ("null", None),
            (r#""40""#, None),
            (r#""101%""#, None),
            (r#""-1%""#, None),
            (r#""999999999999%""#, None),
            (r#""half%""#, None),
        ] {
            let body = COPYING.replacen(r#""40%""#, progress, 1);
            assert_eq!(seen(&body).unwrap().unwrap().percent, percent, "{progress}");
        }
        assert_eq!(seen(r#"{"RequestId":"R","TotalCount":0,"Images":{"Image":[]}}"#), Ok(None));
    }

    #[test]
    fn a_copy_is_found_by_its_description_alone() {
        let found = CopyPage { total: 1, rows: vec![image()], found: Some(image()) };
        assert_eq!(page(COPYING), Ok(found));
        for other in ["", "x", "Made by imageshare-operator for ImageReplica 7f3c (2)"] {
            assert_eq!(page(&COPYING.replace(MARK, other)).unwrap().found, None, "{other}");
        }
        assert_eq!(page(&COPYING.replace("Description", "Other")).unwrap().found, None);
    }

    #[test]
    fn answers_that_prove_nothing_are_unintelligible() {
        let row = COPYING.split_once("\"Image\":[").unwrap().1.rsplit_once("]}}").unwrap().0;
        let twice = format!(r#"{{"TotalCount":2,"Images":{{"Image":[{row},{row}]}}}}"#);
        for body in [
            "",
            "{}",
            "<html>",
            &COPYING[..COPYING.len() - 1],
            r#"{"Images":{"Image":[]}}"#,
            &COPYING.replace("\"self\"", "\"others\""),
            &COPYING.replace("1000000000000001", "1000000000000002"),
            &COPYING.replace("Creating", "Melting"),
            &COPYING.replace(IMAGE, "m/1"),
            &twice,
        ] {
            assert_eq!(seen(body), Err(Fault::Unintelligible), "{body}");
            assert_eq!(page(body), Err(Fault::Unintelligible), "{body}");
        }
        assert_eq!(seen(&COPYING.replace(IMAGE, "m-other")), Err(Fault::Unintelligible));
        assert_eq!(seen(&COPYING.replace("\"TotalCount\":1", "\"TotalCount\":2")), Err(Fault::Unintelligible));
        assert_eq!(page(&COPYING.replace("\"PageNumber\":1", "\"PageNumber\":2")), Err(Fault::Unintelligible));
    }
}
