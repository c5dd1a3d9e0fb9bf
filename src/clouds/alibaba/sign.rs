//! Signature ACS3-HMAC-SHA256 (vendor page "V3 request body and signature method") as a pure function: date and nonce are
//! arguments. The legacy RPC signature is not supported.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::clouds::signing::{InvalidCredentials, canonical_query, hmac_hex, part, sha256_hex};

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// The credentials that sign an account's calls. `Debug` never shows their parts.
#[derive(Debug, Clone)]
pub struct Credentials {
    key_id: SecretString,
    secret: SecretString,
    token: Option<SecretString>,
}

impl Credentials {
    /// Parses an access key id, its secret and, for temporary credentials, the security token.
    pub fn parse(key_id: &str, secret: &str, token: Option<&str>) -> Result<Self, InvalidCredentials> {
        Ok(Self {
            key_id: part("access key id", key_id, 128)?,
            secret: part("access key secret", secret, 256)?,
            token: token.map(|token| part("security token", token, 8192)).transpose()?,
        })
    }
}

/// The request to sign. `headers`: the signed headers, except those that signing adds; names in lower case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a [(String, String)],
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

/// A signature and its input. Contains the security token: do not log it.
pub(super) struct Signed {
    /// All signed headers, sorted by name, including those that signing added; then `authorization`.
    pub(super) headers: Vec<(String, String)>,
    /// The signed query; send it unchanged.
    pub(super) query: String,
    /// For comparison with vectors.
    #[cfg(test)]
    pub(super) canonical_request: String,
    /// For comparison with vectors.
    #[cfg(test)]
    pub(super) string_to_sign: String,
}

