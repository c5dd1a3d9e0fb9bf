//! Old versions end: after the grace that was told, when everybody has a newer one, and at once only when somebody says so.

use anyhow::Result;
use imageshare_operator::api::{ChannelShare, CloudImage, ImageChannel, ImageShare};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::stage::{
    after_lists, age, build, channel, follow, owner, owner_on, recipients, until_blocked, until_has, until_latest,
    until_stages,
};
use support::Player;

/// A channel that keeps one version.
async fn rotating(owner: &Player) -> Result<()> {
    channel(owner, "line", json!({"mode": "Rotate", "retire": {"keep": 1, "grace": "2h"}})).await
}

/// Two versions that everybody of `teams` has, the older one Deprecated.
async fn with_an_old_one(owner: &Player, numbers: &[u32]) -> Result<(String, String)> {
    let one = build(owner, "1").await?;
    rotating(owner).await?;
    follow(owner, owner, "teams", "line", numbers).await?;
    until_latest(owner, "line", "1").await?;
    until_has(owner, &one, numbers).await?;
    let two = build(owner, "2").await?;
    until_stages(owner, "line", "2 Current, 1 Deprecated").await?;
    until_has(owner, &two, numbers).await?;
    Ok((one, two))
}

async fn children(place: &Player) -> Result<Vec<String>> {
    Ok(place.api::<ImageShare>().list(&ListParams::default()).await?.iter().map(ResourceExt::name_any).collect())
}

/// Edits the finalizers of an `ImageShare`.
async fn finalizers(place: &Player, name: &str, edit: impl Fn(&mut Vec<String>)) -> Result<()> {
    let mut all = place.api::<ImageShare>().get(name).await?.metadata.finalizers.unwrap_or_default();
    edit(&mut all);
    place.edit::<ImageShare>(name, json!({"metadata": {"finalizers": all}})).await
}

#[tokio::test]
async fn an_old_version_goes_to_nobody_new_and_ends_for_everybody_after_its_grace() -> Result<()> {
    let owner = owner().await?;
    let (one, two) = with_an_old_one(&owner, &[1, 2]).await?;
    let told = owner.event("VersionDeprecated", "version 1 (").await?;
    let seen = owner.get::<ImageChannel>("line").await?;
    let next = &seen["status"]["versions"][1]["next"];
    assert_eq!(next["stage"], "Revoking");
    assert!(told.contains(next["notBefore"].as_str().unwrap()), "{told} {next}");
    owner.edit::<ChannelShare>("teams", json!({"spec": {"recipients": recipients(&owner, &[1, 2, 3])}})).await?;
    until_has(&owner, &two, &[1, 2, 3]).await?;
    after_lists(&owner, 3).await?;
    until_has(&owner, &one, &[1, 2]).await?;
    assert!(owner.removed().await?.is_empty(), "nothing ends before its time");
    age(&owner, "line", "1", 3).await?;
    let done = until_stages(&owner, "line", "2 Current, 1 Retired").await?;
    assert_eq!(support::condition(&done, "Rotated").unwrap().status, "True");
    until_has(&owner, &one, &[]).await?;
    until_has(&owner, &two, &[1, 2, 3]).await?;
    let mut removed = owner.removed().await?;
    removed.sort();
    assert_eq!(removed, owner.recipients([1, 2]), "each once, and nobody else");
    let calls = owner.calls("ModifyImageSharePermission").await?;
    let took = calls.iter().filter(|call| call["effect"]["removed"].as_array().is_some_and(|it| !it.is_empty()));
    assert_eq!(took.count(), 1, "one call, as by hand");
    owner.event("VersionRevoking", "version 1 (").await?;
    owner.event("VersionRetired", "version 1 (").await?;
    assert_eq!(children(&owner).await?.len(), 1);
    owner.ready::<ChannelShare>("teams").await?;
    // The image and its CloudImage stay, and nothing shares it again.
    assert_eq!(owner.api::<CloudImage>().list(&ListParams::default()).await?.items.len(), 2);
    after_lists(&owner, 2).await?;
    until_has(&owner, &one, &[]).await
}

