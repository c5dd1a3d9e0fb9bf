//! Alibaba Cloud's part of the admin interface, and the changes from outside it makes: each is journalled.

use super::world::{AccountPatch, ImagePatch, KeyPatch, RulesPatch};
use super::world_file::ImageSpec;
use crate::admin::{Answer, SharingOutOfBand, done};
use crate::chassis::effect::{Asked, CopyState, Effect};
use crate::chassis::journal::{Entry, Provider};
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::state::{OutOfBand, Refused, Shared, State, no_such};
use axum::extract::{Path, State as Held};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};

/// The routes.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/permissions", post(share_out_of_band))
        .route("/images", post(create_image))
        .route("/images/{id}", patch(patch_image).get(read_image))
        .route("/keys/{id}", patch(patch_key))
        .route("/rules", patch(patch_rules))
        .route("/accounts/{id}", patch(patch_account))
        .route("/accounts/{id}/received", get(received))
}

async fn share_out_of_band(Held(state): Held<Shared>, Json(change): Json<SharingOutOfBand>) -> Answer<Effect> {
    state.lock().share_out_of_band(change).map(Json)
}

async fn create_image(Held(state): Held<Shared>, Json(spec): Json<ImageSpec>) -> Answer<Value> {
    state.lock().create_image(spec)?;
    Ok(done())
}

async fn read_image(Held(state): Held<Shared>, Path(id): Path<ImageId>) -> Answer<ImageSpec> {
    state.lock().alibaba.world.dump_image(&id).map(Json).ok_or_else(|| no_such("image", id))
}

async fn patch_image(
    Held(state): Held<Shared>,
    Path(id): Path<ImageId>,
    Json(patch): Json<ImagePatch>,
) -> Answer<Value> {
    state.lock().patch_image(&id, patch)?;
    Ok(done())
}

async fn patch_key(Held(state): Held<Shared>, Path(id): Path<String>, Json(patch): Json<KeyPatch>) -> Answer<Value> {
    state.lock().patch_key(&id, patch)?;
    Ok(done())
}

async fn patch_rules(Held(state): Held<Shared>, Json(patch): Json<RulesPatch>) -> Answer<Value> {
    state.lock().patch_rules(patch)?;
    Ok(done())
}

async fn patch_account(
    Held(state): Held<Shared>,
    Path(id): Path<AccountId>,
    Json(patch): Json<AccountPatch>,
) -> Answer<Value> {
    state.lock().patch_account(&id, patch)?;
    Ok(done())
}

async fn received(Held(state): Held<Shared>, Path(id): Path<AccountId>) -> Answer<Value> {
    let state = state.lock();
    if !state.alibaba.world.has_account(&id) {
        return Err(no_such("account", id));
    }
    Ok(Json(json!({"account": id, "images": state.alibaba.world.received(&id)})))
}

impl State {
    /// One entry for each image that is shared, as loaded.
    pub(crate) fn journal_alibaba_seeds(&mut self) {
        for image in self.alibaba.world.images() {
            let added: Vec<_> = image.grants().iter().map(|grant| grant.account.clone()).collect();
            let (spec, effect) = (image.spec(), Effect { added, ..Effect::default() });
            if let Some(entry) = self.seed(Provider::Alibaba, &spec.region, &spec.id, effect) {
                self.journal.append(entry);
            }
        }
    }

    /// Ends the copies that are due, and journals that; those under way are shown as far as they are.
    pub(crate) fn settle_copies(&mut self) {
        let now = self.clock.now();
        while self.journal.has_room()
            && let Some(end) = self.alibaba.world.end_next_copy(now)
        {
            let failed = end.step.state == CopyState::Failed;
            self.journal.append(Entry {
                provider: Some(Provider::Alibaba),
                region: Some(end.step.destination.clone()),
                image: Some(end.step.image.clone()),
                code: if failed { "CreateFailed" } else { "OK" }.to_owned(),
                effect: Some(Effect { copy: Some(end.step), ..Effect::default() }),
                ..Entry::without_request(end.at, end.account.as_str(), "CopyEnded")
            });
        }
        self.alibaba.world.refresh_copies(now);
    }

    /// Changes sharing around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such image.
    pub(crate) fn share_out_of_band(&mut self, change: SharingOutOfBand) -> Result<Effect, Refused> {
        self.room()?;
        let now = self.clock.now();
        let SharingOutOfBand { image, add, remove } = change;
        let effect = self.alibaba.world.force_sharing(&image, &add, &remove, now);
        let effect = effect.ok_or_else(|| no_such("image", &image))?;
        let asked = Asked { add, remove, ..Asked::default() };
        let region = self.alibaba_region(&image);
        let change = OutOfBand { image: Some(image), region, asked, effect: effect.clone() };
        self.journal_out_of_band(Provider::Alibaba, "ShareOutOfBand", change);
        Ok(effect)
    }

    /// Puts a new image into the world.
    ///
    /// # Errors
    /// When it contradicts the world.
    pub(crate) fn create_image(&mut self, spec: ImageSpec) -> Result<(), Refused> {
        self.room()?;
        let (image, region) = (Some(spec.id.clone()), Some(spec.region.clone()));
        let effect = Effect { added: spec.shared_with.clone(), ..Effect::default() };
        self.alibaba.world.insert_image(spec, self.clock.now()).map_err(Refused::Invalid)?;
        let change = OutOfBand { image, region, effect, ..OutOfBand::default() };
        self.journal_out_of_band(Provider::Alibaba, "CreateImage", change);
        Ok(())
    }

    /// Changes or deletes an image around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such image.
    pub(crate) fn patch_image(&mut self, id: &ImageId, patch: ImagePatch) -> Result<(), Refused> {
        self.room()?;
        // It may be gone afterwards, and its region with it.
        let region = self.alibaba_region(id);
        let effect = self.alibaba.world.patch_image(id, patch, self.clock.now());
        let effect = effect.ok_or_else(|| no_such("image", id))?;
        let change = OutOfBand { image: Some(id.clone()), region, effect, ..OutOfBand::default() };
        self.journal_out_of_band(Provider::Alibaba, "PatchImage", change);
        self.settle_copies();
        Ok(())
    }

    /// Changes the rules on copies.
    ///
    /// # Errors
    /// When the journal is full.
    pub(crate) fn patch_rules(&mut self, patch: RulesPatch) -> Result<(), Refused> {
        self.room()?;
        self.alibaba.world.patch_rules(patch);
        self.journal_out_of_band(Provider::Alibaba, "PatchRules", OutOfBand::default());
        Ok(())
    }

    /// Changes a key.
    ///
    /// # Errors
    /// When there is no such key.
    pub(crate) fn patch_key(&mut self, id: &str, patch: KeyPatch) -> Result<(), Refused> {
        self.room()?;
        if !self.alibaba.world.patch_key(id, patch) {
            return Err(no_such("key", id));
        }
        self.journal_out_of_band(Provider::Alibaba, "PatchKey", OutOfBand::default());
        Ok(())
    }

    /// Changes an account.
    ///
    /// # Errors
    /// When there is no such account.
    pub(crate) fn patch_account(&mut self, id: &AccountId, patch: AccountPatch) -> Result<(), Refused> {
        self.room()?;
        if !self.alibaba.world.patch_account(id, patch) {
            return Err(no_such("account", id));
        }
        self.journal_out_of_band(Provider::Alibaba, "PatchAccount", OutOfBand::default());
        Ok(())
    }

    fn alibaba_region(&self, image: &ImageId) -> Option<RegionId> {
        self.alibaba.world.image(image).map(|image| image.spec().region.clone())
    }
}
