//! Roles of STS: who may assume one, what it may then do, and for how long.

use super::*;
use crate::chassis::tokens;

const ROLE: &str = "RoleArn=acs%3Aram%3A%3A1000000000000000%3Arole%2Fshare&RoleSessionName=imageshare";
const TOLD: &str = "ExternalId=cluster%2Fteam";

fn code_of(answer: &Value) -> &str {
    answer["Code"].as_str().unwrap_or_default()
}

/// Asks with the credentials of an answer of `AssumeRole`.
fn ask_as(state: &mut State, session: &Value, action: &str, query: &str) -> Value {
    let of = |name: &str| session["Credentials"][name].as_str().unwrap();
    let token = [("x-acs-security-token", of("SecurityToken"))];
    let wire = signed(state, (of("AccessKeyId"), of("AccessKeySecret")), action, query, &token);
    serde_json::from_str(&handle(state, &wire, "ID").body).unwrap()
}

#[test]
fn a_role_is_assumed_by_whom_it_trusts_and_works_as_its_account() {
    let mut state = plain();
    let told = format!("{ROLE}&{TOLD}");
    for (key, query, code) in [
        (OWNER_KEY, ROLE.to_owned(), "NoPermission"),
        (OWNER_KEY, format!("{ROLE}&ExternalId=x"), "NoPermission"),
        (RECIPIENT_KEY, told.clone(), "NoPermission"),
        (OWNER_KEY, told.replace("share&", "other&"), "EntityNotExist.Role"),
        (OWNER_KEY, told.replace("acs%3A", "arn%3A"), "InvalidParameter.RoleArn"),
        (OWNER_KEY, told.replace("imageshare", "a%20b"), "InvalidParameter.RoleSessionName"),
        (OWNER_KEY, format!("{told}&DurationSeconds=899"), "InvalidParameter.DurationSeconds"),
        (OWNER_KEY, format!("{told}&DurationSeconds=7201"), "InvalidParameter.DurationSeconds"),
        (OWNER_KEY, format!("{told}&Policy=x"), "UnsupportedParameter"),
    ] {
        assert_eq!(code_of(&ask(&mut state, key, "AssumeRole", &query)), code, "{query}");
    }
    let session = ask(&mut state, OWNER_KEY, "AssumeRole", &format!("{told}&DurationSeconds=7200"));
    assert_eq!(session["Credentials"]["Expiration"], "2026-11-22T01:42:00Z");
    assert_eq!(session["AssumedRoleUser"]["Arn"], "acs:ram::1000000000000000:role/Share/imageshare");
    let identity = ask_as(&mut state, &session, "GetCallerIdentity", "");
    assert_eq!(identity["Arn"], "acs:ram::1000000000000000:assumed-role/Share/imageshare");
    let share = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}&AddAccount.1=1000000000000000");
    ask(&mut state, OWNER_KEY, "ModifyImageSharePermission", &share);
    let received = ask_as(&mut state, &session, "DescribeImages", "RegionId=cn-hangzhou&ImageOwnerAlias=others");
    assert_eq!(image_ids(&received), [GOLDEN]);
    assert_eq!(last(&state).principal, "1000000000000000");
    let refused = ask_as(&mut state, &session, "ModifyImageSharePermission", &share);
    assert_eq!(code_of(&refused), "InvalidImageId.NotFound", "the image is not the role's");
}

#[test]
fn the_keys_of_a_role_end_by_the_clock_and_with_its_account() {
    let mut state = plain();
    let told = format!("{ROLE}&{TOLD}");
    let session = ask(&mut state, OWNER_KEY, "AssumeRole", &told);
    let list = |state: &mut State| {
        let answer = ask_as(state, &session, "DescribeRegions", "");
        code_of(&answer).to_owned()
    };
    assert_eq!(list(&mut state), "");
    let closed = serde_json::from_value(json!({"closed": true})).unwrap();
    state.patch_account(&"1000000000000000".into(), closed).unwrap();
    assert_eq!(list(&mut state), "InvalidAccessKeyId.NotFound");
    let open = serde_json::from_value(json!({"closed": false})).unwrap();
    state.patch_account(&"1000000000000000".into(), open).unwrap();
    state.move_clock(ClockMove { offset_seconds: None, advance_seconds: Some(3_600) }).unwrap();
    assert_eq!(list(&mut state), "InvalidSecurityToken.Expired");
}

