//! The vectors of the vendor's own signers, and what breaks a signature.

use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Vector {
    name: String,
    alg: String,
    access_key_id: String,
    access_key_secret: String,
    method: String,
    #[serde(default)]
    query: BTreeMap<String, String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    canonical_request: String,
    string_to_sign: String,
    signature: String,
    #[serde(default)]
    authorization: Option<String>,
}

impl Vector {
    fn wire(&self) -> Wire {
        let pair = |(name, value): (&String, &String)| format!("{name}={}", encode(value).replace("%20", "+"));
        let mut query: Vec<_> = self.query.iter().map(pair).collect();
        let mut headers: Vec<_> = self.headers.clone().into_iter().collect();
        match &self.authorization {
            Some(authorization) => headers.push(("authorization".to_owned(), authorization.clone())),
            None => query.push(format!("Signature={}", encode(&self.signature))),
        }
        let (method, query, body) = (self.method.clone(), query.join("&"), self.body.clone().into_bytes());
        Wire { scheme: "http", method, path: "/".to_owned(), query, headers, body }
    }

    fn is_legacy(&self) -> bool {
        self.authorization.is_none()
    }
}

fn vectors() -> Vec<Vector> {
    let mut vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../../../vectors/alibaba-signatures.json")).unwrap();
    let more: Vec<Vector> = serde_json::from_str(include_str!("../../../../vectors/alibaba-sm3.json")).unwrap();
    vectors.extend(more);
    let of = |alg: &str| vectors.iter().filter(|vector| vector.alg.starts_with(alg)).count();
    assert_eq!([of("ACS3-HMAC-SHA256"), of("ACS3-HMAC-SM3"), of("HMAC-SHA1")], [5, 2, 2]);
    vectors
}

fn read(wire: &Wire) -> Result<Claim, Refusal> {
    Claim::read(wire, &Params::of(wire))
}

fn holds(wire: &Wire, secret: &str) -> bool {
    read(wire).is_ok_and(|claim| claim.is_signed_with(secret))
}

#[test]
fn every_vector_of_the_official_signers_verifies() {
    for vector in vectors() {
        let claim = read(&vector.wire()).unwrap();
        assert_eq!(claim.key_id, vector.access_key_id);
        assert_eq!(claim.string_to_sign, vector.string_to_sign, "{}", vector.name);
        assert!(claim.shown.contains(&vector.canonical_request), "{}", vector.name);
        assert!(claim.is_signed_with(&vector.access_key_secret), "{}", vector.name);
    }
}

#[test]
fn parameters_signed_by_version_1_may_be_in_a_form() {
    for vector in vectors().iter().filter(|vector| vector.is_legacy() && vector.method == "POST") {
        let mut wire = vector.wire();
        wire.body = std::mem::take(&mut wire.query).into_bytes();
        wire.headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
        assert!(holds(&wire, &vector.access_key_secret), "{}", vector.name);
    }
}

#[test]
fn a_change_of_anything_signed_breaks_the_signature() {
    for vector in vectors() {
        let (wire, secret) = (vector.wire(), vector.access_key_secret.as_str());
        assert!(!holds(&wire, "another secret"), "{}", vector.name);
        assert!(!holds(&Wire { query: format!("{}&Force=true", wire.query), ..wire.clone() }, secret));
        let method = if vector.method == "GET" { "POST" } else { "GET" };
        assert!(!holds(&Wire { method: method.to_owned(), ..wire.clone() }, secret));
        let form = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        let mut headers = wire.headers.clone();
        headers.push(form);
        assert!(!holds(&Wire { body: b"AddAccount.1=1".to_vec(), headers, ..wire.clone() }, secret));
        for header in ["x-acs-action", "x-acs-date", "host"].iter().filter(|_| !vector.is_legacy()) {
            let mut other = wire.clone();
            other.headers.iter_mut().find(|(name, _)| name == header).unwrap().1.push('x');
            assert!(!holds(&other, secret), "{} {header}", vector.name);
        }
    }
}

#[test]
fn an_x_acs_header_outside_the_signature_is_refused() {
    let mut wire = vectors().remove(0).wire();
    wire.headers.push(("x-acs-security-token".to_owned(), "slipped in".to_owned()));
    assert_eq!(read(&wire).unwrap_err().code, "IncompleteSignature");
}

#[test]
fn other_algorithms_and_broken_headers_are_incomplete() {
    let vector = vectors().remove(0);
    let good = vector.authorization.clone().unwrap();
    let bad = [
        String::new(),
        "ACS3-HMAC-SHA256".to_owned(),
        good.replace("ACS3-HMAC-SHA256", "ACS3-RSA-SHA256"),
        good.replace("Signature=", "Signature=zz"),
        good.replace("Credential=testAccessKeyId", "Credential="),
        good.replace("SignedHeaders=", "Headers="),
    ];
    for authorization in bad {
        let mut wire = vector.wire();
        wire.headers.last_mut().unwrap().1.clone_from(&authorization);
        assert_eq!(read(&wire).unwrap_err().code, "IncompleteSignature", "{authorization}");
    }
}

#[test]
fn a_signature_by_version_1_is_refused_where_a_part_of_it_is_missing_or_another_version() {
    let vectors = vectors();
    let legacy = vectors.iter().find(|vector| vector.is_legacy()).unwrap();
    for part in ["AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"] {
        let mut wire = legacy.wire();
        wire.query = wire.query.replace(&format!("{part}="), "Other=");
        assert_eq!(read(&wire).unwrap_err().code, "MissingParameter", "{part}");
    }
    for (part, other) in [("SignatureMethod=HMAC-SHA1", "SignatureMethod=HMAC-MD5"), ("Version=1.0", "Version=2.0")] {
        let mut wire = legacy.wire();
        wire.query = wire.query.replace(part, other);
        assert_eq!(read(&wire).unwrap_err().code, "IncompleteSignature", "{part}");
    }
}
