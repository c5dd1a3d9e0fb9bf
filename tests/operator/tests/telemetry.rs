//! What a running operator tells about itself: that it lives and is ready, and what it counts. Every name that the docs, the
//! dashboard and the alerts use is one that it really exports.

#![allow(clippy::float_cmp, reason = "what is compared are counts")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::release::Release;
use imageshare_harness::{Operator, assets, eventually, ports, run};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use serde_json::{Value, json};
use support::{PATIENCE, Player, Stage, quick, start, world};
use tokio::sync::OnceCell;

/// An operator that serves, and where.
struct Served {
    stage: &'static Stage,
    at: String,
}

async fn served() -> Result<&'static Served> {
    static SERVED: OnceCell<Served> = OnceCell::const_new();
    SERVED
        .get_or_try_init(async || {
            let at = format!("127.0.0.1:{}", ports::free()?);
            let lease = Release::default().lease();
            let stage = start(&world(), &quick(&["--lease", &lease, "--listen", &at])).await?;
            Ok(Served { stage: Box::leak(Box::new(stage)), at })
        })
        .await
}

/// Status and text of what is served there.
async fn ask(at: &str, path: &str) -> Result<(u16, String)> {
    let answer = reqwest::Client::builder().no_proxy().build()?.get(format!("http://{at}{path}")).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// Samples by their name with labels, as they are written.
async fn samples(at: &str) -> Result<BTreeMap<String, f64>> {
    let (status, text) = ask(at, "/metrics").await?;
    ensure!(status == 200 && text.ends_with("# EOF\n"), "{status}: {text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').context("a sample has a value")?;
            Ok((name.to_owned(), value.parse()?))
        })
        .collect()
}

