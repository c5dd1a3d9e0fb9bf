//! After a former leader left without a word: what it sent last may still take effect.

use imageshare_operator::api::cloud_image::{GrantState, UnmanagedRecipients};
use imageshare_operator::api::image_replica::CopySource;
use imageshare_operator::domain::call::Copying;
use imageshare_operator::domain::identifiers::ImageId;
use imageshare_operator::domain::provider::CopyMeans;
use imageshare_operator::planning::ledger::Entry;
use imageshare_operator::planning::replica::{Attempt, Patience, Stage, Step, after_asking};
use jiff::SignedDuration;

use crate::table::{Table, recipient, share};

/// A table where calls of a former leader may take effect for 10 s more.
fn taken_over(mut table: Table) -> Table {
    table.others_until = table.now + SignedDuration::from_secs(10);
    table
}

#[test]
fn what_is_wished_is_granted_at_once() {
    let table = taken_over(Table::new(vec![share(1, &[1])]));
    assert_eq!(table.plan().add, [recipient(1)]);
}

#[test]
fn nobody_is_revoked_before_the_calls_of_a_former_leader_are_over() {
    let mut table = taken_over(Table::new(vec![share(1, &[1])]));
    table.cloud = [recipient(1), recipient(2), recipient(3)].into();
    table.policy = UnmanagedRecipients::Revoke;
    let granted = Entry::new(GrantState::Granted, table.now - SignedDuration::from_mins(10));
    table.ledger.grants = [1, 2].map(|n| (recipient(n), granted)).into();
    let ages = Some(table.now - SignedDuration::from_hours(1));
    table.ledger.unmanaged = [(recipient(3), ages)].into();
    let plan = table.plan();
    assert!(plan.remove.is_empty(), "{:?}", plan.remove);
    assert_eq!(plan.settled.grants[&recipient(2)].state, GrantState::Revoking, "it is told all the same");
    assert_eq!(plan.requeue_at, Some(table.others_until));
    table.now = table.others_until;
    assert_eq!(table.plan().remove, [recipient(2), recipient(3)]);
}

#[test]
fn an_absence_read_before_the_calls_of_a_former_leader_are_over_proves_nothing() {
    let mut table = taken_over(Table::new(vec![]));
    let long_ago = Entry::new(GrantState::Revoking, table.now - SignedDuration::from_mins(10));
    table.ledger.grants = [(recipient(1), long_ago)].into();
    table.pass();
    assert!(table.ledger.grants.contains_key(&recipient(1)), "it may still be added");
    // It was: its call arrives late, is seen, and mended.
    table.cloud = [recipient(1)].into();
    table.now = table.others_until;
    table.pass();
    assert_eq!(table.revoked, [recipient(1)]);
    table.later(60);
    table.pass();
    assert!(table.ledger.grants.is_empty());
}

#[test]
fn a_copy_that_a_former_leader_may_have_asked_for_is_looked_for_until_its_calls_are_over() {
    let (start, second) = (Table::new(vec![]).now, SignedDuration::from_secs(1));
    let source = CopySource { account: "golden".into(), region: "r".into(), image_id: "i-1".into() };
    let attempt = Attempt::after(None, source, start - second * 60);
    let (lost, others_until) = (second * 30, start + second * 10);
    let patience = Patience { lost, unanswered: lost, lag: second, others_until, retry: second };
    let step = |now| after_asking(&attempt, CopyMeans::Job, None, patience, now);
    assert_eq!(step(start), Step::Wait(start + second * 40), "its answer was lost a minute ago, and yet");
    assert_eq!(step(start + second * 40), Step::Anew);
}

/// Huawei Cloud may list a copy only once it is made: asked for again too early, there would be two, and one is nobody's.
#[test]
fn a_copy_whose_answer_was_lost_is_looked_for_an_hour_before_another_one_is_asked_for() {
    let (start, second) = (Table::new(vec![]).now, SignedDuration::from_secs(1));
    let source = CopySource { account: "golden".into(), region: "r".into(), image_id: "i-1".into() };
    let attempt = Attempt::after(None, source, start);
    let (lost, unanswered) = (second * 30, second * 3600);
    let patience = Patience { lost, unanswered, lag: second, others_until: start, retry: second };
    let found = ImageId::parse("i-2").unwrap();
    let step = |means, found, now| after_asking(&attempt, means, found, patience, now);
    assert_eq!(step(CopyMeans::Job, None, start + second * 31), Step::Wait(start + unanswered));
    let copying = Step::Now(Stage::Copying(Copying::Image(found.clone())));
    assert_eq!(step(CopyMeans::Job, Some(found), start + second * 3000), copying);
    assert_eq!(step(CopyMeans::Job, None, start + unanswered), Step::Anew);
    assert_eq!(step(CopyMeans::Token, None, start + second), Step::Ask, "a token makes no second one");
}
