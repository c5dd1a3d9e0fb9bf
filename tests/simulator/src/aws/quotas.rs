//! Service Quotas, as far as images need it: `GetServiceQuota` in JSON, on a target of its own.

use super::authentication::Caller;
use super::world::World;
use crate::chassis::refusal::{Refusal, Rule, rule};
use crate::chassis::wire::Wire;
use serde_json::{Value, json};

/// The target of the one operation.
const TARGET: &str = "ServiceQuotasV20190624.GetServiceQuota";
/// Recipients of an image. Quotas page.
const IMAGE_SHARING: &str = "L-70015FFA";
/// Public images. Quotas page.
const PUBLIC_IMAGES: &str = "L-0E3CBAB9";

/// There is no such quota. Model, `NoSuchResourceException`.
const NO_SUCH_RESOURCE: Rule =
    rule(400, "NoSuchResourceException", "The request failed because the specified quota was not found");
/// There is no such operation. Common errors.
const UNKNOWN_OPERATION: Rule = rule(400, "UnknownOperationException", "the operation is not known");

/// The action of a request's target.
pub(super) fn action(wire: &Wire) -> Option<String> {
    wire.header("x-amz-target")?.split_once('.').map(|(_, action)| action.to_owned())
}

/// `GetServiceQuota`.
pub(super) fn answer(world: &World, caller: &Caller, wire: &Wire) -> Result<Value, Refusal> {
    if wire.header("x-amz-target") != Some(TARGET) {
        return Err(UNKNOWN_OPERATION.refuse());
    }
    let asked: Value = serde_json::from_slice(&wire.body).unwrap_or_default();
    let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
    let account = world.account(&caller.asker.account);
    let (name, value) = match (text("ServiceCode"), text("QuotaCode")) {
        ("ec2", IMAGE_SHARING) => {
            let own = account.and_then(|account| account.recipients_per_image);
            ("AMI sharing", own.unwrap_or(world.rules().recipients_per_image))
        }
        ("ec2", PUBLIC_IMAGES) => ("Public AMIs", world.rules().public_images),
        _ => return Err(NO_SUCH_RESOURCE.refuse()),
    };
    Ok(json!({"Quota": {
        "ServiceCode": "ec2", "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)", "QuotaCode": text("QuotaCode"),
        "QuotaName": name, "Value": value, "Unit": "None", "Adjustable": true, "GlobalQuota": false,
    }}))
}

/// A refusal as an answer.
pub(super) fn refusal(refusal: &Refusal) -> Value {
    json!({"__type": refusal.code, "message": refusal.message})
}
