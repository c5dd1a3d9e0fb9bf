//! The planner against a cloud that is a plain set: whatever people wish and whatever happens in between, nobody wanted is
//! revoked, nobody foreign is touched, no place is given twice, and everything comes to rest.

mod absence;
mod acceptance;
mod access;
mod answers;
mod bounds;
mod handover;
mod inventory;
mod jobs;
mod leaving;
mod lost_jobs;
mod places;
mod plans;
mod private;
mod refusals;
mod replica;
mod retaining;
mod slots;
mod stories;
mod table;
mod unproven;
mod wishing;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use imageshare_operator::api::cloud_image::{GrantState, UnmanagedRecipients};
use imageshare_operator::api::conditions::Reason;
use imageshare_operator::domain::identifiers::{Recipient, RecipientKind};
use imageshare_operator::domain::image::ImageState;
use imageshare_operator::domain::provider::Site;
use imageshare_operator::domain::share::{AskedRecipient, Consent};
use imageshare_operator::planning::batch::BatchResult;
use imageshare_operator::planning::outcome::record;
use imageshare_operator::planning::sharing::IntentRecorded;
use imageshare_operator::planning::unseen::plan_unseen;
use jiff::SignedDuration;
use proptest::prelude::*;
use table::{Table, asked, recipient, share};

#[test]
fn a_wish_is_written_down_before_it_is_granted() {
    let table = Table::new(vec![share(1, &[1, 2])]);
    let plan = table.plan();
    assert_eq!(plan.add, [recipient(1), recipient(2)]);
    assert!(plan.settled.grants.is_empty());
    assert!(plan.with_intents(table.now).grants.values().all(|e| e.state == GrantState::Intended));
    assert!(plan.settled.shares.contains_key("uid-1"), "the share is listed before anything is called for it");
}

#[test]
fn a_recipient_already_there_is_adopted_without_a_call() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.cloud.insert(recipient(1));
    table.pass();
    assert_eq!((table.calls, table.states()), (0, BTreeMap::from([(1, GrantState::Granted)])));
}

#[test]
fn a_foreign_recipient_is_reported_and_left_alone() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.cloud.insert(recipient(7));
    for _ in 0..3 {
        table.pass();
        table.later(3600);
    }
    assert!(table.cloud.contains(&recipient(7)));
    assert!(table.ledger.unmanaged.contains_key(&recipient(7)));
}

#[test]
fn a_foreign_recipient_is_revoked_by_policy_only_after_the_grace_and_while_a_share_wishes() {
    let mut table = Table::new(vec![]);
    table.policy = UnmanagedRecipients::Revoke;
    table.cloud.insert(recipient(7));
    table.pass();
    table.later(3600);
    table.pass();
    assert!(table.cloud.contains(&recipient(7)), "no share wishes");
    table.shares.push(share(1, &[1]));
    table.pass();
    assert!(table.cloud.contains(&recipient(7)), "the grace counts from when a share wishes");
    table.later(600);
    table.pass();
    assert_eq!(table.cloud, BTreeSet::from([recipient(1)]));
}

#[test]
fn a_retained_grant_is_no_policys_business() {
    let mut table = Table::new(vec![share(1, &[1]), share(2, &[2])]);
    table.policy = UnmanagedRecipients::Revoke;
    table.pass();
    table.shares[0].deleting = true;
    table.shares[0].retain = true;
    table.pass();
    table.shares.remove(0);
    table.later(3600);
    table.pass();
    assert!(table.cloud.contains(&recipient(1)));
    assert_eq!(table.states()[&1], GrantState::Retained);
}

/// Else it would be a stranger when the next list shows it, and the policy would end it.
#[test]
fn a_retained_grant_is_forgotten_only_when_two_reads_lack_it() {
    let mut table = Table::new(vec![share(1, &[1]), share(2, &[2])]);
    table.policy = UnmanagedRecipients::Revoke;
    table.pass();
    (table.shares[0].deleting, table.shares[0].retain) = (true, true);
    table.pass();
    table.shares.remove(0);
    table.later(3600);
    let truth = std::mem::take(&mut table.cloud);
    table.pass();
    table.cloud = truth;
    for _ in 0..2 {
        table.later(3600);
        table.pass();
    }
    assert!(table.cloud.contains(&recipient(1)), "it stays though one list was empty");
    assert_eq!(table.states()[&1], GrantState::Retained);
    table.cloud.remove(&recipient(1));
    for _ in 0..2 {
        table.pass();
        table.later(60);
    }
    assert_eq!(table.states().get(&1), None, "nobody has it any more");
}

