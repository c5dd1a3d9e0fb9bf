//! Who asks: captured requests, signatures, tokens, projects, locks.

use super::*;

macro_rules! captures {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../../captures/huawei/", $name, ".raw")))),*]
    };
}

fn captured(raw: &str) -> Wire {
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let mut request_line = lines.next().unwrap().split(' ');
    let method = request_line.next().unwrap().to_owned();
    let target = request_line.next().unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    let headers = lines.map(header).collect();
    let (path, query, body) = (path.to_owned(), query.to_owned(), body.as_bytes().to_vec());
    Wire { scheme: "http", method, path, query, headers, body }
}

#[test]
fn every_captured_request_of_the_official_sdk_is_authenticated() {
    let captures = captures![
        "BatchAddMembers",
        "BatchAddMembers-domains",
        "BatchDeleteMembers",
        "BatchUpdateMembers",
        "GlanceAddImageMember",
        "GlanceDeleteImage",
        "GlanceDeleteImage-body",
        "GlanceDeleteImageMember",
        "GlanceListImageMembers",
        "GlanceShowImageMember",
        "GlanceUpdateImageMember",
        "ListImageMembers",
        "ListImages-private-byid",
        "ListImages-shared",
        "ListProjects",
        "ShowImageQuota",
        "ShowJob",
        "ShowJobProgress",
        "sts-BatchAddMembers",
        "sts-ListImages-shared",
    ];
    for (name, raw) in captures {
        let token = if name.starts_with("sts-") { ", token: fakeSecurityToken+/=abc" } else { "" };
        let mut state = state_with(token);
        // The captures answer for another project, and ask for members and jobs that are not there.
        let expected = match name {
            "BatchUpdateMembers" | "GlanceUpdateImageMember" => "IMG.0030",
            "GlanceDeleteImageMember" | "GlanceShowImageMember" => "IMG.0114",
            "ShowJob" | "ShowJobProgress" => "IMG.0105",
            _ => "OK",
        };
        send(&mut state, &captured(raw));
        let entry = last(&state);
        assert_eq!((entry.code.as_str(), entry.principal.as_str()), (expected, OWNER), "{name}");
        assert_eq!(entry.key_id.as_deref(), Some(OWNER_KEY.0), "{name}");
        let mut forged = captured(raw);
        forged.query.push_str("&limit=1");
        assert_eq!(send(&mut state, &forged).status, 401, "{name}");
    }
}

/// A key's token, the key, headers, and the status.
type Case<'a> = (&'a str, (&'a str, &'a str), &'a [(&'a str, &'a str)], u16);

fn date_apart(state: &State, seconds: i64) -> String {
    authentication::date_text(state.clock.now() + SignedDuration::from_secs(seconds))
}

#[test]
fn a_request_that_is_not_authenticated_is_refused_in_the_gateways_shape() {
    let token = ", token: tok";
    let state = plain();
    let (late, early, good) = (date_apart(&state, -901), date_apart(&state, 901), date_apart(&state, 900));
    let cases: [Case<'_>; 9] = [
        ("", ("NOBODY", "x"), &[], 401),
        ("", (OWNER_KEY.0, "x"), &[], 401),
        ("", OWNER_KEY, &[("x-sdk-date", &late)], 401),
        ("", OWNER_KEY, &[("x-sdk-date", &early)], 401),
        ("", OWNER_KEY, &[("x-sdk-date", "today")], 401),
        ("", OWNER_KEY, &[("x-sdk-date", &good)], 200),
        (token, OWNER_KEY, &[], 401),
        (token, OWNER_KEY, &[("x-security-token", "kot")], 401),
        (token, OWNER_KEY, &[("x-security-token", "tok")], 200),
    ];
    for (token, (ak, sk), headers, status) in cases {
        let mut state = state_with(token);
        let mut wire = wire(&state, "GET", "/v2/cloudimages", "", headers);
        signature::sign(&mut wire, ak, sk);
        let reply = send(&mut state, &wire);
        assert_eq!(reply.status, status, "{headers:?}: {}", reply.body);
        if status == 401 {
            let answer: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!((code(&answer), &answer["request_id"]), ("APIGW.0301", &json!("ID")));
            assert_eq!((last(&state).key_id.as_deref(), last(&state).principal.as_str()), (None, ak));
        }
    }
}

