//! References between objects. All stay in their own namespace, but for `imageRef` and `channelRef`, where
//! the owner consents.

use serde::{Deserialize, Serialize};

use super::patterns::{NAMESPACE, OBJECT_NAME};

/// Names a Secret of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
}

/// Names a `ServiceAccount` of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ServiceAccountRef {
    /// Name of the `ServiceAccount`.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
}

/// Names a `CloudAccount` of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AccountRef {
    /// Name of the `CloudAccount`.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
}

/// Names a `CloudImage` of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LocalImageRef {
    /// Name of the `CloudImage`.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
}

/// Names a `CloudImage`, of this namespace unless another one is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ImageRef {
    /// Name of the `CloudImage`.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// Namespace of the `CloudImage`; its own when left out. Another namespace works only where that `CloudImage`'s
    /// `shareableFrom` admits this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE))]
    pub namespace: Option<String>,
}

/// Names an `ImageChannel`, of this namespace unless another one is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ChannelRef {
    /// Name of the `ImageChannel`.
    #[schemars(length(min = 1, max = 63), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// Namespace of the `ImageChannel`; its own when left out. Another namespace works only where that `ImageChannel`'s
    /// `shareableFrom` admits this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE))]
    pub namespace: Option<String>,
}
