//! Carries requests to their upstream and answers back, as the rules say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::stream;
use http::header::{CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::call::{Call, Upstream};
use super::rule::{Deed, Meeting, Moment, Rules};

/// Largest request, and largest answer to a write.
const BODY: usize = 16 * 1024 * 1024;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Failure>;

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by the proxy")
    }
}

impl std::error::Error for Cut {}

/// The way to one upstream.
#[derive(Debug)]
pub(super) struct Route {
    base: String,
    client: reqwest::Client,
    cuts: watch::Sender<u64>,
}

impl Route {
    /// To `base`, whose certificate is signed by one of `authorities` (DER) where it is `https`.
    pub(super) fn new(base: &str, authorities: Option<&[Vec<u8>]>) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            // What the caller sent once arrives at most once.
            .retry(reqwest::retry::never());
        if let Some(authorities) = authorities {
            let certificates: Result<Vec<_>, _> =
                authorities.iter().map(|der| reqwest::Certificate::from_der(der)).collect();
            builder = builder.tls_certs_only(certificates.context("the API server's certificate")?);
        }
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client: builder.build()?, cuts: watch::Sender::new(0) })
    }
}

/// What both listeners share.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) rules: Rules,
    kubernetes: Route,
    cloud: Route,
    calls: Mutex<(u64, Vec<Call>)>,
}

impl Relay {
    pub(super) fn new(kubernetes: Route, cloud: Route) -> Self {
        Self { rules: Rules::default(), kubernetes, cloud, calls: Mutex::default() }
    }

    fn route(&self, upstream: Upstream) -> &Route {
        match upstream {
            Upstream::Kubernetes => &self.kubernetes,
            Upstream::Cloud => &self.cloud,
        }
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Vec<Call>)> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.lock().1.clone()
    }

    pub(super) fn last(&self) -> u64 {
        self.lock().1.last().map_or(0, |call| call.seq)
    }

    pub(super) fn disconnect(&self, upstream: Upstream) {
        self.route(upstream).cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Numbers a request and finds what befalls it, in one step: numbers and rules' counts have the same order.
    fn admit(&self, call: &mut Call, body: &[u8]) -> Option<(Deed, Arc<Meeting>)> {
        let (writes, calls) = &mut *self.lock();
        call.seq = u64::try_from(calls.len()).unwrap_or(u64::MAX).saturating_add(1);
        if let Some(number) = &mut call.write {
            *writes += 1;
            *number = *writes;
        }
        calls.push(call.clone());
        self.rules.judge(call, body)
    }

    fn answered(&self, call: &mut Call, status: u16, version: Option<u64>) {
        (call.answered_at, call.status, call.version) = (Some(Timestamp::now()), Some(status), version);
        if let Some(kept) = self.lock().1.iter_mut().rfind(|kept| kept.seq == call.seq) {
            kept.clone_from(call);
        }
    }

    async fn handle(
        self: Arc<Self>,
        upstream: Upstream,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Failure> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY).collect().await?.to_bytes();
        let mut call = Call::read(upstream, &parts, &body);
        let Some((deed, meeting)) = self.admit(&mut call, &body) else {
            return self.forward(&mut call, parts, body).await;
        };
        self.befall(deed, meeting, call, parts, body).await
    }

    async fn befall(
        self: &Arc<Self>,
        deed: Deed,
        meeting: Arc<Meeting>,
        mut call: Call,
        parts: http::request::Parts,
        body: Bytes,
    ) -> Result<Response<Body>, Failure> {
        match deed {
            Deed::Hold(Moment::BeforeForward) => {
                if !meeting.hold(&call).await {
                    return Err(Cut.into());
                }
                self.forward(&mut call, parts, body).await
            }
            Deed::Hold(Moment::AfterApply) => {
                let answer = self.forward(&mut call, parts, body).await?;
                if meeting.hold(&call).await { Ok(answer) } else { Err(Cut.into()) }
            }
            Deed::Hold(Moment::AfterAnswer) => {
                let answer = self.forward(&mut call, parts, body).await?;
                Ok(answer.map(|inner| Told { inner, meeting, call }.boxed_unsync()))
            }
            Deed::HoldBody(part) => {
                let (part, rest) = (body.slice(..part.min(body.len())), body.slice(part.min(body.len())..));
                let held = Held { first: Some(part), rest, meeting, call: call.clone() };
                let body = reqwest::Body::wrap(StreamBody::new(stream::try_unfold(held, Held::next)));
                self.forward(&mut call, parts, body).await
            }
            Deed::HoldAnswer(part) => {
                let answer = self.forward(&mut call, parts, body).await?;
                Ok(answer.map(|inner| halting(inner, part, meeting, call)))
            }
            Deed::CutBefore => {
                meeting.tell(&call);
                Err(Cut.into())
            }
            Deed::CutAfter => {
                let answer = self.forward(&mut call, parts, body).await;
                meeting.tell(&call);
                drop(answer);
                Err(Cut.into())
            }
            Deed::Answer(status, text) => {
                meeting.tell(&call);
                let answer = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
                Ok(answer.body(whole(Bytes::from(text)))?)
            }
            Deed::Delay(time) => {
                meeting.tell(&call);
                tokio::time::sleep(time).await;
                self.forward(&mut call, parts, body).await
            }
        }
    }

    /// Once begun, it is carried through even if the caller dies: bytes that have left cannot be called back.
    async fn forward(
        self: &Arc<Self>,
        call: &mut Call,
        parts: http::request::Parts,
        body: impl Into<reqwest::Body>,
    ) -> Result<Response<Body>, Failure> {
        let (relay, mut told, body) = (self.clone(), call.clone(), body.into());
        let carried =
            tokio::spawn(async move { relay.carry(&mut told, parts, body).await.map(|answer| (answer, told)) });
        let (answer, told) = carried.await??;
        *call = told;
        Ok(answer)
    }

    async fn carry(
        &self,
        call: &mut Call,
        parts: http::request::Parts,
        body: reqwest::Body,
    ) -> Result<Response<Body>, Failure> {
        let route = self.route(call.upstream);
        let mut headers = parts.headers;
        without_hops(&mut headers);
        let request = route.client.request(parts.method, format!("{}{}", route.base, call.path));
        let answer: Response<reqwest::Body> = request.headers(headers).body(body).send().await?.into();
        let (mut head, body) = answer.into_parts();
        without_hops(&mut head.headers);
        if call.write.is_none() {
            self.answered(call, head.status.as_u16(), None);
            return Ok(Response::from_parts(head, body.map_err(Into::into).boxed_unsync()));
        }
        let body = Limited::new(body, BODY).collect().await?.to_bytes();
        let version = (call.upstream == Upstream::Kubernetes && head.status.is_success()).then(|| version_in(&body));
        self.answered(call, head.status.as_u16(), version.flatten());
        Ok(Response::from_parts(head, whole(body)))
    }
}

