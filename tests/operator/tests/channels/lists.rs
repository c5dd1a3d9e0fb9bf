//! What a channel concludes from lists of images that fail, lack something, or match nothing.

use anyhow::Result;
use imageshare_operator::api::{ChannelShare, ImageChannel};
use serde_json::json;

use crate::stage::{after_lists, build, channel, follow, lists, owner, owner_on, until_has, until_latest, written};

#[tokio::test]
async fn a_failed_a_partial_and_an_empty_list_retire_nobody() -> Result<()> {
    let owner = owner().await?;
    let (one, two) = (build(&owner, "1").await?, build(&owner, "2").await?);
    channel(&owner, "line", json!({"order": {"by": "Version", "format": "Numeric"}})).await?;
    follow(&owner, &owner, "teams", "line", &[1]).await?;
    let settled = until_latest(&owner, "line", "2").await?;
    owner.ready::<ChannelShare>("teams").await?;
    let faults = [
        (json!({"kind": "unavailable"}), "Unknown", "CloudUnavailable"),
        (json!({"kind": "truncatedPage", "drop": 2}), "Unknown", "AnswerUnclear"),
        (json!({"kind": "emptyList"}), "False", "NoImageMatches"),
    ];
    for (fault, status, reason) in faults {
        // Enough for several lists; each of them may be asked for more than once.
        owner.fault(json!({"action": "DescribeImages"}), 6, fault).await?;
        let seen = owner.until_condition::<ImageChannel>("line", "Discovered", status, reason).await?;
        assert_eq!(seen["status"]["latest"], settled["status"]["latest"], "{reason}");
        after_lists(&owner, 3).await?;
        let healed = owner.until_condition::<ImageChannel>("line", "Discovered", "True", "Discovered").await?;
        assert_eq!(healed["status"]["latest"], settled["status"]["latest"], "{reason}");
        assert_eq!(healed["status"]["versions"], settled["status"]["versions"], "{reason}");
    }
    until_has(&owner, &one, &[1]).await?;
    until_has(&owner, &two, &[1]).await?;
    assert!(owner.removed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_typo_in_the_pattern_is_told_by_its_field_and_harms_nobody() -> Result<()> {
    let owner = owner().await?;
    let one = build(&owner, "1").await?;
    let select = |pattern: &str| json!({"spec": {"select": {"namePattern": pattern}}});
    channel(&owner, "line", json!({"select": {"namePattern": "line-(?P<version>[0-9+"}})).await?;
    let told = owner.until::<ImageChannel>("line", "False", "PatternInvalid").await?;
    support::says(&told, "Ready", &["spec.select.namePattern"]);
    support::says(&told, "Stalled", &["spec.select.namePattern"]);
    owner.edit::<ImageChannel>("line", select("line-[0-9]+")).await?;
    let told = owner
        .until_it::<ImageChannel>("line", "the group", |it| support::message(it, "Ready").contains("(?P<version>"))
        .await?;
    assert_eq!(support::condition(&told, "Ready").unwrap().reason, "PatternInvalid");
    owner.edit::<ImageChannel>("line", select("line-(?P<version>[0-9]+)")).await?;
    follow(&owner, &owner, "teams", "line", &[1]).await?;
    until_latest(&owner, "line", "1").await?;
    until_has(&owner, &one, &[1]).await?;
    owner.edit::<ImageChannel>("line", select("lime-(?P<version>[0-9]+)")).await?;
    let none = owner.until_condition::<ImageChannel>("line", "Discovered", "False", "NoImageMatches").await?;
    support::says(&none, "Discovered", &["spec.select"]);
    owner.edit::<ImageChannel>("line", select("(")).await?;
    owner.until::<ImageChannel>("line", "False", "PatternInvalid").await?;
    let kept = owner.get::<ImageChannel>("line").await?;
    assert_eq!(kept["status"]["latest"][0]["version"], "1");
    until_has(&owner, &one, &[1]).await?;
    assert!(owner.removed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn all_channels_of_an_account_and_region_share_one_list() -> Result<()> {
    let stage =
        support::start_apart(&support::world_of(24, 2), &support::quick(&["--discovery-interval", "1h"])).await?;
    // As long as the process, as the stage that the other tests share.
    let owner = owner_on(Box::leak(Box::new(stage))).await?;
    build(&owner, "1").await?;
    for name in ["stable", "edge", "canary"] {
        channel(&owner, name, json!({})).await?;
    }
    for name in ["stable", "edge", "canary"] {
        until_latest(&owner, name, "1").await?;
        owner.until::<ImageChannel>(name, "True", "Available").await?;
    }
    assert_eq!(lists(&owner).await?, 1, "{:?}", owner.calls("DescribeImages").await?);
    // One CloudImage serves them all.
    let images = written(&owner).await?;
    assert_eq!(images.iter().filter(|object| object.starts_with("CloudImage ")).count(), 1, "{images:?}");
    // One that is asked for is one more.
    build(&owner, "2").await?;
    owner.nudge::<ImageChannel>("edge").await?;
    until_latest(&owner, "edge", "2").await?;
    assert_eq!(lists(&owner).await?, 2);
    Ok(())
}
