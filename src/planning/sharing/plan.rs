//! The plan of one image: what was decided, whether it may be executed, and how a person reads it.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;

use crate::api::cloud_image::GrantState;
use crate::domain::identifiers::Recipient;
use crate::planning::copies::{CopyDecision, CopyPlan};
use crate::planning::desired::DesiredRecipients;
use crate::planning::ledger::{Entry, Ledger};

/// Proof that the API server stored the ledger with a plan's intents, as this version of the object. Only the code that
/// writes a status makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentRecorded {
    version: String,
}

impl IntentRecorded {
    /// The version that the API server returned.
    pub fn at(version: impl Into<String>) -> Self {
        Self { version: version.into() }
    }

    /// The version of the object that holds the intents.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// A plan as planned: its intents must be recorded, and its shares listed afresh, before any call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intended;

/// A plan that may be executed: its intents are recorded, and the fresh list of shares still asks for its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed;

/// What to do about one image. Only a [`Confirmed`] plan may be executed, and only [`Plan::confirm`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<State = Intended> {
    /// The ledger as the reads show it, without the new intents.
    pub settled: Ledger,
    /// To be added, by slot priority.
    pub add: Vec<Recipient>,
    /// To be removed.
    pub remove: Vec<Recipient>,
    /// The private image must be made shared first, and then observed again.
    pub open: bool,
    /// Free slots before any removal; `None` if there is no limit.
    pub free_slots: Option<usize>,
    /// Recipients at the cloud.
    pub present: Vec<Recipient>,
    /// How many of them use a slot, as the vendor counts.
    pub slots_taken: usize,
    /// How many the image may have; 0 means no limit.
    pub limit: usize,
    /// The end of a wait that no event reports.
    pub requeue_at: Option<Timestamp>,
    /// What to change about who may copy the image.
    pub copies: CopyPlan,
    pub(super) state: PhantomData<State>,
}

impl<State> Plan<State> {
    /// Whether the plan makes any call.
    pub fn acts(&self) -> bool {
        self.open || self.copies.acts() || !(self.add.is_empty() && self.remove.is_empty())
    }

    /// How many slots are taken, and how many there are.
    pub fn slots(&self) -> String {
        if self.limit == 0 { self.slots_taken.to_string() } else { format!("{}/{}", self.slots_taken, self.limit) }
    }
}

impl Plan<Intended> {
    /// The plan of an image that the cloud does not show: its snapshots may outlive it. `settled`: the ledger of the absent
    /// image; `copies`: the decision about its snapshots.
    pub(in crate::planning) fn of_absent_image(
        settled: Ledger,
        requeue_at: Option<Timestamp>,
        copies: CopyDecision,
    ) -> Self {
        let soonest = requeue_at.into_iter().chain(copies.requeue_at).min();
        Self {
            settled: Ledger { copies: copies.settled, ..settled },
            add: Vec::new(),
            remove: Vec::new(),
            open: false,
            free_slots: None,
            present: Vec::new(),
            slots_taken: 0,
            limit: 0,
            requeue_at: soonest,
            copies: copies.plan,
            state: PhantomData,
        }
    }

    /// The ledger to write before any call: it holds every addition as an intent, and marks every removal.
    pub fn with_intents(&self, now: Timestamp) -> Ledger {
        let mut ledger = self.settled.clone();
        for recipient in &self.add {
            let state = planted!("granted-before-call", GrantState::Intended, GrantState::Granted);
            let regiven = ledger.grants.get(recipient).and_then(|had| match had.state {
                GrantState::Granted => Some(now),
                _ => had.regiven,
            });
            ledger.grants.insert(recipient.clone(), Entry { regiven, ..Entry::new(state, now) });
        }
        self.copies.record_intents(&mut ledger.copies, now);
        ledger
    }

    /// Drops the steps that the shares no longer ask for, as listed again after the intents were recorded.
    #[must_use]
    pub fn confirm(self, _recorded: &IntentRecorded, before: &Ledger, fresh: &DesiredRecipients) -> Plan<Confirmed> {
        let Self { settled, mut add, mut remove, open, free_slots, present, slots_taken, limit, .. } = self;
        let Self { requeue_at, mut copies, .. } = self;
        copies.confirm(fresh);
        let open = open && (!fresh.wanted.is_empty() || settled.revoking().any(|recipient| !fresh.keeps(recipient)));
        add.retain(|recipient| fresh.wanted.contains_key(recipient));
        remove.retain(|recipient| {
            let foreign = !before.grants.contains_key(recipient);
            planted!("fresh-list-unheeded", !fresh.wanted.contains_key(recipient), true)
                && !fresh.keeps(recipient)
                && !fresh.retained.contains(recipient)
                && (!foreign || fresh.anyone_asking)
        });
        let state = PhantomData;
        Plan { settled, add, remove, open, free_slots, present, slots_taken, limit, requeue_at, copies, state }
    }
}

/// One line for each step, for people.
impl<State> fmt::Display for Plan<State> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} slots taken", self.slots())?;
        if self.open {
            write!(f, "\nopen the private image for sharing")?;
        }
        self.add.iter().try_for_each(|recipient| write!(f, "\nadd {recipient}"))?;
        self.remove.iter().try_for_each(|recipient| write!(f, "\nremove {recipient}"))?;
        for (snapshot, step) in &self.copies.steps {
            step.add.iter().try_for_each(|recipient| write!(f, "\nlet {recipient} copy {snapshot}"))?;
            step.remove.iter().try_for_each(|recipient| write!(f, "\nlet {recipient} copy {snapshot} no longer"))?;
        }
        let stays = |recipient: &Recipient| !self.add.contains(recipient) && !self.remove.contains(recipient);
        let others = self.settled.grants.iter().filter(|(recipient, _)| stays(recipient));
        let (kept, waiting): (Vec<_>, Vec<_>) = others.partition(|(_, entry)| entry.state == GrantState::Granted);
        if !kept.is_empty() {
            write!(f, "\nkeep {} granted", kept.len())?;
        }
        for (recipient, entry) in waiting {
            write!(f, "\nleave {recipient}: {:?}", entry.state)?;
        }
        for recipient in self.settled.unmanaged.keys() {
            write!(f, "\nleave {recipient}: no ImageShare names it")?;
        }
        for (recipient, reason) in &self.settled.declined {
            write!(f, "\ndecline {recipient}: {}", reason.as_str())?;
        }
        self.requeue_at.map_or(Ok(()), |at| write!(f, "\nreconcile again at {at}"))
    }
}
