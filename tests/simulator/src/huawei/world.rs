//! The world of Huawei Cloud: domains, projects, images, members. A pure state machine: time comes in as an argument, and
//! nothing here knows of HTTP, faults or journal. What a call would change is planned in `world/plan.rs`, jobs carry it
//! out in `world/jobs.rs`, copies of images are in `world/copies.rs`, making them in `world/making.rs`, names and tags in `world/attributes.rs`, and admin
//! overrides in `world/admin.rs`.

mod admin;
mod attributes;
mod copies;
mod jobs;
mod making;
mod plan;
#[cfg(test)]
mod tests;

pub use admin::{DomainPatch, ImagePatch, KeyPatch, Received, RulesPatch};
pub(crate) use attributes::{Attribute, TagChange};
pub use copies::{CopyOrder, CopyTo};
pub use jobs::{Asker, Ended, Job, Phase};
pub use making::{Making, Material};
pub use plan::Order;

pub(in crate::huawei) use jobs::Submission;

use super::recipient::{self, MemberKind, Recipient};
use super::rules::{self, Rules};
use super::world_file::{Domain, ImageSpec, Key, MemberStatus, Origin, Project, Site};
use crate::chassis::history::History;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::refusal::Refusal;
use jiff::Timestamp;
use jobs::Jobs;
use std::collections::BTreeMap;

/// One member of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub recipient: Recipient,
    /// What became of the offer.
    pub status: MemberStatus,
    /// Since when it is a member.
    pub created: Timestamp,
    /// When its status last changed.
    pub updated: Timestamp,
}

/// An image and its members.
#[derive(Debug, Clone)]
pub struct Image {
    spec: ImageSpec,
    region: RegionId,
    members: History<Vec<Member>>,
    deleting: bool,
    /// A copy that is not shown before its end.
    hidden: bool,
}

impl Image {
    /// All but the members (`members` is of the time of loading; see [`Image::members`]).
    pub fn spec(&self) -> &ImageSpec {
        &self.spec
    }

    /// Its region.
    pub fn region(&self) -> &RegionId {
        &self.region
    }

    /// The members at present, in the order of their recipients.
    pub fn members(&self) -> &[Member] {
        self.members.present()
    }

    /// The members as they were at `instant`; the oldest remembered where that is longer ago.
    pub fn members_at(&self, instant: Timestamp) -> &[Member] {
        self.members.at(instant)
    }

    /// The member that is this recipient.
    pub fn member(&self, recipient: &Recipient) -> Option<&Member> {
        self.members().iter().find(|member| member.recipient == *recipient)
    }

    fn set_members(&mut self, mut members: Vec<Member>, now: Timestamp) {
        members.sort_by(|one, other| one.recipient.cmp(&other.recipient));
        self.members.set(members, now);
    }
}

/// How an image relates to the project that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Owned.
    Own,
    /// Offered to it, to its domain or to an organization of it, however answered.
    Received,
    /// The vendor's.
    Gold,
    /// A Marketplace seller's.
    Market,
}

/// Where a project is.
#[derive(Debug, Clone)]
struct Place {
    domain: AccountId,
    region: RegionId,
}

/// Domains, projects, images, jobs.
#[derive(Debug, Clone, Default)]
pub struct World {
    rules: Rules,
    sites: BTreeMap<Site, Vec<RegionId>>,
    domains: BTreeMap<AccountId, Domain>,
    places: BTreeMap<AccountId, Place>,
    images: BTreeMap<ImageId, Image>,
    jobs: Jobs,
}

impl World {
    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Domain and key of a key id; a closed domain's keys are gone.
    pub fn key(&self, ak: &str) -> Option<(&Domain, &Key)> {
        let open = self.domains.values().filter(|domain| !domain.closed);
        open.flat_map(|domain| domain.keys.iter().map(move |key| (domain, key))).find(|(_, key)| key.ak == ak)
    }

    /// A domain that is open.
    pub fn domain(&self, id: &AccountId) -> Option<&Domain> {
        self.domains.get(id).filter(|domain| !domain.closed)
    }

    /// The domain of a name.
    pub fn domain_named(&self, name: &str) -> Option<&Domain> {
        self.domains.values().find(|domain| domain.name == name && !domain.closed)
    }

