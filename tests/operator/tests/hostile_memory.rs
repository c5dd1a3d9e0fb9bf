//! Whatever a cloud answers, it costs bounded memory: the largest answers that are read, of the kinds that cost most, for
//! every question of every cloud, several at once. Measured: the most this process ever held, as the kernel tells it.

use std::num::NonZeroU32;
use std::sync::Arc;

use futures::future::join_all;
use imageshare_operator::clouds::budget::{BudgetSettings, Budgets};
use imageshare_operator::clouds::clock::SystemClock;
use imageshare_operator::clouds::connect::{
    self, AlibabaAccess, AwsAccess, ClientContext, HuaweiAccess, OpenStackAccess,
};
use imageshare_operator::clouds::endpoint_rule::AllowedEndpoints;
use imageshare_operator::clouds::transport::{ANSWER_BYTES_MAX, TransportSettings};
use imageshare_operator::clouds::{Cloud, ImageRef, Priority, alibaba, aws, huawei, openstack};
use imageshare_operator::domain::aws::Partition;
use imageshare_operator::domain::identifiers::{ImageId, PrincipalId, RegionId};
use imageshare_operator::domain::provider::{Provider, Site};
use serde_json::json;
use support::door::{Door, answer};

const PROJECT: &str = "a0000000000000000000000000000001";
const IMAGE: &str = "d164b5df-1bc3-4c3f-893e-3e471fd16e64";

/// Questions asked at once.
const AT_ONCE: usize = 4;

/// What one question may hold at once, in bytes: its answer, and a tree of what it says, whose every value is many times
/// as large as its text.
const EACH_MAX: u64 = 24 * 1024 * 1024;

/// The most memory this process ever held, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// As much of a part as fits between two others.
fn filled(begin: &str, part: &str, end: &str) -> String {
    let room = ANSWER_BYTES_MAX - begin.len() - end.len();
    let parts = part.repeat(room / part.len());
    format!("{begin}{}{end}", parts.trim_end_matches(','))
}

