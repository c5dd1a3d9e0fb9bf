//! One test's own place: a namespace, and projects at the clouds with accounts for them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::openstack::{NewImage, Project, REGION};
use imageshare_harness::proxy::{Deed, Rule, Trigger, Which};
use imageshare_harness::{OpenStack, eventually};
use imageshare_operator::api::cloud_account::CloudAccountSpec;
use imageshare_operator::api::cloud_image::CloudImageSpec;
use imageshare_operator::api::image_replica::ImageReplicaSpec;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageReplica};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::stage::{Clouds, clouds, stage};
use support::{PATIENCE, Player, Stage};

pub const MIB: usize = 1024 * 1024;

/// More than connections hold by themselves, and less than the proxy takes for an upload.
pub const SIZE: usize = 12 * MIB;

/// Far less than the minute after which a transfer that stands still ends by itself.
const SOON: Duration = Duration::from_secs(25);

/// How the operator reaches Glance.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    Straight,
    /// Through the proxy; only `Clouds::here` has one.
    Proxied,
}

pub struct Scene {
    pub place: Player,
    pub clouds: &'static Clouds,
    /// At `Clouds::here`, by the accounts `golden` (straight) and `proxied`.
    pub project: Project,
}

impl Scene {
    pub async fn enter() -> Result<Self> {
        Self::enter_on(stage().await?).await
    }

    pub async fn enter_on(stage: &'static Stage) -> Result<Self> {
        let clouds = clouds().await?;
        let place = Player::enter_on(stage).await?;
        let project = clouds.here.create_project(&format!("scene-{}", place.number)).await?;
        let scene = Self { place, clouds, project };
        scene.seat("golden", &clouds.here, &scene.project, Way::Straight).await?;
        scene.seat("proxied", &clouds.here, &scene.project, Way::Proxied).await?;
        Ok(scene)
    }

