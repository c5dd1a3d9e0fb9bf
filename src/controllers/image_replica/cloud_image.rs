//! The `CloudImage` created for a copy: written once, never applied again, and deleted only where the policy says so.

use std::ops::ControlFlow::{self, Break, Continue};

use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::observe::CopyAccess;
use crate::api::cloud_image::{CloudImageSpec, ImageDeletionPolicy};
use crate::api::conditions::{DELETABLE, Reason, find};
use crate::api::references::AccountRef;
use crate::api::{CloudImage, ImageReplica};
use crate::cluster::creation::create_unless_named;
use crate::cluster::deletion::delete_exactly;
use crate::cluster::{ClusterError, FIELD_MANAGER, within_deadline};
use crate::domain::identifiers::ImageId;
use crate::planning::problem::Problem;
use crate::reconcile::context::Context;

fn images(ctx: &Context, replica: &ImageReplica) -> Api<CloudImage> {
    Api::namespaced(ctx.client.clone(), &replica.namespace().unwrap_or_default())
}

async fn find_image(images: &Api<CloudImage>, name: &str) -> Result<Option<CloudImage>, ClusterError> {
    within_deadline(images.get_opt(name)).await
}

/// Creates the `CloudImage` of a finished copy. Returns its uid, or the problem that another object has the name.
pub(super) async fn write(
    ctx: &Context,
    replica: &ImageReplica,
    access: &CopyAccess,
    made: &ImageId,
) -> Result<ControlFlow<Problem, String>, ClusterError> {
    let images = images(ctx, replica);
    let name = replica.name_any();
    let image = CloudImage {
        metadata: ObjectMeta { name: Some(name.clone()), namespace: replica.namespace(), ..ObjectMeta::default() },
        spec: spec_of(replica, access, made),
        status: None,
    };
    if let Some(written) = create_unless_named(&images, &image).await? {
        return Ok(Continue(written.uid().unwrap_or_default()));
    }
    let Some(found) = find_image(&images, &name).await? else { return Err(ClusterError::ConflictElsewhere) };
    if found.spec.names_same_image(&image.spec) {
        return Ok(Continue(found.uid().unwrap_or_default()));
    }
    Ok(Break(name_taken(&found)))
}

fn spec_of(replica: &ImageReplica, access: &CopyAccess, made: &ImageId) -> CloudImageSpec {
    let account = AccountRef { name: access.to_account.name_any() };
    let image = CloudImageSpec::of(account, access.route.to.to_string(), made.to_string());
    CloudImageSpec { shareable_from: replica.spec.shareable_from.clone(), ..image }
}

/// The uid of the `CloudImage` of a finished copy, if it exists.
pub(super) async fn uid_of(
    ctx: &Context,
    replica: &ImageReplica,
    access: &CopyAccess,
    made: &ImageId,
) -> Result<Option<String>, ClusterError> {
    let found = find_image(&images(ctx, replica), &replica.name_any()).await?;
    let ours = found.filter(|found| found.spec.names_same_image(&spec_of(replica, access, made)));
    Ok(ours.and_then(|found| found.uid()))
}

/// Another `CloudImage` has the name that the copy's `CloudImage` needs.
pub(super) fn name_taken(other: &CloudImage) -> Problem {
    let message = format!(
        "metadata.name: a CloudImage of this name stands for image {} in {}: delete it, or make an ImageReplica of another \
         name",
        other.spec.image_id, other.spec.region
    );
    Problem::blocked(Reason::NameTaken, message)
}

/// Deletes the `CloudImage`, and with it the image: its finalizer decides when. `None` when it is gone.
pub(super) async fn delete(ctx: &Context, replica: &ImageReplica, uid: &str) -> Result<Option<Problem>, ClusterError> {
    let images = images(ctx, replica);
    let name = replica.name_any();
    let found = find_image(&images, &name).await?;
    // Somebody else deleted it, and perhaps created another one for another image: that one is theirs.
    let Some(image) = found.filter(|image| image.uid().as_deref() == Some(uid)) else { return Ok(None) };
    if image.spec.deletion_policy != ImageDeletionPolicy::Delete {
        // Without a resourceVersion: status changes do not matter here.
        let patch = json!({"metadata": {"uid": uid}, "spec": {"deletionPolicy": "Delete"}});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        within_deadline(images.patch(&name, &params, &Patch::Merge(patch))).await.map_err(ClusterError::elsewhere)?;
    }
    let there = image.metadata.deletion_timestamp.is_some()
        || delete_exactly(&images, &name, Some(uid.to_owned())).await.map_err(ClusterError::elsewhere)?;
    Ok(there.then(|| waits_for(&image)))
}

fn waits_for(image: &CloudImage) -> Problem {
    let kept = image.status.as_ref().and_then(|status| find(&status.conditions, DELETABLE));
    let kept = kept.filter(|condition| condition.status == "False");
    let why = kept.map(|condition| format!(": {}", condition.message)).unwrap_or_default();
    let message = format!("waiting for CloudImage {} to be deleted{why}", image.name_any());
    Problem::blocked(Reason::ShareExists, message)
}
