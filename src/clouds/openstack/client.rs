//! The client of one project at one cloud. It sends every call once, and once more with a new token if the cloud refused
//! the first one. The caller decides whether and when to retry.
//!
//! Glance (33, every database) may store two rows for one member when two add requests race. A removal then answers 204
//! for one row while the project keeps its access. So a removal lists the members afterwards and removes again, and this
//! client sends one write at a time per image.

mod copying;
mod own;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::faults::{Operation, glance_fault};
use super::keystone::{Keystone, OpenStackAccess, ProjectToken};
use super::wire::{self, ImageSeen};
use crate::clouds::client_context::ClientContext;
use crate::clouds::tokens::Wanted;
use crate::clouds::transport::{Answer as HttpAnswer, Request};
use crate::clouds::{CallShape, Cloud, Fault, ImageRef, JobProgress, Priority, RecipientChange, Submitted};
use crate::domain::fault::{Conflict, Missing, Refusal};
use crate::domain::identifiers::{ImageId, JobId, PrincipalId, Recipient, RecipientKind, RegionId};
use crate::domain::image::{
    Answer, ImageFacts, OwnList, Ownership, ReceivedImage, ReceivedList, RecipientList, Reply, Visibility,
};
use crate::domain::provider::Provider;

/// What one call may carry: one member (`image-members` API).
pub(crate) const CALL_SHAPE: CallShape = CallShape { recipients: 1, both_ways: false };

/// Images per page. Glance allows 1,000, but a row may have many properties, and answers are bounded.
const PAGE_SIZE: usize = 200;
/// Maximum pages read of each of the three lists of received images.
const PAGES_MAX: usize = 50;
/// Maximum removals of one member: each removes one row.
const REMOVALS_MAX: usize = 5;
/// Delay between two removals of one member: the second fails within one second on databases that count whole seconds
/// (`MariaDB`).
const REMOVAL_PAUSE: Duration = Duration::from_millis(1100);

/// The only content type that Glance accepts for changes of an image (API page of `PATCH /v2/images/{id}`).
const PATCH: &str = "application/openstack-images-v2.1-json-patch";

/// The code of a call that Glance refuses though Keystone accepts the credentials.
const ACCESS_RULES: &str = "access_rules";

/// The fault of a call with a token that Keystone has just issued. Services answer 401 to a call that the access rules of an
/// application credential leave out, and to every call with such a credential if they do not know their own type
/// (keystonemiddleware 13, `validate_allowed_request`). So it concerns this call, and the credentials are good.
fn refused_anew(fault: Fault) -> Fault {
    match fault {
        Fault::Unauthenticated { .. } => Fault::Forbidden { code: ACCESS_RULES.to_owned() },
        fault => fault,
    }
}

/// Whether Glance denies a call in words that it has for several causes, which a read of the image tells apart.
fn is_ambiguous(fault: &Fault) -> bool {
    match fault {
        Fault::Forbidden { code } => code != ACCESS_RULES,
        Fault::NotFound(missing) => *missing == Missing::Image,
        _ => false,
    }
}

type WriteLocks = HashMap<(RegionId, ImageId), Arc<tokio::sync::Mutex<()>>>;

/// The client of one account. Shares connections and budgets with all other clients of the process.
pub struct OpenStackCloud {
    keystone: Keystone,
    project: PrincipalId,
    client_context: ClientContext,
    writing: Mutex<WriteLocks>,
    removal_pause: Duration,
}

impl fmt::Debug for OpenStackCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStackCloud").field("project", &self.project).finish_non_exhaustive()
    }
}

/// One call to Glance.
struct Question<'a> {
    operation: Operation,
    method: Method,
    /// Relative to `/v2/images`.
    path: Vec<&'a str>,
    query: &'a [(&'a str, &'a str)],
    body: Option<(&'static str, Value)>,
    /// The status code of success.
    wanted: u16,
}

impl<'a> Question<'a> {
    fn read(path: impl IntoIterator<Item = &'a str>) -> Self {
        let path = path.into_iter().collect();
        Self { operation: Operation::Read, method: Method::GET, path, query: &[], body: None, wanted: 200 }
    }

