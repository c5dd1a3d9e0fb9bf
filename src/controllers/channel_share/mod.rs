//! The `ChannelShare` controller: makes an `ImageShare` in its own namespace for each version that its channel has in service, keeps
//! them like itself, and reports their state. It never calls a cloud.

mod children;
mod report;

use std::sync::Arc;

use kube::ResourceExt;

use crate::api::channel_share::ChannelShare;
use crate::api::image_channel::{ChannelMode, ImageChannel, RetireRequire, Stage};
use crate::api::references::ImageRef;
use crate::cluster::ClusterError;
use crate::cluster::guard::{Guarded, Unreadable};
use crate::domain::share::Consent;
use crate::planning::channel_share::{Ending, Offered, plan_children};
use crate::reconcile::Outcome;
use crate::reconcile::caches::Caches;
use crate::reconcile::context::Context;
use crate::reconcile::convert::{channel_of, consent_to};
use crate::reconcile::frame::{Due, LeftBehind, Reconcile, Reconciled};
use crate::reconcile::reporter::Reporter;
use crate::reconcile::requeue::{Next, release};
use children::Children;
use report::report;

/// What a share may know of its channel.
pub(crate) struct Offer {
    versions: Vec<Offered>,
    latest: Option<String>,
    /// It makes no `CloudImages`: its `mode` is Observe.
    observes: bool,
}

/// Why an unreadable share keeps its finalizer.
const KEPT: &str = "the ImageShares that were made from it must be deleted first";

impl Reconcile for ChannelShare {
    type Desired = Option<Arc<Guarded<ImageChannel>>>;

    const DEBOUNCED: bool = false;

    async fn left_behind(ctx: &Context, object: &Guarded<Self>, _: &Unreadable) -> LeftBehind {
        let left =
            Children::list(ctx, &object.namespace().unwrap_or_default(), &object.uid().unwrap_or_default()).await?;
        Children::end(ctx, &left).await?;
        Ok((!left.is_empty()).then(|| KEPT.to_owned()))
    }

    fn observe(&self, caches: &Caches<'_>) -> Self::Desired {
        caches.channel(&channel_of(self))
    }

    async fn run(&self, ctx: &Context, channel: Self::Desired, _due: Due<Self>) -> Reconciled {
        let mut reporter = Reporter::new(ctx, self);
        if self.metadata.deletion_timestamp.is_some() {
            return leave(ctx, self, reporter).await;
        }
        reporter.init_status(&[]).await?;
        let now = ctx.clock.now();
        let offer = channel.as_deref().and_then(|channel| offer(ctx, self, channel));
        let children = Children::observe(ctx, self);
        let offered = offer.as_ref().filter(|offer| !offer.observes).map(|offer| offer.versions.as_slice());
        let changes = plan_children(self, offered, &children.readable(), now);
        let taken = children.apply(changes).await?;
        report(&mut reporter, offer.as_ref(), &children, taken).await
    }
}

/// What the channel offers, if this namespace may know.
fn offer(ctx: &Context, share: &ChannelShare, channel: &Guarded<ImageChannel>) -> Option<Offer> {
    let channel = channel.readable().filter(|channel| channel.metadata.deletion_timestamp.is_none())?;
    let (own, here) = (channel.namespace().unwrap_or_default(), share.namespace().unwrap_or_default());
    if consent_to(&channel.spec.shareable_from, &own, &here, &ctx.stores) != Consent::Given {
        return None;
    }
    let status = channel.status.clone().unwrap_or_default();
    // An ImageShare in the image's own namespace names no namespace, as people write it.
    let namespace = (own != here).then_some(own);
    let offered = |version: &crate::api::image_channel::ChannelVersion| {
        let image = ImageRef { name: version.cloud_image.clone()?, namespace: namespace.clone() };
        let ending = (version.stage == Stage::Revoking).then(|| match version.overdue_since {
            Some(_) => Ending::OnceReplaced { accepted: channel.spec.retire.require == RetireRequire::Accepted },
            None => Ending::Now,
        });
        Some(Offered { version: version.version.clone(), stage: version.stage, image, ending })
    };
    Some(Offer {
        versions: status.versions.iter().filter_map(offered).collect(),
        latest: status.latest.first().map(|latest| latest.version.clone()),
        observes: channel.spec.mode == ChannelMode::Observe,
    })
}

/// Deletes the `ImageShares` of a share that is being deleted, and releases it once none is left.
async fn leave(
    ctx: &Context,
    share: &ChannelShare,
    mut reporter: Reporter<'_, ChannelShare>,
) -> Result<Next, ClusterError> {
    let uid = share.uid().unwrap_or_default();
    let left = Children::list(ctx, &share.namespace().unwrap_or_default(), &uid).await?;
    if left.is_empty() {
        release(ctx, share).await?;
        return Ok(Next::Gone);
    }
    Children::end(ctx, &left).await?;
    report::deleting(&mut reporter, &left).await?;
    Ok(Next::After(Outcome::Waiting, ctx.settings.intervals.blocked))
}
