//! A real Keystone and Glance: members change one a call, and recipients answer. No journal: Glance itself is asked.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use imageshare_harness::OpenStack;
use imageshare_harness::openstack::{NewImage, Project, REGION};
use imageshare_harness::proxy::{Deed as Fault, Rule, Which};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use support::crash_walk::world::{Members, Place, RECIPIENTS, Tenant, Testimony, World};

/// The owner and its recipients are the same on every plan, since projects are dear; each plan has an image of its own.
pub(crate) struct Glance {
    cloud: OpenStack,
    projects: Vec<Project>,
    /// Whether the catalogue leads to the proxy yet: its entry for `internal`, which the accounts name.
    led: OnceCell<()>,
}

impl Glance {
    pub(crate) async fn start(run: &Path) -> Result<Self> {
        let cloud = OpenStack::start(run).await?;
        let mut projects = Vec::new();
        for n in 0..=RECIPIENTS {
            projects.push(cloud.create_project(&format!("tenant-{n}")).await?);
        }
        Ok(Self { cloud, projects, led: OnceCell::new() })
    }

    fn owner(&self) -> Result<&Project> {
        self.projects.first().context("there is an owner")
    }
}

#[async_trait]
impl World for Glance {
    fn address(&self) -> String {
        self.cloud.image_url().to_owned()
    }

    fn besides(&self) -> Vec<String> {
        vec![self.cloud.identity_url().to_owned()]
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
        self.led.get_or_try_init(async || self.cloud.lead_internal_to(door).await).await?;
        // A copy keeps its properties: the plan's number tells whose it is.
        let of_plan = NewImage { fields: json!({"plan": number.to_string()}), ..NewImage::default() };
        let image = self.cloud.create_image(self.owner()?, &format!("golden-{number}"), of_plan).await?;
        let tenant = |project: &Project| {
            let account = json!({"openstack": {"authURL": self.cloud.auth_url(), "projectID": project.id,
                "interface": "Internal"}});
            let secret = json!({"applicationCredentialID": project.credential_id,
                "applicationCredentialSecret": project.credential_secret});
            Tenant { id: project.id.clone(), id_elsewhere: project.id.clone(), account, secret }
        };
        Ok(Place { image, tenants: self.projects.iter().map(tenant).collect() })
    }

    async fn members(&self, place: &Place) -> Result<Option<Members>> {
        if self.cloud.image(self.owner()?, &place.image).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(self.cloud.members(self.owner()?, &place.image).await?.into_iter().collect()))
    }

    /// Glance forgets what it deleted, and a copy whose writer died may have been begun anew: one is said to be begun where
    /// any are left.
    async fn copies(&self, place: &Place) -> Result<Value> {
        let source = self.cloud.image(self.owner()?, &place.image).await?.context("the source is there")?;
        let mut all = serde_json::Map::new();
        for project in &self.projects {
            for copy in self.cloud.images_of(project).await? {
                let name = copy["name"].as_str().context("a name")?.to_owned();
                if copy["plan"] != source["plan"] || copy["id"] == source["id"] {
                    continue;
                }
                ensure!(copy["os_hash_value"] == source["os_hash_value"], "not the source's content: {copy}");
                let shared = self.cloud.members(project, copy["id"].as_str().context("an id")?).await?.len();
                let told = all.entry(name).or_insert_with(|| json!({"begun": 1, "left": []}));
                let left = told["left"].as_array_mut().context("a list")?;
                left.push(json!([copy["status"], shared]));
            }
        }
        Ok(Value::Object(all))
    }

    fn made(&self, _region: &str, shared: usize) -> Value {
        json!(["active", shared])
    }

    fn made_and_gone(&self) -> Option<Value> {
        None
    }

    /// The content's first byte is long on its way to the operator, which writes it into the copy.
    fn halt_of_copies(&self, place: &Place) -> Option<Rule> {
        let content = Which::read().method("GET").path(&format!("/{}/file", place.image));
        Some(Rule::new(content, Fault::HoldAnswer(0)))
    }

    /// Each account asks Keystone for a token of its own, and a start for all of them.
    fn is_roomy(&self) -> bool {
        false
    }

    async fn testimony(&self) -> Result<Option<Testimony>> {
        Ok(None)
    }
}
