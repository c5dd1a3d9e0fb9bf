//! The vectors of the vendor's own signer, and what breaks a signature.

use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Vector {
    name: String,
    access_key_id: String,
    secret: String,
    service: String,
    region: String,
    body: String,
    headers: BTreeMap<String, String>,
    canonical_request_sha256: String,
    authorization: String,
}

impl Vector {
    fn wire(&self) -> Wire {
        let mut headers: Vec<_> = self.headers.clone().into_iter().collect();
        headers.push(("authorization".to_owned(), self.authorization.clone()));
        let (method, path, body) = ("POST".to_owned(), "/".to_owned(), self.body.clone().into_bytes());
        Wire { scheme: "https", method, path, query: String::new(), headers, body }
    }
}

fn vectors() -> Vec<Vector> {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../../../vectors/aws-signatures.json")).unwrap();
    assert_eq!(vectors.len(), 6);
    vectors
}

fn holds(wire: &Wire, secret: &str) -> bool {
    Claim::read(wire).is_ok_and(|claim| claim.is_signed_with(secret))
}

#[test]
fn every_vector_of_the_official_signer_verifies() {
    for vector in vectors() {
        let claim = Claim::read(&vector.wire()).unwrap();
        assert_eq!(claim.key_id, vector.access_key_id);
        assert_eq!((claim.scope.region.as_str(), &claim.scope.service), (vector.region.as_str(), &vector.service));
        assert!(claim.string_to_sign.ends_with(&vector.canonical_request_sha256), "{}", vector.name);
        assert!(claim.is_signed_with(&vector.secret), "{}", vector.name);
        assert_eq!(claim.token.is_some(), vector.name.ends_with("token"));
    }
}

#[test]
fn what_is_signed_here_is_signed_as_the_vectors_are() {
    for vector in vectors() {
        let mut wire = vector.wire();
        wire.headers.pop();
        sign(&mut wire, &vector.access_key_id, &vector.secret, &vector.region, &vector.service);
        let signature = |text: &str| text.rsplit("Signature=").next().unwrap().to_owned();
        assert_eq!(signature(wire.header("authorization").unwrap()), signature(&vector.authorization));
    }
}

#[test]
fn a_change_of_anything_signed_breaks_the_signature() {
    for vector in vectors() {
        let (wire, secret) = (vector.wire(), vector.secret.as_str());
        assert!(!holds(&wire, "another secret"), "{}", vector.name);
        let mut body = wire.body.clone();
        body.extend_from_slice(b"&DryRun=true");
        assert!(!holds(&Wire { body, ..wire.clone() }, secret));
        assert!(!holds(&Wire { query: "DryRun=true".to_owned(), ..wire.clone() }, secret));
        assert!(!holds(&Wire { method: "GET".to_owned(), ..wire.clone() }, secret));
        assert!(!holds(&Wire { path: "/x".to_owned(), ..wire.clone() }, secret));
        for (header, _) in wire.headers.iter().filter(|(name, _)| name != "authorization") {
            let mut other = wire.clone();
            other.headers.iter_mut().find(|(name, _)| name == header).unwrap().1.push('x');
            assert!(!holds(&other, secret), "{} {header}", vector.name);
        }
        let mut other = wire.clone();
        let scope = other.headers.last_mut().unwrap();
        scope.1 = scope.1.replace(&vector.region, "ap-south-1");
        assert!(!holds(&other, secret), "a key of another region");
    }
}

#[test]
fn headers_that_sdks_add_need_no_signature_and_those_of_the_vendor_do() {
    let vector = vectors().remove(0);
    let with = |name: &str, value: &str| {
        let mut wire = vector.wire();
        wire.headers.push((name.to_owned(), value.to_owned()));
        Claim::read(&wire).map(|claim| claim.is_signed_with(&vector.secret)).map_err(|refusal| refusal.code)
    };
    assert_eq!(with("amz-sdk-invocation-id", "1"), Ok(true));
    assert_eq!(with("user-agent", "boto"), Ok(true));
    assert_eq!(with("x-amz-security-token", "slipped in"), Err("IncompleteSignature".to_owned()));
}

#[test]
fn other_algorithms_and_broken_headers_are_incomplete() {
    let vector = vectors().remove(0);
    let good = vector.authorization.clone();
    let bad = [
        String::new(),
        "AWS4-HMAC-SHA256".to_owned(),
        good.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        good.replace("Signature=", "Signature=zz"),
        good.replace("Credential=AKIDEXAMPLE", "Credential="),
        good.replace("/aws4_request", ""),
        good.replace("/ec2/", "//"),
        good.replace("20240506", "20240507"),
        good.replace("content-type;host;", "content-type;"),
        good.replace("content-type;", ""),
        good.replace(";x-amz-date", ""),
    ];
    for authorization in bad {
        let mut wire = vector.wire();
        wire.headers.last_mut().unwrap().1.clone_from(&authorization);
        assert_eq!(Claim::read(&wire).unwrap_err().code, "IncompleteSignature", "{authorization}");
    }
    let mut unsigned = vector.wire();
    unsigned.headers.pop();
    assert_eq!(Claim::read(&unsigned).unwrap_err().code, "MissingAuthenticationToken");
    for gone in ["x-amz-date", "content-type"] {
        let mut wire = vector.wire();
        wire.headers.retain(|(name, _)| name != gone);
        assert_eq!(Claim::read(&wire).unwrap_err().code, "IncompleteSignature", "{gone}");
    }
}
