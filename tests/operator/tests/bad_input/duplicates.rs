//! Several objects for one image: only proven credentials count, one acts, and the others stand back and say so without
//! naming what is in other namespaces.

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::cloud_image::ImageDeletionPolicy;
use imageshare_operator::api::image_share::ImageShareSpec;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use support::sights::MODIFY;
use support::{PATIENCE, Player, condition, key, message, says};

/// Waits until the clock shows a later second than the one an image was created in: ages count in seconds.
async fn a_second_after(player: &Player, name: &str) -> Result<()> {
    let created = player.api::<CloudImage>().get(name).await?.metadata.creation_timestamp.unwrap().0;
    eventually(PATIENCE, "the next second", async || {
        Ok((Timestamp::now().as_second() > created.as_second() + 1).then_some(()))
    })
    .await
}

/// Demands that an image is a stalled duplicate of the one that `words` tell of, and that reconciling it makes no call. The
/// active one may still be reconciled on account of the duplicate, and its calls look alike; a duplicate that made calls would
/// make them in every round.
async fn stands_back(player: &Player, name: &str, image: &str, words: &[&str]) -> Result<()> {
    let duplicate = player.until::<CloudImage>(name, "False", "DuplicateImage").await?;
    says(&duplicate, "Ready", &["another CloudImage", "is the active one", "delete one"]);
    says(&duplicate, "Stalled", &["is the active one"]);
    ensure!(condition(&duplicate, "Active").is_some_and(|active| active.status == "False"), "{}", duplicate["status"]);
    says(&duplicate, "Active", words);
    eventually(PATIENCE, "a duplicate to be reconciled without a call", async || {
        let before = player.about(image).await?.len();
        player.looked::<CloudImage>(name).await?;
        player.looked::<CloudImage>(name).await?;
        Ok((player.about(image).await?.len() == before).then_some(()))
    })
    .await
}

/// A guest with a `CloudAccount` of the host's account id and this key, and a `CloudImage` of the host's first image.
async fn claims(host: &Player, guest: &Player, key: Option<&Value>) -> Result<()> {
    guest.account(|spec| spec.alibaba.as_mut().unwrap().account_id = host.owner()).await?;
    match key {
        Some(key) => guest.secret(key).await?,
        None => guest.delete::<Secret>("golden").await?,
    }
    names(host, guest).await
}

/// A `CloudImage` of the host's first image in the guest's namespace.
async fn names(host: &Player, guest: &Player) -> Result<()> {
    let image = host.image_id(1);
    guest.image("golden", |spec| image.clone_into(&mut spec.image_id)).await
}

/// Demands that the host's image is served as if there were nobody else, and that nobody learns of it.
async fn is_served_alone(host: &Player, stranger: &Player) -> Result<()> {
    host.share("team", 1..=2).await?;
    host.ready::<ImageShare>("team").await?;
    host.until_shared_with(1, 1..=2).await?;
    host.delete::<ImageShare>("team").await?;
    host.gone::<ImageShare>("team").await?;
    host.until_shared_with(1, []).await?;
    let image = host.get::<CloudImage>("golden").await?;
    ensure!(condition(&image, "Active").is_none(), "nobody else counts: {}", image["status"]);
    let theirs = stranger.looked::<CloudImage>("golden").await?["status"].to_string();
    for told in ["Duplicate", "another", host.namespace.name()] {
        ensure!(!theirs.contains(told), "{told}: {theirs}");
    }
    Ok(())
}

#[tokio::test]
async fn a_claimed_account_id_without_its_credentials_stops_nobody_and_tells_nothing() -> Result<()> {
    let (host, squatter, rejected) = (Player::enter().await?, Player::enter().await?, Player::enter().await?);
    // Both are older than the host's image.
    claims(&host, &squatter, None).await?;
    claims(&host, &rejected, Some(&key(rejected.number))).await?;
    squatter.until::<CloudImage>("golden", "False", "SecretNotFound").await?;
    rejected.until::<CloudImage>("golden", "False", "CredentialsRejected").await?;
    a_second_after(&rejected, "golden").await?;
    host.account(|_| {}).await?;
    host.image("golden", |_| {}).await?;
    host.ready::<CloudImage>("golden").await?;
    is_served_alone(&host, &squatter).await?;
    is_served_alone(&host, &rejected).await
}

