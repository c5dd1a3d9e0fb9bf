//! What a real API server makes of it: every object is taken, whatever is switched on; the pods are what the strictest
//! Pod Security level admits; helm installs the release, upgrades it and takes it away.

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{ControlPlane, Namespace, helm};
use serde_json::{Value, json};

use crate::{find, render, rendered};

/// Every switch, as it is by default.
const SWITCHES: [(&str, bool); 12] = [
    ("rbac.create", true),
    ("serviceAccount.create", true),
    ("topologySpread.enabled", true),
    ("podDisruptionBudget.enabled", true),
    ("networkPolicy.enabled", false),
    ("serviceMonitor.enabled", false),
    ("prometheusRule.enabled", false),
    ("dashboard.enabled", false),
    ("deletionGuard.enabled", false),
    ("uninstallWarning.enabled", true),
    ("simulator.enabled", false),
    ("fullnameOverride", false),
];

/// Whatever else a platform's people set.
const OTHERS: [&str; 20] = [
    "image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
    "imagePullSecrets[0].name=registry",
    "commonLabels.team=platform",
    "podAnnotations.note=one",
    "podLabels.tier=control",
    "nodeSelector.disk=fast",
    "tolerations[0].operator=Exists",
    "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1",
    "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey=zone",
    "priorityClassName=system-cluster-critical",
    "extraArgs={--absence-window=10s}",
    "extraEnv[0].name=HTTPS_PROXY",
    "extraEnv[0].value=http://proxy.example.org:3128",
    "extraVolumes[0].name=roots",
    "extraVolumes[0].configMap.name=roots",
    "extraVolumeMounts[0].name=roots",
    "extraVolumeMounts[0].mountPath=/roots",
    "networkPolicy.scrapeFrom[0].namespaceSelector.matchLabels.name=monitoring",
    "networkPolicy.extraEgress[0].ports[0].port=5000",
    "serviceAccount.annotations.note=two",
];

/// The Prometheus operator's kinds, in so far as they are known here: any spec is taken.
fn stand_in(kind: &str, plural: &str) -> String {
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": anything}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.monitoring.coreos.com")},
        "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced", "versions": [version],
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()}},
    })
    .to_string()
}

fn set(switch: &str, on: bool) -> String {
    match switch {
        "fullnameOverride" => format!("fullnameOverride={}", if on { "sharing" } else { "" }),
        _ => format!("{switch}={on}"),
    }
}

/// All as by default, all on, all off, each turned over alone; each of the first three also in namespaced mode and with
/// everything else that can be set.
fn matrix() -> Vec<Vec<String>> {
    let all = |on: fn(bool) -> bool| SWITCHES.map(|(switch, default)| set(switch, on(default))).to_vec();
    let rough = [all(|default| default), all(|_| true), all(|_| false)];
    let namespaced = rough.clone().map(|values| [values, vec!["watchNamespaces={first,second}".to_owned()]].concat());
    let furnished = rough.clone().map(|values| [values, OTHERS.map(ToOwned::to_owned).to_vec()].concat());
    let turned = SWITCHES.map(|(switch, default)| vec![set(switch, !default)]);
    rough.into_iter().chain(namespaced).chain(furnished).chain(turned).collect()
}

#[tokio::test]
async fn a_real_api_server_takes_every_object_whatever_is_switched_on() -> Result<()> {
    let control_plane = ControlPlane::shared().await?;
    for namespace in [crate::NAMESPACE, "first", "second"] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        control_plane.apply(&namespace.to_string()).await?;
    }
    for (kind, plural) in [("ServiceMonitor", "servicemonitors"), ("PrometheusRule", "prometheusrules")] {
        control_plane.apply(&stand_in(kind, plural)).await?;
        let definition = format!("crd/{plural}.monitoring.coreos.com");
        control_plane.kubectl(&["wait", "--for=condition=Established", &definition, "--timeout=60s"]).await?;
    }
    for values in matrix() {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let text = render(&values).await?;
        let apply = ["apply", "--server-side", "--force-conflicts", "--validate=strict", "--dry-run=server", "-f", "-"];
        let applied = control_plane.kubectl_with(&apply, &text).await.with_context(|| format!("{values:?}"))?;
        ensure!(applied.lines().count() == text.matches("\nkind: ").count(), "{values:?}: {applied}");
    }
    Ok(())
}

fn pod_of(deployment: &Value, namespace: &str) -> Value {
    let template = &deployment["spec"]["template"];
    let name = &deployment["metadata"]["name"];
    json!({"apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
        "metadata": {"name": name, "namespace": namespace, "labels": template["metadata"]["labels"]}})
}

#[tokio::test]
async fn a_namespace_of_level_restricted_admits_the_pods() -> Result<()> {
    let control_plane = ControlPlane::shared().await?;
    let namespace = Namespace::create(&control_plane.client().await?, "restricted").await?;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    control_plane.kubectl(&["label", "namespace", namespace.name(), label]).await?;
    let create = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
    let objects =
        rendered(&["simulator.enabled=true", "extraVolumes[0].name=roots", "extraVolumes[0].configMap.name=roots"]);
    let objects = objects.await?;
    for name in [crate::RELEASE, "imageshare-operator-simulator"] {
        let mut pod = pod_of(find(&objects, "Deployment", name)?, namespace.name());
        control_plane.kubectl_with(&create, &pod.to_string()).await?;
        // So that the level is shown to be in force.
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
        let refused = control_plane.kubectl_with(&create, &pod.to_string()).await.map(drop).unwrap_err().to_string();
        ensure!(refused.contains("restricted"), "{refused}");
    }
    Ok(())
}

/// A control plane of its own: others have the definitions from `crds/`.
#[tokio::test]
async fn helm_installs_upgrades_and_uninstalls_it_and_what_was_shared_stays() -> Result<()> {
    let control_plane = ControlPlane::start(&imageshare_harness::run::folder_of_this_binary()?).await?;
    let (chart, kubeconfig) = (helm::chart(), control_plane.kubeconfig_path());
    let (chart, kubeconfig) = (chart.to_str().unwrap(), kubeconfig.to_str().unwrap());
    let here = ["--namespace", crate::NAMESPACE, "--kubeconfig", kubeconfig];
    let release = [crate::RELEASE, chart, "--set", "simulator.enabled=true"];
    let installed = helm::helm(&[&["install", "--create-namespace"], &release[..], &here].concat()).await?;
    for said in ["works in all namespaces", "kubectl apply -f examples/quickstart/", "port-forward"] {
        ensure!(installed.contains(said), "{said:?} is not said: {installed}");
    }
    let account = imageshare_harness::assets::workspace().join("examples/quickstart");
    control_plane.kubectl(&["apply", "-f", account.to_str().unwrap()]).await?;
    helm::helm(&[&["upgrade"], &release[..], &["--set", "deletionGuard.enabled=true"], &here].concat()).await?;
    helm::helm(&[&["uninstall", crate::RELEASE], &here[..]].concat()).await?;
    control_plane.kubectl(&["get", "imageshare", "app-teams", "-n", "golden-images"]).await?;
    let left = control_plane.kubectl(&["get", "deployment,service", "-n", crate::NAMESPACE, "-o", "name"]).await?;
    ensure!(left.trim().is_empty(), "{left}");
    Ok(())
}
