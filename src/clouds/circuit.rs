//! Circuit breaker of one endpoint. After three hung calls in a row, calls fail at once for a growing pause, so that a cloud
//! that does not answer costs neither tokens nor time. Then one call at a time probes the endpoint.

use std::time::{Duration, Instant};

use super::Fault;
use crate::domain::fault::Unreachable;

/// Hung calls in a row that open the circuit.
const HUNG_MAX: u32 = 3;

/// A call hung if it ends without an answer after at least this time. A faster failure costs only a token.
pub(super) const HANGS_AFTER: Duration = Duration::from_secs(4);

/// The first pause; each hung probe doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest pause, and so the longest delay until the operator uses a recovered cloud again.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// An abandoned probe that never reports its end blocks the next probe for this time.
const TRY_LAPSES: Duration = Duration::from_secs(15);

/// State of the circuit breaker.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    hung: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// Why the last call got no answer. Calls that fail at once report the same.
    why: Unreachable,
    pause: Duration,
    /// No probe before this time.
    until: Instant,
    /// Start of the running probe.
    trying: Option<Instant>,
}

impl Circuit {
    /// Whether a call may start now; changes nothing.
    pub(super) fn check(&self, now: Instant) -> Result<(), Fault> {
        let Some(open) = &self.open else { return Ok(()) };
        let tried = open.trying.is_some_and(|since| now.saturating_duration_since(since) < TRY_LAPSES);
        if now < open.until || tried {
            return Err(Fault::Unreachable(Unreachable { sent: false, ..open.why.clone() }));
        }
        Ok(())
    }

    /// Records the start of a call; if the circuit is open, this call is the probe.
    pub(super) fn enter(&mut self, now: Instant) -> Result<(), Fault> {
        self.check(now)?;
        if let Some(open) = &mut self.open {
            open.trying = Some(now);
        }
        Ok(())
    }

    /// Records the end of a call that started at `begun`; `hung`: why it got no answer, if it hung. Returns whether this call
    /// opens the circuit.
    pub(super) fn ended(&mut self, hung: Option<&Unreachable>, begun: Instant, now: Instant) -> bool {
        let Some(why) = hung.cloned() else {
            *self = Self::default();
            return false;
        };
        self.hung = self.hung.saturating_add(1);
        let pause = match &self.open {
            None if self.hung < HUNG_MAX => return false,
            None => FIRST_PAUSE,
            Some(open) if open.trying.is_some_and(|since| begun >= since) => (open.pause * 2).min(LONGEST_PAUSE),
            // The call started before the circuit opened and proves nothing new.
            Some(_) => return false,
        };
        let opens = self.open.is_none();
        self.open = Some(Open { why, pause, until: now + pause, trying: None });
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::Cause;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn why(sent: bool) -> Unreachable {
        Unreachable { host: "cloud.example".to_owned(), cause: Cause::Timeout, sent }
    }

    fn closed() -> Result<(), Fault> {
        Err(Fault::Unreachable(why(false)))
    }

    /// Makes a call that hangs; returns when it ends.
    fn hang(circuit: &mut Circuit, begun: Instant) -> Instant {
        circuit.enter(begun).unwrap();
        circuit.ended(Some(&why(true)), begun, begun + DEADLINE);
        begun + DEADLINE
    }

    /// An open circuit, and when it opened.
    fn opened() -> (Circuit, Instant) {
        let mut circuit = Circuit::default();
        let open = (0..3).fold(Instant::now(), |now, _| hang(&mut circuit, now));
        (circuit, open)
    }

    #[test]
    fn three_calls_in_a_row_that_hang_open_the_circuit_and_two_do_not() {
        let (mut circuit, mut now) = (Circuit::default(), Instant::now());
        for _ in 0..2 {
            now = hang(&mut circuit, now);
        }
        assert_eq!(circuit.check(now), Ok(()));
        circuit.ended(None, now, now);
        for _ in 0..2 {
            now = hang(&mut circuit, now);
        }
        assert_eq!(circuit.check(now), Ok(()), "an answer in between");
        now = hang(&mut circuit, now);
        assert_eq!(circuit.check(now), closed());
    }

    #[test]
    fn after_the_pause_one_call_tries_and_the_others_fail_at_once() {
        let (mut circuit, open) = opened();
        let (over, just_before) = (open + FIRST_PAUSE, open + FIRST_PAUSE.saturating_sub(Duration::from_millis(1)));
        assert_eq!(circuit.enter(just_before), closed());
        assert_eq!(circuit.enter(over), Ok(()));
        assert_eq!(circuit.enter(over), closed());
        circuit.ended(None, over, over);
        assert_eq!(circuit.enter(over), Ok(()));
        assert_eq!(circuit.enter(over), Ok(()));
    }

    #[test]
    fn pauses_grow_to_a_bound_while_tries_hang() {
        let (mut circuit, mut now) = opened();
        for pause in [2, 4, 8, 16, 20, 20].map(Duration::from_secs) {
            let just_before = now + pause.saturating_sub(Duration::from_millis(1));
            assert_eq!(circuit.check(just_before), closed());
            now = hang(&mut circuit, now + pause);
        }
    }

    #[test]
    fn a_call_from_before_does_not_lengthen_the_pause_and_its_answer_ends_it() {
        let (mut circuit, open) = opened();
        let before = open.checked_sub(DEADLINE).unwrap();
        circuit.ended(Some(&why(true)), before, open);
        assert_eq!(circuit.check(open + FIRST_PAUSE), Ok(()));
        circuit.ended(None, before, open);
        assert_eq!(circuit.check(open), Ok(()));
    }

    #[test]
    fn a_try_that_never_ended_lapses() {
        let (mut circuit, open) = opened();
        let tried = open + FIRST_PAUSE;
        assert_eq!(circuit.enter(tried), Ok(()));
        assert_eq!(circuit.check(tried + TRY_LAPSES), Ok(()));
    }
}
