//! The deletion guard: what it answers to people, and whom it lets pass. Judged by a real API server with the
//! cluster's own controllers; no operator runs.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{ControlPlane, Namespace, assets, eventually, helm, run};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::{NAMESPACE, RELEASE};

const LIMIT: Duration = Duration::from_secs(90);
const SENTENCE: &str = "is still shared by ImageShare teams/first and 1 more: delete the shares first";

/// A cluster with the guard in force.
struct Guarded {
    control_plane: ControlPlane,
}

impl Guarded {
    async fn start(action: &str) -> Result<Self> {
        let control_plane = ControlPlane::start(&run::folder_of_this_binary()?).await?;
        control_plane.install(&assets::workspace().join("crds")).await?;
        let control_plane = control_plane.with_controller_manager().await?;
        let action_value = format!("deletionGuard.action={action}");
        let values = ["--set", "deletionGuard.enabled=true", "--set", &action_value];
        let rest = ["--set", "deletionGuard.exemptUsers={deployer}", "--show-only", "templates/deletionguard.yaml"];
        let policy = helm::template(RELEASE, NAMESPACE, &[&values[..], &rest].concat()).await?;
        control_plane.apply(&policy).await?;
        let guarded = Self { control_plane };
        // The API server learns of a policy a moment later.
        let namespace = guarded.namespace().await?;
        guarded.image(&namespace, "probe", true).await?;
        let dry = [&Self::delete_by("jane", &namespace, "probe")[..], &["--dry-run=server".to_owned()]].concat();
        eventually(LIMIT, "the guard to be in force", async || {
            Ok(guarded.run(&dry).await.err().filter(|error| error.to_string().contains(SENTENCE)))
        })
        .await?;
        Ok(guarded)
    }

    async fn namespace(&self) -> Result<Namespace> {
        Namespace::create(&self.control_plane.client().await?, "guarded").await
    }

    /// A `CloudImage`; two shares may stand in its status.
    async fn image(&self, namespace: &Namespace, name: &str, shared: bool) -> Result<()> {
        let spec = json!({"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "imageID": format!("m-{name}")});
        let image = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "CloudImage", "spec": spec,
            "metadata": {"name": name, "namespace": namespace.name()}});
        self.control_plane.apply(&image.to_string()).await?;
        let share = |name: &str| json!({"uid": name, "namespace": "teams", "name": name, "generation": 1});
        let served = if shared { json!([share("first"), share("second")]) } else { json!([]) };
        let status = json!({"status": {"shares": served}}).to_string();
        let patch = ["patch", "cloudimage", name, "-n", namespace.name(), "--subresource=status", "--type=merge", "-p"];
        self.control_plane.kubectl(&[&patch[..], &[&status]].concat()).await.map(drop)
    }

    /// How `user` deletes an image, with all rights. A warning fails the call, after it was carried out.
    fn delete_by(user: &str, namespace: &Namespace, name: &str) -> Vec<String> {
        let mut call: Vec<String> =
            ["delete", "cloudimage", name, "-n", namespace.name(), "--wait=false", "--as", user]
                .map(ToOwned::to_owned)
                .to_vec();
        call.extend(["--warnings-as-errors", "--as-group=system:masters"].map(ToOwned::to_owned));
        if user.starts_with("system:serviceaccount:") {
            call.push("--as-group=system:serviceaccounts".to_owned());
        }
        call
    }

    async fn run(&self, call: &[String]) -> Result<String> {
        self.control_plane.kubectl(&call.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    async fn delete(&self, user: &str, namespace: &Namespace, name: &str) -> Result<()> {
        self.run(&Self::delete_by(user, namespace, name)).await.map(drop)
    }

    async fn is_there(&self, namespace: &Namespace, name: &str) -> Result<bool> {
        let get = ["get", "cloudimage", name, "-n", namespace.name(), "--ignore-not-found", "-o", "name"];
        Ok(!self.control_plane.kubectl(&get).await?.is_empty())
    }
}

async fn denying() -> Result<&'static Guarded> {
    static GUARDED: OnceCell<Guarded> = OnceCell::const_new();
    GUARDED.get_or_try_init(|| Guarded::start("Deny")).await
}

#[tokio::test]
async fn a_person_is_told_what_is_in_the_way_and_deletes_once_it_is_not() -> Result<()> {
    let guarded = denying().await?;
    let namespace = guarded.namespace().await?;
    guarded.image(&namespace, "golden", true).await?;
    for person in ["jane", "system:admin"] {
        let refused = guarded.delete(person, &namespace, "golden").await.unwrap_err().to_string();
        ensure!(refused.contains(&format!("CloudImage golden {SENTENCE}")), "{refused}");
        ensure!(refused.contains("kubectl get imageshare -A"), "{refused}");
        ensure!(refused.contains("\"golden\" is forbidden: ValidatingAdmissionPolicy"), "{refused}");
    }
    ensure!(guarded.is_there(&namespace, "golden").await?, "it was denied and yet deleted");
    guarded.image(&namespace, "golden", false).await?;
    guarded.delete("jane", &namespace, "golden").await?;
    ensure!(!guarded.is_there(&namespace, "golden").await?);
    Ok(())
}

/// What docs/install.md says of one command for both: it takes two runs.
#[tokio::test]
async fn an_image_deleted_together_with_its_shares_goes_at_the_second_run() -> Result<()> {
    let guarded = denying().await?;
    let namespace = guarded.namespace().await?;
    guarded.image(&namespace, "golden", true).await?;
    let share = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare",
        "metadata": {"name": "first", "namespace": namespace.name()},
        "spec": {"imageRef": {"name": "golden"}, "recipients": [{"type": "Account", "id": "1000000000000001"}]}});
    guarded.control_plane.apply(&share.to_string()).await?;
    let both = ["cloudimage/golden", "imageshare/first", "--ignore-not-found", "--wait=false", "-n", namespace.name()];
    let delete = [&["delete", "--as=jane", "--as-group=system:masters"], &both[..]].concat();
    let refused = guarded.control_plane.kubectl(&delete).await.unwrap_err().to_string();
    ensure!(refused.contains(SENTENCE), "{refused}");
    let left = ["get", "imageshare,cloudimage", "-o", "name", "-n", namespace.name()];
    let left = guarded.control_plane.kubectl(&left).await?;
    ensure!(left.trim() == "cloudimage.imageshare.dev/golden", "{left}");
    // The operator, of which none runs here, takes the shares out of the image's status.
    guarded.image(&namespace, "golden", false).await?;
    guarded.control_plane.kubectl(&delete).await?;
    ensure!(!guarded.is_there(&namespace, "golden").await?);
    let page = fs::read_to_string(assets::workspace().join("docs/install.md"))?;
    let row = page.lines().find(|line| line.starts_with("| `deletionGuard` |")).context("a row")?;
    ensure!(row.contains("run it again"), "{row}");
    Ok(())
}

