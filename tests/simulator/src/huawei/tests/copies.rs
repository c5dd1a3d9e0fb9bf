//! Copies: who gets one, and what becomes of it while the clock runs.

use super::*;
use crate::chassis::clock::ClockMove;

mod away;
mod mishaps;

const SOUTH: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8fa";
const LOCKED: &str = "cc4f2d1e-0000-4000-8000-000000000004";
const DISC: &str = "cc4f2d1e-0000-4000-8000-000000000005";
const HUGE: &str = "cc4f2d1e-0000-4000-8000-000000000006";
const PUBLIC: &str = "cc4f2d1e-0000-4000-8000-000000000003";

/// A copy takes ten seconds here: it is queued from the first on, saving from the third, and fails at the sixth.
const WORLD: &str = "
clock: 2026-11-21T23:43:45Z
regions: []
accounts: []
huawei:
  rules: {copySeconds: 10, imageQuota: 8}
  sites: {China: [cn-north-4, cn-south-1, cn-north-1], International: [cn-north-4]}
  domains:
    - id: d0000000000000000000000000000000
      name: owners
      site: China
      keys: [{ak: HPUAFAKEACCESSKEY001, sk: fakeHuaweiSecretKeyForCapture000000000001}]
      agencies:
        - {name: ims-copies, projects: [0a1b2c3d4e5f60718293a4b5c6d7e8fa, 0a1b2c3d4e5f60718293a4b5c6d7e8fb]}
        - {name: ims-nowhere}
      kmsKeys: [{id: good-key}, {id: old-key, disabled: true}]
      projects:
        - {id: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, region: cn-north-4, vaults: [{id: home-vault}]}
        - {id: 0a1b2c3d4e5f60718293a4b5c6d7e8fa, region: cn-south-1,
           vaults: [{id: vault}, {id: full-vault, code: IMG.0182}]}
        - {id: 0a1b2c3d4e5f60718293a4b5c6d7e8fb, region: cn-south-1, name: cn-south-1_two}
    - id: dddddddddddddddddddddddddddddddd
      name: recipients
      keys: [{ak: RECIPIENT, sk: hush, project: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}]
      kmsKeys: [{id: good-key}]
      projects: [{id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, region: cn-north-4}]
  images:
    - {id: cc4f2d1e-0000-4000-8000-000000000001, project: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, name: golden}
    - {id: cc4f2d1e-0000-4000-8000-000000000002, project: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, kind: fullServer}
    - {id: cc4f2d1e-0000-4000-8000-000000000003, project: '1', region: cn-north-4, origin: gold, name: linux}
    - {id: cc4f2d1e-0000-4000-8000-000000000004, project: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, encrypted: true}
    - {id: cc4f2d1e-0000-4000-8000-000000000005, project: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, kind: iso}
    - {id: cc4f2d1e-0000-4000-8000-000000000006, project: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, kind: data, sizeGiB: 129}
";

fn world() -> State {
    State::new(WorldFile::parse(WORLD).unwrap()).unwrap()
}

/// Asks for a copy in the region: the job's id, or the code of refusal.
fn copy_of(state: &mut State, key: (&str, &str), image: &str, body: &Value) -> Result<String, String> {
    let answer = call(state, key, "POST", &format!("/v1/cloudimages/{image}/copy"), body).1;
    answer["job_id"].as_str().map(str::to_owned).ok_or_else(|| code(&answer).to_owned())
}

fn copy(state: &mut State, image: &str) -> Result<String, String> {
    copy_of(state, OWNER_KEY, image, &json!({"name": "copy"}))
}

fn replicate(state: &mut State, image: &str) -> Result<String, String> {
    copy_of(state, RECIPIENT_KEY, image, &json!({"name": "copy"}))
}

fn refusal(code: &str) -> Result<String, String> {
    Err(code.to_owned())
}

fn pass(state: &mut State, seconds: i64) {
    state.move_clock(ClockMove { offset_seconds: None, advance_seconds: Some(seconds) }).unwrap();
    state.settle();
}

