//! Leader election: maintains the lease, opens the fence to the clouds while it is held, and notifies the parts that wait for
//! it. `planning::lease` decides what to do about the lease.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::clouds::clock::Clock;
use crate::clouds::fence::Fence;
use crate::cluster::ClusterError;
use crate::cluster::lease::{Held, LeaseRecord};
use crate::planning::lease::{CandidateState, Intervals, Move, Record, decide, held_until, leave_to_others, observe};

/// How long a call of a former leader may still be in flight after its lease expired: the deadline of one call.
pub const CALLS_OF_OTHERS: Duration = Duration::from_secs(10);

/// Retry delay after a conflicting write or a failed call; doubles up to the period of the lease.
const SOON: Duration = Duration::from_millis(250);

/// helm deletes the rights of the pods before the pods have ended.
const RIGHTS_GONE: &str = "the rights to the lease are gone, as in an uninstallation: ending without giving it back";

/// How often a failure that lasts is logged again.
const LOGGED_AGAIN: Duration = Duration::from_secs(60);

/// This process held the lease, and no longer does or may no longer do so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease is lost: somebody else leads now, or it could not be renewed in time")]
pub struct LeaseLost;

/// Why the lease is kept no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepEnd {
    /// Another process leads, or may lead now.
    Lost,
    /// This process is to stop, and its rights are gone: the operator is being uninstalled.
    Dismissed,
}

/// A failure of the calls to the lease that lasts.
#[derive(Debug)]
struct Failing {
    message: String,
    /// When it was logged here; `None` if only `cluster::api_server` logs it.
    logged: Option<Instant>,
    delay: Duration,
}

/// Leadership state that a leader or a candidate shares with its parts.
#[derive(Clone)]
pub struct Leading {
    /// Lets calls to the clouds through.
    pub fence: Fence,
    /// Cancelled once this process leads.
    pub begun: CancellationToken,
    /// Until when calls of a former leader may still take effect, on the monotonic clock; unset if there was none, or if it
    /// gave the lease back.
    pub others_until: Arc<OnceLock<Instant>>,
}

impl Leading {
    /// A single process leads from the start.
    pub fn alone() -> Self {
        let begun = CancellationToken::new();
        begun.cancel();
        Self { fence: Fence::always_open(), begun, others_until: Arc::default() }
    }

    /// One of several processes waits until it holds the lease.
    pub fn one_of_several() -> Self {
        Self { fence: Fence::closed(), begun: CancellationToken::new(), others_until: Arc::default() }
    }
}

/// Maintains the lease of one process.
pub struct Leadership {
    record: LeaseRecord,
    terms: Intervals,
    leading: Leading,
    clock: Arc<dyn Clock>,
    start: Instant,
    memory: CandidateState,
    /// Whether this process can act.
    able: Box<dyn Fn() -> bool + Send + Sync>,
    stop: CancellationToken,
    failing: Option<Failing>,
}

impl Leadership {
    /// Sends no request yet.
    pub fn new(record: LeaseRecord, terms: Intervals, leading: Leading, clock: Arc<dyn Clock>) -> Self {
        let (start, memory) = (Instant::now(), CandidateState::default());
        let (stop, failing) = (CancellationToken::new(), None);
        Self { record, terms, leading, clock, start, memory, able: Box::new(|| true), stop, failing }
    }

    /// From the cancellation of `stop` on, a refusal by the API server is the end.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Leaves the lease to other candidates while this process cannot act.
    #[must_use]
    pub fn while_able(self, able: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { able: Box::new(able), ..self }
    }

    /// Takes the lease when it is free and renews it until it is lost. A watch reports at once when the holder gives the lease
    /// back, so that edits do not wait for the next poll.
    pub async fn keep(&mut self) -> KeepEnd {
        let mut freed = self.record.freed();
        loop {
            match self.tend().await {
                Ok(wait) if self.memory.held_since.is_none() => drop(timeout(wait, freed.next()).await),
                Ok(wait) => {
                    freed = stream::pending().boxed();
                    sleep(wait).await;
                }
                Err(end) => {
                    self.leading.fence.close();
                    match end {
                        KeepEnd::Lost => tracing::error!(lease.holder = self.record.me(), "the lease is lost"),
                        KeepEnd::Dismissed => tracing::info!("{RIGHTS_GONE}"),
                    }
                    return end;
                }
            }
        }
    }

