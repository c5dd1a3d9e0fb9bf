//! Copies of images. Glance has no copy call, so the operator reads the content of one image and writes it into another.
//!
//! The new image's id is derived from the order's mark. Glance never assigns an id twice, not even after deletion. So an
//! order makes at most one image, however often it is requested.

use std::time::Instant;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};

use super::super::faults::{Operation, glance_fault};
use super::super::keystone::ProjectToken;
use super::super::wire::{MARK, SOURCE_HASH, read_content, read_copy};
use super::{OpenStackCloud, Question, refused_anew};
use crate::clouds::copying::{Content, ContentFacts, Copies, CopyMark, CopyOrder};
use crate::clouds::tokens::Wanted;
use crate::clouds::transport::Opened;
use crate::clouds::{Cloud, CopyProgress, Copying, Fault, ImageRef, Priority};
use crate::domain::fault::{Missing, Refusal};
use crate::domain::identifiers::{ImageId, RegionId};

/// Derives the only id the copy of this mark may have: a UUID of version 8 (RFC 9562, 5.8), from SHA-256.
fn id_of(mark: &CopyMark) -> Result<ImageId, Fault> {
    let mut bytes = [0; 16];
    let hash = digest(&SHA256, mark.to_string().as_bytes());
    bytes.iter_mut().zip(hash.as_ref()).for_each(|(byte, hashed)| *byte = *hashed);
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0b11 << 62) | (8 << 76) | (0b10 << 62);
    let digits = format!("{number:032x}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if [8, 12, 16, 20].contains(&at) {
            text.push('-');
        }
        text.push(digit);
    }
    ImageId::parse(&text).map_err(|_| Fault::Unintelligible)
}

/// The body that creates the empty image. Its visibility allows sharing the copy.
fn new_image(id: &ImageId, order: &CopyOrder, content: &ContentFacts) -> Value {
    let text = |(name, value): (&String, &String)| (name.clone(), Value::from(value.as_str()));
    let mut image: Map<String, Value> = content.properties.iter().map(text).collect();
    if let Some((algorithm, value)) = &content.hash {
        image.insert(SOURCE_HASH.to_owned(), format!("{algorithm}:{value}").into());
    }
    // Insert fields last, so that no property can replace one.
    let fields = [
        ("id", json!(id)),
        ("name", json!(order.name.as_str())),
        ("disk_format", json!(content.disk_format)),
        ("container_format", json!(content.container_format)),
        ("min_disk", json!(content.min_disk)),
        ("min_ram", json!(content.min_ram)),
        ("visibility", json!("shared")),
        (MARK, json!(order.mark.description())),
    ];
    image.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(image)
}

/// Characters outside the Basic Multilingual Plane: Glance refuses them (400, `no_4byte_params` in `images.py`).
fn is_wide(c: char) -> bool {
    u32::from(c) > 0xffff
}

fn refused(refusal: Refusal, code: &str) -> Fault {
    Fault::Refused { refusal, code: code.to_owned() }
}

impl OpenStackCloud {
    /// Reads the progress of this order's copy; `Gone` if the image is not that copy.
    async fn read_copy(&self, order: &CopyOrder, image: &ImageId, priority: Priority) -> Result<CopyProgress, Fault> {
        let body = self.show(&order.region, image, priority).await?;
        let read = |body: Vec<u8>| read_copy(&body, image, &self.project, &order.mark.description());
        body.map_or(Ok(CopyProgress::Gone), read)
    }

    /// Makes a call whose answer is read piece by piece.
    async fn open(
        &self,
        token: &ProjectToken,
        region: &RegionId,
        question: &Question<'_>,
        priority: Priority,
    ) -> Result<Opened, Fault> {
        let request = Self::request(token, region, question)?;
        self.acquire(region, priority).await?;
        let (host, begun) = (request.host(), Instant::now());
        let judged = async {
            let opened = self.client_context.transport.open(request).await?;
            match opened.status {
                200 | 204 => Ok(opened),
                _ => Err(glance_fault(question.operation, &opened.whole().await?)),
            }
        };
        let judged = judged.await;
        self.client_context.requested(self.bucket(region), &host, judged.as_ref().err(), begun);
        judged
    }
}

