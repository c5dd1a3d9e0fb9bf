//! Regions that a site does not sell or nobody knows, and endpoints nobody allowed: told before any call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use imageshare_operator::api::image_share::ImageShareSpec;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use imageshare_operator::domain::provider::Site;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use support::{Player, says};

const CHINA_ONLY: &str = "cn-hangzhou-finance";

/// Demands a reason of image and share, and that the cloud was never asked about the image.
async fn never_called_about(player: &Player, image: &str, reason: &str, words: &[&str]) -> Result<()> {
    let object = player.until::<CloudImage>("golden", "False", reason).await?;
    says(&object, "Ready", words);
    let share = player.until::<ImageShare>("team", "False", reason).await?;
    says(&share, "Ready", words);
    player.looked::<CloudImage>("golden").await?;
    assert_eq!(player.about(image).await?, Vec::<Value>::new(), "the cloud was called about the image");
    Ok(())
}

#[tokio::test]
async fn a_region_the_accounts_site_does_not_sell_is_told_before_any_call() -> Result<()> {
    let player = Player::enter().await?;
    let id = player.new_image("finance", json!({"region": CHINA_ONLY})).await?;
    player.account(|_| {}).await?;
    player
        .image("golden", |spec| {
            id.clone_into(&mut spec.image_id);
            CHINA_ONLY.clone_into(&mut spec.region);
        })
        .await?;
    player.share("team", 1..=1).await?;
    never_called_about(&player, &id, "RegionNotOnSite", &["spec.region", CHINA_ONLY, "International"]).await
}

#[tokio::test]
async fn a_region_the_recipients_site_does_not_sell_leaves_out_that_one_unsent() -> Result<()> {
    let player = Player::enter().await?;
    let id = player.new_image("finance", json!({"region": CHINA_ONLY})).await?;
    player.account(|spec| spec.alibaba.as_mut().unwrap().site = Site::China).await?;
    player
        .image("golden", |spec| {
            id.clone_into(&mut spec.image_id);
            CHINA_ONLY.clone_into(&mut spec.region);
        })
        .await?;
    let ids: Vec<String> = (1..=3).map(|n| player.recipient(n)).collect();
    let abroad = ids[1].clone();
    let edit = |spec: &mut ImageShareSpec| spec.recipients[1].site = Some(Site::International);
    player.share_with("team", &ids, edit).await?;
    let share = player.until_waiting("team", "RegionNotOnSite", &[(&abroad, "RegionNotOnSite")]).await?;
    says(&share, "Ready", &["spec.recipients", &abroad, "site"]);
    player.until_recipients(&id, &[ids[0].clone(), ids[2].clone()]).await?;
    assert!(!player.asked_to_add(&id).await?.contains(&abroad));
    Ok(())
}

#[tokio::test]
async fn a_region_nobody_knows_is_told_before_any_call_about_the_image() -> Result<()> {
    let player = Player::enter().await?;
    player.account(|_| {}).await?;
    player.image("golden", |spec| "cn-atlantis".clone_into(&mut spec.region)).await?;
    player.share("team", 1..=1).await?;
    never_called_about(&player, &player.image_id(1), "RegionUnknown", &["spec.region", "cn-atlantis"]).await
}

/// A listener nobody may connect to, and how many did.
async fn forbidden_door() -> Result<(String, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let visits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&visits);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    Ok((address.to_string(), visits))
}

#[tokio::test]
async fn an_endpoint_nobody_allowed_is_never_connected_to() -> Result<()> {
    let player = Player::enter().await?;
    let (address, visits) = forbidden_door().await?;
    let endpoint = format!("http://{address}");
    player.account(|spec| spec.alibaba.as_mut().unwrap().endpoint = Some(endpoint)).await?;
    player.image("golden", |_| {}).await?;
    player.share("team", 1..=1).await?;
    let words = ["spec.alibaba.endpoint", "--allowed-endpoint"];
    let account = player.until::<CloudAccount>("golden", "False", "EndpointNotAllowed").await?;
    says(&account, "Ready", &words);
    says(&account, "Stalled", &words);
    never_called_about(&player, &player.image_id(1), "EndpointNotAllowed", &words).await?;
    let tricks = [
        format!("https://{address}"),
        format!("http://{address}/"),
        format!("http://aliyuncs.com@{address}"),
        format!("{}@{address}", player.stage.cloud.cloud()),
        format!("http://{address}/?x=.aliyuncs.com"),
        format!("ftp://{address}"),
    ];
    for trick in tricks {
        player.edit::<CloudAccount>("golden", json!({"spec": {"alibaba": {"endpoint": trick}}})).await?;
        player.until::<CloudAccount>("golden", "False", "EndpointNotAllowed").await?;
        player.looked::<CloudImage>("golden").await?;
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0, "a connection was made");
    let endpoint = player.stage.cloud.cloud();
    player.edit::<CloudAccount>("golden", json!({"spec": {"alibaba": {"endpoint": endpoint}}})).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=1).await
}
