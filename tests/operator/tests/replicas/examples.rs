//! The two ways of sharing across regions, as the examples have them: from YAML alone, in any order of `kubectl apply`.
//! Each order plays with ids and names of its own, so that they can play at the same time.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{assets, eventually};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::stage::stage;
use support::{PATIENCE, Stage};

/// How many orders are tried of each example.
const ORDERS: u64 = 4;

/// Asks for a reconcile.
const ASK: &str = "imageshare.dev/reconcile-requested-at=once-shared";

/// What is of its own in each order: accounts, projects, images, keys and namespaces.
const NAMES: [&str; 14] = [
    "2000000000000001",
    "1000000000000001",
    "1000000000000002",
    "1000000000000003",
    "LTAIdemo",
    "m-bp1goldenubuntu2404",
    "m-bp1goldendebian13",
    "HWDEMOBUILDERS",
    "HWDEMOPARTNERS",
    "copy-then-share",
    "euler-builders",
    "euler-partners",
    "d000000000000000000000000000000",
    "a000000000000000000000000000000",
];

/// A text of the examples with the names of one order.
fn of_order(text: &str, order: u64) -> String {
    let own = |name: &str| match name.as_bytes()[0] {
        b'1' | b'2' => format!("{}{:04}{}", &name[..8], 9000 + order, &name[12..]),
        b'a' | b'd' => format!("{}{order}{}", &name[..8], &name[9..]),
        _ => format!("{name}{order}"),
    };
    let uuids = text.replace("d164b5df-1bc3-4c3f", &format!("d164b5df-1bc3-4c3{order}"));
    let uuids = uuids.replace("5a1c9d0e-7b7e-4f0c", &format!("5a1c9d0e-7b7e-4f0{order}"));
    NAMES.iter().fold(uuids, |text, name| text.replace(name, &own(name)))
}

/// Adds what the examples' world holds to a world, once for each order.
pub fn add_to(world: &mut Value) -> Result<()> {
    let text = fs::read_to_string(assets::workspace().join("examples/simulator/world.yaml"))?;
    for order in 0..ORDERS {
        let mut more: Value = serde_yaml::from_str(&of_order(&text, order))?;
        for domain in more["huawei"]["domains"].as_array_mut().context("domains")? {
            domain["name"] = json!(format!("{}{order}", domain["name"].as_str().unwrap_or_default()));
        }
        for list in ["/accounts", "/images", "/huawei/domains", "/huawei/images"] {
            let more = more.pointer(list).and_then(Value::as_array).cloned().context("a list")?;
            let (parent, name) = list.rsplit_once('/').context("a path")?;
            let parent = world.pointer_mut(parent).context("a parent")?;
            match parent.get_mut(name).and_then(Value::as_array_mut) {
                Some(existing) => existing.extend(more),
                None => parent[name] = Value::Array(more),
            }
        }
        world["huawei"]["sites"] = more["huawei"]["sites"].clone();
    }
    Ok(())
}

/// The documents of an example, those of one order, for the servers of this stage.
fn documents(stage: &Stage, file: &str, order: u64) -> Result<Vec<Value>> {
    let text = fs::read_to_string(assets::workspace().join("examples/across-regions").join(file))?;
    let text = of_order(&text, order)
        .replace("http://cloud-simulator:8480", stage.cloud.cloud())
        .replace("http://cloud-simulator:8481", stage.cloud.huawei());
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|document| Ok(Value::deserialize(document)?)).collect()
}

/// Applies one document after the other: the namespaces first, the others as they are, the other way round, or shuffled.
async fn apply(stage: &Stage, file: &str, order: u64) -> Result<()> {
    let (namespaces, mut others): (Vec<Value>, Vec<Value>) =
        documents(stage, file, order)?.into_iter().partition(|document| document["kind"] == "Namespace");
    let mut dice = StdRng::seed_from_u64(order);
    match order {
        0 => {}
        1 => others.reverse(),
        _ => others.shuffle(&mut dice),
    }
    for document in namespaces.iter().chain(&others) {
        stage.control_plane.kubectl_with(&["apply", "-f", "-"], &document.to_string()).await?;
        tokio::time::sleep(std::time::Duration::from_millis(dice.random_range(0..400))).await;
    }
    Ok(())
}

