//! The simulator, given what no client sends: world files, requests to its cloud ports and to its control port, real ones
//! with some of their bytes or values exchanged. It refuses or obeys, and never panics; afterwards it still serves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::net::SocketAddr;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloud_simulator::{Simulator, WorldFile};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// The world of the examples, whose last part is AWS, with the AWS that the captured requests are for.
fn world() -> String {
    let examples = include_str!("../../../examples/simulator/world.yaml");
    let (others, _) = examples.split_once("\naws:\n").unwrap();
    format!("{others}\n{AWS}")
}

const AWS: &str = "
aws:
  rules: {throttling: true, shortPages: true, unknownElements: true}
  regions: [us-east-1]
  optInRegions: [af-south-1]
  accounts:
    - id: '111122223333'
      keys: [{id: AKIAFAKECAPTUREOWNER, secret: fakeAwsSecretKeyForCapture00000000000001}]
      recycleBinDays: 3
      kmsKeys: [{arn: 'arn:aws:kms:us-east-1:111122223333:key/1', alias: alias/golden, usableBy: ['444455556666']}]
      roles: [{name: share, trusts: ['444455556666'], externalId: x}]
    - {id: '444455556666', optedIn: [af-south-1], allowedImages: {state: audit-mode, providers: [amazon]}}
  organizations:
    - id: o-abcdefghij
      management: '111122223333'
      units: [{id: ou-abcd-12345678, accounts: ['444455556666']}, {id: ou-abcd-12345679, parent: ou-abcd-12345678}]
  snapshots: [{id: snap-00000001, region: us-east-1, owner: '111122223333', encryption: default, sharedWith: [all]}]
  images:
    - id: ami-0123456789abcdef0
      region: us-east-1
      owner: '111122223333'
      tags: {team: core}
      deprecatedFrom: 2030-01-01T00:00:00Z
      sharedWith: ['444455556666', all, 'arn:aws:organizations::111122223333:organization/o-abcdefghij']
      usage: [{account: '444455556666', resourceType: 'ec2:Instance', count: 3}]
";

/// Requests of official clients, as they came over the wire.
const CAPTURES: [&str; 11] = [
    include_str!("../../captures/alibaba/ModifyImageSharePermission-add3.raw"),
    include_str!("../../captures/alibaba/DescribeImages-tags-unicode.raw"),
    include_str!("../../captures/alibaba/CopyImage.raw"),
    include_str!("../../captures/alibaba/DeleteImage.raw"),
    include_str!("../../captures/huawei/BatchAddMembers.raw"),
    include_str!("../../captures/huawei/ListImages-shared.raw"),
    include_str!("../../captures/huawei/BatchUpdateMembers.raw"),
    include_str!("../../captures/aws/ModifyImageAttribute-add-remove.raw"),
    include_str!("../../captures/aws/DescribeImages-own-filters.raw"),
    include_str!("../../captures/aws/CopyImage.raw"),
    include_str!("../../captures/aws/ModifySnapshotAttribute.raw"),
];

/// Panics of any task of this process.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            usual(panic);
        }));
    });
}

/// How long the simulator may take for one request.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many cases a test has that goes over sockets: fewer than others.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 4 + 1, failure_persistence: None, ..usual }
}

/// A simulator for one test, and what drives it.
struct Served {
    runtime: Runtime,
    simulator: Simulator,
}

impl Served {
    fn start() -> Self {
        count_panics();
        let runtime = Runtime::new().unwrap();
        let world = WorldFile::parse(&world()).unwrap();
        let simulator = runtime.block_on(Simulator::start_on_loopback(world)).unwrap();
        Self { runtime, simulator }
    }

    fn clouds(&self) -> [SocketAddr; 3] {
        let simulator = &self.simulator;
        [simulator.cloud_address(), simulator.huawei_address(), simulator.aws_address()]
    }

    /// Sends a whole request and reads the answer, until the server closes.
    fn send(&self, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
        self.exchange(to, bytes, PATIENCE)
    }

