//! Parser of the list of the account's own images.

use super::{ImageRow, Tag, Tags, facts_of, id_of, read_page};
use crate::clouds::Fault;
use crate::domain::identifiers::PrincipalId;
use crate::domain::image::{OwnImage, Ownership, TAGS_MAX};

/// One page of own images.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct OwnPage {
    /// The vendor's count of images on all pages.
    pub(in super::super) total: usize,
    /// The images of this page, as sent: duplicates included.
    pub(in super::super) rows: Vec<OwnImage>,
}

/// Reads one page of `DescribeImages` for own images. A row of another owner means that the vendor ignored the filter.
pub(in super::super) fn read_own(body: &[u8], account: &PrincipalId, page: u32) -> Result<OwnPage, Fault> {
    let (total, rows) = read_page(body, page)?;
    let rows = rows.into_iter().map(|row| own(row, account)).collect::<Result<_, Fault>>()?;
    Ok(OwnPage { total, rows })
}

fn own(mut row: ImageRow, account: &PrincipalId) -> Result<OwnImage, Fault> {
    let facts = facts_of(&row, account)?;
    if facts.ownership != Ownership::Own {
        return Err(Fault::Unintelligible);
    }
    let tags = row.tags.take().map_or_else(Vec::new, |Tags { tag }| tag);
    let pair = |Tag { tag_key, tag_value }: Tag| (tag_key, tag_value.unwrap_or_default());
    Ok(OwnImage {
        image: id_of(&row)?,
        name: facts.name,
        created: row.creation_time.as_deref().and_then(|time| time.parse().ok()),
        family: row.image_family.take().filter(|family| !family.is_empty()),
        tags: tags.into_iter().take(TAGS_MAX).map(pair).collect(),
        state: facts.state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::ImageState;

    /// A page from the vendor's documentation, with fields that the parser ignores.
    const PAGE: &str = r#"{"RequestId":"473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E","RegionId":"cn-hangzhou","TotalCount":2,
        "PageNumber":1,"PageSize":100,"Images":{"Image":[
        {"ImageId":"m-bp1a","ImageName":"golden-1","ImageOwnerAlias":"self","ImageOwnerId":1000000000000001,
         "Status":"Available","CreationTime":"2026-11-18T09:12:00Z","ImageFamily":"golden",
         "Tags":{"Tag":[{"TagKey":"stage","TagValue":"released"},{"TagKey":"lone"}]}},
        {"ImageId":"m-bp1b","ImageName":"golden-2","ImageOwnerAlias":"self","Status":"Creating","CreationTime":"",
         "ImageFamily":""}]}}"#;

    fn read(body: &str) -> Result<OwnPage, Fault> {
        read_own(body.as_bytes(), &PrincipalId::parse("1000000000000001").unwrap(), 1)
    }

    #[test]
    fn own_images_are_read_with_what_channels_choose_by() {
        let page = read(PAGE).unwrap();
        assert_eq!((page.total, page.rows.len()), (2, 2));
        let first = &page.rows[0];
        assert_eq!((first.image.as_str(), first.name.as_str()), ("m-bp1a", "golden-1"));
        assert_eq!(first.created, Some("2026-11-18T09:12:00Z".parse().unwrap()));
        assert_eq!((first.family.as_deref(), first.state), (Some("golden"), ImageState::Available));
        let tags: Vec<_> = first.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(tags, [("lone", ""), ("stage", "released")]);
        let second = &page.rows[1];
        assert_eq!((second.created, second.family.as_deref(), second.state), (None, None, ImageState::Creating));
        assert!(second.tags.is_empty());
    }

    #[test]
    fn a_list_with_an_image_of_somebody_else_is_not_believed() {
        for (from, to) in [
            (r#""ImageOwnerAlias":"self","Status":"Creating""#, r#""ImageOwnerAlias":"others","Status":"Creating""#),
            ("1000000000000001", "1000000000000009"),
            (r#""PageNumber":1"#, r#""PageNumber":2"#),
            ("TagKey", "Other"),
        ] {
            assert_eq!(read(&PAGE.replace(from, to)), Err(Fault::Unintelligible), "{to}");
        }
    }
}
