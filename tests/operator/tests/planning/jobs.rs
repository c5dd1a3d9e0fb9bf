//! Calls that are carried out by a job: what is remembered while it runs, and what a failed one teaches.

use std::collections::BTreeSet;

use imageshare_operator::api::cloud_image::GrantState;
use imageshare_operator::api::conditions::Reason;
use imageshare_operator::domain::fault::{Cause, Fault, Missing, Quota, Refusal, Unreachable};
use imageshare_operator::domain::identifiers::{JobId, Recipient};
use imageshare_operator::domain::provider::Provider;
use imageshare_operator::planning::batch::{BatchResult, ChangeOutcome};
use imageshare_operator::planning::ledger::{Job, Ledger};
use imageshare_operator::planning::outcome::record;

use super::table::share;
use super::world::{World, project, share_of};

fn huawei(count: usize, bad: &[usize]) -> World {
    let mut world = World::at(Provider::Huawei, vec![share_of(1, 1..=count)]);
    world.bad = bad.iter().copied().map(project).collect();
    world
}

fn refused(world: &World) -> BTreeSet<Recipient> {
    world.ledger.grants.iter().filter(|(_, e)| e.refusal.is_some()).map(|(recipient, _)| recipient.clone()).collect()
}

/// How many jobs it takes until somebody is refused.
fn jobs_until_found(world: &mut World) -> usize {
    for _ in 0..100 {
        if !refused(world).is_empty() {
            // The pass that learnt it may have asked for one more job already.
            return world.calls - usize::from(world.ledger.job.is_some());
        }
        world.passes(1);
    }
    panic!("nobody was found in {} jobs", world.calls);
}

#[test]
fn a_job_is_written_down_with_what_it_carries_and_over_when_it_ended() {
    let mut world = huawei(2, &[]);
    world.pass();
    assert!(world.ledger.job.is_some());
    assert!(world.ledger.grants.values().all(|entry| entry.state == GrantState::Intended));
    world.later(1);
    world.pass();
    assert_eq!(world.ledger.job, None);
    assert!(world.ledger.grants.values().all(|entry| entry.state == GrantState::Granted));
    assert_eq!(world.calls, 1);
}

#[test]
fn what_was_not_sent_beside_a_job_is_as_it_was() {
    let world = huawei(2, &[]);
    let intended = world.plan().with_intents(world.now);
    let outcomes = [(project(1), ChangeOutcome::UnderWay), (project(2), ChangeOutcome::NotSent)].into();
    let id = JobId::parse("job-1").unwrap();
    let ending = BatchResult { outcomes, job: Some(id.clone()), ..BatchResult::default() };
    let recorded = record(&intended, &Ledger::default(), &ending, world.now);
    assert_eq!(recorded.job, Some(Job { id, since: world.now }));
    assert!(recorded.grants.keys().eq([&project(1)]));
}

#[test]
fn one_alone_whose_job_fails_is_refused_with_the_reason() {
    for (fault, reason) in [
        (Fault::NotFound(Missing::Recipient), Reason::InvalidRecipient),
        (Fault::Refused { refusal: Refusal::Recipient, code: "IMG.0034".into() }, Reason::InvalidRecipient),
        (Fault::Refused { refusal: Refusal::Unknown, code: "IMG.9999".into() }, Reason::RecipientRefused),
        (Fault::QuotaExceeded { quota: Quota::ReceivedImages }, Reason::RecipientFull),
    ] {
        let mut world = huawei(1, &[1]);
        world.fault = fault;
        world.passes(2);
        assert_eq!(world.ledger.grants[&project(1)].refusal, Some(reason));
        world.assert_at_rest();
        assert_eq!(world.calls, 1, "it is not tried again before long");
        world.later(3600);
        world.passes(2);
        assert_eq!(world.calls, 2);
    }
}

#[test]
fn halving_finds_the_culprit_in_two_plus_log_n_jobs_wherever_it_is() {
    for (count, most) in [(2, 3), (5, 5), (16, 6), (100, 9), (128, 9)] {
        for culprit in 1..=count {
            let mut world = huawei(count, &[culprit]);
            let jobs = jobs_until_found(&mut world);
            assert!(jobs <= most, "{jobs} jobs for {culprit} among {count}");
            world.passes(4);
            assert_eq!(world.cloud.len(), count - 1, "everybody else has it");
            assert_eq!(refused(&world), world.bad);
            assert!(world.calls <= most + 1, "the rest travels together: {} jobs", world.calls);
            world.assert_at_rest();
        }
    }
}

