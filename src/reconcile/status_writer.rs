//! Writes the status of one object during one reconcile. Each write is pinned to the version before it and recorded, so that no
//! later reconcile acts on an older version.

use k8s_openapi::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cluster::ClusterError;
use crate::cluster::status::apply_status;
use crate::reconcile::context::Context;

/// The last written status of one object, and the version that the write returned.
pub(crate) struct StatusWriter<'a, K, S> {
    ctx: &'a Context,
    object: &'a K,
    written: S,
    version: String,
}

impl<'a, K, S> StatusWriter<'a, K, S>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    S: Serialize + Clone + Default + PartialEq,
{
    /// Starts with the status that was read with the object.
    pub(crate) fn new(ctx: &'a Context, object: &'a K, status: Option<&S>) -> Self {
        let version = object.resource_version().unwrap_or_default();
        Self { ctx, object, written: status.cloned().unwrap_or_default(), version }
    }

    /// The current status.
    pub(crate) fn written(&self) -> &S {
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

    /// Writes the status even if nothing changed: that proves that the object is the newest.
    pub(crate) async fn write(&mut self, status: S) -> Result<(), ClusterError> {
        let applied = apply_status(&self.ctx.client, self.object, &self.version, &status).await;
        if matches!(applied, Err(ClusterError::Definitions(_))) {
            drop(self.ctx.definitions.check().await);
        }
        self.version = applied?;
        self.ctx.states.wrote(&self.object.uid().unwrap_or_default(), &self.version);
        self.written = status;
        Ok(())
    }

    /// Writes the status if it changed.
    pub(crate) async fn write_if_new(&mut self, status: S) -> Result<(), ClusterError> {
        if planted!("resync-rewrites-status", status == self.written, false) {
            Ok(())
        } else {
            self.write(status).await
        }
    }
}
