//! Copies of images: who may have one made, and what becomes of it. A copy waits for a tenth of its time; then its image
//! is there, `queued`, from three tenths on `saving`, and at the end `active`. At each of these times, and at six tenths,
//! it may fail; its image is `killed` then. It cannot be called off.

use super::jobs::{Asker, Ended, Job, Outcome, Submission};
use super::plan::{Order, usable};
use super::{Image, Relation, World};
use crate::chassis::effect::Replica;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::refusal::Refusal;
use crate::huawei::rules;
use crate::huawei::world_file::{Domain, ImageSpec, Kind, MemberStatus, Origin, Project, Status, Vault};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// A private image wanted of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOrder {
    /// Of which.
    pub source: ImageId,
    /// The name of the new one.
    pub name: String,
    /// Its description; empty for none.
    pub description: String,
    /// Where it is to be.
    pub to: CopyTo,
}

/// Where a copy is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyTo {
    /// In the region of its source, in the asking project.
    InRegion {
        /// The key to encrypt it with.
        key: Option<String>,
    },
    /// In another region.
    Region {
        /// Which.
        region: RegionId,
        /// In which project of the account, by name; empty where none was named.
        project: String,
        /// The agency by which the image service acts there.
        agency: String,
        /// The vault for a full-ECS image.
        vault: Option<String>,
    },
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its image is not there yet.
    Waiting,
    Queued,
    Saving,
    /// Past the point where it may be made to fail.
    Safe,
}

impl Stage {
    /// When it ends, in percent of the copy's time.
    fn until(self) -> i32 {
        match self {
            Self::Waiting => 10,
            Self::Queued => 30,
            Self::Saving => 60,
            Self::Safe => 100,
        }
    }
}

/// A copy, as its job holds it.
#[derive(Debug, Clone)]
pub(super) struct Copying {
    image: ImageId,
    project: AccountId,
    region: RegionId,
    stage: Stage,
    /// How long it takes if nothing goes wrong.
    whole: SignedDuration,
    shown_late: bool,
}

impl Copying {
    pub(super) fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting
    }

    pub(super) fn image(&self) -> &ImageId {
        &self.image
    }

    /// How much of its time has passed; less than the whole.
    pub(super) fn percent(&self, begin: Timestamp, now: Timestamp) -> u8 {
        let passed = now.duration_since(begin).as_millis().saturating_mul(100);
        let percent = passed.checked_div(self.whole.as_millis()).unwrap_or_default();
        u8::try_from(percent.clamp(0, 99)).unwrap_or_default()
    }

    /// The end of its stage.
    fn next(&self, begin: Timestamp) -> Timestamp {
        let share = self.whole.checked_mul(self.stage.until()).and_then(|share| share.checked_div(100));
        begin.checked_add(share.unwrap_or(self.whole)).unwrap_or(begin)
    }

    fn replica(&self, order: &CopyOrder, there: bool) -> Replica {
        Replica {
            source: order.source.clone(),
            region: self.region.clone(),
            owner: self.project.clone(),
            image: self.image.clone(),
            name: order.name.clone(),
            description: order.description.clone(),
            there,
        }
    }
}

