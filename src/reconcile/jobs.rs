//! Polls a job at the cloud across reconciles: no reconcile blocks on a job.

use std::ops::ControlFlow::{self, Break, Continue};

use jiff::SignedDuration;

use crate::clouds::{Cloud, Fault, JobProgress, Priority};
use crate::domain::identifiers::RegionId;
use crate::planning::ledger::Job;
use crate::planning::schedule::next_job_poll;
use crate::reconcile::context::Context;
use crate::reconcile::requeue::Next;

/// After this time the operator stops polling a job and reads the cloud as if the job had ended: no job takes minutes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// Polls the job of the last calls once, if there is one; `Break` while it runs. Returns how it failed, perhaps after part of its
/// work. Of a job that ended, only a read of the cloud shows what it did.
pub(crate) async fn follow(
    ctx: &Context,
    cloud: &dyn Cloud,
    region: &RegionId,
    job: Option<&Job>,
    priority: Priority,
) -> ControlFlow<Next, Result<Option<Fault>, Fault>> {
    let Some(job) = job else { return Continue(Ok(None)) };
    let progress = cloud.follow_job(region, &job.id, priority).await;
    let now = ctx.clock.now();
    match progress {
        Ok(JobProgress::Running) if now.duration_since(job.since) < PATIENCE => {
            Break(Next::at(next_job_poll(job.since, now)))
        }
        Ok(JobProgress::Running | JobProgress::Ended) => Continue(Ok(None)),
        Ok(JobProgress::Failed(fault)) => Continue(Ok(Some(fault))),
        Err(fault) => Continue(Err(fault)),
    }
}
