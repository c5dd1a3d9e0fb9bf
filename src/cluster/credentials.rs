//! Reads one account's credentials from its Secret: by name, in one read, into types that do not print. The operator never
//! lists or watches Secrets, and takes no path or command from one. It writes nothing to a Secret but one finalizer.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use secrecy::SecretString;

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
    /// Which state of the Secret was read.
    pub state: SecretState,
    /// The Secret carries our finalizer.
    pub held: bool,
    /// The Secret is being deleted and still exists.
    pub deleting: bool,
}

/// The text of a value, without the newlines at its end: many Secrets are created from files. Or why it is not usable: what an
/// editor inserts unseen is never part of a key.
fn plain(bytes: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text")?.trim_end_matches(['\r', '\n']);
    let has = |unseen: fn(char) -> bool| text.contains(unseen);
    match () {
        () if text.is_empty() => Err("it is empty"),
        () if text.len() > VALUE_BYTES_MAX => Err("it is longer than 16 KiB"),
        () if has(|c| c == '\u{feff}') => Err("it has a byte order mark"),
        () if has(|c| c == '\u{a0}') => Err("it has a no-break space"),
        () if has(|c| c == '\t') => Err("it has a tab"),
        () if has(|c| c == '\n' || c == '\r') => Err("it has a line break"),
        () if has(char::is_control) => Err("it has a control character"),
        () => Ok(text),
    }
}

