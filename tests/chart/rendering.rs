//! What is rendered: the same definitions as in `crds/`, flags that the programs take, a simulator that the examples find.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use cloud_simulator::WorldFile;
use imageshare_harness::assets;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::{NAMESPACE, RELEASE, documents, find, kinds, rendered, strings};

/// By its type: helm writes a number as 100 where another writes 100.0.
fn read(definition: &Value) -> Result<CustomResourceDefinition> {
    Ok(serde_json::from_value(definition.clone())?)
}

#[tokio::test]
async fn the_definitions_are_those_of_crds_and_stay_when_the_release_goes() -> Result<()> {
    let mut of_chart = rendered(&[]).await?;
    of_chart.retain(|object| object["kind"] == "CustomResourceDefinition");
    let mut of_folder = Vec::new();
    for file in fs::read_dir(assets::workspace().join("crds"))? {
        of_folder.extend(documents(&fs::read_to_string(file?.path())?)?);
    }
    ensure!(of_chart.len() == of_folder.len() && !of_folder.is_empty());
    for definition in &of_folder {
        let name = definition["metadata"]["name"].as_str().context("a name")?;
        let found = find(&of_chart, "CustomResourceDefinition", name)?;
        ensure!(read(found)?.spec == read(definition)?.spec, "{name} differs: run `make crds`");
        ensure!(found["metadata"]["annotations"] == json!({"helm.sh/resource-policy": "keep"}), "{name} would go");
    }
    let let_go = rendered(&["crds.keep=false"]).await?;
    let definition = find(&let_go, "CustomResourceDefinition", "cloudimages.imageshare.dev")?;
    ensure!(definition["metadata"]["annotations"].is_null());
    ensure!(!kinds(&rendered(&["crds.enabled=false"]).await?).contains(&"CustomResourceDefinition"));
    Ok(())
}

