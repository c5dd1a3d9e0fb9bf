//! What becomes of one image once a set was applied: the operator's own planner over the image's ledger and all its shares.
//! Pure.
//!
//! Waits of the operator are left out: the plan is what the image has once they are over.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::images::{ImagePlan, RevokePlan, Slots, declined, grants, idle, places};
use super::set::{Finding, Placed, Set};
use super::world::Subject;
use crate::api::cloud_image::{CloudImage, GrantState, ImageDeletionPolicy, VisibilityChange};
use crate::api::conditions::{READY, Reason, find};
use crate::api::limits::UNMANAGED_LISTED_MAX;
use crate::api::{CloudAccount, ImageShare};
use crate::cli::output::safe;
use crate::cli::reader::Found;
use crate::clouds::call_shape;
use crate::cluster::guard::Guarded;
use crate::domain::call::Submitted;
use crate::domain::identifiers::{Recipient, RecipientKind};
use crate::domain::image::{Answer, ImageFacts, ImageKind, ImageState, Ownership, RecipientList, Visibility};
use crate::domain::share::{Consent, Finalizer, Share};
use crate::planning::access::{AccessChange, Cause, Change, Ledgers, WHAT_BREAKS, access_changes};
use crate::planning::batch::Batch;
use crate::planning::deletion::{DeletionDecision, ObservedImage, blockers, blocks_deletion_only, plan_deletion};
use crate::planning::desired::{DesiredRecipients, Terms};
use crate::planning::ledger::{Entry, Ledger};
use crate::planning::sharing::{Plan, PlanInput, Timing, plan};
use crate::planning::spelling::as_named;
use crate::reconcile::convert::{consent_from, image_of, ready_of, share_under, terms};

/// The plan of an image, and what the set asks for that would not be done or is not known.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: ImagePlan,
    pub(crate) refused: Vec<Finding>,
    /// Why the plan may not be all that happens, as sentences.
    pub(crate) unknown: Vec<String>,
}

/// The plan of one image.
pub(crate) fn plan_image(subject: &Subject, set: &Set, now: Timestamp) -> Planned {
    let of_set: Vec<(usize, &Placed<ImageShare>)> =
        set.shares.iter().enumerate().filter(|(_, share)| image_of(&share.object) == subject.key).collect();
    let mut planned = Planned { plan: empty(subject), refused: Vec::new(), unknown: Vec::new() };
    let image = match &subject.image {
        Found::There(image) => image,
        Found::Absent => {
            planned.without_image(subject, set, &of_set);
            return planned;
        }
        Found::Hidden => {
            planned.plan.waits = Some("not planned: you may not read the CloudImage".to_owned());
            return planned;
        }
    };
    let Some(image) = image.readable() else {
        planned.unknown.push(format!("the CloudImage {} cannot be read by this version of the plugin", name(subject)));
        return planned;
    };
    planned.plan.image_id = Some(image.spec.image_id.clone());
    planned.plan.region = Some(image.spec.region.clone());
    let shares = shares(subject, image);
    planned.consent(&shares, &of_set);
    let account = match &subject.account {
        Found::There(account) => account.readable(),
        Found::Absent => {
            planned.plan.waits =
                Some(format!("the CloudAccount {}/{} does not exist", subject.key.0, image.spec.account_ref.name));
            None
        }
        Found::Hidden => {
            planned.plan.waits = Some("not planned: you may not read its CloudAccount".to_owned());
            None
        }
    };
    let (Some(account), Ok(ledger)) = (account, Ledger::parse(image.status.as_ref())) else {
        if planned.plan.waits.is_none() {
            planned.unknown.push(format!("the status of {} or of its account cannot be read", name(subject)));
        }
        return planned;
    };
    let listed = image.status.as_ref().map_or(0, |status| status.unmanaged.len());
    if listed >= UNMANAGED_LISTED_MAX {
        let gap =
            format!("the status of {} lists {listed} unmanaged recipients, and counts the others only", name(subject));
        planned.unknown.push(gap);
    }
    match terms(account, &image.spec.region) {
        Ok(terms) if terms.site.is_some_and(|site| !terms.sold_on(site)) => {
            let message = format!("{} is not sold on the site of the account", terms.region);
            match set.image(&subject.key) {
                Some(placed) => planned.refused.push(placed.finding("spec.region", message)),
                None => planned.plan.waits = Some(message),
            }
        }
        Ok(terms) => {
            Decided::of((account, image), &terms, &shares, &ledger, now).tell(&mut planned, account, image, &of_set);
        }
        Err(problem) => planned.unknown.push(format!("{}: {}", name(subject), problem.message)),
    }
    planned
}

