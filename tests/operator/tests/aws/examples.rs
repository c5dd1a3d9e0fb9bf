//! `examples/aws/` against the simulator's example world, as the chart serves it.

use std::fs;

use anyhow::{Result, ensure};
use imageshare_harness::{ControlPlane, Operator, Simulator, assets, eventually, run};
use serde_json::Value;
use support::PATIENCE;

#[tokio::test]
async fn the_examples_do_what_they_say() -> Result<()> {
    let folder = run::folder_of_this_binary()?;
    let cloud = Simulator::start_from(&folder, &assets::workspace().join("examples/simulator/world.yaml")).await?;
    // An API server of its own: the namespaces of the examples have fixed names, and two operators would act on them.
    let control_plane = ControlPlane::start(&folder).await?;
    control_plane.install(&assets::workspace().join("crds")).await?;
    let launch = Operator::launch(control_plane.operator_kubeconfig().await?)?
        .arguments(["--allowed-endpoint", cloud.aws()])
        .arguments(support::QUICK);
    let _operator = Operator::start(launch, &folder)?;
    for file in ["01-owner.yaml", "02-receiver.yaml"] {
        let text = fs::read_to_string(assets::workspace().join("examples/aws").join(file))?;
        let text = text.replace("http://cloud-simulator:8484", cloud.aws());
        control_plane.kubectl_with(&["apply", "-f", "-"], &text).await?;
        let (namespace, object, reason) = match file {
            "01-owner.yaml" => ("aws-images", "imageshare/partners", "Shared"),
            _ => ("aws-partners", "sharedimageacceptance/golden-linux", "NoAnswerNeeded"),
        };
        eventually(PATIENCE, &format!("{object} to be {reason}"), async || {
            let text = control_plane.kubectl(&["get", "-n", namespace, object, "-o", "json"]).await?;
            let object: Value = serde_json::from_str(&text)?;
            let ready = support::condition(&object, "Ready");
            ensure!(ready.is_some_and(|told| told.status == "True" && told.reason == reason), "{}", object["status"]);
            Ok(Some(()))
        })
        .await?;
    }
    eventually(PATIENCE, "the image to be listed", async || {
        let listed = control_plane.kubectl(&["get", "sharedimage", "-n", "aws-partners", "-o", "json"]).await?;
        ensure!(listed.contains("ami-0a1b2c3d4e5f60718"), "{listed}");
        Ok(Some(()))
    })
    .await
}
