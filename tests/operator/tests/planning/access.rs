//! Who gained or lost access, for whom and why: told once, from two ledgers.

use std::collections::BTreeSet;

use imageshare_operator::api::cloud_image::UnmanagedRecipients;
use imageshare_operator::domain::identifiers::Recipient;
use imageshare_operator::domain::share::{Consent, Share};
use imageshare_operator::planning::access::{AccessChange, Cause, Change, Ledgers, access_changes};
use imageshare_operator::planning::unseen::{plan_absent, plan_unseen};

use super::table::{TIMING, Table, asked, recipient, share};

/// What one pass changed: number of the recipient, how, and the share; "" for none.
type Told = (usize, Change, String);

fn told(change: &AccessChange) -> Told {
    let number = change.recipient.id.as_str().parse::<usize>().unwrap() - 100_000;
    let share = change.share.as_ref().map(|share| format!("{}/{}", share.namespace, share.name));
    (number, change.change, share.unwrap_or_default())
}

fn changes_with(table: &mut Table, elsewhere: &BTreeSet<Recipient>) -> Vec<AccessChange> {
    table.write_and_read();
    let before = table.ledger.clone();
    table.pass();
    table.write_and_read();
    let ledgers = Ledgers { before: &before, intended: table.intended.as_ref(), after: &table.ledger, elsewhere };
    access_changes(ledgers, &table.shares, table.now)
}

fn pass(table: &mut Table) -> Vec<Told> {
    changes_with(table, &BTreeSet::new()).iter().map(told).collect()
}

fn by(n: usize) -> String {
    format!("team/share-{n}")
}

#[test]
fn whoever_is_granted_is_told_once_with_the_share_that_asked() {
    let mut table = Table::new(vec![share(1, &[1, 2]), share(2, &[2])]);
    let granted = Change::Granted;
    assert_eq!(pass(&mut table), [(1, granted, by(1)), (2, granted, by(1)), (2, granted, by(2))]);
    table.later(60);
    assert_eq!(pass(&mut table), []);
}

#[test]
fn who_had_the_image_already_is_adopted_and_not_granted() {
    let mut table = Table::new(vec![share(1, &[1, 2])]);
    table.cloud.insert(recipient(1));
    assert_eq!(pass(&mut table), [(1, Change::Adopted, by(1)), (2, Change::Granted, by(1))]);
}

#[test]
fn who_lost_it_to_somebody_else_is_granted_again() {
    let mut table = Table::new(vec![share(1, &[1])]);
    pass(&mut table);
    table.later(60);
    table.cloud.clear();
    assert_eq!(pass(&mut table), [(1, Change::Granted, by(1))]);
}

#[test]
fn the_cause_of_a_revocation_is_told() {
    type Edit = fn(&mut Share);
    let cases: [(Edit, Change); 4] = [
        (|share| share.deleting = true, Change::Revoked(Cause::ShareDeleted)),
        (|share| share.consent = Consent::Withheld, Change::Revoked(Cause::ConsentWithdrawn)),
        (|share| share.expires = Some(jiff::Timestamp::UNIX_EPOCH), Change::Expired),
        (|share| share.recipients = vec![asked(2)], Change::Revoked(Cause::RecipientRemoved)),
    ];
    for (edit, change) in cases {
        let mut table = Table::new(vec![share(1, &[1])]);
        pass(&mut table);
        table.later(60);
        edit(&mut table.shares[0]);
        let told = pass(&mut table);
        assert!(told.contains(&(1, change, by(1))), "{change:?}: {told:?}");
        table.later(60);
        assert_eq!(pass(&mut table), [], "{change:?} is told once");
    }
}

/// The removal takes some reconciles, and by then no share names the recipient.
#[test]
fn a_revocation_that_takes_long_still_names_the_share_it_was_for() {
    let mut table = Table::new(vec![share(1, &[1, 2])]);
    pass(&mut table);
    table.later(60);
    table.shares[0].recipients = vec![asked(2)];
    table.lag = true;
    assert_eq!(pass(&mut table), [], "the cloud still shows it");
    table.later(60);
    assert_eq!(pass(&mut table), []);
    table.lag = false;
    table.later(60);
    pass(&mut table);
    table.later(60);
    let told = pass(&mut table);
    assert!(table.cloud.len() == 1 && table.ledger.former_holders.is_empty());
    assert_eq!(told, [(1, Change::Revoked(Cause::RecipientRemoved), by(1))]);
}

#[test]
fn what_a_share_leaves_behind_is_retained() {
    let mut table = Table::new(vec![share(1, &[1])]);
    pass(&mut table);
    table.later(60);
    (table.shares[0].deleting, table.shares[0].retain) = (true, true);
    assert_eq!(pass(&mut table), [(1, Change::Retained, by(1))]);
    table.shares = vec![share(2, &[1])];
    assert_eq!(pass(&mut table), [(1, Change::Adopted, by(2))], "another share takes it over");
}

