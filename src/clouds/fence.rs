//! The leader fence: the last check before a request goes out, whether this process may make calls. Other code decides when
//! to open it and for how long; it closes by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Until when this process may make calls; shared by all its clients.
#[derive(Debug, Clone)]
pub struct Fence(Arc<Mutex<Until>>);

#[derive(Debug, Clone, Copy)]
enum Until {
    /// This process is the only one.
    Always,
    /// It leads until this time, unless the fence changes before.
    Then(Instant),
    /// This process does not lead.
    Closed,
}

impl Fence {
    /// A fence that never closes, for a process that is the only one.
    #[must_use]
    pub fn always_open() -> Self {
        Self(Arc::new(Mutex::new(Until::Always)))
    }

    /// A closed fence.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(Mutex::new(Until::Closed)))
    }

    fn until(&self) -> MutexGuard<'_, Until> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the fence until `then`.
    pub fn open_until(&self, then: Instant) {
        *self.until() = Until::Then(then);
    }

    /// Closes the fence.
    pub fn close(&self) {
        *self.until() = Until::Closed;
    }

    /// Whether this process may make a call now, by the monotonic clock.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match *self.until() {
            Until::Always => true,
            Until::Then(then) => Instant::now() < then,
            Until::Closed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_gate_closes_by_itself_and_for_everybody_who_has_it() {
        let fence = Fence::closed();
        let same = fence.clone();
        assert!(!same.is_open());
        fence.open_until(Instant::now() + Duration::from_secs(60));
        assert!(same.is_open());
        fence.open_until(Instant::now());
        assert!(!same.is_open());
        assert!(Fence::always_open().is_open());
    }
}
