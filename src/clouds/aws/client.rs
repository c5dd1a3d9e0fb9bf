//! The client of one AWS account: signs, sends, reads. It makes every call once; the callers decide on retries, because they
//! know the purpose of the call.

mod copying;
mod own;
mod roles;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE as CONTENT_TYPE_NAME, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::endpoints::{Hosts, Service};
use super::faults::{Asked, fault_of};
use super::sign::{CONTENT_TYPE, Credentials, Unsigned, sign};
use super::wire::images::{ImageSeen, read_image, read_images};
use super::wire::snapshots::{read_keys, read_volume_permissions, volume_permissions};
use super::wire::{self, Form};
use super::{Operation, Pace};
use crate::clouds::client_context::ClientContext;
use crate::clouds::endpoint_rule::CheckedEndpoint;
use crate::clouds::roles::{KeyRing, KeySource};
use crate::clouds::transport::{Answer, Request, sensitive};
use crate::clouds::{CallShape, Cloud, Fault, ImageRef, JobProgress, Priority, RecipientChange, Submitted};
use crate::domain::aws::Partition;
use crate::domain::fault::{Missing, Refusal};
use crate::domain::identifiers::{ImageId, JobId, KeyId, PrincipalId, Recipient, RecipientKind, RegionId, SnapshotId};
use crate::domain::image::{ImageFacts, OwnList, Ownership, ReceivedImage, ReceivedList, RecipientList, Reply};
use crate::domain::provider::Provider;

/// Recipients that one `ModifyImageAttribute` adds, and as many again that it removes. The vendor takes 10,000; of snapshots,
/// which are shared along with an image, it takes 500.
const RECIPIENTS_PER_CALL: usize = 500;

/// What one call may carry.
pub(crate) const CALL_SHAPE: CallShape = CallShape { recipients: RECIPIENTS_PER_CALL, both_ways: true };
/// Images of one page: some 1.6 KB each, and an answer has at most a MiB. Small pages cost minutes.
const PAGE_SIZE: usize = 200;
/// Most pages read of one list. Pages may be short or empty.
const PAGES_MAX: usize = 200;

/// The parameters of a client of one AWS account.
#[derive(Debug, Clone)]
pub struct AwsAccess {
    /// The account that the credentials should belong to; `Cloud::identity` returns the actual one.
    pub account: PrincipalId,
    /// Its partition.
    pub partition: Partition,
    /// The region of calls that concern none.
    pub home_region: RegionId,
    /// Whether calls go to hosts with validated cryptography.
    pub fips: bool,
    /// Whether calls go to hosts that have IPv6 addresses, too.
    pub dual_stack: bool,
    /// An endpoint for all calls, instead of the vendor's hosts.
    pub endpoint: Option<CheckedEndpoint>,
    /// The credentials that sign calls.
    pub credentials: KeySource<Credentials>,
}

/// The client of one account. Shares connections and budgets with all other clients of the process.
pub struct AwsCloud {
    account: PrincipalId,
    hosts: Hosts,
    keys: KeyRing<Credentials>,
    client_context: ClientContext,
    /// The regions that the account has enabled, once known.
    enabled: RwLock<Option<BTreeSet<RegionId>>>,
}

impl fmt::Debug for AwsCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsCloud").field("account", &self.account).finish_non_exhaustive()
    }
}

/// One parameter.
fn pair(name: &str, value: &(impl ToString + ?Sized)) -> (String, String) {
    (name.to_owned(), value.to_string())
}

impl AwsCloud {
    /// Creates a client of one account; makes no call.
    pub fn new(access: AwsAccess, client_context: &ClientContext) -> Self {
        let AwsAccess { account, partition, home_region: home, fips, dual_stack, endpoint, credentials } = access;
        let hosts = Hosts { partition, home, fips, dual_stack, endpoint };
        let keys = KeyRing::new(credentials);
        Self { account, hosts, keys, client_context: client_context.clone(), enabled: RwLock::default() }
    }

