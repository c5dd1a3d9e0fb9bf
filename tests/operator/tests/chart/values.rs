//! The values: helm lints the chart, and refuses what makes no sense by naming it.

use std::fs;

use anyhow::{Result, ensure};
use imageshare_harness::{helm, run};

use crate::{copy_chart, render};

#[tokio::test]
async fn helm_finds_nothing_to_complain_of() -> Result<()> {
    let chart = helm::chart();
    helm::helm(&["lint", "--strict", chart.to_str().unwrap()]).await.map(drop)
}

#[tokio::test]
async fn a_value_that_makes_no_sense_is_refused_by_its_name() -> Result<()> {
    for (value, named) in [
        ("replicas=two", "/replicas"),
        ("replicas=-1", "/replicas"),
        ("imagee.tag=1", "imagee"),
        ("image.tagg=1", "tagg"),
        ("image.digest=sha256:beef", "image.digest: \"sha256:beef\" is not a digest"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("rbac.create=maybe", "/rbac/create"),
        ("watchNamespaces={Not_A_Name}", "watchNamespaces[0]: \"Not_A_Name\" is not the name of a namespace"),
        ("watchNamespaces={a,a}", "/watchNamespaces"),
        ("allowedEndpoints={http://example.org}", "plain http, for a simulator, needs its port"),
        ("allowedEndpoints={https://a,https://example.org/path}", "allowedEndpoints[1]: \"https://example.org/path\""),
        ("driftInterval=soon", "driftInterval: \"soon\" is not a duration: write it as 10m"),
        ("serviceMonitor.interval=often", "serviceMonitor.interval: \"often\" is not a duration"),
        ("lease.duration=15", "/lease/duration"),
        ("callsPerSecond=0", "/callsPerSecond"),
        ("log=info;rm", "log: \"info;rm\" is not a log level: write it as info"),
        ("logFormat=xml", "/logFormat"),
        ("extraArgs={run}", "extraArgs[0]: \"run\" is not a flag"),
        ("extraArgs={--log=info,--drift-intervall=1h}", "extraArgs[1]: \"--drift-intervall=1h\" is not a flag"),
        ("fullnameOverride=A_b", "fullnameOverride: \"A_b\" is not a name"),
        ("podDisruptionBudget.maxUnavailable=0", "neither a number from 1 on nor a percentage such as 50%"),
        ("networkPolicy.apiServerPorts={0}", "/networkPolicy/apiServerPorts/0"),
        ("listenAddress=::", "listenAddress: \"::\" is not an address: write an IPv6 address in brackets, as [::]"),
        ("listenAddress=localhost", "listenAddress: \"localhost\" is not an address: write it as 0.0.0.0 or [::]"),
        ("listenAddress=0.0.0.256", "listenAddress: \"0.0.0.256\" is not an address"),
        ("listenAddress=0.0.0.0:80", "listenAddress: \"0.0.0.0:80\" is not an address: write it as 0.0.0.0 or [::]"),
        ("listenAddress=[::]:80", "listenAddress: \"[::]:80\" is not an address: write it as 0.0.0.0 or [::]"),
        ("simulator.enabled=true,simulator.world=a:b: c: d", "simulator.world: this is not YAML"),
        ("deletionGuard.action=Maybe", "/deletionGuard/action"),
        ("simulator.enabled=1", "/simulator/enabled"),
        ("workloadIdentity.enabled=1", "/workloadIdentity/enabled"),
        ("workloadIdentity.serviceAccounts={A b}", "workloadIdentity.serviceAccounts[0]: \"A b\" is not the name"),
    ] {
        let Err(refused) = render(&[value]).await else { anyhow::bail!("{value} is taken") };
        let refused = format!("{refused:#}");
        ensure!(refused.contains(named), "{value}: {named} is not named: {refused}");
        ensure!(!refused.contains("does not match pattern"), "{value}: a person cannot read this: {refused}");
    }
    Ok(())
}

/// A parent chart switches the chart by a condition, and passes the condition's value and its global values down.
#[tokio::test]
async fn a_parent_chart_switches_it_on_and_off() -> Result<()> {
    let parent = run::folder("umbrella")?;
    fs::create_dir_all(parent.join("charts"))?;
    copy_chart(&parent.join("charts/imageshare-operator"))?;
    let dependency = "{name: imageshare-operator, version: '>=0', condition: imageshare-operator.enabled}";
    let chart = format!("apiVersion: v2\nname: platform\nversion: 1.0.0\ndependencies:\n- {dependency}\n");
    fs::write(parent.join("Chart.yaml"), chart)?;
    let rendered = async |enabled: bool| {
        let values = format!("imageshare-operator.enabled={enabled},global.registry=registry.example.org");
        helm::helm(&["template", "platform", parent.to_str().unwrap(), "--set", &values]).await
    };
    ensure!(rendered(true).await?.contains("kind: Deployment"));
    ensure!(!rendered(false).await?.contains("kind: Deployment"));
    Ok(())
}

/// No value can be set that the schema does not know, and none is known that has no default to read about.
#[test]
fn the_schema_knows_the_values_and_no_others() {
    let read = |file: &str| std::fs::read_to_string(helm::chart().join(file)).unwrap();
    let values: serde_json::Value = serde_yaml::from_str(&read("values.yaml")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let keys = |object: &serde_json::Value| -> Vec<String> {
        let mut keys: Vec<String> = object.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let mut known = keys(&schema["properties"]);
    // A parent chart's.
    known.retain(|key| !["global", "enabled"].contains(&key.as_str()));
    assert_eq!(known, keys(&values));
    for key in known {
        let property = &schema["properties"][&key];
        if property["properties"].is_object() {
            assert_eq!(property["additionalProperties"], false, "{key}");
            assert_eq!(keys(&property["properties"]), keys(&values[&key]), "{key}");
        }
    }
}
