//! What clients of other people need: the older signature, and errors as the vendor words them.

use super::*;
use crate::chassis::wire::encode;
use signature::sign_parameters;

/// A request of the RPC style, signed by version 1.0.
fn legacy(state: &State, (id, secret): (&str, &str), action: &str, query: &str, extra: &[Pair]) -> Wire {
    let nonce = state.journal.last().to_string();
    let date = answers::instant(state.clock.now());
    let mut pairs = vec![
        ("Action", action),
        ("Version", "2014-05-26"),
        ("Format", "JSON"),
        ("AccessKeyId", id),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("SignatureNonce", &nonce),
        ("Timestamp", &date),
    ];
    pairs.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
    pairs.extend(extra.iter().filter(|(_, value)| !value.is_empty()));
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let (method, path) = ("GET".to_owned(), "/".to_owned());
    let query = format!("{}&{query}", pairs.join("&"));
    let headers = vec![("host".to_owned(), "ecs.test".to_owned())];
    let mut wire = Wire { scheme: "http", method, path, query, headers, body: vec![] };
    sign_parameters(&mut wire, secret);
    wire
}

fn answer(state: &mut State, wire: &Wire) -> (u16, Value) {
    let reply = handle(state, wire, "ID");
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

#[test]
fn a_request_signed_by_version_1_does_what_one_signed_by_version_3_does() {
    let mut state = plain();
    let share = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}&AddAccount.1=1000000000000001");
    let wire = legacy(&state, OWNER_KEY, "ModifyImageSharePermission", &share, &[]);
    assert_eq!(answer(&mut state, &wire).0, 200);
    assert_eq!(
        (last(&state).key_id.as_deref(), last(&state).principal.as_str()),
        (Some(OWNER_KEY.0), "2000000000000000")
    );
    assert_eq!(last(&state).effect.as_ref().unwrap().added[0].as_str(), "1000000000000001");
    let (status, again) = answer(&mut state, &wire);
    assert_eq!((status, &again["Code"]), (400, &json!("SignatureNonceUsed")));
    assert_eq!(last(&state).principal, OWNER_KEY.0, "the key it claims");
}

#[test]
fn a_request_signed_by_version_1_may_be_a_form() {
    let mut state = plain();
    let mut wire = legacy(&state, OWNER_KEY, "DescribeImages", "RegionId=cn-hangzhou&ImageName=a%3Cb", &[]);
    wire.method = "POST".to_owned();
    let unsigned = wire.query.split("&Signature=").next().unwrap().to_owned();
    wire.query = unsigned;
    sign_parameters(&mut wire, OWNER_KEY.1);
    wire.body = std::mem::take(&mut wire.query).into_bytes();
    wire.headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
    assert_eq!(answer(&mut state, &wire).1["TotalCount"], 1);
}

#[test]
fn a_request_signed_by_version_1_is_refused_by_the_first_check_it_fails() {
    let token = ", securityToken: tok";
    let cases: [(&str, Pair, &[Pair], &str); 8] = [
        ("", ("nobody", "x"), &[], "InvalidAccessKeyId.NotFound"),
        ("", (OWNER_KEY.0, "x"), &[], "SignatureDoesNotMatch"),
        ("", OWNER_KEY, &[("Timestamp", "2026-11-21T23:26:59Z")], "InvalidTimeStamp.Expired"),
        ("", OWNER_KEY, &[("Timestamp", "today")], "IllegalTimestamp"),
        (token, OWNER_KEY, &[], "MissingSecurityToken"),
        (token, OWNER_KEY, &[("SecurityToken", "kot")], "InvalidSecurityToken.Malformed"),
        (", securityToken: tok, expired: true", OWNER_KEY, &[("SecurityToken", "tok")], "InvalidSecurityToken.Expired"),
        (token, OWNER_KEY, &[("SecurityToken", "tok")], ""),
    ];
    for (token, key, extra, code) in cases {
        let mut state = state(token);
        let wire = legacy(&state, key, "DescribeRegions", "", extra);
        assert_eq!(answer(&mut state, &wire).1["Code"].as_str().unwrap_or_default(), code);
    }
}

#[test]
fn a_wrong_signature_is_answered_with_the_text_the_server_signed() {
    let mut state = plain();
    let words = "Specified signature is not matched with our calculation. server string to sign is:";
    let wire = legacy(&state, (OWNER_KEY.0, "wrong"), "DescribeRegions", "", &[]);
    let (_, answer) = answer(&mut state, &wire);
    let message = answer["Message"].as_str().unwrap();
    assert!(message.starts_with(&format!("{words}GET&%2F&AccessKeyId%3D")), "{message}");
    let answer = ask(&mut state, (OWNER_KEY.0, "wrong"), "DescribeRegions", "");
    let message = answer["Message"].as_str().unwrap();
    assert!(message.starts_with(&format!("{words}ACS3-HMAC-SHA256\n")), "{message}");
    assert!(message.contains("x-acs-action:DescribeRegions"), "{message}");
}

