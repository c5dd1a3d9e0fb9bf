//! Plans one image: from the desired recipients, the ledger and a complete observation of the cloud to the next ledger,
//! the recipients to add and to remove, and when to reconcile again.
//!
//! Revokes come from the ledger alone, never from "observed minus desired". A recipient that this operator did not
//! grant is foreign and stays unless the owner's policy says otherwise.

mod leaving;
mod plan;
mod slots;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

pub use leaving::ask_anew;
pub use plan::{Confirmed, Intended, IntentRecorded, Plan};

use super::attempts::Attempt;
use super::copies::{self, CopyInput, unwanted_left};
use super::desired::{DesiredRecipients, SlotPriority, Terms, Wanted, served, to_serve};
use super::ledger::{Entry, Ledger, Served};
use crate::api::cloud_image::{GrantState, UnmanagedRecipients, VisibilityChange};
use crate::api::conditions::Reason;
use crate::api::limits::SHARES_PER_IMAGE_MAX;
use crate::domain::identifiers::Recipient;
use crate::domain::image::{Answer, ImageFacts, ImageState, Ownership, RecipientList, Visibility};
use crate::domain::provider::Provider;
use crate::domain::share::Share;

/// Time limits and intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// An absence counts only if read at least this long after the last call that may have added the recipient.
    pub absence_window: SignedDuration,
    /// The same at clouds whose reads lag for longer (`Rules::reads_lag`).
    pub lagging_absence_window: SignedDuration,
    /// Where jobs change recipients: how long a job with a lost id may still add a recipient. An absence counts no
    /// earlier.
    pub lost_job_window: SignedDuration,
    /// How long a foreign recipient must have been observed before `unmanagedRecipients: Revoke` revokes it.
    pub unmanaged_grace: SignedDuration,
    /// The delay before a refused recipient is tried again.
    pub refusal_retry: SignedDuration,
    /// How often to poll for pending answers.
    pub answer_poll: SignedDuration,
    /// A recipient that vanishes again this soon after it was given the image again has left it. Zero where recipients cannot
    /// leave.
    pub left_within: SignedDuration,
}

impl Timing {
    /// The time limits at this cloud.
    #[must_use]
    pub fn of(self, provider: Provider) -> Self {
        let lagging = if provider.rules().reads_lag { self.lagging_absence_window } else { SignedDuration::ZERO };
        let left_within = if provider.rules().accounts_leave { self.left_within } else { SignedDuration::ZERO };
        Self { absence_window: self.absence_window.max(lagging), left_within, ..self }
    }
}

/// The input of a plan.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The time of the reads below.
    pub now: Timestamp,
    /// Time limits and intervals.
    pub timing: Timing,
    /// Until when calls of a former leader may still take effect: before then the operator revokes nothing and counts
    /// no absence it read. Long past if there was none.
    pub others_until: Timestamp,
    /// What the account and region allow.
    pub terms: &'a Terms,
    /// What to do with foreign recipients.
    pub unmanaged: UnmanagedRecipients,
    /// Whether a private image may be made shared.
    pub visibility_change: VisibilityChange,
    /// The `CloudImage` is being deleted.
    pub deleting: bool,
    /// A user requested this reconcile: removals, and an image that the cloud refuses, are retried without a delay.
    pub requested: bool,
    /// The shares that name the image.
    pub shares: &'a [Share],
    /// Their desired recipients.
    pub desired: &'a DesiredRecipients,
    /// The current ledger.
    pub ledger: &'a Ledger,
    /// The image as read in this reconcile.
    pub image: &'a ImageFacts,
    /// Its recipients as read in this reconcile: complete. Empty for an image whose visibility hides them.
    pub recipients: &'a RecipientList,
    /// The snapshots behind the image, where somebody is to be able to copy it, or was.
    pub copies: Option<CopyInput<'a>>,
}

impl PlanInput<'_> {
    /// Whether the cloud neither shows nor changes recipients at the image's current visibility.
    pub(super) fn hidden(&self) -> bool {
        self.image.visibility != Visibility::Shared
    }
}

enum GrantDecision {
    Keep(Entry),
    Add(SlotPriority),
    Remove(Entry),
    Decline(Reason),
    Foreign,
    Gone,
}

