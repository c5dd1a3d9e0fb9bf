//! The HTTP endpoints for metrics, liveness and readiness. They expose no secrets and change nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::metrics::{MEDIA_TYPE, text};

/// The data that the endpoints serve.
#[derive(Clone)]
pub struct Sources {
    /// Metrics.
    pub registry: Arc<Registry>,
    /// Why the process is not ready; `None` if it is.
    pub not_ready: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

/// Listens on the address and serves until the process ends. Errors: the operator cannot listen on the address.
pub async fn serve(at: SocketAddr, sources: Sources) -> std::io::Result<()> {
    let listener = TcpListener::bind(at).await?;
    tracing::info!(address = %listener.local_addr()?, "serving metrics and health");
    let routes = Router::new()
        .route("/metrics", get(metrics))
        // Any response proves liveness.
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .with_state(sources);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "metrics and health are not served any more");
        }
    });
    Ok(())
}

async fn metrics(State(sources): State<Sources>) -> Response {
    match text(&sources.registry) {
        Ok(text) => ([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn ready(State(sources): State<Sources>) -> (StatusCode, String) {
    match (sources.not_ready)() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}
