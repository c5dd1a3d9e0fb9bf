//! Tests the client with a server that returns scripted answers and records the requests.

mod copying;
mod own;
mod roles;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clouds::alibaba::Endpoints;
use crate::clouds::budget::{BudgetSettings, Budgets};
use crate::clouds::clock::Clock;
use crate::clouds::endpoint_rule::AllowedEndpoints;
use crate::clouds::scripted::{Script, Scripted, StoppedClock, says};
use crate::clouds::transport::TransportSettings;
use crate::domain::fault::{Cause, Quota, Unreachable};
use crate::domain::provider::Provider;

const ACCOUNT: &str = "1000000000000001";
const NONCE: &str = "0123456789abcdef0123456789abcdef";

/// A recipient list of this cloud, which has no answers to offers.
fn unanswered(recipients: Vec<Recipient>) -> BTreeMap<Recipient, Option<crate::domain::image::Answer>> {
    recipients.into_iter().map(|recipient| (recipient, None)).collect()
}

struct Setting {
    cloud: AlibabaCloud,
    script: Script,
    host: String,
}

impl Setting {
    async fn new(answers: impl IntoIterator<Item = Scripted>) -> Self {
        let credentials = Credentials::parse("testAccessKeyId", "testAccessKeySecret", None).unwrap();
        Self::with(credentials.into(), answers).await
    }

    async fn with(credentials: KeySource<Credentials>, answers: impl IntoIterator<Item = Scripted>) -> Self {
        let (script, host) = Script::start(answers).await;

        let origin = format!("http://{host}");
        let allowed = AllowedEndpoints::parse(&[&origin]).unwrap();
        let access = AlibabaAccess {
            account: PrincipalId::parse(ACCOUNT).unwrap(),
            endpoints: Endpoints::all_at(allowed.check(Provider::Alibaba, &origin).unwrap()),
            credentials,
        };
        let transport = TransportSettings { deadline: Duration::from_secs(10), ..TransportSettings::default() };
        let mut client_context =
            ClientContext::new(transport, BudgetSettings::default(), Arc::new(StoppedClock)).unwrap();
        client_context.nonce = || NONCE.to_owned();
        Self { cloud: AlibabaCloud::new(access, &client_context), script, host }
    }

    fn calls(&self) -> usize {
        self.script.calls()
    }

    /// Action and query of one call.
    fn asked(&self, call: usize) -> (String, Vec<(String, String)>) {
        let seen = self.script.seen.lock().unwrap();
        let action = seen[call].headers["x-acs-action"].to_str().unwrap().to_owned();
        let target = Url::parse(&format!("http://localhost{}", seen[call].target)).unwrap();
        let query: BTreeMap<String, String> = target.query_pairs().into_owned().collect();
        (action, query.into_iter().collect())
    }
}

fn image() -> ImageRef {
    ImageRef {
        region: RegionId::parse("cn-beijing").unwrap(),
        image: ImageId::parse("m-2ze1a2b3c4d5e6f7g8h9").unwrap(),
    }
}

fn recipient(number: u64) -> Recipient {
    let id = PrincipalId::parse(&(1_000_000_000_000_000 + number).to_string()).unwrap();
    Recipient { kind: RecipientKind::Account, id }
}

fn recipients(numbers: impl IntoIterator<Item = u64>) -> Vec<Recipient> {
    numbers.into_iter().map(recipient).collect()
}

fn page(number: u32, total: usize, rows: impl IntoIterator<Item = u64>) -> Scripted {
    let rows: Vec<_> = rows.into_iter().map(|row| serde_json::json!({"AliyunId": recipient(row).id})).collect();
    let body = serde_json::json!({
        "RequestId": "R", "RegionId": "cn-beijing", "ImageId": image().image, "TotalCount": total,
        "PageNumber": number, "PageSize": 100, "Accounts": {"Account": rows}
    });
    says(200, body.to_string())
}

