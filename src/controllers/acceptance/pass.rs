//! One reconcile of one offer: observe, plan, write the intent, answer, observe again, report.

use kube::ResourceExt;

use super::observe::{Desired, Site, observe_site};
use super::report::{Reporter, relist};
use crate::api::SharedImageAcceptance;
use crate::api::acceptance::AcceptanceDecision;
use crate::api::conditions::{READY, Reason, find};
use crate::clouds::{Fault, Priority, Submitted};
use crate::cluster::ClusterError;
use crate::cluster::guard::Guarded;
use crate::domain::image::{ReceivedImage, Reply};
use crate::planning::acceptance::{AcceptancePlan, Offer, plan_acceptance};
use crate::planning::problem::Problem;
use crate::planning::schedule::Requeue;
use crate::reconcile::admission::Worker;
use crate::reconcile::context::Context;
use crate::reconcile::jobs::{Followed, follow};
use crate::reconcile::requeue::{Asked, Next, later, release};

/// Runs one reconcile; the part that may call the cloud waits for a seat.
pub(super) async fn run(
    ctx: &Context,
    acceptance: &SharedImageAcceptance,
    desired: Desired,
    (asked, worker): (Asked, Worker<Guarded<SharedImageAcceptance>>),
) -> Result<Next, ClusterError> {
    let mut reporter = Reporter::new(ctx, acceptance, &desired.duplicates);
    reporter.init_status().await?;
    let priority = priority(acceptance, asked.changed() || acceptance.metadata.deletion_timestamp.is_some());
    let (account, region) = (&acceptance.spec.account_ref.name, &acceptance.spec.region);
    let Some(seat) = worker.begin(account, region, asked.with(priority)) else { return Ok(Next::Queued) };
    seat.call(Box::pin(act(ctx, acceptance, &mut reporter, &desired, priority))).await
}

/// The part of a reconcile that may call the cloud.
async fn act(
    ctx: &Context,
    acceptance: &SharedImageAcceptance,
    reporter: &mut Reporter<'_>,
    desired: &Desired,
    priority: Priority,
) -> Result<Next, ClusterError> {
    let deleting = acceptance.metadata.deletion_timestamp.is_some();
    let site = match observe_site(ctx, acceptance, desired).await {
        Ok(site) => site,
        // The active object answers the offer, or no account is left to answer with: this deletion calls no cloud.
        Err(problem) if deleting && NOTHING_TO_REJECT.contains(&problem.reason) => return leave(ctx, acceptance).await,
        Err(problem) if deleting => return reporter.problem(problem.or_if_closed(RETAIN)).await,
        Err(problem) => return reporter.problem(problem).await,
    };
    let pass = Pass { ctx, desired, site: &site, deleting, priority };
    let mut failed = None;
    if let Some(job) = reporter.job() {
        let cloud = site.access.connection.cloud.as_ref();
        match follow(ctx, cloud, &site.at.region, &job, priority.escalate()).await {
            Ok(Followed::Running(until)) => return Ok(Next::Requeue(Requeue::Waiting(until))),
            Ok(Followed::Ended) => {}
            Ok(Followed::Failed(fault)) => failed = Some(fault),
            Err(fault) => return pass.unseen(reporter, fault).await,
        }
    }
    let received = match site.access.connection.cloud.observe_received(&site.at, priority).await {
        Ok(received) => received,
        Err(Fault::BudgetSpent { retry_after }) if priority == Priority::Resync => {
            return Ok(Next::Requeue(Requeue::Waiting(later(ctx, retry_after))));
        }
        // A process that stops reports nothing: the next process reconciles the offer.
        Err(Fault::NotLeading) => return Ok(Next::Requeue(Requeue::Retrying { not_before: None })),
        Err(fault) => return pass.unseen(reporter, fault).await,
    };
    if received.is_some() && desired.duplicates.must_claim() {
        return reporter.claim().await;
    }
    let plan = pass.plan(acceptance, received.as_ref(), reporter.known());
    match (&plan.reply, failed) {
        (Some(_), Some(fault)) => reporter.finish(received.as_ref(), plan, Some(Problem::from(&fault))).await,
        (Some(reply), None) if site.access.only_to_end.is_none() || deleting => {
            pass.answer(acceptance, reporter, received, reply.clone()).await
        }
        (Some(_), None) => reporter.finish(received.as_ref(), plan, site.access.only_to_end.clone()).await,
        (None, _) if deleting => leave(ctx, acceptance).await,
        (None, _) => reporter.finish(received.as_ref(), plan, None).await,
    }
}

