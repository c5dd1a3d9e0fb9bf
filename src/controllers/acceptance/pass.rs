//! One pass over one offer: observe, plan, write the intent, answer, observe again, report.

use kube::ResourceExt;

use super::observe::{Desired, Site, observe_site};
use super::report::Reporter;
use crate::api::SharedImageAcceptance;
use crate::api::acceptance::AcceptanceDecision;
use crate::api::conditions::{READY, Reason, find};
use crate::clouds::{Fault, Lane, Submitted};
use crate::cluster::ClusterError;
use crate::cluster::guard::Guarded;
use crate::domain::image::{ReceivedImage, Reply};
use crate::planning::acceptance::{Offer, Opinion, plan_acceptance};
use crate::planning::schedule::Verdict;
use crate::planning::trouble::Trouble;
use crate::reconcile::admission::Worker;
use crate::reconcile::context::Context;
use crate::reconcile::jobs::{Followed, follow};
use crate::reconcile::requeue::{Asked, Passed, later, release};

/// Runs one pass, once its turn to call the cloud has come.
pub(super) async fn run(
    ctx: &Context,
    acceptance: &SharedImageAcceptance,
    desired: Desired,
    (asked, worker): (Asked, Worker<Guarded<SharedImageAcceptance>>),
) -> Result<Passed, ClusterError> {
    let mut reporter = Reporter::new(ctx, acceptance, &desired.duplicates);
    reporter.announce().await?;
    let lane = lane(acceptance, asked.changed() || acceptance.metadata.deletion_timestamp.is_some());
    let (account, region) = (&acceptance.spec.account_ref.name, &acceptance.spec.region);
    let Some(seat) = worker.begin(account, region, asked.with(lane)) else { return Ok(Passed::Queued) };
    seat.call(Box::pin(act(ctx, acceptance, &mut reporter, &desired, lane))).await
}

/// The part of a pass that may call the cloud.
async fn act(
    ctx: &Context,
    acceptance: &SharedImageAcceptance,
    reporter: &mut Reporter<'_>,
    desired: &Desired,
    lane: Lane,
) -> Result<Passed, ClusterError> {
    let leaving = acceptance.metadata.deletion_timestamp.is_some();
    let site = match observe_site(ctx, acceptance, desired).await {
        Ok(site) => site,
        // The active one answers the offer, or nothing is left to answer through: this one's going touches no cloud.
        Err(trouble) if leaving && NOTHING_TO_REJECT.contains(&trouble.reason) => return leave(ctx, acceptance).await,
        Err(trouble) if leaving && trouble.closes_the_way() => return reporter.trouble(trouble.or(RETAIN)).await,
        Err(trouble) => return reporter.trouble(trouble).await,
    };
    let pass = Pass { ctx, desired, site: &site, leaving, lane };
    let mut failed = None;
    if let Some(job) = reporter.job() {
        let cloud = site.access.connection.cloud.as_ref();
        match follow(ctx, cloud, &site.at.region, &job, lane.onwards()).await {
            Ok(Followed::Running(until)) => return Ok(Passed::LookAgain(Verdict::Waiting(until))),
            Ok(Followed::Ended) => {}
            Ok(Followed::Failed(fault)) => failed = Some(fault),
            Err(fault) => return pass.unseen(reporter, fault).await,
        }
    }
    let received = match site.access.connection.cloud.observe_received(&site.at, lane).await {
        Ok(received) => received,
        Err(Fault::BudgetSpent { retry_after }) if lane == Lane::Resync => {
            return Ok(Passed::LookAgain(Verdict::Waiting(later(ctx, retry_after))));
        }
        // A process that stops tells nothing: the next one looks.
        Err(Fault::NotLeading) => return Ok(Passed::LookAgain(Verdict::Retrying { not_before: None })),
        Err(fault) => return pass.unseen(reporter, fault).await,
    };
    if received.is_some() && desired.duplicates.must_claim() {
        return reporter.claim().await;
    }
    let opinion = pass.opinion(acceptance, received.as_ref(), reporter.known());
    match (&opinion.reply, failed) {
        (Some(_), Some(fault)) => reporter.finish(received.as_ref(), opinion, Some(Trouble::from(&fault))).await,
        (Some(reply), None) if site.access.only_to_end.is_none() || leaving => {
            pass.answer(acceptance, reporter, received, reply.clone()).await
        }
        (Some(_), None) => reporter.finish(received.as_ref(), opinion, site.access.only_to_end.clone()).await,
        (None, _) if leaving => leave(ctx, acceptance).await,
        (None, _) => reporter.finish(received.as_ref(), opinion, None).await,
    }
}

