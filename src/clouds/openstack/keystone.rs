//! Tokens of one account. All its calls share a token until shortly before it expires. One renewal runs at a time; calls
//! that waited for it take its result, a fault included, so that a refused password is not sent once for each call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use tokio::sync::Mutex;

use super::Interface;
use super::credentials::Credentials;
use super::faults::keystone_fault;
use super::wire::{TokenFacts, read_token};
use crate::clouds::client_context::ClientContext;
use crate::clouds::endpoint_rule::{AllowedEndpoints, CheckedEndpoint};
use crate::clouds::transport::{Request, sensitive};
use crate::clouds::{Fault, Priority};
use crate::domain::fault::Missing;
use crate::domain::identifiers::{PrincipalId, RegionId};
use crate::domain::provider::Provider;

/// Separates Keystone's budget and `Retry-After` waits from those of the regions.
const BUDGET_KEY: &str = "keystone/v3";

/// Share of a token's lifetime after which the client renews it: six minutes before the end of the usual hour.
const USED_PER_CENT: i32 = 90;

/// The parameters of a client of one project of one `OpenStack` cloud.
#[derive(Debug, Clone)]
pub struct OpenStackAccess {
    /// The project that the credentials should belong to; `Cloud::identity` returns the actual one.
    pub project: PrincipalId,
    /// Keystone, such as `https://host:5000/v3`.
    pub auth_url: CheckedEndpoint,
    /// Which endpoints of the service catalogue the client calls.
    pub interface: Interface,
    /// The endpoints that the catalogue may contain.
    pub allowed: AllowedEndpoints,
    /// The credentials that request tokens.
    pub credentials: Credentials,
}

/// One token.
#[derive(Debug)]
pub(super) struct Token {
    /// The renewal that returned it.
    number: u64,
    /// The header value; `Debug` does not show it.
    pub(super) value: HeaderValue,
    /// When to renew it, by this machine's clock.
    renewed_at: Timestamp,
    facts: TokenFacts,
}

impl Token {
    /// The token's project.
    pub(super) fn project(&self) -> &PrincipalId {
        &self.facts.project
    }

    /// The regions that have an image service. Fails if there are some, and this operator may call none of them.
    pub(super) fn regions(&self) -> Result<Vec<RegionId>, Fault> {
        let services = &self.facts.image_services;
        if !services.is_empty() && services.values().all(Result::is_err) {
            return Err(Fault::EndpointNotAllowed);
        }
        Ok(services.keys().cloned().collect())
    }

    /// The URL of a region's image service.
    pub(super) fn image_service(&self, region: &RegionId) -> Result<&Url, Fault> {
        match self.facts.image_services.get(region) {
            Some(Ok(endpoint)) => Ok(endpoint.url()),
            Some(Err(_)) => Err(Fault::EndpointNotAllowed),
            None => Err(Fault::NotFound(Missing::Region)),
        }
    }
}

/// Which token the call accepts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Any token not yet due for renewal.
    Valid,
    /// Any token newer than this refused one.
    OtherThan(&'a Token),
    /// A token requested from now on: it proves that the credentials are valid now.
    Fresh,
}

/// The result of the last renewal.
#[derive(Debug, Default)]
enum Last {
    #[default]
    Nothing,
    Token(Arc<Token>),
    Fault(Fault),
}

/// The Keystone client of one account.
pub(super) struct Keystone {
    access: OpenStackAccess,
    client_context: ClientContext,
    account: String,
    /// The budget key for token requests, which prove the credentials.
    proving: String,
    last: Mutex<Last>,
    /// Number of finished renewals.
    renewals: AtomicU64,
}

impl Keystone {
    pub(super) fn new(access: OpenStackAccess, client_context: ClientContext) -> Self {
        let account = format!("openstack/{}/{}", access.auth_url.url(), access.project);
        let proving = client_context.proving(&account);
        Self { access, client_context, account, proving, last: Mutex::default(), renewals: AtomicU64::new(0) }
    }

    /// The account's budget key. It includes the cloud, since nothing forbids two clouds to use one project id.
    pub(super) fn budget_account(&self) -> &str {
        &self.account
    }

    /// Returns a token. Requests one only if the cached token does not meet `wanted`.
    pub(super) async fn token(&self, wanted: Wanted<'_>, priority: Priority) -> Result<Arc<Token>, Fault> {
        let before = self.renewals.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        let renewed_meanwhile = self.renewals.load(Ordering::SeqCst) > before;
        match &*last {
            Last::Token(token) if self.is_good(token, wanted, renewed_meanwhile) => return Ok(Arc::clone(token)),
            Last::Fault(fault) if renewed_meanwhile => return Err(fault.clone()),
            _ => {}
        }
        // Not part of the renewal: the wait of one call for the budget says nothing about the next call.
        self.client_context.acquire(Provider::OpenStack, &self.proving, BUDGET_KEY, priority).await?;
        let number = before.max(self.renewals.load(Ordering::SeqCst)) + 1;
        let brought = self.ask(number).await;
        self.renewals.store(number, Ordering::SeqCst);
        *last = match &brought {
            Ok(token) => Last::Token(Arc::clone(token)),
            Err(fault) => Last::Fault(fault.clone()),
        };
        brought
    }

    fn is_good(&self, token: &Token, wanted: Wanted<'_>, renewed_meanwhile: bool) -> bool {
        let other = match wanted {
            Wanted::Valid => true,
            Wanted::OtherThan(refused) => token.number > refused.number,
            Wanted::Fresh => renewed_meanwhile,
        };
        other && self.client_context.clock.now() < token.renewed_at
    }

    async fn ask(&self, number: u64) -> Result<Arc<Token>, Fault> {
        let mut url = self.access.auth_url.url().clone();
        // Deployments give this URL with and without the version.
        let version = (!url.path().ends_with("/v3")).then_some("v3");
        url.path_segments_mut()
            .map_err(|()| Fault::Unintelligible)?
            .pop_if_empty()
            .extend(version.into_iter().chain(["auth", "tokens"]));
        let question = self.access.credentials.question(&self.access.project);
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(ACCEPT, json.clone()), (CONTENT_TYPE, json)]);
        let body = question.to_string().into_bytes();
        let request = Request { method: Method::POST, url, headers, body };
        let answer = self.client_context.send(&self.proving, BUDGET_KEY, request).await?;
        if answer.status != 201 {
            let fault = keystone_fault(&answer);
            if let Fault::Throttled { retry_after: Some(wait) } = fault {
                self.client_context.budgets.hold_back(&self.proving, BUDGET_KEY, wait);
            }
            tracing::debug!(status = answer.status, %fault, "Keystone gave no token");
            return Err(fault);
        }
        let facts = read_token(&answer.body, self.access.interface, &self.access.allowed)?;
        let value = answer.headers.get("x-subject-token").and_then(|value| sensitive(value.to_str().ok()?));
        let value = value.ok_or(Fault::Unintelligible)?;
        let used = facts.lifetime.checked_mul(USED_PER_CENT).map(|life| life / 100).ok_or(Fault::Unintelligible)?;
        let renewed_at = self.client_context.clock.now().checked_add(used).map_err(|_| Fault::Unintelligible)?;
        Ok(Arc::new(Token { number, value, renewed_at, facts }))
    }
}
