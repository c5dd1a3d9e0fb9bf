//! Batched calls that change a list of recipients, within what a call may carry and what the image has room for, with
//! bisection to isolate a recipient that makes the vendor refuse a whole call. A state machine without I/O: ask for the
//! next call, make it, record its result.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::call::{CallShape, RecipientChange, Submitted};
use crate::domain::fault::{Fault, Quota, Refusal};
use crate::domain::identifiers::{JobId, Recipient};

/// Most calls of one reconcile. The rest is left to the next one, which follows at once: it reports the progress and
/// sees edits made meanwhile.
const CALLS_PER_PASS: usize = 50;

/// The result of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// The cloud confirmed it.
    Done,
    /// The cloud refused this change.
    Refused(Fault),
    /// It never reached the cloud, or the cloud refused the whole call without effect.
    NotSent,
    /// It was sent, and no usable answer came: only a read shows the result.
    Uncertain,
    /// The cloud took it, and a job carries it out.
    UnderWay,
}

/// The results of the calls of one reconcile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchResult {
    /// The result of every change.
    pub outcomes: BTreeMap<Recipient, ChangeOutcome>,
    /// The fault that ended the batch or its additions, if any.
    pub fault: Option<Fault>,
    /// The fault that shows that the cloud refuses to add any recipient to the image.
    pub image_refused: Option<Fault>,
    /// The job that carries out the last call. Nothing else is sent before it ends.
    pub job: Option<JobId>,
}

/// After this many different recipients were refused with the same unknown fault, the image counts as refused.
const REFUSED_ALIKE_MAX: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Add,
    Remove,
}

type Change = (Direction, Recipient);

/// The calls of one reconcile of one image.
#[derive(Debug)]
pub struct Batch {
    removes: VecDeque<Recipient>,
    adds: VecDeque<Recipient>,
    in_flight: Vec<Change>,
    /// The cloud refused at least one of these with this fault.
    candidates: Option<(Vec<Change>, Fault)>,
    testing: bool,
    free_slots: Option<usize>,
    shape: CallShape,
    calls_left: usize,
    outcomes: BTreeMap<Recipient, ChangeOutcome>,
    stopped: Option<Fault>,
    /// No further recipient is added, since the cloud refuses all additions.
    no_more_adds: Option<Fault>,
    image_refused: Option<Fault>,
    /// How many recipients in a row the cloud refused with the same unknown fault, while it added none.
    refused_alike: Option<(Fault, usize)>,
    refused_alike_max: usize,
    added: bool,
    job: Option<JobId>,
}

impl Batch {
    /// `free_slots`: how many can be added before anything is removed; `None` if there is no limit. `shape`: what one
    /// call may carry.
    pub fn new(add: Vec<Recipient>, remove: Vec<Recipient>, free_slots: Option<usize>, shape: CallShape) -> Self {
        let shape = CallShape { recipients: shape.recipients.max(1), ..shape };
        Self {
            outcomes: add.iter().chain(&remove).map(|r| (r.clone(), ChangeOutcome::NotSent)).collect(),
            removes: remove.into(),
            adds: add.into(),
            in_flight: Vec::new(),
            candidates: None,
            testing: false,
            free_slots,
            shape,
            calls_left: CALLS_PER_PASS,
            stopped: None,
            no_more_adds: None,
            image_refused: None,
            refused_alike: None,
            refused_alike_max: REFUSED_ALIKE_MAX,
            added: false,
            job: None,
        }
    }

    /// Marks the image as refused by the last call: a single refusal then confirms it.
    #[must_use]
    pub fn of_refused_image(self) -> Self {
        Self { refused_alike_max: 1, ..self }
    }

