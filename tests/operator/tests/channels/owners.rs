//! What people wrote by hand stays as they wrote it.

use anyhow::Result;
use imageshare_operator::api::{ChannelShare, CloudImage, ImageChannel, ImageShare};
use kube::api::ListParams;
use serde_json::json;

use crate::stage::{after_lists, build, channel, follow, owner, until_has, until_latest};

#[tokio::test]
async fn a_cloud_image_and_a_share_written_by_hand_are_used_and_never_changed() -> Result<()> {
    let owner = owner().await?;
    let one = build(&owner, "1").await?;
    owner.image("golden", |spec| spec.image_id.clone_from(&one)).await?;
    owner.share("by-hand", [2]).await?;
    owner.ready::<ImageShare>("by-hand").await?;
    let (image, share) = (owner.get::<CloudImage>("golden").await?, owner.get::<ImageShare>("by-hand").await?);
    channel(&owner, "line", json!({"shareableFrom": {"namespaces": {"from": "All"}}})).await?;
    follow(&owner, &owner, "teams", "line", &[1]).await?;
    let latest = until_latest(&owner, "line", "1").await?;
    assert_eq!(latest["status"]["latest"][0]["cloudImage"], "golden");
    owner.ready::<ChannelShare>("teams").await?;
    until_has(&owner, &one, &[1, 2]).await?;
    owner.delete::<ChannelShare>("teams").await?;
    owner.gone::<ChannelShare>("teams").await?;
    after_lists(&owner, 2).await?;
    assert_eq!(owner.api::<CloudImage>().list(&ListParams::default()).await?.items.len(), 1, "it is not doubled");
    for (before, after) in
        [(image, owner.get::<CloudImage>("golden").await?), (share, owner.get::<ImageShare>("by-hand").await?)]
    {
        for part in ["generation", "labels", "annotations", "ownerReferences"] {
            assert_eq!(before["metadata"][part], after["metadata"][part], "{part}");
        }
        assert_eq!(before["spec"], after["spec"]);
    }
    until_has(&owner, &one, &[2]).await
}

#[tokio::test]
async fn a_name_that_is_taken_is_told_and_left_alone() -> Result<()> {
    let owner = owner().await?;
    let one = build(&owner, "1").await?;
    channel(&owner, "line", json!({})).await?;
    let made = until_latest(&owner, "line", "1").await?["status"]["latest"][0]["cloudImage"].clone();
    let name = made.as_str().unwrap().to_owned();
    owner.delete::<ImageChannel>("line").await?;
    owner.gone::<ImageChannel>("line").await?;
    owner.delete::<CloudImage>(&name).await?;
    owner.gone::<CloudImage>(&name).await?;
    owner.image(&name, |_| {}).await?;
    channel(&owner, "line", json!({})).await?;
    let told = owner.until::<ImageChannel>("line", "False", "NameTaken").await?;
    support::says(&told, "Ready", &[&name]);
    let kept = owner.get::<CloudImage>(&name).await?;
    assert_ne!(kept["spec"]["imageID"], one.as_str());
    // The channel takes the name as soon as it is free.
    owner.delete::<CloudImage>(&name).await?;
    until_latest(&owner, "line", "1").await?;
    assert_eq!(owner.get::<CloudImage>(&name).await?["spec"]["imageID"], one.as_str());
    Ok(())
}
