//! The client of one Alibaba Cloud account: signs, sends, reads. It makes every call once; the callers decide on retries,
//! because they know the purpose of the call.

mod copying;
mod own;
mod roles;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use reqwest::Method;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::Operation;
use super::endpoints::{Endpoints, Service, url_of};
use super::faults::fault_of;
use super::sign::{Credentials, Unsigned, sign};
use super::wire;
use crate::clouds::client_context::ClientContext;
use crate::clouds::roles::{KeyRing, KeySource};
use crate::clouds::transport::{Answer, Request, sensitive};
use crate::clouds::{CallShape, Cloud, Fault, ImageRef, JobProgress, Priority, RecipientChange, Submitted};
use crate::domain::fault::{Missing, Refusal};
use crate::domain::identifiers::{ImageId, JobId, PrincipalId, Recipient, RecipientKind, RegionId};
use crate::domain::image::{
    ImageFacts, OwnList, Ownership, ReceivedImage, ReceivedList, RecipientList, Reply, Visibility,
};
use crate::domain::provider::Provider;

/// Accounts that one `ModifyImageSharePermission` may add, and as many again remove. The vendor drops further ones without
/// an error (API page of the call).
const RECIPIENTS_PER_CALL: usize = 10;

/// What one call may carry.
pub(crate) const CALL_SHAPE: CallShape = CallShape { recipients: RECIPIENTS_PER_CALL, both_ways: true };
/// Largest page of `DescribeImageSharePermission` (its API page).
const PAGE_SIZE: usize = 100;
/// Most pages read; an image has 50 recipients unless the vendor raised the limit.
const PAGES_MAX: u32 = 20;

/// Most pages read of received images; an account receives 30 unless the vendor raised the limit.
const RECEIVED_PAGES_MAX: u32 = 50;

type Query = Vec<(String, String)>;

/// The parameters of a client of one Alibaba Cloud account.
#[derive(Debug, Clone)]
pub struct AlibabaAccess {
    /// The account that the credentials should belong to; `Cloud::identity` returns the actual one.
    pub account: PrincipalId,
    /// Where calls go.
    pub endpoints: Endpoints,
    /// The credentials that sign calls.
    pub credentials: KeySource<Credentials>,
}

/// The client of one account. Shares connections and budgets with all other clients of the process.
pub struct AlibabaCloud {
    account: PrincipalId,
    endpoints: Endpoints,
    keys: KeyRing<Credentials>,
    client_context: ClientContext,
}

impl fmt::Debug for AlibabaCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlibabaCloud").field("account", &self.account).finish_non_exhaustive()
    }
}

impl AlibabaCloud {
    /// Creates a client of one account; makes no call.
    pub fn new(access: AlibabaAccess, client_context: &ClientContext) -> Self {
        let AlibabaAccess { account, endpoints, credentials } = access;
        Self { account, endpoints, keys: KeyRing::new(credentials), client_context: client_context.clone() }
    }

    /// Makes one call and returns the body of its answer. Temporary keys that the cloud refuses give way to others once.
    async fn call(
        &self,
        operation: Operation,
        service: Service<'_>,
        query: Query,
        priority: Priority,
    ) -> Result<Vec<u8>, Fault> {
        let clock = self.client_context.clock.as_ref();
        let keys = self.keys.keys(self, clock).await?;
        match self.call_as(&keys.credentials, operation, service, &query, priority).await {
            Err(Fault::Unauthenticated { .. }) if self.keys.withdraw(&keys) => {
                let keys = self.keys.keys(self, clock).await?;
                self.call_as(&keys.credentials, operation, service, &query, priority).await
            }
            answer => answer,
        }
    }

    /// The same with these keys.
    async fn call_as(
        &self,
        keys: &Credentials,
        operation: Operation,
        service: Service<'_>,
        query: &[(String, String)],
        priority: Priority,
    ) -> Result<Vec<u8>, Fault> {
        let url = url_of(service, &self.endpoints).ok_or(Fault::NotFound(Missing::Region))?;
        let (budget_account, region) = self.budget_of(service);
        self.client_context.acquire(Provider::Alibaba, &budget_account, &region, priority).await?;
        // Sign after the wait for a token, which may be long: the date must be fresh.
        let request = self
            .signed(keys, operation, url, query)
            .ok_or_else(|| Fault::Refused { refusal: Refusal::Unknown, code: "UnsendableHeader".to_owned() })?;
        let judge = |answer: &Answer| {
            (answer.status != 200).then(|| fault_of(operation, answer.status, &answer.headers, &answer.body))
        };
        let answer = self.client_context.send((Provider::Alibaba, &budget_account, &region), request, judge).await?;
        Ok(answer.body)
    }