/// Decides about every recipient that is desired, in the ledger, or at the cloud.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let decided = copies::plan(input);
    let mut plan = Plan {
        settled: Ledger {
            copies: decided.settled,
            declined: input.desired.declined.clone(),
            deletion: input.ledger.deletion.clone().filter(|_| input.deleting),
            ..Ledger::default()
        },
        add: Vec::new(),
        remove: Vec::new(),
        open: false,
        free_slots: None,
        present: input.recipients.recipients.keys().cloned().collect(),
        slots_taken: slots::taken(input),
        limit: slots::limit(input),
        requeue_at: decided.requeue_at,
        copies: decided.plan,
        state: std::marker::PhantomData,
    };
    let mut candidates: Vec<(SlotPriority, Recipient)> = Vec::new();
    for (recipient, observed) in everybody(input) {
        let decision = if input.hidden() {
            decide_hidden(input, &recipient)
        } else {
            decide(input, &recipient, observed, &mut plan.requeue_at)
        };
        match decision {
            GrantDecision::Keep(entry) => {
                plan.settled.grants.insert(recipient, entry);
            }
            GrantDecision::Add(slot_priority) => match decided.awaiting.get(&recipient) {
                None => candidates.push((slot_priority, recipient)),
                Some(reason) => wait(input, recipient, *reason, &mut plan.settled),
            },
            GrantDecision::Remove(entry) => {
                plan.settled.grants.insert(recipient.clone(), entry);
                plan.remove.push(recipient);
            }
            GrantDecision::Decline(reason) => {
                plan.settled.declined.insert(recipient, reason);
            }
            GrantDecision::Foreign => note_foreign(input, recipient, &mut plan),
            GrantDecision::Gone => {}
        }
    }
    plan.open = input.hidden() && may_open(input) && wants_open(input, &plan.settled);
    let candidates = admit(input, candidates, &mut plan);
    slots::give(input, candidates, &mut plan);
    if plan.settled.image_refusal.is_some() {
        // One call shows whether the cloud still refuses.
        plan.add.truncate(1);
    }
    await_answers(input, &mut plan);
    plan.settled.shares = shares_to_serve(input, &plan.settled);
    if plan.settled.shares.len() < SHARES_PER_IMAGE_MAX.min(to_serve(input.shares, input.now).count()) {
        requeue_by(&mut plan.requeue_at, input.now);
    }
    plan.settled.attempts = attempts_that_go_on(input, &plan.settled);
    plan.settled.set_holders(input.desired.holders.clone(), input.ledger);
    plan
}

/// A recipient that is to be added later.
fn wait(input: &PlanInput<'_>, recipient: Recipient, reason: Reason, settled: &mut Ledger) {
    match input.ledger.grants.get(&recipient) {
        Some(entry) => settled.grants.insert(recipient, *entry).map_or((), drop),
        None => settled.declined.insert(recipient, reason).map_or((), drop),
    }
}

/// The recipients that may be added while the cloud is known to refuse the image: none before the next try.
fn admit(
    input: &PlanInput<'_>,
    candidates: Vec<(SlotPriority, Recipient)>,
    plan: &mut Plan,
) -> Vec<(SlotPriority, Recipient)> {
    let Some(refusal) = &input.ledger.image_refusal else { return candidates };
    if candidates.is_empty() {
        return candidates;
    }
    plan.settled.image_refusal = Some(refusal.clone());
    let over = refusal.attempt.next_call(SignedDuration::ZERO);
    if input.requested || input.now >= over {
        return candidates;
    }
    requeue_by(&mut plan.requeue_at, over);
    for (_, recipient) in candidates {
        wait(input, recipient, refusal.reason, &mut plan.settled);
    }
    Vec::new()
}

