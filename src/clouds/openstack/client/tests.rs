//! Tests of the client against a scripted server that is Keystone and Glance at once and records all requests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap as SeenHeaders, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};

use super::super::{Credentials, Interface};
use super::*;
use crate::clouds::budget::BudgetSettings;
use crate::clouds::clock::Clock;
use crate::clouds::endpoint_rule::AllowedEndpoints;
use crate::clouds::transport::TransportSettings;
use crate::domain::fault::Quota;
use crate::domain::provider::Provider;

mod answering;
mod copying;
mod own;
mod sharing;
mod tokens;

const PROJECT: &str = "0d91420605f84fd1b3cae49ba9b42f1f";
const OTHER: &str = "cd20eba71f4848809841cb1c1a0d3edb";
const IMAGE: &str = "8a64453f-71c1-4448-8994-264aae537a42";

/// One scripted answer.
#[derive(Clone)]
struct Scripted {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn says(status: u16, body: impl Into<String>) -> Scripted {
    Scripted { status, headers: Vec::new(), body: body.into() }
}

/// An error in Glance's format.
fn error(status: u16) -> Scripted {
    says(status, json!({"message": "text<br />", "code": format!("{status} Word"), "title": "Word"}).to_string())
}

/// A list of images.
fn lists(rows: &[Value]) -> Scripted {
    says(200, json!({"images": rows}).to_string())
}

fn image(owner: &str, visibility: &str, protected: bool) -> Scripted {
    says(200, row(IMAGE, owner, visibility, protected).to_string())
}

fn row(id: &str, owner: &str, visibility: &str, protected: bool) -> Value {
    json!({"id": id, "owner": owner, "status": "active", "visibility": visibility, "protected": protected, "name": "n"})
}

fn member(id: &str, status: &str) -> Value {
    json!({"member_id": id, "image_id": IMAGE, "status": status})
}

fn members(rows: &[(&str, &str)]) -> Scripted {
    let rows: Vec<Value> = rows.iter().map(|(id, status)| member(id, status)).collect();
    says(200, json!({"members": rows}).to_string())
}

/// One request to Glance: method, path with query, token, body.
type Asked = (String, String, String, String);

#[derive(Clone, Default)]
struct Script {
    /// Answers of Glance, in order.
    glance: Arc<Mutex<VecDeque<Scripted>>>,
    /// Answers of Keystone. If empty, Keystone issues a token.
    keystone: Arc<Mutex<VecDeque<Scripted>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Requests to Keystone: path and body.
    tokens: Arc<Mutex<Vec<(String, String)>>>,
    /// Glance refuses this token without using up a scripted answer.
    refused: Arc<Mutex<String>>,
    address: Arc<Mutex<String>>,
}

async fn answer(State(script): State<Script>, method: Method, uri: Uri, headers: SeenHeaders, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let next = if uri.path().starts_with("/identity") {
        let mut tokens = script.tokens.lock().unwrap();
        tokens.push((uri.path().to_owned(), body));
        let number = tokens.len();
        let told = script.keystone.lock().unwrap().pop_front();
        told.unwrap_or_else(|| token(&script.address.lock().unwrap(), number))
    } else {
        let token = headers.get("x-auth-token").map_or("", |token| token.to_str().unwrap()).to_owned();
        let refused = token == *script.refused.lock().unwrap();
        script.asked.lock().unwrap().push((method.to_string(), uri.to_string(), token, body));
        let told = if refused { Some(error(401)) } else { script.glance.lock().unwrap().pop_front() };
        told.unwrap_or_else(|| says(501, ""))
    };
    let mut response = (StatusCode::from_u16(next.status).unwrap(), next.body).into_response();
    for (name, value) in next.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// A one-hour token for this project. One region's image service is this server, the other region's is foreign.
fn token(address: &str, number: usize) -> Scripted {
    let endpoint = |region: &str, url: String| json!({"interface": "public", "region_id": region, "url": url});
    let endpoints = [endpoint("Here", format!("{address}/image/v2")), endpoint("There", "https://evil.io".to_owned())];
    let token = json!({"token": {
        "issued_at": "2026-11-22T05:10:07.000000Z",
        "expires_at": "2026-11-22T06:10:07.000000Z",
        "project": {"id": PROJECT},
        "catalog": [{"type": "image", "endpoints": endpoints}],
    }});
    Scripted { headers: vec![("x-subject-token", format!("token-{number}"))], ..says(201, token.to_string()) }
}

#[derive(Default)]
struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        let minutes = self.0.load(Ordering::SeqCst);
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(i64::try_from(minutes).unwrap())
    }
}

struct Setting {
    cloud: OpenStackCloud,
    script: Script,
    clock: Arc<SetClock>,
}

impl Setting {
    async fn new(answers: impl IntoIterator<Item = Scripted>) -> Self {
        Self::at("/identity/v3", answers).await
    }

    async fn at(auth_path: &str, answers: impl IntoIterator<Item = Scripted>) -> Self {
        let script = Script::default();
        script.glance.lock().unwrap().extend(answers);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        script.address.lock().unwrap().clone_from(&origin);
        let router = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });

        let allowed = AllowedEndpoints::parse(&[&origin]).unwrap();
        let access = OpenStackAccess {
            project: PrincipalId::parse(PROJECT).unwrap(),
            auth_url: allowed.check_service(Provider::OpenStack, &format!("{origin}{auth_path}")).unwrap(),
            interface: Interface::Public,
            image: None,
            allowed,
            credentials: Credentials::application("credential-id", "s3cr3t").unwrap(),
        };
        let clock = Arc::new(SetClock::default());
        let transport = TransportSettings { deadline: Duration::from_secs(10), ..TransportSettings::default() };
        let client_context =
            ClientContext::new(transport, BudgetSettings::default(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let mut cloud = OpenStackCloud::new(access, &client_context);
        cloud.removal_pause = Duration::from_millis(1);
        Self { cloud, script, clock }
    }

    /// Method, path and body of each call to Glance.
    fn asked(&self) -> Vec<(String, String, String)> {
        let asked = self.script.asked.lock().unwrap();
        asked.iter().map(|(method, path, _, body)| (method.clone(), path.clone(), body.clone())).collect()
    }

    /// Method and path, without the prefix up to the image's id.
    fn calls(&self) -> Vec<String> {
        let short = |(method, path, _): (String, String, String)| {
            format!("{method} {}", path.trim_start_matches(&format!("/image/v2/images/{IMAGE}")))
        };
        self.asked().into_iter().map(short).collect()
    }

    fn tokens_asked(&self) -> usize {
        self.script.tokens.lock().unwrap().len()
    }

    async fn add(&self, id: &str) -> Result<Submitted, Fault> {
        let change = RecipientChange { add: vec![project(id)], remove: Vec::new() };
        self.cloud.change_recipients(&here(), &change, Priority::Edit).await
    }

    async fn remove(&self, id: &str) -> Result<Submitted, Fault> {
        let change = RecipientChange { add: Vec::new(), remove: vec![project(id)] };
        self.cloud.change_recipients(&here(), &change, Priority::Revoke).await
    }
}

fn here() -> ImageRef {
    ImageRef { region: RegionId::parse("Here").unwrap(), image: ImageId::parse(IMAGE).unwrap() }
}

fn project(id: &str) -> Recipient {
    Recipient { kind: RecipientKind::Project, id: PrincipalId::parse(id).unwrap() }
}

fn forbidden() -> Fault {
    Fault::Forbidden { code: "Forbidden".to_owned() }
}
