//! Creates clients. The process builds their shared parts (connections, call budgets, the clock) once.

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

/// The parts that all clients of the process share; cheap to clone.
#[derive(Clone)]
pub struct ClientContext {
    /// The HTTP client.
    pub transport: Transport,
    /// The call budgets.
    pub budgets: Arc<Budgets>,
    /// The clock that dates signatures.
    pub clock: Arc<dyn Clock>,
    /// Generates the nonce of each signature.
    pub nonce: fn() -> String,
    /// Counts calls.
    pub observer: Arc<dyn CallObserver>,
    /// The uid of the client's `CloudAccount`.
    pub claimant: Arc<str>,
}

impl ClientContext {
    /// Builds the shared parts, with random nonces. Fails only if no HTTP client can be built.
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

    /// Returns the context for clients of the `CloudAccount` with this uid.
    #[must_use]
    pub fn made_for(&self, uid: &str) -> Self {
        Self { claimant: uid.into(), ..self.clone() }
    }

    /// The budget of the calls that verify credentials. Each `CloudAccount` has its own, so an object that claims an account
    /// without its keys does not delay objects that have them.
    pub(super) fn proving(&self, account: &str) -> String {
        format!("{account} claimed by {}", self.claimant)
    }

    /// Returns the context with a leader fence that all clients share.
    #[must_use]
    pub fn with_fence(self, fence: Fence) -> Self {
        Self { transport: self.transport.with_fence(fence), ..self }
    }

    /// Returns the context for a process that stops by `stop`: calls that wait for a token then fail.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { budgets: Arc::new(self.budgets.until(stop)), ..self }
    }

    /// Returns the context with an observer of every call.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn CallObserver>) -> Self {
        Self { observer, ..self }
    }

    /// Takes a token of the account's budget in a region; waits as long as the priority allows.
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

    /// Sends a request after [`acquire`](Self::acquire).
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

/// The parameters of a client of one Alibaba Cloud account.
#[derive(Debug, Clone)]
pub struct AlibabaAccess {
    /// The account that the credentials should belong to; `Cloud::identity` returns the actual one.
    pub account: PrincipalId,
    /// An endpoint for all calls, instead of the vendor's hosts.
    pub endpoint: Option<CheckedEndpoint>,
    /// The credentials that sign calls.
    pub credentials: Credentials,
}

/// Creates a client of one Alibaba Cloud account; makes no call.
pub fn alibaba(access: AlibabaAccess, shared: &ClientContext) -> Arc<dyn Cloud> {
    shared.observed(AlibabaCloud::new(access, shared), Provider::Alibaba)
}

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
    /// An endpoint for all calls, instead of the vendor's hosts.
    pub endpoint: Option<CheckedEndpoint>,
    /// The credentials that sign calls or request tokens.
    pub credentials: huawei::Credentials,
}

/// Creates a client of one Huawei Cloud account; makes no call.
pub fn huawei(access: HuaweiAccess, shared: &ClientContext) -> Arc<dyn Cloud> {
    shared.observed(HuaweiCloud::new(access, shared), Provider::Huawei)
}

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
    pub credentials: openstack::Credentials,
}

/// Creates a client of one project of one `OpenStack` cloud; makes no call.
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
