//! The crash walk: the operator is killed (SIGKILL) after each of its outgoing writes, to the API server or to the cloud,
//! was applied but before its answer; then it is started again. Each time, the end is the same as without the kill, and the
//! auditor finds nothing on the way. A write that never arrived leaves the servers as the one before it did: the same walk.
//!
//! What is walked where; Glance has a binary of its own, and no journal to audit:
//!
//! | deed | Alibaba Cloud, AWS | Huawei Cloud | Glance |
//! |---|---|---|---|
//! | `Share`, `ChangeRecipients`, `Unshare`, `DeleteImage` | walked | walked | walked |
//! | `Accept`, `Reject` | walked: the clouds ask for no answer, so that only the object is written | walked | walked |
//! | `Copy` of an own image, shared at once | walked | walked, to another region | walked, in its own region |
//! | `StopCopy` | walked | walked | walked |
//! | `DeleteCopy` | walked | walked | walked |
//! | `Replicate` of a received image | walked | walked | walked |
//! | `CopyOn` of that copy to another region | as `Copy` | walked, by the receiver's account | there is no other |

mod alibaba;
mod aws;
mod copies;
mod huawei;

use alibaba::Alibaba;
use anyhow::{Context as _, Result, ensure};
use aws::Aws;
use huawei::Huawei;
use imageshare_harness::proxy::{Deed as Fault, Moment, Rule, Upstream, Which};
use imageshare_operator::api::ImageReplica;
use kube::api::DeleteParams;
use serde_json::json;
use support::crash_walk::deed::Deed;
use support::crash_walk::stage::{self, Stage};
use support::crash_walk::world::World as _;
use support::walks;

/// The operator is killed when the cloud has taken the job and nobody knows its id; the share goes meanwhile.
#[tokio::test]
async fn a_job_that_was_lost_in_a_crash_and_adds_late_leaks_nothing() -> Result<()> {
    let run = stage::folder()?;
    let world = Huawei::start(&run).await?;
    let mut stage = Stage::start(run, world).await?;
    let plan = stage.plan("Retain").await?;
    stage.world.slow_addition(&plan.place, 2_500).await?;
    let which = Which::write().to(Upstream::Cloud).method("POST");
    let trigger = stage.proxy.add(Rule::new(which, Fault::Hold(Moment::AfterApply)).times(1));
    plan.share("golden", [1, 2, 3]).await?;
    trigger.reached(stage::PATIENCE).await?;
    stage.operator.kill9();
    trigger.cut();
    Deed::Unshare.happen(&plan).await?;
    stage.operator.restart()?;
    plan.until_end(&Deed::Unshare.end(stage.world.as_ref())).await?;
    // It did add them; that is when one who does not wait has gone already.
    let added = stage.world.added(&plan.place).await?;
    ensure!(added == 3, "{added} were added");
    plan.until_end(&Deed::Unshare.end(stage.world.as_ref())).await?;
    stage.audit().await
}

/// The operator is killed when it let a `CloudImage` stand for the copy and did not write down that it has; the
/// `ImageReplica` goes meanwhile. The copy was made, and stays with its `CloudImage`.
#[tokio::test]
async fn a_copy_that_was_recorded_in_a_crash_stays_though_its_replica_goes() -> Result<()> {
    let run = stage::folder()?;
    let world = Alibaba::start(&run).await?;
    let mut stage = Stage::start(run, world).await?;
    let plan = stage.plan("Retain").await?;
    let which = Which::write().to(Upstream::Kubernetes).method("POST").path("/cloudimages?");
    let trigger = stage.proxy.add(Rule::new(which, Fault::Hold(Moment::AfterApply)).times(1));
    plan.copy("golden", "Retain").await?;
    trigger.reached(stage::PATIENCE).await?;
    stage.operator.kill9();
    trigger.cut();
    plan.api::<ImageReplica>().delete("far", &DeleteParams::default()).await?;
    stage.operator.restart()?;
    let mut end = Deed::StopCopy.end(stage.world.as_ref());
    let image = json!({"ready": "True Available", "ledger": [], "shares": 0, "job": null});
    end.objects["copies"] = json!({"far": {"image": image}});
    end.copies["far"]["left"] = json!([stage.world.made(stage.world.elsewhere(), 0)]);
    plan.until_end(&end).await.with_context(|| stage.silence())?;
    stage.audit().await
}

walks!(
    at_alibaba, Alibaba:
    killed_at_any_write_of_a_share_the_end_is_the_same_and_nothing_is_left_over => [Share],
    killed_at_any_write_of_a_change_of_recipients_the_end_is_the_same_and_nothing_is_left_over => [ChangeRecipients],
    killed_at_any_write_of_an_end_the_end_is_the_same_and_nothing_is_left_over => [Unshare],
    killed_at_any_write_of_deleting_the_image_the_end_is_the_same_and_nothing_is_left_over => [DeleteImage],
    killed_at_any_write_of_a_copy_there_is_one_and_of_its_end_none => [Copy, StopCopy, DeleteCopy],
    killed_at_any_write_about_a_received_image_the_end_is_the_same => [Accept, Reject, Replicate],
);

walks!(
    at_aws, Aws:
    killed_at_any_write_of_a_share_or_its_end_the_end_is_the_same_and_nothing_is_left_over =>
        [Share, ChangeRecipients, Unshare],
    killed_at_any_write_of_deleting_the_image_the_end_is_the_same_and_nothing_is_left_over => [DeleteImage],
    killed_at_any_write_of_a_copy_there_is_one_and_of_its_end_none => [Copy, StopCopy, DeleteCopy],
    killed_at_any_write_about_a_received_image_the_end_is_the_same => [Accept, Reject, Replicate],
);

walks!(
    at_huawei, Huawei:
    killed_at_any_write_of_a_share_or_its_end_the_end_is_the_same_and_nothing_is_left_over =>
        [Share, ChangeRecipients, Unshare],
    killed_at_any_write_of_an_answer_or_the_images_end_the_end_is_the_same_and_nothing_is_left_over =>
        [Accept, Reject, DeleteImage],
    killed_at_any_write_of_a_copy_there_is_one_though_the_cloud_knows_no_token_and_of_its_end_none =>
        [Replicate, CopyOn, StopCopy],
    killed_at_any_write_of_a_copy_that_is_shared_or_of_its_end_there_is_one_or_none => [Copy, DeleteCopy],
);
