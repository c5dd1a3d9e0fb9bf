//! What is read of the answer to a write: the version it led to, and, where somebody asks, the status that was stored and who
//! wrote it. The rest of the object is brought by the watch anyway.

use std::borrow::Cow;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// An object of a kind as it was written. What is seldom asked for stays text.
#[derive(Debug, Clone)]
pub(super) struct Written<K> {
    metadata: ObjectMeta,
    managed_fields: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
    kind: PhantomData<K>,
}

impl<K> Written<K> {
    /// The status as it was stored.
    pub(super) fn status(&self) -> Value {
        parsed(self.status.as_deref()).unwrap_or_default()
    }

    /// Who owns which fields, an entry each.
    pub(super) fn managed_fields(&self) -> Vec<Value> {
        parsed(self.managed_fields.as_deref()).unwrap_or_default()
    }
}

fn parsed<T: serde::de::DeserializeOwned>(text: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(text?.get()).ok()
}

#[derive(Deserialize)]
struct Answer {
    metadata: Version,
    #[serde(default)]
    status: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    resource_version: Option<String>,
    #[serde(default)]
    managed_fields: Option<Box<RawValue>>,
}

impl<'de, K> Deserialize<'de> for Written<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Answer { metadata: Version { resource_version, managed_fields }, status } =
            Answer::deserialize(deserializer)?;
        let metadata = ObjectMeta { resource_version, ..ObjectMeta::default() };
        Ok(Self { metadata, managed_fields, status, kind: PhantomData })
    }
}

impl<K: Resource> Resource for Written<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
