//! Checks the CRDs that the API server serves: with older ones it hides fields, and a ledger reads as empty. The source is the
//! server's own `OpenAPI` document, which every authenticated client may read, in every mode of the operator.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ETAG, IF_NONE_MATCH};
use http::{Request, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout};

use super::api_server::ApiServer;
use super::{ClusterError, within_deadline};
use crate::api::definitions::{Lacking, document_path, lacking};

/// How often the operator reads the document: after a change, it misreads objects for no longer than this. Actions that would
/// lose data by a misread call [`Definitions::check`] themselves.
const INTERVAL: Duration = Duration::from_secs(10);

/// The same while a field is missing or nothing is known.
const INTERVAL_WHILE_LACKING: Duration = Duration::from_millis(500);

/// How long definitions must stay complete after a gap: several API servers learn of a change one after the other.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The state of the definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// The document could not be read yet, and why.
    Unknown(String),
    /// The API server hides fields that this version needs.
    Lacking(Arc<Lacking>),
    /// The API server serves every field that this version needs.
    Whole,
}

impl Served {
    /// Why the operator may not act; `None` if it may.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Unknown(why) => Some(why.clone()),
            Self::Lacking(lacking) => Some(lacking.message()),
            Self::Whole => None,
        }
    }
}

/// The definitions as the API server serves them.
pub struct Definitions {
    client: Client,
    /// The reads of the definitions are its probes.
    api_server: Arc<ApiServer>,
    read: Mutex<Read>,
    served: watch::Sender<Served>,
}

/// The last response.
#[derive(Default)]
struct Read {
    /// When its request began.
    begun: Option<Instant>,
    etag: Option<http::HeaderValue>,
    lacking: Option<Lacking>,
    /// Since when the definitions are complete again.
    whole_since: Option<Instant>,
}

impl Definitions {
    /// Starts without any knowledge of the definitions.
    pub fn new(client: Client, api_server: Arc<ApiServer>) -> Self {
        let why = "the API server's definitions are not read yet: is the API server there, and are the CRDs?";
        Self { client, api_server, read: Mutex::default(), served: watch::Sender::new(Served::Unknown(why.to_owned())) }
    }

    /// The state of the API server.
    pub fn api_server(&self) -> &Arc<ApiServer> {
        &self.api_server
    }

    /// The current state.
    pub fn served(&self) -> Served {
        self.served.borrow().clone()
    }

    /// Keeps the state up to date. Never returns.
    pub async fn keep(&self) {
        loop {
            let whole = self.check().await.is_ok();
            let pause = if whole { INTERVAL } else { INTERVAL_WHILE_LACKING };
            // Requests for a probe may come in a crowd.
            sleep(INTERVAL_WHILE_LACKING).await;
            drop(timeout(pause.saturating_sub(INTERVAL_WHILE_LACKING), self.api_server.suspected()).await);
        }
    }

    /// Waits until the definitions are complete (`true`) or incomplete (`false`).
    pub async fn until(&self, whole: bool) {
        let mut served = self.served.subscribe();
        // The sender lives as long as `self`.
        drop(served.wait_for(|served| (*served == Served::Whole) == whole).await);
    }

    /// Waits until the state is known.
    pub async fn until_known(&self) {
        let mut served = self.served.subscribe();
        drop(served.wait_for(|served| !matches!(served, Served::Unknown(_))).await);
    }

    /// Proves that earlier reads were complete: asks the API server, unless another call has asked since this one began.
    pub async fn check(&self) -> Result<(), ClusterError> {
        let asked = Instant::now();
        let mut read = self.read.lock().await;
        if read.begun.is_none_or(|begun| begun < asked) {
            let begun = Instant::now();
            let answer = self.read(&mut read).await;
            self.api_server.probed(answer.as_ref().err());
            answer.inspect_err(|error| self.unread(error))?;
            read.begun = Some(begun);
            self.judge(&mut read);
        }
        drop(read);
        match self.served().problem() {
            None => Ok(()),
            Some(why) => Err(ClusterError::Definitions(why)),
        }
    }

    /// The same for callers that cannot continue without a result: retries until the API server answers.
    pub async fn check_at_last(&self) -> Result<(), ClusterError> {
        loop {
            match self.check().await {
                Err(ClusterError::Api(_) | ClusterError::Deadline) => sleep(INTERVAL_WHILE_LACKING).await,
                answer => return answer,
            }
        }
    }

    async fn read(&self, read: &mut Read) -> Result<(), ClusterError> {
        let mut request = Request::get(document_path());
        if let Some(etag) = &read.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let request = request.body(Body::empty()).map_err(kube::Error::HttpError)?;
        let answer = within_deadline(async {
            let answer = self.client.send(request).await?;
            let (parts, body) = answer.into_parts();
            Ok((parts, body.collect_bytes().await?))
        });
        let (parts, body) = answer.await?;
        match parts.status {
            StatusCode::NOT_MODIFIED => {}
            StatusCode::NOT_FOUND => *read = Read { lacking: Some(lacking(None)), ..Read::default() },
            StatusCode::OK => {
                let document: Value = serde_json::from_slice(&body).map_err(kube::Error::SerdeError)?;
                read.etag = parts.headers.get(ETAG).cloned();
                read.lacking = Some(lacking(Some(&document)));
            }
            refused => {
                let why = format!("GET {}", document_path());
                let status = kube::core::Status::failure(&why, "Unread").with_code(refused.as_u16());
                return Err(kube::Error::Api(Box::new(status)).into());
            }
        }
        Ok(())
    }

    /// A failed read changes nothing but the reason for which the state is unknown.
    fn unread(&self, error: &ClusterError) {
        let why = format!(
            "the definitions that the API server serves cannot be read ({error}): the operator's user needs the right to \
             GET {}, which system:discovery gives; is the API server there, and are the CRDs?",
            document_path()
        );
        self.served.send_if_modified(|served| match served {
            Served::Unknown(old) if *old != why => {
                old.clone_from(&why);
                true
            }
            _ => false,
        });
    }

    fn judge(&self, read: &mut Read) {
        let Some(found) = &read.lacking else { return };
        let now = Instant::now();
        let next = if !found.0.is_empty() {
            read.whole_since = None;
            Served::Lacking(Arc::new(found.clone()))
        } else if matches!(*self.served.borrow(), Served::Lacking(_)) {
            let since = *read.whole_since.get_or_insert(now);
            if now.duration_since(since) < SETTLED_AFTER {
                return;
            }
            Served::Whole
        } else {
            Served::Whole
        };
        let changed = self.served.send_if_modified(|served| std::mem::replace(served, next.clone()) != next);
        match next.problem() {
            Some(why) if changed => tracing::error!("{why}"),
            None if changed => tracing::info!("the API server serves every field that is needed"),
            _ => {}
        }
    }
}
