//! Look-ups in the caches that would otherwise walk all objects: by the image a share names, by the cloud image a
//! `CloudImage` names. Entries are hints; whoever looks one up checks the object itself.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};

/// Objects of one kind by a key each of them has.
pub struct Index<K>(Arc<Mutex<Keys>>, std::marker::PhantomData<fn(K)>);

/// Key to the (namespace, name) of objects.
type Keys = HashMap<String, BTreeSet<(String, String)>>;

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
    /// The object has this key now, or is gone.
    pub fn note(&self, key: String, object: &K, gone: bool) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (object.namespace().unwrap_or_default(), object.name_any());
        if !gone {
            keys.entry(key).or_default().insert(name);
        } else if let Some(names) = keys.get_mut(&key) {
            names.remove(&name);
            if names.is_empty() {
                keys.remove(&key);
            }
        }
    }

    /// Objects that have, or had, this key.
    pub fn find(&self, key: &str, store: &Store<K>) -> Vec<Arc<K>> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = keys.get(key).into_iter().flatten();
        names.filter_map(|(namespace, name)| store.get(&ObjectRef::new(name).within(namespace))).collect()
    }
}
