//! Copies of images. A job makes them, and a repeated call makes a second copy. The description identifies a copy, since
//! the vendor supports no client token. A copy within a region stays in the project that requests it; a copy to another
//! region goes to a project named there.

use std::collections::BTreeSet;

use async_trait::async_trait;
use reqwest::Method;
use serde::Serialize;

use super::super::Query;
use super::super::endpoints::Service;
use super::super::faults::of_a_copy;
use super::super::wire::copies::{CopyJob, read_copies, read_copy_job};
use super::super::wire::identities::read_project;
use super::super::wire::jobs::read_submitted;
use super::{HuaweiCloud, json, pairs};
use crate::clouds::copying::{ContentFacts, Copies, CopyOrder};
use crate::clouds::signing::escape;
use crate::clouds::{Cloud, CopyProgress, Copying, Fault, ImageRef, Priority};
use crate::domain::fault::{Conflict, Missing, Refusal};
use crate::domain::identifiers::{AgencyName, ImageId, JobId, KeyId, PrincipalId, ProjectName, RegionId, VaultId};
use crate::domain::image::{ImageState, Ownership};

/// Images per page.
const IMAGES_PER_PAGE: usize = 100;
/// Maximum pages read of the images of one name.
const NAMED_PAGES_MAX: usize = 20;

/// `POST /v1/cloudimages/{image_id}/copy`, as its API page has it.
#[derive(Serialize)]
struct CopyBody<'a> {
    name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmk_id: Option<&'a str>,
}

/// `POST /v1/cloudimages/{image_id}/cross_region_copy`, as its API page has it.
#[derive(Serialize)]
struct CrossRegionBody<'a> {
    name: &'a str,
    region: &'a RegionId,
    project_name: &'a str,
    agency_name: &'a AgencyName,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault_id: Option<&'a str>,
}

fn refused(refusal: Refusal, code: &str) -> Fault {
    Fault::Refused { refusal, code: code.to_owned() }
}

fn is_across(order: &CopyOrder) -> bool {
    order.region != order.source.region
}

/// The agency that a copy to another region needs. Refuses a key instead of dropping it: the call cannot carry one.
fn agency(order: &CopyOrder) -> Result<&AgencyName, Fault> {
    if order.key.is_some() {
        return Err(refused(Refusal::Key, "NoKeyAcrossRegions"));
    }
    order.agency.as_ref().ok_or_else(|| refused(Refusal::Agency, "NoAgency"))
}

fn progress_of(image: ImageId, state: Option<ImageState>) -> CopyProgress {
    match state {
        None => CopyProgress::Gone,
        Some(ImageState::Creating) => CopyProgress::Running { percent: None },
        Some(ImageState::Available | ImageState::Deprecated) => CopyProgress::Made(image),
        Some(ImageState::Failed) => CopyProgress::Failed(refused(Refusal::Unknown, "killed")),
    }
}

impl HuaweiCloud {
    /// The destination project in another region must be the account's own there, or the account could not see the copy.
    async fn check_destination(&self, order: &CopyOrder, priority: Priority) -> Result<(), Fault> {
        let region = &order.region;
        let here = self.project_of(region, priority).await?;
        let name = order.project.as_ref().map_or(region.as_str(), ProjectName::as_str);
        let named = self.named.iter().any(|(named, _)| named == region);
        if name == region.as_str() && !named {
            return Ok(()); // It was found by that very name.
        }
        if self.project_called(region, name, priority).await? == here {
            return Ok(());
        }
        Err(refused(Refusal::Agency, "NotTheAccountsProject"))
    }

    async fn project_called(&self, region: &RegionId, name: &str, priority: Priority) -> Result<PrincipalId, Fault> {
        let body = self.ask_iam(Service::Iam(region), "/v3/projects", pairs([("name", name)]), priority).await?;
        read_project(&body, name)?.ok_or_else(|| refused(Refusal::Agency, "NoSuchProject"))
    }

    /// The state of a copy; `None` if it does not exist.
    async fn see_copy(&self, at: &ImageRef, priority: Priority) -> Result<Option<ImageState>, Fault> {
        match self.observe_image(at, priority).await? {
            Some(facts) if facts.ownership != Ownership::Own => Err(Fault::Unintelligible),
            facts => Ok(facts.map(|facts| facts.state)),
        }
    }

    async fn follow_image(&self, order: &CopyOrder, image: ImageId, priority: Priority) -> Result<CopyProgress, Fault> {
        let state = self.see_copy(&order.place_of(&image), priority).await?;
        Ok(progress_of(image, state))
    }

