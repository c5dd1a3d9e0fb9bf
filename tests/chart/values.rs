//! The values: helm lints the chart, and refuses what makes no sense by naming it.

use anyhow::{Result, ensure};
use imageshare_harness::helm;

use crate::render;

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
        ("image.digest=sha256:beef", "/image/digest"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("crds.keep=maybe", "/crds/keep"),
        ("watchNamespaces={Not_A_Name}", "/watchNamespaces/0"),
        ("watchNamespaces={a,a}", "/watchNamespaces"),
        ("allowedEndpoints={http://example.org}", "/allowedEndpoints/0"),
        ("allowedEndpoints={https://example.org/path}", "/allowedEndpoints/0"),
        ("driftInterval=soon", "/driftInterval"),
        ("lease.duration=15", "/lease/duration"),
        ("callsPerSecond=0", "/callsPerSecond"),
        ("logFormat=xml", "/logFormat"),
        ("extraArgs={run}", "/extraArgs/0"),
        ("deletionGuard.action=Maybe", "/deletionGuard/action"),
        ("simulator.enabled=1", "/simulator/enabled"),
    ] {
        let Err(refused) = render(&[value]).await else { anyhow::bail!("{value} is taken") };
        ensure!(format!("{refused:#}").contains(named), "{value}: {named} is not named: {refused:#}");
    }
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
    known.retain(|key| key != "global");
    assert_eq!(known, keys(&values));
    for key in known {
        let property = &schema["properties"][&key];
        if property["properties"].is_object() {
            assert_eq!(property["additionalProperties"], false, "{key}");
            assert_eq!(keys(&property["properties"]), keys(&values[&key]), "{key}");
        }
    }
}
