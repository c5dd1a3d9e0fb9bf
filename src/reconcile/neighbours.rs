//! The other images of an account and region whose snapshots recipients can copy: they may stand on the same snapshots. Read when
//! a plan is made and not an input of the reconcile: what they hold decides only about permissions that are given or taken now.

use std::sync::Arc;

use kube::ResourceExt;

use crate::api::CloudImage;
use crate::cluster::guard::Guarded;
use crate::reconcile::context::Context;

/// The neighbours of an image of this owner. Only an image that was observed as the account's own through proven credentials has
/// recorded its owner, and counts.
pub(crate) fn neighbours(ctx: &Context, image: &CloudImage, owner: Option<&String>) -> Vec<Arc<Guarded<CloudImage>>> {
    let uid = image.uid();
    let is_one = |other: &Guarded<CloudImage>| {
        other.uid() != uid && other.readable().is_some_and(|other| has_copies_of(other, owner, image))
    };
    ctx.stores.images.state().into_iter().filter(|other| is_one(other)).collect()
}

fn has_copies_of(other: &CloudImage, owner: Option<&String>, image: &CloudImage) -> bool {
    let Some(status) = &other.status else { return false };
    !status.copies.is_empty()
        && owner.is_some()
        && status.owner.as_ref() == owner
        && other.spec.region == image.spec.region
}
