//! The cloud without its socket: requests of the official SDK as captured, and requests signed here.

use super::world::KeyPatch;
use super::*;
use crate::admin::SharingOutOfBand;
use crate::chassis::clock::ClockMove;
use crate::chassis::exchange::{self, Reply};
use crate::chassis::journal::Cut;
use crate::world_file::WorldFile;

mod attributes;
mod clients;
mod copies;
mod lists;
mod making;
mod roles;

macro_rules! captures {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../captures/alibaba/", $name, ".raw")))),*]
    };
}

const WORLD: &str = "
clock: 2026-11-21T23:42:00Z
regions: [cn-hangzhou, cn-beijing]
accounts:
  - {id: '2000000000000000', keys: [{id: LTAI5tFakeAccessKeyId01, secret: fakeAlibabaSecretForCapture0001TOKEN}]}
  - id: '1000000000000000'
    keys: [{id: recipient, secret: hush}]
    roles: [{name: Share, trusts: ['2000000000000000'], externalId: cluster/team, maxSessionSeconds: 7200}]
  - {id: '1000000000000001'}
  - {id: '1000000000000002'}
  - {id: '1000000000000003'}
  - {id: '1000000000000004'}
  - {id: '1000000000000005'}
  - {id: '1000000000000006'}
  - {id: '1000000000000007'}
  - {id: '1000000000000008'}
  - {id: '1000000000000009'}
  - {id: '1000000000000010'}
images:
  - {id: m-bp67acfmxazb4p0000, region: cn-hangzhou, owner: '2000000000000000', name: 'a<b', disks: [system, data]}
  - {id: m-old, region: cn-hangzhou, owner: '2000000000000000', status: Deprecated}
  - {id: m-there, region: cn-beijing, owner: '2000000000000000'}
  - {id: m-public, region: cn-hangzhou, owner: '2000000000000000', public: true}
  - {id: aliyun_3.vhd, region: cn-hangzhou, owner: '1', alias: system}
  - {id: m-market, region: cn-hangzhou, owner: '1', alias: marketplace, productCode: cmjj1}
";
const GOLDEN: &str = "m-bp67acfmxazb4p0000";
const OWNER_KEY: (&str, &str) = ("LTAI5tFakeAccessKeyId01", "fakeAlibabaSecretForCapture0001");
const RECIPIENT_KEY: (&str, &str) = ("recipient", "hush");

fn state(token: &str) -> State {
    State::new(WorldFile::parse(&WORLD.replace("TOKEN", token)).unwrap()).unwrap()
}

fn plain() -> State {
    state("")
}

fn captured(raw: &str) -> Wire {
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let mut request_line = lines.next().unwrap().split(' ');
    let method = request_line.next().unwrap().to_owned();
    let (path, query) = request_line.next().unwrap().split_once('?').unwrap_or(("/", ""));
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    let headers = lines.map(header).collect();
    let (path, query, body) = (path.to_owned(), query.to_owned(), body.trim().as_bytes().to_vec());
    Wire { scheme: "http", method, path, query, headers, body }
}

fn signed(state: &State, (id, secret): (&str, &str), action: &str, query: &str, extra: &[(&str, &str)]) -> Wire {
    let version = match action {
        "GetCallerIdentity" | "AssumeRole" => "2015-04-01",
        "DescribeEndpoints" => "2015-06-12",
        _ => "2014-05-26",
    };
    let nonce = state.journal.last().to_string();
    let date = answers::instant(state.clock.now());
    let mut headers = vec![
        ("host", "ecs.test"),
        ("accept", "application/json"),
        ("x-acs-action", action),
        ("x-acs-version", version),
        ("x-acs-date", &date),
        ("x-acs-signature-nonce", &nonce),
    ];
    headers.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
    headers.extend(extra.iter().filter(|(_, value)| !value.is_empty()));
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (method, path, query) = ("POST".to_owned(), "/".to_owned(), query.to_owned());
    let mut wire = Wire { scheme: "http", method, path, query, headers, body: vec![] };
    signature::sign(&mut wire, id, secret);
    wire
}

