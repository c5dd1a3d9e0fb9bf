//! Huawei Cloud's front door, without the socket: one request in, what to send back out. IAM and IMS of all regions share
//! the port; the region of a request is that of its project. The order of checks: path, who asks, weather, body,
//! project, image, recipients, quota. Weather comes once it is known who asks: a fault befalls a project or a domain.

mod answers;
mod authentication;
mod bodies;
mod control;
mod http;
mod iam;
mod images;
mod operations;
mod recipient;
mod route;
mod rules;
mod signature;
#[cfg(test)]
mod tests;
mod world;
mod world_file;

pub(super) use control::routes;
pub(super) use http::serve;

pub use control::MembersOutOfBand;
pub use recipient::{MemberKind, Recipient};
pub use rules::Rules;
pub use world::{
    ActiveFaults, Asker, CopyOrder, CopyTo, DomainPatch, Ended, Image, ImagePatch, Job, KeyPatch, Member, Order, Phase,
    Received, RulesPatch, World,
};
pub use world_file::{
    Agency, Domain, HuaweiFile, ImageSpec, Key, Kind, KmsKey, MemberSpec, MemberStatus, Origin, Project, Seconds, Site,
    Status, User, Vault,
};

use super::faults::{Action, Traits};
use super::journal::{Asked, Cut, Entry, Provider};
use super::names::{AccountId, ImageId};
use super::rules::{JOURNAL_FULL, Refusal};
use super::state::State;
use super::wire::{Wire, decode_pairs};
use authentication::{Access, Caller};
use bodies::Wanted;
use images::Query;
use jiff::{SignedDuration, Timestamp};
use operations::{Call, Done};
use route::Operation;
use serde_json::Value;
use world::JobFailure;

/// Huawei Cloud as the simulator holds it.
#[derive(Debug, Default)]
pub(super) struct Cloud {
    pub(super) world: World,
    access: Access,
}

impl Cloud {
    /// Replaces the world; tokens and locks stay.
    pub(super) fn replace(&mut self, world: World) {
        self.world = world;
    }
}

/// Names not used before, for one request.
#[derive(Debug, Clone)]
struct Fresh {
    /// The request's own.
    request: String,
    /// For a job or a token.
    thing: String,
    /// For an image.
    image: String,
}

/// What to send back, and how.
#[derive(Debug, Default)]
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    delay_millis: u64,
    /// Close without an answer.
    cut: bool,
    /// Close half way through the body.
    halve: bool,
}

/// What became of a request.
struct Outcome {
    result: Result<Done, Refusal>,
    cut: Cut,
    weather: Vec<Action>,
}

/// A request, as far as it is understood without knowing who asks.
struct Asking {
    operation: Option<Operation>,
    wanted: Result<Option<Wanted>, Refusal>,
    asked: Asked,
    images: Vec<ImageId>,
}

impl Asking {
    fn read(wire: &Wire) -> Self {
        let operation = Operation::find(&wire.method, &wire.path);
        let wanted = operation.as_ref().map_or(Ok(None), |operation| bodies::read(operation, &wire.body));
        let order = wanted.as_ref().ok().and_then(Option::as_ref);
        let images = match (order, operation.as_ref().and_then(Operation::image)) {
            (Some(wanted), _) => wanted.order.images().to_vec(),
            (None, Some(image)) => vec![image.clone()],
            (None, None) => Vec::new(),
        };
        Self { asked: bodies::asked(order), operation, wanted, images }
    }

    fn action(&self) -> &'static str {
        self.operation.as_ref().map_or("", Operation::action)
    }
}

/// Handles one request whole: authenticates, lets the weather have its way, takes the step, journals it.
fn handle(state: &mut State, wire: &Wire, fresh: &Fresh) -> Reply {
    state.settle();
    let now = state.clock.now();
    let asking = Asking::read(wire);
    let caller = match &asking.operation {
        _ if !state.journal.has_room() => Err(JOURNAL_FULL.refuse()),
        None => Err(rules::API_NOT_FOUND.refuse()),
        Some(Operation::CreateToken) => iam::log_in(&state.huawei.world, &wire.body),
        Some(_) => authentication::authenticate(wire, &state.huawei.world, &mut state.huawei.access, now),
    };
    let outcome = match &caller {
        Ok(caller) => take_step(state, wire, &asking, caller, now, fresh),
        Err(refusal) => Outcome { result: Err(refusal.clone()), cut: Cut::None, weather: Vec::new() },
    };
    if state.journal.has_room() {
        state.journal.append(entry(wire, asking, caller.as_ref().ok(), now, &outcome));
    }
    reply(outcome, &fresh.request)
}