#[test]
fn a_job_that_failed_half_done_is_blamed_on_none_of_those_it_added() {
    for culprit in 1..=32 {
        let mut world = huawei(32, &[culprit]);
        world.half_done = true;
        let jobs = jobs_until_found(&mut world);
        assert!(jobs <= 7, "{jobs} jobs for {culprit}");
        world.passes(4);
        assert_eq!((world.cloud.len(), refused(&world)), (31, world.bad.clone()));
    }
}

#[test]
fn several_culprits_are_found_one_after_the_other() {
    for bad in [vec![1, 2], vec![1, 128], vec![64, 65], vec![3, 40, 90, 128], (1..=8).collect()] {
        let mut world = huawei(128, &bad);
        world.passes(250);
        assert_eq!(refused(&world), world.bad, "{bad:?}");
        assert_eq!(world.cloud.len(), 128 - bad.len());
        assert!(world.calls <= bad.len() * 10 + 1, "{} jobs for {bad:?}", world.calls);
    }
}

#[test]
fn beyond_one_call_nobody_is_blamed_for_a_job_that_did_not_carry_them() {
    let mut world = huawei(200, &[150]);
    world.fault = Fault::Forbidden { code: "IMG.0001".into() };
    world.bad = BTreeSet::from([project(1)]);
    world.passes(2);
    assert_eq!(refused(&world).len(), 128, "only those of the first call");
}

#[test]
fn a_share_that_comes_during_the_search_does_not_mislead_it_for_good() {
    let mut world = huawei(64, &[40]);
    world.passes(3);
    world.shares.push(share_of(0, 65..=70));
    world.passes(60);
    assert_eq!((world.cloud.len(), refused(&world)), (69, world.bad.clone()));
}

#[test]
fn a_suspect_taken_off_the_list_leaves_the_others_free() {
    let mut world = huawei(64, &[40]);
    world.passes(3);
    world.shares[0].recipients.remove(39);
    world.passes(40);
    assert_eq!((world.cloud.len(), refused(&world)), (63, BTreeSet::new()));
}

#[test]
fn a_fault_that_concerns_all_refuses_all_with_its_reason() {
    for (fault, reason) in [
        (Fault::Forbidden { code: "IMG.0001".into() }, Reason::PermissionDenied),
        (Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }, Reason::RecipientLimit),
        (Fault::Refused { refusal: Refusal::Image, code: "IMG.0035".into() }, Reason::ImageNotShareable),
    ] {
        let mut world = huawei(3, &[2]);
        world.fault = fault.clone();
        world.passes(2);
        assert!(world.ledger.grants.values().all(|entry| entry.refusal == Some(reason)), "{fault}");
        assert_eq!(refused(&world).len(), 3);
        assert_eq!(world.trouble.as_ref().map(|t| t.reason), Some(reason));
    }
}

#[test]
fn a_fault_that_passes_refuses_nobody() {
    let late = Unreachable { host: String::new(), cause: Cause::Timeout, sent: true };
    for fault in [Fault::Unavailable, Fault::Throttled { retry_after: None }, Fault::Unreachable(late)] {
        let mut world = huawei(3, &[2]);
        world.fault = fault;
        world.pass();
        world.later(1);
        world.pass();
        assert!(refused(&world).is_empty());
        assert!(world.trouble.is_some() && world.calls == 1, "told, and not tried again at once");
        world.bad.clear();
        world.later(7);
        world.passes(3);
        assert_eq!((world.cloud.len(), world.calls), (3, 2));
    }
}

#[test]
fn removals_of_many_do_not_wait_for_the_search_among_the_added() {
    let mut world = huawei(60, &[]);
    world.passes(2);
    world.bad = BTreeSet::from([project(70)]);
    world.shares.push(share_of(2, 61..=70));
    world.passes(3);
    world.shares.remove(0);
    let calls = world.calls;
    world.pass();
    world.later(1);
    world.pass();
    assert!((1..=60).all(|n| !world.cloud.contains_key(&project(n))), "all of them left");
    assert!(world.calls <= calls + 2);
    world.passes(30);
    assert_eq!((world.cloud.len(), refused(&world)), (9, world.bad.clone()));
}

#[test]
fn a_removal_that_fails_is_told_and_blamed_on_nobody_who_waits() {
    let mut world = huawei(3, &[]);
    world.passes(2);
    world.removals_fail = true;
    world.shares = vec![share_of(2, [9]), share(3, &[])];
    world.passes(2);
    assert_eq!(world.ledger.refused_removals().count(), 3, "a person must know");
    assert_eq!(world.revoked.len(), 3, "the same removal is not asked for again in the reconcile that learnt of it");
    assert!(refused(&world).is_empty());
    assert!((1..=3).all(|n| world.ledger.grants[&project(n)].state == GrantState::Revoking));
    world.removals_fail = false;
    world.passes(6);
    assert!(world.cloud.keys().eq([&project(9)]), "{:?}", world.cloud);
}