#[test]
fn five_wrong_signatures_in_a_row_lock_the_key_for_five_minutes() {
    let mut state = plain();
    let wrong = (OWNER_KEY.0, "wrong");
    for _ in 0..2 {
        for _ in 0..4 {
            assert_eq!(code(&get(&mut state, wrong, "/v2/cloudimages")), "APIGW.0301");
        }
        assert_eq!(code(&get(&mut state, OWNER_KEY, "/v2/cloudimages")), "", "a right one starts the count anew");
    }
    for _ in 0..5 {
        get(&mut state, wrong, "/v2/cloudimages");
    }
    let locked = get(&mut state, OWNER_KEY, "/v2/cloudimages");
    assert!(code(&locked) == "APIGW.0301" && locked["error_msg"].as_str().unwrap().contains("limit"), "{locked}");
    assert_eq!(code(&get(&mut state, RECIPIENT_KEY, "/v2/cloudimages")), "", "the other key is open");
    state.move_clock(ClockMove { offset_seconds: Some(299), advance_seconds: None }).unwrap();
    assert_eq!(code(&get(&mut state, OWNER_KEY, "/v2/cloudimages")), "APIGW.0301");
    state.move_clock(ClockMove { offset_seconds: Some(300), advance_seconds: None }).unwrap();
    assert_eq!(code(&get(&mut state, OWNER_KEY, "/v2/cloudimages")), "");
}

#[test]
fn a_key_changed_out_of_band_changes_what_signs() {
    let mut state = plain();
    let patch = |json: Value| serde_json::from_value::<KeyPatch>(json).unwrap();
    state.patch_huawei_key(OWNER_KEY.0, patch(json!({"sk": "new"}))).unwrap();
    assert_eq!(code(&get(&mut state, OWNER_KEY, "/v2/cloudimages")), "APIGW.0301");
    assert_eq!(code(&get(&mut state, (OWNER_KEY.0, "new"), "/v2/cloudimages")), "");
    state.patch_huawei_key(OWNER_KEY.0, patch(json!({"disabled": true}))).unwrap();
    assert_eq!(code(&get(&mut state, (OWNER_KEY.0, "new"), "/v2/cloudimages")), "APIGW.0301");
    assert!(state.patch_huawei_key("nobody", KeyPatch::default()).is_err());
}

fn ask_for(state: &mut State, project: &str, path: &str) -> Value {
    let mut wire = wire(state, "GET", path, "", &[("x-project-id", project)]);
    signature::sign(&mut wire, OWNER_KEY.0, OWNER_KEY.1);
    serde_json::from_str(&send(state, &wire).body).unwrap()
}

#[test]
fn a_request_is_for_the_project_it_names_and_for_the_region_of_that() {
    let mut state = plain();
    let south = "0a1b2c3d4e5f60718293a4b5c6d7e8fa";
    assert_eq!(ask_for(&mut state, south, "/v2/cloudimages")["images"], json!([]));
    assert_eq!(last(&state).region.as_ref().unwrap().as_str(), "cn-south-1");
    assert_eq!(ask_for(&mut state, OWNER, "/v2/cloudimages")["images"].as_array().unwrap().len(), 3);
    assert_eq!(code(&ask_for(&mut state, RECIPIENT, "/v2/cloudimages")), "IMG.0030");
    assert_eq!(code(&ask_for(&mut state, "short", "/v2/cloudimages")), "IMG.0067");
    let path = format!("/v1/{OWNER}/cloudimages/{GOLDEN}/members");
    assert_eq!(code(&ask_for(&mut state, south, &path)), "IMG.0030");
    get(&mut state, RECIPIENT_KEY, "/v2/cloudimages");
    assert_eq!(last(&state).principal, RECIPIENT, "the key's own project where none is named");
}

#[test]
fn an_unknown_path_is_the_gateways_and_asks_nobody_who_he_is() {
    let mut state = plain();
    let wire = wire(&state, "GET", "/v2/cloudimage", "", &[]);
    let reply = send(&mut state, &wire);
    assert!(reply.status == 404 && reply.body.contains("APIGW.0101"), "{}", reply.body);
}

fn token_body(password: &str, scope: &Value) -> String {
    let user = json!({"name": "alice", "password": password, "domain": {"name": "owners"}});
    json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}).to_string()
}

fn log_in(state: &mut State, password: &str, scope: &Value) -> Reply {
    let wire = wire(state, "POST", "/v3/auth/tokens", &token_body(password, scope), &[]);
    send(state, &wire)
}

