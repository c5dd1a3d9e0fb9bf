//! The vendor's signatures from the server's side: `SDK-HMAC-SHA256`, `SDK-HMAC-SM3`, and `V11-HMAC-SHA256`, whose key is
//! derived for a day, a region and a service. Which key a request claims, and whether the signature is that key's.

use crate::chassis::signature::{Algorithm, Authorization, Digest};
use crate::chassis::wire::{Wire, encode};
use percent_encoding::percent_decode_str;

const DERIVED: &str = "V11-HMAC-SHA256";
const ALGORITHMS: [Algorithm; 3] = [
    ("SDK-HMAC-SHA256", Digest::Sha256, "Access"),
    ("SDK-HMAC-SM3", Digest::Sm3, "Access"),
    (DERIVED, Digest::Sha256, "Credential"),
];
/// Where a hash stands in the body's place.
const BODY_HASH: [&str; 2] = ["x-sdk-content-sha256", "x-sdk-content-sm3"];
/// In place of the body's hash where the body is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What a request claims.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// The key's id.
    pub(super) ak: String,
    authorization: Authorization,
    /// What the key is derived for: `date/region/service`.
    scope: Option<String>,
}

impl Claim {
    /// Reads the claim; `None` where it is not whole or leaves out the date, the one header that must be signed.
    pub(super) fn read(wire: &Wire) -> Option<Self> {
        let authorization = Authorization::parse(wire.header("authorization")?, &ALGORITHMS)?;
        if !authorization.covers("x-sdk-date") {
            return None;
        }
        let (ak, scope) = if authorization.algorithm == DERIVED {
            let (ak, scope) = authorization.credential.split_once('/')?;
            let today = wire.header("x-sdk-date")?.get(..8)?;
            let parts: Vec<_> = scope.split('/').collect();
            let whole = parts.len() == 3 && parts.iter().all(|part| !part.is_empty()) && parts.first() == Some(&today);
            (ak.to_owned(), Some(scope.to_owned()).filter(|_| whole && !ak.is_empty()))
        } else {
            (authorization.credential.clone(), None)
        };
        let derived = authorization.algorithm == DERIVED;
        (derived == scope.is_some()).then_some(Self { ak, authorization, scope })
    }

    /// Whether the request is signed with `secret` and its body is the one signed.
    pub(super) fn is_signed_with(&self, secret: &str, wire: &Wire) -> bool {
        let key = self.key(secret);
        let fits = |hash: &String| self.authorization.signs(&self.string_to_sign(wire, hash), key.as_bytes());
        self.body_hashes(wire).iter().any(fits)
    }

    /// The key that signs. A derived one is by HKDF (RFC 5869) of the secret, salted with the key's id, in hexadecimal digits.
    fn key(&self, secret: &str) -> String {
        let Some(scope) = &self.scope else { return secret.to_owned() };
        let digest = self.authorization.digest;
        let extracted = digest.mac(self.ak.as_bytes(), secret.as_bytes());
        hex::encode(digest.mac(&extracted, &[scope.as_bytes(), &[1]].concat()))
    }

    fn string_to_sign(&self, wire: &Wire, body_hash: &str) -> String {
        let request = self.canonical_request(wire, body_hash);
        let date = wire.header("x-sdk-date").unwrap_or_default();
        let scope = self.scope.as_ref().map(|scope| format!("{scope}\n")).unwrap_or_default();
        let Authorization { algorithm, digest, .. } = &self.authorization;
        format!("{algorithm}\n{date}\n{scope}{}", digest.hex(request.as_bytes()))
    }

    /// The request in the form that is signed: the path ends in a slash here, whatever it does on the wire.
    fn canonical_request(&self, wire: &Wire, body_hash: &str) -> String {
        let segment = |text: &str| encode(&percent_decode_str(text).decode_utf8_lossy());
        let mut path = wire.path.split('/').map(segment).collect::<Vec<_>>().join("/");
        if !path.ends_with('/') {
            path.push('/');
        }
        self.authorization.canonical_request(wire, &path, body_hash)
    }

    /// The body's hash as the signature may cover it: of the raw bytes, or what a header says in its place; none where the
    /// header gives another body's. In the place of an empty body's hash one SDK signs what the header says, another does not.
    fn body_hashes(&self, wire: &Wire) -> Vec<String> {
        let hash = self.authorization.digest.hex(&wire.body);
        match BODY_HASH.iter().find_map(|name| wire.header(name)) {
            Some(UNSIGNED) if wire.body.is_empty() => vec![UNSIGNED.to_owned(), hash],
            Some(UNSIGNED) => vec![UNSIGNED.to_owned()],
            Some(given) if given != hash => Vec::new(),
            _ => vec![hash],
        }
    }
}

/// The key a request claims, for the journal.
pub(super) fn claimed_key(wire: &Wire) -> Option<String> {
    let header = wire.header("authorization")?;
    let field = ["Access=", "Credential="].into_iter().find_map(|field| header.split_once(field));
    field?.1.split([',', '/']).next().map(str::to_owned)
}

/// Signs `wire` over all its headers, for tests; the vectors show that what verifies is the vendor's.
#[cfg(test)]
pub(super) fn sign(wire: &mut Wire, ak: &str, secret: &str) {
    use crate::chassis::signature::{header, unsigned};
    let authorization = unsigned(wire, ALGORITHMS[0], ak);
    let claim = Claim { ak: ak.to_owned(), authorization, scope: None };
    let text = claim.string_to_sign(wire, &claim.body_hashes(wire).remove(0));
    wire.headers.push(("authorization".to_owned(), header(&claim.authorization, "Access", &text, secret.as_bytes())));
}

#[cfg(test)]
mod tests;
