//! Older definitions than the operator needs: the API server hides fields, a ledger reads as empty, and nobody may conclude
//! anything from it. On an API server of its own, since its definitions change.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{ControlPlane, Operator, assets, eventually, ports, run};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use kube::ResourceExt as _;
use serde_json::Value;
use support::{PATIENCE, Player, Stage, quick, start, world};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// Long enough for a share to be let go many times.
const A_WHILE: Duration = Duration::from_secs(5);

/// A test that changes the definitions has everything alone.
static ALONE: Mutex<()> = Mutex::const_new(());

struct Scene {
    stage: Stage,
    /// Where the operator serves.
    at: String,
}

async fn enter() -> Result<(MutexGuard<'static, ()>, &'static Scene, Player)> {
    static SCENE: OnceCell<Scene> = OnceCell::const_new();
    let alone = ALONE.lock().await;
    let scene = SCENE
        .get_or_try_init(async || {
            let at = format!("127.0.0.1:{}", ports::free()?);
            let stage = start(&world(), &quick(&["--listen", &at])).await?;
            anyhow::Ok(Scene { stage, at })
        })
        .await?;
    let player = Player::with_image_on(&scene.stage).await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    Ok((alone, scene, player))
}

impl Scene {
    /// Serves the definition of images as it would be without one field.
    async fn serve_without(&self, parent: &str, field: &str) -> Result<()> {
        let text = std::fs::read_to_string(assets::workspace().join("crds/cloudimages.yaml"))?;
        let mut definition: Value = serde_yaml::from_str(&text)?;
        let schema = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema").context("a schema")?;
        let fields = schema.pointer_mut(parent).and_then(Value::as_object_mut).context("fields")?;
        fields.remove(field).context("the field is there")?;
        // An older definition has no rule about a field that it lacks.
        schema.as_object_mut().context("a schema")?.remove("x-kubernetes-validations");
        let file = run::folder_of_this_binary()?.join(format!("without-{field}.yaml"));
        std::fs::write(&file, serde_yaml::to_string(&definition)?)?;
        self.stage.control_plane.install(&file).await
    }

    /// Serves the definition of images without any rule about edits.
    async fn serve_without_rules(&self) -> Result<()> {
        let text = std::fs::read_to_string(assets::workspace().join("crds/cloudimages.yaml"))?;
        let mut definition: Value = serde_yaml::from_str(&text)?;
        let schema = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema").context("a schema")?;
        schema.as_object_mut().context("a schema")?.remove("x-kubernetes-validations").context("rules")?;
        let file = run::folder_of_this_binary()?.join("without-rules.yaml");
        std::fs::write(&file, serde_yaml::to_string(&definition)?)?;
        self.stage.control_plane.install(&file).await
    }

    async fn serve_whole(&self) -> Result<()> {
        self.stage.control_plane.install(&assets::workspace().join("crds")).await
    }

    async fn until_ready(&self, status: u16, words: &str) -> Result<()> {
        until_ready(&self.at, status, words).await
    }
}

async fn ask(at: &str, path: &str) -> Result<(u16, String)> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.get(format!("http://{at}{path}")).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

async fn until_ready(at: &str, status: u16, words: &str) -> Result<()> {
    eventually(PATIENCE, &format!("/readyz to answer {status} {words}"), async || {
        // A process that has just started does not listen yet.
        let Ok((found, text)) = ask(at, "/readyz").await else { return Ok(None) };
        ensure!(found == status && text.contains(words), "{found} {text}");
        Ok(Some(()))
    })
    .await
}

/// A share that was deleted stays, its recipients keep access, and nobody calls the cloud; the share says why.
async fn nothing_is_let_go(player: &Player, scene: &Scene, lacking: &str) -> Result<()> {
    let calls = player.journal().await?.len();
    let told = player.until::<ImageShare>("team", "False", "DefinitionsOutdated").await?;
    support::says(&told, "Stalled", &[lacking, "kubectl apply"]);
    tokio::time::sleep(A_WHILE).await;
    let share = player.api::<ImageShare>().get("team").await.context("the share is let go")?;
    ensure!(!share.finalizers().is_empty());
    player.until_shared_with(1, 1..=2).await?;
    let later = player.journal().await?;
    ensure!(later.len() == calls, "the cloud was called: {:?}", &later[calls..]);
    let metric = "imageshare_definition_missing_fields{kind=\"CloudImage\"} 1";
    let metrics = ask(&scene.at, "/metrics").await?.1;
    ensure!(metrics.contains(metric), "no {metric}");
    Ok(())
}

