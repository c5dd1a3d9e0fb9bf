//! Temporary keys of the identity service: by a token, or by an agency that another domain delegated to the caller's.

use super::authentication::{Access, Caller};
use super::rules;
use super::world::World;
use super::world_file::{Domain, Key};
use crate::chassis::exchange::Fresh;
use crate::chassis::names::AccountId;
use crate::chassis::refusal::Refusal;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most temporary keys remembered; past that those are forgotten that are past their time.
const MAX_KEYS: usize = 100_000;

#[derive(Debug, Clone)]
struct TemporaryKey {
    domain: AccountId,
    key: Key,
    until: Timestamp,
}

/// The temporary keys given out, by their ids.
#[derive(Debug, Default)]
pub(super) struct TemporaryKeys(BTreeMap<String, TemporaryKey>);

impl TemporaryKeys {
    /// A key and its domain, while it is valid and the domain is open.
    pub(super) fn find<'w>(&self, world: &'w World, ak: &str, now: Timestamp) -> Option<(&'w Domain, Key)> {
        let held = self.0.get(ak).filter(|held| now < held.until)?;
        Some((world.domain(&held.domain)?, held.key.clone()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    auth: Auth,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    identity: Identity,
}

// A policy, which narrows a key for the object storage service alone, is not among the fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    methods: Vec<String>,
    token: Option<ByToken>,
    assume_role: Option<ByAgency>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByToken {
    id: Option<String>,
    duration_seconds: Option<Seconds>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByAgency {
    domain_name: Option<String>,
    domain_id: Option<String>,
    agency_name: String,
    duration_seconds: Option<Seconds>,
    // By which name the session stands in the delegating domain's audit log.
    #[serde(rename = "session_user")]
    _session_user: Option<Value>,
}

/// A number, or a number as text: samples of the vendor's pages have both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(i64),
    Text(String),
}

impl Access {
    /// Gives a temporary key out.
    ///
    /// # Errors
    /// When the body makes no sense, the token is not valid, or the agency is not the caller's to use.
    pub(super) fn give_key(
        &mut self,
        world: &World,
        caller: &Caller,
        body: &[u8],
        fresh: &Fresh,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let request: Request =
            serde_json::from_slice(body).map_err(|error| rules::BAD_TOKEN_REQUEST.about(&error.to_string()))?;
        let Identity { methods, token, assume_role } = request.auth.identity;
        let methods: Vec<_> = methods.iter().map(String::as_str).collect();
        let (domain, project, seconds) = match (methods.as_slice(), token, assume_role) {
            (["token"], token, None) => {
                let ByToken { id, duration_seconds } = token.unwrap_or(ByToken { id: None, duration_seconds: None });
                let of_token = |id: String| self.sessions.caller(&id, now).cloned();
                let caller = id.map_or(Some(caller.clone()), of_token);
                let caller = caller.ok_or_else(|| rules::BAD_TOKEN_UNCONFIRMED.refuse())?;
                (caller.domain, caller.place.map(|(project, _)| project), duration_seconds)
            }
            (["assume_role"], None, Some(agency)) => {
                (delegating(world, caller, &agency)?, None, agency.duration_seconds)
            }
            _ => return Err(rules::BAD_TOKEN_REQUEST.about("methods is neither token nor assume_role")),
        };
        let until = now.checked_add(SignedDuration::from_secs(life(seconds)?));
        let until = until.map_err(|_| rules::BAD_TOKEN_REQUEST.about("duration_seconds"))?;
        let key = Key {
            ak: fresh.thing.get(12..).unwrap_or(&fresh.thing).to_uppercase(),
            sk: fresh.image.replace('-', ""),
            token: Some(format!("simulated/{}+{}=", fresh.request, fresh.thing)),
            project,
            disabled: false,
            expired: false,
        };
        let answer = json!({"credential": {
            "access": key.ak, "secret": key.sk, "securitytoken": key.token,
            "expires_at": until.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        }});
        let keys = &mut self.temporary.0;
        if keys.len() >= MAX_KEYS {
            keys.retain(|_, held| now < held.until);
        }
        keys.insert(key.ak.clone(), TemporaryKey { domain, key, until });
        Ok(answer)
    }
}

/// The domain whose agency the caller may use.
fn delegating(world: &World, caller: &Caller, asked: &ByAgency) -> Result<AccountId, Refusal> {
    let domain = match (&asked.domain_id, &asked.domain_name) {
        (Some(id), _) => world.domain(&AccountId::from(id.as_str())),
        (None, Some(name)) => world.domain_named(name),
        (None, None) => return Err(rules::BAD_TOKEN_REQUEST.about("neither domain_id nor domain_name")),
    };
    let delegated = |domain: &&Domain| {
        let mut agencies = domain.agencies.iter();
        agencies.any(|agency| agency.name == asked.agency_name && agency.trusts.contains(&caller.domain))
    };
    let domain = domain.filter(delegated).ok_or_else(|| rules::BAD_AGENCY.refuse())?;
    Ok(domain.id.clone())
}

fn life(asked: Option<Seconds>) -> Result<i64, Refusal> {
    let seconds = match asked {
        None => Some(rules::DEFAULT_TEMPORARY_SECONDS),
        Some(Seconds::Number(seconds)) => Some(seconds),
        Some(Seconds::Text(text)) => text.parse().ok(),
    };
    let fits = seconds.filter(|seconds| rules::TEMPORARY_SECONDS.contains(seconds));
    fits.ok_or_else(|| rules::BAD_TOKEN_REQUEST.about("duration_seconds is not from 900 to 86400"))
}
