//! Metrics of the controllers: calls, queue depth and latencies.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clouds::Fault;
use crate::clouds::instrumented::{CallObserver, Requested};
use crate::domain::provider::Provider;
use crate::telemetry::metrics::Metrics;

impl CallObserver for Metrics {
    fn requested(&self, request: &Requested<'_>) {
        let Requested { provider, operation, fault, took, .. } = request;
        self.called(provider.label(), format!("{operation:?}"), fault.map(Fault::name), *took);
    }

    fn waited(&self, provider: Provider, time: Duration) {
        self.throttled(provider.label(), time);
    }
}

/// Objects of one kind that are enqueued and not yet reconciled, each once.
pub(crate) struct QueueDepth {
    kind: &'static str,
    metrics: Metrics,
    objects: Mutex<HashSet<Name>>,
}

/// Namespace and name.
type Name = (Option<String>, String);

impl QueueDepth {
    pub(crate) fn new(kind: &'static str, metrics: Metrics) -> Self {
        Self { kind, metrics, objects: Mutex::default() }
    }

    fn change(&self, change: impl FnOnce(&mut HashSet<Name>)) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut objects);
        self.metrics.queued(self.kind, objects.len());
    }

    pub(crate) fn enqueued(&self, namespace: Option<String>, name: String) {
        self.change(|objects| {
            objects.insert((namespace, name));
        });
    }

    pub(crate) fn reconciled(&self, namespace: Option<String>, name: String) {
        self.change(|objects| {
            objects.remove(&(namespace, name));
        });
    }
}

/// Latency timers of shares, by uid: from the first sight of a change or a deletion.
#[derive(Default)]
pub struct LatencyTimers(Mutex<HashMap<String, Begun>>);

struct Begun {
    generation: Option<i64>,
    deleting: bool,
    at: Instant,
}

impl LatencyTimers {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Begun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the timer of a desired state that is not yet reached; the first start counts.
    pub(crate) fn begin(&self, uid: &str, generation: Option<i64>, deleting: bool) {
        let mut all = self.lock();
        let same = all.get(uid).is_some_and(|begun| (begun.generation, begun.deleting) == (generation, deleting));
        if !same {
            all.insert(uid.to_owned(), Begun { generation, deleting, at: Instant::now() });
        }
    }

    /// Stops the timer and returns the elapsed time, if a timer ran.
    pub(crate) fn end(&self, uid: &str) -> Option<Duration> {
        self.lock().remove(uid).map(|begun| begun.at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_timed_from_its_first_sight_and_once() {
        let watches = LatencyTimers::default();
        watches.begin("a", Some(1), false);
        std::thread::sleep(Duration::from_millis(20));
        watches.begin("a", Some(1), false);
        assert!(watches.end("a").unwrap() >= Duration::from_millis(20));
        assert_eq!(watches.end("a"), None);
    }

    #[test]
    fn another_wish_is_timed_anew() {
        let watches = LatencyTimers::default();
        watches.begin("a", Some(1), false);
        std::thread::sleep(Duration::from_millis(50));
        watches.begin("a", Some(2), false);
        assert!(watches.end("a").unwrap() < Duration::from_millis(50));
    }
}
