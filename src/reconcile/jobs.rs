//! Following a job at the cloud from look to look: nothing waits for one inside a reconcile.

use jiff::{SignedDuration, Timestamp};

use crate::clouds::{Cloud, Fault, JobProgress, Priority};
use crate::domain::identifiers::RegionId;
use crate::planning::ledger::Job;
use crate::planning::schedule::next_job_look;
use crate::reconcile::context::Context;

/// After so long a job is not asked for any more, and the cloud is read as if it had ended: none takes minutes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// How a job stands.
pub(crate) enum Followed {
    /// Under way: ask again then.
    Running(Timestamp),
    /// Over: what it did is told by reading.
    Ended,
    /// Failed, perhaps after a part of its work.
    Failed(Fault),
}

/// Asks once how a job stands.
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
