//! The cloud without its socket: requests of the official SDK as captured, and requests signed here.

use super::admin::MembersOutOfBand;
use super::world::{ImagePatch, KeyPatch, RulesPatch};
use super::*;
use crate::chassis::clock::ClockMove;
use crate::chassis::exchange::{self, Reply};
use crate::chassis::names::AccountId;
use crate::world_file::WorldFile;
use jiff::SignedDuration;

mod attributes;
mod callers;
mod clients;
mod copies;
mod faults;
mod lists;
mod making;
mod temporary;

const OWNER: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const RECIPIENT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OTHER: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const DOMAIN: &str = "dddddddddddddddddddddddddddddddd";
const UNIT: &str = "organizations::d0000000000000000000000000000000:ou:o-acme/ou-dev";
const GOLDEN: &str = "cc4f2d1e-0000-4000-8000-000000000001";
const SECOND: &str = "cc4f2d1e-0000-4000-8000-000000000002";

const OWNER_KEY: (&str, &str) = ("HPUAFAKEACCESSKEY001", "fakeHuaweiSecretKeyForCapture000000000001");
const RECIPIENT_KEY: (&str, &str) = ("RECIPIENT", "hush");

const WORLD: &str = "
clock: 2026-11-21T23:43:45Z
regions: []
accounts: []
huawei:
  sites: {China: [cn-north-4, cn-south-1], International: [cn-north-4]}
  domains:
    - id: d0000000000000000000000000000000
      name: owners
      site: China
      keys: [{ak: HPUAFAKEACCESSKEY001, sk: fakeHuaweiSecretKeyForCapture000000000001TOKEN}]
      users: [{name: alice, password: in wonderland}]
      projects:
        - {id: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, region: cn-north-4}
        - {id: 0a1b2c3d4e5f60718293a4b5c6d7e8fa, region: cn-south-1}
    - id: dddddddddddddddddddddddddddddddd
      name: recipients
      keys: [{ak: RECIPIENT, sk: hush, project: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}]
      organizations: ['organizations::d0000000000000000000000000000000:ou:o-acme/ou-dev']
      projects:
        - {id: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, region: cn-north-4, name: cn-north-4_other}
        - {id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, region: cn-north-4}
  images:
    - {id: cc4f2d1e-0000-4000-8000-000000000001, project: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, name: golden}
    - {id: cc4f2d1e-0000-4000-8000-000000000002, project: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, kind: fullServer}
    - {id: cc4f2d1e-0000-4000-8000-000000000003, project: '1', region: cn-north-4, origin: gold, name: linux}
";

fn state_with(token: &str) -> State {
    State::new(WorldFile::parse(&WORLD.replace("TOKEN", token)).unwrap()).unwrap()
}

fn plain() -> State {
    state_with("")
}

/// A request over `path`, its query included, not yet signed.
fn wire(state: &State, method: &str, path: &str, body: &str, extra: &[(&str, &str)]) -> Wire {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let date = authentication::date_text(state.clock.now());
    let mut headers = vec![("host", "ims.test"), ("content-type", "application/json"), ("x-sdk-date", &date)];
    headers.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
    headers.extend(extra);
    Wire {
        scheme: "http",
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: body.as_bytes().to_vec(),
    }
}

fn send(state: &mut State, wire: &Wire) -> Reply {
    let thing = format!("{:032x}", state.journal.last());
    let image = format!("ab5e17ed-0000-4000-8000-{:012x}", state.journal.last());
    exchange::handle::<Huawei>(state, wire, &Fresh { request: "ID".to_owned(), thing, image })
}

fn call(state: &mut State, (ak, sk): (&str, &str), method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut wire = wire(state, method, path, &body, &[]);
    signature::sign(&mut wire, ak, sk);
    let reply = send(state, &wire);
    (reply.status, serde_json::from_str(&reply.body).unwrap_or_default())
}

fn get(state: &mut State, key: (&str, &str), path: &str) -> Value {
    call(state, key, "GET", path, &Value::Null).1
}

fn members_call(state: &mut State, key: (&str, &str), method: &str, body: &Value) -> Value {
    call(state, key, method, "/v1/cloudimages/members", body).1
}

fn share(state: &mut State, projects: &[&str]) -> Value {
    members_call(state, OWNER_KEY, "POST", &json!({"images": [GOLDEN], "projects": projects}))
}

fn answer(state: &mut State, status: &str) -> Value {
    members_call(state, RECIPIENT_KEY, "PUT", &json!({"images": [GOLDEN], "project_id": RECIPIENT, "status": status}))
}

/// Moves the clock past the end of every job.
fn wait(state: &mut State) {
    state.move_clock(ClockMove { offset_seconds: None, advance_seconds: Some(1) }).unwrap();
    state.settle();
}

fn last(state: &State) -> &Entry {
    state.journal.entries().last().unwrap()
}

fn script(state: &mut State, faults: Value) {
    state.faults.script(serde_json::from_value(faults).unwrap()).unwrap();
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().or(answer["error_code"].as_str()).unwrap_or_default()
}

