//! Decides which reconciles start to call a cloud and which wait for a seat: one queue per account and region, so that
//! no account waits for another. A few reconciles of each priority run at a time; the others hold only their place in
//! the queue and are requeued when they get a seat.
//!
//! Each queue has one seat of each priority for itself; further seats come from those that all queues share, so that the
//! reconciles that hold an image, its shares and its plan in memory are bounded, however many accounts there are.
//!
//! A free seat goes to the reconcile that has waited longest. One more seat per priority is for recent edits, newest
//! first: an edit of one object does not wait for a thousand earlier edits.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::call::Priority;

/// How long an edit counts as recent.
const FRESH_FOR: SignedDuration = SignedDuration::from_secs(5);

/// Resyncs do not wait for a token, so seats limit only how many of them wait for an endpoint that hangs.
const RESYNCS_MIN: usize = 16;

/// A request to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The priority of its first calls.
    pub priority: Priority,
    /// Since when it is due: its place in the queue.
    pub since: Timestamp,
    /// When a user last changed the desired state, if one did.
    pub edited: Option<Timestamp>,
}

/// What a started reconcile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    priority: Priority,
    /// It is the seat for recent edits.
    pub fresh: bool,
    /// It is one of those that the queues share.
    shared: bool,
}

impl Seat {
    fn is_like(self, other: Self) -> bool {
        (self.priority, self.fresh) == (other.priority, other.fresh)
    }
}

/// The seats that all queues share.
#[derive(Debug)]
pub struct SharedSeats {
    left: usize,
}

impl SharedSeats {
    /// So many, none of them taken.
    pub fn new(seats: usize) -> Self {
        Self { left: seats }
    }

    /// Whether one is free.
    pub fn any_left(&self) -> bool {
        self.left > 0
    }

    fn give_back(&mut self, seat: Option<Seat>) {
        self.left += usize::from(seat.is_some_and(|seat| seat.shared));
    }
}

/// The queue of one account and region.
#[derive(Debug)]
pub struct Line<T> {
    seats: usize,
    begun: BTreeMap<T, Seat>,
    /// Seats assigned to reconciles that have not started yet.
    called: BTreeMap<T, Seat>,
    waiting: BTreeMap<T, Ask>,
    by_age: Order<T>,
    by_edit: Order<T>,
}

/// Waiting reconciles, by priority and then by time.
type Order<T> = BTreeMap<Priority, BTreeSet<(Timestamp, T)>>;

impl<T: Ord + Clone> Line<T> {
    /// An empty queue. `seats`: how many reconciles of a priority may run, besides one recent edit.
    pub fn new(seats: usize) -> Self {
        Self {
            seats,
            begun: BTreeMap::new(),
            called: BTreeMap::new(),
            waiting: BTreeMap::new(),
            by_age: BTreeMap::new(),
            by_edit: BTreeMap::new(),
        }
    }

