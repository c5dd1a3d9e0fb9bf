//! The cloud without its socket: requests of the official SDK as captured, and requests signed here.

use super::*;
use crate::admin::SharingOutOfBand;
use crate::chassis::clock::ClockMove;
use crate::chassis::exchange::{self, Reply};
use crate::chassis::journal::Cut;
use crate::chassis::names::{AccountId, RegionId};
use crate::chassis::wire::encode;
use crate::world_file::WorldFile;
use serde_json::json;

mod callers;
mod copies;
mod faults;
mod images;
mod permissions;
mod usage;

macro_rules! captures {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../captures/aws/", $name, ".raw")))),*]
    };
}

const WORLD: &str = "
clock: 2026-11-30T08:56:45Z
regions: []
accounts: []
aws:
  rules: {RULES}
  regions: [us-east-1, eu-central-1, cn-north-1]
  optInRegions: [af-south-1]
  accounts:
    - id: '111122223333'
      keys: [{id: AKIAFAKECAPTUREOWNER, secret: fakeAwsSecretKeyForCapture00000000000001TOKEN}]
      kmsKeys: [{arn: 'arn:aws:kms:us-east-1:111122223333:key/1234', alias: alias/golden}]
    - id: '444455556666'
      keys: [{id: AKIARECIPIENT, secret: hush}]
      optedIn: [af-south-1]
      roles: [{name: share, trusts: ['111122223333'], externalId: cluster/team, webIdentities: [a.b.c]}]
    - {id: '777788889999', keys: [{id: AKIASTRANGER, secret: hush}]}
    - {id: '121212121212', partition: aws-cn, keys: [{id: AKIACHINA, secret: hush}]}
  organizations:
    - id: o-abcdefghij
      management: '111122223333'
      units: [{id: ou-abcd-12345678, accounts: ['444455556666']}]
  images:
    - {id: ami-0123456789abcdef0, region: us-east-1, owner: '111122223333', name: 'a<b', tags: {team: core, 'ec2:SharedTag/os': linux}}
    - {id: ami-00000001, region: us-east-1, owner: '111122223333', name: golden-1, snapshots: [snap-00000001, snap-00000002], encryption: 'arn:aws:kms:us-east-1:111122223333:key/1234'}
    - {id: ami-00000002, region: us-east-1, owner: '111122223333', name: secret, snapshots: [snap-0000000a], encryption: default}
    - {id: ami-00000003, region: eu-central-1, owner: '111122223333', name: golden-1}
    - {id: ami-00000004, region: us-east-1, owner: '999999999999', alias: amazon, name: al2023}
";
const GOLDEN: &str = "ami-0123456789abcdef0";
const SNAPSHOT: &str = "snap-0123456789abcdef0";
const OWNER: &str = "111122223333";
const RECIPIENT: &str = "444455556666";
const OWNER_KEY: Pair = ("AKIAFAKECAPTUREOWNER", "fakeAwsSecretKeyForCapture00000000000001");
const RECIPIENT_KEY: Pair = ("AKIARECIPIENT", "hush");
const STRANGER_KEY: Pair = ("AKIASTRANGER", "hush");
const ORGANIZATION: &str = "arn:aws:organizations::111122223333:organization/o-abcdefghij";
const UNIT: &str = "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678";

type Pair = (&'static str, &'static str);

fn state_with(rules: &str, token: &str) -> State {
    let text = WORLD.replace("RULES", rules).replace("TOKEN", token);
    State::new(WorldFile::parse(&text).unwrap()).unwrap()
}

fn plain() -> State {
    state_with("", "")
}

fn captured(raw: &str) -> Wire {
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    let headers = head.lines().skip(1).map(header).collect();
    let (method, path, body) = ("POST".to_owned(), "/".to_owned(), body.as_bytes().to_vec());
    Wire { scheme: "http", method, path, query: String::new(), headers, body }
}

/// A request of `action` with parameters as in a form, signed for a region.
struct Asking<'a> {
    key: (&'a str, &'a str),
    region: &'a str,
    token: &'a str,
    host: &'a str,
}

impl Asking<'_> {
    fn wire(&self, state: &State, action: &str, form: &str) -> Wire {
        let sts = ["GetCallerIdentity", "AssumeRole", "AssumeRoleWithWebIdentity"].contains(&action);
        let service = if sts { Service::Sts } else { Service::Ec2 };
        let name = if sts { "sts" } else { "ec2" };
        let date = state.clock.now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut headers = vec![
            ("host", self.host),
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("x-amz-date", &date),
        ];
        if !self.token.is_empty() {
            headers.push(("x-amz-security-token", self.token));
        }
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let body = format!("Action={action}&Version={}&{form}", service.version());
        let (method, path) = ("POST".to_owned(), "/".to_owned());
        let mut wire = Wire { scheme: "http", method, path, query: String::new(), headers, body: body.into_bytes() };
        signature::sign(&mut wire, self.key.0, self.key.1, self.region, name);
        wire
    }
}

