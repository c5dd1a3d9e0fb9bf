//! Whatever happens at clouds whose recipients answer and whose jobs fail: nobody wanted is removed, nobody foreign is
//! touched, and everybody who can have the image has it in the end.

use std::collections::BTreeSet;

use imageshare_operator::api::cloud_image::GrantState;
use imageshare_operator::domain::identifiers::{Recipient, RecipientKind};
use imageshare_operator::domain::image::Answer;
use imageshare_operator::domain::provider::Provider;
use proptest::prelude::*;

use super::world::{World, of, project, share_for};

#[derive(Debug, Clone)]
enum Happening {
    Wish(usize, BTreeSet<usize>),
    Delete(usize),
    Suspend(usize, bool),
    Answer(usize, bool),
    Foreign(usize),
    RemovedByHand(usize),
    Wait(i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0usize..4, proptest::collection::btree_set(0usize..14, 1..10)).prop_map(|(s, r)| Happening::Wish(s, r)),
        1 => (0usize..4).prop_map(Happening::Delete),
        1 => (0usize..4, any::<bool>()).prop_map(|(s, on)| Happening::Suspend(s, on)),
        3 => (0usize..14, any::<bool>()).prop_map(|(r, yes)| Happening::Answer(r, yes)),
        1 => (0usize..14).prop_map(Happening::Foreign),
        1 => (0usize..14).prop_map(Happening::RemovedByHand),
        3 => (0i64..8).prop_map(Happening::Wait),
    ]
}

/// At Huawei some are accounts, which are asked for no answer.
fn somebody(world: &World, n: usize) -> Recipient {
    match world.provider {
        Provider::Huawei if n % 5 == 4 => of(RecipientKind::Account, n + 1),
        _ => project(n + 1),
    }
}

fn happen(world: &mut World, what: &Happening) {
    let uid = |n: &usize| format!("uid-{n}");
    match what {
        Happening::Wish(n, wanted) => {
            let wanted: Vec<Recipient> = wanted.iter().map(|r| somebody(world, *r)).collect();
            match world.shares.iter_mut().find(|s| s.uid == uid(n)) {
                Some(share) if share.deleting => {}
                Some(share) => {
                    share.recipients = share_for(*n, wanted).recipients;
                    share.generation += 1;
                }
                None => world.shares.push(share_for(*n, wanted)),
            }
        }
        Happening::Delete(n) => world.shares.iter_mut().filter(|s| s.uid == uid(n)).for_each(|s| s.deleting = true),
        Happening::Suspend(n, on) => {
            world.shares.iter_mut().filter(|s| s.uid == uid(n)).for_each(|s| s.suspended = *on);
        }
        Happening::Answer(r, yes) => {
            let answer = if *yes { Answer::Accepted } else { Answer::Rejected };
            world.answer(&somebody(world, *r), answer);
        }
        Happening::Foreign(r) => {
            let recipient = somebody(world, *r);
            // Whom the cloud does not know, nobody can add by hand.
            if !world.bad.contains(&recipient) {
                world.cloud.entry(recipient).or_insert(None);
            }
        }
        Happening::RemovedByHand(r) => {
            world.cloud.remove(&somebody(world, *r));
        }
        Happening::Wait(seconds) => world.later(*seconds),
    }
}

/// One pass, judged by what was wished when it began.
fn judged_pass(world: &mut World, ours: &mut BTreeSet<Recipient>) -> Result<(), TestCaseError> {
    let before = world.revoked.len();
    let wishes = world.wishes();
    ours.extend(world.plan().add);
    world.pass();
    ours.extend(world.ledger.grants.keys().cloned());
    for revoked in &world.revoked[before..] {
        prop_assert!(!wishes.wanted.contains_key(revoked), "{revoked} was wanted");
        prop_assert!(!wishes.held.contains(revoked), "{revoked} was held");
        prop_assert!(ours.contains(revoked), "{revoked} was never ours");
    }
    let served: BTreeSet<String> = world.ledger.shares.keys().cloned().collect();
    world.shares.retain(|s| !s.deleting || served.contains(&s.uid));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_happens_nobody_wanted_is_removed_and_everybody_good_is_granted_in_the_end(
        huawei in any::<bool>(),
        half_done in any::<bool>(),
        bad in proptest::collection::btree_set(0usize..14, 0..4),
        story in proptest::collection::vec(happening(), 1..30),
    ) {
        let provider = if huawei { Provider::Huawei } else { Provider::OpenStack };
        let mut world = World::at(provider, vec![]);
        world.half_done = half_done;
        world.bad = bad.iter().map(|n| somebody(&world, *n)).collect();
        let mut ours = BTreeSet::new();
        for what in &story {
            happen(&mut world, what);
            judged_pass(&mut world, &mut ours)?;
        }
        for _ in 0..40 {
            world.later(7);
            judged_pass(&mut world, &mut ours)?;
        }
        let (calls, ledger) = (world.calls, world.ledger.clone());
        for _ in 0..3 {
            world.later(7);
            world.pass();
        }
        prop_assert_eq!(world.calls, calls, "calls at rest");
        prop_assert_eq!(&world.ledger, &ledger, "writes at rest");
        for wanted in world.wishes().wanted.keys() {
            let has = world.cloud.contains_key(wanted);
            let refused = world.ledger.grants.get(wanted).is_some_and(|e| e.refusal.is_some());
            prop_assert!(has != refused, "{wanted} has it: {has}, refused: {refused}");
            prop_assert!(!refused || world.bad.contains(wanted), "{wanted} is refused for somebody else");
        }
        prop_assert!(!world.ledger.grants.values().any(|e| e.state == GrantState::Revoking));
        prop_assert!(world.shares.iter().all(|s| !s.deleting), "a deleted share is held for nothing");
    }
}