async fn until_sample(at: &str, name: &str, judge: impl Fn(f64) -> bool) -> Result<()> {
    eventually(PATIENCE, name, async || {
        let all = samples(at).await?;
        let value = all.get(name).with_context(|| format!("no {name} in {:?}", all.keys().collect::<Vec<_>>()))?;
        ensure!(judge(*value), "{name} is {value}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn an_operator_is_ready_once_its_caches_are_filled_and_leads_if_nobody_else_does() -> Result<()> {
    let at = &served().await?.at;
    eventually(PATIENCE, "readiness", async || {
        let ready = ask(at, "/readyz").await?;
        ensure!(ready == (200, "ok".to_owned()), "{ready:?}");
        Ok(Some(()))
    })
    .await?;
    ensure!(ask(at, "/livez").await? == (200, "ok".to_owned()));
    until_sample(at, "imageshare_leader", |leads| leads == 1.0).await
}

/// It answers that it lives, and not that it is ready, and takes no part.
#[tokio::test]
async fn an_operator_without_an_api_server_lives_and_is_not_ready() -> Result<()> {
    let stage = served().await?.stage;
    let run = run::folder_of_this_binary()?;
    let lost = run.join("lost.kubeconfig");
    let kubeconfig = std::fs::read_to_string(stage.control_plane.kubeconfig_path())?;
    let nowhere = format!("https://127.0.0.1:{}", ports::free()?);
    std::fs::write(&lost, kubeconfig.replace(stage.control_plane.url(), &nowhere))?;
    let at = format!("127.0.0.1:{}", ports::free()?);
    let operator = Operator::start(Operator::launch(&lost)?.arguments(["--listen", &at]), &run)?;
    eventually(PATIENCE, "an answer", async || Ok(ask(&at, "/livez").await.ok())).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (status, why) = ask(&at, "/readyz").await?;
    ensure!(status == 503 && why.contains(&nowhere) && why.contains("Connection refused"), "{status} {why}");
    let log = operator.process.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    ensure!(told.len() == 1 && told[0].contains(&nowhere) && told[0].contains("Connection refused"), "{told:#?}");
    ensure!(samples(&at).await?.get("imageshare_leader") == Some(&1.0), "it is alone");
    Ok(())
}

#[tokio::test]
async fn grants_limits_calls_and_latencies_are_counted() -> Result<()> {
    let Served { stage, at } = served().await?;
    let player = Player::with_image_on(stage).await?;
    let before = samples(at).await?;
    let count = |all: &BTreeMap<String, f64>, name: &str| all.get(name).copied().unwrap_or_default();
    player.share("team", [1, 2]).await?;
    player.ready::<ImageShare>("team").await?;
    let of = format!("namespace=\"{}\",name=\"golden\"", player.namespace.name());
    until_sample(at, &format!("imageshare_image_recipients{{{of}}}"), |used| used == 2.0).await?;
    until_sample(at, &format!("imageshare_image_recipients_limit{{{of}}}"), |limit| limit == 50.0).await?;
    let granted = "imageshare_grant_latency_seconds_count";
    until_sample(at, granted, |now| now > count(&before, granted)).await?;
    let after = samples(at).await?;
    let calls = "imageshare_cloud_calls_total{provider=\"Alibaba\",operation=\"ChangeRecipients\",fault=\"None\"}";
    ensure!(count(&after, calls) > count(&before, calls), "{after:?}");
    for state in ["wanted", "granted"] {
        let name = format!("imageshare_grants{{state=\"{state}\"}}");
        ensure!(count(&after, &name) >= 2.0, "{name}: {after:?}");
    }
    let shared = "imageshare_objects{kind=\"ImageShare\",ready=\"True\",reason=\"Shared\"}";
    until_sample(at, shared, |objects| objects >= 1.0).await?;

    let revoked = "imageshare_revoke_latency_seconds_count";
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    until_sample(at, revoked, |now| now > count(&before, revoked)).await?;
    for kind in ["CloudAccount", "CloudImage", "ImageShare"] {
        until_sample(at, &format!("imageshare_queue_depth{{kind=\"{kind}\"}}"), |waiting| waiting == 0.0).await?;
    }
    Ok(())
}

/// An object that is not ready is named with its reason until it is mended; one that is suspended on purpose is not.
#[tokio::test]
async fn an_object_that_is_not_ready_is_named_until_it_is_mended() -> Result<()> {
    let Served { stage, at } = served().await?;
    let player = Player::with_image_on(stage).await?;
    let here = format!("namespace=\"{}\"", player.namespace.name());
    let named = async || {
        let all = samples(at).await?.into_keys();
        let all = all.filter(|name| name.starts_with("imageshare_object_not_ready") && name.contains(&here));
        anyhow::Ok(all.collect::<Vec<_>>())
    };
    player.ready::<CloudImage>("golden").await?;
    player.share("paused", [1]).await?;
    player.edit::<ImageShare>("paused", json!({"spec": {"suspend": true}})).await?;
    player.until::<ImageShare>("paused", "False", "Suspended").await?;
    eventually(PATIENCE, "nobody to be named", async || Ok(named().await?.is_empty().then_some(()))).await?;

    player.image("lost", |image| image.account_ref.name = "nobody".to_owned()).await?;
    let lost =
        format!("imageshare_object_not_ready{{kind=\"CloudImage\",{here},name=\"lost\",reason=\"AccountNotFound\"}}");
    until_sample(at, &lost, |value| value == 1.0).await?;
    ensure!(named().await? == [lost], "{:?}", named().await?);
    player.delete::<CloudImage>("lost").await?;
    eventually(PATIENCE, "nobody to be named", async || Ok(named().await?.is_empty().then_some(()))).await
}

/// Taken away behind our back, a grant is given again, counted, and told.
#[tokio::test]
async fn drift_is_counted_and_told() -> Result<()> {
    let Served { stage, at } = served().await?;
    let player = Player::with_image_on(stage).await?;
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    player.share_by_hand(1, &[2], &[1]).await?;
    player.looked::<CloudImage>("golden").await?;
    player.until_shared_with(1, [1, 2]).await?;
    until_sample(at, "imageshare_drift_found_total{what=\"missing\"}", |found| found >= 1.0).await?;
    until_sample(at, "imageshare_drift_found_total{what=\"unmanaged\"}", |found| found >= 1.0).await?;
    let told = player.event("DriftFound", &player.recipient(1)).await?;
    ensure!(told.contains("given again"), "{told}");
    player.event("UnmanagedFound", &player.recipient(2)).await?;
    Ok(())
}

#[tokio::test]
async fn what_a_person_should_hear_of_is_an_event() -> Result<()> {
    let Served { stage, .. } = served().await?;
    let player = Player::with_image_on(stage).await?;
    player.edit::<CloudAccount>("golden", json!({"spec": {"limits": {"recipientsPerImage": 1}}})).await?;
    player.ready::<CloudAccount>("golden").await?;
    player.share("team", [1, 2]).await?;
    player.event("RecipientLimit", &player.recipient(2)).await?;

    player.delete::<CloudImage>("golden").await?;
    player.event("DeletionBlocked", "team").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<CloudImage>("golden").await?;

    player.secret(&json!({"id": support::key(player.number)["id"], "secret": "wrong"})).await?;
    player.nudge::<CloudAccount>("golden").await?;
    player.event("CredentialsRejected", "SignatureDoesNotMatch").await?;
    Ok(())
}

/// Labels of the metrics that are exported, by name: also of those that have no sample yet, which have none.
async fn exported(at: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut all = BTreeMap::<String, BTreeSet<String>>::new();
    for line in ask(at, "/metrics").await?.1.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            all.entry(described.split(' ').next().unwrap().to_owned()).or_default();
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let labels = line.split_once('{').map_or("", |(_, rest)| rest);
            let labels = labels.split("=\"").filter_map(|part| part.rsplit([',', '{', '"']).next());
            let labels = labels.filter(|label| !label.is_empty() && !label.contains('}'));
            all.entry(name.to_owned()).or_default().extend(labels.map(ToOwned::to_owned));
        }
    }
    Ok(all)
}

/// What stands behind every `expr` of a document, in whatever depth.
fn expressions(document: &Value, found: &mut Vec<String>) {
    match document {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(ToOwned::to_owned));
            fields.values().for_each(|field| expressions(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

/// The words of a text that can be names of metrics or labels.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn metrics_in(text: &str) -> BTreeSet<&str> {
    words(text).filter(|word| word.starts_with("imageshare_")).collect()
}

/// Labels that an expression sorts by or asks for.
fn labels_in(expression: &str) -> BTreeSet<&str> {
    let sorted = expression.split(" by (").skip(1).map(|rest| rest.split(')').next().unwrap());
    let asked = expression.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
    let asked = asked.flat_map(|matchers| matchers.split(',')).map(|matcher| matcher.split(['=', '!']).next().unwrap());
    sorted.flat_map(words).chain(asked.flat_map(words)).collect()
}

/// What Prometheus itself adds to what it reads.
const ADDED: [&str; 4] = ["namespace", "job", "pod", "instance"];

#[tokio::test]
async fn every_query_of_the_dashboard_and_of_the_alerts_asks_for_what_is_exported() -> Result<()> {
    let Served { stage, at } = served().await?;
    let player = Player::with_image_on(stage).await?;
    player.image("lost", |image| image.account_ref.name = "nobody".to_owned()).await?;
    // The operator's own cache hears of the images a little later than we do.
    let exported = eventually(PATIENCE, "the images among the metrics", async || {
        let all = exported(at).await?;
        let named = |metric: &str| all.get(metric).is_some_and(|labels| labels.contains("name"));
        Ok((named("imageshare_image_recipients") && named("imageshare_object_not_ready")).then_some(all))
    })
    .await?;
    let files = assets::workspace().join("charts/imageshare-operator/files");
    let mut queries = Vec::new();
    expressions(&serde_json::from_str(&std::fs::read_to_string(files.join("dashboard.json"))?)?, &mut queries);
    let of_dashboard = queries.len();
    expressions(&serde_yaml::from_str(&std::fs::read_to_string(files.join("alerts.yaml"))?)?, &mut queries);
    ensure!(of_dashboard > 10 && queries.len() > of_dashboard + 4, "{queries:?}");
    let named = queries.iter().filter(|query| query.contains("imageshare_object_not_ready"));
    ensure!(named.count() == 2, "the alerts about objects name them: {queries:?}");
    for query in &queries {
        let metrics = metrics_in(query);
        ensure!(!metrics.is_empty(), "{query} asks for nothing of ours");
        let mut labels: BTreeSet<&str> = ADDED.into();
        for metric in metrics {
            let known = exported.get(metric).with_context(|| format!("{query}: {metric} is not exported"))?;
            labels.extend(known.iter().map(String::as_str));
            if metric == "imageshare_offers_pending" {
                labels.insert("account"); // Nobody offers anything here.
            }
        }
        let strange: Vec<_> = labels_in(query).into_iter().filter(|label| !labels.contains(label)).collect();
        ensure!(strange.is_empty(), "{query}: no metric of it has {strange:?}");
    }
    Ok(())
}

/// Both ways round: nothing is explained that is not exported, and nothing exported that is not explained.
#[tokio::test]
async fn every_metric_is_explained_and_every_one_explained_is_exported() -> Result<()> {
    let Served { stage, at } = served().await?;
    Player::with_image_on(stage).await?;
    let text = std::fs::read_to_string(assets::workspace().join("docs/metrics.md"))?;
    let explained = metrics_in(&text);
    let all = ask(at, "/metrics").await?.1;
    let types = all.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let exported: BTreeSet<String> = types
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        })
        .collect();
    ensure!(exported.iter().map(String::as_str).collect::<BTreeSet<_>>() == explained, "{exported:?}\n{explained:?}");
    Ok(())
}