    /// The same, and says that nothing more will come once the server has been silent for so long: it may wait for more.
    fn exchange(&self, to: SocketAddr, bytes: &[u8], silence: Duration) -> Vec<u8> {
        self.runtime.block_on(async {
            let mut stream = TcpStream::connect(to).await.unwrap();
            let (mut answer, mut rest) = (Vec::new(), Vec::new());
            let exchange = async {
                // It may close before it has read all.
                let sent = stream.write_all(bytes).await;
                if tokio::time::timeout(silence, stream.read_to_end(&mut answer)).await.is_err() {
                    drop((stream.shutdown().await, stream.read_to_end(&mut rest).await));
                }
                drop(sent);
            };
            let ended = tokio::time::timeout(PATIENCE, exchange).await;
            assert!(ended.is_ok(), "it neither answers nor closes: {:?}", String::from_utf8_lossy(bytes));
            [answer, rest].concat()
        })
    }

    fn is_well(&self) {
        let health = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = String::from_utf8(self.send(self.simulator.control_address(), health)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "something panicked");
    }

    /// All clouds still answer.
    fn still_serves(&self) {
        let get = b"GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        for cloud in self.clouds() {
            let answer = String::from_utf8(self.send(cloud, get)).unwrap();
            assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
        self.is_well();
    }
}

/// Another text in the place of a part of a request.
fn parts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<String>().prop_map(String::into_bytes),
        vec(any::<u8>(), 0..20),
        select(
            &[
                "%",
                "%zz",
                "%ff",
                "%00",
                "&&==",
                "../..",
                "\r\n",
                "\0",
                ": ",
                "[[[[",
                "{\"",
                "99999999999999999999",
                "-1",
                "é"
            ][..]
        )
        .prop_map(|part| part.as_bytes().to_vec()),
        (any::<u8>(), 1_usize..70_000).prop_map(|(byte, times)| vec![byte; times]),
    ]
}

