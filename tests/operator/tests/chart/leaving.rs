//! Going back, going away and coming again: what stays of a release in the cluster, and what does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{ControlPlane, Operator, assets, eventually, helm, run};

use crate::{NAMESPACE, RELEASE, copy_chart};

const LIMIT: Duration = Duration::from_secs(60);

/// How soon the next installation leads. A lease that was left would have to run out first, which takes 15 s.
const LEADS_AGAIN: Duration = Duration::from_secs(8);

const FORMER: &str = "An image and who may use it.";
const NEWER: &str = "Newer; an image and who may use it.";

/// helm and kubectl on a cluster of their own, in which nobody has installed definitions yet.
struct Cluster {
    control_plane: ControlPlane,
    folder: PathBuf,
}

impl Cluster {
    async fn start() -> Result<Self> {
        let folder = run::folder_of_this_binary()?;
        Ok(Self { control_plane: ControlPlane::start(&folder).await?, folder })
    }

    async fn helm(&self, namespace: &str, args: &[&str]) -> Result<String> {
        let kubeconfig = self.control_plane.kubeconfig_path();
        let here = ["--namespace", namespace, "--kubeconfig", kubeconfig.to_str().context("UTF-8")?];
        helm::helm(&[args, &here].concat()).await
    }

    async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.control_plane.kubectl(args).await
    }

    async fn description(&self) -> Result<String> {
        let path = "jsonpath={.spec.versions[0].schema.openAPIV3Schema.description}";
        self.kubectl(&["get", "crd", "imageshares.imageshare.dev", "-o", path]).await
    }
}

/// The chart of a later version, whose definition of shares says something else.
fn newer_chart(folder: &Path) -> Result<PathBuf> {
    let chart = folder.join("newer");
    copy_chart(&chart)?;
    let file = chart.join("crds/imageshares.yaml");
    let text = fs::read_to_string(&file)?;
    ensure!(text.contains(FORMER));
    fs::write(&file, text.replace(FORMER, NEWER))?;
    let file = chart.join("Chart.yaml");
    fs::write(&file, fs::read_to_string(&file)?.replace("ersion: 0.1.0", "ersion: 0.2.0"))?;
    Ok(chart)
}

#[tokio::test]
async fn a_rollback_keeps_the_newer_definitions_and_every_object() -> Result<()> {
    let cluster = Cluster::start().await?;
    let (chart, newer) = (helm::chart(), newer_chart(&cluster.folder)?);
    let (chart, newer) = (chart.to_str().context("UTF-8")?, newer.to_str().context("UTF-8")?);
    cluster.helm(NAMESPACE, &["install", "--create-namespace", RELEASE, chart]).await?;
    ensure!(cluster.description().await?.starts_with(FORMER));
    let objects = assets::workspace().join("examples/quickstart");
    cluster.kubectl(&["apply", "-f", objects.to_str().context("UTF-8")?]).await?;

    // As docs/upgrading.md has it.
    let crds = format!("{newer}/crds/");
    cluster.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &crds]).await?;
    cluster.helm(NAMESPACE, &["upgrade", RELEASE, newer, "--reset-then-reuse-values"]).await?;
    ensure!(cluster.description().await?.starts_with(NEWER));
    cluster.helm(NAMESPACE, &["rollback", RELEASE]).await?;
    ensure!(cluster.description().await?.starts_with(NEWER), "the rollback put the older definitions back");
    let image = ["get", "deployment", RELEASE, "-n", NAMESPACE, "-o", "jsonpath={..image}"];
    ensure!(cluster.kubectl(&image).await?.ends_with(":0.1.0"), "the older operator is back");

    cluster.helm(NAMESPACE, &["uninstall", RELEASE]).await?;
    ensure!(cluster.description().await?.starts_with(NEWER), "they stay when the release goes");
    // Another name and another namespace; the definitions belong to no release that could be in the way.
    cluster.helm("sharing", &["install", "--create-namespace", "sharing", newer]).await?;
    ensure!(cluster.description().await?.starts_with(NEWER));
    cluster.kubectl(&["get", "imageshare", "app-teams", "-n", "golden-images"]).await?;
    Ok(())
}

/// Whoever had a chart that held the definitions: the former release owns them.
#[tokio::test]
async fn definitions_of_another_release_are_no_obstacle() -> Result<()> {
    let cluster = Cluster::start().await?;
    let crds = assets::workspace().join("crds");
    cluster.kubectl(&["apply", "--server-side", "-f", crds.to_str().context("UTF-8")?]).await?;
    let owned = ["meta.helm.sh/release-name=former", "meta.helm.sh/release-namespace=elsewhere"];
    cluster.kubectl(&[&["annotate", "crd", "--all"], &owned[..]].concat()).await?;
    let chart = helm::chart();
    cluster.helm(NAMESPACE, &["install", "--create-namespace", RELEASE, chart.to_str().context("UTF-8")?]).await?;
    Ok(())
}

/// The parts of the release that outlive it by accident: cluster-scoped ones of another release of the same name.
#[tokio::test]
async fn what_a_failed_uninstallation_left_is_taken_over_when_asked() -> Result<()> {
    let cluster = Cluster::start().await?;
    let chart = helm::chart();
    let chart = chart.to_str().context("UTF-8")?;
    cluster.helm("first", &["install", "--create-namespace", RELEASE, chart]).await?;
    let install = ["install", "--create-namespace", RELEASE, chart];
    let refused = cluster.helm("second", &install).await.unwrap_err().to_string();
    ensure!(refused.contains("invalid ownership metadata"), "{refused}");
    cluster.helm("second", &[&install[..], &["--take-ownership"]].concat()).await?;
    Ok(())
}