    /// Makes one call and returns the body of its answer. Temporary keys that the cloud refuses give way to others once.
    async fn call(
        &self,
        operation: Operation,
        service: Service<'_>,
        form: &[(String, String)],
        priority: Priority,
    ) -> Result<Vec<u8>, Fault> {
        let clock = self.client_context.clock.as_ref();
        let keys = self.keys.keys(self, clock).await?;
        match self.call_as(&keys.credentials, operation, service, form, priority).await {
            Err(Fault::Unauthenticated { .. }) if self.keys.withdraw(&keys) => {
                let keys = self.keys.keys(self, clock).await?;
                self.call_as(&keys.credentials, operation, service, form, priority).await
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
        form: &[(String, String)],
        priority: Priority,
    ) -> Result<Vec<u8>, Fault> {
        let url = self.hosts.url_of(service).ok_or(Fault::NotFound(Missing::Region))?;
        let client_context = match operation.pace() {
            Pace::Reads => self.client_context.clone(),
            Pace::Changes => self.client_context.changing(),
            Pace::Copies => self.client_context.copying(),
        };
        let (budget_account, budget_region) = self.budget_of(&client_context, service);
        client_context.acquire(Provider::Aws, &budget_account, &budget_region, priority).await?;
        // Sign after the wait for a token, which may be long: the date must be fresh.
        let at = client_context.clock.now();
        let asked = Asked { operation, temporary: keys.are_temporary(), at };
        let request = self
            .signed(keys, asked, service, url, form)
            .ok_or_else(|| Fault::Refused { refusal: Refusal::Unknown, code: "UnsendableHeader".to_owned() })?;
        let judge = |answer: &Answer| {
            let refused = answer.status != 200;
            refused.then(|| self.judge(service, fault_of(asked, answer.status, &answer.headers, &answer.body)))
        };
        let answer = client_context.send((Provider::Aws, &budget_account, &budget_region), request, judge).await?;
        Ok(answer.body)
    }

    /// The account and the region whose budget a call takes its token from.
    fn budget_of(&self, client_context: &ClientContext, service: Service<'_>) -> (String, String) {
        let account = format!("{}/{}", self.hosts.partition, self.account);
        let account = match service {
            Service::Region(_) => account,
            Service::Home | Service::Sts => client_context.proving(&account),
        };
        (account, service.budget_key())
    }

    /// A region that the account has not enabled refuses its credentials. They are good everywhere else.
    fn judge(&self, service: Service<'_>, fault: Fault) -> Fault {
        let enabled = self.enabled.read().unwrap_or_else(PoisonError::into_inner);
        match (service, &fault, enabled.as_ref()) {
            (Service::Region(region), Fault::Unauthenticated { .. }, Some(enabled)) if !enabled.contains(region) => {
                Fault::NotFound(Missing::Region)
            }
            _ => fault,
        }
    }

    /// Returns `None` for an invalid header value, which parsed credentials and hosts rule out.
    fn signed(
        &self,
        keys: &Credentials,
        asked: Asked,
        service: Service<'_>,
        url: Url,
        form: &[(String, String)],
    ) -> Option<Request> {
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str()?),
            None => url.host_str()?.to_owned(),
        };
        let body = wire::body_of(asked.operation, form).into_bytes();
        let region = self.hosts.region_of(service).as_str();
        let unsigned = Unsigned { url: &url, host: &host, region, service: service.service(), body: &body };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE_NAME, HeaderValue::from_static(CONTENT_TYPE));
        for (name, value) in sign(&unsigned, keys, asked.at)? {
            headers.insert(HeaderName::from_static(name), sensitive(&value)?);
        }
        Some(Request { method: Method::POST, url, headers, body })
    }

    /// Reads one image in any state; `None` if the vendor knows none. `scope`: further parameters that restrict the answer.
    async fn describe_image(
        &self,
        at: &ImageRef,
        scope: Option<(String, String)>,
        priority: Priority,
    ) -> Result<Option<ImageSeen>, Fault> {
        let mut form = vec![pair("ImageId.1", &at.image)];
        form.extend(scope);
        form.extend(everything());
        match self.call(Operation::DescribeImages, Service::Region(&at.region), &form, priority).await {
            Ok(body) => read_image(&body, &at.image, &self.account),
            Err(Fault::NotFound(Missing::Image)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The keys that an own image is encrypted with. Sharing does not depend on them: none, where the credentials may not read
    /// snapshots.
    async fn keys_of(&self, region: &RegionId, seen: &ImageSeen, priority: Priority) -> Result<BTreeSet<KeyId>, Fault> {
        let snapshots = &seen.encrypted_snapshots;
        if seen.facts.ownership != Ownership::Own || snapshots.is_empty() {
            return Ok(BTreeSet::new());
        }
        let numbered = (1_u32..).zip(snapshots);
        let form: Form = numbered.map(|(number, id)| (format!("SnapshotId.{number}"), id.clone())).collect();
        let service = Service::Region(region);
        match self.call(Operation::DescribeSnapshots, service, &form, priority.escalate()).await {
            Ok(body) => read_keys(&body, snapshots),
            Err(Fault::Forbidden { .. } | Fault::NotFound(Missing::Image)) => Ok(BTreeSet::new()),
            Err(fault) => Err(fault),
        }
    }

    /// Lists images, all pages; the flag tells whether none is missing.
    async fn list_images(
        &self,
        region: &RegionId,
        scope: &[(String, String)],
        priority: Priority,
    ) -> Result<(Vec<ImageSeen>, bool), Fault> {
        match self.list_pages(region, scope, priority).await {
            // The token expired between two pages: begin again, once.
            Err(fault) if matches!(fault.code(), Some("InvalidPaginationToken" | "InvalidNextToken")) => {
                self.list_pages(region, scope, priority).await
            }
            listed => listed,
        }
    }

    async fn list_pages(
        &self,
        region: &RegionId,
        scope: &[(String, String)],
        mut priority: Priority,
    ) -> Result<(Vec<ImageSeen>, bool), Fault> {
        let (mut images, mut token): (_, Option<String>) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let mut form = scope.to_vec();
            form.extend(everything());
            form.push(pair("MaxResults", &PAGE_SIZE));
            form.extend(token.as_deref().map(|token| pair("NextToken", token)));
            let body = match self.call(Operation::DescribeImages, Service::Region(region), &form, priority).await {
                // The call names no image id, so callers must not read this fault as a missing image.
                Err(Fault::NotFound(Missing::Image)) => return Err(Fault::Unintelligible),
                body => body?,
            };
            let page = read_images(&body, &self.account)?;
            images.extend(page.images);
            priority = priority.escalate();
            match page.next {
                None => return Ok((images, true)),
                // The same page would come again.
                Some(next) if token.as_ref() == Some(&next) => return Err(Fault::Unintelligible),
                Some(next) => token = Some(next),
            }
        }
        Ok((images, false))
    }

    /// Deregisters an own image, and with `snapshots` deletes those that no other image uses.
    async fn deregister(&self, at: &ImageRef, snapshots: bool) -> Result<(), Fault> {
        let mut form = vec![pair("ImageId", &at.image)];
        if snapshots {
            form.push(pair("DeleteAssociatedSnapshots", "true"));
        }
        let operation = Operation::DeregisterImage;
        wire::read_write(&self.call(operation, Service::Region(&at.region), &form, Priority::Edit).await?, operation)
    }

    /// Converts an image of another owner; on this cloud it needs no answer, and the answer does not tell the grants.
    fn received(&self, seen: ImageSeen) -> Option<ReceivedImage> {
        let ImageFacts { ownership, name, kind, state, .. } = seen.facts;
        let Ownership::Received { owner } = ownership else { return None };
        let through = self.account.clone();
        Some(ReceivedImage { image: seen.image, through, owner, name, kind, state, answer: None, via: BTreeMap::new() })
    }
}

/// Without these, lists leave out deprecated images of others and disabled ones of the account.
fn everything() -> [(String, String); 2] {
    [pair("IncludeDeprecated", "true"), pair("IncludeDisabled", "true")]
}

/// Restricts a list to images shared with the account, its organization or its unit.
fn shared_with_us() -> (String, String) {
    pair("ExecutableBy.1", "self")
}

/// What a call about the volume permissions of a snapshot names first.
fn about_volumes_of(snapshot: &SnapshotId) -> [(String, String); 2] {
    [pair("SnapshotId", snapshot), pair("Attribute", "createVolumePermission")]
}

/// The same for what a snapshot cannot have: organizations, or both directions in one call.
fn unsendable_of_snapshots(change: &RecipientChange) -> Option<Fault> {
    let refused = |code: &str| Some(Fault::Refused { refusal: Refusal::Unknown, code: code.to_owned() });
    if change.add.iter().chain(&change.remove).any(|recipient| recipient.kind != RecipientKind::Account) {
        return refused("NoAccountOfASnapshot");
    }
    if change.add.is_empty() || change.remove.is_empty() { None } else { refused("AddAndRemoveOfASnapshot") }
}

/// Why a change cannot be sent: the vendor would refuse it, or do something undefined.
fn unsendable(change: &RecipientChange) -> Option<Fault> {
    let refused = |code: &str| Some(Fault::Refused { refusal: Refusal::Unknown, code: code.to_owned() });
    if change.add.len() > RECIPIENTS_PER_CALL || change.remove.len() > RECIPIENTS_PER_CALL {
        return refused("TooManyRecipientsInOneCall");
    }
    let removed: BTreeSet<_> = change.remove.iter().collect();
    if change.add.iter().any(|recipient| removed.contains(recipient)) {
        return refused("AddedAndRemovedInOneCall");
    }
    None
}

#[async_trait]
impl Cloud for AwsCloud {
    async fn identity(&self) -> Result<PrincipalId, Fault> {
        let body = self.call(Operation::GetCallerIdentity, Service::Sts, &[], Priority::Acceptance).await?;
        wire::read_identity(&body)
    }

    async fn regions(&self) -> Result<Vec<RegionId>, Fault> {
        let body = self.call(Operation::DescribeRegions, Service::Home, &[], Priority::Acceptance).await?;
        let regions = wire::read_regions(&body)?;
        let mut enabled = self.enabled.write().unwrap_or_else(PoisonError::into_inner);
        *enabled = Some(regions.iter().cloned().collect());
        Ok(regions)
    }

    fn principal(&self, _: &RegionId) -> Option<PrincipalId> {
        Some(self.account.clone())
    }

    async fn observe_image(&self, at: &ImageRef, priority: Priority) -> Result<Option<ImageFacts>, Fault> {
        let Some(seen) = self.describe_image(at, None, priority).await? else { return Ok(None) };
        let keys = self.keys_of(&at.region, &seen, priority).await?;
        Ok(Some(ImageFacts { keys, ..seen.facts }))
    }

    async fn list_recipients(&self, at: &ImageRef, priority: Priority) -> Result<RecipientList, Fault> {
        let form = [pair("ImageId", &at.image), pair("Attribute", "launchPermission")];
        let body = self.call(Operation::DescribeImageAttribute, Service::Region(&at.region), &form, priority).await?;
        let recipients = wire::read_recipients(&body, &at.image)?;
        Ok(RecipientList {
            recipients: recipients.into_iter().map(|recipient| (recipient, None)).collect(),
            complete: true,
        })
    }

    async fn change_recipients(
        &self,
        at: &ImageRef,
        change: &RecipientChange,
        priority: Priority,
    ) -> Result<Submitted, Fault> {
        if let Some(fault) = unsendable(change) {
            return Err(fault);
        }
        if change.add.is_empty() && change.remove.is_empty() {
            return Ok(Submitted::Done);
        }
        let mut form: Form = vec![pair("ImageId", &at.image)];
        form.extend(wire::permissions("Add", &change.add));
        form.extend(wire::permissions("Remove", &change.remove));
        let operation = Operation::ModifyImageAttribute;
        wire::read_write(&self.call(operation, Service::Region(&at.region), &form, priority).await?, operation)?;
        Ok(Submitted::Done)
    }

    async fn list_copy_permissions(
        &self,
        region: &RegionId,
        snapshot: &SnapshotId,
        priority: Priority,
    ) -> Result<BTreeSet<Recipient>, Fault> {
        let form = about_volumes_of(snapshot);
        let operation = Operation::DescribeSnapshotAttribute;
        read_volume_permissions(&self.call(operation, Service::Region(region), &form, priority).await?, snapshot)
    }

    async fn change_copy_permissions(
        &self,
        region: &RegionId,
        snapshot: &SnapshotId,
        change: &RecipientChange,
        priority: Priority,
    ) -> Result<Submitted, Fault> {
        if let Some(fault) = unsendable(change).or_else(|| unsendable_of_snapshots(change)) {
            return Err(fault);
        }
        if change.add.is_empty() && change.remove.is_empty() {
            return Ok(Submitted::Done);
        }
        let mut form: Form = about_volumes_of(snapshot).into();
        form.extend(volume_permissions("Add", &change.add));
        form.extend(volume_permissions("Remove", &change.remove));
        let operation = Operation::ModifySnapshotAttribute;
        wire::read_write(&self.call(operation, Service::Region(region), &form, priority).await?, operation)?;
        Ok(Submitted::Done)
    }

    async fn open_for_sharing(&self, _: &ImageRef, _: Priority) -> Result<(), Fault> {
        Ok(())
    }

    async fn follow_job(&self, _: &RegionId, _: &JobId, _: Priority) -> Result<JobProgress, Fault> {
        Ok(JobProgress::Ended)
    }

    async fn delete_image(&self, at: &ImageRef) -> Result<(), Fault> {
        self.deregister(at, false).await
    }

    async fn list_own(&self, region: &RegionId, priority: Priority) -> Result<OwnList, Fault> {
        self.own_images(region, priority).await
    }

    async fn observe_received(&self, at: &ImageRef, priority: Priority) -> Result<Option<ReceivedImage>, Fault> {
        let Some(seen) = self.describe_image(at, Some(shared_with_us()), priority).await? else { return Ok(None) };
        // That the vendor heeds the scope beside an id is not documented, and everybody sees a public image.
        if seen.public {
            let (listed, complete) = self.list_images(&at.region, &[shared_with_us()], priority.escalate()).await?;
            match (listed.iter().any(|other| other.image == at.image), complete) {
                (true, _) => {}
                (false, true) => return Ok(None),
                (false, false) => return Err(Fault::Unintelligible),
            }
        }
        Ok(self.received(seen))
    }

    async fn list_received(&self, region: &RegionId, priority: Priority) -> Result<ReceivedList, Fault> {
        let (listed, complete) = self.list_images(region, &[shared_with_us()], priority).await?;
        let images: BTreeMap<ImageId, ReceivedImage> = listed
            .into_iter()
            .filter_map(|seen| self.received(seen))
            .map(|image| (image.image.clone(), image))
            .collect();
        Ok(ReceivedList { images: images.into_values().collect(), complete })
    }

    async fn answer(&self, _: &ImageRef, _: &Reply, _: Priority) -> Result<Submitted, Fault> {
        Err(Fault::Refused { refusal: Refusal::Unknown, code: "NoAnswerNeeded".to_owned() })
    }

    fn call_shape(&self) -> CallShape {
        CALL_SHAPE
    }

    fn copy_call_shape(&self) -> CallShape {
        CallShape { recipients: RECIPIENTS_PER_CALL, both_ways: false }
    }
}

#[cfg(test)]
mod tests;
