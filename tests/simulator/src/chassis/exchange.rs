//! One request from its arrival to its answer, the same for every cloud: who asks, injected faults, throttling, the step in
//! the world, the journal, the answer. What differs between clouds is their [`Vendor`].

use super::effect::{Effect, Replica};
use super::faults::{Action, FaultRules, Traits};
use super::journal::{Cut, Entry, Provider};
use super::refusal::{JOURNAL_FULL, Refusal};
use super::wire::Wire;
use crate::state::State;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// A simulated cloud.
pub(crate) trait Vendor: Send + Sync + 'static {
    const PROVIDER: Provider;
    /// Largest body read, in bytes.
    const MAX_BODY: usize;
    /// How it refuses a request where a fault makes it.
    fn fault_rules(request: &Self::Request) -> FaultRules;
    /// The lists of its answers: where one is, its rows are.
    const LISTS: &'static [&'static [&'static str]];
    /// What it understands of a request without knowing who asks.
    type Request;
    /// Who asks.
    type Caller;

    /// Names not used before, from random bits.
    fn fresh(random: [u128; 3]) -> Fresh;
    fn read(wire: &Wire) -> Self::Request;
    fn authenticate(
        state: &mut State,
        wire: &Wire,
        request: &Self::Request,
        now: Timestamp,
    ) -> Result<Self::Caller, Refusal>;
    fn traits(request: &Self::Request, caller: &Self::Caller) -> Traits;
    fn perform(state: &mut State, step: Step<'_, Self>) -> Result<Done, Refusal>
    where
        Self: Sized;
    /// Fills in what the journal tells of a request.
    fn tell(entry: Entry, wire: &Wire, request: Self::Request, caller: Option<&Self::Caller>) -> Entry;
    /// A refusal in the vendor's shape.
    fn refusal(refusal: &Refusal, wire: &Wire, request: &Self::Request, request_id: &str) -> Value;
    /// The text of an answer and its content type; `None` for no body.
    fn write(answer: Value, wire: &Wire, request: &Self::Request, id: &str, refused: bool) -> Option<(String, String)>;
    /// The header with the request's id.
    const REQUEST_ID: &'static str;
    /// The header that tells how long to wait.
    fn retry_after(millis: u64) -> (&'static str, String);
    /// Removes what counts the rows of a list that was made empty.
    fn uncount(answer: &mut Value);
}

/// Names not used before, for one request.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    /// The request's own.
    pub(crate) request: String,
    /// For a job or a token.
    pub(crate) thing: String,
    /// For an image.
    pub(crate) image: String,
}

/// A request on its way to the world.
pub(crate) struct Step<'a, V: Vendor> {
    pub(crate) wire: &'a Wire,
    pub(crate) request: &'a V::Request,
    pub(crate) caller: &'a V::Caller,
    pub(crate) fresh: &'a Fresh,
    pub(crate) now: Timestamp,
    /// The instant whose sharing is listed; `now` but for injected lag.
    pub(crate) sharing_as_of: Timestamp,
    /// That the job which the request starts fails.
    pub(crate) job_failure: Option<JobFailure>,
    /// How much longer that job takes, in milliseconds.
    pub(crate) slow_millis: u64,
}

/// That fault injection has a job fail.
#[derive(Debug, Clone)]
pub(crate) struct JobFailure {
    /// With which code.
    pub(crate) code: String,
    /// After how many steps.
    pub(crate) partial: usize,
}

/// What a request came to.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// HTTP status.
    pub(crate) status: u16,
    /// Body; null for none.
    pub(crate) answer: Value,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The job started.
    pub(crate) job: Option<String>,
    /// What changed at once.
    pub(crate) effect: Effect,
    /// The copy that was begun.
    pub(crate) copy: Option<Replica>,
}

impl Done {
    /// A success that changed nothing.
    pub(crate) fn ok(answer: Value) -> Self {
        Self { status: 200, answer, ..Self::default() }
    }

    /// A success without a body.
    pub(crate) fn no_content() -> Self {
        Self { status: 204, ..Self::default() }
    }
}

/// What to send back, and how.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) delay_millis: u64,
    /// Close without an answer.
    pub(crate) cut: bool,
    /// Close half way through the body.
    pub(crate) halve: bool,
}

/// What became of a request.
struct Outcome {
    result: Result<Done, Refusal>,
    cut: Cut,
    faults: Vec<Action>,
}

/// Handles one request whole.
pub(crate) fn handle<V: Vendor>(state: &mut State, wire: &Wire, fresh: &Fresh) -> Reply {
    state.settle();
    let now = state.clock.now();
    let request = V::read(wire);
    let caller =
        if state.journal.has_room() { V::authenticate(state, wire, &request, now) } else { Err(JOURNAL_FULL.refuse()) };
    let outcome = match &caller {
        Ok(caller) => take_step::<V>(state, wire, &request, caller, now, fresh),
        Err(refusal) => Outcome { result: Err(refusal.clone()), cut: Cut::None, faults: Vec::new() },
    };
    let entry = entry::<V>(wire, now, &outcome);
    let reply = reply::<V>(outcome, wire, &request, &fresh.request);
    if state.journal.has_room() {
        state.journal.append(V::tell(entry, wire, request, caller.as_ref().ok()));
    }
    reply
}