/// The images of a project that bear the name of a copy: their ids and states.
fn copies(state: &mut State, key: (&str, &str)) -> Vec<(String, String)> {
    let list = get(state, key, "/v2/cloudimages?name=copy&__imagetype=private");
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    list["images"].as_array().unwrap().iter().map(|row| (text(row, "id"), text(row, "status"))).collect()
}

fn states(state: &mut State) -> Vec<String> {
    copies(state, OWNER_KEY).into_iter().map(|(_, status)| status).collect()
}

fn shown(state: &mut State, job: &str) -> Value {
    get(state, OWNER_KEY, &format!("/v1/cloudimages/job/{job}"))
}

fn delete(state: &mut State, image: &str) -> String {
    code(&call(state, OWNER_KEY, "DELETE", &format!("/v2/images/{image}"), &Value::Null).1).to_owned()
}

fn offer(state: &mut State, images: &[&str], status: &str) {
    for image in images {
        let add = json!([{"type": "project", "id": RECIPIENT, "status": status}]);
        state.change_members(serde_json::from_value(json!({"image": image, "add": add})).unwrap()).unwrap();
    }
}

fn patch(state: &mut State, image: &str, patch: Value) {
    state.patch_huawei_image(&ImageId::from(image), serde_json::from_value(patch).unwrap()).unwrap();
}

#[test]
fn a_copy_waits_is_queued_is_saved_and_is_active_and_its_job_says_how_far_it_is() {
    let mut state = world();
    let body = json!({"name": "copy", "description": "of golden"});
    let job = copy_of(&mut state, OWNER_KEY, GOLDEN, &body).unwrap();
    let mut seen = Vec::new();
    for seconds in [0, 1, 2, 6, 1] {
        pass(&mut state, seconds);
        let job = shown(&mut state, &job);
        assert_eq!(job["entities"]["image_id"].is_string(), job["status"] == "SUCCESS");
        assert_eq!(job["end_time"].is_string(), job["status"] == "SUCCESS");
        assert_eq!(job["entities"]["image_name"], "copy");
        let percent = job["entities"]["process_percent"].as_u64().unwrap();
        seen.push((job["status"].as_str().unwrap().to_owned(), percent, states(&mut state).concat()));
    }
    let step = |phase: &str, percent: u64, image: &str| (phase.to_owned(), percent, image.to_owned());
    assert_eq!(
        seen,
        [
            step("INIT", 0, ""),
            step("RUNNING", 10, "queued"),
            step("RUNNING", 30, "saving"),
            step("RUNNING", 90, "saving"),
            step("SUCCESS", 100, "active"),
        ]
    );
    let done = get(&mut state, OWNER_KEY, &format!("/v1/{OWNER}/jobs/{job}"));
    assert_eq!((&done["job_type"], &done["error_code"]), (&json!("imsCopyImageInRegionJob"), &Value::Null));
    assert_eq!(done["end_time"], "2026-11-21T23:43:55.000Z");
    let id = done["entities"]["image_id"].as_str().unwrap();
    let row = &get(&mut state, OWNER_KEY, &format!("/v2/cloudimages?id={id}"))["images"][0];
    assert_eq!((&row["__description"], &row["__originalimagename"]), (&json!("of golden"), &json!(GOLDEN)));
    assert_eq!((&row["min_disk"], &row["__image_size"]), (&json!(40), &json!("42949672960")));
    assert_eq!((&row["owner"], &row["__imagetype"]), (&json!(OWNER), &json!("private")));
    assert_eq!(row["created_at"], "2026-11-21T23:43:46Z");
}

#[test]
fn the_clock_may_pass_all_of_a_copy_at_once() {
    let mut state = world();
    copy(&mut state, GOLDEN).unwrap();
    pass(&mut state, 60);
    assert_eq!(states(&mut state), ["active"]);
    assert_eq!(last(&state).code, "OK");
    patch(&mut state, GOLDEN, json!({"copySeconds": 0}));
    copy(&mut state, GOLDEN).unwrap();
    assert_eq!(states(&mut state), ["active", "active"], "a copy that takes no time is there by the next request");
}