/// A series of calls without effect continues while their purpose stays the same and the cloud does not show the
/// effect.
fn attempts_that_go_on(input: &PlanInput<'_>, settled: &Ledger) -> BTreeMap<Recipient, Attempt> {
    let goes_on = |recipient: &Recipient| {
        let states = [input.ledger, settled].map(|ledger| ledger.grants.get(recipient).map(|entry| entry.state));
        match states {
            [Some(GrantState::Intended), Some(GrantState::Intended)] => true,
            [Some(GrantState::Revoking), Some(GrantState::Revoking)] => {
                input.hidden() || input.recipients.recipients.contains_key(recipient)
            }
            _ => false,
        }
    };
    let attempts = input.ledger.attempts.iter().filter(|(recipient, _)| goes_on(recipient));
    attempts.map(|(recipient, attempt)| (recipient.clone(), attempt.clone())).collect()
}

/// Whether a call that had no effect may be repeated; until then, reads check for its effect.
fn may_ask_again(input: &PlanInput<'_>, recipient: &Recipient, requeue_at: &mut Option<Timestamp>) -> bool {
    let Some(attempt) = input.ledger.attempts.get(recipient) else { return true };
    let next = attempt.next_call(input.timing.absence_window);
    if input.requested || input.now >= next {
        return true;
    }
    requeue_by(requeue_at, next.min(attempt.next_read(input.now)));
    false
}

/// Requeues at this time, unless an earlier one is set.
pub(super) fn requeue_by(requeue_at: &mut Option<Timestamp>, at: Timestamp) {
    *requeue_at = Some(requeue_at.map_or(at, |earlier| earlier.min(at)));
}

/// The answer of a present recipient; `None` if it is not present.
type ObservedAnswer = Option<Option<Answer>>;

fn everybody(input: &PlanInput<'_>) -> BTreeMap<Recipient, ObservedAnswer> {
    let seen = input.recipients.recipients.iter().map(|(recipient, answer)| (recipient.clone(), Some(*answer)));
    let mut everybody: BTreeMap<Recipient, ObservedAnswer> = seen.collect();
    for recipient in input.desired.wanted.keys().chain(input.ledger.grants.keys()) {
        everybody.entry(recipient.clone()).or_insert(None);
    }
    everybody
}

fn decide(
    input: &PlanInput<'_>,
    recipient: &Recipient,
    observed: ObservedAnswer,
    requeue_at: &mut Option<Timestamp>,
) -> GrantDecision {
    let entry = input.ledger.grants.get(recipient).copied();
    if let Some(wanted) = input.desired.wanted.get(recipient) {
        return decide_wanted(input, (recipient, entry), observed, wanted, requeue_at);
    }
    let Some(entry) = planted!(
        "observed-minus-wished",
        entry,
        entry.or(observed.map(|answer| Entry { answer, ..Entry::new(GrantState::Granted, input.now) }))
    ) else {
        return GrantDecision::Foreign;
    };
    let present = observed.is_some();
    let answer = observed.unwrap_or(entry.answer);
    // A grant that is being revoked and already absent is nothing a share could hold.
    if input.desired.keeps(recipient) && (present || entry.state != GrantState::Revoking) {
        let state = if present { GrantState::Granted } else { entry.state };
        return GrantDecision::Keep(Entry { state, answer, absent: false, ..entry });
    }
    let retained = entry.state == GrantState::Retained || input.desired.retained.contains(recipient);
    // One read cannot prove the absence of a recipient that this operator never removed (an intent may still be in
    // progress, and an empty answer may be a cloud fault): the wait starts anew. A retained recipient that was
    // forgotten would count as foreign when observed again, and the policy may revoke it.
    let left_behind = planted!("retained-forgotten", false, entry.state == GrantState::Retained);
    let removed = planted!(
        "removal-believed-unmade",
        entry.absent,
        !matches!(entry.state, GrantState::Intended | GrantState::Granted)
    );
    let unproven = !present && entry.refusal.is_none() && !left_behind && !removed;
    // A read this soon after a call that may have added a recipient can be older than the call: it does not count as
    // the first one.
    let early = unproven && !waited(input, entry.since, input.timing.absence_window, requeue_at);
    let since = if unproven && !early { input.now } else { entry.since.min(input.now) };
    let state = if retained { GrantState::Retained } else { GrantState::Revoking };
    let ending = Entry { answer, absent: !present && !early, ..Entry::new(state, since) };
    if present {
        let removable = !retained
            && planted!(
                "no-wait-for-the-former",
                waited(input, input.others_until, SignedDuration::ZERO, requeue_at),
                true
            )
            && (entry.state != GrantState::Revoking
                || planted!("unseen-removal-repeated", may_ask_again(input, recipient, requeue_at), true));
        return if removable { GrantDecision::Remove(ending) } else { GrantDecision::Keep(ending) };
    }
    let window = planted!("no-absence-window", absence_counts_after(input), SignedDuration::ZERO);
    let gone = !early && waited(input, since.max(input.others_until), window, requeue_at);
    if gone { GrantDecision::Gone } else { GrantDecision::Keep(ending) }
}