#[test]
fn a_token_by_password_stands_for_a_signature_until_it_expires() {
    let mut state = plain();
    let reply = log_in(&mut state, "in wonderland", &json!({"project": {"name": "cn-north-4"}}));
    let token = reply.headers.iter().find(|(name, _)| *name == "x-subject-token").unwrap().1.clone();
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((reply.status, &body["token"]["project"]["id"]), (201, &json!(OWNER)));
    assert_eq!(body["token"]["expires_at"], "2026-11-22T23:43:45.000000Z");
    let list = |state: &mut State, token: &str| {
        let wire = wire(state, "GET", "/v2/cloudimages?__imagetype=private", "", &[("x-auth-token", token)]);
        send(state, &wire)
    };
    assert_eq!(list(&mut state, &token).status, 200);
    assert_eq!((last(&state).principal.as_str(), last(&state).key_id.as_deref()), (OWNER, Some("alice")));
    assert_eq!(list(&mut state, "forged").status, 401);
    state.move_clock(ClockMove { offset_seconds: Some(24 * 60 * 60), advance_seconds: None }).unwrap();
    let late = list(&mut state, &token);
    assert!(late.status == 401 && late.body.contains("APIGW.0301"), "{}", late.body);
}

#[test]
fn a_wrong_password_or_anothers_scope_brings_no_token() {
    let mut state = plain();
    let own = json!({"project": {"id": OWNER}});
    assert_eq!(log_in(&mut state, "in wonderland", &own).status, 201);
    let wrong = log_in(&mut state, "through the looking glass", &own);
    assert!(wrong.status == 401 && wrong.body.contains("Unauthorized"), "{}", wrong.body);
    assert_eq!(log_in(&mut state, "in wonderland", &json!({"project": {"id": RECIPIENT}})).status, 401);
    assert_eq!(log_in(&mut state, "in wonderland", &json!({"domain": {"name": "recipients"}})).status, 401);
    let wire = wire(&state, "POST", "/v3/auth/tokens", "{}", &[]);
    assert_eq!(send(&mut state, &wire).status, 400);
}

#[test]
fn the_identity_service_tells_projects_domain_and_regions() {
    let mut state = plain();
    let projects = get(&mut state, RECIPIENT_KEY, "/v3/projects?name=cn-north-4");
    assert_eq!(projects["projects"].as_array().unwrap().len(), 1);
    assert_eq!(projects["projects"][0]["id"], RECIPIENT);
    assert_eq!(get(&mut state, RECIPIENT_KEY, "/v3/projects")["projects"].as_array().unwrap().len(), 2);
    assert_eq!(get(&mut state, RECIPIENT_KEY, "/v3/auth/domains")["domains"][0]["id"], DOMAIN);
    let regions = get(&mut state, OWNER_KEY, "/v3/regions");
    assert_eq!(
        (&regions["regions"][0]["id"], &regions["regions"][1]["id"]),
        (&json!("cn-north-4"), &json!("cn-south-1"))
    );
    assert_eq!(get(&mut state, RECIPIENT_KEY, "/v3/regions")["regions"].as_array().unwrap().len(), 1);
}

proptest::proptest! {
    #[test]
    fn no_request_makes_the_cloud_panic(
        method in "GET|POST|PUT|DELETE|PATCH",
        path in "/(v1|v2|v3)(/(cloudimages|images|members|jobs|job|quota|auth|tokens|projects|[ -~&&[^#? ]]{0,9})){0,5}|/v3[.]0/OS-CREDENTIAL/securitytokens|/v2/0a1b2c3d4e5f60718293a4b5c6d7e8f9/images/resource_instances/action",
        query in "((limit|marker|__imagetype|visibility|[a-z_]{0,9})=[!-~&&[^#]]{0,9}&?){0,4}",
        body in "(\\{\"images\": \\[\"[0-9a-f-]{0,36}\"\\], \"(projects|domains|organizations)\": \\[\"[ -~]{0,20}\"\\]\\}|\\{\"action\": \"(filter|count)\", \"(limit|offset|tags)\": \"[0-9-]{0,30}\"\\}|\\{\"auth\": \\{\"identity\": \\{\"methods\": \\[\"token\"\\], \"token\": \\{\"duration_seconds\": -?[0-9]{1,30}\\}\\}\\}\\}|[ -~]{0,30})",
        authorization in proptest::option::of("(SDK-HMAC-SHA256 )?(Access=[ -~]{0,9}, ?|SignedHeaders=[ -~]{0,9}, ?|Signature=[0-9a-fz]{0,9}, ?){0,4}"),
    ) {
        let mut state = plain();
        let target = format!("{path}?{query}");
        let mut wire = wire(&state, &method, &target, &body, &[]);
        signature::sign(&mut wire, OWNER_KEY.0, OWNER_KEY.1);
        let forged = authorization.is_some();
        if let Some(authorization) = authorization {
            wire.headers.last_mut().unwrap().1 = authorization;
        }
        let reply = send(&mut state, &wire);
        proptest::prop_assert!(reply.status == 204 || serde_json::from_str::<Value>(&reply.body).is_ok());
        // Version documents are anybody's.
        let open = ["/v2", "/v2/", "/v3", "/v3/"].contains(&path.as_str());
        proptest::prop_assert!(!forged || open || reply.status >= 400);
    }
}
