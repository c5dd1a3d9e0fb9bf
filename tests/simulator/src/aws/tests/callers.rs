//! Who asks: keys, regions, tokens, dates, roles.

use super::*;

#[test]
fn callers_learn_who_they_are() {
    let mut lasting = plain();
    let answer = ask(&mut lasting, OWNER_KEY, "GetCallerIdentity", "");
    assert_eq!(
        (text(&answer, "Account").as_str(), text(&answer, "Arn").as_str()),
        (OWNER, "arn:aws:iam::111122223333:user/simulated")
    );
    assert!(answer.contains("<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"));
    assert!(answer.contains("<ResponseMetadata><RequestId>"), "{answer}");
    let china = Asking { region: "cn-north-1", ..by(("AKIACHINA", "hush")) };
    let (_, body) = ask_as(&mut lasting, &china, "GetCallerIdentity", "");
    assert!(body.contains("arn:aws-cn:iam::121212121212"), "{body}");
    let mut temporary = state_with("", ", sessionToken: tok");
    let (_, body) = ask_as(&mut temporary, &Asking { token: "tok", ..by(OWNER_KEY) }, "GetCallerIdentity", "");
    assert!(body.contains(":assumed-role/"), "{body}");
}

#[test]
fn a_request_is_refused_by_the_first_check_it_fails_and_each_service_words_it_its_way() {
    let (token, expired) = (", sessionToken: tok", ", sessionToken: tok, expired: true");
    let cases = [
        ("", by(("nobody", "x")), "AuthFailure", "InvalidClientTokenId"),
        ("", by((OWNER_KEY.0, "x")), "AuthFailure", "SignatureDoesNotMatch"),
        ("", Asking { region: "cn-north-1", ..by(OWNER_KEY) }, "AuthFailure", "InvalidClientTokenId"),
        ("", Asking { region: "mars-north-1", ..by(OWNER_KEY) }, "AuthFailure", "InvalidClientTokenId"),
        (
            "",
            Asking { host: "ec2.eu-central-1.amazonaws.com", ..by(OWNER_KEY) },
            "AuthFailure",
            "SignatureDoesNotMatch",
        ),
        (token, by(OWNER_KEY), "AuthFailure", "InvalidClientTokenId"),
        (token, Asking { token: "kot", ..by(OWNER_KEY) }, "AuthFailure", "InvalidClientTokenId"),
        (expired, Asking { token: "tok", ..by(OWNER_KEY) }, "RequestExpired", "ExpiredToken"),
        (", disabled: true", by(OWNER_KEY), "AuthFailure", "InvalidClientTokenId"),
    ];
    for (token, asking, ec2, sts) in cases {
        let mut state = state_with("", token);
        let (status, body) = ask_as(&mut state, &asking, "DescribeRegions", "");
        assert_eq!(text(&body, "Code"), ec2, "{body}");
        assert_eq!(status, if ec2 == "AuthFailure" { 401 } else { 400 });
        assert!(body.contains("<Response><Errors><Error>") && body.contains("</RequestID></Response>"), "{body}");
        assert_eq!((&last(&state).key_id, last(&state).principal.as_str()), (&None, asking.key.0));
        let (status, body) = ask_as(&mut state, &asking, "GetCallerIdentity", "");
        assert_eq!((status, text(&body, "Code").as_str()), (403, sts), "{body}");
        assert!(body.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ErrorResponse "), "{body}");
    }
}

#[test]
fn a_date_is_fifteen_minutes_off_at_most() {
    for (seconds, ok) in [(-900, true), (900, true), (-901, false), (901, false)] {
        let mut state = plain();
        let wire =
            [by(OWNER_KEY).wire(&state, "DescribeRegions", ""), by(OWNER_KEY).wire(&state, "GetCallerIdentity", "")];
        advance(&mut state, seconds);
        let codes = wire.map(|wire| {
            handle(&mut state, &wire);
            last(&state).code.clone()
        });
        let expected = if ok { ["OK", "OK"] } else { ["RequestExpired", "SignatureDoesNotMatch"] };
        assert_eq!(codes, expected, "{seconds}");
    }
}

#[test]
fn a_region_that_an_account_did_not_opt_in_to_does_not_know_its_key() {
    let mut state = plain();
    let there = |key| Asking { region: "af-south-1", ..by(key) };
    let (status, body) = ask_as(&mut state, &there(OWNER_KEY), "DescribeImages", "");
    assert_eq!((status, text(&body, "Code").as_str()), (401, "AuthFailure"));
    assert_eq!(text(&body, "Message"), "AWS was not able to validate the provided access credentials");
    assert_eq!(ask_as(&mut state, &there(RECIPIENT_KEY), "DescribeImages", "").0, 200);
    state
        .patch_aws_account(&OWNER.into(), serde_json::from_value(json!({"optedIn": ["af-south-1"]})).unwrap())
        .unwrap();
    assert_eq!(ask_as(&mut state, &there(OWNER_KEY), "DescribeImages", "").0, 200);
}

#[test]
fn an_unknown_action_is_journalled_with_all_that_is_known_of_it() {
    let mut state = plain();
    let (status, code, message) = refused(&mut state, OWNER_KEY, "RunInstances", "ImageId=x");
    assert_eq!((status, code.as_str()), (400, "InvalidAction"));
    assert_eq!(message, "The action RunInstances is not valid for this web service.");
    assert_eq!(last(&state).unknown.as_deref(), Some("POST / RunInstances 2016-11-15"));
    ask(&mut state, OWNER_KEY, "DescribeRegions", "");
    assert_eq!(last(&state).unknown, None);
}

const ROLE: &str = "RoleArn=arn%3Aaws%3Aiam%3A%3A444455556666%3Arole%2Fshare&RoleSessionName=imageshare";

fn session(state: &mut State, body: &str) -> (String, String, String) {
    assert_eq!(last(state).code, "OK", "{body}");
    (text(body, "AccessKeyId"), text(body, "SecretAccessKey"), text(body, "SessionToken"))
}

#[test]
fn a_role_is_assumed_by_whom_it_trusts_and_works_as_its_account() {
    let mut state = plain();
    let assume = format!("{ROLE}&ExternalId=cluster%2Fteam");
    for (key, form) in [
        (OWNER_KEY, ROLE.to_owned()),
        (OWNER_KEY, format!("{ROLE}&ExternalId=x")),
        (STRANGER_KEY, assume.clone()),
        (OWNER_KEY, assume.replace("share", "other")),
    ] {
        let (status, code, message) = refused(&mut state, key, "AssumeRole", &form);
        assert_eq!((status, code.as_str()), (403, "AccessDenied"));
        assert!(
            message
                .contains("is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::444455556666:role/"),
            "{message}"
        );
    }
    let body = ask(&mut state, OWNER_KEY, "AssumeRole", &format!("{assume}&DurationSeconds=900"));
    assert_eq!(text(&body, "Expiration"), "2026-11-30T09:11:45Z");
    let (key, secret, token) = session(&mut state, &body);
    let role = Asking { key: (&key, &secret), token: &token, region: "us-east-1", host: "aws.test" };
    let (_, identity) = ask_as(&mut state, &role, "GetCallerIdentity", "");
    assert_eq!(text(&identity, "Arn"), "arn:aws:sts::444455556666:assumed-role/share/imageshare");
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let (_, images) = ask_as(&mut state, &role, "DescribeImages", "ExecutableBy.1=self");
    assert_eq!(texts(&images, "imageId"), [GOLDEN]);
    // A role has an hour at most by a role, and its credentials end.
    let (_, body) = ask_as(&mut state, &role, "AssumeRole", &format!("{assume}&DurationSeconds=3601"));
    assert_eq!(text(&body, "Code"), "AccessDenied", "it does not trust the role's account");
    advance(&mut state, 900);
    let (status, body) = ask_as(&mut state, &role, "DescribeImages", "");
    assert_eq!((status, text(&body, "Code").as_str()), (400, "RequestExpired"));
}

#[test]
fn sessions_are_as_long_as_the_role_allows_and_chains_an_hour() {
    let mut state = plain();
    let roles = json!({"roles": [{"name": "share", "trusts": [OWNER, RECIPIENT], "maxSessionSeconds": 7200}]});
    state.patch_aws_account(&RECIPIENT.into(), serde_json::from_value(roles).unwrap()).unwrap();
    for (seconds, code) in [(899, "ValidationError"), (7201, "ValidationError"), (7200, "")] {
        let (_, body) = ask_as(&mut state, &by(OWNER_KEY), "AssumeRole", &format!("{ROLE}&DurationSeconds={seconds}"));
        assert_eq!(text(&body, "Code"), code, "{seconds}");
    }
    let body = ask(&mut state, OWNER_KEY, "AssumeRole", ROLE);
    let (key, secret, token) = session(&mut state, &body);
    let role = Asking { key: (&key, &secret), token: &token, region: "us-east-1", host: "aws.test" };
    let (_, body) = ask_as(&mut state, &role, "AssumeRole", &format!("{ROLE}&DurationSeconds=3601"));
    assert!(text(&body, "Message").contains("1 hour session limit for roles assumed by role chaining"), "{body}");
    assert_eq!(ask_as(&mut state, &role, "AssumeRole", &format!("{ROLE}&DurationSeconds=3600")).0, 200);
    for bad in ["a", "a/b", &"x".repeat(65)] {
        let form = ROLE.replace("imageshare", bad);
        assert_eq!(code_of(&mut state, OWNER_KEY, "AssumeRole", &form), "ValidationError", "{bad}");
    }
}

#[test]
fn a_web_identity_needs_no_key() {
    let mut state = plain();
    let unsigned = |state: &State, form: &str, host: &'static str| {
        let mut wire = Asking { host, ..by(OWNER_KEY) }.wire(state, "AssumeRoleWithWebIdentity", form);
        wire.headers.retain(|(name, _)| name != "authorization");
        wire
    };
    let wire = unsigned(&state, &format!("{ROLE}&WebIdentityToken=other"), "aws.test");
    assert!(handle(&mut state, &wire).body.contains("InvalidIdentityToken"));
    let wire = unsigned(&state, &format!("{ROLE}&WebIdentityToken=a.b.c"), "sts.amazonaws.com");
    let reply = handle(&mut state, &wire);
    let (key, secret, token) = session(&mut state, &reply.body);
    let role = Asking { key: (&key, &secret), token: &token, region: "us-east-1", host: "aws.test" };
    assert_eq!(ask_as(&mut state, &role, "DescribeImages", "").0, 200);
    // The token is the global STS's, so opt-in regions do not take it.
    let there = Asking { region: "af-south-1", ..role };
    assert_eq!(ask_as(&mut state, &there, "DescribeImages", "").0, 401);
    let plain_call = by(OWNER_KEY).wire(&state, "DescribeRegions", "");
    let headers = plain_call.headers.iter().filter(|(name, _)| name != "authorization").cloned().collect();
    let wire = Wire { headers, ..plain_call };
    assert!(handle(&mut state, &wire).body.contains("MissingAuthenticationToken"));
}

