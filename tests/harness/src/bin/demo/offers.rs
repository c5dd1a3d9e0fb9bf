//! The second half of the story, at Huawei Cloud: an image is offered to another account, accepted there by YAML, and
//! both sides say so. Each step asks the simulated cloud whether it is true.

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::eventually;
use serde_json::Value;

use crate::stage::Stage;
use crate::story::{LIMIT, at, chapter, condition, object_in};

const OWNERS: &str = "huawei-images";
const RECEIVERS: &str = "huawei-partners";
const IMAGE: &str = "d164b5df-1bc3-4c3f-893e-3e471fd16e64";

pub(crate) async fn tell(stage: &Stage) -> Result<()> {
    offer(stage).await.context("offering an image at Huawei Cloud")?;
    list(stage).await.context("listing the offer on the other side")?;
    accept(stage).await.context("accepting the offer")?;
    take_back(stage).await.context("taking the image back")
}

async fn offer(stage: &Stage) -> Result<()> {
    chapter(
        7,
        "Another cloud, where sharing is an offer: an image of one Huawei Cloud account for a project of another.",
    );
    stage.apply("examples/huawei/01-owner.yaml").await?;
    until(stage, OWNERS, "imageshare/partners", "Ready", "True", "Shared").await?;
    until(stage, OWNERS, "imageshare/partners", "Accepted", "False", "AwaitingAnswer").await?;
    stage.show(&["get", "imageshare", "-n", OWNERS]).await?;
    ensure!(answer(stage).await?.as_deref() == Some("pending"), "the cloud says {:?}", answer(stage).await?);
    Ok(())
}

async fn list(stage: &Stage) -> Result<()> {
    chapter(8, "The other side lists what is shared with it. The offer is there, pending.");
    stage.apply("examples/huawei/02-receiver.yaml").await?;
    eventually(LIMIT, "the offer to be listed as Pending", async || {
        let listed = object_in(stage, RECEIVERS, "sharedimage").await?;
        let states: Vec<&Value> =
            at(&listed, "/items").as_array().into_iter().flatten().map(|item| at(item, "/status/state")).collect();
        ensure!(states == ["Pending"], "{states:?}");
        Ok(Some(()))
    })
    .await?;
    let shown = stage.show(&["get", "sharedimage", "-n", RECEIVERS]).await?;
    ensure!(shown.contains(IMAGE) && shown.contains("Pending"), "kubectl shows no pending image");
    Ok(())
}

async fn accept(stage: &Stage) -> Result<()> {
    chapter(9, "It is accepted by YAML, from this owner and nobody else. Both sides say so.");
    stage.apply("examples/huawei/03-accept.yaml").await?;
    until(stage, RECEIVERS, "sharedimageacceptance/golden-euler", "Ready", "True", "Accepted").await?;
    ensure!(answer(stage).await?.as_deref() == Some("accepted"), "the cloud says {:?}", answer(stage).await?);
    stage.show(&["get", "sharedimageacceptance", "-n", RECEIVERS]).await?;
    until(stage, OWNERS, "imageshare/partners", "Accepted", "True", "Accepted").await?;
    let shown = stage.show(&["get", "imageshare", "-n", OWNERS]).await?;
    ensure!(shown.contains("1/1"), "kubectl shows no ACCEPTED 1/1");
    Ok(())
}

async fn take_back(stage: &Stage) -> Result<()> {
    chapter(10, "The owner ends the share: the other side is told that the image was taken back.");
    stage.show(&["delete", "imageshare", "partners", "-n", OWNERS, "--timeout=60s"]).await?;
    ensure!(answer(stage).await?.is_none(), "the project still has the image");
    // Looked at now rather than at the next drift look, ten minutes on.
    let look = "imageshare.dev/reconcile-requested-at=now";
    stage.show(&["annotate", "sharedimageacceptance", "golden-euler", "-n", RECEIVERS, look]).await?;
    until(stage, RECEIVERS, "sharedimageacceptance/golden-euler", "Ready", "False", "Revoked").await?;
    let shown = stage.show(&["get", "sharedimageacceptance", "-n", RECEIVERS]).await?;
    ensure!(shown.contains("Revoked"), "kubectl shows no Revoked");
    Ok(())
}

async fn until(stage: &Stage, namespace: &str, name: &str, kind: &str, status: &str, reason: &str) -> Result<()> {
    eventually(LIMIT, &format!("{name}: {kind}={status} {reason}"), async || {
        let object = object_in(stage, namespace, name).await?;
        let found = condition(&object, kind)?;
        ensure!(at(&found, "/status") == status && at(&found, "/reason") == reason, "{found}");
        Ok(Some(()))
    })
    .await
}

/// What the cloud itself says that the project answered; `None` if the image is not shared with it.
async fn answer(stage: &Stage) -> Result<Option<String>> {
    let world = stage.cloud.get("/world").await?;
    let images = at(&world, "/huawei/images").as_array().context("a world without Huawei images")?;
    let image = images.iter().find(|image| at(image, "/id") == IMAGE).context("the image is not in the world")?;
    Ok(at(image, "/members/0/status").as_str().map(ToOwned::to_owned))
}