fn handle(state: &mut State, wire: &Wire, id: &str) -> Reply {
    let [request, thing, image] = [id; 3].map(str::to_owned);
    exchange::handle::<Alibaba>(state, wire, &Fresh { request, thing, image })
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(one, _)| *one == name).map(|(_, value)| value.as_str())
}

fn ask(state: &mut State, key: (&str, &str), action: &str, query: &str) -> Value {
    let wire = signed(state, key, action, query, &[]);
    serde_json::from_str(&handle(state, &wire, "ID").body).unwrap()
}

fn last(state: &State) -> &Entry {
    state.journal.entries().last().unwrap()
}

fn image_ids(answer: &Value) -> Vec<&str> {
    answer["Images"]["Image"].as_array().unwrap().iter().map(|row| row["ImageId"].as_str().unwrap()).collect()
}

fn script(state: &mut State, faults: Value) {
    state.faults.script(serde_json::from_value(faults).unwrap()).unwrap();
}

#[test]
fn every_captured_request_of_the_official_sdk_is_authenticated() {
    let captures = captures![
        "CancelCopyImage",
        "CopyImage",
        "DeleteImage",
        "DeleteImage-force",
        "DescribeImageSharePermission",
        "DescribeImages-by-id-self",
        "DescribeImages-owner-others",
        "DescribeImages-tags-unicode",
        "DescribeRegions",
        "ModifyImageSharePermission-add11",
        "ModifyImageSharePermission-add3",
        "ModifyImageSharePermission-community",
        "ModifyImageSharePermission-dryrun",
        "ModifyImageSharePermission-remove1-add1",
        "sts-DescribeImageSharePermission",
        "sts-DescribeImages-tags-unicode",
        "sts-ModifyImageSharePermission-add3",
    ];
    for (name, raw) in captures {
        let token = if name.starts_with("sts-") { ", securityToken: fakeStsToken/+=0123456789" } else { "" };
        let mut state = state(token);
        let expected = match name {
            "ModifyImageSharePermission-dryrun" => "DryRunOperation",
            "CancelCopyImage" => "InvalidImageId.NotFound",
            _ => "OK",
        };
        let wire = captured(raw);
        handle(&mut state, &wire, "ID");
        assert_eq!(
            (last(&state).code.as_str(), last(&state).principal.as_str()),
            (expected, "2000000000000000"),
            "{name}"
        );

        handle(&mut state, &wire, "ID");
        assert_eq!(last(&state).code, "SignatureNonceUsed", "{name}");
        assert_eq!((last(&state).principal.as_str(), &last(&state).key_id), (OWNER_KEY.0, &None));
    }
}

#[test]
fn the_eleventh_account_of_a_captured_request_is_journalled_as_asked_and_not_as_effect() {
    let mut state = plain();
    let (_, raw) = captures!["ModifyImageSharePermission-add11"][0];
    handle(&mut state, &captured(raw), "ID");
    assert_eq!(last(&state).parameters.add.len(), 11);
    assert_eq!(last(&state).effect.as_ref().unwrap().added.len(), 10);
}

type Pair = (&'static str, &'static str);