impl World {
    /// Takes in the order for a copy, whose image gets the id `image`.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::huawei) fn submit_copy(
        &mut self,
        asker: &Asker,
        order: CopyOrder,
        image: ImageId,
        submission: Submission,
        now: Timestamp,
    ) -> Result<Replica, Refusal> {
        let (project, region) = self.copy_destination(asker, &order)?;
        if self.jobs.due.len() >= rules::MAX_RUNNING_JOBS {
            return Err(rules::TOO_MANY_TASKS.refuse());
        }
        let source = self.images.get(&order.source).map(Image::spec);
        let span = source.and_then(|spec| spec.copy_seconds).unwrap_or(self.rules.copy_seconds).span();
        let shown_late = source.and_then(|spec| spec.copy_shown_late).unwrap_or(self.rules.copy_shown_late);
        let slower = SignedDuration::from_millis(i64::try_from(submission.slow_millis).unwrap_or(i64::MAX));
        let whole = span.saturating_add(slower);
        let copying = Copying { image, project, region, stage: Stage::Waiting, whole, shown_late };
        let replica = copying.replica(&order, false);
        self.jobs.count += 1;
        self.jobs.due.insert((copying.next(now), self.jobs.count, submission.id.clone()));
        let job = Job {
            asker: asker.clone(),
            order: Order::Copy(order),
            begin: now,
            end: now.checked_add(whole).unwrap_or(now),
            failure: submission.failure,
            outcome: None,
            copying: Some(copying),
        };
        self.jobs.all.insert(submission.id, job);
        Ok(replica)
    }

    /// Asks every rule of a copy: where it goes if it may be made.
    fn copy_destination(&self, asker: &Asker, order: &CopyOrder) -> Result<(AccountId, RegionId), Refusal> {
        let (image, relation) = self.visible(&asker.project, &order.source)?;
        let id = order.source.as_str();
        if matches!(relation, Relation::Gold | Relation::Market) {
            return Err(rules::NOT_CUSTOM_COPY.about(id));
        }
        let project = self.project(&asker.project);
        let (domain, _) = project.ok_or_else(|| rules::PROJECT_MISMATCH.about(asker.project.as_str()))?;
        let place = match &order.to {
            CopyTo::InRegion { key } => {
                self.may_copy_here(asker, image, relation)?;
                match (relation, key) {
                    (_, None) => {}
                    (Relation::Own, Some(key)) => has_key(domain, key)?,
                    (_, Some(_)) => return Err(rules::NOT_SUPPORTED.about("a shared image into an encrypted one")),
                }
                (asker.project.clone(), asker.region.clone())
            }
            CopyTo::Region { region, project, agency, vault } => {
                if relation != Relation::Own {
                    return Err(rules::NOT_OWNER.about(id));
                }
                self.may_copy_away(asker, image, domain, region)?;
                let project = destination_project(domain, region, project)?;
                let agency = domain.agencies.iter().find(|one| one.name == *agency);
                if agency.is_none_or(|agency| !agency.projects.contains(&project.id)) {
                    return Err(rules::AGENCY_INVALID.about(project.id.as_str()));
                }
                takes_server(image, project, vault.as_deref())?;
                self.has_room_to_copy_away(&domain.id)?;
                (project.id.clone(), region.clone())
            }
        };
        self.has_room_for_image(&place.0)?;
        Ok(place)
    }

    fn may_copy_here(&self, asker: &Asker, image: &Image, relation: Relation) -> Result<(), Refusal> {
        let id = image.spec.id.as_str();
        let received = relation == Relation::Received;
        if received && !self.rows(image, &asker.project).any(|member| member.status == MemberStatus::Accepted) {
            return Err(rules::NOT_ACCEPTED.about(id));
        }
        match image.spec.kind {
            Kind::FullServer => return Err(rules::FULL_SERVER_COPY.about(id)),
            Kind::Iso => return Err(rules::NOT_SUPPORTED.about("an ISO image")),
            Kind::System | Kind::Data => {}
        }
        usable(image)?;
        if received && image.spec.encrypted {
            return Err(rules::RECEIVED_ENCRYPTED.about(id));
        }
        if received { is_within(image, rules::COPY_MAX_GIB) } else { Ok(()) }
    }

    fn may_copy_away(&self, asker: &Asker, image: &Image, domain: &Domain, region: &RegionId) -> Result<(), Refusal> {
        if image.spec.encrypted {
            return Err(rules::NOT_SUPPORTED.about("an encrypted image"));
        }
        if image.spec.kind == Kind::Iso {
            return Err(rules::NOT_SUPPORTED.about("an ISO image"));
        }
        usable(image)?;
        if !self.regions(&domain.id).contains(region) {
            return Err(rules::COPY_REGION_UNCONFIRMED.about(region.as_str()));
        }
        if *region == asker.region {
            return Err(rules::NOT_SUPPORTED.about("the region is the image's own"));
        }
        let large = rules::LARGE_COPY_REGIONS.contains(&asker.region.as_str());
        is_within(image, if large { rules::LARGE_COPY_MAX_GIB } else { rules::COPY_MAX_GIB })
    }

    fn copies_under_way(&self) -> impl Iterator<Item = (&Job, &Copying)> {
        let jobs = self.jobs.due.iter().filter_map(|(_, _, id)| self.jobs.all.get(id));
        jobs.filter_map(|job| Some((job, job.copying.as_ref()?)))
    }

    fn has_room_to_copy_away(&self, domain: &AccountId) -> Result<(), Refusal> {
        let is_one = |job: &Job| {
            let away = matches!(&job.order, Order::Copy(CopyOrder { to: CopyTo::Region { .. }, .. }));
            away && self.places.get(&job.asker.project).is_some_and(|place| place.domain == *domain)
        };
        let under_way = self.copies_under_way().filter(|(job, _)| is_one(job)).count();
        let full = under_way >= rules::CROSS_REGION_COPIES;
        if full { Err(rules::TOO_MANY_TASKS.about("copies to other regions")) } else { Ok(()) }
    }

    /// Images that copies are about to make count as well.
    pub(super) fn has_room_for_image(&self, project: &AccountId) -> Result<(), Refusal> {
        let coming = self.copies_under_way().filter(|(_, copying)| copying.is_waiting() && copying.project == *project);
        let used = self.owned_images(project) + coming.count();
        let most = usize::try_from(self.rules.image_quota).unwrap_or(usize::MAX);
        if most == 0 || used < most {
            return Ok(());
        }
        Err(rules::IMAGE_QUOTA_UNCONFIRMED.about(&format!("{used} of {most} in {project}")))
    }

    /// Takes a copy past the end of its stage at `at`; how it ended, if it has.
    pub(super) fn move_copy_on(&mut self, id: String, count: u64, at: Timestamp) -> Option<Ended> {
        let job = self.jobs.all.get(&id)?;
        let (copying, begin, failure) = (job.copying.clone()?, job.begin, job.failure.clone());
        let Order::Copy(order) = job.order.clone() else { return None };
        let failure = failure.map(|failure| failure.code).filter(|_| copying.stage == Stage::Saving);
        if let Some(refusal) = self.problem(&order, &copying, failure) {
            return self.end_copy(id, &order, &copying, Some(refusal), at);
        }
        let stage = match copying.stage {
            Stage::Waiting => {
                self.insert_copy(&order, &copying, at);
                Stage::Queued
            }
            Stage::Queued => {
                self.set_status(&copying.image, Status::Saving);
                Stage::Saving
            }
            Stage::Saving => Stage::Safe,
            Stage::Safe => return self.end_copy(id, &order, &copying, None, at),
        };
        let copying = Copying { stage, ..copying };
        self.jobs.due.insert((copying.next(begin), count, id.clone()));
        if let Some(job) = self.jobs.all.get_mut(&id) {
            job.copying = Some(copying);
        }
        None
    }

    /// Why a copy cannot go on. That one fails when its source is deleted is unconfirmed.
    fn problem(&self, order: &CopyOrder, copying: &Copying, failure: Option<String>) -> Option<Refusal> {
        let Some(source) = self.images.get(&order.source) else {
            return Some(rules::IMAGE_NOT_FOUND.about(order.source.as_str()));
        };
        if !copying.is_waiting() && !self.images.contains_key(&copying.image) {
            return Some(rules::IMAGE_NOT_FOUND.about(copying.image.as_str()));
        }
        let bad = source.spec.copies_fail.clone().filter(|_| copying.stage == Stage::Saving);
        let message = "the copy was made to fail by the simulator".to_owned();
        failure.or(bad).map(|code| Refusal { status: 400, code, message })
    }

    fn insert_copy(&mut self, order: &CopyOrder, copying: &Copying, at: Timestamp) {
        let Some(source) = self.images.get(&order.source).map(Image::spec) else { return };
        let cmk_id = match &order.to {
            CopyTo::InRegion { key } => key.clone(),
            CopyTo::Region { .. } => None,
        };
        let spec = ImageSpec {
            id: copying.image.clone(),
            project: copying.project.clone(),
            region: Some(copying.region.clone()),
            name: order.name.clone(),
            status: Status::Queued,
            kind: source.kind,
            origin: Origin::Private,
            encrypted: cmk_id.is_some(),
            protected: false,
            from_cbr: source.from_cbr,
            members: Vec::new(),
            created: Some(at),
            size_gib: source.size_gib,
            description: order.description.clone(),
            parent: Some(order.source.clone()),
            cmk_id,
            copies_fail: None,
            copy_seconds: None,
            copy_shown_late: None,
            // What a copy shows here is unconfirmed.
            data_origin: Some(format!("image,{}", order.source)),
            tags: BTreeMap::new(),
            min_ram: source.min_ram,
            max_ram: source.max_ram,
            changed: None,
        };
        let hidden = copying.shown_late;
        let image = Image { hidden, ..Image::new(spec, copying.region.clone(), at) };
        self.images.insert(copying.image.clone(), image);
    }

    fn set_status(&mut self, image: &ImageId, status: Status) {
        if let Some(image) = self.images.get_mut(image) {
            image.spec.status = status;
        }
    }

    fn end_copy(
        &mut self,
        id: String,
        order: &CopyOrder,
        copying: &Copying,
        refusal: Option<Refusal>,
        at: Timestamp,
    ) -> Option<Ended> {
        self.set_status(&copying.image, if refusal.is_none() { Status::Active } else { Status::Killed });
        if let Some(image) = self.images.get_mut(&copying.image) {
            image.hidden = false;
        }
        let code = refusal.as_ref().map(|refusal| refusal.code.clone());
        let done = if refusal.is_none() { vec![order.source.clone()] } else { Vec::new() };
        let job = self.jobs.all.get_mut(&id)?;
        job.end = at;
        job.outcome = Some(Outcome { refusal, done });
        let asker = job.asker.clone();
        self.forget_old_jobs(id.clone());
        let there = self.images.contains_key(&copying.image);
        let (images, copy) = (vec![order.source.clone()], Some(copying.replica(order, there)));
        Some(Ended { id, asker, at, images, effects: Vec::new(), code, copy })
    }
}

