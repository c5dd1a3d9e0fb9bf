//! Reports a reconcile: writes the status, at most once with the intent and once with the result, and the events. The
//! conditions are a pure function of the observed state.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::access::{Known, audit, known, publish};
use super::conditions::{NOBODYS_FAULT, ObjectStage, decisions, key_required};
use super::event_reasons::{drifted, event_reasons};
use super::observe::{Desired, Observed, list_shares_afresh};
use crate::api::CloudImage;
use crate::api::cloud_account::Tenancy;
use crate::api::cloud_image::{CloudImageStatus, GrantState, NamespacesFrom, VisibilityChange};
use crate::api::conditions::{COPYABLE, DELETABLE, Decision, KEY_REQUIRED, Reason, Truth, find};
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::domain::foreign_text::image_name;
use crate::domain::identifiers::{InvalidIdentifier, Recipient};
use crate::domain::image::{ImageFacts, ImageState, Ownership, Visibility};
use crate::planning::access::{Ledgers, access_changes};
use crate::planning::deletion::{blockers, held_by_shares};
use crate::planning::grace::grace_left;
use crate::planning::ledger::Ledger;
use crate::planning::problem::{PRIVATE, Problem};
use crate::planning::schedule::Requeue;
use crate::planning::sharing::{IntentRecorded, Plan};
use crate::reconcile::access_notes::AccessNotes;
use crate::reconcile::context::Context;
use crate::reconcile::convert::{created_at, identity_key, selector_problem};
use crate::reconcile::relisting::relist_recipients;
use crate::reconcile::reporter::Reporter;
use crate::reconcile::requeue::{Next, release};

/// The result of a reconcile.
#[derive(Default)]
pub(super) struct Report {
    pub(super) ledger: Ledger,
    pub(super) facts: Option<ImageFacts>,
    pub(super) problem: Option<Problem>,
    pub(super) only_to_end: Option<Problem>,
    /// Why recipients cannot be allowed to copy the image, or why that cannot be read.
    pub(super) copy_problem: Option<Problem>,
    pub(super) requeue_at: Option<Timestamp>,
    /// Recipients at the cloud, as far as the reconcile read them.
    pub(super) present: Vec<Recipient>,
    /// How many slots are taken, and how many there are.
    pub(super) slots: Option<String>,
    /// The reconcile observed the cloud.
    pub(super) is_observed: bool,
    /// The shares had changed by the time of the calls, and the operator made none.
    pub(super) shares_changed: bool,
}

impl Report {
    /// The reconcile did not observe the cloud.
    pub(super) fn unobserved(ledger: Ledger) -> Self {
        Self { ledger, ..Self::default() }
    }

    /// The reconcile observed the cloud. `facts`: `None` for an absent image.
    pub(super) fn observed(ledger: Ledger, facts: Option<ImageFacts>) -> Self {
        Self { facts, is_observed: true, ..Self::unobserved(ledger) }
    }

    /// The reconcile observed and planned.
    pub(super) fn planned<State>(ledger: Ledger, plan: &Plan<State>, observed: Observed) -> Self {
        let (present, slots) = (plan.present.clone(), Some(plan.slots()).filter(|_| observed.image.is_some()));
        let refused = ledger.copies.refusal.as_ref().map(Problem::of_refused_image);
        let copy_problem = observed.copies.err().as_ref().map(Problem::from).or(refused);
        Self { copy_problem, present, slots, ..Self::observed(ledger, observed.image) }
    }

    /// The problem that keeps the image from its desired state.
    /// `found_before`: an earlier reconcile found the image as the account's own.
    fn problem(&self, found_before: bool) -> Option<Problem> {
        if let Some(problem) = self.problem.clone().or_else(|| self.only_to_end.clone()) {
            return Some(problem);
        }
        let refused = self.ledger.image_refusal.as_ref().filter(|_| self.facts.is_some());
        if let Some(refusal) = refused {
            return Some(Problem::of_refused_image(refusal));
        }
        let Some(facts) = &self.facts else {
            return self.is_observed.then(|| {
                let message = if found_before {
                    "spec.imageID: the cloud does not show this image any more: restore it at the cloud, or delete this object"
                } else {
                    "spec.imageID: the cloud does not know this image in this account and region: correct spec.imageID, \
                     spec.region or spec.accountRef"
                };
                Problem::blocked(Reason::ImageNotFound, message)
            });
        };
        unshareable(facts)
    }