    /// Closes the fence and gives the lease back.
    pub async fn give_back(&mut self) {
        self.leading.fence.close();
        if self.memory.held_since.take().is_none() {
            return;
        }
        match self.record.give_back().await {
            Ok(()) => {}
            Err(error) if error.is_denied() => tracing::info!("{RIGHTS_GONE}"),
            Err(error) => tracing::warn!(%error, "the lease could not be given back; it runs out by itself"),
        }
    }

    /// Reads the lease once and acts on it; returns the delay until the next read.
    async fn tend(&mut self) -> Result<Duration, KeepEnd> {
        let read = match self.record.read().await {
            Ok(read) => read,
            Err(error) => return self.failed(&error),
        };
        let record = read.as_ref().map(record_of);
        let now = self.start.elapsed();
        observe(&mut self.memory, record.as_ref(), now);
        let next = decide(self.record.me(), &self.memory, record.as_ref(), self.terms, now);
        let next = leave_to_others(&mut self.memory, next, (self.able)(), self.terms, now);
        // Our term counts from before the request: other candidates count from after the API server received it.
        let written = match (next, &read) {
            (Move::Lost, _) => return Err(KeepEnd::Lost),
            (Move::Wait(wait), _) => {
                self.recovered();
                return Ok(wait);
            }
            (Move::Create, _) | (_, None) => self.record.create(self.clock.now()).await,
            (Move::Take { .. } | Move::Renew, Some(read)) => self.record.hold(read, self.clock.now()).await,
        };
        match written {
            Ok(()) => {
                self.recovered();
                // If no lease exists, another client may have deleted it a moment ago.
                self.hold(now, next != Move::Take { vacant: true });
                Ok(self.terms.period)
            }
            Err(error) => self.failed(&error),
        }
    }

    fn hold(&mut self, since: Duration, taken_over: bool) {
        self.memory.held_since = Some(since);
        self.leading.fence.open_until(self.start + held_until(since, self.terms));
        if self.leading.begun.is_cancelled() {
            return;
        }
        if taken_over {
            self.leading.others_until.get_or_init(|| Instant::now() + CALLS_OF_OTHERS);
        }
        tracing::info!(lease.holder = self.record.me(), taken_over, "leading");
        self.leading.begun.cancel();
    }

    fn failed(&mut self, error: &ClusterError) -> Result<Duration, KeepEnd> {
        if self.stop.is_cancelled() && error.is_denied() {
            return Err(KeepEnd::Dismissed);
        }
        // Another candidate was faster: nothing is wrong.
        let conflict = error.is_conflict() || error.is_already_exists();
        let delay = if conflict { SOON } else { self.log(error) };
        let held = self.memory.held_since.map(|since| held_until(since, self.terms));
        match held {
            Some(until) if self.start.elapsed() >= until => Err(KeepEnd::Lost),
            _ => Ok(delay),
        }
    }

    /// Logs a failure when it begins, when it becomes another one, and every minute, unless it is logged already; returns the
    /// delay until the next try.
    fn log(&mut self, error: &ClusterError) -> Duration {
        let (message, now) = (error.to_string(), Instant::now());
        let before = self.failing.take();
        let delay = before.as_ref().map_or(SOON, |failing| (failing.delay * 2).min(self.terms.period));
        let recent = |logged: &Instant| now - *logged < LOGGED_AGAIN;
        let mut logged = before.filter(|known| known.message == message).and_then(|known| known.logged).filter(recent);
        if error.is_logged_already() {
            tracing::debug!(%error, "the lease could not be read or written");
        } else if logged.is_none() {
            tracing::warn!(%error, "the lease could not be read or written");
            logged = Some(now);
        }
        self.failing = Some(Failing { message, logged, delay });
        delay
    }

    fn recovered(&mut self) {
        if self.failing.take().is_some_and(|failing| failing.logged.is_some()) {
            tracing::info!("the lease can be read and written again");
        }
    }
}

fn record_of(held: &Held) -> Record {
    Record { holder: held.holder.clone(), duration: held.duration, version: held.version.clone() }
}
