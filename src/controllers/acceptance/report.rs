//! Reports a reconcile of one offer: its status, its events, and the next requeue.

use super::observe::Desired;
use crate::api::SharedImageAcceptance;
use crate::api::acceptance::{AcceptanceDecision, OfferState, SharedImageAcceptanceStatus, Via};
use crate::api::conditions::{ACCEPTED, Decision, READY, RECONCILING, Reason, STALLED, Truth};
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
use crate::planning::schedule::{Requeue, next_job_poll};
use crate::reconcile::context::Context;
use crate::reconcile::convert::created_at;
use crate::reconcile::reporter::Reporter;
use crate::reconcile::requeue::Next;

/// Reports the reconcile of an offer.
pub(super) struct OfferReporter<'a> {
    desired: &'a Desired,
    pub(super) base: Reporter<'a, SharedImageAcceptance>,
}

impl<'a> OfferReporter<'a> {
    pub(super) fn new(ctx: &'a Context, acceptance: &'a SharedImageAcceptance, desired: &'a Desired) -> Self {
        Self { desired, base: Reporter::new(ctx, acceptance) }
    }

    /// Asks for a listing of the region in the account's inventory: the state of the offer changed.
    pub(super) fn relist(&self) {
        if let Ok(account) = &self.desired.account {
            self.base.ctx.relistings.ask(account, &self.base.object.spec.region);
        }
    }

    /// The job that carries out the last answer, if the status records one.
    pub(super) fn job(&self) -> Option<Job> {
        self.base.written().job.as_ref().and_then(|job| Job::parse(job).ok())
    }

    /// Whether an earlier reconcile observed the image as shared with us.
    pub(super) fn known(&self) -> bool {
        self.base.written().state.is_some_and(|state| state != OfferState::NotOffered)
    }

    /// Records the intended answer.
    pub(super) async fn record_intent(&mut self, decision: AcceptanceDecision) -> Result<(), ClusterError> {
        let mut status = self.base.written().clone();
        status.answering = Some(decision);
        status.account = self.desired.duplicates.owner().or(status.account);
        self.base.record_intent(status).await.map(drop)
    }

    /// Records the job that carries the answer out.
    pub(super) async fn job_started(&mut self, job: JobId) -> Result<Next, ClusterError> {
        let now = self.base.ctx.clock.now();
        let job = Some(Job { id: job, since: now }.encode());
        let status = SharedImageAcceptanceStatus { job, ..self.base.written().clone() };
        self.base.record_intent(status).await?;
        Ok(Next::at(next_job_poll(now, now)))
    }

    /// Reports a reconcile that could not observe the offer. The recorded state of the offer stays.
    pub(super) async fn problem(&mut self, problem: Problem) -> Result<Next, ClusterError> {
        let requeue = Requeue::from(&problem);
        let decisions = self.decisions(&Err(problem));
        self.base.report(self.base.written().clone(), Some(decisions)).await?;
        Ok(Next::Requeue(requeue))
    }

    /// Reports the observed offer. `problem`: what kept the operator from answering.
    pub(super) async fn finish(
        &mut self,
        received: Option<&ReceivedImage>,
        plan: AcceptancePlan,
        problem: Option<Problem>,
    ) -> Result<Next, ClusterError> {
        let result = problem.map_or(plan.result, Err);
        let requeue = result.as_ref().map_or_else(Requeue::from, |_| Requeue::Settled);
        let before = self.base.written().state;
        let mut status = self.base.written().clone();
        status.job = None;
        status.state = Some(plan.state);
        if let Some(received) = received {
            status.account = self.desired.duplicates.owner().or(status.account);
            status.owner = received.owner.as_ref().map(ToString::to_string);
            status.image_name = image_name(&received.name);
            let via = received.via.iter().take(50);
            status.via =
                via.map(|(via, answer)| Via { kind: via.kind, id: via.id.to_string(), answer: *answer }).collect();
        } else {
            status.via = Vec::new();
        }
        self.base.report(status, Some(self.decisions(&result))).await?;
        if before != Some(plan.state) {
            if before.is_some() || plan.state != OfferState::NotOffered {
                self.relist();
            }
            self.publish_event(plan.state);
        }
        Ok(Next::Requeue(requeue))
    }

    fn decisions(&self, result: &Result<(Reason, String), Problem>) -> Vec<Decision> {
        let (truth, reason, message) = match result {
            Ok((reason, message)) => (Truth::True, *reason, message),
            Err(problem) => (problem.truth(), problem.reason, &problem.message),
        };
        let decide = |kind, truth| Decision { kind, truth, reason, message: message.clone() };
        let accepted = if reason == Reason::Rejected { Truth::False } else { truth };
        let mut decisions = vec![decide(READY, truth), decide(ACCEPTED, accepted)];
        if let Err(problem) = result
            && reason != Reason::Suspended
        {
            let now = self.base.ctx.clock.now();
            let may_come = grace_left(reason, created_at(self.base.object), now).is_some();
            let moving = problem.recovery != Recovery::Blocked || waits_for_the_owner(problem) || may_come;
            decisions.push(decide(if moving { RECONCILING } else { STALLED }, Truth::True));
        }
        decisions.extend(self.desired.duplicates.decision());
        decisions
    }

    fn publish_event(&self, state: OfferState) {
        let image = &self.base.object.spec.image_id;
        let owner = self.base.written().owner.as_deref().unwrap_or("its owner");
        let (reason, note) = match state {
            OfferState::Accepted => (EventReason::Accepted, format!("accepted image {image} of {owner}")),
            OfferState::Rejected => (EventReason::Rejected, format!("rejected image {image} of {owner}")),
            OfferState::Pending => (EventReason::OfferReceived, format!("{owner} offers image {image}")),
            OfferState::Revoked => (
                EventReason::RevokedByOwner,
                format!(
                    "{owner} took image {image} back: servers made from it cannot re-initialise their system disk or \
                     change their OS any more, and no new servers can be made"
                ),
            ),
            OfferState::NotOffered | OfferState::Shared => return,
        };
        self.base.event(reason, note);
    }
}
