//! The simulator over real sockets: cuts, halved bodies and delays on the cloud ports, TLS, and the admin interface.
//! Requests to the cloud ports are captures of the official SDK, sent byte for byte on a clock set to their date.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod aws;

use cloud_simulator::{Ports, Simulator, WorldFile};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const IMAGE: &str = "m-bp67acfmxazb4p0000";
const ADD_THREE: &str = include_str!("../../../captures/alibaba/ModifyImageSharePermission-add3.raw");
const REGIONS: &str = include_str!("../../../captures/alibaba/DescribeRegions.raw");
const DELETE: &str = include_str!("../../../captures/alibaba/DeleteImage.raw");
const COPY: &str = include_str!("../../../captures/alibaba/CopyImage.raw");
const CANCEL: &str = include_str!("../../../captures/alibaba/CancelCopyImage.raw");
/// The id which the simulator gives the first copy of a world; the capture of its cancellation names it.
const COPIED: &str = "m-sim00000000000000001";

fn world() -> WorldFile {
    let text = format!(
        "
clock: 2026-11-21T23:42:00Z
regions: [cn-hangzhou]
accounts:
  - {{id: '2000000000000000', keys: [{{id: LTAI5tFakeAccessKeyId01, secret: fakeAlibabaSecretForCapture0001}}]}}
  - {{id: '1000000000000001'}}
  - {{id: '1000000000000002'}}
  - {{id: '1000000000000003'}}
images: [{{id: {IMAGE}, region: cn-hangzhou, owner: '2000000000000000'}}]"
    );
    WorldFile::parse(&text).unwrap()
}

/// Sends a captured request to Alibaba Cloud.
async fn send(simulator: &Simulator, capture: &str) -> String {
    send_to(simulator.cloud_address(), capture).await
}

/// Sends a captured request and reads until the server closes.
async fn send_to(address: SocketAddr, capture: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = capture.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A cut may arrive as a reset; what came before it counts.
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    drop(read.expect("the server closes the connection"));
    String::from_utf8(answer).unwrap()
}

async fn control(simulator: &Simulator, method: Method, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}{path}", simulator.control_url());
    let request = Client::new().request(method, url).header("content-type", "application/json");
    let response = request.body(if body.is_null() { String::new() } else { body.to_string() }).send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn fault(simulator: &Simulator, then: Value) {
    let (status, answer) =
        control(simulator, Method::POST, "/faults", json!({"faults": [{"count": 1, "then": then}]})).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_cut_connection_brings_no_byte_and_the_journal_knows_whether_it_took_effect() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    fault(&simulator, json!({"kind": "cutBefore"})).await;
    assert_eq!(send(&simulator, REGIONS).await, "");
    fault(&simulator, json!({"kind": "cutAfter"})).await;
    assert_eq!(send(&simulator, ADD_THREE).await, "");
    let (_, journal) = control(&simulator, Method::GET, "/journal?since=1", Value::Null).await;
    let entries = journal["entries"].as_array().unwrap();
    assert_eq!((&entries[0]["cut"], &entries[0]["effect"]), (&json!("before"), &Value::Null));
    assert_eq!(entries[1]["cut"], "after");
    assert_eq!(entries[1]["effect"]["added"], json!(["1000000000000001", "1000000000000002", "1000000000000003"]));
    assert_eq!((&entries[1]["seq"], &journal["last"]), (&json!(3), &json!(3)));
    simulator.stop().await;
}

#[tokio::test]
async fn a_truncated_body_stops_half_way_short_of_its_announced_length() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    fault(&simulator, json!({"kind": "truncatedBody"})).await;
    let answer = send(&simulator, REGIONS).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(body.len(), length.parse::<usize>().unwrap() / 2, "{answer}");
    simulator.stop().await;
}

