//! What this binary's tests share: one API server, the simulated clouds, one operator.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::examples;
use support::Stage;

/// How many may play, on both clouds together.
const PARTIES: u32 = 240;
/// Recipients of each party's own at Alibaba Cloud.
const RECIPIENTS: u32 = 2;

/// Where copies go at Alibaba Cloud.
pub const ELSEWHERE: &str = "cn-hongkong";
/// Where images are at Huawei Cloud, and where copies go.
pub const HUAWEI_REGION: &str = "cn-north-4";
pub const HUAWEI_ELSEWHERE: &str = "cn-east-3";
/// What lets the image service write to the other region, for every party.
pub const AGENCY: &str = "ims-copies";
/// A key of every party, and one that is disabled.
pub const KEY: &str = "8f7e0000-0000-4000-8000-000000000001";
pub const DISABLED_KEY: &str = "8f7e0000-0000-4000-8000-000000000002";
/// A backup vault that every party has in the other region, and a full one.
pub const VAULT: &str = "5a0b0000-0000-4000-8000-000000000001";
pub const FULL_VAULT: &str = "5a0b0000-0000-4000-8000-000000000002";
/// Most images of one project at Huawei Cloud, and the largest that Alibaba Cloud copies here, in GiB.
pub const QUOTA: usize = 6;
pub const LARGEST: u64 = 500;

/// The operator's arguments besides: nobody is short of calls.
const OURS: [&str; 4] = ["--calls-per-second", "100", "--calls-burst", "100"];

pub fn domain(party: u32) -> String {
    format!("e1{party:030x}")
}

pub fn project(party: u32) -> String {
    format!("f1{party:030x}")
}

pub fn project_elsewhere(party: u32) -> String {
    format!("f2{party:030x}")
}

pub fn huawei_key(party: u32) -> Value {
    json!({"id": format!("HWAKPARTY{party:04}"), "secret": format!("{}{party}", support::SECRET_CANARY)})
}

fn tenant(party: u32) -> Value {
    let key = huawei_key(party);
    let vaults = json!([{"id": VAULT}, {"id": FULL_VAULT, "code": "IMG.0182"}]);
    json!({"id": domain(party), "name": format!("party{party}"), "site": "China",
        "keys": [{"ak": key["id"], "sk": key["secret"]}],
        "projects": [
            {"id": project(party), "region": HUAWEI_REGION},
            {"id": project_elsewhere(party), "region": HUAWEI_ELSEWHERE, "vaults": vaults},
        ],
        "agencies": [{"name": AGENCY, "projects": [project_elsewhere(party)]}],
        "kmsKeys": [{"id": KEY}, {"id": DISABLED_KEY, "disabled": true}]})
}

fn world() -> Result<Value> {
    let mut world = support::world_of(PARTIES, RECIPIENTS);
    world["rules"] = json!({"copySeconds": 1, "copySizeGiB": LARGEST});
    let domains: Vec<Value> = (0..PARTIES).map(tenant).collect();
    world["huawei"] = json!({"rules": {"copySeconds": 1, "imageQuota": QUOTA}, "domains": domains, "images": []});
    for account in world["accounts"].as_array_mut().context("accounts")? {
        account["kmsKeys"] = json!([KEY]);
    }
    examples::add_to(&mut world)?;
    for (_, regions) in world["huawei"]["sites"].as_object_mut().context("sites")? {
        let regions = regions.as_array_mut().context("regions")?;
        let missing = [HUAWEI_REGION, HUAWEI_ELSEWHERE].into_iter().filter(|new| !regions.contains(&json!(new)));
        let missing: Vec<Value> = missing.map(Value::from).collect();
        regions.extend(missing);
    }
    Ok(world)
}

pub async fn stage() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE
        .get_or_try_init(async || {
            // So many play here that writing down every request takes its time.
            let arguments = support::quick(&[OURS.as_slice(), &["--log", "info"]].concat());
            let stage = support::start(&world()?, &arguments).await?;
            Ok(Stage { players: PARTIES, ..stage })
        })
        .await
}

/// For those who show what an operator does that reads again all the time.
pub async fn polling() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE
        .get_or_try_init(async || {
            let arguments = support::quick(&[OURS.as_slice(), &support::POLLING].concat());
            let stage = support::start_apart(&world()?, &arguments).await?;
            Ok(Stage { players: PARTIES, ..stage })
        })
        .await
}

/// Whoever counts or times has the operator undisturbed; whoever kills it has it alone.
static OPERATOR: RwLock<()> = RwLock::const_new(());

pub async fn undisturbed() -> RwLockReadGuard<'static, ()> {
    OPERATOR.read().await
}

pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    OPERATOR.write().await
}
