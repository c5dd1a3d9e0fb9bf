//! The clients alone: what passes the rule, and what a cloud may answer to lead them elsewhere.

use std::sync::Arc;
use std::time::Duration;

use imageshare_operator::clouds::budget::BudgetSettings;
use imageshare_operator::clouds::clock::SystemClock;
use imageshare_operator::clouds::connect::{
    self, AlibabaAccess, AwsAccess, ClientContext, HuaweiAccess, OpenStackAccess,
};
use imageshare_operator::clouds::endpoint_rule::{AllowedEndpoints, CheckedEndpoint};
use imageshare_operator::clouds::transport::TransportSettings;
use imageshare_operator::clouds::{Cloud, ImageRef, Priority, RecipientChange, alibaba, aws, huawei, openstack};
use imageshare_operator::domain::aws::Partition;
use imageshare_operator::domain::identifiers::{ImageId, PrincipalId, Recipient, RecipientKind, RegionId};
use imageshare_operator::domain::provider::{Provider, Site};
use serde_json::json;

use crate::tricks;
use support::door::{Door, answer};

const PROVIDERS: [Provider; 4] = [Provider::Alibaba, Provider::Huawei, Provider::OpenStack, Provider::Aws];
const PROJECT: &str = "a0000000000000000000000000000001";
const IMAGE: &str = "d164b5df-1bc3-4c3f-893e-3e471fd16e64";

fn edge() -> ClientContext {
    let settings = TransportSettings { deadline: Duration::from_secs(5), ..TransportSettings::default() };
    ClientContext::new(settings, BudgetSettings::default(), Arc::new(SystemClock)).unwrap()
}

fn cloud(provider: Provider, endpoint: CheckedEndpoint, allowed: &AllowedEndpoints) -> Arc<dyn Cloud> {
    let party = |id: &str| PrincipalId::parse(id).unwrap();
    match provider {
        Provider::Alibaba => {
            let credentials = alibaba::Credentials::parse("LTAIdoor", "CanaryOfTheDoor", None).unwrap().into();
            let account = party("2000000000000001");
            connect::alibaba(
                AlibabaAccess { account, endpoints: alibaba::Endpoints::all_at(endpoint), credentials },
                &edge(),
            )
        }
        Provider::Huawei => {
            let credentials = huawei::Credentials::access_key("HWDOOR", "CanaryOfTheDoor", None).unwrap();
            let (domain, site, projects) = (party("d0000000000000000000000000000001"), Site::China, Vec::new());
            let endpoints = huawei::Endpoints::all_at(endpoint);
            connect::huawei(HuaweiAccess { domain, site, projects, endpoints, credentials }, &edge())
        }
        Provider::OpenStack => {
            let access = OpenStackAccess {
                project: party(PROJECT),
                auth_url: endpoint,
                interface: openstack::Interface::Public,
                image: None,
                allowed: allowed.clone(),
                credentials: openstack::Credentials::application("id", "CanaryOfTheDoor").unwrap(),
            };
            connect::openstack(access, &edge())
        }
        Provider::Aws => {
            let access = AwsAccess {
                account: party("123456789012"),
                partition: Partition::Commercial,
                home_region: RegionId::parse("us-east-1").unwrap(),
                fips: false,
                dual_stack: false,
                endpoint: Some(endpoint),
                credentials: aws::Credentials::parse("AKIADOOR", "CanaryOfTheDoor", None).unwrap().into(),
            };
            connect::aws(access, &edge())
        }
    }
}

/// Everything that a look around asks; what comes of it does not matter here.
async fn ask(cloud: &dyn Cloud, region: &str) {
    let at = ImageRef { region: RegionId::parse(region).unwrap(), image: ImageId::parse(IMAGE).unwrap() };
    let add = vec![Recipient { kind: RecipientKind::Project, id: PrincipalId::parse(PROJECT).unwrap() }];
    let lane = Priority::Edit;
    drop(cloud.identity().await);
    drop(cloud.regions().await);
    drop(cloud.observe_image(&at, lane).await);
    drop(cloud.list_recipients(&at, lane).await);
    drop(cloud.list_received(&at.region, lane).await);
    drop(cloud.list_own(&at.region, lane).await);
    drop(cloud.change_recipients(&at, &RecipientChange { add, remove: Vec::new() }, lane).await);
}