#[test]
fn a_received_image_is_copied_once_accepted_and_the_copy_outlives_the_offer() {
    let mut state = world();
    assert_eq!(replicate(&mut state, GOLDEN), refusal("IMG.0144"));
    for status in ["pending", "rejected"] {
        offer(&mut state, &[GOLDEN], status);
        assert_eq!(replicate(&mut state, GOLDEN), refusal("IMG.0196"), "{status}");
    }
    offer(&mut state, &[GOLDEN], "accepted");
    replicate(&mut state, GOLDEN).unwrap();
    pass(&mut state, 10);
    members_call(&mut state, OWNER_KEY, "DELETE", &json!({"images": [GOLDEN], "projects": [RECIPIENT]}));
    pass(&mut state, 1);
    assert_eq!(replicate(&mut state, GOLDEN), refusal("IMG.0144"));
    let own = copies(&mut state, RECIPIENT_KEY);
    assert_eq!((own.len(), own[0].1.as_str()), (1, "active"));
    let id = own[0].0.clone();
    replicate(&mut state, &id).unwrap();
    let shared = json!({"images": [id], "projects": [OWNER]});
    assert_eq!(code(&members_call(&mut state, RECIPIENT_KEY, "POST", &shared)), "");
    pass(&mut state, 10);
    assert_eq!(copies(&mut state, RECIPIENT_KEY).len(), 2);
    let gone = call(&mut state, RECIPIENT_KEY, "DELETE", &format!("/v2/images/{id}"), &Value::Null);
    assert_eq!(gone.0, 204);
    pass(&mut state, 1);
    assert_eq!(copies(&mut state, RECIPIENT_KEY).len(), 1);
}

#[test]
fn an_image_offered_to_the_domain_is_accepted_already() {
    let mut state = world();
    let add = json!([{"type": "domain", "id": DOMAIN}]);
    state.change_members(serde_json::from_value(json!({"image": GOLDEN, "add": add})).unwrap()).unwrap();
    assert!(replicate(&mut state, GOLDEN).is_ok());
}

#[test]
fn each_kind_that_cannot_be_copied_in_its_region_has_its_code() {
    let mut state = world();
    for (image, code) in [(SECOND, "IMG.0130"), (DISC, "IMG.0105"), (PUBLIC, "IMG.0089")] {
        assert_eq!(copy(&mut state, image), refusal(code), "{image}");
    }
    assert_eq!(copy(&mut state, "not-an-id"), refusal("IMG.0066"));
    let journalled = state.journal.entries().iter().filter(|entry| entry.copy.is_some()).count();
    assert_eq!((journalled, states(&mut state).len()), (0, 0), "what is refused is no copy");
    offer(&mut state, &[SECOND, DISC, LOCKED, HUGE], "accepted");
    for (image, code) in [(SECOND, "IMG.0130"), (DISC, "IMG.0105"), (LOCKED, "IMG.0197"), (HUGE, "IMG.0059")] {
        assert_eq!(replicate(&mut state, image), refusal(code), "{image}");
    }
    assert!(copy(&mut state, HUGE).is_ok(), "the size of an own image does not matter");
    patch(&mut state, GOLDEN, json!({"status": "saving"}));
    assert_eq!(copy(&mut state, GOLDEN), refusal("IMG.0090"));
}

#[test]
fn an_own_image_is_encrypted_with_a_key_of_the_account_and_a_received_one_is_not() {
    let mut state = world();
    let with = |key: &str| json!({"name": "copy", "cmk_id": key});
    for (key, code) in [("no-key", "IMG.0095"), ("old-key", "IMG.0097")] {
        assert_eq!(copy_of(&mut state, OWNER_KEY, GOLDEN, &with(key)), refusal(code));
    }
    copy_of(&mut state, OWNER_KEY, GOLDEN, &with("good-key")).unwrap();
    pass(&mut state, 10);
    let row = &get(&mut state, OWNER_KEY, "/v2/cloudimages?name=copy")["images"][0];
    assert_eq!(row["__system__cmkid"], "good-key");
    let id = row["id"].as_str().unwrap();
    let shared = json!({"images": [id], "projects": [RECIPIENT]});
    assert_eq!(code(&members_call(&mut state, OWNER_KEY, "POST", &shared)), "IMG.0098");
    offer(&mut state, &[GOLDEN], "accepted");
    assert_eq!(copy_of(&mut state, RECIPIENT_KEY, GOLDEN, &with("good-key")), refusal("IMG.0105"));
    assert!(copy(&mut state, LOCKED).is_ok(), "its owner copies an encrypted image to one that is not");
    pass(&mut state, 10);
    let rows = get(&mut state, OWNER_KEY, "/v2/cloudimages?name=copy");
    let encrypted: Vec<_> =
        rows["images"].as_array().unwrap().iter().map(|row| row["__system__cmkid"].is_string()).collect();
    assert_eq!(encrypted.iter().filter(|encrypted| !**encrypted).count(), 1);
}

