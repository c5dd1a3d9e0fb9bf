//! The `ImageShares` that were made from a `ChannelShare`: those that carry its uid in a label. No other is changed. They have no owner
//! reference: garbage collection must not end access before the `ChannelShare` may go.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{ListParams, ObjectMeta};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use crate::api::channel_share::ChannelShare;
use crate::api::conditions::Reason;
use crate::api::image_share::ImageShareSpec;
use crate::api::{CHANNEL_LABEL, CHANNEL_SHARE_LABEL, ImageShare, VERSION_ANNOTATION};
use crate::cluster::creation::create_unless_named;
use crate::cluster::deletion::delete_exactly;
use crate::cluster::guard::Guarded;
use crate::cluster::{ClusterError, json_patch, within_deadline};
use crate::planning::channel_share::Change;
use crate::planning::naming::hash_of;
use crate::planning::problem::Problem;
use crate::reconcile::context::Context;
use crate::reconcile::convert::{made_for, made_key};

/// Bytes of the hash in a name.
const HASH_BYTES: usize = 6;

/// Writes to the API server at once, for one `ChannelShare`.
const WRITES_AT_ONCE: usize = 8;

/// The `ImageShares` of one `ChannelShare`.
pub(super) struct Children<'a> {
    ctx: &'a Context,
    share: &'a ChannelShare,
    found: Vec<Arc<Guarded<ImageShare>>>,
}

impl<'a> Children<'a> {
    /// Those in the cache.
    pub(super) fn observe(ctx: &'a Context, share: &'a ChannelShare) -> Self {
        let uid = share.uid().unwrap_or_default();
        let mut found = ctx.stores.shares_by_image.find(&made_key(&uid), &ctx.stores.shares);
        found.retain(|child| child.namespace() == share.namespace() && made_for(child.as_ref()) == Some(uid.as_str()));
        found.sort_by_key(|child| child.name_any());
        Self { ctx, share, found }
    }

    /// Those that can be read.
    pub(super) fn readable(&self) -> Vec<&ImageShare> {
        self.found.iter().filter_map(|child| child.readable()).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// Those that the API server has now.
    pub(super) async fn list(
        ctx: &Context,
        namespace: &str,
        uid: &str,
    ) -> Result<Vec<Guarded<ImageShare>>, ClusterError> {
        let api: Api<Guarded<ImageShare>> = Api::namespaced(ctx.client.clone(), namespace);
        let params = ListParams::default().labels(&format!("{CHANNEL_SHARE_LABEL}={uid}"));
        Ok(within_deadline(api.list(&params)).await?.items)
    }

    /// Deletes them.
    pub(super) async fn end(ctx: &Context, children: &[Guarded<ImageShare>]) -> Result<(), ClusterError> {
        let alive = children.iter().filter(|child| child.meta().deletion_timestamp.is_none());
        let alive: Vec<(String, String, Option<String>)> =
            alive.map(|child| (child.namespace().unwrap_or_default(), child.name_any(), child.uid())).collect();
        let delete = |(namespace, name, uid): (String, String, Option<String>)| async move {
            let api: Api<Guarded<ImageShare>> = Api::namespaced(ctx.client.clone(), &namespace);
            delete_exactly(&api, &name, uid).await.map(drop).map_err(ClusterError::elsewhere)
        };
        stream::iter(alive).map(delete).buffer_unordered(WRITES_AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
    }

    fn api(&self) -> Api<Guarded<ImageShare>> {
        Api::namespaced(self.ctx.client.clone(), &self.share.namespace().unwrap_or_default())
    }

    /// Carries the changes out. Returns the problem that another object has the name of one.
    pub(super) async fn apply(&self, changes: Vec<Change>) -> Result<Option<Problem>, ClusterError> {
        let applied = stream::iter(changes).map(|change| self.apply_one(change));
        let taken: Vec<Option<Problem>> = applied.buffer_unordered(WRITES_AT_ONCE).try_collect().await?;
        Ok(taken.into_iter().flatten().next())
    }

    async fn apply_one(&self, change: Change) -> Result<Option<Problem>, ClusterError> {
        match change {
            Change::Create { version, spec } => self.create(&version, &spec).await,
            Change::Patch { name, spec } => self.patch(&name, &spec).await.map(|()| None),
            Change::End { name } => {
                let uid = self.named(&name).and_then(ResourceExt::uid);
                delete_exactly(&self.api(), &name, uid).await.map(|_| None).map_err(ClusterError::elsewhere)
            }
        }
    }

    fn named(&self, name: &str) -> Option<&Guarded<ImageShare>> {
        self.found.iter().map(AsRef::as_ref).find(|child| child.name_any() == name)
    }

    fn name_of(&self, spec: &ImageShareSpec) -> String {
        let uid = self.share.uid().unwrap_or_default();
        let namespace = spec.image_ref.namespace.as_deref().unwrap_or_default();
        format!("{}-{}", self.share.name_any(), hash_of(&[&uid, namespace, &spec.image_ref.name], HASH_BYTES))
    }

    async fn create(&self, version: &str, spec: &ImageShareSpec) -> Result<Option<Problem>, ClusterError> {
        let (name, uid) = (self.name_of(spec), self.share.uid().unwrap_or_default());
        let labels = BTreeMap::from([
            (CHANNEL_LABEL.to_owned(), self.share.spec.channel_ref.name.clone()),
            (CHANNEL_SHARE_LABEL.to_owned(), uid.clone()),
        ]);
        let child = ImageShare {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: self.share.namespace(),
                labels: Some(labels),
                annotations: Some(BTreeMap::from([(VERSION_ANNOTATION.to_owned(), version.to_owned())])),
                ..ObjectMeta::default()
            },
            spec: spec.clone(),
            status: None,
        };
        let shares = Api::namespaced(self.ctx.client.clone(), &self.share.namespace().unwrap_or_default());
        if create_unless_named(&shares, &child).await?.is_some() {
            return Ok(None);
        }
        // The cache lags behind our own write, or the name is taken.
        let ours = Self::list(self.ctx, &self.share.namespace().unwrap_or_default(), &uid).await?;
        if ours.iter().any(|child| child.name_any() == name) {
            return Ok(None);
        }
        let message =
            format!("ImageShare {name} was not made from this object, and has the name that it needs: delete it");
        Ok(Some(Problem::blocked(Reason::NameTaken, message)))
    }

    async fn patch(&self, name: &str, spec: &ImageShareSpec) -> Result<(), ClusterError> {
        let Some(child) = self.named(name) else { return Ok(()) };
        let operations = json!([
            json_patch::test("/metadata/uid", child.uid()),
            json_patch::test("/metadata/resourceVersion", child.resource_version()),
            {"op": "replace", "path": "/spec", "value": spec},
        ]);
        let patched = json_patch::patch(&self.api(), name, None, operations).await;
        patched.map(drop).map_err(ClusterError::elsewhere)
    }
}