    /// The next call to make, or `None` when all is done or nothing more can be done.
    pub fn next_call(&mut self) -> Option<RecipientChange> {
        if self.stopped.is_some() || self.job.is_some() || self.calls_left == 0 {
            return None;
        }
        self.in_flight = match &self.candidates {
            Some((candidates, _)) => candidates.iter().take(candidates.len() / 2).cloned().collect(),
            None => self.pack(),
        };
        self.testing = self.candidates.is_some();
        if self.in_flight.is_empty() {
            return None;
        }
        self.calls_left -= 1;
        let of = |way| self.in_flight.iter().filter(|(w, _)| *w == way).map(|(_, r)| r.clone()).collect();
        Some(RecipientChange { add: of(Direction::Add), remove: of(Direction::Remove) })
    }

    /// Packs removals first. Additions share their call where the cloud allows both, as far as there is room before the
    /// removals.
    fn pack(&mut self) -> Vec<Change> {
        let CallShape { recipients, both_ways } = self.shape;
        let removes = self.removes.len().min(recipients);
        let room = self.free_slots.map_or(recipients, |free| free.min(recipients));
        let adds = if both_ways || removes == 0 { self.adds.len().min(room) } else { 0 };
        let removes = self.removes.drain(..removes).map(|r| (Direction::Remove, r));
        removes.chain(self.adds.drain(..adds).map(|r| (Direction::Add, r))).collect()
    }

