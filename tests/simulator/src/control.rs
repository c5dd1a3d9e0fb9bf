//! The control API, JSON on its own port: loads worlds, makes weather, moves the clock, changes things out of band,
//! and reads the journal. For tests and demos; nothing of it exists at a vendor, and it asks no credentials.

use super::clock::{ClockFace, ClockMove};
use super::faults::{ActiveFaults, Fault, RandomFaults};
use super::huawei;
use super::journal::Entry;
use super::names::{AccountId, ImageId};
use super::state::{Refused, Shared, SharingOutOfBand};
use super::world::{AccountPatch, Effect, ImagePatch, KeyPatch, RulesPatch};
use super::world_file::{ImageSpec, WorldFile};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Largest body read, in bytes: a world with its images.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// The faults to add.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Faults {
    faults: Vec<Fault>,
}

/// The faults in force.
#[derive(Debug, Serialize)]
struct ActiveFaultList {
    faults: Vec<ActiveFaults>,
}

/// From where to read the journal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    #[serde(default)]
    since: u64,
}

/// A reading of the journal.
#[derive(Debug, Serialize)]
struct Reading {
    entries: Vec<Entry>,
    /// The number of the journal's last entry, which may lie past this reading.
    last: u64,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, why) = match self {
            Self::NotFound(why) => (StatusCode::NOT_FOUND, why),
            Self::Invalid(why) => (StatusCode::BAD_REQUEST, why),
        };
        (status, Json(json!({ "error": why }))).into_response()
    }
}

type Answer<T> = Result<Json<T>, Refused>;

fn done() -> Json<Value> {
    Json(json!({}))
}

/// The control port's routes.
pub(super) fn router(state: Shared) -> Router {
    Router::new()
        .route("/healthz", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/world", put(load_world).get(dump_world))
        .route("/faults", post(add_faults).get(list_faults).delete(clear_faults))
        .route("/weather", put(set_weather))
        .route("/journal", get(read_journal))
        .route("/clock", get(read_clock).put(move_clock))
        .route("/permissions", post(share_out_of_band))
        .route("/images", post(create_image))
        .route("/images/{id}", patch(patch_image).get(read_image))
        .route("/keys/{id}", patch(patch_key))
        .route("/rules", patch(patch_rules))
        .route("/accounts/{id}", patch(patch_account))
        .route("/accounts/{id}/received", get(received))
        .merge(huawei::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(state)
}

/// YAML or JSON, whatever the content type says.
async fn load_world(State(state): State<Shared>, body: String) -> Answer<Value> {
    let file = WorldFile::parse(&body).map_err(Refused::Invalid)?;
    state.lock().load(file)?;
    Ok(done())
}

async fn dump_world(State(state): State<Shared>) -> Json<WorldFile> {
    Json(state.lock().dump())
}

async fn add_faults(State(state): State<Shared>, Json(faults): Json<Faults>) -> Answer<ActiveFaultList> {
    let mut state = state.lock();
    state.weather.script(faults.faults).map_err(Refused::Invalid)?;
    Ok(Json(ActiveFaultList { faults: state.weather.standing() }))
}

async fn list_faults(State(state): State<Shared>) -> Json<ActiveFaultList> {
    Json(ActiveFaultList { faults: state.lock().weather.standing() })
}

async fn clear_faults(State(state): State<Shared>) -> Json<Value> {
    state.lock().weather.clear_script();
    done()
}

async fn set_weather(State(state): State<Shared>, Json(climate): Json<RandomFaults>) -> Answer<Value> {
    state.lock().weather.set_climate(climate).map_err(Refused::Invalid)?;
    Ok(done())
}

async fn read_journal(State(state): State<Shared>, Query(from): Query<Since>) -> Json<Reading> {
    let state = state.lock();
    Json(Reading { entries: state.journal.since(from.since).to_vec(), last: state.journal.last() })
}

async fn read_clock(State(state): State<Shared>) -> Json<ClockFace> {
    Json(state.lock().clock.face())
}

async fn move_clock(State(state): State<Shared>, Json(step): Json<ClockMove>) -> Answer<ClockFace> {
    state.lock().move_clock(step).map(Json)
}

async fn share_out_of_band(State(state): State<Shared>, Json(change): Json<SharingOutOfBand>) -> Answer<Effect> {
    state.lock().share_out_of_band(change).map(Json)
}

async fn create_image(State(state): State<Shared>, Json(spec): Json<ImageSpec>) -> Answer<Value> {
    state.lock().create_image(spec)?;
    Ok(done())
}

async fn read_image(State(state): State<Shared>, Path(id): Path<ImageId>) -> Answer<ImageSpec> {
    state.lock().dump_image(&id).map(Json)
}

async fn patch_image(
    State(state): State<Shared>,
    Path(id): Path<ImageId>,
    Json(patch): Json<ImagePatch>,
) -> Answer<Value> {
    state.lock().patch_image(&id, patch)?;
    Ok(done())
}

async fn patch_key(State(state): State<Shared>, Path(id): Path<String>, Json(patch): Json<KeyPatch>) -> Answer<Value> {
    state.lock().patch_key(&id, patch)?;
    Ok(done())
}

async fn patch_rules(State(state): State<Shared>, Json(patch): Json<RulesPatch>) -> Answer<Value> {
    state.lock().patch_rules(patch)?;
    Ok(done())
}

async fn patch_account(
    State(state): State<Shared>,
    Path(id): Path<AccountId>,
    Json(patch): Json<AccountPatch>,
) -> Answer<Value> {
    state.lock().patch_account(&id, patch)?;
    Ok(done())
}

async fn received(State(state): State<Shared>, Path(id): Path<AccountId>) -> Answer<Value> {
    let images = state.lock().received(&id)?;
    Ok(Json(json!({"account": id, "images": images})))
}