/// Signs a request. The vendor accepts 15 minutes between `date` and its own clock and refuses a repeated `nonce`.
pub(super) fn sign(request: &Unsigned<'_>, credentials: &Credentials, date: Timestamp, nonce: &str) -> Signed {
    let key_id = credentials.key_id.expose_secret();
    let body_hash = sha256_hex(request.body);
    let mut headers: Vec<(String, String)> =
        request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.trim().to_owned())).collect();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    add("x-acs-date", date.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    add("x-acs-signature-nonce", nonce.to_owned());
    add("x-acs-content-sha256", body_hash.clone());
    if let Some(token) = &credentials.token {
        add("x-acs-accesskey-id", key_id.to_owned());
        add("x-acs-security-token", token.expose_secret().to_owned());
    }
    headers.sort();

    let query = canonical_query(request.query);
    let signed_names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let canonical_headers: String = headers.iter().flat_map(|(name, value)| [name, ":", value, "\n"]).collect();
    let canonical_request =
        format!("{}\n{}\n{query}\n{canonical_headers}\n{signed_names}\n{body_hash}", request.method, request.path);
    let string_to_sign = format!("{ALGORITHM}\n{}", sha256_hex(canonical_request.as_bytes()));
    let signature = hmac_hex(credentials.secret.expose_secret().as_bytes(), string_to_sign.as_bytes());
    headers.push((
        "authorization".to_owned(),
        format!("{ALGORITHM} Credential={key_id},SignedHeaders={signed_names},Signature={signature}"),
    ));
    Signed {
        headers,
        query,
        #[cfg(test)]
        canonical_request,
        #[cfg(test)]
        string_to_sign,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        alg: String,
        access_key_id: String,
        access_key_secret: String,
        method: String,
        #[serde(default)]
        path: String,
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
        authorization: String,
    }

    const ADDED: [&str; 5] =
        ["x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256", "x-acs-accesskey-id", "x-acs-security-token"];

    fn check(vector: &Vector) {
        let token = vector.headers.get("x-acs-security-token").map(String::as_str);
        let credentials = Credentials::parse(&vector.access_key_id, &vector.access_key_secret, token).unwrap();
        let query: Vec<(String, String)> = vector.query.clone().into_iter().rev().collect();
        let headers: Vec<(&str, &str)> = vector
            .headers
            .iter()
            .filter(|(name, _)| !ADDED.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let unsigned = Unsigned {
            method: &vector.method,
            path: &vector.path,
            query: &query,
            headers: &headers,
            body: vector.body.as_bytes(),
        };
        let date: Timestamp = vector.headers["x-acs-date"].parse().unwrap();
        let signed = sign(&unsigned, &credentials, date, &vector.headers["x-acs-signature-nonce"]);

        assert_eq!(signed.canonical_request, vector.canonical_request, "{}", vector.name);
        assert_eq!(signed.string_to_sign, vector.string_to_sign, "{}", vector.name);
        let sent: BTreeMap<String, String> = signed.headers.into_iter().collect();
        assert_eq!(sent["authorization"], vector.authorization, "{}", vector.name);
        assert!(sent["authorization"].ends_with(&format!("Signature={}", vector.signature)), "{}", vector.name);
        for (name, value) in &vector.headers {
            assert_eq!(sent.get(name), Some(value), "{}: {name}", vector.name);
        }
        assert_eq!(sent.len(), vector.headers.len() + 1, "{}: no header beyond those of the vector", vector.name);
    }

    #[test]
    fn every_vector_of_the_vendors_signer_is_met() {
        let text = include_str!("../../../tests/vectors/alibaba-signatures.json");
        let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
        let mut left_out = Vec::new();
        for vector in &vectors {
            match vector.alg.as_str() {
                ALGORITHM => check(vector),
                // The legacy RPC signature (V1, SHA-1): this operator signs only with V3.
                "HMAC-SHA1 (SignatureVersion 1.0)" => left_out.push(vector.name.as_str()),
                other => panic!("a vector of an unknown algorithm: {other}"),
            }
        }
        assert_eq!(vectors.len() - left_out.len(), 5);
        assert_eq!(left_out, ["legacy-rpc-POST", "legacy-rpc-GET"]);
    }

    #[test]
    fn query_is_sent_as_it_is_signed() {
        let credentials = Credentials::parse("id", "secret", None).unwrap();
        let query = [("b".to_owned(), "x y+/~".to_owned()), ("A.10".to_owned(), String::new())];
        let unsigned = Unsigned { method: "POST", path: "/", query: &query, headers: &[], body: b"" };
        let signed = sign(&unsigned, &credentials, Timestamp::UNIX_EPOCH, "n");
        assert_eq!(signed.query, "A.10=&b=x%20y%2B%2F~");
    }

    #[test]
    fn fraction_of_a_second_stays_out_of_the_date() {
        let credentials = Credentials::parse("id", "secret", None).unwrap();
        let unsigned = Unsigned { method: "POST", path: "/", query: &[], headers: &[], body: b"" };
        let date: Timestamp = "2024-05-06T07:08:09.987654321Z".parse().unwrap();
        let signed = sign(&unsigned, &credentials, date, "n");
        assert!(signed.headers.contains(&("x-acs-date".to_owned(), "2024-05-06T07:08:09Z".to_owned())));
    }

    #[test]
    fn credentials_are_parsed_strictly_and_never_shown() {
        let good = Credentials::parse(" LTAI-key\n", "topsecret\n", Some("tokentext")).unwrap();
        assert_eq!(good.secret.expose_secret(), "topsecret");
        let shown = format!("{good:?}");
        for part in ["LTAI-key", "topsecret", "tokentext"] {
            assert!(!shown.contains(part), "{shown}");
        }
        for bad in ["", " ", "a b", "a\nb", "ключ", &"x".repeat(9000)] {
            for fault in [
                Credentials::parse(bad, "s", None).unwrap_err(),
                Credentials::parse("k", bad, None).unwrap_err(),
                Credentials::parse("k", "s", Some(bad)).unwrap_err(),
            ] {
                assert!(bad.trim().is_empty() || !fault.to_string().contains(bad));
            }
        }
    }
}
