//! What the log says of an account: one line for each change of its state, however many calls meet it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clouds::Fault;
use crate::clouds::instrumented::{CallObserver, Requested};
use crate::domain::fault::Cause;
use crate::domain::provider::Provider;
use crate::planning::problem::Problem;

/// Most unreachable hosts remembered; users name the regions that hosts are made of.
const HOSTS_MAX: usize = 64;

/// The logged state of one account.
#[derive(Debug, Default)]
pub(super) struct AccountLog {
    /// Namespace and name.
    account: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The credentials were proven, and the account has no problem.
    proven: bool,
    problem: Option<String>,
    unreachable: BTreeMap<String, Cause>,
}

impl AccountLog {
    pub(super) fn new(account: String) -> Self {
        Self { account, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the account's problem, after each attempt to prove its credentials.
    pub(super) fn set(&self, problem: Option<&Problem>) {
        let mut state = self.lock();
        state.proven = problem.is_none();
        let message = problem.map(|problem| problem.message.clone());
        if state.problem == message {
            return;
        }
        if let Some(problem) = problem {
            let (account, reason) = (&self.account, problem.reason.as_str());
            tracing::warn!(account, reason, "the CloudAccount cannot be used: {}", problem.message);
        } else {
            tracing::info!(account = self.account, "the CloudAccount can be used again");
        }
        state.problem = message;
        state.unreachable.clear();
    }

    /// An observer of the account's requests, which passes them on to another one.
    pub(super) fn observing(self: &Arc<Self>, next: &Arc<dyn CallObserver>) -> Arc<dyn CallObserver> {
        Arc::new(Observer { log: Arc::clone(self), next: Arc::clone(next) })
    }

    /// Records whether a host answers. Until the credentials are proven, the account's problem tells it.
    fn answers(&self, host: &str, fault: Option<&Fault>) {
        let mut state = self.lock();
        if !state.proven {
            return;
        }
        match fault {
            Some(Fault::Unreachable(unreachable)) => {
                if state.unreachable.len() >= HOSTS_MAX {
                    state.unreachable.clear();
                }
                if state.unreachable.insert(host.to_owned(), unreachable.cause) != Some(unreachable.cause) {
                    tracing::warn!(account = self.account, "{unreachable}; retrying");
                }
            }
            _ if state.unreachable.remove(host).is_some() => {
                tracing::info!(account = self.account, "the operator reaches {host} again");
            }
            _ => {}
        }
    }
}

struct Observer {
    log: Arc<AccountLog>,
    next: Arc<dyn CallObserver>,
}

impl CallObserver for Observer {
    fn requested(&self, request: &Requested<'_>) {
        self.log.answers(request.host, request.fault);
        self.next.requested(request);
    }

    fn waited(&self, provider: Provider, time: Duration) {
        self.next.waited(provider, time);
    }
}
