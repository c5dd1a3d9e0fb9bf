//! Every version of the objects of our kinds that was ever in etcd, in order, as the API server's watch tells them.
//!
//! A version is not missed silently: where the watch has a gap, [`History::versions`] fails.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams, WatchEvent, WatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

use crate::background::Background;
use crate::control_plane::client_of;
use crate::wait::eventually;

/// One watch request lasts this long at most, in seconds; the next begins where it ended.
const WATCH: u32 = 290;

/// How long the recorder may lag behind the API server.
const LAG: Duration = Duration::from_secs(30);

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was created.
    Added,
    /// It was written.
    Modified,
    /// It left etcd; the version is its last one.
    Deleted,
}

/// One version of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// What led to it.
    pub change: Change,
    /// Its place in etcd's order, which all kinds share.
    pub revision: u64,
    /// When the watch told it: after it was written, by a few milliseconds.
    pub seen_at: Timestamp,
    /// The object itself.
    pub object: Value,
}

impl Version {
    /// The object's kind.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// The object's namespace; empty where it has none.
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// The object's uid.
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// A text inside the object by JSON pointer; empty where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Recorded {
    versions: Vec<Version>,
    gaps: Vec<String>,
}

impl Recorded {
    fn push(&mut self, change: Change, object: DynamicObject) -> Result<()> {
        let revision = object.metadata.resource_version.as_deref().context("a version has a number")?.parse()?;
        let object = serde_json::to_value(object)?;
        self.versions.push(Version { change, revision, seen_at: Timestamp::now(), object });
        Ok(())
    }
}

/// The recorder; it ends when this is dropped.
#[derive(Debug)]
pub struct History {
    recorded: Arc<Mutex<Recorded>>,
    kubeconfig: std::path::PathBuf,
    kinds: Vec<ApiResource>,
    _background: Background,
}

impl History {
    /// Records these kinds (group, version, kind) from now on. Fails if there is an object of them already: its earlier
    /// versions could not be told.
    ///
    /// `kubeconfig` leads to the API server itself, not through a proxy that plays tricks.
    pub async fn start(kubeconfig: &Path, group: &str, version: &str, kinds: &[&str]) -> Result<Self> {
        let background = Background::start("history")?;
        let recorded = Arc::new(Mutex::new(Recorded::default()));
        let kinds: Vec<ApiResource> =
            kinds.iter().map(|kind| ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))).collect();
        for kind in &kinds {
            let (kubeconfig, kind, into) = (kubeconfig.to_path_buf(), kind.clone(), recorded.clone());
            let begun = background.handle().spawn(async move {
                let api: Api<DynamicObject> = Api::all_with(client_of(&kubeconfig).await?, &kind);
                let list = api.list(&ListParams::default()).await?;
                ensure!(list.items.is_empty(), "there are objects of kind {} already", kind.kind);
                let revision = list.metadata.resource_version.context("a list has a version")?;
                tokio::spawn(record(api, kind.kind, revision, into));
                Ok(())
            });
            begun.await??;
        }
        Ok(Self { recorded, kubeconfig: kubeconfig.to_path_buf(), kinds, _background: background })
    }

    /// The same for the three kinds of this operator.
    pub async fn of_sharing(kubeconfig: &Path) -> Result<Self> {
        Self::start(kubeconfig, "imageshare.dev", "v1alpha1", &["CloudAccount", "CloudImage", "ImageShare"]).await
    }

    /// Every version until now, in etcd's order. Waits until the recorder knows what the API server knows now; fails if
    /// it does not, or if a version was missed.
    pub async fn versions(&self) -> Result<Vec<Version>> {
        for kind in &self.kinds {
            self.catch_up(kind).await?;
        }
        let recorded = lock(&self.recorded);
        ensure!(recorded.gaps.is_empty(), "the history has gaps: {}", recorded.gaps.join("; "));
        let mut versions = recorded.versions.clone();
        versions.sort_by_key(|version| version.revision);
        Ok(versions)
    }

    /// Every object of a fresh list must be known in at least that version, and none more may live.
    async fn catch_up(&self, kind: &ApiResource) -> Result<()> {
        let api: Api<DynamicObject> = Api::all_with(client_of(&self.kubeconfig).await?, kind);
        let list = api.list(&ListParams::default()).await?;
        let wanted: Vec<(String, u64)> = list
            .items
            .iter()
            .filter_map(|o| Some((o.metadata.uid.clone()?, o.metadata.resource_version.as_ref()?.parse().ok()?)))
            .collect();
        let at: u64 = list.metadata.resource_version.context("a list has a version")?.parse()?;
        eventually(LAG, "the recorder to catch up", async || {
            let recorded = lock(&self.recorded);
            let newest = |uid: &str| recorded.versions.iter().rfind(|v| v.uid() == uid);
            for (uid, revision) in &wanted {
                ensure!(newest(uid).is_some_and(|v| v.revision >= *revision), "{uid} is not known at {revision}");
            }
            let gone = recorded.versions.iter().filter(|v| v.kind() == kind.kind && v.revision <= at).all(|v| {
                let lives = wanted.iter().any(|(uid, _)| uid == v.uid());
                lives || newest(v.uid()).is_some_and(|last| last.change == Change::Deleted || last.revision > at)
            });
            Ok(gone.then_some(()))
        })
        .await
    }
}

fn lock(recorded: &Mutex<Recorded>) -> MutexGuard<'_, Recorded> {
    recorded.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches one kind for ever; after a break it goes on from the last version it knows.
async fn record(api: Api<DynamicObject>, kind: String, mut revision: String, into: Arc<Mutex<Recorded>>) {
    let params = WatchParams::default().timeout(WATCH);
    loop {
        if let Err(error) = watch_once(&api, &params, &mut revision, &into).await {
            let gone = matches!(&error, kube::Error::Api(status) if status.code == 410);
            if gone {
                lock(&into).gaps.push(format!("{kind} after {revision}: {error}"));
                return;
            }
            // The API server is away; tests do that.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn watch_once(
    api: &Api<DynamicObject>,
    params: &WatchParams,
    revision: &mut String,
    into: &Mutex<Recorded>,
) -> Result<(), kube::Error> {
    let events = api.watch(params, revision).await?;
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.try_next().await? {
        let (change, object) = match event {
            WatchEvent::Added(object) => (Change::Added, object),
            WatchEvent::Modified(object) => (Change::Modified, object),
            WatchEvent::Deleted(object) => (Change::Deleted, object),
            WatchEvent::Bookmark(mark) => {
                *revision = mark.metadata.resource_version;
                continue;
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        };
        if let Some(version) = &object.metadata.resource_version {
            revision.clone_from(version);
        }
        let mut recorded = lock(into);
        if let Err(error) = recorded.push(change, object) {
            recorded.gaps.push(format!("a version that cannot be kept: {error:#}"));
        }
    }
    Ok(())
}