    /// The fault of an unsuccessful answer.
    fn fault_of(&self, answer: &HttpAnswer) -> Option<Fault> {
        (answer.status != self.wanted).then(|| glance_fault(self.operation, answer))
    }
}

impl OpenStackCloud {
    /// Builds a client. Sends nothing.
    pub fn new(access: OpenStackAccess, client_context: &ClientContext) -> Self {
        Self {
            project: access.project.clone(),
            keystone: Keystone::new(access, client_context.clone()),
            client_context: client_context.clone(),
            writing: Mutex::default(),
            removal_pause: REMOVAL_PAUSE,
        }
    }

    /// Makes one call and returns the body of its answer.
    async fn call(&self, region: &RegionId, question: Question<'_>, priority: Priority) -> Result<Vec<u8>, Fault> {
        let token = self.keystone.token(Wanted::Valid, priority).await?;
        match self.send(&token.value, region, &question, priority).await {
            // Keystone revoked the token or it expired early. The refused call had no effect.
            Err(Fault::Unauthenticated { .. }) => {
                let token = self.keystone.token(Wanted::OtherThan(&token), priority).await?;
                let again = self.send(&token.value, region, &question, priority).await;
                again.map_err(refused_anew)
            }
            answer => answer,
        }
    }

    async fn send(
        &self,
        token: &ProjectToken,
        region: &RegionId,
        question: &Question<'_>,
        priority: Priority,
    ) -> Result<Vec<u8>, Fault> {
        let request = Self::request(token, region, question)?;
        self.acquire(region, priority).await?;
        let judge = |answer: &HttpAnswer| question.fault_of(answer);
        Ok(self.client_context.send(self.bucket(region), request, judge).await?.body)
    }

