//! A ledger of which one entry cannot be read, as a newer version of the operator may leave it before a rollback.

use anyhow::Result;
use imageshare_operator::api::{CloudImage, ImageShare};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::behind;
use support::Player;

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_left_as_it_is_and_releases_nobody() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let mut status = player.get::<CloudImage>("golden").await?["status"].clone();
    let odd = json!({"type": "Account", "id": "10000 0", "state": "Granted", "since": "2026-01-01T00:00:00Z"});
    status["grants"].as_array_mut().unwrap().push(odd);
    let written = json!({
        "apiVersion": "imageshare.dev/v1alpha1", "kind": "CloudImage",
        "metadata": {"name": "golden", "namespace": player.namespace.name()}, "status": status,
    });
    let params = PatchParams::apply("imageshare-operator").force();
    player.api::<CloudImage>().patch_status("golden", &params, &Patch::Apply(written)).await?;
    player.look_now::<CloudImage>("golden", "written").await.ok();
    let image = player.until::<CloudImage>("golden", "False", "Unreadable").await?;
    assert!(Player::message(&image, "Ready")?.contains("status.grants"), "{image}");
    player.delete::<ImageShare>("team").await?;
    let still = |image: &Value| image["status"]["grants"].as_array().is_some_and(|grants| grants.len() == 3);
    for _ in 0..5 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let image = player.get::<CloudImage>("golden").await?;
        assert!(still(&image) && !image["status"]["shares"].as_array().unwrap().is_empty(), "{}", image["status"]);
        assert!(player.api::<ImageShare>().get_opt("team").await?.is_some(), "released though its grants stand");
    }
    // Mended by hand, everything ends as it should.
    let mut status = player.get::<CloudImage>("golden").await?["status"].clone();
    status["grants"].as_array_mut().unwrap().pop();
    let mended = Patch::Merge(json!({"status": {"grants": status["grants"]}}));
    player.api::<CloudImage>().patch_status("golden", &PatchParams::default(), &mended).await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await
}
