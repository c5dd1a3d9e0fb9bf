//! Reports a reconcile of one copy: its status, its events, and the next requeue.

use kube::ResourceExt;

use crate::api::ImageReplica;
use crate::api::conditions::{Decision, READY, RECONCILING, REPLICATED, Reason, STALLED, Truth};
use crate::api::image_replica::ImageReplicaStatus;
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::domain::fault::Recovery;
use crate::planning::grace::grace_left;
use crate::planning::problem::Problem;
use crate::planning::replica::{Attempt, Stage, waits_for_others};
use crate::planning::schedule::Requeue;
use crate::reconcile::context::Context;
use crate::reconcile::convert::created_at;
use crate::reconcile::reporter::Reporter;
use crate::reconcile::requeue::Next;

/// What the conditions report.
pub(super) enum Shown {
    /// The same as before.
    Same,
    /// The copy is finished.
    Replicated,
    /// A problem stops the copy, or the copy is in progress.
    Problem(Problem),
}

/// Reports the reconcile of a copy.
pub(super) struct ReplicaReporter<'a> {
    accounts: Option<(String, String)>,
    pub(super) base: Reporter<'a, ImageReplica>,
}

impl<'a> ReplicaReporter<'a> {
    pub(super) fn new(ctx: &'a Context, replica: &'a ImageReplica) -> Self {
        Self { accounts: None, base: Reporter::new(ctx, replica) }
    }

    /// Sets the accounts of the copy, which the status records with the first attempt.
    pub(super) fn note_accounts(&mut self, from: String, to: String) {
        self.accounts = Some((from, to));
    }

    /// Reports a reconcile that could not continue. The recorded state of the copy stays.
    pub(super) async fn problem(&mut self, problem: Problem) -> Result<Next, ClusterError> {
        let requeue = Requeue::from(&problem);
        self.report(Shown::Problem(problem), |_| {}).await?;
        Ok(Next::Requeue(requeue))
    }

    /// Records the stage of an attempt, before or after a cloud call; the write proves that the object is the newest version.
    pub(super) async fn stage(&mut self, attempt: Option<&Attempt>, shown: Shown) -> Result<(), ClusterError> {
        let made = attempt.and_then(|attempt| match &attempt.stage {
            Stage::Made(image) => Some(image.to_string()),
            _ => None,
        });
        let copying = matches!(attempt.map(|attempt| &attempt.stage), Some(Stage::Copying(_)));
        let copy = attempt.map(Attempt::encode);
        self.report(shown, |status| {
            status.copy = copy;
            status.progress = if made.is_some() { Some(100) } else { status.progress.filter(|_| copying) };
            status.image_id = made;
        })
        .await
    }

    /// Records the progress of the copy.
    pub(super) async fn progress(&mut self, percent: Option<u8>, shown: Shown) -> Result<(), ClusterError> {
        self.report(shown, |status| status.progress = percent.or(status.progress)).await
    }

    /// Records the `CloudImage` created for the copy.
    pub(super) async fn finish(&mut self, cloud_image: String) -> Result<(), ClusterError> {
        self.report(Shown::Replicated, |status| status.cloud_image_uid = Some(cloud_image)).await?;
        let image = self.base.written().image_id.as_deref().unwrap_or_default();
        let region = &self.base.object.spec.destination.region;
        let note =
            format!("image {image} in {region} is made; CloudImage {} stands for it", self.base.object.name_any());
        self.base.event(EventReason::Replicated, note);
        Ok(())
    }

    /// Writes the status if it changed.
    pub(super) async fn report(
        &mut self,
        shown: Shown,
        change: impl FnOnce(&mut ImageReplicaStatus),
    ) -> Result<(), ClusterError> {
        let mut status = self.base.written().clone();
        change(&mut status);
        // Until the operator has asked a cloud for a copy, the object may switch to another account or project.
        if let Some((from, to)) = self.accounts.as_ref().filter(|_| status.copy.is_some()) {
            (status.source_account, status.account) = (Some(from.clone()), Some(to.clone()));
        }
        let decisions = match shown {
            Shown::Same => None,
            Shown::Replicated => Some(self.replicated()),
            Shown::Problem(problem) => Some(self.decisions(&problem)),
        };
        self.base.report(status, decisions).await
    }

    fn replicated(&self) -> Vec<Decision> {
        let message = format!("the copy is made, and CloudImage {} stands for it", self.base.object.name_any());
        let decide = |kind| Decision { kind, truth: Truth::True, reason: Reason::Replicated, message: message.clone() };
        [READY, REPLICATED].map(decide).to_vec()
    }

    fn decisions(&self, problem: &Problem) -> Vec<Decision> {
        let mut decisions = vec![problem.decide(READY, problem.truth())];
        if self.base.written().cloud_image_uid.is_none() {
            decisions.push(problem.decide(REPLICATED, problem.truth()));
        }
        let now = self.base.ctx.clock.now();
        let may_come = grace_left(problem.reason, created_at(self.base.object), now).is_some();
        let moving = problem.recovery != Recovery::Blocked || waits_for_others(problem) || may_come;
        if problem.reason != Reason::Suspended {
            decisions.push(problem.decide(if moving { RECONCILING } else { STALLED }, Truth::True));
        }
        decisions
    }
}
