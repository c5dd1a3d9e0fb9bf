//! Parser of the list of a project's own images.

use super::{ImageRow, ImagesAnswer, bounded, image_of, marker_of, read};
use crate::clouds::Fault;
use crate::domain::identifiers::{ImageId, PrincipalId};
use crate::domain::image::{OwnImage, Ownership, TAGS_MAX, tag_of};

/// One page of own images.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct OwnPage {
    /// The images of this page, those that Glance is deleting left out.
    pub(in super::super) rows: Vec<OwnImage>,
    /// Start of the next page; `None` on the last one.
    pub(in super::super) marker: Option<ImageId>,
}

/// Reads one page of images of which `project` is the owner. A row of another owner means that Glance ignored the filter.
pub(in super::super) fn read_own(body: &[u8], project: &PrincipalId) -> Result<OwnPage, Fault> {
    let ImagesAnswer { images, next } = read(body)?;
    let rows = bounded(images)?.into_iter().filter_map(|row| own(row, project).transpose());
    Ok(OwnPage { rows: rows.collect::<Result<_, _>>()?, marker: next.as_deref().map(marker_of).transpose()? })
}

fn own(mut row: ImageRow, project: &PrincipalId) -> Result<Option<OwnImage>, Fault> {
    let (created, tags) = (row.created_at.take(), std::mem::take(&mut row.tags));
    let Some(seen) = image_of(row, project)? else { return Ok(None) };
    if seen.facts.ownership != Ownership::Own {
        return Err(Fault::Unintelligible);
    }
    Ok(Some(OwnImage {
        image: seen.id,
        name: seen.facts.name,
        created: created.and_then(|time| time.parse().ok()),
        family: None,
        tags: tags.iter().take(TAGS_MAX).map(|text| tag_of(text)).collect(),
        state: seen.facts.state,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::ImageState;

    const PAGE: &str = r#"{"images":[
        {"id":"a","owner":"p","status":"active","visibility":"shared","name":"golden-1","created_at":"2026-11-18T09:12:00Z",
         "tags":["stage=released","lone"]},
        {"id":"b","owner":"p","status":"pending_delete","visibility":"private"},
        {"id":"c","owner":"p","status":"queued","visibility":"private","name":null}],
        "next":"/v2/images?owner=p&marker=c"}"#;

    fn read(body: &str) -> Result<OwnPage, Fault> {
        read_own(body.as_bytes(), &PrincipalId::parse("p").unwrap())
    }

    #[test]
    fn own_images_are_read_with_what_channels_choose_by() {
        let page = read(PAGE).unwrap();
        assert_eq!((page.rows.len(), page.marker.as_ref().map(ImageId::as_str)), (2, Some("c")));
        let first = &page.rows[0];
        assert_eq!((first.name.as_str(), first.state), ("golden-1", ImageState::Available));
        assert_eq!(first.created, Some("2026-11-18T09:12:00Z".parse().unwrap()));
        let tags: Vec<_> = first.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(tags, [("lone", ""), ("stage", "released")]);
        assert_eq!((page.rows[1].name.as_str(), page.rows[1].state), ("", ImageState::Creating));
    }

    #[test]
    fn a_list_with_an_image_of_somebody_else_is_not_believed() {
        for owner in [r#""owner":"q""#, r#""owner":null"#] {
            assert_eq!(read(&PAGE.replacen(r#""owner":"p""#, owner, 1)), Err(Fault::Unintelligible));
        }
    }
}