    /// The account and the region whose budget a call takes its token from.
    fn budget_of(&self, service: Service<'_>) -> (String, String) {
        let account = format!("alibaba/{}", self.account);
        let account = match service {
            Service::Region(_) => account,
            Service::Central | Service::Sts => self.client_context.proving(&account),
        };
        (account, service.budget_key())
    }

    /// Reads one image in any state; `None` if the vendor knows none.
    async fn describe_image(&self, at: &ImageRef, priority: Priority) -> Result<Option<Vec<u8>>, Fault> {
        let mut query = image_query(at);
        // Without it the vendor lists only available images. The query has no owner filter, so that an image of another
        // account differs from an absent one.
        query.push(("Status".to_owned(), "ALL".to_owned()));
        match self.call(Operation::DescribeImages, Service::Region(&at.region), query, priority).await {
            Ok(body) => Ok(Some(body)),
            Err(Fault::NotFound(Missing::Image)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Returns `None` for an invalid header value, which parsed credentials and hosts rule out.
    fn signed(
        &self,
        keys: &Credentials,
        operation: Operation,
        mut url: Url,
        query: &[(String, String)],
    ) -> Option<Request> {
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str()?),
            None => url.host_str()?.to_owned(),
        };
        let unsigned = Unsigned {
            method: "POST",
            path: "/",
            query,
            // Proxies may rewrite accept and user-agent, so they stay unsigned; the vendor demands host and x-acs-* only.
            headers: &[("host", &host), ("x-acs-action", operation.action()), ("x-acs-version", operation.version())],
            body: b"",
        };
        let signed = sign(&unsigned, keys, self.client_context.clock.now(), &(self.client_context.nonce)());
        url.set_query(Some(&signed.query));
        let mut headers = HeaderMap::new();
        headers.insert(reqwest::header::ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in &signed.headers {
            headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, sensitive(value)?);
        }
        Some(Request { method: Method::POST, url, headers, body: Vec::new() })
    }
}

/// Compares the rows of a paged list with the total that each page reports.
#[derive(Default)]
struct Tally {
    total: Option<usize>,
    rows: usize,
    changed: bool,
}

impl Tally {
    /// Counts a page; returns whether it is the last one.
    fn count(&mut self, total: usize, rows: usize) -> bool {
        self.changed |= *self.total.get_or_insert(total) != total;
        self.rows += rows;
        rows == 0 || self.rows >= planted!("first-page-only", total, 1)
    }

    /// Whether every page reported the same total.
    fn is_steady(&self) -> bool {
        !self.changed
    }

    /// Whether all rows arrived, `different` of them distinct. A duplicate row can hide a row that moved between pages, so
    /// both counts must match the total.
    fn is_whole(&self, different: usize) -> bool {
        let wanted = self.total.unwrap_or_default();
        self.is_steady()
            && planted!(
                "incomplete-list-believed",
                self.rows == wanted && different == wanted,
                self.rows <= wanted && different <= wanted
            )
    }
}

fn image_query(at: &ImageRef) -> Query {
    vec![("RegionId".to_owned(), at.region.to_string()), ("ImageId".to_owned(), at.image.to_string())]
}

/// Converts an image of another owner; on this cloud it needs no answer.
fn received(image: ImageId, account: &PrincipalId, facts: ImageFacts) -> Option<ReceivedImage> {
    let Ownership::Received { owner } = facts.ownership else { return None };
    // A community image is shared with nobody in particular.
    if facts.visibility == Visibility::Public {
        return None;
    }
    let via = BTreeMap::from([(Recipient { kind: RecipientKind::Account, id: account.clone() }, None)]);
    let ImageFacts { name, kind, state, .. } = facts;
    Some(ReceivedImage { image, through: account.clone(), owner, name, kind, state, answer: None, via })
}

fn numbered<'a>(name: &'a str, recipients: &'a [Recipient]) -> impl Iterator<Item = (String, String)> + 'a {
    (1..)
        .zip(recipients)
        .map(move |(number, recipient): (u32, _)| (format!("{name}.{number}"), recipient.id.to_string()))
}

#[async_trait]
impl Cloud for AlibabaCloud {
    async fn identity(&self) -> Result<PrincipalId, Fault> {
        let body = self.call(Operation::GetCallerIdentity, Service::Sts, Vec::new(), Priority::Acceptance).await?;
        wire::read_identity(&body)
    }

    async fn regions(&self) -> Result<Vec<RegionId>, Fault> {
        let body = self.call(Operation::DescribeRegions, Service::Central, Vec::new(), Priority::Acceptance).await?;
        wire::read_regions(&body)
    }

    fn principal(&self, _: &RegionId) -> Option<PrincipalId> {
        Some(self.account.clone())
    }

