//! The `CloudImage` controller: the unit of reconciliation is the image, because recipients, limits and deletion are
//! properties of an image at the cloud. Only this controller changes who has an image.

mod access;
mod conditions;
mod copies;
mod deletion;
mod event_reasons;
mod execute;
mod observe;
mod report;
mod sharing;

use std::ops::ControlFlow::Break;

use crate::api::CloudImage;
use crate::clouds::Priority;
use crate::cluster::guard::{Guarded, Unreadable};
use crate::planning::unreadable::image_leaves_behind;
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Context;
use crate::reconcile::frame::{Due, LeftBehind, Reconcile, Reconciled};
use crate::reconcile::status::is_requested;
use observe::{Desired, need, observe_desired};
use report::ImageReporter;
use sharing::ImageReconcile;

impl Reconcile for CloudImage {
    type Desired = Desired;

    async fn left_behind(_: &Context, _: &Guarded<Self>, left: &Unreadable) -> LeftBehind {
        Ok(image_leaves_behind(&left.spec, &left.status).map(ToOwned::to_owned))
    }

    fn observe(&self, caches: &Caches<'_>) -> Desired {
        observe_desired(caches, self)
    }

    fn expects_dependency(desired: &Desired) -> bool {
        desired.expecting
    }

    fn is_settled(&self, desired: &Desired, ctx: &Context) -> bool {
        let is_resync = |ledger| need(ctx, self, desired, ledger).priority(true) == Priority::Resync;
        desired.ledger.as_ref().is_ok_and(is_resync)
    }

    async fn run(&self, ctx: &Context, desired: Desired, due: Due<Self>) -> Reconciled {
        let mut reporter = ImageReporter::new(ctx, self, &desired);
        let ledger = match &desired.ledger {
            Ok(ledger) => ledger.clone().not_after(ctx.clock.now()),
            Err(error) => return reporter.unreadable_ledger(error).await,
        };
        reporter.base.init_status(&[]).await?;
        let deleting = self.metadata.deletion_timestamp.is_some();
        if deleting && let Break(next) = deletion::without_the_cloud(&mut reporter, &ledger, due.changed()).await? {
            return Ok(next);
        }
        let priority = need(ctx, self, &desired, &ledger).priority(due.changed());
        let requested = is_requested(self);
        let reconcile = ImageReconcile { ctx, image: self, desired: &desired, priority, deleting, requested, reporter };
        let work = Box::pin(reconcile.run(ledger));
        due.seated(&self.spec.account_ref.name, &self.spec.region, priority, work).await
    }
}