#[async_trait]
impl Copies for OpenStackCloud {
    async fn begin_copy(
        &self,
        order: &CopyOrder,
        content: Option<&ContentFacts>,
        priority: Priority,
    ) -> Result<Copying, Fault> {
        let content = content.ok_or_else(|| refused(Refusal::Copy, "NoContentFacts"))?;
        let id = id_of(&order.mark)?;
        let question = Question {
            operation: Operation::MakeImage,
            method: Method::POST,
            body: Some(("application/json", new_image(&id, order, content))),
            wanted: 201,
            ..Question::read([])
        };
        match self.call(&order.region, question, priority).await {
            Ok(body) => match read_copy(&body, &id, &self.project, &order.mark.description())? {
                CopyProgress::Gone => Err(Fault::Unintelligible),
                _ => Ok(Copying::Image(id)),
            },
            Err(Fault::Conflict(_)) => match self.read_copy(order, &id, priority.escalate()).await? {
                // Glance keeps the id of a deleted image, or the image belongs to another project.
                CopyProgress::Gone => Err(refused(Refusal::Unknown, "IdUsed")),
                _ => Ok(Copying::Image(id)),
            },
            Err(Fault::Refused { refusal: Refusal::Copy, code }) if order.name.as_str().contains(is_wide) => {
                Err(Fault::Refused { refusal: Refusal::Name, code })
            }
            Err(fault) => Err(fault),
        }
    }

    async fn find_copy(&self, order: &CopyOrder, priority: Priority) -> Result<Option<ImageId>, Fault> {
        let id = id_of(&order.mark)?;
        let progress = self.read_copy(order, &id, priority).await?;
        Ok((progress != CopyProgress::Gone).then_some(id))
    }

    async fn follow_copy(
        &self,
        order: &CopyOrder,
        copying: &Copying,
        priority: Priority,
    ) -> Result<CopyProgress, Fault> {
        match copying {
            Copying::Image(image) => self.read_copy(order, image, priority).await,
            Copying::Job(_) => Err(refused(Refusal::Unknown, "NoJobs")),
        }
    }

    async fn cancel_copy(&self, order: &CopyOrder, image: &ImageId) -> Result<(), Fault> {
        if self.read_copy(order, image, Priority::Edit).await? == CopyProgress::Gone {
            return Ok(());
        }
        match self.delete_image(&order.place_of(image)).await {
            Ok(()) | Err(Fault::NotFound(Missing::Image)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    async fn content_facts(&self, at: &ImageRef, priority: Priority) -> Result<ContentFacts, Fault> {
        let body = self.call(&at.region, Question::read([at.image.as_str()]), priority).await?;
        read_content(&body, &at.image)
    }

    async fn download(&self, at: &ImageRef, priority: Priority) -> Result<Content, Fault> {
        let (region, question) = (&at.region, Question::read([at.image.as_str(), "file"]));
        let token = self.keystone.token(Wanted::Valid, priority).await?;
        let opened = match self.open(&token.value, region, &question, priority).await {
            Err(Fault::Unauthenticated { .. }) => {
                let token = self.keystone.token(Wanted::OtherThan(&token), priority).await?;
                self.open(&token.value, region, &question, priority).await.map_err(refused_anew)?
            }
            opened => opened?,
        };
        if opened.status == 204 {
            return Err(refused(Refusal::Copy, "NoContent"));
        }
        let size = match opened.length {
            Some(length) => length,
            None => self.content_facts(at, priority.escalate()).await?.size,
        };
        if size == 0 { Err(refused(Refusal::Copy, "NoContent")) } else { Ok(Content { size, pieces: opened.pieces() }) }
    }

    /// See `Copies::upload`. Returns a fault among the pieces unchanged. After such a fault or `Unreachable`, the image
    /// may be queued again, or even active with part of the content (see `follow_copy`).
    async fn upload(&self, at: &ImageRef, content: Content, priority: Priority) -> Result<(), Fault> {
        let region = &at.region;
        let question = Question {
            operation: Operation::Upload,
            method: Method::PUT,
            wanted: 204,
            ..Question::read([at.image.as_str(), "file"])
        };
        // The stream cannot be sent again with another token, and some stores use the token at the end: take a fresh one.
        let token = self.keystone.token(Wanted::Fresh, priority).await?;
        let mut request = Self::request(&token.value, region, &question)?;
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        self.acquire(region, priority).await?;
        let (host, begun) = (request.host(), Instant::now());
        let answer = self.client_context.transport.send_streamed(request, content.size, content.pieces).await;
        let judged = answer.and_then(|answer| question.fault_of(&answer).map(refused_anew).map_or(Ok(()), Err));
        self.client_context.requested(self.bucket(region), &host, judged.as_ref().err(), begun);
        judged
    }
}