#[test]
fn a_token_of_a_service_account_is_held_against_the_role() {
    const SUBJECT: &str = "system:serviceaccount:team:golden";
    let mut state = plain();
    let roles = json!({"roles": [{"name": "share", "sessionSeconds": 5,
        "serviceAccounts": [{"subject": SUBJECT, "audience": "sts.amazonaws.com"}]}]});
    state.patch_aws_account(&RECIPIENT.into(), serde_json::from_value(roles).unwrap()).unwrap();
    let now = state.clock.now().as_second();
    for (subject, audience, life, code) in [
        (SUBJECT, "sts.amazonaws.com", 600, "OK"),
        (SUBJECT, "sts.amazonaws.com", 0, "ExpiredTokenException"),
        (SUBJECT, "sts.aliyuncs.com", 600, "InvalidIdentityToken"),
        ("system:serviceaccount:other:golden", "sts.amazonaws.com", 600, "AccessDenied"),
    ] {
        let token = crate::chassis::tokens::token(subject, audience, now + life);
        let form = format!("{ROLE}&WebIdentityToken={token}");
        let mut wire = by(OWNER_KEY).wire(&state, "AssumeRoleWithWebIdentity", &form);
        wire.headers.retain(|(name, _)| name != "authorization");
        let reply = handle(&mut state, &wire);
        assert_eq!(last(&state).code, code, "{subject} {audience} {life}: {}", reply.body);
        assert!(code != "OK" || text(&reply.body, "Expiration") == "2026-11-30T08:56:50Z", "{}", reply.body);
    }
}

#[test]
fn every_host_of_the_vendors_is_known_and_no_other() {
    for host in ["ec2.us-east-1.amazonaws.com", "sts.eu-central-1.amazonaws.com"] {
        assert!(is_host(host) && !crate::huawei::is_host(host) && !crate::alibaba::is_host(host), "{host}");
    }
    for host in ["ecs.aliyuncs.com", "ims.cn-north-4.myhuaweicloud.com", "x.execute-api.us-east-1.amazonaws.com"] {
        assert!(!is_host(host), "{host}");
    }
}