fn name(subject: &Subject) -> String {
    format!("{}/{}", subject.key.0, subject.key.1)
}

fn empty(subject: &Subject) -> ImagePlan {
    let (namespace, name) = subject.key.clone();
    ImagePlan { namespace, name, ..ImagePlan::default() }
}

/// The shares as the planner takes them. The operator adds its finalizer before it grants anything.
fn shares(subject: &Subject, image: &CloudImage) -> Vec<Share> {
    let own = image.namespace().unwrap_or_default();
    let of = |share: &Guarded<ImageShare>| {
        let namespace = share.namespace().unwrap_or_default();
        let consent = if namespace == own {
            Consent::Given
        } else {
            consent_from(&image.spec.shareable_from.namespaces, || subject.labels.get(&namespace).cloned())
        };
        let share = share_under(image, share, consent);
        let uid = if share.uid.is_empty() { share.full_name() } else { share.uid.clone() };
        Share { uid, finalizer: Finalizer::Carried, ..share }
    };
    subject.shares.iter().map(of).collect()
}

impl Planned {
    fn without_image(&mut self, subject: &Subject, set: &Set, of_set: &[(usize, &Placed<ImageShare>)]) {
        if set.replica(&subject.key).is_some() {
            self.plan.waits = Some("the CloudImage appears once its ImageReplica has copied the image".to_owned());
            return;
        }
        let message = format!("the CloudImage {} does not exist", name(subject));
        self.refused.extend(of_set.iter().map(|(_, share)| share.finding("spec.imageRef.name", message.clone())));
    }

    fn consent(&mut self, shares: &[Share], of_set: &[(usize, &Placed<ImageShare>)]) {
        let image = format!("{}/{}", self.plan.namespace, self.plan.name);
        for (_, placed) in of_set {
            let (namespace, name) = placed.key();
            let share = shares.iter().find(|share| (&share.namespace, &share.name) == (&namespace, &name));
            match share.map(|share| share.consent) {
                Some(Consent::Withheld) => {
                    let message = format!(
                        "the CloudImage {image} does not admit the namespace {namespace}: its spec.shareableFrom must, or \
                         the ImageShare belongs into {}",
                        self.plan.namespace
                    );
                    self.refused.push(placed.finding("spec.imageRef.namespace", message));
                }
                Some(Consent::Unknown) => self.unknown.push(format!(
                    "whether the CloudImage {image} admits the namespace {namespace}: its selector or the namespace's labels \
                     cannot be read"
                )),
                Some(Consent::Given) | None => {}
            }
        }
    }
}

/// What the planner decided.
struct Decided<'a> {
    terms: &'a Terms,
    shares: &'a [Share],
    ledger: &'a Ledger,
    desired: DesiredRecipients,
    plan: Plan,
    recipients: RecipientList,
    now: Timestamp,
}

impl<'a> Decided<'a> {
    fn of(
        (account, image): (&CloudAccount, &CloudImage),
        terms: &'a Terms,
        shares: &'a [Share],
        ledger: &'a Ledger,
        now: Timestamp,
    ) -> Self {
        let desired = DesiredRecipients::gather(terms, shares, ledger, now);
        let named = desired.wanted.keys().chain(&desired.held).chain(&desired.retained).chain(ledger.grants.keys());
        let recipients = as_named(&present(ledger, &desired), named);
        let zero = SignedDuration::ZERO;
        let timing = Timing {
            absence_window: zero,
            lagging_absence_window: zero,
            lost_job_window: zero,
            unmanaged_grace: zero,
            refusal_retry: zero,
            answer_poll: zero,
            left_within: zero,
        };
        // Refusals of the cloud are told beside the plan: they delay it, and change nothing that is asked for.
        let mut undelayed = Ledger { image_refusal: None, attempts: BTreeMap::new(), ..ledger.clone() };
        // Times are written in whole seconds, rounded up: one that is not over yet would count as a wait.
        undelayed.grants.values_mut().for_each(|entry| entry.since = entry.since.min(now));
        let plan = plan(&PlanInput {
            now,
            timing,
            others_until: Timestamp::MIN,
            terms,
            unmanaged: image.spec.unmanaged_recipients,
            visibility_change: image.spec.visibility_change,
            deleting: image.metadata.deletion_timestamp.is_some(),
            requested: true,
            shares,
            desired: &desired,
            ledger: &undelayed,
            image: &facts(account, image, terms),
            recipients: &recipients,
            // No status tells the snapshots of an image: permissions to copy them are not part of the plan.
            copies: None,
        });
        Self { terms, shares, ledger, desired, plan, recipients, now }
    }