    /// Whether no reconcile holds a seat or waits.
    pub fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.called.is_empty() && self.waiting.is_empty()
    }

    /// Gives `who` a seat, or queues it until it gets one. Also returns the other reconciles to requeue now, since they
    /// got a seat.
    pub fn ask(&mut self, who: &T, ask: Ask, now: Timestamp, shared: &mut SharedSeats) -> (Option<Seat>, Vec<T>) {
        if self.called.get(who).is_none_or(|seat| seat.priority != ask.priority) {
            shared.give_back(self.called.remove(who));
            self.wait(who, ask);
        }
        let mut called = self.call(now, shared);
        called.retain(|other| other != who);
        let seat = self.called.remove(who);
        if let Some(seat) = seat {
            self.begun.insert(who.clone(), seat);
        }
        (seat, called)
    }

    /// Ends a reconcile or withdraws its request. Its seat is free for the next [`call`](Self::call).
    pub fn leave(&mut self, who: &T, shared: &mut SharedSeats) {
        shared.give_back(self.begun.remove(who));
        shared.give_back(self.called.remove(who));
        self.stop_waiting(who);
    }

    /// Whether somebody waits.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn wait(&mut self, who: &T, ask: Ask) {
        self.stop_waiting(who);
        self.by_age.entry(ask.priority).or_default().insert((ask.since, who.clone()));
        if let Some(edited) = ask.edited {
            self.by_edit.entry(ask.priority).or_default().insert((edited, who.clone()));
        }
        self.waiting.insert(who.clone(), ask);
    }

    fn stop_waiting(&mut self, who: &T) {
        let Some(ask) = self.waiting.remove(who) else { return };
        for (order, time) in [(&mut self.by_age, Some(ask.since)), (&mut self.by_edit, ask.edited)] {
            if let (Some(order), Some(time)) = (order.get_mut(&ask.priority), time) {
                order.remove(&(time, who.clone()));
            }
        }
    }

    /// Gives every free seat to the next waiting reconcile. Returns the reconciles to requeue now.
    pub fn call(&mut self, now: Timestamp, shared: &mut SharedSeats) -> Vec<T> {
        let mut called = Vec::new();
        for priority in [Priority::Revoke, Priority::Edit, Priority::Acceptance, Priority::Resync] {
            for fresh in [true, false] {
                while let Some(seat) = self.free(priority, fresh, shared)
                    && let Some(who) = self.next(seat, now)
                {
                    shared.left -= usize::from(seat.shared);
                    self.stop_waiting(&who);
                    self.called.insert(who.clone(), seat);
                    called.push(who);
                }
            }
        }
        called
    }

    fn free(&self, priority: Priority, fresh: bool, shared: &SharedSeats) -> Option<Seat> {
        let own = Seat { priority, fresh, shared: false };
        let taken = || self.begun.values().chain(self.called.values()).filter(|other| other.is_like(own));
        let seats = match (priority, fresh) {
            (Priority::Resync, true) => 0,
            (_, true) => 1,
            (Priority::Resync, false) => self.seats.max(RESYNCS_MIN),
            (_, false) => self.seats,
        };
        let seat = Seat { shared: taken().any(|other| !other.shared), ..own };
        (taken().count() < seats && (!seat.shared || shared.any_left())).then_some(seat)
    }

    /// The first reconcile that waits for this seat.
    fn next(&self, seat: Seat, now: Timestamp) -> Option<T> {
        if !seat.fresh {
            return self.by_age.get(&seat.priority)?.first().map(|(_, who)| who.clone());
        }
        let (edited, newest) = self.by_edit.get(&seat.priority)?.last()?;
        (now.duration_since(*edited) < FRESH_FOR).then(|| newest.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEATS: usize = 2;

    /// A queue, and shared seats that it has for itself.
    struct Queue<T = u32> {
        line: Line<T>,
        shared: SharedSeats,
    }

    impl<T: Ord + Clone> Queue<T> {
        fn new() -> Self {
            Self { line: Line::new(SEATS), shared: SharedSeats::new(100) }
        }

        fn ask(&mut self, who: &T, ask: Ask, now: Timestamp) -> (Option<Seat>, Vec<T>) {
            self.line.ask(who, ask, now, &mut self.shared)
        }

        fn leave(&mut self, who: &T, now: Timestamp) -> Vec<T> {
            self.line.leave(who, &mut self.shared);
            self.line.call(now, &mut self.shared)
        }
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    fn edit(time: Timestamp) -> Ask {
        Ask { priority: Priority::Edit, since: time, edited: Some(time) }
    }

    fn priority(priority: Priority, since: Timestamp) -> Ask {
        Ask { priority, since, edited: None }
    }

    /// A queue that received edits 0, 1, 2 … one per millisecond, long before `now`; and the reconciles that started.
    fn bulk(size: u32, now: Timestamp) -> (Queue, Vec<u32>) {
        let mut line = Queue::new();
        let mut begun = Vec::new();
        for who in 0..size {
            let time = at(i64::from(who));
            begun.extend(line.ask(&who, edit(time), time).0.map(|_| who));
        }
        // None of these edits is recent any more.
        assert!(now > at(i64::from(size)) + FRESH_FOR);
        (line, begun)
    }

    /// Ends `who`, and starts and returns the reconciles that get a seat.
    fn end(line: &mut Queue, who: u32, now: Timestamp) -> Vec<u32> {
        let called = line.leave(&who, now);
        for who in &called {
            assert!(line.ask(who, edit(at(i64::from(*who))), now).0.is_some(), "{who} was called and does not begin");
        }
        called
    }

    #[test]
    fn few_of_a_line_have_begun_and_the_others_follow_in_the_order_of_their_age() {
        let now = at(60_000);
        let (mut line, begun) = bulk(10, now);
        assert_eq!(begun, [0, 1, 2], "one of them as the newest");
        let mut order = vec![];
        for who in 0..10 {
            order.extend(end(&mut line, who, now));
        }
        assert_eq!(order, [3, 4, 5, 6, 7, 8, 9]);
        assert!(line.line.is_empty());
    }

    #[test]
    fn an_edit_does_not_wait_for_a_thousand_made_before_it() {
        let now = at(60_000);
        let (mut line, _) = bulk(1000, now);
        // The first edit took the seat for recent edits; it ends here.
        assert_eq!(end(&mut line, 0, now), [] as [u32; 0]);
        let (seat, called) = line.ask(&5000, edit(now), now);
        assert!(seat.is_some_and(|seat| seat.fresh));
        assert_eq!(called, [] as [u32; 0]);
    }

    #[test]
    fn an_edit_of_what_waits_already_does_not_wait_any_more() {
        let now = at(60_000);
        let (mut line, _) = bulk(1000, now);
        end(&mut line, 0, now);
        let edited = Ask { edited: Some(now), ..edit(at(900)) };
        assert!(line.ask(&900, edited, now).0.is_some());
    }

    #[test]
    fn of_those_that_were_just_edited_the_newest_begins_and_the_oldest_after_those_before_it() {
        let now = at(60_000);
        let (mut line, _) = bulk(6, now);
        end(&mut line, 0, now);
        assert!(line.ask(&10, edit(now), now).0.is_some());
        for (who, later) in [(11, 1), (12, 2)] {
            assert_eq!(line.ask(&who, edit(now + SignedDuration::from_millis(later)), now), (None, vec![]));
        }
        assert_eq!(end(&mut line, 10, now), [12]);
        let mut order = vec![];
        for who in [1, 2, 3, 4, 5] {
            order.extend(end(&mut line, who, now + FRESH_FOR * 2));
        }
        assert_eq!(order, [3, 4, 5, 11]);
    }

    #[test]
    fn lanes_do_not_wait_for_each_other() {
        let now = at(60_000);
        let (mut line, _) = bulk(1000, now);
        for other in [Priority::Revoke, Priority::Acceptance, Priority::Resync] {
            assert!(line.ask(&5000, priority(other, now), now).0.is_some(), "{other:?}");
            assert_eq!(line.leave(&5000, now), [] as [u32; 0]);
        }
    }

    #[test]
    fn what_waits_and_is_to_end_access_now_begins_at_once() {
        let now = at(60_000);
        let (mut line, _) = bulk(1000, now);
        assert!(line.ask(&900, priority(Priority::Revoke, now), now).0.is_some());
        assert_eq!(line.leave(&900, now), [] as [u32; 0]);
    }

    #[test]
    fn asking_again_neither_loses_nor_gains_a_place() {
        let now = at(60_000);
        let (mut line, _) = bulk(10, now);
        for who in [9, 4, 3] {
            assert_eq!(line.ask(&who, edit(at(i64::from(who))), now), (None, vec![]));
        }
        assert_eq!(end(&mut line, 1, now), [3]);
    }

    #[test]
    fn a_seat_is_kept_for_who_is_called_and_passed_on_if_it_does_not_come() {
        let now = at(60_000);
        let (mut line, _) = bulk(10, now);
        assert_eq!(line.leave(&1, now), [3]);
        assert_eq!(line.ask(&4, edit(at(4)), now), (None, vec![]), "the seat is not its own");
        assert_eq!(line.leave(&3, now), [4], "3 is gone, or asks for nothing any more");
        assert!(line.ask(&4, edit(at(4)), now).0.is_some());
        assert_eq!(line.leave(&4, now), [5]);
        // It got the seat as an edit and asks for one as a revoke, so the next reconcile gets that seat.
        assert_eq!(line.ask(&5, priority(Priority::Revoke, now), now).1, [6]);
    }

    #[test]
    fn a_line_without_seats_left_behind_is_empty() {
        let mut line = Queue::new();
        for who in 0..50 {
            line.ask(&who, priority(Priority::Acceptance, at(who)), at(who));
        }
        for who in 0..50 {
            line.leave(&who, at(100));
        }
        assert!(line.line.is_empty() && line.line.by_age.values().all(BTreeSet::is_empty));
    }

    #[test]
    fn a_queue_has_one_seat_of_each_priority_whoever_holds_the_shared_ones() {
        let now = at(60_000);
        let mut shared = SharedSeats::new(1);
        let (mut busy, mut other) = (Line::new(SEATS), Line::new(SEATS));
        let old = |time| Ask { edited: None, ..edit(at(time)) };
        assert!(busy.ask(&1, old(1), now, &mut shared).0.is_some());
        assert!(busy.ask(&2, old(2), now, &mut shared).0.is_some_and(|seat| seat.shared));
        assert!(!shared.any_left());
        assert!(other.ask(&3, old(3), now, &mut shared).0.is_some(), "its own seat");
        assert_eq!(other.ask(&4, old(4), now, &mut shared), (None, vec![]), "no shared one is left");
        assert!(other.ask(&5, priority(Priority::Revoke, now), now, &mut shared).0.is_some());
        assert!(other.ask(&6, edit(now), now, &mut shared).0.is_some(), "the seat for recent edits is its own, too");
        assert!(other.waits() && !busy.waits());

        busy.leave(&2, &mut shared);
        assert!(shared.any_left());
        assert_eq!(other.call(now, &mut shared), [4]);
        assert!(!shared.any_left());
        // It is withdrawn before it begins.
        other.leave(&4, &mut shared);
        assert!(shared.any_left());
    }
}
