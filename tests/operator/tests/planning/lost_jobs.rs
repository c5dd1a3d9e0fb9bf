//! Jobs whose ids were lost, so that nobody can be asked whether they still add somebody.

use imageshare_operator::api::cloud_image::GrantState;
use imageshare_operator::domain::image::Answer;
use imageshare_operator::domain::provider::Provider;
use imageshare_operator::planning::ledger::Entry;
use jiff::SignedDuration;

use super::table::TIMING;
use super::world::{World, project, share_of};

/// The one recipient was written down, and then the operator was killed. No share wishes it any more.
fn killed_at_its_call(provider: Provider) -> World {
    let mut world = World::at(provider, Vec::new());
    world.ledger.grants.insert(project(1), Entry::new(GrantState::Intended, world.now));
    world
}

/// The call reaches the cloud; its answer does not come back.
fn call_without_an_answer(world: &mut World) {
    let plan = world.plan();
    assert_eq!(plan.add, [project(1)]);
    world.ledger = plan.with_intents(world.now);
}

/// What the call asked for happens.
fn a_job_adds(world: &mut World) {
    world.cloud.insert(project(1), Some(Answer::Pending));
}

/// A job is asked for, and its end is read.
fn remove(world: &mut World) {
    world.pass();
    world.later(2);
    world.pass();
}

#[test]
fn what_a_job_that_was_lost_may_still_add_is_absent_only_after_a_longer_wait() {
    for (provider, patience) in [(Provider::OpenStack, 5), (Provider::Huawei, 30)] {
        let mut world = killed_at_its_call(provider);
        world.later(60);
        let seen = world.now;
        world.ledger = world.plan().settled;
        assert_eq!(world.ledger.grants[&project(1)].state, GrantState::Revoking);
        world.now = seen + SignedDuration::from_secs(patience - 1);
        let waiting = world.plan();
        assert_eq!(waiting.requeue_at, Some(seen + SignedDuration::from_secs(patience)), "{provider}");
        assert!(waiting.settled.grants.contains_key(&project(1)), "{provider}");
        world.now = seen + SignedDuration::from_secs(patience);
        assert!(world.plan().settled.grants.is_empty(), "{provider}");
    }
}

#[test]
fn what_a_lost_job_added_after_all_is_revoked_and_the_wait_does_not_start_anew() {
    let mut world = killed_at_its_call(Provider::Huawei);
    world.ledger = world.plan().settled;
    let read_as_absent = world.now;
    world.later(2);
    a_job_adds(&mut world);
    let found = world.plan();
    assert_eq!(found.remove, [project(1)]);
    assert_eq!(found.settled.grants[&project(1)].since, read_as_absent);
}

#[test]
fn of_two_lost_jobs_that_add_the_same_recipient_the_second_leaks_nothing() {
    let mut world = World::at(Provider::Huawei, vec![share_of(1, [1])]);
    call_without_an_answer(&mut world);
    world.later(6);
    call_without_an_answer(&mut world);
    let second_call = world.now;
    world.later(6);
    a_job_adds(&mut world);
    world.pass();
    world.shares[0].deleting = true;
    remove(&mut world);
    assert!(world.cloud.is_empty(), "what the first job added is removed");
    assert!(!world.ledger.shares.is_empty(), "the share is held while the second may add somebody");
    a_job_adds(&mut world);
    remove(&mut world);
    assert!(world.cloud.is_empty(), "what the second job added is removed");
    assert!(!world.ledger.shares.is_empty() && world.now < second_call + TIMING.lost_job_window);
    // Status keeps whole seconds.
    world.now = second_call + TIMING.lost_job_window + SignedDuration::from_secs(1);
    world.pass();
    assert!(world.ledger.grants.is_empty() && world.ledger.shares.is_empty());
}

#[test]
fn a_grant_made_long_ago_is_gone_as_soon_as_its_removal_is_read() {
    let mut world = World::at(Provider::Huawei, vec![share_of(1, [1])]);
    world.passes(2);
    world.later(30);
    world.shares[0].deleting = true;
    world.passes(2);
    assert!(world.cloud.is_empty() && world.ledger.grants.is_empty() && world.ledger.shares.is_empty());
}
