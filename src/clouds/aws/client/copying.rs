//! Copies of images: the vendor makes them; the client token and the description identify them. All calls go to the region of
//! the copy; received images may be copied, too.

use async_trait::async_trait;

use super::super::Operation;
use super::super::endpoints::Service;
use super::super::faults::plain;
use super::super::wire::Form;
use super::super::wire::copies::read_begun;
use super::super::wire::images::ImageSeen;
use super::{AwsCloud, pair};
use crate::clouds::copying::{ContentFacts, Copies, CopyOrder};
use crate::clouds::{CopyProgress, Copying, Fault, ImageRef, Priority};
use crate::domain::fault::{Missing, Refusal};
use crate::domain::identifiers::ImageId;
use crate::domain::image::{ImageState, Ownership};

/// The form of `CopyImage`, according to its API page. Without a key the vendor may encrypt the copy with the account's default
/// key; such a copy can be used, and not be shared on.
fn copy_form(order: &CopyOrder) -> Form {
    let mut form = vec![
        pair("Name", &order.name),
        pair("SourceImageId", &order.source.image),
        pair("SourceRegion", &order.source.region),
        pair("ClientToken", &order.mark),
        pair("Description", &order.mark.description()),
    ];
    if let Some(key) = &order.key {
        form.push(pair("Encrypted", "true"));
        form.push(pair("KmsKeyId", key));
    }
    form
}

/// The vendor checks the key only while it copies.
fn failure_of(seen: &ImageSeen) -> Fault {
    let (code, message) = seen.failure.as_ref().map_or(("", ""), |(code, message)| (code, message));
    let about_key = [code, message].iter().any(|text| text.to_lowercase().contains("key"));
    let code = Some(plain(code)).filter(|code| !code.is_empty()).unwrap_or_else(|| "failed".to_owned());
    Fault::Refused { refusal: if about_key { Refusal::Key } else { Refusal::Unknown }, code }
}

fn progress_of(image: &ImageId, seen: Option<&ImageSeen>) -> CopyProgress {
    let Some(seen) = seen else { return CopyProgress::Gone };
    match seen.facts.state {
        ImageState::Creating => CopyProgress::Running { percent: None },
        // The owner may already have disabled the copy.
        ImageState::Available | ImageState::Deprecated => CopyProgress::Made(image.clone()),
        ImageState::Failed => CopyProgress::Failed(failure_of(seen)),
    }
}

impl AwsCloud {
    /// Reads a copy in any state, or `None` if it does not exist. An image of another owner is no copy.
    async fn see_copy(&self, at: &ImageRef, priority: Priority) -> Result<Option<ImageSeen>, Fault> {
        match self.describe_image(at, None, priority).await? {
            Some(seen) if seen.facts.ownership != Ownership::Own => Err(Fault::Unintelligible),
            seen => Ok(seen),
        }
    }
}

#[async_trait]
impl Copies for AwsCloud {
    async fn begin_copy(
        &self,
        order: &CopyOrder,
        _: Option<&ContentFacts>,
        priority: Priority,
    ) -> Result<Copying, Fault> {
        let service = Service::Region(&order.region);
        Ok(Copying::Image(read_begun(&self.call(Operation::CopyImage, service, &copy_form(order), priority).await?)?))
    }

    async fn find_copy(&self, order: &CopyOrder, priority: Priority) -> Result<Option<ImageId>, Fault> {
        let description = order.mark.description();
        let scope =
            [pair("Owner.1", "self"), pair("Filter.1.Name", "description"), pair("Filter.1.Value.1", &description)];
        let (listed, complete) = self.list_images(&order.region, &scope, priority).await?;
        let mut found = listed.into_iter().filter(|seen| seen.description == description);
        match (found.next(), found.next()) {
            (Some(copy), None) if copy.facts.ownership == Ownership::Own => Ok(Some(copy.image)),
            (None, None) if complete => Ok(None),
            // A mark belongs to one copy: with two images, nobody can tell which one is ours.
            _ => Err(Fault::Unintelligible),
        }
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
        Ok(progress_of(image, self.see_copy(&order.place_of(image), priority).await?.as_ref()))
    }

    async fn cancel_copy(&self, order: &CopyOrder, image: &ImageId) -> Result<(), Fault> {
        let at = order.place_of(image);
        if self.see_copy(&at, Priority::Edit).await?.is_none() {
            return Ok(());
        }
        // The copy made its snapshots; those of another image stay.
        match self.deregister(&at, true).await {
            Err(Fault::NotFound(Missing::Image)) => Ok(()),
            ended => ended,
        }
    }
}
