//! Ends can be reached: a namespace deleted with everything in it ends clean, or says what holds it and what to do.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::assets;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::PostParams;
use serde_json::{Value, json};
use support::{Player, QUICK, Stage, start, world};
use tokio::sync::{OnceCell, RwLock};

const A_MINUTE: Duration = Duration::from_secs(60);

/// A test that stops and starts the one operator has the stage alone.
static ALONE: RwLock<()> = RwLock::const_new(());

async fn stage() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE.get_or_try_init(async || start(&world(), &QUICK).await).await
}

async fn player() -> Result<Player> {
    let player = Player::enter_on(stage().await?).await?;
    player.account(|_| {}).await?;
    player.image("golden", |_| {}).await?;
    player.share("team", 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_it::<Secret>("golden", "to be held", is_held).await?;
    Ok(player)
}

fn is_held(secret: &Value) -> bool {
    secret["metadata"]["finalizers"].to_string().contains("imageshare.dev/credentials")
}

fn is_going(secret: &Value) -> bool {
    !secret["metadata"]["deletionTimestamp"].is_null()
}

#[tokio::test]
async fn a_namespace_deleted_with_everything_in_it_ends_clean() -> Result<()> {
    let _shared = ALONE.read().await;
    let player = player().await?;
    player.until_shared_with(1, 1..=3).await?;
    player.namespace.delete().await?;
    player.namespace.gone(A_MINUTE).await?;
    // No event can be written in a namespace that is being deleted: that is no fault of anybody's.
    let log = player.stage.operator.lock().await.process.log();
    assert!(!log.contains("events cannot be written"), "{log}");
    player.until_shared_with(1, []).await
}

#[tokio::test]
async fn a_secret_gone_before_its_deletions_is_forgiven_while_it_is_remembered() -> Result<()> {
    let _shared = ALONE.read().await;
    let player = player().await?;
    player.delete::<Secret>("golden").await?;
    player.nudge::<CloudAccount>("golden").await?;
    player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await
}

#[tokio::test]
async fn without_credentials_a_deletion_is_held_with_its_remedy_and_retain_lets_it_go() -> Result<()> {
    let _alone = ALONE.write().await;
    let player = player().await?;
    player.delete::<Secret>("golden").await?;
    player.nudge::<CloudAccount>("golden").await?;
    player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    player.until::<CloudImage>("golden", "False", "SecretNotFound").await?;
    player.stage.restart_operator().await?;
    player.namespace.delete().await?;
    let held = player.until::<ImageShare>("team", "False", "Revoking").await?;
    let message = support::condition(&held, "Ready").unwrap().message;
    assert!(message.contains("Secret") && message.contains("Retain"), "{message}");
    let account = player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    assert!(support::condition(&account, "Ready").unwrap().message.contains("restore it"));
    take_the_road_out(&player)?;
    player.namespace.gone(A_MINUTE).await?;
    player.until_shared_with(1, 1..=3).await
}

/// Does by a shell what `docs/install.md` tells to do about objects that are stuck.
fn take_the_road_out(player: &Player) -> Result<()> {
    let page = std::fs::read_to_string(assets::workspace().join("docs/install.md"))?;
    let section = page.split("## Objects that are stuck").nth(1).and_then(|rest| rest.split("\n## ").next());
    let block = section.context("the section")?.lines().skip_while(|line| !line.starts_with("       for "));
    let commands: Vec<&str> = block.take_while(|line| !line.trim().is_empty()).take(5).collect();
    ensure!(commands.len() == 5, "{commands:?}");
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &commands.join("\n").replace("NAMESPACE", player.namespace.name())]);
    let path = format!("{}:{}", assets::servers()?.display(), std::env::var("PATH")?);
    shell.env("PATH", path).env("KUBECONFIG", player.stage.control_plane.kubeconfig_path());
    let output = shell.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The Secret is deleted first and at once, and nobody remembers its key.