#[test]
fn a_request_is_refused_by_the_first_check_it_fails() {
    let token = ", securityToken: tok";
    let with_token = [("x-acs-security-token", "tok")];
    let late = [("x-acs-date", "2026-11-21T23:26:59Z")];
    let cases: [(&str, Pair, &[Pair], u16, &str); 9] = [
        ("", ("nobody", "x"), &[], 404, "InvalidAccessKeyId.NotFound"),
        ("", (OWNER_KEY.0, "x"), &[], 400, "SignatureDoesNotMatch"),
        ("", OWNER_KEY, &late, 400, "InvalidTimeStamp.Expired"),
        ("", OWNER_KEY, &[("x-acs-date", "2026-11-21T23:57:01Z")], 400, "InvalidTimeStamp.Expired"),
        ("", OWNER_KEY, &[("x-acs-date", "today")], 400, "IllegalTimestamp"),
        ("", OWNER_KEY, &[("x-acs-signature-nonce", "")], 400, "IncompleteSignature"),
        (token, OWNER_KEY, &[], 400, "MissingSecurityToken"),
        (token, OWNER_KEY, &[("x-acs-security-token", "kot")], 400, "InvalidSecurityToken.Malformed"),
        (", securityToken: tok, expired: true", OWNER_KEY, &with_token, 400, "InvalidSecurityToken.Expired"),
    ];
    for (token, key, headers, status, code) in cases {
        let mut state = state(token);
        let wire = signed(&state, key, "DescribeRegions", "", headers);
        let reply = handle(&mut state, &wire, "ID");
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!((reply.status, answer["Code"].as_str().unwrap()), (status, code));
        assert_eq!((answer["RequestId"].as_str(), answer["HostId"].as_str()), (Some("ID"), Some("ecs.test")));
        assert_eq!(last(&state).key_id, None);
    }
    let mut good = state(token);
    let wire = signed(&good, OWNER_KEY, "DescribeRegions", "", &with_token);
    assert_eq!(handle(&mut good, &wire, "ID").status, 200);
}

#[test]
fn a_key_changed_out_of_band_changes_what_signs() {
    let mut state = plain();
    let patch = |json: Value| serde_json::from_value::<KeyPatch>(json).unwrap();
    state.patch_key(OWNER_KEY.0, patch(json!({"disabled": true}))).unwrap();
    assert_eq!(ask(&mut state, OWNER_KEY, "DescribeRegions", "")["Code"], "Forbidden.AccessKeyDisabled");
    state.patch_key(OWNER_KEY.0, patch(json!({"disabled": false, "secret": "new"}))).unwrap();
    assert_eq!(ask(&mut state, OWNER_KEY, "DescribeRegions", "")["Code"], "SignatureDoesNotMatch");
    assert_eq!(ask(&mut state, (OWNER_KEY.0, "new"), "DescribeRegions", "")["Code"], Value::Null);
}

#[test]
fn parameters_are_checked_before_the_image_is_looked_up() {
    let cases = [
        ("DescribeImageSharePermission", "ImageId=m-x", "MissingParameter"),
        ("DescribeImageSharePermission", "RegionId=cn-hangzhou", "MissingParameter"),
        ("DescribeImageSharePermission", "RegionId=cn-hangzhou&ImageId=m-x&PageSize=101", "InvalidParameter"),
        ("DescribeImageSharePermission", "RegionId=cn-x&ImageId=m-x", "InvalidRegionId.NotFound"),
        ("DescribeImageSharePermission", "RegionId=cn-hangzhou&ImageId=m-x", "InvalidImageId.NotFound"),
        ("ModifyImageSharePermission", "RegionId=cn-hangzhou&ImageId=m-x&DryRun=maybe", "InvalidParameter"),
        ("DeleteImage", "RegionId=cn-hangzhou&ImageId=m-x", "InvalidImageId.NotFound"),
        ("DescribeImages", "", "MissingParameter"),
        ("DescribeImages", "RegionId=cn-hangzhou&ImageOwnerAlias=me", "InvalidImageOwnerAlias.ValueNotSupported"),
        ("DescribeImages", "RegionId=cn-hangzhou&Status=Gone", "InvalidParameter"),
        ("DescribeImages", "RegionId=cn-hangzhou&InstanceType=ecs.g6.large", "UnsupportedParameter"),
        ("RunInstances", "RegionId=cn-hangzhou", "InvalidAction.NotFound"),
    ];
    let mut state = plain();
    for (action, query, code) in cases {
        assert_eq!(ask(&mut state, OWNER_KEY, action, query)["Code"], code, "{action} {query}");
    }
}

