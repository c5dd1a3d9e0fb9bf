//! IAM tokens for users with a password: builds the request and reads the answer; sends nothing.

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::wire::read;
use crate::clouds::Fault;
use crate::clouds::transport::Answer;
use crate::domain::identifiers::{PrincipalId, RegionId};

/// IAM tokens live a day (IAM's page on tokens); a longer declared lifetime is cut to that.
const LIFE_MAX: SignedDuration = SignedDuration::from_hours(24);
/// Renew a token this long before it expires, or less if it is short-lived.
const MARGIN_MAX: SignedDuration = SignedDuration::from_mins(10);

/// The scope of a token, or of a signed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope<'a> {
    /// The domain as a whole: identities and projects.
    Domain,
    /// One project.
    Project {
        /// Its region.
        region: &'a RegionId,
        /// Its id.
        id: &'a PrincipalId,
    },
}

impl Scope<'_> {
    /// The key of its token in a cache.
    pub(super) fn key(self) -> String {
        match self {
            Self::Domain => String::new(),
            Self::Project { id, .. } => id.to_string(),
        }
    }
}

/// The body of `POST /v3/auth/tokens`.
pub(super) fn question(user: &str, password: &str, domain: &str, scope: Scope<'_>) -> Vec<u8> {
    let scope = match scope {
        Scope::Domain => json!({"domain": {"name": domain}}),
        Scope::Project { id, .. } => json!({"project": {"id": id}}),
    };
    let user = json!({"name": user, "password": password, "domain": {"name": domain}});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    json!({"auth": {"identity": identity, "scope": scope}}).to_string().into_bytes()
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: TokenRow,
}

#[derive(Deserialize)]
struct TokenRow {
    expires_at: Timestamp,
    #[serde(default)]
    issued_at: Option<Timestamp>,
}

/// Reads the token answer, which arrived at `now`: the token, and when to renew it. Counts the lifetime from `now`, regardless
/// of the vendor's clock.
pub(super) fn read_token(answer: &Answer, now: Timestamp) -> Result<(SecretString, Timestamp), Fault> {
    let row = read::<TokenAnswer>(&answer.body)?.token;
    let value = answer.headers.get("x-subject-token").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let life = row.expires_at.duration_since(row.issued_at.unwrap_or(now)).min(LIFE_MAX);
    if value.is_empty() || !life.is_positive() {
        return Err(Fault::Unintelligible);
    }
    let margin = MARGIN_MAX.min(life / 10);
    let renewed_at = now.checked_add(life - margin).map_err(|_| Fault::Unintelligible)?;
    Ok((SecretString::from(value), renewed_at))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    const NOW: &str = "2024-05-06T07:08:09Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn answer(value: Option<&str>, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert("x-subject-token", value.parse().unwrap());
        }
        Answer { status: 201, headers, body: body.as_bytes().to_vec() }
    }

    fn fresh_for(body: &str) -> Result<SignedDuration, Fault> {
        read_token(&answer(Some("t"), body), now()).map(|(_, renewed_at)| renewed_at.duration_since(now()))
    }

    #[test]
    fn question_names_user_password_and_scope() {
        let (region, id) = (RegionId::parse("cn-north-4").unwrap(), PrincipalId::parse("p1").unwrap());
        let text = |scope| String::from_utf8(question("u", "p\"w", "d", scope)).unwrap();
        assert_eq!(
            text(Scope::Project { region: &region, id: &id }),
            r#"{"auth":{"identity":{"methods":["password"],"password":{"user":{"domain":{"name":"d"},"name":"u","password":"p\"w"}}},"scope":{"project":{"id":"p1"}}}}"#
        );
        assert!(text(Scope::Domain).ends_with(r#""scope":{"domain":{"name":"d"}}}}"#));
    }

    #[test]
    fn token_is_good_for_its_life_less_a_margin_by_the_own_clock() {
        // With clocks an hour apart, the lifetime counts, not the time of day.
        let day = r#"{"token":{"issued_at":"2024-05-06T06:08:09.000000Z","expires_at":"2024-05-07T06:08:09.000000Z"}}"#;
        assert_eq!(fresh_for(day), Ok(SignedDuration::from_mins(24 * 60 - 10)));
        let year = r#"{"token":{"expires_at":"2025-05-06T07:08:09.000000Z"}}"#;
        assert_eq!(fresh_for(year), Ok(SignedDuration::from_mins(24 * 60 - 10)));
        let brief = r#"{"token":{"issued_at":"2024-05-06T07:08:09Z","expires_at":"2024-05-06T07:08:19Z"}}"#;
        assert_eq!(fresh_for(brief), Ok(SignedDuration::from_secs(9)));
    }

    #[test]
    fn answers_without_a_token_or_an_end_are_unintelligible() {
        let good = r#"{"token":{"expires_at":"2024-05-07T07:08:09Z"}}"#;
        assert!(read_token(&answer(Some("t"), good), now()).is_ok());
        for (value, body) in [
            (None, good),
            (Some(""), good),
            (Some("t"), r#"{"token":{}}"#),
            (Some("t"), r#"{"token":{"expires_at":"soon"}}"#),
            (Some("t"), r#"{"token":{"expires_at":"2024-05-06T07:08:09Z"}}"#),
            (Some("t"), "<html>"),
        ] {
            assert_eq!(read_token(&answer(value, body), now()).unwrap_err(), Fault::Unintelligible, "{body}");
        }
    }
}