#[tokio::test]
async fn a_slow_answer_is_late_but_its_effect_is_not() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    fault(&simulator, json!({"kind": "slow", "millis": 300})).await;
    let start = Instant::now();
    let answer = send(&simulator, DELETE).await;
    assert!(answer.starts_with("HTTP/1.1 200") && start.elapsed() >= Duration::from_millis(300), "{answer}");
    let deletion = simulator.journal().pop().unwrap();
    assert!(deletion.effect.unwrap().deleted);
    simulator.stop().await;
}

#[tokio::test]
async fn a_throttled_answer_carries_the_vendors_header_in_milliseconds() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    fault(&simulator, json!({"kind": "throttle", "retryAfterMillis": 2500})).await;
    let answer = send(&simulator, DELETE).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("x-acs-retry-after: 2500\r\n"), "{answer}");
    simulator.stop().await;
}

/// A simulator that also stands in for the vendors' hosts.
async fn standing_in() -> Simulator {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let ports = Ports { cloud: free, huawei: free, aws: free, control: free, tls: Some(free) };
    Simulator::start(world(), ports).await.unwrap()
}

fn trusting(simulator: &Simulator) -> reqwest::ClientBuilder {
    let certificate = reqwest::Certificate::from_pem(simulator.stand_in().unwrap().certificate.as_bytes()).unwrap();
    Client::builder().tls_certs_only([certificate]).timeout(Duration::from_secs(10))
}

#[tokio::test]
async fn tls_stands_in_for_the_vendors_hosts_by_their_names_and_as_a_proxy() {
    let simulator = standing_in().await;
    let address = simulator.stand_in().unwrap().address;
    let proxy = reqwest::Proxy::https(format!("http://{address}")).unwrap();
    let by_proxy = trusting(&simulator).proxy(proxy).build().unwrap();
    let mut by_name = trusting(&simulator).no_proxy();
    for host in [
        "ecs.cn-hangzhou.aliyuncs.com",
        "ims.cn-north-4.myhuaweicloud.com",
        "ec2.eu-central-1.amazonaws.com",
        "somewhere.example.com",
    ] {
        by_name = by_name.resolve(host, address);
    }
    let by_name = by_name.build().unwrap();
    for (client, port) in [(&by_proxy, String::new()), (&by_name, format!(":{}", address.port()))] {
        let ask = async |host: &str, path: &str| {
            let response = client.get(format!("https://{host}{port}{path}")).send().await?;
            response.text().await
        };
        let ecs = ask("ecs.cn-hangzhou.aliyuncs.com", "/?Action=DescribeRegions&Format=json").await.unwrap();
        assert!(ecs.contains("IncompleteSignature"), "{ecs}");
        let ims = ask("ims.cn-north-4.myhuaweicloud.com", "/v3").await.unwrap();
        assert!(ims.contains("\"href\":\"https://ims.cn-north-4.myhuaweicloud.com"), "{ims}");
        let ec2 = ask("ec2.eu-central-1.amazonaws.com", "/?Action=DescribeRegions").await.unwrap();
        assert!(ec2.contains("<Code>MissingAuthenticationToken</Code>"), "{ec2}");
        assert!(ask("somewhere.example.com", "/").await.is_err(), "no cloud's host");
    }
    let unknowing = Client::builder().no_proxy().resolve("ecs.aliyuncs.com", address).build().unwrap();
    assert!(unknowing.get("https://ecs.aliyuncs.com/").send().await.is_err(), "a client has to trust its certificate");
    simulator.stop().await;
}

#[tokio::test]
async fn a_cut_reaches_a_client_of_tls_as_well_and_a_broken_handshake_harms_nobody() {
    let simulator = standing_in().await;
    let address = simulator.stand_in().unwrap().address;
    for nonsense in ["CONNECT nowhere", "GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}nothing"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(nonsense.as_bytes()).await.unwrap();
    }
    fault(&simulator, json!({"kind": "cutBefore"})).await;
    let host = "ims.cn-north-4.myhuaweicloud.com";
    let client = trusting(&simulator).no_proxy().resolve(host, address).build().unwrap();
    let versions = format!("https://{host}:{}/v3", address.port());
    assert!(client.get(&versions).send().await.is_err());
    assert_eq!(client.get(&versions).send().await.unwrap().status(), 200);
    simulator.stop().await;
}