#[tokio::test]
async fn each_kind_is_behind_its_value() -> Result<()> {
    let bare =
        ["crds.enabled=false", "rbac.create=false", "serviceAccount.create=false", "podDisruptionBudget.enabled=false"];
    ensure!(kinds(&rendered(&bare).await?) == ["Deployment", "Service"]);
    let policy = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
    for (value, wanted) in [
        ("rbac.create=true", [&["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"][..], &policy].concat()),
        ("rbac.create=true,secrets.guard=false", vec!["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
        ("serviceAccount.create=true", vec!["ServiceAccount"]),
        ("podDisruptionBudget.enabled=true", vec!["PodDisruptionBudget"]),
        ("networkPolicy.enabled=true", vec!["NetworkPolicy"]),
        ("serviceMonitor.enabled=true", vec!["ServiceMonitor"]),
        ("prometheusRule.enabled=true", vec!["PrometheusRule"]),
        ("dashboard.enabled=true", vec!["ConfigMap"]),
        ("deletionGuard.enabled=true", policy.to_vec()),
        ("simulator.enabled=true", vec!["ConfigMap", "Deployment", "Service"]),
    ] {
        let mut wanted = [vec!["Deployment", "Service"], wanted].concat();
        wanted.sort_unstable();
        let objects = rendered(&[&bare[..], &[value]].concat()).await?;
        ensure!(kinds(&objects) == wanted, "{value}: {:?}", kinds(&objects));
    }
    Ok(())
}

#[tokio::test]
async fn in_namespaced_mode_there_are_roles_and_nothing_cluster_wide() -> Result<()> {
    let objects = rendered(&["watchNamespaces={first,second}", "crds.enabled=false"]).await?;
    ensure!(!objects.iter().any(|object| object["kind"].as_str().unwrap().starts_with("Cluster")));
    let roles: BTreeSet<&str> = objects
        .iter()
        .filter(|object| object["kind"] == "Role")
        .filter_map(|role| role["metadata"]["namespace"].as_str())
        .collect();
    ensure!(roles == BTreeSet::from(["first", "second", NAMESPACE]), "{roles:?}");
    let namespaces =
        |object: &Value| object["rules"].as_array().unwrap().iter().any(|r| r["resources"] == json!(["namespaces"]));
    ensure!(!objects.iter().filter(|object| object["kind"] == "Role").any(namespaces));
    let arguments = &find(&objects, "Deployment", RELEASE)?["spec"]["template"]["spec"]["containers"][0]["args"];
    for flag in ["--watch-namespace=first", "--watch-namespace=second"] {
        ensure!(strings(arguments).contains(&flag), "{arguments}");
    }
    Ok(())
}

/// clap reads arguments in their order: an unknown flag or a bad value comes before `--help`.
fn takes(program: &str, arguments: &Value) -> Result<()> {
    let mut command = Command::new(assets::built(program)?);
    let output = command.args(strings(arguments)).arg("--help").output()?;
    ensure!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test]
async fn the_programs_take_the_arguments_they_are_given() -> Result<()> {
    let values = [
        "simulator.enabled=true",
        "watchNamespaces={first,second}",
        "allowedEndpoints={https://keystone.example.org:5000,glance.example.org}",
        "driftInterval=1h30m",
        "log=info\\,imageshare_operator=debug",
        "extraArgs={--absence-window=10s}",
    ];
    let objects = rendered(&values).await?;
    let container = |name: &str| Ok(&find(&objects, "Deployment", name)?["spec"]["template"]["spec"]["containers"][0]);
    let operator: Result<&Value> = container(RELEASE);
    takes("imageshare-operator", &operator?["args"])?;
    let simulator: Result<&Value> = container("imageshare-operator-simulator");
    let simulator = simulator?;
    ensure!(simulator["command"] == json!(["/cloud-simulator"]));
    takes("cloud-simulator", &simulator["args"])
}

/// With the simulator, `kubectl apply -f examples/quickstart/` needs nothing else: its endpoints are allowed, lead to the
/// simulator, and the world there is the one of the examples.
#[tokio::test]
async fn the_examples_find_the_simulator() -> Result<()> {
    let objects = rendered(&["simulator.enabled=true"]).await?;
    let pod = |name: &str| Ok(&find(&objects, "Deployment", name)?["spec"]["template"]["spec"]);
    let (operator, simulator): (Result<&Value>, Result<&Value>) = (pod(RELEASE), pod("imageshare-operator-simulator"));
    let (operator, simulator) = (&operator?["containers"][0], &simulator?["containers"][0]);
    let service = find(&objects, "Service", "cloud-simulator")?;
    ensure!(service["metadata"]["namespace"] == NAMESPACE, "the operator looks for it in its own namespace");
    let mut endpoints = 0;
    for folder in ["quickstart", "huawei", "across-regions"] {
        for file in fs::read_dir(assets::workspace().join("examples").join(folder))? {
            for document in documents(&fs::read_to_string(file?.path())?)? {
                let spec = &document["spec"];
                let cloud = if spec["alibaba"].is_object() { "alibaba" } else { "huawei" };
                let Some(endpoint) = spec[cloud]["endpoint"].as_str() else { continue };
                endpoints += 1;
                ensure!(strings(&operator["args"]).contains(&format!("--allowed-endpoint={endpoint}").as_str()));
                let port = endpoint.strip_prefix("http://cloud-simulator:").context("another host")?;
                let flag = if cloud == "alibaba" { "cloud" } else { "huawei" };
                ensure!(strings(&simulator["args"]).contains(&format!("--{flag}-address=0.0.0.0:{port}").as_str()));
                let port: u16 = port.parse()?;
                let named = |ports: &Value, number: &str| {
                    ports.as_array().unwrap().iter().any(|p| p["name"] == cloud && p[number] == port)
                };
                ensure!(named(&simulator["ports"], "containerPort") && named(&service["spec"]["ports"], "port"));
            }
        }
    }
    ensure!(endpoints >= 3, "{endpoints}");
    let world = find(&objects, "ConfigMap", "imageshare-operator-simulator")?["data"]["world.yaml"].as_str();
    let world = world.context("a world")?;
    WorldFile::parse(world).map_err(|error| anyhow::anyhow!("{error}"))?;
    let of_examples = fs::read_to_string(assets::workspace().join("examples/simulator/world.yaml"))?;
    ensure!(world.trim_end() == of_examples.trim_end(), "copy examples/simulator/world.yaml into the chart");
    Ok(())
}
