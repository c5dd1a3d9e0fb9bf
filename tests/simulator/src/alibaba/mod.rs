//! Alibaba Cloud's front door, without the socket: one request in, what to send back out. ECS and STS share the port,
//! told apart by action and version. The order of checks is the vendor's: method, signature (key, token, signature,
//! nonce, date), action, parameters, image, quota. Weather comes after the signature: a fault befalls an account.

mod answers;
mod authentication;
mod http;
mod operations;
mod params;
mod signature;
#[cfg(test)]
mod tests;

pub(super) use authentication::Nonces;
pub(super) use http::serve;

use super::faults::{Action, Traits};
use super::journal::{Asked, Cut, Entry, Provider};
use super::names::{ImageId, RegionId};
use super::rules::{self, Refusal};
use super::state::State;
use super::wire::Wire;
use super::world::Effect;
use answers::Format;
use authentication::Caller;
use jiff::{SignedDuration, Timestamp};
use operations::{Call, Operation};
use params::Params;
use serde_json::{Value, json};

impl Wire {
    fn params(&self) -> Params {
        let form =
            self.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let body = if form { String::from_utf8_lossy(&self.body) } else { "".into() };
        Params::new(&self.query, &body)
    }

    /// Action and version: signature version 3 puts them in headers, the RPC style's own place is the query.
    fn action<'a>(&'a self, params: &'a Params) -> (&'a str, &'a str) {
        let find = |header, param| self.header(header).or_else(|| params.get(param)).unwrap_or_default();
        (find("x-acs-action", "Action"), find("x-acs-version", "Version"))
    }

    fn format(&self, params: &Params) -> Format {
        let asked = params.get("Format").is_some_and(|format| format.eq_ignore_ascii_case("json"));
        let accepted = self.header("accept").is_some_and(|accept| accept.contains("application/json"));
        if asked || accepted { Format::Json } else { Format::Xml }
    }
}

/// What to send back, and how.
#[derive(Debug)]
struct Reply {
    status: u16,
    content_type: &'static str,
    body: String,
    request_id: String,
    retry_after_millis: Option<u64>,
    delay_millis: u64,
    /// Close without an answer.
    cut: bool,
    /// Close half way through the body.
    halve: bool,
}

/// What became of a request.
struct Outcome {
    result: Result<(Value, Effect), Refusal>,
    cut: Cut,
    weather: Vec<Action>,
}

impl Outcome {
    fn refused(refusal: Refusal) -> Self {
        Self { result: Err(refusal), cut: Cut::None, weather: Vec::new() }
    }
}

/// Handles one request whole: authenticates, lets the weather have its way, takes the step, journals it.
fn handle(state: &mut State, wire: &Wire, request_id: &str) -> Reply {
    let now = state.clock.now();
    let params = wire.params();
    let asked = operations::asked(wire.action(&params).0, &params);
    let caller = match wire.method.as_str() {
        _ if !state.journal.has_room() => Err(rules::JOURNAL_FULL.refuse()),
        "GET" | "POST" => authentication::authenticate(wire, &state.world, &mut state.nonces, now),
        _ => Err(rules::HTTP_METHOD.refuse()),
    };
    let outcome = match &caller {
        Ok(caller) => take_step(state, wire, &params, &asked, caller, now),
        Err(refusal) => Outcome::refused(refusal.clone()),
    };
    if state.journal.has_room() {
        state.journal.append(entry(wire, &params, asked, caller.as_ref().ok(), now, &outcome));
    }
    reply(wire, &params, outcome, request_id)
}

fn take_step(
    state: &mut State,
    wire: &Wire,
    params: &Params,
    asked: &Asked,
    caller: &Caller,
    now: Timestamp,
) -> Outcome {
    let (action, version) = wire.action(params);
    let (image, region) = (params.image().ok(), params.region().ok());
    let recipients = [asked.add.as_slice(), asked.remove.as_slice()].concat();
    let weather = state.weather.befall(&Traits {
        action,
        images: image.as_slice(),
        accounts: std::slice::from_ref(&caller.account),
        recipients: &recipients,
        region: region.as_ref(),
    });
    if weather.iter().any(|fault| matches!(fault, Action::CutBefore)) {
        return Outcome { result: Ok((Value::Null, Effect::default())), cut: Cut::Before, weather };
    }
    let cut = if weather.iter().any(|fault| matches!(fault, Action::CutAfter)) { Cut::After } else { Cut::None };
    if let Some(refusal) = weather.iter().find_map(Action::refusal) {
        return Outcome { result: Err(refusal), cut, weather };
    }
    let lag = weather.iter().find_map(|fault| match fault {
        Action::DescribeLag { millis } => i64::try_from(*millis).ok().map(SignedDuration::from_millis),
        _ => None,
    });
    let sharing_as_of = lag.and_then(|lag| now.checked_sub(lag).ok()).unwrap_or(now);
    let result = Operation::find(action, version)
        .and_then(|operation| Call { operation, caller, params, now, sharing_as_of }.perform(&mut state.world));
    Outcome { result, cut, weather }
}

fn entry(
    wire: &Wire,
    params: &Params,
    parameters: Asked,
    caller: Option<&Caller>,
    time: Timestamp,
    outcome: &Outcome,
) -> Entry {
    let claimed = || wire.header("authorization")?.split_once("Credential=")?.1.split(',').next();
    let principal = caller.map_or_else(|| claimed().unwrap_or("anonymous"), |caller| caller.account.as_str());
    let (status, code) = match &outcome.result {
        _ if outcome.cut == Cut::Before => (0, ""),
        Ok(_) => (200, "OK"),
        Err(refusal) => (refusal.status, refusal.code.as_str()),
    };
    Entry {
        provider: Some(Provider::Alibaba),
        key_id: caller.map(|caller| caller.key_id.clone()),
        host: wire.header("host").unwrap_or_default().to_owned(),
        region: params.get("RegionId").map(RegionId::from),
        image: params.get("ImageId").map(ImageId::from),
        parameters,
        effect: outcome.result.as_ref().ok().and_then(|(_, effect)| effect.clone().if_any()),
        status: if outcome.cut == Cut::None { status } else { 0 },
        code: code.to_owned(),
        cut: outcome.cut,
        weather: outcome.weather.iter().map(Action::kind).collect(),
        ..Entry::without_request(time, principal, wire.action(params).0)
    }
}

fn reply(wire: &Wire, params: &Params, outcome: Outcome, request_id: &str) -> Reply {
    let format = wire.format(params);
    let (status, mut answer, root) = match outcome.result {
        Ok((answer, _)) => (200, answer, format!("{}Response", wire.action(params).0)),
        Err(refusal) => {
            let host = wire.header("host").unwrap_or_default();
            (refusal.status, answers::refusal(&refusal, request_id, host), "Error".to_owned())
        }
    };
    if let Some(id) = answer.as_object_mut() {
        id.insert("RequestId".to_owned(), json!(request_id));
    }
    let mut reply = Reply {
        status,
        content_type: format.content_type(),
        body: String::new(),
        request_id: request_id.to_owned(),
        retry_after_millis: None,
        delay_millis: 0,
        cut: outcome.cut != Cut::None,
        halve: false,
    };
    let mut wrong_body = None;
    for fault in outcome.weather {
        match fault {
            Action::Throttle { retry_after_millis } if retry_after_millis > 0 => {
                reply.retry_after_millis = Some(retry_after_millis);
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
    reply.body = format.write(&answer, &root);
    if let (Some(body), 200) = (wrong_body, reply.status) {
        (reply.body, reply.content_type) = (body, "text/html");
    }
    reply
}
