//! Carries out an exchange: the only caller of what changes recipients. Decides nothing.

use crate::clouds::{Cloud, ImageRef, Lane};
use crate::planning::exchange::{Ending, Exchange};

/// Makes the exchange's calls one after the other, until it has none left.
pub(super) async fn execute(cloud: &dyn Cloud, at: &ImageRef, mut exchange: Exchange, lane: Lane) -> Ending {
    while let Some(change) = exchange.next_call() {
        let result = cloud.change_recipients(at, &change, lane).await;
        tracing::info!(
            image.id = %at.image, image.region = %at.region, added = change.add.len(), removed = change.remove.len(),
            fault = result.as_ref().err().map(tracing::field::display), "changed recipients"
        );
        exchange.record(result);
    }
    exchange.finish()
}
