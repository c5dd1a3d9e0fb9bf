//! The scenarios' cloud: a real Keystone and Glance.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use imageshare_harness::OpenStack;
use imageshare_harness::openstack::{NewImage, Project, REGION};
use serde_json::json;

use crate::stage::servers;
use support::Player;
use support::arena::{Arena, Tenant};

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

    pub async fn create_image(&self, image: NewImage) -> Result<String> {
        self.cloud.create_image(&self.projects[0], "golden", image).await
    }

    pub async fn add_member(&self, image: &str, member: &str) -> Result<()> {
        self.cloud.add_member(&self.projects[0], image, member).await
    }

    pub async fn double_member(&self, image: &str, member: &str) -> Result<()> {
        self.cloud.double_member(image, member).await
    }

    pub async fn visibility(&self, image: &str) -> Result<String> {
        let image = self.cloud.image(&self.projects[0], image).await?.context("no such image")?;
        Ok(image["visibility"].as_str().unwrap_or_default().to_owned())
    }

    pub async fn set_visibility(&self, image: &str, visibility: &str) -> Result<()> {
        self.cloud.change_image(&self.projects[0], image, "visibility", json!(visibility)).await
    }

    pub async fn unprotect(&self, image: &str) -> Result<()> {
        self.cloud.change_image(&self.projects[0], image, "protected", json!(false)).await
    }

    /// Whether the cloud ever refused a member of this image for its quota.
    pub async fn refused_for_quota(&self, image: &str) -> Result<bool> {
        let calls = self.cloud.image_calls().await?;
        Ok(calls.iter().any(|call| call.status == 413 && call.path.contains(image)))
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
