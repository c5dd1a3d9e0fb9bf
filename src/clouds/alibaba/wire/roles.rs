//! Answers of STS that give keys, and who has keys.

use jiff::Timestamp;
use serde::Deserialize;

use super::read;
use crate::clouds::Fault;
use crate::clouds::alibaba::Credentials;
use crate::clouds::roles::{Granted, printable_arn};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GrantedAnswer {
    credentials: GrantedRow,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GrantedRow {
    access_key_id: String,
    access_key_secret: String,
    security_token: String,
    expiration: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IdentityAnswer {
    arn: String,
}

/// Reads `AssumeRole` and `AssumeRoleWithOIDC`, whose answer came at `now`.
pub(in crate::clouds::alibaba) fn read_granted(body: &[u8], now: Timestamp) -> Result<Granted<Credentials>, Fault> {
    let row = read::<GrantedAnswer>(body)?.credentials;
    let keys = Credentials::parse(&row.access_key_id, &row.access_key_secret, Some(&row.security_token));
    Granted::until(keys.map_err(|_| Fault::Unintelligible)?, row.expiration, now)
}

/// Reads the ARN of `GetCallerIdentity`, if it can be shown.
pub(in crate::clouds::alibaba) fn read_arn(body: &[u8]) -> Option<String> {
    read::<IdentityAnswer>(body).ok().and_then(|answer| printable_arn(&answer.arn))
}