#[test]
fn a_suspended_share_keeps_what_it_has_and_gains_nothing() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.shares[0].suspended = true;
    table.shares[0].recipients.push(asked(2));
    table.later(60);
    table.pass();
    assert_eq!(table.cloud, BTreeSet::from([recipient(1)]));
}

#[test]
fn deleting_wins_over_suspended() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.shares[0].suspended = true;
    table.shares[0].deleting = true;
    table.later(60);
    table.pass();
    assert!(table.cloud.is_empty() && table.ledger.shares.is_empty());
}

#[test]
fn an_expired_share_is_revoked_and_struck_off() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.shares[0].expires = Some(table.now + SignedDuration::from_secs(10));
    table.pass();
    assert_eq!(table.cloud.len(), 1);
    table.later(10);
    table.pass();
    assert!(table.cloud.is_empty() && table.ledger.shares.is_empty());
}

#[test]
fn withdrawn_consent_revokes_but_unreadable_consent_holds() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.later(60);
    table.shares[0].consent = Consent::Unknown;
    table.pass();
    assert_eq!(table.cloud.len(), 1);
    table.shares[0].consent = Consent::Withheld;
    table.pass();
    assert!(table.cloud.is_empty());
}

/// What cannot be read is a suspended share of those whom its spec names.
#[test]
fn a_share_that_cannot_be_read_keeps_whom_it_names_and_ends_when_it_is_deleted() {
    let mut unreadable = share(2, &[1]);
    unreadable.suspended = true;
    let mut table = Table::new(vec![share(1, &[1, 2]), unreadable]);
    table.pass();
    table.shares.remove(0);
    table.later(60);
    table.pass();
    assert!(table.cloud.iter().eq([&recipient(1)]), "2 is named by nobody");
    table.shares[0].deleting = true;
    table.pass();
    assert!(table.cloud.is_empty());
}

#[test]
fn an_absence_too_soon_after_the_grant_proves_nothing() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.shares[0].deleting = true;
    table.pass();
    assert!(table.cloud.is_empty());
    assert_eq!(table.states()[&1], GrantState::Revoking, "the cloud may show the grant late");
    assert!(table.ledger.shares.contains_key("uid-1"), "the share is held until the absence counts");
    table.later(5);
    table.pass();
    assert!(table.ledger.grants.is_empty() && table.ledger.shares.is_empty());
}

#[test]
fn a_grant_read_as_absent_is_added_again_only_after_the_window() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.cloud.clear();
    assert!(!table.plan().acts(), "the cloud may show it late");
    assert!(table.plan().requeue_at.is_some());
    table.later(5);
    table.pass();
    assert_eq!(table.cloud.len(), 1);
}

#[test]
fn the_fifty_first_waits_and_goes_on_when_one_leaves() {
    let all: Vec<usize> = (1..=51).collect();
    let mut table = Table::new(vec![share(1, &all)]);
    table.pass();
    assert_eq!(table.cloud.len(), 50);
    assert_eq!(table.ledger.declined, BTreeMap::from([(recipient(51), Reason::RecipientLimit)]));
    table.shares[0].recipients.remove(0);
    table.later(60);
    table.pass();
    assert!(table.cloud.contains(&recipient(51)) && table.cloud.len() == 50);
    assert!(table.ledger.declined.is_empty());
}

#[test]
fn places_go_by_age_then_uid_then_index_and_nobody_is_displaced() {
    // Their ids are in another order than their turns.
    let mut table = Table::new(vec![share(2, &[2, 1]), share(1, &[4, 3])]);
    table.limit = 3;
    table.pass();
    assert_eq!(table.cloud, [2, 3, 4].map(recipient).into());
    table.shares.push(share(0, &[5]));
    table.later(60);
    table.pass();
    assert_eq!(table.cloud, [2, 3, 4].map(recipient).into(), "an older wish that comes later displaces nobody");
}

