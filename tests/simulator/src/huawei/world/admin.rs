//! What goes around the vendor's rules: loading, dumping, and what the admin interface does out of band.

use super::plan::Step;
use super::{Image, Place, World};
use crate::chassis::effect::Effect;
use crate::chassis::history::History;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::huawei::recipient::{Recipient, is_hex_id, is_urn, is_uuid};
use crate::huawei::world_file::{Agency, Domain, HuaweiFile, ImageSpec, KmsKey, MemberSpec, Origin, Seconds, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Changes to an image; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagePatch {
    /// New status.
    pub status: Option<Status>,
    /// Whether it is protected against deletion.
    pub protected: Option<bool>,
    /// Whether it is encrypted.
    pub encrypted: Option<bool>,
    /// Whether it is from a CBR backup.
    pub from_cbr: Option<bool>,
    /// New name.
    pub name: Option<String>,
    /// The code with which copies of it fail, also those under way that are not that far yet; empty for none.
    pub copies_fail: Option<String>,
    /// How long a copy of it takes.
    pub copy_seconds: Option<Seconds>,
    /// Whether a copy of it is listed only from the end of its job on.
    pub copy_shown_late: Option<bool>,
    /// True deletes it at once, shared or not.
    #[serde(default)]
    pub delete: bool,
}

/// Changes to a key; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyPatch {
    /// Whether it is disabled.
    pub disabled: Option<bool>,
    /// Whether it is past its time.
    pub expired: Option<bool>,
    /// New secret.
    pub sk: Option<String>,
    /// New security token.
    pub token: Option<String>,
}

/// Changes to a domain; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DomainPatch {
    /// Whether it is closed.
    pub closed: Option<bool>,
    /// Its agencies, all of them.
    pub agencies: Option<Vec<Agency>>,
    /// Its keys to encrypt images with, all of them.
    pub kms_keys: Option<Vec<KmsKey>>,
}

/// Changes to the rules of copying; what is absent stays.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RulesPatch {
    /// How long a copy takes.
    pub copy_seconds: Option<Seconds>,
    /// Whether the image a copy makes is listed only from the end of its job on.
    pub copy_shown_late: Option<bool>,
    /// Custom images one project may have.
    pub image_quota: Option<u32>,
}

/// An image a project was offered, and through which members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// The image.
    pub image: ImageId,
    /// The members through which the project has it.
    pub via: Vec<MemberSpec>,
}

impl Image {
    /// An image without members.
    pub(super) fn new(spec: ImageSpec, region: RegionId, now: Timestamp) -> Self {
        Self { spec, region, members: History::new(Vec::new(), now), deleting: false, hidden: false }
    }

    fn dump(&self) -> ImageSpec {
        let spec = |member: &super::Member| MemberSpec {
            kind: member.recipient.kind,
            id: member.recipient.id.clone(),
            status: Some(member.status),
        };
        let members = self.members().iter().map(spec).collect();
        ImageSpec { members, region: Some(self.region.clone()), ..self.spec.clone() }
    }
}

impl World {
    /// Builds the world of `file`; members and images without a date date from `now`.
    ///
    /// # Errors
    /// When ids repeat or are not of the vendor's form, or something names a region or project that is not there.
    pub fn load(file: HuaweiFile, now: Timestamp) -> Result<Self, String> {
        let mut world = Self { rules: file.rules, sites: file.sites, ..Self::default() };
        let mut keys = BTreeSet::new();
        for domain in file.domains {
            for key in &domain.keys {
                if !keys.insert(key.ak.clone()) {
                    return Err(format!("key {} is there twice", key.ak));
                }
                let own = |project: &AccountId| domain.projects.iter().any(|other| other.id == *project);
                if key.project.as_ref().is_some_and(|project| !own(project)) {
                    return Err(format!("key {}: its project is not its domain's", key.ak));
                }
            }
            world.insert_domain(domain)?;
        }
        for image in file.images {
            world.insert_image(image, now)?;
        }
        Ok(world)
    }

    fn insert_domain(&mut self, domain: Domain) -> Result<(), String> {
        let id = domain.id.clone();
        if !is_hex_id(id.as_str()) {
            return Err(format!("domain {id} is not 32 lower-case hexadecimal digits"));
        }
        if let Some(urn) = domain.organizations.iter().find(|urn| !is_urn(urn.as_str())) {
            return Err(format!("domain {id}: {urn} is no URN of an organization"));
        }
        let own = |id: &AccountId| domain.projects.iter().any(|project| project.id == *id);
        if let Some(agency) = domain.agencies.iter().find(|agency| !agency.projects.iter().all(own)) {
            return Err(format!("domain {id}: agency {} is for a project that is not the domain's", agency.name));
        }
        for project in &domain.projects {
            if !is_hex_id(project.id.as_str()) {
                return Err(format!("project {} is not 32 lower-case hexadecimal digits", project.id));
            }
            if !self.sites.get(&domain.site).is_some_and(|regions| regions.contains(&project.region)) {
                return Err(format!("project {}: its site has no region {}", project.id, project.region));
            }
            let place = Place { domain: id.clone(), region: project.region.clone() };
            if self.places.insert(project.id.clone(), place).is_some() {
                return Err(format!("project {} is there twice", project.id));
            }
        }
        if self.domains.insert(id.clone(), domain).is_some() {
            return Err(format!("domain {id} is there twice"));
        }
        Ok(())
    }

