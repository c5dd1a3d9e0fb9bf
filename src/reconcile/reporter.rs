//! Reports a reconcile of one object: writes its status and its events. Each write is pinned to the version before it and
//! remembered, so that no later reconcile acts on an older version.

use kube::ResourceExt;
use kube::core::object::HasStatus;

use crate::api::conditions::{Decision, READY, RECONCILING, Reason, Truth, conditions};
use crate::cluster::ClusterError;
use crate::cluster::events::EventReason;
use crate::cluster::object::Object;
use crate::cluster::status::apply_status;
use crate::planning::sharing::IntentRecorded;
use crate::reconcile::context::Context;
use crate::reconcile::convert::requested_at;
use crate::reconcile::status::Status;

/// The object of a reconcile, its status as last written, and the version that the write returned.
pub(crate) struct Reporter<'a, K: HasStatus> {
    pub(crate) ctx: &'a Context,
    pub(crate) object: &'a K,
    written: K::Status,
    version: String,
}

impl<'a, K: Object + HasStatus<Status: Status> + Sync> Reporter<'a, K> {
    /// Starts with the status that was read with the object.
    pub(crate) fn new(ctx: &'a Context, object: &'a K) -> Self {
        let version = object.resource_version().unwrap_or_default();
        Self { ctx, object, written: object.status().cloned().unwrap_or_default(), version }
    }

    /// The current status.
    pub(crate) fn written(&self) -> &K::Status {
        &self.written
    }

    /// The version that pins the next write.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The object at that version.
    pub(crate) fn current(&self) -> K {
        let mut current = self.object.clone();
        current.meta_mut().resource_version = Some(self.version.clone());
        current
    }

    /// Writes the initial conditions, once: these are `Unknown`, and the object is reconciling.
    pub(crate) async fn init_status(&mut self, unknown: &[&'static str]) -> Result<(), ClusterError> {
        if !self.written.conditions().is_empty() {
            return Ok(());
        }
        let message = "waiting for the first reconcile".to_owned();
        let pending = |kind, truth| Decision { kind, truth, reason: Reason::Pending, message: message.clone() };
        let unknown = [READY].iter().chain(unknown).map(|kind| pending(*kind, Truth::Unknown));
        let decisions: Vec<Decision> = unknown.chain([pending(RECONCILING, Truth::True)]).collect();
        let mut status = self.written.clone();
        self.set_conditions(&mut status, decisions);
        self.write(status).await
    }

    /// Records an intent before the call. Writes even if nothing changed: the write proves that this reconcile acts on the
    /// newest version.
    pub(crate) async fn record_intent(&mut self, status: K::Status) -> Result<IntentRecorded, ClusterError> {
        self.write(status).await?;
        Ok(IntentRecorded::at(&self.version))
    }

    /// Reports with these conditions that the object was reconciled; writes only if that changes the status. `None` keeps the
    /// conditions.
    pub(crate) async fn report(
        &mut self,
        mut status: K::Status,
        decisions: Option<Vec<Decision>>,
    ) -> Result<(), ClusterError> {
        status.stamp(self.object.meta().generation, requested_at(self.object));
        if let Some(decisions) = decisions {
            self.set_conditions(&mut status, decisions);
        }
        self.write_if_changed(status).await
    }

    /// Sets these conditions: each keeps its transition time unless its status changed.
    pub(crate) fn set_conditions(&self, status: &mut K::Status, decisions: Vec<Decision>) {
        let (generation, now) = (self.object.meta().generation, self.ctx.clock.now());
        status.set_conditions(conditions(self.written.conditions(), decisions, generation, now));
    }

    /// Writes the status if it changed.
    pub(crate) async fn write_if_changed(&mut self, status: K::Status) -> Result<(), ClusterError> {
        if planted!("resync-rewrites-status", status == self.written, false) {
            return Ok(());
        }
        self.write(status).await
    }

    async fn write(&mut self, status: K::Status) -> Result<(), ClusterError> {
        let applied = apply_status(&self.ctx.client, self.object, &self.version, &status).await;
        if matches!(applied, Err(ClusterError::Definitions(_))) {
            drop(self.ctx.definitions.check().await);
        }
        self.version = applied?;
        self.ctx.states.wrote(&self.object.uid().unwrap_or_default(), &self.version);
        self.written = status;
        Ok(())
    }

    /// Publishes an event.
    pub(crate) fn event(&self, reason: EventReason, note: String) {
        self.ctx.events.publish(self.object, reason, note);
    }
}
