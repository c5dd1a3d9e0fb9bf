//! Who may copy an image: reads and changes the permissions on its snapshots, and reads what the ledgers of other images hold of
//! the same ones. Decides nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use super::observe::{Desired, Observed};
use crate::api::CloudImage;
use crate::clouds::{Cloud, Fault, ImageRef, Priority};
use crate::cluster::ClusterError;
use crate::cluster::guard::Guarded;
use crate::cluster::lookup::find;
use crate::domain::fault::{Missing, Recovery};
use crate::domain::identifiers::{RegionId, SnapshotId};
use crate::domain::image::{Ownership, SnapshotPermissions};
use crate::domain::share::{Activity, Share};
use crate::planning::batch::{Batch, BatchResult};
use crate::planning::copies::{CopyPlan, Elsewhere, merge};
use crate::planning::desired::Terms;
use crate::planning::ledger::Ledger;
use crate::planning::sharing::{Confirmed, Plan};
use crate::reconcile::context::Context;
use crate::reconcile::neighbours::neighbours;

/// Whether somebody is to be able to copy the image, or was. A share that grants nothing costs no call.
pub(super) fn concerns_copies(terms: &Terms, shares: &[Share], ledger: &Ledger, now: Timestamp) -> bool {
    let active = |share: &&Share| share.activity(now) == Activity::Active;
    let asked = || shares.iter().filter(active).flat_map(|share| &share.recipients).any(|asked| asked.copyable);
    terms.provider.rules().copy_permissions && (!ledger.copies.is_empty() || asked())
}

/// Reads who may copy the snapshots behind an image and those of its ledger. A snapshot that does not exist has nobody.
pub(super) async fn observe_copies(
    cloud: &dyn Cloud,
    region: &RegionId,
    ledger: &Ledger,
    observed: &Observed,
    priority: Priority,
) -> Result<SnapshotPermissions, Fault> {
    let own = observed.image.as_ref().filter(|facts| facts.ownership == Ownership::Own);
    let behind = own.into_iter().flat_map(|facts| &facts.snapshots);
    let snapshots: BTreeSet<&SnapshotId> = behind.chain(&ledger.copies.snapshots).collect();
    let mut seen = SnapshotPermissions::new();
    for snapshot in snapshots {
        let recipients = match cloud.list_copy_permissions(region, snapshot, priority.escalate()).await {
            Err(Fault::NotFound(Missing::Image)) => BTreeSet::new(),
            listed => listed?,
        };
        seen.insert(snapshot.clone(), recipients);
    }
    Ok(seen)
}

/// Makes the calls about snapshots. `refused`: the cloud is known to let nobody copy the image.
pub(super) async fn execute_copies(
    cloud: &dyn Cloud,
    at: &ImageRef,
    plan: &Plan<Confirmed>,
    refused: bool,
    priority: Priority,
) -> BatchResult {
    let mut results = Vec::new();
    for (snapshot, step) in &plan.copies.steps {
        let mut batch = Batch::new(step.add.clone(), step.remove.clone(), None, cloud.copy_call_shape());
        if refused {
            batch = batch.of_refused_image();
        }
        while let Some(change) = batch.next_call() {
            let result = cloud.change_copy_permissions(&at.region, snapshot, &change, priority).await;
            let (added, removed) = (change.add.len(), change.remove.len());
            let fault = result.as_ref().err().map(tracing::field::display);
            tracing::info!(image.id = %at.image, %snapshot, added, removed, fault, "changed who may copy a snapshot");
            batch.record(result);
        }
        let result = batch.finish();
        let ends = result
            .fault
            .as_ref()
            .is_some_and(|fault| fault.closes_the_account() || matches!(fault.recovery(), Recovery::Retry { .. }));
        results.push(result);
        if ends {
            break;
        }
    }
    merge(&plan.copies, results)
}

/// The images that may stand on the same snapshots.
fn neighbours_of(ctx: &Context, image: &CloudImage, desired: &Desired) -> Vec<Arc<Guarded<CloudImage>>> {
    let recorded = image.status.as_ref().and_then(|status| status.owner.clone());
    neighbours(ctx, image, desired.duplicates.owner().or(recorded).as_ref())
}

/// What the caches show of the ledgers of other images.
pub(super) fn cached_elsewhere(ctx: &Context, image: &CloudImage, desired: &Desired) -> Elsewhere {
    let mut elsewhere = Elsewhere::default();
    for other in neighbours_of(ctx, image, desired) {
        let status = other.readable().and_then(|other| other.status.as_ref());
        // The object itself reports a ledger that cannot be read.
        if let Ok(ledger) = Ledger::parse(status) {
            elsewhere.add(&ledger.copies);
        }
    }
    elsewhere
}

/// The same from the API server, of those that have a snapshot in common on which this plan takes something back. Read after our
/// own intents were recorded.
pub(super) async fn fresh_elsewhere(
    ctx: &Context,
    image: &CloudImage,
    desired: &Desired,
    plan: &CopyPlan,
) -> Result<Elsewhere, ClusterError> {
    let mut elsewhere = Elsewhere::default();
    for other in neighbours_of(ctx, image, desired) {
        let status = other.readable().and_then(|other| other.status.as_ref());
        let listed = status.into_iter().flat_map(|status| &status.snapshots);
        let shared: Vec<SnapshotId> = listed.filter_map(|id| SnapshotId::parse(id).ok()).collect();
        if !shared.iter().any(|snapshot| plan.steps.get(snapshot).is_some_and(|step| !step.remove.is_empty())) {
            continue;
        }
        let namespace = other.namespace().unwrap_or_default();
        let Some(fresh) = find::<Guarded<CloudImage>>(&ctx.client, &namespace, &other.name_any()).await? else {
            continue;
        };
        match fresh.readable().map(|fresh| Ledger::parse(fresh.status.as_ref())) {
            Some(Ok(ledger)) => elsewhere.add(&ledger.copies),
            None | Some(Err(_)) => elsewhere.add_unreadable(plan, &shared),
        }
    }
    Ok(elsewhere)
}
