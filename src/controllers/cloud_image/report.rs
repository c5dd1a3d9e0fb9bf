//! Reports a reconcile: writes the status, at most once with the intent and once with the result, and the events. The
//! conditions are a pure function of the observed state.

use std::collections::HashMap;

use kube::ResourceExt;

use super::access::{Known, audit, known, publish};
use super::conditions::{NOBODYS_FAULT, ObjectStage, decisions};
use super::event_reasons::{event_reasons, found_amiss};
use super::observe::Desired;
use crate::api::CloudImage;
use crate::api::cloud_image::{CloudImageStatus, NamespacesFrom, VisibilityChange};
use crate::api::conditions::{DELETABLE, Decision, READY, RECONCILING, Reason, Truth, conditions, find};
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::domain::identifiers::{InvalidIdentifier, Recipient};
use crate::domain::image::{ImageFacts, ImageState, Ownership, Visibility};
use crate::domain::share::Share;
use crate::planning::access::{Ledgers, access_changes};
use crate::planning::deletion::{blockers, held_by_shares};
use crate::planning::ledger::Ledger;
use crate::planning::problem::{PRIVATE, Problem};
use crate::planning::schedule::Requeue;
use crate::planning::sharing::Plan;
use crate::reconcile::access_notes::AccessNotes;
use crate::reconcile::context::Context;
use crate::reconcile::convert::{requested_at, selector_problem};
use crate::reconcile::duplicates::{CLAIM_SETTLES, Duplicates};
use crate::reconcile::requeue::{Next, later};
use crate::reconcile::status_writer::StatusWriter;
use jiff::Timestamp;

/// The result of a reconcile.
pub(super) struct Report {
    pub(super) ledger: Ledger,
    pub(super) facts: Option<ImageFacts>,
    pub(super) problem: Option<Problem>,
    pub(super) only_to_end: Option<Problem>,
    pub(super) look_again: Option<Timestamp>,
    pub(super) plan: Option<Plan>,
    pub(super) seen: bool,
    /// The shares had changed by the time of the calls, and the operator made none.
    pub(super) overtaken: bool,
}

impl Report {
    /// The reconcile observed the cloud.
    pub(super) fn seen(ledger: Ledger, plan: Option<Plan>, facts: Option<ImageFacts>) -> Self {
        Self { ledger, facts, problem: None, only_to_end: None, look_again: None, plan, seen: true, overtaken: false }
    }

    /// Recipients at the cloud, as far as the reconcile read them.
    pub(super) fn present(&self) -> &[Recipient] {
        self.plan.as_ref().map_or(&[], |plan| &plan.present)
    }

