//! Usage reports, references, and quotas as Service Quotas tells them.

use super::*;

const TYPES: &str = "ResourceType.1.ResourceType=ec2:Instance&ResourceType.2.ResourceType=ec2:LaunchTemplate";

fn used() -> State {
    let mut state = plain();
    let usage = json!({"usage": [
        {"account": RECIPIENT, "resourceType": "ec2:Instance", "count": 3},
        {"account": RECIPIENT, "resourceType": "imagebuilder:ImageRecipe", "count": 1},
        {"account": "777788889999", "resourceType": "ec2:LaunchTemplate", "count": 2},
        {"account": OWNER, "resourceType": "ec2:Instance", "count": 2},
    ]});
    state.patch_aws_image(&GOLDEN.into(), serde_json::from_value(usage).unwrap()).unwrap();
    state
}

#[test]
fn a_usage_report_is_pending_then_available_and_tells_of_other_accounts() {
    let mut state = used();
    let create = format!("ImageId={GOLDEN}&{TYPES}&ClientToken=t");
    let id = text(&ask(&mut state, OWNER_KEY, "CreateImageUsageReport", &create), "reportId");
    assert_eq!(text(&ask(&mut state, OWNER_KEY, "CreateImageUsageReport", &create), "reportId"), id);
    let report = |state: &mut State| {
        text(&ask(state, OWNER_KEY, "DescribeImageUsageReports", &format!("ReportId.1={id}")), "state")
    };
    let entries = |state: &mut State, rest: &str| {
        ask(state, OWNER_KEY, "DescribeImageUsageReportEntries", &format!("ReportId.1={id}{rest}"))
    };
    assert_eq!((report(&mut state).as_str(), texts(&entries(&mut state, ""), "accountId").len()), ("pending", 0));
    advance(&mut state, 2);
    assert_eq!(report(&mut state), "available");
    let told = entries(&mut state, "");
    assert_eq!(
        (texts(&told, "accountId"), texts(&told, "usageCount")),
        (vec![RECIPIENT.to_owned(), "777788889999".to_owned()], vec!["3".to_owned(), "2".to_owned()])
    );
    let one = entries(&mut state, "&Filter.1.Name=account-id&Filter.1.Value.1=777788889999");
    assert_eq!(texts(&one, "accountId"), ["777788889999"]);
    assert_eq!(code_of(&mut state, RECIPIENT_KEY, "CreateImageUsageReport", &create), "InvalidAMIID.NotFound");
    ask(&mut state, OWNER_KEY, "DeleteImageUsageReport", &format!("ReportId={id}"));
    assert_eq!(report(&mut state), "");
    let bad = format!("ImageId={GOLDEN}&ResourceType.1.ResourceType=ssm:Parameter");
    assert_eq!(code_of(&mut state, OWNER_KEY, "CreateImageUsageReport", &bad), "InvalidParameterValue");
    assert_eq!(
        code_of(&mut state, OWNER_KEY, "CreateImageUsageReport", &format!("ImageId={GOLDEN}")),
        "MissingParameter"
    );
}

#[test]
fn references_are_the_callers_own() {
    let mut state = used();
    let all = format!("ImageId.1={GOLDEN}&IncludeAllResourceTypes=true");
    let own = ask(&mut state, OWNER_KEY, "DescribeImageReferences", &all);
    assert_eq!(texts(&own, "resourceType"), ["ec2:Instance", "ec2:Instance"]);
    let theirs = format!("ImageId.1={GOLDEN}&ResourceType.1.ResourceType=imagebuilder:ImageRecipe");
    assert_eq!(texts(&ask(&mut state, RECIPIENT_KEY, "DescribeImageReferences", &theirs), "resourceType").len(), 1);
    assert_eq!(
        code_of(&mut state, OWNER_KEY, "DescribeImageReferences", &format!("ImageId.1={GOLDEN}")),
        "MissingParameter"
    );
}

#[test]
fn public_access_is_blocked_and_unblocked_by_calls() {
    let mut state = plain();
    let block = "ImageBlockPublicAccessState=block-new-sharing";
    ask(&mut state, OWNER_KEY, "EnableImageBlockPublicAccess", block);
    let publish = format!("ImageId={GOLDEN}&LaunchPermission.Add.1.Group=all");
    assert_eq!(code_of(&mut state, OWNER_KEY, "ModifyImageAttribute", &publish), "OperationNotPermitted");
    ask(&mut state, OWNER_KEY, "DisableImageBlockPublicAccess", "");
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &publish);
}

fn quota(state: &mut State, key: Pair, target: &str, body: &Value) -> (u16, Value) {
    let mut wire = by(key).wire(state, "DescribeRegions", "");
    wire.headers.retain(|(name, _)| name != "authorization" && name != "content-type");
    wire.headers.push(("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()));
    wire.headers.push(("x-amz-target".to_owned(), target.to_owned()));
    wire.body = body.to_string().into_bytes();
    signature::sign(&mut wire, key.0, key.1, "us-east-1", "servicequotas");
    let reply = handle(state, &wire);
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

#[test]
fn service_quotas_tells_how_many_recipients_an_image_may_have() {
    let mut state = plain();
    let target = "ServiceQuotasV20190624.GetServiceQuota";
    let asked = json!({"ServiceCode": "ec2", "QuotaCode": "L-70015FFA"});
    let (status, answer) = quota(&mut state, OWNER_KEY, target, &asked);
    assert_eq!((status, &answer["Quota"]["Value"]), (200, &json!(1000)));
    assert_eq!(last(&state).action, "GetServiceQuota");
    state.patch_aws_account(&OWNER.into(), serde_json::from_value(json!({"recipientsPerImage": 7})).unwrap()).unwrap();
    assert_eq!(quota(&mut state, OWNER_KEY, target, &asked).1["Quota"]["Value"], 7);
    let other = json!({"ServiceCode": "ec2", "QuotaCode": "L-00000000"});
    assert_eq!(quota(&mut state, OWNER_KEY, target, &other).1["__type"], "NoSuchResourceException");
    assert_eq!(
        quota(&mut state, OWNER_KEY, "ServiceQuotasV20190624.ListServices", &asked).1["__type"],
        "UnknownOperationException"
    );
    assert_eq!(quota(&mut state, (OWNER_KEY.0, "x"), target, &asked).1["__type"], "InvalidSignatureException");
    assert_eq!(quota(&mut state, ("nobody", "x"), target, &asked).1["__type"], "UnrecognizedClientException");
}
