//! The scenarios' cloud: Huawei Cloud as the simulator has it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::arena::{Arena, Tenant};
use crate::stage::servers;
use crate::support::{self, Player};

const REGION: &str = "cn-north-4";
/// How many tests may play.
pub const ARENAS: u32 = 48;
const TENANTS: u32 = 4;

fn domain(arena: u32, tenant: u32) -> String {
    format!("d0{arena:010x}{tenant:020x}")
}

fn project(arena: u32, tenant: u32) -> String {
    format!("b0{arena:010x}{tenant:020x}")
}

/// Every arena has domains of its own, each with a project in the region and a key.
pub fn world() -> Value {
    let tenants = (0..ARENAS).flat_map(|arena| (0..TENANTS).map(move |tenant| (arena, tenant)));
    let domains: Vec<Value> = tenants
        .map(|(arena, tenant)| {
            json!({"id": domain(arena, tenant), "name": format!("d{arena}-{tenant}"), "site": "China",
                "keys": [{"ak": format!("HWAK{arena:04}{tenant:04}"), "sk": format!("{}{arena}{tenant}", support::SECRET_CANARY)}],
                "projects": [{"id": project(arena, tenant), "region": REGION}]})
        })
        .collect();
    let mut world = support::world_of(ARENAS, 0);
    world["huawei"] = json!({"sites": {"China": [REGION], "International": [REGION]}, "domains": domains});
    world
}

/// One test's domains.
pub struct Huawei {
    player: Player,
}

impl Huawei {
    pub async fn enter() -> Result<Self> {
        Ok(Self { player: Player::enter_on(&servers().await?.stage).await? })
    }

    fn tenant(&self, tenant: u32) -> Tenant {
        let arena = self.player.number;
        let account = json!({"huawei": {"domainID": domain(arena, tenant), "site": "China",
            "credentials": {"secretRef": {"name": "golden"}}, "endpoint": self.player.stage.cloud.huawei()}});
        let secret = BTreeMap::from([
            ("accessKeyID".to_owned(), format!("HWAK{arena:04}{tenant:04}")),
            ("accessKeySecret".to_owned(), format!("{}{arena}{tenant}", support::SECRET_CANARY)),
        ]);
        Tenant { id: project(arena, tenant), account, secret }
    }

    async fn find(&self, image: &str) -> Result<Option<Value>> {
        let world = self.player.stage.cloud.get("/world").await?;
        let images = world["huawei"]["images"].as_array().context("a world has images")?;
        Ok(images.iter().find(|found| found["id"] == image).cloned())
    }
}

#[async_trait]
impl Arena for Huawei {
    fn player(&self) -> &Player {
        &self.player
    }

    fn region(&self) -> &str {
        REGION
    }

    fn owner(&self) -> Tenant {
        self.tenant(0)
    }

    fn receiver(&self, n: usize) -> Tenant {
        self.tenant(u32::try_from(n + 1).unwrap())
    }

    async fn new_image(&self, name: &str) -> Result<String> {
        let (high, low) = (rand::random::<u32>(), rand::random::<u64>() & 0xffff_ffff_ffff);
        let id = format!("{high:08x}-0000-4000-8000-{low:012x}");
        let image = json!({"id": id, "project": self.owner().id, "name": name});
        self.player.stage.cloud.post("/huawei/images", &image).await?;
        Ok(id)
    }

    async fn members(&self, image: &str) -> Result<BTreeMap<String, String>> {
        let found = self.find(image).await?.context("no such image")?;
        let members = found["members"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(members.iter().map(|member| (text(&member["id"]), text(&member["status"]))).collect())
    }

    async fn exists(&self, image: &str) -> Result<bool> {
        Ok(self.find(image).await?.is_some())
    }
}
