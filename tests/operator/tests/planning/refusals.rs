//! What a cloud refuses, or does not show yet, is not asked for again without a growing pause.

use imageshare_operator::api::cloud_image::GrantState;
use imageshare_operator::api::conditions::Reason;
use imageshare_operator::domain::fault::{Fault, Refusal};

use super::table::{Table, recipient, share};

fn something_new() -> Fault {
    Fault::Refused { refusal: Refusal::Unknown, code: "SomethingNew".to_owned() }
}

impl Table {
    /// Reconciles whenever the plan asks for it, for so long; returns how many reconciles and how many calls that took.
    fn run_for(&mut self, seconds: i64) -> (usize, usize) {
        let (end, calls) = (self.now + jiff::SignedDuration::from_secs(seconds), self.calls);
        for reconciles in 1..10_000 {
            let plan = self.pass();
            let next = if plan.acts() { Some(self.now) } else { plan.requeue_at };
            let Some(next) = next.filter(|next| *next < end) else {
                self.now = end;
                return (reconciles, self.calls - calls);
            };
            self.now = next.max(self.now + jiff::SignedDuration::from_millis(50));
        }
        panic!("it never waits")
    }
}

#[test]
fn a_refused_removal_is_tried_again_with_growing_pauses_and_shows_the_code() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.later(60);
    table.refuse = Some((vec![recipient(1)], something_new()));
    table.shares[0].deleting = true;
    let (reconciles, calls) = table.run_for(60);
    assert!(calls <= 5 && reconciles <= 6, "{calls} calls, {reconciles} reconciles in a minute");
    let (_, calls) = table.run_for(3600);
    assert!((6..=12).contains(&calls), "{calls} calls in an hour");
    assert_eq!(table.states()[&1], GrantState::Revoking);
    assert_eq!(table.ledger.refused_removals().collect::<Vec<_>>(), [(&recipient(1), "SomethingNew")]);
    table.refuse = None;
    table.run_for(600);
    assert!(table.cloud.is_empty() && table.ledger.grants.is_empty() && table.ledger.attempts.is_empty());
}

#[test]
fn a_request_to_reconcile_ends_the_pause_between_removals() {
    let mut table = Table::new(vec![share(1, &[1, 2])]);
    table.pass();
    table.later(60);
    table.refuse = Some((vec![recipient(1)], something_new()));
    table.shares = vec![share(1, &[2])];
    table.run_for(3000);
    table.refuse = None;
    table.pass();
    assert!(table.cloud.contains(&recipient(1)), "the pause is not over");
    table.requested = true;
    table.pass();
    assert_eq!(table.cloud, [recipient(2)].into());
}

#[test]
fn a_removal_that_the_cloud_shows_late_is_waited_for() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.later(60);
    table.lag = true;
    table.shares[0].deleting = true;
    let (reconciles, calls) = table.run_for(30);
    assert!(calls <= 4 && reconciles <= 15, "{calls} removals, {reconciles} reconciles in 30 s");
    table.lag = false;
    table.run_for(60);
    assert!(table.ledger.grants.is_empty());
}

#[test]
fn an_addition_that_the_cloud_shows_late_is_waited_for() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.lag = true;
    let (reconciles, calls) = table.run_for(60);
    assert!(calls <= 5 && reconciles <= 20, "{calls} additions, {reconciles} reconciles in a minute");
    table.lag = false;
    table.run_for(60);
    assert_eq!(table.states()[&1], GrantState::Granted);
    assert!(table.ledger.attempts.is_empty(), "a read that shows it ends the row");
}

#[test]
fn a_cloud_that_refuses_everybody_is_found_out_after_three_recipients() {
    let everybody: Vec<usize> = (1..=50).collect();
    let mut table = Table::new(vec![share(1, &everybody)]);
    table.refuse = Some((everybody.iter().copied().map(recipient).collect(), something_new()));
    let (_, calls) = table.run_for(1);
    assert!(calls <= 15, "{calls} calls");
    let refusal = table.ledger.image_refusal.clone().expect("the image is refused");
    assert_eq!((refusal.reason, refusal.attempt.code.as_deref()), (Reason::CloudRefused, Some("SomethingNew")));
    let (_, calls) = table.run_for(3600);
    assert!(calls <= 12, "{calls} calls in an hour");
    assert_eq!(table.ledger.declined[&recipient(50)], Reason::CloudRefused);
    table.refuse = None;
    table.run_for(7200);
    assert_eq!(table.cloud.len(), 50);
    assert_eq!(table.ledger.image_refusal, None);
}

#[test]
fn three_wrong_recipients_at_the_head_of_a_list_do_not_stop_the_others_for_long() {
    let everybody: Vec<usize> = (1..=20).collect();
    let mut table = Table::new(vec![share(1, &everybody)]);
    table.refuse = Some(([1, 2, 3].map(recipient).to_vec(), something_new()));
    table.run_for(60);
    assert_eq!(table.cloud.len(), 17);
    assert_eq!(table.ledger.image_refusal, None, "somebody could be added");
}

#[test]
fn refusals_survive_status() {
    let mut table = Table::new(vec![share(1, &[1, 2, 3, 4])]);
    table.pass();
    table.later(60);
    table.refuse = Some(((1..9).map(recipient).collect(), something_new()));
    table.shares = vec![share(1, &[2, 5, 6, 7, 8])];
    table.pass();
    assert!(table.ledger.image_refusal.is_some() && !table.ledger.attempts.is_empty());
    let before = table.ledger.clone();
    table.write_and_read();
    let seconds = |ledger: &imageshare_operator::planning::ledger::Ledger| {
        ledger.attempts.iter().map(|(who, row)| (who.clone(), row.code.clone())).collect::<Vec<_>>()
    };
    assert_eq!(seconds(&table.ledger), seconds(&before));
    assert_eq!(table.ledger.image_refusal.map(|r| r.reason), before.image_refusal.map(|r| r.reason));
}
