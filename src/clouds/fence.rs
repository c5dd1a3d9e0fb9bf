//! The last thing that is looked at before a request goes out: whether this process may call anybody at all. Who opens it,
//! and for how long, is decided elsewhere; it closes by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Until when calls may be made; shared by all clients of the process.
#[derive(Debug, Clone)]
pub struct Fence(Arc<Mutex<Until>>);

#[derive(Debug, Clone, Copy)]
enum Until {
    /// This process is alone.
    Always,
    /// It leads until then, unless it is told otherwise before.
    Then(Instant),
    /// It does not lead.
    Closed,
}

impl Fence {
    /// A gate that never closes: this process is the only one.
    #[must_use]
    pub fn always_open() -> Self {
        Self(Arc::new(Mutex::new(Until::Always)))
    }

    /// A gate that somebody must open.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(Mutex::new(Until::Closed)))
    }

    fn until(&self) -> MutexGuard<'_, Until> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens it until then.
    pub fn open_until(&self, then: Instant) {
        *self.until() = Until::Then(then);
    }

    /// Closes it.
    pub fn close(&self) {
        *self.until() = Until::Closed;
    }

    /// Whether a call may be made now, by a clock that nobody sets.
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
