//! Projects, users, application credentials and tokens.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{CALL, OpenStack, text};
use crate::wait::eventually;

/// Tokens by the user's name, and when they were asked for.
pub(super) type Tokens = Mutex<HashMap<String, (String, Instant)>>;

fn lock(tokens: &Tokens) -> MutexGuard<'_, HashMap<String, (String, Instant)>> {
    tokens.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One project with one user in it, who may do what members may. The user's domain is `Default`.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// The user's name.
    pub user: String,
    /// The user's id.
    pub user_id: String,
    /// The user's password.
    pub password: String,
    /// Id of the user's application credential for the project.
    pub credential_id: String,
    /// Its secret.
    pub credential_secret: String,
}

impl OpenStack {
    /// Makes a project, a user that is its member, and an application credential.
    pub async fn create_project(&self, name: &str) -> Result<Project> {
        let admin = self.admin().await?;
        let name = format!("{name}-{:08x}", rand::random::<u32>());
        let project = json!({"project": {"name": name, "domain_id": "default"}});
        let id = text(&self.identity(&admin, Method::POST, "/projects", &project).await?, "/project/id")?;
        let password = format!("{:032x}", rand::random::<u128>());
        let user = json!({"user": {"name": name, "domain_id": "default", "password": password}});
        let user_id = text(&self.identity(&admin, Method::POST, "/users", &user).await?, "/user/id")?;
        let (credential_id, credential_secret) = (String::new(), String::new());
        let mut project = Project { id, user: name, user_id, password, credential_id, credential_secret };
        self.let_use(&project, true).await?;
        (project.credential_id, project.credential_secret) = self.create_credential(&project).await?;
        Ok(project)
    }

    /// Makes a project's user a member of it, or no member any more. Who is none still gets tokens, by a role that no policy knows,
    /// but has no application credential.
    pub async fn let_use(&self, project: &Project, member: bool) -> Result<()> {
        let admin = self.admin().await?;
        let roles = self.identity(&admin, Method::GET, "/roles?name=member", &Value::Null).await?;
        let of = |role: &str| format!("/projects/{}/users/{}/roles/{role}", project.id, project.user_id);
        let is_member = of(&text(&roles, "/roles/0/id")?);
        if member {
            return self.identity(&admin, Method::PUT, &is_member, &Value::Null).await.map(drop);
        }
        let role = json!({"role": {"name": format!("guest-{:08x}", rand::random::<u32>())}});
        let role = text(&self.identity(&admin, Method::POST, "/roles", &role).await?, "/role/id")?;
        self.identity(&admin, Method::PUT, &of(&role), &Value::Null).await?;
        self.identity(&admin, Method::DELETE, &is_member, &Value::Null).await.map(drop)
    }

    /// Makes another application credential of a project's user: its id and its secret.
    pub async fn create_credential(&self, project: &Project) -> Result<(String, String)> {
        let name = format!("{:08x}", rand::random::<u32>());
        let credential = json!({"application_credential": {"name": name}});
        let path = format!("/users/{}/application_credentials", project.user_id);
        let made = self.identity(&self.token_of(project).await?, Method::POST, &path, &credential).await?;
        Ok((text(&made, "/application_credential/id")?, text(&made, "/application_credential/secret")?))
    }

    /// Deletes a project's application credential.
    pub async fn delete_credential(&self, project: &Project) -> Result<()> {
        let path = format!("/users/{}/application_credentials/{}", project.user_id, project.credential_id);
        self.identity(&self.token_of(project).await?, Method::DELETE, &path, &Value::Null).await.map(drop)
    }

    /// Revokes all tokens of a project's user, and waits until new ones are good; the password stays. Application
    /// credentials may go with them.
    pub async fn revoke_tokens(&self, project: &Project) -> Result<()> {
        let admin = self.admin().await?;
        let old = self.token_of(project).await?;
        let path = format!("/users/{}", project.user_id);
        for enabled in [false, true] {
            self.identity(&admin, Method::PATCH, &path, &json!({"user": {"enabled": enabled}})).await?;
        }
        ensure!(!self.is_good(&old).await?, "a token outlived its revocation");
        // Keystone revokes by the second: a token of the same one is refused as well.
        eventually(CALL, "a good token", async || {
            lock(&self.tokens).remove(&project.user);
            let new = self.token_of(project).await?;
            Ok(self.is_good(&new).await?.then_some(()))
        })
        .await
    }

    async fn is_good(&self, token: &str) -> Result<bool> {
        let url = format!("{}/v2/images?limit=1", self.image_url);
        let reply = self.call(Method::GET, &url, Some(token), None).await?.expect("a token's trial", &[200, 401])?;
        Ok(reply.status == 200)
    }

    /// A token of a project's user.
    pub(super) async fn token_of(&self, project: &Project) -> Result<String> {
        self.token(&project.user, &project.password, &json!({"id": project.id})).await
    }

    /// A token of who may do everything.
    pub(super) async fn admin(&self) -> Result<String> {
        self.token("admin", "admin", &json!({"name": "admin", "domain": {"name": "Default"}})).await
    }

    /// A token asked for a short while ago, or a new one: each costs as much as some calls.
    async fn token(&self, user: &str, password: &str, project: &Value) -> Result<String> {
        let kept = lock(&self.tokens).get(user).filter(|(_, asked)| asked.elapsed() < self.tokens_kept).cloned();
        if let Some((token, _)) = kept {
            return Ok(token);
        }
        let asked = Instant::now();
        let token = self.new_token(user, password, project).await?;
        lock(&self.tokens).insert(user.to_owned(), (token.clone(), asked));
        Ok(token)
    }

    async fn new_token(&self, user: &str, password: &str, project: &Value) -> Result<String> {
        let user = json!({"name": user, "domain": {"name": "Default"}, "password": password});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let question = json!({"auth": {"identity": identity, "scope": {"project": project}}});
        let body = Some(("application/json", question.to_string().into_bytes()));
        let url = format!("{}/auth/tokens", self.auth_url());
        let reply = self.call(Method::POST, &url, None, body).await?.expect("asking for a token", &[201])?;
        let token = reply.headers.get("x-subject-token").context("no token")?;
        Ok(token.to_str()?.to_owned())
    }

    /// One call of Keystone; `null` sends no body, and stands for an empty answer.
    pub(super) async fn identity(&self, token: &str, method: Method, path: &str, body: &Value) -> Result<Value> {
        let what = format!("{method} {path}");
        let body = (!body.is_null()).then(|| ("application/json", body.to_string().into_bytes()));
        let url = format!("{}{path}", self.auth_url());
        let reply = self.call(method, &url, Some(token), body).await?.expect(&what, &[200, 201, 204])?;
        if reply.body.is_empty() { Ok(Value::Null) } else { reply.json() }
    }
}
