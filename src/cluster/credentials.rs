//! Reads one account's credentials from its Secret: by name, in one read, into types that do not print. The operator never
//! lists or watches Secrets, and takes no path or command from one. It writes nothing to a Secret but one finalizer.

use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::lookup::{can_exist, find};
use super::{ClusterError, finalizers, within_deadline};
use crate::api::SECRET_FINALIZER;

/// Longest value accepted, in bytes.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// The content of a Secret. `Debug` never shows its values.
pub struct Keys {
    secret: Secret,
    /// Identifies this content of the Secret.
    pub version: String,
    /// The Secret's `resourceVersion`.
    pub resource_version: String,
    /// The Secret carries our finalizer.
    pub held: bool,
    /// The Secret is being deleted and still exists.
    pub deleting: bool,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Keys {
    /// The value of a required key. Errors: it is missing, empty or not plain text.
    pub fn demand(&self, key: &'static str) -> Result<SecretString, NoKeys> {
        self.find(key).ok_or_else(|| NoKeys::NoKey { secret: self.secret.name_any(), key })
    }

    /// The value of an optional key. Trailing newlines are ignored: many Secrets are created from files.
    pub fn find(&self, key: &str) -> Option<SecretString> {
        let bytes = &self.secret.data.as_ref()?.get(key)?.0;
        let text = std::str::from_utf8(bytes).ok()?.trim_end_matches(['\r', '\n']);
        let plain =
            !text.is_empty() && text.len() <= VALUE_BYTES_MAX && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        plain.then(|| SecretString::from(text.to_owned()))
    }

    /// Whether a key exists at all.
    pub fn has(&self, key: &str) -> bool {
        self.secret.data.as_ref().is_some_and(|data| data.contains_key(key))
    }
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum NoKeys {
    /// There is no such Secret.
    #[error("there is no Secret {0:?} in this namespace")]
    NoSecret(String),
    /// The Secret lacks a key, or its value is empty or not plain text.
    #[error("Secret {secret:?} has no usable key {key:?}")]
    NoKey {
        /// Name of the Secret.
        secret: String,
        /// The missing key.
        key: &'static str,
    },
    /// The operator's RBAC rules do not include the Secret.
    #[error("the operator may not read Secret {0:?}")]
    Forbidden(String),
    /// The Secret could not be read.
    #[error("the Secret cannot be read: {0}")]
    Unread(#[from] ClusterError),
}

/// Reads one Secret.
pub async fn read_keys(client: &Client, namespace: &str, name: &str) -> Result<Keys, NoKeys> {
    let secret: Secret = match find(client, namespace, name).await {
        Err(ClusterError::Api(kube::Error::Api(status))) if status.is_forbidden() => {
            return Err(NoKeys::Forbidden(name.to_owned()));
        }
        read => read?.ok_or_else(|| NoKeys::NoSecret(name.to_owned()))?,
    };
    Ok(Keys {
        version: content(&secret),
        resource_version: secret.resource_version().unwrap_or_default(),
        held: secret.finalizers().iter().any(|finalizer| finalizer == SECRET_FINALIZER),
        deleting: secret.metadata.deletion_timestamp.is_some(),
        secret,
    })
}

/// A hash of the keys: edits of finalizers and labels do not change it.
fn content(secret: &Secret) -> String {
    let mut hash = Sha256::new();
    hash.update(secret.uid().unwrap_or_default());
    for (key, ByteString(value)) in secret.data.iter().flatten() {
        for part in [key.as_bytes(), value] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    hex::encode(hash.finalize())
}

/// Blocks the deletion of a Secret. `None` if it does not exist, or is being deleted.
pub async fn hold_secret(client: &Client, namespace: &str, name: &str) -> Result<Option<String>, ClusterError> {
    let Some(secret) = metadata(client, namespace, name).await? else { return Ok(None) };
    if secret.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    finalizers::add(client, &secret, SECRET_FINALIZER).await
}

/// Releases a Secret, if it exists and is held.
pub async fn release_secret(client: &Client, namespace: &str, name: &str) -> Result<(), ClusterError> {
    match metadata(client, namespace, name).await? {
        Some(secret) => finalizers::remove(client, &secret, SECRET_FINALIZER).await,
        None => Ok(()),
    }
}

async fn metadata(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<PartialObjectMeta<Secret>>, ClusterError> {
    if !can_exist(namespace, name) {
        return Ok(None);
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    within_deadline(api.get_metadata_opt(name)).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kube::api::ObjectMeta;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    fn keys(value: Vec<u8>) -> Keys {
        let metadata = ObjectMeta { name: Some("golden".to_owned()), ..ObjectMeta::default() };
        let data = Some(BTreeMap::from([("accessKeySecret".to_owned(), ByteString(value))]));
        let secret = Secret { metadata, data, ..Secret::default() };
        Keys { secret, version: "u/1".to_owned(), resource_version: "1".to_owned(), held: false, deleting: false }
    }

    proptest! {
        #[test]
        fn whatever_a_secret_holds_only_plain_text_is_found_in_it(
            value in prop_oneof![vec(any::<u8>(), 0..100), "[ -~]{1,60}\n{0,2}".prop_map(String::into_bytes),
                (32_u8..127, 1_usize..20_000).prop_map(|(byte, times)| vec![byte; times])],
        ) {
            let keys = keys(value.clone());
            prop_assert!(keys.has("accessKeySecret") && keys.find("accessKeyID").is_none());
            let shown = format!("{keys:?} {}", keys.demand("accessKeyID").unwrap_err());
            match keys.demand("accessKeySecret") {
                Ok(found) => {
                    let found = found.expose_secret();
                    prop_assert!((1..=16 * 1024).contains(&found.len()) && value.starts_with(found.as_bytes()));
                    prop_assert!(value[found.len()..].iter().all(|byte| b"\r\n".contains(byte)));
                    prop_assert!(found.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
                    prop_assert!(found.len() < 20 || !shown.contains(found), "{}", shown);
                }
                Err(refused) => {
                    let refused = refused.to_string();
                    prop_assert_eq!(refused, "Secret \"golden\" has no usable key \"accessKeySecret\"");
                }
            }
        }
    }
}