#[test]
fn a_recipient_that_only_a_policy_revokes_belongs_to_no_share() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.policy = UnmanagedRecipients::Revoke;
    table.cloud.insert(recipient(7));
    pass(&mut table);
    table.later(600);
    let mut all = pass(&mut table);
    table.later(60);
    all.extend(pass(&mut table));
    assert_eq!(all, [(7, Change::Revoked(Cause::Unmanaged), String::new())]);
}

#[test]
fn who_was_never_granted_is_never_revoked() {
    use imageshare_operator::clouds::Fault;
    use imageshare_operator::domain::fault::Missing;
    let mut table = Table::new(vec![share(1, &[1])]);
    table.refuse = Some((vec![recipient(1)], Fault::NotFound(Missing::Recipient)));
    assert_eq!(pass(&mut table), []);
    table.later(60);
    table.shares[0].deleting = true;
    assert_eq!(pass(&mut table), []);
    table.later(60);
    assert_eq!(pass(&mut table), []);
}

#[test]
fn an_image_that_is_gone_ends_access_once_and_gives_it_back_when_it_returns() {
    let mut table = Table::new(vec![share(1, &[1])]);
    pass(&mut table);
    let absent = |table: &mut Table| {
        let before = table.ledger.clone();
        table.ledger = plan_absent(&before, &table.shares, TIMING.absence_window, table.now).0;
        let none = BTreeSet::new();
        let ledgers = Ledgers { before: &before, intended: None, after: &table.ledger, elsewhere: &none };
        access_changes(ledgers, &table.shares, table.now).iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(absent(&mut table), [], "one read proves nothing");
    table.later(60);
    assert_eq!(absent(&mut table), [(1, Change::Revoked(Cause::ImageGone), by(1))]);
    table.later(60);
    assert_eq!(absent(&mut table), []);
    assert_eq!(pass(&mut table), [(1, Change::Granted, by(1))]);
}

#[test]
fn what_another_object_for_the_image_goes_on_with_did_not_end() {
    let mut table = Table::new(vec![share(1, &[1])]);
    pass(&mut table);
    let before = table.ledger.clone();
    table.ledger.grants.clear();
    let end = |elsewhere: &BTreeSet<Recipient>| {
        let ledgers = Ledgers { before: &before, intended: None, after: &table.ledger, elsewhere };
        access_changes(ledgers, &table.shares, table.now).len()
    };
    assert_eq!((end(&BTreeSet::from([recipient(1)])), end(&BTreeSet::new())), (0, 1));
}

/// Its namespace names a recipient that others were granted, and must not learn when.
#[test]
fn a_share_without_consent_is_told_nothing() {
    for consent in [Consent::Withheld, Consent::Unknown] {
        let guest = Share { consent, namespace: "guest".into(), ..share(2, &[1]) };
        let mut table = Table::new(vec![share(1, &[1]), guest]);
        let mut all = changes_with(&mut table, &BTreeSet::new());
        table.later(60);
        table.shares[0].deleting = true;
        table.shares[1].consent = Consent::Withheld;
        for _ in 0..3 {
            all.extend(changes_with(&mut table, &BTreeSet::new()));
            table.later(60);
        }
        assert!(all.len() >= 2);
        let of_guest = |change: &&AccessChange| change.share.as_ref().is_some_and(|share| share.namespace == "guest");
        assert!(all.iter().filter(of_guest).all(|change| !change.visible_to_share), "{all:?}");
        let own: Vec<Told> = all.iter().filter(|change| change.visible_to_share).map(told).collect();
        assert_eq!(own, [(1, Change::Granted, by(1)), (1, Change::Revoked(Cause::ShareDeleted), by(1))]);
    }
}

/// While the account cannot be reached, the share is edited.
#[test]
fn an_edit_while_the_cloud_is_away_is_remembered() {
    let mut table = Table::new(vec![share(1, &[1, 2])]);
    pass(&mut table);
    table.shares[0].recipients = vec![asked(2)];
    table.later(60);
    table.ledger = plan_unseen(&table.ledger, &table.wishes(), &table.shares, table.now);
    assert_eq!(pass(&mut table), [(1, Change::Revoked(Cause::RecipientRemoved), by(1))]);
}

#[test]
fn a_change_names_a_bounded_number_of_shares() {
    let mut table = Table::new((1..=40).map(|n| share(n, &[1])).collect());
    let told = pass(&mut table);
    assert_eq!(told.len(), 16);
}