#[tokio::test]
async fn limits_are_part_of_a_world_and_of_the_admin_interface() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    let limits =
        json!({"limits": [{"provider": null, "action": "DescribeRegions", "callsPerMinute": 0, "tellsWait": true}]});
    assert_eq!(control(&simulator, Method::PUT, "/limits", limits.clone()).await.0, 200);
    assert_eq!(control(&simulator, Method::GET, "/limits", Value::Null).await, (200, limits.clone()));
    let (_, world) = control(&simulator, Method::GET, "/world", Value::Null).await;
    assert_eq!(world["limits"], limits["limits"]);
    let answer = send(&simulator, REGIONS).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("x-acs-retry-after: 60000\r\n"), "{answer}");
    let none = json!({"limits": [{"action": "DescribeRegions", "callsPerHour": 0}]});
    assert_eq!(control(&simulator, Method::PUT, "/limits", none).await.0, 422);
    simulator.stop().await;
}

#[tokio::test]
async fn the_admin_interface_changes_the_world_and_shows_it() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    let ask = |method, path, body| control(&simulator, method, path, body);
    assert_eq!(ask(Method::GET, "/healthz", Value::Null).await, (200, json!({"status": "ok"})));

    let share = json!({"image": IMAGE, "add": ["1000000000000001", "1000000000000002"], "remove": []});
    let effect = json!({"added": ["1000000000000001", "1000000000000002"], "removed": [], "deleted": false,
        "published": null});
    assert_eq!(ask(Method::POST, "/permissions", share).await, (200, effect));
    let received = ask(Method::GET, "/accounts/1000000000000001/received", Value::Null).await;
    assert_eq!(received, (200, json!({"account": "1000000000000001", "images": [IMAGE]})));

    let image_path = format!("/images/{IMAGE}");
    assert_eq!(ask(Method::PATCH, &image_path, json!({"status": "Deprecated", "inUse": true})).await.0, 200);
    let (_, world) = ask(Method::GET, "/world", Value::Null).await;
    assert_eq!((&world["images"][0]["status"], &world["images"][0]["inUse"]), (&json!("Deprecated"), &json!(true)));
    assert_eq!(world["images"][0]["sharedWith"][1], "1000000000000002");

    let another = json!({"id": "m-new", "region": "cn-hangzhou", "owner": "2000000000000000"});
    assert_eq!(ask(Method::POST, "/images", another.clone()).await.0, 200);
    assert_eq!(ask(Method::POST, "/images", another).await.0, 400);
    assert_eq!(ask(Method::PATCH, "/images/m-new", json!({"delete": true})).await.0, 200);
    assert_eq!(ask(Method::PATCH, "/images/m-new", json!({"delete": true})).await.0, 404);
    assert_eq!(ask(Method::PATCH, "/keys/LTAI5tFakeAccessKeyId01", json!({"disabled": true})).await.0, 200);
    assert_eq!(ask(Method::PATCH, "/keys/none", json!({"disabled": true})).await.0, 404);
    assert_eq!(ask(Method::PATCH, "/accounts/1000000000000003", json!({"closed": true})).await.0, 200);

    let (_, clock) = ask(Method::PUT, "/clock", json!({"advanceSeconds": 60})).await;
    assert_eq!(clock, json!({"now": "2026-11-21T23:43:00Z", "offsetSeconds": 60, "fixed": true}));
    assert_eq!(ask(Method::PUT, "/clock", json!({})).await.0, 400);

    assert_eq!(ask(Method::PUT, "/world", world).await.0, 200);
    assert_eq!(simulator.journal().iter().filter(|entry| entry.action == "LoadWorld").count(), 3);
    simulator.stop().await;
}

