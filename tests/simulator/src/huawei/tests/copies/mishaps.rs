//! Copies that do not come to their end, and requests for them that injected faults strike.

use super::*;

#[test]
fn a_copy_made_to_fail_leaves_a_killed_image_that_can_be_deleted() {
    let mut state = world();
    patch(&mut state, GOLDEN, json!({"copiesFail": "IMG.0046"}));
    let job = copy(&mut state, GOLDEN).unwrap();
    pass(&mut state, 5);
    assert_eq!(
        (&shown(&mut state, &job)["status"], states(&mut state)),
        (&json!("RUNNING"), vec!["saving".to_owned()])
    );
    pass(&mut state, 1);
    let entry = last(&state).clone();
    let failed = shown(&mut state, &job);
    assert_eq!((&failed["status"], &failed["error_code"]), (&json!("FAIL"), &json!("IMG.0046")));
    assert_eq!(failed["end_time"], "2026-11-21T23:43:51.000Z");
    assert!(failed["fail_reason"].is_string() && failed["entities"]["image_id"].is_null());
    assert_eq!(failed["entities"]["process_percent"], 60);
    assert_eq!((entry.action.as_str(), entry.code.as_str()), ("JobEffect", "IMG.0046"));
    let [(id, status)] = copies(&mut state, OWNER_KEY).try_into().unwrap();
    assert_eq!((status.as_str(), id.as_str()), ("killed", entry.copy.unwrap().image.as_str()));
    assert_eq!(copy(&mut state, &id), refusal("IMG.0046"), "it cannot be copied on");
    assert_eq!(delete(&mut state, &id), "");
    pass(&mut state, 1);
    assert_eq!(copies(&mut state, OWNER_KEY), []);
    patch(&mut state, GOLDEN, json!({"copiesFail": ""}));
    copy(&mut state, GOLDEN).unwrap();
    pass(&mut state, 10);
    assert_eq!(states(&mut state), ["active"]);
}

#[test]
fn a_copy_fails_when_its_source_is_deleted_meanwhile() {
    for (after, killed) in [(0, 0), (2, 1), (7, 1)] {
        let mut state = world();
        let job = copy(&mut state, GOLDEN).unwrap();
        pass(&mut state, after);
        assert_eq!(delete(&mut state, GOLDEN), "");
        pass(&mut state, 10);
        let failed = shown(&mut state, &job);
        assert_eq!((&failed["status"], &failed["error_code"]), (&json!("FAIL"), &json!("IMG.0144")), "after {after}");
        assert_eq!(states(&mut state), vec!["killed".to_owned(); killed], "after {after}");
    }
}

#[test]
fn an_image_that_is_being_made_is_neither_deleted_nor_shared_nor_copied() {
    let mut state = world();
    copy(&mut state, GOLDEN).unwrap();
    for (seconds, status) in [(1, "queued"), (2, "saving")] {
        pass(&mut state, seconds);
        let [(id, now)] = copies(&mut state, OWNER_KEY).try_into().unwrap();
        assert_eq!((now.as_str(), delete(&mut state, &id).as_str()), (status, "IMG.0090"));
        let share = json!({"images": [id], "projects": [RECIPIENT]});
        assert_eq!(code(&members_call(&mut state, OWNER_KEY, "POST", &share)), "IMG.0090");
        assert_eq!(copy(&mut state, &id), refusal("IMG.0090"));
    }
}

#[test]
fn an_image_shown_late_is_unknown_before_the_end_also_when_that_is_a_failure() {
    let mut state = world();
    patch(&mut state, GOLDEN, json!({"copyShownLate": true, "copiesFail": "IMG.0061"}));
    copy(&mut state, GOLDEN).unwrap();
    let id = last(&state).copy.clone().unwrap().image;
    pass(&mut state, 5);
    assert_eq!((states(&mut state).len(), delete(&mut state, id.as_str()).as_str()), (0, "IMG.0144"));
    pass(&mut state, 1);
    assert_eq!(states(&mut state), ["killed"]);
}

#[test]
fn a_copy_whose_image_is_taken_away_fails() {
    let mut state = world();
    let job = copy(&mut state, GOLDEN).unwrap();
    pass(&mut state, 2);
    let [(id, _)] = copies(&mut state, OWNER_KEY).try_into().unwrap();
    patch(&mut state, &id, json!({"delete": true}));
    pass(&mut state, 10);
    assert_eq!((&shown(&mut state, &job)["status"], states(&mut state).len()), (&json!("FAIL"), 0));
}

#[test]
fn a_cut_connection_begins_the_copy_or_does_not() {
    for (kind, made) in [("cutBefore", 0), ("cutAfter", 1)] {
        let mut state = world();
        script(&mut state, json!([{"when": {"action": "CopyImageInRegion"}, "count": 1, "then": {"kind": kind}}]));
        let answered = copy(&mut state, GOLDEN).is_ok();
        assert_eq!(answered, made == 1, "what would have been answered, had the line not been cut");
        let entry = last(&state);
        assert_eq!((entry.status, usize::from(entry.copy.is_some()), entry.job.is_some()), (0, made, made == 1));
        pass(&mut state, 10);
        assert_eq!(states(&mut state).len(), made, "{kind}");
    }
}

#[test]
fn injected_faults_refuse_fail_and_slow_copies_down() {
    let strike = |then: Value| json!([{"when": {"action": "CopyImageInRegion"}, "count": 1, "then": then}]);
    let mut state = world();
    script(&mut state, strike(json!({"kind": "throttle"})));
    assert_eq!(copy(&mut state, GOLDEN), refusal("APIGW.0308"));
    script(&mut state, strike(json!({"kind": "refuse", "status": 400, "code": "IMG.0061"})));
    assert_eq!(copy(&mut state, GOLDEN), refusal("IMG.0061"));
    pass(&mut state, 10);
    assert_eq!(states(&mut state).len(), 0);
    script(&mut state, strike(json!({"kind": "jobFails", "code": "IMG.0060"})));
    let failing = copy(&mut state, GOLDEN).unwrap();
    script(&mut state, strike(json!({"kind": "jobSlow", "millis": 10_000})));
    let slow = copy(&mut state, GOLDEN).unwrap();
    pass(&mut state, 12);
    let told = [failing.as_str(), &slow].map(|job| shown(&mut state, job)["status"].clone());
    assert_eq!(told, [json!("FAIL"), json!("RUNNING")]);
    pass(&mut state, 8);
    assert_eq!(shown(&mut state, &slow)["status"], "SUCCESS");
    assert_eq!(shown(&mut state, &failing)["error_code"], "IMG.0060");
    assert_eq!(shown(&mut state, &failing)["entities"]["process_percent"], 60);
}
