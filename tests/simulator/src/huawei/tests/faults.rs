//! Injected faults at Huawei Cloud.

use super::*;

fn struck(state: &State) -> Vec<&'static str> {
    last(state).faults.clone()
}

#[test]
fn each_fault_of_refusal_has_the_vendors_code() {
    let cases = [
        (json!({"kind": "throttle", "retryAfterMillis": 1500}), 429, "APIGW.0308"),
        (json!({"kind": "unavailable"}), 503, "IMG.0061"),
        (json!({"kind": "internalError"}), 500, "IMG.0061"),
        (json!({"kind": "refuse", "status": 403, "code": "APIGW.0302"}), 403, "APIGW.0302"),
        (json!({"kind": "refuse", "status": 400, "code": "IMG.0026"}), 400, "IMG.0026"),
    ];
    for (then, status, expected) in cases {
        let mut state = plain();
        script(&mut state, json!([{"when": {"action": "BatchAddMembers"}, "count": 1, "then": then}]));
        assert_eq!(code(&get(&mut state, OWNER_KEY, "/v2/cloudimages")), "", "another action is spared");
        let body = json!({"images": [GOLDEN], "projects": [RECIPIENT]}).to_string();
        let mut wire = wire(&state, "POST", "/v1/cloudimages/members", &body, &[]);
        signature::sign(&mut wire, OWNER_KEY.0, OWNER_KEY.1);
        let reply = send(&mut state, &wire);
        assert_eq!((reply.status, code(&serde_json::from_str(&reply.body).unwrap())), (status, expected));
        let told = reply.headers.iter().find(|(name, _)| *name == "retry-after").map(|(_, value)| value.as_str());
        assert_eq!(told, (status == 429).then_some("2"));
        wait(&mut state);
        assert!(statuses(&mut state).is_empty());
    }
}

#[test]
fn faults_find_their_requests_by_project_domain_image_recipient_and_region() {
    let fits = [
        json!({"account": OWNER}),
        json!({"account": "d0000000000000000000000000000000"}),
        json!({"image": GOLDEN}),
        json!({"recipient": RECIPIENT}),
        json!({"region": "cn-north-4"}),
        json!({"nth": 1}),
    ];
    for when in fits {
        let mut state = plain();
        script(&mut state, json!([{"when": when, "then": {"kind": "unavailable"}}]));
        assert_eq!(code(&share(&mut state, &[OTHER, RECIPIENT])), "IMG.0061", "{when}");
    }
    for when in [json!({"account": OTHER}), json!({"image": SECOND}), json!({"recipient": OTHER}), json!({"nth": 2})] {
        let mut state = plain();
        script(&mut state, json!([{"when": when, "then": {"kind": "unavailable"}}]));
        assert_eq!(code(&share(&mut state, &[RECIPIENT])), "", "{when}");
    }
    let mut state = plain();
    share(&mut state, &[RECIPIENT]);
    wait(&mut state);
    script(&mut state, json!([{"when": {"recipient": RECIPIENT}, "then": {"kind": "unavailable"}}]));
    assert_eq!(code(&answer(&mut state, "accepted")), "IMG.0061", "who answers is a recipient");
}

#[test]
fn a_cut_connection_starts_the_job_or_does_not() {
    for (kind, members) in [("cutBefore", 0), ("cutAfter", 1)] {
        let mut state = plain();
        script(&mut state, json!([{"count": 1, "then": {"kind": kind}}]));
        share(&mut state, &[RECIPIENT]);
        assert_eq!((last(&state).status, last(&state).job.is_some()), (0, members == 1));
        wait(&mut state);
        assert_eq!(statuses(&mut state).len(), members, "{kind}");
    }
}

#[test]
fn a_job_that_fails_half_way_says_so_and_keeps_what_it_did() {
    let mut state = plain();
    script(&mut state, json!([{"count": 1, "then": {"kind": "jobFails", "code": "IMG.0112", "partial": 1}}]));
    let job = share(&mut state, &[RECIPIENT, OTHER])["job_id"].as_str().unwrap().to_owned();
    assert_eq!(struck(&state), ["jobFails"]);
    wait(&mut state);
    assert_eq!((last(&state).action.as_str(), last(&state).code.as_str()), ("JobEffect", "IMG.0112"));
    assert_eq!(last(&state).effect.as_ref().unwrap().added, [AccountId::from(RECIPIENT)]);
    for path in [format!("/v1/{OWNER}/jobs/{job}"), format!("/v1/cloudimages/job/{job}")] {
        let shown = get(&mut state, OWNER_KEY, &path);
        assert_eq!((&shown["status"], &shown["error_code"]), (&json!("FAIL"), &json!("IMG.0112")));
        assert!(shown["fail_reason"].is_string());
    }
    assert_eq!(statuses(&mut state).len(), 1);
}

#[test]
fn a_job_that_fails_without_effect_leaves_an_entry_too() {
    let mut state = plain();
    script(&mut state, json!([{"then": {"kind": "jobFails", "code": "IMG.0061"}}]));
    share(&mut state, &[RECIPIENT]);
    wait(&mut state);
    let entry = last(&state);
    assert_eq!((entry.action.as_str(), entry.code.as_str(), &entry.effect), ("JobEffect", "IMG.0061", &None));
    assert_eq!(entry.image.as_ref().unwrap().as_str(), GOLDEN);
}

#[test]
fn a_slow_job_runs_longer() {
    let mut state = plain();
    script(&mut state, json!([{"count": 1, "then": {"kind": "jobSlow", "millis": 5000}}]));
    let job = share(&mut state, &[RECIPIENT])["job_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/cloudimages/job/{job}");
    let mut seen = Vec::new();
    for _ in 0..7 {
        seen.push(get(&mut state, OWNER_KEY, &path)["status"].as_str().unwrap().to_owned());
        wait(&mut state);
    }
    assert_eq!(seen, ["INIT", "INIT", "RUNNING", "RUNNING", "RUNNING", "RUNNING", "SUCCESS"]);
}

#[test]
fn lists_may_be_short_empty_late_or_no_json() {
    let mut state = plain();
    share(&mut state, &[RECIPIENT, OTHER]);
    wait(&mut state);
    let path = format!("/v1/{OWNER}/cloudimages/{GOLDEN}/members");
    let spoiled = |state: &mut State, then: Value| {
        script(state, json!([{"count": 1, "then": then}]));
        get(state, OWNER_KEY, &path)
    };
    let short = spoiled(&mut state, json!({"kind": "truncatedPage"}));
    assert_eq!((short["members"].as_array().unwrap().len(), &short["page_info"]["current_count"]), (1, &json!(2)));
    assert_eq!(spoiled(&mut state, json!({"kind": "emptyList"}))["members"], json!([]));
    assert_eq!(spoiled(&mut state, json!({"kind": "describeLag", "millis": 60_000}))["members"], json!([]));
    assert_eq!(spoiled(&mut state, json!({"kind": "wrongJson"})), Value::Null);
    assert_eq!(spoiled(&mut state, json!({"kind": "slow", "millis": 1}))["members"].as_array().unwrap().len(), 2);
    script(&mut state, json!([{"count": 1, "then": {"kind": "emptyList"}}]));
    assert_eq!(get(&mut state, OWNER_KEY, "/v2/cloudimages")["images"], json!([]));
}
