//! What others share with this account: one image with the grants it comes by, and the lists of a region.

use std::collections::{BTreeMap, BTreeSet};

use super::super::faults::tells_a_stranger;
use super::super::wire::images::{read_image, read_images};
use super::{HuaweiCloud, Members, pairs};
use crate::clouds::{Cloud, Fault, ImageRef, Priority};
use crate::domain::fault::Missing;
use crate::domain::identifiers::{ImageId, PrincipalId, Recipient, RecipientKind, RegionId};
use crate::domain::image::{Answer, ImageFacts, Ownership, ReceivedImage, ReceivedList};

/// Images asked for at a time: the vendor allows more, but each has some sixty fields and an answer is bounded.
const IMAGES_PER_PAGE: usize = 100;
/// Most pages of one list; the vendor limits nobody's received images.
const IMAGE_PAGES_MAX: usize = 100;

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Pending => "pending",
        Answer::Accepted => "accepted",
        Answer::Rejected => "rejected",
    }
}

/// An image of somebody else, as this project has it.
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
        // By its own answer first. Without any row the image may still be there: nobody says that a recipient sees the rows
        // of its account. Rejected here, it is listed as accepted if the account has it as well.
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
        // A grant without a listing proves nothing, unless it is the grant of an own image to an organization.
        match self.observe_image(at, priority.escalate()).await?.map(|facts| facts.ownership) {
            Some(Ownership::Own | Ownership::System | Ownership::Marketplace) => Ok(None),
            Some(Ownership::Received { .. }) | None => Err(Fault::Unintelligible),
        }
    }

    /// Whether a member of an image is, or may contain, this project. Which organizations it is in is not known: their rows
    /// are only shown to those who are.
    fn reaches(&self, recipient: &Recipient, project: &PrincipalId) -> bool {
        match recipient.kind {
            RecipientKind::Project => recipient.id == *project,
            RecipientKind::Account => recipient.id == self.domain,
            RecipientKind::Organization => true,
        }
    }

    /// One image in one of the three lists.
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
            // What an account or organization brings is listed as accepted; an answer of the project's own stands above it.
            for answer in [Answer::Accepted, Answer::Pending, Answer::Rejected] {
                list.complete &= self.list_answered(region, project, answer, priority, &mut found).await?;
            }
            list.images.extend(found.into_values());
        }
        Ok(list)
    }

    /// All pages of one of the three lists; tells whether they are all of it.
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
                // The image the list goes on from was taken away in between.
                Err(Fault::NotFound(Missing::Image)) if marker.is_some() => return Ok(false),
                body => body?,
            };
            let page = read_images(&body, project)?;
            // Pages are counted, so that what all of them may hold is bounded by what was asked for.
            if page.rows.len() > IMAGES_PER_PAGE {
                return Err(Fault::Unintelligible);
            }
            whole &= page.whole;
            for (image, facts) in page.rows {
                if !here.insert(image.clone()) {
                    // One row twice: another one may have slipped through, and the marker may never move.
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
