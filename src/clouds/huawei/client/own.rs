//! The images of this account's project itself.

use std::collections::BTreeMap;

use super::super::wire::own::read_own;
use super::received::{IMAGE_PAGES_MAX, IMAGES_PER_PAGE};
use super::{HuaweiCloud, pairs};
use crate::clouds::{Fault, Priority};
use crate::domain::fault::Missing;
use crate::domain::identifiers::{ImageId, RegionId};
use crate::domain::image::{OwnImage, OwnList};

impl HuaweiCloud {
    /// Reads all pages of the images that the region's project owns.
    pub(super) async fn own_images(&self, region: &RegionId, mut priority: Priority) -> Result<OwnList, Fault> {
        let project = self.project_of(region, priority).await?;
        let mut found: BTreeMap<ImageId, OwnImage> = BTreeMap::new();
        let (mut complete, mut marker) = (true, None::<String>);
        let list = |found: BTreeMap<ImageId, OwnImage>, complete| {
            Ok(OwnList { images: found.into_values().collect(), complete })
        };
        for _ in 0..IMAGE_PAGES_MAX {
            // Filter by no type: the vendor counts an own image as `shared` once it has a recipient (API page of the call).
            let mut query = pairs([("owner", project.as_str()), ("limit", &IMAGES_PER_PAGE.to_string())]);
            query.extend(marker.take().map(|marker| ("marker".to_owned(), marker)));
            let later = query.len() > 2;
            let body = match self.images(region, &project, query, priority).await {
                // The marker's image has disappeared since the previous page.
                Err(Fault::NotFound(Missing::Image)) if later => return list(found, false),
                body => body?,
            };
            let page = read_own(&body, &project)?;
            // The page count bounds the list only if no page exceeds the requested size.
            if page.rows.len() > IMAGES_PER_PAGE {
                return Err(Fault::Unintelligible);
            }
            priority = priority.escalate();
            complete &= page.whole;
            for image in page.rows {
                // A duplicate row: the list may lack another one, and the marker may never advance.
                if found.insert(image.image.clone(), image).is_some() {
                    return list(found, false);
                }
            }
            marker = page.next;
            if marker.is_none() {
                return list(found, complete);
            }
        }
        list(found, false)
    }
}
