//! Tests the client with a server that returns scripted answers and records the requests.

mod copyable;
mod copying;
mod encrypted;
mod golden;
mod own;
mod received;
mod roles;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clouds::budget::{BudgetSettings, Budgets};
use crate::clouds::clock::Clock;
use crate::clouds::endpoint_rule::AllowedEndpoints;
use crate::clouds::scripted::{Script, Scripted, Seen, StoppedClock, says};
use crate::clouds::transport::TransportSettings;
use crate::domain::fault::Quota;

const ACCOUNT: &str = "123456789012";
const IMAGE: &str = "ami-0123456789abcdef0";
const ORGANIZATION: &str = "arn:aws:organizations::111122223333:organization/o-abcdefghij";

/// The answer to a call, with this content.
fn answers(action: &str, content: &str) -> Scripted {
    says(
        200,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
             <requestId>r</requestId>{content}</{action}Response>"
        ),
    )
}

fn error(status: u16, code: &str, message: &str) -> Scripted {
    says(
        status,
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
             <RequestID>r</RequestID></Response>"
        ),
    )
}

fn permissions(rows: &str) -> Scripted {
    let content = format!("<imageId>{IMAGE}</imageId><launchPermission>{rows}</launchPermission>");
    answers("DescribeImageAttribute", &content)
}

fn row(id: &str, owner: &str, state: &str, more: &str) -> String {
    format!(
        "<item><imageId>{id}</imageId><imageOwnerId>{owner}</imageOwnerId><imageState>{state}</imageState>\
         <name>golden</name>{more}</item>"
    )
}

fn images(rows: &str, token: &str) -> Scripted {
    answers("DescribeImages", &format!("<imagesSet>{rows}</imagesSet><nextToken>{token}</nextToken>"))
}

fn done(action: &str) -> Scripted {
    answers(action, "<return>true</return>")
}

struct Setting {
    cloud: AwsCloud,
    script: Script,
    host: String,
}

impl Setting {
    async fn new(answers: impl IntoIterator<Item = Scripted>) -> Self {
        let credentials = Credentials::parse("AKIDEXAMPLE", "testSecretAccessKey", None).unwrap();
        Self::with(credentials.into(), answers).await
    }

    async fn with(credentials: KeySource<Credentials>, answers: impl IntoIterator<Item = Scripted>) -> Self {
        let (script, host) = Script::start(answers).await;

        let origin = format!("http://{host}");
        let allowed = AllowedEndpoints::parse(&[&origin]).unwrap();
        let access = AwsAccess {
            account: PrincipalId::parse(ACCOUNT).unwrap(),
            partition: Partition::Commercial,
            home_region: RegionId::parse("us-east-1").unwrap(),
            fips: false,
            dual_stack: false,
            endpoint: Some(allowed.check(Provider::Aws, &origin).unwrap()),
            credentials,
        };
        let transport = TransportSettings { deadline: Duration::from_secs(10), ..TransportSettings::default() };
        let client_context = ClientContext::new(transport, BudgetSettings::default(), Arc::new(StoppedClock)).unwrap();
        Self { cloud: AwsCloud::new(access, &client_context), script, host }
    }

    fn calls(&self) -> usize {
        self.script.calls()
    }

    /// The form of one call.
    fn asked(&self, call: usize) -> Vec<(String, String)> {
        let seen = self.script.seen.lock().unwrap();
        let form = std::str::from_utf8(&seen[call].body).unwrap();
        Url::parse(&format!("http://localhost/?{form}")).unwrap().query_pairs().into_owned().collect()
    }
}

fn region(name: &str) -> RegionId {
    RegionId::parse(name).unwrap()
}

fn image() -> ImageRef {
    ImageRef { region: region("eu-west-1"), image: ImageId::parse(IMAGE).unwrap() }
}

fn recipient(number: u64) -> Recipient {
    let id = PrincipalId::parse(&format!("{:012}", 200_000_000_000 + number)).unwrap();
    Recipient { kind: RecipientKind::Account, id }
}

fn organization(id: &str) -> Recipient {
    Recipient { kind: RecipientKind::Organization, id: PrincipalId::parse(id).unwrap() }
}

fn recipients(numbers: impl IntoIterator<Item = u64>) -> Vec<Recipient> {
    numbers.into_iter().map(recipient).collect()
}

