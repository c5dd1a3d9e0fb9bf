//! Tokens: asked for once and shared by all calls of an account until shortly before they end. One renewal runs at a time;
//! who waited for it takes what it brought, good or bad, so that a refused password is not sent once for each call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use tokio::sync::Mutex;

use super::faults::keystone_fault;
use super::wire::{TokenFacts, read_token};
use crate::clouds::connect::{ClientContext, OpenStackAccess};
use crate::clouds::transport::{Request, sensitive};
use crate::clouds::{Fault, Priority};
use crate::domain::fault::Missing;
use crate::domain::identifiers::{PrincipalId, RegionId};
use crate::domain::provider::Provider;

/// Budget and hints of Keystone are kept apart from those of the regions.
const BUDGET_KEY: &str = "keystone/v3";

/// Of a token's life, the part after which another is asked for: with the usual hour, six minutes before the end.
const USED_PER_CENT: i32 = 90;

/// One token.
#[derive(Debug)]
pub(super) struct Token {
    /// Which renewal brought it.
    number: u64,
    /// For the header; it shows in no `Debug`.
    pub(super) value: HeaderValue,
    /// From then on another is asked for, by this machine's clock.
    renewed_at: Timestamp,
    facts: TokenFacts,
}

impl Token {
    /// The project it is for.
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

    /// Where the image service of a region is.
    pub(super) fn image_service(&self, region: &RegionId) -> Result<&Url, Fault> {
        match self.facts.image_services.get(region) {
            Some(Ok(endpoint)) => Ok(endpoint.url()),
            Some(Err(_)) => Err(Fault::EndpointNotAllowed),
            None => Err(Fault::NotFound(Missing::Region)),
        }
    }
}

/// Which token is good enough.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Any that has not ended.
    Valid,
    /// Another than this one, which was refused.
    OtherThan(&'a Token),
    /// One asked for from now on: it shows that the credentials are good now.
    Fresh,
}

/// What the last renewal brought.
#[derive(Debug, Default)]
enum Last {
    #[default]
    Nothing,
    Token(Arc<Token>),
    Fault(Fault),
}

/// Keystone, for one account.
pub(super) struct Keystone {
    access: OpenStackAccess,
    client_context: ClientContext,
    account: String,
    /// What counts the calls that ask for tokens, by which credentials are proven.
    proving: String,
    last: Mutex<Last>,
    /// How many renewals have ended.
    renewals: AtomicU64,
}

impl Keystone {
    pub(super) fn new(access: OpenStackAccess, client_context: ClientContext) -> Self {
        let account = format!("openstack/{}/{}", access.auth_url.url(), access.project);
        let proving = client_context.proving(&account);
        Self { access, client_context, account, proving, last: Mutex::default(), renewals: AtomicU64::new(0) }
    }

    /// The account's own name among the budgets: projects have the same id in no two clouds, but nothing forbids it.
    pub(super) fn budget_account(&self) -> &str {
        &self.account
    }

    /// A token, asked for only if none at hand is good enough.
    pub(super) async fn token(&self, wanted: Wanted<'_>, priority: Priority) -> Result<Arc<Token>, Fault> {
        let before = self.renewals.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        let renewed_meanwhile = self.renewals.load(Ordering::SeqCst) > before;
        match &*last {
            Last::Token(token) if self.is_good(token, wanted, renewed_meanwhile) => return Ok(Arc::clone(token)),
            Last::Fault(fault) if renewed_meanwhile => return Err(fault.clone()),
            _ => {}
        }
        // Not a renewal: how long one waits for a call's turn says nothing about the next one.
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
        // Both spellings are usual: with the version, and without.
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
