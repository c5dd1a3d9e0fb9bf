//! Amazon Web Services over real sockets.

use super::{control, fault, send_to};
use cloud_simulator::{Simulator, WorldFile};
use reqwest::Method;
use serde_json::{Value, json};

const IMAGE: &str = "ami-0123456789abcdef0";
const CHANGE: &str = include_str!("../../../captures/aws/ModifyImageAttribute-add-remove.raw");
const LIST: &str = include_str!("../../../captures/aws/DescribeImageAttribute.raw");
const COPY: &str = include_str!("../../../captures/aws/CopyImage.raw");

fn world() -> WorldFile {
    let text = format!(
        "
clock: 2026-11-30T08:56:45Z
regions: []
accounts: []
aws:
  regions: [us-east-1]
  accounts:
    - {{id: '111122223333', keys: [{{id: AKIAFAKECAPTUREOWNER, secret: fakeAwsSecretKeyForCapture00000000000001}}]}}
    - {{id: '444455556666'}}
  images: [{{id: {IMAGE}, region: us-east-1, owner: '111122223333'}}]"
    );
    WorldFile::parse(&text).unwrap()
}

#[tokio::test]
async fn amazons_port_answers_cuts_and_breaks_off_as_the_others_do() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    let send = |capture| send_to(simulator.aws_address(), capture);
    fault(&simulator, json!({"kind": "cutAfter"})).await;
    assert_eq!(send(CHANGE).await, "");
    let list = send(LIST).await;
    assert!(
        list.starts_with("HTTP/1.1 200")
            && list.contains("x-amzn-requestid: ")
            && list.contains("content-type: text/xml;charset=UTF-8")
            && list.contains("<userId>444455556666</userId>"),
        "{list}"
    );
    fault(&simulator, json!({"kind": "throttle", "retryAfterMillis": 2500})).await;
    let throttled = send(LIST).await;
    assert!(throttled.starts_with("HTTP/1.1 503") && throttled.contains("x-amz-retry-after: 2500\r\n"), "{throttled}");
    fault(&simulator, json!({"kind": "truncatedBody"})).await;
    let (head, body) = send(LIST).await.split_once("\r\n\r\n").map(|(h, b)| (h.to_owned(), b.len())).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(body, length.parse::<usize>().unwrap() / 2, "{head}");
    simulator.stop().await;
}

#[tokio::test]
async fn the_admin_interface_changes_amazons_world_and_shows_it() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    let ask = |method, path, body| control(&simulator, method, path, body);
    let change = json!({"image": IMAGE, "add": ["444455556666", "all"], "remove": []});
    let (status, effect) = ask(Method::POST, "/aws/permissions", change).await;
    assert_eq!((status, &effect["added"], &effect["published"]), (200, &json!(["444455556666"]), &json!(true)));
    let received = json!({"account": "444455556666", "images": [IMAGE]});
    assert_eq!(ask(Method::GET, "/aws/accounts/444455556666/received", Value::Null).await, (200, received));
    assert_eq!(ask(Method::GET, "/aws/accounts/none/received", Value::Null).await.0, 404);
    let nobody = json!({"image": IMAGE, "add": ["nobody"]});
    assert_eq!(ask(Method::POST, "/aws/permissions", nobody).await.0, 400);

    let path = format!("/aws/images/{IMAGE}");
    assert_eq!(ask(Method::PATCH, &path, json!({"protection": "enabled-with-cooldown"})).await.0, 200);
    let (_, image) = ask(Method::GET, &path, Value::Null).await;
    assert_eq!(
        (&image["protection"], &image["snapshots"]),
        (&json!("enabled-with-cooldown"), &json!(["snap-0123456789abcdef0"]))
    );
    let (_, snapshot) = ask(Method::GET, "/aws/snapshots/snap-0123456789abcdef0", Value::Null).await;
    assert_eq!(snapshot["encryption"], "none");
    let new = json!({"id": "ami-00000009", "region": "us-east-1", "owner": "444455556666"});
    assert_eq!(ask(Method::POST, "/aws/images", new.clone()).await.0, 200);
    assert_eq!(ask(Method::POST, "/aws/images", new).await.0, 400);
    assert_eq!(ask(Method::PATCH, "/aws/images/ami-00000009", json!({"delete": true})).await.0, 200);
    assert_eq!(ask(Method::PATCH, "/aws/images/ami-00000009", json!({"delete": true})).await.0, 404);
    assert_eq!(ask(Method::PATCH, "/aws/rules", json!({"recipientsPerImage": 2})).await.0, 200);
    assert_eq!(ask(Method::PATCH, "/aws/rules", json!({"quota": 2})).await.0, 422);
    assert_eq!(ask(Method::PATCH, "/aws/accounts/444455556666", json!({"optedIn": []})).await.0, 200);

    let (_, world) = ask(Method::GET, "/world", Value::Null).await;
    assert_eq!(world["aws"]["images"][1]["sharedWith"], json!(["444455556666", "all"]));
    assert_eq!(ask(Method::PUT, "/world", world).await.0, 200);
    let seed = simulator.journal().pop().unwrap();
    assert_eq!((seed.action.as_str(), seed.effect.unwrap().published), ("LoadWorld", Some(true)));
    assert_eq!(ask(Method::PATCH, "/aws/keys/AKIAFAKECAPTUREOWNER", json!({"disabled": true})).await.0, 200);
    assert!(send_to(simulator.aws_address(), LIST).await.starts_with("HTTP/1.1 401"));
    simulator.stop().await;
}

#[tokio::test]
async fn a_copy_at_amazon_ends_by_the_clock_and_needs_no_request_to_do_so() {
    let simulator = Simulator::start_on_loopback(world()).await.unwrap();
    let answer = send_to(simulator.aws_address(), COPY).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("ami-0c0de000000000001"), "{answer}");
    control(&simulator, Method::PUT, "/clock", json!({"advanceSeconds": 2})).await;
    let image = simulator.aws_world().image(&"ami-0c0de000000000001".into()).unwrap().spec().clone();
    assert_eq!(image.state.word(), "available");
    let end = simulator.journal().pop().unwrap();
    assert_eq!((end.action.as_str(), end.time.to_string().as_str()), ("CopyEnded", "2026-11-30T08:56:47Z"));
    simulator.stop().await;
}
