//! Copies of images: the vendor makes them; the client token and the description identify them. `CopyImage` goes to the
//! source's region; reading and cancelling a copy go to its own region.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::super::Operation;
use super::super::endpoints::Service;
use super::super::wire::copies::{CopySeen, read_begun, read_copies, read_copy};
use super::super::wire::read_write;
use super::{AlibabaCloud, PAGE_SIZE, Query, Tally, image_query};
use crate::clouds::copying::{ContentFacts, Copies, CopyOrder};
use crate::clouds::{Cloud, CopyProgress, Copying, Fault, ImageRef, Priority};
use crate::domain::fault::{Missing, Refusal};
use crate::domain::identifiers::ImageId;
use crate::domain::image::ImageState;

/// Most pages read of the images of one name. The vendor treats the name as a pattern, but no name here contains `*`.
const NAMED_PAGES_MAX: u32 = 20;

fn pair(key: &str, value: &(impl ToString + ?Sized)) -> (String, String) {
    (key.to_owned(), value.to_string())
}

/// The query of `CopyImage`, according to its API page.
fn copy_query(order: &CopyOrder) -> Query {
    let mut query = image_query(&order.source);
    query.push(pair("DestinationRegionId", &order.region));
    query.push(pair("DestinationImageName", &order.name));
    query.push(pair("DestinationDescription", &order.mark.description()));
    query.push(pair("ClientToken", &order.mark));
    if let Some(key) = &order.key {
        query.push(pair("Encrypted", "true"));
        query.push(pair("KMSKeyId", key));
    }
    query
}

fn progress_of(image: &ImageId, seen: Option<&CopySeen>) -> CopyProgress {
    match seen {
        None => CopyProgress::Gone,
        Some(CopySeen { state: ImageState::Creating, percent }) => CopyProgress::Running { percent: *percent },
        // The owner may already have deprecated the copy.
        Some(CopySeen { state: ImageState::Available | ImageState::Deprecated, .. }) => {
            CopyProgress::Made(image.clone())
        }
        Some(CopySeen { state: ImageState::Failed, .. }) => {
            CopyProgress::Failed(Fault::Refused { refusal: Refusal::Unknown, code: "CreateFailed".to_owned() })
        }
    }
}

impl AlibabaCloud {
    /// Reads a copy in any state, or `None` if it does not exist.
    async fn see_copy(&self, at: &ImageRef, priority: Priority) -> Result<Option<CopySeen>, Fault> {
        match self.describe_image(at, priority).await? {
            Some(body) => read_copy(&body, &at.image, &self.account),
            None => Ok(None),
        }
    }

    /// Cancels a copy. The vendor also removes the partial image (API page of the call).
    async fn end_copying(&self, at: &ImageRef) -> Result<(), Fault> {
        let (service, query) = (Service::Region(&at.region), image_query(at));
        read_write(&self.call(Operation::CancelCopyImage, service, query, Priority::Edit).await?)
    }
}

#[async_trait]
impl Copies for AlibabaCloud {
    async fn begin_copy(
        &self,
        order: &CopyOrder,
        _: Option<&ContentFacts>,
        priority: Priority,
    ) -> Result<Copying, Fault> {
        let service = Service::Region(&order.source.region);
        let body = self.call(Operation::CopyImage, service, copy_query(order), priority).await?;
        Ok(Copying::Image(read_begun(&body)?))
    }

    async fn find_copy(&self, order: &CopyOrder, mut priority: Priority) -> Result<Option<ImageId>, Fault> {
        let description = order.mark.description();
        let (mut images, mut tally) = (BTreeSet::new(), Tally::default());
        for number in 1..=NAMED_PAGES_MAX {
            let query = vec![
                pair("RegionId", &order.region),
                pair("ImageName", &order.name),
                pair("ImageOwnerAlias", "self"),
                pair("Status", "ALL"),
                pair("PageNumber", &number),
                pair("PageSize", &PAGE_SIZE),
            ];
            let body = match self.call(Operation::DescribeImages, Service::Region(&order.region), query, priority).await
            {
                // The query names no image id, so callers must not read this fault as a missing source.
                Err(Fault::NotFound(Missing::Image)) => return Err(Fault::Unintelligible),
                body => body?,
            };
            let page = read_copies(&body, &self.account, number, &description)?;
            if page.found.is_some() {
                return Ok(page.found);
            }
            priority = priority.escalate();
            let last = tally.count(page.total, page.rows.len());
            images.extend(page.rows);
            // If the list changes between reads, the copy may move to a page that is already read.
            if last || !tally.is_steady() {
                return if tally.is_whole(images.len()) { Ok(None) } else { Err(Fault::Unintelligible) };
            }
        }
        Err(Fault::Unintelligible)
    }

    async fn follow_copy(
        &self,
        order: &CopyOrder,
        copying: &Copying,
        priority: Priority,
    ) -> Result<CopyProgress, Fault> {
        let Copying::Image(image) = copying else {
            return Err(Fault::Refused { refusal: Refusal::Unknown, code: "NoJobs".to_owned() });
        };
        let at = order.place_of(image);
        Ok(progress_of(image, self.see_copy(&at, priority).await?.as_ref()))
    }

    async fn cancel_copy(&self, order: &CopyOrder, image: &ImageId) -> Result<(), Fault> {
        let at = order.place_of(image);
        let ended = match self.see_copy(&at, Priority::Edit).await?.map(|seen| seen.state) {
            None => Ok(()),
            Some(ImageState::Creating) => self.end_copying(&at).await,
            Some(ImageState::Available | ImageState::Deprecated | ImageState::Failed) => self.delete_image(&at).await,
        };
        match ended {
            Err(Fault::NotFound(Missing::Image)) => Ok(()),
            ended => ended,
        }
    }
}