#[test]
fn foreign_recipients_use_places() {
    let mut table = Table::new(vec![share(1, &[1, 2])]);
    table.limit = 2;
    table.cloud.insert(recipient(7));
    table.pass();
    assert_eq!(table.cloud, [1, 7].map(recipient).into());
}

#[test]
fn wishes_that_cannot_be_fulfilled_are_declined_and_never_sent() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.shares[0].recipients.extend([
        AskedRecipient { kind: RecipientKind::Project, id: "abc".into(), site: None, name: None, copyable: false },
        AskedRecipient {
            kind: RecipientKind::Account,
            id: "0a1b2c3d4e5f60718293a4b5c6d7e8f9".into(),
            site: None,
            name: None,
            copyable: false,
        },
        asked(9999),
    ]);
    assert_eq!(table.plan().add, [recipient(1)]);
    let mut reasons: Vec<Reason> = table.plan().settled.declined.into_values().collect();
    reasons.sort();
    assert_eq!(reasons, [Reason::RecipientKindUnsupported, Reason::InvalidRecipient, Reason::RecipientIsOwner]);
}

#[test]
fn a_deleting_image_admits_nobody_new_and_keeps_who_is_there() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.deleting = true;
    table.shares.push(share(2, &[2]));
    table.later(60);
    table.pass();
    assert_eq!(table.cloud, [1].map(recipient).into());
    assert_eq!(table.ledger.declined[&recipient(2)], Reason::ImageDeleting);
}

#[test]
fn an_image_that_is_not_available_is_not_shared_but_still_revoked() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.image.state = ImageState::Deprecated;
    table.shares[0].recipients = vec![asked(2)];
    table.later(60);
    table.pass();
    assert!(table.cloud.is_empty());
    assert_eq!(table.ledger.declined[&recipient(2)], Reason::ImageNotShareable);
}

#[test]
fn a_marketplace_image_does_not_cross_sites() {
    let mut table = Table::new(vec![share(1, &[1, 2])]);
    table.image.from_marketplace = true;
    table.shares[0].recipients[1].site = Some(Site::China);
    table.pass();
    assert_eq!(table.cloud, [1].map(recipient).into());
    assert_eq!(table.ledger.declined[&recipient(2)], Reason::ImageNotShareable);
}

#[test]
fn a_step_the_fresh_list_does_not_ask_for_is_dropped_and_its_intent_taken_back() {
    let mut table = Table::new(vec![share(1, &[1])]);
    let plan = table.plan();
    let intended = plan.with_intents(table.now);
    table.shares[0].deleting = true;
    let plan = plan.confirm(&IntentRecorded::at("2"), &table.ledger, &table.wishes());
    assert!(!plan.acts());
    assert!(record(&intended, &table.ledger, &BatchResult::default(), table.now).grants.is_empty());
}

#[test]
fn retaining_needs_no_sight_of_the_cloud() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.shares[0].deleting = true;
    let kept = plan_unseen(&table.ledger, &table.wishes(), &table.shares, table.now);
    assert!(kept.shares.contains_key("uid-1"), "not retained: it waits for the cloud");
    table.shares[0].retain = true;
    let retained = plan_unseen(&table.ledger, &table.wishes(), &table.shares, table.now);
    assert_eq!(retained.grants[&recipient(1)].state, GrantState::Retained);
    assert!(retained.shares.is_empty(), "the share may go");
}

