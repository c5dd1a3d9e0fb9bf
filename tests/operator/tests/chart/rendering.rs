//! What is rendered: the same definitions as in `crds/`, flags that the programs take, a simulator that the examples find.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use cloud_simulator::WorldFile;
use imageshare_harness::{assets, helm};
use serde_json::{Value, json};

use crate::{NAMESPACE, RELEASE, documents, find, kinds, rendered, strings};

/// helm installs what is in this folder, and afterwards never changes or deletes it.
#[test]
fn the_definitions_of_the_chart_are_those_of_crds() -> Result<()> {
    let read = |folder: PathBuf| -> Result<BTreeMap<OsString, String>> {
        let files = fs::read_dir(folder)?.map(|file| {
            let file = file?;
            Ok((file.file_name(), fs::read_to_string(file.path())?))
        });
        files.collect()
    };
    let (of_chart, ours) = (read(helm::chart().join("crds"))?, read(assets::workspace().join("crds"))?);
    ensure!(!ours.is_empty() && of_chart == ours, "the chart's definitions differ from crds/: run `make crds`");
    ensure!(!helm::chart().join("files/crds").exists(), "the chart's definitions are in its crds/, and nowhere else");
    Ok(())
}

#[tokio::test]
async fn no_release_holds_a_definition_that_a_rollback_would_put_back() -> Result<()> {
    ensure!(!kinds(&rendered(&[]).await?).contains(&"CustomResourceDefinition"));
    Ok(())
}

