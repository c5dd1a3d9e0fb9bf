//! Reports a reconcile of one copy: its status, its events, and the next requeue.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use crate::api::ImageReplica;
use crate::api::conditions::{Decision, READY, RECONCILING, REPLICATED, Reason, STALLED, Truth, conditions};
use crate::api::image_replica::ImageReplicaStatus;
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::domain::fault::Recovery;
use crate::planning::grace::grace_left;
use crate::planning::problem::Problem;
use crate::planning::replica::{Attempt, Stage, waits_for_others};
use crate::planning::schedule::Requeue;
use crate::reconcile::context::Context;
use crate::reconcile::convert::requested_at;
use crate::reconcile::requeue::Next;
use crate::reconcile::status_writer::StatusWriter;

/// What the conditions report.
pub(super) enum Says {
    /// The same as before.
    Same,
    /// The copy is finished.
    Replicated,
    /// A problem stops the copy, or the copy is in progress.
    Problem(Problem),
}

/// Writes the status and the events of a reconcile.
pub(super) struct Reporter<'a> {
    ctx: &'a Context,
    replica: &'a ImageReplica,
    accounts: Option<(String, String)>,
    status: StatusWriter<'a, ImageReplica, ImageReplicaStatus>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(ctx: &'a Context, replica: &'a ImageReplica) -> Self {
        Self { ctx, replica, accounts: None, status: StatusWriter::new(ctx, replica, replica.status.as_ref()) }
    }

    /// The object at the version last written.
    pub(super) fn current(&self) -> ImageReplica {
        self.status.current()
    }

    /// Writes the initial conditions, once.
    pub(super) async fn init_status(&mut self) -> Result<(), ClusterError> {
        if !self.status.written().conditions.is_empty() {
            return Ok(());
        }
        let pending = Problem::passing(Reason::Pending, "waiting for the first reconcile");
        let mut status = self.status.written().clone();
        status.conditions = self.conditions(&pending);
        self.status.write_if_new(status).await
    }

    /// Sets the accounts of the copy, which the status records with the first attempt.
    pub(super) fn note_accounts(&mut self, from: String, to: String) {
        self.accounts = Some((from, to));
    }

    /// Reports a reconcile that could not continue. The recorded state of the copy stays.
    pub(super) async fn problem(&mut self, problem: Problem) -> Result<Next, ClusterError> {
        let verdict = Requeue::from(&problem);
        self.say(Says::Problem(problem), |_| {}).await?;
        Ok(Next::Requeue(verdict))
    }

    /// Records the stage of an attempt, before or after a cloud call; the write proves that the object is the newest version.
    pub(super) async fn stage(&mut self, attempt: Option<&Attempt>, says: Says) -> Result<(), ClusterError> {
        let made = attempt.and_then(|attempt| match &attempt.stage {
            Stage::Made(image) => Some(image.to_string()),
            _ => None,
        });
        let copying = matches!(attempt.map(|attempt| &attempt.stage), Some(Stage::Copying(_)));
        let copy = attempt.map(Attempt::encode);
        self.say(says, |status| {
            status.copy = copy;
            status.progress = if made.is_some() { Some(100) } else { status.progress.filter(|_| copying) };
            status.image_id = made;
        })
        .await
    }

    /// Records the progress of the copy.
    pub(super) async fn progress(&mut self, percent: Option<u8>, says: Says) -> Result<(), ClusterError> {
        self.say(says, |status| status.progress = percent.or(status.progress)).await
    }

    /// Records the `CloudImage` created for the copy.
    pub(super) async fn finish(&mut self, cloud_image: String) -> Result<(), ClusterError> {
        self.say(Says::Replicated, |status| status.cloud_image_uid = Some(cloud_image)).await?;
        let image = self.status.written().image_id.as_deref().unwrap_or_default();
        let region = &self.replica.spec.destination.region;
        let note = format!("image {image} in {region} is made; CloudImage {} stands for it", self.replica.name_any());
        self.tell(EventReason::Replicated, note);
        Ok(())
    }

    /// Publishes an event.
    pub(super) fn tell(&self, what: EventReason, note: String) {
        self.ctx.events.publish(self.replica, what, note);
    }

    /// Writes the status if it changed.
    pub(super) async fn say(
        &mut self,
        says: Says,
        change: impl FnOnce(&mut ImageReplicaStatus),
    ) -> Result<(), ClusterError> {
        let mut status = self.status.written().clone();
        change(&mut status);
        status.observed_generation = self.replica.metadata.generation;
        status.last_handled_reconcile_at =
            requested_at(self.replica).or_else(|| status.last_handled_reconcile_at.clone());
        // Until the operator has asked a cloud for a copy, the object may switch to another account or project.
        if let Some((from, to)) = self.accounts.as_ref().filter(|_| status.copy.is_some()) {
            (status.source_account, status.account) = (Some(from.clone()), Some(to.clone()));
        }
        match says {
            Says::Same => {}
            Says::Replicated => status.conditions = self.done(),
            Says::Problem(problem) => status.conditions = self.conditions(&problem),
        }
        self.status.write_if_new(status).await
    }

    fn done(&self) -> Vec<Condition> {
        let message = format!("the copy is made, and CloudImage {} stands for it", self.replica.name_any());
        let decide = |kind| Decision { kind, truth: Truth::True, reason: Reason::Replicated, message: message.clone() };
        self.merge([READY, REPLICATED].map(decide).to_vec())
    }

    fn conditions(&self, problem: &Problem) -> Vec<Condition> {
        let decide = |kind, truth| Decision { kind, truth, reason: problem.reason, message: problem.message.clone() };
        let mut decisions = vec![decide(READY, problem.truth())];
        if self.status.written().cloud_image_uid.is_none() {
            decisions.push(decide(REPLICATED, problem.truth()));
        }
        let created = self.replica.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let may_come = grace_left(problem.reason, created, self.ctx.clock.now()).is_some();
        let moving = problem.recovery != Recovery::Blocked || waits_for_others(problem) || may_come;
        if problem.reason != Reason::Suspended {
            decisions.push(decide(if moving { RECONCILING } else { STALLED }, Truth::True));
        }
        self.merge(decisions)
    }

    fn merge(&self, decisions: Vec<Decision>) -> Vec<Condition> {
        conditions(&self.status.written().conditions, decisions, self.replica.metadata.generation, self.ctx.clock.now())
    }
}