    async fn observe_image(&self, at: &ImageRef, priority: Priority) -> Result<Option<ImageFacts>, Fault> {
        match self.describe_image(at, priority).await? {
            Some(body) => wire::read_image(&body, &at.image, &self.account),
            None => Ok(None),
        }
    }

    async fn list_recipients(&self, at: &ImageRef, priority: Priority) -> Result<RecipientList, Fault> {
        let (mut recipients, mut tally, mut priority) = (BTreeSet::new(), Tally::default(), priority);
        for number in 1..=PAGES_MAX {
            let mut query = image_query(at);
            query.push(("PageNumber".to_owned(), number.to_string()));
            query.push(("PageSize".to_owned(), PAGE_SIZE.to_string()));
            let operation = Operation::DescribeImageSharePermission;
            let body = self.call(operation, Service::Region(&at.region), query, priority).await?;
            let page = wire::read_recipients(&body, &at.image, number)?;
            priority = priority.escalate();
            let last = tally.count(page.total as usize, page.rows.len());
            recipients.extend(page.rows);
            if last {
                break;
            }
        }
        let complete = tally.is_whole(recipients.len());
        Ok(RecipientList { recipients: recipients.into_iter().map(|recipient| (recipient, None)).collect(), complete })
    }

    async fn change_recipients(
        &self,
        at: &ImageRef,
        change: &RecipientChange,
        priority: Priority,
    ) -> Result<Submitted, Fault> {
        if change.add.len() > RECIPIENTS_PER_CALL || change.remove.len() > RECIPIENTS_PER_CALL {
            // The vendor would silently drop the rest and report success.
            return Err(Fault::Refused { refusal: Refusal::Unknown, code: "TooManyRecipientsInOneCall".to_owned() });
        }
        if change.add.is_empty() && change.remove.is_empty() {
            return Ok(Submitted::Done);
        }
        let mut query = image_query(at);
        query.extend(numbered("AddAccount", &change.add));
        query.extend(numbered("RemoveAccount", &change.remove));
        let operation = Operation::ModifyImageSharePermission;
        wire::read_write(&self.call(operation, Service::Region(&at.region), query, priority).await?)?;
        Ok(Submitted::Done)
    }

    async fn open_for_sharing(&self, _: &ImageRef, _: Priority) -> Result<(), Fault> {
        Ok(())
    }

    async fn follow_job(&self, _: &RegionId, _: &JobId, _: Priority) -> Result<JobProgress, Fault> {
        Ok(JobProgress::Ended)
    }

    async fn delete_image(&self, at: &ImageRef) -> Result<(), Fault> {
        let query = image_query(at);
        wire::read_write(&self.call(Operation::DeleteImage, Service::Region(&at.region), query, Priority::Edit).await?)
    }

    async fn list_own(&self, region: &RegionId, priority: Priority) -> Result<OwnList, Fault> {
        self.own_images(region, priority).await
    }

    async fn observe_received(&self, at: &ImageRef, priority: Priority) -> Result<Option<ReceivedImage>, Fault> {
        let facts = self.observe_image(at, priority).await?;
        Ok(facts.and_then(|facts| received(at.image.clone(), &self.account, facts)))
    }

    async fn list_received(&self, region: &RegionId, priority: Priority) -> Result<ReceivedList, Fault> {
        let (mut images, mut tally, mut priority) = (BTreeMap::new(), Tally::default(), priority);
        for number in 1..=RECEIVED_PAGES_MAX {
            let mut query = vec![("RegionId".to_owned(), region.to_string())];
            query.push(("ImageOwnerAlias".to_owned(), "others".to_owned()));
            query.push(("Status".to_owned(), "ALL".to_owned()));
            query.push(("PageNumber".to_owned(), number.to_string()));
            query.push(("PageSize".to_owned(), PAGE_SIZE.to_string()));
            let body = self.call(Operation::DescribeImages, Service::Region(region), query, priority).await?;
            let page = wire::read_images(&body, &self.account, number)?;
            // With the bound on pages, the bound on their rows bounds the whole list.
            if page.rows.len() > PAGE_SIZE {
                return Err(Fault::Unintelligible);
            }
            priority = priority.escalate();
            let last = tally.count(page.total, page.rows.len());
            images.extend(page.rows);
            if last {
                break;
            }
        }
        let complete = tally.is_whole(images.len());
        let received = |(image, facts)| received(image, &self.account, facts);
        Ok(ReceivedList { images: images.into_iter().filter_map(received).collect(), complete })
    }

    async fn answer(&self, _: &ImageRef, _: &Reply, _: Priority) -> Result<Submitted, Fault> {
        Err(Fault::Refused { refusal: Refusal::Unknown, code: "NoAnswerNeeded".to_owned() })
    }

    fn call_shape(&self) -> CallShape {
        CALL_SHAPE
    }
}

#[cfg(test)]
mod tests;
