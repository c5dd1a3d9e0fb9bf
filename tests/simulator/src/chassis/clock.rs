//! The simulator's clock: real time or a fixed start, moved by the admin interface. The only place that reads real time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A clock that runs with real time, or stands still at a fixed start; both shifted by an offset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    fixed: Option<Timestamp>,
    offset: SignedDuration,
}

/// How to move the clock; exactly one of the two.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClockMove {
    /// Seconds from the clock's base (real time or the fixed start), replacing the offset so far.
    pub offset_seconds: Option<i64>,
    /// Seconds added to the offset so far.
    pub advance_seconds: Option<i64>,
}

/// What the clock shows.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockFace {
    /// The simulated instant.
    pub now: Timestamp,
    /// Seconds from the clock's base.
    pub offset_seconds: i64,
    /// Whether the clock stands still between moves.
    pub fixed: bool,
}

impl Clock {
    /// A clock at `fixed`, standing still; or real time where there is none.
    pub(crate) fn new(fixed: Option<Timestamp>) -> Self {
        Self { fixed, offset: SignedDuration::ZERO }
    }

    /// The simulated instant; the base instant should the offset leave the calendar.
    pub(crate) fn now(&self) -> Timestamp {
        let base = self.fixed.unwrap_or_else(Timestamp::now);
        base.checked_add(self.offset).unwrap_or(base)
    }

    /// What the clock shows now.
    pub(crate) fn face(&self) -> ClockFace {
        ClockFace { now: self.now(), offset_seconds: self.offset.as_secs(), fixed: self.fixed.is_some() }
    }

    /// Moves the clock.
    ///
    /// # Errors
    /// When not exactly one move is named, or it leaves the calendar.
    pub(crate) fn shift(&mut self, step: ClockMove) -> Result<(), String> {
        let seconds = match (step.offset_seconds, step.advance_seconds) {
            (Some(offset), None) => Some(offset),
            (None, Some(advance)) => self.offset.as_secs().checked_add(advance),
            _ => return Err("name exactly one of offsetSeconds and advanceSeconds".to_owned()),
        };
        let offset = seconds.map(SignedDuration::from_secs).ok_or("the clock cannot move that far")?;
        let base = self.fixed.unwrap_or_else(Timestamp::now);
        base.checked_add(offset).map_err(|_| "the clock cannot move that far".to_owned())?;
        self.offset = offset;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_stands_still_until_moved() {
        let start: Timestamp = "2026-11-21T23:42:00Z".parse().unwrap();
        let mut clock = Clock::new(Some(start));
        assert_eq!(clock.now(), start);
        clock.shift(ClockMove { offset_seconds: None, advance_seconds: Some(60) }).unwrap();
        clock.shift(ClockMove { offset_seconds: None, advance_seconds: Some(30) }).unwrap();
        assert_eq!(clock.face().offset_seconds, 90);
        clock.shift(ClockMove { offset_seconds: Some(-5), advance_seconds: None }).unwrap();
        assert_eq!(clock.now().to_string(), "2026-11-21T23:41:55Z");
    }

    #[test]
    fn a_move_that_leaves_the_calendar_is_refused_and_changes_nothing() {
        let mut clock = Clock::new(Some(Timestamp::UNIX_EPOCH));
        assert!(clock.shift(ClockMove { offset_seconds: Some(i64::MAX), advance_seconds: None }).is_err());
        assert!(clock.shift(ClockMove { offset_seconds: Some(1), advance_seconds: Some(1) }).is_err());
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
    }
}