#[tokio::test]
async fn the_operator_goes_on_from_status_wherever_it_is_killed() -> Result<()> {
    let stage = support::start_apart(&support::world_of(24, 3), &support::quick(&crate::stage::OFTEN)).await?;
    let stage: &'static support::Stage = Box::leak(Box::new(stage));
    let owner = owner_on(stage).await?;
    let one = build(&owner, "1").await?;
    rotating(&owner).await?;
    follow(&owner, &owner, "teams", "line", &[1, 2]).await?;
    until_has(&owner, &one, &[1, 2]).await?;
    stage.restart_operator().await?;
    let two = build(&owner, "2").await?;
    let seen = until_stages(&owner, "line", "2 Current, 1 Deprecated").await?;
    stage.restart_operator().await?;
    after_lists(&owner, 3).await?;
    let told = |it: &Value| it["status"]["versions"][1]["next"].clone();
    assert_eq!(told(&owner.get::<ImageChannel>("line").await?), told(&seen), "the grace is as it was told");
    assert!(owner.removed().await?.is_empty());
    age(&owner, "line", "1", 3).await?;
    owner
        .until_it::<ImageChannel>("line", "1 to be over", |it| {
            it["status"]["versions"][1]["stage"] != "Deprecated"
                || it["status"]["versions"][1]["overdueSince"].is_string()
        })
        .await?;
    stage.restart_operator().await?;
    owner
        .until_it::<ImageChannel>("line", "1 to end", |it| it["status"]["versions"][1]["stage"] != "Deprecated")
        .await?;
    stage.restart_operator().await?;
    until_stages(&owner, "line", "2 Current, 1 Retired").await?;
    stage.restart_operator().await?;
    after_lists(&owner, 2).await?;
    until_stages(&owner, "line", "2 Current, 1 Retired").await?;
    until_has(&owner, &one, &[]).await?;
    until_has(&owner, &two, &[1, 2]).await
}

