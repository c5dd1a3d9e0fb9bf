//! The Helm chart, by helm itself and a real API server: what it renders, what it refuses, what a cluster makes of it.
//! Whether its rights are enough, and no more than that, is for tests/permissions.

mod allowing;
mod applying;
mod guarding;
mod leaving;
mod rendering;
mod secrets;
mod values;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use imageshare_harness::helm;
use serde::Deserialize as _;
use serde_json::Value;

const RELEASE: &str = "imageshare-operator";
const NAMESPACE: &str = "imageshare-system";

/// The objects of a release with these values, as `--set` takes them.
async fn rendered(values: &[&str]) -> Result<Vec<Value>> {
    documents(&render(values).await?)
}

async fn render(values: &[&str]) -> Result<String> {
    let set: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
    helm::template(RELEASE, NAMESPACE, &set).await
}

/// A copy of the chart in a folder that does not exist yet.
fn copy_chart(to: &Path) -> Result<()> {
    fn copy(from: &Path, to: &Path) -> Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry?.file_name()));
            if from.is_dir() { copy(&from, &to)? } else { fs::copy(&from, &to).map(drop)? }
        }
        Ok(())
    }
    copy(&helm::chart(), to)
}

fn documents(text: &str) -> Result<Vec<Value>> {
    let documents = serde_yaml::Deserializer::from_str(text).map(|document| Ok(Value::deserialize(document)?));
    let documents: Vec<Value> = documents.collect::<Result<_>>()?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// The one object of a kind and name.
fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    let mut found = objects.iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let object = found.next().with_context(|| format!("no {kind} {name}"))?;
    anyhow::ensure!(found.next().is_none(), "two of {kind} {name}");
    Ok(object)
}

fn kinds(objects: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
    kinds.sort_unstable();
    kinds
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
