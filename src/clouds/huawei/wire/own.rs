//! Parser of the list of a project's own images.

use super::images::{ImagePage, ImageRow, ImagesAnswer, page_of};
use super::read;
use crate::clouds::Fault;
use crate::domain::identifiers::PrincipalId;
use crate::domain::image::{ImageFacts, OwnImage, Ownership, TAGS_MAX, tag_of};

/// One page of own images.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct OwnPage {
    /// The images of this page as sent: duplicates included, deleted ones not.
    pub(in super::super) rows: Vec<OwnImage>,
    /// The marker of the next page, as [`ImagePage::next`].
    pub(in super::super) next: Option<String>,
    /// Whether the page has as many rows as it declares.
    pub(in super::super) whole: bool,
}

/// What the list says of an image besides its facts.
struct Extra {
    created_at: Option<String>,
    tags: Vec<String>,
}

/// Reads one page of images of which `project` is the owner. A row of another owner means that the vendor ignored the filter.
pub(in super::super) fn read_own(body: &[u8], project: &PrincipalId) -> Result<OwnPage, Fault> {
    let mut answer: ImagesAnswer = read(body)?;
    // The page omits rows already deleted.
    let kept = answer.images.iter_mut().filter(|row| row.status != "deleted");
    let extras: Vec<Extra> = kept.map(extra).collect();
    let ImagePage { rows, next, whole, .. } = page_of(answer, project)?;
    let own = |((image, facts), extra): ((_, ImageFacts), Extra)| match facts.ownership {
        Ownership::Own => Ok(OwnImage {
            image,
            name: facts.name,
            created: extra.created_at.and_then(|time| time.parse().ok()),
            family: None,
            tags: extra.tags.iter().take(TAGS_MAX).map(|text| tag_of(text)).collect(),
            state: facts.state,
        }),
        _ => Err(Fault::Unintelligible),
    };
    Ok(OwnPage { rows: rows.into_iter().zip(extras).map(own).collect::<Result<_, _>>()?, next, whole })
}

fn extra(row: &mut ImageRow) -> Extra {
    Extra { created_at: row.created_at.take(), tags: row.tags.take().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::ImageState;

    const PROJECT: &str = "0b1e494e2660441a957313163095fe5c";

    const PAGE: &str = r#"{"images":[
        {"id":"37ca2b35-6fc7-47ab-93c7-900324809c5c","status":"deleted","__imagetype":"private","tags":["gone"],
         "owner":"0b1e494e2660441a957313163095fe5c"},
        {"id":"47ca2b35-6fc7-47ab-93c7-900324809c5c","status":"active","__imagetype":"shared","name":"golden-1",
         "owner":"0b1e494e2660441a957313163095fe5c","created_at":"2026-11-18T09:12:00Z","tags":["stage=released","lone"]},
        {"id":"57ca2b35-6fc7-47ab-93c7-900324809c5c","status":"saving","__imagetype":"private","name":"golden-2",
         "owner":"0b1e494e2660441a957313163095fe5c","created_at":"","tags":null}],
        "page_info":{"next_marker":"abc","current_count":3}}"#;

    fn read(body: &str) -> Result<OwnPage, Fault> {
        read_own(body.as_bytes(), &PrincipalId::parse(PROJECT).unwrap())
    }

    #[test]
    fn own_images_are_read_with_what_channels_choose_by_also_once_they_are_shared() {
        let page = read(PAGE).unwrap();
        assert_eq!((page.rows.len(), page.next.as_deref(), page.whole), (2, Some("abc"), true));
        let first = &page.rows[0];
        assert_eq!((first.name.as_str(), first.state), ("golden-1", ImageState::Available));
        assert_eq!(first.created, Some("2026-11-18T09:12:00Z".parse().unwrap()));
        let tags: Vec<_> = first.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(tags, [("lone", ""), ("stage", "released")]);
        assert_eq!((page.rows[1].created, page.rows[1].state), (None, ImageState::Creating));
    }

    #[test]
    fn a_list_with_an_image_of_somebody_else_is_not_believed() {
        for (from, to) in [
            (r#""shared","name":"golden-1","#, r#""gold","name":"golden-1","#),
            ("\"0b1e494e2660441a957313163095fe5c\",\"created_at\":\"\"", "\"edc89b490d7d4392898e19b2deb34797\""),
        ] {
            let body = PAGE.replace(from, to);
            assert_ne!(body, PAGE, "{from}");
            assert_eq!(read(&body), Err(Fault::Unintelligible), "{to}");
        }
    }
}
