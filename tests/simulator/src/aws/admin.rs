//! Amazon Web Services' part of the admin interface, and the changes from outside it makes: each is journalled.

use super::world::{AccountPatch, ImagePatch, KeyPatch, RulesPatch, SnapshotPatch};
use super::world_file::{ImageSpec, SnapshotSpec};
use crate::admin::{Answer, SharingOutOfBand, done};
use crate::chassis::effect::{Asked, CopyState, Effect};
use crate::chassis::journal::{Entry, Provider};
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::state::{OutOfBand, Refused, Shared, State, no_such};
use axum::extract::{Path, State as Held};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};

/// The routes, all under `/aws`.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/aws/permissions", post(change_permissions))
        .route("/aws/images", post(create_image))
        .route("/aws/images/{id}", get(image).patch(patch_image))
        .route("/aws/snapshots", post(create_snapshot))
        .route("/aws/snapshots/{id}", get(snapshot).patch(patch_snapshot))
        .route("/aws/keys/{id}", patch(patch_key))
        .route("/aws/accounts/{id}", patch(patch_account))
        .route("/aws/accounts/{id}/received", get(received))
        .route("/aws/rules", patch(patch_rules))
}

async fn change_permissions(Held(state): Held<Shared>, Json(change): Json<SharingOutOfBand>) -> Answer<Effect> {
    state.lock().change_permissions(change).map(Json)
}

async fn create_image(Held(state): Held<Shared>, Json(spec): Json<ImageSpec>) -> Answer<Value> {
    state.lock().create_aws_image(spec)?;
    Ok(done())
}

async fn image(Held(state): Held<Shared>, Path(id): Path<ImageId>) -> Answer<ImageSpec> {
    state.lock().aws.world.dump_image(&id).map(Json).ok_or_else(|| no_such("image", &id))
}

async fn patch_image(
    Held(state): Held<Shared>,
    Path(id): Path<ImageId>,
    Json(patch): Json<ImagePatch>,
) -> Answer<Value> {
    state.lock().patch_aws_image(&id, patch)?;
    Ok(done())
}

async fn create_snapshot(Held(state): Held<Shared>, Json(spec): Json<SnapshotSpec>) -> Answer<Value> {
    state.lock().create_aws_snapshot(spec)?;
    Ok(done())
}

async fn snapshot(Held(state): Held<Shared>, Path(id): Path<ImageId>) -> Answer<SnapshotSpec> {
    state.lock().aws.world.dump_snapshot(&id).map(Json).ok_or_else(|| no_such("snapshot", &id))
}

async fn patch_snapshot(
    Held(state): Held<Shared>,
    Path(id): Path<ImageId>,
    Json(patch): Json<SnapshotPatch>,
) -> Answer<Value> {
    state.lock().patch_aws_snapshot(&id, patch)?;
    Ok(done())
}

async fn patch_key(Held(state): Held<Shared>, Path(id): Path<String>, Json(patch): Json<KeyPatch>) -> Answer<Value> {
    state.lock().patch_aws_key(&id, patch)?;
    Ok(done())
}

async fn patch_account(
    Held(state): Held<Shared>,
    Path(id): Path<AccountId>,
    Json(patch): Json<AccountPatch>,
) -> Answer<Value> {
    state.lock().patch_aws_account(&id, patch)?;
    Ok(done())
}

async fn patch_rules(Held(state): Held<Shared>, Json(patch): Json<RulesPatch>) -> Answer<Value> {
    state.lock().patch_aws_rules(patch)?;
    Ok(done())
}

async fn received(Held(state): Held<Shared>, Path(id): Path<AccountId>) -> Answer<Value> {
    let state = state.lock();
    if state.aws.world.account(&id).is_none() {
        return Err(no_such("account", id));
    }
    Ok(Json(json!({"account": id, "images": state.aws.world.received(&id)})))
}

impl State {
    /// One entry for each image and each snapshot that is shared, as loaded.
    pub(crate) fn journal_aws_seeds(&mut self) {
        let world = &self.aws.world;
        let images = world.images().map(|image| (&image.spec().region, &image.spec().id, image.permissions()));
        let snapshots =
            world.snapshots().map(|snapshot| (&snapshot.spec().region, &snapshot.spec().id, snapshot.permissions()));
        let seeds = images.chain(snapshots).filter_map(|(region, id, permissions)| {
            let accounts = permissions.iter().filter(|one| one.kind() != super::Kind::Group);
            let added: Vec<_> = accounts.map(|one| one.id().clone()).collect();
            let published = (added.len() < permissions.len()).then_some(true);
            self.seed(Provider::Aws, region, id, Effect { added, published, ..Effect::default() })
        });
        let seeds: Vec<_> = seeds.collect();
        for entry in seeds {
            self.journal.append(entry);
        }
    }

    /// Ends the copies that are due, and journals that.
    pub(crate) fn settle_aws_copies(&mut self) {
        let now = self.clock.now();
        while self.journal.has_room()
            && let Some(end) = self.aws.world.end_next_copy(now)
        {
            let failed = end.step.state == CopyState::Failed;
            self.journal.append(Entry {
                provider: Some(Provider::Aws),
                region: Some(end.step.destination.clone()),
                image: Some(end.step.image.clone()),
                code: if failed { "failed" } else { "OK" }.to_owned(),
                effect: Some(Effect { copy: Some(end.step), ..Effect::default() }),
                ..Entry::without_request(end.at, end.account.as_str(), "CopyEnded")
            });
        }
    }

