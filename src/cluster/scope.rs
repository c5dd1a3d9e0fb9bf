//! The scope of the operator: the whole cluster, or some namespaces only, with permissions in these and nowhere else.

use std::collections::BTreeSet;

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};

/// The scope of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every namespace.
    Cluster,
    /// Only these namespaces: no call leaves them, and none covers the whole cluster.
    Namespaces(BTreeSet<String>),
}

impl Scope {
    /// The whole cluster, unless `namespaces` lists any.
    pub fn of(namespaces: &[String]) -> Self {
        if namespaces.is_empty() { Self::Cluster } else { Self::Namespaces(namespaces.iter().cloned().collect()) }
    }

    /// Whether the operator can read the labels of namespaces: they are cluster-scoped.
    pub fn sees_namespaces(&self) -> bool {
        *self == Self::Cluster
    }

    /// Whether the scope includes this namespace.
    pub fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespaces(names) => names.contains(namespace),
        }
    }

    /// The API handles that together cover all objects of a kind.
    pub fn apis<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self, client: &Client) -> Vec<Api<K>> {
        match self {
            Self::Cluster => vec![Api::all(client.clone())],
            Self::Namespaces(names) => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
        }
    }
}
