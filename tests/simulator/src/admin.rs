//! The admin interface, JSON on its own port: loads worlds, injects faults, throttles, moves the clock, overrides things out
//! of band, and reads the journal. For tests and demos; nothing of it exists at a vendor, and it asks no credentials.

use crate::chassis::clock::{ClockFace, ClockMove};
use crate::chassis::faults::{ActiveFault, Fault, RandomFaults};
use crate::chassis::journal::Entry;
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::throttling::CallLimit;
use crate::state::{Refused, Shared};
use crate::world_file::WorldFile;
use crate::{alibaba, aws, huawei};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
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
struct ActiveFaults {
    faults: Vec<ActiveFault>,
}

/// The limits in force.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    limits: Vec<CallLimit>,
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

/// A change of sharing around the vendor's rules.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SharingOutOfBand {
    /// The image; at AWS, or the snapshot.
    pub(crate) image: ImageId,
    /// Recipients to add; need not exist, no limit.
    #[serde(default)]
    pub(crate) add: Vec<AccountId>,
    /// Recipients to remove.
    #[serde(default)]
    pub(crate) remove: Vec<AccountId>,
}

/// An answer of the admin interface.
pub(crate) type Answer<T> = Result<Json<T>, Refused>;

/// The answer that says no more than that it was done.
pub(crate) fn done() -> Json<Value> {
    Json(json!({}))
}

/// The routes. `/weather` is what `/random-faults` was called before.
pub(crate) fn router(state: Shared) -> Router {
    Router::new()
        .route("/healthz", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/world", put(load_world).get(dump_world))
        .route("/faults", post(add_faults).get(list_faults).delete(clear_faults))
        .route("/random-faults", put(set_random_faults))
        .route("/weather", put(set_random_faults))
        .route("/limits", put(set_limits).get(list_limits))
        .route("/journal", get(read_journal))
        .route("/clock", get(read_clock).put(move_clock))
        .merge(alibaba::routes())
        .merge(huawei::routes())
        .merge(aws::routes())
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

async fn add_faults(State(state): State<Shared>, Json(faults): Json<Faults>) -> Answer<ActiveFaults> {
    let mut state = state.lock();
    state.faults.script(faults.faults).map_err(Refused::Invalid)?;
    Ok(Json(ActiveFaults { faults: state.faults.active() }))
}

async fn list_faults(State(state): State<Shared>) -> Json<ActiveFaults> {
    Json(ActiveFaults { faults: state.lock().faults.active() })
}

async fn clear_faults(State(state): State<Shared>) -> Json<Value> {
    state.lock().faults.clear_script();
    done()
}

async fn set_random_faults(State(state): State<Shared>, Json(random): Json<RandomFaults>) -> Answer<Value> {
    state.lock().faults.set_random(random).map_err(Refused::Invalid)?;
    Ok(done())
}

async fn set_limits(State(state): State<Shared>, Json(limits): Json<Limits>) -> Answer<Value> {
    state.lock().limits.set(limits.limits).map_err(Refused::Invalid)?;
    Ok(done())
}

async fn list_limits(State(state): State<Shared>) -> Json<Limits> {
    Json(Limits { limits: state.lock().limits.all().to_vec() })
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
