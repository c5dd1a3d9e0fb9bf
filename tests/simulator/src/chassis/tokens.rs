//! Tokens of Kubernetes' `ServiceAccounts`, as a vendor's OIDC provider reads them. Whether the cluster signed one is not checked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The `ServiceAccount` that a role trusts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedServiceAccount {
    /// The subject of its tokens: `system:serviceaccount:NAMESPACE:NAME`.
    pub subject: String,
    /// The audience that the provider is registered with.
    pub audience: String,
}

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    aud: Audiences,
    /// In seconds.
    exp: i64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// It is none.
    Unreadable,
    /// It is past its time.
    Expired,
    /// It is for somebody else.
    Audience,
    /// It is of somebody else.
    Subject,
}

/// Holds a token against the `ServiceAccounts` that a role trusts; with several faults, the first one counts.
pub(crate) fn check(token: &str, trusted: &[TrustedServiceAccount], now: Timestamp) -> Result<(), TokenFault> {
    let claims = read(token).ok_or(TokenFault::Unreadable)?;
    if now.as_second() >= claims.exp {
        return Err(TokenFault::Expired);
    }
    let is_for = |audience: &str| match &claims.aud {
        Audiences::One(one) => one == audience,
        Audiences::Many(many) => many.iter().any(|one| one == audience),
    };
    let mut of_audience = trusted.iter().filter(|one| is_for(&one.audience)).peekable();
    if of_audience.peek().is_none() {
        return Err(TokenFault::Audience);
    }
    if of_audience.any(|one| one.subject == claims.sub) { Ok(()) } else { Err(TokenFault::Subject) }
}

fn read(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

/// A token with these claims, for tests.
#[cfg(test)]
pub(crate) fn token(subject: &str, audience: &str, expires: i64) -> String {
    let claims = serde_json::json!({"iss": "https://cluster", "sub": subject, "aud": [audience], "exp": expires});
    format!("head.{}.signature", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_token_makes_the_cloud_panic_or_passes_for_another(
            text in prop_oneof![".{0,60}", "[A-Za-z0-9_.=-]{0,80}"], claims in ".{0,60}", life in any::<i64>(),
        ) {
            let trusted = [TrustedServiceAccount { subject: "a".to_owned(), audience: "sts".to_owned() }];
            let now = Timestamp::from_second(100).unwrap();
            let coded = format!("h.{}.s", URL_SAFE_NO_PAD.encode(&claims));
            for token in [text, coded, token(&claims, "sts", life)] {
                let passed = check(&token, &trusted, now).is_ok();
                prop_assert!(!passed || claims == "a" && life > 100, "{}", token);
            }
        }
    }

    #[test]
    fn a_token_is_held_against_its_time_its_audience_and_its_subject() {
        let trust = |subject: &str| TrustedServiceAccount { subject: subject.to_owned(), audience: "sts".to_owned() };
        let (trusted, now) = ([trust("a"), trust("b")], Timestamp::from_second(100).unwrap());
        for (token, wanted) in [
            (token("b", "sts", 101), Ok(())),
            (token("b", "sts", 100), Err(TokenFault::Expired)),
            (token("b", "other", 101), Err(TokenFault::Audience)),
            (token("c", "sts", 101), Err(TokenFault::Subject)),
            ("a.b.c".to_owned(), Err(TokenFault::Unreadable)),
            (String::new(), Err(TokenFault::Unreadable)),
        ] {
            assert_eq!(check(&token, &trusted, now), wanted, "{token}");
        }
        assert_eq!(check(&token("a", "sts", 101), &[], now), Err(TokenFault::Audience));
    }
}