#[tokio::test]
async fn no_trick_passes_the_rule_and_no_client_calls_where_it_leads() {
    let (own, forbidden) = (Door::open(|_| answer(404, "", "{}")), Door::forbidden());
    let allowed = AllowedEndpoints::parse(&[own.url()]).unwrap();
    for trick in tricks::all(forbidden.address.port(), &own.address.to_string()) {
        for provider in PROVIDERS {
            for checked in [allowed.check(provider, &trick), allowed.check_service(provider, &trick)] {
                // Were one let through, it would show where it leads to.
                let Ok(endpoint) = checked else { continue };
                ask(cloud(provider, endpoint.clone(), &allowed).as_ref(), "cn-hangzhou").await;
                panic!("{trick:?} passes for {} of {provider}", endpoint.url());
            }
        }
    }
    assert_eq!(forbidden.visits(), Vec::<String>::new());
    forbidden.counts();
}

#[tokio::test]
async fn no_answer_leads_a_client_elsewhere() {
    let forbidden = Door::forbidden();
    let to = forbidden.url();
    for status in [200, 201, 300, 301, 302, 303, 305, 307, 308, 401, 421, 426, 503] {
        let headers = format!(
            "location: {to}/\r\ncontent-location: {to}/\r\nrefresh: 0; url={to}/\r\nlink: <{to}/>; rel=next\r\n\
             alt-svc: h2=\"{}\"\r\nx-subject-token: t\r\n",
            forbidden.address
        );
        let door = Door::open(move |_| answer(status, &headers, "{}"));
        let allowed = AllowedEndpoints::parse(&[door.url()]).unwrap();
        for provider in PROVIDERS {
            let before = door.visits().len();
            let endpoint = allowed.check(provider, &door.url()).unwrap();
            ask(cloud(provider, endpoint, &allowed).as_ref(), "cn-hangzhou").await;
            assert!(door.visits().len() > before, "{provider} was not asked at all");
        }
    }
    assert_eq!(forbidden.visits(), Vec::<String>::new());
    forbidden.counts();
}

/// Links to further pages lead elsewhere: what they ask for is asked at the cloud itself.
#[tokio::test]
async fn no_link_to_a_next_page_leads_a_client_elsewhere() {
    let forbidden = Door::forbidden();
    let to = forbidden.url();
    let door = Door::open(move |request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let endpoint = json!({"interface": "public", "region_id": "Here", "url": format!("http://{host}")});
        let token = json!({"issued_at": "2026-11-22T05:10:07Z", "expires_at": "2036-11-22T05:10:07Z",
            "project": {"id": PROJECT}, "catalog": [{"type": "image", "endpoints": [endpoint]}]});
        let project = json!({"id": PROJECT, "name": "cn-north-4"});
        let mut body = json!({"token": token, "domains": [{"id": "d0000000000000000000000000000001"}], "projects": [project],
            "links": {"next": format!("{to}/v3/projects?page=2")}, "next": format!("{to}/v2/images?marker={IMAGE}"),
            "images": [], "members": [], "page_info": {"next_marker": to}});
        if request.contains("page=2") || request.contains("marker=") {
            (body["links"], body["next"], body["page_info"]) = (json!({}), json!(null), json!({}));
        }
        let status = if request.starts_with("POST") { 201 } else { 200 };
        answer(status, "x-subject-token: t\r\n", &body.to_string())
    });
    let allowed = AllowedEndpoints::parse(&[door.url()]).unwrap();
    for (provider, region, page) in
        [(Provider::Huawei, "cn-north-4", "page=2"), (Provider::OpenStack, "Here", "marker=d164b5df")]
    {
        let endpoint = allowed.check(provider, &door.url()).unwrap();
        ask(cloud(provider, endpoint, &allowed).as_ref(), region).await;
        assert!(door.visits().iter().any(|line| line.contains(page)), "no page was followed: {:?}", door.visits());
    }
    assert_eq!(forbidden.visits(), Vec::<String>::new());
    forbidden.counts();
}