#[tokio::test]
async fn an_older_object_whose_account_comes_later_and_proves_nothing_ends_nothing() -> Result<()> {
    let (host, sleeper) = (Player::enter().await?, Player::enter().await?);
    names(&host, &sleeper).await?;
    sleeper.until::<CloudImage>("golden", "False", "AccountNotFound").await?;
    a_second_after(&sleeper, "golden").await?;
    host.account(|_| {}).await?;
    host.image("golden", |_| {}).await?;
    host.share("victim", 5..=5).await?;
    host.ready::<ImageShare>("victim").await?;
    sleeper.account(|spec| spec.alibaba.as_mut().unwrap().account_id = host.owner()).await?;
    sleeper.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    host.looked::<CloudImage>("golden").await?;
    host.ready::<CloudImage>("golden").await?;
    host.delete::<ImageShare>("victim").await?;
    host.gone::<ImageShare>("victim").await?;
    is_served_alone(&host, &sleeper).await
}

#[tokio::test]
async fn a_duplicate_stands_back_until_the_active_one_goes() -> Result<()> {
    let player = Player::with_image().await?;
    let image = player.image_id(1);
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    player.image("second", |_| {}).await?;
    let of_second = |spec: &mut ImageShareSpec| "second".clone_into(&mut spec.image_ref.name);
    player.share_with("later", &[player.recipient(3)], of_second).await?;
    stands_back(&player, "second", &image, &["CloudImage golden,"]).await?;
    let share = player.until::<ImageShare>("later", "False", "DuplicateImage").await?;
    says(&share, "Ready", &["another CloudImage"]);
    // A third one goes again: its going touches no cloud.
    player.image("third", |spec| spec.deletion_policy = ImageDeletionPolicy::Delete).await?;
    stands_back(&player, "third", &image, &["CloudImage golden,"]).await?;
    player.delete::<CloudImage>("third").await?;
    player.gone::<CloudImage>("third").await?;
    assert_eq!(player.calls("DeleteImage").await?, Vec::<Value>::new());
    player.until_shared_with(1, 1..=2).await?;

    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.delete::<CloudImage>("golden").await?;
    player.gone::<CloudImage>("golden").await?;
    player.ready::<ImageShare>("later").await?;
    player.until_shared_with(1, 3..=3).await
}

#[tokio::test]
async fn two_namespaces_with_one_account_do_not_act_on_one_image_both() -> Result<()> {
    let (host, guest) = (Player::with_image().await?, Player::enter().await?);
    claims(&host, &guest, Some(&key(host.number))).await?;
    guest.ready::<CloudAccount>("golden").await?;
    stands_back(&guest, "golden", &host.image_id(1), &["a CloudImage of another namespace"]).await?;
    let told = guest.get::<CloudImage>("golden").await?["status"].to_string();
    ensure!(!told.contains(host.namespace.name()), "{told}");
    host.delete::<CloudImage>("golden").await?;
    host.gone::<CloudImage>("golden").await?;
    guest.ready::<CloudImage>("golden").await?;
    Ok(())
}

#[tokio::test]
async fn of_objects_made_at_once_one_acts() -> Result<()> {
    let player = Player::enter().await?;
    player.account(|_| {}).await?;
    player.ready::<CloudAccount>("golden").await?;
    let names = ["one", "two", "three"];
    for (name, n) in names.iter().zip(1..) {
        let of_this = |spec: &mut ImageShareSpec| (*name).clone_into(&mut spec.image_ref.name);
        player.share_with(name, &[player.recipient(n)], of_this).await?;
    }
    futures::future::try_join_all(names.iter().map(|name| player.image(name, |_| {}))).await?;
    let judged = eventually(PATIENCE, "one to act", async || {
        let mut reasons = Vec::new();
        for name in names {
            let image = player.get::<CloudImage>(name).await?;
            reasons.push(condition(&image, "Ready").map(|ready| ready.reason).unwrap_or_default());
        }
        let count = |reason: &str| reasons.iter().filter(|found| *found == reason).count();
        ensure!((count("Available"), count("DuplicateImage")) == (1, 2), "{reasons:?}");
        Ok(Some(reasons))
    })
    .await?;
    let active = judged.iter().position(|reason| reason == "Available").unwrap();
    player.ready::<ImageShare>(names[active]).await?;
    ensure!(player.calls(MODIFY).await?.len() == 1, "the others called nobody: {:?}", player.calls(MODIFY).await?);
    player.until_shared_with(1, [u32::try_from(active).unwrap() + 1]).await
}

