//! Cache indexes, which avoid a walk over all objects: shares by the image that they name, `CloudImages` by the cloud image
//! that they name. Entries are hints; callers must check the object itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};

/// Objects of one kind by key.
///
/// One set of (key, namespace, name) instead of one set per key, because there are about as many keys as objects.
pub struct Index<K>(Arc<Mutex<Entries>>, std::marker::PhantomData<fn(K)>);

#[derive(Default)]
struct Entries {
    all: BTreeSet<[String; 3]>,
    /// The keys of each object by namespace and name: an edit that moves an object leaves no entry behind.
    of: BTreeMap<[String; 2], Vec<String>>,
}

impl<K> Clone for Index<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), std::marker::PhantomData)
    }
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self(Arc::default(), std::marker::PhantomData)
    }
}

impl<K: Resource<DynamicType = ()> + Clone> Index<K> {
    /// Gives the object these keys, or none if it is gone. Returns the keys that it had and has no more.
    pub fn update(&self, keys: impl IntoIterator<Item = String>, object: &K, gone: bool) -> Vec<String> {
        let [namespace, name] = [object.namespace().unwrap_or_default(), object.name_any()];
        let keys: Vec<String> = if gone { Vec::new() } else { keys.into_iter().collect() };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let former = entries.of.remove(&[namespace.clone(), name.clone()]).unwrap_or_default();
        let lost: Vec<String> = former.into_iter().filter(|key| !keys.contains(key)).collect();
        for key in &lost {
            entries.all.remove(&[key.clone(), namespace.clone(), name.clone()]);
        }
        for key in &keys {
            entries.all.insert([key.clone(), namespace.clone(), name.clone()]);
        }
        if !keys.is_empty() {
            entries.of.insert([namespace, name], keys);
        }
        lost
    }

    /// Objects that have this key.
    pub fn find(&self, key: &str, store: &Store<K>) -> Vec<Arc<K>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = entries.all.range([key.to_owned(), String::new(), String::new()]..);
        let named = from.take_while(|[of, _, _]| of == key);
        named.filter_map(|[_, namespace, name]| store.get(&ObjectRef::new(name).within(namespace))).collect()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;
    use kube::runtime::{reflector, watcher};

    use super::*;

    fn object(namespace: &str, name: &str) -> ConfigMap {
        let metadata =
            ObjectMeta { namespace: Some(namespace.into()), name: Some(name.into()), ..ObjectMeta::default() };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    #[test]
    fn objects_are_found_by_their_whole_key_until_they_are_gone() {
        let (store, mut writer) = reflector::store();
        let index = Index::default();
        for (key, namespace, name) in [("n/golden", "a", "x"), ("n/golden", "b", "x"), ("n/golden-2", "a", "y")] {
            let object = object(namespace, name);
            index.update([key.to_owned()], &object, false);
            writer.apply_watcher_event(&watcher::Event::Apply(object));
        }
        let found = |key| -> Vec<String> {
            index.find(key, &store).iter().map(|o| format!("{}/{}", o.namespace().unwrap(), o.name_any())).collect()
        };
        assert_eq!(found("n/golden"), ["a/x", "b/x"]);
        assert!(found("n/gold").is_empty());
        assert_eq!(index.update([], &object("a", "x"), true), ["n/golden"]);
        assert_eq!(found("n/golden"), ["b/x"]);
    }

    #[test]
    fn an_object_that_moves_leaves_no_entry_behind_and_its_former_keys_are_told() {
        let (store, mut writer) = reflector::store();
        let (index, moved) = (Index::default(), object("a", "x"));
        writer.apply_watcher_event(&watcher::Event::Apply(moved.clone()));
        let keys = |all: &[&str]| all.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        assert!(index.update(keys(&["here", "always"]), &moved, false).is_empty());
        assert!(index.update(keys(&["here", "always"]), &moved, false).is_empty());
        assert_eq!(index.update(keys(&["there", "always"]), &moved, false), ["here"]);
        let found = |key| index.find(key, &store).len();
        assert_eq!([found("here"), found("there"), found("always")], [0, 1, 1]);
        assert_eq!(index.0.lock().unwrap().all.len(), 2);
        index.update([], &moved, true);
        let entries = index.0.lock().unwrap();
        assert!(entries.all.is_empty() && entries.of.is_empty());
    }
}