/// Asks for the role with a token, without a signature.
fn by_token(state: &mut State, token: &str, provider: &str) -> Value {
    let query = "Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON&Timestamp=2026-11-21T23:42:00Z".to_owned();
    let body = format!(
        "{ROLE}&OIDCProviderArn=acs%3Aram%3A%3A1000000000000000%3Aoidc-provider%2F{provider}&OIDCToken={token}"
    );
    let headers = [("host", "sts.test"), ("content-type", "application/x-www-form-urlencoded")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let (method, path) = ("POST".to_owned(), "/".to_owned());
    let wire = Wire { scheme: "http", method, path, query, headers, body: body.into_bytes() };
    serde_json::from_str(&handle(state, &wire, "ID").body).unwrap()
}

#[test]
fn a_token_of_a_service_account_needs_no_key_but_the_providers_trust() {
    const SUBJECT: &str = "system:serviceaccount:team:golden";
    let mut state = plain();
    let roles = json!({"roles": [{"name": "share", "oidcProvider": "cluster",
        "serviceAccounts": [{"subject": SUBJECT, "audience": "sts.aliyuncs.com"}]}]});
    state.patch_account(&"1000000000000000".into(), serde_json::from_value(roles).unwrap()).unwrap();
    let now = state.clock.now().as_second();
    let token = |subject: &str, audience: &str, life: i64| tokens::token(subject, audience, now + life);
    let (good, audience) = (token(SUBJECT, "sts.aliyuncs.com", 600), "sts.aliyuncs.com");
    for (token, provider, code) in [
        (good.clone(), "another", "AuthenticationFail.NoPermission"),
        ("a.b.c".to_owned(), "cluster", "AuthenticationFail.OIDCToken.Invalid"),
        (token(SUBJECT, audience, 0), "cluster", "AuthenticationFail.OIDCToken.Expired"),
        (token(SUBJECT, "sts.amazonaws.com", 600), "cluster", "AuthenticationFail.OIDCToken.AudienceNotMatch"),
        (token("system:serviceaccount:other:golden", audience, 600), "cluster", "AuthenticationFail.NoPermission"),
    ] {
        assert_eq!(code_of(&by_token(&mut state, &token, provider)), code, "{token} {provider}");
    }
    let session = by_token(&mut state, &good, "cluster");
    assert_eq!(last(&state).principal, "anonymous");
    let identity = ask_as(&mut state, &session, "GetCallerIdentity", "");
    assert_eq!(identity["Arn"], "acs:ram::1000000000000000:assumed-role/share/imageshare");
    let unsigned = |action: &str| format!("Action={action}&Version=2015-04-01");
    let wire =
        |query| Wire { scheme: "http", method: "POST".into(), path: "/".into(), query, headers: vec![], body: vec![] };
    let refused = handle(&mut state, &wire(unsigned("AssumeRole")), "ID").body;
    assert!(refused.contains("IncompleteSignature"), "{refused}");
}

#[test]
fn a_role_may_give_keys_that_live_shorter_than_any_of_the_vendors() {
    let mut state = plain();
    let roles = json!({"roles": [{"name": "share", "trusts": ["2000000000000000"], "sessionSeconds": 5}]});
    state.patch_account(&"1000000000000000".into(), serde_json::from_value(roles).unwrap()).unwrap();
    let session = ask(&mut state, OWNER_KEY, "AssumeRole", ROLE);
    assert_eq!(session["Credentials"]["Expiration"], "2026-11-21T23:42:05Z");
    state.move_clock(ClockMove { offset_seconds: None, advance_seconds: Some(5) }).unwrap();
    let expired = ask_as(&mut state, &session, "DescribeRegions", "");
    assert_eq!(code_of(&expired), "InvalidSecurityToken.Expired");
}
