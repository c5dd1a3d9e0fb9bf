//! New builds are shared by themselves, and go back only when somebody says so.

use anyhow::Result;
use imageshare_harness::eventually;
use imageshare_operator::api::{ChannelShare, CloudImage, ImageChannel, ImageShare};
use kube::api::ListParams;
use serde_json::json;

use crate::stage::{
    after_lists, build, channel, follow, owner, recipients, stages, until_has, until_latest, until_stages, written,
};

use support::PATIENCE;

#[tokio::test]
async fn three_builds_appear_and_everybody_gets_each_after_its_soak() -> Result<()> {
    let owner = owner().await?;
    let first = build(&owner, "1").await?;
    channel(&owner, "line", json!({"soak": "8s"})).await?;
    follow(&owner, &owner, "teams", "line", &[1, 2]).await?;
    follow(&owner, &owner, "partners", "line", &[3]).await?;
    until_latest(&owner, "line", "1").await?;
    until_has(&owner, &first, &[1, 2, 3]).await?;
    let mut images = vec![first];
    for (version, wanted) in [("2", "2 Current, 1 Supported"), ("3", "3 Current, 2 Supported, 1 Supported")] {
        let image = build(&owner, version).await?;
        let soaks = owner
            .until_it::<ImageChannel>("line", "a Candidate", |it| {
                it["status"]["versions"][0]["version"] == version && it["status"]["versions"][0]["stage"] == "Candidate"
            })
            .await?;
        assert!(soaks["status"]["versions"][0]["next"]["notBefore"].is_string(), "{}", soaks["status"]);
        assert_ne!(soaks["status"]["latest"][0]["version"], version);
        let moved = until_latest(&owner, "line", version).await?;
        assert_eq!(stages(&moved), wanted);
        assert_eq!(moved["status"]["latest"][0]["imageID"], image.as_str());
        images.push(image);
        for image in &images {
            until_has(&owner, image, &[1, 2, 3]).await?;
        }
    }
    owner.until::<ImageChannel>("line", "True", "Available").await?;
    for (name, summary) in [("teams", "6/6"), ("partners", "3/3")] {
        let all = |it: &serde_json::Value| {
            let status = &it["status"];
            (&status["latest"], &status["images"], &status["summary"]) == (&json!("3"), &json!(3), &json!(summary))
        };
        owner.until_it::<ChannelShare>(name, summary, all).await?;
        owner.ready::<ChannelShare>(name).await?;
    }
    owner.event("LatestMoved", "the latest version is 3").await?;
    assert!(owner.removed().await?.is_empty(), "nobody lost anything");
    // Settled: no list that finds the same writes anything, once the last change is written everywhere.
    eventually(PATIENCE, "lists that write nothing", async || {
        let before = written(&owner).await?;
        after_lists(&owner, 3).await?;
        Ok((written(&owner).await? == before).then_some(()))
    })
    .await
}

