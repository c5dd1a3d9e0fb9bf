//! The account's own images in one region, for channels.

use std::collections::BTreeMap;

use super::{AwsCloud, pair};
use crate::clouds::{Fault, Priority};
use crate::domain::identifiers::RegionId;
use crate::domain::image::{OwnImage, OwnList, Ownership};

impl AwsCloud {
    /// Lists the account's own images in all states, all pages. An image of another owner means that the vendor ignored the
    /// scope.
    pub(super) async fn own_images(&self, region: &RegionId, priority: Priority) -> Result<OwnList, Fault> {
        let (listed, complete) = self.list_images(region, &[pair("Owner.1", "self")], priority).await?;
        let mut images = BTreeMap::new();
        for seen in listed {
            if seen.facts.ownership != Ownership::Own {
                return Err(Fault::Unintelligible);
            }
            let own = OwnImage {
                image: seen.image.clone(),
                name: seen.facts.name,
                created: seen.created,
                family: None,
                tags: seen.tags,
                state: seen.facts.state,
            };
            images.insert(seen.image, own);
        }
        Ok(OwnList { images: images.into_values().collect(), complete })
    }
}
