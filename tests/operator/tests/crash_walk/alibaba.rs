//! Alibaba Cloud as the simulator has it.

use std::path::Path;

use anyhow::Result;
use async_trait::async_trait;
use imageshare_harness::Simulator;
use serde_json::{Value, json};

use crate::copies;
use support::crash_walk::world::{Members, PLANS, Place, RECIPIENTS, Tenant, Testimony, World};

const REGION: &str = "cn-hangzhou";

const ELSEWHERE: &str = "cn-hongkong";

/// The shortest.
const COPY_SECONDS: u32 = 1;

/// Tenant 0 is the owner.
fn account(plan: u32, tenant: u32) -> String {
    format!("{}0000000{plan:04}{tenant:04}", if tenant == 0 { 2 } else { 1 })
}

fn image(plan: u32) -> String {
    format!("m-bp1plan{plan:04}")
}

fn key(plan: u32, tenant: u32) -> (String, String) {
    (format!("LTAIplan{plan:04}{tenant:04}"), format!("secret-of-plan-{plan:04}-{tenant:04}"))
}

fn world() -> Value {
    let tenants = (0..PLANS).flat_map(|plan| (0..=RECIPIENTS).map(move |tenant| (plan, tenant)));
    let accounts = tenants.map(|(plan, tenant)| {
        let (id, secret) = key(plan, tenant);
        json!({"id": account(plan, tenant), "site": "International", "keys": [{"id": id, "secret": secret}]})
    });
    let images = (0..PLANS).map(|plan| json!({"id": image(plan), "region": REGION, "owner": account(plan, 0)}));
    json!({
        "regions": [REGION, ELSEWHERE], "rules": {"copySeconds": COPY_SECONDS},
        "accounts": accounts.collect::<Vec<_>>(),
        "images": images.collect::<Vec<_>>(),
    })
}

pub(crate) struct Alibaba(Simulator, copies::Book);

impl Alibaba {
    pub(crate) async fn start(run: &Path) -> Result<Self> {
        Ok(Self(Simulator::start(run, &world()).await?, copies::Book::default()))
    }
}

#[async_trait]
impl World for Alibaba {
    fn address(&self) -> String {
        self.0.cloud().to_owned()
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
            let account = json!({"alibaba": {"accountID": id, "site": "International", "endpoint": door}});
            let secret = json!({"accessKeyID": key, "accessKeySecret": secret});
            Tenant { id_elsewhere: id.clone(), id, account, secret }
        };
        Ok(Place { image: image(number), tenants: (0..=RECIPIENTS).map(tenant).collect() })
    }

    async fn members(&self, place: &Place) -> Result<Option<Members>> {
        Ok(self.0.image(&place.image).await?.map(|found| {
            let shared = found["sharedWith"].as_array().cloned().unwrap_or_default();
            shared.iter().map(|id| (id.as_str().unwrap_or("?").to_owned(), String::new())).collect()
        }))
    }

    fn elsewhere(&self) -> &'static str {
        ELSEWHERE
    }

    async fn slow_copies(&self, place: &Place) -> Result<()> {
        self.0.patch(&format!("/images/{}", place.image), &json!({"copySeconds": 600})).await.map(drop)
    }

    async fn copies(&self, place: &Place) -> Result<Value> {
        copies::told(&self.0, &self.1, &place.image).await
    }

    fn made(&self, region: &str, shared: usize) -> Value {
        json!([region, "Available", shared])
    }

    async fn testimony(&self) -> Result<Option<Testimony>> {
        Ok(Some(Testimony { journal: self.0.journal(0).await?, owners: world() }))
    }
}
