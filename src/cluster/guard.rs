//! Reading objects so that one bad object stops nobody else: what does not parse keeps its metadata and its raw spec. Managed
//! fields are not even read: nobody here asks for them, and where a ledger is long they are the larger part of its object.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

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

/// Reads a map, but for what is at the end of this path.
#[derive(Clone, Copy)]
struct Without(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Without {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Without {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = match self.0 {
                [last] if key == *last => {
                    entries.next_value::<IgnoredAny>()?;
                    continue;
                }
                [first, rest @ ..] if key == *first && !rest.is_empty() => entries.next_value_seed(Self(rest))?,
                _ => entries.next_value()?,
            };
            read.insert(key, value);
        }
        Ok(Value::Object(read))
    }
}

impl<'de, K: serde::de::DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Without(&["metadata", "managedFields"]).deserialize(deserializer)?;
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
    fn managed_fields_are_not_read_and_everything_else_is() {
        let raw = serde_json::json!({
            "apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare",
            "metadata": {
                "name": "s", "namespace": "n", "labels": {"managedFields": "a label"}, "finalizers": ["f"],
                "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}],
            },
            "spec": {"imageRef": {"name": "golden"}, "recipients": [{"type": "Account", "id": "1000000000000001"}]},
        });
        let Guarded::Readable(share) = serde_json::from_value::<Guarded<ImageShare>>(raw.clone()).unwrap() else {
            panic!("it did not read")
        };
        assert!(share.metadata.managed_fields.is_none());
        let mut kept = raw;
        kept["metadata"].as_object_mut().unwrap().remove("managedFields");
        let whole: ImageShare = serde_json::from_value(kept).unwrap();
        assert_eq!(serde_json::to_value(*share).unwrap(), serde_json::to_value(whole).unwrap());
    }

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
