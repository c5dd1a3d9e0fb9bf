//! Roles that the key of a Secret assumes.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use serde_json::{Value, json};
use support::{PATIENCE, Player, condition, says};

use crate::the_owners_key_is_not_used;
use crate::{
    EXTERNAL_ID, enter, everything, hub_id, hub_key, keys_about_the_image, nothing_is_shown, role_arn, set_role,
};

fn assuming(player: &Player, external_id: Option<&str>) -> Value {
    let mut role = json!({"roleARN": role_arn(player.number)});
    if let Some(id) = external_id {
        role["externalID"] = json!(id);
    }
    json!({"secretRef": {"name": "golden"}, "assumeRole": role})
}

/// What the hub asked, by action.
async fn asked_by_the_hub(player: &Player) -> Result<Vec<Value>> {
    let all = player.stage.cloud.journal(0).await?;
    Ok(all.into_iter().filter(|entry| entry["principal"] == hub_id(player.number).as_str()).collect())
}

#[tokio::test]
async fn one_key_serves_the_accounts_whose_roles_trust_it_and_does_nothing_else() -> Result<()> {
    let player = enter().await?;
    player.secret(&hub_key(player.number)).await?;
    everything(&player, assuming(&player, Some(EXTERNAL_ID))).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=2).await?;
    let keys = keys_about_the_image(&player).await?;
    ensure!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("STS.")), "{keys:?}");
    let hub = asked_by_the_hub(&player).await?;
    ensure!(hub.iter().all(|entry| entry["action"] == "AssumeRole" && entry["code"] == "OK"), "{hub:#?}");
    ensure!(hub.len() <= 2, "a role is assumed to prove the credentials, and its keys are kept: {hub:#?}");
    let account = serde_json::to_value(player.api::<CloudAccount>().get("golden").await?)?;
    ensure!(account["status"]["account"] == player.owner().as_str(), "{account}");
    the_owners_key_is_not_used(&player).await?;
    nothing_is_shown(&player).await
}

#[tokio::test]
async fn the_key_without_the_role_is_another_accounts() -> Result<()> {
    let player = enter().await?;
    player.secret(&hub_key(player.number)).await?;
    everything(&player, json!({"secretRef": {"name": "golden"}})).await?;
    let account = player.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    says(&account, "Ready", &[&hub_id(player.number), &player.owner()]);
    ensure!(player.about(&player.image_id(1)).await?.is_empty());
    // The edit that mends it: the account assumes the role.
    let credentials = json!({"spec": {"alibaba": {"credentials": assuming(&player, Some(EXTERNAL_ID))}}});
    player.edit::<CloudAccount>("golden", credentials).await?;
    player.ready::<ImageShare>("team").await?;
    Ok(())
}

#[tokio::test]
async fn a_refused_role_says_what_its_trust_policy_must_contain_and_is_asked_once_an_interval() -> Result<()> {
    let player = enter().await?;
    player.secret(&hub_key(player.number)).await?;
    everything(&player, assuming(&player, Some("another/id"))).await?;
    let account = player.until::<CloudAccount>("golden", "False", "AssumeRoleRefused").await?;
    let identity = format!("acs:ram::{}:root", hub_id(player.number));
    let words =
        [&*role_arn(player.number), "NoPermission", "trust policy", "sts:AssumeRole", &identity, "\"another/id\""];
    says(&account, "Ready", &words);
    says(&account, "Stalled", &["trust policy"]);
    player.until::<CloudImage>("golden", "False", "AssumeRoleRefused").await?;
    player.until::<ImageShare>("team", "False", "AssumeRoleRefused").await?;
    for _ in 0..5 {
        player.nudge::<CloudImage>("golden").await?;
    }
    let begun = std::time::Instant::now();
    eventually(PATIENCE, "the role to be asked for again by itself", async || {
        let hub = asked_by_the_hub(&player).await?;
        let asked = hub.iter().filter(|entry| entry["action"] == "AssumeRole").count();
        ensure!(asked >= 3, "{asked}");
        let most = usize::try_from(begun.elapsed().as_secs() / 2)? + 8;
        assert!(asked <= most, "{asked} in {:?}", begun.elapsed());
        Ok(Some(()))
    })
    .await?;
    ensure!(player.about(&player.image_id(1)).await?.is_empty(), "without keys there is nothing to call with");
    // The owner of the role corrects its trust policy, and nobody touches an object here.
    set_role(&player, json!({"trusts": [hub_id(player.number)], "externalId": "another/id"})).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=2).await?;
    nothing_is_shown(&player).await
}

#[tokio::test]
async fn keys_are_renewed_before_they_expire_and_nobody_notices() -> Result<()> {
    let player = enter().await?;
    player.secret(&hub_key(player.number)).await?;
    set_role(&player, json!({"trusts": [hub_id(player.number)], "sessionSeconds": 10})).await?;
    everything(&player, assuming(&player, None)).await?;
    let before = player.ready::<CloudAccount>("golden").await?;
    player.ready::<ImageShare>("team").await?;
    eventually(PATIENCE, "two renewals", async || {
        player.nudge::<CloudImage>("golden").await?;
        let keys: BTreeSet<String> = keys_about_the_image(&player).await?.into_iter().collect();
        Ok((keys.len() >= 3).then_some(()))
    })
    .await?;
    let after = serde_json::to_value(player.api::<CloudAccount>().get("golden").await?)?;
    let ready = |account: &Value| condition(account, "Ready").map(|ready| (ready.status, ready.last_transition_time));
    ensure!(ready(&before) == ready(&after), "{} {}", before["status"], after["status"]);
    nothing_is_shown(&player).await
}

/// What ends access must not wait for a new role: the last keys do it.
#[tokio::test]
async fn while_the_token_service_fails_the_keys_in_force_go_on() -> Result<()> {
    let player = enter().await?;
    player.secret(&hub_key(player.number)).await?;
    everything(&player, assuming(&player, Some(EXTERNAL_ID))).await?;
    player.ready::<ImageShare>("team").await?;
    let fault = json!({"when": {"action": "AssumeRole", "account": hub_id(player.number)}, "count": 1000,
        "then": {"kind": "unavailable"}});
    player.stage.cloud.post_fault(&fault).await?;
    player.nudge::<CloudAccount>("golden").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await?;
    Ok(())
}
