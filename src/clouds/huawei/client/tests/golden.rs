//! Compares the bytes of requests with those of the vendor's SDK.

use super::super::super::sign::{Unsigned, sign};
use super::copying::{across, projects_called, within};
use super::*;
use crate::clouds::{Copies, CopyOrder, Copying};

const AK: &str = "HPUAFAKEACCESSKEY001";
const SK: &str = "fakeHuaweiSecretKeyForCapture000000000001";

macro_rules! capture {
    ($name:literal) => {
        Capture::parse(include_str!(concat!("../../../../../tests/captures/huawei/", $name, ".raw")))
    };
}

struct Capture {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Capture {
    fn parse(raw: &str) -> Self {
        let raw = raw.replace("\r\n", "\n");
        let (head, body) = raw.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let mut request = lines.next().unwrap().split(' ');
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        };
        Self {
            method: request.next().unwrap().to_owned(),
            target: request.next().unwrap().to_owned(),
            headers: lines.map(header).collect(),
            body: body.trim_end_matches('\n').to_owned(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[test]
fn every_capture_of_the_vendors_sdk_is_signed_alike() {
    for capture in [
        capture!("BatchAddMembers"),
        capture!("BatchAddMembers-domains"),
        capture!("BatchDeleteMembers"),
        capture!("BatchUpdateMembers"),
        capture!("CopyImageCrossRegion"),
        capture!("CopyImageInRegion"),
        capture!("GlanceDeleteImage"),
        capture!("ListImageMembers"),
        capture!("ListImages-private-byid"),
        capture!("ListImages-shared"),
        capture!("ShowJob"),
        capture!("ListProjects"),
        capture!("sts-BatchAddMembers"),
        capture!("sts-ListImages-shared"),
    ] {
        let wanted = capture.header("authorization").unwrap();
        let names = wanted.split_once("SignedHeaders=").unwrap().1.split_once(',').unwrap().0;
        let headers: Vec<(&str, &str)> =
            names.split(';').filter(|n| *n != "x-sdk-date").map(|n| (n, capture.header(n).unwrap())).collect();
        let (path, query) = capture.target.split_once('?').unwrap_or((&capture.target, ""));
        let (method, body) = (capture.method.as_str(), capture.body.as_bytes());
        let unsigned = Unsigned { method, path, query, headers: &headers, body };
        assert_eq!(capture.header("x-sdk-date"), Some("20261121T234345Z"));
        let signed = sign(&unsigned, AK, SK, "2026-11-21T23:43:45Z".parse().unwrap());
        assert_eq!(signed.authorization, wanted, "{}", capture.target);
    }
}

#[tokio::test]
async fn request_carries_the_signature_of_what_is_sent() {
    let key = Credentials::access_key(AK, SK, Some("fakeSecurityToken+/=abc")).unwrap();
    let here = Setting::with(key, &[PROJECT], [submitted()]).await;
    here.cloud.change_recipients(&image(), &adds(projects(1..2)), Priority::Edit).await.unwrap();

    let body = format!(r#"{{"images":["{IMAGE}"],"projects":["00000000000000000000000000000001"]}}"#);
    assert_eq!(here.body(0), body);
    let headers = [
        ("content-type", "application/json;charset=utf-8"),
        ("host", here.host.as_str()),
        ("x-project-id", PROJECT),
        ("x-security-token", "fakeSecurityToken+/=abc"),
    ];
    let (method, path) = ("POST", "/v1/cloudimages/members");
    let unsigned = Unsigned { method, path, query: "", headers: &headers, body: body.as_bytes() };
    let wanted = sign(&unsigned, AK, SK, here.clock.now());
    let length = body.len().to_string();
    for (name, value) in headers.into_iter().chain([
        ("x-sdk-date", "20240506T070809Z"),
        ("authorization", wanted.authorization.as_str()),
        ("accept", "application/json"),
        ("content-length", length.as_str()),
    ]) {
        assert_eq!(here.header(0, name).as_deref(), Some(value), "{name}");
    }
    assert!(wanted.authorization.contains("SignedHeaders=content-type;host;x-project-id;x-sdk-date;x-security-token"));
    assert_eq!(here.header(0, "x-auth-token"), None);
}

/// Asserts that the call equals the SDK's: same method and target, equivalent body.
fn assert_like(here: &Setting, call: usize, capture: &Capture) {
    assert_eq!(here.asked()[call], format!("{} {}", capture.method, capture.target));
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    assert_eq!(value(&here.body(call)), value(&capture.body));
    // Only with a body: the SDK also sends the longer form for some calls that have none.
    if !capture.body.is_empty() {
        assert_eq!(here.header(call, "content-type").as_deref(), capture.header("content-type"));
    }
    assert_eq!(here.header(call, "x-project-id").as_deref(), capture.header("x-project-id"));
}

#[tokio::test]
async fn calls_are_those_of_the_vendors_sdk() {
    let (a, d) = ("a".repeat(32), "d".repeat(32));
    let here = Setting::new([submitted(), submitted(), says(204, ""), error("IMG.0061")]).await;
    let domain = adds(vec![recipient(RecipientKind::Account, &d)]);
    here.cloud.change_recipients(&image(), &domain, Priority::Edit).await.unwrap();
    assert_like(&here, 0, &capture!("BatchAddMembers-domains"));
    let remove = vec![recipient(RecipientKind::Project, &a)];
    let change = RecipientChange { add: Vec::new(), remove };
    here.cloud.change_recipients(&image(), &change, Priority::Revoke).await.unwrap();
    assert_like(&here, 1, &capture!("BatchDeleteMembers"));
    here.cloud.delete_image(&image()).await.unwrap();
    assert_like(&here, 2, &capture!("GlanceDeleteImage"));
    assert_eq!(here.header(2, "content-length").as_deref(), Some("0"));
    assert_eq!(here.cloud.follow_job(&region(), &job(), Priority::Edit).await, Err(Fault::Unavailable));
    assert_like(&here, 3, &capture!("ShowJob"));

    let key = Credentials::access_key("k", "s", None).unwrap();
    let here = Setting::with(key, &[], [says(200, r#"{"projects":[]}"#)]).await;
    here.cloud.observe_image(&image(), Priority::Edit).await.unwrap_err();
    assert_like(&here, 0, &capture!("ListProjects"));
}

#[tokio::test]
async fn answers_are_those_of_the_vendors_sdk() {
    let project = "a".repeat(32);
    let key = || Credentials::access_key("k", "s", None).unwrap();
    let here = Setting::with(key(), &[&project], [submitted(), submitted(), submitted()]).await;
    let accept = Reply::Accept { vault: None };
    assert_eq!(here.cloud.answer(&image(), &accept, Priority::Acceptance).await, Ok(Submitted::Job(job())));
    let mut capture = capture!("BatchUpdateMembers");
    for (name, value) in &mut capture.headers {
        // The capture has two projects, the caller's and the one that answers; here they are one.
        if name == "x-project-id" {
            value.clone_from(&project);
        }
    }
    assert_like(&here, 0, &capture);

    let vault = Some(VaultId::parse("2b076a25-1d5f-4b4d-a9f3-1a3b9a1b0a11").unwrap());
    here.cloud.answer(&image(), &Reply::Accept { vault }, Priority::Acceptance).await.unwrap();
    let vault = "2b076a25-1d5f-4b4d-a9f3-1a3b9a1b0a11";
    let head = format!(r#"{{"images":["{IMAGE}"],"project_id":"{project}","status":"#);
    assert_eq!(here.body(1), format!(r#"{head}"accepted","vault_id":"{vault}"}}"#));
    here.cloud.answer(&image(), &Reply::Reject, Priority::Acceptance).await.unwrap();
    assert_eq!(here.body(2), format!(r#"{head}"rejected"}}"#));
}

#[tokio::test]
async fn copies_are_those_of_the_vendors_sdk() {
    let described = |capture: &mut Capture, order: &CopyOrder| {
        let mut body: serde_json::Value = serde_json::from_str(&capture.body).unwrap();
        let fields = body.as_object_mut().unwrap();
        // The sample has another description, and a billing project.
        fields.insert("description".to_owned(), order.mark.description().into());
        fields.remove("enterprise_project_id");
        capture.body = body.to_string();
    };
    let name = |name: &str| Provider::Huawei.parse_image_name(name).unwrap();
    let here = Setting::new([submitted(), projects_called("cn-east-3"), submitted()]).await;
    let within = CopyOrder { name: name("copy 1"), ..within() };
    assert_eq!(here.cloud.begin_copy(&within, None, Priority::Edit).await, Ok(Copying::Job(job())));
    let mut capture = capture!("CopyImageInRegion");
    described(&mut capture, &within);
    assert_like(&here, 0, &capture);

    let across = CopyOrder { name: name("xcopy"), ..across() };
    assert_eq!(here.cloud.begin_copy(&across, None, Priority::Edit).await, Ok(Copying::Job(job())));
    let mut capture = capture!("CopyImageCrossRegion");
    described(&mut capture, &across);
    assert_like(&here, 2, &capture);
}

#[tokio::test]
async fn recipients_of_every_kind_go_in_one_call() {
    let everybody = || {
        vec![
            recipient(RecipientKind::Organization, URN),
            recipient(RecipientKind::Project, OTHER),
            recipient(RecipientKind::Account, DOMAIN),
            recipient(RecipientKind::Organization, &format!("organizations::{DOMAIN}:organization:o-abc123")),
        ]
    };
    let here = Setting::new([submitted(), submitted()]).await;
    here.cloud.change_recipients(&image(), &adds(everybody()), Priority::Edit).await.unwrap();
    let change = RecipientChange { add: Vec::new(), remove: everybody() };
    here.cloud.change_recipients(&image(), &change, Priority::Revoke).await.unwrap();
    let head = format!(r#"{{"images":["{IMAGE}"],"projects":["{OTHER}"],"domains":["{DOMAIN}"],"organizations":["#);
    let whole = format!(r#""{URN}","organizations::{DOMAIN}:organization:o-abc123"]}}"#);
    assert_eq!(here.body(0), format!("{head}{whole}"));
    assert_eq!(here.body(1), format!(r#"{head}"ou-xyz789","o-abc123"]}}"#), "removed by their bare ids");
    assert_eq!(here.asked(), ["POST /v1/cloudimages/members", "DELETE /v1/cloudimages/members"]);
}
