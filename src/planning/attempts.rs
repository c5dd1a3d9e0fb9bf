//! Series of calls without a visible effect: since when, and the cloud's answer to the last one. The delay before the
//! next call is as long as the series has lasted, which limits repeated calls. A read that shows the effect ends the
//! series.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::cloud_image::{Attempt as Stored, ImageRefusal as StoredRefusal};
use crate::api::conditions::Reason;
use crate::domain::fault::Fault;

/// The minimum delay after a refusal.
const AFTER_REFUSAL: SignedDuration = SignedDuration::from_secs(15);

/// The longest delay: no revoke waits longer for its retry.
const LONGEST: SignedDuration = SignedDuration::from_mins(10);

/// The shortest and longest interval between reads for the effect of a call.
const READS: (SignedDuration, SignedDuration) = (SignedDuration::from_secs(1), SignedDuration::from_secs(30));

/// A series of calls of one kind without a visible effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The first call of the series.
    pub since: Timestamp,
    /// The last call.
    pub last: Timestamp,
    /// The vendor's code, if the cloud refused the last call.
    pub code: Option<String>,
}

impl Attempt {
    /// Adds a call made now; `before`: the series so far.
    pub fn again(before: Option<&Self>, code: Option<String>, now: Timestamp) -> Self {
        // A clock that was set back must not lengthen the series.
        Self { since: before.map_or(now, |before| before.since.min(now)), last: now, code }
    }

    /// When the next call may be made. `least`: the minimum delay.
    pub fn next_call(&self, least: SignedDuration) -> Timestamp {
        let least = if self.code.is_some() { least.max(AFTER_REFUSAL) } else { least };
        let pause = self.last.duration_since(self.since).clamp(least, LONGEST.max(least));
        let longest = planted!("call-repeated-without-growing-pause", pause, SignedDuration::from_secs(1));
        self.last.saturating_add(pause.min(longest)).unwrap_or(Timestamp::MAX)
    }

    /// When to read the effect of the last call, if no call is made before. A refused call has none.
    pub fn next_read(&self, now: Timestamp) -> Timestamp {
        if self.code.is_some() {
            return Timestamp::MAX;
        }
        let (soonest, latest) = READS;
        let pause = (now.duration_since(self.since) / 2).clamp(soonest, latest);
        now.saturating_add(pause).unwrap_or(Timestamp::MAX)
    }

    /// Reads a series from status.
    pub fn parse(stored: &Stored) -> Self {
        Self { since: stored.since.0, last: stored.last.0, code: stored.code.clone() }
    }

    /// Writes the series for status.
    pub fn encode(&self) -> Stored {
        Stored { since: written(self.since), last: written(self.last), code: self.code.clone() }
    }
}

/// Kubernetes keeps whole seconds and truncates the rest: rounded up, so that no wait counted from here ends early.
pub(super) fn written(time: Timestamp) -> Time {
    let whole = time.as_second();
    let up = if time.subsec_nanosecond() > 0 { whole.saturating_add(1) } else { whole };
    Time(Timestamp::from_second(up).unwrap_or(time))
}

/// The recorded code of a refusal: the vendor's code, where there is one.
pub fn code_of(fault: &Fault) -> String {
    fault.code().unwrap_or_else(|| fault.name()).to_owned()
}

/// The cloud refuses to add any recipient to the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRefusal {
    /// Why the cloud refuses.
    pub reason: Reason,
    /// The refused calls.
    pub attempt: Attempt,
}

impl ImageRefusal {
    /// Adds a refusal received now; `before`: the refusal so far.
    pub fn again(before: Option<&Self>, reason: Reason, fault: &Fault, now: Timestamp) -> Self {
        let before = before.map(|before| &before.attempt);
        Self { reason, attempt: Attempt::again(before, Some(code_of(fault)), now) }
    }

    /// Reads a refusal from status.
    pub fn parse(stored: &StoredRefusal) -> Self {
        Self { reason: stored.reason, attempt: Attempt::parse(&stored.attempt) }
    }

    /// Writes the refusal for status.
    pub fn encode(&self) -> StoredRefusal {
        StoredRefusal { reason: self.reason, attempt: self.attempt.encode() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000 + seconds).unwrap()
    }

    fn calls(code: Option<&str>, until: i64) -> Vec<i64> {
        let (mut row, mut made) = (None, Vec::new());
        for now in 0..until {
            if row.as_ref().is_none_or(|row: &Attempt| row.next_call(SignedDuration::from_secs(5)) <= at(now)) {
                row = Some(Attempt::again(row.as_ref(), code.map(str::to_owned), at(now)));
                made.push(now);
            }
        }
        made
    }

    #[test]
    fn the_pause_between_calls_without_effect_doubles_up_to_ten_minutes() {
        assert_eq!(calls(None, 100), [0, 5, 10, 20, 40, 80]);
        assert_eq!(calls(Some("SomethingNew"), 300), [0, 15, 30, 60, 120, 240]);
        let late = calls(None, 10_000);
        assert!(late.windows(2).all(|pair| pair[1] - pair[0] <= 600) && late.len() < 25, "{late:?}");
    }

    #[test]
    fn a_call_without_effect_is_followed_by_reads_and_a_refused_one_by_none() {
        let row = Attempt::again(None, None, at(0));
        assert_eq!((row.next_read(at(0)), row.next_read(at(10)), row.next_read(at(500))), (at(1), at(15), at(530)));
        assert_eq!(Attempt::again(None, Some("No".to_owned()), at(0)).next_read(at(0)), Timestamp::MAX);
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nothing() {
        let row = Attempt::again(Some(&Attempt::again(None, None, at(900))), None, at(0));
        assert_eq!(row.next_call(SignedDuration::from_secs(5)), at(5));
    }
}