    /// The bucket of the project's calls in a region.
    fn bucket<'a>(&'a self, region: &'a RegionId) -> (Provider, &'a str, &'a str) {
        (Provider::OpenStack, self.keystone.budget_account(), region.as_str())
    }

    /// Waits until the account's budget allows another call, as long as `priority` may wait.
    async fn acquire(&self, region: &RegionId, priority: Priority) -> Result<(), Fault> {
        let (provider, account, region) = self.bucket(region);
        self.client_context.acquire(provider, account, region, priority).await
    }

    fn request(token: &ProjectToken, region: &RegionId, question: &Question<'_>) -> Result<Request, Fault> {
        let url = below(token.image_service(region)?, &question.path, question.query)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(HeaderName::from_static("x-auth-token"), token.header.clone());
        let mut body = Vec::new();
        if let Some((content_type, value)) = &question.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            body = value.to_string().into_bytes();
        }
        Ok(Request { method: question.method.clone(), url, headers, body })
    }

    /// Reads one image; `None` only if the image is proven absent.
    async fn show(&self, region: &RegionId, image: &ImageId, priority: Priority) -> Result<Option<Vec<u8>>, Fault> {
        match self.call(region, Question::read([image.as_str()]), priority).await {
            Ok(body) => Ok(Some(body)),
            Err(Fault::NotFound(Missing::Image)) => {
                self.prove_absence(region, image, priority.escalate()).await.map(|()| None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Glance also answers 404 where its policy denies `get_image` (33, `ImageAPIPolicy`); the image may still exist. It
    /// answers a denied list with 403, so absence takes a successful list that lacks the image.
    async fn prove_absence(&self, region: &RegionId, image: &ImageId, priority: Priority) -> Result<(), Fault> {
        let filter = format!("in:{image}");
        let query = [("id", filter.as_str()), ("limit", "1")];
        let body = match self.call(region, Question { query: &query, ..Question::read([]) }, priority).await {
            Ok(body) => body,
            Err(Fault::Forbidden { code }) if code != ACCESS_RULES => {
                return Err(Fault::Forbidden { code: "get_images".to_owned() });
            }
            Err(Fault::NotFound(_)) => return Err(Fault::Unintelligible),
            Err(fault) => return Err(fault),
        };
        let listed = wire::read_images(&body, &self.project)?.rows;
        if listed.iter().any(|row| row.id == *image) { Err(Fault::Unintelligible) } else { Ok(()) }
    }

    async fn read_image(&self, at: &ImageRef, priority: Priority) -> Result<Option<ImageSeen>, Fault> {
        let body = self.show(&at.region, &at.image, priority).await?;
        body.map_or(Ok(None), |body| wire::read_image(&body, &at.image, &self.project))
    }

    /// Why Glance refuses a call on members: its answer is the same for missing rights and for the image's visibility.
    async fn why_no_members(&self, at: &ImageRef, fault: Fault, priority: Priority) -> Fault {
        if !is_ambiguous(&fault) {
            return fault;
        }
        let facts = match self.read_image(at, priority).await {
            Ok(None) => return Fault::NotFound(Missing::Image),
            Ok(Some(seen)) => seen.facts,
            Err(other) => return other,
        };
        match (facts.ownership, facts.visibility, fault) {
            (Ownership::Own, Visibility::Private, _) => Fault::Conflict(Conflict::ImagePrivate),
            (Ownership::Own, Visibility::Public, _) => {
                Fault::Refused { refusal: Refusal::Image, code: "NotShared".to_owned() }
            }
            // Glance shows the image but answers 404 for its members: this proves nothing.
            (Ownership::Own, Visibility::Shared, Fault::NotFound(_)) => Fault::Unintelligible,
            (_, _, Fault::NotFound(_)) => Fault::Forbidden { code: "NotOwner".to_owned() },
            (_, _, fault) => fault,
        }
    }

    /// Locks writes to one image.
    async fn write_lock(&self, at: &ImageRef) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            writing.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(writing.entry((at.region.clone(), at.image.clone())).or_default())
        };
        turn.lock_owned().await
    }

    async fn add(&self, at: &ImageRef, member: &PrincipalId, priority: Priority) -> Result<(), Fault> {
        let question = Question {
            operation: Operation::AddMember,
            method: Method::POST,
            body: Some(("application/json", json!({"member": member}))),
            ..Question::read([at.image.as_str(), "members"])
        };
        match self.call(&at.region, question, priority).await {
            Ok(body) => wire::read_member(&body, &at.image, member).map(drop),
            // Already a member.
            Err(Fault::Conflict(_)) => Ok(()),
            Err(fault) => Err(self.why_no_members(at, fault, priority).await),
        }
    }

    /// Removes a member until a list no longer contains it.
    async fn remove(&self, at: &ImageRef, member: &Recipient, priority: Priority) -> Result<(), Fault> {
        for number in 1..=REMOVALS_MAX {
            let question = Question {
                operation: Operation::Change,
                method: Method::DELETE,
                wanted: 204,
                ..Question::read([at.image.as_str(), "members", member.id.as_str()])
            };
            match self.call(&at.region, question, priority).await {
                // 404 may mean the image or the member; the list below tells which.
                Ok(_) | Err(Fault::NotFound(Missing::Image)) => {}
                Err(fault) => return Err(self.why_no_members(at, fault, priority).await),
            }
            if !self.list_recipients(at, priority).await?.recipients.contains_key(member) {
                return Ok(());
            }
            tracing::warn!(image = %at.image, %member, number, "a member is still listed after its removal");
            tokio::time::sleep(self.removal_pause).await;
        }
        Err(Fault::Conflict(Conflict::ImageBusy))
    }

    /// Reads the list of received images that have one answer. Returns whether it read all pages.
    async fn list_answered(
        &self,
        region: &RegionId,
        (word, answer): (&str, Answer),
        images: &mut BTreeMap<ImageId, ReceivedImage>,
        mut priority: Priority,
    ) -> Result<bool, Fault> {
        let limit = PAGE_SIZE.to_string();
        let mut marker: Option<ImageId> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("visibility", "shared"), ("member_status", word), ("limit", limit.as_str())];
            query.extend(marker.as_ref().map(|marker| ("marker", marker.as_str())));
            let body = self.call(region, Question { query: &query, ..Question::read([]) }, priority).await?;
            let page = wire::read_images(&body, &self.project)?;
            // The page count bounds the list only if no page exceeds the requested size.
            if page.rows.len() > PAGE_SIZE {
                return Err(Fault::Unintelligible);
            }
            let received = |seen: ImageSeen| Some((seen.id.clone(), self.received(seen, answer)?));
            images.extend(page.rows.into_iter().filter_map(received));
            if page.marker.is_none() {
                return Ok(true);
            }
            if page.marker == marker {
                return Err(Fault::Unintelligible);
            }
            marker = page.marker;
            // Finish a list once begun: one longer than `Resync` may read at once would never be complete.
            priority = priority.escalate();
        }
        Ok(false)
    }

    fn received(&self, seen: ImageSeen, answer: Answer) -> Option<ReceivedImage> {
        let ImageSeen { id: image, facts: ImageFacts { ownership, name, kind, state, .. }, .. } = seen;
        let Ownership::Received { owner } = ownership else { return None };
        let through = self.project.clone();
        let via = BTreeMap::from([(Recipient { kind: RecipientKind::Project, id: through.clone() }, Some(answer))]);
        Some(ReceivedImage { image, through, owner, name, kind, state, answer: Some(answer), via })
    }
}

