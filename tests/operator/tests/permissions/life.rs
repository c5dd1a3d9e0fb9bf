//! A short life of the operator in which it makes every kind of call to the API server that it ever makes, told with the
//! examples at the simulated clouds.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use imageshare_harness::{ControlPlane, Operator, Release, Simulator, assets, eventually, run};
use serde_json::{Value, json};

use crate::{FIRST, SECOND};

const PATIENCE: Duration = Duration::from_secs(90);

/// Makes waits short.
const QUICK: [&str; 18] = [
    "--absence-window",
    "1s",
    "--credentials-interval",
    "2s",
    "--blocked-interval",
    "2s",
    "--longest-retry",
    "2s",
    "--drift-interval",
    "3s",
    "--inventory-interval",
    "2s",
    "--discovery-interval",
    "2s",
    "--lease-duration",
    "6s",
    "--log",
    "info,imageshare_operator=debug",
];

/// A copy that is deleted with the `CloudImage` that stands for it.
const COPY: &str = "
apiVersion: imageshare.dev/v1alpha1
kind: ImageReplica
metadata: {name: golden-copy}
spec:
  source: {imageRef: {name: golden-ubuntu}}
  destination: {region: cn-hongkong, name: golden-copy}
  deletionPolicy: Delete
";

/// A line of images, and who gets them.
const CHANNEL: &str = "
apiVersion: imageshare.dev/v1alpha1
kind: ImageChannel
metadata: {name: golden}
spec:
  accountRef: {name: golden}
  region: cn-hangzhou
  select: {namePattern: 'golden-(?P<version>.+)'}
---
apiVersion: imageshare.dev/v1alpha1
kind: ChannelShare
metadata: {name: followers}
spec:
  channelRef: {name: golden}
  recipients: [{type: Account, id: '1000000000000001'}]
";

pub(crate) struct Life<'a> {
    control_plane: &'a ControlPlane,
    cloud: Simulator,
    /// One leads, the other waits.
    operators: [Operator; 2],
}

impl<'a> Life<'a> {
    /// Operators with the rights of a release, whom nobody has asked for anything yet.
    pub(crate) async fn begin(control_plane: &'a ControlPlane, release: &Release, arguments: &[&str]) -> Result<Self> {
        let run = run::folder_of_this_binary()?;
        let world = fs::read_to_string(assets::workspace().join("examples/simulator/world.yaml"))?;
        let mut world: Value = serde_yaml::from_str(&world)?;
        world["rules"] = json!({"copySeconds": 1});
        let cloud = Simulator::start(&run, &world).await?;
        let launch = Operator::launch(&release.admit(control_plane).await?)?
            .arguments(["--allowed-endpoint", cloud.cloud(), "--allowed-endpoint", cloud.huawei()])
            .arguments(["--lease".to_owned(), release.lease()])
            .arguments(QUICK)
            .arguments(arguments.iter().copied());
        let operators = [Operator::start(launch.clone(), &run)?, Operator::start(launch, &run)?];
        Ok(Self { control_plane, cloud, operators })
    }

    /// What the operators said last.
    fn tails(&self) -> String {
        self.operators.iter().map(|operator| operator.process.tail()).collect()
    }

    /// Lives it, to the end of the processes.
    pub(crate) async fn live(mut self) -> Result<()> {
        self.share().await?;
        self.rotate().await?;
        self.offer().await?;
        self.copy().await?;
        self.let_everything_go().await?;
        for operator in &mut self.operators {
            let status = operator.stop(PATIENCE).await?;
            ensure!(status == 0, "it ended with {status}: {}", operator.process.tail());
        }
        Ok(())
    }

    /// An image is shared, unshared and shared again: the second event of a kind is a patch of the first.
    async fn share(&self) -> Result<()> {
        self.apply_to(FIRST, "quickstart").await?;
        self.until(FIRST, "imageshare/app-teams", "Ready").await?;
        self.delete(FIRST, "imageshare/app-teams").await?;
        self.apply_to(FIRST, "quickstart/04-share.yaml").await?;
        self.until(FIRST, "imageshare/app-teams", "Ready").await
    }

