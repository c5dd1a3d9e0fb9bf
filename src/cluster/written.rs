//! The parts of a write's response that the operator reads: the new version and, on request, the stored status and the field
//! managers. The watch delivers the rest of the object anyway.

use std::borrow::Cow;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// An object of a kind as it was written. Rarely used parts stay unparsed.
#[derive(Debug, Clone)]
pub(super) struct Written<K> {
    metadata: ObjectMeta,
    managed_fields: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
    kind: PhantomData<K>,
}

impl<K> Written<K> {
    /// The status as stored.
    pub(super) fn status(&self) -> Value {
        parsed(self.status.as_deref()).unwrap_or_default()
    }

    /// The field managers, one entry each.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::ImageShare;

    proptest! {
        #[test]
        fn no_answer_to_a_write_makes_its_reader_panic(
            version in r#"null|7|"[0-9]{1,9}"|\{\}"#, fields in r#"null|\[\]|\[7\]|"a"|\{"a": 1\}"#, status in r#"null|\{\}|\{"a": \[1\]\}|"b"|[0-9]"#,
        ) {
            let answer = format!(r#"{{"metadata": {{"resourceVersion": {version}, "managedFields": {fields}}}, "status": {status}}}"#);
            if let Ok(written) = serde_json::from_str::<Written<ImageShare>>(&answer) {
                prop_assert_eq!(written.status().to_string(), serde_json::from_str::<Value>(&status).unwrap().to_string());
                prop_assert!(written.managed_fields().len() <= 1);
            }
        }
    }
}
