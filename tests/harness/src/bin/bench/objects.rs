//! Objects in Kubernetes, as plain JSON: made, read, written, and watched until all are `Ready`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::task::JoinHandle;

/// Objects that are made at once.
const AT_ONCE: usize = 32;

/// Time between two looks at what is ready.
const PAUSE: Duration = Duration::from_millis(5);

/// The interface of a kind of ours, in one namespace.
pub(crate) fn api(client: &kube::Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource("imageshare.dev", "v1alpha1", kind))
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// Creates an object, of whatever kind.
async fn create(client: &kube::Client, object: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(object)?;
    let types = object.types.clone().context("an object has a kind")?;
    let (group, version) = types.api_version.rsplit_once('/').unwrap_or(("", &types.api_version));
    let resource = resource(group, version, &types.kind);
    let api = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let made = api.create(&PostParams::default(), &object).await;
    made.with_context(|| format!("creating {} {:?}", types.kind, object.metadata.name)).map(drop)
}

/// Creates objects, many at once.
pub(crate) async fn create_all(client: &kube::Client, objects: impl Iterator<Item = Value>) -> Result<()> {
    let making = futures::stream::iter(objects).map(|object| create(client, object));
    making.buffer_unordered(AT_ONCE).try_collect().await
}

/// The status of an object.
pub(crate) async fn status(client: &kube::Client, kind: &str, namespace: &str, name: &str) -> Result<Value> {
    let object = api(client, kind, namespace).get(name).await?;
    object.data.get("status").cloned().with_context(|| format!("{kind} {name} has no status"))
}

/// Which objects of a kind are `Ready` at their newest generation, as a watch tells it.
#[derive(Debug)]
pub(crate) struct Readiness {
    kind: &'static str,
    state: Arc<Mutex<State>>,
    watching: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    filled: bool,
    ready: BTreeSet<(String, String)>,
    changed: Option<Instant>,
}

impl Readiness {
    /// Watches all objects of a kind of ours; returns once those that are there have been listed.
    pub(crate) async fn watch(client: &kube::Client, kind: &'static str) -> Result<Self> {
        let api = Api::all_with(client.clone(), &resource("imageshare.dev", "v1alpha1", kind));
        let state = Arc::<Mutex<State>>::default();
        let noted = Arc::clone(&state);
        let watching = tokio::spawn(async move {
            let mut events = watcher(api, watcher::Config::default()).boxed();
            // Errors are tried again by the watcher itself.
            while let Some(event) = events.next().await {
                if let Ok(event) = event {
                    note(&noted, event);
                }
            }
        });
        let watched = Self { kind, state, watching };
        let deadline = Instant::now() + Duration::from_secs(120);
        while !watched.with(|state| state.filled) {
            if Instant::now() > deadline {
                bail!("the list of {kind} did not come");
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(watched)
    }

    fn with<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until so many are `Ready`; gives when the last one came to be.
    pub(crate) async fn until(&self, count: usize, limit: Duration) -> Result<Instant> {
        let deadline = Instant::now() + limit;
        loop {
            let (ready, changed) = self.with(|state| (state.ready.len(), state.changed));
            if let (true, Some(changed)) = (ready >= count, changed) {
                return Ok(changed);
            }
            if Instant::now() > deadline || self.watching.is_finished() {
                bail!("waited {limit:?} in vain for {count} {} to be Ready: {ready} are", self.kind);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn note(state: &Mutex<State>, event: Event<DynamicObject>) {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        Event::Apply(object) | Event::InitApply(object) => {
            let name = name_of(&object);
            if !is_ready(&object) {
                state.ready.remove(&name);
            } else if state.ready.insert(name) {
                state.changed = Some(Instant::now());
            }
        }
        Event::Delete(object) => {
            state.ready.remove(&name_of(&object));
        }
        Event::Init => {}
        Event::InitDone => state.filled = true,
    }
}

fn name_of(object: &DynamicObject) -> (String, String) {
    let metadata = &object.metadata;
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

fn is_ready(object: &DynamicObject) -> bool {
    let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
    let ready = |condition: &&Value| condition.get("type").and_then(Value::as_str) == Some("Ready");
    conditions.and_then(|all| all.iter().find(ready)).is_some_and(|ready| {
        let observed = ready.get("observedGeneration").and_then(Value::as_i64);
        ready.get("status").and_then(Value::as_str) == Some("True") && observed == object.metadata.generation
    })
}
