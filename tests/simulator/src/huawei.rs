//! Huawei Cloud. IAM and IMS of all regions share the port; the region of a request is that of its project. The order of
//! checks: path, who asks, faults, body, project, image, recipients, quota. Injected faults come once it is known who asks:
//! a fault strikes a project or a domain.

mod admin;
mod answers;
mod authentication;
mod bodies;
mod by_tags;
mod catalog;
mod iam;
mod images;
mod native;
mod operations;
mod query;
mod recipient;
mod route;
mod rules;
mod signature;
mod temporary;
#[cfg(test)]
mod tests;
mod world;
mod world_file;

pub(crate) use admin::routes;
pub use recipient::{MemberKind, Recipient};
pub use rules::Rules;
pub use world::{
    Asker, CopyOrder, CopyTo, DomainPatch, Ended, Image, ImagePatch, Job, KeyPatch, Making, Material, Member, Order,
    Phase, Received, Relation, RulesPatch, World,
};
pub use world_file::{
    Agency, Domain, HuaweiFile, ImageSpec, Key, Kind, KmsKey, MemberSpec, MemberStatus, Origin, Project, Seconds, Site,
    Status, User, Vault,
};

use crate::chassis::effect::Asked;
use crate::chassis::exchange::{Done, Fresh, Step, Vendor};
use crate::chassis::faults::{FaultRules, Traits};
use crate::chassis::front_end::{hex_id, uuid};
use crate::chassis::journal::{Entry, Provider};
use crate::chassis::names::ImageId;
use crate::chassis::refusal::Refusal;
use crate::chassis::wire::{Wire, decode_pairs};
use crate::state::State;
use authentication::{Access, Caller};
use bodies::Wanted;
use jiff::Timestamp;
use operations::Call;
use query::Query;
use route::Operation;
use serde_json::{Value, json};

/// Huawei Cloud as the simulator holds it.
#[derive(Debug, Default)]
pub(crate) struct Cloud {
    pub(crate) world: World,
    access: Access,
}

/// Whether a host is Huawei Cloud's.
pub(crate) fn is_host(host: &str) -> bool {
    ["myhuaweicloud.com", "myhuaweicloud.eu", "huaweicloud.com"].iter().any(|domain| host.ends_with(domain))
}

/// A request, as far as it is understood without knowing who asks.
pub(crate) struct Request {
    operation: Option<Operation>,
    wanted: Result<Option<Wanted>, Refusal>,
    query: Query,
    asked: Asked,
    images: Vec<ImageId>,
}

impl Request {
    fn action(&self) -> &'static str {
        self.operation.as_ref().map_or("", Operation::action)
    }
}

/// The vendor.
pub(crate) struct Huawei;

