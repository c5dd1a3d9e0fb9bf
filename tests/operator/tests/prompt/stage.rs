//! What this binary's tests share: one API server, the simulated clouds, one operator whose intervals are an hour.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use support::huawei;
use support::{Player, Stage, owner_id};

/// Recipients of each player at Alibaba Cloud.
const RECIPIENTS: u32 = 3;

/// Everything, started once.
pub struct Servers {
    pub stage: Stage,
}

pub async fn servers() -> Result<&'static Servers> {
    static SERVERS: OnceCell<Servers> = OnceCell::const_new();
    SERVERS
        .get_or_try_init(async || Ok(Servers { stage: support::start_apart(&world(), &support::QUICK).await? }))
        .await
}

/// A player at Alibaba Cloud.
pub async fn enter() -> Result<Player> {
    Player::enter_on(&servers().await?.stage).await
}

/// A second lasting key of a player, and a temporary one.
pub fn spare_key(player: u32) -> Value {
    json!({"id": format!("LTAIspare{player:04}"), "secret": format!("AnotherCanarySecret{player:04}")})
}

fn world() -> Value {
    let mut world = support::world_of(huawei::ARENAS, RECIPIENTS);
    world["huawei"] = huawei::world()["huawei"].clone();
    for account in world["accounts"].as_array_mut().unwrap() {
        let number = (0..huawei::ARENAS).find(|n| account["id"] == owner_id(*n).as_str());
        if let Some(number) = number {
            account["keys"].as_array_mut().unwrap().push(spare_key(number));
        }
    }
    world
}

/// Demands that something took no longer than this since `begun`. Twice what a person is promised: tests share a machine.
pub fn took_at_most(begun: Instant, promised: Duration, what: &str) {
    let took = begun.elapsed();
    println!("{what}: {took:?}");
    assert!(took < promised * 2, "{what} took {took:?}");
}

/// An arena of its own at Huawei Cloud.
pub async fn huawei() -> Result<huawei::Huawei> {
    huawei::Huawei::enter_on(&servers().await?.stage).await
}