/// Builds a URL below the image service. Each part of the path is one segment.
pub(super) fn below(service: &Url, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Fault> {
    let mut url = service.clone();
    url.path_segments_mut().map_err(|()| Fault::Unintelligible)?.pop_if_empty().extend(["v2", "images"]).extend(path);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

fn only_projects(recipient: &Recipient) -> Result<(), Fault> {
    match recipient.kind {
        RecipientKind::Project => Ok(()),
        RecipientKind::Account | RecipientKind::Organization => {
            Err(Fault::Refused { refusal: Refusal::Recipient, code: "NotAProject".to_owned() })
        }
    }
}

#[async_trait]
impl Cloud for OpenStackCloud {
    async fn identity(&self) -> Result<PrincipalId, Fault> {
        let token = self.keystone.token(Wanted::Fresh, Priority::Acceptance).await?;
        Ok(token.value.project().clone())
    }

    async fn regions(&self) -> Result<Vec<RegionId>, Fault> {
        self.keystone.token(Wanted::Valid, Priority::Acceptance).await?.value.regions()
    }

    fn principal(&self, _: &RegionId) -> Option<PrincipalId> {
        Some(self.project.clone())
    }

    async fn observe_image(&self, at: &ImageRef, priority: Priority) -> Result<Option<ImageFacts>, Fault> {
        Ok(self.read_image(at, priority).await?.map(|seen| seen.facts))
    }

    async fn list_recipients(&self, at: &ImageRef, priority: Priority) -> Result<RecipientList, Fault> {
        match self.call(&at.region, Question::read([at.image.as_str(), "members"]), priority).await {
            Ok(body) => wire::read_members(&body, &at.image),
            Err(fault) => Err(self.why_no_members(at, fault, priority).await),
        }
    }

    async fn change_recipients(
        &self,
        at: &ImageRef,
        change: &RecipientChange,
        priority: Priority,
    ) -> Result<Submitted, Fault> {
        let _turn = self.write_lock(at).await;
        match (change.add.as_slice(), change.remove.as_slice()) {
            ([], []) => {}
            ([new], []) => {
                only_projects(new)?;
                self.add(at, &new.id, priority).await?;
            }
            ([], [old]) => {
                only_projects(old)?;
                self.remove(at, old, priority).await?;
            }
            _ => {
                return Err(Fault::Refused {
                    refusal: Refusal::Unknown,
                    code: "TooManyRecipientsInOneCall".to_owned(),
                });
            }
        }
        Ok(Submitted::Done)
    }

    async fn open_for_sharing(&self, at: &ImageRef, priority: Priority) -> Result<(), Fault> {
        let _turn = self.write_lock(at).await;
        let question = Question {
            operation: Operation::Change,
            method: Method::PATCH,
            body: Some((PATCH, json!([{"op": "replace", "path": "/visibility", "value": "shared"}]))),
            ..Question::read([at.image.as_str()])
        };
        let body = self.call(&at.region, question, priority).await?;
        let seen = wire::read_image(&body, &at.image, &self.project)?;
        let shared = seen.is_some_and(|seen| seen.facts.visibility == Visibility::Shared);
        if shared { Ok(()) } else { Err(Fault::Unintelligible) }
    }

    async fn follow_job(&self, _: &RegionId, _: &JobId, _: Priority) -> Result<JobProgress, Fault> {
        Ok(JobProgress::Ended)
    }

    async fn delete_image(&self, at: &ImageRef) -> Result<(), Fault> {
        let _turn = self.write_lock(at).await;
        let question = Question {
            operation: Operation::DeleteImage,
            method: Method::DELETE,
            wanted: 204,
            ..Question::read([at.image.as_str()])
        };
        let Err(fault) = self.call(&at.region, question, Priority::Edit).await else { return Ok(()) };
        if !is_ambiguous(&fault) {
            return Err(fault);
        }
        // Glance gives the same answer for a protected image and a foreign one, and for a deleted image and a hidden one.
        Err(match (self.read_image(at, Priority::Edit).await?, fault) {
            (Some(seen), _) if seen.protected && seen.facts.ownership == Ownership::Own => {
                Fault::Conflict(Conflict::ImageProtected)
            }
            (Some(_), Fault::NotFound(_)) => Fault::Unintelligible,
            (Some(_), fault) => fault,
            (None, _) => Fault::NotFound(Missing::Image),
        })
    }

    async fn list_own(&self, region: &RegionId, priority: Priority) -> Result<OwnList, Fault> {
        self.own_images(region, priority).await
    }

    async fn observe_received(&self, at: &ImageRef, priority: Priority) -> Result<Option<ReceivedImage>, Fault> {
        // A public image is not shared with a particular project.
        let Some(seen) = self
            .read_image(at, priority)
            .await?
            .filter(|seen| seen.facts.ownership != Ownership::Own && seen.facts.visibility == Visibility::Shared)
        else {
            return Ok(None);
        };
        let path = [at.image.as_str(), "members", self.project.as_str()];
        match self.call(&at.region, Question::read(path), priority.escalate()).await {
            Ok(body) => Ok(self.received(seen, wire::read_member(&body, &at.image, &self.project)?)),
            Err(Fault::NotFound(Missing::Image)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn list_received(&self, region: &RegionId, priority: Priority) -> Result<ReceivedList, Fault> {
        let (mut images, mut complete, mut priority) = (BTreeMap::new(), true, priority);
        // Rows carry no answer, so read three lists. This order ensures that an offer answered meanwhile is in one of
        // them. None contains images that their owner hides from lists (`os_hidden`).
        for list in [("pending", Answer::Pending), ("rejected", Answer::Rejected), ("accepted", Answer::Accepted)] {
            complete &= self.list_answered(region, list, &mut images, priority).await?;
            priority = priority.escalate();
        }
        Ok(ReceivedList { images: images.into_values().collect(), complete })
    }

    async fn answer(&self, at: &ImageRef, reply: &Reply, priority: Priority) -> Result<Submitted, Fault> {
        let status = match reply {
            Reply::Accept { .. } => "accepted",
            Reply::Reject => "rejected",
        };
        let question = Question {
            operation: Operation::Change,
            method: Method::PUT,
            body: Some(("application/json", json!({"status": status}))),
            ..Question::read([at.image.as_str(), "members", self.project.as_str()])
        };
        let body = self.call(&at.region, question, priority).await?;
        wire::read_member(&body, &at.image, &self.project)?;
        Ok(Submitted::Done)
    }

    fn call_shape(&self) -> CallShape {
        CALL_SHAPE
    }
}

#[cfg(test)]
mod tests;
