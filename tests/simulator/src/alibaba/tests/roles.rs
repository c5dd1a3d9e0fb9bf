//! Roles of STS: who may assume one, what it may then do, and for how long.

use super::*;

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