fn error(status: u16, code: &str) -> Scripted {
    says(status, format!(r#"{{"RequestId":"R","HostId":"h","Code":"{code}","Message":"m"}}"#))
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn request_carries_the_signature_of_what_is_sent() {
    let here = Setting::new([page(1, 0, [])]).await;
    here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();

    let query = pairs(&[
        ("ImageId", "m-2ze1a2b3c4d5e6f7g8h9"),
        ("PageNumber", "1"),
        ("PageSize", "100"),
        ("RegionId", "cn-beijing"),
    ]);
    assert_eq!(here.asked(0), ("DescribeImageSharePermission".to_owned(), query.clone()));
    let seen = here.script.seen.lock().unwrap();
    assert_eq!((&seen[0].method, seen[0].body.len()), (&Method::POST, 0));
    let headers = &seen[0].headers;
    for (name, value) in [
        ("host", here.host.as_str()),
        ("x-acs-version", "2014-05-26"),
        ("x-acs-date", "2024-05-06T07:08:09Z"),
        ("x-acs-signature-nonce", NONCE),
        ("x-acs-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("accept", "application/json"),
        ("content-length", "0"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let credentials = Credentials::parse("testAccessKeyId", "testAccessKeySecret", None).unwrap();
    let unsigned = Unsigned {
        method: "POST",
        path: "/",
        query: &query,
        headers: &[
            ("host", &here.host),
            ("x-acs-action", "DescribeImageSharePermission"),
            ("x-acs-version", "2014-05-26"),
        ],
        body: b"",
    };
    let wanted = sign(&unsigned, &credentials, StoppedClock.now(), NONCE);
    let authorization = &wanted.headers.iter().find(|(name, _)| name == "authorization").unwrap().1;
    assert_eq!(headers["authorization"], authorization.as_str());
}

#[tokio::test]
async fn three_pages_make_one_complete_list() {
    let here = Setting::new([page(1, 250, 0..100), page(2, 250, 100..200), page(3, 250, 200..250)]).await;
    let list = here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();
    assert!(list.complete);
    assert_eq!(list.recipients, unanswered(recipients(0..250)));
    let pages: Vec<String> = (0..here.calls()).map(|call| here.asked(call).1[1].1.clone()).collect();
    assert_eq!(pages, ["1", "2", "3"]);
}

#[tokio::test]
async fn failing_second_page_fails_the_whole_list() {
    let here = Setting::new([page(1, 150, 0..100), error(503, "ServiceUnavailable")]).await;
    assert_eq!(here.cloud.list_recipients(&image(), Priority::Edit).await, Err(Fault::Unavailable));

    let here = Setting::new([page(1, 150, 0..100), page(1, 150, 0..100)]).await;
    assert_eq!(here.cloud.list_recipients(&image(), Priority::Edit).await, Err(Fault::Unintelligible));
}

#[tokio::test]
async fn list_that_does_not_fit_its_total_is_incomplete() {
    for (script, wanted) in [
        (vec![page(1, 3, 0..2), page(2, 3, [])], recipients(0..2)),
        (vec![page(1, 1, 0..2)], recipients(0..2)),
        (vec![page(1, 0, 0..1)], recipients(0..1)),
        // The total changed between pages.
        (vec![page(1, 101, 0..100), page(2, 102, 100..102)], recipients(0..102)),
        (vec![page(1, 102, 0..100), page(2, 101, 100..101)], recipients(0..101)),
        (vec![page(1, 101, 0..100), page(2, 102, 100..101), page(3, 102, [])], recipients(0..101)),
        // One row twice: another one may be missing.
        (vec![page(1, 101, 0..100), page(2, 101, 99..100)], recipients(0..100)),
        (vec![page(1, 3, [0, 1, 1])], recipients(0..2)),
        (vec![page(1, 2, [0, 1, 1])], recipients(0..2)),
    ] {
        let here = Setting::new(script).await;
        let list = here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();
        assert_eq!(list, RecipientList { recipients: unanswered(wanted), complete: false });
    }
}

#[tokio::test]
async fn short_pages_are_followed_to_the_total() {
    let here = Setting::new([page(1, 3, 0..1), page(2, 3, 1..3)]).await;
    let list = here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();
    assert_eq!(list, RecipientList { recipients: unanswered(recipients(0..3)), complete: true });
}

#[tokio::test]
async fn endless_list_ends_after_twenty_pages() {
    let here = Setting::new((1..=30).map(|number| page(number, 9999, [u64::from(number)]))).await;
    let list = here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();
    assert_eq!((here.calls(), list.complete), (20, false));
}

#[tokio::test]
async fn one_image_is_asked_for_in_any_state_and_of_any_owner() {
    let row = r#"{"ImageId":"m-2ze1a2b3c4d5e6f7g8h9","ImageOwnerAlias":"others","ImageOwnerId":1000000000000009,
        "Status":"Available"}"#;
    let full = format!(r#"{{"RequestId":"R","TotalCount":1,"Images":{{"Image":[{row}]}}}}"#);
    let none = r#"{"RequestId":"R","TotalCount":0,"Images":{"Image":[]}}"#;
    let other = full.replace("g8h9", "g8h8");
    let answers = [says(200, full), says(200, none), error(404, "InvalidImageId.NotFound"), says(200, other)];
    let here = Setting::new(answers).await;
    let facts = here.cloud.observe_image(&image(), Priority::Resync).await.unwrap().unwrap();
    assert_eq!(facts.ownership, Ownership::Received { owner: Some(PrincipalId::parse("1000000000000009").unwrap()) });
    let query = pairs(&[("ImageId", "m-2ze1a2b3c4d5e6f7g8h9"), ("RegionId", "cn-beijing"), ("Status", "ALL")]);
    assert_eq!(here.asked(0), ("DescribeImages".to_owned(), query));

    assert_eq!(here.cloud.observe_image(&image(), Priority::Edit).await, Ok(None));
    assert_eq!(here.cloud.observe_image(&image(), Priority::Edit).await, Ok(None));
    assert_eq!(here.cloud.observe_image(&image(), Priority::Edit).await, Err(Fault::Unintelligible));
}

#[tokio::test]
async fn additions_and_removals_go_in_one_numbered_call() {
    let here = Setting::new([says(200, r#"{"RequestId":"R"}"#)]).await;
    let change = RecipientChange { add: recipients(1..=10), remove: recipients(11..=12) };
    assert_eq!(here.cloud.change_recipients(&image(), &change, Priority::Edit).await, Ok(Submitted::Done));
    let (action, query) = here.asked(0);
    let query: BTreeMap<String, String> = query.into_iter().collect();
    assert_eq!((action.as_str(), query.len()), ("ModifyImageSharePermission", 14));
    for number in 1..=10 {
        assert_eq!(query[&format!("AddAccount.{number}")], recipient(number).id.as_str());
    }
    assert_eq!(query["RemoveAccount.1"], recipient(11).id.as_str());
    assert_eq!(query["RemoveAccount.2"], recipient(12).id.as_str());
}

#[tokio::test]
async fn more_than_ten_are_refused_before_anything_is_sent() {
    let here = Setting::new([]).await;
    for change in [
        RecipientChange { add: recipients(0..11), remove: Vec::new() },
        RecipientChange { add: Vec::new(), remove: recipients(0..11) },
    ] {
        let fault = here.cloud.change_recipients(&image(), &change, Priority::Edit).await.unwrap_err();
        assert!(matches!(fault, Fault::Refused { .. }));
    }
    assert_eq!(
        here.cloud.change_recipients(&image(), &RecipientChange::default(), Priority::Edit).await,
        Ok(Submitted::Done)
    );
    assert_eq!(here.calls(), 0);
}

#[tokio::test]
async fn errors_of_the_vendor_are_read_by_code_and_calls_are_made_once() {
    let mut throttled = error(400, "Throttling.User");
    throttled.headers.push(("x-acs-retry-after", "1500".to_owned()));
    let here = Setting::new([error(403, "QuotaExceed.ShareImageUser"), says(502, "<html>"), throttled]).await;
    let change = RecipientChange { add: recipients(0..1), remove: Vec::new() };
    for wanted in [
        Fault::QuotaExceeded { quota: Quota::RecipientsPerImage },
        Fault::Unavailable,
        Fault::Throttled { retry_after: Some(Duration::from_millis(1500)) },
    ] {
        assert_eq!(here.cloud.change_recipients(&image(), &change, Priority::Edit).await, Err(wanted));
    }
    assert_eq!(here.calls(), 3);
    let early = here.cloud.list_recipients(&image(), Priority::Revoke).await;
    assert!(matches!(early, Err(Fault::Throttled { retry_after: Some(_) })), "{early:?}");
    assert_eq!(here.calls(), 3, "nothing is sent before the hint is over");
}

#[tokio::test]
async fn deletion_is_never_forced() {
    let here = Setting::new([says(200, r#"{"RequestId":"R"}"#), error(403, "ImageUseShared")]).await;
    assert_eq!(here.cloud.delete_image(&image()).await, Ok(()));
    let query = pairs(&[("ImageId", "m-2ze1a2b3c4d5e6f7g8h9"), ("RegionId", "cn-beijing")]);
    assert_eq!(here.asked(0), ("DeleteImage".to_owned(), query));
    assert!(matches!(here.cloud.delete_image(&image()).await, Err(Fault::Conflict(_))));
}

#[tokio::test]
async fn identity_and_regions_are_asked_for() {
    let identity = r#"{"RequestId":"R","AccountId":"1000000000000001","Arn":"acs:ram::1:user/x"}"#;
    let regions = r#"{"RequestId":"R","Regions":{"Region":[{"RegionId":"cn-beijing"}]}}"#;
    let here = Setting::new([says(200, identity), says(200, regions)]).await;
    assert_eq!(here.cloud.identity().await, Ok(PrincipalId::parse(ACCOUNT).unwrap()));
    assert_eq!(here.cloud.regions().await, Ok(vec![image().region]));
    assert_eq!(here.asked(0), ("GetCallerIdentity".to_owned(), Vec::new()));
    assert_eq!(here.script.seen.lock().unwrap()[0].headers["x-acs-version"], "2015-04-01");
    assert_eq!(here.asked(1), ("DescribeRegions".to_owned(), Vec::new()));
}

#[tokio::test]
async fn broken_answers_are_unintelligible() {
    let cut = r#"{"RequestId":"R","TotalCount":1,"Accounts":{"Account":[{"AliyunId":"10000"#;
    let here = Setting::new([says(200, cut), says(200, "<html>"), says(200, ""), says(204, "")]).await;
    for _ in 0..4 {
        assert_eq!(here.cloud.list_recipients(&image(), Priority::Edit).await, Err(Fault::Unintelligible));
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Setting::new([says(200, r#"{"RequestId":"R"}"#)]).await;
    let mut away = says(307, "");
    away.headers.push(("location", format!("http://{}/", elsewhere.host)));
    let here = Setting::new([away]).await;
    assert_eq!(here.cloud.delete_image(&image()).await, Err(Fault::Unintelligible));
    assert_eq!((here.calls(), elsewhere.calls()), (1, 0));
}

#[tokio::test]
async fn slow_answer_to_a_write_times_out_as_sent() {
    let mut here = Setting::new([Scripted { hangs: true, ..says(200, "") }]).await;
    let short = TransportSettings { deadline: Duration::from_millis(300), ..TransportSettings::default() };
    here.cloud.client_context = ClientContext::new(short, BudgetSettings::default(), Arc::new(StoppedClock)).unwrap();
    let change = RecipientChange { add: recipients(0..1), remove: Vec::new() };
    let fault = here.cloud.change_recipients(&image(), &change, Priority::Edit).await.unwrap_err();
    let late = Unreachable { host: here.host.clone(), cause: Cause::Timeout, sent: true };
    assert_eq!((fault, here.calls()), (Fault::Unreachable(late), 1));
}

#[tokio::test]
async fn spent_budget_sends_nothing() {
    let here = Setting::new((0..2).map(|_| page(1, 0, []))).await;
    for _ in 0..2 {
        here.cloud.list_recipients(&image(), Priority::Resync).await.unwrap();
    }
    let fault = here.cloud.list_recipients(&image(), Priority::Resync).await.unwrap_err();
    assert!(matches!(fault, Fault::BudgetSpent { .. }));
    assert_eq!(here.calls(), 2);
}

#[tokio::test]
async fn who_claims_an_account_spends_no_call_that_its_owner_proves_it_with() {
    let identity = r#"{"RequestId":"R","AccountId":"1000000000000001","Arn":"acs:ram::1:user/x"}"#;
    let mut here = Setting::new((0..2).map(|_| says(200, identity))).await;
    let one = NonZeroU32::MIN;
    let settings = BudgetSettings {
        per_second: one,
        burst: one,
        longest_wait: Duration::from_millis(20),
        ..BudgetSettings::default()
    };
    here.cloud.client_context.budgets = Arc::new(Budgets::new(settings));
    let owner = here.cloud.client_context.made_for("of the owner");
    here.cloud.client_context = here.cloud.client_context.made_for("of a claimant");
    assert!(here.cloud.identity().await.is_ok());
    assert!(matches!(here.cloud.identity().await, Err(Fault::BudgetSpent { .. })));
    here.cloud.client_context = owner;
    assert!(here.cloud.identity().await.is_ok());
}
