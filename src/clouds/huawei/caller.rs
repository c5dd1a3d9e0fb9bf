//! Sends the single calls of one account: budget, credentials, signature or token, fault. Independent of their purpose.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Query;
use super::credentials::Credentials;
use super::endpoints::{Endpoints, Service, url_of};
use super::faults::fault_of;
use super::sign::{Unsigned, sign};
use super::tokens::{Scope, question, read_token};
use crate::clouds::client_context::ClientContext;
use crate::clouds::signing::canonical_query;
use crate::clouds::tokens::{Token, TokenCache, Wanted};
use crate::clouds::transport::{Answer, Request, sensitive};
use crate::clouds::{Fault, Priority};
use crate::domain::fault::{Missing, Refusal};
use crate::domain::identifiers::{PrincipalId, RegionId};
use crate::domain::provider::{Provider, Site};

/// The parameters of a client of one Huawei Cloud account.
#[derive(Debug, Clone)]
pub struct HuaweiAccess {
    /// The domain that the credentials should belong to; `Cloud::identity` returns the actual one.
    pub domain: PrincipalId,
    /// The vendor's DNS domain of the account's hosts.
    pub site: Site,
    /// Configured projects of regions. For a region without one, the client finds the region's own project by its name. The
    /// first project of a region owns and receives images; the client lists all of them.
    pub projects: Vec<(RegionId, PrincipalId)>,
    /// Where calls go.
    pub endpoints: Endpoints,
    /// The credentials that sign calls or request tokens.
    pub credentials: Credentials,
}

/// Maximum concurrent signed calls. The vendor locks a key after 5 wrong signatures in a row (API gateway FAQ). It
/// refuses an invalid key for every call in flight: these, plus one new attempt with the key, must be fewer than 5.
const SIGNED_AT_ONCE: usize = 3;

/// One call, not yet authenticated.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    /// The HTTP method.
    pub(super) method: Method,
    /// The service that receives it.
    pub(super) service: Service<'a>,
    /// The scope: a call of a project names the project.
    pub(super) scope: Scope<'a>,
    /// The path, escaped.
    pub(super) path: String,
    /// The query, unescaped.
    pub(super) query: Query,
    /// The body, possibly empty.
    pub(super) body: Vec<u8>,
}

/// How a call authenticates.
#[derive(Clone, Copy)]
enum Proof<'a> {
    Key {
        id: &'a SecretString,
        secret: &'a SecretString,
        token: Option<&'a SecretString>,
    },
    Token(&'a SecretString),
    /// The body holds the credentials.
    None,
}

/// Sends calls as one account. Shares connections and budgets with all other callers of the process.
pub(super) struct Caller {
    /// The account's budget key.
    account: String,
    site: Site,
    endpoints: Endpoints,
    credentials: Credentials,
    tokens: TokenCache<SecretString>,
    signing: Semaphore,
    /// The code with which the vendor refused the key. This client does not use that key again.
    refused: OnceLock<String>,
    pub(super) client_context: ClientContext,
}

impl Caller {
    pub(super) fn new(access: &HuaweiAccess, client_context: &ClientContext) -> Self {
        Self {
            account: format!("huawei/{}", access.domain),
            site: access.site,
            endpoints: access.endpoints.clone(),
            credentials: access.credentials.clone(),
            tokens: TokenCache::default(),
            signing: Semaphore::new(SIGNED_AT_ONCE),
            refused: OnceLock::new(),
            client_context: client_context.clone(),
        }
    }

    /// Makes one call. Repeats it only if the vendor refused a cached token: such a call had no effect.
    pub(super) async fn call(&self, call: &Call<'_>, priority: Priority) -> Result<Answer, Fault> {
        if let Credentials::AccessKey { id, secret, token } = &self.credentials {
            return self.send(call, Proof::Key { id, secret, token: token.as_ref() }, priority).await;
        }
        let (token, kept) = self.token(call.scope, Wanted::Valid, priority).await?;
        match self.send(call, Proof::Token(&token.value), priority).await {
            // Do not replace a token that was just requested: the vendor would refuse the next one as well.
            Err(Fault::Unauthenticated { .. }) if kept => {
                let (token, _) = self.token(call.scope, Wanted::OtherThan(&token), priority).await?;
                self.send(call, Proof::Token(&token.value), priority).await
            }
            outcome => outcome,
        }
    }

    /// Returns a token for a scope, and whether it came from the cache.
    async fn token(
        &self,
        scope: Scope<'_>,
        wanted: Wanted<'_, SecretString>,
        priority: Priority,
    ) -> Result<(Arc<Token<SecretString>>, bool), Fault> {
        let now = || self.client_context.clock.now();
        self.tokens.token(&scope.key(), wanted, now, self.ask_for_token(scope, priority)).await
    }

