//! Amazon Web Services. EC2, STS and Service Quotas of all regions share the port, told apart by what a request is signed for;
//! the signature names the region as well. The order of checks: signature (key, region, token, signature, date), faults, action,
//! throttling, parameters, image, recipients, quota. Injected faults come after the signature: a fault strikes an account.

mod admin;
mod answers;
mod authentication;
mod calls;
mod filters;
mod hosts;
mod operations;
mod organizations;
mod params;
mod quotas;
mod recipient;
mod rules;
mod signature;
mod sts;
#[cfg(test)]
mod tests;
mod throttling;
mod world;
mod world_file;

pub(crate) use admin::routes;
pub use recipient::{Kind, Recipient};
pub use rules::Rules;
pub use world::{
    AccountPatch, Asker, CopyEnd, Image, ImagePatch, KeyPatch, RulesPatch, Snapshot, SnapshotPatch, World,
};
pub use world_file::{
    Account, Alias, AllowedImages, Allowing, AwsFile, CopiedFrom, Encryption, ImageSpec, Key, KmsKey, Organization,
    Partition, Protection, Role, SnapshotSpec, SnapshotState, State as ImageState, Unit, Usage,
};

use crate::chassis::effect::Asked;
use crate::chassis::exchange::{Done, Fresh, Step, Vendor};
use crate::chassis::faults::{FaultRules, Traits};
use crate::chassis::front_end::{hex_id, uuid};
use crate::chassis::journal::{Entry, Provider};
use crate::chassis::names::ImageId;
use crate::chassis::refusal::Refusal;
use crate::chassis::wire::Wire;
use crate::state::State;
use authentication::Caller;
use hosts::{Host, Service};
use jiff::Timestamp;
use operations::{Call, Operation, unknown_action};
use params::Params;
use serde_json::Value;
use sts::{Assumption, Sessions};
use throttling::Buckets;

/// Amazon Web Services as the simulator holds it.
#[derive(Debug, Default)]
pub(crate) struct Cloud {
    pub(crate) world: World,
    sessions: Sessions,
    buckets: Buckets,
}

/// Whether a host is one of the services simulated.
pub(crate) fn is_host(host: &str) -> bool {
    Host::read(host).is_some()
}

/// A request, as far as it is understood without knowing who asks.
pub(crate) struct Request {
    service: Service,
    params: Params,
    action: String,
    version: String,
    asked: Asked,
}

impl Request {
    /// The images and snapshots named.
    fn named(&self) -> Vec<ImageId> {
        let single = ["ImageId", "SourceImageId", "SnapshotId"].into_iter().filter_map(|name| self.params.get(name));
        let lists = ["ImageId", "SnapshotId", "ResourceId"].into_iter().flat_map(|name| self.params.ids(name));
        single.map(ImageId::from).chain(lists).collect()
    }

    /// Whether it is a call that needs no key.
    fn is_web_identity(&self, wire: &Wire) -> bool {
        let action = self.service == Service::Sts && self.action == "AssumeRoleWithWebIdentity";
        action && wire.header("authorization").is_none()
    }
}

/// The vendor.
pub(crate) struct Aws;

impl Vendor for Aws {
    const PROVIDER: Provider = Provider::Aws;
    /// 10,000 permissions of organizational units in one call.
    const MAX_BODY: usize = 4 * 1024 * 1024;
    const LISTS: &'static [&'static [&'static str]] = &[
        &["imagesSet", "item"],
        &["launchPermission", "item"],
        &["createVolumePermission", "item"],
        &["snapshotSet", "item"],
        &["regionInfo", "item"],
    ];
    const REQUEST_ID: &'static str = "x-amzn-requestid";
    type Request = Request;
    type Caller = Caller;

    fn fresh([request, thing, image]: [u128; 3]) -> Fresh {
        Fresh { request: uuid(request), thing: hex_id(thing), image: hex_id(image) }
    }

    fn read(wire: &Wire) -> Request {
        let params = Params::of(wire);
        let find = |name| params.get(name).unwrap_or_default().to_owned();
        let action = params.get("Action").map(str::to_owned).or_else(|| quotas::action(wire)).unwrap_or_default();
        let version = find("Version");
        let claimed = signature::claimed(wire).map(|(_, scope)| scope);
        let by_version = if version == Service::Sts.version() { Service::Sts } else { Service::Ec2 };
        let service = claimed.as_ref().and_then(|scope| Service::of(&scope.service)).unwrap_or(by_version);
        let (add, remove) = calls::permissions::asked(&params);
        let public = |all: &[crate::chassis::names::AccountId]| all.iter().any(|one| one.as_str() == "all");
        let is_public = if public(&add) { Some(true) } else { public(&remove).then_some(false) };
        let asked = Asked {
            dry_run: params.flag("DryRun").unwrap_or_default(),
            copy: (action == "CopyImage").then(|| calls::copies::asked(&params, claimed.map(|scope| scope.region))),
            is_public,
            add,
            remove,
            ..Asked::default()
        };
        Request { service, params, action, version, asked }
    }

