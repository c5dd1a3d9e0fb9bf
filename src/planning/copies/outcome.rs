//! Records what calls on snapshots did.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Copies, CopyPlan};
use crate::domain::identifiers::Recipient;
use crate::planning::batch::{BatchResult, ChangeOutcome};
use crate::planning::ledger::Ledger;
use crate::planning::outcome::record;

/// The results of the calls on all snapshots as one: a recipient's change is done when it is done on every snapshot. `results`:
/// those of the snapshots that were called about.
pub fn merge(plan: &CopyPlan, results: Vec<BatchResult>) -> BatchResult {
    let mut merged = BatchResult::default();
    let mut all: BTreeMap<Recipient, Vec<ChangeOutcome>> = BTreeMap::new();
    for result in results {
        for (recipient, outcome) in result.outcomes {
            all.entry(recipient).or_default().push(outcome);
        }
        merged.fault = merged.fault.or(result.fault);
        merged.image_refused = merged.image_refused.or(result.image_refused);
    }
    let planned = plan.steps.values().flat_map(|step| step.add.iter().chain(&step.remove));
    let mut expected: BTreeMap<&Recipient, usize> = BTreeMap::new();
    planned.for_each(|recipient| *expected.entry(recipient).or_default() += 1);
    for (recipient, count) in expected {
        let outcomes = all.remove(recipient).unwrap_or_default();
        merged.outcomes.insert(recipient.clone(), combined(outcomes, count));
    }
    for recipient in plan.handed_over.keys() {
        merged.outcomes.entry(recipient.clone()).or_insert(ChangeOutcome::Done);
    }
    // As after a call without a visible effect: tried again with growing pauses.
    for recipient in &plan.held_back {
        merged.outcomes.insert(recipient.clone(), ChangeOutcome::Uncertain);
    }
    merged
}

/// `count`: on how many snapshots something was to change.
fn combined(outcomes: Vec<ChangeOutcome>, count: usize) -> ChangeOutcome {
    let is = |what: &ChangeOutcome| outcomes.len() == count && outcomes.iter().all(|outcome| outcome == what);
    if is(&ChangeOutcome::Done) {
        return ChangeOutcome::Done;
    }
    if outcomes.iter().all(|outcome| *outcome == ChangeOutcome::NotSent) {
        return ChangeOutcome::NotSent;
    }
    let refused = outcomes.into_iter().find(|outcome| matches!(outcome, ChangeOutcome::Refused(_)));
    refused.unwrap_or(ChangeOutcome::Uncertain)
}

/// The ledger after all calls: those about the image, and those about its snapshots.
pub fn record_all(
    intended: &Ledger,
    before: &Ledger,
    (image, copies): (&BatchResult, &BatchResult),
    plan: &CopyPlan,
    now: Timestamp,
) -> Ledger {
    let recorded = record(&intended.copies.as_ledger(), &before.copies.as_ledger(), copies, now);
    // What was not sent is not ours: only what the ledger said before.
    let sent = |recipient: &Recipient| {
        let outcome = copies.outcomes.get(recipient);
        outcome.is_some_and(|outcome| *outcome != ChangeOutcome::NotSent)
    };
    let ours = intended.copies.ours.iter().map(|(recipient, intents)| {
        let earlier = || before.copies.ours.get(recipient).cloned().unwrap_or_default();
        let settled = intended.copies.grants.get(recipient) == before.copies.grants.get(recipient);
        let ours: BTreeSet<_> = if sent(recipient) || settled { intents.clone() } else { earlier() };
        (recipient.clone(), ours)
    });
    let mut after = Copies::of_ledger(recorded, ours.collect()).with_snapshots(intended.copies.snapshots.clone());
    after.hand_over(&plan.handed_over);
    Ledger { copies: after, ..record(intended, before, image, now) }
}

/// The ledger where no call was made.
pub fn record_none(intended: &Ledger, before: &Ledger, now: Timestamp) -> Ledger {
    let none = BatchResult::default();
    record_all(intended, before, (&none, &none), &CopyPlan::default(), now)
}
