//! Where recipients answer, an old version stays until everybody who uses it has accepted a newer one (Huawei Cloud).

use anyhow::Result;
use imageshare_operator::api::channel_share::ChannelShareSpec;
use imageshare_operator::api::image_channel::ImageChannelSpec;
use imageshare_operator::api::{ChannelShare, CloudImage, ImageChannel};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;

use crate::stage::{age, stage, until_blocked, until_stages};
use support::Player;
use support::arena::{Arena as _, accept, recipients, seat, until_members};
use support::huawei::{Huawei, REGION};

/// Nothing tells the operator what recipients answer: has it read that again.
async fn read_answers(owner: &Player) -> Result<()> {
    for image in owner.api::<CloudImage>().list(&ListParams::default()).await? {
        owner.looked::<CloudImage>(&image.name_any()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_old_version_waits_for_the_answers_of_those_who_use_it() -> Result<()> {
    let arena = Huawei::enter_on(stage().await?).await?;
    let owner = seat(arena.player(), &arena.tenant(0), None).await?;
    let [eager, slow, silent] = [1, 2, 3].map(|tenant| arena.tenant(tenant));
    let [eagers, slows] = [seat(arena.player(), &eager, None).await?, seat(arena.player(), &slow, None).await?];
    let one = arena.image_with(json!({"name": "line-1"})).await?;
    let spec: ImageChannelSpec = serde_json::from_value(json!({"accountRef": {"name": "golden"}, "region": REGION,
        "mode": "Rotate", "select": {"namePattern": "line-(?P<version>[0-9]+)"}, "retire": {"keep": 1, "grace": "2h"}}))?;
    owner.create(ImageChannel::new("line", spec)).await?;
    let everybody = recipients(&[eager.id.clone(), slow.id.clone(), silent.id.clone()]);
    let spec: ChannelShareSpec =
        serde_json::from_value(json!({"channelRef": {"name": "line"}, "recipients": everybody}))?;
    owner.create(ChannelShare::new("teams", spec)).await?;
    let from = arena.tenant(0).id;
    let [eager_id, slow_id, silent_id] = [&eager.id, &slow.id, &silent.id].map(String::as_str);
    let said = |eager, slow| [(eager_id, eager), (slow_id, slow), (silent_id, "pending")];
    until_members(&arena, &one, &said("pending", "pending")).await?;
    for place in [&eagers, &slows] {
        accept(place, "one", REGION, &one, &from, json!({})).await?;
    }
    until_members(&arena, &one, &said("accepted", "accepted")).await?;
    let two = arena.image_with(json!({"name": "line-2"})).await?;
    until_stages(&owner, "line", "2 Current, 1 Deprecated").await?;
    until_members(&arena, &two, &said("pending", "pending")).await?;
    accept(&eagers, "two", REGION, &two, &from, json!({})).await?;
    until_members(&arena, &two, &said("accepted", "pending")).await?;
    read_answers(&owner).await?;
    age(&owner, "line", "1", 3).await?;
    until_blocked(&owner, "line", "1", &["AwaitingAnswer"]).await?;
    // Who never accepted anything is not waited for.
    let told = owner
        .until_it::<ImageChannel>("line", "who is awaited", |it| {
            let message = support::message(it, "Rotated");
            message.contains(&slow.id) && !message.contains(&eager.id) && !message.contains(&silent.id)
        })
        .await?;
    assert_eq!(support::condition(&told, "Rotated").unwrap().reason, "AwaitingAnswer");
    until_members(&arena, &one, &said("accepted", "accepted")).await?;
    accept(&slows, "two", REGION, &two, &from, json!({})).await?;
    until_members(&arena, &two, &said("accepted", "accepted")).await?;
    read_answers(&owner).await?;
    until_stages(&owner, "line", "2 Current, 1 Retired").await?;
    until_members(&arena, &one, &[]).await?;
    until_members(&arena, &two, &said("accepted", "accepted")).await
}
