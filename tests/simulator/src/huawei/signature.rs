//! `SDK-HMAC-SHA256` from the server's side: which key a request claims, and whether the signature is that key's.

use crate::wire::{Wire, decode_pairs, encode};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "SDK-HMAC-SHA256";
/// In place of the body's hash where the body is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What a request's `Authorization` header claims.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// The key's id.
    pub(super) ak: String,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
}

impl Claim {
    /// Reads the claim; `None` where it is not whole or leaves out the date, the one header that must be signed.
    pub(super) fn read(wire: &Wire) -> Option<Self> {
        let (algorithm, parts) = wire.header("authorization")?.split_once(' ')?;
        let part = |name: &str| {
            parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        let mut signed_headers: Vec<_> = part("SignedHeaders")?.split(';').map(str::to_ascii_lowercase).collect();
        signed_headers.sort_unstable();
        signed_headers.dedup();
        let ak = part("Access").filter(|ak| !ak.is_empty())?;
        let claim = Self { ak, signed_headers, signature: hex::decode(part("Signature")?).ok()? };
        (algorithm == ALGORITHM && claim.signed_headers.iter().any(|name| name == "x-sdk-date")).then_some(claim)
    }

    /// Whether the request is signed with `secret` and its body is the one signed.
    pub(super) fn is_signed_with(&self, secret: &str, wire: &Wire) -> bool {
        let Some(body_hash) = body_hash(wire) else { return false };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
        mac.update(self.string_to_sign(wire, &body_hash).as_bytes());
        mac.verify_slice(&self.signature).is_ok()
    }

    fn string_to_sign(&self, wire: &Wire, body_hash: &str) -> String {
        let request = self.canonical_request(wire, body_hash);
        let date = wire.header("x-sdk-date").unwrap_or_default();
        format!("{ALGORITHM}\n{date}\n{}", hex::encode(Sha256::digest(request)))
    }

    /// The request in the form that is signed: the path ends in a slash here, whatever it does on the wire.
    fn canonical_request(&self, wire: &Wire, body_hash: &str) -> String {
        let segment = |text: &str| encode(&percent_decode_str(text).decode_utf8_lossy());
        let mut path = wire.path.split('/').map(segment).collect::<Vec<_>>().join("/");
        if !path.ends_with('/') {
            path.push('/');
        }
        let mut query = decode_pairs(&wire.query);
        query.sort();
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let header = |name: &String| format!("{name}:{}\n", wire.header(name).unwrap_or_default());
        let headers: String = self.signed_headers.iter().map(header).collect();
        let (method, query, signed) = (&wire.method, query.join("&"), self.signed_headers.join(";"));
        format!("{method}\n{path}\n{query}\n{headers}\n{signed}\n{body_hash}")
    }
}

/// The body's hash as the signature covers it: the raw bytes, or what a header says in its place. `None` where the header
/// gives another body's.
fn body_hash(wire: &Wire) -> Option<String> {
    let hash = hex::encode(Sha256::digest(&wire.body));
    match wire.header("x-sdk-content-sha256") {
        Some(given) if given != UNSIGNED && given != hash => None,
        Some(given) => Some(given.to_owned()),
        None => Some(hash),
    }
}

/// Signs `wire` over all its headers, for tests of the door; the vectors show that what verifies is the vendor's.
#[cfg(test)]
pub(super) fn sign(wire: &mut Wire, ak: &str, secret: &str) {
    let mut signed_headers: Vec<_> = wire.headers.iter().map(|(name, _)| name.clone()).collect();
    signed_headers.sort_unstable();
    let names = signed_headers.join(";");
    let claim = Claim { ak: ak.to_owned(), signed_headers, signature: Vec::new() };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(claim.string_to_sign(wire, &body_hash(wire).unwrap()).as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let authorization = format!("{ALGORITHM} Access={ak}, SignedHeaders={names}, Signature={signature}");
    wire.headers.push(("authorization".to_owned(), authorization));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        ak: String,
        sk: String,
        method: String,
        uri: String,
        headers: BTreeMap<String, String>,
        body: String,
        canonical_request: String,
        string_to_sign: String,
        authorization: String,
    }

    fn vectors() -> Vec<(Vector, Wire)> {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../../../vectors/huawei-simulator.json")).unwrap();
        assert_eq!(vectors.len(), 6);
        let wire = |v: &Vector| {
            let (path, query) = v.uri.split_once('?').unwrap_or((&v.uri, ""));
            let mut headers: Vec<_> =
                v.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
            headers.push(("authorization".to_owned(), v.authorization.clone()));
            Wire {
                method: v.method.clone(),
                path: path.to_owned(),
                query: query.to_owned(),
                headers,
                body: v.body.clone().into_bytes(),
            }
        };
        vectors
            .into_iter()
            .map(|v| {
                let wire = wire(&v);
                (v, wire)
            })
            .collect()
    }

    #[test]
    fn every_vector_of_the_official_signer_verifies() {
        for (vector, wire) in vectors() {
            let claim = Claim::read(&wire).unwrap();
            assert_eq!(claim.ak, vector.ak);
            let hash = body_hash(&wire).unwrap();
            assert_eq!(claim.canonical_request(&wire, &hash), vector.canonical_request, "{}", vector.name);
            assert_eq!(claim.string_to_sign(&wire, &hash), vector.string_to_sign, "{}", vector.name);
            assert!(claim.is_signed_with(&vector.sk, &wire), "{}", vector.name);
        }
    }

    #[test]
    fn a_space_may_travel_as_a_plus() {
        let (vector, wire) = vectors().into_iter().find(|(vector, _)| vector.uri.contains("%20")).unwrap();
        let wire = Wire { query: wire.query.replace("%20", "+"), ..wire };
        assert!(Claim::read(&wire).unwrap().is_signed_with(&vector.sk, &wire));
    }

    #[test]
    fn a_change_of_anything_signed_breaks_the_signature() {
        for (vector, wire) in vectors() {
            let holds = |wire: &Wire, secret: &str| Claim::read(wire).is_some_and(|c| c.is_signed_with(secret, wire));
            let secret = vector.sk.as_str();
            assert!(!holds(&wire, "another secret"), "{}", vector.name);
            assert!(!holds(&Wire { query: format!("{}&limit=1", wire.query), ..wire.clone() }, secret));
            assert!(!holds(&Wire { method: "PATCH".to_owned(), ..wire.clone() }, secret));
            assert!(!holds(&Wire { path: format!("{}/x", wire.path), ..wire.clone() }, secret));
            assert!(!holds(&Wire { body: [wire.body.as_slice(), b" "].concat(), ..wire.clone() }, secret));
            for header in ["x-sdk-date", "host"] {
                let mut other = wire.clone();
                other.headers.iter_mut().find(|(name, _)| name == header).unwrap().1.push('x');
                assert!(!holds(&other, secret), "{} {header}", vector.name);
            }
        }
    }

    #[test]
    fn a_hash_in_the_header_counts_only_as_the_bodys_own_or_as_unsigned() {
        let mut wire = vectors().remove(0).1;
        wire.headers.retain(|(name, _)| name != "authorization");
        let signed = |hash: &str| {
            let mut wire = wire.clone();
            wire.headers.push(("x-sdk-content-sha256".to_owned(), hash.to_owned()));
            let mut empty = Wire { body: Vec::new(), ..wire.clone() };
            empty.headers.pop();
            empty.headers.push(("x-sdk-content-sha256".to_owned(), hash.to_owned()));
            sign(&mut empty, "ak", "sk");
            wire.headers = empty.headers;
            Claim::read(&wire).unwrap().is_signed_with("sk", &wire)
        };
        assert!(signed(UNSIGNED));
        assert!(!signed(&hex::encode(Sha256::digest(b""))));
    }

    #[test]
    fn other_algorithms_broken_headers_and_an_unsigned_date_are_no_claim() {
        let (vector, wire) = vectors().remove(0);
        let good = vector.authorization;
        let bad = [
            String::new(),
            "SDK-HMAC-SHA256".to_owned(),
            good.replace("SDK-HMAC-SHA256", "SDK-HMAC-SM3"),
            good.replace("Signature=", "Signature=zz"),
            good.replace("Access=HWTESTAK0123456789AB", "Access="),
            good.replace(";x-sdk-date", ""),
        ];
        for authorization in bad {
            let mut wire = wire.clone();
            wire.headers.last_mut().unwrap().1.clone_from(&authorization);
            assert!(Claim::read(&wire).is_none(), "{authorization}");
        }
    }
}
