//! The front door's socket side: reads requests within bounds, carries out delays and cuts, sends answers.

use super::{Fresh, Reply, handle};
use crate::connection::{CuttableListener, Line};
use crate::state::Shared;
use crate::wire::{Wire, half_of};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};
use std::future::Future;
use std::io;
use std::time::Duration;

/// Largest body read, in bytes; the vendor's gateway takes twelve times as much.
const MAX_BODY: usize = 1024 * 1024;

/// Serves the cloud port until `stop` resolves.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve(
    listener: CuttableListener,
    state: Shared,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new().fallback(answer).with_state(state);
    let service = router.into_make_service_with_connect_info::<Line>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

async fn answer(State(state): State<Shared>, ConnectInfo(line): ConnectInfo<Line>, request: Request) -> Response {
    let Some(wire) = Wire::read(request, MAX_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let name = || format!("{:032x}", rand::random::<u128>());
    let fresh = Fresh { request: name(), thing: name(), image: uuid(rand::random()) };
    let reply = handle(&mut state.lock(), &wire, &fresh);
    if reply.delay_millis > 0 {
        tokio::time::sleep(Duration::from_millis(reply.delay_millis)).await;
    }
    if reply.cut {
        line.cut();
    }
    respond(reply).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Random bits in the form of a random UUID.
fn uuid(bits: u128) -> String {
    let hex = format!("{:032x}", (bits & !(0xf << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62));
    let part = |from, to| hex.get(from..to).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn respond(reply: Reply) -> Result<Response, axum::http::Error> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    if reply.halve && !reply.body.is_empty() {
        return response.header(CONTENT_LENGTH, reply.body.len()).body(half_of(reply.body));
    }
    response.body(Body::from(reply.body))
}
