//! The life of each kind as GitOps tools see it: every version that was ever stored, from the operator's first write on, is
//! judged by kstatus, by Argo CD's rules and by Flux's.

mod judges;
mod lives;
mod merging;

use anyhow::{Result, ensure};
use imageshare_harness::history::Change;
use imageshare_harness::{ControlPlane, History};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use judges::Judged;
use support::{Player, Stage};

/// Where images are at Huawei Cloud.
const REGION: &str = "cn-north-4";

struct Theatre {
    stage: Stage,
    history: History,
}

fn domain(n: u32) -> String {
    format!("d1{n:030x}")
}

fn project(n: u32) -> String {
    format!("b1{n:030x}")
}

/// Alibaba Cloud for all players, and two tenants of Huawei Cloud, where offers are answered.
fn world() -> Value {
    let mut world = support::world_of(8, 4);
    world["rules"] = json!({"copySeconds": 1});
    let tenant = |n: u32| {
        json!({"id": domain(n), "site": "China", "projects": [{"id": project(n), "region": REGION}],
            "keys": [{"ak": format!("HWAKTENANT{n}"), "sk": support::SECRET_CANARY}]})
    };
    world["huawei"] = json!({"sites": {"China": [REGION], "International": [REGION]},
        "domains": [tenant(0), tenant(1)], "images": []});
    world
}

async fn theatre() -> Result<&'static Theatre> {
    static THEATRE: OnceCell<Theatre> = OnceCell::const_new();
    THEATRE
        .get_or_try_init(async || {
            let history = History::of_sharing(ControlPlane::shared().await?).await?;
            let arguments = support::quick(&["--inventory-interval", "1s"]);
            Ok(Theatre { stage: support::start(&world(), &arguments).await?, history })
        })
        .await
}

/// Every version of one object from the operator's first write on, judged and found to be sound.
async fn life(player: &Player, kind: &str, name: &str) -> Result<Vec<Judged>> {
    let mut versions = theatre().await?.history.versions().await?;
    let here = player.namespace.name();
    versions.retain(|v| (v.kind(), v.namespace(), v.name()) == (kind, here, name) && v.change != Change::Deleted);
    // The first version of what a user makes is the user's alone.
    if kind != "SharedImage" {
        versions.remove(0);
    }
    ensure!(!versions.is_empty(), "the operator never wrote {kind} {name}");
    let objects: Vec<Value> = versions.iter().map(|version| version.object.clone()).collect();
    let verdicts = tokio::task::spawn_blocking(move || judges::judge(&objects)).await??;
    let judged = versions.into_iter().zip(verdicts).map(|(version, verdict)| Judged { version, verdict });
    let judged: Vec<Judged> = judged.collect();
    judged.iter().try_for_each(Judged::check)?;
    Ok(judged)
}

/// What an object was said to be, in order, without what was said again.
fn said(life: &[Judged]) -> Vec<&str> {
    let mut said: Vec<&str> = life.iter().map(|judged| judged.verdict.kstatus.as_str()).collect();
    said.dedup();
    said
}