/// The costliest answers: tiny values, tiny rows, rows that are read, one long text, names without end, a tower.
fn bodies() -> Vec<String> {
    let image =
        format!(r#"{{"id":"x","status":"active","visibility":"shared","owner":"{PROJECT}","__imagetype":"shared"}},"#);
    let described = r#"{"ImageId":"m-1","ImageOwnerAlias":"others","Status":"Available"},"#;
    let member = format!(r#"{{"member_id":"m","image_id":"{IMAGE}","status":"pending"}},"#);
    vec![
        filled(r#"{"error_code":["#, "[],", "]}"),
        filled(r#"{"images":["#, "{},", "]}"),
        filled(r#"{"images":["#, &image, "]}"),
        filled(r#"{"members":["#, &member, "]}"),
        filled(r#"{"TotalCount":9,"Images":{"Image":["#, described, "]}}"),
        filled(r#"{"TotalCount":9,"Accounts":{"Account":["#, r#"{"AliyunId":12345},"#, "]}}"),
        filled(r#"{"code":""#, "x", r#""}"#),
        filled("{", r#""":0,"#, "}"),
        filled("", "[", ""),
        filled("<DescribeImagesResponse><imagesSet>", "<item/>", "</imagesSet></DescribeImagesResponse>"),
        filled(
            "<DescribeImageAttributeResponse><launchPermission>",
            "<item><userId>123456789012</userId></item>",
            "</launchPermission></DescribeImageAttributeResponse>",
        ),
        filled("<r>", "<a>&lt;</a>", "</r>"),
        filled("", "<a>", ""),
    ]
}

fn clouds(door: &Door, allowed: &AllowedEndpoints) -> Vec<(Arc<dyn Cloud>, &'static str)> {
    let many = NonZeroU32::new(10_000).unwrap();
    let edge = || {
        let edge =
            ClientContext::new(TransportSettings::default(), BudgetSettings::default(), Arc::new(SystemClock)).unwrap();
        let budgets = BudgetSettings { per_second: many, burst: many, ..BudgetSettings::default() };
        ClientContext { budgets: Arc::new(Budgets::new(budgets)), ..edge }
    };
    let check = |provider| allowed.check(provider, &door.url()).unwrap();
    let party = |id: &str| PrincipalId::parse(id).unwrap();
    let north = RegionId::parse("cn-north-4").unwrap();
    let alibaba = AlibabaAccess {
        account: party("2000000000000001"),
        endpoints: alibaba::Endpoints::all_at(check(Provider::Alibaba)),
        credentials: alibaba::Credentials::parse("LTAIdoor", "secret", None).unwrap().into(),
    };
    let huawei = HuaweiAccess {
        domain: party("d0000000000000000000000000000001"),
        site: Site::China,
        projects: vec![(north, party(PROJECT))],
        endpoints: huawei::Endpoints::all_at(check(Provider::Huawei)),
        credentials: huawei::Credentials::access_key("HWDOOR", "secret", None).unwrap(),
    };
    let openstack = OpenStackAccess {
        project: party(PROJECT),
        auth_url: check(Provider::OpenStack),
        interface: openstack::Interface::Public,
        image: None,
        allowed: allowed.clone(),
        credentials: openstack::Credentials::application("id", "secret").unwrap(),
    };
    let aws = AwsAccess {
        account: party("123456789012"),
        partition: Partition::Commercial,
        home_region: RegionId::parse("us-east-1").unwrap(),
        fips: false,
        dual_stack: false,
        endpoint: Some(check(Provider::Aws)),
        credentials: aws::Credentials::parse("AKIADOOR", "secret", None).unwrap().into(),
    };
    vec![
        (connect::aws(aws, &edge()), "us-east-1"),
        (connect::alibaba(alibaba, &edge()), "cn-hangzhou"),
        (connect::huawei(huawei, &edge()), "cn-north-4"),
        (connect::openstack(openstack, &edge()), "Here"),
    ]
}

async fn ask(cloud: &dyn Cloud, region: &str) {
    let at = ImageRef { region: RegionId::parse(region).unwrap(), image: ImageId::parse(IMAGE).unwrap() };
    drop(cloud.identity().await);
    drop(cloud.regions().await);
    drop(cloud.observe_image(&at, Priority::Edit).await);
    drop(cloud.list_recipients(&at, Priority::Edit).await);
    drop(cloud.list_received(&at.region, Priority::Edit).await);
    drop(cloud.list_own(&at.region, Priority::Edit).await);
    drop(cloud.content_facts(&at, Priority::Edit).await);
}

/// The whole answer of a door: a token where one is asked for, else the body.
fn says(request: &str, status: u16, body: &str) -> String {
    let own = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    if !request.starts_with("POST /v3/auth/tokens") {
        return answer(status, "", body);
    }
    let endpoint = json!({"interface": "public", "region_id": "Here", "url": format!("http://{own}")});
    let token = json!({"issued_at": "2026-11-22T05:10:07Z", "expires_at": "2036-11-22T05:10:07Z",
        "project": {"id": PROJECT}, "catalog": [{"type": "image", "endpoints": [endpoint]}]});
    answer(201, "x-subject-token: t\r\n", &json!({"token": token}).to_string())
}

#[tokio::test]
async fn the_largest_answers_cost_bounded_memory() {
    let before = peak();
    for (number, body) in bodies().into_iter().enumerate() {
        assert!(body.len() > ANSWER_BYTES_MAX - 200 && body.len() <= ANSWER_BYTES_MAX, "{}", body.len());
        // Errors are read as trees; the first body is one that has the most values.
        let statuses = if number == 0 { [200, 400].as_slice() } else { [200].as_slice() };
        for &status in statuses {
            let body = body.clone();
            let door = Door::open(move |request| says(request, status, &body));
            let allowed = AllowedEndpoints::parse(&[door.url()]).unwrap();
            for (cloud, region) in clouds(&door, &allowed) {
                join_all((0..AT_ONCE).map(|_| ask(cloud.as_ref(), region))).await;
            }
            assert!(door.visits().len() > AT_ONCE * 9, "body {number} was hardly asked for");
        }
    }
    let grown = peak() - before;
    println!("{} MiB at most, for {AT_ONCE} questions at once", grown >> 20);
    assert!(grown < AT_ONCE as u64 * EACH_MAX, "{} MiB", grown >> 20);
}