#[tokio::test]
async fn a_channel_that_is_deleted_and_made_again_ends_nothing_before_a_whole_grace() -> Result<()> {
    let owner = owner().await?;
    let (one, two) = with_an_old_one(&owner, &[1]).await?;
    owner.delete::<ImageChannel>("line").await?;
    owner.gone::<ImageChannel>("line").await?;
    rotating(&owner).await?;
    let again = until_stages(&owner, "line", "2 Current, 1 Deprecated").await?;
    assert!(again["status"]["versions"][1]["next"]["notBefore"].is_string(), "{}", again["status"]);
    after_lists(&owner, 3).await?;
    // Nor does it when rotation is turned off.
    owner.edit::<ImageChannel>("line", json!({"spec": {"mode": "Share"}})).await?;
    until_stages(&owner, "line", "2 Current, 1 Supported").await?;
    until_has(&owner, &one, &[1]).await?;
    until_has(&owner, &two, &[1]).await?;
    assert!(owner.removed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_version_that_is_excluded_now_ends_at_once_and_no_other_does() -> Result<()> {
    let owner = owner().await?;
    let (one, two) = (build(&owner, "1").await?, build(&owner, "2").await?);
    let order = json!({"by": "Version", "format": "Numeric"});
    channel(&owner, "line", json!({"order": order})).await?;
    follow(&owner, &owner, "teams", "line", &[1, 2]).await?;
    until_latest(&owner, "line", "2").await?;
    until_has(&owner, &one, &[1, 2]).await?;
    until_has(&owner, &two, &[1, 2]).await?;
    // The images cannot even be listed meanwhile.
    owner.fault(json!({"action": "DescribeImages"}), 6, json!({"kind": "unavailable"})).await?;
    let exclude = json!({"spec": {"exclude": [{"version": "2", "revoke": "Now"}]}});
    owner.edit::<ImageChannel>("line", exclude).await?;
    until_has(&owner, &two, &[]).await?;
    until_has(&owner, &one, &[1, 2]).await?;
    until_latest(&owner, "line", "1").await?;
    until_stages(&owner, "line", "2 Retired, 1 Current").await?;
    owner.event("VersionRevoking", "version 2 (").await?;
    let mut removed = owner.removed().await?;
    removed.sort();
    assert_eq!(removed, owner.recipients([1, 2]));
    // By mistake: a pin brings it back, and then nothing more is needed.
    owner.edit::<ImageChannel>("line", json!({"spec": {"exclude": null, "pin": "2"}})).await?;
    until_latest(&owner, "line", "2").await?;
    until_has(&owner, &two, &[1, 2]).await?;
    owner.edit::<ImageChannel>("line", json!({"spec": {"pin": null}})).await?;
    until_stages(&owner, "line", "2 Current, 1 Supported").await?;
    until_has(&owner, &one, &[1, 2]).await
}

#[tokio::test]
async fn a_suspended_share_keeps_the_old_version_and_everybody_else_loses_it() -> Result<()> {
    let owner = owner().await?;
    let (one, two) = with_an_old_one(&owner, &[1]).await?;
    follow(&owner, &owner, "paused", "line", &[2]).await?;
    until_has(&owner, &two, &[1, 2]).await?;
    owner.edit::<ChannelShare>("teams", json!({"spec": {"suspend": true}})).await?;
    owner.until::<ChannelShare>("teams", "False", "Suspended").await?;
    age(&owner, "line", "1", 3).await?;
    until_stages(&owner, "line", "2 Current, 1 Revoking").await?;
    let told = owner.until_condition::<ImageChannel>("line", "Rotated", "False", "Suspended").await?;
    support::says(&told, "Rotated", &["version 1", "suspended ChannelShares", "teams-"]);
    owner.event("RotationBlocked", "version 1").await?;
    until_blocked(&owner, "line", "1", &["Suspended"]).await?;
    until_has(&owner, &one, &[1]).await?;
    owner.edit::<ChannelShare>("teams", json!({"spec": {"suspend": false}})).await?;
    until_stages(&owner, "line", "2 Current, 1 Retired").await?;
    until_has(&owner, &one, &[]).await?;
    until_has(&owner, &two, &[1, 2]).await
}

#[tokio::test]
async fn a_tenant_whose_objects_do_not_go_keeps_nobody_elses_old_versions() -> Result<()> {
    let owner = owner().await?;
    let one = build(&owner, "1").await?;
    rotating(&owner).await?;
    let all = json!({"spec": {"shareableFrom": {"namespaces": {"from": "All"}}}});
    owner.edit::<ImageChannel>("line", all).await?;
    let tenant = owner.guest().await?;
    follow(&owner, &owner, "teams", "line", &[1]).await?;
    follow(&tenant, &owner, "stuck", "line", &[4]).await?;
    until_has(&owner, &one, &[1, 4]).await?;
    let [child] = children(&tenant).await?.try_into().unwrap();
    finalizers(&tenant, &child, |all| all.push("tenant.example/never".to_owned())).await?;
    let two = build(&owner, "2").await?;
    until_stages(&owner, "line", "2 Current, 1 Deprecated").await?;
    until_has(&owner, &two, &[1, 4]).await?;
    let three = build(&owner, "3").await?;
    until_stages(&owner, "line", "3 Current, 2 Deprecated, 1 Deprecated").await?;
    until_has(&owner, &three, &[1, 4]).await?;
    age(&owner, "line", "1", 3).await?;
    until_stages(&owner, "line", "3 Current, 2 Deprecated, 1 Revoking").await?;
    until_has(&owner, &one, &[]).await?;
    age(&owner, "line", "2", 3).await?;
    until_blocked(&owner, "line", "2", &["RevokingAnother"]).await?;
    age(&owner, "line", "1", 2).await?;
    until_stages(&owner, "line", "3 Current, 2 Retired, 1 Revoking").await?;
    until_has(&owner, &two, &[]).await?;
    until_has(&owner, &three, &[1, 4]).await?;
    finalizers(&tenant, &child, Vec::clear).await?;
    until_stages(&owner, "line", "3 Current, 2 Retired, 1 Retired").await.map(drop)
}
