//! Polls a job at the cloud across reconciles: no reconcile blocks on a job.

use jiff::{SignedDuration, Timestamp};

use crate::clouds::{Cloud, Fault, JobProgress, Priority};
use crate::domain::identifiers::RegionId;
use crate::planning::ledger::Job;
use crate::planning::schedule::next_job_look;
use crate::reconcile::context::Context;

/// After this time the operator stops polling a job and reads the cloud as if the job had ended: no job takes minutes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// The state of a job.
pub(crate) enum Followed {
    /// Still running: poll again at this time.
    Running(Timestamp),
    /// Ended: only a read of the cloud shows what it did.
    Ended,
    /// Failed, perhaps after part of its work.
    Failed(Fault),
}

/// Polls a job once.
pub(crate) async fn follow(
    ctx: &Context,
    cloud: &dyn Cloud,
    region: &RegionId,
    job: &Job,
    priority: Priority,
) -> Result<Followed, Fault> {
    let progress = cloud.follow_job(region, &job.id, priority).await?;
    let now = ctx.clock.now();
    Ok(match progress {
        JobProgress::Running if now.duration_since(job.since) < PATIENCE => {
            Followed::Running(next_job_look(job.since, now))
        }
        JobProgress::Running | JobProgress::Ended => Followed::Ended,
        JobProgress::Failed(fault) => Followed::Failed(fault),
    })
}
