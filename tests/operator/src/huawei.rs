//! The scenarios' cloud: Huawei Cloud as the simulator has it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::arena::{Arena, Tenant};
use crate::{Player, Stage};

pub const REGION: &str = "cn-north-4";
/// Where every arena's last tenant has a project as well.
pub const OTHER_REGION: &str = "cn-east-3";
/// How many tests may play.
pub const ARENAS: u32 = 80;
/// An owner, three receivers, and one with several projects in an organization.
const TENANTS: u32 = 5;
/// Projects of a domain without a key, for images with many recipients.
pub const CROWD: u32 = 140;
const CROWD_ARENA: u32 = 0xffff;

pub fn domain(arena: u32, tenant: u32) -> String {
    format!("d0{arena:010x}{tenant:020x}")
}

fn project(arena: u32, tenant: u32) -> String {
    format!("b0{arena:010x}{tenant:020x}")
}

fn key(arena: u32, tenant: u32) -> String {
    format!("HWAK{arena:04}{tenant:04}")
}

/// The nth project of the crowd; it owns nothing and answers nothing.
pub fn one_of_the_crowd(n: u32) -> String {
    project(CROWD_ARENA, n)
}

/// The organizational unit that an arena's last tenant is in.
pub fn unit(arena: u32) -> String {
    format!("organizations::{}:ou:o-a{arena}/ou-c{arena}", domain(arena, TENANTS - 1))
}

fn tenant_of_the_world(arena: u32, tenant: u32) -> Value {
    let mut projects = vec![json!({"id": project(arena, tenant), "region": REGION})];
    let mut organizations = Vec::new();
    if tenant == TENANTS - 1 {
        let team = format!("{REGION}_team");
        projects.push(json!({"id": project(arena, TENANTS), "region": REGION, "name": team}));
        projects.push(json!({"id": project(arena, TENANTS + 1), "region": OTHER_REGION}));
        organizations.push(unit(arena));
    }
    let secret = format!("{}{arena}{tenant}", crate::SECRET_CANARY);
    json!({"id": domain(arena, tenant), "name": format!("d{arena}-{tenant}"), "site": "China",
        "keys": [{"ak": key(arena, tenant), "sk": secret}], "users": [{"name": "robot", "password": secret}],
        "projects": projects, "organizations": organizations})
}

/// Every arena has domains of its own, each with a project in the region, a key and a user.
pub fn world() -> Value {
    let tenants = (0..ARENAS).flat_map(|arena| (0..TENANTS).map(move |tenant| (arena, tenant)));
    let mut domains: Vec<Value> = tenants.map(|(arena, tenant)| tenant_of_the_world(arena, tenant)).collect();
    let crowd: Vec<Value> = (0..CROWD).map(|n| json!({"id": one_of_the_crowd(n), "region": REGION})).collect();
    domains.push(json!({"id": domain(CROWD_ARENA, 0), "site": "China", "projects": crowd}));
    let regions = [REGION, OTHER_REGION];
    let mut world = crate::world_of(ARENAS, 0);
    world["huawei"] = json!({"sites": {"China": regions, "International": regions}, "domains": domains});
    world
}

/// One test's domains.
pub struct Huawei {
    player: Player,
}

impl Huawei {
    /// An arena of its own on a stage.
    pub async fn enter_on(stage: &'static Stage) -> Result<Self> {
        Ok(Self { player: Player::enter_on(stage).await? })
    }

    /// Tenant 0 is the owner, 4 the one in an organization.
    pub fn tenant(&self, tenant: u32) -> Tenant {
        let arena = self.player.number;
        let account = json!({"huawei": {"domainID": domain(arena, tenant), "site": "China",
            "credentials": {"secretRef": {"name": "golden"}}, "endpoint": self.player.stage.cloud.huawei()}});
        let secret = BTreeMap::from([
            ("accessKeyID".to_owned(), self.key(tenant)),
            ("accessKeySecret".to_owned(), self.password(tenant)),
        ]);
        Tenant { id: project(arena, tenant), account, secret }
    }

    /// The same, who logs in with a name and a password.
    pub fn user(&self, tenant: u32) -> Tenant {
        let named = format!("d{}-{tenant}", self.player.number);
        let secret = BTreeMap::from([
            ("username".to_owned(), "robot".to_owned()),
            ("password".to_owned(), self.password(tenant)),
            ("userDomainName".to_owned(), named),
        ]);
        Tenant { secret, ..self.tenant(tenant) }
    }

    pub fn key(&self, tenant: u32) -> String {
        key(self.player.number, tenant)
    }

    fn password(&self, tenant: u32) -> String {
        format!("{}{}{tenant}", crate::SECRET_CANARY, self.player.number)
    }

    pub fn domain(&self, tenant: u32) -> String {
        domain(self.player.number, tenant)
    }

    /// The second project in the region of the one in an organization, and its project in another region.
    pub fn further_projects(&self) -> [String; 2] {
        [project(self.player.number, TENANTS), project(self.player.number, TENANTS + 1)]
    }

    pub fn unit(&self) -> String {
        unit(self.player.number)
    }

    /// Puts an image of the owner, changed by `extra`, into the world.
    pub async fn image_with(&self, extra: Value) -> Result<String> {
        let (high, low) = (rand::random::<u32>(), rand::random::<u64>() & 0xffff_ffff_ffff);
        let id = format!("{high:08x}-0000-4000-8000-{low:012x}");
        let mut image = json!({"id": id, "project": self.tenant(0).id, "name": "golden"});
        for (field, value) in extra.as_object().context("an image is an object")? {
            image[field] = value.clone();
        }
        self.player.stage.cloud.post("/huawei/images", &image).await?;
        Ok(id)
    }

    async fn find(&self, image: &str) -> Result<Value> {
        self.player.stage.cloud.get(&format!("/huawei/images/{image}")).await
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
        self.image_with(json!({"name": name})).await
    }

    async fn members(&self, image: &str) -> Result<BTreeMap<String, String>> {
        let found = self.find(image).await?;
        let members = found["members"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(members.iter().map(|member| (text(&member["id"]), text(&member["status"]))).collect())
    }

    async fn exists(&self, image: &str) -> Result<bool> {
        match self.find(image).await {
            Ok(_) => Ok(true),
            Err(error) if error.to_string().contains("404") => Ok(false),
            Err(error) => Err(error),
        }
    }
}