    /// A `CloudAccount` of this name for a project, ready.
    pub async fn seat(&self, name: &str, cloud: &OpenStack, project: &Project, way: Way) -> Result<()> {
        let credential = [("ID", &project.credential_id), ("Secret", &project.credential_secret)]
            .map(|(field, value)| (format!("applicationCredential{field}"), value.clone()));
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            string_data: Some(credential.into()),
            ..Secret::default()
        };
        self.place.create(secret).await?;
        let interface = match way {
            Way::Straight => "Public",
            Way::Proxied => "Internal",
        };
        let spec: CloudAccountSpec = serde_json::from_value(json!({"openstack": {
            "authURL": cloud.auth_url(), "projectID": project.id, "interface": interface,
            "credentials": {"secretRef": {"name": name}},
        }}))?;
        self.place.create(CloudAccount::new(name, spec)).await?;
        self.place.ready::<CloudAccount>(name).await.map(drop)
    }

    /// A new image of the project at `here`, and a `CloudImage` named `golden` for it by the account; gives its row.
    pub async fn golden(&self, account: &str, image: NewImage) -> Result<Value> {
        let id = self.clouds.here.create_image(&self.project, "golden", image).await?;
        let spec = json!({"accountRef": {"name": account}, "region": REGION, "imageID": id});
        let spec: CloudImageSpec = serde_json::from_value(spec)?;
        self.place.create(CloudImage::new("golden", spec)).await?;
        self.source(&id).await
    }

    /// An image of the project at `here`, as Glance shows it.
    pub async fn source(&self, id: &str) -> Result<Value> {
        self.clouds.here.image(&self.project, id).await?.context("no such image")
    }

    /// An `ImageReplica` named `copy` of the `CloudImage` `golden` to an image named `copy`, changed by `change`.
    pub async fn replicate(&self, change: Value) -> Result<()> {
        let mut spec = json!({"source": {"imageRef": {"name": "golden"}},
            "destination": {"region": REGION, "name": "copy"}});
        merge(&mut spec, change);
        let spec: ImageReplicaSpec = serde_json::from_value(spec)?;
        self.place.create(ImageReplica::new("copy", spec)).await
    }

    /// Waits until the copy is made and its `CloudImage` is ready; gives the copy's id.
    pub async fn made(&self) -> Result<String> {
        let made = self.place.until::<ImageReplica>("copy", "True", "Replicated").await?;
        ensure!(made["status"]["copy"]["state"] == "Made" && made["status"]["progress"] == 100, "{}", made["status"]);
        let image = self.place.ready::<CloudImage>("copy").await?;
        let id = made["status"]["imageID"].as_str().context("a copy")?;
        ensure!(image["spec"]["imageID"] == id && image["spec"]["region"] == REGION, "{}", image["spec"]);
        Ok(id.to_owned())
    }

    /// The copy, which must be all that the project at `here` has besides the source, and as good.
    pub async fn only_copy_beside(&self, source: &Value) -> Result<Value> {
        let (mut images, before) = (self.clouds.here.images_of(&self.project).await?, source["id"].clone());
        images.retain(|image| image["id"] != before);
        only(images, source)
    }

    /// Waits until the project at `here` has nothing but the source.
    pub async fn until_nothing_beside(&self, source: &Value) -> Result<()> {
        eventually(PATIENCE, "nothing to be left of the copy", async || {
            let images = self.clouds.here.images_of(&self.project).await?;
            ensure!(images.iter().all(|image| image["id"] == source["id"]), "{images:?}");
            Ok(Some(()))
        })
        .await
    }

    /// Halts the next download of an image through the proxy after 1 MiB.
    fn halt_download(&self, source: &Value) -> Result<Trigger> {
        let path = format!("/{}/file", source["id"].as_str().context("an id")?);
        let which = Which::read().method("GET").path(&path);
        Ok(self.clouds.proxy.add(Rule::new(which, Deed::HoldAnswer(MIB)).times(1)))
    }

    /// Halts the next upload of this very content through the proxy after 1 MiB.
    fn halt_upload(&self, label: &str) -> Trigger {
        let which = Which::write().method("PUT").path("/file").body(label);
        self.clouds.proxy.add(Rule::new(which, Deed::HoldBody(MIB)).times(1))
    }

    /// An image of so many bytes, half read into its copy, and the halt that holds the rest; with the half image's id.
    pub async fn half_read(&self, bytes: usize) -> Result<(Value, Trigger, String)> {
        let source = self.golden("proxied", filled(bytes)).await?;
        let halt = self.halt_download(&source)?;
        self.replicate(json!({"destination": {"accountRef": {"name": "golden"}}})).await?;
        let partial = self.until_half_written(&halt).await?;
        Ok((source, halt, partial))
    }

    /// The same of an image with a label, half written into its copy.
    pub async fn half_written(&self, label: &str) -> Result<(Value, Trigger, String)> {
        let source = self.golden("golden", labelled(label)).await?;
        let halt = self.halt_upload(label);
        self.replicate(json!({"destination": {"accountRef": {"name": "proxied"}}})).await?;
        let partial = self.until_half_written(&halt).await?;
        Ok((source, halt, partial))
    }

    /// Waits until a halt was reached and the copy is a half image at Glance; gives its id.
    async fn until_half_written(&self, halt: &Trigger) -> Result<String> {
        halt.reached(PATIENCE).await?;
        eventually(PATIENCE, "a half image", async || {
            let images = self.clouds.here.images_of(&self.project).await?;
            let partial =
                images.iter().find(|image| image["status"] == "saving").and_then(|image| image["id"].as_str());
            ensure!(partial.is_some(), "{images:?}");
            Ok(partial.map(str::to_owned))
        })
        .await
    }

    /// Waits until Glance is done with whoever wrote an image's content.
    pub async fn until_upload_ended(&self, image: &str) -> Result<()> {
        let path = format!("/{image}/file");
        eventually(SOON, "the upload to end", async || {
            let calls = self.clouds.here.image_calls().await?;
            Ok(calls.iter().any(|call| call.method == "PUT" && call.path.contains(&path)).then_some(()))
        })
        .await
    }
}

/// The only image among these, which must have the source's content and serve as well.
pub fn only(mut images: Vec<Value>, source: &Value) -> Result<Value> {
    ensure!(images.len() == 1, "not one copy: {images:?}");
    let copy = images.remove(0);
    let fields = ["status", "size", "checksum", "os_hash_algo", "os_hash_value", "disk_format", "container_format"];
    for same in fields.iter().chain(&["min_disk", "min_ram"]) {
        ensure!(copy[same] == source[same] && !copy[same].is_null(), "{same}: {copy} is not as {source}");
    }
    ensure!(copy["status"] == "active" && copy["name"] == "copy", "{copy}");
    Ok(copy)
}

/// Content that is the same nowhere.
pub fn content(bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    rand::rng().fill(&mut content[..]);
    content
}

/// An image with content that is the same nowhere.
pub fn filled(bytes: usize) -> NewImage {
    NewImage { bytes: Some(content(bytes)), ..NewImage::default() }
}

/// Content that the proxy knows by its label.
fn labelled(label: &str) -> NewImage {
    let mut bytes = content(SIZE);
    bytes[..label.len()].copy_from_slice(label.as_bytes());
    NewImage { bytes: Some(bytes), ..NewImage::default() }
}

fn merge(base: &mut Value, change: Value) {
    match (base, change) {
        (Value::Object(base), Value::Object(change)) => {
            for (key, value) in change {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, change) => *base = change,
    }
}
