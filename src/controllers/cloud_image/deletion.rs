//! The end of an image: what blocks its deletion, the call that deletes it at the cloud, and the release of the object.

use std::ops::ControlFlow::{self, Break, Continue};

use super::observe::{ImageAccess, list_shares_afresh, need};
use super::report::{ImageReporter, Report};
use super::sharing::ImageReconcile;
use crate::api::cloud_image::ImageDeletionPolicy;
use crate::clouds::Fault;
use crate::cluster::ClusterError;
use crate::domain::fault::Missing;
use crate::planning::deletion::{DeletionDecision, ObservedImage, ask_again, blockers, deletion_asked, plan_deletion};
use crate::planning::ledger::Ledger;
use crate::planning::problem::Problem;
use crate::reconcile::access::note_fault;
use crate::reconcile::requeue::Next;

/// Ends the reconcile of a deleting image for which no cloud is called: Kubernetes holds nothing more for it, or other objects
/// block its deletion. `changed`: an input did.
pub(super) async fn without_the_cloud(
    reporter: &mut ImageReporter<'_>,
    ledger: &Ledger,
    changed: bool,
) -> Result<ControlFlow<Next>, ClusterError> {
    let (ctx, image, desired) = (reporter.base.ctx, reporter.base.object, reporter.desired);
    let blockers = blockers(&desired.shares, ledger);
    let retained = image.spec.deletion_policy == ImageDeletionPolicy::Retain;
    if retained && !ledger.holds_anything() && desired.replica.is_none() && blockers.is_empty() {
        return reporter.leave(false).await.map(Break);
    }
    let replica = desired.replica.as_deref().filter(|_| retained);
    let held = need(ctx, image, desired, ledger).blocked_by_others(replica);
    let Some(held) = held.filter(|_| changed) else { return Ok(Continue(())) };
    reporter.finish(Report::unobserved(ledger.clone()), &blockers, Some(held)).await.map(Break)
}

impl ImageReconcile<'_> {
    /// Writes the report of a deleting image, and decides whether to delete the image and release the object.
    pub(super) async fn finish_deletion(
        &mut self,
        access: &ImageAccess,
        mut report: Report,
    ) -> Result<Next, ClusterError> {
        let blockers = blockers(&self.desired.shares, &report.ledger);
        let observed = match (&report.facts, report.ledger.absent_since) {
            (Some(facts), _) => ObservedImage::Present { ownership: &facts.ownership, recipients: &report.present },
            (None, Some(since)) => ObservedImage::Absent { since },
            (None, None) => ObservedImage::Unseen,
        };
        let is_active = self.desired.duplicates.problem().is_none();
        let policy = if is_active { self.image.spec.deletion_policy } else { ImageDeletionPolicy::Retain };
        let (replica, window) = (self.desired.replica.as_deref(), self.ctx.settings.timing.absence_window);
        match plan_deletion(&blockers, replica, &report.ledger, policy, observed, window, self.ctx.clock.now()) {
            DeletionDecision::Held(problem) => self.reporter.finish(report, &blockers, Some(problem)).await,
            DeletionDecision::Await(until) => {
                report.requeue_at = until.or(report.requeue_at);
                self.reporter.finish(report, &blockers, None).await
            }
            DeletionDecision::Asked(until) => {
                report.requeue_at = Some(until);
                self.reporter.finish(report, &blockers, Some(deletion_asked())).await
            }
            DeletionDecision::Release => {
                let image_gone = matches!(observed, ObservedImage::Absent { .. });
                self.reporter.finish(report, &blockers, None).await?;
                self.reporter.leave(image_gone).await
            }
            DeletionDecision::Delete => self.delete(access, report, &blockers).await,
        }
    }

    /// Asks the cloud to delete the image, once the ledger records the call. Later reads, not the response, show whether the
    /// image is gone.
    async fn delete(
        &mut self,
        access: &ImageAccess,
        mut report: Report,
        held_by: &[String],
    ) -> Result<Next, ClusterError> {
        let asked = ask_again(&report.ledger, self.ctx.clock.now());
        let recorded = self.reporter.record_intent(&asked).await?;
        let fresh = list_shares_afresh(self.ctx, self.image, recorded.version()).await?;
        if !blockers(&fresh, &report.ledger).is_empty() {
            return Ok(Next::retry());
        }
        match access.connection.cloud.delete_image(&access.at).await {
            Ok(()) | Err(Fault::NotFound(Missing::Image)) => {
                tracing::info!(image.id = %access.at.image, "asked the cloud to delete the image");
                report.ledger = asked;
                report.requeue_at = Some(self.ctx.clock.now());
                self.reporter.finish(report, held_by, Some(deletion_asked())).await
            }
            Err(fault) => {
                note_fault(self.ctx, &self.desired.account, &fault).await;
                self.reporter.finish(report, held_by, Some(Problem::from(&fault))).await
            }
        }
    }
}