fn by(key: Pair) -> Asking<'static> {
    Asking { key, region: "us-east-1", token: "", host: "aws.test" }
}

fn handle(state: &mut State, wire: &Wire) -> Reply {
    let request = state.journal.last().to_string();
    let thing = format!("{0:016x}{0:016x}", state.journal.last());
    exchange::handle::<Aws>(state, wire, &Fresh { request, image: thing.clone(), thing })
}

fn ask_as(state: &mut State, asking: &Asking<'_>, action: &str, form: &str) -> (u16, String) {
    let wire = asking.wire(state, action, form);
    let reply = handle(state, &wire);
    (reply.status, reply.body)
}

fn ask(state: &mut State, key: Pair, action: &str, form: &str) -> String {
    let (status, body) = ask_as(state, &by(key), action, form);
    assert_eq!(status, 200, "{action} {form}: {body}");
    body
}

/// The code with which a call is refused, and its message.
fn refused(state: &mut State, key: Pair, action: &str, form: &str) -> (u16, String, String) {
    let (status, body) = ask_as(state, &by(key), action, form);
    assert!(status >= 400, "{action} {form}: {body}");
    (status, text(&body, "Code"), text(&body, "Message"))
}

fn code_of(state: &mut State, key: Pair, action: &str, form: &str) -> String {
    refused(state, key, action, form).1
}

fn account(id: &str) -> AccountId {
    AccountId::from(id)
}

/// The texts of all elements of a name.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(&open).skip(1);
    parts.map(|part| part.split(&close).next().unwrap().to_owned()).collect()
}

fn text(xml: &str, name: &str) -> String {
    texts(xml, name).into_iter().next().unwrap_or_default()
}

fn list_ids(state: &mut State, key: Pair, form: &str) -> Vec<String> {
    texts(&ask(state, key, "DescribeImages", form), "imageId")
}

fn recipients(state: &mut State) -> String {
    let form = format!("ImageId={GOLDEN}&Attribute=launchPermission");
    let answer = ask(state, OWNER_KEY, "DescribeImageAttribute", &form);
    text(&answer, "launchPermission")
}

fn add(ids: &[&str]) -> String {
    let items = ids.iter().zip(1..).map(|(id, n)| format!("&LaunchPermission.Add.{n}.UserId={id}"));
    format!("ImageId={GOLDEN}{}", items.collect::<String>())
}

fn last(state: &State) -> &Entry {
    state.journal.entries().last().unwrap()
}

fn advance(state: &mut State, seconds: i64) {
    state.move_clock(ClockMove { offset_seconds: None, advance_seconds: Some(seconds) }).unwrap();
    state.settle();
}

fn script(state: &mut State, faults: Value) {
    state.faults.script(serde_json::from_value(faults).unwrap()).unwrap();
}

#[test]
fn every_captured_request_of_the_official_sdk_is_understood() {
    let captures = captures![
        "GetCallerIdentity",
        "DescribeRegions",
        "DescribeImages-by-id",
        "DescribeImages-own-filters",
        "DescribeImages-executable",
        "DescribeImageAttribute",
        "ModifyImageAttribute-add-remove",
        "ModifyImageAttribute-long",
        "ModifyImageAttribute-dryrun",
        "CopyImage",
        "DeregisterImage",
        "ModifySnapshotAttribute",
        "DescribeSnapshotAttribute",
        "DescribeSnapshots",
        "sts-DescribeImageAttribute",
    ];
    for (name, raw) in captures {
        let token = if name.starts_with("sts-") { ", sessionToken: fakeAwsSessionToken/+=0123456789" } else { "" };
        let mut state = state_with("", token);
        // The secret ends where the token begins.
        let reply = handle(&mut state, &captured(raw));
        let expected = if name.ends_with("dryrun") { "DryRunOperation" } else { "OK" };
        assert_eq!((last(&state).code.as_str(), last(&state).principal.as_str()), (expected, OWNER), "{name}");
        assert_eq!(last(&state).region.as_ref().map(RegionId::as_str), Some("us-east-1"), "{name}");
        assert!(reply.body.starts_with("<?xml version=\"1.0\""), "{name}");
    }
}

