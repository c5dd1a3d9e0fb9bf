//! An absence that nothing proves: the removal was refused, or nobody knows whether it was sent, and one read shows nobody,
//! which may be the cloud's trouble.

use std::collections::BTreeMap;
use std::time::Duration;

use imageshare_operator::api::conditions::Reason;
use imageshare_operator::domain::fault::Fault;
use imageshare_operator::domain::identifiers::ImageId;
use imageshare_operator::domain::image::RecipientList;
use imageshare_operator::domain::provider::Provider;
use imageshare_operator::planning::problem::Problem;
use imageshare_operator::planning::replica::{Patience, Step, after_missing};
use jiff::{SignedDuration, Timestamp};

use super::world::{World, project, share_of};

/// One whose calls are jobs, and one whose calls tell at once.
const PROVIDERS: [Provider; 2] = [Provider::Huawei, Provider::OpenStack];

/// A read that shows nobody, and says that this is all.
fn nobody() -> RecipientList {
    RecipientList { recipients: BTreeMap::new(), complete: true }
}

/// Shared long ago; the share is being deleted.
fn leaving(provider: Provider) -> World {
    let mut world = World::at(provider, vec![share_of(1, [1])]);
    world.passes(4);
    assert!(world.cloud.contains_key(&project(1)));
    world.later(3600);
    world.shares[0].deleting = true;
    world
}

/// One read shows nobody, then all is well again.
fn lie_once_and_go_on(world: &mut World) {
    world.lie = Some(nobody());
    world.pass();
    assert!(world.ledger.holds_anything() && !world.ledger.shares.is_empty(), "one read ended it");
    world.lie = None;
    world.closed = None;
    world.later(1);
    // As long as an absence takes to count where jobs carry calls out.
    world.passes(6);
    assert!(world.cloud.is_empty(), "{:?}: the grant outlives its share", world.provider);
    assert!(!world.ledger.holds_anything() && world.ledger.shares.is_empty(), "{:?}", world.ledger);
}

#[test]
fn a_removal_that_was_refused_and_one_read_that_shows_nobody_end_no_grant() {
    for provider in PROVIDERS {
        let mut world = leaving(provider);
        world.closed = Some(Fault::Throttled { retry_after: Some(Duration::from_secs(1)) });
        world.pass();
        // However late the next look is.
        world.later(600);
        lie_once_and_go_on(&mut world);
    }
}

#[test]
fn a_removal_written_down_before_a_crash_and_one_read_that_shows_nobody_end_no_grant() {
    for provider in PROVIDERS {
        let mut world = leaving(provider);
        let plan = world.plan();
        assert_eq!(plan.remove, [project(1)]);
        world.ledger = plan.with_intents(world.now);
        world.later(600);
        lie_once_and_go_on(&mut world);
    }
}

#[test]
fn a_read_that_may_be_older_than_the_last_call_is_no_first_witness() {
    for provider in PROVIDERS {
        let mut world = World::at(provider, vec![share_of(1, [1])]);
        world.pass();
        // The share goes at once, and the first list is as the image was before the call.
        world.shares[0].deleting = true;
        world.lie = Some(nobody());
        world.pass();
        // A while later, one list shows nobody by mistake.
        world.later(6);
        world.pass();
        assert!(
            world.ledger.holds_anything() && !world.ledger.shares.is_empty(),
            "{provider:?}: one late list and one lie"
        );
        world.lie = None;
        world.passes(6);
        assert!(world.cloud.is_empty() && !world.ledger.holds_anything(), "{provider:?}: {:?}", world.ledger);
    }
}

#[test]
fn a_job_of_removals_that_failed_and_one_read_that_shows_nobody_end_no_grant() {
    let mut world = leaving(Provider::Huawei);
    world.removals_fail = true;
    world.pass();
    world.later(600);
    // The read that follows the job is the one that shows nobody.
    world.lie = Some(nobody());
    world.pass();
    assert!(world.ledger.holds_anything() && !world.ledger.shares.is_empty(), "one read ended it");
    (world.lie, world.removals_fail) = (None, false);
    world.passes(6);
    assert!(world.cloud.is_empty() && !world.ledger.holds_anything(), "{:?}", world.ledger);
}

#[test]
fn what_was_removed_is_gone_with_the_first_read_that_does_not_show_it() {
    let mut world = leaving(Provider::OpenStack);
    world.pass();
    assert!(world.cloud.is_empty() && !world.ledger.holds_anything(), "{:?}", world.ledger);
}

#[test]
fn what_is_not_found_is_asked_for_again_or_let_go_only_after_a_second_look_says_so() {
    let (first, second) = (Timestamp::UNIX_EPOCH, SignedDuration::from_secs(1));
    let patience =
        Patience { lost: second * 30, unanswered: second * 30, lag: second, others_until: first, retry: second };
    let vanished = Problem::blocked(Reason::CopyFailed, "it is not shown".to_owned());
    for step in [Step::Anew, Step::Cleared, Step::Missing(vanished)] {
        let after = |pause| after_missing(step.clone(), first, patience, first + pause);
        assert_eq!(after(SignedDuration::ZERO), Step::Wait(first + second), "one list may lack a row");
        assert_eq!(after(second), step);
    }
    let found = Step::Remove(ImageId::parse("i-1").unwrap());
    assert_eq!(after_missing(found.clone(), first, patience, first), found);
}