#[test]
fn images_are_listed_by_alias_status_id_and_owner() {
    let mut state = plain();
    let share = json!({"image": GOLDEN, "add": ["1000000000000000"]});
    state.share_out_of_band(serde_json::from_value::<SharingOutOfBand>(share).unwrap()).unwrap();
    let system = "aliyun_3.vhd";
    let cases: [(_, &str, &[&str]); 11] = [
        (OWNER_KEY, "", &[system, GOLDEN, "m-public"]),
        (OWNER_KEY, "ImageOwnerAlias=self", &[GOLDEN, "m-public"]),
        (OWNER_KEY, "ImageOwnerAlias=self&Status=ALL", &[GOLDEN, "m-old", "m-public"]),
        (OWNER_KEY, "Status=Deprecated,Creating", &["m-old"]),
        (OWNER_KEY, "Status=ALL&ImageId=m-old,m-there,m-none,m-bp67acfmxazb4p0000", &[GOLDEN, "m-old"]),
        (OWNER_KEY, "ImageOwnerAlias=marketplace", &["m-market"]),
        (OWNER_KEY, "ImageOwnerAlias=others", &[]),
        (RECIPIENT_KEY, "", &[system, GOLDEN]),
        (RECIPIENT_KEY, "ImageOwnerAlias=others", &[GOLDEN]),
        (RECIPIENT_KEY, "ImageOwnerAlias=others&ImageOwnerId=1000000000000001", &[]),
        (RECIPIENT_KEY, "ImageOwnerAlias=others&IsPublic=True", &["m-public"]),
    ];
    for (key, query, expected) in cases {
        let answer = ask(&mut state, key, "DescribeImages", &format!("RegionId=cn-hangzhou&{query}"));
        assert_eq!(image_ids(&answer), expected, "{} {query}", key.0);
        assert_eq!(answer["TotalCount"], expected.len());
    }
}

#[test]
fn image_rows_have_the_vendors_types() {
    let mut state = plain();
    let query = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}&Status=ALL");
    let answer = ask(&mut state, OWNER_KEY, "DescribeImages", &query);
    let row = &answer["Images"]["Image"][0];
    assert_eq!(row["ImageOwnerId"], 2_000_000_000_000_000_i64);
    assert_eq!(
        (&row["ImageOwnerAlias"], &row["Status"], &row["IsPublic"]),
        (&json!("self"), &json!("Available"), &json!(false))
    );
    assert_eq!(row["CreationTime"], "2026-11-21T23:42:00Z");
    let disks = row["DiskDeviceMappings"]["DiskDeviceMapping"].as_array().unwrap();
    assert_eq!(disks.iter().map(|disk| disk["Type"].as_str().unwrap()).collect::<Vec<_>>(), ["system", "data"]);
    assert_eq!((&disks[0]["Size"], &disks[0]["Encrypted"]), (&json!("20"), &json!(false)));
}

#[test]
fn recipients_are_paged_with_account_ids_as_text() {
    let mut state = plain();
    let query = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}");
    let add: Vec<_> = (1..=3).map(|n| format!("&AddAccount.{n}=100000000000000{n}")).collect();
    ask(&mut state, OWNER_KEY, "ModifyImageSharePermission", &format!("{query}{}", add.join("")));
    let page = format!("{query}&PageSize=2&PageNumber=2");
    let answer = ask(&mut state, OWNER_KEY, "DescribeImageSharePermission", &page);
    let expected = json!({
        "RequestId": "ID", "RegionId": "cn-hangzhou", "ImageId": GOLDEN,
        "TotalCount": 3, "PageNumber": 2, "PageSize": 2,
        "Accounts": {"Account": [{"AliyunId": "1000000000000003", "SharedTime": "2026-11-21T23:42:00Z"}]},
        "ShareGroups": {"ShareGroup": []},
    });
    assert_eq!(answer, expected);
}