/// The world with a second region, and a copy begun in it.
async fn copying() -> Simulator {
    let mut world = world();
    world.regions.push("cn-beijing".into());
    let simulator = Simulator::start_on_loopback(world).await.unwrap();
    assert_eq!(control(&simulator, Method::PATCH, "/rules", json!({"copySeconds": 100})).await.0, 200);
    let answer = send(&simulator, COPY).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(COPIED), "{answer}");
    simulator
}

#[tokio::test]
async fn the_admin_interface_shows_how_a_copy_stands_and_has_it_fail() {
    let simulator = copying().await;
    let ask = |method, path, body| control(&simulator, method, path, body);
    ask(Method::PUT, "/clock", json!({"advanceSeconds": 40})).await;
    let (source, copied) = (format!("/images/{IMAGE}"), format!("/images/{COPIED}"));
    let (_, copy) = ask(Method::GET, &copied, Value::Null).await;
    let from = json!({"image": IMAGE, "region": "cn-hangzhou", "owner": "2000000000000000",
        "clientToken": "0f4e6a7c-copy", "percent": 40});
    assert_eq!((&copy["status"], &copy["copiedFrom"]), (&json!("Creating"), &from));
    assert_eq!(ask(Method::PATCH, &source, json!({"copiesFail": true})).await.0, 200);
    ask(Method::PUT, "/clock", json!({"advanceSeconds": 20})).await;
    let (_, copy) = ask(Method::GET, &copied, Value::Null).await;
    assert_eq!((&copy["status"], &copy["copiedFrom"]["percent"]), (&json!("CreateFailed"), &json!(60)));
    let (_, journal) = ask(Method::GET, "/journal", Value::Null).await;
    let last = journal["entries"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["action"], &last["effect"]["copy"]["state"]), (&json!("CopyEnded"), &json!("failed")));
    assert_eq!(ask(Method::PATCH, "/rules", json!({"copyMinutes": 1})).await.0, 422);
    simulator.stop().await;
}

#[tokio::test]
async fn a_copy_ends_by_the_clock_and_a_cancelled_one_never_does() {
    for (advance, cancelled, states) in [(99, true, vec!["began", "cancelled"]), (100, false, vec!["began", "done"])] {
        let simulator = copying().await;
        control(&simulator, Method::PUT, "/clock", json!({"advanceSeconds": advance})).await;
        let answer = send(&simulator, CANCEL).await;
        assert_eq!(answer.starts_with("HTTP/1.1 200"), cancelled, "{answer}");
        assert_eq!(answer.contains("IncorrectImageStatus"), !cancelled, "{answer}");
        control(&simulator, Method::PUT, "/clock", json!({"advanceSeconds": 500})).await;
        let entries = simulator.journal();
        let steps = entries.iter().filter_map(|entry| entry.effect.as_ref()?.copy.as_ref());
        let seen: Vec<_> = steps.map(|step| serde_json::to_value(step.state).unwrap()).collect();
        assert_eq!(seen, states);
        assert_eq!(simulator.world().image(&COPIED.into()).is_some(), !cancelled);
        simulator.stop().await;
    }
}

#[tokio::test]
async fn the_admin_interface_refuses_what_it_does_not_know() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    let faults = json!({"faults": [{"when": {"acton": "DeleteImage"}, "then": {"kind": "emptyList"}}]});
    assert_eq!(control(&simulator, Method::POST, "/faults", faults).await.0, 422);
    let random = json!({"seed": 1, "perMille": {"rain": 10}});
    assert_eq!(control(&simulator, Method::PUT, "/random-faults", random).await.0, 400);
    assert_eq!(control(&simulator, Method::PUT, "/world", json!({"regions": []})).await.0, 400);
    let (_, active) = control(&simulator, Method::GET, "/faults", Value::Null).await;
    assert_eq!(active, json!({"faults": []}));
    assert_eq!(simulator.journal().len(), 1);
    simulator.stop().await;
}