/// How long after the last call that may have added a recipient an absence counts. With jobs, that call need not be the
/// last to take effect: it and a removal may overtake an earlier one whose answer was lost.
fn absence_counts_after(input: &PlanInput<'_>) -> SignedDuration {
    let Timing { absence_window, lost_job_window, .. } = input.timing;
    if input.terms.provider.works_by_jobs() {
        planted!("lost-job-forgotten", absence_window.max(lost_job_window), absence_window.min(lost_job_window))
    } else {
        absence_window
    }
}

fn decide_wanted(
    input: &PlanInput<'_>,
    (recipient, entry): (&Recipient, Option<Entry>),
    observed: ObservedAnswer,
    wanted: &Wanted,
    requeue_at: &mut Option<Timestamp>,
) -> GrantDecision {
    if let Some(answer) = observed {
        let (since, regiven) = entry.map_or((input.now, None), |entry| (entry.since, entry.regiven));
        return GrantDecision::Keep(Entry { answer, regiven, ..Entry::new(GrantState::Granted, since) });
    }
    if let Some(entry) = entry {
        if leaving::has_left(&entry) {
            return GrantDecision::Keep(entry);
        }
        let (pause, patient) = match (entry.state, entry.refusal) {
            (_, Some(_)) => (input.timing.refusal_retry, true),
            // The cloud may show a grant late: adding it again at once would only add noise.
            (GrantState::Intended | GrantState::Granted | GrantState::ImageGone, None) => {
                (input.timing.absence_window, true)
            }
            (GrantState::Revoking | GrantState::Retained, None) => (SignedDuration::ZERO, false),
        };
        if patient && !waited(input, entry.since, pause, requeue_at) {
            return GrantDecision::Keep(entry);
        }
        if entry.state == GrantState::Intended
            && entry.refusal.is_none()
            && !may_ask_again(input, recipient, requeue_at)
        {
            return GrantDecision::Keep(entry);
        }
        if let Some(left) = leaving::leaves(input, recipient, &entry) {
            return GrantDecision::Keep(left);
        }
    }
    match unmet_precondition(input, wanted.across_sites) {
        Some(reason) if entry.is_none() => GrantDecision::Decline(reason),
        // A grant that existed and is absent now stays in the ledger until the precondition holds or it is no longer
        // desired.
        Some(reason) => entry.map_or(GrantDecision::Decline(reason), GrantDecision::Keep),
        None => GrantDecision::Add(wanted.slot_priority.clone()),
    }
}

/// A hidden image allows no proof of absence and no change: entries stay, undesired ones as revoking.
fn decide_hidden(input: &PlanInput<'_>, recipient: &Recipient) -> GrantDecision {
    let wanted = input.desired.wanted.contains_key(recipient);
    match input.ledger.grants.get(recipient).copied() {
        Some(entry) if wanted || input.desired.keeps(recipient) => GrantDecision::Keep(entry),
        Some(entry) if entry.state == GrantState::Retained || input.desired.retained.contains(recipient) => {
            GrantDecision::Keep(Entry { state: GrantState::Retained, refusal: None, absent: false, ..entry })
        }
        // The refused grant never took effect at the cloud.
        Some(entry) if entry.refusal.is_some() => GrantDecision::Gone,
        Some(entry) => GrantDecision::Keep(Entry { state: GrantState::Revoking, refusal: None, ..entry }),
        None if input.deleting => GrantDecision::Decline(Reason::ImageDeleting),
        None if may_open(input) => GrantDecision::Decline(Reason::Pending),
        None if input.image.visibility == Visibility::Private => GrantDecision::Decline(Reason::ImagePrivate),
        None => GrantDecision::Decline(Reason::ImageNotShareable),
    }
}

