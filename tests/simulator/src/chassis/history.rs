//! Something as it is and as it was, for answers that lag behind.

use jiff::Timestamp;
use std::collections::VecDeque;

/// Most past states remembered; past that the oldest is forgotten.
const MAX_STATES: usize = 1_000;

/// A value and its past.
#[derive(Debug, Clone)]
pub(crate) struct History<T> {
    present: T,
    /// The value from each instant on, oldest first.
    past: VecDeque<(Timestamp, T)>,
}

impl<T: Clone> History<T> {
    /// A value that begins at `now`.
    pub(crate) fn new(value: T, now: Timestamp) -> Self {
        Self { present: value.clone(), past: VecDeque::from([(now, value)]) }
    }

    /// The value at present.
    pub(crate) fn present(&self) -> &T {
        &self.present
    }

    /// The value as it was at `instant`; the oldest remembered where that is longer ago.
    pub(crate) fn at(&self, instant: Timestamp) -> &T {
        let then = self.past.iter().rev().find(|(from, _)| *from <= instant).or(self.past.front());
        then.map_or(&self.present, |(_, value)| value)
    }

    /// The value is another from `now` on.
    pub(crate) fn set(&mut self, value: T, now: Timestamp) {
        self.present.clone_from(&value);
        self.past.push_back((now, value));
        if self.past.len() > MAX_STATES {
            self.past.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_remembered_as_it_was_and_the_past_is_bounded() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut history = History::new(0, at(0));
        history.set(1, at(100));
        assert_eq!([-5, 0, 99, 100, 500].map(|seconds| *history.at(at(seconds))), [0, 0, 0, 1, 1]);
        for n in 2..3_000 {
            history.set(n, at(100 + n));
        }
        assert_eq!((history.past.len(), *history.present(), *history.at(at(0))), (MAX_STATES, 2_999, 2_000));
    }
}