    fn tell(
        self,
        planned: &mut Planned,
        account: &CloudAccount,
        image: &CloudImage,
        of_set: &[(usize, &Placed<ImageShare>)],
    ) {
        let told = &mut planned.plan;
        told.limit = Some(self.plan.limit).filter(|limit| *limit > 0);
        told.slots = Some(self.slots());
        told.grants = grants(self.plan.add.iter(), self.shares, self.now);
        let changes = self.changes();
        told.revokes = self.revokes(&changes);
        told.calls = Some(self.calls());
        told.waits = waits(account, image, self.ledger);
        if image.status.as_ref().is_none_or(|status| status.image.is_none()) {
            told.notes.push("not seen at the cloud yet: planned as available, with no recipients".to_owned());
        }
        told.notes.extend(self.shares.iter().filter(|share| !share.deleting).filter_map(|share| idle(share, self.now)));
        if self.plan.open {
            told.notes.push("the private image is made shared first".to_owned());
        }
        told.notes.extend(changes.iter().filter_map(beside));
        if image.metadata.deletion_timestamp.is_some() {
            told.notes.push(self.ending(image));
        }
        let asked = self.desired.wanted.len();
        for (recipient, reason) in &self.plan.settled.declined {
            let message = declined(*reason, recipient, self.terms, self.plan.limit, asked);
            planned
                .refused
                .extend(places(recipient, of_set).map(|(share, field)| share.finding(&field, message.clone())));
        }
    }

    fn slots(&self) -> Slots {
        let counts_all = self.terms.provider.rules().unaccepted_use_places;
        let uses_one = |recipient: &&Recipient| counts_all || recipient.kind != RecipientKind::Project;
        let has = |recipient: &&Recipient| match self.recipients.recipients.get(*recipient) {
            Some(answer) => counts_all || matches!(answer, None | Some(Answer::Accepted)),
            None => false,
        };
        let before = self.plan.slots_taken;
        let freed = self.plan.remove.iter().filter(has).count();
        let taken = self.plan.add.iter().filter(uses_one).count();
        Slots { before, after: before.saturating_sub(freed).saturating_add(taken) }
    }

    /// The calls that change recipients, as the operator batches them.
    fn calls(&self) -> usize {
        let shape = call_shape(self.terms.provider);
        let (mut add, mut remove) = (self.plan.add.clone(), self.plan.remove.clone());
        let mut calls = usize::from(self.plan.open);
        let mut free = self.plan.free_slots;
        // A batch ends after some calls; the next one goes on.
        while !(add.is_empty() && remove.is_empty()) {
            let mut batch = Batch::new(add.clone(), remove.clone(), free, shape);
            let before = calls;
            while let Some(call) = batch.next_call() {
                calls += 1;
                add.retain(|recipient| !call.add.contains(recipient));
                remove.retain(|recipient| !call.remove.contains(recipient));
                let (added, removed) = (call.add.len(), call.remove.len());
                free = free.map(|free| free.saturating_sub(added).saturating_add(removed));
                batch.record(Ok(Submitted::Done));
            }
            if calls == before {
                break;
            }
        }
        calls
    }

