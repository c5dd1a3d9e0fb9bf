//! Names of the objects that the operator makes: the same for the same thing, so that it is made once and found again.

use aws_lc_rs::digest::{Context, SHA256};

/// The first `bytes` bytes, at most 32, of a hash over these parts, in hexadecimal. Parts of other lengths give another hash.
pub fn hash_of(parts: &[&str], bytes: usize) -> String {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    hex::encode(hash.finish().as_ref().get(..bytes).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_have_one_hash_and_no_others_have_it() {
        assert_eq!(hash_of(&["a", "bc"], 6).len(), 12);
        assert_eq!(hash_of(&["a", "bc"], 6), hash_of(&["a", "bc"], 6));
        assert_ne!(hash_of(&["a", "bc"], 6), hash_of(&["ab", "c"], 6));
    }
}