    /// A project and its domain, if that is open.
    pub fn project(&self, id: &AccountId) -> Option<(&Domain, &Project)> {
        let domain = self.domain(&self.places.get(id)?.domain)?;
        Some((domain, domain.projects.iter().find(|project| project.id == *id)?))
    }

    /// The regions of a domain's site.
    pub fn regions(&self, domain: &AccountId) -> &[RegionId] {
        let site = self.domains.get(domain).map(|domain| domain.site);
        site.and_then(|site| self.sites.get(&site)).map_or(&[], Vec::as_slice)
    }

    /// All images by id.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.images.values()
    }

    /// An image, whoever owns it.
    pub fn image(&self, id: &ImageId) -> Option<&Image> {
        self.images.get(id)
    }

    /// How many custom images a project owns.
    pub fn owned_images(&self, project: &AccountId) -> usize {
        self.images.values().filter(|image| image.is_owned_by(project)).count()
    }

    /// How an image relates to a project; `None` where it may not know of it.
    pub fn relation(&self, image: &Image, project: &AccountId) -> Option<Relation> {
        let here = self.places.get(project).is_some_and(|place| place.region == image.region);
        match image.spec.origin {
            _ if !here || image.hidden => None,
            Origin::Gold => Some(Relation::Gold),
            Origin::Market => Some(Relation::Market),
            Origin::Private if image.spec.project == *project => Some(Relation::Own),
            Origin::Private => self.has_rows(image, project).then_some(Relation::Received),
        }
    }

    /// Every image a project may know of, by id.
    pub fn seen_by(&self, project: &AccountId) -> Vec<(&Image, Relation)> {
        let relation = |image| self.relation(image, project).map(|relation| (image, relation));
        self.images.values().filter_map(relation).collect()
    }

    /// An image the project may know of.
    ///
    /// # Errors
    /// When there is none.
    pub fn visible(&self, project: &AccountId, id: &ImageId) -> Result<(&Image, Relation), Refusal> {
        let image = self.images.get(id);
        let seen = image.and_then(|image| self.relation(image, project).map(|relation| (image, relation)));
        seen.ok_or_else(|| rules::IMAGE_NOT_FOUND.about(id.as_str()))
    }

    /// The project's own image: the only ones whose members it may change.
    ///
    /// # Errors
    /// When there is none the project may know of, it is no custom image, or another's.
    pub fn owned(&self, project: &AccountId, id: &ImageId) -> Result<&Image, Refusal> {
        match self.visible(project, id)? {
            (image, Relation::Own) => Ok(image),
            (_, Relation::Gold | Relation::Market) => Err(rules::NOT_CUSTOM.about(id.as_str())),
            (_, Relation::Received) => Err(rules::NOT_OWNER.about(id.as_str())),
        }
    }

    /// Of an image's members, those the project may see as of `instant`: the owner all, a recipient those through which
    /// it has the image itself.
    ///
    /// # Errors
    /// When there is no image the project may know of.
    pub fn members_seen(&self, project: &AccountId, id: &ImageId, instant: Timestamp) -> Result<Vec<&Member>, Refusal> {
        let (image, relation) = self.visible(project, id)?;
        let members = image.members_at(instant).iter();
        Ok(members.filter(|member| relation == Relation::Own || self.covers(&member.recipient, project)).collect())
    }

    /// The members through which a project has an image of its region.
    pub fn rows<'a>(&'a self, image: &'a Image, project: &'a AccountId) -> impl Iterator<Item = &'a Member> {
        image.members().iter().filter(|member| self.covers(&member.recipient, project))
    }

    fn has_rows(&self, image: &Image, project: &AccountId) -> bool {
        self.rows(image, project).next().is_some()
    }

    fn covers(&self, recipient: &Recipient, project: &AccountId) -> bool {
        if recipient.kind == MemberKind::Project {
            return recipient.id == *project;
        }
        let Some(domain) = self.places.get(project).and_then(|place| self.domains.get(&place.domain)) else {
            return false;
        };
        match recipient.kind {
            MemberKind::Domain => recipient.id == domain.id,
            _ => domain.organizations.iter().any(|home| recipient::reaches(recipient.id.as_str(), home.as_str())),
        }
    }
}

impl Image {
    fn is_owned_by(&self, project: &AccountId) -> bool {
        self.spec.origin == Origin::Private && self.spec.project == *project
    }
}
