//! Signature AWS4-HMAC-SHA256, by the vendor's crate; the date is an argument.

use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as sign_by_vendor};
use aws_sigv4::sign::v4::SigningParams;
use jiff::Timestamp;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::clouds::signing::{InvalidCredentials, part};

/// The content type of every request.
pub(super) const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// The credentials that sign an account's calls. `Debug` never shows their parts.
#[derive(Debug, Clone)]
pub struct Credentials {
    key_id: SecretString,
    secret: SecretString,
    token: Option<SecretString>,
}

impl Credentials {
    /// Parses an access key id, its secret and, for temporary credentials, the session token.
    pub fn parse(key_id: &str, secret: &str, token: Option<&str>) -> Result<Self, InvalidCredentials> {
        Ok(Self {
            key_id: part("access key id", key_id, 128)?,
            secret: part("secret access key", secret, 256)?,
            token: token.map(|token| part("session token", token, 8192)).transpose()?,
        })
    }

    /// Whether they expire.
    pub(super) fn are_temporary(&self) -> bool {
        self.token.is_some()
    }
}

/// The request to sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsigned<'a> {
    pub(super) url: &'a Url,
    /// The host, with its port if the URL names one.
    pub(super) host: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// The form, as it is sent.
    pub(super) body: &'a [u8],
}

/// The headers that signing adds: date, session token, `authorization`. They contain the token: do not log them. The vendor
/// accepts 15 minutes between `date` and its own clock. `None`: the request cannot be signed, which parsed credentials and
/// URLs rule out.
pub(super) fn sign(
    request: &Unsigned<'_>,
    credentials: &Credentials,
    date: Timestamp,
) -> Option<Vec<(&'static str, String)>> {
    let identity = aws_credential_types::Credentials::new(
        credentials.key_id.expose_secret(),
        credentials.secret.expose_secret(),
        credentials.token.as_ref().map(|token| token.expose_secret().to_owned()),
        None,
        "CloudAccount",
    )
    .into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(request.region)
        .name(request.service)
        .time(SystemTime::from(date))
        .settings(SigningSettings::default())
        .build()
        .ok()?
        .into();
    // Proxies may rewrite other headers, so they stay unsigned.
    let headers = [("content-type", CONTENT_TYPE), ("host", request.host)].into_iter();
    let body = SignableBody::Bytes(request.body);
    let signable = SignableRequest::new("POST", request.url.as_str(), headers, body).ok()?;
    let (instructions, _) = sign_by_vendor(signable, &parameters).ok()?.into_parts();
    let (headers, _) = instructions.into_parts();
    Some(headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        access_key_id: String,
        secret: String,
        service: String,
        region: String,
        headers: BTreeMap<String, String>,
        body: String,
        authorization: String,
    }

    #[test]
    fn every_vector_of_the_vendors_signer_is_met() {
        let text = include_str!("../../../tests/vectors/aws-signatures.json");
        let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            let (name, host) = (&vector.name, &vector.headers["host"]);
            let token = vector.headers.get("x-amz-security-token");
            let credentials =
                Credentials::parse(&vector.access_key_id, &vector.secret, token.map(String::as_str)).unwrap();
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            let unsigned = Unsigned {
                url: &url,
                host,
                region: &vector.region,
                service: &vector.service,
                body: vector.body.as_bytes(),
            };
            let date: Timestamp = "2024-05-06T07:08:09.9Z".parse().unwrap();
            let headers: BTreeMap<_, _> = sign(&unsigned, &credentials, date).unwrap().into_iter().collect();
            assert_eq!(headers["authorization"], vector.authorization, "{name}");
            assert_eq!(headers["x-amz-date"], vector.headers["x-amz-date"], "{name}");
            assert_eq!(headers.get("x-amz-security-token"), token, "{name}");
            assert_eq!(headers.len(), 2 + usize::from(token.is_some()), "{name}: {:?}", headers.keys());
        }
    }

    #[test]
    fn credentials_are_parsed_strictly_and_never_shown() {
        let good = Credentials::parse(" AKIA-key\n", "topsecret\n", Some("tokentext")).unwrap();
        assert_eq!(good.secret.expose_secret(), "topsecret");
        assert!(good.are_temporary() && !Credentials::parse("k", "s", None).unwrap().are_temporary());
        let shown = format!("{good:?}");
        for part in ["AKIA-key", "topsecret", "tokentext"] {
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