fn may_open(input: &PlanInput<'_>) -> bool {
    let private = input.image.visibility == Visibility::Private && input.image.ownership == Ownership::Own;
    private && input.visibility_change == VisibilityChange::Allow
}

fn wants_open(input: &PlanInput<'_>, settled: &Ledger) -> bool {
    settled.revoking().next().is_some() || (!input.deleting && !input.desired.wanted.is_empty())
}

/// No event reports an answer: poll while one is pending.
fn await_answers(input: &PlanInput<'_>, plan: &mut Plan) {
    let awaited = |entry: &Entry| entry.state == GrantState::Granted && entry.answer == Some(Answer::Pending);
    if plan.settled.grants.values().any(awaited) {
        let poll = input.now.saturating_add(input.timing.answer_poll).unwrap_or(Timestamp::MAX);
        requeue_by(&mut plan.requeue_at, poll);
    }
}

/// The unmet precondition for sharing this image with any new recipient, or with this one.
fn unmet_precondition(input: &PlanInput<'_>, across_sites: bool) -> Option<Reason> {
    if input.deleting {
        return Some(Reason::ImageDeleting);
    }
    match input.image.state {
        ImageState::Available => {}
        ImageState::Creating | ImageState::Failed => return Some(Reason::ImageNotAvailable),
        ImageState::Deprecated => return Some(Reason::ImageNotShareable),
    }
    match input.image.ownership {
        Ownership::Own => {}
        Ownership::Received { .. } => return Some(Reason::ImageNotOwned),
        Ownership::System | Ownership::Marketplace => return Some(Reason::ImageNotShareable),
    }
    (across_sites && input.image.from_marketplace).then_some(Reason::ImageNotShareable)
}

/// Whether `pause` has passed since `since`; if not, records when it will have.
fn waited(input: &PlanInput<'_>, since: Timestamp, pause: SignedDuration, requeue_at: &mut Option<Timestamp>) -> bool {
    let over = since.saturating_add(pause).unwrap_or(Timestamp::MAX);
    if input.now >= over {
        return true;
    }
    requeue_by(requeue_at, over);
    false
}

fn note_foreign(input: &PlanInput<'_>, recipient: Recipient, plan: &mut Plan) {
    if input.desired.keeps(&recipient) {
        return;
    }
    let known = input.ledger.unmanaged.get(&recipient).copied().flatten();
    let since = input.desired.anyone_asking.then(|| known.unwrap_or(input.now));
    if let (UnmanagedRecipients::Revoke, Some(since)) = (input.unmanaged, since)
        && waited(input, input.others_until, SignedDuration::ZERO, &mut plan.requeue_at)
        && planted!(
            "foreign-grace-skipped",
            waited(input, since, input.timing.unmanaged_grace, &mut plan.requeue_at),
            true
        )
    {
        let answer = input.recipients.recipients.get(&recipient).copied().flatten();
        let entry = Entry { answer, ..Entry::new(GrantState::Revoking, since) };
        plan.settled.grants.insert(recipient.clone(), entry);
        plan.remove.push(recipient);
        return;
    }
    plan.settled.unmanaged.insert(recipient, since);
}

/// The active and paused shares, and ended ones whose grants may remain: an ended share is released when no revoke is
/// in progress any more.
fn shares_to_serve(input: &PlanInput<'_>, settled: &Ledger) -> BTreeMap<String, Served> {
    let mut shares: BTreeMap<String, Served> = served(input.shares, input.ledger, input.now)
        .into_iter()
        .map(|share| {
            let served =
                Served { namespace: share.namespace.clone(), name: share.name.clone(), generation: share.generation };
            (share.uid.clone(), served)
        })
        .collect();
    let ending = settled.revoking().next().is_some() || unwanted_left(&settled.copies, input.desired);
    if planted!("share-struck-off-early", ending, false) {
        for (uid, share) in &input.ledger.shares {
            shares.entry(uid.clone()).or_insert_with(|| share.clone());
        }
    }
    shares
}
