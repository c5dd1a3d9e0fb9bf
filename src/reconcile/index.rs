//! Cache indexes, which avoid a walk over all objects: shares by the image that they name, `CloudImages` by the cloud image
//! that they name. Entries are hints; callers must check the object itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};

/// Objects of one kind by key.
///
/// One set of (key, namespace, name) instead of one set per key, because there are about as many keys as objects.
pub struct Index<K>(Arc<Mutex<BTreeSet<[String; 3]>>>, std::marker::PhantomData<fn(K)>);

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
    /// Adds these keys of the object, or removes them if the object is gone.
    pub fn update(&self, keys: impl IntoIterator<Item = String>, object: &K, gone: bool) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let entry = [key, object.namespace().unwrap_or_default(), object.name_any()];
            if gone {
                entries.remove(&entry);
            } else {
                entries.insert(entry);
            }
        }
    }

    /// Objects that have, or had, this key.
    pub fn find(&self, key: &str, store: &Store<K>) -> Vec<Arc<K>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = entries.range([key.to_owned(), String::new(), String::new()]..);
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
        index.update(["n/golden".to_owned()], &object("a", "x"), true);
        assert_eq!(found("n/golden"), ["b/x"]);
    }
}
