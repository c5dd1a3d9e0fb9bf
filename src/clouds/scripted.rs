//! For tests of clients: a server that gives scripted answers in their order and records the requests, and a clock that stands.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::clock::Clock;

/// A request as it came.
pub(super) struct Seen {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer to give.
pub(super) struct Scripted {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    /// Sends no answer.
    pub(super) hangs: bool,
}

/// An answer without headers.
pub(super) fn says(status: u16, body: impl Into<String>) -> Scripted {
    Scripted { status, headers: Vec::new(), body: body.into(), hangs: false }
}

/// What the server is to answer, and what it was asked. When no answer is left, it answers 501.
#[derive(Clone, Default)]
pub(super) struct Script {
    pub(super) answers: Arc<Mutex<VecDeque<Scripted>>>,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    /// Starts a server with these answers; gives its host and port.
    pub(super) async fn start(answers: impl IntoIterator<Item = Scripted>) -> (Self, String) {
        let script = Self::default();
        script.answers.lock().unwrap().extend(answers);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (script, host)
    }

    /// How many requests came.
    pub(super) fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn answer(State(script): State<Script>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    script.seen.lock().unwrap().push(Seen { method, target: uri.to_string(), headers, body });
    let next = script.answers.lock().unwrap().pop_front();
    let Some(next) = next else { return StatusCode::NOT_IMPLEMENTED.into_response() };
    if next.hangs {
        std::future::pending::<()>().await;
    }
    let mut response = (StatusCode::from_u16(next.status).unwrap(), next.body).into_response();
    for (name, value) in next.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// A clock that stands.
pub(super) struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        "2024-05-06T07:08:09.5Z".parse().unwrap()
    }
}
