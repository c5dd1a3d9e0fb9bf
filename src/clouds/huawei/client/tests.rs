//! Tests of the client against a scripted server that records all requests.

mod copying;
mod golden;
mod own;
mod received;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::super::credentials::Credentials;
use super::*;
use crate::clouds::budget::BudgetSettings;
use crate::clouds::clock::Clock;
use crate::clouds::endpoint_rule::AllowedEndpoints;
use crate::clouds::huawei::Endpoints;
use crate::clouds::scripted::{Script, Scripted, says};
use crate::clouds::transport::TransportSettings;
use crate::domain::fault::Quota;
use crate::domain::image::Ownership;
use crate::domain::provider::{Provider, Site};

const DOMAIN: &str = "d78cbac186b744899480f25bd022f468";
const PROJECT: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const OTHER: &str = "edc89b490d7d4392898e19b2deb34797";
const IMAGE: &str = "cc4f2d1e-0000-4000-8000-000000000001";
const JOB: &str = "4010b39b5281d3590152874bfa3b1604";
const URN: &str = "organizations::d78cbac186b744899480f25bd022f468:ou:o-abc123/ou-xyz789";

fn error(code: &str) -> Scripted {
    says(400, format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#))
}

/// A clock that tests set by hand.
struct HandClock(Mutex<Timestamp>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct Setting {
    cloud: HuaweiCloud,
    script: Script,
    host: String,
    clock: Arc<HandClock>,
}

impl Setting {
    /// With an access key and a project named for the region.
    async fn new(answers: impl IntoIterator<Item = Scripted>) -> Self {
        let key = Credentials::access_key("testAccessKeyId", "testSecretKey", None).unwrap();
        Self::with(key, &[PROJECT], answers).await
    }

    async fn with(credentials: Credentials, projects: &[&str], answers: impl IntoIterator<Item = Scripted>) -> Self {
        let named = projects.iter().map(|project| (region(), PrincipalId::parse(project).unwrap())).collect();
        Self::of(credentials, named, answers).await
    }

    /// Like `with`, with projects named for any regions.
    async fn of(
        credentials: Credentials,
        projects: Vec<(RegionId, PrincipalId)>,
        answers: impl IntoIterator<Item = Scripted>,
    ) -> Self {
        let (script, host) = Script::start(answers).await;

        let origin = format!("http://{host}");
        let allowed = AllowedEndpoints::parse(&[&origin]).unwrap();
        let access = HuaweiAccess {
            domain: PrincipalId::parse(DOMAIN).unwrap(),
            site: Site::China,
            projects,
            endpoints: Endpoints::all_at(allowed.check(Provider::Huawei, &origin).unwrap()),
            credentials,
        };
        let transport = TransportSettings { deadline: Duration::from_secs(10), ..TransportSettings::default() };
        let clock = Arc::new(HandClock(Mutex::new("2024-05-06T07:08:09.5Z".parse().unwrap())));
        let budget = BudgetSettings { burst: std::num::NonZeroU32::new(1000).unwrap(), ..BudgetSettings::default() };
        let client_context = ClientContext::new(transport, budget, Arc::<HandClock>::clone(&clock)).unwrap();
        Self { cloud: HuaweiCloud::new(access, &client_context), script, host, clock }
    }

    fn calls(&self) -> usize {
        self.script.calls()
    }

    /// Method and target of every call.
    fn asked(&self) -> Vec<String> {
        self.script.seen.lock().unwrap().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
    }

    fn header(&self, call: usize, name: &str) -> Option<String> {
        let seen = self.script.seen.lock().unwrap();
        seen[call].headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    fn body(&self, call: usize) -> String {
        String::from_utf8(self.script.seen.lock().unwrap()[call].body.to_vec()).unwrap()
    }
}

fn region() -> RegionId {
    RegionId::parse("cn-north-4").unwrap()
}

fn image() -> ImageRef {
    ImageRef { region: region(), image: ImageId::parse(IMAGE).unwrap() }
}

fn job() -> JobId {
    JobId::parse(JOB).unwrap()
}

fn recipient(kind: RecipientKind, id: &str) -> Recipient {
    Provider::Huawei.parse_recipient(kind, id).unwrap()
}

/// Projects by number.
fn projects(numbers: impl IntoIterator<Item = u64>) -> Vec<Recipient> {
    numbers.into_iter().map(|number| recipient(RecipientKind::Project, &format!("{number:032x}"))).collect()
}

fn member(recipient: &Recipient, status: &str) -> serde_json::Value {
    let (kind, id, urn) = match recipient.kind {
        RecipientKind::Project => ("project", recipient.id.as_str(), None),
        RecipientKind::Account => ("domain", recipient.id.as_str(), None),
        RecipientKind::Organization => ("organization", bare(recipient.id.as_str()), Some(recipient.id.as_str())),
    };
    serde_json::json!({"status": status, "image_id": IMAGE, "member_id": id, "member_type": kind, "urn": urn,
        "created_at": "2024-11-06T06:30:00Z", "updated_at": "2024-11-06T06:30:00Z", "schema": "/v2/schemas/member"})
}

fn members(rows: &[serde_json::Value], next: Option<&str>) -> Scripted {
    let info = serde_json::json!({"next_marker": next, "current_count": rows.len()});
    let body = serde_json::json!({"members": rows, "schema": "/v2/schemas/members", "page_info": info});
    says(200, body.to_string())
}

fn pending(numbers: impl IntoIterator<Item = u64>) -> Vec<serde_json::Value> {
    projects(numbers).iter().map(|project| member(project, "pending")).collect()
}

fn image_row(id: &str, owner: &str, kind: &str) -> serde_json::Value {
    serde_json::json!({"id": id, "owner": owner, "__imagetype": kind, "status": "active", "name": "golden",
        "virtual_env_type": "FusionCompute"})
}

fn images(rows: &[serde_json::Value]) -> Scripted {
    says(200, serde_json::json!({"images": rows}).to_string())
}

fn submitted() -> Scripted {
    says(200, format!(r#"{{"job_id":"{JOB}"}}"#))
}

fn adds(add: Vec<Recipient>) -> RecipientChange {
    RecipientChange { add, remove: Vec::new() }
}

#[tokio::test]
async fn all_pages_make_one_complete_list() {
    let script =
        [members(&pending(0..2), Some("bTE=")), members(&pending(2..4), Some("bTI=")), members(&pending(4..5), None)];
    let here = Setting::new(script).await;
    let list = here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();
    let wanted = projects(0..5).into_iter().map(|project| (project, Some(Answer::Pending))).collect();
    assert_eq!(list, RecipientList { recipients: wanted, complete: true });
    let path = format!("GET /v1/{PROJECT}/cloudimages/{IMAGE}/members?limit=1000");
    assert_eq!(here.asked(), [path.clone(), format!("{path}&marker=bTE%3D"), format!("{path}&marker=bTI%3D")]);
}

#[tokio::test]
async fn rows_of_every_kind_are_listed_with_their_answers() {
    let domain = recipient(RecipientKind::Account, DOMAIN);
    let organization = recipient(RecipientKind::Organization, URN);
    let project = recipient(RecipientKind::Project, OTHER);
    let rows = [member(&project, "rejected"), member(&domain, "accepted"), member(&organization, "accepted")];
    let here = Setting::new([members(&rows, None)]).await;
    let list = here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();
    let accepted = Some(Answer::Accepted);
    let wanted = [(project, Some(Answer::Rejected)), (domain, accepted), (organization, accepted)].into();
    assert_eq!(list, RecipientList { recipients: wanted, complete: true });
}

#[tokio::test]
async fn lists_that_may_lack_somebody_are_incomplete() {
    for script in [
        // A duplicate row: the list may lack another one.
        vec![members(&pending(0..2), Some("a")), members(&pending(1..3), None)],
        // The marker does not advance.
        vec![members(&pending(0..2), Some("a")), members(&pending(2..4), Some("a"))],
        vec![says(200, serde_json::json!({"members": pending(0..2), "page_info": {"current_count": 3}}).to_string())],
    ] {
        let here = Setting::new(script).await;
        assert!(!here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap().complete);
    }
    let endless = (0..30).map(|number| members(&pending(number..=number), Some(&format!("m{number}"))));
    let here = Setting::new(endless).await;
    let list = here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();
    assert_eq!((here.calls(), list.complete), (20, false));
}

#[tokio::test]
async fn failing_second_page_fails_the_whole_list() {
    for (second, wanted) in [
        (error("IMG.0061"), Fault::Unavailable),
        (says(200, r#"{"members":[{"status":"#), Fault::Unintelligible),
        (says(204, ""), Fault::Unintelligible),
        (error("IMG.0144"), Fault::NotFound(Missing::Image)),
    ] {
        let here = Setting::new([members(&pending(0..2), Some("a")), second]).await;
        assert_eq!(here.cloud.list_recipients(&image(), Priority::Edit).await, Err(wanted));
    }
}

#[tokio::test]
async fn one_image_is_asked_for_by_nothing_but_its_id() {
    let other = image_row("00000000-0000-4000-8000-000000000009", PROJECT, "private");
    let here = Setting::new([
        images(&[image_row(IMAGE, PROJECT, "shared")]),
        images(&[image_row(IMAGE, OTHER, "shared")]),
        images(&[]),
        error("IMG.0027"),
        images(std::slice::from_ref(&other)),
        images(&[image_row(IMAGE, PROJECT, "private"), other]),
        says(200, r#"{"images":[],"page_info":{"next_marker":"x"}}"#),
        error("IMG.0161"),
    ])
    .await;
    let look = async || here.cloud.observe_image(&image(), Priority::Edit).await;
    assert_eq!(look().await.unwrap().unwrap().ownership, Ownership::Own);
    let owner = Some(PrincipalId::parse(OTHER).unwrap());
    assert_eq!(look().await.unwrap().unwrap().ownership, Ownership::Received { owner });
    assert_eq!(look().await, Ok(None));
    assert_eq!(look().await, Ok(None));
    for _ in 0..3 {
        assert_eq!(look().await, Err(Fault::Unintelligible));
    }
    assert_eq!(look().await, Err(Fault::Forbidden { code: "IMG.0161".to_owned() }));
    assert!(here.asked().iter().all(|asked| *asked == format!("GET /v2/cloudimages?id={IMAGE}")));
    assert_eq!(here.header(0, "x-project-id").as_deref(), Some(PROJECT));
}

#[tokio::test]
async fn calls_on_members_are_answered_with_a_job_or_prove_nothing() {
    let here =
        Setting::new([submitted(), says(200, "{}"), says(200, "<html>"), says(204, ""), error("IMG.0088")]).await;
    let change = adds(projects(0..1));
    let submit = async || here.cloud.change_recipients(&image(), &change, Priority::Edit).await;
    assert_eq!(submit().await, Ok(Submitted::Job(job())));
    for _ in 0..3 {
        assert_eq!(submit().await, Err(Fault::Unintelligible));
    }
    assert_eq!(submit().await, Err(Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }));
    assert_eq!(here.calls(), 5, "nothing is sent twice");
}

#[tokio::test]
async fn changes_outside_the_call_shape_are_refused_before_anything_is_sent() {
    let here = Setting::new([submitted()]).await;
    let shape = here.cloud.call_shape();
    assert_eq!(shape, CallShape { recipients: 128, both_ways: false });
    for change in [
        RecipientChange { add: projects(0..1), remove: projects(1..2) },
        adds(projects(0..129)),
        RecipientChange { add: Vec::new(), remove: projects(0..129) },
    ] {
        let fault = here.cloud.change_recipients(&image(), &change, Priority::Edit).await.unwrap_err();
        assert!(matches!(fault, Fault::Refused { .. }));
    }
    let nothing = RecipientChange::default();
    assert_eq!(here.cloud.change_recipients(&image(), &nothing, Priority::Edit).await, Ok(Submitted::Done));
    assert_eq!(here.calls(), 0);
    here.cloud.change_recipients(&image(), &adds(projects(0..128)), Priority::Edit).await.unwrap();
    assert_eq!(here.calls(), 1, "128 go in one call");
}

#[tokio::test]
async fn jobs_are_followed_to_their_end() {
    let says_job = |status: &str, rest: &str| {
        says(200, format!(r#"{{"status":"{status}","job_id":"{JOB}","job_type":"imsAddImageMembersJob"{rest}}}"#))
    };
    let results =
        format!(r#","entities":{{"results":[{{"image_id":"{IMAGE}","status":"success"}}]}},"error_code":null"#);
    let here = Setting::new([
        says_job("INIT", ""),
        says_job("RUNNING", ""),
        says_job("SUCCESS", &results),
        says_job("SUCCESS", &results.replace("success", "failed")),
        says_job("FAIL", r#","error_code":"IMG.0088","fail_reason":"x""#),
        says(404, r#"{"error":{"code":"IMG.0105","message":"no such job"}}"#),
        says(200, r#"{"status":"SUCCESS","job_id":"another"}"#),
        error("IMG.0061"),
        says(429, r#"{"error_code":"APIGW.0308","error_msg":"x"}"#),
    ])
    .await;
    let follow = async || here.cloud.follow_job(&region(), &job(), Priority::Edit).await;
    assert_eq!(follow().await, Ok(JobProgress::Running));
    assert_eq!(follow().await, Ok(JobProgress::Running));
    assert_eq!(follow().await, Ok(JobProgress::Ended));
    assert!(matches!(follow().await, Ok(JobProgress::Failed(Fault::Refused { .. }))));
    let full = Fault::QuotaExceeded { quota: Quota::RecipientsPerImage };
    assert_eq!(follow().await, Ok(JobProgress::Failed(full)));
    assert_eq!(follow().await, Ok(JobProgress::Ended), "only a read proves what an unknown job did");
    assert_eq!(follow().await, Err(Fault::Unintelligible));
    assert_eq!(follow().await, Err(Fault::Unavailable));
    let minute = Fault::Throttled { retry_after: Some(Duration::from_secs(60)) };
    assert_eq!(follow().await, Err(minute));
    assert!(matches!(follow().await, Err(Fault::Throttled { .. })));
    assert_eq!(here.calls(), 9, "nothing is sent before the minute is over");
}

#[tokio::test]
async fn refused_signatures_are_never_tried_again() {
    let text = "Incorrect IAM authentication information: verify aksk signature fail";
    let refusal = says(401, format!(r#"{{"error_msg":"{text}","error_code":"APIGW.0301","request_id":"r"}}"#));
    let late = says(401, r#"{"error_code":"APIGW.0301","error_msg":"...:signature expired"}"#);
    let here = Setting::new([late, refusal, error("IMG.0061")]).await;
    assert_eq!(here.cloud.delete_image(&image()).await, Err(Fault::ClockSkew));
    assert_eq!(here.calls(), 1);
    let refused = Fault::Unauthenticated { code: "APIGW.0301".to_owned() };
    assert_eq!(here.cloud.delete_image(&image()).await, Err(refused.clone()), "a clock that was off is no bad key");
    assert_eq!(here.calls(), 2);
    assert_eq!(here.cloud.delete_image(&image()).await, Err(refused));
    assert_eq!(here.calls(), 2, "what would count towards the key's lock is not sent");
}

#[tokio::test]
async fn regions_are_those_of_the_account_and_those_named() {
    let row = |name: &str, id: &str| serde_json::json!({"id": id, "name": name, "enabled": true, "domain_id": DOMAIN});
    let second = format!("{:032x}", 2);
    let one = serde_json::json!({"projects": [row("ap-southeast-1", OTHER), row("cn-north-4", &second)],
        "links": {"next": "https://elsewhere/v3/projects?page=2&per_page=2"}});
    let two = serde_json::json!({"projects": [row("cn-east-3", &second), row("cn-east-3_x", OTHER)], "links": {"next": null}});
    let here = Setting::new([says(200, one.to_string()), says(200, two.to_string())]).await;
    let regions = here.cloud.regions().await.unwrap();
    let names: Vec<&str> = regions.iter().map(RegionId::as_str).collect();
    assert_eq!(names, ["ap-southeast-1", "cn-east-3", "cn-north-4"]);
    assert_eq!(here.asked(), ["GET /v3/projects", "GET /v3/projects?page=2&per_page=2"]);
    assert_eq!(here.header(0, "x-project-id"), None);
    let principal =
        |name: &str| here.cloud.principal(&RegionId::parse(name).unwrap()).map(|principal| principal.to_string());
    assert_eq!(principal("cn-north-4").as_deref(), Some(PROJECT), "a named project goes before the region's own");
    assert_eq!(principal("cn-east-3"), Some(second));
    assert_eq!(principal("af-south-1"), None);
}

#[tokio::test]
async fn projects_without_an_end_prove_nothing() {
    let page = || says(200, r#"{"projects":[],"links":{"next":"https://elsewhere/v3/projects?page=1"}}"#);
    let here = Setting::new((0..30).map(|_| page())).await;
    assert_eq!(here.cloud.regions().await, Err(Fault::Unintelligible));
    assert_eq!(here.calls(), 20);
}

#[tokio::test]
async fn a_key_that_may_not_list_projects_has_those_named() {
    let denied = || says(403, r#"{"error":{"code":403,"message":"x","title":"Forbidden"}}"#);
    let here = Setting::new([denied()]).await;
    assert_eq!(here.cloud.regions().await, Ok(vec![region()]));
    let key = Credentials::access_key("k", "s", None).unwrap();
    let here = Setting::with(key, &[], [denied()]).await;
    assert_eq!(here.cloud.regions().await, Err(Fault::Forbidden { code: "403".to_owned() }));
}

#[tokio::test]
async fn identity_is_the_domain() {
    let here =
        Setting::new([says(200, format!(r#"{{"domains":[{{"id":"{OTHER}","name":"n"}}],"links":{{}}}}"#))]).await;
    assert_eq!(here.cloud.identity().await.unwrap().as_str(), OTHER);
    assert_eq!(here.asked(), ["GET /v3/auth/domains"]);
}

/// A user with policies on projects alone, as the vendor's SDK knows them.
#[tokio::test]
async fn identity_of_a_user_without_a_role_on_the_domain_is_that_of_its_projects() {
    let none = || says(200, r#"{"domains":[],"links":{}}"#);
    let row = format!(r#"{{"id":"{OTHER}","name":"cn-north-4","domain_id":"{OTHER}","enabled":true}}"#);
    let here = Setting::new([none(), says(200, format!(r#"{{"projects":[{row}],"links":{{}}}}"#))]).await;
    assert_eq!(here.cloud.identity().await.unwrap().as_str(), OTHER);
    assert_eq!(here.asked(), ["GET /v3/auth/domains", "GET /v3/projects"]);

    let here = Setting::new([none(), says(200, r#"{"projects":[],"links":{}}"#)]).await;
    let nothing = Fault::Forbidden { code: "NoDomainAndNoProject".to_owned() };
    assert_eq!(here.cloud.identity().await, Err(nothing));
}

#[tokio::test]
async fn a_region_without_a_project_is_asked_for_once() {
    let key = || Credentials::access_key("k", "s", None).unwrap();
    let found = format!(r#"{{"projects":[{{"id":"{OTHER}","name":"cn-north-4","enabled":true}}]}}"#);
    let here = Setting::with(key(), &[], [says(200, found), images(&[]), images(&[])]).await;
    for _ in 0..2 {
        assert_eq!(here.cloud.observe_image(&image(), Priority::Edit).await, Ok(None));
    }
    let list = format!("GET /v2/cloudimages?id={IMAGE}");
    assert_eq!(here.asked(), ["GET /v3/projects?name=cn-north-4", &list, &list]);
    assert_eq!(here.header(1, "x-project-id").as_deref(), Some(OTHER));
    assert_eq!(here.cloud.principal(&region()).unwrap().as_str(), OTHER);

    for (body, wanted) in [
        (r#"{"projects":[]}"#.to_owned(), Fault::NotFound(Missing::Region)),
        (format!(r#"{{"projects":[{{"id":"{OTHER}","name":"cn-north-9"}}]}}"#), Fault::Unintelligible),
        ("{}".to_owned(), Fault::Unintelligible),
    ] {
        let here = Setting::with(key(), &[], [says(200, body)]).await;
        assert_eq!(here.cloud.observe_image(&image(), Priority::Edit).await, Err(wanted));
        assert_eq!(here.calls(), 1);
    }
}
