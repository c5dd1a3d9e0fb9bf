//! The allow-list of recipients that docs/security.md gives to paste: judged by a real API server; no operator runs.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{ControlPlane, Namespace, assets, eventually, run};
use serde_json::{Value, json};

use crate::{NAMESPACE, documents};

const LIMIT: Duration = Duration::from_secs(60);

/// A recipient of the list on the page, and others that are not on it.
const KNOWN: u64 = 1_000_000_000_000_001;
const UNKNOWN: u64 = 9_000_000_000_000_001;

/// The objects to paste, as the page has them.
fn pasted() -> Result<String> {
    let page = fs::read_to_string(assets::workspace().join("docs/security.md"))?;
    let mut blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.find(|block| block.contains("ValidatingAdmissionPolicy")).context("no policy on the page")?;
    Ok(block.to_owned())
}

struct Place {
    control_plane: ControlPlane,
    namespace: Namespace,
}

impl Place {
    async fn start() -> Result<Self> {
        let control_plane = ControlPlane::start(&run::folder_of_this_binary()?).await?;
        control_plane.install(&assets::workspace().join("crds")).await?;
        control_plane.kubectl(&["create", "namespace", NAMESPACE]).await?;
        let namespace = Namespace::create(&control_plane.client().await?, "allowed").await?;
        Ok(Self { control_plane, namespace })
    }

    /// Applies a share of these recipients.
    async fn share(&self, recipients: &[Value]) -> Result<String> {
        self.apply(recipients, &[]).await
    }

    /// Applies a share of these recipients without storing it.
    async fn try_share(&self, recipients: &[Value]) -> Result<String> {
        self.apply(recipients, &["--dry-run=server"]).await
    }

    async fn apply(&self, recipients: &[Value], more: &[&str]) -> Result<String> {
        let spec = json!({"imageRef": {"name": "golden"}, "recipients": recipients});
        let share = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare", "spec": spec,
            "metadata": {"name": "team", "namespace": self.namespace.name()}});
        self.control_plane.kubectl_with(&[&["apply", "-f", "-"], more].concat(), &share.to_string()).await
    }

    async fn patch(&self, patch: &str) -> Result<String> {
        let here = ["patch", "imageshare", "team", "-n", self.namespace.name(), "--type=merge", "-p", patch];
        self.control_plane.kubectl(&here).await
    }
}

fn account(id: u64) -> Value {
    json!({"type": "Account", "id": id.to_string()})
}

#[tokio::test]
async fn a_recipient_that_is_not_on_the_list_is_refused_with_what_to_do() -> Result<()> {
    let place = Place::start().await?;
    // There before the list, with somebody whom the list does not have.
    place.share(&[account(UNKNOWN), account(UNKNOWN - 1)]).await?;
    ensure!(documents(&pasted()?)?.len() == 3, "the list, the policy and its binding");
    place.control_plane.apply(&pasted()?).await?;
    let both = [account(UNKNOWN + 1), account(UNKNOWN + 2)];
    let refused = eventually(LIMIT, "the policy to be in force", async || {
        Ok(place.try_share(&both).await.err().map(|error| error.to_string()))
    })
    .await?;
    let list = format!("ConfigMap {NAMESPACE}/allowed-recipients");
    for said in ["is forbidden", "Account.9000000000000002, Account.9000000000000003", &list, "platform team"] {
        ensure!(refused.contains(said), "{said:?} is not said: {refused}");
    }
    let many: Vec<Value> = (1..1000).map(|n| account(UNKNOWN + n)).collect();
    let refused = place.share(&many).await.unwrap_err().to_string();
    ensure!(refused.contains("Account.9000000000000002 and 998 more"), "{refused}");
    // What keeps its recipients can be changed otherwise, by the operator too: an end is always reached.
    place.patch(r#"{"metadata":{"finalizers":["imageshare.dev/operator"]}}"#).await?;
    place.patch(r#"{"spec":{"suspend":true}}"#).await?;
    place.patch(r#"{"metadata":{"finalizers":null}}"#).await?;
    place.share(&[account(UNKNOWN)]).await?;

    place.share(&[account(KNOWN)]).await?;
    let allow = r#"{"data":{"Account.9000000000000001":"team b","Organization.o-1_r-2":"all of them"}}"#;
    let patch = ["patch", "configmap", "allowed-recipients", "-n", NAMESPACE, "--type=merge", "-p", allow];
    place.control_plane.kubectl(&patch).await?;
    let allowed = [account(KNOWN), account(UNKNOWN), json!({"type": "Organization", "id": "o-1/r-2"})];
    eventually(LIMIT, "the list to be read again", async || Ok(place.share(&allowed).await.ok())).await?;
    Ok(())
}

#[tokio::test]
async fn without_the_list_nobody_is_added() -> Result<()> {
    let place = Place::start().await?;
    place.share(&[account(KNOWN)]).await?;
    place.control_plane.apply(&pasted()?).await?;
    place.control_plane.kubectl(&["delete", "configmap", "allowed-recipients", "-n", NAMESPACE]).await?;
    let another = [account(KNOWN), account(UNKNOWN)];
    eventually(LIMIT, "the policy to be in force", async || Ok(place.try_share(&another).await.err())).await?;
    Ok(())
}
