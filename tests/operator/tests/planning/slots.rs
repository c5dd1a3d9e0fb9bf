//! An image serves so many shares; who has a slot keeps it, and what is granted for a share is listed as served.

use imageshare_operator::api::cloud_image::GrantState;
use imageshare_operator::api::limits::SHARES_PER_IMAGE_MAX;

use super::table::{Table, recipient, share};

fn full() -> Table {
    let mut table = Table::new((1..=SHARES_PER_IMAGE_MAX).map(|n| share(n, &[n])).collect());
    table.limit = 0;
    table.pass();
    table.later(60);
    table
}

#[test]
fn a_share_beyond_the_bound_is_granted_nothing_also_where_an_older_one_is_suspended() {
    let mut table = full();
    table.shares[0].suspended = true;
    table.shares.push(share(9_000, &[9_000]));
    table.pass();
    assert!(!table.cloud.contains(&recipient(9_000)) && !table.ledger.shares.contains_key("uid-9000"));
}

#[test]
fn an_older_share_that_comes_late_displaces_nobody() {
    let mut table = full();
    table.shares.push(share(0, &[9_000]));
    table.pass();
    assert!(!table.cloud.contains(&recipient(9_000)));
    let youngest = format!("uid-{SHARES_PER_IMAGE_MAX}");
    assert!(table.ledger.shares.contains_key(&youngest));
    table.shares.iter_mut().find(|share| share.uid == youngest).unwrap().retain = true;
    table.shares.iter_mut().find(|share| share.uid == youngest).unwrap().deleting = true;
    table.pass();
    assert_eq!(table.states()[&SHARES_PER_IMAGE_MAX], GrantState::Retained);
}

#[test]
fn the_list_of_shares_never_outgrows_its_schema_and_a_free_slot_is_given_at_once() {
    let mut table = full();
    table.shares.push(share(9_000, &[9_000]));
    table.shares[0].deleting = true;
    table.others_until = table.now + jiff::SignedDuration::from_secs(5);
    assert!(table.pass().settled.shares.len() <= SHARES_PER_IMAGE_MAX, "the leaving one is listed too");
    assert!(table.ledger.shares.contains_key("uid-1"));
    table.later(10);
    let plan = table.pass();
    assert_eq!(plan.requeue_at, Some(table.now), "the slot is free now");
    table.pass();
    assert!(table.cloud.contains(&recipient(9_000)) && table.ledger.shares.contains_key("uid-9000"));
}
