//! What an operator tells of the API server: where it is, that it cannot be reached, that it refuses the credentials or a
//! right; once for each change, in the log and by `/readyz`, at the start and while it runs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::proxy::{Deed, Rule, Upstream, Which};
use imageshare_harness::{ControlPlane, Operator, eventually, ports, run};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};
use support::behind::Behind;
use support::{PATIENCE, Player, Stage, world};
use tokio::time::{sleep, timeout};

/// How long the API server must refuse the credentials before an operator ends, and some more.
const REFUSED: Duration = Duration::from_secs(90 + 30);

/// Lines of a log that hold all these words.
fn lines<'a>(log: &'a str, words: &[&str]) -> Vec<&'a str> {
    log.lines().filter(|line| words.iter().all(|word| line.contains(word))).collect()
}

/// One operator behind the proxy, and where it serves; its log is JSON.
async fn behind() -> Result<(Behind, String)> {
    let at = format!("127.0.0.1:{}", ports::free()?);
    let behind =
        Behind::start_apart(world(), &["--listen", &at, "--log-format", "json", "--absence-window", "1s"]).await?;
    until_ready(&at, 200, "ok").await?;
    Ok((behind, at))
}

async fn until_ready(at: &str, status: u16, words: &str) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    eventually(PATIENCE, &format!("/readyz to answer {status} {words}"), async || {
        let answer = client.get(format!("http://{at}/readyz")).send().await?;
        let (found, text) = (answer.status().as_u16(), answer.text().await?);
        ensure!(found == status && text.contains(words), "{found} {text}");
        Ok(Some(()))
    })
    .await
}

async fn log_of(behind: &Behind) -> String {
    behind.stage.operator.lock().await.process.log()
}

#[tokio::test]
async fn an_api_server_away_and_back_is_told_once_each_and_by_readyz() -> Result<()> {
    let (behind, at) = behind().await?;
    let address = behind.proxy.kubernetes();
    let away = behind.proxy.add(Rule::new(Which::any().to(Upstream::Kubernetes), Deed::CutBefore));
    behind.proxy.disconnect(Upstream::Kubernetes);
    until_ready(&at, 503, &address).await?;
    sleep(Duration::from_secs(10)).await;
    let log = log_of(&behind).await;
    ensure!(lines(&log, &["WARN", &address]).len() == 1, "{:#?}", lines(&log, &["WARN"]));
    drop(away);
    until_ready(&at, 200, "ok").await?;
    let log = log_of(&behind).await;
    ensure!(lines(&log, &["INFO", "serves the operator again", &address]).len() == 1, "{log}");
    Ok(())
}

/// What people read of a start and of a change: settings, counts, one span, our name.
#[tokio::test]
async fn lines_are_short_and_say_what_the_operator_runs_with_and_did() -> Result<()> {
    let (behind, _) = behind().await?;
    let player = behind.player().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let log = log_of(&behind).await;
    let entry = |message: &str| -> Result<Value> {
        let found = log.lines().find(|line| line.contains(&format!("\"message\":\"{message}\"")));
        Ok(serde_json::from_str(found.with_context(|| format!("no {message:?} in {log}"))?)?)
    };
    let running = entry("running")?["fields"].clone();
    ensure!(running["api_server"].as_str().is_some_and(|told| told == behind.proxy.kubernetes()), "{running}");
    ensure!(running["namespaces"] == "all" && running["drift_interval"] == "600s", "{running}");
    ensure!(
        running["allowed_endpoints"].as_str().is_some_and(|told| told.contains(&behind.proxy.cloud())),
        "{running}"
    );
    ensure!(entry("caches synced")?["fields"]["accounts"].is_u64());
    let changed = entry("changed recipients")?;
    ensure!(changed["span"]["name"] == "reconcile" && changed.get("spans").is_none(), "{changed}");
    ensure!(changed["span"]["object.name"] == "golden", "{changed}");
    let wordy: Vec<&str> = log.lines().filter(|line| line.contains("\"INFO\"") && line.len() > 700).collect();
    ensure!(wordy.is_empty(), "{wordy:#?}");
    let shared = async || player.notes("Granted").await.map(|notes| (!notes.is_empty()).then_some(()));
    eventually(PATIENCE, "an event", shared).await?;
    for event in player.api::<Event>().list(&ListParams::default()).await? {
        let fields = event.metadata.managed_fields.unwrap_or_default();
        ensure!(fields.iter().all(|entry| entry.manager.as_deref() == Some("imageshare-operator")), "{fields:?}");
    }
    // Finalizers and status: every write beside the events.
    let written = [
        player.get::<ImageShare>("team").await?,
        player.get::<CloudImage>("golden").await?,
        player.get::<CloudAccount>("golden").await?,
    ];
    for object in written {
        let fields = object["metadata"]["managedFields"].as_array().context("managed fields")?;
        ensure!(fields.iter().any(|entry| entry["manager"] == "imageshare-operator"), "{fields:?}");
        for entry in fields {
            let written =
                entry["subresource"] == "status" || entry["fieldsV1"]["f:metadata"]["f:finalizers"].is_object();
            ensure!(!written || entry["manager"] == "imageshare-operator", "{entry}");
        }
    }
    Ok(())
}

