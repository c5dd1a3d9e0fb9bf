//! Huawei Cloud's part of the admin interface, and the changes from outside it makes: each is journalled.

use super::recipient::Recipient;
use super::world::{DomainPatch, Ended, ImagePatch, KeyPatch, Received, RulesPatch};
use super::world_file::{ImageSpec, MemberSpec};
use crate::admin::{Answer, done};
use crate::chassis::effect::{Asked, Effect};
use crate::chassis::journal::{Entry, Provider};
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::state::{OutOfBand, Refused, Shared, State, no_such};
use axum::extract::{Path, State as Held};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

/// A change of members around the vendor's rules.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MembersOutOfBand {
    /// The image.
    pub(crate) image: ImageId,
    /// Members to add, or to give another status; need not exist, no limit.
    #[serde(default)]
    pub(crate) add: Vec<MemberSpec>,
    /// Members to remove; organizations by URN.
    #[serde(default)]
    pub(crate) remove: Vec<Recipient>,
}

/// The routes, all under `/huawei`.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/huawei/members", post(change_members))
        .route("/huawei/images", post(create_image))
        .route("/huawei/images/{id}", get(image).patch(patch_image))
        .route("/huawei/keys/{ak}", patch(patch_key))
        .route("/huawei/domains/{id}", patch(patch_domain))
        .route("/huawei/projects/{id}/received", get(received))
        .route("/huawei/rules", patch(patch_rules))
}

async fn change_members(Held(state): Held<Shared>, Json(change): Json<MembersOutOfBand>) -> Answer<Effect> {
    state.lock().change_members(change).map(Json)
}

async fn create_image(Held(state): Held<Shared>, Json(spec): Json<ImageSpec>) -> Answer<Value> {
    state.lock().create_huawei_image(spec)?;
    Ok(done())
}

async fn image(Held(state): Held<Shared>, Path(id): Path<ImageId>) -> Answer<ImageSpec> {
    state.lock().huawei.world.dump_image(&id).map(Json).ok_or_else(|| no_such("image", &id))
}

async fn patch_image(
    Held(state): Held<Shared>,
    Path(id): Path<ImageId>,
    Json(patch): Json<ImagePatch>,
) -> Answer<Value> {
    state.lock().patch_huawei_image(&id, patch)?;
    Ok(done())
}

async fn patch_key(Held(state): Held<Shared>, Path(ak): Path<String>, Json(patch): Json<KeyPatch>) -> Answer<Value> {
    state.lock().patch_huawei_key(&ak, patch)?;
    Ok(done())
}

async fn patch_domain(
    Held(state): Held<Shared>,
    Path(id): Path<AccountId>,
    Json(patch): Json<DomainPatch>,
) -> Answer<Value> {
    state.lock().patch_huawei_domain(&id, patch)?;
    Ok(done())
}

async fn patch_rules(Held(state): Held<Shared>, Json(patch): Json<RulesPatch>) -> Answer<Value> {
    state.lock().patch_huawei_rules(patch)?;
    Ok(done())
}

async fn received(Held(state): Held<Shared>, Path(id): Path<AccountId>) -> Answer<Value> {
    let images = state.lock().huawei_received(&id)?;
    Ok(Json(json!({"project": id, "images": images})))
}

impl State {
    /// Ends every job that is due by now and journals what it did, at the time it did it.
    pub(crate) fn settle_jobs(&mut self) {
        let now = self.clock.now();
        while self.journal.has_room()
            && let Some(ended) = self.huawei.world.end_next(now)
        {
            for entry in entries(&ended) {
                self.journal.append(entry);
            }
        }
    }

    /// One entry for each image that has members, as loaded.
    pub(crate) fn journal_huawei_seeds(&mut self) {
        for image in self.huawei.world.images() {
            let added: Vec<_> = image.members().iter().map(|member| member.recipient.id.clone()).collect();
            let effect = Effect { added, ..Effect::default() };
            if let Some(entry) = self.seed(Provider::Huawei, image.region(), &image.spec().id, effect) {
                self.journal.append(entry);
            }
        }
    }

    /// Changes members around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such image.
    pub(crate) fn change_members(&mut self, change: MembersOutOfBand) -> Result<Effect, Refused> {
        self.room()?;
        let now = self.clock.now();
        let MembersOutOfBand { image, add, remove } = change;
        let effect =
            self.huawei.world.force_members(&image, &add, &remove, now).ok_or_else(|| no_such("image", &image))?;
        let asked = Asked {
            add: add.into_iter().map(|member| member.id).collect(),
            remove: remove.into_iter().map(|recipient| recipient.id).collect(),
            ..Asked::default()
        };
        let region = self.region_of(&image);
        let change = OutOfBand { image: Some(image), region, asked, effect: effect.clone() };
        self.journal_out_of_band(Provider::Huawei, "ShareOutOfBand", change);
        Ok(effect)
    }