fn take_step(
    state: &mut State,
    wire: &Wire,
    asking: &Asking,
    caller: &Caller,
    now: Timestamp,
    fresh: &Fresh,
) -> Outcome {
    let recipients = recipients(asking, caller);
    let weather = state.weather.befall(&Traits {
        action: asking.action(),
        images: &asking.images,
        accounts: &caller.names(),
        recipients: &recipients,
        region: caller.place.as_ref().map(|(_, region)| region),
    });
    if weather.iter().any(|fault| matches!(fault, Action::CutBefore)) {
        return Outcome { result: Ok(Done::default()), cut: Cut::Before, weather };
    }
    let cut = if weather.iter().any(|fault| matches!(fault, Action::CutAfter)) { Cut::After } else { Cut::None };
    if let Some(refusal) = weather.iter().find_map(refusal_of) {
        return Outcome { result: Err(refusal), cut, weather };
    }
    let millis = |pick: fn(&Action) -> Option<u64>| weather.iter().find_map(pick).unwrap_or_default();
    let lag = millis(|fault| if let Action::DescribeLag { millis } = fault { Some(*millis) } else { None });
    let lag = SignedDuration::from_millis(i64::try_from(lag).unwrap_or(i64::MAX));
    let doom = weather.iter().find_map(|fault| match fault {
        Action::JobFails { code, partial } => Some(JobFailure { code: code.clone(), partial: *partial }),
        _ => None,
    });
    let Cloud { world, access } = &mut state.huawei;
    let result = match (&asking.operation, asking.wanted.clone()) {
        (None, _) => Err(rules::API_NOT_FOUND.refuse()),
        (_, Err(refusal)) => Err(refusal),
        (Some(operation), Ok(wanted)) => {
            let query = Query(decode_pairs(&wire.query));
            let call = Call {
                operation,
                caller,
                wanted,
                query: &query,
                now,
                members_as_of: now.checked_sub(lag).unwrap_or(now),
                fresh: &fresh.thing,
                fresh_image: &fresh.image,
                doom,
                slow_millis: millis(|fault| if let Action::JobSlow { millis } = fault { Some(*millis) } else { None }),
            };
            call.perform(world, access)
        }
    };
    Outcome { result, cut, weather }
}

/// Whom a request concerns: those to be added or removed, and who answers.
fn recipients(asking: &Asking, caller: &Caller) -> Vec<AccountId> {
    let answers = asking.asked.answer.is_some();
    let own = caller.place.iter().filter(|_| answers).map(|(project, _)| project.clone());
    asking.asked.add.iter().chain(&asking.asked.remove).cloned().chain(own).collect()
}

fn refusal_of(fault: &Action) -> Option<Refusal> {
    match fault {
        Action::Throttle { .. } => Some(rules::THROTTLED.refuse()),
        Action::Unavailable => Some(rules::UNAVAILABLE.refuse()),
        Action::InternalError => Some(rules::INTERNAL_ERROR.refuse()),
        fault => fault.refusal(),
    }
}

fn entry(wire: &Wire, asking: Asking, caller: Option<&Caller>, time: Timestamp, outcome: &Outcome) -> Entry {
    let claimed = || wire.header("authorization")?.split_once("Access=")?.1.split(',').next();
    let principal = match caller {
        Some(Caller { place: Some((project, _)), .. }) => project.as_str(),
        Some(caller) => caller.domain.as_str(),
        None => claimed().unwrap_or("anonymous"),
    };
    let (status, code) = match &outcome.result {
        _ if outcome.cut == Cut::Before => (0, ""),
        Ok(done) => (done.status, "OK"),
        Err(refusal) => (refusal.status, refusal.code.as_str()),
    };
    let done = outcome.result.as_ref().ok();
    let named = asking.operation.as_ref().and_then(Operation::job).map(str::to_owned);
    Entry {
        provider: Some(Provider::Huawei),
        key_id: caller.map(|caller| caller.key_id.clone()),
        host: wire.header("host").unwrap_or_default().to_owned(),
        region: caller.and_then(|caller| caller.place.as_ref()).map(|(_, region)| region.clone()),
        image: asking.images.first().cloned(),
        job: done.and_then(|done| done.job.clone()).or(named),
        effect: done.and_then(|done| done.effect.clone().if_any()),
        copy: done.and_then(|done| done.copy.clone()),
        status: if outcome.cut == Cut::None { status } else { 0 },
        code: code.to_owned(),
        cut: outcome.cut,
        weather: outcome.weather.iter().map(Action::kind).collect(),
        ..Entry::without_request(time, principal, asking.action()).asking(asking.asked)
    }
}

fn reply(outcome: Outcome, request_id: &str) -> Reply {
    let mut reply = Reply { cut: outcome.cut != Cut::None, ..Reply::default() };
    reply.headers.push(("x-request-id", request_id.to_owned()));
    let mut answer = match outcome.result {
        Ok(done) => {
            reply.status = done.status;
            reply.headers.extend(done.token.map(|token| ("x-subject-token", token)));
            done.answer
        }
        Err(refusal) => {
            reply.status = refusal.status;
            answers::refusal(&refusal, request_id)
        }
    };
    let mut wrong_body = None;
    for fault in outcome.weather {
        match fault {
            Action::Throttle { retry_after_millis } if retry_after_millis > 0 => {
                reply.headers.push(("retry-after", retry_after_millis.div_ceil(1000).to_string()));
            }
            Action::Slow { millis } => reply.delay_millis = millis,
            Action::TruncatedBody => reply.halve = true,
            Action::WrongJson { body } => {
                wrong_body =
                    Some(body.unwrap_or_else(|| "<html><body>Welcome to the gateway</body></html>".to_owned()));
            }
            fault => answers::distort(&mut answer, &fault),
        }
    }
    let kind = match (wrong_body, reply.status, &answer) {
        (Some(body), 200 | 201, _) => {
            reply.body = body;
            "text/html"
        }
        (_, _, Value::Null) => return reply,
        _ => {
            reply.body = answer.to_string();
            "application/json"
        }
    };
    reply.headers.push(("content-type", kind.to_owned()));
    reply
}
