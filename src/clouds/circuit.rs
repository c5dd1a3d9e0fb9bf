//! The circuit of one endpoint: after three calls in a row that hung, calls fail at once for a growing pause, so that
//! neither tokens nor time are spent on a cloud that does not answer; then one call at a time tries whether it does.

use std::time::{Duration, Instant};

use super::Fault;

/// So many calls in a row must hang before the circuit opens.
const HUNG_MAX: u32 = 3;

/// A call that ends without an answer after at least this long hung. What fails faster costs nothing but a token.
pub(super) const HANGS_AFTER: Duration = Duration::from_secs(4);

/// The first pause; doubled after each try that hung too.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest pause: this much later at most a cloud is used again that answers again.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// A try that was given up and never told its end stands in nobody's way for longer than this.
const TRY_LAPSES: Duration = Duration::from_secs(15);

/// Whether an endpoint is called.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    hung: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    pause: Duration,
    /// No try before this.
    until: Instant,
    /// Since when one call tries.
    trying: Option<Instant>,
}

impl Circuit {
    /// Whether a call may be made now; changes nothing.
    pub(super) fn check(&self, now: Instant) -> Result<(), Fault> {
        let Some(open) = &self.open else { return Ok(()) };
        let tried = open.trying.is_some_and(|since| now.saturating_duration_since(since) < TRY_LAPSES);
        if now < open.until || tried { Err(Fault::Unavailable) } else { Ok(()) }
    }

    /// A call is made now; where the circuit is open, it is the one that tries.
    pub(super) fn enter(&mut self, now: Instant) -> Result<(), Fault> {
        self.check(now)?;
        if let Some(open) = &mut self.open {
            open.trying = Some(now);
        }
        Ok(())
    }

    /// A call that was begun then has ended. Whether the circuit opens with it.
    pub(super) fn ended(&mut self, hung: bool, begun: Instant, now: Instant) -> bool {
        if !hung {
            *self = Self::default();
            return false;
        }
        self.hung = self.hung.saturating_add(1);
        let pause = match &self.open {
            None if self.hung < HUNG_MAX => return false,
            None => FIRST_PAUSE,
            Some(open) if open.trying.is_some_and(|since| begun >= since) => (open.pause * 2).min(LONGEST_PAUSE),
            // It was begun before the circuit opened and says nothing new.
            Some(_) => return false,
        };
        let opens = self.open.is_none();
        self.open = Some(Open { pause, until: now + pause, trying: None });
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// A call that hangs; when it ends.
    fn hang(circuit: &mut Circuit, begun: Instant) -> Instant {
        circuit.enter(begun).unwrap();
        circuit.ended(true, begun, begun + DEADLINE);
        begun + DEADLINE
    }

    /// A circuit that opened, and when.
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
        circuit.ended(false, now, now);
        for _ in 0..2 {
            now = hang(&mut circuit, now);
        }
        assert_eq!(circuit.check(now), Ok(()), "an answer in between");
        now = hang(&mut circuit, now);
        assert_eq!(circuit.check(now), Err(Fault::Unavailable));
    }

    #[test]
    fn after_the_pause_one_call_tries_and_the_others_fail_at_once() {
        let (mut circuit, open) = opened();
        let over = open + FIRST_PAUSE;
        assert_eq!(circuit.enter(over - Duration::from_millis(1)), Err(Fault::Unavailable));
        assert_eq!(circuit.enter(over), Ok(()));
        assert_eq!(circuit.enter(over), Err(Fault::Unavailable));
        circuit.ended(false, over, over);
        assert_eq!(circuit.enter(over), Ok(()));
        assert_eq!(circuit.enter(over), Ok(()));
    }

    #[test]
    fn pauses_grow_to_a_bound_while_tries_hang() {
        let (mut circuit, mut now) = opened();
        for pause in [2, 4, 8, 16, 20, 20].map(Duration::from_secs) {
            assert_eq!(circuit.check(now + pause - Duration::from_millis(1)), Err(Fault::Unavailable));
            now = hang(&mut circuit, now + pause);
        }
    }

    #[test]
    fn a_call_from_before_does_not_lengthen_the_pause_and_its_answer_ends_it() {
        let (mut circuit, open) = opened();
        circuit.ended(true, open - DEADLINE, open);
        assert_eq!(circuit.check(open + FIRST_PAUSE), Ok(()));
        circuit.ended(false, open - DEADLINE, open);
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
