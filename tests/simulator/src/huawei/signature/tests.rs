//! The vectors of the vendor's own signers, and what breaks a signature.

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
    let mut vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../../../vectors/huawei-simulator.json")).unwrap();
    let variants: Vec<Vector> = serde_json::from_str(include_str!("../../../../vectors/huawei-variants.json")).unwrap();
    vectors.extend(variants);
    let of = |algorithm: &str| vectors.iter().filter(|vector| vector.authorization.starts_with(algorithm)).count();
    assert_eq!([of("SDK-HMAC-SHA256"), of("SDK-HMAC-SM3"), of("V11-HMAC-SHA256")], [6, 2, 2]);
    let wire = |v: &Vector| {
        let (path, query) = v.uri.split_once('?').unwrap_or((&v.uri, ""));
        let mut headers: Vec<_> =
            v.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        headers.push(("authorization".to_owned(), v.authorization.clone()));
        Wire {
            scheme: "http",
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
        let hash = claim.body_hashes(&wire).remove(0);
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
fn a_body_counts_by_what_its_header_says() {
    let signed = |hash: &str, sent: &[u8]| {
        let mut wire = vectors().remove(0).1;
        wire.headers.retain(|(name, _)| name != "authorization");
        wire.headers.push(("x-sdk-content-sha256".to_owned(), hash.to_owned()));
        wire.body = b"signed".to_vec();
        sign(&mut wire, "ak", "sk");
        wire.body = sent.to_vec();
        Claim::read(&wire).unwrap().is_signed_with("sk", &wire)
    };
    assert!(signed(UNSIGNED, b"other") && signed(UNSIGNED, b""));
    let hash = Digest::Sha256.hex(b"signed");
    assert!(signed(&hash, b"signed") && !signed(&hash, b"other"));
}

#[test]
fn a_derived_key_is_for_a_day_a_region_and_a_service() {
    let (vector, wire) = vectors().into_iter().find(|(vector, _)| vector.name == "share-v11").unwrap();
    let claim = |credential: &str| {
        let mut wire = wire.clone();
        let authorization = vector.authorization.replace("/20240506/cn-north-4/ims", credential);
        wire.headers.last_mut().unwrap().1 = authorization;
        Claim::read(&wire).map(|claim| claim.is_signed_with(&vector.sk, &wire))
    };
    assert_eq!(claim("/20240506/cn-north-4/ims"), Some(true));
    assert_eq!(claim("/20240506/cn-north-4/ecs"), Some(false));
    assert_eq!(claim("/20240506/cn-south-1/ims"), Some(false));
    for none in ["/20240507/cn-north-4/ims", "/20240506/cn-north-4", "", "/20240506//ims"] {
        assert_eq!(claim(none), None, "{none}");
    }
}

#[test]
fn other_algorithms_broken_headers_and_an_unsigned_date_are_no_claim() {
    let (vector, wire) = vectors().remove(0);
    let good = vector.authorization;
    let bad = [
        String::new(),
        "SDK-HMAC-SHA256".to_owned(),
        good.replace("SDK-HMAC-SHA256", "SDK-ECDSA-P256-SHA256"),
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
