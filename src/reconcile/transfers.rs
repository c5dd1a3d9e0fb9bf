//! Transfers of image content where no cloud copies it for us: tasks of this process, polled by reconciles. Nothing here
//! survives a restart: the next process finds the incomplete image by its id and writes it anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures::StreamExt;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::clouds::copying::Content;
use crate::clouds::{Cloud, Fault, ImageRef, Priority};

/// How many transfers run at the same time; the others wait.
const AT_ONCE: usize = 4;

/// One end of a transfer.
pub(crate) struct End {
    pub(crate) cloud: Arc<dyn Cloud>,
    pub(crate) at: ImageRef,
}

/// The state of a transfer.
pub(crate) enum TransferState {
    /// This process runs no transfer for the object.
    Unknown,
    /// Running, or waiting to start.
    Running { percent: Option<u8> },
    /// Ended. Returned once.
    Ended(Result<(), Fault>),
}

#[derive(Default)]
struct Gauge {
    sent: AtomicU64,
    size: AtomicU64,
}

struct Transfer {
    gauge: Arc<Gauge>,
    outcome: Arc<OnceLock<Result<(), Fault>>>,
    task: AbortHandle,
}

/// The transfers of this process, by the uid of their object.
pub struct Transfers {
    running: Mutex<HashMap<String, Transfer>>,
    /// Since when an unknown writer has been uploading an object's content.
    strangers: Mutex<HashMap<String, Timestamp>>,
    turns: Arc<Semaphore>,
}

impl Default for Transfers {
    fn default() -> Self {
        Self { running: Mutex::default(), strangers: Mutex::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Transfers {
    /// Starts to copy the content of one image into another, empty one. One transfer per object.
    pub(crate) fn start(&self, uid: &str, from: End, to: End) {
        self.stop(uid);
        let (gauge, outcome) = (Arc::new(Gauge::default()), Arc::new(OnceLock::new()));
        let (measured, finished, turns) = (Arc::clone(&gauge), Arc::clone(&outcome), Arc::clone(&self.turns));
        let carrying = tokio::spawn(async move {
            // It is never closed.
            let _turn = turns.acquire_owned().await;
            let ended = carry(from, to, measured).await;
            finished.get_or_init(|| ended);
        });
        locked(&self.running).insert(uid.to_owned(), Transfer { gauge, outcome, task: carrying.abort_handle() });
    }

    /// The state of an object's transfer.
    pub(crate) fn state(&self, uid: &str) -> TransferState {
        let mut running = locked(&self.running);
        let Some(transfer) = running.get(uid) else { return TransferState::Unknown };
        if let Some(outcome) = transfer.outcome.get().cloned() {
            running.remove(uid);
            return TransferState::Ended(outcome);
        }
        let (sent, size) = (transfer.gauge.sent.load(Ordering::Relaxed), transfer.gauge.size.load(Ordering::Relaxed));
        let percent = sent.saturating_mul(100).checked_div(size).and_then(|percent| u8::try_from(percent).ok());
        TransferState::Running { percent: percent.map(|percent| percent.min(100)) }
    }

    /// Stops an object's transfer, if there is one.
    pub(crate) fn stop(&self, uid: &str) {
        if let Some(transfer) = locked(&self.running).remove(uid) {
            transfer.task.abort();
        }
        locked(&self.strangers).remove(uid);
    }

    /// Since when an unknown writer has been uploading an object's content; from now on at the first call.
    pub(crate) fn stranger_since(&self, uid: &str, now: Timestamp) -> Timestamp {
        *locked(&self.strangers).entry(uid.to_owned()).or_insert(now)
    }
}

async fn carry(from: End, to: End, gauge: Arc<Gauge>) -> Result<(), Fault> {
    let Content { size, pieces } = from.cloud.download(&from.at, Priority::Edit).await?;
    gauge.size.store(size, Ordering::Relaxed);
    let counted = pieces.inspect(move |piece| {
        if let Ok(piece) = piece {
            gauge.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    });
    to.cloud.upload(&to.at, Content { size, pieces: counted.boxed() }, Priority::Edit).await
}