/// A form with the action's version before it.
fn form(action: &str, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let first = [("Action", action), ("Version", "2016-11-15")];
    first.iter().chain(pairs).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn request_carries_the_signature_of_what_is_sent() {
    let here = Setting::new([permissions("")]).await;
    here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();

    let wanted = form("DescribeImageAttribute", &[("ImageId", IMAGE), ("Attribute", "launchPermission")]);
    assert_eq!(here.asked(0), wanted);
    let seen = here.script.seen.lock().unwrap();
    let Seen { method, headers, body, .. } = &seen[0];
    assert_eq!(method, Method::POST);
    for (name, value) in [
        ("host", here.host.as_str()),
        ("content-type", CONTENT_TYPE),
        ("x-amz-date", "20240506T070809Z"),
        ("content-length", &body.len().to_string()),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let credentials = Credentials::parse("AKIDEXAMPLE", "testSecretAccessKey", None).unwrap();
    let url = Url::parse(&format!("http://{}/", here.host)).unwrap();
    let unsigned = Unsigned { url: &url, host: &here.host, region: "eu-west-1", service: "ec2", body };
    let signed = sign(&unsigned, &credentials, StoppedClock.now()).unwrap();
    let authorization = &signed.iter().find(|(name, _)| *name == "authorization").unwrap().1;
    assert_eq!(headers["authorization"], authorization.as_str());
    assert!(authorization.contains("SignedHeaders=content-type;host;x-amz-date,"), "{authorization}");
}

#[tokio::test]
async fn all_recipients_come_in_one_complete_answer() {
    let rows = format!(
        "<item><userId>{}</userId></item><item><organizationArn>{ORGANIZATION}</organizationArn></item>\
         <item><group>all</group></item><item><userId>{0}</userId></item>",
        recipient(1).id
    );
    let here = Setting::new([permissions(&rows), permissions("")]).await;
    let list = here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();
    let wanted = [recipient(1), organization(ORGANIZATION), organization("all")];
    assert_eq!(list, RecipientList { recipients: wanted.map(|found| (found, None)).into(), complete: true });
    let list = here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap();
    assert_eq!(list, RecipientList { recipients: BTreeMap::new(), complete: true });
}

#[tokio::test]
async fn one_image_is_asked_for_in_any_state_and_of_any_owner() {
    let answers = [
        images(&row(IMAGE, "210987654321", "available", ""), ""),
        images("", ""),
        error(400, "InvalidAMIID.NotFound", "The image id '[ami-0123456789abcdef0]' does not exist"),
        error(400, "InvalidAMIID.Malformed", "Invalid id"),
        images(&row(IMAGE, ACCOUNT, "deregistered", ""), ""),
        images(&row("ami-0fedcba9876543210", ACCOUNT, "available", ""), ""),
    ];
    let here = Setting::new(answers).await;
    let facts = here.cloud.observe_image(&image(), Priority::Resync).await.unwrap().unwrap();
    assert_eq!(facts.ownership, Ownership::Received { owner: Some(PrincipalId::parse("210987654321").unwrap()) });
    let wanted =
        form("DescribeImages", &[("ImageId.1", IMAGE), ("IncludeDeprecated", "true"), ("IncludeDisabled", "true")]);
    assert_eq!(here.asked(0), wanted);
    for _ in 0..4 {
        assert_eq!(here.cloud.observe_image(&image(), Priority::Edit).await, Ok(None));
    }
    assert_eq!(here.cloud.observe_image(&image(), Priority::Edit).await, Err(Fault::Unintelligible));
}

#[tokio::test]
async fn additions_and_removals_go_in_one_numbered_call() {
    let here = Setting::new([done("ModifyImageAttribute")]).await;
    let mut add = recipients(1..=2);
    add.push(organization(ORGANIZATION));
    let change = RecipientChange { add, remove: vec![recipient(3), organization("all")] };
    assert_eq!(here.cloud.change_recipients(&image(), &change, Priority::Edit).await, Ok(Submitted::Done));
    let wanted = form(
        "ModifyImageAttribute",
        &[
            ("ImageId", IMAGE),
            ("LaunchPermission.Add.1.UserId", "200000000001"),
            ("LaunchPermission.Add.2.UserId", "200000000002"),
            ("LaunchPermission.Add.3.OrganizationArn", ORGANIZATION),
            ("LaunchPermission.Remove.1.UserId", "200000000003"),
            ("LaunchPermission.Remove.2.Group", "all"),
        ],
    );
    assert_eq!(here.asked(0), wanted);
}

#[tokio::test]
async fn fifty_accounts_are_one_call_and_five_hundred_still_are() {
    let here = Setting::new((0..2).map(|_| done("ModifyImageAttribute"))).await;
    for count in [50, 500] {
        let change = RecipientChange { add: recipients(0..count), remove: Vec::new() };
        assert_eq!(here.cloud.change_recipients(&image(), &change, Priority::Edit).await, Ok(Submitted::Done));
    }
    assert_eq!((here.calls(), here.asked(1).len()), (2, 503));
    let shape = here.cloud.call_shape();
    assert_eq!((shape.recipients, shape.both_ways), (500, true));
}

#[tokio::test]
async fn changes_that_the_vendor_does_not_define_are_refused_before_anything_is_sent() {
    let here = Setting::new([]).await;
    for change in [
        RecipientChange { add: recipients(0..501), remove: Vec::new() },
        RecipientChange { add: Vec::new(), remove: recipients(0..501) },
        RecipientChange { add: recipients(0..2), remove: recipients(1..3) },
    ] {
        let fault = here.cloud.change_recipients(&image(), &change, Priority::Edit).await.unwrap_err();
        assert!(matches!(fault, Fault::Refused { .. }));
    }
    let nothing = here.cloud.change_recipients(&image(), &RecipientChange::default(), Priority::Edit).await;
    assert_eq!((nothing, here.calls()), (Ok(Submitted::Done), 0));
}

#[tokio::test]
async fn errors_of_the_vendor_are_read_by_code_and_calls_are_made_once() {
    let mut throttled = error(503, "RequestLimitExceeded", "Request limit exceeded.");
    throttled.headers.push(("x-amz-retry-after", "1500".to_owned()));
    let full = error(400, "ResourceLimitExceeded", "You have reached your quota");
    let here = Setting::new([full, says(502, "<html>"), throttled, permissions("")]).await;
    let change = RecipientChange { add: recipients(0..1), remove: Vec::new() };
    for wanted in [
        Fault::QuotaExceeded { quota: Quota::RecipientsPerImage },
        Fault::Unavailable,
        Fault::Throttled { retry_after: Some(Duration::from_millis(1500)) },
    ] {
        assert_eq!(here.cloud.change_recipients(&image(), &change, Priority::Edit).await, Err(wanted));
    }
    let early = here.cloud.change_recipients(&image(), &change, Priority::Revoke).await;
    assert!(matches!(early, Err(Fault::Throttled { retry_after: Some(_) })), "{early:?}");
    assert_eq!(here.calls(), 3, "nothing is sent before the hint is over");
    // The vendor counts each API by itself.
    assert!(here.cloud.list_recipients(&image(), Priority::Edit).await.is_ok());
}

#[tokio::test]
async fn deletion_leaves_snapshots_and_is_never_forced() {
    let protected = error(400, "OperationNotPermitted", "deregistration protection is enabled");
    let here = Setting::new([done("DeregisterImage"), protected]).await;
    assert_eq!(here.cloud.delete_image(&image()).await, Ok(()));
    assert_eq!(here.asked(0), form("DeregisterImage", &[("ImageId", IMAGE)]));
    assert!(matches!(here.cloud.delete_image(&image()).await, Err(Fault::Conflict(_))));
}

#[tokio::test]
async fn identity_and_regions_are_asked_for_in_the_home_region() {
    let identity = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>\
                    </GetCallerIdentityResult></GetCallerIdentityResponse>";
    let regions =
        answers("DescribeRegions", "<regionInfo><item><regionName>eu-west-1</regionName></item></regionInfo>");
    let here = Setting::new([says(200, identity), regions]).await;
    assert_eq!(here.cloud.identity().await, Ok(PrincipalId::parse(ACCOUNT).unwrap()));
    assert_eq!(here.cloud.regions().await, Ok(vec![image().region]));
    let version = |call: usize| here.asked(call)[1].1.clone();
    assert_eq!((here.asked(0)[0].1.as_str(), version(0).as_str()), ("GetCallerIdentity", "2011-06-15"));
    assert_eq!(here.asked(1), form("DescribeRegions", &[]));
    let seen = here.script.seen.lock().unwrap();
    for (call, scope) in [(0, "/us-east-1/sts/aws4_request"), (1, "/us-east-1/ec2/aws4_request")] {
        assert!(seen[call].headers["authorization"].to_str().unwrap().contains(scope), "{scope}");
    }
}

#[tokio::test]
async fn credentials_refused_by_a_region_that_is_not_enabled_stay_good() {
    let refused = || error(401, "AuthFailure", "AWS was not able to validate the provided access credentials");
    let regions =
        answers("DescribeRegions", "<regionInfo><item><regionName>eu-west-1</regionName></item></regionInfo>");
    let here = Setting::new([refused(), regions, refused(), refused()]).await;
    let unauthenticated = Fault::Unauthenticated { code: "AuthFailure".to_owned() };
    let elsewhere = ImageRef { region: region("af-south-1"), ..image() };
    // Before the regions are known, nothing else explains the refusal.
    assert_eq!(here.cloud.observe_image(&elsewhere, Priority::Edit).await, Err(unauthenticated.clone()));
    here.cloud.regions().await.unwrap();
    let missing = Fault::NotFound(Missing::Region);
    assert_eq!(here.cloud.observe_image(&elsewhere, Priority::Edit).await, Err(missing));
    assert_eq!(here.cloud.observe_image(&image(), Priority::Edit).await, Err(unauthenticated));
}

#[tokio::test]
async fn list_of_an_image_of_somebody_else_is_forbidden() {
    let here = Setting::new([error(400, "AuthFailure", "Not authorized for image:ami-0123456789abcdef0")]).await;
    let fault = here.cloud.list_recipients(&image(), Priority::Edit).await.unwrap_err();
    assert_eq!(fault, Fault::Forbidden { code: "AuthFailure".to_owned() });
    assert!(!fault.closes_the_account());
}

#[tokio::test]
async fn broken_answers_are_unintelligible() {
    let cut = permissions("<item><userId>123456789013</userId></item>").body;
    let cut = cut[..cut.len() - 40].to_owned();
    let here = Setting::new([says(200, cut), says(200, "<html>"), says(200, ""), says(204, "")]).await;
    for _ in 0..4 {
        assert_eq!(here.cloud.list_recipients(&image(), Priority::Edit).await, Err(Fault::Unintelligible));
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Setting::new([done("DeregisterImage")]).await;
    let mut away = says(307, "");
    away.headers.push(("location", format!("http://{}/", elsewhere.host)));
    let here = Setting::new([away]).await;
    assert_eq!(here.cloud.delete_image(&image()).await, Err(Fault::Unintelligible));
    assert_eq!((here.calls(), elsewhere.calls()), (1, 0));
}

#[tokio::test]
async fn slow_answer_to_a_write_may_have_had_its_effect() {
    let mut here = Setting::new([Scripted { hangs: true, ..says(200, "") }]).await;
    let short = TransportSettings { deadline: Duration::from_millis(300), ..TransportSettings::default() };
    here.cloud.client_context = ClientContext::new(short, BudgetSettings::default(), Arc::new(StoppedClock)).unwrap();
    let change = RecipientChange { add: recipients(0..1), remove: Vec::new() };
    let fault = here.cloud.change_recipients(&image(), &change, Priority::Edit).await.unwrap_err();
    assert!(!fault.certainly_did_nothing(), "{fault}");
    assert_eq!(here.calls(), 1);
}

#[tokio::test]
async fn reads_and_changes_spend_budgets_of_their_own() {
    let mut here = Setting::new([permissions(""), done("ModifyImageAttribute")]).await;
    let one = NonZeroU32::MIN;
    let settings = BudgetSettings {
        per_second: one,
        burst: one,
        longest_wait: Duration::from_millis(20),
        ..BudgetSettings::default()
    };
    here.cloud.client_context.budgets = Arc::new(Budgets::new(settings));
    here.cloud.client_context.changes = Arc::new(Budgets::new(settings));
    let change = RecipientChange { add: recipients(0..1), remove: Vec::new() };
    assert!(here.cloud.list_recipients(&image(), Priority::Edit).await.is_ok());
    assert!(here.cloud.change_recipients(&image(), &change, Priority::Edit).await.is_ok());
    let spent = here.cloud.list_recipients(&image(), Priority::Edit).await;
    assert!(matches!(spent, Err(Fault::BudgetSpent { .. })), "{spent:?}");
    let spent = here.cloud.change_recipients(&image(), &change, Priority::Revoke).await;
    assert!(matches!(spent, Err(Fault::BudgetSpent { .. })), "{spent:?}");
    assert_eq!(here.calls(), 2);
}
