//! A share that the operator has heard of and does not hold yet: what was another's becomes its own without a gap.

use anyhow::Result;
use imageshare_harness::proxy::{Deed, Moment, Rule, Upstream, Which};
use imageshare_operator::api::ImageShare;

use crate::behind;
use support::PATIENCE;

#[tokio::test]
async fn whom_a_share_names_that_is_not_held_yet_is_not_taken_away() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    player.share("old", 1..=2).await?;
    player.ready::<ImageShare>("old").await?;
    let newcomer = format!("/namespaces/{}/imageshares/new?", player.namespace.name());
    let finalizer = Which::write().to(Upstream::Kubernetes).method("PATCH").path(&newcomer);
    let held = behind.proxy.add(Rule::new(finalizer, Deed::Hold(Moment::BeforeForward)));
    player.share("new", [1]).await?;
    held.reached(PATIENCE).await?;
    player.delete::<ImageShare>("old").await?;
    player.until_shared_with(1, [1]).await?;
    drop(held);
    player.ready::<ImageShare>("new").await?;
    player.gone::<ImageShare>("old").await?;
    assert_eq!(player.removed().await?, player.recipients([2]));
    behind.audit(&[&player], &[]).await
}
