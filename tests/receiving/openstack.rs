//! The scenarios' cloud: a real Keystone and Glance.

use std::collections::BTreeMap;

use anyhow::Result;
use async_trait::async_trait;
use imageshare_harness::OpenStack;
use imageshare_harness::openstack::{NewImage, Project, REGION};
use serde_json::json;

use crate::arena::{Arena, Tenant};
use crate::stage::servers;
use crate::support::Player;

/// One test's projects.
pub struct Glance {
    player: Player,
    cloud: &'static OpenStack,
    projects: Vec<Project>,
}

impl Glance {
    pub async fn enter() -> Result<Self> {
        let servers = servers().await?;
        let player = Player::enter_on(&servers.stage).await?;
        let mut projects = Vec::new();
        for n in 0..4 {
            projects.push(servers.openstack.create_project(&format!("arena-{}-{n}", player.number)).await?);
        }
        Ok(Self { player, cloud: &servers.openstack, projects })
    }

    fn tenant(&self, n: usize) -> Tenant {
        let project = &self.projects[n];
        let account = json!({"openstack": {"authURL": self.cloud.auth_url(), "projectID": project.id,
            "credentials": {"secretRef": {"name": "golden"}}}});
        let secret = BTreeMap::from([
            ("applicationCredentialID".to_owned(), project.credential_id.clone()),
            ("applicationCredentialSecret".to_owned(), project.credential_secret.clone()),
        ]);
        Tenant { id: project.id.clone(), account, secret }
    }
}

#[async_trait]
impl Arena for Glance {
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
        self.tenant(n + 1)
    }

    async fn new_image(&self, name: &str) -> Result<String> {
        self.cloud.create_image(&self.projects[0], name, NewImage::default()).await
    }

    async fn members(&self, image: &str) -> Result<BTreeMap<String, String>> {
        Ok(self.cloud.members(&self.projects[0], image).await?.into_iter().collect())
    }

    async fn exists(&self, image: &str) -> Result<bool> {
        Ok(self.cloud.image(&self.projects[0], image).await?.is_some())
    }
}