#[test]
fn parameters_in_a_form_body_count_and_xml_is_the_default_form() {
    let mut state = plain();
    let mut wire = signed(&state, OWNER_KEY, "DescribeImages", "", &[("accept", "")]);
    wire.headers.retain(|(name, _)| name != "authorization" && name != "x-acs-content-sha256");
    wire.headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
    wire.body = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}").into_bytes();
    signature::sign(&mut wire, OWNER_KEY.0, OWNER_KEY.1);
    let reply = handle(&mut state, &wire, "ID");
    assert_eq!((reply.status, header(&reply, "content-type")), (200, Some("text/xml;charset=utf-8")));
    assert!(reply.body.contains("<DescribeImagesResponse>") && reply.body.contains("<ImageName>a&lt;b</ImageName>"));

    let wire = signed(&state, OWNER_KEY, "DeleteImage", "", &[("accept", "*/*")]);
    assert!(handle(&mut state, &wire, "ID").body.contains("<Error><"));
    let wire = signed(&state, OWNER_KEY, "DescribeRegions", "Format=json", &[("accept", "*/*")]);
    assert!(handle(&mut state, &wire, "ID").body.starts_with('{'));
}

#[test]
fn callers_learn_who_they_are() {
    let mut lasting = plain();
    let answer = ask(&mut lasting, OWNER_KEY, "GetCallerIdentity", "");
    assert_eq!((&answer["AccountId"], &answer["IdentityType"]), (&json!("2000000000000000"), &json!("Account")));
    let mut temporary = state(", securityToken: tok");
    let wire = signed(&temporary, OWNER_KEY, "GetCallerIdentity", "", &[("x-acs-security-token", "tok")]);
    assert!(handle(&mut temporary, &wire, "ID").body.contains("AssumedRoleUser"));
}

#[test]
fn a_throttle_tells_its_wait_and_stops_the_effect() {
    let mut state = plain();
    script(&mut state, json!([{"count": 1, "then": {"kind": "throttle", "retryAfterMillis": 1500}}]));
    let delete = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}");
    let wire = signed(&state, OWNER_KEY, "DeleteImage", &delete, &[]);
    let reply = handle(&mut state, &wire, "ID");
    assert_eq!((reply.status, header(&reply, "x-acs-retry-after")), (400, Some("1500")));
    assert!(reply.body.contains("Throttling.User"));
    assert_eq!((&last(&state).effect, last(&state).faults.as_slice()), (&None, &["throttle"][..]));
    assert_eq!(ask(&mut state, OWNER_KEY, "DeleteImage", &delete)["Code"], Value::Null);
    assert!(last(&state).effect.as_ref().unwrap().deleted);
}

#[test]
fn a_cut_before_has_no_effect_and_a_cut_after_has() {
    let mut state = plain();
    let when = json!({"action": "ModifyImageSharePermission", "recipient": "1000000000000001"});
    let share = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}&AddAccount.1=1000000000000001");
    for (kind, cut, code, effect) in [("cutBefore", Cut::Before, "", false), ("cutAfter", Cut::After, "OK", true)] {
        script(&mut state, json!([{"when": when, "count": 1, "then": {"kind": kind}}]));
        let wire = signed(&state, OWNER_KEY, "ModifyImageSharePermission", &share, &[]);
        assert!(handle(&mut state, &wire, "ID").cut);
        let entry = last(&state);
        assert_eq!((entry.cut, entry.code.as_str(), entry.status, entry.effect.is_some()), (cut, code, 0, effect));
    }
}

