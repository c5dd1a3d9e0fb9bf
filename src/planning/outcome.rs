//! Records the results of calls and jobs in the ledger: the result of each intent, and what a failed job shows.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::attempts::{Attempt, ImageRefusal, code_of};
use super::batch::{BatchResult, ChangeOutcome};
use super::ledger::{Entry, Job, Ledger};
use super::problem::{Problem, reason_of, refusal_of};
use crate::api::cloud_image::GrantState;
use crate::domain::fault::{Fault, Recovery};
use crate::domain::identifiers::Recipient;
use crate::domain::image::RecipientList;

/// The ledger after the calls: sent entries get the current time, refusals are recorded, entries never sent stay as
/// before.
pub fn record(intended: &Ledger, before: &Ledger, ending: &BatchResult, now: Timestamp) -> Ledger {
    let outcomes = &ending.outcomes;
    let mut ledger = intended.clone();
    ledger.job = ending.job.clone().map(|id| Job { id, since: now });
    ledger.image_refusal = image_refusal(intended, ending, now);
    note_attempts(&mut ledger, outcomes, now);
    let intents: Vec<Recipient> = intended
        .grants
        .iter()
        .filter(|(_, entry)| entry.state == GrantState::Intended && entry.refusal.is_none())
        .map(|(recipient, _)| recipient.clone())
        .collect();
    for recipient in intents {
        let earlier = before.grants.get(&recipient);
        if earlier == intended.grants.get(&recipient) {
            continue;
        }
        let regiven = intended.grants.get(&recipient).and_then(|entry| entry.regiven);
        let fresh = Entry { regiven, ..Entry::new(GrantState::Intended, now) };
        match outcomes.get(&recipient) {
            Some(ChangeOutcome::Done | ChangeOutcome::Uncertain | ChangeOutcome::UnderWay) => {
                ledger.grants.insert(recipient, fresh);
            }
            Some(ChangeOutcome::Refused(fault)) => {
                ledger.grants.insert(recipient, Entry { refusal: Some(refusal_of(fault)), ..fresh });
            }
            Some(ChangeOutcome::NotSent) | None => match earlier {
                Some(entry) => {
                    ledger.grants.insert(recipient, *entry);
                }
                None => {
                    ledger.grants.remove(&recipient);
                }
            },
        }
    }
    // A removal that may have had no effect proves nothing: the absence must then be read twice.
    for (recipient, entry) in &mut ledger.grants {
        if let Some(outcome) = outcomes.get(recipient).filter(|_| entry.state == GrantState::Revoking) {
            entry.absent = matches!(outcome, ChangeOutcome::Done | ChangeOutcome::UnderWay);
        }
    }
    // A foreign recipient whose removal was never sent stays foreign.
    ledger.grants.retain(|recipient, entry| {
        let never_sent = matches!(outcomes.get(recipient), Some(ChangeOutcome::NotSent) | None);
        entry.state != GrantState::Revoking || before.grants.contains_key(recipient) || !never_sent
    });
    ledger
}

/// Whether the cloud refuses the image, as far as the calls show it.
fn image_refusal(intended: &Ledger, ending: &BatchResult, now: Timestamp) -> Option<ImageRefusal> {
    let before = intended.image_refusal.as_ref();
    let added = |(recipient, outcome): (&Recipient, &ChangeOutcome)| {
        let entry = intended.grants.get(recipient);
        *outcome == ChangeOutcome::Done && entry.is_some_and(|entry| entry.state == GrantState::Intended)
    };
    match &ending.image_refused {
        Some(fault) => Some(ImageRefusal::again(before, reason_of(fault), fault, now)),
        None if ending.outcomes.iter().any(added) => None,
        None => before.cloned(),
    }
}

