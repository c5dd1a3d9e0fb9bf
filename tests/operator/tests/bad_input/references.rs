//! References that dangle, cross a namespace without consent, or lead to another account than once.

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::image_share::ImageShareSpec;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use serde_json::{Value, json};

use support::{PATIENCE, Player, key, message, owner_id, says};

/// Takes every finalizer off the account by hand, as a person in a hurry would, and waits until it has gone.
async fn torn_away(player: &Player) -> Result<()> {
    player.edit::<CloudAccount>("golden", json!({"metadata": {"finalizers": null}})).await?;
    player.gone::<CloudAccount>("golden").await
}

#[tokio::test]
async fn an_account_is_kept_while_images_refer_to_it() -> Result<()> {
    let player = Player::with_image().await?;
    player.image("silver", |spec| spec.image_id = player.image_id(2)).await?;
    player.ready::<CloudImage>("silver").await?;
    player.delete::<CloudAccount>("golden").await?;
    let kept = player.until_condition::<CloudAccount>("golden", "Reconciling", "True", "StillReferenced").await?;
    says(&kept, "Reconciling", &["CloudImage golden, CloudImage silver", "delete these"]);
    player.share("team", 1..=1).await?;
    player.ready::<ImageShare>("team").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.delete::<CloudImage>("golden").await?;
    player.gone::<CloudImage>("golden").await?;
    let silver = "still referenced; delete these first: CloudImage silver";
    eventually(PATIENCE, "only silver to be named", async || {
        let account = serde_json::to_value(player.api::<CloudAccount>().get("golden").await?)?;
        ensure!(message(&account, "Reconciling") == silver, "{}", account["status"]);
        Ok(Some(()))
    })
    .await?;
    player.delete::<CloudImage>("silver").await?;
    player.gone::<CloudAccount>("golden").await
}

#[tokio::test]
async fn an_image_without_an_account_says_which_it_misses_and_goes_on_when_it_comes() -> Result<()> {
    let player = Player::enter().await?;
    player.image("golden", |_| {}).await?;
    player.share("team", 1..=1).await?;
    let image = player.until::<CloudImage>("golden", "False", "AccountNotFound").await?;
    says(&image, "Ready", &["spec.accountRef", "golden"]);
    player.until::<ImageShare>("team", "False", "AccountNotFound").await?;
    player.account(|_| {}).await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=1).await
}

#[tokio::test]
async fn a_share_from_another_namespace_needs_the_images_consent() -> Result<()> {
    let (host, guest) = (Player::with_image().await?, Player::enter().await?);
    let home = host.namespace.name().to_owned();
    let abroad = |spec: &mut ImageShareSpec| spec.image_ref.namespace = Some(home.clone());
    guest.share_with("visitor", &[host.recipient(1)], abroad).await?;
    guest
        .share_with("lost", &[host.recipient(2)], |spec| {
            abroad(spec);
            "nothing".clone_into(&mut spec.image_ref.name);
        })
        .await?;
    let visitor = guest.until::<ImageShare>("visitor", "False", "ImageRefUnresolved").await?;
    says(&visitor, "Ready", &["spec.imageRef", "shareableFrom"]);
    let lost = guest.until::<ImageShare>("lost", "False", "ImageRefUnresolved").await?;
    assert_eq!(
        message(&visitor, "Ready").replace("golden\"", "nothing\""),
        message(&lost, "Ready"),
        "whether the image exists is nobody else's business"
    );
    let image = host.looked::<CloudImage>("golden").await?;
    assert!(!image["status"].to_string().contains("visitor"), "{}", image["status"]);
    assert_eq!(host.sent(&host.image_id(1)).await?, Vec::<Value>::new());

    let labels = json!({"matchLabels": {"kubernetes.io/metadata.name": guest.namespace.name()}});
    let selector = json!({"from": "Selector", "selector": labels});
    let consent = |namespaces: Value| json!({"spec": {"shareableFrom": {"namespaces": namespaces}}});
    host.edit::<CloudImage>("golden", consent(selector)).await?;
    guest.ready::<ImageShare>("visitor").await?;
    host.until_shared_with(1, 1..=1).await?;

    host.edit::<CloudImage>("golden", consent(json!({"from": "Same", "selector": null}))).await?;
    guest.until::<ImageShare>("visitor", "False", "ImageRefUnresolved").await?;
    host.until_shared_with(1, []).await?;
    // A share without consent does not hold the image.
    host.delete::<CloudImage>("golden").await?;
    host.gone::<CloudImage>("golden").await?;
    guest.delete::<ImageShare>("visitor").await?;
    guest.gone::<ImageShare>("visitor").await
}

#[tokio::test]
async fn an_image_recorded_as_one_accounts_is_not_touched_through_another() -> Result<()> {
    let player = Player::with_image().await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    player.delete::<CloudAccount>("golden").await?;
    player.until_condition::<CloudAccount>("golden", "Reconciling", "True", "StillReferenced").await?;
    torn_away(&player).await?;
    player.until::<CloudImage>("golden", "False", "AccountNotFound").await?;
    let calls = player.about(&player.image_id(1)).await?;

    let another = 47;
    player.account(|spec| spec.alibaba.as_mut().unwrap().account_id = owner_id(another)).await?;
    player.secret(&key(another)).await?;
    player.nudge::<CloudAccount>("golden").await?;
    player.ready::<CloudAccount>("golden").await?;
    let image = player.until::<CloudImage>("golden", "False", "AccountChanged").await?;
    says(&image, "Ready", &[&player.owner(), &owner_id(another), "restore the former CloudAccount"]);
    player.delete::<ImageShare>("team").await?;
    player.looked::<CloudImage>("golden").await?;
    player.looked::<CloudImage>("golden").await?;
    assert_eq!(player.about(&player.image_id(1)).await?, calls, "no call about the image through another account");
    let held = player.until::<ImageShare>("team", "False", "Revoking").await?;
    says(&held, "Ready", &["restore the former CloudAccount"]);
    player.until_shared_with(1, 1..=2).await?;

    player.delete::<CloudAccount>("golden").await?;
    torn_away(&player).await?;
    player.account(|_| {}).await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await
}
