//! The images of the account itself.

use std::collections::BTreeMap;

use super::super::Operation;
use super::super::endpoints::Service;
use super::super::wire::own::read_own;
use super::{AlibabaCloud, PAGE_SIZE, Tally};
use crate::clouds::{Fault, Priority};
use crate::domain::identifiers::RegionId;
use crate::domain::image::OwnList;

/// Most pages read of own images; an account may have 100 in a region unless the vendor raised the limit.
const OWN_PAGES_MAX: u32 = 50;

impl AlibabaCloud {
    /// Reads all pages of the account's own images in any state.
    pub(super) async fn own_images(&self, region: &RegionId, priority: Priority) -> Result<OwnList, Fault> {
        let (mut images, mut tally, mut priority) = (BTreeMap::new(), Tally::default(), priority);
        for number in 1..=OWN_PAGES_MAX {
            let query = [
                ("RegionId", region.to_string()),
                ("ImageOwnerAlias", "self".to_owned()),
                // Without it the vendor lists only available images.
                ("Status", "ALL".to_owned()),
                ("PageNumber", number.to_string()),
                ("PageSize", PAGE_SIZE.to_string()),
            ];
            let query = query.map(|(name, value)| (name.to_owned(), value)).to_vec();
            let body = self.call(Operation::DescribeImages, Service::Region(region), query, priority).await?;
            let page = read_own(&body, &self.account, number)?;
            // With the bound on pages, the bound on their rows bounds the whole list.
            if page.rows.len() > PAGE_SIZE {
                return Err(Fault::Unintelligible);
            }
            priority = priority.escalate();
            let last = tally.count(page.total, page.rows.len());
            images.extend(page.rows.into_iter().map(|image| (image.image.clone(), image)));
            if last {
                break;
            }
        }
        let complete = tally.is_whole(images.len());
        Ok(OwnList { images: images.into_values().collect(), complete })
    }
}
