//! Requests tokens of one account. A token names the project and its services.

use std::sync::Arc;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use super::Interface;
use super::credentials::Credentials;
use super::faults::keystone_fault;
use super::wire::{TokenFacts, read_token};
use crate::clouds::client_context::ClientContext;
use crate::clouds::endpoint_rule::{AllowedEndpoints, CheckedEndpoint, ServiceEndpoint};
use crate::clouds::tokens::{Token, TokenCache, Wanted};
use crate::clouds::transport::{Answer, Request, sensitive};
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
    /// Glance, in place of the catalogue's entry.
    pub image: Option<ServiceEndpoint>,
    /// The endpoints that the catalogue may contain.
    pub allowed: AllowedEndpoints,
    /// The credentials that request tokens.
    pub credentials: Credentials,
}

/// The content of a token.
#[derive(Debug)]
pub(super) struct ProjectToken {
    /// The header value; `Debug` does not show it.
    pub(super) header: HeaderValue,
    facts: TokenFacts,
}

impl ProjectToken {
    /// The token's project.
    pub(super) fn project(&self) -> &PrincipalId {
        &self.facts.project
    }

    /// The regions that have an image service. Fails if there are none, or if this operator may call none of them.
    pub(super) fn regions(&self) -> Result<Vec<RegionId>, Fault> {
        let TokenFacts { image_services: services, interface, other_interfaces, .. } = &self.facts;
        if services.is_empty() {
            let others = other_interfaces.iter().map(|interface| interface.word()).collect();
            return Err(Fault::NoImageService { interface: interface.word(), others });
        }
        match services.values().next() {
            Some(Err(origin)) if services.values().all(Result::is_err) => {
                Err(Fault::EndpointNotAllowed { origin: origin.clone() })
            }
            _ => Ok(services.keys().cloned().collect()),
        }
    }

    /// The URL of a region's image service.
    pub(super) fn image_service(&self, region: &RegionId) -> Result<&Url, Fault> {
        match self.facts.image_services.get(region) {
            Some(Ok(endpoint)) => Ok(endpoint.url()),
            Some(Err(origin)) => Err(Fault::EndpointNotAllowed { origin: origin.clone() }),
            None => Err(Fault::NotFound(Missing::Region)),
        }
    }
}

/// The Keystone client of one account.
pub(super) struct Keystone {
    access: OpenStackAccess,
    client_context: ClientContext,
    account: String,
    /// The budget key for token requests, which prove the credentials.
    proving: String,
    tokens: TokenCache<ProjectToken>,
}

impl Keystone {
    pub(super) fn new(access: OpenStackAccess, client_context: ClientContext) -> Self {
        let account = format!("openstack/{}/{}", access.auth_url.url(), access.project);
        let proving = client_context.proving(&account);
        Self { access, client_context, account, proving, tokens: TokenCache::default() }
    }

    /// The account's budget key. It includes the cloud, since nothing forbids two clouds to use one project id.
    pub(super) fn budget_account(&self) -> &str {
        &self.account
    }

    /// Returns a token. Requests one only if the cached token does not meet `wanted`.
    pub(super) async fn token(
        &self,
        wanted: Wanted<'_, ProjectToken>,
        priority: Priority,
    ) -> Result<Arc<Token<ProjectToken>>, Fault> {
        let now = || self.client_context.clock.now();
        self.tokens.token("", wanted, now, self.ask(priority)).await.map(|(token, _)| token)
    }

    async fn ask(&self, priority: Priority) -> Result<(ProjectToken, Timestamp), Fault> {
        let bucket = (Provider::OpenStack, self.proving.as_str(), BUDGET_KEY);
        self.client_context.acquire(bucket.0, bucket.1, bucket.2, priority).await?;
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
        let judge = |answer: &Answer| (answer.status != 201).then(|| keystone_fault(answer));
        let answer = self.client_context.send(bucket, request, judge).await?;
        let facts = read_token(&answer.body, self.access.interface, self.access.image.as_ref(), &self.access.allowed)?;
        let header = answer.headers.get("x-subject-token").and_then(|value| sensitive(value.to_str().ok()?));
        let header = header.ok_or(Fault::Unintelligible)?;
        let used = facts.lifetime.checked_mul(USED_PER_CENT).map(|life| life / 100).ok_or(Fault::Unintelligible)?;
        let renewed_at = self.client_context.clock.now().checked_add(used).map_err(|_| Fault::Unintelligible)?;
        Ok((ProjectToken { header, facts }, renewed_at))
    }
}
