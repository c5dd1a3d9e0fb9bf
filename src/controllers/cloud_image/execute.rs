//! Executes a confirmed plan: the only caller of the cloud calls that change who may have an image. Decides nothing.

use std::collections::BTreeMap;

use crate::clouds::request_id::noting;
use crate::clouds::{Cloud, Fault, ImageRef, Priority};
use crate::domain::identifiers::Recipient;
use crate::planning::batch::{Batch, BatchResult};
use crate::planning::sharing::{Confirmed, Plan};

/// Opens the private image for sharing.
pub(super) async fn open(
    cloud: &dyn Cloud,
    at: &ImageRef,
    _plan: &Plan<Confirmed>,
    priority: Priority,
) -> Result<(), Fault> {
    cloud.open_for_sharing(at, priority).await
}

/// Makes the calls of a plan one after the other, until none is left. `at_most`: how many recipients to add; `refused`: the
/// cloud is known to refuse the image. Returns the results, and the cloud's id of the last request about each recipient.
pub(super) async fn execute(
    cloud: &dyn Cloud,
    at: &ImageRef,
    plan: &Plan<Confirmed>,
    (at_most, refused): (usize, bool),
    priority: Priority,
) -> (BatchResult, BTreeMap<Recipient, String>) {
    let add = plan.add.iter().take(at_most).cloned().collect();
    let mut batch = Batch::new(add, plan.remove.clone(), plan.free_slots, cloud.call_shape());
    if refused {
        batch = batch.of_refused_image();
    }
    let mut requests = BTreeMap::new();
    while let Some(change) = batch.next_call() {
        let (result, request) = noting(cloud.change_recipients(at, &change, priority)).await;
        let (added, removed) = (change.add.len(), change.remove.len());
        match &result {
            Ok(_) => {
                tracing::info!(image.id = %at.image, image.region = %at.region, added, removed, "changed recipients");
            }
            Err(fault) => {
                tracing::debug!(image.id = %at.image, image.region = %at.region, %fault, "could not change recipients");
            }
        }
        if let Some(request) = request {
            requests.extend(change.add.into_iter().chain(change.remove).map(|recipient| (recipient, request.clone())));
        }
        batch.record(result);
    }
    (batch.finish(), requests)
}