/// Reasons for which a leaving acceptance rejects nothing.
const NOTHING_TO_REJECT: [Reason; 3] = [Reason::DuplicateAcceptance, Reason::AccountNotFound, Reason::AccountChanged];

/// What else lets a leaving acceptance go.
const RETAIN: &str = "set deletionPolicy: Retain to leave the answer as it is and let this object go";

async fn leave(ctx: &Context, acceptance: &SharedImageAcceptance) -> Result<Passed, ClusterError> {
    release(ctx, acceptance).await?;
    Ok(Passed::Gone)
}

/// After a restart everything looks changed; what is as asked is not.
fn lane(acceptance: &SharedImageAcceptance, changed: bool) -> Lane {
    let status = acceptance.status.as_ref();
    let ready = status.and_then(|s| find(&s.conditions, READY)).is_some_and(|condition| condition.status == "True");
    let seen = status.and_then(|s| s.observed_generation) == acceptance.metadata.generation;
    let under_way = status.is_some_and(|s| s.job.is_some());
    if under_way || (changed && !(ready && seen)) { Lane::Acceptance } else { Lane::Resync }
}

struct Pass<'a> {
    ctx: &'a Context,
    desired: &'a Desired,
    site: &'a Site,
    leaving: bool,
    lane: Lane,
}

impl Pass<'_> {
    fn opinion(&self, acceptance: &SharedImageAcceptance, received: Option<&ReceivedImage>, known: bool) -> Opinion {
        // Its `deletionPolicy` is Reject, or it would not have come so far.
        let decision = if self.leaving { AcceptanceDecision::Reject } else { acceptance.spec.decision };
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

    async fn unseen(&self, reporter: &mut Reporter<'_>, fault: Fault) -> Result<Passed, ClusterError> {
        self.note(&fault).await;
        let trouble = Trouble::from(&fault);
        reporter.trouble(if self.leaving && trouble.closes_the_way() { trouble.or(RETAIN) } else { trouble }).await
    }

    /// Answers, and looks at what came of it; where a job carries the answer out, the next looks do.
    async fn answer(
        &self,
        acceptance: &SharedImageAcceptance,
        reporter: &mut Reporter<'_>,
        received: Option<ReceivedImage>,
        reply: Reply,
    ) -> Result<Passed, ClusterError> {
        let decision = if reply == Reply::Reject { AcceptanceDecision::Reject } else { AcceptanceDecision::Accept };
        planted!("answer-before-ledger", reporter.intend(decision).await?, ());
        let (cloud, at) = (&self.site.access.connection.cloud, &self.site.at);
        let answered = cloud.answer(at, &reply, self.lane.onwards()).await;
        tracing::info!(
            image.id = %at.image, image.region = %at.region, answer = ?decision, object.name = %acceptance.name_any(),
            fault = answered.as_ref().err().map(tracing::field::display), "answered an offer"
        );
        match answered {
            Ok(Submitted::Job(job)) => reporter.under_way(job).await,
            Ok(Submitted::Done) => match cloud.observe_received(at, self.lane.onwards()).await {
                Ok(after) => {
                    let opinion = self.opinion(acceptance, after.as_ref(), reporter.known());
                    if self.leaving && opinion.reply.is_none() {
                        return leave(self.ctx, &reporter.current()).await;
                    }
                    reporter.finish(after.as_ref(), opinion, None).await
                }
                Err(fault) => self.unseen(reporter, fault).await,
            },
            Err(fault) => {
                self.note(&fault).await;
                let opinion = self.opinion(acceptance, received.as_ref(), reporter.known());
                reporter.finish(received.as_ref(), opinion, Some(Trouble::from(&fault))).await
            }
        }
    }
}
