//! STS: who a caller is, and roles that callers assume: by an account's credentials, or by a web identity token.

use super::authentication::{Caller, Credentials, partition};
use super::hosts::Host;
use super::params::Params;
use super::rules::{self, missing};
use super::world::World;
use super::world_file::{Account, Role};
use crate::chassis::exchange::Fresh;
use crate::chassis::names::AccountId;
use crate::chassis::refusal::Refusal;
use crate::chassis::tokens::{self, TokenFault};
use crate::chassis::wire::Wire;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most sessions remembered; past that those are forgotten that are past their time.
const MAX_SESSIONS: usize = 100_000;
/// How long a session is unless asked otherwise, and the longest of a role that assumes a role, in seconds. Model, `AssumeRole`.
const AN_HOUR: u32 = 3600;
/// The shortest session, in seconds. Model, `AssumeRole`.
const SHORTEST: u32 = 900;

/// The credentials of a role that was assumed.
#[derive(Debug, Clone)]
struct Session {
    account: AccountId,
    secret: String,
    token: String,
    expires: Timestamp,
    arn: String,
    user_id: String,
    global: bool,
}

/// The sessions there are, by the ids of their keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Sessions(BTreeMap<String, Session>);

impl Sessions {
    /// The credentials of a key.
    pub(super) fn find(&self, key_id: &str, now: Timestamp) -> Option<Credentials> {
        let session = self.0.get(key_id)?;
        Some(Credentials {
            account: session.account.clone(),
            secret: session.secret.clone(),
            token: Some(session.token.clone()),
            expired: now >= session.expires,
            arn: session.arn.clone(),
            user_id: session.user_id.clone(),
            is_role: true,
            global: session.global,
        })
    }

    fn insert(&mut self, key_id: String, session: Session, now: Timestamp) {
        if self.0.len() >= MAX_SESSIONS {
            self.0.retain(|_, session| now < session.expires);
        }
        self.0.insert(key_id, session);
    }
}

/// `GetCallerIdentity`.
pub(super) fn identity(caller: &Caller) -> Value {
    json!({"GetCallerIdentityResult": {
        "Arn": caller.arn, "UserId": caller.user_id, "Account": caller.asker.account,
    }})
}

/// A role that a caller wants to assume.
pub(super) struct Assumption<'a> {
    pub(super) wire: &'a Wire,
    pub(super) params: &'a Params,
    pub(super) caller: &'a Caller,
    pub(super) fresh: &'a Fresh,
    pub(super) now: Timestamp,
}

impl Assumption<'_> {
    /// `AssumeRole`: the role has to trust the caller's account, and the external id has to be the role's.
    pub(super) fn by_account(&self, world: &World, sessions: &mut Sessions) -> Result<Value, Refusal> {
        let arn = self.params.required("RoleArn")?;
        let denied = || {
            let message =
                format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}", self.caller.arn);
            rules::ACCESS_DENIED.saying(message)
        };
        let (account, role) = self.role(world, arn).ok_or_else(denied)?;
        let external = role.external_id.as_deref();
        let told = external.is_none() || self.params.get("ExternalId") == external;
        if !role.trusts.contains(&self.caller.asker.account) || !told {
            return Err(denied());
        }
        self.begin(account, role, "AssumeRole", sessions)
    }

    /// `AssumeRoleWithWebIdentity`: the token has to be one of the role's.
    pub(super) fn by_web_identity(&self, world: &World, sessions: &mut Sessions) -> Result<Value, Refusal> {
        let arn = self.params.required("RoleArn")?;
        let token = self.params.required("WebIdentityToken")?;
        let denied =
            || rules::ACCESS_DENIED.saying("Not authorized to perform sts:AssumeRoleWithWebIdentity".to_owned());
        let (account, role) = self.role(world, arn).ok_or_else(denied)?;
        let listed = role.web_identities.iter().any(|one| one == token);
        let checked = if listed { Ok(()) } else { tokens::check(token, &role.service_accounts, self.now) };
        checked.map_err(|fault| match fault {
            TokenFault::Unreadable => rules::INVALID_IDENTITY.refuse(),
            TokenFault::Expired => rules::EXPIRED_IDENTITY.refuse(),
            TokenFault::Audience => rules::INVALID_IDENTITY.saying("Incorrect token audience".to_owned()),
            TokenFault::Subject => denied(),
        })?;
        self.begin(account, role, "AssumeRoleWithWebIdentity", sessions)
    }

    fn role<'w>(&self, world: &'w World, arn: &str) -> Option<(&'w Account, &'w Role)> {
        let parts: Vec<_> = arn.splitn(6, ':').collect();
        let ["arn", of, "iam", "", account, resource] = parts.as_slice() else { return None };
        let account = world.account(&AccountId::from(*account)).filter(|account| !account.closed)?;
        let same = *of == account.partition.word() && account.partition == partition(&self.caller.asker);
        let name = resource.strip_prefix("role/").filter(|_| same)?;
        account.roles.iter().find(|role| role.name == name).map(|role| (account, role))
    }

    fn begin(&self, account: &Account, role: &Role, action: &str, sessions: &mut Sessions) -> Result<Value, Refusal> {
        let name = self.params.required("RoleSessionName")?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !(2..=64).contains(&name.len()) || !name.chars().all(fits) {
            return Err(rules::VALIDATION.about("RoleSessionName"));
        }
        let seconds = self.seconds(role)?;
        let expires = self.now.checked_add(SignedDuration::from_secs(i64::from(seconds)));
        let expires = expires.map_err(|_| rules::VALIDATION.about("DurationSeconds"))?;
        let random = self.fresh.thing.to_uppercase();
        let key_id = format!("ASIA{}", random.get(..16).unwrap_or_default());
        let role_id = format!("AROA{}", random.get(16..).unwrap_or_default());
        let (secret, token) = (self.fresh.image.clone(), format!("FwoGSimulated//{}+{random}==", self.fresh.request));
        let arn = format!("arn:{}:sts::{}:assumed-role/{}/{name}", account.partition.word(), account.id, role.name);
        let user_id = format!("{role_id}:{name}");
        let answer = json!({format!("{action}Result"): {
            "Credentials": {
                "AccessKeyId": key_id, "SecretAccessKey": secret, "SessionToken": token,
                "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            },
            "AssumedRoleUser": {"Arn": arn, "AssumedRoleId": user_id},
        }});
        let global = Host::read(self.wire.header("host").unwrap_or_default()).is_some_and(|host| host.global);
        let session = Session { account: account.id.clone(), secret, token, expires, arn, user_id, global };
        sessions.insert(key_id, session, self.now);
        Ok(answer)
    }

    fn seconds(&self, role: &Role) -> Result<u32, Refusal> {
        let too_long =
            |why: &str| Err(rules::VALIDATION.saying(format!("The requested DurationSeconds exceeds {why}")));
        let asked = self.params.number("DurationSeconds")?;
        let seconds = asked.map_or(Ok(AN_HOUR), u32::try_from).map_err(|_| missing("DurationSeconds"))?;
        if seconds < SHORTEST {
            return Err(rules::VALIDATION.about("DurationSeconds is less than 900"));
        }
        if seconds > AN_HOUR && self.caller.is_role {
            return too_long("the 1 hour session limit for roles assumed by role chaining");
        }
        if seconds > role.max_session_seconds {
            return too_long("the MaxSessionDuration set for this role.");
        }
        Ok(role.session_seconds.unwrap_or(seconds))
    }
}
