//! The identity service, on the same port: tokens by password, and what a caller may ask about its domain.

use super::authentication::Caller;
use super::query::Query;
use super::world::World;
use super::{catalog, rules};
use crate::chassis::names::AccountId;
use crate::chassis::refusal::Refusal;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Most tokens remembered; past that the oldest are forgotten early.
const MAX_TOKENS: usize = 10_000;

/// The tokens given out.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_token: BTreeMap<String, (Caller, Timestamp)>,
    order: VecDeque<String>,
}

impl Sessions {
    /// Whose token it is, while it is valid.
    pub(super) fn caller(&self, token: &str, now: Timestamp) -> Option<&Caller> {
        self.by_token.get(token).filter(|(_, until)| now < *until).map(|(caller, _)| caller)
    }

    fn admit(&mut self, token: String, caller: Caller, until: Timestamp) {
        self.order.push_back(token.clone());
        self.by_token.insert(token, (caller, until));
        while self.order.len() > MAX_TOKENS {
            if let Some(oldest) = self.order.pop_front() {
                self.by_token.remove(&oldest);
            }
        }
    }
}

#[derive(Deserialize)]
struct TokenRequest {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    identity: Identity,
    scope: Option<Scope>,
}

#[derive(Deserialize)]
struct Identity {
    methods: Vec<String>,
    password: Password,
}

#[derive(Deserialize)]
struct Password {
    user: PasswordUser,
}

