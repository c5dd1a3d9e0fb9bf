//! Parsers of the answers of Keystone and Glance. They ignore unknown fields and are strict about required ones: an
//! answer that lacks one, or is about another object than requested, is `Unintelligible` and proves nothing.

mod copies;
pub(super) mod own;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Interface;
use crate::clouds::Fault;
use crate::clouds::endpoint_rule::{AllowedEndpoints, CheckedEndpoint, ServiceEndpoint, origin_of};
use crate::domain::identifiers::{ImageId, PrincipalId, Recipient, RecipientKind, RegionId};
use crate::domain::image::{Answer, ImageFacts, ImageKind, ImageState, Ownership, RecipientList, Visibility};
use crate::domain::provider::Provider;
pub(super) use copies::{MARK, SOURCE_HASH, read_content, read_copy};

/// Maximum rows read from one answer: Glance caps a page at 1,000, and a quota of members may be as high.
const ROWS_MAX: usize = 5000;
/// Longest image name kept, in characters; Glance allows 255.
const NAME_CHARS_MAX: usize = 256;

#[derive(Deserialize)]
struct TokenAnswer {
    token: TokenPart,
}

#[derive(Deserialize)]
struct TokenPart {
    issued_at: Timestamp,
    expires_at: Timestamp,
    project: Option<ProjectPart>,
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Deserialize)]
struct ProjectPart {
    id: String,
}

#[derive(Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    #[serde(default)]
    region_id: Option<String>,
    #[serde(default)]
    region: Option<String>,
    url: String,
}

#[derive(Deserialize)]
struct ImageRow {
    id: String,
    owner: Option<String>,
    status: String,
    visibility: String,
    #[serde(default)]
    protected: bool,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    cinder_encryption_key_id: Option<String>,
    #[serde(default)]
    os_encrypt_key_id: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct ImagesAnswer {
    images: Vec<ImageRow>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct MembersAnswer {
    members: Vec<MemberRow>,
}

#[derive(Deserialize)]
struct MemberRow {
    member_id: String,
    image_id: String,
    status: String,
}

/// The content of a token answer, without the token itself.
#[derive(Debug, Clone)]
pub(super) struct TokenFacts {
    /// The token's project.
    pub(super) project: PrincipalId,
    /// The token's lifetime, by Keystone's clock alone: ours may differ.
    pub(super) lifetime: SignedDuration,
    /// The image service by region. Of one that the operator must not call, the origin, if it is well-formed.
    pub(super) image_services: BTreeMap<RegionId, Result<CheckedEndpoint, Option<String>>>,
    /// The interface of these image services.
    pub(super) interface: Interface,
    /// Which other interfaces image services of the catalogue have.
    pub(super) other_interfaces: BTreeSet<Interface>,
}

/// One image as Glance shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageSeen {
    pub(super) id: ImageId,
    pub(super) facts: ImageFacts,
    /// Glance refuses to delete the image while this is set.
    pub(super) protected: bool,
}

/// One page of a list of images.
#[derive(Debug)]
pub(super) struct ImagePage {
    pub(super) rows: Vec<ImageSeen>,
    /// Start of the next page; `None` on the last one.
    pub(super) marker: Option<ImageId>,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Unintelligible)
}

fn bounded<T>(rows: Vec<T>) -> Result<Vec<T>, Fault> {
    if rows.len() > ROWS_MAX { Err(Fault::Unintelligible) } else { Ok(rows) }
}

/// Reads a token answer, with the catalogue's image services of the account's interface; or, if the account names the image service
/// itself, with that one for each region of the catalogue's.
pub(super) fn read_token(
    body: &[u8],
    interface: Interface,
    image: Option<&ServiceEndpoint>,
    allowed: &AllowedEndpoints,
) -> Result<TokenFacts, Fault> {
    let TokenPart { issued_at, expires_at, project, catalog } = read::<TokenAnswer>(body)?.token;
    let project = project.ok_or(Fault::Unintelligible)?.id;
    let project = Provider::OpenStack.parse_principal(&project).map_err(|_| Fault::Unintelligible)?;
    let (mut image_services, mut other_interfaces) = (BTreeMap::new(), BTreeSet::new());
    let services = bounded(catalog)?.into_iter().filter(|service| service.kind == "image");
    for endpoint in services.flat_map(|service| service.endpoints).take(ROWS_MAX) {
        let region = endpoint.region_id.or(endpoint.region).unwrap_or_default();
        // No object can name a region whose name is not a valid `RegionId`.
        let Ok(region) = RegionId::parse(&region) else { continue };
        let of = Interface::of(&endpoint.interface);
        if let Some(image) = image {
            let given = image.endpoint(Some(&region)).ok_or(None);
            image_services.entry(region).or_insert(given);
        } else if of == Some(interface) {
            // Some catalogues include the version, some do not.
            let url = endpoint.url.strip_suffix('/').unwrap_or(&endpoint.url);
            let url = url.strip_suffix("/v2").unwrap_or(url);
            let check = || allowed.check_service(Provider::OpenStack, url).map_err(|_| origin_of(url));
            image_services.entry(region).or_insert_with(check);
        } else {
            other_interfaces.extend(of);
        }
    }
    let lifetime = expires_at.duration_since(issued_at);
    Ok(TokenFacts { project, lifetime, image_services, interface, other_interfaces })
}

