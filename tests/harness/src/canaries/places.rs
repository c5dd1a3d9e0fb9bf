//! The places that people read.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use kube::api::{Api, DynamicObject, ListParams};
use kube::discovery::{Discovery, verbs};

use super::Shown;
use crate::history::Version;

/// Objects asked for in one page.
const PAGE: u32 = 500;

/// Every log of a program in the folder of a run: that of each of its starts.
pub fn logs(run: &Path, program: &str) -> Result<Vec<Shown>> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(run).with_context(|| format!("reading {}", run.display()))? {
        let path = entry?.path();
        let place = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let number = place.strip_prefix(program).and_then(|rest| rest.strip_suffix(".log"));
        if number.is_some_and(|number| number.is_empty() || number.starts_with('-')) {
            logs.push(Shown { text: String::from_utf8_lossy(&fs::read(&path)?).into_owned(), place });
        }
    }
    ensure!(!logs.is_empty(), "{} holds no log of {program}", run.display());
    Ok(logs)
}

/// Every object of every kind that the API server can list, events included; only Secrets are left out, which hold what is
/// looked for.
pub async fn objects(client: &kube::Client) -> Result<Vec<Shown>> {
    let mut objects = Vec::new();
    for group in Discovery::new(client.clone()).run().await?.groups() {
        for (kind, capabilities) in group.recommended_resources() {
            let is_secret = kind.group.is_empty() && kind.kind == "Secret";
            if !is_secret && capabilities.supports_operation(verbs::LIST) {
                objects.extend(all_of(Api::all_with(client.clone(), &kind), &kind.kind).await?);
            }
        }
    }
    ensure!(!objects.is_empty(), "the API server shows no objects");
    Ok(objects)
}

async fn all_of(api: Api<DynamicObject>, kind: &str) -> Result<Vec<Shown>> {
    let (mut all, mut next) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let page = api.list(&next).await.with_context(|| format!("listing {kind}"))?;
        for object in &page.items {
            let metadata = &object.metadata;
            let name = metadata.name.as_deref().unwrap_or_default();
            let place = format!("{kind} {}/{name}", metadata.namespace.as_deref().unwrap_or_default());
            all.push(Shown { place, text: serde_json::to_string(object)? });
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => next = next.continue_token(&token),
            None => return Ok(all),
        }
    }
}

/// Every version there was of the objects of a history.
pub fn versions(history: &[Version]) -> Vec<Shown> {
    let shown = |version: &Version| Shown {
        place: format!("{} {}/{} at {}", version.kind(), version.namespace(), version.name(), version.revision),
        text: version.object.to_string(),
    };
    history.iter().map(shown).collect()
}

/// What is served for machines to collect at an address as `127.0.0.1:8080`.
pub async fn metrics(address: &str) -> Result<Shown> {
    let url = format!("http://{address}/metrics");
    let answer = reqwest::Client::builder().no_proxy().build()?.get(&url).send().await?.error_for_status()?;
    Ok(Shown { text: answer.text().await?, place: url })
}
