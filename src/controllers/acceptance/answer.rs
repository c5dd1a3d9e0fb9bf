//! The part of an offer's reconcile that may call the cloud: observe, plan, record the intended answer, answer, observe again,
//! report.

use std::ops::ControlFlow::{self, Break, Continue};

use kube::ResourceExt;

use super::observe::{Desired, OfferAccess, observe_access};
use super::report::OfferReporter;
use crate::api::SharedImageAcceptance;
use crate::api::acceptance::AcceptanceDecision;
use crate::api::conditions::Reason;
use crate::clouds::{Fault, Priority, Submitted};
use crate::cluster::ClusterError;
use crate::domain::image::{ReceivedImage, Reply};
use crate::planning::acceptance::{AcceptancePlan, Offer, plan_acceptance};
use crate::planning::problem::Problem;
use crate::reconcile::access::note_fault;
use crate::reconcile::context::Context;
use crate::reconcile::duplicates::CLAIM_SETTLES;
use crate::reconcile::jobs::follow;
use crate::reconcile::requeue::{Next, later, release, unobserved};

/// Reasons for which a deleting acceptance rejects nothing: the active object answers the offer, or no account is left to
/// answer with.
const NOTHING_TO_REJECT: [Reason; 3] = [Reason::DuplicateAcceptance, Reason::AccountNotFound, Reason::AccountChanged];

/// How to release a deleting acceptance.
const RETAIN: &str = "set deletionPolicy: Retain to leave the answer as it is and let this object go";

/// One reconcile of one offer.
pub(super) struct OfferReconcile<'a> {
    pub(super) ctx: &'a Context,
    pub(super) acceptance: &'a SharedImageAcceptance,
    pub(super) desired: &'a Desired,
    pub(super) deleting: bool,
    pub(super) priority: Priority,
    pub(super) reporter: OfferReporter<'a>,
}

impl OfferReconcile<'_> {
    pub(super) async fn run(mut self) -> Result<Next, ClusterError> {
        let access = match observe_access(self.ctx, self.acceptance, self.desired).await {
            Ok(access) => access,
            Err(problem) if self.deleting && NOTHING_TO_REJECT.contains(&problem.reason) => {
                return self.leave().await;
            }
            Err(problem) => return self.report_problem(problem).await,
        };
        let (received, failed) = match self.observe(&access).await {
            Continue(Ok(observed)) => observed,
            Continue(Err(fault)) => return self.report_fault(fault).await,
            Break(next) => return Ok(next),
        };
        if received.is_some() && !self.desired.duplicates.may_act(self.ctx, self.acceptance) {
            return Ok(Next::at(later(self.ctx, CLAIM_SETTLES)));
        }
        let plan = self.plan(&access, received.as_ref(), self.reporter.known());
        let hindrance = match failed {
            Some(fault) => Some(Problem::from(&fault)),
            None => access.access.only_to_end.clone().filter(|_| !self.deleting),
        };
        match (&plan.reply, hindrance) {
            (Some(reply), None) => self.answer(&access, received, reply.clone()).await,
            (Some(_), hindrance) => self.reporter.finish(received.as_ref(), plan, hindrance).await,
            (None, _) if self.deleting => self.leave().await,
            (None, _) => self.reporter.finish(received.as_ref(), plan, None).await,
        }
    }

    /// Observes the job of the last answer, if there is one, and then the offer. Returns the offer and how the job failed.
    async fn observe(
        &self,
        access: &OfferAccess,
    ) -> ControlFlow<Next, Result<(Option<ReceivedImage>, Option<Fault>), Fault>> {
        let cloud = access.access.connection.cloud.as_ref();
        let (job, priority) = (self.reporter.job(), self.priority.escalate());
        let failed = match follow(self.ctx, cloud, &access.at.region, job.as_ref(), priority).await? {
            Ok(failed) => failed,
            Err(fault) => return Continue(Err(fault)),
        };
        match cloud.observe_received(&access.at, self.priority).await {
            Ok(received) => Continue(Ok((received, failed))),
            Err(fault) => unobserved(self.ctx, fault, self.priority).map_continue(Err),
        }
    }

    fn plan(&self, access: &OfferAccess, received: Option<&ReceivedImage>, known: bool) -> AcceptancePlan {
        // Its `deletionPolicy` is Reject, or the reconcile would have released it earlier.
        let decision = if self.deleting { AcceptanceDecision::Reject } else { self.acceptance.spec.decision };
        plan_acceptance(&Offer {
            provider: access.provider,
            decision,
            trusted: &access.trusted,
            vault: access.vault.as_ref(),
            received,
            known,
        })
    }

    /// Answers and observes the result; where a job carries the answer out, the next reconciles observe it.
    async fn answer(
        &mut self,
        access: &OfferAccess,
        received: Option<ReceivedImage>,
        reply: Reply,
    ) -> Result<Next, ClusterError> {
        let decision = if reply == Reply::Reject { AcceptanceDecision::Reject } else { AcceptanceDecision::Accept };
        planted!("answer-before-ledger", self.reporter.record_intent(decision).await?, ());
        let (cloud, at) = (&access.access.connection.cloud, &access.at);
        let answered = cloud.answer(at, &reply, self.priority.escalate()).await;
        tracing::info!(
            image.id = %at.image, image.region = %at.region, answer = ?decision,
            object.name = %self.acceptance.name_any(),
            fault = answered.as_ref().err().map(tracing::field::display), "answered an offer"
        );
        match answered {
            Ok(Submitted::Job(job)) => self.reporter.job_started(job).await,
            Ok(Submitted::Done) => match cloud.observe_received(at, self.priority.escalate()).await {
                Ok(after) => {
                    let plan = self.plan(access, after.as_ref(), self.reporter.known());
                    if self.deleting && plan.reply.is_none() {
                        return self.leave().await;
                    }
                    self.reporter.finish(after.as_ref(), plan, None).await
                }
                Err(fault) => self.report_fault(fault).await,
            },
            Err(fault) => {
                note_fault(self.ctx, &self.desired.account, &fault).await;
                let plan = self.plan(access, received.as_ref(), self.reporter.known());
                self.reporter.finish(received.as_ref(), plan, Some(Problem::from(&fault))).await
            }
        }
    }

    async fn report_fault(&mut self, fault: Fault) -> Result<Next, ClusterError> {
        note_fault(self.ctx, &self.desired.account, &fault).await;
        self.report_problem(Problem::from(&fault)).await
    }

    async fn report_problem(&mut self, problem: Problem) -> Result<Next, ClusterError> {
        self.reporter.problem(if self.deleting { problem.or_if_closed(RETAIN) } else { problem }).await
    }

    async fn leave(&self) -> Result<Next, ClusterError> {
        release(self.ctx, &self.reporter.base.current()).await?;
        self.reporter.relist();
        Ok(Next::Gone)
    }
}