#[tokio::test]
async fn controllers_and_exempt_users_come_through() -> Result<()> {
    let guarded = denying().await?;
    let namespace = guarded.namespace().await?;
    for user in [
        "system:serviceaccount:flux-system:kustomize-controller",
        "system:serviceaccount:argocd:argocd-application-controller",
        "system:kube-controller-manager",
        "deployer",
    ] {
        guarded.image(&namespace, "golden", true).await?;
        guarded.delete(user, &namespace, "golden").await?;
        ensure!(!guarded.is_there(&namespace, "golden").await?, "{user}");
    }
    Ok(())
}

#[tokio::test]
async fn a_namespace_goes_with_its_shared_images() -> Result<()> {
    let guarded = denying().await?;
    let namespace = guarded.namespace().await?;
    guarded.image(&namespace, "golden", true).await?;
    namespace.delete().await?;
    namespace.gone(LIMIT).await
}

#[tokio::test]
async fn garbage_collection_takes_what_a_deleted_object_owned() -> Result<()> {
    let guarded = denying().await?;
    let namespace = guarded.namespace().await?;
    let here = ["-n", namespace.name()];
    guarded.control_plane.kubectl(&[&["create", "configmap", "owner"], &here[..]].concat()).await?;
    let uid = ["get", "configmap", "owner", "-o", "jsonpath={.metadata.uid}"];
    let uid = guarded.control_plane.kubectl(&[&uid, &here[..]].concat()).await?;
    guarded.image(&namespace, "golden", true).await?;
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid.trim()});
    let change = json!({"metadata": {"ownerReferences": [owner]}}).to_string();
    let patch = ["patch", "cloudimage", "golden", "--type=merge", "-p", &change];
    guarded.control_plane.kubectl(&[&patch, &here[..]].concat()).await?;
    guarded.control_plane.kubectl(&[&["delete", "configmap", "owner"], &here[..]].concat()).await?;
    eventually(LIMIT, "the image to be collected", async || {
        Ok((!guarded.is_there(&namespace, "golden").await?).then_some(()))
    })
    .await
}

/// A deletion that has begun is the finalizer's, and asking again is no offence.
#[tokio::test]
async fn a_deletion_that_has_begun_may_be_asked_for_again() -> Result<()> {
    let guarded = denying().await?;
    let namespace = guarded.namespace().await?;
    guarded.image(&namespace, "golden", true).await?;
    let held = json!({"metadata": {"finalizers": ["imageshare.dev/test"]}}).to_string();
    let patch = ["patch", "cloudimage", "golden", "-n", namespace.name(), "--type=merge", "-p", &held];
    guarded.control_plane.kubectl(&patch).await?;
    guarded.delete("deployer", &namespace, "golden").await?;
    guarded.delete("jane", &namespace, "golden").await?;
    ensure!(guarded.is_there(&namespace, "golden").await?, "the finalizer holds it");
    Ok(())
}

#[tokio::test]
async fn with_warn_it_passes_with_the_same_sentence() -> Result<()> {
    let guarded = Guarded::start("Warn").await?;
    let namespace = guarded.namespace().await?;
    guarded.image(&namespace, "golden", true).await?;
    let warned = guarded.delete("jane", &namespace, "golden").await.unwrap_err().to_string();
    ensure!(warned.contains("Warning") && warned.contains(SENTENCE), "{warned}");
    ensure!(!guarded.is_there(&namespace, "golden").await?, "it was only to be warned of");
    Ok(())
}
