//! Leader election: what one candidate does about the lease it observes. Time is the candidate's own monotonic clock,
//! as a duration since any fixed moment; it is never compared with another clock. Two candidates never both believe
//! that they lead, because the API server accepts a write only on the newest version.

use std::time::Duration;

/// The intervals of the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// A lease that was not renewed for this long is free.
    pub duration: Duration,
    /// A holder that could not renew for this long gives the lease up: well before it is free.
    pub deadline: Duration,
    /// How often the holder renews it, and the others check it.
    pub period: Duration,
}

/// A lease as read from the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The holder; `None` if it released the lease.
    pub holder: Option<String>,
    /// The duration that the holder asked for.
    pub duration: Duration,
    /// Changes with every write.
    pub version: String,
}

/// The state of a candidate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CandidateState {
    /// When this candidate sent the request that last renewed the lease, if it holds it.
    pub held_since: Option<Duration>,
    /// The version observed last, and when it was first observed.
    pub seen: Option<(String, Duration)>,
    /// Since when a lease that was observed before is absent.
    pub gone_since: Option<Duration>,
    /// Since when a candidate that cannot act observes it as free.
    pub left_since: Option<Duration>,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// There is no lease: create one.
    Create,
    /// It is free: take it. `vacant`: its holder released it, and makes no more calls.
    Take {
        /// Released, not expired.
        vacant: bool,
    },
    /// This candidate holds it: renew it.
    Renew,
    /// Another candidate holds it: check again after this time.
    Wait(Duration),
    /// This candidate held it and does not any more, or may not.
    Lost,
}

/// When a holder must give up, by its own clock, unless it renews before.
pub fn held_until(held_since: Duration, terms: Intervals) -> Duration {
    held_since.saturating_add(terms.deadline)
}

/// Records the observation.
pub fn observe(memory: &mut CandidateState, record: Option<&Record>, now: Duration) {
    let Some(record) = record else {
        if memory.seen.take().is_some() {
            memory.gone_since = Some(now);
        }
        return;
    };
    memory.gone_since = None;
    if memory.seen.as_ref().is_none_or(|(version, _)| *version != record.version) {
        memory.seen = Some((record.version.clone(), now));
    }
}

/// Decides what to do about the lease as just observed.
pub fn decide(me: &str, memory: &CandidateState, record: Option<&Record>, terms: Intervals, now: Duration) -> Move {
    let ours = record.is_some_and(|record| record.holder.as_deref() == Some(me));
    if let Some(held_since) = memory.held_since {
        return if ours && now < held_until(held_since, terms) { Move::Renew } else { Move::Lost };
    }
    let Some(record) = record else {
        // Somebody deleted the lease: its holder may not know yet, and counts like one that stopped without a release.
        let free_at =
            memory.gone_since.map(|since| since.saturating_add(terms.duration)).filter(|free_at| now < *free_at);
        return free_at.map_or(Move::Create, |free_at| Move::Wait(free_at.saturating_sub(now).min(terms.period)));
    };
    if record.holder.is_none() {
        return Move::Take { vacant: true };
    }
    // Counted from when this candidate first observed the version, so that only its own clock matters.
    let first_seen = memory.seen.as_ref().map_or(now, |(_, first_seen)| *first_seen);
    let free_at = first_seen.saturating_add(record.duration.max(terms.duration));
    if now >= free_at {
        Move::Take { vacant: false }
    } else {
        Move::Wait(free_at.saturating_sub(now).min(terms.period))
    }
}

