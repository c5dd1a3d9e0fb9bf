//! The client of one Huawei Cloud account: it reads lists page by page and interprets the answers. It sends every call
//! once; the caller decides whether and when to retry.

mod copying;
mod own;
mod received;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use reqwest::Method;
use serde::Serialize;

use super::Query;
use super::caller::{Call, Caller, HuaweiAccess};
use super::endpoints::Service;
use super::faults::tells_no_such_job;
use super::tokens::Scope;
use super::wire::identities::{read_domain, read_domain_of_projects, read_projects};
use super::wire::images::read_image;
use super::wire::jobs::{read_job, read_submitted};
use super::wire::members::read_members;
use crate::clouds::client_context::ClientContext;
use crate::clouds::signing::escape;
use crate::clouds::{CallShape, Cloud, Fault, ImageRef, JobProgress, Priority, RecipientChange, Submitted};
use crate::domain::fault::{Missing, Refusal};
use crate::domain::identifiers::{ImageId, JobId, PrincipalId, Recipient, RecipientKind, RegionId, VaultId};
use crate::domain::image::{Answer, ImageFacts, OwnList, ReceivedImage, ReceivedList, RecipientList, Reply};

/// Maximum recipients in one call. The vendor publishes no maximum for a call; its console takes 100 at a time, and no
/// image has more than 128 (IMS user guide), so one call can always reach all.
const RECIPIENTS_PER_CALL: usize = 128;

/// What one call may carry.
pub(crate) const CALL_SHAPE: CallShape = CallShape { recipients: RECIPIENTS_PER_CALL, both_ways: false };
/// Largest page of members (API page of the call).
const MEMBERS_PER_PAGE: usize = 1000;
/// Maximum pages of members read; an image has up to 128 that count towards its limit, and pending ones besides.
const MEMBER_PAGES_MAX: usize = 20;
/// Maximum pages of projects read. Without a page size, the vendor lists all at once (API page of the call).
const PROJECT_PAGES_MAX: usize = 20;
/// Maximum regions whose project is cached; the vendor has some 40.
const REGIONS_MAX: usize = 1000;

/// The client of one account. Shares connections and budgets with all other clients of the process.
pub struct HuaweiCloud {
    domain: PrincipalId,
    /// Projects that the `CloudAccount` names, in order.
    named: Vec<(RegionId, PrincipalId)>,
    /// Cache of the regions' own projects.
    known: Mutex<BTreeMap<RegionId, PrincipalId>>,
    caller: Caller,
}

impl fmt::Debug for HuaweiCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HuaweiCloud").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// The body of a change of members: it includes only lists that are not empty.
#[derive(Serialize)]
struct MembersBody<'a> {
    images: [&'a ImageId; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    projects: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    domains: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    organizations: Vec<&'a str>,
}

#[derive(Serialize)]
struct AnswerBody<'a> {
    images: [&'a ImageId; 1],
    project_id: &'a PrincipalId,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault_id: Option<&'a str>,
}

/// The members of one image.
struct Members {
    rows: BTreeMap<Recipient, Answer>,
    complete: bool,
}