#[tokio::test]
async fn a_namespace_whose_secret_went_first_ends_clean_though_the_operator_starts_anew() -> Result<()> {
    let _alone = ALONE.write().await;
    let player = player().await?;
    player.stage.operator.lock().await.kill9();
    player.namespace.delete().await?;
    player.until_it::<Secret>("golden", "to be going", is_going).await?;
    player.stage.restart_operator().await?;
    player.namespace.gone(A_MINUTE).await?;
    player.until_shared_with(1, []).await
}

#[tokio::test]
async fn while_a_secret_goes_with_its_account_its_key_only_ends_access() -> Result<()> {
    let _shared = ALONE.read().await;
    let player = player().await?;
    player.edit::<ImageShare>("team", json!({"spec": {"suspend": true}})).await?;
    player.until::<ImageShare>("team", "False", "Suspended").await?;
    player.delete::<CloudAccount>("golden").await?;
    player.delete::<Secret>("golden").await?;
    player.nudge::<CloudAccount>("golden").await?;
    player.until::<CloudAccount>("golden", "False", "SecretDeleting").await?;
    player.event("SecretDeleting", "only ends access").await?;
    player.share("late", [5]).await?;
    player.until::<ImageShare>("late", "False", "SecretDeleting").await?;
    player.until_shared_with(1, 1..=3).await?;
    for share in ["late", "team"] {
        player.delete::<ImageShare>(share).await?;
        player.gone::<ImageShare>(share).await?;
    }
    player.until_shared_with(1, []).await?;
    player.delete::<CloudImage>("golden").await?;
    player.gone::<CloudAccount>("golden").await?;
    player.gone::<Secret>("golden").await
}

#[tokio::test]
async fn a_key_is_replaced_by_deleting_its_secret_and_making_it_anew() -> Result<()> {
    let _shared = ALONE.read().await;
    let player = player().await?;
    // It waits until the Secret is gone.
    let delete = ["delete", "secret", "golden", "-n", player.namespace.name(), "--timeout=60s"];
    let asks = async {
        player.until_it::<Secret>("golden", "to be going", is_going).await?;
        player.nudge::<CloudAccount>("golden").await
    };
    tokio::try_join!(player.stage.control_plane.kubectl(&delete), asks)?;
    player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    player.account_secret().await?;
    player.ready::<CloudAccount>("golden").await?;
    player.until_it::<Secret>("golden", "to be held", is_held).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=3).await
}

#[tokio::test]
async fn an_account_that_names_another_secret_lets_the_former_go_unless_another_needs_it() -> Result<()> {
    let _shared = ALONE.read().await;
    let player = player().await?;
    let mut second = player.api::<CloudAccount>().get("golden").await?;
    second.metadata = kube::api::ObjectMeta { name: Some("second".to_owned()), ..Default::default() };
    player.api::<CloudAccount>().create(&PostParams::default(), &second).await?;
    player.ready::<CloudAccount>("second").await?;
    let mut other = player.api::<Secret>().get("golden").await?;
    other.metadata = kube::api::ObjectMeta { name: Some("other".to_owned()), ..Default::default() };
    player.api::<Secret>().create(&PostParams::default(), &other).await?;
    let other = json!({"spec": {"alibaba": {"credentials": {"secretRef": {"name": "other"}}}}});
    player.edit::<CloudAccount>("golden", other.clone()).await?;
    player.until_it::<Secret>("other", "to be held", is_held).await?;
    ensure!(is_held(&player.get::<Secret>("golden").await?), "the second account needs it");
    let names = player.get::<CloudAccount>("golden").await?["status"]["heldSecrets"].clone();
    ensure!(names == json!(["other"]), "{names}");
    player.edit::<CloudAccount>("second", other).await?;
    player.until_it::<Secret>("golden", "to be free", |secret| !is_held(secret)).await?;
    let free = player.api::<Secret>().get("golden").await?;
    ensure!(free.finalizers().is_empty());
    player.delete::<Secret>("golden").await?;
    player.gone::<Secret>("golden").await
}
