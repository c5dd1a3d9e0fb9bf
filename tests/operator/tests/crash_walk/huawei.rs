//! Huawei Cloud as the simulator has it: members change by jobs, and recipients answer.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use imageshare_harness::{Simulator, eventually};
use serde_json::{Value, json};

use crate::copies;
use support::crash_walk::world::{Members, PLANS, Place, RECIPIENTS, Tenant, Testimony, World};

const REGION: &str = "cn-north-4";

const ELSEWHERE: &str = "cn-south-1";

/// Longer than a killed operator takes to come back: it finds nothing of a copy whose answer was lost, for it is listed
/// only at its end.
const COPY_SECONDS: f64 = 1.0;

/// Long enough that a killed operator often comes back while one is under way.
const JOB_MILLIS: u32 = 600;

fn domain(plan: u32, tenant: u32) -> String {
    format!("d{plan:011x}{tenant:020x}")
}

fn project(plan: u32, tenant: u32) -> String {
    format!("b{plan:011x}{tenant:020x}")
}

/// A tenant's project in the other region.
fn far_project(plan: u32, tenant: u32) -> String {
    format!("c{plan:011x}{tenant:020x}")
}

fn image(plan: u32) -> String {
    format!("{plan:08x}-0000-4000-8000-000000000000")
}

fn key(plan: u32, tenant: u32) -> (String, String) {
    (format!("HWAK{plan:04}{tenant:04}"), format!("secret-of-{plan:04}-{tenant:04}"))
}

fn world() -> Value {
    let tenants = (0..PLANS).flat_map(|plan| (0..=RECIPIENTS).map(move |tenant| (plan, tenant)));
    let domains = tenants.map(|(plan, tenant)| {
        let (ak, sk) = key(plan, tenant);
        json!({"id": domain(plan, tenant), "name": format!("d{plan}-{tenant}"), "site": "China",
            "keys": [{"ak": ak, "sk": sk}], "agencies": [{"name": "copies", "projects": [far_project(plan, tenant)]}],
            "projects": [{"id": project(plan, tenant), "region": REGION},
                {"id": far_project(plan, tenant), "region": ELSEWHERE}]})
    });
    let images = (0..PLANS).map(|plan| json!({"id": image(plan), "project": project(plan, 0), "name": "golden"}));
    json!({"regions": [REGION], "accounts": [], "images": [], "huawei": {
        "rules": {"jobMillis": JOB_MILLIS, "copySeconds": COPY_SECONDS, "copyShownLate": true},
        "sites": {"China": [REGION, ELSEWHERE]},
        "domains": domains.collect::<Vec<_>>(), "images": images.collect::<Vec<_>>(),
    }})
}

pub(crate) struct Huawei(Simulator, copies::Book);

impl Huawei {
    pub(crate) async fn start(run: &Path) -> Result<Self> {
        Ok(Self(Simulator::start(run, &world()).await?, copies::Book::default()))
    }

    /// The next job that adds members to an image takes so much longer.
    pub(crate) async fn slow_addition(&self, place: &Place, millis: u64) -> Result<()> {
        let when = json!({"action": "BatchAddMembers", "image": place.image});
        let fault = json!({"when": when, "count": 1, "then": {"kind": "jobSlow", "millis": millis}});
        self.0.post_fault(&fault).await.map(drop)
    }

    /// Waits until a job added members to an image; gives how many.
    pub(crate) async fn added(&self, place: &Place) -> Result<usize> {
        eventually(Duration::from_secs(10), "a job to add members", async || {
            let journal = self.0.journal(0).await?;
            let done =
                journal.iter().filter(|act| act["action"] == "JobEffect" && act["image"] == place.image.as_str());
            let added: usize = done.filter_map(|act| act["effect"]["added"].as_array().map(Vec::len)).sum();
            Ok((added > 0).then_some(added))
        })
        .await
    }
}

#[async_trait]
impl World for Huawei {
    fn address(&self) -> String {
        self.0.huawei().to_owned()
    }

    fn region(&self) -> &'static str {
        REGION
    }

    fn kind(&self) -> &'static str {
        "Project"
    }

    fn unheard(&self) -> &'static str {
        "pending"
    }

    async fn open(&self, number: u32, door: &str) -> Result<Place> {
        let tenant = |n: u32| {
            let ((id, secret), projects) =
                (key(number, n), json!([{"region": REGION, "projectID": project(number, n)}]));
            let account = json!({"huawei":
                {"domainID": domain(number, n), "site": "China", "endpoint": door, "projects": projects}});
            let secret = json!({"accessKeyID": id, "accessKeySecret": secret});
            Tenant { id: project(number, n), id_elsewhere: far_project(number, n), account, secret }
        };
        Ok(Place { image: image(number), tenants: (0..=RECIPIENTS).map(tenant).collect() })
    }

    async fn members(&self, place: &Place) -> Result<Option<Members>> {
        Ok(self.0.huawei_image(&place.image).await?.map(|found| {
            let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
            let members = found["members"].as_array().cloned().unwrap_or_default();
            members.iter().map(|member| (text(&member["id"]), text(&member["status"]))).collect()
        }))
    }

    fn elsewhere(&self) -> &'static str {
        ELSEWHERE
    }

    fn across(&self) -> Value {
        json!({"agencyName": "copies"})
    }

    /// They can only be waited for.
    async fn slow_copies(&self, place: &Place) -> Result<()> {
        self.0.patch(&format!("/huawei/images/{}", place.image), &json!({"copySeconds": 4})).await.map(drop)
    }

    async fn copies(&self, place: &Place) -> Result<Value> {
        copies::told(&self.0, &self.1, &place.image).await
    }

    fn made(&self, region: &str, shared: usize) -> Value {
        json!([region, "active", shared])
    }

    async fn testimony(&self) -> Result<Option<Testimony>> {
        Ok(Some(Testimony { journal: self.0.journal(0).await?, owners: world() }))
    }
}