fn take_step<V: Vendor>(
    state: &mut State,
    wire: &Wire,
    request: &V::Request,
    caller: &V::Caller,
    now: Timestamp,
    fresh: &Fresh,
) -> Outcome {
    let traits = V::traits(request, caller);
    let mut faults = state.faults.strike(&traits);
    let account = traits.accounts.first();
    if let Some(Err(exceeded)) = account.map(|account| state.limits.count(V::PROVIDER, account, &traits.action, now)) {
        faults.push(Action::Throttle { retry_after_millis: exceeded.wait_millis });
    }
    let has = |wanted: fn(&Action) -> bool| faults.iter().any(wanted);
    if has(|fault| matches!(fault, Action::CutBefore)) {
        return Outcome { result: Ok(Done::default()), cut: Cut::Before, faults };
    }
    let cut = if has(|fault| matches!(fault, Action::CutAfter)) { Cut::After } else { Cut::None };
    let rules = V::fault_rules(request);
    if let Some(refusal) = faults.iter().find_map(|fault| fault.refusal(&rules)) {
        return Outcome { result: Err(refusal), cut, faults };
    }
    let lag = faults.iter().find_map(|fault| match fault {
        Action::DescribeLag { millis } => i64::try_from(*millis).ok().map(SignedDuration::from_millis),
        _ => None,
    });
    let job_failure = faults.iter().find_map(|fault| match fault {
        Action::JobFails { code, partial } => Some(JobFailure { code: code.clone(), partial: *partial }),
        _ => None,
    });
    let slow = faults.iter().find_map(|fault| match fault {
        Action::JobSlow { millis } => Some(*millis),
        _ => None,
    });
    let step = Step {
        wire,
        request,
        caller,
        fresh,
        now,
        sharing_as_of: lag.and_then(|lag| now.checked_sub(lag).ok()).unwrap_or(now),
        job_failure,
        slow_millis: slow.unwrap_or_default(),
    };
    Outcome { result: V::perform(state, step), cut, faults }
}

fn entry<V: Vendor>(wire: &Wire, now: Timestamp, outcome: &Outcome) -> Entry {
    let (status, code) = match &outcome.result {
        _ if outcome.cut == Cut::Before => (0, ""),
        Ok(done) => (done.status, "OK"),
        Err(refusal) => (refusal.status, refusal.code.as_str()),
    };
    let done = outcome.result.as_ref().ok();
    Entry {
        provider: Some(V::PROVIDER),
        host: wire.header("host").unwrap_or_default().to_owned(),
        job: done.and_then(|done| done.job.clone()),
        effect: done.and_then(|done| done.effect.clone().if_any()),
        copy: done.and_then(|done| done.copy.clone()),
        status: if outcome.cut == Cut::None { gateway(&outcome.faults).unwrap_or(status) } else { 0 },
        code: code.to_owned(),
        cut: outcome.cut,
        faults: outcome.faults.iter().map(Action::kind).collect(),
        ..Entry::without_request(now, "anonymous", "")
    }
}

/// The status of the gateway that answers in the cloud's place.
fn gateway(faults: &[Action]) -> Option<u16> {
    faults.iter().find_map(|fault| match fault {
        Action::GatewayPage { status, .. } => Some(*status),
        _ => None,
    })
}

fn reply<V: Vendor>(outcome: Outcome, wire: &Wire, request: &V::Request, request_id: &str) -> Reply {
    let mut reply = Reply { cut: outcome.cut != Cut::None, ..Reply::default() };
    reply.headers.push((V::REQUEST_ID, request_id.to_owned()));
    let refused = outcome.result.is_err();
    let mut answer = match outcome.result {
        Ok(done) => {
            reply.status = done.status;
            reply.headers.extend(done.headers);
            done.answer
        }
        Err(refusal) => {
            reply.status = refusal.status;
            V::refusal(&refusal, wire, request, request_id)
        }
    };
    let page = || "<html><body>Welcome to the gateway</body></html>".to_owned();
    let mut wrong_body = None;
    if let Some(status) = gateway(&outcome.faults) {
        (reply.status, wrong_body) = (status, Some(page()));
    }
    for fault in outcome.faults {
        match fault {
            Action::Throttle { retry_after_millis } if retry_after_millis > 0 => {
                reply.headers.push(V::retry_after(retry_after_millis));
            }
            Action::Slow { millis } => reply.delay_millis = millis,
            Action::TruncatedBody => reply.halve = true,
            Action::WrongJson { body } if matches!(reply.status, 200 | 201) => {
                wrong_body = Some(body.unwrap_or_else(page));
            }
            fault => distort::<V>(&mut answer, &fault),
        }
    }
    let written = match wrong_body {
        Some(body) => Some((body, "text/html".to_owned())),
        None => V::write(answer, wire, request, request_id, refused),
    };
    if let Some((body, content_type)) = written {
        reply.body = body;
        reply.headers.push(("content-type", content_type));
    }
    reply
}

/// Distorts a successful answer: rows missing, or all of them.
pub(crate) fn distort<V: Vendor>(answer: &mut Value, fault: &Action) {
    let path = |answer: &Value, path: &[&str]| path.iter().try_fold(answer, |at, part| at.get(part)).is_some();
    let Some(list) = V::LISTS.iter().find(|list| path(answer, list)) else { return };
    let rows = list.iter().try_fold(&mut *answer, |at, part| at.get_mut(part));
    let Some(Value::Array(rows)) = rows else { return };
    match fault {
        Action::TruncatedPage { drop } => rows.truncate(rows.len().saturating_sub(*drop)),
        Action::EmptyList => {
            rows.clear();
            V::uncount(answer);
        }
        _ => {}
    }
}
