//! Roles that a cloud gives for tokens of a `ServiceAccount` of the account's own namespace.

use anyhow::{Result, ensure};
use imageshare_harness::Release;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use serde_json::{Value, json};
use support::{Player, says};

use crate::{ROLE, account, enter, everything, keys_about_the_image, nothing_is_shown, role_arn, set_role};

/// The `ServiceAccount` of these tests.
const NAME: &str = "golden-images";

fn provider(player: &Player) -> String {
    format!("acs:ram::{}:oidc-provider/cluster", player.owner())
}

fn by_token(player: &Player, role: &str) -> Value {
    json!({"workloadIdentity": {
        "serviceAccountRef": {"name": NAME}, "roleARN": role, "oidcProviderARN": provider(player),
    }})
}

fn subject(player: &Player) -> String {
    format!("system:serviceaccount:{}:{NAME}", player.namespace.name())
}

/// The role trusts a subject, for the tokens of the cluster's provider.
async fn trust(player: &Player, subject: &str) -> Result<()> {
    let service_accounts = json!([{"subject": subject, "audience": "sts.aliyuncs.com"}]);
    set_role(player, json!({"oidcProvider": "cluster", "serviceAccounts": service_accounts})).await
}

async fn make_service_account(player: &Player) -> Result<()> {
    let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
    let made = ServiceAccount { metadata, ..ServiceAccount::default() };
    player.api::<ServiceAccount>().create(&PostParams::default(), &made).await?;
    Ok(())
}

/// What the chart grants with `workloadIdentity`, in this namespace alone and for this name alone.
async fn grant(player: &Player) -> Result<()> {
    let (namespace, user) = (player.namespace.name(), Release::default().user());
    let rights = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "tokens", "namespace": namespace},
            "rules": [{"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [NAME], "verbs": ["create"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "tokens", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tokens"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]},
    ]});
    // JSON is YAML.
    player.stage.control_plane.apply(&rights.to_string()).await?;
    Ok(())
}

/// What reached the cloud by tokens about this player's role, in the order in which it came.
async fn calls_by_token(player: &Player, since: usize) -> Result<Vec<Value>> {
    let all = player.stage.cloud.journal(0).await?;
    let by_token = |entry: &Value| entry["action"] == "AssumeRoleWithOIDC";
    Ok(all.into_iter().filter(by_token).skip(since).collect())
}

#[tokio::test]
async fn a_service_account_stands_in_for_a_key_and_no_secret_is_there() -> Result<()> {
    let player = enter().await?;
    make_service_account(&player).await?;
    grant(&player).await?;
    trust(&player, &subject(&player)).await?;
    everything(&player, by_token(&player, &role_arn(player.number))).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=2).await?;
    let keys = keys_about_the_image(&player).await?;
    ensure!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("STS.")), "{keys:?}");
    let ready = serde_json::to_value(player.api::<CloudAccount>().get("golden").await?)?;
    ensure!(
        ready["status"]["account"] == player.owner().as_str() && ready["status"]["credentials"].is_null(),
        "{ready}"
    );
    nothing_is_shown(&player).await?;
    // Everything ends as with a key.
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await?;
    player.delete::<CloudImage>("golden").await?;
    player.gone::<CloudImage>("golden").await?;
    player.delete::<CloudAccount>("golden").await?;
    player.gone::<CloudAccount>("golden").await
}

#[tokio::test]
async fn without_the_right_the_chart_value_is_named_and_no_call_is_made() -> Result<()> {
    let player = enter().await?;
    make_service_account(&player).await?;
    trust(&player, &subject(&player)).await?;
    everything(&player, by_token(&player, &role_arn(player.number))).await?;
    let refused = player.until::<CloudAccount>("golden", "False", "TokenRequestForbidden").await?;
    says(&refused, "Ready", &[NAME, player.namespace.name(), "workloadIdentity.enabled", "serviceaccounts/token"]);
    says(&refused, "Stalled", &["workloadIdentity.enabled"]);
    player.until::<ImageShare>("team", "False", "TokenRequestForbidden").await?;
    ensure!(player.journal().await?.is_empty(), "a call without a token");
    // Whoever runs the operator grants the right, and nobody touches an object.
    grant(&player).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=2).await
}

#[tokio::test]
async fn a_missing_service_account_is_named_and_used_once_it_is_there() -> Result<()> {
    let player = enter().await?;
    grant(&player).await?;
    trust(&player, &subject(&player)).await?;
    everything(&player, by_token(&player, &role_arn(player.number))).await?;
    let missing = player.until::<CloudAccount>("golden", "False", "ServiceAccountNotFound").await?;
    says(&missing, "Reconciling", &[NAME, player.namespace.name(), "serviceAccountRef.name"]);
    ensure!(player.journal().await?.is_empty(), "a call without a token");
    make_service_account(&player).await?;
    player.ready::<ImageShare>("team").await?;
    Ok(())
}

