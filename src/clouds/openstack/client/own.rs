//! The images of the project itself.

use std::collections::BTreeMap;

use super::super::wire::own::read_own;
use super::{OpenStackCloud, PAGE_SIZE, PAGES_MAX, Question};
use crate::clouds::{Fault, Priority};
use crate::domain::identifiers::{ImageId, RegionId};
use crate::domain::image::{OwnImage, OwnList};

impl OpenStackCloud {
    /// Reads all pages of the project's own images. Glance lists those that their owner hid (`os_hidden`) only by themselves.
    pub(super) async fn own_images(&self, region: &RegionId, mut priority: Priority) -> Result<OwnList, Fault> {
        let (mut images, mut complete) = (BTreeMap::new(), true);
        for hidden in ["false", "true"] {
            complete &= self.list_own_pages(region, hidden, &mut images, &mut priority).await?;
        }
        Ok(OwnList { images: images.into_values().collect(), complete })
    }

    /// Reads one of the two lists. Returns whether it read all pages.
    async fn list_own_pages(
        &self,
        region: &RegionId,
        hidden: &str,
        images: &mut BTreeMap<ImageId, OwnImage>,
        priority: &mut Priority,
    ) -> Result<bool, Fault> {
        let limit = PAGE_SIZE.to_string();
        let mut marker: Option<ImageId> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("owner", self.project.as_str()), ("os_hidden", hidden), ("limit", limit.as_str())];
            query.extend(marker.as_ref().map(|marker| ("marker", marker.as_str())));
            let body = self.call(region, Question { query: &query, ..Question::read([]) }, *priority).await?;
            let page = read_own(&body, &self.project)?;
            // The page count bounds the list only if no page exceeds the requested size.
            if page.rows.len() > PAGE_SIZE {
                return Err(Fault::Unintelligible);
            }
            images.extend(page.rows.into_iter().map(|image| (image.image.clone(), image)));
            if page.marker.is_none() {
                *priority = priority.escalate();
                return Ok(true);
            }
            if page.marker == marker {
                return Err(Fault::Unintelligible);
            }
            marker = page.marker;
            *priority = priority.escalate();
        }
        Ok(false)
    }
}