    /// The problem that keeps the image from its desired state.
    fn obstacle(&self) -> Option<Problem> {
        if let Some(problem) = self.problem.clone().or_else(|| self.only_to_end.clone()) {
            return Some(problem);
        }
        let refused = self.ledger.image_refusal.as_ref().filter(|_| self.facts.is_some());
        if let Some(refusal) = refused {
            return Some(Problem::of_refused_image(refusal));
        }
        let Some(facts) = &self.facts else {
            return self.seen.then(|| {
                let message = "spec.imageID: the cloud does not know this image in this account and region: check \
                               imageID, region and accountRef";
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
            let message = "the image is deprecated: restore it to Available before sharing it";
            Some(Problem::blocked(Reason::ImageNotShareable, message))
        }
    }
}

/// Writes the status and the events of a reconcile.
pub(super) struct Reporter<'a> {
    ctx: &'a Context,
    image: &'a CloudImage,
    shares: &'a [Share],
    duplicates: &'a Duplicates,
    status: StatusWriter<'a, CloudImage, CloudImageStatus>,
    /// The ledger before this reconcile's calls.
    intended: Option<Ledger>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(ctx: &'a Context, image: &'a CloudImage, desired: &'a Desired) -> Self {
        Self {
            ctx,
            image,
            shares: &desired.shares,
            duplicates: &desired.duplicates,
            status: StatusWriter::new(ctx, image, image.status.as_ref()),
            intended: None,
        }
    }

    /// The version the next write is pinned to.
    pub(super) fn version(&self) -> &str {
        self.status.version()
    }

    /// The object at that version.
    pub(super) fn current(&self) -> CloudImage {
        self.status.current()
    }

    /// Writes the initial conditions, once.
    pub(super) async fn init_status(&mut self) -> Result<(), ClusterError> {
        if !self.status.written().conditions.is_empty() {
            return Ok(());
        }
        let message = "waiting for the first reconcile".to_owned();
        let unknown = |kind, truth| Decision { kind, truth, reason: Reason::Pending, message: message.clone() };
        let mut status = self.status.written().clone();
        let decisions = [unknown(READY, Truth::Unknown), unknown(RECONCILING, Truth::True)];
        status.conditions = conditions(&[], decisions, self.image.metadata.generation, self.ctx.clock.now());
        self.status.write(status).await
    }

    /// Writes the intent. Always writes to the API server, even if nothing changes: the write proves that this reconcile
    /// acts on the newest version.
    pub(super) async fn record_intent(&mut self, intended: &Ledger) -> Result<(), ClusterError> {
        self.intended = Some(intended.clone());
        let mut status = self.status.written().clone();
        intended.encode_into(&mut status);
        let before = self.status.written().shares.iter();
        answer(&mut status, before.map(|share| (share.uid.as_str(), share.last_handled_reconcile_at.as_ref())));
        status.owner = self.duplicates.owner().or(status.owner);
        self.status.write(status).await
    }

    /// Records the owner before any other action: other objects for the same image may do so at the same time.
    pub(super) async fn claim(&mut self) -> Result<Next, ClusterError> {
        let mut status = self.status.written().clone();
        status.owner = self.duplicates.owner();
        self.status.write(status).await?;
        Ok(Next::Requeue(Requeue::Waiting(later(self.ctx, CLAIM_SETTLES))))
    }

    /// Reports a reconcile that could not observe the cloud.
    pub(super) async fn problem(
        &mut self,
        ledger: &Ledger,
        problem: Problem,
        known: bool,
    ) -> Result<Next, ClusterError> {
        let mut report = Report::seen(ledger.clone(), None, None);
        report.seen = false;
        report.problem = Some(problem);
        let names = if known { blockers(self.shares, ledger) } else { Vec::new() };
        self.finish(report, &names, None).await
    }

    /// Reports a ledger that does not parse: concludes nothing from it, and writes none of it.
    pub(super) async fn unreadable_ledger(&mut self, error: &InvalidIdentifier) -> Result<Next, ClusterError> {
        let message = format!(
            "status.grants cannot be read ({error}): no cloud API calls are made for this image; run the version of the \
             operator that wrote it, or correct the entry"
        );
        let problem = Problem::blocked(Reason::Unreadable, message);
        let mut status = self.status.written().clone();
        status.observed_generation = self.image.metadata.generation;
        if planted!("half-a-ledger-erased", false, true) {
            Ledger::default().encode_into(&mut status);
        }
        let decisions = decisions(&Ledger::default(), (Some(&problem), Some(&problem)), self.stage());
        status.conditions =
            conditions(&status.conditions, decisions, self.image.metadata.generation, self.ctx.clock.now());
        self.status.write_if_new(status).await?;
        Ok(Next::Requeue(Requeue::from(&problem)))
    }

    /// Writes the result if it changes the status, and decides the next requeue. `held`: what blocks the deletion.
    pub(super) async fn finish(
        &mut self,
        report: Report,
        blockers: &[String],
        held: Option<Problem>,
    ) -> Result<Next, ClusterError> {
        let before = Ledger::parse(self.image.status.as_ref()).unwrap_or_default();
        let now = self.ctx.clock.now();
        let obstacle = report.obstacle().or_else(|| report.hidden(self.image.spec.visibility_change));
        let shown = obstacle.clone().or_else(|| self.consent_unknown());
        let status = self.status(&report, shown.as_ref(), blockers, held.as_ref(), now);
        let blocked = self.newly_blocked(&status);
        let changes = self.access_changes(&before, &report.ledger, now);
        // Before the write, so that none is lost if the process ends here.
        let uid = self.image.uid().unwrap_or_default();
        self.ctx.states.access_notes(&uid, |notes| audit(self.image, &changes, notes));
        self.status.write_if_new(status).await?;
        self.ctx.states.access_notes(&uid, AccessNotes::are_recorded);
        publish(self.ctx, self.image, &changes);
        self.tell(&before, &report.ledger);
        if let Some(why) = blocked {
            self.ctx.events.publish(self.image, EventReason::DeletionBlocked, why);
        }
        Ok(Next::Requeue(self.verdict(&report, obstacle.as_ref(), held.as_ref(), now)))
    }

    /// Why the operator cannot tell which namespaces may use the image. Reported only: nothing at the cloud changes it.
    fn consent_unknown(&self) -> Option<Problem> {
        selector_problem(self.image).or_else(|| {
            let chosen = self.image.spec.shareable_from.namespaces.from == NamespacesFrom::Selector;
            (chosen && !self.ctx.scope.sees_namespaces()).then(|| {
                let message = "spec.shareableFrom: this operator may not read the labels of namespaces, so that nothing is \
                               granted to other namespaces or taken from them: set from: All (the watched namespaces) or \
                               Same, or run the operator for the whole cluster";
                Problem::blocked(Reason::SelectorNeedsClusterScope, message)
            })
        })
    }

    fn status(
        &self,
        report: &Report,
        obstacle: Option<&Problem>,
        blockers: &[String],
        held: Option<&Problem>,
        now: Timestamp,
    ) -> CloudImageStatus {
        let mut status = self.status.written().clone();
        report.ledger.encode_into(&mut status);
        answer(&mut status, self.shares.iter().map(|share| (share.uid.as_str(), share.requested.as_ref())));
        status.observed_generation = self.image.metadata.generation;
        status.last_handled_reconcile_at = requested_at(self.image).or(status.last_handled_reconcile_at);
        if report.seen {
            // Until the image is observed as our own, the object may name another account: the operator changed nothing.
            if report.facts.as_ref().is_some_and(|facts| facts.ownership == Ownership::Own) {
                status.owner = self.duplicates.owner().or(status.owner);
            }
            status.state = report.facts.as_ref().map(|facts| format!("{:?}", facts.state));
        }
        if let Some(plan) = &report.plan {
            let limit = if plan.limit == 0 { String::new() } else { format!("/{}", plan.limit) };
            status.recipients = Some(format!("{}{limit}", plan.slots_taken));
        }
        let held = held.cloned().or_else(|| held_by_shares(blockers));
        let mut decisions = decisions(&report.ledger, (obstacle, held.as_ref()), self.stage());
        decisions.extend(self.duplicates.decision());
        status.conditions =
            conditions(&self.status.written().conditions, decisions, self.image.metadata.generation, now);
        status
    }

    fn verdict(&self, report: &Report, obstacle: Option<&Problem>, held: Option<&Problem>, now: Timestamp) -> Requeue {
        let expiry = self.shares.iter().filter(|s| !s.expired(now)).filter_map(|s| s.expires).min();
        let soonest = report.look_again.into_iter().chain(expiry).min();
        let quiet = if report.overtaken { Requeue::Retrying { not_before: None } } else { Requeue::Settled };
        // The objects that block the deletion enqueue the image when they no longer do.
        let amiss = obstacle.or(held.filter(|held| !NOBODYS_FAULT.contains(&held.reason)));
        let base = amiss.map_or(quiet, Requeue::from);
        match (&base, soonest) {
            // A fault backs off, whatever else is due.
            (Requeue::Retrying { .. }, Some(_)) if report.problem.is_some() || report.overtaken => base,
            (_, Some(at)) if at.duration_since(now) < self.slow_look() => Requeue::Waiting(at),
            _ => base,
        }
    }

    fn slow_look(&self) -> jiff::SignedDuration {
        jiff::SignedDuration::try_from(self.ctx.settings.intervals.drift).unwrap_or(jiff::SignedDuration::MAX)
    }

    /// What blocks the deletion of the object, if the status did not report it before.
    fn newly_blocked(&self, new: &CloudImageStatus) -> Option<String> {
        self.image.metadata.deletion_timestamp.as_ref()?;
        let kept = |status: &CloudImageStatus| {
            find(&status.conditions, DELETABLE).filter(|condition| condition.status == "False").cloned()
        };
        let why = kept(new)?;
        let old = self.status.written();
        let told =
            old.observed_generation == new.observed_generation && kept(old).is_some_and(|old| old.reason == why.reason);
        (!told).then_some(why.message)
    }

    fn stage(&self) -> ObjectStage {
        let metadata = &self.image.metadata;
        ObjectStage {
            deleting: metadata.deletion_timestamp.is_some(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            now: self.ctx.clock.now(),
        }
    }

    /// Whose access changed, with what the notes of earlier reconciles know of it.
    fn access_changes(&self, before: &Ledger, after: &Ledger, now: Timestamp) -> Vec<Known> {
        let elsewhere = self.duplicates.granted_by_active();
        let ledgers = Ledgers { before, intended: self.intended.as_ref(), after, elsewhere: &elsewhere };
        let changes = access_changes(ledgers, self.shares, now);
        self.ctx.states.access_notes(&self.image.uid().unwrap_or_default(), |notes| {
            notes.note_names(self.shares, before);
            let changes = known(changes, notes);
            notes.forget_settled(after);
            changes
        })
    }

    fn tell(&self, before: &Ledger, after: &Ledger) {
        for (drift, recipients) in found_amiss(before, self.intended.as_ref(), after) {
            self.ctx.metrics.drifted(drift, recipients);
        }
        for (what, note) in event_reasons(&self.image.spec.image_id, before, self.intended.as_ref(), after) {
            self.ctx.events.publish(self.image, what, note);
        }
    }
}

/// Records for each served share which of its reconcile requests the operator handled.
fn answer<'s>(status: &mut CloudImageStatus, requests: impl Iterator<Item = (&'s str, Option<&'s String>)>) {
    let requests: HashMap<&str, &String> = requests.filter_map(|(uid, at)| Some((uid, at?))).collect();
    for share in &mut status.shares {
        share.last_handled_reconcile_at = requests.get(share.uid.as_str()).map(|at| (*at).clone());
    }
}
