//! Signature SDK-HMAC-SHA256 (the vendor's "API Request Signing Guide") as a pure function: the date is an argument. It
//! hashes the body as sent.

use jiff::Timestamp;

use crate::clouds::signing::{hmac_hex, sha256_hex};

const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// The parts of a request to sign. `headers` omits the date, which `sign` adds; names are in lower case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    /// As sent: already escaped.
    pub(super) path: &'a str,
    /// As sent: already escaped and sorted.
    pub(super) query: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

/// A signature and its inputs.
pub(super) struct Signed {
    /// The signed date: `x-sdk-date`.
    pub(super) date: String,
    /// `authorization`.
    pub(super) authorization: String,
    /// For comparison with vectors.
    #[cfg(test)]
    pub(super) canonical_request: String,
    /// For comparison with vectors.
    #[cfg(test)]
    pub(super) string_to_sign: String,
}

/// Signs a request. The vendor allows 15 minutes between `date` and its own clock.
pub(super) fn sign(request: &Unsigned<'_>, key_id: &str, secret: &str, date: Timestamp) -> Signed {
    let date = date.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut headers: Vec<(&str, &str)> = request.headers.iter().map(|(name, value)| (*name, value.trim())).collect();
    headers.push(("x-sdk-date", &date));
    headers.sort_unstable();

    let signed_names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let canonical_headers: String = headers.iter().flat_map(|(name, value)| [*name, ":", *value, "\n"]).collect();
    // The signed path ends with the slash, the sent path does not.
    let slash = if request.path.ends_with('/') { "" } else { "/" };
    let canonical_request = format!(
        "{}\n{}{slash}\n{}\n{canonical_headers}\n{signed_names}\n{}",
        request.method,
        request.path,
        request.query,
        sha256_hex(request.body)
    );
    let string_to_sign = format!("{ALGORITHM}\n{date}\n{}", sha256_hex(canonical_request.as_bytes()));
    let signature = hmac_hex(secret.as_bytes(), string_to_sign.as_bytes());
    Signed {
        authorization: format!("{ALGORITHM} Access={key_id}, SignedHeaders={signed_names}, Signature={signature}"),
        #[cfg(test)]
        canonical_request,
        #[cfg(test)]
        string_to_sign,
        date,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::clouds::signing::{canonical_query, escape};

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        alg: String,
        ak: String,
        sk: String,
        method: String,
        path: String,
        uri: String,
        query: Vec<(String, Value)>,
        headers: BTreeMap<String, String>,
        body: String,
        canonical_request: String,
        string_to_sign: String,
        signature: String,
        authorization: String,
    }

    fn text_of(value: &Value) -> String {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// Parses `20240506T070809Z`.
    fn moment(date: &str) -> Timestamp {
        let at = |from: usize, to: usize| &date[from..to];
        let text = format!("{}-{}-{}T{}:{}:{}Z", at(0, 4), at(4, 6), at(6, 8), at(9, 11), at(11, 13), at(13, 15));
        text.parse().unwrap()
    }

    #[test]
    fn every_vector_of_the_vendors_signer_is_met() {
        let text = include_str!("../../../tests/vectors/huawei-signatures.json");
        let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
        assert_eq!(vectors.len(), 6);
        for vector in &vectors {
            assert_eq!(vector.alg, ALGORITHM);
            let pairs: Vec<(String, String)> =
                vector.query.iter().map(|(key, value)| (key.clone(), text_of(value))).collect();
            let query = canonical_query(&pairs);
            let target = if query.is_empty() { vector.path.clone() } else { format!("{}?{query}", vector.path) };
            assert_eq!(target, vector.uri, "{}", vector.name);

            let lower: Vec<(String, &str)> =
                vector.headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect();
            let headers: Vec<(&str, &str)> =
                lower.iter().map(|(name, value)| (name.as_str(), *value)).filter(|(n, _)| *n != "x-sdk-date").collect();
            let (path, body) = (vector.path.as_str(), vector.body.as_bytes());
            let unsigned = Unsigned { method: &vector.method, path, query: &query, headers: &headers, body };
            let signed = sign(&unsigned, &vector.ak, &vector.sk, moment(&vector.headers["X-Sdk-Date"]));
            assert_eq!(signed.canonical_request, vector.canonical_request, "{}", vector.name);
            assert_eq!(signed.string_to_sign, vector.string_to_sign, "{}", vector.name);
            assert_eq!(signed.authorization, vector.authorization, "{}", vector.name);
            assert!(signed.authorization.ends_with(&vector.signature), "{}", vector.name);
            assert_eq!(signed.date, vector.headers["X-Sdk-Date"], "{}", vector.name);
        }
    }

    #[test]
    fn query_is_sorted_and_escaped() {
        let query = [("b".to_owned(), "x y+/~".to_owned()), ("A".to_owned(), String::new())];
        assert_eq!(canonical_query(&query), "A=&b=x%20y%2B%2F~");
        assert_eq!(escape("a/b c~-_."), "a%2Fb%20c~-_.");
    }

    #[test]
    fn root_has_one_slash_and_the_fraction_of_a_second_is_not_signed() {
        let unsigned = Unsigned { method: "GET", path: "/", query: "", headers: &[], body: b"" };
        let signed = sign(&unsigned, "ak", "sk", "2024-05-06T07:08:09.987654321Z".parse().unwrap());
        assert!(signed.canonical_request.starts_with("GET\n/\n\nx-sdk-date:20240506T070809Z\n\n"));
    }
}
