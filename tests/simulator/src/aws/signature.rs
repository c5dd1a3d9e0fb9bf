//! Signature version 4 from the server's side: which key a request claims, for which day, region and service, and whether the
//! signature is that key's. Whether the key exists and the date is near is for `authentication.rs`.

use super::rules;
use crate::chassis::names::RegionId;
use crate::chassis::refusal::Refusal;
use crate::chassis::signature::{Algorithm, Authorization, Digest};
use crate::chassis::wire::Wire;

const ALGORITHM: Algorithm = ("AWS4-HMAC-SHA256", Digest::Sha256, "Credential");
/// How every scope ends, and the last key is derived.
const TERMINATOR: &str = "aws4_request";

/// What a key is derived for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    date: String,
    pub(super) region: RegionId,
    pub(super) service: String,
}

/// What a request claims.
#[derive(Debug)]
pub(super) struct Claim {
    /// The key's id.
    pub(super) key_id: String,
    pub(super) scope: Scope,
    /// When it was signed, as it is written.
    pub(super) date: String,
    /// The token of temporary credentials.
    pub(super) token: Option<String>,
    authorization: Authorization,
    string_to_sign: String,
    /// Whether the body is the one signed.
    whole: bool,
}

impl Claim {
    /// Reads the claim and checks that it is whole: it covers host, date, content type and token where there are such.
    pub(super) fn read(wire: &Wire) -> Result<Self, Refusal> {
        let incomplete = |what: &str| rules::INCOMPLETE_SIGNATURE.about(what);
        let header = wire.header("authorization").ok_or_else(|| rules::NOT_SIGNED.refuse())?;
        let authorization = Authorization::parse(header, &[ALGORITHM]).ok_or_else(|| incomplete("Authorization"))?;
        let (key_id, scope) = parts(&authorization.credential).ok_or_else(|| incomplete("Credential"))?;
        let date = wire.header("x-amz-date").ok_or_else(|| incomplete("x-amz-date"))?.to_owned();
        if wire.method == "POST" && wire.header("content-type").is_none() {
            return Err(incomplete("content-type"));
        }
        let must = |name: &str| matches!(name, "host" | "content-type") || name.starts_with("x-amz-");
        if let Some((name, _)) = wire.headers.iter().find(|(name, _)| must(name) && !authorization.covers(name)) {
            return Err(incomplete(name));
        }
        if !authorization.covers("host") || date.get(..8) != Some(&scope.date) {
            return Err(incomplete("Credential"));
        }
        let body_hash = authorization.digest.hex(&wire.body);
        let whole = wire.header("x-amz-content-sha256").is_none_or(|given| given == body_hash);
        let request = authorization.canonical_request(wire, &wire.path, &body_hash);
        let hash = authorization.digest.hex(request.as_bytes());
        let string_to_sign = format!("{}\n{date}\n{}\n{hash}", authorization.algorithm, scope.text());
        let token = wire.header("x-amz-security-token").map(str::to_owned);
        Ok(Self { key_id, scope, date, token, authorization, string_to_sign, whole })
    }

    /// Whether the request is signed with `secret` and its body is the one signed.
    pub(super) fn is_signed_with(&self, secret: &str) -> bool {
        self.whole && self.authorization.signs(&self.string_to_sign, &self.scope.key(secret))
    }
}

impl Scope {
    fn text(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }

    /// The key that signs, derived step by step.
    fn key(&self, secret: &str) -> Vec<u8> {
        let first = format!("AWS4{secret}").into_bytes();
        let steps = [self.date.as_str(), self.region.as_str(), self.service.as_str(), TERMINATOR];
        steps.iter().fold(first, |key, step| Digest::Sha256.mac(&key, step.as_bytes()))
    }
}

/// `KEY/20240506/us-east-1/ec2/aws4_request`.
fn parts(credential: &str) -> Option<(String, Scope)> {
    let parts: Vec<_> = credential.split('/').collect();
    let [key_id, date, region, service, TERMINATOR] = parts.as_slice() else { return None };
    if [key_id, date, region, service].iter().any(|part| part.is_empty()) {
        return None;
    }
    let scope = Scope { date: (*date).to_owned(), region: RegionId::from(*region), service: (*service).to_owned() };
    Some(((*key_id).to_owned(), scope))
}

/// The key and the scope that a request claims, whether it is signed or not.
pub(super) fn claimed(wire: &Wire) -> Option<(String, Scope)> {
    parts(wire.header("authorization")?.split_once("Credential=")?.1.split(',').next()?)
}

/// Signs `wire` over all its headers, for tests; the vectors show that what verifies is the vendor's.
#[cfg(test)]
pub(super) fn sign(wire: &mut Wire, key_id: &str, secret: &str, region: &str, service: &str) {
    use crate::chassis::signature::{header, unsigned};
    let date = wire.header("x-amz-date").unwrap().to_owned();
    let scope = Scope { date: date[..8].to_owned(), region: region.into(), service: service.to_owned() };
    let claim = unsigned(wire, ALGORITHM, &format!("{key_id}/{}", scope.text()));
    let request = claim.canonical_request(wire, &wire.path, &Digest::Sha256.hex(&wire.body));
    let text = format!("{}\n{date}\n{}\n{}", claim.algorithm, scope.text(), Digest::Sha256.hex(request.as_bytes()));
    wire.headers.push(("authorization".to_owned(), header(&claim, "Credential", &text, &scope.key(secret))));
}

#[cfg(test)]
mod tests;
