//! What the ledger says after calls and jobs: what became of each intent, and what a failed job teaches.

use jiff::Timestamp;

use super::exchange::{Ending, Outcome};
use super::ledger::{Entry, Job, Ledger};
use super::trouble::{Trouble, refusal_of};
use crate::api::cloud_image::GrantState;
use crate::clouds::fault::{Fault, Recovery};
use crate::domain::identifiers::Recipient;
use crate::domain::image::RecipientList;

/// The ledger after the calls: what was sent is dated, what was refused is remembered, what was never sent is as before.
pub fn record(intended: &Ledger, before: &Ledger, ending: &Ending, now: Timestamp) -> Ledger {
    let outcomes = &ending.outcomes;
    let mut ledger = intended.clone();
    ledger.job = ending.job.clone().map(|id| Job { id, since: now });
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
        let fresh = Entry::new(GrantState::Intended, now);
        match outcomes.get(&recipient) {
            Some(Outcome::Done | Outcome::Uncertain | Outcome::UnderWay) => {
                ledger.grants.insert(recipient, fresh);
            }
            Some(Outcome::Refused(fault)) => {
                ledger.grants.insert(recipient, Entry { refusal: Some(refusal_of(fault)), ..fresh });
            }
            Some(Outcome::NotSent) | None => match earlier {
                Some(entry) => {
                    ledger.grants.insert(recipient, *entry);
                }
                None => {
                    ledger.grants.remove(&recipient);
                }
            },
        }
    }
    // A removal that may not have had its effect proves nothing: the wait for the absence starts anew.
    for (recipient, entry) in &mut ledger.grants {
        if entry.state == GrantState::Revoking && outcomes.get(recipient) == Some(&Outcome::Uncertain) {
            entry.since = now;
        }
    }
    // A foreign recipient whose removal was never sent is not ours after all.
    ledger.grants.retain(|recipient, entry| {
        let never_sent = matches!(outcomes.get(recipient), Some(Outcome::NotSent) | None);
        entry.state != GrantState::Revoking || before.grants.contains_key(recipient) || !never_sent
    });
    ledger
}

/// What a failed job left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// The ledger, without the job.
    pub ledger: Ledger,
    /// How many recipients the next call may add at most: one of those that failed together is to blame, and halving
    /// finds it. `None`: as many as the cloud takes.
    pub batch: Option<usize>,
    /// What a person should know.
    pub trouble: Option<Trouble>,
}

/// A job ended with a fault, perhaps after a part of its work; `recipients` was read afterwards. Those it was to add and
/// that are absent are refused, if it was one alone or if the fault concerns them all; else fewer are tried at a time.
pub fn learn_from_failure(ledger: &Ledger, fault: &Fault, recipients: &RecipientList, now: Timestamp) -> Lesson {
    let mut lesson = Lesson { ledger: Ledger { job: None, ..ledger.clone() }, batch: None, trouble: None };
    let failed = |(recipient, entry): &(&Recipient, &mut Entry)| {
        entry.state == GrantState::Intended
            && entry.refusal.is_none()
            && !recipients.recipients.contains_key(*recipient)
    };
    let mut failed: Vec<(&Recipient, &mut Entry)> = lesson.ledger.grants.iter_mut().filter(failed).collect();
    if fault.may_concern_one_recipient() && failed.len() > 1 {
        lesson.batch = Some(failed.len().div_ceil(2));
        return lesson;
    }
    if fault.may_concern_one_recipient() || fault.recovery() == Recovery::Blocked {
        for (_, entry) in &mut failed {
            **entry = Entry { refusal: Some(refusal_of(fault)), ..Entry::new(GrantState::Intended, now) };
        }
    }
    lesson.trouble = (!fault.may_concern_one_recipient()).then(|| Trouble::from(fault));
    lesson
}