/// What an owner does by mistake, and what Kubernetes does with a namespace: the `ServiceAccount` goes first.
#[tokio::test]
async fn without_the_service_account_the_keys_in_force_end_access_and_give_none() -> Result<()> {
    let player = enter().await?;
    make_service_account(&player).await?;
    grant(&player).await?;
    trust(&player, &subject(&player)).await?;
    everything(&player, by_token(&player, &role_arn(player.number))).await?;
    player.ready::<ImageShare>("team").await?;
    player.api::<ServiceAccount>().delete(NAME, &DeleteParams::default()).await?;
    player.nudge::<CloudAccount>("golden").await?;
    player.until::<CloudAccount>("golden", "False", "ServiceAccountNotFound").await?;
    player.share("more", 3..=4).await?;
    player.until::<ImageShare>("more", "False", "ServiceAccountNotFound").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await?;
    ensure!(!player.asked_to_add(&player.image_id(1)).await?.contains(&player.recipient(3)));
    make_service_account(&player).await?;
    player.ready::<ImageShare>("more").await?;
    player.until_shared_with(1, 3..=4).await
}

/// What a tenant without consent does: name a role that trusts another namespace's `ServiceAccount` of the same name.
#[tokio::test]
async fn a_role_that_trusts_another_namespace_is_refused_with_the_subject_to_trust() -> Result<()> {
    let player = enter().await?;
    make_service_account(&player).await?;
    grant(&player).await?;
    trust(&player, &format!("system:serviceaccount:another-namespace:{NAME}")).await?;
    everything(&player, by_token(&player, &role_arn(player.number))).await?;
    let refused = player.until::<CloudAccount>("golden", "False", "AssumeRoleRefused").await?;
    says(
        &refused,
        "Ready",
        &[&role_arn(player.number), "AuthenticationFail.NoPermission", &subject(&player), "sts.aliyuncs.com"],
    );
    ensure!(player.journal().await?.is_empty(), "a call without keys");
    nothing_is_shown(&player).await?;
    trust(&player, &subject(&player)).await?;
    player.ready::<ImageShare>("team").await?;
    Ok(())
}

#[tokio::test]
async fn a_token_may_serve_many_accounts_through_a_role_that_assumes_theirs() -> Result<()> {
    let player = enter().await?;
    make_service_account(&player).await?;
    grant(&player).await?;
    // The hub's role trusts the ServiceAccount, and the owner's role the hub.
    let hub = crate::hub_id(player.number);
    let service_accounts = json!([{"subject": subject(&player), "audience": "images"}]);
    let roles = json!({"roles": [{"name": ROLE, "oidcProvider": "cluster", "serviceAccounts": service_accounts}]});
    player.stage.cloud.patch(&format!("/accounts/{hub}"), &roles).await?;
    let credentials = json!({
        "workloadIdentity": {"serviceAccountRef": {"name": NAME}, "roleARN": format!("acs:ram::{hub}:role/{ROLE}"),
            "oidcProviderARN": format!("acs:ram::{hub}:oidc-provider/cluster"), "audience": "images"},
        "assumeRole": {"roleARN": role_arn(player.number), "externalID": crate::EXTERNAL_ID},
    });
    let before = calls_by_token(&player, 0).await?.len();
    everything(&player, credentials).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=2).await?;
    ensure!(!calls_by_token(&player, before).await?.is_empty());
    nothing_is_shown(&player).await
}

#[tokio::test]
async fn an_account_goes_from_a_key_to_a_service_account_and_its_secret_is_released() -> Result<()> {
    let player = enter().await?;
    make_service_account(&player).await?;
    grant(&player).await?;
    player.account_secret().await?;
    account(&player, json!({"secretRef": {"name": "golden"}})).await?;
    let ready = player.ready::<CloudAccount>("golden").await?;
    ensure!(ready["status"]["credentials"].is_object(), "{ready}");
    trust(&player, &subject(&player)).await?;
    let mut credentials = by_token(&player, &role_arn(player.number));
    credentials["secretRef"] = Value::Null;
    player.edit::<CloudAccount>("golden", json!({"spec": {"alibaba": {"credentials": credentials}}})).await?;
    player.ready::<CloudAccount>("golden").await?;
    player.api::<k8s_openapi::api::core::v1::Secret>().delete("golden", &DeleteParams::default()).await?;
    imageshare_harness::eventually(support::PATIENCE, "the Secret to go", async || {
        let left = player.api::<k8s_openapi::api::core::v1::Secret>().get_opt("golden").await?;
        Ok(left.is_none().then_some(()))
    })
    .await?;
    let ready = player.ready::<CloudAccount>("golden").await?;
    ensure!(ready["status"]["credentials"].is_null() && ready["status"]["heldSecrets"].is_null(), "{ready}");
    Ok(())
}