#[tokio::test]
async fn faults_are_listed_until_used_up_or_cleared() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    let lasting = json!({"faults": [{"when": {"action": "DescribeRegions"}, "then": {"kind": "unavailable"}}]});
    control(&simulator, Method::POST, "/faults", lasting).await;
    assert!(send(&simulator, REGIONS).await.starts_with("HTTP/1.1 503"));
    let (_, active) = control(&simulator, Method::GET, "/faults", Value::Null).await;
    assert_eq!((&active["faults"][0]["met"], &active["faults"][0]["struck"]), (&json!(1), &json!(1)));
    assert_eq!(active["faults"][0]["then"], json!({"kind": "unavailable"}));
    control(&simulator, Method::DELETE, "/faults", Value::Null).await;
    let (_, active) = control(&simulator, Method::GET, "/faults", Value::Null).await;
    assert_eq!(active, json!({"faults": []}));
    simulator.stop().await;
}

#[tokio::test]
async fn a_stopped_simulator_has_left_its_ports() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    let addresses =
        [simulator.cloud_address(), simulator.huawei_address(), simulator.aws_address(), simulator.control_address()];
    simulator.stop().await;
    for address in addresses {
        assert!(TcpStream::connect(address).await.is_err());
    }
}

const HUAWEI_IMAGE: &str = "cc4f2d1e-0000-4000-8000-000000000001";
const HUAWEI_PROJECT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HUAWEI_ADD: &str = include_str!("../../../captures/huawei/BatchAddMembers.raw");
const HUAWEI_LIST: &str = include_str!("../../../captures/huawei/ListImageMembers.raw");
const HUAWEI_DELETE: &str = include_str!("../../../captures/huawei/GlanceDeleteImage.raw");

fn huawei_world() -> WorldFile {
    let text = format!(
        "
clock: 2026-11-21T23:43:45Z
regions: []
accounts: []
huawei:
  sites: {{China: [cn-north-4]}}
  domains:
    - id: d0000000000000000000000000000000
      site: China
      keys: [{{ak: HPUAFAKEACCESSKEY001, sk: fakeHuaweiSecretKeyForCapture000000000001}}]
      projects: [{{id: 0a1b2c3d4e5f60718293a4b5c6d7e8f9, region: cn-north-4}}]
    - id: dddddddddddddddddddddddddddddddd
      site: China
      projects:
        - {{id: {HUAWEI_PROJECT}, region: cn-north-4}}
        - {{id: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, region: cn-north-4}}
  images:
    - {{id: {HUAWEI_IMAGE}, project: 0a1b2c3d4e5f60718293a4b5c6d7e8f9}}
    - {{id: cc4f2d1e-0000-4000-8000-000000000002, project: 0a1b2c3d4e5f60718293a4b5c6d7e8f9}}"
    );
    WorldFile::parse(&text).unwrap()
}

#[tokio::test]
async fn huaweis_port_answers_cuts_and_breaks_off_as_alibabas_does() {
    let simulator = Simulator::start_on_loopback(huawei_world()).await.unwrap();
    let send = |capture| send_to(simulator.huawei_address(), capture);
    fault(&simulator, json!({"kind": "cutAfter"})).await;
    assert_eq!(send(HUAWEI_ADD).await, "");
    control(&simulator, Method::PUT, "/clock", json!({"advanceSeconds": 1})).await;
    let list = send(HUAWEI_LIST).await;
    assert!(
        list.starts_with("HTTP/1.1 200") && list.contains("x-request-id: ") && list.contains(HUAWEI_PROJECT),
        "{list}"
    );
    fault(&simulator, json!({"kind": "truncatedBody"})).await;
    let (head, body) = send(HUAWEI_LIST).await.split_once("\r\n\r\n").map(|(h, b)| (h.to_owned(), b.len())).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(body, length.parse::<usize>().unwrap() / 2, "{head}");
    let deleted = send(HUAWEI_DELETE).await;
    assert!(deleted.starts_with("HTTP/1.1 204") && deleted.ends_with("\r\n\r\n"), "{deleted}");
    simulator.stop().await;
}

