//! Reads objects so that one bad object does not affect others: an unparsable one keeps its metadata and raw spec. Managed
//! fields are skipped: the operator does not use them, and with a long ledger they are the larger part of the object.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::pruned::Without;

/// An object, or the remainder of one that cannot be read as its kind.
#[derive(Debug, Clone)]
pub enum Guarded<K> {
    /// The object is readable.
    Readable(Box<K>),
    /// The object is not readable.
    Unreadable(Box<Unreadable>),
}

/// The remainder of an object that cannot be read.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its raw spec.
    pub spec: Value,
    /// Its raw status.
    pub status: Value,
    /// The field that cannot be read, and why.
    pub error: String,
}

impl<K> Guarded<K> {
    /// The object, if it is readable.
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
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text is kept until it parses, so that a parse failure loses nothing.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match read(&raw) {
            Ok(object) => Ok(Self::Readable(Box::new(object))),
            Err(_) => Self::unreadable(&raw).map_err(serde::de::Error::custom),
        }
    }
}

fn read<T: DeserializeOwned>(raw: &RawValue) -> serde_json::Result<T> {
    let mut from = serde_json::Deserializer::from_str(raw.get());
    T::deserialize(Without { from: &mut from, path: &["metadata", "managedFields"] })
}

impl<K: DeserializeOwned> Guarded<K> {
    /// Reads again, from a tree: its errors name no line of a text that the user has never seen.
    fn unreadable(raw: &RawValue) -> serde_json::Result<Self> {
        let tree: Value = read(raw)?;
        match serde_path_to_error::deserialize(&tree) {
            Ok(object) => Ok(Self::Readable(Box::new(object))),
            Err(error) => {
                let (error, Shell { metadata, spec, status }) = (error.to_string(), Shell::deserialize(tree)?);
                Ok(Self::Unreadable(Box::new(Unreadable { metadata, spec, status, error })))
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
    fn managed_fields_are_not_read_in_what_a_watch_brings() {
        let event = r#"{"type": "MODIFIED", "object": {
            "apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare",
            "metadata": {"managedFields": [{"fieldsV1": {"f:spec": {"}]\"": {}}}}], "name": "s", "namespace": "n"},
            "spec": {"imageRef": {"name": "golden"}, "recipients": [{"type": "Account", "id": "1000000000000001"}]}
        }}"#;
        let event: kube::core::WatchEvent<Guarded<ImageShare>> = serde_json::from_str(event).unwrap();
        let kube::core::WatchEvent::Modified(Guarded::Readable(share)) = event else { panic!("it did not read") };
        assert_eq!((share.metadata.name.as_deref(), share.metadata.managed_fields), (Some("s"), None));
        assert_eq!(share.spec.recipients.len(), 1);
    }

    #[test]
    fn why_a_share_cannot_be_read_is_told_with_its_field_and_without_a_place_in_a_text_that_nobody_sees() {
        let raw = r#"{"metadata": {"name": "s"}, "spec": {"imageRef": {"name": "golden"},
            "recipients": [{"type": "Planet", "id": "x"}]}}"#;
        let Guarded::Unreadable(left) = serde_json::from_str::<Guarded<ImageShare>>(raw).unwrap() else {
            panic!("it read")
        };
        assert!(left.error.starts_with("spec.recipients[0].type: ") && left.error.contains("Planet"), "{}", left.error);
        assert!(!left.error.contains("line"), "{}", left.error);
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
