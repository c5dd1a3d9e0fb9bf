//! What the process answers over HTTP about itself: metrics, whether it lives, whether it is ready. Nothing in it is secret
//! and nothing can be changed through it.

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

/// What is told.
#[derive(Clone)]
pub struct Told {
    /// Metrics.
    pub registry: Arc<Registry>,
    /// Why the process is not ready; nothing if it is.
    pub obstacle: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

/// Listens there, and answers until the process ends. Errors: the address cannot be listened at.
pub async fn serve(at: SocketAddr, told: Told) -> std::io::Result<()> {
    let listener = TcpListener::bind(at).await?;
    tracing::info!(address = %listener.local_addr()?, "serving metrics and health");
    let routes = Router::new()
        .route("/metrics", get(metrics))
        // That it answers is the answer.
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .with_state(told);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "metrics and health are not served any more");
        }
    });
    Ok(())
}

async fn metrics(State(told): State<Told>) -> Response {
    match text(&told.registry) {
        Ok(text) => ([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn ready(State(told): State<Told>) -> (StatusCode, String) {
    match (told.obstacle)() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}