    /// Whose access changes, for which share and why: as the operator will tell it in events.
    fn changes(&self) -> Vec<AccessChange> {
        let intended = self.plan.with_intents(self.now);
        let mut after = intended.clone();
        after.grants.retain(|_, entry| entry.state != GrantState::Revoking);
        for recipient in &self.plan.add {
            after.grants.insert(recipient.clone(), Entry::new(GrantState::Granted, self.now));
        }
        let elsewhere = BTreeSet::new();
        let ledgers = Ledgers { before: self.ledger, intended: Some(&intended), after: &after, elsewhere: &elsewhere };
        access_changes(ledgers, self.shares, self.now)
    }

    fn revokes(&self, changes: &[AccessChange]) -> Vec<RevokePlan> {
        let names: BTreeMap<Recipient, &str> = self.shares.iter().flat_map(Share::names).collect();
        let revoke = |recipient: &Recipient| {
            let of = changes.iter().filter(|change| change.recipient == *recipient);
            let mut why: Vec<String> = of.filter_map(why).collect();
            why.dedup();
            RevokePlan {
                kind: recipient.kind,
                id: recipient.id.to_string(),
                name: names.get(recipient).map(|name| (*name).to_owned()),
                why: if why.is_empty() { "no ImageShare names it".to_owned() } else { why.join(", ") },
                breaks: WHAT_BREAKS.to_owned(),
            }
        };
        self.plan.remove.iter().map(revoke).collect()
    }

    /// What becomes of an image that is deleted, once nothing of this plan is left to do.
    fn ending(&self, image: &CloudImage) -> String {
        let mut after = self.plan.settled.clone();
        after.grants.retain(|_, entry| !matches!(entry.state, GrantState::Revoking | GrantState::Intended));
        let staying: Vec<Share> = self.shares.iter().filter(|share| !share.deleting).cloned().collect();
        after.shares.retain(|uid, _| staying.iter().any(|share| share.uid == *uid));
        let left = |recipient: &&Recipient| !self.plan.remove.contains(*recipient);
        let recipients: Vec<Recipient> = self.recipients.recipients.keys().filter(left).cloned().collect();
        let observed = ObservedImage::Present { ownership: &Ownership::Own, recipients: &recipients };
        let policy = image.spec.deletion_policy;
        match plan_deletion(&blockers(&staying, &after), None, &after, policy, observed, SignedDuration::ZERO, self.now)
        {
            DeletionDecision::Held(problem) => format!("its deletion waits: {}", problem.message),
            DeletionDecision::Delete | DeletionDecision::Asked(_) => {
                format!(
                    "the image is deleted at the cloud (deletionPolicy: Delete); whoever still had it: {WHAT_BREAKS}"
                )
            }
            DeletionDecision::Await(_) | DeletionDecision::Release if policy == ImageDeletionPolicy::Retain => {
                "the CloudImage goes, and the image stays at the cloud (deletionPolicy: Retain)".to_owned()
            }
            DeletionDecision::Await(_) | DeletionDecision::Release => "the CloudImage goes".to_owned(),
        }
    }
}

/// Who has the image at the cloud, as far as the ledger tells. A call for an intended grant may be under way: who is still to
/// get the image does not have it yet, and from anybody else it is taken.
fn present(ledger: &Ledger, desired: &DesiredRecipients) -> RecipientList {
    let has = |recipient: &Recipient, entry: &Entry| match entry.state {
        GrantState::Granted => true,
        GrantState::Revoking | GrantState::Retained => !entry.absent,
        GrantState::Intended => entry.refusal.is_none() && !desired.wanted.contains_key(recipient),
        GrantState::ImageGone => false,
    };
    let granted = ledger.grants.iter().filter(|(recipient, entry)| has(recipient, entry));
    let granted = granted.map(|(recipient, entry)| (recipient.clone(), entry.answer));
    let foreign = ledger.unmanaged.keys().map(|recipient| (recipient.clone(), None));
    RecipientList { recipients: foreign.chain(granted).collect(), complete: true }
}

