//! Streams bodies of any length with a few pieces in memory: the stream does not read ahead of its consumer. A whole body
//! has no deadline, but a stalled one has.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Body, Response};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::causes::{Peer, fault_of, too_late};
use super::{Answer, Request, Transport, read_whole};
use crate::clouds::Fault;

/// A body, piece by piece; the last one may be a fault.
pub type Pieces = BoxStream<'static, Result<Bytes, Fault>>;

/// An answer with an unread body.
pub struct Opened {
    /// The HTTP status.
    pub status: u16,
    /// All headers of the answer.
    pub headers: HeaderMap,
    /// Length of the body in bytes, if the answer declares it; a shorter body then ends in `Unreachable`.
    pub length: Option<u64>,
    response: Response,
    peer: Peer,
    idle: Duration,
}

impl Opened {
    /// The body. Reads nothing ahead of the consumer, except the buffers of the connection (a few MiB).
    ///
    /// Errors: `Unreachable` if a requested piece does not arrive within `TransportSettings::idle`, or the
    /// connection breaks.
    pub fn pieces(self) -> Pieces {
        let Self { response, peer, idle, .. } = self;
        let next = move |(mut response, peer): (Response, Peer)| async move {
            let piece = within(idle, &peer, response.chunk()).await?;
            Ok(piece.map(|piece| (piece, (response, peer))))
        };
        stream::try_unfold((response, peer), next).boxed()
    }

    /// Reads the whole body, as `Transport::send` does. For answers that report no success.
    pub async fn whole(self) -> Result<Answer, Fault> {
        let Self { status, headers, response, peer, idle, .. } = self;
        let answer = timeout(idle, read_whole(response, &peer)).await.map_err(|_| too_late(&peer))??;
        Ok(Answer { status, headers, ..answer })
    }
}

/// Progress of an outgoing body.
enum Stage {
    /// The connection has not requested a piece yet.
    Opening,
    /// The connection waits for a piece.
    Asked,
    /// The connection has a piece and has not requested the next one.
    Given,
    /// The connection has the whole body.
    AllGiven,
    /// The source of the body failed.
    Broken(Fault),
}

impl Transport {
    /// Sends one request and reads the answer up to its body.
    ///
    /// Errors: as for `send`, but with the deadline `TransportSettings::idle`.
    pub async fn open(&self, request: Request) -> Result<Opened, Fault> {
        let peer = self.peer(&request);
        let Request { method, url, mut headers, body } = request;
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let sending = self.clients.streaming.request(method, url).headers(headers).body(body).send();
        self.check_fence()?;
        let mut response = within(self.settings.idle, &peer, sending).await?;
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        peer.check_proxy(status)?;
        Ok(Opened { status, headers, length: response.content_length(), response, peer, idle: self.settings.idle })
    }

    /// Sends one request with `pieces`, `length` bytes in total, instead of its own body, and reads the whole answer.
    /// Dropping the future closes the connection.
    ///
    /// Errors: the fault among the pieces; `Unintelligible` if their total is not `length`; `Unreachable` if the server takes no
    /// piece for `TransportSettings::idle`, or does not answer within `stored_within` after the last one; else as for
    /// `send`.
    pub async fn send_streamed(&self, request: Request, length: u64, pieces: Pieces) -> Result<Answer, Fault> {
        let peer = self.peer(&request);
        let Request { method, url, mut headers, .. } = request;
        // With this header, the client does not send the body in chunks.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        let (stage, seen) = watch::channel(Stage::Opening);
        let ended = CancellationToken::new();
        let body = Body::wrap_stream(counted(pieces, length, stage).take_until(ended.clone().cancelled_owned()));
        // Some servers answer before they have the whole body: then the connection must stop sending it.
        let _ended = ended.drop_guard();
        let sending = self.clients.streaming.request(method, url).headers(headers).body(body).send();
        self.check_fence()?;
        let answering = async { read_whole(sending.await.map_err(|error| fault_of(&error, &peer))?, &peer).await };
        let answer = tokio::select! {
            biased;
            answer = answering => answer,
            fault = self.stands_still(&peer, seen.clone()) => Err(fault),
        };
        match (answer, &*seen.borrow()) {
            (Err(_), Stage::Broken(fault)) => Err(fault.clone()),
            (answer, _) => answer,
        }
    }

    /// Waits until an outgoing body stalls for too long or its source fails.
    async fn stands_still(&self, peer: &Peer, mut seen: watch::Receiver<Stage>) -> Fault {
        loop {
            let wait = match &*seen.borrow_and_update() {
                Stage::Opening | Stage::Given => self.settings.idle,
                // The source of the piece has its own deadline, whose fault is more precise.
                Stage::Asked => self.settings.idle.saturating_mul(2),
                Stage::AllGiven => self.settings.stored_within,
                Stage::Broken(fault) => return fault.clone(),
            };
            match timeout(wait, seen.changed()).await {
                Ok(Ok(())) => {}
                // The connection dropped the body: only the answer is outstanding.
                Ok(Err(_)) => {
                    sleep(self.settings.stored_within).await;
                    return too_late(peer);
                }
                Err(_) => return too_late(peer),
            }
        }
    }
}

/// The pieces for the connection: exactly `length` bytes, or a fault.
fn counted(
    pieces: Pieces,
    length: u64,
    stage: watch::Sender<Stage>,
) -> impl Stream<Item = Result<Bytes, Fault>> + Send + 'static {
    stream::try_unfold((pieces, length, stage), |(mut pieces, left, stage)| async move {
        if left == 0 {
            return Ok(None);
        }
        stage.send_replace(Stage::Asked);
        let next = pieces.next().await.unwrap_or(Err(Fault::Unintelligible));
        let counted = next.and_then(|piece| {
            let left = left.checked_sub(piece.len() as u64).ok_or(Fault::Unintelligible)?;
            Ok((piece, left))
        });
        match counted {
            Ok((piece, left)) => {
                stage.send_replace(if left == 0 { Stage::AllGiven } else { Stage::Given });
                Ok(Some((piece, (pieces, left, stage))))
            }
            Err(fault) => {
                stage.send_replace(Stage::Broken(fault.clone()));
                Err(fault)
            }
        }
    })
}

async fn within<T>(
    idle: Duration,
    peer: &Peer,
    doing: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<T, Fault> {
    match timeout(idle, doing).await {
        Ok(done) => done.map_err(|error| fault_of(&error, peer)),
        Err(_) => Err(too_late(peer)),
    }
}

#[cfg(test)]
mod tests;