async fn get(stage: &Stage, namespace: &str, order: u64, object: &str) -> Result<Value> {
    let namespace = format!("{namespace}{order}");
    let text = stage.control_plane.kubectl(&["get", "-n", &namespace, object, "-o", "json"]).await?;
    Ok(serde_json::from_str(&text)?)
}

async fn until_ready(stage: &Stage, namespace: &str, order: u64, object: &str) -> Result<Value> {
    eventually(PATIENCE, &format!("{object} of {namespace}{order} to be ready"), async || {
        let found = get(stage, namespace, order, object).await?;
        let ready = support::condition(&found, "Ready").is_some_and(|condition| condition.status == "True");
        ensure!(ready, "{}", found["status"]);
        Ok(Some(found))
    })
    .await
}

async fn copy_then_share(order: u64) -> Result<()> {
    let (stage, namespace) = (stage().await?, "copy-then-share");
    apply(stage, "copy-then-share.yaml", order).await?;
    until_ready(stage, namespace, order, "imageshare/hongkong-teams").await?;
    let replica = until_ready(stage, namespace, order, "imagereplica/golden-debian-hongkong").await?;
    let copy = replica["status"]["imageID"].as_str().context("a copy")?;
    let seen = stage.cloud.image(copy).await?.context("the copy at the cloud")?;
    let teams = [of_order("1000000000000001", order), of_order("1000000000000002", order)];
    ensure!(seen["region"] == "cn-hongkong" && seen["sharedWith"] == json!(teams), "{seen}");
    let source = of_order("m-bp1goldendebian13", order);
    let begun = stage.cloud.journal(0).await?.into_iter().filter(|entry| {
        entry["effect"]["copy"]["state"] == "began" && entry["effect"]["copy"]["source"] == source.as_str()
    });
    ensure!(begun.count() == 1, "one copy of {source}");
    Ok(())
}

async fn share_accept_replicate_copy(order: u64) -> Result<()> {
    let (stage, namespace) = (stage().await?, "euler-partners");
    apply(stage, "share-accept-replicate-copy.yaml", order).await?;
    // No watch tells what a share brought about at the cloud. Everything after the acceptance follows from it.
    until_ready(stage, "euler-builders", order, "imageshare/partners").await?;
    let asks = ["annotate", &format!("-n={namespace}{order}"), "sharedimageacceptance/golden-euler", ASK];
    stage.control_plane.kubectl(&asks).await?;
    let far = until_ready(stage, namespace, order, "imagereplica/golden-euler-hongkong").await?;
    let near = get(stage, namespace, order, "imagereplica/golden-euler").await?;
    for (replica, owner) in [(&far, "a0000000000000000000000000000003"), (&near, "a0000000000000000000000000000002")] {
        let copy = replica["status"]["imageID"].as_str().context("a copy")?;
        let seen = stage.cloud.huawei_image(copy).await?.context("the copy at the cloud")?;
        ensure!(seen["project"] == of_order(owner, order).as_str(), "{seen}");
    }
    until_ready(stage, namespace, order, "cloudimage/golden-euler-hongkong").await?;
    let name = format!("-n={namespace}{order}");
    stage.control_plane.kubectl(&["delete", &name, "imagereplica/golden-euler-hongkong", "--timeout=30s"]).await?;
    let copy = far["status"]["imageID"].as_str().context("a copy")?;
    ensure!(stage.cloud.huawei_image(copy).await?.is_none(), "deletionPolicy: Delete takes the copy along");
    Ok(())
}

macro_rules! in_every_order {
    ($($name:ident $order:literal),* $(,)?) => {
        $(mod $name {
            #[tokio::test]
            async fn copy_then_share() -> anyhow::Result<()> {
                super::copy_then_share($order).await
            }

            #[tokio::test]
            async fn share_accept_replicate_copy() -> anyhow::Result<()> {
                super::share_accept_replicate_copy($order).await
            }
        })*
    };
}

in_every_order!(as_written 0, the_other_way_round 1, shuffled 2, shuffled_again 3);
