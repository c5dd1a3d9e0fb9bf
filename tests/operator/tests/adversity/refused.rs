//! What the API server refuses the operator: the right to a Secret, and what a policy of the cluster does not allow.

use std::time::Duration;

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_harness::proxy::{Deed, Rule, Upstream, Which};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use serde_json::json;

use crate::behind;
use support::PATIENCE;

/// How long what is refused is watched.
const A_WHILE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_key_whose_secret_may_not_be_read_any_more_is_used_for_nothing() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let answer = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "secrets \"golden\" is forbidden"});
    let secret = format!("/namespaces/{}/secrets/golden", player.namespace.name());
    let which = Which::read().to(Upstream::Kubernetes).path(&secret);
    let refused = behind.proxy.add(Rule::new(which, Deed::Answer(403, answer.to_string())));
    player.nudge::<CloudAccount>("golden").await?;
    let account = player.until::<CloudAccount>("golden", "False", "SecretForbidden").await?;
    support::says(&account, "Ready", &["golden", "grant"]);
    player.until::<CloudImage>("golden", "False", "SecretForbidden").await?;
    let calls = player.journal().await?.len();
    player.delete::<ImageShare>("team").await?;
    player.share("late", [3]).await?;
    player.until::<ImageShare>("late", "False", "SecretForbidden").await?;
    tokio::time::sleep(A_WHILE / 2).await;
    let later = player.journal().await?;
    ensure!(later.len() == calls, "the key was used: {:?}", &later[calls..]);
    drop(refused);
    player.nudge::<CloudAccount>("golden").await?;
    player.ready::<CloudAccount>("golden").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, [3]).await
}

/// A policy by which the shares of a namespace keep their finalizers.
fn policy(namespace: &str, sentence: &str) -> String {
    let kept = "object.metadata.?finalizers.orValue([]).size() >= oldObject.metadata.?finalizers.orValue([]).size()";
    let spec = json!({
        "matchConstraints": {"resourceRules": [{"apiGroups": ["imageshare.dev"], "apiVersions": ["v1alpha1"],
            "resources": ["imageshares"], "operations": ["UPDATE"]}]},
        "matchConditions": [{"name": "here", "expression": format!("request.namespace == '{namespace}'")}],
        "validations": [{"expression": kept, "message": sentence}],
    });
    let group = "admissionregistration.k8s.io/v1";
    let policy = json!({"apiVersion": group, "kind": "ValidatingAdmissionPolicy", "spec": spec,
        "metadata": {"name": namespace}});
    let binding = json!({"apiVersion": group, "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace}, "spec": {"policyName": namespace, "validationActions": ["Deny"]}});
    format!("{policy}\n---\n{binding}\n")
}

#[tokio::test]
async fn what_a_policy_refuses_is_logged_in_its_words_and_tried_with_growing_pauses() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let (namespace, sentence) = (player.namespace.name(), "no share ends on a Sunday");
    let control_plane = behind.stage.control_plane;
    control_plane.apply(&policy(namespace, sentence)).await?;
    let free = r#"{"metadata":{"finalizers":null}}"#;
    let patch = ["patch", "imageshare", "team", "-n", namespace, "--type=merge", "-p", free, "--dry-run=server"];
    eventually(PATIENCE, "the policy to be in force", async || {
        Ok(control_plane.kubectl(&patch).await.err().filter(|error| error.to_string().contains(sentence)))
    })
    .await?;
    let since = behind.proxy.last();
    player.delete::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await?;
    tokio::time::sleep(A_WHILE).await;
    let share = format!("/namespaces/{namespace}/imageshares/team?");
    let calls = behind.proxy.calls();
    let tries = calls.iter().filter(|call| call.seq > since && call.path.contains(&share) && call.method == "PATCH");
    let tries = tries.count();
    ensure!((2..=12).contains(&tries), "{tries} tries");
    let log = behind.stage.operator.lock().await.process.log();
    ensure!(log.lines().any(|line| line.contains("WARN") && line.contains(sentence)), "it is not told");
    control_plane.kubectl(&["delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", namespace]).await?;
    player.gone::<ImageShare>("team").await
}