    /// Records the result of the last call.
    pub fn record(&mut self, result: Result<Submitted, Fault>) {
        let flight = std::mem::take(&mut self.in_flight);
        match result {
            Ok(Submitted::Done) => self.accept(&flight),
            Ok(Submitted::Job(job)) => {
                self.outcomes.extend(flight.into_iter().map(|(_, recipient)| (recipient, ChangeOutcome::UnderWay)));
                self.job = Some(job);
            }
            Err(fault) if fault.may_concern_one_recipient() => self.isolate(flight, fault),
            Err(
                fault @ (Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }
                | Fault::Refused { refusal: Refusal::Image, .. }),
            ) => {
                self.give_up_adding(flight, fault);
            }
            Err(fault) => {
                let outcome =
                    if fault.certainly_did_nothing() { ChangeOutcome::NotSent } else { ChangeOutcome::Uncertain };
                for (_, recipient) in flight {
                    self.outcomes.insert(recipient, outcome.clone());
                }
                self.stopped = Some(fault);
            }
        }
    }

    fn accept(&mut self, flight: &[Change]) {
        for (way, recipient) in flight {
            self.added |= *way == Direction::Add;
            self.outcomes.insert(recipient.clone(), ChangeOutcome::Done);
            if let Some(free) = &mut self.free_slots {
                *free = match way {
                    Direction::Add => free.saturating_sub(1),
                    Direction::Remove => *free + 1,
                };
            }
        }
        if let Some((candidates, fault)) = self.candidates.take() {
            let rest: Vec<Change> = candidates.into_iter().filter(|change| !flight.contains(change)).collect();
            self.set_candidates(rest, fault);
        }
    }

    /// Bisection: tests the first half of a refused list. If the cloud accepts it, the culprit is in the rest;
    /// otherwise it is in this half, and the rest goes back into the queue. So one culprit among n costs 2 + log2 n
    /// calls in all.
    fn isolate(&mut self, flight: Vec<Change>, fault: Fault) {
        if let Some((candidates, _)) = self.candidates.take() {
            let untested: Vec<Change> = candidates.into_iter().filter(|change| !flight.contains(change)).collect();
            self.put_back(untested);
        }
        self.set_candidates(flight, fault);
    }

    fn set_candidates(&mut self, changes: Vec<Change>, fault: Fault) {
        match changes.as_slice() {
            [(way, only)] => {
                self.outcomes.insert(only.clone(), ChangeOutcome::Refused(fault.clone()));
                if *way == Direction::Add && fault.is_unknown_refusal() && !self.added {
                    self.count_refusal(fault);
                }
            }
            _ => self.candidates = Some((changes, fault)),
        }
    }

    /// Counts recipients refused one after the other for an unknown reason while none is added: they are not the cause.
    fn count_refusal(&mut self, fault: Fault) {
        let before = self.refused_alike.take().filter(|(earlier, _)| *earlier == fault).map_or(0, |(_, count)| count);
        if before + 1 >= self.refused_alike_max {
            self.adds.clear();
            self.image_refused = Some(fault.clone());
            self.no_more_adds = Some(fault.clone());
        }
        self.refused_alike = Some((fault, before + 1));
    }

    fn give_up_adding(&mut self, flight: Vec<Change>, fault: Fault) {
        let had_adds = flight.iter().any(|(way, _)| *way == Direction::Add);
        let mut back = flight;
        if let Some((candidates, _)) = self.candidates.take() {
            back.extend(candidates.into_iter().filter(|change| !back.contains(change)).collect::<Vec<_>>());
        }
        self.put_back(back);
        self.adds.clear();
        if !had_adds {
            self.stopped = Some(fault);
            return;
        }
        self.image_refused = Some(fault.clone()).filter(|fault| matches!(fault, Fault::Refused { .. }));
        self.no_more_adds = Some(fault);
    }

    fn put_back(&mut self, changes: Vec<Change>) {
        for (way, recipient) in changes.into_iter().rev() {
            match way {
                Direction::Add => self.adds.push_front(recipient),
                Direction::Remove => self.removes.push_front(recipient),
            }
        }
    }

    /// The results of the calls.
    pub fn finish(self) -> BatchResult {
        let fault = self.stopped.or(self.no_more_adds);
        BatchResult { outcomes: self.outcomes, fault, image_refused: self.image_refused, job: self.job }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::fault::{Cause, Missing, Unreachable};
    use crate::domain::identifiers::{PrincipalId, RecipientKind};

    const ALIBABA: CallShape = CallShape { recipients: 10, both_ways: true };

    fn recipient(n: usize) -> Recipient {
        Recipient { kind: RecipientKind::Account, id: PrincipalId::parse(&format!("{}", 10_000 + n)).unwrap() }
    }

    /// Simulates the vendor: each call succeeds or fails as a whole, unknown accounts and more than `limit` recipients
    /// are refused, 10 + 10 a call.
    fn run(
        add: usize,
        bad: &BTreeSet<usize>,
        remove: usize,
        limit: usize,
    ) -> (usize, BTreeSet<Recipient>, BTreeMap<Recipient, ChangeOutcome>) {
        let mut image: BTreeSet<Recipient> = (1000..1000 + remove).map(recipient).collect();
        let free = limit - image.len();
        let bad: BTreeSet<Recipient> = bad.iter().copied().map(recipient).collect();
        let mut batch =
            Batch::new((0..add).map(recipient).collect(), image.iter().cloned().collect(), Some(free), ALIBABA);
        let mut calls = 0;
        while let Some(call) = batch.next_call() {
            calls += 1;
            assert!(call.add.len() <= 10 && call.remove.len() <= 10);
            assert!(image.len() + call.add.len() <= limit, "a call that had to fail was sent");
            if call.add.iter().any(|r| bad.contains(r)) {
                batch.record(Err(Fault::NotFound(Missing::Recipient)));
            } else {
                image.extend(call.add);
                image.retain(|r| !call.remove.contains(r));
                batch.record(Ok(Submitted::Done));
            }
        }
        (calls, image, batch.finish().outcomes)
    }

    #[test]
    fn fifty_recipients_take_five_calls() {
        assert_eq!(run(50, &BTreeSet::new(), 0, 50).0, 5);
    }

    #[test]
    fn an_unknown_account_is_isolated_in_two_plus_log_n_calls() {
        for position in 0..10 {
            let (calls, image, outcomes) = run(10, &BTreeSet::from([position]), 0, 50);
            assert!(calls <= 2 + 4, "{calls} calls for position {position}");
            assert_eq!(image.len(), 9);
            assert!(matches!(outcomes[&recipient(position)], ChangeOutcome::Refused(_)));
        }
    }

    #[test]
    fn removals_make_room_before_additions_use_it() {
        let (calls, image, _) = run(50, &BTreeSet::new(), 50, 50);
        assert_eq!(image.len(), 50);
        assert!(image.contains(&recipient(0)) && !image.contains(&recipient(1000)));
        assert_eq!(calls, 6, "one call of removals first, then both travel together");
    }

    #[test]
    fn a_timeout_after_sending_leaves_its_changes_uncertain_and_stops() {
        let mut batch = Batch::new((0..12).map(recipient).collect(), vec![], None, ALIBABA);
        batch.next_call().unwrap();
        let closed = Unreachable { host: "cloud.example".to_owned(), cause: Cause::Closed, sent: true };
        batch.record(Err(Fault::Unreachable(closed.clone())));
        assert!(batch.next_call().is_none());
        let BatchResult { outcomes, fault, .. } = batch.finish();
        assert_eq!(outcomes[&recipient(0)], ChangeOutcome::Uncertain);
        assert_eq!(outcomes[&recipient(11)], ChangeOutcome::NotSent);
        assert_eq!(fault, Some(Fault::Unreachable(closed)));
    }

    #[test]
    fn a_cloud_that_cannot_do_both_in_one_call_removes_first() {
        let shape = CallShape { recipients: 2, both_ways: false };
        let mut batch = Batch::new(vec![recipient(1), recipient(2)], vec![recipient(3)], None, shape);
        let call = batch.next_call().unwrap();
        assert_eq!((call.add.len(), call.remove.len()), (0, 1));
        batch.record(Ok(Submitted::Done));
        let call = batch.next_call().unwrap();
        assert_eq!((call.add.len(), call.remove.len()), (2, 0));
    }

    #[test]
    fn nothing_is_sent_while_a_job_is_under_way() {
        let shape = CallShape { recipients: 128, both_ways: false };
        let mut batch = Batch::new(vec![recipient(1)], vec![recipient(2)], None, shape);
        batch.next_call().unwrap();
        let job = JobId::parse("ff8080814dbd65d7014dbe0d84db0013").unwrap();
        batch.record(Ok(Submitted::Job(job.clone())));
        assert!(batch.next_call().is_none());
        let ending = batch.finish();
        assert_eq!(ending.job, Some(job));
        assert_eq!(ending.outcomes[&recipient(2)], ChangeOutcome::UnderWay);
        assert_eq!(ending.outcomes[&recipient(1)], ChangeOutcome::NotSent);
    }

    #[test]
    fn a_refused_image_still_lets_removals_through() {
        let mut batch = Batch::new(vec![recipient(1)], vec![recipient(2)], None, ALIBABA);
        batch.next_call().unwrap();
        batch.record(Err(Fault::Refused { refusal: Refusal::Image, code: "x".into() }));
        let call = batch.next_call().unwrap();
        assert_eq!((call.add.len(), call.remove.len()), (0, 1));
        batch.record(Ok(Submitted::Done));
        assert!(batch.next_call().is_none());
        assert_eq!(batch.finish().outcomes[&recipient(2)], ChangeOutcome::Done);
    }

    proptest! {
        #[test]
        fn everybody_good_is_added_and_only_the_bad_are_refused(
            add in 0usize..60,
            remove in 0usize..40,
            bad in proptest::collection::btree_set(0usize..60, 0..5),
        ) {
            let bad: BTreeSet<usize> = bad.into_iter().filter(|n| *n < add).collect();
            let (calls, image, outcomes) = run(add, &bad, remove, 100);
            for n in 0..add {
                prop_assert_eq!(image.contains(&recipient(n)), !bad.contains(&n));
                prop_assert_eq!(matches!(outcomes[&recipient(n)], ChangeOutcome::Refused(_)), bad.contains(&n));
            }
            prop_assert!((1000..1000 + remove).all(|n| !image.contains(&recipient(n))));
            prop_assert!(calls <= 1 + add.max(remove).div_ceil(10) + bad.len() * (2 + 5), "{} calls", calls);
        }
    }
}