    /// Changes permissions around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such image or snapshot, or a text names no recipient.
    pub(crate) fn change_permissions(&mut self, change: SharingOutOfBand) -> Result<Effect, Refused> {
        self.room()?;
        let now = self.clock.now();
        let SharingOutOfBand { image, add, remove } = change;
        let effect = self.aws.world.force_permissions(&image, &add, &remove, now).map_err(Refused::Invalid)?;
        let effect = effect.ok_or_else(|| no_such("image or snapshot", &image))?;
        let asked = Asked { add, remove, ..Asked::default() };
        self.tell_aws("ShareOutOfBand", Some(image), None, asked, effect.clone());
        Ok(effect)
    }

    /// Puts a new image into the world.
    ///
    /// # Errors
    /// When it contradicts the world.
    pub(crate) fn create_aws_image(&mut self, spec: ImageSpec) -> Result<(), Refused> {
        self.room()?;
        let (id, shared) = (spec.id.clone(), spec.shared_with.clone());
        self.aws.world.insert_image(spec, self.clock.now()).map_err(Refused::Invalid)?;
        self.tell_aws("CreateImage", Some(id), None, Asked::default(), shared_with(shared));
        Ok(())
    }

    /// Puts a new snapshot into the world.
    ///
    /// # Errors
    /// When it contradicts the world.
    pub(crate) fn create_aws_snapshot(&mut self, spec: SnapshotSpec) -> Result<(), Refused> {
        self.room()?;
        let (id, shared) = (spec.id.clone(), spec.shared_with.clone());
        self.aws.world.insert_snapshot(spec, self.clock.now()).map_err(Refused::Invalid)?;
        self.tell_aws("CreateSnapshot", Some(id), None, Asked::default(), shared_with(shared));
        Ok(())
    }

    /// Changes or deregisters an image around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such image.
    pub(crate) fn patch_aws_image(&mut self, id: &ImageId, patch: ImagePatch) -> Result<(), Refused> {
        self.room()?;
        let effect = self.aws.world.patch_image(id, patch, self.clock.now());
        let effect = effect.ok_or_else(|| no_such("image", id))?;
        self.tell_aws("PatchImage", Some(id.clone()), None, Asked::default(), effect);
        self.settle_aws_copies();
        Ok(())
    }

    /// Changes or deletes a snapshot around the vendor's rules.
    ///
    /// # Errors
    /// When there is no such snapshot.
    pub(crate) fn patch_aws_snapshot(&mut self, id: &ImageId, patch: SnapshotPatch) -> Result<(), Refused> {
        self.room()?;
        // It may be gone afterwards, and its region with it.
        let region = self.aws_region(id);
        let effect = self.aws.world.patch_snapshot(id, patch).ok_or_else(|| no_such("snapshot", id))?;
        self.tell_aws("PatchSnapshot", Some(id.clone()), region, Asked::default(), effect);
        Ok(())
    }

    /// Changes a key.
    ///
    /// # Errors
    /// When there is no such key.
    pub(crate) fn patch_aws_key(&mut self, id: &str, patch: KeyPatch) -> Result<(), Refused> {
        self.room()?;
        if !self.aws.world.patch_key(id, patch) {
            return Err(no_such("key", id));
        }
        self.tell_aws("PatchKey", None, None, Asked::default(), Effect::default());
        Ok(())
    }

    /// Changes an account.
    ///
    /// # Errors
    /// When there is no such account.
    pub(crate) fn patch_aws_account(&mut self, id: &AccountId, patch: AccountPatch) -> Result<(), Refused> {
        self.room()?;
        if !self.aws.world.patch_account(id, patch) {
            return Err(no_such("account", id));
        }
        self.tell_aws("PatchAccount", None, None, Asked::default(), Effect::default());
        Ok(())
    }

    /// Changes the rules.
    ///
    /// # Errors
    /// When the journal is full.
    pub(crate) fn patch_aws_rules(&mut self, patch: RulesPatch) -> Result<(), Refused> {
        self.room()?;
        self.aws.world.patch_rules(patch);
        self.tell_aws("PatchRules", None, None, Asked::default(), Effect::default());
        Ok(())
    }

    fn tell_aws(
        &mut self,
        action: &str,
        image: Option<ImageId>,
        region: Option<RegionId>,
        asked: Asked,
        effect: Effect,
    ) {
        let region = region.or_else(|| self.aws_region(image.as_ref()?));
        self.journal_out_of_band(Provider::Aws, action, OutOfBand { image, region, asked, effect });
    }

    fn aws_region(&self, id: &ImageId) -> Option<RegionId> {
        let image = self.aws.world.image(id).map(|image| &image.spec().region);
        image.or_else(|| self.aws.world.snapshot(id).map(|snapshot| &snapshot.spec().region)).cloned()
    }
}

/// That recipients are there now.
fn shared_with(recipients: Vec<AccountId>) -> Effect {
    let published = recipients.iter().any(|one| one.as_str() == "all").then_some(true);
    let added = recipients.into_iter().filter(|one| one.as_str() != "all").collect();
    Effect { added, published, ..Effect::default() }
}