#[test]
fn the_quota_counts_images_that_are_about_to_be_made() {
    let mut state = world();
    for _ in 0..3 {
        copy(&mut state, GOLDEN).unwrap();
    }
    assert_eq!(copy(&mut state, GOLDEN), refusal("IMG.0088"));
    pass(&mut state, 10);
    assert_eq!(copy(&mut state, GOLDEN), refusal("IMG.0088"));
    let rules = |patch: Value| serde_json::from_value::<RulesPatch>(patch).unwrap();
    state.patch_huawei_rules(rules(json!({"imageQuota": 0}))).unwrap();
    assert!(copy(&mut state, GOLDEN).is_ok(), "0 is no limit");
    assert_eq!(get(&mut state, OWNER_KEY, "/v1/cloudimages/quota")["quotas"]["resources"][0]["quota"], 1_000_000);
}

#[test]
fn the_journal_holds_the_call_and_the_end_of_each_copy() {
    let mut state = world();
    let job = copy_of(&mut state, OWNER_KEY, GOLDEN, &json!({"name": "copy", "description": "of golden"})).unwrap();
    let asked = serde_json::to_value(last(&state)).unwrap();
    let mut replica = json!({"source": GOLDEN, "region": "cn-north-4", "owner": OWNER, "image": asked["copy"]["image"],
        "name": "copy", "description": "of golden", "there": false});
    assert_eq!((&asked["action"], &asked["code"]), (&json!("CopyImageInRegion"), &json!("OK")));
    assert_eq!((&asked["job"], &asked["image"], &asked["copy"]), (&json!(job), &json!(GOLDEN), &replica));
    pass(&mut state, 10);
    let ended = serde_json::to_value(last(&state)).unwrap();
    replica["there"] = json!(true);
    assert_eq!((&ended["action"], &ended["code"]), (&json!("JobEffect"), &json!("OK")));
    assert_eq!((&ended["job"], &ended["image"], &ended["copy"]), (&json!(job), &json!(GOLDEN), &replica));
    assert_eq!(copies(&mut state, OWNER_KEY)[0].0, replica["image"]);
}

#[test]
fn how_long_a_copy_takes_and_when_it_is_shown_are_settings_of_the_world_and_of_an_image() {
    let mut state = world();
    let rules = |patch: Value| serde_json::from_value::<RulesPatch>(patch).unwrap();
    state.patch_huawei_rules(rules(json!({"copySeconds": 100, "copyShownLate": true}))).unwrap();
    assert_eq!(last(&state).action, "PatchRules");
    copy(&mut state, GOLDEN).unwrap();
    pass(&mut state, 99);
    assert_eq!(states(&mut state).len(), 0);
    pass(&mut state, 1);
    assert_eq!(states(&mut state), ["active"]);
    patch(&mut state, GOLDEN, json!({"copySeconds": 2.5, "copyShownLate": false}));
    copy(&mut state, GOLDEN).unwrap();
    pass(&mut state, 1);
    assert_eq!(states(&mut state), ["saving", "active"], "the newest first");
    for bad in [json!(-1), json!(86_401), json!("1")] {
        assert!(serde_json::from_value::<RulesPatch>(json!({ "copySeconds": bad })).is_err(), "{bad}");
    }
}
