//! Counts the writes to objects by watching them: each write gives an object another resourceVersion. A write that changes
//! nothing gives none; `tests/rest.rs` counts those at the API server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use futures::{StreamExt, TryStreamExt};
use imageshare_harness::eventually;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};

use super::Kind;
use super::PATIENCE;

type Seen = Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>;

/// The writes to all objects of a kind in a namespace since this was made.
pub struct Writes<K> {
    api: Api<K>,
    seen: Seen,
    watching: tokio::task::JoinHandle<Result<()>>,
}

impl<K: Kind> Writes<K> {
    /// Starts counting.
    pub async fn count(api: Api<K>) -> Result<Self> {
        let now = api.list_metadata(&ListParams::default()).await?;
        anyhow::ensure!(now.items.is_empty(), "objects which are there already would be counted short");
        let mut version = now.metadata.resource_version.context("a list has a version")?;
        let seen = Seen::default();
        let (watched, noted) = (api.clone(), Arc::clone(&seen));
        // The API server ends the watches of a kind whose definition has just settled: this one goes on where it was.
        let watching = tokio::spawn(async move {
            loop {
                let mut events = watched.watch_metadata(&WatchParams::default(), &version).await?.boxed();
                while let Some(event) = events.try_next().await? {
                    let object = match event {
                        WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => {
                            object
                        }
                        WatchEvent::Bookmark(_) => continue,
                        WatchEvent::Error(error) => anyhow::bail!("the watch ended: {error:?}"),
                    };
                    version = object.resource_version().unwrap_or_default();
                    noted.lock().unwrap().entry(object.name_any()).or_default().insert(version.clone());
                }
            }
        });
        Ok(Self { api, seen, watching })
    }

    /// Writes to an object after the one that created it, as of now.
    pub async fn to(&self, name: &str) -> Result<usize> {
        let version = self.api.get_metadata(name).await?.resource_version().context("an object has a version")?;
        eventually(PATIENCE, &format!("{name} at {version} to be seen"), async || {
            anyhow::ensure!(!self.watching.is_finished(), "the watch ended");
            let seen = self.seen.lock().unwrap();
            Ok(seen.get(name).filter(|versions| versions.contains(&version)).map(|versions| versions.len() - 1))
        })
        .await
    }
}

impl<K> Drop for Writes<K> {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