#[tokio::test]
async fn of_older_images_nobody_gets_more_than_the_newest() -> Result<()> {
    let owner = owner().await?;
    let mut images = Vec::new();
    for version in ["1", "2", "3"] {
        images.push(build(&owner, version).await?);
    }
    let order = json!({"by": "Version", "format": "Numeric"});
    channel(&owner, "line", json!({"order": order, "retire": {"keep": 2}})).await?;
    follow(&owner, &owner, "teams", "line", &[1]).await?;
    until_stages(&owner, "line", "3 Current, 2 Supported, 1 Retired").await?;
    owner.ready::<ChannelShare>("teams").await?;
    for (image, has) in images.iter().zip([&[][..], &[1], &[1]]) {
        until_has(&owner, image, has).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_pin_rolls_back_and_an_excluded_version_is_given_to_nobody_new() -> Result<()> {
    let owner = owner().await?;
    let (one, two) = (build(&owner, "1").await?, build(&owner, "2").await?);
    let order = json!({"by": "Version", "format": "Numeric"});
    channel(&owner, "line", json!({"order": order})).await?;
    follow(&owner, &owner, "teams", "line", &[1]).await?;
    until_latest(&owner, "line", "2").await?;
    owner.edit::<ImageChannel>("line", json!({"spec": {"pin": "1"}})).await?;
    until_latest(&owner, "line", "1").await?;
    until_stages(&owner, "line", "2 Candidate, 1 Current").await?;
    owner.event("LatestMoved", "the latest version is 1").await?;
    owner.edit::<ImageChannel>("line", json!({"spec": {"pin": "7"}})).await?;
    let unknown = owner.until::<ImageChannel>("line", "False", "VersionUnknown").await?;
    support::says(&unknown, "Ready", &["spec.pin", "7"]);
    assert_eq!(unknown["status"]["latest"][0]["version"], "1");
    owner.edit::<ImageChannel>("line", json!({"spec": {"pin": null, "exclude": [{"version": "2"}]}})).await?;
    until_stages(&owner, "line", "2 Deprecated, 1 Current").await?;
    owner.edit::<ChannelShare>("teams", json!({"spec": {"recipients": recipients(&owner, &[1, 2])}})).await?;
    until_has(&owner, &one, &[1, 2]).await?;
    until_has(&owner, &two, &[1]).await?;
    owner.ready::<ChannelShare>("teams").await?;
    until_has(&owner, &two, &[1]).await?;
    assert!(owner.removed().await?.is_empty(), "who has a version keeps it");
    // Who is taken out ends on every version.
    owner.edit::<ChannelShare>("teams", json!({"spec": {"recipients": recipients(&owner, &[2])}})).await?;
    until_has(&owner, &one, &[2]).await?;
    until_has(&owner, &two, &[]).await
}

#[tokio::test]
async fn deleting_or_suspending_a_channel_changes_no_access_and_deleting_its_share_ends_it() -> Result<()> {
    let owner = owner().await?;
    let one = build(&owner, "1").await?;
    channel(&owner, "line", json!({})).await?;
    follow(&owner, &owner, "teams", "line", &[1]).await?;
    owner.ready::<ChannelShare>("teams").await?;
    until_latest(&owner, "line", "1").await?;
    owner.edit::<ImageChannel>("line", json!({"spec": {"suspend": true}})).await?;
    owner.until::<ImageChannel>("line", "False", "Suspended").await?;
    let two = build(&owner, "2").await?;
    owner.delete::<ImageChannel>("line").await?;
    owner.gone::<ImageChannel>("line").await?;
    owner.until::<ChannelShare>("teams", "False", "ChannelRefUnresolved").await?;
    until_has(&owner, &one, &[1]).await?;
    assert!(owner.removed().await?.is_empty());
    assert_eq!(owner.api::<CloudImage>().list(&ListParams::default()).await?.items.len(), 1);
    // Made again, it goes on as before.
    channel(&owner, "line", json!({})).await?;
    until_latest(&owner, "line", "2").await?;
    owner.ready::<ChannelShare>("teams").await?;
    until_has(&owner, &one, &[1]).await?;
    until_has(&owner, &two, &[1]).await?;
    assert!(owner.removed().await?.is_empty());
    owner.delete::<ChannelShare>("teams").await?;
    owner.gone::<ChannelShare>("teams").await?;
    until_has(&owner, &one, &[]).await?;
    until_has(&owner, &two, &[]).await?;
    assert!(owner.api::<ImageShare>().list(&ListParams::default()).await?.items.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_channel_that_observes_writes_its_status_and_nothing_else() -> Result<()> {
    let owner = owner().await?;
    build(&owner, "1").await?;
    channel(&owner, "line", json!({"mode": "Observe"})).await?;
    follow(&owner, &owner, "teams", "line", &[1]).await?;
    let seen = until_latest(&owner, "line", "1").await?;
    assert!(seen["status"]["latest"][0]["cloudImage"].is_null(), "{}", seen["status"]);
    owner.until::<ChannelShare>("teams", "False", "NoVersion").await?;
    after_lists(&owner, 2).await?;
    assert!(owner.api::<CloudImage>().list(&ListParams::default()).await?.items.is_empty());
    assert!(owner.api::<ImageShare>().list(&ListParams::default()).await?.items.is_empty());
    assert!(owner.mutations().await?.is_empty());
    owner.edit::<ImageChannel>("line", json!({"spec": {"mode": "Share"}})).await?;
    owner.ready::<ChannelShare>("teams").await.map(drop)
}
