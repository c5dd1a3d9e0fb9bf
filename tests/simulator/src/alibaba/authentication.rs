//! Who asks: checks a request's key, token, signature, nonce and date, in the vendor's order.

use super::params::Params;
use super::signature::Claim;
use super::sts::RoleSession;
use super::world_file::Key;
use super::{Cloud, rules};
use crate::chassis::names::AccountId;
use crate::chassis::refusal::Refusal;
use crate::chassis::wire::Wire;
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashSet, VecDeque};

/// Most nonces remembered; past that the oldest are forgotten early.
const MAX_NONCES: usize = 200_000;

/// The nonces seen lately, per key.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    seen: HashSet<(String, String)>,
    arrivals: VecDeque<(Timestamp, (String, String))>,
}

impl Nonces {
    /// Remembers a nonce; false when it was there already. A request dated as far ahead as allowed stays valid for
    /// twice the allowed skew, so nonces are kept that long.
    fn admit(&mut self, key_id: &str, nonce: &str, now: Timestamp) -> bool {
        let kept = SignedDuration::from_secs(2 * rules::TIME_SKEW_SECONDS);
        let stale = |arrival: Timestamp| now.duration_since(arrival) > kept;
        while let Some((arrival, _)) = self.arrivals.front() {
            if !stale(*arrival) && self.arrivals.len() < MAX_NONCES {
                break;
            }
            if let Some((_, pair)) = self.arrivals.pop_front() {
                self.seen.remove(&pair);
            }
        }
        let pair = (key_id.to_owned(), nonce.to_owned());
        let new = self.seen.insert(pair.clone());
        if new {
            self.arrivals.push_back((now, pair));
        }
        new
    }
}

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Its account.
    pub(super) account: AccountId,
    /// The key it used.
    pub(super) key_id: String,
    /// The role it plays, where its key is a temporary one.
    pub(super) role: Option<RoleSession>,
}

impl Caller {
    /// Who needs no key: whoever has a token.
    fn nobody() -> Self {
        Self { account: "anonymous".into(), key_id: String::new(), role: None }
    }
}

/// Whether a call needs no key.
fn is_by_token(wire: &Wire, params: &Params) -> bool {
    let action = wire.header("x-acs-action").or_else(|| params.get("Action"));
    let signed = wire.header("authorization").is_some() || params.get("Signature").is_some();
    action == Some("AssumeRoleWithOIDC") && !signed
}

/// Authenticates a request.
///
/// # Errors
/// The vendor's refusal, by the first check that fails.
pub(super) fn authenticate(wire: &Wire, params: &Params, cloud: &mut Cloud, now: Timestamp) -> Result<Caller, Refusal> {
    if is_by_token(wire, params) {
        return Ok(Caller::nobody());
    }
    let claim = Claim::read(wire, params)?;
    let lasting = cloud.world.key(&claim.key_id).map(|(account, key)| (account.id.clone(), key.clone(), None));
    let found = lasting.or_else(|| cloud.sessions.find(&cloud.world, &claim.key_id, now));
    let (account, key, role) = found.ok_or_else(|| rules::KEY_NOT_FOUND.about(&claim.key_id))?;
    if key.disabled {
        return Err(rules::KEY_DISABLED.refuse());
    }
    check_token(claim.token.as_deref(), &key)?;
    if !claim.is_signed_with(&key.secret) {
        return Err(rules::signature_mismatch(&claim.shown));
    }
    if !cloud.nonces.admit(&key.id, &claim.nonce, now) {
        return Err(rules::NONCE_USED.refuse());
    }
    let date = parse_date(&claim.date)?;
    if now.duration_since(date).abs() > SignedDuration::from_secs(rules::TIME_SKEW_SECONDS) {
        return Err(rules::TIMESTAMP_EXPIRED.about(&now.to_string()));
    }
    let role = role.or_else(|| key.security_token.is_some().then(|| RoleSession::of_world(&account)));
    Ok(Caller { account, key_id: claim.key_id, role })
}

fn check_token(given: Option<&str>, key: &Key) -> Result<(), Refusal> {
    match (&key.security_token, given.filter(|token| !token.is_empty())) {
        (Some(_), None) => Err(rules::TOKEN_MISSING.refuse()),
        (Some(_), Some(_)) if key.expired => Err(rules::TOKEN_EXPIRED.refuse()),
        (Some(token), Some(given)) if token != given => Err(rules::TOKEN_MALFORMED.refuse()),
        (None, Some(_)) => Err(rules::TOKEN_MALFORMED.about("the key has none")),
        // A lasting key has no time to be past; the world's `expired` then stands for a key that was withdrawn.
        (None, None) if key.expired => Err(rules::KEY_NOT_FOUND.about(&key.id)),
        _ => Ok(()),
    }
}

/// `yyyy-MM-ddTHH:mm:ssZ`, and nothing else.
fn parse_date(text: &str) -> Result<Timestamp, Refusal> {
    let date = text.parse::<Timestamp>().ok().filter(|date| super::answers::instant(*date) == text);
    date.ok_or_else(|| rules::ILLEGAL_TIMESTAMP.refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_nonce_is_refused_until_no_request_that_bore_it_can_be_valid() {
        let mut nonces = Nonces::default();
        assert!(nonces.admit("key", "n", at(0)));
        assert!(!nonces.admit("key", "n", at(1800)));
        assert!(nonces.admit("other", "n", at(1800)));
        assert!(nonces.admit("key", "n", at(1801)));
    }

    #[test]
    fn memory_for_nonces_is_bounded() {
        let mut nonces = Nonces::default();
        for n in 0..=MAX_NONCES {
            assert!(nonces.admit("key", &n.to_string(), at(0)));
        }
        assert!(nonces.arrivals.len() <= MAX_NONCES && nonces.seen.len() <= MAX_NONCES);
        assert!(!nonces.admit("key", &MAX_NONCES.to_string(), at(0)));
    }

    #[test]
    fn dates_have_one_form() {
        assert!(parse_date("2024-05-06T07:08:09Z").is_ok());
        for bad in ["", "2024-05-06T07:08:09.5Z", "2024-05-06 07:08:09Z", "2024-05-06T09:08:09+02", "20240506T070809Z"]
        {
            assert_eq!(parse_date(bad).unwrap_err().code, "IllegalTimestamp", "{bad}");
        }
    }
}
