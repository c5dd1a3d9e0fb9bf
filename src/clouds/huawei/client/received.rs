//! Images that others share with this account: one image with its grants, and the lists of a region.

use std::collections::{BTreeMap, BTreeSet};

use super::super::faults::tells_a_stranger;
use super::super::wire::images::{read_image, read_images};
use super::{HuaweiCloud, Members, pairs};
use crate::clouds::{Cloud, Fault, ImageRef, Priority};
use crate::domain::fault::Missing;
use crate::domain::identifiers::{ImageId, PrincipalId, Recipient, RecipientKind, RegionId};
use crate::domain::image::{Answer, ImageFacts, Ownership, ReceivedImage, ReceivedList};

/// Images per page: the vendor allows more, but each has some sixty fields, and answers are bounded.
pub(super) const IMAGES_PER_PAGE: usize = 100;
/// Maximum pages of one list; the vendor does not limit received images.
pub(super) const IMAGE_PAGES_MAX: usize = 100;

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Pending => "pending",
        Answer::Accepted => "accepted",
        Answer::Rejected => "rejected",
    }
}

/// Converts an image of another owner, as this project sees it.
fn received(
    image: ImageId,
    project: &PrincipalId,
    facts: ImageFacts,
    answer: Option<Answer>,
    via: BTreeMap<Recipient, Option<Answer>>,
) -> Option<ReceivedImage> {
    let Ownership::Received { owner } = facts.ownership else { return None };
    let ImageFacts { name, kind, state, .. } = facts;
    Some(ReceivedImage { image, through: project.clone(), owner, name, kind, state, answer, via })
}

impl HuaweiCloud {
    pub(super) async fn received_image(
        &self,
        at: &ImageRef,
        priority: Priority,
    ) -> Result<Option<ReceivedImage>, Fault> {
        let project = self.project_of(&at.region, priority).await?;
        let Members { rows, complete } = match self.members(at, &project, priority).await {
            Err(fault) if tells_a_stranger(&fault) => return Ok(None),
            members => members?,
        };
        let via: BTreeMap<Recipient, Option<Answer>> = rows
            .into_iter()
            .filter(|(recipient, _)| self.reaches(recipient, &project))
            .map(|(recipient, answer)| (recipient, Some(answer)))
            .collect();
        let own = Recipient { kind: RecipientKind::Project, id: project.clone() };
        let answer = via.get(&own).copied().flatten();
        let by_others = via.len() > usize::from(answer.is_some());
        // Try the project's own answer first. Without any row the image may still exist: the vendor does not document
        // that a recipient sees its account's rows. A rejected image is listed as accepted if the account has it too.
        let lists = match answer {
            Some(answer) if by_others && answer != Answer::Accepted => vec![answer, Answer::Accepted],
            Some(answer) => vec![answer],
            None => vec![Answer::Accepted],
        };
        for list in lists {
            let facts = self.listed(at, &project, list, priority.escalate()).await?;
            if let Some(facts) = facts {
                return Ok(received(at.image.clone(), &project, facts, answer, via));
            }
        }
        if via.is_empty() && complete {
            return Ok(None);
        }
        // A grant without a listing proves nothing, unless it grants an own image to an organization.
        match self.observe_image(at, priority.escalate()).await?.map(|facts| facts.ownership) {
            Some(Ownership::Own | Ownership::System | Ownership::Marketplace) => Ok(None),
            Some(Ownership::Received { .. }) | None => Err(Fault::Unintelligible),
        }
    }

    /// Whether a member of an image is, or may contain, this project. The project's organizations are unknown, but the
    /// vendor shows an organization's rows only to its members.
    fn reaches(&self, recipient: &Recipient, project: &PrincipalId) -> bool {
        match recipient.kind {
            RecipientKind::Project => recipient.id == *project,
            RecipientKind::Account => recipient.id == self.domain,
            RecipientKind::Organization => true,
        }
    }

    /// Looks up one image in one of the three lists.
    async fn listed(
        &self,
        at: &ImageRef,
        project: &PrincipalId,
        answer: Answer,
        priority: Priority,
    ) -> Result<Option<ImageFacts>, Fault> {
        let query = pairs([
            ("__imagetype", "shared"),
            ("visibility", "shared"),
            ("member_status", word(answer)),
            ("id", at.image.as_str()),
        ]);
        match self.images(&at.region, project, query, priority).await {
            Ok(body) => read_image(&body, &at.image, project),
            Err(fault) if tells_a_stranger(&fault) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn received_images(&self, region: &RegionId, priority: Priority) -> Result<ReceivedList, Fault> {
        let mut projects: Vec<PrincipalId> = Vec::new();
        for (_, project) in self.named.iter().filter(|(name, _)| name == region) {
            if !projects.contains(project) {
                projects.push(project.clone());
            }
        }
        if projects.is_empty() {
            projects.push(self.project_of(region, priority).await?);
        }
        let mut list = ReceivedList { images: Vec::new(), complete: true };
        for project in &projects {
            let mut found = BTreeMap::new();
            // The accepted list includes images of the account or an organization; the project's own answer overrides it.
            for answer in [Answer::Accepted, Answer::Pending, Answer::Rejected] {
                list.complete &= self.list_answered(region, project, answer, priority, &mut found).await?;
            }
            list.images.extend(found.into_values());
        }
        Ok(list)
    }

    /// Reads all pages of one of the three lists. Returns whether the list is complete.
    async fn list_answered(
        &self,
        region: &RegionId,
        project: &PrincipalId,
        answer: Answer,
        priority: Priority,
        found: &mut BTreeMap<ImageId, ReceivedImage>,
    ) -> Result<bool, Fault> {
        let mut here = BTreeSet::new();
        let mut marker: Option<String> = None;
        let mut whole = true;
        for _ in 0..IMAGE_PAGES_MAX {
            let mut query = pairs([
                ("__imagetype", "shared"),
                ("visibility", "shared"),
                ("member_status", word(answer)),
                ("limit", &IMAGES_PER_PAGE.to_string()),
            ]);
            query.extend(marker.iter().map(|marker| ("marker".to_owned(), marker.clone())));
            let body = match self.images(region, project, query, priority).await {
                // The marker's image has disappeared since the previous page.
                Err(Fault::NotFound(Missing::Image)) if marker.is_some() => return Ok(false),
                body => body?,
            };
            let page = read_images(&body, project)?;
            // The page count bounds the list only if no page exceeds the requested size.
            if page.rows.len() > IMAGES_PER_PAGE {
                return Err(Fault::Unintelligible);
            }
            whole &= page.whole;
            for (image, facts) in page.rows {
                if !here.insert(image.clone()) {
                    // A duplicate row: the list may lack another one, and the marker may never advance.
                    return Ok(false);
                }
                found.extend(
                    received(image.clone(), project, facts, Some(answer), BTreeMap::new()).map(|one| (image, one)),
                );
            }
            marker = page.next;
            if marker.is_none() {
                return Ok(whole);
            }
        }
        Ok(false)
    }
}