    fn authenticate(state: &mut State, wire: &Wire, request: &Request, now: Timestamp) -> Result<Caller, Refusal> {
        if request.is_web_identity(wire) {
            return Ok(Caller::nobody(wire));
        }
        authentication::authenticate(wire, &state.aws.world, &state.aws.sessions, now)
    }

    fn fault_rules(request: &Request) -> FaultRules {
        let throttled = if request.service == Service::Ec2 { rules::THROTTLED } else { rules::STS_THROTTLED };
        FaultRules { throttled, unavailable: rules::UNAVAILABLE, internal_error: rules::INTERNAL_ERROR }
    }

    fn traits(request: &Request, caller: &Caller) -> Traits {
        Traits {
            action: request.action.clone(),
            images: request.named(),
            accounts: vec![caller.asker.account.clone()],
            recipients: [request.asked.add.as_slice(), request.asked.remove.as_slice()].concat(),
            region: Some(caller.asker.region.clone()),
        }
    }

    fn perform(state: &mut State, step: Step<'_, Self>) -> Result<Done, Refusal> {
        let Step { wire, request, caller, fresh, now, sharing_as_of, .. } = step;
        let Request { service, params, action, version, .. } = request;
        let cloud = &mut state.aws;
        if *service == Service::Quotas {
            return quotas::answer(&cloud.world, caller, wire).map(Done::ok);
        }
        if *service == Service::Sts {
            let assumption = Assumption { wire, params, caller, fresh, now };
            let known = version.as_str() == Service::Sts.version();
            return match action.as_str() {
                "GetCallerIdentity" if known => Ok(Done::ok(sts::identity(caller))),
                "AssumeRole" if known => assumption.by_account(&cloud.world, &mut cloud.sessions).map(Done::ok),
                "AssumeRoleWithWebIdentity" if known => {
                    assumption.by_web_identity(&cloud.world, &mut cloud.sessions).map(Done::ok)
                }
                _ => Err(unknown_action(action)),
            };
        }
        let operation = Operation::find(action, version)?;
        if cloud.world.rules().throttling {
            cloud.buckets.take(&caller.asker, action, operation.bucket(params), now)?;
        }
        let call = Call { caller, params, view: cloud.world.view(now, sharing_as_of) };
        let (mut answer, effect) = operation.perform(&call, &mut cloud.world)?;
        if cloud.world.rules().unknown_elements {
            answers::add_unknown(&mut answer);
        }
        Ok(Done { effect, ..Done::ok(answer) })
    }

    fn tell(entry: Entry, wire: &Wire, request: Request, caller: Option<&Caller>) -> Entry {
        let claimed = signature::claimed(wire);
        let unknown = match request.service {
            Service::Ec2 => Operation::find(&request.action, &request.version).is_err(),
            Service::Sts | Service::Quotas => {
                matches!(entry.code.as_str(), "InvalidAction" | "UnknownOperationException")
            }
        };
        let (key, region) = match claimed {
            Some((key, scope)) => (key, Some(scope.region)),
            None => ("anonymous".to_owned(), None),
        };
        Entry {
            principal: caller.map_or(key, |caller| caller.asker.account.to_string()),
            key_id: caller.map(|caller| caller.key_id.clone()).filter(|key| !key.is_empty()),
            region,
            image: request.named().into_iter().next(),
            unknown: unknown.then(|| format!("{} {} {} {}", wire.method, wire.path, request.action, request.version)),
            action: request.action,
            parameters: request.asked,
            ..entry
        }
    }

    fn refusal(refusal: &Refusal, _: &Wire, request: &Request, _: &str) -> Value {
        answers::refusal(refusal, request.service)
    }

    fn write(answer: Value, _: &Wire, request: &Request, id: &str, refused: bool) -> Option<(String, String)> {
        let text = answers::write(answer, request.service, &request.action, id, refused);
        let kind =
            if request.service == Service::Quotas { "application/x-amz-json-1.1" } else { "text/xml;charset=UTF-8" };
        Some((text, kind.to_owned()))
    }

    fn retry_after(millis: u64) -> (&'static str, String) {
        ("x-amz-retry-after", millis.to_string())
    }

    fn uncount(answer: &mut Value) {
        if let Some(fields) = answer.as_object_mut() {
            fields.remove("nextToken");
        }
    }
}