fn is_within(image: &Image, most: u32) -> Result<(), Refusal> {
    let size = image.spec.size_gib;
    if size <= most { Ok(()) } else { Err(rules::COPY_SIZE_UNCONFIRMED.about(&format!("{size} GB of {most} GB"))) }
}

/// Whether a domain has a key to encrypt with.
fn has_key(domain: &Domain, key: &str) -> Result<(), Refusal> {
    match domain.kms_keys.iter().find(|one| one.id == key) {
        None => Err(rules::KEY_NOT_FOUND.about(key)),
        Some(key) if key.disabled => Err(rules::KEY_DISABLED.about(&key.id)),
        Some(_) => Ok(()),
    }
}

fn destination_project<'a>(domain: &'a Domain, region: &RegionId, name: &str) -> Result<&'a Project, Refusal> {
    if name.is_empty() {
        return Err(rules::PROJECT_NAME_NEEDED.refuse());
    }
    let project = domain.projects.iter().find(|project| project.region == *region && project.name() == name);
    project.ok_or_else(|| rules::PROJECT_NAME_WRONG.about(name))
}

/// Whether a project can take a copy of an image: a full-ECS one goes into a vault of its.
fn takes_server(image: &Image, project: &Project, vault: Option<&str>) -> Result<(), Refusal> {
    if image.spec.kind != Kind::FullServer {
        return Ok(());
    }
    let named = vault.unwrap_or_default();
    let vault = project.vaults.iter().find(|one| one.id == named);
    match vault.ok_or_else(|| rules::VAULT_NOT_FOUND.about(named))? {
        Vault { code: Some(code), .. } => {
            let message = format!("the vault takes no copy ({named})");
            Err(Refusal { status: 400, code: code.clone(), message })
        }
        _ => Ok(()),
    }
}