    /// Why an otherwise shareable image can have no recipients: its visibility.
    fn hidden(&self, change: VisibilityChange) -> Option<Problem> {
        match self.facts.as_ref()?.visibility {
            Visibility::Shared => None,
            Visibility::Private if change == VisibilityChange::Allow => None,
            Visibility::Private => Some(Problem::blocked(Reason::ImagePrivate, PRIVATE)),
            Visibility::Public => {
                let message =
                    "the image is public at the cloud: everybody may use it, and it cannot be given to anybody";
                Some(Problem::blocked(Reason::ImageNotShareable, message))
            }
        }
    }
}

/// Why an observed image cannot be shared.
fn unshareable(facts: &ImageFacts) -> Option<Problem> {
    match &facts.ownership {
        Ownership::Own => {}
        Ownership::Received { owner } => {
            let owner = owner.as_ref().map(|o| format!(" ({o})")).unwrap_or_default();
            let message = format!(
                "the image belongs to another account{owner}; a received image cannot be shared on: replicate it into a \
                 private image first and share that"
            );
            return Some(Problem::blocked(Reason::ImageNotOwned, message));
        }
        Ownership::System | Ownership::Marketplace => {
            let message = "only custom images can be shared: this one is the vendor's or the marketplace's";
            return Some(Problem::blocked(Reason::ImageNotShareable, message));
        }
    }
    match facts.state {
        ImageState::Available => None,
        ImageState::Creating => {
            Some(Problem::passing(Reason::ImageNotAvailable, "the image is still being made; waiting for it"))
        }
        ImageState::Failed => Some(Problem::blocked(
            Reason::ImageNotAvailable,
            "the image could not be made or is held back by the cloud",
        )),
        ImageState::Deprecated => {
            let message = "the image is deprecated or disabled at the cloud: restore it to Available before sharing it";
            Some(Problem::blocked(Reason::ImageNotShareable, message))
        }
    }
}

/// Reports the reconcile of an image.
pub(super) struct ImageReporter<'a> {
    pub(super) desired: &'a Desired,
    pub(super) base: Reporter<'a, CloudImage>,
    /// The ledger before this reconcile's calls.
    intended: Option<Ledger>,
}

impl<'a> ImageReporter<'a> {
    pub(super) fn new(ctx: &'a Context, image: &'a CloudImage, desired: &'a Desired) -> Self {
        Self { desired, base: Reporter::new(ctx, image), intended: None }
    }

    /// Records the intent.
    pub(super) async fn record_intent(&mut self, intended: &Ledger) -> Result<IntentRecorded, ClusterError> {
        self.intended = Some(intended.clone());
        let mut status = self.base.written().clone();
        intended.encode_into(&mut status);
        let before = self.base.written().shares.iter();
        answer_requests(
            &mut status,
            before.map(|share| (share.uid.as_str(), share.last_handled_reconcile_at.as_ref())),
        );
        status.owner = self.desired.duplicates.owner().or(status.owner);
        status.image = Some(identity_key(self.base.object));
        planted!(
            "call-before-ledger",
            self.base.record_intent(status).await,
            Ok(IntentRecorded::at(self.base.version()))
        )
    }

    /// Reports a ledger that does not parse: concludes nothing from it, and writes none of it.
    pub(super) async fn unreadable_ledger(&mut self, error: &InvalidIdentifier) -> Result<Next, ClusterError> {
        let message = format!(
            "status.grants cannot be read ({error}): no cloud API calls are made for this image; run the version of the \
             operator that wrote it, or correct the entry"
        );
        let problem = Problem::blocked(Reason::Unreadable, message);
        let mut status = self.base.written().clone();
        status.observed_generation = self.base.object.metadata.generation;
        if planted!("half-a-ledger-erased", false, true) {
            Ledger::default().encode_into(&mut status);
        }
        let decisions = decisions(&Ledger::default(), (Some(&problem), Some(&problem)), self.stage(None));
        self.base.set_conditions(&mut status, decisions);
        self.base.write_if_changed(status).await?;
        Ok(Next::Requeue(Requeue::from(&problem)))
    }

