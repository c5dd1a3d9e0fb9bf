//! The guard of Secrets: whatever the operator's rights are, it changes nothing of a Secret but its own finalizer. Judged by
//! a real API server; no operator runs.

use std::time::Duration;

use anyhow::{Result, ensure};
use imageshare_harness::{ControlPlane, eventually, helm, run};

use crate::{NAMESPACE, RELEASE};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_operator_changes_nothing_of_a_secret_but_its_finalizer() -> Result<()> {
    let control_plane = ControlPlane::start(&run::folder_of_this_binary()?).await?;
    let only = ["serviceaccount", "rbac", "secretguard"].map(|name| format!("templates/{name}.yaml"));
    let show: Vec<&str> = only.iter().flat_map(|name| ["--show-only", name]).collect();
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n");
    control_plane.apply(&namespace).await?;
    control_plane.apply(&helm::template(RELEASE, NAMESPACE, &show).await?).await?;
    let made = ["create", "secret", "generic", "key", "-n", "default", "--from-literal=accessKeyID=one"];
    control_plane.kubectl(&made).await?;
    let user = format!("system:serviceaccount:{NAMESPACE}:{RELEASE}");
    let patch = async |user: &str, what: &str| {
        let call = ["patch", "secret", "key", "-n", "default", "--type=merge", "-p", what, "--as", user];
        control_plane.kubectl(&call).await
    };
    let forbidden = [
        r#"{"stringData":{"accessKeyID":"two"}}"#,
        r#"{"metadata":{"labels":{"a":"b"}}}"#,
        r#"{"metadata":{"annotations":{"a":"b"}}}"#,
        r#"{"metadata":{"finalizers":["imageshare.dev/credentials","example.org/other"]}}"#,
        r#"{"immutable":true}"#,
    ];
    let sentence = "changes nothing of a Secret but its own finalizer";
    // Each attempt writes another value: a patch that passed before the policy was in force would change nothing when repeated,
    // and what changes nothing is allowed.
    let mut attempt = 0;
    eventually(LIMIT, "the policy to be in force", async || {
        attempt += 1;
        let changed = format!(r#"{{"stringData":{{"accessKeyID":"attempt {attempt}"}}}}"#);
        Ok(patch(&user, &changed).await.err().filter(|error| error.to_string().contains(sentence)))
    })
    .await?;
    for what in forbidden {
        let refused = patch(&user, what).await.err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(refused.contains(sentence), "{what}: {refused}");
    }
    patch(&user, r#"{"metadata":{"finalizers":["imageshare.dev/credentials"]}}"#).await?;
    control_plane.kubectl(&["label", "secret", "key", "-n", "default", "by=somebody"]).await?;
    patch(&user, r#"{"metadata":{"finalizers":null}}"#).await?;
    Ok(())
}
