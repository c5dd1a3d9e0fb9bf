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
use crate::planning::lease::{Memory, Move, Record, Terms, decide, held_until, leave_to_others, observe};

/// How long a call of a former leader may still be in flight after its lease expired: the deadline of one call.
pub const CALLS_OF_OTHERS: Duration = Duration::from_secs(10);

/// Retry delay after a conflicting write or a failed call; doubled for each further one in a row, up to the period of renewals.
const SOON: Duration = Duration::from_millis(250);

/// This process held the lease, and no longer does or may no longer do so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease is lost: somebody else leads now, or it could not be renewed in time")]
pub struct LeaseLost;

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
    terms: Terms,
    leading: Leading,
    clock: Arc<dyn Clock>,
    start: Instant,
    memory: Memory,
    /// Failed calls in a row.
    failures: u32,
    /// Whether this process can act.
    able: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Leadership {
    /// Sends no request yet.
    pub fn new(record: LeaseRecord, terms: Terms, leading: Leading, clock: Arc<dyn Clock>) -> Self {
        let (start, memory) = (Instant::now(), Memory::default());
        Self { record, terms, leading, clock, start, memory, failures: 0, able: Box::new(|| true) }
    }

    /// Leaves the lease to other candidates while this process cannot act.
    #[must_use]
    pub fn while_able(self, able: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { able: Box::new(able), ..self }
    }

    /// Takes the lease when it is free and renews it until it is lost. A watch reports at once when the holder gives the lease
    /// back, so that edits do not wait for the next poll.
    pub async fn keep(&mut self) -> LeaseLost {
        let mut freed = self.record.freed();
        loop {
            match self.tend().await {
                Ok(wait) if self.memory.held_since.is_none() => drop(timeout(wait, freed.next()).await),
                Ok(wait) => {
                    freed = stream::pending().boxed();
                    sleep(wait).await;
                }
                Err(lost) => {
                    self.leading.fence.close();
                    tracing::error!(lease.holder = self.record.me(), "the lease is lost");
                    return lost;
                }
            }
        }
    }

    /// Closes the fence and gives the lease back.
    pub async fn give_back(&mut self) {
        self.leading.fence.close();
        if self.memory.held_since.take().is_some()
            && let Err(error) = self.record.give_back().await
        {
            tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
        }
    }

    /// Reads the lease once and acts on it; returns the delay until the next read.
    async fn tend(&mut self) -> Result<Duration, LeaseLost> {
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
            (Move::Lost, _) => return Err(LeaseLost),
            (Move::Wait(wait), _) => {
                self.failures = 0;
                return Ok(wait);
            }
            (Move::Create, _) | (_, None) => self.record.create(self.clock.now()).await,
            (Move::Take { .. } | Move::Renew, Some(read)) => self.record.hold(read, self.clock.now()).await,
        };
        match written {
            Ok(()) => {
                // If no lease exists, another client may have deleted it a moment ago.
                self.hold(now, next != Move::Take { vacant: true });
                Ok(self.terms.period)
            }
            Err(error) => self.failed(&error),
        }
    }

    fn hold(&mut self, since: Duration, taken_over: bool) {
        self.memory.held_since = Some(since);
        self.failures = 0;
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

    fn failed(&mut self, error: &ClusterError) -> Result<Duration, LeaseLost> {
        tracing::debug!(%error, "the lease could not be read or written");
        let pause = SOON.saturating_mul(1 << self.failures.min(4)).min(self.terms.period);
        self.failures = self.failures.saturating_add(1);
        let held = self.memory.held_since.map(|since| held_until(since, self.terms));
        match held {
            Some(until) if self.start.elapsed() >= until => Err(LeaseLost),
            _ => Ok(pause),
        }
    }
}

fn record_of(held: &Held) -> Record {
    Record { holder: held.holder.clone(), duration: held.duration, version: held.version.clone() }
}