#[tokio::test]
async fn the_admin_interface_changes_huaweis_world_and_shows_it() {
    let simulator = Simulator::start_on_loopback(huawei_world()).await.unwrap();
    let ask = |method, path, body| control(&simulator, method, path, body);
    let member = json!({"type": "project", "id": HUAWEI_PROJECT, "status": "accepted"});
    let change = json!({"image": HUAWEI_IMAGE, "add": [member], "remove": []});
    let (status, effect) = ask(Method::POST, "/huawei/members", change).await;
    assert_eq!((status, &effect["added"]), (200, &json!([HUAWEI_PROJECT])));
    let path = format!("/huawei/projects/{HUAWEI_PROJECT}/received");
    let received = json!({"project": HUAWEI_PROJECT, "images": [{"image": HUAWEI_IMAGE, "via": [member]}]});
    assert_eq!(ask(Method::GET, &path, Value::Null).await, (200, received));
    assert_eq!(ask(Method::GET, "/huawei/projects/none/received", Value::Null).await.0, 404);

    let image_path = format!("/huawei/images/{HUAWEI_IMAGE}");
    assert_eq!(ask(Method::PATCH, &image_path, json!({"protected": true, "status": "saving"})).await.0, 200);
    let (_, world) = ask(Method::GET, "/world", Value::Null).await;
    let image = &world["huawei"]["images"][0];
    assert_eq!(
        (&image["protected"], &image["status"], &image["members"]),
        (&json!(true), &json!("saving"), &json!([member]))
    );
    let new = json!({"id": "cc4f2d1e-0000-4000-8000-00000000000a", "project": HUAWEI_PROJECT});
    assert_eq!(ask(Method::POST, "/huawei/images", new.clone()).await.0, 200);
    assert_eq!(ask(Method::POST, "/huawei/images", new).await.0, 400);
    assert_eq!(ask(Method::PATCH, &image_path, json!({"delete": true})).await.0, 200);
    assert_eq!(ask(Method::PATCH, &image_path, json!({"delete": true})).await.0, 404);
    assert_eq!(ask(Method::PATCH, "/huawei/keys/HPUAFAKEACCESSKEY001", json!({"disabled": true})).await.0, 200);
    assert_eq!(ask(Method::PATCH, "/huawei/domains/none", json!({"closed": true})).await.0, 404);
    assert_eq!(
        ask(Method::PATCH, "/huawei/domains/dddddddddddddddddddddddddddddddd", json!({"closed": true})).await.0,
        200
    );
    assert!(send_to(simulator.huawei_address(), HUAWEI_LIST).await.starts_with("HTTP/1.1 401"));

    assert_eq!(ask(Method::PUT, "/world", world).await.0, 200);
    let (_, journal) = ask(Method::GET, "/journal", Value::Null).await;
    let seed = journal["entries"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&seed["action"], &seed["provider"], &seed["effect"]["added"]),
        (&json!("LoadWorld"), &json!("huawei"), &json!([HUAWEI_PROJECT]))
    );
    simulator.stop().await;
}

#[tokio::test]
async fn a_job_takes_effect_by_the_clock_and_needs_no_request_to_do_so() {
    let mut world = huawei_world();
    world.huawei.as_mut().unwrap().rules.job_millis = 20;
    let simulator = Simulator::start_on_loopback(world).await.unwrap();
    send_to(simulator.huawei_address(), HUAWEI_ADD).await;
    assert_eq!(simulator.huawei_world().images().next().unwrap().members().len(), 0);
    control(&simulator, Method::PUT, "/clock", json!({"advanceSeconds": 1})).await;
    let effect = simulator.journal().pop().unwrap();
    assert_eq!((effect.action.as_str(), effect.time.to_string().as_str()), ("JobEffect", "2026-11-21T23:43:45.02Z"));
    assert!(!simulator.huawei_world().images().next().unwrap().members().is_empty());
    simulator.stop().await;
}