fn statuses(state: &mut State) -> Vec<(String, String)> {
    let list = get(state, OWNER_KEY, &format!("/v1/{OWNER}/cloudimages/{GOLDEN}/members"));
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    list["members"].as_array().unwrap().iter().map(|row| (text(row, "member_id"), text(row, "status"))).collect()
}

#[test]
fn a_share_is_a_job_with_two_addresses_and_the_offer_is_answered_by_another() {
    let mut state = plain();
    let job = share(&mut state, &[RECIPIENT, OTHER])["job_id"].as_str().unwrap().to_owned();
    let (shown, progress) = (format!("/v1/{OWNER}/jobs/{job}"), format!("/v1/cloudimages/job/{job}"));
    let early = get(&mut state, OWNER_KEY, &shown);
    assert_eq!(
        (&early["status"], &early["end_time"], &early["error_code"]),
        (&json!("INIT"), &Value::Null, &Value::Null)
    );
    assert!(statuses(&mut state).is_empty(), "nothing happens before its time");
    wait(&mut state);
    let done = get(&mut state, OWNER_KEY, &shown);
    let row = json!({"image_id": GOLDEN, "status": "success"});
    assert_eq!((&done["status"], &done["entities"]["results"]), (&json!("SUCCESS"), &json!([row, row])));
    assert_eq!(
        (&done["job_type"], &done["end_time"]),
        (&json!("imsAddImageMembersJob"), &json!("2026-11-21T23:43:45.150Z"))
    );
    let same = get(&mut state, OWNER_KEY, &progress);
    assert_eq!((&same["status"], &same["entities"]["process_percent"]), (&json!("SUCCESS"), &json!(100)));

    answer(&mut state, "accepted");
    wait(&mut state);
    let pair = |id: &str, status: &str| (id.to_owned(), status.to_owned());
    assert_eq!(statuses(&mut state), [pair(RECIPIENT, "accepted"), pair(OTHER, "pending")]);
    let job = members_call(&mut state, OWNER_KEY, "DELETE", &json!({"images": [GOLDEN], "projects": [RECIPIENT]}));
    wait(&mut state);
    let done = get(&mut state, OWNER_KEY, &format!("/v1/{OWNER}/jobs/{}", job["job_id"].as_str().unwrap()));
    assert_eq!((&done["job_type"], &done["entities"]["results"]), (&json!("imsDelImageMembersJob"), &json!([])));
    assert_eq!(statuses(&mut state), [pair(OTHER, "pending")]);
}

#[test]
fn the_calls_on_one_member_act_at_once() {
    let mut state = plain();
    let path = format!("/v2/images/{GOLDEN}/members");
    let own = format!("{path}/{RECIPIENT}");
    let (status, member) = call(&mut state, OWNER_KEY, "POST", &path, &json!({"member": RECIPIENT}));
    assert_eq!((status, &member["status"], &member["member_type"]), (200, &json!("pending"), &json!("project")));
    assert_eq!(last(&state).effect.as_ref().unwrap().added[0].as_str(), RECIPIENT);
    let (status, member) = call(&mut state, RECIPIENT_KEY, "PUT", &own, &json!({"status": "accepted"}));
    assert_eq!((status, &member["status"]), (200, &json!("accepted")));
    assert_eq!(get(&mut state, OWNER_KEY, &path)["members"][0]["member_id"], RECIPIENT);
    assert_eq!(get(&mut state, RECIPIENT_KEY, &own)["image_id"], GOLDEN);
    assert_eq!(call(&mut state, OWNER_KEY, "DELETE", &own, &Value::Null), (204, Value::Null));
    assert_eq!(last(&state).effect.as_ref().unwrap().removed[0].as_str(), RECIPIENT);
    assert_eq!(code(&get(&mut state, RECIPIENT_KEY, &own)), "IMG.0144");
    let others = json!({"status": "accepted"});
    let other = format!("{path}/{OTHER}");
    assert_eq!(code(&call(&mut state, RECIPIENT_KEY, "PUT", &other, &others).1), "IMG.0030");
}

#[test]
fn an_image_is_deleted_a_moment_after_the_answer() {
    let mut state = plain();
    share(&mut state, &[RECIPIENT]);
    wait(&mut state);
    let path = format!("/v2/images/{GOLDEN}");
    assert_eq!(call(&mut state, OWNER_KEY, "DELETE", &path, &json!({"delete_backup": true})), (204, Value::Null));
    let by_id = format!("/v2/cloudimages?id={GOLDEN}");
    assert_eq!(get(&mut state, OWNER_KEY, &by_id)["images"].as_array().unwrap().len(), 1);
    wait(&mut state);
    let effect = last(&state).effect.clone().unwrap();
    assert!(effect.deleted && effect.removed[0].as_str() == RECIPIENT);
    assert_eq!(get(&mut state, OWNER_KEY, &by_id)["images"], json!([]));
    assert_eq!(code(&call(&mut state, OWNER_KEY, "DELETE", &path, &Value::Null).1), "IMG.0144");
}