#[test]
fn an_unknown_action_is_answered_as_the_vendor_does_and_journalled_with_all_that_is_known_of_it() {
    let mut state = plain();
    let wire = signed(&state, OWNER_KEY, "RunInstances", "RegionId=cn-hangzhou", &[]);
    let (status, answer) = answer(&mut state, &wire);
    assert_eq!((status, &answer["Code"]), (404, &json!("InvalidAction.NotFound")));
    assert_eq!(answer["Message"], "Specified api is not found, please check your url and method.");
    assert!(answer["Recommend"].as_str().unwrap().contains("q=InvalidAction.NotFound"), "{answer}");
    assert_eq!(last(&state).unknown.as_deref(), Some("POST / RunInstances 2014-05-26"));
    ask(&mut state, OWNER_KEY, "DescribeRegions", "");
    assert_eq!(last(&state).unknown, None);
}

#[test]
fn parameters_without_effect_are_refused_and_those_that_sdks_always_send_are_not() {
    let mut state = plain();
    let image = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}");
    for (action, extra) in [
        ("ModifyImageSharePermission", "LaunchPermission=HIDDEN"),
        ("ModifyImageSharePermission", "AddGroup.1=all"),
        ("DescribeImages", "InstanceType=ecs.g6.large"),
        ("DescribeImages", "Filter.1.Key=NetworkType&Filter.1.Value=vpc"),
        ("DeleteImage", "ClientToken=t"),
        ("ModifyImageAttribute", "BootMode=UEFI"),
    ] {
        let answer = ask(&mut state, OWNER_KEY, action, &format!("{image}&{extra}"));
        assert_eq!(answer["Code"], "UnsupportedParameter", "{action} {extra}");
    }
    let always = "OwnerId=1&ResourceOwnerAccount=me&SecurityToken=&Tag.1.Key=";
    assert_eq!(ask(&mut state, OWNER_KEY, "DescribeImages", &format!("{image}&{always}"))["Code"], Value::Null);
}

#[test]
fn a_public_image_is_shared_with_the_group_of_all() {
    let mut state = plain();
    for (image, groups) in [(GOLDEN, json!([])), ("m-public", json!([{"Group": "all"}]))] {
        let query = format!("RegionId=cn-hangzhou&ImageId={image}");
        let answer = ask(&mut state, OWNER_KEY, "DescribeImageSharePermission", &query);
        assert_eq!(answer["ShareGroups"]["ShareGroup"], groups, "{image}");
    }
}

#[test]
fn an_api_is_throttled_by_the_minute_with_and_without_a_header() {
    for (tells, wait) in [(true, Some("60000")), (false, None)] {
        let mut state = plain();
        let limit = json!([{"action": "DescribeRegions", "callsPerMinute": 2, "tellsWait": tells}]);
        state.limits.set(serde_json::from_value(limit).unwrap()).unwrap();
        let mut regions = |key| {
            let wire = signed(&state, key, "DescribeRegions", "", &[]);
            let reply = handle(&mut state, &wire, "ID");
            let told = header(&reply, "x-acs-retry-after").map(str::to_owned);
            (reply.status, told, last(&state).code.clone())
        };
        let ok = (200, None, "OK".to_owned());
        assert_eq!([(); 2].map(|()| regions(OWNER_KEY)), [ok.clone(), ok.clone()]);
        assert_eq!(regions(OWNER_KEY), (400, wait.map(str::to_owned), "Throttling.User".to_owned()));
        assert_eq!(regions(RECIPIENT_KEY), ok, "another account has its own calls");
        state.move_clock(ClockMove { offset_seconds: None, advance_seconds: Some(60) }).unwrap();
        assert_eq!(ask(&mut state, OWNER_KEY, "DescribeRegions", "")["Code"], Value::Null);
    }
}

#[test]
fn every_host_of_the_vendors_is_known_and_no_other() {
    for host in ["ecs.aliyuncs.com", "ecs.cn-hangzhou.aliyuncs.com", "sts.aliyuncs.com"] {
        assert!(is_host(host) && !crate::huawei::is_host(host), "{host}");
    }
    for host in ["ims.cn-north-4.myhuaweicloud.com", "iam.eu-west-101.myhuaweicloud.eu"] {
        assert!(crate::huawei::is_host(host) && !is_host(host), "{host}");
    }
    assert!(!is_host("localhost") && !crate::huawei::is_host("localhost"));
}

#[test]
fn clients_without_a_list_of_hosts_are_told_the_host_of_a_service() {
    let mut state = plain();
    let mut found = |query: &str| {
        let answer = ask(&mut state, OWNER_KEY, "DescribeEndpoints", query);
        let rows = answer["Endpoints"]["Endpoint"].as_array().cloned();
        let hosts = rows.map(|rows| rows.iter().map(|row| row["Endpoint"].as_str().unwrap().to_owned()).collect());
        hosts.unwrap_or_else(|| vec![answer["Code"].as_str().unwrap().to_owned()])
    };
    let hosts = found("Id=cn-beijing&ServiceCode=ecs&Type=openAPI");
    assert_eq!(hosts, ["ecs.cn-beijing.aliyuncs.com"]);
    assert!(hosts.iter().all(|host| is_host(host)));
    assert!(found("Id=cn-beijing&ServiceCode=oss").is_empty());
    assert!(found("Id=cn-beijing&ServiceCode=ecs&Type=innerAPI").is_empty());
    assert_eq!(found("Id=nowhere&ServiceCode=ecs"), ["InvalidRegionId"]);
    assert_eq!(found("ServiceCode=ecs"), ["MissingParameter"]);
}
