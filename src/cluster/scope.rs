//! Where the operator acts: in the whole cluster, or in some namespaces only, with rights in these and nowhere else.

use std::collections::BTreeSet;

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};

/// Where the operator acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// In every namespace.
    Cluster,
    /// In these alone: no call leaves them, and none is made for the whole cluster.
    Namespaces(BTreeSet<String>),
}

impl Scope {
    /// The whole cluster, unless namespaces are named.
    pub fn of(namespaces: &[String]) -> Self {
        if namespaces.is_empty() { Self::Cluster } else { Self::Namespaces(namespaces.iter().cloned().collect()) }
    }

    /// Whether the labels of namespaces can be read: they belong to the cluster.
    pub fn sees_namespaces(&self) -> bool {
        *self == Self::Cluster
    }

    /// Whether it acts in this namespace.
    pub fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespaces(names) => names.contains(namespace),
        }
    }

    /// What to ask for all objects of a kind.
    pub fn apis<K>(&self, client: &Client) -> Vec<Api<K>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match self {
            Self::Cluster => vec![Api::all(client.clone())],
            Self::Namespaces(names) => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
        }
    }
}