    /// A line of images is shared, with fewer and fewer, until nobody is left.
    async fn rotate(&self) -> Result<()> {
        self.control_plane.kubectl_with(&["apply", "-n", FIRST, "-f", "-"], CHANNEL).await?;
        self.until(FIRST, "channelshare/followers", "Ready").await?;
        self.until(FIRST, "imagechannel/golden", "Ready").await?;
        let consent = r#"{"spec":{"shareableFrom":{"namespaces":{"from":"All"}}}}"#;
        let edit = ["patch", "imagechannel/golden", "-n", FIRST, "--type=merge", "-p", consent];
        self.control_plane.kubectl(&edit).await?;
        self.delete(FIRST, "channelshare/followers").await?;
        self.delete(FIRST, "imagechannel/golden").await
    }

    /// An image is offered, listed on the other side, accepted, and taken back.
    async fn offer(&self) -> Result<()> {
        self.apply_to(FIRST, "huawei/01-owner.yaml").await?;
        self.until(FIRST, "imageshare/partners", "Ready").await?;
        self.apply_to(SECOND, "huawei/02-receiver.yaml").await?;
        self.until_listed(1).await?;
        self.apply_to(SECOND, "huawei/03-accept.yaml").await?;
        self.until(SECOND, "sharedimageacceptance/golden-euler", "Ready").await?;
        self.delete(FIRST, "imageshare/partners").await?;
        self.until_listed(0).await
    }

    /// An image is copied, and the copy deleted.
    async fn copy(&self) -> Result<()> {
        self.control_plane.kubectl_with(&["apply", "-n", FIRST, "-f", "-"], COPY).await?;
        self.until(FIRST, "imagereplica/golden-copy", "Ready").await?;
        self.until(FIRST, "cloudimage/golden-copy", "Ready").await?;
        self.delete(FIRST, "imagereplica/golden-copy").await?;
        let images = self.control_plane.kubectl(&["get", "cloudimage", "-n", FIRST, "-o", "name"]).await?;
        ensure!(!images.contains("golden-copy"), "the copy is left: {images}");
        Ok(())
    }

    async fn let_everything_go(&self) -> Result<()> {
        for namespace in [FIRST, SECOND] {
            for kind in ["imageshare", "sharedimageacceptance", "cloudimage", "cloudaccount"] {
                let all = ["delete", kind, "--all", "-n", namespace, "--timeout=90s"];
                self.control_plane.kubectl(&all).await?;
            }
        }
        Ok(())
    }

    /// Applies what is at a path of `examples/`, for the servers of this life, all of it into one namespace.
    pub(crate) async fn apply_to(&self, namespace: &str, path: &str) -> Result<()> {
        let at = assets::workspace().join("examples").join(path);
        let mut files = vec![at.clone()];
        if at.is_dir() {
            files = fs::read_dir(&at)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        }
        files.sort();
        for file in files {
            let mut text = fs::read_to_string(file)?
                .replace("http://cloud-simulator:8480", self.cloud.cloud())
                .replace("http://cloud-simulator:8481", self.cloud.huawei());
            for theirs in ["golden-images", "huawei-images", "huawei-partners"] {
                text = text.replace(theirs, namespace);
            }
            self.control_plane.kubectl_with(&["apply", "-f", "-"], &text).await?;
        }
        Ok(())
    }

    async fn until(&self, namespace: &str, object: &str, condition: &str) -> Result<()> {
        let condition = format!("--for=condition={condition}");
        let wait = ["wait", object, "-n", namespace, &condition, "--timeout=90s"];
        let waited = self.control_plane.kubectl(&wait).await;
        waited.map(drop).map_err(|error| error.context(self.tails()))
    }

    async fn until_listed(&self, count: usize) -> Result<()> {
        eventually(PATIENCE, &format!("{count} SharedImages"), async || {
            let list = ["get", "sharedimage", "-n", SECOND, "-o", "name"];
            Ok((self.control_plane.kubectl(&list).await?.lines().count() == count).then_some(()))
        })
        .await
    }

    async fn delete(&self, namespace: &str, object: &str) -> Result<()> {
        let deleted = self.control_plane.kubectl(&["delete", object, "-n", namespace, "--timeout=90s"]).await;
        deleted.map(drop).map_err(|error| error.context(self.tails()))
    }
}