    /// Writes the result if it changes the status, and decides the next requeue. `held`: what blocks the deletion.
    pub(super) async fn finish(
        &mut self,
        report: Report,
        blockers: &[String],
        held: Option<Problem>,
    ) -> Result<Next, ClusterError> {
        let image = self.base.object;
        let found_before = image.status.as_ref().is_some_and(|status| status.owner.is_some());
        let problem = report.problem(found_before).or_else(|| report.hidden(image.spec.visibility_change));
        let shown = problem.clone().or_else(|| self.consent_unknown());
        let status = self.status(&report);
        let deletable = held.clone().or_else(|| held_by_shares(blockers));
        let stage = self.stage(report.facts.as_ref());
        let mut decisions = decisions(&report.ledger, (shown.as_ref(), deletable.as_ref()), stage);
        decisions.extend(self.desired.duplicates.decision());
        decisions.extend(self.key_required(&report));
        decisions.extend(self.copyable(&report));
        let blocked = self.newly_blocked(&decisions);
        let unread = Ledger::default();
        let before = self.desired.ledger.as_ref().unwrap_or(&unread);
        let changes = self.access_changes(before, &report.ledger);
        // Before the write, so that none is lost if the process ends here.
        let (uid, ctx) = (image.uid().unwrap_or_default(), self.base.ctx);
        ctx.states.access_notes(&uid, |notes| audit(image, &changes, notes));
        self.base.report(status, Some(decisions)).await?;
        ctx.states.access_notes(&uid, AccessNotes::are_recorded);
        publish(ctx, image, &changes);
        self.publish_events(before, &report.ledger);
        if let Some(message) = blocked {
            self.base.event(EventReason::DeletionBlocked, message);
        }
        let problem = problem.as_ref().or(report.copy_problem.as_ref());
        Ok(Next::Requeue(self.requeue(&report, problem, held.as_ref())))
    }

    /// Releases the object, if the API server itself lists no share that names it. `image_gone`: the image is proven absent at
    /// the cloud, so that nobody has it, whatever the ledger says.
    pub(super) async fn leave(&self, image_gone: bool) -> Result<Next, ClusterError> {
        let fresh = list_shares_afresh(self.base.ctx, self.base.object, self.base.version()).await?;
        // Permissions on snapshots outlive the image.
        let is_free =
            |ledger: &Ledger| if image_gone { !ledger.copies.hold_anything() } else { !ledger.holds_anything() };
        let holds_nothing = self.desired.ledger.as_ref().is_ok_and(is_free);
        let wanted_by_nobody = blockers(&fresh, &Ledger::default()).is_empty();
        if !(holds_nothing && wanted_by_nobody) {
            return Ok(Next::retry());
        }
        release(self.base.ctx, &self.base.current()).await?;
        Ok(Next::Gone)
    }

    /// Why the operator cannot tell which namespaces may use the image. Reported only: nothing at the cloud changes it.
    fn consent_unknown(&self) -> Option<Problem> {
        selector_problem(self.base.object).or_else(|| {
            let chosen = self.base.object.spec.shareable_from.namespaces.from == NamespacesFrom::Selector;
            (chosen && !self.base.ctx.scope.sees_namespaces()).then(|| {
                let message = "spec.shareableFrom: this operator may not read the labels of namespaces, so that nothing is \
                               granted to other namespaces or taken from them: set from: All (the watched namespaces) or \
                               Same, or run the operator for the whole cluster";
                Problem::blocked(Reason::SelectorNeedsClusterScope, message)
            })
        })
    }

    fn status(&self, report: &Report) -> CloudImageStatus {
        let mut status = self.base.written().clone();
        report.ledger.encode_into(&mut status);
        let requests = self.desired.shares.iter().map(|share| (share.uid.as_str(), share.requested.as_ref()));
        answer_requests(&mut status, requests);
        if report.is_observed {
            status.image = Some(identity_key(self.base.object));
            // Until the image is observed as our own, the object may name another account: the operator changed nothing.
            if report.facts.as_ref().is_some_and(|facts| facts.ownership == Ownership::Own) {
                status.owner = self.desired.duplicates.owner().or(status.owner);
            }
            status.image_name = report.facts.as_ref().and_then(|facts| image_name(&facts.name));
            status.state = report.facts.as_ref().map(|facts| format!("{:?}", facts.state));
        }
        status.recipients = report.slots.clone().or(status.recipients);
        status
    }

    fn requeue(&self, report: &Report, problem: Option<&Problem>, held: Option<&Problem>) -> Requeue {
        let now = self.base.ctx.clock.now();
        let drift = SignedDuration::try_from(self.base.ctx.settings.intervals.drift).unwrap_or(SignedDuration::MAX);
        let expiry = self.desired.shares.iter().filter(|s| !s.expired(now)).filter_map(|s| s.expires).min();
        let grace = problem.and_then(|problem| grace_left(problem.reason, created_at(self.base.object), now));
        let grace = grace.and_then(|left| now.checked_add(left).ok());
        let soonest = report.requeue_at.into_iter().chain(expiry).chain(grace).min();
        let quiet = if report.shares_changed { Requeue::Retrying { not_before: None } } else { Requeue::Settled };
        // The objects that block the deletion enqueue the image when they no longer do.
        let problem = problem.or(held.filter(|held| !NOBODYS_FAULT.contains(&held.reason)));
        let base = problem.map_or(quiet, Requeue::from);
        match (&base, soonest) {
            // A fault backs off, whatever else is due.
            (Requeue::Retrying { .. }, Some(_)) if report.problem.is_some() || report.shares_changed => base,
            (_, Some(at)) if at.duration_since(now) < drift => Requeue::Waiting(at),
            _ => base,
        }
    }