/// An operator as a pod of the release would be.
async fn operator(cluster: &Cluster) -> Result<Operator> {
    let kubeconfig = cluster.control_plane.kubeconfig_of(NAMESPACE, RELEASE).await?;
    let launch = Operator::launch(&kubeconfig)?.arguments(["--lease", &format!("{NAMESPACE}/{RELEASE}")]);
    Operator::start(launch, &cluster.folder)
}

async fn leads(cluster: &Cluster, operator: &Operator) -> Result<()> {
    eventually(LIMIT, "the operator to lead", async || Ok(operator.process.log().contains("leading").then_some(())))
        .await
        .with_context(|| format!("{} says {}", cluster.folder.display(), operator.process.log()))
}

#[tokio::test]
async fn an_uninstalled_operator_ends_in_order_and_the_next_one_leads_at_once() -> Result<()> {
    let mut cluster = Cluster::start().await?;
    cluster.control_plane = cluster.control_plane.with_controller_manager().await?;
    let chart = helm::chart();
    let chart = chart.to_str().context("UTF-8")?;
    cluster.helm(NAMESPACE, &["install", "--create-namespace", RELEASE, chart]).await?;
    let mut first = operator(&cluster).await?;
    leads(&cluster, &first).await?;
    cluster.helm(NAMESPACE, &["uninstall", RELEASE]).await?;
    // The pods learn of it after their rights have gone.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let status = first.stop(LIMIT).await?;
    let log = first.process.log();
    ensure!(status == 0, "it ended with {status}: {log}");
    ensure!(!log.contains("could not be given back"), "{log}");
    ensure!(log.matches("the lease could not be read or written").count() <= 2, "{log}");
    let lease = ["get", "lease", RELEASE, "-n", NAMESPACE, "--ignore-not-found", "-o", "name"];
    eventually(LIMIT, "the lease to go with the release", async || {
        Ok(cluster.kubectl(&lease).await?.trim().is_empty().then_some(()))
    })
    .await?;

    cluster.helm(NAMESPACE, &["install", RELEASE, chart]).await?;
    let second = operator(&cluster).await?;
    let begun = Instant::now();
    leads(&cluster, &second).await?;
    ensure!(begun.elapsed() < LEADS_AGAIN, "it led after {:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn whoever_uninstalls_it_is_warned_of_what_stays() -> Result<()> {
    let cluster = Cluster::start().await?;
    let chart = helm::chart();
    cluster.helm(NAMESPACE, &["install", "--create-namespace", RELEASE, chart.to_str().context("UTF-8")?]).await?;
    let warning = "Access that ImageShares gave stays at the clouds";
    let warned = ["delete", "deployment", RELEASE, "-n", NAMESPACE, "--dry-run=server", "--warnings-as-errors"];
    eventually(LIMIT, "the policy to be in force", async || {
        Ok(cluster.kubectl(&warned).await.err().filter(|error| error.to_string().contains(warning)))
    })
    .await?;
    let kubeconfig = cluster.control_plane.kubeconfig_path();
    let kubeconfig = kubeconfig.to_str().context("UTF-8")?;
    let said = helm::messages(&["uninstall", RELEASE, "-n", NAMESPACE, "--kubeconfig", kubeconfig]).await?;
    ensure!(said.contains(warning), "helm does not show it: {said}");
    // It warns; it refuses nothing.
    let left = cluster.kubectl(&["get", "deployment", "-n", NAMESPACE, "-o", "name"]).await?;
    ensure!(left.trim().is_empty(), "{left}");
    Ok(())
}

#[tokio::test]
async fn plain_yaml_is_applied_in_one_go() -> Result<()> {
    let cluster = Cluster::start().await?;
    // As docs/install.md has it.
    let yaml = helm::template(RELEASE, NAMESPACE, &["--include-crds"]).await?;
    cluster.kubectl(&["create", "namespace", NAMESPACE]).await?;
    cluster.control_plane.kubectl_with(&["apply", "--server-side", "-f", "-"], &yaml).await?;
    cluster.kubectl(&["get", "deployment", RELEASE, "-n", NAMESPACE]).await?;
    ensure!(cluster.description().await?.starts_with(FORMER));
    Ok(())
}

/// helm makes Roles in the namespaces of `watchNamespaces`, so these have to exist.
#[tokio::test]
async fn a_namespace_that_is_not_there_is_named_and_the_installation_can_be_finished() -> Result<()> {
    let cluster = Cluster::start().await?;
    let chart = helm::chart();
    let chart = chart.to_str().context("UTF-8")?;
    cluster.kubectl(&["create", "namespace", "golden-images"]).await?;
    let values = ["--set", "watchNamespaces={golden-images,team-a}", "--create-namespace"];
    let refused = cluster.helm(NAMESPACE, &[&["install", RELEASE, chart], &values[..]].concat()).await;
    let refused = refused.unwrap_err().to_string();
    ensure!(refused.contains("namespaces \"team-a\" not found"), "{refused}");
    // As docs/install.md has it.
    let page = fs::read_to_string(assets::workspace().join("docs/install.md"))?;
    let row = page.lines().find(|line| line.starts_with("| `namespaces \"NAME\" not found`")).context("a row")?;
    ensure!(row.contains("`kubectl create namespace NAME`") && row.contains("`helm upgrade --install`"), "{row}");
    cluster.kubectl(&["create", "namespace", "team-a"]).await?;
    cluster.helm(NAMESPACE, &[&["upgrade", "--install", RELEASE, chart], &values[..]].concat()).await?;
    for namespace in ["golden-images", "team-a"] {
        cluster.kubectl(&["get", "role", RELEASE, "-n", namespace]).await?;
    }
    Ok(())
}