/// Reads one image requested by id, as seen by a project; `None` if Glance is deleting it.
pub(super) fn read_image(body: &[u8], asked: &ImageId, project: &PrincipalId) -> Result<Option<ImageSeen>, Fault> {
    let row: ImageRow = read(body)?;
    if row.id != asked.as_str() {
        return Err(Fault::Unintelligible);
    }
    image_of(row, project)
}

/// Reads one page of a list of images.
pub(super) fn read_images(body: &[u8], project: &PrincipalId) -> Result<ImagePage, Fault> {
    let ImagesAnswer { images, next } = read(body)?;
    let rows = bounded(images)?.into_iter().filter_map(|row| image_of(row, project).transpose());
    Ok(ImagePage { rows: rows.collect::<Result<_, _>>()?, marker: next.as_deref().map(marker_of).transpose()? })
}

/// Takes only the marker from a next-page link: Glance must not choose the host.
fn marker_of(next: &str) -> Result<ImageId, Fault> {
    let query = next.split_once('?').map_or("", |(_, query)| query);
    // Any base URL works: this reads only the query.
    let mut url = Url::parse("http://localhost/").map_err(|_| Fault::Unintelligible)?;
    url.set_query(Some(query));
    let marker = url.query_pairs().find(|(name, _)| name == "marker").map(|(_, value)| value.into_owned());
    ImageId::parse(&marker.unwrap_or_default()).map_err(|_| Fault::Unintelligible)
}

fn image_of(row: ImageRow, project: &PrincipalId) -> Result<Option<ImageSeen>, Fault> {
    let id = ImageId::parse(&row.id).map_err(|_| Fault::Unintelligible)?;
    let owner = row.owner.filter(|owner| !owner.is_empty());
    let owner = owner.map(|owner| PrincipalId::parse(&owner)).transpose().map_err(|_| Fault::Unintelligible)?;
    let ownership = if owner.as_ref() == Some(project) { Ownership::Own } else { Ownership::Received { owner } };
    let state = match row.status.as_str() {
        "active" => ImageState::Available,
        "queued" | "saving" | "uploading" | "importing" => ImageState::Creating,
        "killed" => ImageState::Failed,
        "deactivated" => ImageState::Deprecated,
        "deleted" | "pending_delete" => return Ok(None),
        _ => return Err(Fault::Unintelligible),
    };
    let visibility = match row.visibility.as_str() {
        "shared" => Visibility::Shared,
        "private" => Visibility::Private,
        "public" | "community" => Visibility::Public,
        _ => return Err(Fault::Unintelligible),
    };
    let facts = ImageFacts {
        ownership,
        state,
        kind: ImageKind::SystemDisk,
        name: row.name.unwrap_or_default().chars().take(NAME_CHARS_MAX).collect(),
        encrypted: row.cinder_encryption_key_id.is_some() || row.os_encrypt_key_id.is_some(),
        keys: BTreeSet::new(),
        snapshots: BTreeSet::new(),
        from_marketplace: false,
        visibility,
        size: row.size,
    };
    Ok(Some(ImageSeen { id, facts, protected: row.protected }))
}

/// Reads all members of an image. Glance may list a member twice (see `client.rs`): the answer that shows the image
/// counts. Glance accepts any text as a member; an invalid identifier makes the list incomplete.
pub(super) fn read_members(body: &[u8], asked: &ImageId) -> Result<RecipientList, Fault> {
    let mut list = RecipientList { recipients: BTreeMap::new(), complete: true };
    for row in bounded(read::<MembersAnswer>(body)?.members)? {
        let answer = answer_of(&row, asked)?;
        let Ok(id) = PrincipalId::parse(&row.member_id) else {
            list.complete = false;
            continue;
        };
        let said = list.recipients.entry(Recipient { kind: RecipientKind::Project, id }).or_insert(Some(answer));
        if answer == Answer::Accepted || (*said == Some(Answer::Rejected)) {
            *said = Some(answer);
        }
    }
    Ok(list)
}

/// Reads the requested member of an image.
pub(super) fn read_member(body: &[u8], asked: &ImageId, member: &PrincipalId) -> Result<Answer, Fault> {
    let row: MemberRow = read(body)?;
    if row.member_id == member.as_str() { answer_of(&row, asked) } else { Err(Fault::Unintelligible) }
}

fn answer_of(row: &MemberRow, asked: &ImageId) -> Result<Answer, Fault> {
    match row.status.as_str() {
        _ if row.image_id != asked.as_str() => Err(Fault::Unintelligible),
        "pending" => Ok(Answer::Pending),
        "accepted" => Ok(Answer::Accepted),
        "rejected" => Ok(Answer::Rejected),
        _ => Err(Fault::Unintelligible),
    }
}

#[cfg(test)]
mod tests;
