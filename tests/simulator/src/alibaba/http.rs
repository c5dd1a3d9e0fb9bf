//! The front door's socket side: reads requests within bounds, carries out delays and cuts, sends answers.

use super::{Reply, handle};
use crate::connection::{CuttableListener, Line};
use crate::state::Shared;
use crate::wire::{Wire, half_of};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use std::future::Future;
use std::io;
use std::time::Duration;

/// Largest body read, in bytes.
const MAX_BODY: usize = 64 * 1024;

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
    let request_id = request_id(rand::random());
    let reply = handle(&mut state.lock(), &wire, &request_id);
    if reply.delay_millis > 0 {
        tokio::time::sleep(Duration::from_millis(reply.delay_millis)).await;
    }
    if reply.cut {
        line.cut();
    }
    respond(reply).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn respond(reply: Reply) -> Result<Response, axum::http::Error> {
    let mut response = Response::builder()
        .status(reply.status)
        .header(CONTENT_TYPE, reply.content_type)
        .header("x-acs-request-id", reply.request_id);
    if let Some(millis) = reply.retry_after_millis {
        response = response.header("x-acs-retry-after", millis);
    }
    if reply.halve {
        return response.header(CONTENT_LENGTH, reply.body.len()).body(half_of(reply.body));
    }
    response.body(Body::from(reply.body))
}

/// An upper-case UUID, version 4.
fn request_id(random: u128) -> String {
    let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032X}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_upper_case_uuids_of_version_4() {
        assert_eq!(request_id(u128::MAX), "FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF");
        assert_eq!(request_id(0), "00000000-0000-4000-8000-000000000000");
    }
}
