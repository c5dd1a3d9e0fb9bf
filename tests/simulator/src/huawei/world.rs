//! The world of Huawei Cloud: domains, projects, images, members. A pure state machine: time comes in as an argument, and
//! nothing here knows of HTTP, weather or journal. What a call would change is planned in `world/plan.rs`, jobs carry it
//! out in `world/jobs.rs`, copies of images are in `world/copies.rs`, and what goes around the rules is in
//! `world/backdoor.rs`.

mod admin;
mod copies;
mod jobs;
mod plan;
#[cfg(test)]
mod tests;

pub use admin::{DomainPatch, ImagePatch, KeyPatch, Received, RulesPatch};
pub use copies::{CopyOrder, CopyTo};
pub use jobs::{Asker, Ended, Job, Phase};
pub use plan::Order;

pub(super) use jobs::{JobFailure, Submission};

use super::recipient::{self, MemberKind, Recipient};
use super::rules::{self, Rules};
use super::world_file::{Domain, ImageSpec, Key, MemberStatus, Origin, Project, Site};
use crate::names::{AccountId, ImageId, RegionId};
use crate::rules::Refusal;
use jiff::Timestamp;
use jobs::Jobs;
use std::collections::{BTreeMap, VecDeque};

/// Past states of an image's members that are remembered, for lists that lag behind.
const MAX_HISTORY: usize = 1_000;

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
    members: Vec<Member>,
    /// Members as they were from each instant on, oldest first; the last is the present.
    history: VecDeque<(Timestamp, Vec<Member>)>,
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
        &self.members
    }

    /// The members as they were at `instant`; the oldest remembered where that is longer ago.
    pub fn members_at(&self, instant: Timestamp) -> &[Member] {
        let then = self.history.iter().rev().find(|(from, _)| *from <= instant).or(self.history.front());
        then.map_or(&[], |(_, members)| members)
    }

    /// The member that is this recipient.
    pub fn member(&self, recipient: &Recipient) -> Option<&Member> {
        self.members.iter().find(|member| member.recipient == *recipient)
    }

    fn set_members(&mut self, mut members: Vec<Member>, now: Timestamp) {
        members.sort_by(|one, other| one.recipient.cmp(&other.recipient));
        self.members.clone_from(&members);
        self.history.push_back((now, members));
        if self.history.len() > MAX_HISTORY {
            self.history.pop_front();
        }
    }
}

/// How an image stands to the project that looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActiveFaults {
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

    /// How an image stands to a project; `None` where it may not know of it.
    pub fn standing(&self, image: &Image, project: &AccountId) -> Option<ActiveFaults> {
        let here = self.places.get(project).is_some_and(|place| place.region == image.region);
        match image.spec.origin {
            _ if !here || image.hidden => None,
            Origin::Gold => Some(ActiveFaults::Gold),
            Origin::Market => Some(ActiveFaults::Market),
            Origin::Private if image.spec.project == *project => Some(ActiveFaults::Own),
            Origin::Private => self.has_rows(image, project).then_some(ActiveFaults::Received),
        }
    }

    /// Every image a project may know of, by id.
    pub fn seen_by(&self, project: &AccountId) -> Vec<(&Image, ActiveFaults)> {
        let standing = |image| self.standing(image, project).map(|standing| (image, standing));
        self.images.values().filter_map(standing).collect()
    }

    /// An image the project may know of.
    ///
    /// # Errors
    /// When there is none.
    pub fn visible(&self, project: &AccountId, id: &ImageId) -> Result<(&Image, ActiveFaults), Refusal> {
        let image = self.images.get(id);
        let seen = image.and_then(|image| self.standing(image, project).map(|standing| (image, standing)));
        seen.ok_or_else(|| rules::IMAGE_NOT_FOUND.about(id.as_str()))
    }

    /// The project's own image: the only ones whose members it may change.
    ///
    /// # Errors
    /// When there is none the project may know of, it is no custom image, or another's.
    pub fn owned(&self, project: &AccountId, id: &ImageId) -> Result<&Image, Refusal> {
        match self.visible(project, id)? {
            (image, ActiveFaults::Own) => Ok(image),
            (_, ActiveFaults::Gold | ActiveFaults::Market) => Err(rules::NOT_CUSTOM.about(id.as_str())),
            (_, ActiveFaults::Received) => {
                let code = self.rules.not_owner_code.clone();
                Err(Refusal { status: 400, code, message: format!("only its owner may share the image ({id})") })
            }
        }
    }

    /// Of an image's members, those the project may see as of `instant`: the owner all, a recipient those through which
    /// it has the image itself.
    ///
    /// # Errors
    /// When there is no image the project may know of.
    pub fn members_seen(&self, project: &AccountId, id: &ImageId, instant: Timestamp) -> Result<Vec<&Member>, Refusal> {
        let (image, standing) = self.visible(project, id)?;
        let members = image.members_at(instant).iter();
        Ok(members.filter(|member| standing == ActiveFaults::Own || self.covers(&member.recipient, project)).collect())
    }

    /// The members through which a project has an image of its region.
    pub fn rows<'a>(&'a self, image: &'a Image, project: &'a AccountId) -> impl Iterator<Item = &'a Member> {
        image.members.iter().filter(|member| self.covers(&member.recipient, project))
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