#[derive(Deserialize)]
struct PasswordUser {
    name: String,
    password: String,
    domain: Named,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
struct Scope {
    project: Option<Named>,
    domain: Option<Named>,
}

/// Checks name, password and scope of a request for a token.
///
/// # Errors
/// When the body is none, the user or password wrong, or the scope another's.
pub(super) fn log_in(world: &World, body: &[u8]) -> Result<Caller, Refusal> {
    let request: TokenRequest =
        serde_json::from_slice(body).map_err(|error| rules::BAD_TOKEN_REQUEST.about(&error.to_string()))?;
    let Identity { methods, password: Password { user } } = request.auth.identity;
    if methods != ["password"] {
        return Err(rules::BAD_TOKEN_REQUEST.about("the only method is password"));
    }
    let domain = match (&user.domain.id, &user.domain.name) {
        (Some(id), _) => world.domain(&AccountId::from(id.as_str())),
        (None, Some(name)) => world.domain_named(name),
        (None, None) => None,
    };
    let known = |domain: &&super::world_file::Domain| {
        domain.users.iter().any(|one| one.name == user.name && one.password == user.password)
    };
    let domain = domain.filter(known).ok_or_else(|| rules::WRONG_PASSWORD.refuse())?;
    let is = |scope: &Named, id: &AccountId, name: &str| match (&scope.id, &scope.name) {
        (Some(given), _) => given == id.as_str(),
        (None, Some(given)) => given == name,
        (None, None) => false,
    };
    let wrong_scope = || rules::WRONG_SCOPE.refuse();
    let project = match request.auth.scope {
        Some(Scope { project: Some(scope), .. }) => {
            let project = domain.projects.iter().find(|project| is(&scope, &project.id, project.name()));
            Some(project.ok_or_else(wrong_scope)?.id.clone())
        }
        Some(Scope { domain: Some(scope), .. }) if !is(&scope, &domain.id, &domain.name) => return Err(wrong_scope()),
        _ => None,
    };
    Ok(Caller::of(domain, project.as_ref(), &user.name))
}

/// Gives a token out: the answer's body; the token itself goes into a header.
pub(super) fn give_token(
    sessions: &mut Sessions,
    world: &World,
    caller: &Caller,
    (token, origin): (&str, Option<&str>),
    now: Timestamp,
) -> Value {
    let until = now.checked_add(SignedDuration::from_secs(rules::TOKEN_SECONDS)).unwrap_or(now);
    sessions.admit(token.to_owned(), caller.clone(), until);
    let micros = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    let domain_name = world.domain(&caller.domain).map(|domain| domain.name.clone());
    let domain = json!({"id": caller.domain, "name": domain_name});
    let mut body = json!({
        "methods": ["password"], "issued_at": micros(now), "expires_at": micros(until),
        // Which roles a user has is not simulated: it may do all.
        "roles": [{"id": "0", "name": "te_admin"}],
        "user": {"id": format!("{:0>32}", hex::encode(&caller.key_id)), "name": caller.key_id, "domain": domain,
            "password_expires_at": ""},
    });
    let region = caller.place.as_ref().map(|(_, region)| region);
    if let (Some(origin), Some(fields)) = (origin, body.as_object_mut()) {
        fields.insert("catalog".to_owned(), catalog::of_token(origin, region));
    }
    if let Some(fields) = body.as_object_mut() {
        match &caller.place {
            Some((id, region)) => {
                let name = world.project(id).map_or(region.as_str(), |(_, project)| project.name());
                fields.insert("project".to_owned(), json!({"id": id, "name": name, "domain": domain}));
            }
            None => {
                fields.insert("domain".to_owned(), domain);
            }
        }
    }
    json!({ "token": body })
}

/// The projects of the caller's domain: those of a name, enabled ones (all are), and by pages.
pub(super) fn projects(world: &World, caller: &Caller, query: &Query) -> Result<Value, Refusal> {
    let known = ["name", "domain_id", "parent_id", "enabled", "is_domain", "page", "per_page"];
    query.only(&known, rules::IAM_BAD_PARAMETER)?;
    let number = |name: &str, most: usize| match query.get(name).map(str::parse::<usize>) {
        None => Ok(None),
        Some(Ok(number)) if (1..=most).contains(&number) => Ok(Some(number)),
        Some(_) => Err(rules::IAM_BAD_PARAMETER.about(name)),
    };
    let flag = |name: &str| match query.get(name) {
        None | Some("true" | "false") => Ok(query.get(name) == Some("true")),
        Some(_) => Err(rules::IAM_BAD_PARAMETER.about(name)),
    };
    // Pages come only where both are given (`KeystoneListProjects` page).
    let (page, size) = (number("page", usize::MAX)?, number("per_page", 5_000)?);
    let (skip, take) = page.zip(size).map_or((0, usize::MAX), |(page, size)| ((page - 1).saturating_mul(size), size));
    let disabled = query.get("enabled").is_some() && !flag("enabled")?;
    let impossible = flag("is_domain")? || disabled;
    let projects = world.domain(&caller.domain).map_or(&[][..], |domain| domain.projects.as_slice());
    let own = |name| query.get(name).is_none_or(|id| id == caller.domain.as_str());
    let is_wanted = |project: &&super::world_file::Project| {
        !impossible
            && own("domain_id")
            && own("parent_id")
            && query.get("name").is_none_or(|name| name == project.name())
    };
    let row = |project: &super::world_file::Project| {
        json!({
            "id": project.id, "name": project.name(), "domain_id": caller.domain, "parent_id": caller.domain,
            "enabled": true, "is_domain": false, "description": "", "links": {},
        })
    };
    let rows: Vec<_> = projects.iter().filter(is_wanted).skip(skip).take(take).map(row).collect();
    Ok(json!({"projects": rows, "links": {}}))
}

/// The domains the caller may act for: its own.
pub(super) fn domains(world: &World, caller: &Caller) -> Value {
    let name = world.domain(&caller.domain).map_or("", |domain| domain.name.as_str());
    let row = json!({"id": caller.domain, "name": name, "enabled": true, "description": "", "links": {}});
    json!({"domains": [row], "links": {}})
}

/// The regions of the caller's site.
pub(super) fn regions(world: &World, caller: &Caller) -> Value {
    let row = |region| json!({"id": region, "type": "public", "description": "", "locales": {}, "links": {}});
    let rows: Vec<_> = world.regions(&caller.domain).iter().map(row).collect();
    json!({"regions": rows, "links": {}})
}
