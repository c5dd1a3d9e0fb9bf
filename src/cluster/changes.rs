//! One stream of the changes of a kind, across all watched namespaces.

use std::collections::HashMap;
use std::fmt::Debug;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::Store;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::api_server::ApiServer;
use super::scope::Scope;

type Change<K> = Result<Event<K>, watcher::Error>;

/// The longest pause between two attempts to watch. Recovery of an API server costs up to four: the last attempt that found it
/// down, one before it serves our kinds, a watch from a version that it no longer knows, and a list before it is filled.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// All changes of a kind within `scope`, for the cache that `cache` reads. The stream emits complete lists: one at the start,
/// once every namespace is listed, and one whenever a watch restarts.
pub fn changes<K>(
    client: &Client,
    scope: &Scope,
    cache: Store<K>,
    api_server: &Arc<ApiServer>,
) -> BoxStream<'static, Change<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
{
    match scope {
        Scope::Cluster => watch(Api::all(client.clone()), api_server),
        Scope::Namespaces(names) => {
            let one = |name: &String| {
                let name = name.clone();
                watch(Api::namespaced(client.clone(), &name), api_server)
                    .map(move |change| (name.clone(), change))
                    .boxed()
            };
            let mut lists =
                Lists { first: names.iter().map(|name| (name.clone(), None)).collect(), begun: HashMap::new(), cache };
            let all = stream::select_all(names.iter().map(one));
            all.flat_map(move |(namespace, change)| stream::iter(lists.pass_on(&namespace, change))).boxed()
        }
    }
}

/// All changes of a cluster-scoped kind, or of one namespace.
pub fn watch<K>(api: Api<K>, api_server: &Arc<ApiServer>) -> BoxStream<'static, Change<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (what, api_server) = (api.resource_url().to_owned(), Arc::clone(api_server));
    let changes = watcher(api, watcher::Config::default()).backoff(WatchBackoff::default());
    changes.inspect(move |change| report(&api_server, &what, change)).boxed()
}

/// Reports whether a watch works. The watcher itself logs failed lists at debug only.
fn report<K>(api_server: &ApiServer, what: &str, change: &Change<K>) {
    let status = match change {
        // A watch begins by itself, before its first answer.
        Ok(Event::Init) => return,
        Ok(_) => return api_server.called(what, None),
        Err(
            watcher::Error::WatchError(status)
            | watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            | watcher::Error::WatchFailed(kube::Error::Api(status)),
        ) => Some(status),
        Err(_) => None,
    };
    match status {
        Some(status) => api_server.called(what, Some(&kube::Error::Api(status.clone()).into())),
        None => api_server.suspect(),
    }
}

/// Merges the lists of several namespaces into one.
struct Lists<K: Resource<DynamicType = ()> + 'static> {
    /// The first list of each namespace; empty once all are complete, after which nothing is held back.
    first: HashMap<String, Option<Vec<K>>>,
    /// The partial list of each namespace that is being listed.
    begun: HashMap<String, Vec<K>>,
    /// The cache of the emitted changes.
    cache: Store<K>,
}

impl<K: Resource<DynamicType = ()> + Clone> Lists<K> {
    /// The changes to emit after an event of a namespace's watch.
    fn pass_on(&mut self, namespace: &str, change: Change<K>) -> Vec<Change<K>> {
        match change {
            Ok(Event::Init) => drop(self.begun.insert(namespace.to_owned(), Vec::new())),
            Ok(Event::InitApply(object)) => self.begun.entry(namespace.to_owned()).or_default().push(object),
            Ok(Event::InitDone) => return self.listed(namespace),
            Ok(change @ (Event::Apply(_) | Event::Delete(_))) => return self.changed(namespace, change),
            Err(error) => return vec![Err(error)],
        }
        Vec::new()
    }