/// Reasons for which a deleting acceptance rejects nothing.
const NOTHING_TO_REJECT: [Reason; 3] = [Reason::DuplicateAcceptance, Reason::AccountNotFound, Reason::AccountChanged];

/// How to release a deleting acceptance.
const RETAIN: &str = "set deletionPolicy: Retain to leave the answer as it is and let this object go";

async fn leave(ctx: &Context, acceptance: &SharedImageAcceptance) -> Result<Next, ClusterError> {
    release(ctx, acceptance).await?;
    relist(ctx, acceptance);
    Ok(Next::Gone)
}

/// After a restart every object looks changed; a settled one is not.
fn priority(acceptance: &SharedImageAcceptance, changed: bool) -> Priority {
    let status = acceptance.status.as_ref();
    let ready = status.and_then(|s| find(&s.conditions, READY)).is_some_and(|condition| condition.status == "True");
    let seen = status.and_then(|s| s.observed_generation) == acceptance.metadata.generation;
    let under_way = status.is_some_and(|s| s.job.is_some());
    if under_way || (changed && !(ready && seen)) { Priority::Acceptance } else { Priority::Resync }
}

struct Pass<'a> {
    ctx: &'a Context,
    desired: &'a Desired,
    site: &'a Site,
    deleting: bool,
    priority: Priority,
}

impl Pass<'_> {
    fn plan(
        &self,
        acceptance: &SharedImageAcceptance,
        received: Option<&ReceivedImage>,
        known: bool,
    ) -> AcceptancePlan {
        // Its `deletionPolicy` is Reject, or the reconcile would have released it earlier.
        let decision = if self.deleting { AcceptanceDecision::Reject } else { acceptance.spec.decision };
        plan_acceptance(&Offer {
            provider: self.site.provider,
            decision,
            trusted: &self.site.trusted,
            vault: self.site.vault.as_ref(),
            received,
            known,
        })
    }

    async fn note(&self, fault: &Fault) {
        if let Some(account) = &self.desired.account {
            self.ctx.connections.note(account, fault).await;
        }
    }

    async fn unseen(&self, reporter: &mut Reporter<'_>, fault: Fault) -> Result<Next, ClusterError> {
        self.note(&fault).await;
        let problem = Problem::from(&fault);
        reporter.problem(if self.deleting { problem.or_if_closed(RETAIN) } else { problem }).await
    }

    /// Answers and observes the result; where a job carries the answer out, the next reconciles observe it.
    async fn answer(
        &self,
        acceptance: &SharedImageAcceptance,
        reporter: &mut Reporter<'_>,
        received: Option<ReceivedImage>,
        reply: Reply,
    ) -> Result<Next, ClusterError> {
        let decision = if reply == Reply::Reject { AcceptanceDecision::Reject } else { AcceptanceDecision::Accept };
        planted!("answer-before-ledger", reporter.record_intent(decision).await?, ());
        let (cloud, at) = (&self.site.access.connection.cloud, &self.site.at);
        let answered = cloud.answer(at, &reply, self.priority.escalate()).await;
        tracing::info!(
            image.id = %at.image, image.region = %at.region, answer = ?decision, object.name = %acceptance.name_any(),
            fault = answered.as_ref().err().map(tracing::field::display), "answered an offer"
        );
        match answered {
            Ok(Submitted::Job(job)) => reporter.under_way(job).await,
            Ok(Submitted::Done) => match cloud.observe_received(at, self.priority.escalate()).await {
                Ok(after) => {
                    let plan = self.plan(acceptance, after.as_ref(), reporter.known());
                    if self.deleting && plan.reply.is_none() {
                        return leave(self.ctx, &reporter.current()).await;
                    }
                    reporter.finish(after.as_ref(), plan, None).await
                }
                Err(fault) => self.unseen(reporter, fault).await,
            },
            Err(fault) => {
                self.note(&fault).await;
                let plan = self.plan(acceptance, received.as_ref(), reporter.known());
                reporter.finish(received.as_ref(), plan, Some(Problem::from(&fault))).await
            }
        }
    }
}
