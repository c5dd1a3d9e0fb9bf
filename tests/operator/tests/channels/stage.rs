//! What this binary's tests share: an operator that lists its accounts' images every two seconds.

use anyhow::{Context as _, Result};
use imageshare_harness::eventually;
use imageshare_operator::api::channel_share::ChannelShareSpec;
use imageshare_operator::api::image_channel::ImageChannelSpec;
use imageshare_operator::api::{ChannelShare, CloudAccount, CloudImage, ImageChannel, ImageShare};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use support::{PATIENCE, Player, REGION, Stage};

/// How often images are listed here.
pub const OFTEN: [&str; 2] = ["--discovery-interval", "2s"];

pub async fn stage() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    let start = async || {
        let mut world = support::world_of(24, 6);
        world["huawei"] = support::huawei::world()["huawei"].clone();
        support::start(&world, &support::quick(&OFTEN)).await
    };
    STAGE.get_or_try_init(start).await
}

/// A namespace with a ready account `golden`, and no image in service.
pub async fn owner() -> Result<Player> {
    owner_on(stage().await?).await
}

pub async fn owner_on(stage: &'static Stage) -> Result<Player> {
    let player = Player::enter_on(stage).await?;
    player.account(|_| {}).await?;
    player.ready::<CloudAccount>("golden").await?;
    Ok(player)
}

/// Builds version `version` of the line; gives the image's id.
pub async fn build(owner: &Player, version: &str) -> Result<String> {
    owner.new_image(&format!("line-{version}"), json!({})).await
}

/// A channel of the line, changed by `extra`.
pub async fn channel(owner: &Player, name: &str, extra: Value) -> Result<()> {
    let mut spec = json!({"accountRef": {"name": "golden"}, "region": REGION,
        "select": {"namePattern": "line-(?P<version>[0-9]+)"}});
    for (field, value) in extra.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    let spec: ImageChannelSpec = serde_json::from_value(spec)?;
    owner.create(ImageChannel::new(name, spec)).await
}

/// Shares the channel of an owner with recipients by number.
pub async fn follow(place: &Player, owner: &Player, name: &str, channel: &str, numbers: &[u32]) -> Result<()> {
    let mut named = json!({"name": channel});
    if place.namespace.name() != owner.namespace.name() {
        named["namespace"] = json!(owner.namespace.name());
    }
    let spec: ChannelShareSpec =
        serde_json::from_value(json!({"channelRef": named, "recipients": recipients(owner, numbers)}))?;
    place.create(ChannelShare::new(name, spec)).await
}

pub fn recipients(owner: &Player, numbers: &[u32]) -> Value {
    numbers.iter().map(|n| json!({"type": "Account", "id": owner.recipient(*n)})).collect()
}

/// Waits until a channel's latest version is this one; gives the channel.
pub async fn until_latest(owner: &Player, channel: &str, version: &str) -> Result<Value> {
    let what = format!("latest {version}");
    owner.until_it::<ImageChannel>(channel, &what, |it| it["status"]["latest"][0]["version"] == version).await
}

/// The stages of a channel's versions, newest first, as `2 Current, 1 Supported`.
pub fn stages(channel: &Value) -> String {
    let versions = channel["status"]["versions"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let each: Vec<String> = versions.map(|v| format!("{} {}", text(&v["version"]), text(&v["stage"]))).collect();
    each.join(", ")
}

/// Waits until a channel's versions have these stages.
pub async fn until_stages(owner: &Player, channel: &str, wanted: &str) -> Result<Value> {
    owner.until_it::<ImageChannel>(channel, wanted, |it| stages(it) == wanted).await
}

/// Has a version be in its stage, and its time come, so many hours earlier: status is all that the operator knows of time past.
pub async fn age(owner: &Player, channel: &str, version: &str, hours: i64) -> Result<()> {
    eventually(PATIENCE, &format!("{version} to be older"), async || {
        let mut found = owner.api::<ImageChannel>().get(channel).await?;
        let versions = found.status.as_mut().map(|status| &mut status.versions);
        let one = versions.into_iter().flatten().find(|one| one.version == version).context("no such version")?;
        let earlier = |time: &mut Time| time.0 -= jiff::SignedDuration::from_hours(hours);
        earlier(&mut one.stage_since);
        one.next.iter_mut().for_each(|next| earlier(&mut next.not_before));
        let written = owner.api::<ImageChannel>().replace_status(channel, &PostParams::default(), &found).await;
        match written {
            Ok(_) => Ok(Some(())),
            Err(kube::Error::Api(refused)) if refused.code == 409 => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// Waits until this, and nothing else, holds a version back.
pub async fn until_blocked(owner: &Player, channel: &str, version: &str, by: &[&str]) -> Result<Value> {
    let is = |one: &&Value| one["version"] == version && one["blockedBy"] == json!(by);
    let judge = |it: &Value| it["status"]["versions"].as_array().into_iter().flatten().any(|one| is(&one));
    owner.until_it::<ImageChannel>(channel, &format!("{version} blocked by {by:?}"), judge).await
}

/// Waits until an image is shared with exactly these recipients.
pub async fn until_has(owner: &Player, image: &str, numbers: &[u32]) -> Result<()> {
    owner.until_recipients(image, &owner.recipients(numbers.iter().copied())).await
}

/// How often the account's own images were listed.
pub async fn lists(owner: &Player) -> Result<usize> {
    let own = |entry: &&Value| entry["image"].is_null();
    Ok(owner.calls("DescribeImages").await?.iter().filter(own).count())
}

/// Waits for so many further lists of the account's images.
pub async fn after_lists(owner: &Player, more: usize) -> Result<()> {
    let wanted = lists(owner).await? + more;
    eventually(PATIENCE, &format!("{wanted} lists"), async || {
        let seen = lists(owner).await?;
        anyhow::ensure!(seen >= wanted, "{seen}");
        Ok(Some(()))
    })
    .await
}

/// The names and versions of everything that could be written for a channel.
pub async fn written(place: &Player) -> Result<Vec<String>> {
    let all = ListParams::default();
    let mut found: Vec<String> = Vec::new();
    let mut add = |kind: &str, name: String, version: Option<String>| {
        found.push(format!("{kind} {name} {}", version.unwrap_or_default()));
    };
    for it in place.api::<ImageChannel>().list(&all).await? {
        add("ImageChannel", it.name_any(), it.resource_version());
    }
    for it in place.api::<ChannelShare>().list(&all).await? {
        add("ChannelShare", it.name_any(), it.resource_version());
    }
    for it in place.api::<CloudImage>().list(&all).await? {
        add("CloudImage", it.name_any(), it.resource_version());
    }
    for it in place.api::<ImageShare>().list(&all).await? {
        add("ImageShare", it.name_any(), it.resource_version());
    }
    Ok(found)
}