    fn listed(&mut self, namespace: &str) -> Vec<Change<K>> {
        let list = self.begun.remove(namespace).unwrap_or_default();
        if self.first.is_empty() {
            let others =
                self.cache.state().into_iter().filter(|object| object.namespace().as_deref() != Some(namespace));
            return whole(others.map(|object| K::clone(&object)).chain(list));
        }
        self.first.insert(namespace.to_owned(), Some(list));
        if self.first.values().any(Option::is_none) {
            return Vec::new();
        }
        whole(mem::take(&mut self.first).into_values().flatten().flatten())
    }

    fn changed(&mut self, namespace: &str, change: Event<K>) -> Vec<Change<K>> {
        let Some(held_back) = self.first.get_mut(namespace) else { return vec![Ok(change)] };
        let list = held_back.get_or_insert_default();
        match change {
            Event::Apply(object) => {
                list.retain(|old| old.name_any() != object.name_any());
                list.push(object);
            }
            Event::Delete(object) => list.retain(|old| old.name_any() != object.name_any()),
            Event::Init | Event::InitApply(_) | Event::InitDone => {}
        }
        Vec::new()
    }
}

fn whole<K>(objects: impl Iterator<Item = K>) -> Vec<Change<K>> {
    std::iter::once(Event::Init).chain(objects.map(Event::InitApply)).chain([Event::InitDone]).map(Ok).collect()
}

/// Backoff while the API server is unavailable: kube's own, capped so that all watches recover within 30 s of its return.
#[derive(Default)]
pub struct WatchBackoff(watcher::DefaultBackoff);

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(LONGEST_PAUSE))
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;
    use kube::runtime::reflector;

    use super::*;

    type Writer = reflector::store::Writer<ConfigMap>;

    fn object(namespace: &str, name: &str) -> ConfigMap {
        let metadata =
            ObjectMeta { namespace: Some(namespace.into()), name: Some(name.into()), ..ObjectMeta::default() };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    fn lists() -> (Lists<ConfigMap>, Writer) {
        let (cache, writer) = reflector::store();
        let first = ["a", "b"].map(|name| (name.to_owned(), None)).into();
        (Lists { first, begun: HashMap::new(), cache }, writer)
    }

    /// Applies watch events and returns the resulting content of the cache.
    fn tell(
        lists: &mut Lists<ConfigMap>,
        writer: &mut Writer,
        namespace: &str,
        events: Vec<Event<ConfigMap>>,
    ) -> Vec<String> {
        for event in events {
            for passed in lists.pass_on(namespace, Ok(event)) {
                writer.apply_watcher_event(&passed.unwrap());
            }
        }
        let mut names: Vec<_> =
            writer.as_reader().state().iter().map(|o| format!("{}/{}", o.namespace().unwrap(), o.name_any())).collect();
        names.sort();
        names
    }

    fn list(namespace: &str, names: &[&str]) -> Vec<Event<ConfigMap>> {
        let objects = names.iter().map(|name| Event::InitApply(object(namespace, name)));
        std::iter::once(Event::Init).chain(objects).chain([Event::InitDone]).collect()
    }

    #[test]
    fn nothing_is_known_before_every_namespace_is_listed() {
        let (mut lists, mut writer) = lists();
        assert!(tell(&mut lists, &mut writer, "a", list("a", &["one", "two"])).is_empty());
        let late = vec![Event::Apply(object("a", "three")), Event::Delete(object("a", "one"))];
        assert!(tell(&mut lists, &mut writer, "a", late).is_empty());
        assert_eq!(tell(&mut lists, &mut writer, "b", list("b", &["one"])), ["a/three", "a/two", "b/one"]);
    }

    #[test]
    fn a_namespace_listed_anew_forgets_its_own_and_nothing_of_the_others() {
        let (mut lists, mut writer) = lists();
        tell(&mut lists, &mut writer, "a", list("a", &["one", "two"]));
        tell(&mut lists, &mut writer, "b", list("b", &["one"]));
        tell(&mut lists, &mut writer, "b", vec![Event::Apply(object("b", "two"))]);
        assert_eq!(tell(&mut lists, &mut writer, "a", list("a", &[])), ["b/one", "b/two"]);
        assert_eq!(tell(&mut lists, &mut writer, "b", vec![Event::Delete(object("b", "one"))]), ["b/two"]);
    }
}