    /// Finds a copy by its mark when the job reports no image.
    async fn follow_mark(&self, order: &CopyOrder, priority: Priority) -> Result<CopyProgress, Fault> {
        match self.find_copy(order, priority).await? {
            Some(image) => self.follow_image(order, image, priority).await,
            None => Ok(CopyProgress::Gone),
        }
    }

    async fn follow_copy_job(&self, order: &CopyOrder, job: &JobId, priority: Priority) -> Result<CopyProgress, Fault> {
        let told = match self.ask_for_job(&order.source.region, job, priority).await? {
            Some(body) => read_copy_job(&body, job)?,
            None => CopyJob::Ended { image: None },
        };
        match told {
            CopyJob::Running { percent } => Ok(CopyProgress::Running { percent }),
            CopyJob::Failed(fault) => Ok(CopyProgress::Failed(of_a_copy(fault, is_across(order)))),
            // The vendor does not document that this is the new image in every kind of job: the source is never the copy.
            CopyJob::Ended { image: Some(image) } if image != order.source.image => {
                self.follow_image(order, image, priority.escalate()).await
            }
            CopyJob::Ended { .. } => self.follow_mark(order, priority.escalate()).await,
        }
    }
}

#[async_trait]
impl Copies for HuaweiCloud {
    async fn begin_copy(
        &self,
        order: &CopyOrder,
        _: Option<&ContentFacts>,
        priority: Priority,
    ) -> Result<Copying, Fault> {
        let (across, description) = (is_across(order), order.mark.description());
        let (name, description) = (order.name.as_str(), description.as_str());
        let (verb, body) = if across {
            let agency_name = agency(order)?;
            self.check_destination(order, priority).await?;
            let project_name = order.project.as_ref().map_or(order.region.as_str(), ProjectName::as_str);
            let vault_id = order.vault.as_ref().map(VaultId::as_str);
            let region = &order.region;
            let body = CrossRegionBody { name, region, project_name, agency_name, description, vault_id };
            ("cross_region_copy", json(&body)?)
        } else {
            let cmk_id = order.key.as_ref().map(KeyId::as_str);
            ("copy", json(&CopyBody { name, description, cmk_id })?)
        };
        let region = &order.source.region;
        let project = self.project_of(region, priority).await?;
        let call = (Method::POST, format!("/v1/cloudimages/{}/{verb}", escape(order.source.image.as_str())));
        let answer = self.ims(call, (region, &project), (Query::new(), body), priority).await;
        let answer = answer.map_err(|fault| of_a_copy(fault, across))?;
        Ok(Copying::Job(read_submitted(&answer)?))
    }

    async fn find_copy(&self, order: &CopyOrder, mut priority: Priority) -> Result<Option<ImageId>, Fault> {
        let description = order.mark.description();
        let project = self.project_of(&order.region, priority).await?;
        let (mut seen, mut marker) = (BTreeSet::new(), None);
        for _ in 0..NAMED_PAGES_MAX {
            let mut query = pairs([
                ("__imagetype", "private"),
                ("name", order.name.as_str()),
                ("owner", project.as_str()),
                ("limit", &IMAGES_PER_PAGE.to_string()),
            ]);
            query.extend(marker.take().map(|marker| ("marker".to_owned(), marker)));
            let body = match self.images(&order.region, &project, query, priority).await {
                // The marker's image has disappeared since the previous page.
                Err(Fault::NotFound(Missing::Image)) => return Err(Fault::Unintelligible),
                body => body?,
            };
            let (page, found) = read_copies(&body, &project, &description)?;
            if found.is_some() {
                return Ok(found);
            }
            priority = priority.escalate();
            // A duplicate row, or fewer rows than the page declares: it may lack the copy.
            if !page.whole || !page.rows.into_iter().all(|(image, _)| seen.insert(image)) {
                return Err(Fault::Unintelligible);
            }
            marker = page.next;
            if marker.is_none() {
                return Ok(None);
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
        match copying {
            Copying::Image(image) => self.follow_image(order, image.clone(), priority).await,
            Copying::Job(job) => self.follow_copy_job(order, job, priority).await,
        }
    }

    async fn cancel_copy(&self, order: &CopyOrder, image: &ImageId) -> Result<(), Fault> {
        let at = order.place_of(image);
        match self.see_copy(&at, Priority::Edit).await? {
            None => Ok(()),
            // The vendor cannot cancel a job: wait for it.
            Some(ImageState::Creating) => Err(Fault::Conflict(Conflict::ImageBusy)),
            Some(ImageState::Available | ImageState::Deprecated | ImageState::Failed) => {
                match self.delete_image(&at).await {
                    Ok(()) | Err(Fault::NotFound(Missing::Image)) => Ok(()),
                    Err(fault) => Err(fault),
                }
            }
        }
    }
}