#[test]
fn a_lagging_answer_shows_the_sharing_as_it_was() {
    let mut state = plain();
    let query = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}");
    state.move_clock(ClockMove { offset_seconds: None, advance_seconds: Some(60) }).unwrap();
    let share = format!("{query}&AddAccount.1=1000000000000001");
    ask(&mut state, OWNER_KEY, "ModifyImageSharePermission", &share);
    script(&mut state, json!([{"then": {"kind": "describeLag", "millis": 30_000}}]));
    let total = |state: &mut State| ask(state, OWNER_KEY, "DescribeImageSharePermission", &query)["TotalCount"].clone();
    assert_eq!(total(&mut state), 0);
    state.move_clock(ClockMove { offset_seconds: None, advance_seconds: Some(30) }).unwrap();
    assert_eq!(total(&mut state), 1);
}

#[test]
fn wrong_json_is_a_success_that_cannot_be_read_and_stands() {
    let mut state = plain();
    script(&mut state, json!([{"then": {"kind": "wrongJson"}}]));
    let wire = signed(&state, OWNER_KEY, "DeleteImage", &format!("RegionId=cn-hangzhou&ImageId={GOLDEN}"), &[]);
    let reply = handle(&mut state, &wire, "ID");
    assert_eq!((reply.status, header(&reply, "content-type")), (200, Some("text/html")));
    assert!(reply.body.starts_with("<html>"));
    assert!(last(&state).effect.is_some());
}

#[test]
fn the_journal_replayed_is_the_world() {
    let mut state = state("");
    let query = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}");
    ask(
        &mut state,
        OWNER_KEY,
        "ModifyImageSharePermission",
        &format!("{query}&AddAccount.1=1000000000000001&AddAccount.2=1000000000000002"),
    );
    ask(
        &mut state,
        OWNER_KEY,
        "ModifyImageSharePermission",
        &format!("{query}&AddAccount.1=1000000000000003&RemoveAccount.1=1000000000000001"),
    );
    let change = json!({"image": GOLDEN, "add": ["1000000000000009"], "remove": ["1000000000000002"]});
    state.share_out_of_band(serde_json::from_value::<SharingOutOfBand>(change).unwrap()).unwrap();
    let mut replayed: Vec<String> = Vec::new();
    for effect in state.journal.entries().iter().filter_map(|entry| entry.effect.as_ref()) {
        replayed.retain(|account| effect.removed.iter().all(|gone| gone.as_str() != account));
        replayed.extend(effect.added.iter().map(ToString::to_string));
    }
    let world = state.alibaba.world.image(&ImageId::from(GOLDEN)).unwrap();
    let truth: Vec<_> = world.grants().iter().map(|grant| grant.account.to_string()).collect();
    assert_eq!((replayed.as_slice(), truth.len()), (truth.as_slice(), 2));
    assert_eq!(last(&state).principal, "out-of-band");
}

proptest::proptest! {
    #[test]
    fn no_request_makes_the_cloud_panic(
        query in "(([A-Za-z.0-9]{0,20}|AddAccount\\.[0-9]{1,12}|Destination(RegionId|ImageName|Description)|ClientToken|Page(Size|Number)|RegionId|ImageId)=[ -~]{0,20}&?){0,6}",
        action in "CopyImage|CancelCopyImage|DescribeImages|DescribeImageSharePermission|ModifyImageSharePermission|DeleteImage|[ -~]{0,8}",
        authorization in proptest::option::of("(ACS3-HMAC-SHA256 )?(Credential=[ -~]{0,9},?|SignedHeaders=[ -~]{0,9},?|Signature=[0-9a-fz]{0,9},?){0,4}"),
    ) {
        let mut state = plain();
        let mut wire = signed(&state, OWNER_KEY, &action, &query, &[]);
        let accepted = authorization.is_none();
        if let Some(authorization) = authorization {
            wire.headers.last_mut().unwrap().1 = authorization;
        }
        let reply = handle(&mut state, &wire, "ID");
        proptest::prop_assert!(serde_json::from_str::<Value>(&reply.body).is_ok());
        proptest::prop_assert_eq!(last(&state).key_id.is_some(), accepted);
    }
}
