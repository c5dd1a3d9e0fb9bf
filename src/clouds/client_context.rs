//! The parts that all clients share: the process builds connections, call budgets and the clock once.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::Priority;
use super::budget::{BudgetSettings, Budgets};
use super::clock::{Clock, random_nonce};
use super::fence::Fence;
use super::instrumented::{CallObserver, Operation, Requested, Unobserved, current_operation};
use super::transport::{Answer, Request, Tailoring, Transport, TransportSettings, TransportUnusable};
use crate::domain::fault::Fault;
use crate::domain::provider::Provider;

/// How much rarer than other calls those are that change something, where the vendor counts them apart: AWS refills the
/// buckets of most of them at 5 a second and those of reads at 20, and consoles and other tools use them, too.
const CHANGES_SLOWED_BY: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
/// The same for calls that begin copies: AWS refills at 1 a second.
const COPIES_SLOWED_BY: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// The parts that all clients of the process share; cheap to clone.
#[derive(Clone)]
pub struct ClientContext {
    /// The HTTP client.
    pub transport: Transport,
    /// The call budgets.
    pub budgets: Arc<Budgets>,
    /// The budgets of calls that change something, where the vendor counts them apart.
    pub changes: Arc<Budgets>,
    /// The budgets of calls that begin copies, where the vendor counts them apart.
    pub copies: Arc<Budgets>,
    /// The clock that dates signatures.
    pub clock: Arc<dyn Clock>,
    /// Generates the nonce of each signature.
    pub nonce: fn() -> String,
    /// Observes requests.
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
        let budgets = Budgets::new(budgets);
        Ok(Self {
            transport: Transport::new(transport)?,
            changes: Arc::new(budgets.slowed_by(CHANGES_SLOWED_BY)),
            copies: Arc::new(budgets.slowed_by(COPIES_SLOWED_BY)),
            budgets: Arc::new(budgets),
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

    /// Returns the context for clients of an account with authorities or timeouts of its own.
    pub fn tailored(&self, tailoring: &Tailoring) -> Result<Self, TransportUnusable> {
        Ok(Self { transport: self.transport.tailored(tailoring)?, ..self.clone() })
    }

    /// The budget of the calls that verify credentials. Each `CloudAccount` has its own, so an object that claims an account
    /// without its keys does not delay objects that have them.
    pub(super) fn proving(&self, account: &str) -> String {
        format!("{account} claimed by {}", self.claimant)
    }

    /// Returns the context for calls that change something, where the vendor counts them apart.
    pub(super) fn changing(&self) -> Self {
        Self { budgets: Arc::clone(&self.changes), ..self.clone() }
    }

    /// Returns the context for calls that begin copies, where the vendor counts them apart.
    pub(super) fn copying(&self) -> Self {
        Self { budgets: Arc::clone(&self.copies), ..self.clone() }
    }

    /// Returns the context with a leader fence that all clients share.
    #[must_use]
    pub fn with_fence(self, fence: Fence) -> Self {
        Self { transport: self.transport.with_fence(fence), ..self }
    }

    /// Returns the context for a process that stops by `stop`: calls that wait for a token then fail.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        let until = |budgets: &Budgets, stop| Arc::new(budgets.until(stop));
        let (changes, copies) = (until(&self.changes, stop.clone()), until(&self.copies, stop.clone()));
        let budgets = until(&self.budgets, stop);
        Self { budgets, changes, copies, ..self }
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

    /// Sends a request after [`acquire`](Self::acquire). `judge`: the vendor's fault in an answer.
    pub(super) async fn send(
        &self,
        (provider, account, region): (Provider, &str, &str),
        request: Request,
        judge: impl FnOnce(&Answer) -> Option<Fault>,
    ) -> Result<Answer, Fault> {
        let (host, begun) = (request.host(), Instant::now());
        let changes = current_operation().is_none_or(Operation::changes);
        let answer = self.transport.send_for(request, changes).await;
        let unanswered = match &answer {
            Err(Fault::Unreachable(unreachable)) => Some(unreachable),
            _ => None,
        };
        self.budgets.ended(account, region, unanswered, begun);
        let judged = answer.and_then(|answer| judge(&answer).map_or(Ok(answer), Err));
        self.requested((provider, account, region), &host, judged.as_ref().err(), begun);
        judged
    }

    /// Reports a request that was sent, and honours the pause that its answer asks for.
    pub(super) fn requested(
        &self,
        (provider, account, region): (Provider, &str, &str),
        host: &str,
        fault: Option<&Fault>,
        begun: Instant,
    ) {
        if let Some(Fault::Throttled { retry_after: Some(wait) }) = fault {
            self.budgets.pause(account, region, *wait);
        }
        let operation = current_operation();
        if let Some(fault) = fault {
            tracing::debug!(?provider, ?operation, host, %fault, "a request to the cloud failed");
        }
        // A process that does not lead sent nothing.
        if let Some(operation) = operation.filter(|_| fault != Some(&Fault::NotLeading)) {
            self.observer.requested(&Requested { provider, operation, host, fault, took: begun.elapsed() });
        }
    }
}
