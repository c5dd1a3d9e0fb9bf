//! Executes a batch: the only caller of the cloud call that changes recipients. Decides nothing.

use std::collections::BTreeMap;

use crate::clouds::request_id::noting;
use crate::clouds::{Cloud, ImageRef, Priority};
use crate::domain::identifiers::Recipient;
use crate::planning::batch::{Batch, BatchResult};

/// Makes the batch's calls one after the other, until it has none left. Returns the results, and the cloud's id of the last
/// request about each recipient.
pub(super) async fn execute(
    cloud: &dyn Cloud,
    at: &ImageRef,
    mut batch: Batch,
    priority: Priority,
) -> (BatchResult, BTreeMap<Recipient, String>) {
    let mut requests = BTreeMap::new();
    while let Some(change) = batch.next_call() {
        let (result, request) = noting(cloud.change_recipients(at, &change, priority)).await;
        tracing::info!(
            image.id = %at.image, image.region = %at.region, added = change.add.len(), removed = change.remove.len(),
            fault = result.as_ref().err().map(tracing::field::display), "changed recipients"
        );
        if let Some(request) = request {
            requests.extend(change.add.into_iter().chain(change.remove).map(|recipient| (recipient, request.clone())));
        }
        batch.record(result);
    }
    (batch.finish(), requests)
}