impl Vendor for Huawei {
    const PROVIDER: Provider = Provider::Huawei;
    /// The vendor's gateway takes twelve times as much.
    const MAX_BODY: usize = 1024 * 1024;
    const LISTS: &'static [&'static [&'static str]] = &[&["images"], &["members"]];
    const REQUEST_ID: &'static str = "x-request-id";
    type Request = Request;
    type Caller = Caller;

    fn fresh([request, thing, image]: [u128; 3]) -> Fresh {
        Fresh { request: hex_id(request), thing: hex_id(thing), image: uuid(image) }
    }

    fn read(wire: &Wire) -> Request {
        let operation = Operation::find(&wire.method, &wire.path);
        let wanted = operation.as_ref().map_or(Ok(None), |operation| bodies::read(operation, &wire.body));
        let order = wanted.as_ref().ok().and_then(Option::as_ref);
        let images = match (order, operation.as_ref().and_then(Operation::image)) {
            (Some(Wanted::Members { order, .. }), _) => order.images().to_vec(),
            (_, Some(image)) => vec![image.clone()],
            (_, None) => Vec::new(),
        };
        let query = Query(decode_pairs(&wire.query));
        Request { asked: bodies::asked(order), operation, wanted, query, images }
    }

    fn authenticate(state: &mut State, wire: &Wire, request: &Request, now: Timestamp) -> Result<Caller, Refusal> {
        match &request.operation {
            None => Err(rules::API_NOT_FOUND.refuse()),
            Some(Operation::ShowVersion { .. }) => Ok(Caller::nobody()),
            Some(Operation::CreateToken) => iam::log_in(&state.huawei.world, &wire.body),
            Some(_) => authentication::authenticate(wire, &mut state.huawei, now),
        }
    }

    fn fault_rules(request: &Request) -> FaultRules {
        let identity = request.operation.as_ref().is_some_and(Operation::is_identity);
        let [throttled, unavailable, internal_error] = if identity {
            [rules::IAM_THROTTLED, rules::IAM_UNAVAILABLE, rules::IAM_INTERNAL_ERROR]
        } else {
            [rules::THROTTLED, rules::UNAVAILABLE, rules::INTERNAL_ERROR]
        };
        FaultRules { throttled, unavailable, internal_error }
    }

    fn traits(request: &Request, caller: &Caller) -> Traits {
        let Asked { add, remove, answer, .. } = &request.asked;
        let own = caller.place.iter().filter(|_| answer.is_some()).map(|(project, _)| project);
        Traits {
            action: request.action().to_owned(),
            images: request.images.clone(),
            accounts: caller.names(),
            recipients: add.iter().chain(remove).chain(own).cloned().collect(),
            region: caller.place.as_ref().map(|(_, region)| region.clone()),
        }
    }

    fn perform(state: &mut State, step: Step<'_, Self>) -> Result<Done, Refusal> {
        let Step { wire, request, caller, fresh, now, sharing_as_of, job_failure, slow_millis } = step;
        let Some(operation) = &request.operation else { return Err(rules::API_NOT_FOUND.refuse()) };
        let call = Call {
            operation,
            caller,
            wanted: request.wanted.clone()?,
            body: &wire.body,
            query: &request.query,
            origin: wire.origin(),
            now,
            members_as_of: sharing_as_of,
            fresh,
            job_failure,
            slow_millis,
        };
        call.perform(&mut state.huawei)
    }

    fn tell(entry: Entry, wire: &Wire, request: Request, caller: Option<&Caller>) -> Entry {
        let principal = match caller {
            Some(Caller { place: Some((project, _)), .. }) => project.to_string(),
            Some(caller) => caller.domain.to_string(),
            None => signature::claimed_key(wire).unwrap_or_else(|| "anonymous".to_owned()),
        };
        let unknown = request.operation.is_none().then(|| format!("{} {}", wire.method, wire.path));
        let named = request.operation.as_ref().and_then(Operation::job).map(str::to_owned);
        Entry {
            principal,
            key_id: caller.map(|caller| caller.key_id.clone()).filter(|key| !key.is_empty()),
            region: caller.and_then(|caller| caller.place.as_ref()).map(|(_, region)| region.clone()),
            action: request.action().to_owned(),
            image: request.images.first().cloned(),
            job: entry.job.clone().or(named),
            unknown,
            parameters: request.asked,
            ..entry
        }
    }

    fn refusal(refusal: &Refusal, _: &Wire, _: &Request, request_id: &str) -> Value {
        answers::refusal(refusal, request_id)
    }

    fn write(answer: Value, _: &Wire, _: &Request, _: &str, _: bool) -> Option<(String, String)> {
        (!answer.is_null()).then(|| (answer.to_string(), "application/json".to_owned()))
    }

    fn retry_after(millis: u64) -> (&'static str, String) {
        ("retry-after", millis.div_ceil(1000).to_string())
    }

    fn uncount(answer: &mut Value) {
        if let Some(page) = answer.get_mut("page_info") {
            *page = json!({"current_count": 0});
        }
    }
}