fn refused(code: &str) -> Fault {
    Fault::Refused { refusal: Refusal::Unknown, code: code.to_owned() }
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Query {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

fn json(body: &impl Serialize) -> Result<Vec<u8>, Fault> {
    // Contains only texts and lists: this cannot fail.
    serde_json::to_vec(body).map_err(|_| refused("UnsendableBody"))
}

/// The last part of an organization's URN: the vendor's sample of a removal has only this part, its additions the whole.
fn bare(urn: &str) -> &str {
    urn.rsplit([':', '/']).next().unwrap_or(urn)
}

impl HuaweiCloud {
    /// Builds a client. Sends nothing.
    pub fn new(access: HuaweiAccess, client_context: &ClientContext) -> Self {
        let caller = Caller::new(&access, client_context);
        let HuaweiAccess { domain, projects, .. } = access;
        Self { domain, named: projects, known: Mutex::default(), caller }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<RegionId, PrincipalId>> {
        // No code panics while it holds the lock, so a poisoned value is still consistent.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, region: RegionId, project: PrincipalId) {
        let mut known = self.known();
        if known.len() < REGIONS_MAX || known.contains_key(&region) {
            known.insert(region, project);
        }
    }

    /// The project that owns and receives images in a region. Looks it up by name if it is not cached.
    async fn project_of(&self, region: &RegionId, priority: Priority) -> Result<PrincipalId, Fault> {
        if let Some(project) = self.principal(region) {
            return Ok(project);
        }
        let query = pairs([("name", region.as_str())]);
        let page = read_projects(&self.ask_iam(Service::Iam(region), "/v3/projects", query, priority).await?)?;
        match page.own.as_slice() {
            [(name, project)] if name == region => {
                self.remember(region.clone(), project.clone());
                Ok(project.clone())
            }
            // No such project, or it is disabled.
            [] if page.rows <= 1 && page.next.is_none() => Err(Fault::NotFound(Missing::Region)),
            _ => Err(Fault::Unintelligible),
        }
    }

    async fn ask_iam(
        &self,
        service: Service<'_>,
        path: &str,
        query: Query,
        priority: Priority,
    ) -> Result<Vec<u8>, Fault> {
        let (method, scope, body) = (Method::GET, Scope::Domain, Vec::new());
        let call = Call { method, service, scope, path: path.to_owned(), query, body };
        Ok(self.caller.call(&call, priority).await?.body)
    }

    async fn ims<'a>(
        &self,
        (method, path): (Method, String),
        (region, id): (&'a RegionId, &'a PrincipalId),
        (query, body): (Query, Vec<u8>),
        priority: Priority,
    ) -> Result<Vec<u8>, Fault> {
        let scope = Scope::Project { region, id };
        let call = Call { method, service: Service::Ims(region), scope, path, query, body };
        Ok(self.caller.call(&call, priority).await?.body)
    }

    async fn get(
        &self,
        region: &RegionId,
        project: &PrincipalId,
        path: String,
        query: Query,
        priority: Priority,
    ) -> Result<Vec<u8>, Fault> {
        self.ims((Method::GET, path), (region, project), (query, Vec::new()), priority).await
    }

    /// Lists images of one project.
    async fn images(
        &self,
        region: &RegionId,
        project: &PrincipalId,
        query: Query,
        priority: Priority,
    ) -> Result<Vec<u8>, Fault> {
        self.get(region, project, "/v2/cloudimages".to_owned(), query, priority).await
    }

    /// Sends a call on members that the vendor carries out as a job.
    async fn submit(
        &self,
        method: Method,
        at: &ImageRef,
        project: &PrincipalId,
        body: Vec<u8>,
        priority: Priority,
    ) -> Result<Submitted, Fault> {
        let call = (method, "/v1/cloudimages/members".to_owned());
        let answer = self.ims(call, (&at.region, project), (Query::new(), body), priority).await?;
        Ok(Submitted::Job(read_submitted(&answer)?))
    }

    /// Reads a job; `None` if the vendor does not know it, or no longer does.
    async fn ask_for_job(&self, region: &RegionId, job: &JobId, priority: Priority) -> Result<Option<Vec<u8>>, Fault> {
        let project = self.project_of(region, priority).await?;
        let path = format!("/v1/{}/jobs/{}", escape(project.as_str()), escape(job.as_str()));
        match self.get(region, &project, path, Query::new(), priority).await {
            Ok(body) => Ok(Some(body)),
            Err(fault) if tells_no_such_job(&fault) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Reads all pages of the members of an image that `project` may see.
    async fn members(&self, at: &ImageRef, project: &PrincipalId, mut priority: Priority) -> Result<Members, Fault> {
        let path = format!("/v1/{}/cloudimages/{}/members", escape(project.as_str()), escape(at.image.as_str()));
        let mut found = Members { rows: BTreeMap::new(), complete: true };
        let mut markers = BTreeSet::new();
        let mut query = pairs([("limit", &MEMBERS_PER_PAGE.to_string())]);
        for _ in 0..MEMBER_PAGES_MAX {
            let body = self.get(&at.region, project, path.clone(), query, priority).await?;
            let page = read_members(&body, &at.image, MEMBERS_PER_PAGE)?;
            priority = priority.escalate();
            found.complete &= page.whole;
            for (recipient, answer) in page.rows {
                // A duplicate row hides that another one moved between pages.
                found.complete &= found.rows.insert(recipient, answer).is_none();
            }
            let Some(marker) = page.next else { return Ok(found) };
            if !markers.insert(marker.clone()) {
                break;
            }
            query = pairs([("limit", &MEMBERS_PER_PAGE.to_string()), ("marker", &marker)]);
        }
        found.complete = false;
        Ok(found)
    }

    /// All projects named like a region.
    async fn own_projects(&self) -> Result<Vec<(RegionId, PrincipalId)>, Fault> {
        let (mut found, mut query) = (Vec::new(), Query::new());
        for _ in 0..PROJECT_PAGES_MAX {
            let body = self.ask_iam(Service::IamCentral, "/v3/projects", query, Priority::Acceptance).await?;
            let page = read_projects(&body)?;
            found.extend(page.own);
            let Some(next) = page.next else { return Ok(found) };
            query = next;
        }
        // Some projects are missing, and the list does not show which.
        Err(Fault::Unintelligible)
    }
}

#[async_trait]
impl Cloud for HuaweiCloud {
    async fn identity(&self) -> Result<PrincipalId, Fault> {
        let body = self.ask_iam(Service::IamCentral, "/v3/auth/domains", Query::new(), Priority::Acceptance).await?;
        if let Some(domain) = read_domain(&body, &self.domain)? {
            return Ok(domain);
        }
        let body = self.ask_iam(Service::IamCentral, "/v3/projects", Query::new(), Priority::Acceptance).await?;
        read_domain_of_projects(&body)?.ok_or_else(|| Fault::Forbidden { code: "NoDomainAndNoProject".to_owned() })
    }

    async fn regions(&self) -> Result<Vec<RegionId>, Fault> {
        let found = match self.own_projects().await {
            // A key without the right to list projects is enough for the named ones.
            Err(Fault::Forbidden { .. }) if !self.named.is_empty() => Vec::new(),
            found => found?,
        };
        let named = self.named.iter().map(|(region, _)| region.clone());
        let regions: BTreeSet<RegionId> = found.iter().map(|(region, _)| region.clone()).chain(named).collect();
        for (region, project) in found {
            self.remember(region, project);
        }
        Ok(regions.into_iter().collect())
    }

    fn principal(&self, region: &RegionId) -> Option<PrincipalId> {
        let named = self.named.iter().find(|(name, _)| name == region).map(|(_, project)| project.clone());
        named.or_else(|| self.known().get(region).cloned())
    }

    async fn observe_image(&self, at: &ImageRef, priority: Priority) -> Result<Option<ImageFacts>, Fault> {
        let project = self.project_of(&at.region, priority).await?;
        // Filter by no type, owner or status: the answer must tell a foreign image from an absent one.
        let query = pairs([("id", at.image.as_str())]);
        match self.images(&at.region, &project, query, priority).await {
            Ok(body) => read_image(&body, &at.image, &project),
            Err(Fault::NotFound(Missing::Image)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn list_recipients(&self, at: &ImageRef, priority: Priority) -> Result<RecipientList, Fault> {
        let project = self.project_of(&at.region, priority).await?;
        let Members { rows, complete } = self.members(at, &project, priority).await?;
        Ok(RecipientList { recipients: rows.into_iter().map(|(who, answer)| (who, Some(answer))).collect(), complete })
    }

    async fn change_recipients(
        &self,
        at: &ImageRef,
        change: &RecipientChange,
        priority: Priority,
    ) -> Result<Submitted, Fault> {
        let (method, recipients, adds) = match (change.add.as_slice(), change.remove.as_slice()) {
            ([], []) => return Ok(Submitted::Done),
            (add, []) => (Method::POST, add, true),
            ([], remove) => (Method::DELETE, remove, false),
            _ => return Err(refused("OneWayAtATime")),
        };
        if recipients.len() > RECIPIENTS_PER_CALL {
            return Err(refused("TooManyRecipientsInOneCall"));
        }
        let of = |kind: RecipientKind| {
            let ids = recipients.iter().filter(move |recipient| recipient.kind == kind);
            ids.map(|recipient| recipient.id.as_str())
        };
        let organizations = of(RecipientKind::Organization).map(|urn| if adds { urn } else { bare(urn) }).collect();
        let body = json(&MembersBody {
            images: [&at.image],
            projects: of(RecipientKind::Project).collect(),
            domains: of(RecipientKind::Account).collect(),
            organizations,
        })?;
        let project = self.project_of(&at.region, priority).await?;
        self.submit(method, at, &project, body, priority).await
    }

    async fn open_for_sharing(&self, _: &ImageRef, _: Priority) -> Result<(), Fault> {
        Ok(())
    }

    async fn follow_job(&self, region: &RegionId, job: &JobId, priority: Priority) -> Result<JobProgress, Fault> {
        match self.ask_for_job(region, job, priority).await? {
            Some(body) => read_job(&body, job),
            None => Ok(JobProgress::Ended),
        }
    }

    /// The vendor deletes after it has answered: the image may stay visible for a while.
    async fn delete_image(&self, at: &ImageRef) -> Result<(), Fault> {
        let project = self.project_of(&at.region, Priority::Edit).await?;
        let call = (Method::DELETE, format!("/v2/images/{}", escape(at.image.as_str())));
        let whose = (&at.region, &project);
        self.ims(call, whose, (Query::new(), Vec::new()), Priority::Edit).await.map(|_| ())
    }

    async fn list_own(&self, region: &RegionId, priority: Priority) -> Result<OwnList, Fault> {
        self.own_images(region, priority).await
    }

    async fn observe_received(&self, at: &ImageRef, priority: Priority) -> Result<Option<ReceivedImage>, Fault> {
        self.received_image(at, priority).await
    }

    /// For an image with several grants, reports the project's own answer; the list does not name the grants.
    async fn list_received(&self, region: &RegionId, priority: Priority) -> Result<ReceivedList, Fault> {
        self.received_images(region, priority).await
    }

    async fn answer(&self, at: &ImageRef, reply: &Reply, priority: Priority) -> Result<Submitted, Fault> {
        let project = self.project_of(&at.region, priority).await?;
        let (status, vault_id) = match reply {
            Reply::Accept { vault } => ("accepted", vault.as_ref().map(VaultId::as_str)),
            Reply::Reject => ("rejected", None),
        };
        let body = json(&AnswerBody { images: [&at.image], project_id: &project, status, vault_id })?;
        self.submit(Method::PUT, at, &project, body, priority).await
    }

    fn call_shape(&self) -> CallShape {
        CALL_SHAPE
    }
}

#[cfg(test)]
mod tests;