/// A candidate that may be unable to act leaves the lease to others, and takes it only if none did for its whole
/// duration: some process must then report why nothing is done.
pub fn leave_to_others(memory: &mut CandidateState, next: Move, able: bool, terms: Intervals, now: Duration) -> Move {
    if able || !matches!(next, Move::Create | Move::Take { .. }) {
        memory.left_since = None;
        return next;
    }
    let since = *memory.left_since.get_or_insert(now);
    if now.saturating_sub(since) < terms.duration { Move::Wait(terms.period) } else { next }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TERMS: Intervals = Intervals {
        duration: Duration::from_secs(15),
        deadline: Duration::from_secs(10),
        period: Duration::from_secs(2),
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn record(holder: Option<&str>, version: &str) -> Record {
        Record { holder: holder.map(ToOwned::to_owned), duration: TERMS.duration, version: version.to_owned() }
    }

    #[test]
    fn a_lease_nobody_has_is_made_and_one_given_back_is_taken_at_once() {
        let memory = CandidateState::default();
        assert_eq!(decide("me", &memory, None, TERMS, at(0)), Move::Create);
        assert_eq!(decide("me", &memory, Some(&record(None, "1")), TERMS, at(0)), Move::Take { vacant: true });
    }

    #[test]
    fn somebody_elses_lease_is_taken_only_when_it_was_seen_unchanged_for_its_whole_time() {
        let mut memory = CandidateState::default();
        let theirs = record(Some("other"), "1");
        observe(&mut memory, Some(&theirs), at(100));
        assert_eq!(decide("me", &memory, Some(&theirs), TERMS, at(100)), Move::Wait(TERMS.period));
        assert_eq!(decide("me", &memory, Some(&theirs), TERMS, at(114)), Move::Wait(at(1)));
        assert_eq!(decide("me", &memory, Some(&theirs), TERMS, at(115)), Move::Take { vacant: false });
        let renewed = record(Some("other"), "2");
        observe(&mut memory, Some(&renewed), at(114));
        assert_eq!(decide("me", &memory, Some(&renewed), TERMS, at(128)), Move::Wait(at(1)));
    }

    #[test]
    fn a_lease_that_somebody_deleted_is_made_only_when_its_holder_must_have_given_up() {
        let mut memory = CandidateState::default();
        observe(&mut memory, Some(&record(Some("other"), "1")), at(100));
        observe(&mut memory, None, at(101));
        assert_eq!(decide("me", &memory, None, TERMS, at(101)), Move::Wait(TERMS.period));
        observe(&mut memory, None, at(115));
        assert_eq!(decide("me", &memory, None, TERMS, at(115)), Move::Wait(at(1)));
        assert_eq!(decide("me", &memory, None, TERMS, at(116)), Move::Create);
        observe(&mut memory, Some(&record(Some("other"), "2")), at(116));
        assert_eq!(decide("me", &memory, Some(&record(Some("other"), "2")), TERMS, at(116)), Move::Wait(TERMS.period));
    }

    #[test]
    fn whoever_cannot_act_takes_only_a_lease_that_nobody_else_wants() {
        let mut memory = CandidateState::default();
        let mut next = |next, able, seconds| leave_to_others(&mut memory, next, able, TERMS, at(seconds));
        let vacant = Move::Take { vacant: true };
        assert_eq!(next(vacant, false, 0), Move::Wait(TERMS.period));
        assert_eq!(next(Move::Wait(at(1)), false, 10), Move::Wait(at(1)), "somebody took it");
        assert_eq!(next(vacant, false, 20), Move::Wait(TERMS.period));
        assert_eq!(next(vacant, false, 34), Move::Wait(TERMS.period));
        assert_eq!(next(vacant, false, 35), vacant);
        assert_eq!(next(Move::Renew, false, 40), Move::Renew);
        assert_eq!(next(Move::Lost, false, 41), Move::Lost);
        assert_eq!(next(vacant, true, 42), vacant);
    }

    #[test]
    fn a_holder_that_slept_past_its_deadline_has_lost_even_if_the_lease_still_names_it() {
        let memory = CandidateState { held_since: Some(at(50)), ..CandidateState::default() };
        let ours = record(Some("me"), "1");
        assert_eq!(decide("me", &memory, Some(&ours), TERMS, at(59)), Move::Renew);
        assert_eq!(decide("me", &memory, Some(&ours), TERMS, at(60)), Move::Lost);
        assert_eq!(decide("me", &memory, Some(&record(Some("other"), "2")), TERMS, at(51)), Move::Lost);
        assert_eq!(decide("me", &memory, None, TERMS, at(51)), Move::Lost);
    }

    /// Two candidates and an API server that accepts a write only on the newest version. Their steps come at any time,
    /// and each may stall between reading, writing and receiving the result.
    #[derive(Debug, Clone, Default)]
    struct Candidate {
        memory: CandidateState,
        /// Read, not yet acted on.
        read: Option<Read>,
        /// A request in flight: when it was sent, what for, and on which version.
        sent: Option<(Duration, Move, Option<String>)>,
    }

    #[derive(Debug, Clone)]
    struct Read(Option<Record>);

    /// The API server never gives a version twice, not even to an object that was deleted and created again.
    #[derive(Debug, Clone, Default)]
    struct Server {
        record: Option<Record>,
        versions: u64,
    }

    impl Candidate {
        fn leads(&self, now: Duration) -> bool {
            self.memory.held_since.is_some_and(|since| now < held_until(since, TERMS))
        }
    }

    /// One step of one candidate; its state decides which one.
    fn step(me: &str, candidate: &mut Candidate, server: &mut Server, now: Duration) {
        if let Some((sent, what, upon)) = candidate.sent.take() {
            let fresh = server.record.as_ref().map(|record| record.version.clone()) == upon;
            if fresh {
                server.versions += 1;
                server.record = Some(record(Some(me), &server.versions.to_string()));
                candidate.memory.held_since = Some(sent);
            } else if what == Move::Renew {
                candidate.memory.held_since = None;
            }
        } else if let Some(Read(record)) = candidate.read.take() {
            observe(&mut candidate.memory, record.as_ref(), now);
            let what = decide(me, &candidate.memory, record.as_ref(), TERMS, now);
            match what {
                Move::Create | Move::Take { .. } | Move::Renew => {
                    candidate.sent = Some((now, what, record.map(|record| record.version)));
                }
                Move::Lost => candidate.memory.held_since = None,
                Move::Wait(_) => {}
            }
        } else {
            candidate.read = Some(Read(server.record.clone()));
        }
    }

    /// Deletes a lease that each of the two knows, as its holder or by a read. Whoever does not know it, like a process that
    /// starts just then, finds none and leads at once: it only waits for the other's calls (`reconcile::leader`).
    fn delete(candidates: [(&str, &Candidate); 2], server: &mut Server) {
        let Some(record) = &server.record else { return };
        let knows = |(name, candidate): &(&str, &Candidate)| {
            let seen = candidate.memory.seen.as_ref().map(|(version, _)| version);
            record.holder.as_deref() == Some(*name) || seen == Some(&record.version)
        };
        if candidates.iter().all(knows) {
            server.record = None;
        }
    }

    proptest! {
        #[test]
        fn two_candidates_never_lead_at_once(
            steps in proptest::collection::vec((0_u8..9, 0_u64..20_000), 1..200),
        ) {
            let mut server = Server::default();
            let (mut one, mut two) = (Candidate::default(), Candidate::default());
            let mut now = Duration::ZERO;
            for (what, pause) in steps {
                now += Duration::from_millis(pause);
                match what {
                    0 => delete([("one", &one), ("two", &two)], &mut server),
                    1..5 => step("one", &mut one, &mut server, now),
                    _ => step("two", &mut two, &mut server, now),
                }
                prop_assert!(!(one.leads(now) && two.leads(now)), "{one:?} {two:?} {server:?}");
            }
        }
    }
}