    /// Puts a new image into the world.
    ///
    /// # Errors
    /// When it contradicts the world.
    pub(crate) fn create_huawei_image(&mut self, spec: ImageSpec) -> Result<(), Refused> {
        self.room()?;
        let (id, now) = (spec.id.clone(), self.clock.now());
        let added = spec.members.iter().map(|member| member.id.clone()).collect();
        self.huawei.world.insert_image(spec, now).map_err(Refused::Invalid)?;
        let region = self.region_of(&id);
        let effect = Effect { added, ..Effect::default() };
        let change = OutOfBand { image: Some(id), region, effect, ..OutOfBand::default() };
        self.journal_out_of_band(Provider::Huawei, "CreateImage", change);
        Ok(())
    }

    /// Changes or deletes an image around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such image.
    pub(crate) fn patch_huawei_image(&mut self, id: &ImageId, patch: ImagePatch) -> Result<(), Refused> {
        self.room()?;
        let now = self.clock.now();
        // It may be gone afterwards, and its region with it.
        let region = self.region_of(id);
        let effect = self.huawei.world.patch_image(id, patch, now).ok_or_else(|| no_such("image", id))?;
        let change = OutOfBand { image: Some(id.clone()), region, effect, ..OutOfBand::default() };
        self.journal_out_of_band(Provider::Huawei, "PatchImage", change);
        Ok(())
    }

    /// Changes a key.
    ///
    /// # Errors
    /// When there is no such key.
    pub(crate) fn patch_huawei_key(&mut self, ak: &str, patch: KeyPatch) -> Result<(), Refused> {
        self.room()?;
        if !self.huawei.world.patch_key(ak, patch) {
            return Err(no_such("key", ak));
        }
        self.journal_out_of_band(Provider::Huawei, "PatchKey", OutOfBand::default());
        Ok(())
    }

    /// Changes a domain.
    ///
    /// # Errors
    /// When there is no such domain.
    pub(crate) fn patch_huawei_domain(&mut self, id: &AccountId, patch: DomainPatch) -> Result<(), Refused> {
        self.room()?;
        if !self.huawei.world.patch_domain(id, patch) {
            return Err(no_such("domain", id));
        }
        self.journal_out_of_band(Provider::Huawei, "PatchDomain", OutOfBand::default());
        Ok(())
    }

    /// Changes the rules of copying, for copies asked for from then on.
    ///
    /// # Errors
    /// When the journal is full.
    pub(crate) fn patch_huawei_rules(&mut self, patch: RulesPatch) -> Result<(), Refused> {
        self.room()?;
        self.huawei.world.patch_rules(patch);
        self.journal_out_of_band(Provider::Huawei, "PatchRules", OutOfBand::default());
        Ok(())
    }

    /// The images offered to a project, whatever it answered.
    ///
    /// # Errors
    /// When there is no such project.
    pub(crate) fn huawei_received(&self, project: &AccountId) -> Result<Vec<Received>, Refused> {
        let received = self.huawei.world.received(project);
        received.ok_or_else(|| no_such("project", project))
    }

    fn region_of(&self, image: &ImageId) -> Option<RegionId> {
        self.huawei.world.image(image).map(|image| image.region().clone())
    }
}

/// What a job did: an entry for each image it changed; where it changed none, one that says how it ended.
fn entries(ended: &Ended) -> Vec<Entry> {
    let entry = |image: Option<&ImageId>, effect: Option<Effect>| Entry {
        provider: Some(Provider::Huawei),
        key_id: Some(ended.asker.key_id.clone()),
        region: Some(ended.asker.region.clone()),
        image: image.cloned(),
        job: Some(ended.id.clone()),
        effect,
        copy: ended.copy.clone(),
        code: ended.code.clone().unwrap_or_else(|| "OK".to_owned()),
        ..Entry::without_request(ended.at, ended.asker.project.as_str(), "JobEffect")
    };
    let changed = ended.effects.iter().filter(|(_, effect)| *effect != Effect::default());
    let entries: Vec<_> = changed.map(|(image, effect)| entry(Some(image), Some(effect.clone()))).collect();
    if entries.is_empty() { vec![entry(ended.images.first(), None)] } else { entries }
}
