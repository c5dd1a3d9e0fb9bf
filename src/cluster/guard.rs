//! Reading objects so that one bad object stops nobody else: what does not parse keeps its metadata and its raw spec.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};

/// An object, or what is left of one that cannot be read as its kind.
#[derive(Debug, Clone)]
pub enum Guarded<K> {
    /// It reads.
    Readable(Box<K>),
    /// It does not.
    Unreadable(Box<Unreadable>),
}

/// What is left of an object that cannot be read.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its spec as it came.
    pub spec: serde_json::Value,
    /// Why it cannot be read.
    pub error: String,
}

impl<K> Guarded<K> {
    /// The object, if it reads.
    pub fn readable(&self) -> Option<&K> {
        match self {
            Self::Readable(object) => Some(object),
            Self::Unreadable(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Shell {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: serde_json::Value,
}

impl<'de, K: serde::de::DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = serde_json::Value::deserialize(deserializer)?;
        match K::deserialize(&raw) {
            Ok(object) => Ok(Self::Readable(Box::new(object))),
            Err(error) => {
                let shell = Shell::deserialize(raw).map_err(serde::de::Error::custom)?;
                let error = error.to_string();
                Ok(Self::Unreadable(Box::new(Unreadable { metadata: shell.metadata, spec: shell.spec, error })))
            }
        }
    }
}

impl<K: Resource> Resource for Guarded<K> {
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
        match self {
            Self::Readable(object) => object.meta(),
            Self::Unreadable(left) => &left.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Readable(object) => object.meta_mut(),
            Self::Unreadable(left) => &mut left.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ImageShare;

    #[test]
    fn an_unreadable_share_still_says_which_image_it_names() {
        let raw = serde_json::json!({
            "apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare",
            "metadata": {"name": "s", "namespace": "n"},
            "spec": {"imageRef": {"name": "golden"}, "recipients": [{"type": "Planet", "id": "x"}]},
        });
        let Guarded::Unreadable(left) = serde_json::from_value::<Guarded<ImageShare>>(raw).unwrap() else {
            panic!("it read")
        };
        assert_eq!(left.metadata.name.as_deref(), Some("s"));
        assert_eq!(left.spec["imageRef"]["name"], "golden");
    }
}
