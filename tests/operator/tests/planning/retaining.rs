//! `deletionPolicy: Retain` leaves behind what a share holds, only where the image's owner consents.

use std::collections::BTreeSet;

use imageshare_operator::api::cloud_image::GrantState;
use imageshare_operator::domain::share::{Consent, Share};
use imageshare_operator::planning::unseen::plan_unseen;

use super::table::{Table, asked, recipient, share};

/// A share that is being deleted with `deletionPolicy: Retain`.
fn leaving(n: usize, recipients: &[usize], consent: Consent) -> Share {
    Share { deleting: true, retain: true, consent, ..share(n, recipients) }
}

#[test]
fn a_share_without_consent_keeps_nobodys_access() {
    let mut table = Table::new(vec![share(1, &[1, 2])]);
    table.pass();
    table.later(60);
    table.shares[0].deleting = true;
    table.shares.push(leaving(2, &[1], Consent::Withheld));
    table.pass();
    assert!(table.cloud.is_empty() && table.ledger.grants.is_empty(), "{:?}", table.states());
}

#[test]
fn a_share_whose_consent_was_withdrawn_leaves_nothing_behind() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.later(60);
    table.shares = vec![leaving(1, &[1], Consent::Withheld)];
    let unseen = plan_unseen(&table.ledger, &table.wishes(), &table.shares, table.now);
    assert_eq!(unseen.grants[&recipient(1)].state, GrantState::Granted, "not retained, also while the cloud is away");
    table.pass();
    assert!(table.cloud.is_empty() && table.ledger.grants.is_empty());
}

#[test]
fn a_retaining_share_whose_consent_is_unknown_waits() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.later(60);
    table.shares = vec![leaving(1, &[1], Consent::Unknown)];
    table.pass();
    assert_eq!(table.states()[&1], GrantState::Granted, "neither retained nor revoked");
    assert!(table.ledger.shares.contains_key("uid-1"), "it is not released");
    table.shares[0].retain = false;
    table.pass();
    assert!(table.cloud.is_empty() && table.ledger.shares.is_empty(), "Revoke needs no consent");
}

#[test]
fn a_share_leaves_behind_what_it_holds_and_not_whatever_it_names() {
    let mut table = Table::new(vec![share(1, &[1]), share(2, &[2])]);
    table.pass();
    table.later(60);
    // The second one names the other's recipient in the moment of its deletion.
    table.shares = vec![Share { deleting: true, ..share(1, &[1]) }, leaving(2, &[1, 2], Consent::Given)];
    table.pass();
    assert_eq!(table.cloud, BTreeSet::from([recipient(2)]));
    assert_eq!(table.states(), [(2, GrantState::Retained)].into());
}

#[test]
fn a_share_that_waits_for_its_revoke_can_still_be_told_to_retain() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.shares[0].deleting = true;
    // A leader before this one may still act: nobody is revoked yet.
    table.others_until = table.now + jiff::SignedDuration::from_secs(60);
    table.pass();
    assert_eq!(table.states()[&1], GrantState::Revoking);
    table.shares[0].retain = true;
    table.pass();
    assert_eq!(table.states()[&1], GrantState::Retained);
    assert!(table.ledger.shares.is_empty(), "the share may go");
}

#[test]
fn whom_a_share_lost_from_its_list_before_it_went_is_not_left_behind() {
    for suspended in [false, true] {
        let mut table = Table::new(vec![share(1, &[1, 2])]);
        table.pass();
        table.later(60);
        // Shortened and deleted while nobody reconciles.
        table.shares = vec![Share { suspended, ..leaving(1, &[1], Consent::Given) }];
        table.pass();
        assert_eq!(table.cloud, BTreeSet::from([recipient(1)]));
        assert_eq!(table.states(), [(1, GrantState::Retained)].into());
    }
}

#[test]
fn whom_a_suspended_share_loses_from_its_list_keeps_access_until_it_is_active_again() {
    let mut table = Table::new(vec![share(1, &[1, 2])]);
    table.pass();
    table.later(60);
    // Suspended and shortened in one edit.
    table.shares[0].suspended = true;
    table.shares[0].recipients = vec![asked(1)];
    for _ in 0..3 {
        table.pass();
        table.later(600);
    }
    assert_eq!(table.cloud, BTreeSet::from([recipient(1), recipient(2)]));
    table.shares[0].suspended = false;
    table.pass();
    assert_eq!(table.cloud, BTreeSet::from([recipient(1)]));
}

#[test]
fn a_suspended_share_keeps_nobody_that_it_did_not_hold() {
    let mut table = Table::new(vec![share(1, &[1]), share(2, &[2])]);
    table.pass();
    table.later(60);
    table.shares[0].suspended = true;
    table.shares[1].recipients.clear();
    table.pass();
    assert_eq!(table.cloud, BTreeSet::from([recipient(1)]));
}

#[test]
fn who_holds_a_grant_is_read_back_from_status() {
    let mut table = Table::new(vec![share(1, &[1, 2]), share(2, &[2])]);
    table.pass();
    table.write_and_read();
    let held = |uid: &str| table.ledger.held_for(uid).cloned().collect::<Vec<_>>();
    assert_eq!(held("uid-1"), [recipient(1), recipient(2)]);
    assert_eq!(held("uid-2"), [recipient(2)]);
}
