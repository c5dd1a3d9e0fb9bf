//! Namespaces of their own for tests that share a control plane.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};

use crate::wait::eventually;

/// A kind of object that a test can create, read and change.
pub trait Kind:
    kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
    + Clone
    + std::fmt::Debug
    + serde::Serialize
    + serde::de::DeserializeOwned
    + Send
    + 'static
{
}

impl<K> Kind for K where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Send
        + 'static
{
}

/// A namespace; it stays until deleted, or until its control plane ends.
#[derive(Clone)]
pub struct Namespace {
    client: kube::Client,
    name: String,
}

impl Namespace {
    /// Creates a namespace named `prefix` and a suffix which the API server chooses.
    pub async fn create(client: &kube::Client, prefix: &str) -> Result<Self> {
        let metadata = ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() };
        let object = Object { metadata, ..Object::default() };
        let made = Api::<Object>::all(client.clone()).create(&PostParams::default(), &object).await?;
        let name = made.metadata.name.context("the namespace has no name")?;
        Ok(Self { client: client.clone(), name })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An API of objects in it.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Asks for its deletion; the controller manager then deletes what is in it.
    pub async fn delete(&self) -> Result<()> {
        let params = DeleteParams::default();
        Api::<Object>::all(self.client.clone()).delete(&self.name, &params).await?;
        Ok(())
    }

    /// Waits until it has gone; the error shows its conditions, which tell what holds it.
    pub async fn gone(&self, limit: Duration) -> Result<()> {
        let api = Api::<Object>::all(self.client.clone());
        eventually(limit, &format!("namespace {} to go", self.name), async || match api.get_opt(&self.name).await? {
            None => Ok(Some(())),
            Some(object) => bail!("{}", serde_json::to_string(&object.status)?),
        })
        .await
    }
}