/// Whoever forgets the definitions, or installs them after the operator, reads it in one line of the log and by `/readyz`.
#[tokio::test]
async fn an_operator_without_definitions_says_what_to_apply_and_begins_once_they_are_there() -> Result<()> {
    let run = run::folder_of_this_binary()?;
    let control_plane = ControlPlane::start(&run).await?;
    let at = format!("127.0.0.1:{}", ports::free()?);
    let launch = Operator::launch(&control_plane.kubeconfig_path())?.arguments(["--listen", &at]);
    let operator = Operator::start(launch, &run)?;
    let remedy = "kubectl apply --server-side --force-conflicts -f crds/";
    until_ready(&at, 503, remedy).await?;
    tokio::time::sleep(A_WHILE).await;
    ensure!(ask(&at, "/livez").await?.0 == 200, "it waits, and does not end");
    let log = operator.process.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    ensure!(errors.len() == 1, "{errors:#?}");
    for words in [remedy, "CloudAccount is not served", "ImageShare is not served"] {
        ensure!(errors[0].contains(words), "{words}: {errors:?}");
    }
    control_plane.install(&assets::workspace().join("crds")).await?;
    until_ready(&at, 200, "ok").await?;
    let errors = operator.process.log().lines().filter(|line| line.contains("ERROR")).count();
    ensure!(errors == 1, "{}", operator.process.log());
    Ok(())
}

#[tokio::test]
async fn definitions_that_become_older_stop_an_operator_and_newer_ones_let_it_go_on() -> Result<()> {
    let (_alone, scene, player) = enter().await?;
    let before = player.api::<CloudImage>().get("golden").await?;
    scene.serve_without("/properties/status/properties", "grants").await?;
    player.delete::<ImageShare>("team").await?;
    scene.until_ready(503, "CloudImage lacks status.grants").await?;
    nothing_is_let_go(&player, scene, "status.grants").await?;
    // Each write of the image would drop what is hidden of it.
    let image = player.api::<CloudImage>().get("golden").await?;
    ensure!(image.resource_version() == before.resource_version(), "the image was written");
    player.until::<CloudAccount>("golden", "False", "DefinitionsOutdated").await?;
    scene.serve_whole().await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await?;
    player.ready::<CloudAccount>("golden").await?;
    scene.until_ready(200, "ok").await
}

#[tokio::test]
async fn an_operator_that_starts_upon_older_definitions_waits_for_newer_ones() -> Result<()> {
    let (_alone, scene, player) = enter().await?;
    let mut operator = scene.stage.operator.lock().await;
    operator.kill9();
    let fields = "/properties/status/properties/grants/items/properties";
    scene.serve_without(fields, "absent").await?;
    player.delete::<ImageShare>("team").await?;
    operator.restart()?;
    scene.until_ready(503, "CloudImage lacks status.grants[].absent").await?;
    nothing_is_let_go(&player, scene, "status.grants[].absent").await?;
    scene.serve_whole().await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await?;
    scene.until_ready(200, "ok").await
}

/// An API server that lets an owner turn a `CloudImage` to another image: its ledger is not that image's.
#[tokio::test]
async fn a_ledger_is_never_carried_to_another_image_whatever_an_api_server_admits() -> Result<()> {
    let (_alone, scene, player) = enter().await?;
    let turned = serde_json::json!({"spec": {"imageID": player.image_id(2)}});
    ensure!(player.edit::<CloudImage>("golden", turned.clone()).await.is_err(), "the definitions refuse it");
    scene.serve_without_rules().await?;
    eventually(PATIENCE, "the rules to be gone", async || {
        Ok(player.edit::<CloudImage>("golden", turned.clone()).await.ok())
    })
    .await?;
    let image = player.until::<CloudImage>("golden", "False", "ImageChanged").await?;
    support::says(&image, "Ready", &[&player.image_id(1), &player.image_id(2), "restore both fields"]);
    player.until::<ImageShare>("team", "False", "ImageChanged").await?;
    player.delete::<ImageShare>("team").await?;
    player.share("other", [3]).await?;
    player.until::<ImageShare>("other", "False", "ImageChanged").await?;
    player.looked::<CloudImage>("golden").await?;
    player.until_shared_with(1, 1..=2).await?;
    ensure!(player.about(&player.image_id(2)).await?.is_empty(), "the other image was called");
    let restored = serde_json::json!({"spec": {"imageID": player.image_id(1)}});
    player.edit::<CloudImage>("golden", restored).await?;
    player.gone::<ImageShare>("team").await?;
    player.ready::<ImageShare>("other").await?;
    player.until_shared_with(1, [3]).await?;
    scene.serve_whole().await
}
