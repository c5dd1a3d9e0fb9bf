//! The client of `OpenStack` against real Keystone and Glance.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use imageshare_harness::openstack::{Call, NewImage, Project, REGION, Settings};
use imageshare_harness::{OpenStack, run};
use imageshare_operator::clouds::budget::BudgetSettings;
use imageshare_operator::clouds::clock::SystemClock;
use imageshare_operator::clouds::connect::{self, ClientContext, OpenStackAccess};
use imageshare_operator::clouds::endpoint_rule::AllowedEndpoints;
use imageshare_operator::clouds::openstack::{Credentials, Interface};
use imageshare_operator::clouds::transport::TransportSettings;
use imageshare_operator::clouds::{Cloud, Fault, ImageRef, Priority, RecipientChange, Submitted};
use imageshare_operator::domain::fault::{Conflict, Missing, Quota};
use imageshare_operator::domain::identifiers::{ImageId, PrincipalId, Recipient, RecipientKind, RegionId};
use imageshare_operator::domain::image::{Answer, ImageState, Ownership, Reply, Visibility};
use imageshare_operator::domain::provider::Provider;
use serde_json::json;
use tokio::sync::OnceCell;

mod copying;
mod own;
mod received;
mod sharing;
mod tokens;

/// The servers of all tests here: few members and small pages, so that both ends are reached soon.
const SETTINGS: Settings = Settings { image_member_quota: 4, page_limit: 5, token_seconds: 3600, image_threads: 1 };

async fn servers() -> &'static OpenStack {
    static SHARED: OnceCell<OpenStack> = OnceCell::const_new();
    let start = async || OpenStack::start_with(&run::folder_of_this_binary().unwrap(), SETTINGS).await.unwrap();
    SHARED.get_or_init(start).await
}

fn edge() -> ClientContext {
    let many = NonZeroU32::new(10_000).unwrap();
    let budget = BudgetSettings { per_second: many, burst: many, ..BudgetSettings::default() };
    // One thread of Glance's serves all tests at once: how long it takes is not what they are about.
    let patient = TransportSettings { deadline: Duration::from_secs(60), ..TransportSettings::default() };
    ClientContext::new(patient, budget, Arc::new(SystemClock)).unwrap()
}

fn client_with(project: &Project, credentials: Credentials, openstack: &OpenStack) -> Arc<dyn Cloud> {
    let allowed = AllowedEndpoints::parse(&[openstack.identity_url(), openstack.image_url()]).unwrap();
    let access = OpenStackAccess {
        project: PrincipalId::parse(&project.id).unwrap(),
        auth_url: allowed.check_service(Provider::OpenStack, &openstack.auth_url()).unwrap(),
        interface: Interface::Public,
        image: None,
        allowed,
        credentials,
    };
    connect::openstack(access, &edge())
}

fn client(project: &Project, openstack: &OpenStack) -> Arc<dyn Cloud> {
    let credentials = Credentials::application(&project.credential_id, &project.credential_secret).unwrap();
    client_with(project, credentials, openstack)
}

fn at(image: &str) -> ImageRef {
    ImageRef { region: RegionId::parse(REGION).unwrap(), image: ImageId::parse(image).unwrap() }
}

fn recipient(id: &str) -> Recipient {
    Recipient { kind: RecipientKind::Project, id: PrincipalId::parse(id).unwrap() }
}

async fn share(cloud: &Arc<dyn Cloud>, image: &str, id: &str) -> Result<Submitted, Fault> {
    let change = RecipientChange { add: vec![recipient(id)], remove: Vec::new() };
    cloud.change_recipients(&at(image), &change, Priority::Edit).await
}

async fn unshare(cloud: &Arc<dyn Cloud>, image: &str, id: &str) -> Result<Submitted, Fault> {
    let change = RecipientChange { add: Vec::new(), remove: vec![recipient(id)] };
    cloud.change_recipients(&at(image), &change, Priority::Revoke).await
}

async fn accept(cloud: &Arc<dyn Cloud>, image: &str) -> Result<Submitted, Fault> {
    cloud.answer(&at(image), &Reply::Accept { vault: None }, Priority::Acceptance).await
}

async fn reject(cloud: &Arc<dyn Cloud>, image: &str) -> Result<Submitted, Fault> {
    cloud.answer(&at(image), &Reply::Reject, Priority::Acceptance).await
}

/// The client's calls with this method and a path that holds this.
fn count(calls: &[Call], method: &str, part: &str) -> usize {
    let fits = |call: &&Call| call.method == method && call.path.contains(part);
    calls.iter().filter(fits).filter(|call| call.agent.starts_with("imageshare-operator/")).count()
}
