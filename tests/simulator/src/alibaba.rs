//! Alibaba Cloud. ECS and STS share the port, told apart by action and version. The order of checks is the vendor's: method,
//! signature (key, token, signature, nonce, date), action, parameters, image, quota. Injected faults come after the
//! signature: a fault strikes an account.

mod admin;
mod answers;
mod authentication;
mod filters;
mod operations;
mod params;
mod rules;
mod signature;
mod sts;
mod tags;
#[cfg(test)]
mod tests;
mod world;
mod world_file;

pub(crate) use admin::routes;
pub use rules::Rules;
pub use world::{
    AccountPatch, CopyEnd, Grant, Image, ImagePatch, KeyPatch, Relation, RulesPatch, SharingChange, World,
};
pub use world_file::{Account, CopiedFrom, Disk, Encryption, ImageSpec, Key, Origin, Role, Site, Status};

use crate::chassis::effect::Asked;
use crate::chassis::exchange::{Done, Fresh, Step, Vendor};
use crate::chassis::faults::{FaultRules, Traits};
use crate::chassis::front_end::{hex_id, uuid};
use crate::chassis::journal::{Entry, Provider};
use crate::chassis::names::{ImageId, RegionId};
use crate::chassis::refusal::Refusal;
use crate::chassis::wire::Wire;
use crate::state::State;
use answers::Format;
use authentication::{Caller, Nonces};
use jiff::Timestamp;
use operations::{Call, Operation};
use params::Params;
use serde_json::{Value, json};
use sts::Sessions;

/// Alibaba Cloud as the simulator holds it.
#[derive(Debug, Default)]
pub(crate) struct Cloud {
    pub(crate) world: World,
    nonces: Nonces,
    sessions: Sessions,
}

/// Whether a host is Alibaba Cloud's.
pub(crate) fn is_host(host: &str) -> bool {
    ["aliyuncs.com", "aliyun.com", "alibabacloud.com"].iter().any(|domain| host.ends_with(domain))
}

/// A request, as far as it is understood without knowing who asks.
pub(crate) struct Request {
    params: Params,
    action: String,
    version: String,
    asked: Asked,
}

/// The vendor.
pub(crate) struct Alibaba;

impl Vendor for Alibaba {
    const PROVIDER: Provider = Provider::Alibaba;
    const MAX_BODY: usize = 64 * 1024;
    const LISTS: &'static [&'static [&'static str]] = &[&["Images", "Image"], &["Accounts", "Account"]];
    const REQUEST_ID: &'static str = "x-acs-request-id";
    type Request = Request;
    type Caller = Caller;

    fn fresh([request, thing, image]: [u128; 3]) -> Fresh {
        Fresh { request: uuid(request).to_uppercase(), thing: hex_id(thing), image: uuid(image) }
    }

    /// Action and version: signature version 3 puts them in headers, the RPC style's own place is the query or the form.
    fn read(wire: &Wire) -> Request {
        let params = Params::of(wire);
        let find = |header, param| wire.header(header).or_else(|| params.get(param)).unwrap_or_default().to_owned();
        let (action, version) = (find("x-acs-action", "Action"), find("x-acs-version", "Version"));
        Request { asked: operations::asked(&action, &params), params, action, version }
    }

    fn authenticate(state: &mut State, wire: &Wire, request: &Request, now: Timestamp) -> Result<Caller, Refusal> {
        match wire.method.as_str() {
            "GET" | "POST" => authentication::authenticate(wire, &request.params, &mut state.alibaba, now),
            _ => Err(rules::HTTP_METHOD.refuse()),
        }
    }

    fn fault_rules(_: &Request) -> FaultRules {
        FaultRules {
            throttled: rules::THROTTLED,
            unavailable: rules::UNAVAILABLE,
            internal_error: rules::INTERNAL_ERROR,
        }
    }

    fn traits(request: &Request, caller: &Caller) -> Traits {
        Traits {
            action: request.action.clone(),
            images: request.params.image().ok().into_iter().collect(),
            accounts: vec![caller.account.clone()],
            recipients: [request.asked.add.as_slice(), request.asked.remove.as_slice()].concat(),
            region: request.params.region().ok(),
        }
    }

    fn perform(state: &mut State, step: Step<'_, Self>) -> Result<Done, Refusal> {
        let Step { request, caller, fresh, now, sharing_as_of, .. } = step;
        let operation = Operation::find(&request.action, &request.version)?;
        let call = Call { operation, caller, params: &request.params, fresh, now, sharing_as_of };
        let (answer, effect) = call.perform(&mut state.alibaba)?;
        Ok(Done { effect, ..Done::ok(answer) })
    }

    fn tell(entry: Entry, wire: &Wire, request: Request, caller: Option<&Caller>) -> Entry {
        let Request { params, action, version, asked } = request;
        let claimed = || signature::claimed_key(wire, &params).unwrap_or_else(|| "anonymous".to_owned());
        let unknown = Operation::find(&action, &version).is_err();
        Entry {
            principal: caller.map_or_else(claimed, |caller| caller.account.to_string()),
            key_id: caller.map(|caller| caller.key_id.clone()).filter(|key| !key.is_empty()),
            region: params.get("RegionId").map(RegionId::from),
            image: params.get("ImageId").map(ImageId::from),
            unknown: unknown.then(|| format!("{} {} {action} {version}", wire.method, wire.path)),
            action,
            parameters: asked,
            ..entry
        }
    }

    fn refusal(refusal: &Refusal, wire: &Wire, _: &Request, request_id: &str) -> Value {
        answers::refusal(refusal, request_id, wire.header("host").unwrap_or_default())
    }

    fn write(answer: Value, wire: &Wire, request: &Request, id: &str, refused: bool) -> Option<(String, String)> {
        let mut answer = answer;
        if let Some(fields) = answer.as_object_mut() {
            fields.insert("RequestId".to_owned(), json!(id));
        }
        let format = Format::of(wire, &request.params);
        let root = if refused { "Error".to_owned() } else { format!("{}Response", request.action) };
        Some((format.write(&answer, &root), format.content_type().to_owned()))
    }

    fn retry_after(millis: u64) -> (&'static str, String) {
        ("x-acs-retry-after", millis.to_string())
    }

    fn uncount(answer: &mut Value) {
        if let Some(total) = answer.get_mut("TotalCount") {
            *total = json!(0);
        }
    }
}
