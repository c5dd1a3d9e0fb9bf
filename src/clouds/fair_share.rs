//! Weighted fair queueing: an urgent class gets most tokens, and no class waits until another one is done. Without
//! contention every class gets all it requests. Pure: its time is the amount served so far.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Priority;

/// The urgency of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    pub(super) priority: Priority,
    /// An event requested the reconcile a moment ago. It gets twice the share of other reconciles of its priority, so that
    /// an edit of one object does not wait for a thousand others.
    pub(super) fresh: bool,
}

impl Class {
    /// All classes that can wait, the most urgent last.
    pub(super) const ALL: [Self; 6] = {
        const fn both(priority: Priority) -> [Class; 2] {
            [Class { priority, fresh: false }, Class { priority, fresh: true }]
        }
        let ([a, b], [c, d], [e, f]) = (both(Priority::Acceptance), both(Priority::Edit), both(Priority::Revoke));
        [a, b, c, d, e, f]
    };

    /// The cost of one token: the inverse of the class's weight.
    fn cost(self) -> u64 {
        let cost = match self.priority {
            Priority::Revoke => 2,
            Priority::Edit => 8,
            Priority::Acceptance | Priority::Resync => 16,
        };
        if self.fresh { cost / 2 } else { cost }
    }
}

/// The service that each class got so far.
#[derive(Debug, Default)]
pub(super) struct FairShare {
    /// Virtual start time of a class's next service.
    starts: BTreeMap<Class, u64>,
    /// Virtual start time of the last service.
    now: u64,
}

impl FairShare {
    /// Records the first waiting call of a class. The class does not catch up on service it did not use while it was empty.
    pub(super) fn begins_to_wait(&mut self, class: Class) {
        let start = self.starts.entry(class).or_default();
        *start = (*start).max(self.now);
    }

    /// The waiting class to serve next.
    pub(super) fn next(&self, waiting: impl Iterator<Item = Class>) -> Option<Class> {
        let start = |class: &Class| self.starts.get(class).copied().unwrap_or_default();
        waiting.min_by_key(|class| (start(class) + class.cost(), Reverse(*class)))
    }

    /// Records that a class was served.
    pub(super) fn served(&mut self, class: Class) {
        let start = self.starts.entry(class).or_default();
        self.now = self.now.max(*start);
        *start += class.cost();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn class(priority: Priority) -> Class {
        Class { priority, fresh: false }
    }

    /// The classes in the order of service while all of `waiting` keep waiting.
    fn served(share: &mut FairShare, waiting: &[Class], times: usize) -> Vec<Class> {
        let mut order = Vec::new();
        for _ in 0..times {
            let next = share.next(waiting.iter().copied()).unwrap();
            share.served(next);
            order.push(next);
        }
        order
    }

    fn count(order: &[Class], class: Class) -> usize {
        order.iter().filter(|served| **served == class).count()
    }

    #[test]
    fn no_class_starves_another_however_much_of_it_there_is() {
        let mut share = FairShare::default();
        for class in Class::ALL {
            share.begins_to_wait(class);
        }
        let order = served(&mut share, &Class::ALL, 330);
        for class in Class::ALL {
            // 330 tokens are 66 seconds at the default rate.
            assert!(count(&order, class) >= 9, "{class:?}: {}", count(&order, class));
        }
        let longest = order.split(|served| *served == class(Priority::Acceptance)).map(<[_]>::len).max().unwrap();
        assert!(longest < 40, "the least urgent waited for {longest} others");
    }

    #[test]
    fn calls_that_end_access_get_most_and_edits_go_before_answers() {
        let mut share = FairShare::default();
        let waiting = [class(Priority::Acceptance), class(Priority::Edit), class(Priority::Revoke)];
        for class in waiting {
            share.begins_to_wait(class);
        }
        let order = served(&mut share, &waiting, 110);
        assert_eq!(waiting.map(|class| count(&order, class)), [10, 20, 80]);
        assert_eq!(order[..4], [class(Priority::Revoke); 4]);
    }

    #[test]
    fn what_was_just_asked_for_gets_twice_as_much_as_what_waited_in_a_long_line() {
        let mut share = FairShare::default();
        let (old, fresh) = (class(Priority::Edit), Class { priority: Priority::Edit, fresh: true });
        share.begins_to_wait(old);
        served(&mut share, &[old], 100);
        share.begins_to_wait(fresh);
        let of_fresh = count(&served(&mut share, &[old, fresh], 30), fresh);
        assert!((20..=21).contains(&of_fresh), "{of_fresh}");
    }

    #[test]
    fn who_did_not_wait_has_nothing_in_store() {
        let mut share = FairShare::default();
        let (edit, answer) = (class(Priority::Edit), class(Priority::Acceptance));
        share.begins_to_wait(edit);
        served(&mut share, &[edit], 1000);
        share.begins_to_wait(answer);
        let order = served(&mut share, &[edit, answer], 30);
        assert_eq!(count(&order, answer), 10);
    }
}
