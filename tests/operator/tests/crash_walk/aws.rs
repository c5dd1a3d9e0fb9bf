//! AWS as the simulator has it: no answers and no jobs, and copies by token, also of received images.

use std::path::Path;

use anyhow::Result;
use async_trait::async_trait;
use imageshare_harness::Simulator;
use serde_json::{Value, json};

use crate::copies;
use support::crash_walk::world::{Members, PLANS, Place, RECIPIENTS, Tenant, Testimony, World};

const REGION: &str = "eu-west-1";

const ELSEWHERE: &str = "eu-central-1";

/// The shortest.
const COPY_SECONDS: u32 = 1;

/// Tenant 0 is the owner.
fn account(plan: u32, tenant: u32) -> String {
    format!("2{plan:05}{tenant:06}")
}

fn image(plan: u32) -> String {
    format!("ami-{plan:017x}")
}

fn snapshot(plan: u32) -> String {
    format!("snap-{plan:017x}")
}

fn key(plan: u32, tenant: u32) -> (String, String) {
    (format!("AKIAPLAN{plan:04}{tenant:04}"), format!("secret-of-plan-{plan:04}-{tenant:04}"))
}

/// The recipients may make volumes of the snapshots: without, they could not copy what they receive.
fn world() -> Value {
    let tenants = (0..PLANS).flat_map(|plan| (0..=RECIPIENTS).map(move |tenant| (plan, tenant)));
    let accounts = tenants.map(|(plan, tenant)| {
        let (id, secret) = key(plan, tenant);
        json!({"id": account(plan, tenant), "keys": [{"id": id, "secret": secret}]})
    });
    let snapshots = (0..PLANS).map(|plan| {
        let recipients: Vec<String> = (1..=RECIPIENTS).map(|tenant| account(plan, tenant)).collect();
        json!({"id": snapshot(plan), "region": REGION, "owner": account(plan, 0), "sharedWith": recipients})
    });
    let images = (0..PLANS).map(|plan| {
        json!({"id": image(plan), "region": REGION, "owner": account(plan, 0), "name": "golden",
            "snapshots": [snapshot(plan)]})
    });
    json!({"regions": ["cn-hangzhou"], "accounts": [], "images": [], "aws": {
        "regions": ["us-east-1", REGION, ELSEWHERE], "rules": {"copySeconds": COPY_SECONDS},
        "accounts": accounts.collect::<Vec<_>>(), "snapshots": snapshots.collect::<Vec<_>>(),
        "images": images.collect::<Vec<_>>(),
    }})
}

pub(crate) struct Aws(Simulator, copies::Book);

impl Aws {
    pub(crate) async fn start(run: &Path) -> Result<Self> {
        Ok(Self(Simulator::start(run, &world()).await?, copies::Book::default()))
    }
}

#[async_trait]
impl World for Aws {
    fn address(&self) -> String {
        self.0.aws().to_owned()
    }

    fn region(&self) -> &'static str {
        REGION
    }

    fn kind(&self) -> &'static str {
        "Account"
    }

    fn unheard(&self) -> &'static str {
        ""
    }

    async fn open(&self, number: u32, door: &str) -> Result<Place> {
        let tenant = |n: u32| {
            let ((key, secret), id) = (key(number, n), account(number, n));
            let account = json!({"aws": {"accountID": id, "endpoint": door}});
            let secret = json!({"accessKeyID": key, "secretAccessKey": secret});
            Tenant { id_elsewhere: id.clone(), id, account, secret }
        };
        Ok(Place { image: image(number), tenants: (0..=RECIPIENTS).map(tenant).collect() })
    }

    async fn members(&self, place: &Place) -> Result<Option<Members>> {
        let found = self.0.aws_image(&place.image).await?;
        Ok(found.filter(|found| found["state"] != "deregistered").map(|found| {
            let shared = found["sharedWith"].as_array().cloned().unwrap_or_default();
            shared.iter().map(|id| (id.as_str().unwrap_or("?").to_owned(), String::new())).collect()
        }))
    }

    fn elsewhere(&self) -> &'static str {
        ELSEWHERE
    }

    async fn slow_copies(&self, place: &Place) -> Result<()> {
        self.0.patch(&format!("/aws/images/{}", place.image), &json!({"copySeconds": 600})).await.map(drop)
    }

    async fn copies(&self, place: &Place) -> Result<Value> {
        copies::told(&self.0, &self.1, &place.image).await
    }

    fn made(&self, region: &str, shared: usize) -> Value {
        json!([region, "available", shared])
    }

    async fn testimony(&self) -> Result<Option<Testimony>> {
        Ok(Some(Testimony { journal: self.0.journal(0).await?, owners: world() }))
    }
}
