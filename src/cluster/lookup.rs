//! Reads one object by a name that a user wrote. Names go into URL paths unescaped, so that an invalid name would request
//! something else, or something that has no answer: no object has such a name.

use kube::{Api, Client};

use super::object::Object;
use super::{ClusterError, within_deadline};

/// Longest name of an object, in bytes.
const NAME_BYTES_MAX: usize = 253;

/// Longest name of a namespace, in bytes.
const NAMESPACE_BYTES_MAX: usize = 63;

/// The object with this name; `None` if it does not exist, or if the name is invalid.
pub async fn find<K: Object>(client: &Client, namespace: &str, name: &str) -> Result<Option<K>, ClusterError> {
    if planted!("name-taken-for-a-path", !can_exist(namespace, name), false) {
        return Ok(None);
    }
    within_deadline(Api::namespaced(client.clone(), namespace).get_opt(name)).await
}

/// Whether an object with this name can exist in this namespace (RFC 1123: the name is a subdomain, the namespace a label).
pub fn can_exist(namespace: &str, name: &str) -> bool {
    namespace.len() <= NAMESPACE_BYTES_MAX
        && is_label(namespace)
        && name.len() <= NAME_BYTES_MAX
        && name.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_no_name_is_told_from_what_can() {
        for name in ["golden", "golden-1.ubuntu", "0", &"a".repeat(253)] {
            assert!(can_exist("team-a", name), "{name}");
        }
        let odd = [
            "",
            ".",
            "..",
            "golden ubuntu",
            "golden%zz",
            "a/b",
            "a?x=y",
            "a#b",
            "Golden",
            "-a",
            "a-",
            "a..b",
            "a.",
            "é",
            "a\nb",
        ];
        for name in odd.into_iter().chain([&*"a".repeat(254)]) {
            assert!(!can_exist("team-a", name), "{name}");
        }
        for namespace in ["", "a.b", "a b", "a/b", "..", &"a".repeat(64)] {
            assert!(!can_exist(namespace, "golden"), "{namespace}");
        }
    }
}
