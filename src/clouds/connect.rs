//! Makes clients. What all of them share (connections, call budgets, the clock) is built once for the process.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::alibaba::{AlibabaCloud, Credentials};
use super::budget::{BudgetSettings, Budgets};
use super::clock::{Clock, random_nonce};
use super::endpoint_rule::{AllowedEndpoints, CheckedEndpoint};
use super::fence::Fence;
use super::huawei::{self, HuaweiCloud};
use super::instrumented::{CallObserver, Instrumented, Unobserved};
use super::openstack::{self, Interface, OpenStackCloud};
use super::transport::{Answer, Request, Transport, TransportSettings, TransportUnusable};
use super::{Cloud, Priority};
use crate::domain::fault::Fault;
use crate::domain::identifiers::{PrincipalId, RegionId};
use crate::domain::provider::{Provider, Site};

/// What every client of the process shares; cheap to clone.
#[derive(Clone)]
pub struct ClientContext {
    /// The HTTP client.
    pub transport: Transport,
    /// How many calls may be made.
    pub budgets: Arc<Budgets>,
    /// What dates signatures.
    pub clock: Arc<dyn Clock>,
    /// Makes the number used once of each signature.
    pub nonce: fn() -> String,
    /// Counts calls.
    pub observer: Arc<dyn CallObserver>,
    /// The uid of the `CloudAccount` that the client is made for.
    pub claimant: Arc<str>,
}

impl ClientContext {
    /// Builds what is shared, with random nonces. Fails only if no HTTP client can be built.
    pub fn new(
        transport: TransportSettings,
        budgets: BudgetSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TransportUnusable> {
        Ok(Self {
            transport: Transport::new(transport)?,
            budgets: Arc::new(Budgets::new(budgets)),
            clock,
            nonce: random_nonce,
            observer: Arc::new(Unobserved),
            claimant: Arc::default(),
        })
    }

    /// The same, for clients of the `CloudAccount` with this uid.
    #[must_use]
    pub fn made_for(&self, uid: &str) -> Self {
        Self { claimant: uid.into(), ..self.clone() }
    }

    /// The budget of the calls that prove credentials. Each `CloudAccount` has its own: who claims an account without having its
    /// keys delays nobody who has them.
    pub(super) fn proving(&self, account: &str) -> String {
        format!("{account} claimed by {}", self.claimant)
    }

    /// The same, behind a gate that all clients share.
    #[must_use]
    pub fn with_fence(self, fence: Fence) -> Self {
        Self { transport: self.transport.with_fence(fence), ..self }
    }

    /// The same, in a process that is told to stop by `stop`: who waits for a turn gives up then.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { budgets: Arc::new(self.budgets.until(stop)), ..self }
    }

    /// The same, with every call told to `observer`.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn CallObserver>) -> Self {
        Self { observer, ..self }
    }

    /// Waits until the budget of an account in a region allows another call, as far as the lane may wait.
    pub(super) async fn acquire(
        &self,
        provider: Provider,
        account: &str,
        region: &str,
        priority: Priority,
    ) -> Result<(), Fault> {
        let begun = Instant::now();
        let turn = self.budgets.take(account, region, priority).await;
        self.observer.waited(provider, begun.elapsed());
        turn
    }

    /// Sends a request for which a turn was taken.
    pub(super) async fn send(&self, account: &str, region: &str, request: Request) -> Result<Answer, Fault> {
        let begun = Instant::now();
        let answer = self.transport.send(request).await;
        self.budgets.ended(account, region, !matches!(answer, Err(Fault::TimedOut { .. })), begun);
        answer
    }

    fn observed<C: Cloud + 'static>(&self, cloud: C, provider: Provider) -> Arc<dyn Cloud> {
        Arc::new(Instrumented::new(cloud, provider, Arc::clone(&self.observer)))
    }
}

/// What it takes to call one Alibaba Cloud account.
#[derive(Debug, Clone)]
pub struct AlibabaAccess {
    /// The account the credentials are said to belong to; `Cloud::identity` tells whether they do.
    pub account: PrincipalId,
    /// Where to send everything, instead of to the vendor's hosts.
    pub endpoint: Option<CheckedEndpoint>,
    /// What calls are signed with.
    pub credentials: Credentials,
}

/// A client of one Alibaba Cloud account; nothing is sent yet.
pub fn alibaba(access: AlibabaAccess, shared: &ClientContext) -> Arc<dyn Cloud> {
    shared.observed(AlibabaCloud::new(access, shared), Provider::Alibaba)
}

/// What it takes to call one Huawei Cloud account.
#[derive(Debug, Clone)]
pub struct HuaweiAccess {
    /// The domain the credentials are said to belong to; `Cloud::identity` tells whether they do.
    pub domain: PrincipalId,
    /// Which of the vendor's domains its hosts are in.
    pub site: Site,
    /// Projects named for regions; a region without one has its own project, found by its name. The first one of a region
    /// owns and receives images, all of them are listed.
    pub projects: Vec<(RegionId, PrincipalId)>,
    /// Where to send everything, instead of to the vendor's hosts.
    pub endpoint: Option<CheckedEndpoint>,
    /// What calls are signed with, or tokens asked for.
    pub credentials: huawei::Credentials,
}

/// A client of one Huawei Cloud account; nothing is sent yet.
pub fn huawei(access: HuaweiAccess, shared: &ClientContext) -> Arc<dyn Cloud> {
    shared.observed(HuaweiCloud::new(access, shared), Provider::Huawei)
}

/// What it takes to call one project of one `OpenStack` cloud.
#[derive(Debug, Clone)]
pub struct OpenStackAccess {
    /// The project the credentials are said to belong to; `Cloud::identity` tells whether they do.
    pub project: PrincipalId,
    /// Keystone, as `https://host:5000/v3`.
    pub auth_url: CheckedEndpoint,
    /// Which endpoints of the service catalogue are called.
    pub interface: Interface,
    /// What the catalogue's endpoints are checked against.
    pub allowed: AllowedEndpoints,
    /// What tokens are asked for with.
    pub credentials: openstack::Credentials,
}

/// A client of one project of one `OpenStack` cloud; nothing is sent yet.
pub fn openstack(access: OpenStackAccess, shared: &ClientContext) -> Arc<dyn Cloud> {
    shared.observed(OpenStackCloud::new(access, shared), Provider::OpenStack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clouds::clock::SystemClock;

    #[test]
    fn client_is_built_without_installing_cryptography_by_hand_and_shows_no_secret() {
        let clock = Arc::new(SystemClock);
        let client_context =
            ClientContext::new(TransportSettings::default(), BudgetSettings::default(), clock).unwrap();
        let access = AlibabaAccess {
            account: PrincipalId::parse("1000000000000001").unwrap(),
            endpoint: None,
            credentials: Credentials::parse("key-id-text", "secret-text", Some("token-text")).unwrap(),
        };
        let shown = format!("{access:?} {:?}", AlibabaCloud::new(access.clone(), &client_context));
        for secret in ["key-id-text", "secret-text", "token-text"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(alibaba(access, &client_context).call_shape().recipients, 10);
    }
}
