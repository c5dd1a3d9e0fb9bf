//! Whether the API server serves this process, as its reads and watches find: one log line for each change, reminders while a
//! problem lasts, and the answer for readiness.

use std::collections::BTreeMap;
use std::error::Error;
use std::iter::successors;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::ClusterError;

/// While the API server does not serve the operator at all, a reminder comes each time after this time; while it refuses single
/// rights, the first one does, and each further one after twice the time.
const FIRST_REMINDER: Duration = Duration::from_secs(60);

/// The longest time between two reminders.
const LONGEST_REMINDER: Duration = Duration::from_secs(3600);

/// How long the API server must refuse the credentials before the process ends. The client reads a token file again every
/// minute.
pub const REFUSED_MAX: Duration = Duration::from_secs(90);

const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;

/// The state of the API server, as this process sees it.
#[derive(Debug)]
pub struct ApiServer {
    address: String,
    /// By what does not work; the empty text stands for the API server as a whole.
    problems: Mutex<BTreeMap<String, Problem>>,
    suspected: Notify,
}

#[derive(Debug)]
struct Problem {
    /// The status of the answer; `None` without one.
    code: Option<u16>,
    message: String,
    since: Instant,
    reminded: Instant,
    quiet: Duration,
}

impl ApiServer {
    /// No problem is known yet.
    pub fn new(address: String) -> Self {
        Self { address, problems: Mutex::default(), suspected: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Problem>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The worst problem; `None` if there is none.
    pub fn problem(&self) -> Option<String> {
        self.lock().values().next().map(|problem| problem.message.clone())
    }

    /// Records the result of a read that every authenticated client may make.
    pub(super) fn probed(&self, error: Option<&ClusterError>) {
        let problem = error.map(|error| {
            let code = code_of(error);
            let message = match code {
                Some(UNAUTHORIZED) => {
                    format!("the API server {} refuses the operator's credentials: {error}", self.address)
                }
                _ => format!("the API server {} does not serve the operator: {error}", self.address),
            };
            (code, message)
        });
        self.set("", problem);
    }

    /// Records the result of a call whose permission depends on RBAC. Any other failure lets the next probe decide.
    pub(super) fn called(&self, what: &str, error: Option<&ClusterError>) {
        match error {
            None => self.set(what, None),
            Some(error) if code_of(error) == Some(FORBIDDEN) => {
                self.set(what, Some((Some(FORBIDDEN), format!("the operator may not use {what}: {error}"))));
            }
            Some(_) => self.suspect(),
        }
    }

    /// Requests a probe soon.
    pub fn suspect(&self) {
        self.suspected.notify_one();
    }

    /// Completes once somebody requests a probe.
    pub(super) async fn suspected(&self) {
        self.suspected.notified().await;
    }

    /// Completes once the API server has refused the credentials for `REFUSED_MAX`: only a new process surely reads fresh ones.
    pub async fn refused_for_good(&self) {
        let lasts = |problem: &Problem| problem.code == Some(UNAUTHORIZED) && problem.since.elapsed() >= REFUSED_MAX;
        while !self.lock().get("").is_some_and(lasts) {
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn set(&self, what: &str, found: Option<(Option<u16>, String)>) {
        let mut problems = self.lock();
        let Some((code, message)) = found else {
            if problems.remove(what).is_some() {
                let what = if what.is_empty() { self.address.as_str() } else { what };
                tracing::info!("the API server serves the operator again: {what}");
            }
            return;
        };
        let now = Instant::now();
        match problems.get_mut(what).filter(|known| known.code == code) {
            None => {
                tracing::warn!("{message}");
                let problem = Problem { code, message, since: now, reminded: now, quiet: FIRST_REMINDER };
                problems.insert(what.to_owned(), problem);
            }
            Some(known) if now.duration_since(known.reminded) >= known.quiet => {
                tracing::warn!("since {} s: {}", now.duration_since(known.since).as_secs(), known.message);
                let next = if what.is_empty() { FIRST_REMINDER } else { (known.quiet * 2).min(LONGEST_REMINDER) };
                (known.reminded, known.quiet) = (now, next);
            }
            Some(_) => {}
        }
    }
}

/// The status code of the API server's answer.
fn code_of(error: &ClusterError) -> Option<u16> {
    match error {
        ClusterError::Api(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

/// An error of the client in plain words: the whole answer for a refusal, the innermost cause for a failed connection.
pub(super) fn plain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.reason.is_empty() => format!("{}: {}", status.code, status.message),
        kube::Error::Api(status) => format!("{} {}: {}", status.code, status.reason, status.message),
        kube::Error::Service(_) | kube::Error::HyperError(_) | kube::Error::ReadEvents(_) => {
            format!("no connection: {}", innermost(error))
        }
        other => other.to_string(),
    }
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    successors(Some(error), |&error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refused(code: u16) -> ClusterError {
        ClusterError::Api(kube::Error::Api(Box::new(Status::failure("text", "Reason").with_code(code))))
    }

    #[test]
    fn a_problem_is_known_until_the_same_call_succeeds() {
        let server = ApiServer::new("https://here:6443".to_owned());
        server.called("a", Some(&refused(403)));
        server.called("b", None);
        assert!(server.problem().unwrap().contains("may not use a: 403 Reason: text"));
        server.probed(Some(&refused(401)));
        assert!(server.problem().unwrap().contains("https://here:6443 refuses the operator's credentials"));
        server.probed(None);
        server.called("a", None);
        assert_eq!(server.problem(), None);
    }

    #[tokio::test]
    async fn a_call_that_fails_otherwise_lets_the_probe_decide() {
        let server = ApiServer::new(String::new());
        for error in [refused(401), refused(500), ClusterError::Deadline] {
            server.called("a", Some(&error));
            server.suspected().await;
            assert_eq!(server.problem(), None);
        }
    }

    #[test]
    fn an_api_server_that_stays_away_is_told_each_minute_and_a_missing_right_more_and_more_rarely() {
        let server = ApiServer::new(String::new());
        let remind = |times: u32| {
            for _ in 0..times {
                server.probed(Some(&ClusterError::Deadline));
                server.called("a", Some(&refused(403)));
                server.lock().values_mut().for_each(|problem| problem.reminded -= problem.quiet);
            }
            server.lock().iter().map(|(what, problem)| (what.clone(), problem.quiet.as_secs())).collect::<Vec<_>>()
        };
        assert_eq!(remind(1), [(String::new(), 60), ("a".to_owned(), 60)]);
        assert_eq!(remind(2), [(String::new(), 60), ("a".to_owned(), 240)]);
        assert_eq!(remind(10), [(String::new(), 60), ("a".to_owned(), 3600)]);
    }

    #[tokio::test]
    async fn only_a_lasting_refusal_of_the_credentials_ends_the_process() {
        for (code, ago, ends) in [(401, REFUSED_MAX, true), (401, REFUSED_MAX / 2, false), (403, REFUSED_MAX, false)] {
            let server = ApiServer::new(String::new());
            server.probed(Some(&refused(code)));
            server.lock().get_mut("").unwrap().since -= ago;
            let ended = tokio::time::timeout(Duration::from_millis(100), server.refused_for_good()).await.is_ok();
            assert_eq!(ended, ends, "{code} {ago:?}");
        }
    }
}
