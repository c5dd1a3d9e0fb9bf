//! Executes a batch: the only caller of the cloud call that changes recipients. Decides nothing.

use crate::clouds::{Cloud, ImageRef, Priority};
use crate::planning::batch::{Batch, BatchResult};

/// Makes the batch's calls one after the other, until it has none left.
pub(super) async fn execute(cloud: &dyn Cloud, at: &ImageRef, mut batch: Batch, priority: Priority) -> BatchResult {
    while let Some(change) = batch.next_call() {
        let result = cloud.change_recipients(at, &change, priority).await;
        let (added, removed) = (change.add.len(), change.remove.len());
        match &result {
            Ok(_) => {
                tracing::info!(image.id = %at.image, image.region = %at.region, added, removed, "changed recipients");
            }
            Err(fault) => {
                tracing::debug!(image.id = %at.image, image.region = %at.region, %fault, "could not change recipients");
            }
        }
        batch.record(result);
    }
    batch.finish()
}
