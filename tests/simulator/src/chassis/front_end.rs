//! The HTTP front end of a cloud: reads requests within bounds, carries out delays and cuts, sends answers.

use super::connection::{Connection, Connections};
use super::exchange::{Reply, Vendor, handle};
use super::wire::{Wire, half_of};
use crate::state::Shared;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};
use std::future::Future;
use std::io;
use std::time::Duration;

/// Serves a cloud until `stop` resolves.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve<V: Vendor>(
    connections: Connections,
    state: Shared,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new().fallback(answer::<V>).with_state(state);
    let service = router.into_make_service_with_connect_info::<Connection>();
    axum::serve(connections, service).with_graceful_shutdown(stop).await
}

async fn answer<V: Vendor>(
    State(state): State<Shared>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let Some(wire) = Wire::read(request, connection.scheme(), V::MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let fresh = V::fresh([rand::random(), rand::random(), rand::random()]);
    let reply = handle::<V>(&mut state.lock(), &wire, &fresh);
    if reply.delay_millis > 0 {
        tokio::time::sleep(Duration::from_millis(reply.delay_millis)).await;
    }
    if reply.cut {
        connection.cut();
    }
    respond(reply).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
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

/// Random bits as 32 hexadecimal digits.
pub(crate) fn hex_id(bits: u128) -> String {
    format!("{bits:032x}")
}

/// Random bits in the form of a random UUID, version 4.
pub(crate) fn uuid(bits: u128) -> String {
    let hex = hex_id((bits & !(0xf << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62));
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bits_become_uuids_of_version_4() {
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
    }
}
