//! The console: pages about shared images for one person's browser, served on loopback with the rights of their kubeconfig.
//!
//! | file | content |
//! |---|---|
//! | `guard` | who may ask: one token, one session, this host, this origin |
//! | `page` | what all pages share: navigation, gaps, errors |
//! | `offers` | offers and their answers: the only writes, each shown as YAML first |
//! | `images` | images, their slots, and who has them |
//! | `channels` | channels, with a lane for each stage |
//! | `deletions` | what blocks the deletion of objects, as a chain |
//!
//! Every page is read from the cluster when it is asked for, and is whole without scripts. Nothing is loaded from elsewhere.

mod channels;
mod deletions;
mod guard;
mod images;
mod offers;
mod page;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::arguments::{Connection, Console};
use super::reader::{Reader, Scope};
use super::{Answer, CliError, DONE};
use guard::{Guard, Verdict};

/// Longest body of a form, in bytes.
const FORM_BYTES_MAX: usize = 64 << 10;

const STYLE: &str = include_str!("style.css");

/// No script, no frame, nothing of another origin.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the pages work with.
struct Shared {
    reader: Reader,
    scope: Scope,
    guard: Guard,
}

type Context = State<Arc<Shared>>;

pub(super) async fn run(connection: &Connection, asked: &Console) -> Result<Answer, CliError> {
    let reader = Reader::connect(connection).await?;
    let scope = match (asked.all_namespaces, &connection.namespace) {
        (true, _) => Scope::All,
        (false, Some(namespace)) => Scope::One(namespace.clone()),
        (false, None) => Scope::AllOr(reader.namespace.clone()),
    };
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, asked.port))).await;
    let listener = listener.map_err(|error| CliError::Refused(format!("--port {}: {error}", asked.port)))?;
    let address = listener.local_addr()?;
    let guard = Guard::new(address)?;
    let mut terminal = std::io::stdout();
    writeln!(terminal, "{}\nThe address opens the console once, in one browser. Ctrl-C ends it.", guard.address())?;
    terminal.flush()?;
    let routes = routes(Arc::new(Shared { reader, scope, guard }));
    tokio::select! {
        served = axum::serve(listener, routes) => served?,
        // Browsers keep connections open: there is nothing to wait for.
        ended = tokio::signal::ctrl_c() => ended?,
    }
    Ok(Answer { text: String::new(), notes: Vec::new(), exit: DONE })
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(offers::list))
        .route("/answer", get(offers::ask).post(offers::answer))
        .route("/images", get(images::list))
        .route("/channels", get(channels::list))
        .route("/deletions", get(deletions::list))
        .route("/style.css", get(style))
        .fallback(page::absent)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn_with_state(shared.clone(), guarded))
        .with_state(shared)
}

async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// Answers only whom the guard admits, and tells the browser to trust nothing else.
async fn guarded(State(shared): Context, request: Request, next: Next) -> Response {
    let mut response = match shared.guard.check(request.method(), request.uri(), request.headers()) {
        Verdict::Admitted => next.run(request).await,
        Verdict::Opened(response) => response,
        Verdict::Refused(why) => page::refusal(StatusCode::FORBIDDEN, why),
    };
    let headers = response.headers_mut();
    let same_origin = HeaderValue::from_static("same-origin");
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), same_origin.clone());
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), same_origin);
    response
}