    async fn ask_for_token(&self, scope: Scope<'_>, priority: Priority) -> Result<(SecretString, Timestamp), Fault> {
        let Credentials::Password { user, password, domain } = &self.credentials else {
            return Err(Fault::Unauthenticated { code: "NoPassword".to_owned() });
        };
        let question = question(user.expose_secret(), password.expose_secret(), domain.expose_secret(), scope);
        let call = Call {
            method: Method::POST,
            service: match scope {
                Scope::Domain => Service::IamCentral,
                Scope::Project { region, .. } => Service::Iam(region),
            },
            // No header names a project: the body holds the scope.
            scope: Scope::Domain,
            path: "/v3/auth/tokens".to_owned(),
            query: Query::new(),
            body: question,
        };
        let answer = self.send(&call, Proof::None, priority).await?;
        read_token(&answer, self.client_context.clock.now())
    }

    async fn send(&self, call: &Call<'_>, proof: Proof<'_>, priority: Priority) -> Result<Answer, Fault> {
        let url = url_of(call.service, self.site, &self.endpoints).ok_or(Fault::NotFound(Missing::Region))?;
        let region = call.service.budget_key();
        let budget_account = match call.service {
            Service::Ims(_) => self.account.clone(),
            Service::Iam(_) | Service::IamCentral => self.client_context.proving(&self.account),
        };
        self.client_context.acquire(Provider::Huawei, &budget_account, &region, priority).await?;
        let _turn = match proof {
            Proof::Key { .. } => Some(self.signing_permit().await?),
            Proof::Token(_) | Proof::None => None,
        };
        // Sign only now: the wait for the budget may have been long, and the date must be fresh.
        let request = self
            .request(call, url, proof)
            .ok_or_else(|| Fault::Refused { refusal: Refusal::Unknown, code: "UnsendableHeader".to_owned() })?;
        let judge = |answer: &Answer| {
            (!(200..=299).contains(&answer.status)).then(|| fault_of(answer.status, &answer.headers, &answer.body))
        };
        let answer = self.client_context.send((Provider::Huawei, &budget_account, &region), request, judge).await;
        if let (Proof::Key { .. }, Err(Fault::Unauthenticated { code })) = (proof, &answer) {
            self.refused.get_or_init(|| code.clone());
        }
        answer
    }

    async fn signing_permit(&self) -> Result<SemaphorePermit<'_>, Fault> {
        // Nothing closes the semaphore.
        let turn = self.signing.acquire().await.map_err(|_| Fault::Unavailable)?;
        match self.refused.get() {
            Some(code) => Err(Fault::Unauthenticated { code: code.clone() }),
            None => Ok(turn),
        }
    }

    /// `None` if a header has an invalid value, which parsed credentials and hosts rule out.
    fn request(&self, call: &Call<'_>, mut url: Url, proof: Proof<'_>) -> Option<Request> {
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str()?),
            None => url.host_str()?.to_owned(),
        };
        let content_type = if call.body.is_empty() { "application/json" } else { "application/json;charset=utf-8" };
        // Do not sign headers that proxies may rewrite (accept, user-agent); the vendor requires only the date.
        let mut named: Vec<(&str, &str)> = vec![(CONTENT_TYPE.as_str(), content_type), ("host", &host)];
        if let Scope::Project { id, .. } = call.scope {
            named.push(("x-project-id", id.as_str()));
        }
        if let Proof::Key { token: Some(token), .. } = proof {
            named.push(("x-security-token", token.expose_secret()));
        }
        let query = canonical_query(&call.query);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in &named {
            headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, sensitive(value)?);
        }
        match proof {
            Proof::Key { id, secret, .. } => {
                let (method, path, body) = (call.method.as_str(), call.path.as_str(), call.body.as_slice());
                let unsigned = Unsigned { method, path, query: &query, headers: &named, body };
                let signed =
                    sign(&unsigned, id.expose_secret(), secret.expose_secret(), self.client_context.clock.now());
                headers.insert("x-sdk-date", sensitive(&signed.date)?);
                headers.insert("authorization", sensitive(&signed.authorization)?);
            }
            Proof::Token(token) => {
                headers.insert("x-auth-token", sensitive(token.expose_secret())?);
            }
            Proof::None => {}
        }
        url.set_path(&call.path);
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        Some(Request { method: call.method.clone(), url, headers, body: call.body.clone() })
    }
}