    /// Puts a new image into the world.
    ///
    /// # Errors
    /// When the id is taken or no UUID, or the project or a region are not there.
    pub fn insert_image(&mut self, mut spec: ImageSpec, now: Timestamp) -> Result<(), String> {
        let id = spec.id.clone();
        if !is_uuid(id.as_str()) {
            return Err(format!("image {id} is not a lower-case UUID"));
        }
        let home = self.places.get(&spec.project).map(|place| place.region.clone());
        if spec.origin == Origin::Private && home.is_none() {
            return Err(format!("image {id}: project {} is not in the world", spec.project));
        }
        let region = match (home, spec.region.clone()) {
            (Some(home), Some(named)) if home != named => {
                return Err(format!("image {id}: project {} is not in region {named}", spec.project));
            }
            (home, named) => home.or(named).ok_or_else(|| format!("image {id}: it has no region"))?,
        };
        if !self.sites.values().any(|regions| regions.contains(&region)) {
            return Err(format!("image {id}: no site has the region {region}"));
        }
        spec.created.get_or_insert(now);
        let members = std::mem::take(&mut spec.members);
        let image = Image::new(spec, region, now);
        if self.images.contains_key(&id) {
            return Err(format!("image {id} is there twice"));
        }
        self.images.insert(id.clone(), image);
        if self.force_members(&id, &members, &[], now).is_none_or(|effect| effect.added.len() != members.len()) {
            self.images.remove(&id);
            return Err(format!("image {id}: a member is there twice"));
        }
        Ok(())
    }

    /// The world as a file; `None` where it is empty.
    pub fn dump(&self) -> Option<HuaweiFile> {
        let images = self.images.values().map(Image::dump);
        let file = HuaweiFile {
            rules: self.rules.clone(),
            sites: self.sites.clone(),
            domains: self.domains.values().cloned().collect(),
            images: images.collect(),
        };
        (!self.sites.is_empty() || !self.domains.is_empty()).then_some(file)
    }

    /// One image as a file has it; `None` when there is no such image.
    pub fn dump_image(&self, id: &ImageId) -> Option<ImageSpec> {
        self.images.get(id).map(Image::dump)
    }

    /// Changes members without asking any rule: adds them, or sets the status of those there already; `None` when there
    /// is no such image.
    pub fn force_members(
        &mut self,
        id: &ImageId,
        add: &[MemberSpec],
        remove: &[Recipient],
        now: Timestamp,
    ) -> Option<Effect> {
        self.images.get(id)?;
        let removals = remove.iter().map(|recipient| Step::forced(id, recipient.clone(), None));
        let settings = add.iter().map(|member| Step::forced(id, member.recipient(), Some(member.status())));
        let steps: Vec<_> = removals.chain(settings).collect();
        Some(self.apply(&steps, now).pop().map(|(_, effect)| effect).unwrap_or_default())
    }

    /// Changes an image without asking any rule; `None` when there is no such image.
    pub fn patch_image(&mut self, id: &ImageId, patch: ImagePatch, now: Timestamp) -> Option<Effect> {
        if patch.delete {
            self.images.get(id)?;
            return self.apply(&[Step::deletion(id)], now).pop().map(|(_, effect)| effect);
        }
        let spec = &mut self.images.get_mut(id)?.spec;
        spec.status = patch.status.unwrap_or(spec.status);
        spec.protected = patch.protected.unwrap_or(spec.protected);
        spec.encrypted = patch.encrypted.unwrap_or(spec.encrypted);
        spec.from_cbr = patch.from_cbr.unwrap_or(spec.from_cbr);
        if let Some(name) = patch.name {
            spec.name = name;
        }
        if let Some(code) = patch.copies_fail {
            spec.copies_fail = Some(code).filter(|code| !code.is_empty());
        }
        spec.copy_seconds = patch.copy_seconds.or(spec.copy_seconds);
        spec.copy_shown_late = patch.copy_shown_late.or(spec.copy_shown_late);
        Some(Effect::default())
    }

    /// Changes a key; whether there is one of that id.
    pub fn patch_key(&mut self, ak: &str, patch: KeyPatch) -> bool {
        let mut keys = self.domains.values_mut().flat_map(|domain| domain.keys.iter_mut());
        let Some(key) = keys.find(|key| key.ak == ak) else { return false };
        key.disabled = patch.disabled.unwrap_or(key.disabled);
        key.expired = patch.expired.unwrap_or(key.expired);
        if let Some(sk) = patch.sk {
            key.sk = sk;
        }
        if patch.token.is_some() {
            key.token = patch.token;
        }
        true
    }

    /// Changes a domain; whether there is one of that id.
    pub fn patch_domain(&mut self, id: &AccountId, patch: DomainPatch) -> bool {
        let Some(domain) = self.domains.get_mut(id) else { return false };
        domain.closed = patch.closed.unwrap_or(domain.closed);
        if let Some(agencies) = patch.agencies {
            domain.agencies = agencies;
        }
        if let Some(keys) = patch.kms_keys {
            domain.kms_keys = keys;
        }
        true
    }

    /// Changes the rules of copying.
    pub fn patch_rules(&mut self, patch: RulesPatch) {
        let rules = &mut self.rules;
        rules.copy_seconds = patch.copy_seconds.unwrap_or(rules.copy_seconds);
        rules.copy_shown_late = patch.copy_shown_late.unwrap_or(rules.copy_shown_late);
        rules.image_quota = patch.image_quota.unwrap_or(rules.image_quota);
    }

    /// The images offered to a project, whatever it answered; `None` when there is no such project.
    pub fn received(&self, project: &AccountId) -> Option<Vec<Received>> {
        let place = self.places.get(project)?;
        let here = self.images.values().filter(|image| image.region == place.region);
        let received = here.map(|image| {
            let via = self.rows(image, project).map(|member| MemberSpec {
                kind: member.recipient.kind,
                id: member.recipient.id.clone(),
                status: Some(member.status),
            });
            Received { image: image.spec.id.clone(), via: via.collect() }
        });
        Some(received.filter(|received| !received.via.is_empty()).collect())
    }
}