    /// What blocks the deletion of the object, if the status did not report it before.
    fn newly_blocked(&self, decisions: &[Decision]) -> Option<String> {
        let (meta, old) = (&self.base.object.metadata, self.base.written());
        meta.deletion_timestamp.as_ref()?;
        let new = decisions.iter().find(|new| new.kind == DELETABLE && new.truth == Truth::False)?;
        let before = find(&old.conditions, DELETABLE).filter(|before| before.status == "False");
        let reported = before.is_some_and(|before| before.reason == new.reason.as_str());
        (old.observed_generation != meta.generation || !reported).then(|| new.message.clone())
    }

    /// Which key recipients need. Where the reconcile did not observe the image, what an earlier one reported still holds.
    fn key_required(&self, report: &Report) -> Option<Decision> {
        match &report.facts {
            Some(facts) => {
                let account = self.desired.account.as_ref().ok();
                let provider = account.and_then(|account| account.spec.tenancy()).map(Tenancy::provider);
                let actions = provider.map_or(&[][..], |provider| provider.rules().key_actions);
                key_required(&report.ledger, &facts.keys, actions)
            }
            None if report.is_observed || !report.ledger.holds_anything() => None,
            None => find(&self.base.written().conditions, KEY_REQUIRED).map(|told| Decision {
                kind: KEY_REQUIRED,
                truth: Truth::True,
                reason: Reason::RecipientsNeedKey,
                message: told.message.clone(),
            }),
        }
    }

    /// What keeps recipients from copying the image. Where the reconcile did not observe the image, what an earlier one reported
    /// still holds.
    fn copyable(&self, report: &Report) -> Option<Decision> {
        if report.is_observed {
            return report.copy_problem.as_ref().map(|problem| problem.decide(COPYABLE, Truth::False));
        }
        let told = find(&self.base.written().conditions, COPYABLE)?;
        let reason = Reason::named(&told.reason)?;
        Some(Decision { kind: COPYABLE, truth: Truth::False, reason, message: told.message.clone() })
    }

    fn stage(&self, facts: Option<&ImageFacts>) -> ObjectStage {
        let (image, now) = (self.base.object, self.base.ctx.clock.now());
        ObjectStage {
            deleting: image.metadata.deletion_timestamp.is_some(),
            created: created_at(image),
            now,
            encrypted: facts.is_some_and(|facts| facts.encrypted),
        }
    }

    /// Whose access changed, with what the notes of earlier reconciles know of it.
    fn access_changes(&self, before: &Ledger, after: &Ledger) -> Vec<Known> {
        let (ctx, shares) = (self.base.ctx, &self.desired.shares);
        let elsewhere = self.desired.duplicates.granted_by_active();
        let ledgers = Ledgers { before, intended: self.intended.as_ref(), after, elsewhere: &elsewhere };
        let changes = access_changes(ledgers, shares, ctx.clock.now());
        ctx.states.access_notes(&self.base.object.uid().unwrap_or_default(), |notes| {
            notes.note_names(shares, before);
            let changes = known(changes, notes);
            notes.forget_settled(after);
            changes
        })
    }

    fn publish_events(&self, before: &Ledger, after: &Ledger) {
        let intended = self.intended.as_ref();
        for (drift, recipients) in drifted(before, intended, after) {
            self.base.ctx.metrics.drifted(drift, recipients);
        }
        let (reached_before, reached_after) = (reached(before), reached(after));
        let changed = reached_before.symmetric_difference(&reached_after).copied();
        relist_recipients(self.base.ctx, &self.base.object.spec.region, changed);
        for (reason, note) in event_reasons(&self.base.object.spec.image_id, before, intended, after) {
            self.base.event(reason, note);
        }
    }
}

/// Who has the image through this operator, until it is read as absent.
fn reached(ledger: &Ledger) -> BTreeSet<&Recipient> {
    let is_there = |state| matches!(state, GrantState::Granted | GrantState::Revoking);
    let granted = ledger.grants.iter().filter(|(_, entry)| is_there(entry.state));
    granted.map(|(recipient, _)| recipient).collect()
}

/// Records for each served share which of its reconcile requests the operator handled.
fn answer_requests<'s>(status: &mut CloudImageStatus, requests: impl Iterator<Item = (&'s str, Option<&'s String>)>) {
    let requests: HashMap<&str, &String> = requests.filter_map(|(uid, at)| Some((uid, at?))).collect();
    for share in &mut status.shares {
        share.last_handled_reconcile_at = requests.get(share.uid.as_str()).map(|at| (*at).clone());
    }
}