#[tokio::test]
async fn the_active_one_stays_when_an_older_object_can_act_later() -> Result<()> {
    let (host, guest) = (Player::enter().await?, Player::enter().await?);
    names(&host, &guest).await?;
    guest.until::<CloudImage>("golden", "False", "AccountNotFound").await?;
    a_second_after(&guest, "golden").await?;
    host.account(|_| {}).await?;
    host.image("golden", |_| {}).await?;
    host.share("team", 1..=2).await?;
    host.ready::<ImageShare>("team").await?;
    // The account comes, and its key is good.
    guest.account(|spec| spec.alibaba.as_mut().unwrap().account_id = host.owner()).await?;
    guest.secret(&key(host.number)).await?;
    stands_back(&guest, "golden", &host.image_id(1), &["a CloudImage of another namespace"]).await?;
    host.looked::<CloudImage>("golden").await?;
    host.ready::<CloudImage>("golden").await?;
    ensure!(host.revoked(&host.image_id(1)).await?.is_empty());
    host.until_shared_with(1, 1..=2).await
}

#[tokio::test]
async fn the_next_one_takes_over_when_the_active_ones_key_is_refused_for_long_and_keeps_it() -> Result<()> {
    let (host, guest) = (Player::with_image().await?, Player::enter().await?);
    host.share("team", 1..=2).await?;
    host.ready::<ImageShare>("team").await?;
    claims(&host, &guest, Some(&key(host.number))).await?;
    let of_guest = [host.recipient(1), host.recipient(3)];
    guest.share_with("other", &of_guest, |_| {}).await?;
    guest.until::<ImageShare>("other", "False", "DuplicateImage").await?;

    host.secret(&key(guest.number)).await?;
    host.nudge::<CloudAccount>("golden").await?;
    host.until::<CloudImage>("golden", "False", "CredentialsRejected").await?;
    guest.ready::<ImageShare>("other").await?;
    let active = guest.until_condition::<CloudImage>("golden", "Active", "True", "TookOver").await?;
    says(&active, "Active", &["a CloudImage of another namespace", "can no longer be used"]);
    let former = host.until_condition::<CloudImage>("golden", "Active", "False", "DuplicateImage").await?;
    ensure!(message(&former, "Ready").contains("Secret"), "{}", former["status"]);
    let held = former["status"]["grants"].as_array().map(Vec::len);
    ensure!(held == Some(2), "its ledger stays: {}", former["status"]);
    // Nothing that the former one granted was ended.
    host.until_shared_with(1, 1..=3).await?;

    host.account_secret().await?;
    host.nudge::<CloudAccount>("golden").await?;
    host.ready::<CloudAccount>("golden").await?;
    // The active one is woken by it too, and calls: only afterwards a call would be the duplicate's.
    guest.until_condition::<CloudImage>("golden", "Active", "True", "HasDuplicates").await?;
    stands_back(&host, "golden", &host.image_id(1), &["a CloudImage of another namespace"]).await?;
    guest.ready::<CloudImage>("golden").await?;
    ensure!(host.revoked(&host.image_id(1)).await?.is_empty());
    host.until_shared_with(1, 1..=3).await?;

    // A duplicate still ends what it granted, but for whom the active one granted the image too.
    host.delete::<ImageShare>("team").await?;
    host.gone::<ImageShare>("team").await?;
    host.until_shared_with(1, [1, 3]).await?;
    host.delete::<CloudImage>("golden").await?;
    host.gone::<CloudImage>("golden").await?;
    guest.until_it::<CloudImage>("golden", "no duplicates", |image| condition(image, "Active").is_none()).await?;
    guest.delete::<ImageShare>("other").await?;
    guest.gone::<ImageShare>("other").await?;
    host.until_shared_with(1, []).await
}