/// Which state of a Secret there is: any edit makes another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretState {
    /// It has this `resourceVersion`.
    At(String),
    /// There is none.
    Missing,
    /// The operator may not read it.
    Forbidden,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Keys {
    /// The Secret's `resourceVersion`.
    pub fn resource_version(&self) -> String {
        self.secret.resource_version().unwrap_or_default()
    }

    /// The value of a required key. Errors: it is missing, empty or not plain text.
    pub fn demand(&self, key: &'static str) -> Result<SecretString, NoKeys> {
        let value = self.secret.data.as_ref().and_then(|data| data.get(key));
        let text = value.ok_or("it is missing").and_then(|ByteString(bytes)| plain(bytes));
        let unusable = |why| NoKeys::NoKey { secret: self.secret.name_any(), key, why };
        text.map(|text| SecretString::from(text.to_owned())).map_err(unusable)
    }

    /// The value of a key that may be missing or empty.
    pub fn find(&self, key: &'static str) -> Result<Option<SecretString>, NoKeys> {
        let value = self.secret.data.as_ref().and_then(|data| data.get(key));
        if value.is_none_or(|ByteString(bytes)| bytes.trim_ascii().is_empty()) {
            return Ok(None);
        }
        self.demand(key).map(Some)
    }

    /// The text of a key that may have many lines and is no secret: certificates. Errors: it is not UTF-8 text.
    pub fn find_text(&self, key: &'static str) -> Result<Option<&str>, NoKeys> {
        let Some(ByteString(bytes)) = self.secret.data.as_ref().and_then(|data| data.get(key)) else { return Ok(None) };
        let unusable = |_| NoKeys::NoKey { secret: self.secret.name_any(), key, why: "it is not UTF-8 text" };
        let text = std::str::from_utf8(bytes).map_err(unusable)?;
        Ok(Some(text).filter(|text| !text.trim_ascii().is_empty()))
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
    #[error("there is no Secret {name:?} in namespace {namespace:?}")]
    NoSecret {
        /// Where it should be.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The Secret lacks a key, or its value is empty or not plain text.
    #[error("Secret {secret:?} has no usable key {key:?} ({why})")]
    NoKey {
        /// Name of the Secret.
        secret: String,
        /// The missing key.
        key: &'static str,
        /// Why it is not usable.
        why: &'static str,
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
        read => read?.ok_or_else(|| NoKeys::NoSecret { namespace: namespace.to_owned(), name: name.to_owned() })?,
    };
    Ok(Keys {
        version: content(&secret),
        state: SecretState::At(secret.resource_version().unwrap_or_default()),
        held: secret.finalizers().iter().any(|finalizer| finalizer == SECRET_FINALIZER),
        deleting: secret.metadata.deletion_timestamp.is_some(),
        secret,
    })
}

/// Reads which state of a Secret there is, and nothing of its content.
pub async fn secret_state(client: &Client, namespace: &str, name: &str) -> Result<SecretState, ClusterError> {
    match metadata(client, namespace, name).await {
        Ok(Some(secret)) => Ok(SecretState::At(secret.resource_version().unwrap_or_default())),
        Ok(None) => Ok(SecretState::Missing),
        Err(ClusterError::Api(kube::Error::Api(status))) if status.is_forbidden() => Ok(SecretState::Forbidden),
        Err(error) => Err(error),
    }
}

/// A hash of the keys: edits of finalizers and labels do not change it.
fn content(secret: &Secret) -> String {
    let mut hash = Context::new(&SHA256);
    hash.update(secret.uid().unwrap_or_default().as_bytes());
    for (key, ByteString(value)) in secret.data.iter().flatten() {
        for part in [key.as_bytes(), value] {
            hash.update(&part.len().to_be_bytes());
            hash.update(part);
        }
    }
    hex::encode(hash.finish())
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
        Keys { secret, version: "u/1".to_owned(), state: SecretState::Missing, held: false, deleting: false }
    }

    proptest! {
        #[test]
        fn whatever_a_secret_holds_only_plain_text_is_found_in_it(
            value in prop_oneof![vec(any::<u8>(), 0..100), "[ -~]{1,60}\n{0,2}".prop_map(String::into_bytes),
                (32_u8..127, 1_usize..20_000).prop_map(|(byte, times)| vec![byte; times])],
        ) {
            let keys = keys(value.clone());
            prop_assert!(keys.has("accessKeySecret") && keys.find("accessKeyID").unwrap().is_none());
            let shown = format!("{keys:?} {}", keys.demand("accessKeyID").unwrap_err());
            match keys.demand("accessKeySecret") {
                Ok(found) => {
                    let found = found.expose_secret();
                    prop_assert!((1..=16 * 1024).contains(&found.len()) && value.starts_with(found.as_bytes()));
                    prop_assert!(value[found.len()..].iter().all(|byte| b"\r\n".contains(byte)));
                    let unseen = |c: char| c.is_control() || c == '\u{feff}' || c == '\u{a0}';
                    prop_assert!(!found.contains(unseen));
                    prop_assert!(found.len() < 20 || !shown.contains(found), "{}", shown);
                }
                Err(refused) => {
                    let refused = refused.to_string();
                    prop_assert!(refused.starts_with("Secret \"golden\" has no usable key \"accessKeySecret\" (it "));
                }
            }
        }
    }

    #[test]
    fn people_may_choose_any_letters_and_what_nobody_sees_is_named() {
        let found = |value: &str| {
            let found = keys(value.as_bytes().to_vec()).demand("accessKeySecret");
            found.map(|found| found.expose_secret().to_owned()).map_err(|error| error.to_string())
        };
        assert_eq!(found("pässwört-ß 密码\n").as_deref(), Ok("pässwört-ß 密码"));
        for (value, why) in [
            ("", "it is empty"),
            ("\n", "it is empty"),
            ("\u{feff}key", "byte order mark"),
            ("key\u{a0}", "no-break space"),
            ("key\t", "a tab"),
            ("k\ney", "a line break"),
            ("k\u{1b}ey", "a control character"),
        ] {
            let refused = found(value).unwrap_err();
            assert!(refused.contains(why), "{value:?}: {refused}");
        }
        let latin1 = keys(b"p\xe4ss".to_vec()).demand("accessKeySecret").unwrap_err().to_string();
        assert!(latin1.contains("not UTF-8"), "{latin1}");
        assert!(keys(b"\n".to_vec()).find("accessKeySecret").unwrap().is_none(), "an optional key may be empty");
        assert!(keys(b"a\tb".to_vec()).find("accessKeySecret").is_err(), "but not unusable");
    }
}