/// A request whose head or body has other bytes, and the length that fits, unless that was changed as well.
fn broken_request(capture: &str, changes: &[(Index, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = capture.replacen("\r\n", "\r\nConnection: close\r\n", 1).into_bytes();
    for (at, length, part) in changes {
        let from = at.index(bytes.len() + 1);
        let to = (from + length).min(bytes.len());
        bytes.splice(from..to, part.iter().copied());
    }
    bytes
}

/// What the control port takes, and what it may be asked.
const CONTROL: &[(&str, &str, &str)] = &[
    (
        "POST",
        "/faults",
        r#"{"faults":[{"when":{"action":"x","image":"i","account":"a","recipient":"r","region":"g","nth":3},
        "count":1,"then":{"kind":"throttle","retryAfterMillis":10}},{"then":{"kind":"refuse","status":403,"code":"c"}},
        {"then":{"kind":"jobFails","code":"c","partial":2}},{"then":{"kind":"truncatedPage","drop":3}}]}"#,
    ),
    ("PUT", "/weather", r#"{"seed":7,"perMille":{"throttle":300,"cutAfter":300}}"#),
    ("PUT", "/clock", r#"{"offsetSeconds":10}"#),
    ("PUT", "/clock", r#"{"advanceSeconds":9223372036854775807}"#),
    ("POST", "/permissions", r#"{"image":"m-bp1goldenubuntu2404","add":["1000000000000001"],"remove":["2"]}"#),
    (
        "POST",
        "/images",
        r#"{"id":"m-x","region":"cn-hangzhou","owner":"2000000000000001","name":"n","sizeGiB":20,
        "disks":["system"],"sharedWith":["1000000000000001"],"copySeconds":5,"created":"2026-01-01T00:00:00Z"}"#,
    ),
    (
        "PATCH",
        "/images/m-bp1goldenubuntu2404",
        r#"{"status":"Available","name":"n","sizeGiB":18446744073709551615,
        "copySeconds":4294967295,"inUse":true}"#,
    ),
    ("PATCH", "/keys/LTAIdemo", r#"{"disabled":false,"secret":"s","securityToken":"t"}"#),
    ("PATCH", "/rules", r#"{"copySeconds":4294967295,"privateImages":3}"#),
    ("PATCH", "/accounts/2000000000000001", r#"{"closed":false,"privateImages":3}"#),
    ("GET", "/journal?since=1", ""),
    ("GET", "/accounts/2000000000000001/received", ""),
    (
        "POST",
        "/huawei/members",
        r#"{"image":"d164b5df-1bc3-4c3f-893e-3e471fd16e64",
        "add":[{"id":"a0000000000000000000000000000002","kind":"project","status":"accepted"}],"remove":[]}"#,
    ),
    ("PATCH", "/huawei/images/d164b5df-1bc3-4c3f-893e-3e471fd16e64", r#"{"name":"n","status":"active"}"#),
    ("PATCH", "/huawei/rules", r#"{"jobSeconds":0.5}"#),
    (
        "POST",
        "/aws/permissions",
        r#"{"image":"ami-0123456789abcdef0","add":["444455556666","all"],"remove":["777788889999"]}"#,
    ),
    (
        "POST",
        "/aws/images",
        r#"{"id":"ami-00000009","region":"us-east-1","owner":"111122223333","name":"n","snapshots":["snap-00000009"],
        "encryption":"default","sharedWith":["444455556666"],"copySeconds":5,"created":"2026-01-01T00:00:00Z"}"#,
    ),
    (
        "PATCH",
        "/aws/images/ami-0123456789abcdef0",
        r#"{"state":"available","name":"n","copySeconds":4294967295,"deprecatedFrom":"2026-01-01T00:00:00Z",
        "usage":[{"account":"444455556666","resourceType":"ec2:Instance","count":1}]}"#,
    ),
    ("PATCH", "/aws/snapshots/snap-00000001", r#"{"state":"pending","encryption":"none"}"#),
    ("PATCH", "/aws/keys/AKIAFAKECAPTUREOWNER", r#"{"disabled":false,"secret":"s","sessionToken":"t"}"#),
    ("PATCH", "/aws/rules", r#"{"ownerLagMillis":4294967295,"recipientsPerImage":0,"copySeconds":4294967295}"#),
    (
        "PATCH",
        "/aws/accounts/111122223333",
        r#"{"recycleBinDays":65535,"optedIn":["x"],"allowedImages":{"state":"enabled","providers":["none"]}}"#,
    ),
    ("GET", "/aws/accounts/111122223333/received", ""),
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "(-?[0-9]{4,6}|2026|9999)-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((any::<String>(), inner), 0..3).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn places(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    let mut inside = |name: &str, inner: &Value| places(inner, &format!("{here}/{name}"), all);
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| inside(name, inner)),
        Value::Array(rows) => rows.iter().enumerate().for_each(|(n, inner)| inside(&n.to_string(), inner)),
        _ => {}
    }
}

fn exchange(document: &mut Value, changes: &[(Index, Value)]) {
    for (at, value) in changes {
        let mut all = Vec::new();
        places(document, "", &mut all);
        if let Some(place) = document.pointer_mut(at.get(&all[..]).as_str()) {
            *place = value.clone();
        }
    }
}

fn request(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn no_request_to_a_cloud_port_makes_the_simulator_panic_and_it_still_serves() {
    let served = Served::start();
    let change = (any::<Index>(), 0_usize..30, parts());
    proptest!(cases(), |(capture in select(&CAPTURES[..]), changes in vec(change, 0..4))| {
        let bytes = broken_request(capture, &changes);
        for cloud in served.clouds() {
            served.exchange(cloud, &bytes, Duration::from_millis(50));
        }
        served.is_well();
    });
    served.still_serves();
}

#[test]
fn nothing_asked_of_the_control_port_makes_the_simulator_panic() {
    let served = Served::start();
    let control = served.simulator.control_address();
    proptest!(cases(), |(
        (method, path, body) in select(CONTROL),
        changes in vec((any::<Index>(), value()), 0..3),
        path_change in proptest::option::weighted(0.1, "[!-~&&[^?#]]{0,12}"),
    )| {
        let mut document: Value = serde_json::from_str(body).unwrap_or_default();
        exchange(&mut document, &changes);
        let target = path_change.map_or_else(|| path.to_owned(), |more| format!("{path}/{more}"));
        let body = if body.is_empty() { String::new() } else { document.to_string() };
        let answer = served.send(control, &request(method, &target, body.as_bytes()));
        prop_assert!(answer.starts_with(b"HTTP/1.1 "), "no answer to {method} {target} {body}");
        // What time has done meanwhile shows when somebody asks.
        served.send(control, &request("GET", "/world", b""));
        served.send(control, &request("DELETE", "/faults", b""));
        served.is_well();
    });
    served.send(control, &request("PUT", "/weather", br#"{"seed":1,"perMille":{}}"#));
    served.still_serves();
}

proptest! {
    #[test]
    fn a_world_file_is_read_or_refused_and_a_world_made_of_it_or_not(
        changes in vec((any::<Index>(), value()), 0..4), cut in proptest::option::weighted(0.3, (any::<Index>(), parts())),
    ) {
        count_panics();
        let whole: Value = serde_json::to_value(WorldFile::parse(&world()).unwrap()).unwrap();
        let mut document = whole;
        exchange(&mut document, &changes);
        let mut text = document.to_string().into_bytes();
        if let Some((at, part)) = cut {
            let at = at.index(text.len());
            text.splice(at..at, part);
        }
        let Ok(file) = WorldFile::parse(&String::from_utf8_lossy(&text)) else { return Ok(()) };
        // What was read, written and read again is the same.
        let written = serde_json::to_value(&file).unwrap();
        let again = WorldFile::parse(&written.to_string()).unwrap();
        prop_assert_eq!(serde_json::to_value(&again).unwrap(), written);
    }

    #[test]
    fn text_that_is_no_world_file_is_refused_in_words(text in "(\\PC|\n|[-:{}\\[\\]&*!|>%@`\"' ]){0,200}") {
        prop_assert!(WorldFile::parse(&text).is_err_and(|why| why.starts_with("not a world file")));
    }
}

/// Each line is nine of the one before it: what is small when it is read would fill the memory when it is written out.
#[test]
fn a_world_file_that_would_grow_without_end_is_refused() {
    let mut text = "regions: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        text = format!("{text}level{level}: &a{level} [{below}]\n");
    }
    text.push_str("accounts: *a11\n");
    let began = std::time::Instant::now();
    assert!(WorldFile::parse(&text).is_err());
    let deep = format!("regions: {}", "[".repeat(2_000));
    assert!(WorldFile::parse(&deep).is_err());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// A world with the exchanged values, loaded into a running simulator.
#[test]
fn no_world_that_is_loaded_makes_the_simulator_panic() {
    let served = Served::start();
    let control = served.simulator.control_address();
    let whole: Value = serde_json::to_value(WorldFile::parse(&world()).unwrap()).unwrap();
    proptest!(cases(), |(changes in vec((any::<Index>(), value()), 1..4))| {
        let mut document = whole.clone();
        exchange(&mut document, &changes);
        let answer = served.send(control, &request("PUT", "/world", document.to_string().as_bytes()));
        prop_assert!(answer.starts_with(b"HTTP/1.1 "));
        let dump = served.send(control, &request("GET", "/world", b""));
        prop_assert!(dump.starts_with(b"HTTP/1.1 200"));
        served.is_well();
    });
    served.send(control, &request("PUT", "/world", json!(whole).to_string().as_bytes()));
    served.still_serves();
}
