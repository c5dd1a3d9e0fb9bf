//! A plan is the truth: what the plugin says of a set of files is what the operator then does, and what it refuses is what
//! the API server refuses.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use serde_json::{Value, json};

use crate::stage::{Ran, plugin_as, stage};
use support::{Player, REGION};

fn plan(input: &str, args: &[&str]) -> Result<Ran> {
    plugin_as(None, &[&["plan", "-f", "-"], args].concat(), input)
}

fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn account(player: &Player, limit: u32) -> Value {
    json!({"alibaba": {"accountID": player.owner(), "site": "International",
        "credentials": {"secretRef": {"name": "golden"}}, "endpoint": player.stage.cloud.cloud()},
        "limits": {"recipientsPerImage": limit}})
}

fn image(player: &Player) -> Value {
    json!({"accountRef": {"name": "golden"}, "region": REGION, "imageID": player.image_id(1)})
}

fn share(player: &Player, numbers: &[u32]) -> Value {
    let recipients: Vec<Value> =
        numbers.iter().map(|n| json!({"type": "Account", "id": player.recipient(*n)})).collect();
    json!({"imageRef": {"name": "golden"}, "recipients": recipients})
}

fn granted(plan: &Value) -> BTreeSet<String> {
    let images = plan["images"].as_array().into_iter().flatten();
    let grants = images.flat_map(|image| image["grants"].as_array().into_iter().flatten());
    grants.filter_map(|grant| grant["id"].as_str()).map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn what_a_plan_grants_is_what_the_cloud_then_has() -> Result<()> {
    let player = Player::enter_on(stage().await?).await?;
    player.account_secret().await?;
    let suspended = {
        let mut spec = share(&player, &[7]);
        spec["suspend"] = json!(true);
        spec
    };
    let objects = [
        object("CloudAccount", "golden", &account(&player, 4)),
        object("CloudImage", "golden", &image(&player)),
        object("ImageShare", "a", &share(&player, &[1, 2, 3])),
        object("ImageShare", "b", &share(&player, &[3, 4])),
        object("ImageShare", "c", &suspended),
    ];
    let namespace = player.namespace.name();
    let ran = plan(&list(&objects), &["-o", "json", "-n", namespace])?;
    ensure!(ran.exit == 2, "{ran:?}");
    let planned = granted(&ran.json()?);
    ensure!(planned.len() == 4, "{planned:?}");

    player.stage.control_plane.kubectl_with(&["apply", "-n", namespace, "-f", "-"], &list(&objects)).await?;
    player.ready::<CloudAccount>("golden").await?;
    for name in ["a", "b"] {
        player.ready::<ImageShare>(name).await?;
    }
    player.ready::<CloudImage>("golden").await?;
    let shared: BTreeSet<String> = player.shared_with(1).await?.into_iter().collect();
    ensure!(shared == planned, "planned {planned:?}, and the cloud has {shared:?}");
    Ok(())
}

/// Age decides who gets a slot. Of objects of one second it is their uid, which no plan can know: the second share comes later.
#[tokio::test]
async fn whom_a_plan_says_would_wait_waits() -> Result<()> {
    let player = Player::enter_on(stage().await?).await?;
    player.account_secret().await?;
    let mut spec = account(&player, 3);
    let first = object("ImageShare", "first", &share(&player, &[1, 2, 3, 4]));
    let objects = [object("CloudAccount", "golden", &spec), object("CloudImage", "golden", &image(&player)), first];
    let namespace = player.namespace.name();
    let ran = plan(&list(&objects), &["-n", namespace, "-o", "json"])?;
    let answer = ran.json()?;
    ensure!(ran.exit == 1 && answer["summary"]["refused"] == 1, "{ran:?}");
    let told = answer["refused"][0]["message"].as_str().context("a message")?;
    ensure!(told.contains(&player.recipient(4)) && told.contains("RecipientLimit"), "{told}");

    player.stage.control_plane.kubectl_with(&["apply", "-n", namespace, "-f", "-"], &list(&objects)).await?;
    player.until_waiting("first", "RecipientLimit", &[(&player.recipient(4), "RecipientLimit")]).await?;
    let shared: BTreeSet<String> = player.shared_with(1).await?.into_iter().collect();
    ensure!(shared == granted(&answer), "{shared:?}");

    spec["limits"]["recipientsPerImage"] = json!(4);
    let raised = [object("CloudAccount", "golden", &spec), objects[1].clone(), objects[2].clone()];
    ensure!(plan(&list(&raised), &["-n", namespace])?.exit == 2);
    Ok(())
}

/// A field, and what it is set to.
type Change = (&'static str, Value);

fn changed(mut object: Value, (pointer, value): Change) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match object.pointer_mut(parent).unwrap() {
        Value::Array(entries) => entries[name.parse::<usize>().unwrap()] = value,
        there => there[name] = value,
    }
    object
}

/// Of an `ImageShare` with two recipients.
fn changes_of_a_share(first: &Value) -> Vec<Change> {
    let many: Vec<Value> = (0..1001).map(|n| json!({"type": "Account", "id": format!("{}", 100_000 + n)})).collect();
    let same = first.clone();
    vec![
        ("/spec/recipients/0/id", json!(1)),
        ("/spec/recipients/0/id", json!("12")),
        ("/spec/recipients/0/id", json!("")),
        ("/spec/recipients/0/type", json!("Planet")),
        ("/spec/recipients/0/name", json!("a\u{202e}b")),
        ("/spec/recipients/0/site", json!("China")),
        ("/spec/recipients/0/site", json!("Mars")),
        ("/spec/recipients/1", same),
        ("/spec/recipients", json!([])),
        ("/spec/recipients", json!(many)),
        ("/spec/recipients", json!({"type": "Account"})),
        ("/spec/expirationTime", json!("2030-01-01T00:00:00Z")),
        ("/spec/expirationTime", json!("9999-12-31T23:59:59Z")),
        ("/spec/expirationTime", json!("tomorrow")),
        ("/spec/expirationTime", Value::Null),
        ("/spec/suspend", json!("true")),
        ("/spec/suspend", Value::Null),
        ("/spec/imageRef", json!({"name": "Golden"})),
        ("/spec/imageRef", Value::Null),
        ("/spec/imageRef/namespaces", json!("a")),
        ("/spec/recipient", json!([])),
    ]
}

fn changes_of_an_account() -> Vec<Change> {
    let huawei = json!({"domainID": "a".repeat(32), "site": "China", "credentials": {"secretRef": {"name": "k"}}});
    vec![
        ("/spec/alibaba/accountID", json!("0123456")),
        ("/spec/alibaba/site", json!("Europe")),
        ("/spec/huawei", huawei),
        ("/spec/limits/recipientsPerImage", json!(-1)),
        ("/spec/limits/recipientsPerImage", json!(100_001)),
        ("/spec/limits/recipientsPerImage", json!(1.5)),
        ("/spec/sites", json!([{"site": "China", "regions": []}, {"site": "China", "regions": []}])),
        ("/spec/inventory", json!({"regions": []})),
    ]
}

fn changes_of_an_image() -> Vec<Change> {
    vec![
        ("/spec/region", json!("cn hangzhou")),
        ("/spec/imageID", json!("m".repeat(129))),
        ("/spec/shareableFrom", json!({"namespaces": {"from": "Selector"}})),
        ("/spec/shareableFrom", json!({"namespaces": {"from": "All", "selector": {"matchLabels": {"a": "b"}}}})),
        ("/spec/shareableFrom", json!({"namespaces": {"from": "Selector", "selector": {"matchLabels": {"a b": "c"}}}})),
        ("/spec/shareableFrom", json!({"namespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "c"}}}})),
        ("/spec/deletionPolicy", json!("Force")),
    ]
}

fn changes_of_an_answer() -> Vec<Change> {
    vec![("/spec/decision", json!("Maybe")), ("/spec/vaultID", json!("a.b"))]
}

fn changes_of_a_copy() -> Vec<Change> {
    vec![("/spec/source", json!({})), ("/spec/destination/encryption", json!({"keyID": "a b"}))]
}

/// Objects of each kind: one as it should be, and some with one change each, most of which are mistakes.
fn candidates(player: &Player) -> Vec<Value> {
    let share = object("ImageShare", "x", &share(player, &[1, 2]));
    let of_share = changes_of_a_share(&share["spec"]["recipients"][0]);
    let answer = json!({"accountRef": {"name": "golden"}, "region": "cn-north-4", "imageID": "i", "owner": "o",
        "decision": "Accept"});
    let copy = json!({"source": {"imageRef": {"name": "golden"}},
        "destination": {"region": "cn-beijing", "name": "copy"}});
    let all = [
        (share, of_share),
        (object("CloudAccount", "x", &account(player, 4)), changes_of_an_account()),
        (object("CloudImage", "x", &image(player)), changes_of_an_image()),
        (object("SharedImageAcceptance", "x", &answer), changes_of_an_answer()),
        (object("ImageReplica", "x", &copy), changes_of_a_copy()),
    ];
    let each = |(base, changes): (Value, Vec<Change>)| {
        let changed: Vec<Value> = changes.into_iter().map(|change| changed(base.clone(), change)).collect();
        [vec![base], changed].concat()
    };
    all.into_iter().flat_map(each).collect()
}

#[tokio::test]
async fn what_the_api_server_refuses_is_refused_without_one_and_nothing_else() -> Result<()> {
    let player = Player::enter_on(stage().await?).await?;
    let namespace = player.namespace.name();
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for candidate in candidates(&player) {
        let text = candidate.to_string();
        let args = ["apply", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", "-"];
        let server = player.stage.control_plane.kubectl_with(&args, &text).await;
        let ran = plan(&text, &["-n", namespace])?;
        refused += u32::from(server.is_err());
        if server.is_ok() != (ran.exit != 1) {
            wrong.push(format!("{text}\n  the API server: {server:?}\n  the plan: {}{}", ran.out, ran.err));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(refused > 25, "only {refused} were refused");
    Ok(())
}

/// Without a kubeconfig, and with nothing of the environment.
#[tokio::test]
async fn a_plan_needs_no_cluster_and_reads_files_folders_and_standard_input() -> Result<()> {
    let files = |args: &[&str]| plugin_as(None, &[&["plan"], args].concat(), "");
    let ran = files(&["-f", "examples/quickstart"])?;
    ensure!(ran.exit == 2 && ran.out.ends_with("3 grants, 2 objects of other groups not judged\n"), "{ran:?}");
    let ran = files(&["-f", "examples/quickstart/04-share.yaml", "-f", "examples/quickstart/03-image.yaml"])?;
    ensure!(ran.exit == 2 && ran.out.contains("unknown  examples/quickstart/03-image.yaml:"), "{ran:?}");
    let ran = files(&["-f", "examples/quickstart/04-share.yaml", "--strict"])?;
    ensure!(ran.exit == 1, "{ran:?}");
    let ran = files(&["-f", "examples/nothing.yaml"])?;
    ensure!(ran.exit == 1 && ran.err.contains("examples/nothing.yaml: No such file"), "{ran:?}");
    let ran = files(&["-f", "docs"])?;
    ensure!(ran.exit == 1 && ran.err.contains("no file ends in .yaml"), "{ran:?}");
    Ok(())
}
