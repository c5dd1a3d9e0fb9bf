//! Temporary keys: who may have one, what it may do, and for how long.

use super::*;

const URL: &str = "/v3.0/OS-CREDENTIAL/securitytokens";

/// The world, with an agency of the owner's domain that is delegated to the recipient's.
fn delegating() -> State {
    let agency = "name: owners\n      agencies: [{name: share, trusts: [dddddddddddddddddddddddddddddddd]}]";
    State::new(WorldFile::parse(&WORLD.replace("TOKEN", "").replace("name: owners", agency)).unwrap()).unwrap()
}

fn by_agency(agency: &Value) -> Value {
    json!({"auth": {"identity": {"methods": ["assume_role"], "assume_role": agency}}})
}

fn by_token(token: &Value) -> Value {
    json!({"auth": {"identity": {"methods": ["token"], "token": token}}})
}

/// Lists with the key of an answer, on a path.
fn list_with(state: &mut State, answer: &Value, path: &str, token: bool) -> (u16, Value) {
    let of = |name: &str| answer["credential"][name].as_str().unwrap();
    let token = [("x-security-token", if token { of("securitytoken") } else { "" })];
    let mut wire = wire(state, "GET", path, "", &token);
    signature::sign(&mut wire, of("access"), of("secret"));
    let reply = send(state, &wire);
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

#[test]
fn an_agency_gives_a_key_of_its_own_domain_to_the_domain_it_is_delegated_to() {
    let mut state = delegating();
    let asked = json!({"domain_name": "owners", "agency_name": "share", "duration_seconds": "900"});
    let (status, key) = call(&mut state, RECIPIENT_KEY, "POST", URL, &by_agency(&asked));
    assert_eq!((status, &key["credential"]["expires_at"]), (201, &json!("2026-11-21T23:58:45.000000Z")));
    let (status, images) = list_with(&mut state, &key, "/v2/cloudimages?__imagetype=private", true);
    assert_eq!((status, images["images"].as_array().unwrap().len()), (200, 2));
    assert_eq!(last(&state).principal, OWNER);
    assert_eq!(list_with(&mut state, &key, "/v2/cloudimages", false).0, 401, "the token belongs to the key");
    state.move_clock(ClockMove { offset_seconds: Some(900), advance_seconds: None }).unwrap();
    assert_eq!(list_with(&mut state, &key, "/v2/cloudimages", true).0, 401, "it is past its time");
}

#[test]
fn an_agency_that_is_not_the_callers_or_a_malformed_request_gives_none() {
    let mut state = delegating();
    let own = json!({"domain_name": "owners", "agency_name": "share"});
    let with = |name: &str, value: Value| {
        let mut asked = own.clone();
        asked[name] = value;
        asked
    };
    for (key, asked, status) in [
        (RECIPIENT_KEY, own.clone(), 201),
        (OWNER_KEY, own.clone(), 403),
        (RECIPIENT_KEY, with("agency_name", json!("other")), 403),
        (RECIPIENT_KEY, with("domain_id", json!(DOMAIN)), 403),
        (RECIPIENT_KEY, with("duration_seconds", json!(899)), 400),
        (RECIPIENT_KEY, with("duration_seconds", json!("86401")), 400),
        (RECIPIENT_KEY, with("unknown", json!(1)), 400),
        (RECIPIENT_KEY, json!({"agency_name": "share"}), 400),
    ] {
        assert_eq!(call(&mut state, key, "POST", URL, &by_agency(&asked)).0, status, "{asked}");
    }
    for body in [json!({}), json!({"auth": {"identity": {"methods": ["password"]}}})] {
        assert_eq!(call(&mut state, RECIPIENT_KEY, "POST", URL, &body).0, 400, "{body}");
    }
}

#[test]
fn a_token_becomes_a_key_of_the_same_project() {
    let mut state = plain();
    let user = json!({"name": "alice", "password": "in wonderland", "domain": {"name": "owners"}});
    let south = json!({"project": {"name": "cn-south-1"}});
    let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": south}});
    let log_in = wire(&state, "POST", "/v3/auth/tokens", &body.to_string(), &[]);
    let reply = send(&mut state, &log_in);
    let token = reply.headers.iter().find(|(name, _)| *name == "x-subject-token").unwrap().1.clone();
    for asked in [json!({}), json!({"id": token, "duration_seconds": 86_400})] {
        let body = by_token(&asked).to_string();
        let request = wire(&state, "POST", URL, &body, &[("x-auth-token", &token)]);
        let reply = send(&mut state, &request);
        assert_eq!(reply.status, 201, "{}", reply.body);
        let key = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(list_with(&mut state, &key, "/v2/cloudimages", true).0, 200);
        assert_eq!(last(&state).region.as_ref().unwrap().as_str(), "cn-south-1");
    }
    let forged = by_token(&json!({"id": "forged"}));
    assert_eq!(call(&mut state, OWNER_KEY, "POST", URL, &forged).0, 401);
}