/// Waits for the end of an operator whose credentials are refused, and judges what it told.
async fn ends_with_a_sentence(operator: &mut Operator, address: &str) -> Result<()> {
    let ended = async {
        loop {
            if let Some(code) = operator.process.ended()? {
                return anyhow::Ok(code);
            }
            sleep(Duration::from_millis(500)).await;
        }
    };
    ensure!(timeout(REFUSED, ended).await.context("it runs on")?? == 1);
    let log = operator.process.log();
    let told = lines(&log, &["WARN", address, "refuses the operator's credentials: 401"]);
    ensure!((1..=2).contains(&told.len()), "at once, and a minute later: {told:#?}");
    ensure!(lines(&log, &["ERROR", address, "has refused the operator's credentials"]).len() == 1, "{log}");
    ensure!(!log.contains("Status {"), "{log}");
    Ok(())
}

#[tokio::test]
async fn refused_credentials_are_told_and_end_the_process_at_the_start_and_while_it_runs() -> Result<()> {
    let (behind, at) = behind().await?;
    let run = run::folder_of_this_binary()?;
    let wrong = run.join("wrong.kubeconfig");
    let mut kubeconfig: Value =
        serde_json::from_str(&std::fs::read_to_string(behind.stage.control_plane.operator_kubeconfig().await?)?)?;
    kubeconfig["users"][0]["user"]["token"] = json!("wrong");
    std::fs::write(&wrong, kubeconfig.to_string())?;
    let mut wrong = Operator::start(Operator::launch(&wrong)?, &run)?;
    let refusal = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401,
        "reason": "Unauthorized", "message": "Unauthorized"});
    let refused = Rule::new(Which::any().to(Upstream::Kubernetes), Deed::Answer(401, refusal.to_string()));
    let _refused = behind.proxy.add(refused);
    behind.proxy.disconnect(Upstream::Kubernetes);
    until_ready(&at, 503, "401").await?;
    let mut running = behind.stage.operator.lock().await;
    let through = behind.proxy.kubernetes();
    let (at_start, later) = tokio::join!(
        ends_with_a_sentence(&mut wrong, behind.stage.control_plane.url()),
        ends_with_a_sentence(&mut running, &through)
    );
    at_start.context("at the start")?;
    later.context("while it runs")
}

/// The shortest life of a token that the API server gives.
const TOKEN: Duration = Duration::from_secs(600);

/// A new token of the operator.
async fn token(control_plane: &ControlPlane) -> Result<String> {
    let duration = format!("--duration={}s", TOKEN.as_secs());
    let asked = ["create", "token", "imageshare-operator", "-n", "imageshare-system", &duration];
    let token = control_plane.kubectl(&asked).await?;
    Ok(token.trim().to_owned())
}

