//! Answers of STS that give keys, and who has keys.

use jiff::Timestamp;

use super::read;
use crate::clouds::Fault;
use crate::clouds::aws::{Credentials, Operation};
use crate::clouds::roles::{Granted, printable_arn};

/// Reads the answer of a call that gives keys, which came at `now`.
pub(in crate::clouds::aws) fn read_granted(
    body: &[u8],
    operation: Operation,
    now: Timestamp,
) -> Result<Granted<Credentials>, Fault> {
    let root = read(body, operation)?;
    let result = root.child(&format!("{}Result", operation.action()))?.ok_or(Fault::Unintelligible)?;
    let row = result.child("Credentials")?.ok_or(Fault::Unintelligible)?;
    let [id, secret, token] = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| row.demand(name));
    let keys = Credentials::parse(id?, secret?, Some(token?)).map_err(|_| Fault::Unintelligible)?;
    let expires = row.demand("Expiration")?.parse().map_err(|_| Fault::Unintelligible)?;
    Granted::until(keys, expires, now)
}

/// Reads the ARN of `GetCallerIdentity`, if it can be shown.
pub(in crate::clouds::aws) fn read_arn(body: &[u8]) -> Option<String> {
    let root = read(body, Operation::GetCallerIdentity).ok()?;
    let result = root.child("GetCallerIdentityResult").ok()??;
    printable_arn(result.demand("Arn").ok()?)
}
