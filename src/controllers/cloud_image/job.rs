//! Following a job at the cloud from look to look: nothing waits for one inside a reconcile.

use jiff::{SignedDuration, Timestamp};

use super::observe::Site;
use crate::clouds::{Fault, JobProgress, Lane};
use crate::controllers::context::Context;
use crate::planning::ledger::Job;

/// After so long a job is not asked for any more, and the image is read as if it had ended: none takes minutes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
const SOONEST: SignedDuration = SignedDuration::from_millis(300);
const LATEST: SignedDuration = SignedDuration::from_secs(5);

/// How a job stands.
pub(super) enum Followed {
    /// Under way: ask again then.
    Running(Timestamp),
    /// Over: what it did is told by the image's recipients.
    Ended,
    /// Failed, perhaps after a part of its work.
    Failed(Fault),
}

/// Asks once how a job stands.
pub(super) async fn follow(ctx: &Context, site: &Site, job: &Job, lane: Lane) -> Result<Followed, Fault> {
    let progress = site.connection.cloud.follow_job(&site.at.region, &job.id, lane.max(Lane::Edit)).await?;
    let now = ctx.clock.now();
    Ok(match progress {
        JobProgress::Running if now.duration_since(job.since) < PATIENCE => Followed::Running(next_look(job, now)),
        JobProgress::Running | JobProgress::Ended => Followed::Ended,
        JobProgress::Failed(fault) => Followed::Failed(fault),
    })
}

/// Jobs end within seconds: asked for after a half of the time they already took.
pub(super) fn next_look(job: &Job, now: Timestamp) -> Timestamp {
    let pause = (now.duration_since(job.since) / 2).clamp(SOONEST, LATEST);
    now.saturating_add(pause).unwrap_or(Timestamp::MAX)
}