#[derive(Debug, Clone)]
enum Happening {
    Wish(usize, Vec<usize>),
    Delete(usize),
    Retain(usize),
    Suspend(usize, bool),
    Foreign(usize),
    RemovedByHand(usize),
    Wait(i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let recipients = proptest::collection::btree_set(0usize..10, 1..6).prop_map(|set| set.into_iter().collect());
    prop_oneof![
        4 => (0usize..4, recipients).prop_map(|(s, r)| Happening::Wish(s, r)),
        2 => (0usize..4).prop_map(Happening::Delete),
        1 => (0usize..4).prop_map(Happening::Retain),
        1 => (0usize..4, any::<bool>()).prop_map(|(s, on)| Happening::Suspend(s, on)),
        1 => (0usize..10).prop_map(Happening::Foreign),
        1 => (0usize..10).prop_map(Happening::RemovedByHand),
        2 => (0i64..20).prop_map(Happening::Wait),
    ]
}

impl Table {
    /// Returns who was put there by somebody else.
    fn happen(&mut self, what: &Happening) {
        let uid = |n: &usize| format!("uid-{n}");
        match what {
            Happening::Wish(n, recipients) => match self.shares.iter_mut().find(|s| s.uid == uid(n)) {
                Some(share) if !share.deleting => {
                    share.recipients = recipients.iter().copied().map(asked).collect();
                    share.generation += 1;
                }
                Some(_) => {}
                None => self.shares.push(share(*n, recipients)),
            },
            Happening::Delete(n) => self.shares.iter_mut().filter(|s| s.uid == uid(n)).for_each(|s| s.deleting = true),
            Happening::Retain(n) => self.shares.iter_mut().filter(|s| s.uid == uid(n)).for_each(|s| s.retain = true),
            Happening::Suspend(n, on) => {
                self.shares.iter_mut().filter(|s| s.uid == uid(n)).for_each(|s| s.suspended = *on);
            }
            Happening::Foreign(n) if self.cloud.len() < self.limit as usize => {
                self.cloud.insert(recipient(*n));
            }
            Happening::Foreign(_) => {}
            Happening::RemovedByHand(n) => {
                self.cloud.remove(&recipient(*n));
            }
            Happening::Wait(seconds) => self.later(*seconds),
        }
    }

    /// The share controller's part: a deleting share that is not served any more goes.
    fn let_go(&mut self) {
        let served: BTreeSet<String> = self.ledger.shares.keys().cloned().collect();
        self.shares.retain(|s| !s.deleting || served.contains(&s.uid));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_happens_nobody_wanted_is_revoked_and_everything_comes_to_rest(
        limit in 3u32..8,
        story in proptest::collection::vec(happening(), 1..30),
    ) {
        let mut table = Table::new(vec![]);
        table.limit = limit;
        let mut ever_granted: BTreeSet<Recipient> = BTreeSet::new();
        for what in &story {
            table.happen(what);
            let before = table.revoked.len();
            let wishes = table.wishes();
            let plan = table.plan();
            ever_granted.extend(plan.add.iter().cloned());
            table.pass();
            ever_granted.extend(table.ledger.grants.keys().cloned());
            for revoked in &table.revoked[before..] {
                prop_assert!(!wishes.wanted.contains_key(revoked), "{revoked} was wanted");
                prop_assert!(!wishes.held.contains(revoked), "{revoked} was held");
                prop_assert!(ever_granted.contains(revoked), "{revoked} was never ours");
            }
            prop_assert!(table.cloud.len() <= limit as usize);
            table.let_go();
        }
        for _ in 0..4 {
            table.later(10);
            table.pass();
            table.let_go();
        }
        let calls = table.calls;
        let at_rest = table.ledger.clone();
        for _ in 0..3 {
            table.later(10);
            table.pass();
        }
        prop_assert_eq!(table.calls, calls, "calls at rest");
        prop_assert_eq!(&table.ledger, &at_rest, "writes at rest");
        let wishes = table.wishes();
        let waiting = wishes.wanted.keys().filter(|r| !table.cloud.contains(*r)).count();
        // What a suspended share had keeps its place, even if somebody else took it away at the cloud.
        let kept = table.ledger.grants.keys().filter(|r| wishes.held.contains(*r) && !table.cloud.contains(*r)).count();
        prop_assert!(waiting == 0 || table.cloud.len() + kept >= limit as usize, "a place is free and somebody waits");
        prop_assert!(!table.ledger.grants.values().any(|e| e.state == GrantState::Revoking));
        prop_assert!(table.shares.iter().all(|s| !s.deleting), "a deleted share is held for nothing");
    }
}