/// Each call that may have had an effect, and each removal that the cloud refused, extends its series; a read that
/// shows the effect ends the series.
fn note_attempts(ledger: &mut Ledger, outcomes: &BTreeMap<Recipient, ChangeOutcome>, now: Timestamp) {
    for (recipient, outcome) in outcomes {
        let Some(entry) = ledger.grants.get(recipient) else { continue };
        let code = match outcome {
            ChangeOutcome::Done | ChangeOutcome::Uncertain | ChangeOutcome::UnderWay => None,
            ChangeOutcome::Refused(fault) if entry.state == GrantState::Revoking => Some(code_of(fault)),
            ChangeOutcome::Refused(_) | ChangeOutcome::NotSent => continue,
        };
        let attempt = Attempt::again(ledger.attempts.get(recipient), code, now);
        ledger.attempts.insert(recipient.clone(), attempt);
    }
}

/// The result of an ended job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// The ledger, without the job.
    pub ledger: Ledger,
    /// How many recipients a job failed for, the first by priority of those not added yet: one of them is the cause,
    /// and bisection finds it. 0: there are no candidates.
    pub candidates: usize,
    /// What to report to the user.
    pub problem: Option<Problem>,
}

/// How many recipients the next call may add at most with this many candidates: their first half, which the slot
/// priority keeps in front.
pub fn most_at_once(candidates: usize) -> usize {
    if candidates == 0 { usize::MAX } else { candidates.div_ceil(2) }
}

/// A job succeeded: the recipients it added are no longer candidates.
pub fn record_success(ledger: &Ledger, candidates: usize) -> JobRecord {
    let carried = ledger.grants.values().filter(|entry| in_last_job(ledger, entry)).count();
    JobRecord {
        ledger: Ledger { job: None, ..ledger.clone() },
        candidates: candidates.saturating_sub(carried),
        problem: None,
    }
}

/// A job ended with a fault, perhaps after a part of its work; `recipients` was read afterwards. Absent recipients that
/// it was to add are refused if there was only one, or if the fault concerns them all; else the next call adds fewer.
/// `candidates`: the number recorded before.
pub fn record_failure(
    ledger: &Ledger,
    fault: &Fault,
    recipients: &RecipientList,
    candidates: usize,
    now: Timestamp,
) -> JobRecord {
    let present = |recipient: &Recipient| recipients.recipients.contains_key(recipient);
    let failed = |(recipient, entry): &(&Recipient, &Entry)| in_last_job(ledger, entry) && !present(recipient);
    let failed: Vec<Recipient> = ledger.grants.iter().filter(failed).map(|(recipient, _)| recipient.clone()).collect();
    let of_one = fault.may_concern_one_recipient();
    let refused = if of_one { failed.len() == 1 } else { fault.recovery() == Recovery::Blocked };
    let mut recorded = JobRecord { ledger: Ledger { job: None, ..ledger.clone() }, candidates, problem: None };
    for (recipient, entry) in &mut recorded.ledger.grants {
        if refused && failed.contains(recipient) {
            *entry = Entry { refusal: Some(refusal_of(fault)), ..Entry::new(GrantState::Intended, now) };
        } else if entry.state == GrantState::Revoking {
            entry.absent = false;
            if of_one
                && present(recipient)
                && let Some(attempt) = recorded.ledger.attempts.get_mut(recipient)
            {
                attempt.code = Some(code_of(fault));
            }
        } else if is_moving(entry) && !present(recipient) {
            // Recipients of the job and those not sent yet are retried together, in the order of their slot priority.
            // Fewer at a time are a different call, not a repetition.
            entry.since = now;
            recorded.ledger.attempts.remove(recipient);
        }
    }
    recorded.candidates = match failed.len() {
        _ if refused => 0,
        several if of_one && several > 0 => several,
        _ => candidates,
    };
    recorded.problem = (!of_one).then(|| Problem::from(fault));
    recorded
}

fn is_moving(entry: &Entry) -> bool {
    entry.state == GrantState::Intended && entry.refusal.is_none()
}

/// Whether the job was to add it: `record` gives both the same time, and an entry that was not sent keeps its earlier
/// one.
fn in_last_job(ledger: &Ledger, entry: &Entry) -> bool {
    is_moving(entry) && ledger.job.as_ref().is_some_and(|job| entry.since >= job.since)
}
