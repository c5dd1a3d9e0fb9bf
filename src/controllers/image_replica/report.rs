//! What a pass over one copy tells: its status, its events, and when to look again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use crate::api::ImageReplica;
use crate::api::conditions::{Decision, READY, RECONCILING, REPLICATED, Reason, STALLED, Truth, conditions};
use crate::api::image_replica::ImageReplicaStatus;
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::domain::fault::Recovery;
use crate::planning::problem::Problem;
use crate::planning::replica::{Attempt, Stage, waits_for_others};
use crate::planning::schedule::Requeue;
use crate::reconcile::context::Context;
use crate::reconcile::convert::requested_at;
use crate::reconcile::requeue::Next;
use crate::reconcile::status_writer::StatusWriter;

/// What the conditions are to say.
pub(super) enum Says {
    /// What they said before.
    Same,
    /// The copy is there.
    Replicated,
    /// Something is in the way, or under way.
    Problem(Problem),
}

/// Writes what a pass tells.
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

    /// Says that the object was noticed, once.
    pub(super) async fn init_status(&mut self) -> Result<(), ClusterError> {
        if !self.status.written().conditions.is_empty() {
            return Ok(());
        }
        let pending = Problem::passing(Reason::Pending, "the copy was not looked at yet");
        let mut status = self.status.written().clone();
        status.conditions = self.conditions(&pending);
        self.status.write_if_new(status).await
    }

    /// The accounts the copy goes by: written with its first try.
    pub(super) fn note_accounts(&mut self, from: String, to: String) {
        self.accounts = Some((from, to));
    }

    /// Reports a pass that could not go on. What is known of the copy stays.
    pub(super) async fn problem(&mut self, problem: Problem) -> Result<Next, ClusterError> {
        let verdict = Requeue::from(&problem);
        self.say(Says::Problem(problem), |_| {}).await?;
        Ok(Next::Requeue(verdict))
    }

    /// Writes down where a try stands, before or after the cloud is called; proves that the object is the newest.
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

    /// Writes down how much of the copy is made.
    pub(super) async fn progress(&mut self, percent: Option<u8>, says: Says) -> Result<(), ClusterError> {
        self.say(says, |status| status.progress = percent.or(status.progress)).await
    }

    /// Writes down which `CloudImage` stands for the copy.
    pub(super) async fn finish(&mut self, cloud_image: String) -> Result<(), ClusterError> {
        self.say(Says::Replicated, |status| status.cloud_image_uid = Some(cloud_image)).await?;
        let image = self.status.written().image_id.as_deref().unwrap_or_default();
        let region = &self.replica.spec.destination.region;
        let note = format!("image {image} in {region} is made; CloudImage {} stands for it", self.replica.name_any());
        self.tell(EventReason::Replicated, note).await;
        Ok(())
    }

    /// Tells an event.
    pub(super) async fn tell(&self, what: EventReason, note: String) {
        self.ctx.events.publish(self.replica, what, note).await;
    }

    /// Writes the status if it is another than the one before.
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
        // Before anything was asked of a cloud, another account or project may be called.
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
        let moving = problem.recovery != Recovery::Blocked || waits_for_others(problem);
        if problem.reason != Reason::Suspended {
            decisions.push(decide(if moving { RECONCILING } else { STALLED }, Truth::True));
        }
        self.merge(decisions)
    }

    fn merge(&self, decisions: Vec<Decision>) -> Vec<Condition> {
        conditions(&self.status.written().conditions, decisions, self.replica.metadata.generation, self.ctx.clock.now())
    }
}
