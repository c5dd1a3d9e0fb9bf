//! What recipients say to an offer: written down, kept, looked for while it is awaited, and acted upon by nobody.

use std::collections::BTreeMap;

use imageshare_operator::api::cloud_image::GrantState;
use imageshare_operator::domain::identifiers::RecipientKind::Account;
use imageshare_operator::domain::image::Answer;
use imageshare_operator::domain::provider::Provider;
use jiff::SignedDuration;

use super::table::TIMING;
use super::world::{World, of, project, share_for, share_of};

const ASKING: [Provider; 2] = [Provider::Huawei, Provider::OpenStack];

fn offered(provider: Provider) -> World {
    let mut world = World::at(provider, vec![share_of(1, 1..=3)]);
    world.passes(2);
    world
}

fn answers(world: &World) -> Vec<Option<Answer>> {
    world.ledger.grants.values().map(|entry| entry.answer).collect()
}

#[test]
fn answers_are_written_down_and_kept_from_pass_to_pass() {
    for provider in ASKING {
        let mut world = offered(provider);
        assert_eq!(answers(&world), [Some(Answer::Pending); 3]);
        world.accept([1]);
        world.answer(&project(2), Answer::Rejected);
        world.pass();
        let said = [Some(Answer::Accepted), Some(Answer::Rejected), Some(Answer::Pending)];
        assert_eq!(answers(&world), said);
        world.assert_at_rest();
        assert_eq!(answers(&world), said);
        assert!(world.ledger.grants.values().all(|entry| entry.state == GrantState::Granted));
        world.answer(&project(1), Answer::Rejected);
        world.pass();
        assert_eq!(answers(&world)[0], Some(Answer::Rejected), "an answer may change");
    }
}

#[test]
fn a_rejected_offer_is_neither_taken_back_nor_made_again() {
    for provider in ASKING {
        let mut world = offered(provider);
        (1..=3).for_each(|n| world.answer(&project(n), Answer::Rejected));
        world.pass();
        world.later(24 * 3600);
        world.assert_at_rest();
        assert_eq!(world.cloud.len(), 3);
    }
}

#[test]
fn taken_off_the_list_and_put_on_again_they_are_asked_again() {
    let mut world = offered(Provider::Huawei);
    world.answer(&project(1), Answer::Rejected);
    let asked = world.shares[0].recipients.remove(0);
    world.passes(4);
    assert!(!world.ledger.grants.contains_key(&project(1)));
    world.shares[0].recipients.push(asked);
    world.passes(3);
    assert_eq!(world.ledger.grants[&project(1)].answer, Some(Answer::Pending));
}

#[test]
fn while_an_answer_is_awaited_it_is_looked_for() {
    let mut world = offered(Provider::OpenStack);
    assert_eq!(world.plan().requeue_at, Some(world.now + TIMING.answer_poll));
    world.accept(1..=2);
    assert!(world.plan().requeue_at.is_some());
    world.answer(&project(3), Answer::Rejected);
    assert_eq!(world.plan().requeue_at, None, "everybody answered");
}

#[test]
fn a_nearer_look_is_not_put_off_by_one_for_answers() {
    let mut world = World::at(Provider::OpenStack, vec![share_of(1, 1..=3)]);
    world.pass();
    world.cloud.remove(&project(1));
    let due = world.plan().requeue_at.unwrap();
    assert!(due < world.now + SignedDuration::from_secs(10), "{due}");
}

#[test]
fn nobody_is_waited_for_where_nobody_is_asked() {
    let mut world = World::at(Provider::Huawei, vec![share_for(1, [of(Account, 1)])]);
    world.passes(2);
    assert_eq!((answers(&world), world.plan().requeue_at), (vec![None], None));
}

#[test]
fn an_offer_found_at_the_cloud_is_adopted_with_its_answer() {
    let mut world = World::at(Provider::OpenStack, vec![share_of(1, [1])]);
    world.cloud = BTreeMap::from([(project(1), Some(Answer::Accepted))]);
    world.pass();
    assert_eq!((world.calls, answers(&world)), (0, vec![Some(Answer::Accepted)]));
}

#[test]
fn held_and_retained_grants_keep_their_answers() {
    let mut world = offered(Provider::Huawei);
    world.accept(1..=3);
    world.shares[0].suspended = true;
    world.pass();
    assert_eq!(answers(&world), [Some(Answer::Accepted); 3]);
    world.shares[0].deleting = true;
    world.shares[0].retain = true;
    world.pass();
    assert_eq!(answers(&world), [Some(Answer::Accepted); 3]);
    assert!(world.ledger.grants.values().all(|entry| entry.state == GrantState::Retained));
}
