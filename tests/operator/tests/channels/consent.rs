//! A channel lends nobody an image: its owner's consent decides, as for every other share.

use anyhow::Result;
use imageshare_operator::api::{ChannelShare, ImageChannel, ImageShare};
use kube::api::ListParams;
use serde_json::json;

use crate::stage::{after_lists, build, channel, follow, owner, until_has, until_latest};

#[tokio::test]
async fn a_tenant_without_consent_gets_nothing_learns_nothing_and_holds_nothing_back() -> Result<()> {
    let owner = owner().await?;
    let one = build(&owner, "1").await?;
    let tenant = owner.guest().await?;
    follow(&tenant, &owner, "refused", "line", &[4]).await?;
    follow(&tenant, &owner, "absent", "no-such-line", &[4]).await?;
    channel(&owner, "line", json!({})).await?;
    follow(&owner, &owner, "teams", "line", &[1]).await?;
    until_latest(&owner, "line", "1").await?;
    until_has(&owner, &one, &[1]).await?;
    let refused = tenant.until::<ChannelShare>("refused", "False", "ChannelRefUnresolved").await?;
    let absent = tenant.until::<ChannelShare>("absent", "False", "ChannelRefUnresolved").await?;
    assert_eq!(support::message(&refused, "Ready"), support::message(&absent, "Ready"));
    assert!(refused["status"]["latest"].is_null(), "{}", refused["status"]);
    after_lists(&owner, 2).await?;
    assert!(tenant.api::<ImageShare>().list(&ListParams::default()).await?.items.is_empty());
    until_has(&owner, &one, &[1]).await?;
    // Nor does it keep the channel.
    owner.delete::<ImageChannel>("line").await?;
    owner.gone::<ImageChannel>("line").await?;
    tenant.delete::<ChannelShare>("refused").await?;
    tenant.gone::<ChannelShare>("refused").await
}

#[tokio::test]
async fn consent_opens_the_channel_to_a_tenant_and_its_end_ends_the_access() -> Result<()> {
    let owner = owner().await?;
    let one = build(&owner, "1").await?;
    channel(&owner, "line", json!({})).await?;
    until_latest(&owner, "line", "1").await?;
    let tenant = owner.guest().await?;
    follow(&tenant, &owner, "team", "line", &[4]).await?;
    tenant.until::<ChannelShare>("team", "False", "ChannelRefUnresolved").await?;
    let from = |who: &str| json!({"spec": {"shareableFrom": {"namespaces": {"from": who}}}});
    owner.edit::<ImageChannel>("line", from("All")).await?;
    let shared = tenant.ready::<ChannelShare>("team").await?;
    assert_eq!(shared["status"]["latest"], "1");
    until_has(&owner, &one, &[4]).await?;
    let two = build(&owner, "2").await?;
    until_latest(&owner, "line", "2").await?;
    until_has(&owner, &two, &[4]).await?;
    owner.edit::<ImageChannel>("line", from("Same")).await?;
    until_has(&owner, &one, &[]).await?;
    until_has(&owner, &two, &[]).await?;
    tenant.until::<ChannelShare>("team", "False", "ChannelRefUnresolved").await?;
    tenant.delete::<ChannelShare>("team").await?;
    tenant.gone::<ChannelShare>("team").await
}
