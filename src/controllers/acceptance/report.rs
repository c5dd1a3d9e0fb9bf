//! Reports a reconcile of one offer: its status, its events, and the next requeue.

use crate::api::SharedImageAcceptance;
use crate::api::acceptance::{AcceptanceDecision, OfferState, SharedImageAcceptanceStatus, Via};
use crate::api::conditions::{ACCEPTED, Decision, READY, RECONCILING, Reason, STALLED, Truth, conditions};
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::domain::fault::Recovery;
use crate::domain::foreign_text::image_name;
use crate::domain::identifiers::JobId;
use crate::domain::image::ReceivedImage;
use crate::planning::acceptance::{AcceptancePlan, waits_for_the_owner};
use crate::planning::grace::grace_left;
use crate::planning::ledger::Job;
use crate::planning::problem::Problem;
use crate::planning::schedule::{Requeue, next_job_look};
use crate::reconcile::context::Context;
use crate::reconcile::convert::requested_at;
use crate::reconcile::duplicates::{CLAIM_SETTLES, Duplicates};
use crate::reconcile::requeue::{Next, later};
use crate::reconcile::status_writer::StatusWriter;

/// Writes the status and the events of a reconcile.
pub(super) struct Reporter<'a> {
    ctx: &'a Context,
    acceptance: &'a SharedImageAcceptance,
    duplicates: &'a Duplicates,
    status: StatusWriter<'a, SharedImageAcceptance, SharedImageAcceptanceStatus>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(ctx: &'a Context, acceptance: &'a SharedImageAcceptance, duplicates: &'a Duplicates) -> Self {
        Self { ctx, acceptance, duplicates, status: StatusWriter::new(ctx, acceptance, acceptance.status.as_ref()) }
    }

    /// The object at the version last written.
    pub(super) fn current(&self) -> SharedImageAcceptance {
        self.status.current()
    }

    /// The job that carries out the last answer, if the status records one.
    pub(super) fn job(&self) -> Option<Job> {
        self.status.written().job.as_ref().and_then(|job| Job::parse(job).ok())
    }

    /// Whether an earlier reconcile observed the image as shared with us.
    pub(super) fn known(&self) -> bool {
        self.status.written().state.is_some_and(|state| state != OfferState::NotOffered)
    }

    /// Writes the initial conditions, once.
    pub(super) async fn init_status(&mut self) -> Result<(), ClusterError> {
        if !self.status.written().conditions.is_empty() {
            return Ok(());
        }
        let pending = Problem::passing(Reason::Pending, "waiting for the first reconcile");
        let mut status = self.status.written().clone();
        status.conditions = self.conditions(&Err(pending));
        self.status.write(status).await
    }

    /// Records the intended answer; the write proves that this reconcile acts on the newest version.
    pub(super) async fn record_intent(&mut self, decision: AcceptanceDecision) -> Result<(), ClusterError> {
        let mut status = self.status.written().clone();
        status.answering = Some(decision);
        status.account = self.duplicates.owner().or(status.account);
        self.status.write(status).await
    }

    /// Records the account before any answer: other objects for the same offer may do so at the same time.
    pub(super) async fn claim(&mut self) -> Result<Next, ClusterError> {
        let mut status = self.status.written().clone();
        status.account = self.duplicates.owner();
        self.status.write(status).await?;
        Ok(Next::Requeue(Requeue::Waiting(later(self.ctx, CLAIM_SETTLES))))
    }

    /// Records the job that carries the answer out.
    pub(super) async fn under_way(&mut self, job: JobId) -> Result<Next, ClusterError> {
        let now = self.ctx.clock.now();
        let mut status = self.status.written().clone();
        status.job = Some(Job { id: job, since: now }.encode());
        self.status.write(status).await?;
        Ok(Next::Requeue(Requeue::Waiting(next_job_look(now, now))))
    }

    /// Reports a reconcile that could not observe the offer. The recorded state of the offer stays.
    pub(super) async fn problem(&mut self, problem: Problem) -> Result<Next, ClusterError> {
        let verdict = Requeue::from(&problem);
        let mut status = self.status.written().clone();
        self.sign(&mut status);
        status.conditions = self.conditions(&Err(problem));
        self.status.write_if_new(status).await?;
        Ok(Next::Requeue(verdict))
    }

    /// Reports the observed offer. `problem`: what kept the operator from answering.
    pub(super) async fn finish(
        &mut self,
        received: Option<&ReceivedImage>,
        plan: AcceptancePlan,
        problem: Option<Problem>,
    ) -> Result<Next, ClusterError> {
        let before = self.status.written().state;
        let standing = problem.map_or(plan.standing, Err);
        let verdict = match &standing {
            Ok(_) => Requeue::Settled,
            Err(problem) => Requeue::from(problem),
        };
        let mut status = self.status.written().clone();
        self.sign(&mut status);
        status.job = None;
        status.state = Some(plan.state);
        if let Some(received) = received {
            status.account = self.duplicates.owner().or(status.account);
            status.owner = received.owner.as_ref().map(ToString::to_string);
            status.image_name = image_name(&received.name);
            let via = received.via.iter().take(50);
            status.via =
                via.map(|(via, answer)| Via { kind: via.kind, id: via.id.to_string(), answer: *answer }).collect();
        } else {
            status.via = Vec::new();
        }
        status.conditions = self.conditions(&standing);
        self.status.write_if_new(status).await?;
        self.tell(before, plan.state);
        Ok(Next::Requeue(verdict))
    }

    fn sign(&self, status: &mut SharedImageAcceptanceStatus) {
        status.observed_generation = self.acceptance.metadata.generation;
        status.last_handled_reconcile_at =
            requested_at(self.acceptance).or_else(|| status.last_handled_reconcile_at.clone());
    }

    fn conditions(
        &self,
        standing: &Result<(Reason, String), Problem>,
    ) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
        let decide = |kind, truth, reason, message: &str| Decision { kind, truth, reason, message: message.to_owned() };
        let decisions = match standing {
            Ok((reason, message)) => {
                let accepted = if *reason == Reason::Rejected { Truth::False } else { Truth::True };
                vec![decide(READY, Truth::True, *reason, message), decide(ACCEPTED, accepted, *reason, message)]
            }
            Err(problem) => {
                let (truth, reason, message) = (problem.truth(), problem.reason, problem.message.as_str());
                let mut decisions =
                    vec![decide(READY, truth, reason, message), decide(ACCEPTED, truth, reason, message)];
                let created = self.acceptance.metadata.creation_timestamp.as_ref().map(|time| time.0);
                let may_come = grace_left(reason, created, self.ctx.clock.now()).is_some();
                let moving = problem.recovery != Recovery::Blocked || waits_for_the_owner(problem) || may_come;
                let kind = if moving { RECONCILING } else { STALLED };
                if reason != Reason::Suspended {
                    decisions.push(decide(kind, Truth::True, reason, message));
                }
                decisions
            }
        };
        conditions(
            &self.status.written().conditions,
            decisions.into_iter().chain(self.duplicates.decision()),
            self.acceptance.metadata.generation,
            self.ctx.clock.now(),
        )
    }

    fn tell(&self, before: Option<OfferState>, after: OfferState) {
        let image = &self.acceptance.spec.image_id;
        let owner = self.status.written().owner.as_deref().unwrap_or("its owner");
        let told = match (before, after) {
            (before, after) if before == Some(after) => None,
            (_, OfferState::Accepted) => Some((EventReason::Accepted, format!("accepted image {image} of {owner}"))),
            (_, OfferState::Rejected) => Some((EventReason::Rejected, format!("rejected image {image} of {owner}"))),
            (_, OfferState::Pending) => Some((EventReason::OfferReceived, format!("{owner} offers image {image}"))),
            (_, OfferState::Revoked) => Some((
                EventReason::RevokedByOwner,
                format!(
                    "{owner} took image {image} back: servers made from it cannot re-initialise their system disk or \
                     change their OS any more, and no new servers can be made"
                ),
            )),
            (_, OfferState::NotOffered | OfferState::Shared) => None,
        };
        if let Some((what, note)) = told {
            self.ctx.events.publish(self.acceptance, what, note);
        }
    }
}