/// The operator's kubeconfig with other credentials.
async fn kubeconfig_with(control_plane: &ControlPlane, name: &str, user: Value) -> Result<PathBuf> {
    let mut kubeconfig: Value =
        serde_json::from_str(&std::fs::read_to_string(control_plane.operator_kubeconfig().await?)?)?;
    kubeconfig["users"][0]["user"] = user;
    let path = run::folder_of_this_binary()?.join(name);
    std::fs::write(&path, kubeconfig.to_string())?;
    Ok(path)
}

#[tokio::test]
#[ignore = "takes a quarter of an hour, the life of a token and some more: make soak"]
async fn an_operator_lives_on_renewed_tokens_and_ends_with_one_that_nobody_renews() -> Result<()> {
    let stage: &'static Stage = Box::leak(Box::new(support::start_apart(&world(), &[]).await?));
    stage.operator.lock().await.stop(PATIENCE).await?;
    let (control_plane, run) = (stage.control_plane, run::folder_of_this_binary()?);
    let file = run.join("token");
    std::fs::write(&file, token(control_plane).await?)?;
    let renewed = kubeconfig_with(control_plane, "renewed.kubeconfig", json!({"tokenFile": file})).await?;
    let expiring = json!({"token": token(control_plane).await?});
    let expiring = kubeconfig_with(control_plane, "expiring.kubeconfig", expiring).await?;
    let endpoint = ["--allowed-endpoint", stage.cloud.cloud()];
    let mut living = Operator::start(Operator::launch(&renewed)?.arguments(endpoint), &run)?;
    let elsewhere = Operator::launch(&expiring)?.arguments(["--watch-namespace", "elsewhere"]);
    let mut expires = Operator::start(elsewhere, &run)?;

    let player = Player::enter_on(stage).await?;
    player.account(|_| {}).await?;
    player.image("golden", |_| {}).await?;
    for minute in 1..=13 {
        let share = format!("team-{minute}");
        player.share(&share, [minute]).await?;
        player.ready::<ImageShare>(&share).await?;
        sleep(Duration::from_secs(60)).await;
        if minute % 4 == 0 {
            std::fs::write(&file, token(control_plane).await?)?;
        }
    }
    ensure!(living.process.ended()?.is_none(), "{}", living.process.tail());
    ensure!(
        lines(&living.process.log(), &["refuses the operator's credentials"]).is_empty(),
        "{}",
        living.process.tail()
    );
    ends_with_a_sentence(&mut expires, control_plane.url()).await
}

/// The kubeconfig of a user who may do nothing.
async fn without_rights(control_plane: &ControlPlane) -> Result<PathBuf> {
    control_plane.kubectl(&["create", "namespace", "powerless"]).await?;
    control_plane.kubectl(&["create", "serviceaccount", "nobody", "-n", "powerless"]).await?;
    control_plane.kubeconfig_of("powerless", "nobody").await
}

#[tokio::test]
async fn missing_rights_are_one_line_each_and_not_one_each_try() -> Result<()> {
    let control_plane = ControlPlane::start(&run::folder_of_this_binary()?).await?;
    control_plane.install(&imageshare_harness::assets::workspace().join("crds")).await?;
    let at = format!("127.0.0.1:{}", ports::free()?);
    let launch = Operator::launch(&without_rights(&control_plane).await?)?;
    let launch = launch.arguments(["--lease", "powerless/imageshare-operator", "--listen", &at]);
    let operator = Operator::start(launch, &run::folder_of_this_binary()?)?;
    until_ready(&at, 503, "forbidden").await?;
    sleep(Duration::from_secs(30)).await;
    let log = operator.process.log();
    let told = lines(&log, &["WARN"]);
    for what in ["Lease imageshare-operator", "cloudaccounts", "imageshares", "namespaces"] {
        ensure!(lines(&log, &["WARN", "the operator may not use", what]).len() == 1, "{what}: {told:#?}");
    }
    ensure!(told.len() <= 10, "eight kinds, namespaces and the lease: {told:#?}");
    ensure!(!log.contains("Status {"), "{log}");
    Ok(())
}
