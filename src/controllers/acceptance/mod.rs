//! The `SharedImageAcceptance` controller: answers one offer as its spec decides, and reports the result.

mod answer;
mod observe;
mod report;

use crate::api::SharedImageAcceptance;
use crate::api::acceptance::AcceptanceDeletionPolicy;
use crate::api::conditions::ACCEPTED;
use crate::clouds::Priority;
use crate::cluster::guard::{Guarded, Unreadable};
use crate::planning::unreadable::acceptance_leaves_behind;
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Context;
use crate::reconcile::frame::{Due, LeftBehind, Reconcile, Reconciled};
use crate::reconcile::requeue::{Next, release};
use crate::reconcile::status::{is_observed, is_ready};
use answer::OfferReconcile;
use observe::{Desired, observe_desired};
use report::OfferReporter;

impl Reconcile for SharedImageAcceptance {
    type Desired = Desired;

    async fn left_behind(_: &Context, _: &Guarded<Self>, left: &Unreadable) -> LeftBehind {
        Ok(acceptance_leaves_behind(&left.spec, &left.status).map(ToOwned::to_owned))
    }

    fn observe(&self, caches: &Caches<'_>) -> Desired {
        observe_desired(caches, self)
    }

    fn expects_dependency(desired: &Desired) -> bool {
        desired.expecting
    }

    async fn run(&self, ctx: &Context, desired: Desired, due: Due<Self>) -> Reconciled {
        let deleting = self.metadata.deletion_timestamp.is_some();
        if deleting && self.spec.deletion_policy == AcceptanceDeletionPolicy::Retain {
            release(ctx, self).await?;
            return Ok(Next::Gone);
        }
        let mut reporter = OfferReporter::new(ctx, self, &desired);
        reporter.base.init_status(&[ACCEPTED]).await?;
        let priority = priority(self, due.changed() || deleting);
        let reconcile = OfferReconcile { ctx, acceptance: self, desired: &desired, deleting, priority, reporter };
        due.seated(&self.spec.account_ref.name, &self.spec.region, priority, Box::pin(reconcile.run())).await
    }
}

/// After a restart every object looks changed; a settled one is not.
fn priority(acceptance: &SharedImageAcceptance, changed: bool) -> Priority {
    let has_job = acceptance.status.as_ref().is_some_and(|status| status.job.is_some());
    let settled = is_ready(acceptance) && is_observed(acceptance);
    if has_job || (changed && !settled) { Priority::Acceptance } else { Priority::Resync }
}
