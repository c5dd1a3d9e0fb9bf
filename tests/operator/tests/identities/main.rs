//! Credentials that nobody copies: roles that keys assume, and roles that a cloud gives for tokens of `ServiceAccounts`. A real API
//! server issues the tokens; the simulated clouds' journal is the judge.

mod aws;
mod roles;
mod tokens;

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};
use support::{POLLING, Player, Stage, key, owner_id, quick, start};
use tokio::sync::OnceCell;

/// The role that every owner has.
const ROLE: &str = "imageshare";
/// What the owners' roles demand to be told.
const EXTERNAL_ID: &str = "cluster/team";

/// The account whose key assumes a player's role.
fn hub_id(player: u32) -> String {
    format!("29000000{player:04}0000")
}

fn hub_key(player: u32) -> Value {
    json!({"id": format!("LTAIhub{player:04}"), "secret": format!("HubCanarySecret{player:04}")})
}

fn role_arn(player: u32) -> String {
    format!("acs:ram::{}:role/{ROLE}", owner_id(player))
}

/// Every owner has a role that a hub of its own may assume, and no test uses the owner's key.
fn world_of_roles() -> Value {
    let mut world = support::aws::world();
    let plain = support::world();
    world["regions"] = plain["regions"].clone();
    world["images"] = plain["images"].clone();
    let mut accounts = plain["accounts"].as_array().cloned().unwrap_or_default();
    for account in &mut accounts {
        if let Some(number) = (0..100).find(|n| account["id"] == owner_id(*n).as_str()) {
            account["roles"] = json!([{"name": ROLE, "trusts": [hub_id(number)], "externalId": EXTERNAL_ID}]);
        }
    }
    accounts.extend((0..64).map(|n| json!({"id": hub_id(n), "keys": [hub_key(n)]})));
    world["accounts"] = json!(accounts);
    world
}

async fn stage() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE.get_or_try_init(async || start(&world_of_roles(), &quick(&POLLING)).await).await
}

async fn enter() -> Result<Player> {
    Player::enter_on(stage().await?).await
}

/// The account `golden` with these credentials, its image, and a share of it.
async fn everything(player: &Player, credentials: Value) -> Result<()> {
    account(player, credentials).await?;
    player.image("golden", |_| {}).await?;
    player.share("team", 1..=2).await
}

async fn account(player: &Player, credentials: Value) -> Result<()> {
    let spec = json!({"alibaba": {
        "accountID": player.owner(), "site": "International", "credentials": credentials,
        "endpoint": player.stage.cloud.cloud(),
    }});
    player.create(CloudAccount::new("golden", serde_json::from_value(spec)?)).await
}

/// Changes the roles of the player's account at the cloud.
async fn set_role(player: &Player, role: Value) -> Result<()> {
    let mut role = role;
    role["name"] = json!(ROLE);
    player.stage.cloud.patch(&format!("/accounts/{}", player.owner()), &json!({"roles": [role]})).await?;
    Ok(())
}

/// The keys that signed what the cloud was asked about the player's first image.
async fn keys_about_the_image(player: &Player) -> Result<Vec<String>> {
    let about = player.about(&player.image_id(1)).await?;
    Ok(about.iter().filter_map(|entry| entry["keyId"].as_str().map(ToOwned::to_owned)).collect())
}

/// No key, no token and no token of a `ServiceAccount` is in the log, in an event, or in an object.
async fn nothing_is_shown(player: &Player) -> Result<()> {
    // Of the world's keys, of keys that the simulator makes, of its tokens, and of every JWT.
    let canaries = ["Canary", "CAISimulated", "FwoGSimulated", "eyJhbGciOi"];
    let log = player.stage.operator.lock().await.process.log();
    ensure!(log.contains("imageshare_operator"), "the log is not what is looked at");
    let events = player.api::<Event>().list(&ListParams::default()).await?;
    let mut shown = vec![("the log", log), ("an event", serde_json::to_string(&events.items)?)];
    shown.push((
        "an account",
        serde_json::to_string(&player.api::<CloudAccount>().list(&ListParams::default()).await?.items)?,
    ));
    shown.push((
        "an image",
        serde_json::to_string(&player.api::<CloudImage>().list(&ListParams::default()).await?.items)?,
    ));
    shown.push((
        "a share",
        serde_json::to_string(&player.api::<ImageShare>().list(&ListParams::default()).await?.items)?,
    ));
    for (place, text) in shown {
        for canary in canaries {
            ensure!(!text.contains(canary), "{canary} is in {place}");
        }
    }
    Ok(())
}

/// The key of the player's own account signs nothing here.
async fn the_owners_key_is_not_used(player: &Player) -> Result<()> {
    let own = key(player.number)["id"].clone();
    let all = player.journal().await?;
    ensure!(all.iter().all(|entry| entry["keyId"] != own), "{all:#?}");
    Ok(())
}