#[test]
fn the_quota_counts_the_projects_own_images() {
    let mut state = plain();
    let quota = get(&mut state, OWNER_KEY, "/v1/cloudimages/quota");
    let resource = &quota["quotas"]["resources"][0];
    assert_eq!((&resource["type"], &resource["used"], &resource["quota"]), (&json!("image"), &json!(2), &json!(100)));
}

#[test]
fn the_journal_holds_the_request_and_then_what_its_job_did() {
    let mut state = plain();
    members_call(
        &mut state,
        OWNER_KEY,
        "POST",
        &json!({"images": [GOLDEN, SECOND], "projects": [RECIPIENT], "organizations": [UNIT]}),
    );
    let request = last(&state).clone();
    assert_eq!((request.action.as_str(), request.principal.as_str()), ("BatchAddMembers", OWNER));
    assert_eq!((&request.effect, request.parameters.images.len()), (&None, 2));
    assert_eq!(serde_json::to_value(&request).unwrap()["provider"], "huawei");
    wait(&mut state);
    let effects: Vec<_> = state.journal.entries().iter().filter(|entry| entry.action == "JobEffect").cloned().collect();
    let images: Vec<_> = effects.iter().map(|entry| entry.image.clone().unwrap()).collect();
    assert_eq!(images, [GOLDEN, SECOND].map(ImageId::from));
    let entry = &effects[0];
    assert_eq!((&entry.job, entry.principal.as_str(), &entry.key_id), (&request.job, OWNER, &request.key_id));
    assert_eq!((entry.time.to_string().as_str(), entry.code.as_str()), ("2026-11-21T23:43:45.15Z", "OK"));
    assert_eq!(entry.effect.as_ref().unwrap().added, [RECIPIENT, UNIT].map(AccountId::from));
    answer(&mut state, "rejected");
    assert_eq!(last(&state).parameters.answer.as_deref(), Some("rejected"));
    wait(&mut state);
    let effect = serde_json::to_value(last(&state).effect.as_ref().unwrap()).unwrap();
    assert_eq!(effect["answered"], json!([{"recipient": RECIPIENT, "status": "rejected"}]));
    assert_eq!(last(&state).principal, RECIPIENT);
}

#[test]
fn what_the_control_api_does_is_journalled_and_seen_at_once() {
    let mut state = plain();
    let change = |add: Value, remove: Value| {
        serde_json::from_value::<MembersOutOfBand>(json!({"image": GOLDEN, "add": add, "remove": remove})).unwrap()
    };
    let offer = json!([{"type": "project", "id": RECIPIENT}, {"type": "domain", "id": DOMAIN}]);
    state.change_members(change(offer, json!([]))).unwrap();
    assert_eq!(state.huawei_received(&AccountId::from(RECIPIENT)).unwrap()[0].via.len(), 2);
    let answered = json!([{"type": "project", "id": RECIPIENT, "status": "accepted"}]);
    let effect = state.change_members(change(answered, json!([{"type": "domain", "id": DOMAIN}]))).unwrap();
    assert_eq!((effect.removed[0].as_str(), effect.answered[0].status.as_str()), (DOMAIN, "accepted"));
    let entry = last(&state);
    assert_eq!((entry.action.as_str(), entry.principal.as_str()), ("ShareOutOfBand", "out-of-band"));
    assert_eq!((entry.provider, entry.region.as_ref().unwrap().as_str()), (Some(Provider::Huawei), "cn-north-4"));
    let missing = MembersOutOfBand { image: ImageId::from("m"), add: vec![], remove: vec![] };
    assert!(state.change_members(missing).is_err());
    let patch = ImagePatch { delete: true, ..ImagePatch::default() };
    state.patch_huawei_image(&ImageId::from(GOLDEN), patch).unwrap();
    assert_eq!((last(&state).effect.as_ref().unwrap().deleted, last(&state).region.is_some()), (true, true));
}

#[test]
fn the_journal_replays_to_the_world() {
    let mut state = plain();
    share(&mut state, &[RECIPIENT, OTHER]);
    script(&mut state, json!([{"then": {"kind": "jobFails", "code": "IMG.0113", "partial": 1}}]));
    members_call(&mut state, OWNER_KEY, "DELETE", &json!({"images": [GOLDEN], "projects": [OTHER, RECIPIENT]}));
    state.faults.clear_script();
    members_call(&mut state, OWNER_KEY, "POST", &json!({"images": [GOLDEN], "domains": [DOMAIN]}));
    wait(&mut state);
    let mut replayed: Vec<String> = Vec::new();
    for effect in state.journal.entries().iter().filter_map(|entry| entry.effect.as_ref()) {
        replayed.retain(|id| effect.removed.iter().all(|gone| gone.as_str() != id));
        replayed.extend(effect.added.iter().map(ToString::to_string));
    }
    let image = state.huawei.world.image(&ImageId::from(GOLDEN)).unwrap();
    let truth: Vec<_> = image.members().iter().map(|member| member.recipient.id.to_string()).collect();
    assert_eq!(
        (replayed.as_slice(), truth.as_slice()),
        (truth.as_slice(), &[RECIPIENT, DOMAIN].map(str::to_owned)[..])
    );
}
