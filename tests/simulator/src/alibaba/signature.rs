//! The vendor's signatures from the server's side: which key a request claims, and whether the signature is that key's.
//! Version 3 (`ACS3-HMAC-SHA256`, `ACS3-HMAC-SM3`) is in a header, version 1.0 (`HMAC-SHA1`, of the RPC style) among the
//! parameters. Whether the key exists and the nonce is new is for `authentication.rs`.

use super::params::Params;
use super::rules;
use crate::chassis::refusal::Refusal;
use crate::chassis::signature::{Algorithm, Authorization, Digest};
use crate::chassis::wire::{Wire, encode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const ALGORITHMS: [Algorithm; 2] =
    [("ACS3-HMAC-SHA256", Digest::Sha256, "Credential"), ("ACS3-HMAC-SM3", Digest::Sm3, "Credential")];
/// Where the body's hash stands; SDKs name the first also where the hash is another.
const BODY_HASH: [&str; 2] = ["x-acs-content-sha256", "x-acs-content-sm3"];

/// What a request claims.
#[derive(Debug)]
pub(super) struct Claim {
    /// The key's id.
    pub(super) key_id: String,
    pub(super) nonce: String,
    /// When it was signed, as it is written.
    pub(super) date: String,
    /// The token of a temporary key.
    pub(super) token: Option<String>,
    /// The text the server would sign.
    string_to_sign: String,
    signature: Signature,
    /// What the server signs, as clients read it from a refusal.
    pub(super) shown: String,
}

#[derive(Debug)]
enum Signature {
    /// Version 3; whether the body is the one signed.
    Header(Authorization, bool),
    /// Version 1.0, in Base64.
    Parameter(String),
}

impl Claim {
    /// Reads the claim and checks that it is whole.
    pub(super) fn read(wire: &Wire, params: &Params) -> Result<Self, Refusal> {
        match wire.header("authorization") {
            None if params.get("Signature").is_some() => Self::of_parameters(wire, params),
            header => Self::of_header(wire, header.unwrap_or_default()),
        }
    }

    /// The signature covers host, content-type and every x-acs header.
    fn of_header(wire: &Wire, header: &str) -> Result<Self, Refusal> {
        let incomplete = |what: &str| rules::INCOMPLETE_SIGNATURE.about(what);
        let authorization = Authorization::parse(header, &ALGORITHMS).ok_or_else(|| incomplete("Authorization"))?;
        let needed = |name: &str| wire.header(name).filter(|value| !value.is_empty()).ok_or_else(|| incomplete(name));
        needed("host")?;
        let body_hash = BODY_HASH.iter().find_map(|name| wire.header(name)).unwrap_or_default();
        if body_hash.is_empty() {
            return Err(incomplete(BODY_HASH[0]));
        }
        let must = |name: &str| name == "host" || name == "content-type" || name.starts_with("x-acs-");
        if let Some((name, _)) = wire.headers.iter().find(|(name, _)| must(name) && !authorization.covers(name)) {
            return Err(incomplete(name));
        }
        let request = authorization.canonical_request(wire, &wire.path, body_hash);
        let hash = authorization.digest.hex(request.as_bytes());
        let string_to_sign = format!("{}\n{hash}", authorization.algorithm);
        let whole = authorization.digest.hex(&wire.body) == body_hash;
        Ok(Self {
            key_id: authorization.credential.clone(),
            nonce: needed("x-acs-signature-nonce")?.to_owned(),
            date: needed("x-acs-date")?.to_owned(),
            token: wire.header("x-acs-security-token").map(str::to_owned),
            shown: format!("{string_to_sign} server CanonicalRequest is:{request}"),
            string_to_sign,
            signature: Signature::Header(authorization, whole),
        })
    }

    fn of_parameters(wire: &Wire, params: &Params) -> Result<Self, Refusal> {
        let needed = |name| params.get(name).map(str::to_owned).ok_or_else(|| rules::MISSING_PARAMETER.about(name));
        for (name, only) in [("SignatureMethod", "HMAC-SHA1"), ("SignatureVersion", "1.0")] {
            if needed(name)? != only {
                return Err(rules::INCOMPLETE_SIGNATURE.about(name));
            }
        }
        let mut pairs: Vec<_> = params.pairs().iter().filter(|(name, _)| name != "Signature").collect();
        pairs.sort();
        let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let string_to_sign = format!("{}&%2F&{}", wire.method, encode(&query.join("&")));
        Ok(Self {
            key_id: needed("AccessKeyId")?,
            nonce: needed("SignatureNonce")?,
            date: needed("Timestamp")?,
            token: params.get("SecurityToken").map(str::to_owned),
            shown: string_to_sign.clone(),
            string_to_sign,
            signature: Signature::Parameter(needed("Signature")?),
        })
    }

    /// Whether the request is signed with `secret` and its body is the one signed.
    pub(super) fn is_signed_with(&self, secret: &str) -> bool {
        match &self.signature {
            Signature::Header(authorization, whole) => {
                *whole && authorization.signs(&self.string_to_sign, secret.as_bytes())
            }
            Signature::Parameter(signature) => sha1_signature(&self.string_to_sign, secret) == *signature,
        }
    }
}

/// The signature of version 1.0.
fn sha1_signature(string_to_sign: &str, secret: &str) -> String {
    STANDARD.encode(Digest::Sha1.mac(format!("{secret}&").as_bytes(), string_to_sign.as_bytes()))
}

/// The key a request claims, for the journal.
pub(super) fn claimed_key(wire: &Wire, params: &Params) -> Option<String> {
    let header = wire.header("authorization");
    let of_header = header.and_then(|header| header.split_once("Credential=")?.1.split(',').next());
    of_header.or_else(|| params.get("AccessKeyId")).map(str::to_owned)
}

/// Signs `wire` over all its headers, for tests; the vectors show that what verifies is the vendor's.
#[cfg(test)]
pub(super) fn sign(wire: &mut Wire, key_id: &str, secret: &str) {
    use crate::chassis::signature::{header, unsigned};
    wire.headers.push((BODY_HASH[0].to_owned(), Digest::Sha256.hex(&wire.body)));
    let claim = unsigned(wire, ALGORITHMS[0], key_id);
    let request = claim.canonical_request(wire, &wire.path, wire.header(BODY_HASH[0]).unwrap());
    let text = format!("{}\n{}", claim.algorithm, Digest::Sha256.hex(request.as_bytes()));
    wire.headers.push(("authorization".to_owned(), header(&claim, "Credential", &text, secret.as_bytes())));
}

/// Signs the parameters of a request by version 1.0, for tests.
#[cfg(test)]
pub(super) fn sign_parameters(wire: &mut Wire, secret: &str) {
    wire.query.push_str("&Signature=x");
    let claim = Claim::read(wire, &Params::of(wire)).unwrap();
    let signature = encode(&sha1_signature(&claim.string_to_sign, secret));
    wire.query = wire.query.replace("&Signature=x", &format!("&Signature={signature}"));
}

#[cfg(test)]
mod tests;
