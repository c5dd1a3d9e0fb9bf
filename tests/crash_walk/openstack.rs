//! A real Keystone and Glance: members change one a call, and recipients answer. No journal: Glance itself is asked.

use std::path::Path;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use imageshare_harness::OpenStack;
use imageshare_harness::openstack::{NewImage, Project, REGION};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::world::{Members, Place, RECIPIENTS, Tenant, Testimony, World};

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
        let image = self.cloud.create_image(self.owner()?, &format!("golden-{number}"), NewImage::default()).await?;
        let tenant = |project: &Project| {
            let account = json!({"openstack": {"authURL": self.cloud.auth_url(), "projectID": project.id,
                "interface": "Internal"}});
            let secret = json!({"applicationCredentialID": project.credential_id,
                "applicationCredentialSecret": project.credential_secret});
            Tenant { id: project.id.clone(), account, secret }
        };
        Ok(Place { image, tenants: self.projects.iter().map(tenant).collect() })
    }

    async fn members(&self, place: &Place) -> Result<Option<Members>> {
        if self.cloud.image(self.owner()?, &place.image).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(self.cloud.members(self.owner()?, &place.image).await?.into_iter().collect()))
    }

    /// Each account asks Keystone for a token of its own, and a start for all of them.
    fn is_roomy(&self) -> bool {
        false
    }

    async fn testimony(&self) -> Result<Option<Testimony>> {
        Ok(None)
    }
}