/// Headers that speak of one connection only.
fn without_hops(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING] {
        headers.remove(name);
    }
}

fn version_in(body: &[u8]) -> Option<u64> {
    let object: Value = serde_json::from_slice(body).ok()?;
    object.pointer("/metadata/resourceVersion")?.as_str()?.parse().ok()
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// A body that tells when it was handed over: it is dropped once its last byte was taken.
struct Told {
    inner: Body,
    meeting: Arc<Meeting>,
    call: Call,
}

impl hyper::body::Body for Told {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Failure>>> {
        std::pin::Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.meeting.tell(&self.call);
    }
}

/// A request's body on its way to the upstream, of which the rest waits for a test's word.
struct Held {
    first: Option<Bytes>,
    rest: Bytes,
    meeting: Arc<Meeting>,
    call: Call,
}

impl Held {
    async fn next(mut self) -> Result<Option<(Frame<Bytes>, Self)>, Failure> {
        if let Some(first) = self.first.take() {
            return Ok(Some((Frame::data(first), self)));
        }
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return Ok(None);
        }
        if self.meeting.hold(&self.call).await { Ok(Some((Frame::data(rest), self))) } else { Err(Cut.into()) }
    }
}

/// An answer's body, of which the rest waits for a test's word once `part` bytes were handed over.
fn halting(inner: Body, part: usize, meeting: Arc<Meeting>, call: Call) -> Body {
    let stages = stream::try_unfold((inner, 0, false), move |(mut inner, passed, held)| {
        let (meeting, call) = (Arc::clone(&meeting), call.clone());
        async move {
            let halts = !held && passed >= part;
            if halts && !meeting.hold(&call).await {
                return Err(Cut.into());
            }
            let Some(frame) = inner.frame().await.transpose()? else { return Ok(None) };
            let passed = passed + frame.data_ref().map_or(0, Bytes::len);
            Ok::<_, Failure>(Some((frame, (inner, passed, held || halts))))
        }
    });
    StreamBody::new(stages).boxed_unsync()
}

/// Accepts connections for one upstream until its runtime ends.
pub(super) async fn serve(relay: Arc<Relay>, upstream: Upstream, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(relay.clone(), upstream, stream));
            }
            // Out of file descriptors, or a caller that has gone already.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(relay: Arc<Relay>, upstream: Upstream, stream: TcpStream) {
    stream.set_nodelay(true).ok();
    let mut cuts = relay.route(upstream).cuts.subscribe();
    let service = service_fn(|request| relay.clone().handle(upstream, request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A failed connection has been closed; its caller knows.
    tokio::select! {
        _ = connection => {}
        _ = cuts.changed() => {}
    }
}
