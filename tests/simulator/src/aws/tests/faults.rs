//! Lag, throttling, and answers that are not as they should be.

use super::*;

#[test]
fn owners_and_recipients_can_lag_each_by_itself() {
    let mut state = plain();
    let lag = |state: &mut State, json: Value| state.patch_aws_rules(serde_json::from_value(json).unwrap()).unwrap();
    lag(&mut state, json!({"ownerLagMillis": 10_000, "recipientLagMillis": 30_000}));
    advance(&mut state, 60);
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let seen = |state: &mut State| {
        (!recipients(state).is_empty(), !list_ids(state, RECIPIENT_KEY, "ExecutableBy.1=self").is_empty())
    };
    assert_eq!(seen(&mut state), (false, false));
    advance(&mut state, 10);
    assert_eq!(seen(&mut state), (true, false));
    advance(&mut state, 20);
    assert_eq!(seen(&mut state), (true, true));
    ask(
        &mut state,
        OWNER_KEY,
        "ModifyImageAttribute",
        &format!("ImageId={GOLDEN}&LaunchPermission.Remove.1.UserId={RECIPIENT}"),
    );
    advance(&mut state, 10);
    assert_eq!(seen(&mut state), (false, true));
    advance(&mut state, 20);
    assert_eq!(seen(&mut state), (false, false));
}

#[test]
fn a_scripted_lag_strikes_whom_it_is_for() {
    let mut state = plain();
    advance(&mut state, 60);
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    script(&mut state, json!([{"when": {"account": RECIPIENT}, "then": {"kind": "describeLag", "millis": 30_000}}]));
    assert_eq!(list_ids(&mut state, RECIPIENT_KEY, "ExecutableBy.1=self"), [] as [&str; 0]);
    assert!(!recipients(&mut state).is_empty());
}

#[test]
fn buckets_run_dry_and_fill_where_the_world_has_them() {
    let mut state = state_with("throttling: true", "");
    let copy = |n: usize| format!("Name=copy-{n}&SourceImageId={GOLDEN}&SourceRegion=us-east-1&DryRun=true");
    let mut codes = std::collections::BTreeMap::<String, usize>::new();
    for n in 0..103 {
        *codes.entry(code_of(&mut state, OWNER_KEY, "CopyImage", &copy(n))).or_default() += 1;
    }
    assert_eq!((codes["DryRunOperation"], codes["RequestLimitExceeded"]), (100, 3));
    let (status, _) = ask_as(&mut state, &by(OWNER_KEY), "CopyImage", &copy(0));
    assert_eq!(status, 503);
    ask(&mut state, OWNER_KEY, "DescribeImages", "");
    advance(&mut state, 1);
    assert_eq!(code_of(&mut state, OWNER_KEY, "CopyImage", &copy(0)), "DryRunOperation");
    assert_eq!(code_of(&mut state, OWNER_KEY, "CopyImage", &copy(0)), "RequestLimitExceeded");
    let mut unlimited = plain();
    for n in 0..103 {
        assert_eq!(code_of(&mut unlimited, OWNER_KEY, "CopyImage", &copy(n)), "DryRunOperation");
    }
}

#[test]
fn a_throttle_tells_its_wait_in_the_vendors_header() {
    let mut state = plain();
    script(&mut state, json!([{"count": 1, "then": {"kind": "throttle", "retryAfterMillis": 1500}}]));
    let wire = by(OWNER_KEY).wire(&state, "DescribeRegions", "");
    let reply = handle(&mut state, &wire);
    assert!(reply.headers.contains(&("x-amz-retry-after", "1500".to_owned())));
    assert_eq!((reply.status, text(&reply.body, "Code").as_str()), (503, "RequestLimitExceeded"));
    script(
        &mut state,
        json!([{"count": 1, "then": {"kind": "throttle"}}, {"count": 1, "when": {"nth": 2}, "then": {"kind": "internalError"}}]),
    );
    assert_eq!(code_of(&mut state, OWNER_KEY, "GetCallerIdentity", ""), "Throttling");
    assert_eq!(refused(&mut state, OWNER_KEY, "GetCallerIdentity", "").0, 500);
}

#[test]
fn a_lost_answer_has_its_effect_in_the_journal() {
    let mut state = plain();
    script(&mut state, json!([{"when": {"recipient": RECIPIENT}, "count": 1, "then": {"kind": "cutAfter"}}]));
    let wire = by(OWNER_KEY).wire(&state, "ModifyImageAttribute", &add(&[RECIPIENT]));
    assert!(handle(&mut state, &wire).cut);
    let entry = last(&state);
    assert_eq!((entry.cut, entry.status, entry.effect.as_ref().unwrap().added.len()), (Cut::After, 0, 1));
    assert!(!recipients(&mut state).is_empty());
}

#[test]
fn a_gateway_answers_with_a_page_with_and_without_an_effect() {
    let mut state = plain();
    for (then, status, applied) in [
        (json!({"kind": "gatewayPage"}), 502, false),
        (json!({"kind": "gatewayPage", "status": 500, "applied": true}), 500, true),
    ] {
        script(&mut state, json!([{"count": 1, "then": then}]));
        let (given, body) = ask_as(&mut state, &by(OWNER_KEY), "ModifyImageAttribute", &add(&[RECIPIENT]));
        assert_eq!((given, body.starts_with("<html>")), (status, true));
        assert_eq!((last(&state).status, last(&state).effect.is_some()), (status, applied));
        assert_eq!(recipients(&mut state).is_empty(), !applied);
    }
}

#[test]
fn a_megabyte_is_an_answer_like_any_other() {
    let mut state = plain();
    script(&mut state, json!([{"count": 1, "then": {"kind": "wrongJson", "body": "x".repeat(1 << 20)}}]));
    assert_eq!(ask(&mut state, OWNER_KEY, "DescribeImages", "").len(), 1 << 20);
}

#[test]
fn lists_can_be_empty_short_and_unreadable() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT, "777788889999"]));
    script(&mut state, json!([{"count": 1, "then": {"kind": "emptyList"}}]));
    assert_eq!(recipients(&mut state), "");
    script(&mut state, json!([{"count": 1, "then": {"kind": "truncatedPage"}}]));
    assert_eq!(texts(&recipients(&mut state), "userId"), [RECIPIENT]);
    script(&mut state, json!([{"count": 1, "then": {"kind": "wrongJson", "body": "<Describe"}}]));
    assert_eq!(ask(&mut state, OWNER_KEY, "DescribeImages", ""), "<Describe");
}

#[test]
fn pages_can_be_short_and_answers_have_what_no_client_knows() {
    let mut state = state_with("shortPages: true, unknownElements: true", "");
    let (mut all, mut pages, mut form) = (Vec::new(), 0, "MaxResults=5&Owner.1=self".to_owned());
    loop {
        let answer = ask(&mut state, OWNER_KEY, "DescribeImages", &form);
        assert!(answer.contains("<addedLater>"), "{answer}");
        all.extend(texts(&answer, "imageId"));
        pages += 1;
        let token = text(&answer, "nextToken");
        if token.is_empty() {
            break;
        }
        form = format!("MaxResults=5&Owner.1=self&NextToken={}", encode(&token));
    }
    assert_eq!((all.len(), pages), (3, 3));
}

#[test]
fn the_order_of_elements_is_another_with_each_answer() {
    let mut state = plain();
    let mut first = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let answer = ask(&mut state, OWNER_KEY, "DescribeImages", &format!("ImageId.1={GOLDEN}"));
        let row = text(&answer, "item");
        first.insert(row.get(..12).unwrap().to_owned());
    }
    assert!(first.len() > 3, "{first:?}");
}
