//! Reading one account's credentials from its Secret: by name, in one read, into types that do not print. No list, no
//! watch, no path or command is ever taken from a Secret.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};
use secrecy::SecretString;

use super::{ClusterError, within_deadline};

/// Longest value accepted, in bytes.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// An access key as found in a Secret.
#[derive(Debug)]
pub struct AccessKey {
    /// Key `accessKeyID`.
    pub id: SecretString,
    /// Key `accessKeySecret`.
    pub secret: SecretString,
    /// Key `securityToken`, for temporary keys.
    pub token: Option<SecretString>,
    /// Tells one content of the Secret from another.
    pub version: String,
}

/// Why there is no access key.
#[derive(Debug, thiserror::Error)]
pub enum NoAccessKey {
    /// There is no such Secret.
    #[error("there is no Secret {0:?} in this namespace")]
    NoSecret(String),
    /// The Secret lacks a key, or it is empty or not plain text.
    #[error("Secret {secret:?} has no usable key {key:?}")]
    NoKey {
        /// Name of the Secret.
        secret: String,
        /// The key that is missing.
        key: &'static str,
    },
    /// The Secret could not be read.
    #[error("the Secret cannot be read: {0}")]
    Unread(#[from] ClusterError),
}

/// Reads the access key of one Secret.
pub async fn read_access_key(client: &Client, namespace: &str, name: &str) -> Result<AccessKey, NoAccessKey> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = within_deadline(api.get_opt(name)).await?.ok_or_else(|| NoAccessKey::NoSecret(name.to_owned()))?;
    let key =
        |key: &'static str| value(&secret, key).ok_or_else(|| NoAccessKey::NoKey { secret: name.to_owned(), key });
    Ok(AccessKey {
        id: key("accessKeyID")?,
        secret: key("accessKeySecret")?,
        token: value(&secret, "securityToken"),
        version: format!("{}/{}", secret.uid().unwrap_or_default(), secret.resource_version().unwrap_or_default()),
    })
}

/// Trailing newlines are forgiven: many Secrets are made from files.
fn value(secret: &Secret, key: &str) -> Option<SecretString> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    let text = std::str::from_utf8(bytes).ok()?.trim_end_matches(['\r', '\n']);
    let plain = !text.is_empty() && text.len() <= VALUE_BYTES_MAX && text.bytes().all(|b| (0x21..0x7f).contains(&b));
    plain.then(|| SecretString::from(text.to_owned()))
}