#[test]
fn a_captured_change_is_journalled_as_asked_and_as_it_took_effect() {
    let mut state = plain();
    let (_, raw) = captures!["ModifyImageAttribute-add-remove"][0];
    handle(&mut state, &captured(raw));
    let entry = last(&state);
    let ids = |all: &[AccountId]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(&entry.parameters.add), [RECIPIENT, ORGANIZATION, UNIT]);
    assert_eq!(ids(&entry.parameters.remove), ["777788889999"]);
    let effect = entry.effect.as_ref().unwrap();
    assert_eq!(
        (ids(&effect.added), ids(&effect.removed)),
        (vec![RECIPIENT.to_owned(), ORGANIZATION.to_owned(), UNIT.to_owned()], vec![])
    );
    assert_eq!(entry.image.as_ref().map(ImageId::as_str), Some(GOLDEN));
    assert_eq!((entry.provider, entry.key_id.as_deref()), (Some(Provider::Aws), Some(OWNER_KEY.0)));

    let (_, raw) = captures!["CopyImage"][0];
    handle(&mut state, &captured(raw));
    let asked = last(&state).parameters.copy.clone().unwrap();
    assert_eq!(
        (asked.name.as_deref(), asked.client_token.as_deref()),
        (Some("golden copy (1)"), Some("0f4e6a7c-copy"))
    );
    assert_eq!(asked.destination.map(|region| region.to_string()).as_deref(), Some("us-east-1"));
    let step = last(&state).effect.clone().unwrap().copy.unwrap();
    assert_eq!((step.source.as_str(), step.image.as_str()), (GOLDEN, "ami-0c0de000000000001"));
}

#[test]
fn the_journal_replayed_is_the_world() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT, "777788889999"]));
    let change = format!(
        "ImageId={GOLDEN}&LaunchPermission.Remove.1.UserId={RECIPIENT}&LaunchPermission.Add.1.OrganizationArn={}",
        encode(ORGANIZATION)
    );
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &change);
    let change = json!({"image": GOLDEN, "add": ["000000000001"], "remove": ["777788889999"]});
    state.change_permissions(serde_json::from_value::<SharingOutOfBand>(change).unwrap()).unwrap();
    let mut replayed: Vec<String> = Vec::new();
    for effect in state.journal.entries().iter().filter_map(|entry| entry.effect.as_ref()) {
        replayed.retain(|account| effect.removed.iter().all(|gone| gone.as_str() != account));
        replayed.extend(effect.added.iter().map(ToString::to_string));
    }
    let world = state.aws.world.image(&ImageId::from(GOLDEN)).unwrap();
    let truth: Vec<_> = world.permissions().iter().map(|one| one.id().to_string()).collect();
    assert_eq!((replayed.as_slice(), truth.len()), (truth.as_slice(), 2));
    assert_eq!(last(&state).principal, "out-of-band");
}

proptest::proptest! {
    #[test]
    fn no_request_makes_the_cloud_panic(
        form in "(([A-Za-z.0-9]{0,20}|(LaunchPermission|CreateVolumePermission)\\.(Add|Remove)\\.[0-9]{1,12}\\.(UserId|Group|OrganizationArn)|Filter\\.1\\.(Name|Value\\.1)|SourceImageId|SourceRegion|Name|MaxResults|NextToken|ClientToken|Attribute|SnapshotId|ImageId|ImageId\\.1)=([ -~]{0,20}|ami-0123456789abcdef0|snap-0123456789abcdef0|us-east-1|launchPermission)&?){0,6}",
        action in "CopyImage|DescribeImages|DescribeImageAttribute|ModifyImageAttribute|ModifySnapshotAttribute|DescribeSnapshots|DeregisterImage|AssumeRole|[A-Za-z]{0,8}",
        authorization in proptest::option::of("(AWS4-HMAC-SHA256 )?(Credential=[ -~]{0,9},?|SignedHeaders=[ -~]{0,9},?|Signature=[0-9a-fz]{0,9},?){0,4}"),
    ) {
        let mut state = plain();
        let mut wire = by(OWNER_KEY).wire(&state, &action, &form);
        let accepted = authorization.is_none();
        if let Some(authorization) = authorization {
            wire.headers.last_mut().unwrap().1 = authorization;
        }
        let reply = handle(&mut state, &wire);
        proptest::prop_assert!(reply.body.starts_with("<?xml"));
        proptest::prop_assert_eq!(last(&state).key_id.is_some(), accepted);
    }
}