#[tokio::test]
async fn names_do_not_say_the_same_thing_twice() -> Result<()> {
    for (release, named) in [
        ("imageshare-operator", "imageshare-operator"),
        ("imageshare", "imageshare-operator"),
        ("my-imageshare-operator", "my-imageshare-operator"),
        ("sharing", "sharing-imageshare-operator"),
        ("image", "image-imageshare-operator"),
    ] {
        let objects = documents(&helm::template(release, NAMESPACE, &[]).await?)?;
        find(&objects, "Deployment", named).with_context(|| format!("release {release}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn each_alert_leads_to_its_section_of_the_runbook() -> Result<()> {
    let page = fs::read_to_string(assets::workspace().join("docs/alerts.md"))?;
    let sections: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## Image")).collect();
    let base = "prometheusRule.runbookURL=https://docs.example.org/alerts";
    let objects = rendered(&["prometheusRule.enabled=true", base]).await?;
    let rules = &find(&objects, "PrometheusRule", RELEASE)?["spec"]["groups"][0]["rules"];
    let mut alerts = BTreeSet::new();
    for rule in rules.as_array().context("rules")? {
        let alert = rule["alert"].as_str().context("a name")?;
        let address = format!("https://docs.example.org/alerts#{}", alert.to_lowercase());
        ensure!(rule["annotations"]["runbook_url"] == address, "{rule}");
        alerts.insert(alert.strip_prefix("Image").context("a name of ours")?);
    }
    ensure!(sections == alerts, "{sections:?} are explained, and {alerts:?} are there");
    Ok(())
}

#[tokio::test]
async fn the_pods_are_quiet_at_the_start_and_do_not_block_a_drain_when_they_do_nothing() -> Result<()> {
    let objects = rendered(&[]).await?;
    let budget = find(&objects, "PodDisruptionBudget", RELEASE)?;
    ensure!(budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow", "{budget}");
    let container = &find(&objects, "Deployment", RELEASE)?["spec"]["template"]["spec"]["containers"][0];
    ensure!(container["readinessProbe"]["initialDelaySeconds"].as_u64() >= Some(2), "{container}");
    ensure!(container["resources"]["requests"] == json!({"cpu": "10m", "memory": "32Mi"}), "{container}");
    Ok(())
}

#[tokio::test]
async fn the_network_policy_opens_the_ports_of_the_api_server_that_are_named() -> Result<()> {
    let ports = async |values: &[&str]| -> Result<Vec<u64>> {
        let objects = rendered(&[&["networkPolicy.enabled=true"][..], values].concat()).await?;
        let egress = find(&objects, "NetworkPolicy", RELEASE)?["spec"]["egress"].clone();
        let open = egress.as_array().into_iter().flatten().filter_map(|rule| rule["ports"].as_array().cloned());
        Ok(open.flatten().filter_map(|port| port["port"].as_u64()).filter(|port| *port != 53).collect())
    };
    ensure!(ports(&[]).await? == [443, 6443]);
    ensure!(ports(&["networkPolicy.apiServerPorts={16443}"]).await? == [443, 16443]);
    Ok(())
}

/// kubelet passes a container's user alone; its group is looked up in the image.
#[test]
fn the_image_knows_the_group_of_its_user() -> Result<()> {
    let text = fs::read_to_string(assets::workspace().join("Containerfile"))?;
    let user = text.lines().find_map(|line| line.strip_prefix("USER ")).context("a user")?;
    let (user, group) = user.split_once(':').context("a user and a group")?;
    let written = |file: &str| {
        let lines = text.lines().filter(|line| line.contains(&format!(">/image/etc/{file}")));
        let mut quoted = lines.filter_map(|line| line.split('\'').nth(1));
        quoted.next().map(|line| line.split(':').map(ToOwned::to_owned).collect::<Vec<_>>())
    };
    let (passwd, groups) = (written("passwd").context("a passwd")?, written("group").context("a group")?);
    ensure!(passwd.len() == 7 && passwd[2] == user && passwd[3] == group, "{passwd:?}");
    ensure!(groups.len() == 4 && groups[2] == group, "{groups:?}");
    Ok(())
}

#[tokio::test]
async fn each_kind_is_behind_its_value() -> Result<()> {
    let bare = [
        "uninstallWarning.enabled=false",
        "rbac.create=false",
        "serviceAccount.create=false",
        "podDisruptionBudget.enabled=false",
    ];
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
        ("uninstallWarning.enabled=true", policy.to_vec()),
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
    let objects = rendered(&["watchNamespaces={first,second}"]).await?;
    let wide = ["Cluster", "ValidatingAdmission"];
    ensure!(
        !kinds(&objects).iter().any(|kind| wide.iter().any(|wide| kind.starts_with(wide))),
        "{:?}",
        kinds(&objects)
    );
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
    for address in ["0.0.0.0", "10.1.2.3", "[::]", "[fd00::1]"] {
        let address = format!("listenAddress={address}");
        let objects = rendered(&[&values[..], &[&address]].concat()).await?;
        let container =
            |name: &str| Ok(&find(&objects, "Deployment", name)?["spec"]["template"]["spec"]["containers"][0]);
        let operator: Result<&Value> = container(RELEASE);
        takes("imageshare-operator", &operator?["args"])?;
        let simulator: Result<&Value> = container("imageshare-operator-simulator");
        let simulator = simulator?;
        ensure!(simulator["command"] == json!(["/cloud-simulator"]));
        takes("cloud-simulator", &simulator["args"])?;
    }
    Ok(())
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
    for folder in ["quickstart", "huawei", "aws", "across-regions"] {
        for file in fs::read_dir(assets::workspace().join("examples").join(folder))? {
            for document in documents(&fs::read_to_string(file?.path())?)? {
                let spec = &document["spec"];
                let clouds = [("alibaba", "cloud"), ("huawei", "huawei"), ("aws", "aws")];
                let found =
                    clouds.iter().find_map(|(cloud, flag)| Some((*cloud, *flag, spec[*cloud]["endpoint"].as_str()?)));
                let Some((cloud, flag, endpoint)) = found else { continue };
                endpoints += 1;
                ensure!(strings(&operator["args"]).contains(&format!("--allowed-endpoint={endpoint}").as_str()));
                let port = endpoint.strip_prefix("http://cloud-simulator:").context("another host")?;
                ensure!(strings(&simulator["args"]).contains(&format!("--{flag}-address=0.0.0.0:{port}").as_str()));
                let port: u16 = port.parse()?;
                let named = |ports: &Value, number: &str| {
                    ports.as_array().unwrap().iter().any(|p| p["name"] == cloud && p[number] == port)
                };
                ensure!(named(&simulator["ports"], "containerPort") && named(&service["spec"]["ports"], "port"));
            }
        }
    }
    ensure!(endpoints >= 5, "{endpoints}");
    let world = find(&objects, "ConfigMap", "imageshare-operator-simulator")?["data"]["world.yaml"].as_str();
    let world = world.context("a world")?;
    WorldFile::parse(world).map_err(|error| anyhow::anyhow!("{error}"))?;
    let of_examples = fs::read_to_string(assets::workspace().join("examples/simulator/world.yaml"))?;
    ensure!(world.trim_end() == of_examples.trim_end(), "copy examples/simulator/world.yaml into the chart");
    Ok(())
}

/// The rules about tokens of `ServiceAccounts` of a release with these values.
async fn rules_about_tokens(values: &[&str]) -> Result<Vec<Value>> {
    let objects = rendered(values).await?;
    let rules = objects.iter().flat_map(|object| object["rules"].as_array().cloned().unwrap_or_default());
    Ok(rules
        .filter(|rule| strings(&rule["resources"]).iter().any(|what| what.starts_with("serviceaccounts")))
        .collect())
}

#[tokio::test]
async fn tokens_of_service_accounts_are_granted_only_if_asked_for_and_by_name_where_names_are_given() -> Result<()> {
    ensure!(rules_about_tokens(&[]).await?.is_empty(), "off by default");
    let named = "workloadIdentity.serviceAccounts={golden,images.ci}";
    ensure!(rules_about_tokens(&[named]).await?.is_empty(), "names alone grant nothing");
    let mut rule = json!({"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]});
    ensure!(rules_about_tokens(&["workloadIdentity.enabled=true"]).await? == [rule.clone()]);
    rule["resourceNames"] = json!(["golden", "images.ci"]);
    ensure!(rules_about_tokens(&["workloadIdentity.enabled=true", named]).await? == [rule.clone()]);
    let watched = "watchNamespaces={owners,receivers}";
    ensure!(rules_about_tokens(&["workloadIdentity.enabled=true", named, watched]).await? == [rule.clone(), rule]);
    Ok(())
}