/// The image as the operator last reported it; as available where it has not yet.
fn facts(account: &CloudAccount, image: &CloudImage, terms: &Terms) -> ImageFacts {
    let status = image.status.as_ref();
    let state = match status.and_then(|status| status.state.as_deref()) {
        Some("Creating") => ImageState::Creating,
        Some("Failed") => ImageState::Failed,
        Some("Deprecated") => ImageState::Deprecated,
        _ => ImageState::Available,
    };
    // The kind is in no status, the limit that follows from it is.
    let limit = status.and_then(|status| status.recipients.as_deref()?.split_once('/')?.1.parse::<u32>().ok());
    let rules = terms.provider.rules();
    // Of limits that were just changed, the image was not reported yet.
    let is_reported = ready_of(account).is_some_and(|ready| ready.observed_generation == account.metadata.generation);
    let is_full = limit.is_some_and(|limit| {
        let by = |one: u32, full: u32| limit == full && limit != one;
        by(rules.recipients_per_image, rules.recipients_per_full_server_image)
            || is_reported && by(terms.recipients_per_image, terms.recipients_per_full_server_image)
    });
    let reason = status.and_then(|status| Reason::named(&find(&status.conditions, READY)?.reason));
    let is_private = reason == Some(Reason::ImagePrivate);
    ImageFacts {
        ownership: Ownership::Own,
        state,
        kind: if is_full { ImageKind::FullServer } else { ImageKind::SystemDisk },
        name: String::new(),
        encrypted: false,
        keys: BTreeSet::new(),
        snapshots: BTreeSet::new(),
        from_marketplace: false,
        visibility: if is_private { Visibility::Private } else { Visibility::Shared },
        size: None,
    }
}

/// What keeps the operator from carrying a plan out now.
fn waits(account: &CloudAccount, image: &CloudImage, ledger: &Ledger) -> Option<String> {
    if account.spec.suspend {
        return Some("its CloudAccount is suspended: the operator changes nothing".to_owned());
    }
    // What was found of an earlier generation says nothing of this one.
    let is_current = |generation: Option<i64>, observed: Option<i64>| generation.is_some() && generation == observed;
    let ready = ready_of(account).filter(|ready| is_current(account.metadata.generation, ready.observed_generation));
    if let Some(ready) = ready.filter(|ready| ready.status == "False") {
        return Some(format!("its CloudAccount is not ready ({}): {}", ready.reason, safe(&ready.message)));
    }
    if let Some(refusal) = &ledger.image_refusal {
        return Some(format!("the cloud refuses to share the image ({}), and is asked again", refusal.reason.as_str()));
    }
    let status = image.status.as_ref()?;
    let ready = find(&status.conditions, READY)?;
    let is_beside = Reason::named(&ready.reason).is_some_and(|reason| {
        let opens = reason == Reason::ImagePrivate && image.spec.visibility_change == VisibilityChange::Allow;
        blocks_deletion_only(reason) || opens
    });
    let counts = is_current(image.metadata.generation, ready.observed_generation) && ready_of(account).is_some();
    (ready.status == "False" && counts && !is_beside)
        .then(|| format!("the image is not ready ({}): {}", ready.reason, safe(&ready.message)))
}

/// Why access ends.
fn why(change: &AccessChange) -> Option<String> {
    let share =
        || change.share.as_ref().map_or_else(String::new, |share| format!("{}/{}", share.namespace, share.name));
    Some(match change.change {
        Change::Expired => format!("{} has expired", share()),
        Change::Revoked(Cause::ShareDeleted) => format!("{} is deleted", share()),
        Change::Revoked(Cause::RecipientRemoved) => format!("taken out of {}", share()),
        Change::Revoked(Cause::ConsentWithdrawn) => format!("shareableFrom does not admit {} any more", share()),
        Change::Revoked(Cause::Unmanaged) => "no ImageShare names it (unmanagedRecipients: Revoke)".to_owned(),
        Change::Revoked(Cause::ImageGone) | Change::Granted | Change::Adopted | Change::Retained => return None,
    })
}

/// What changes without a call.
fn beside(change: &AccessChange) -> Option<String> {
    match change.change {
        Change::Adopted => {
            let share = change.share.as_ref().map(|share| format!("{}/{}", share.namespace, share.name));
            let share = share.unwrap_or_default();
            Some(format!("{} has it already, and loses it with {share} from now on", change.recipient))
        }
        Change::Retained => Some(format!("{} keeps it (deletionPolicy: Retain)", change.recipient)),
        Change::Granted | Change::Expired | Change::Revoked(_) => None,
    }
}

#[cfg(test)]
mod tests;
