//! The `ImageReplica` controller: makes one copy, once, and creates a `CloudImage` for it.

mod cloud_image;
mod copy;
mod observe;
mod report;

use crate::api::ImageReplica;
use crate::api::conditions::{REPLICATED, Reason};
use crate::api::image_replica::ReplicaDeletionPolicy;
use crate::cluster::ClusterError;
use crate::cluster::guard::{Guarded, Unreadable};
use crate::planning::problem::Problem;
use crate::planning::replica::Stage;
use crate::planning::schedule::Requeue;
use crate::planning::unreadable::replica_leaves_behind;
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Context;
use crate::reconcile::frame::{Due, LeftBehind, Reconcile, Reconciled};
use crate::reconcile::requeue::Next;
use copy::{PRIORITY, leave, reconcile_copy};
use observe::{Desired, observe_desired};
use report::{ReplicaReporter, Shown};

impl Reconcile for ImageReplica {
    type Desired = Desired;

    async fn left_behind(_: &Context, _: &Guarded<Self>, left: &Unreadable) -> LeftBehind {
        Ok(replica_leaves_behind(&left.spec, &left.status).map(ToOwned::to_owned))
    }

    fn observe(&self, caches: &Caches<'_>) -> Desired {
        observe_desired(caches, self)
    }

    async fn run(&self, ctx: &Context, desired: Desired, due: Due<Self>) -> Reconciled {
        let mut reporter = ReplicaReporter::new(ctx, self);
        reporter.base.init_status(&[REPLICATED]).await?;
        if let Some(uid) = self.status.as_ref().and_then(|status| status.cloud_image_uid.as_deref()) {
            return finished(reporter, uid).await;
        }
        let last = match &desired.last {
            Ok(last) => last.as_ref(),
            Err(error) => {
                return reporter.problem(Problem::blocked(Reason::Unreadable, format!("status.copy: {error}"))).await;
            }
        };
        let is_under_way = last.is_some_and(|attempt| attempt.stage != Stage::Failed);
        if self.metadata.deletion_timestamp.is_some() && !is_under_way {
            return leave(&reporter).await;
        }
        if self.spec.suspend && !is_under_way {
            return reporter.problem(Problem::blocked(Reason::Suspended, "spec.suspend: no copy is begun")).await;
        }
        let accounts: Vec<&str> = desired.accounts.keys().map(String::as_str).collect();
        let work = Box::pin(reconcile_copy(ctx, self, reporter, &desired, last));
        due.seated(&accounts.join("+"), "", PRIORITY, work).await
    }
}

/// Reconciles a finished copy. Its `CloudImage` manages it from then on, so that this calls no cloud.
async fn finished(mut reporter: ReplicaReporter<'_>, uid: &str) -> Result<Next, ClusterError> {
    let (ctx, replica) = (reporter.base.ctx, reporter.base.object);
    if replica.metadata.deletion_timestamp.is_none() {
        reporter.report(Shown::Replicated, |_| {}).await?;
        return Ok(Next::Requeue(Requeue::Settled));
    }
    if planted!("copy-retain-ignored", replica.spec.deletion_policy == ReplicaDeletionPolicy::Delete, true)
        && let Some(waiting) = cloud_image::delete(ctx, replica, uid).await?
    {
        return reporter.problem(waiting).await;
    }
    leave(&reporter).await
}
