//! How a plan reads to a person.

use crate::table::{TIMING, Table, recipient, share};

#[test]
fn a_plan_reads_as_the_steps_that_it_takes() {
    let mut table = Table::new(vec![share(1, &[1, 2])]);
    table.limit = 3;
    table.cloud = [7].map(recipient).into();
    let foreign = "leave Account 100007: no ImageShare names it";
    let first = format!("1/3 slots taken\nadd Account 100001\nadd Account 100002\n{foreign}");
    assert_eq!(table.plan().to_string(), first);
    table.pass();
    table.shares[0] = share(1, &[2, 3, 4]);
    table.later(60);
    let second = format!(
        "3/3 slots taken\nadd Account 100003\nremove Account 100001\nkeep 1 granted\n{foreign}\ndecline Account 100004: \
         RecipientLimit"
    );
    assert_eq!(table.plan().to_string(), second);
}

#[test]
fn a_plan_without_steps_says_what_stays_and_when_it_is_checked_again() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.limit = 0;
    table.pass();
    table.shares[0].recipients.clear();
    table.pass();
    let again = table.now + TIMING.absence_window;
    let waiting = format!("0 slots taken\nleave Account 100001: Revoking\nreconcile again at {again}");
    assert_eq!(table.plan().to_string(), waiting);
    table.later(60);
    assert_eq!(table.plan().to_string(), "0 slots taken");
}
