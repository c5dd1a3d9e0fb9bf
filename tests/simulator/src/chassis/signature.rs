//! What the vendors' signatures have in common: digests, the `Authorization` header that names what is signed, and the
//! request in the form that is signed. Written from the vendors' documents; the vectors of their own signers are the proof.

use super::wire::{Wire, decode_pairs, encode};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use sm3::Sm3;

/// A hash function that signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digest {
    Sha1,
    Sha256,
    Sm3,
}

impl Digest {
    /// The hash in hexadecimal digits.
    pub(crate) fn hex(self, bytes: &[u8]) -> String {
        match self {
            Self::Sha1 => hex::encode(Sha1::digest(bytes)),
            Self::Sha256 => hex::encode(Sha256::digest(bytes)),
            Self::Sm3 => hex::encode(Sm3::digest(bytes)),
        }
    }

    /// The HMAC of `text` by `key`.
    pub(crate) fn mac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => mac::<Hmac<Sha1>>(key, text),
            Self::Sha256 => mac::<Hmac<Sha256>>(key, text),
            Self::Sm3 => mac::<Hmac<Sm3>>(key, text),
        }
    }
}

/// A key of any length fits an HMAC.
fn mac<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// An algorithm of the `Authorization` header: its name, its digest, and the field that names the key.
pub(crate) type Algorithm = (&'static str, Digest, &'static str);

/// What an `Authorization` header claims: `ALGORITHM KEY=id, SignedHeaders=a;b, Signature=hex`.
#[derive(Debug, Clone)]
pub(crate) struct Authorization {
    pub(crate) algorithm: &'static str,
    pub(crate) digest: Digest,
    /// The key, as it is named.
    pub(crate) credential: String,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
}

impl Authorization {
    /// Reads the header; `None` where it is not whole or of another algorithm.
    pub(crate) fn parse(header: &str, algorithms: &[Algorithm]) -> Option<Self> {
        let (name, parts) = header.split_once(' ')?;
        let (algorithm, digest, key) = *algorithms.iter().find(|(known, ..)| *known == name)?;
        let part = |name: &str| {
            parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        let mut signed_headers: Vec<_> = part("SignedHeaders")?.split(';').map(str::to_ascii_lowercase).collect();
        signed_headers.sort_unstable();
        signed_headers.dedup();
        let credential = part(key).filter(|id| !id.is_empty())?;
        Some(Self { algorithm, digest, credential, signed_headers, signature: hex::decode(part("Signature")?).ok()? })
    }

    /// Whether the signature covers a header.
    pub(crate) fn covers(&self, header: &str) -> bool {
        self.signed_headers.iter().any(|name| name == header)
    }

    /// Whether the signature is that of `text` by `key`.
    pub(crate) fn signs(&self, text: &str, key: &[u8]) -> bool {
        self.digest.mac(key, text.as_bytes()) == self.signature
    }

    /// The request in the form that is signed. What travelled as `+` was signed as `%20`, so the query is decoded and
    /// encoded anew.
    pub(crate) fn canonical_request(&self, wire: &Wire, path: &str, body_hash: &str) -> String {
        let mut query = decode_pairs(&wire.query);
        query.sort();
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let header = |name: &String| {
            let mut values: Vec<_> =
                wire.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.trim()).collect();
            values.sort_unstable();
            format!("{name}:{}\n", values.join(","))
        };
        let headers: String = self.signed_headers.iter().map(header).collect();
        let (method, query, signed) = (&wire.method, query.join("&"), self.signed_headers.join(";"));
        format!("{method}\n{path}\n{query}\n{headers}\n{signed}\n{body_hash}")
    }
}

/// An authorization over all headers of a request and without a signature yet, for tests that sign.
#[cfg(test)]
pub(crate) fn unsigned(wire: &Wire, (algorithm, digest, _): Algorithm, credential: &str) -> Authorization {
    let mut signed_headers: Vec<_> = wire.headers.iter().map(|(name, _)| name.clone()).collect();
    signed_headers.sort_unstable();
    signed_headers.dedup();
    Authorization { algorithm, digest, credential: credential.to_owned(), signed_headers, signature: Vec::new() }
}

/// The header of an authorization that signs `text`, for tests.
#[cfg(test)]
pub(crate) fn header(claim: &Authorization, field: &str, text: &str, key: &[u8]) -> String {
    let signature = hex::encode(claim.digest.mac(key, text.as_bytes()));
    let names = claim.signed_headers.join(";");
    format!("{} {field}={},SignedHeaders={names},Signature={signature}", claim.algorithm, claim.credential)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_their_standards() {
        let abc = [
            (Digest::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Digest::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (Digest::Sm3, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        ];
        for (digest, expected) in abc {
            assert_eq!(digest.hex(b"abc"), expected, "{digest:?}");
        }
    }
}
