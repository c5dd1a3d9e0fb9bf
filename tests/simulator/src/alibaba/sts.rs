//! STS: who a caller is, and roles that callers assume.

use super::authentication::Caller;
use super::operations::Call;
use super::rules;
use super::world::World;
use super::world_file::{Key, Role};
use crate::chassis::names::AccountId;
use crate::chassis::refusal::Refusal;
use crate::chassis::tokens::{self, TokenFault};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most sessions remembered; past that those are forgotten that are past their time.
const MAX_SESSIONS: usize = 100_000;

/// A role that a caller plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleSession {
    role: String,
    name: String,
    /// The role's id.
    id: String,
}

impl RoleSession {
    /// That of a temporary key which is part of the world, and which nobody assumed a role for.
    pub(super) fn of_world(account: &AccountId) -> Self {
        Self { role: "simulated".to_owned(), name: "session".to_owned(), id: role_id(account) }
    }
}

/// The id of an account's role: one for all of them, in the vendor's form.
fn role_id(account: &AccountId) -> String {
    format!("3{account}")
}

/// The key that came of a role.
#[derive(Debug, Clone)]
struct Session {
    account: AccountId,
    key: Key,
    role: RoleSession,
    expires: Timestamp,
}

/// The sessions there are, by the ids of their keys.
#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeMap<String, Session>);

impl Sessions {
    /// Account, key and role of a session. Those of a closed account are gone.
    pub(super) fn find(
        &self,
        world: &World,
        key_id: &str,
        now: Timestamp,
    ) -> Option<(AccountId, Key, Option<RoleSession>)> {
        let session = self.0.get(key_id).filter(|session| world.account(&session.account).is_some())?;
        let key = Key { expired: now >= session.expires, ..session.key.clone() };
        Some((session.account.clone(), key, Some(session.role.clone())))
    }

    /// `AssumeRole`: the role has to trust the caller's account, and the external id has to be the role's. That the vendor
    /// refuses an account's own key here, which has no users beside it in this world, is not simulated.
    pub(super) fn assume_role(&mut self, call: &Call<'_>, world: &World) -> Result<Value, Refusal> {
        let (arn, name) = (call.params.required("RoleArn")?, session_name(call)?);
        let (account, role) = role_of(world, arn)?;
        let told = role.external_id.is_none() || call.params.get("ExternalId") == role.external_id.as_deref();
        if !role.trusts.contains(&call.caller.account) || !told {
            return Err(rules::NO_PERMISSION.refuse());
        }
        self.begin(call, account, role, name)
    }

    /// `AssumeRoleWithOIDC`: the role has to trust the provider, and the `ServiceAccount` whose token it is.
    pub(super) fn assume_role_with_oidc(&mut self, call: &Call<'_>, world: &World) -> Result<Value, Refusal> {
        let (arn, name) = (call.params.required("RoleArn")?, session_name(call)?);
        let (provider, token) = (call.params.required("OIDCProviderArn")?, call.params.required("OIDCToken")?);
        let (account, role) = role_of(world, arn)?;
        let own = role.oidc_provider.as_ref().map(|name| format!("acs:ram::{account}:oidc-provider/{name}"));
        if own.as_deref() != Some(provider) {
            return Err(rules::OIDC_NO_PERMISSION.refuse());
        }
        tokens::check(token, &role.service_accounts, call.now).map_err(|fault| match fault {
            TokenFault::Unreadable => rules::OIDC_INVALID.refuse(),
            TokenFault::Expired => rules::OIDC_EXPIRED.refuse(),
            TokenFault::Audience => rules::OIDC_AUDIENCE.refuse(),
            TokenFault::Subject => rules::OIDC_NO_PERMISSION.refuse(),
        })?;
        self.begin(call, account, role, name)
    }

    fn begin(&mut self, call: &Call<'_>, account: &AccountId, role: &Role, name: &str) -> Result<Value, Refusal> {
        let (now, fresh) = (call.now, call.fresh);
        let seconds = seconds(call, role)?;
        let expires = now.checked_add(SignedDuration::from_secs(i64::from(seconds)));
        let expires = expires.map_err(|_| rules::BAD_DURATION.refuse())?;
        let key = Key {
            id: format!("STS.{}", fresh.thing),
            secret: fresh.image.replace('-', ""),
            security_token: Some(format!("CAISimulated/{}+{}==", fresh.request, fresh.thing)),
            disabled: false,
            expired: false,
        };
        let answer = json!({
            "Credentials": {
                "AccessKeyId": key.id, "AccessKeySecret": key.secret, "SecurityToken": key.security_token,
                "Expiration": super::answers::instant(expires),
            },
            "AssumedRoleUser": {
                "Arn": format!("acs:ram::{account}:role/{}/{name}", role.name),
                "AssumedRoleId": format!("{}:{name}", role_id(account)),
            },
        });
        if self.0.len() >= MAX_SESSIONS {
            self.0.retain(|_, session| now < session.expires);
        }
        let role = RoleSession { role: role.name.clone(), name: name.to_owned(), id: role_id(account) };
        self.0.insert(key.id.clone(), Session { account: account.clone(), key, role, expires });
        Ok(answer)
    }
}

/// The role of an ARN, `acs:ram::ACCOUNT:role/NAME`. The vendor's samples write a role's name in both cases.
fn role_of<'w>(world: &'w World, arn: &str) -> Result<(&'w AccountId, &'w Role), Refusal> {
    let parts: Vec<_> = arn.splitn(5, ':').collect();
    let ["acs", "ram", "", account, resource] = parts.as_slice() else { return Err(rules::BAD_ROLE_ARN.refuse()) };
    let name = resource.strip_prefix("role/").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| rules::BAD_ROLE_ARN.refuse())?;
    let account = world.account(&AccountId::from(*account));
    let role = account.and_then(|account| {
        let role = account.roles.iter().find(|role| role.name.eq_ignore_ascii_case(name))?;
        Some((&account.id, role))
    });
    role.ok_or_else(|| rules::ROLE_NOT_FOUND.refuse())
}

fn session_name<'a>(call: &Call<'a>) -> Result<&'a str, Refusal> {
    let name = call.params.required("RoleSessionName")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
    if (2..=64).contains(&name.len()) && name.chars().all(fits) {
        Ok(name)
    } else {
        Err(rules::BAD_SESSION_NAME.refuse())
    }
}

/// How long the session is.
fn seconds(call: &Call<'_>, role: &Role) -> Result<u32, Refusal> {
    let asked = call.params.get("DurationSeconds").map_or(Ok(rules::DEFAULT_SESSION), str::parse);
    let fits = asked.ok().filter(|seconds| (rules::SHORTEST_SESSION..=role.max_session_seconds).contains(seconds));
    let seconds = fits.ok_or_else(|| rules::BAD_DURATION.refuse())?;
    Ok(role.session_seconds.unwrap_or(seconds))
}

/// `GetCallerIdentity`. An account's lasting key is taken for its root's, a temporary one for a role's; users are not
/// simulated.
pub(super) fn identity(caller: &Caller) -> Value {
    let account = &caller.account;
    let Some(RoleSession { role, name, id }) = &caller.role else {
        return json!({
            "AccountId": account, "Arn": format!("acs:ram::{account}:root"), "IdentityType": "Account",
            "PrincipalId": account, "UserId": account,
        });
    };
    json!({
        "AccountId": account, "Arn": format!("acs:ram::{account}:assumed-role/{role}/{name}"),
        "IdentityType": "AssumedRoleUser", "PrincipalId": format!("{id}:{name}"), "RoleId": id,
    })
}
