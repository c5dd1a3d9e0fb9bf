//! Recipients that can never be granted: each is named with its own reason, none of them is sent in vain, and the others
//! are shared.

use anyhow::Result;
use imageshare_operator::api::ImageShare;
use imageshare_operator::api::image_share::{ImageShareSpec, SpecRecipient};
use imageshare_operator::domain::provider::Site;
use serde_json::{Value, json};

use support::{CHINA_ACCOUNT, Player, says};

fn push(spec: &mut ImageShareSpec, kind: &str, id: &str) {
    let recipient: SpecRecipient = serde_json::from_value(json!({"type": kind, "id": id})).unwrap();
    spec.recipients.push(recipient);
}

fn good(player: &Player, numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|n| player.recipient(n)).collect()
}

#[tokio::test]
async fn a_recipient_that_holds_all_it_may_is_full_and_the_others_are_shared() -> Result<()> {
    let player = Player::with_image().await?;
    let full = player.recipient(3);
    for n in 0..30 {
        let image = json!({"owner": player.recipient(59), "sharedWith": [full]});
        player.new_image(&format!("filler{n:02}"), image).await?;
    }
    player.share("team", 1..=5).await?;
    let share = player.until_waiting("team", "RecipientFull", &[(&full, "RecipientFull")]).await?;
    says(&share, "Ready", &[&full, "give one up"]);
    assert_eq!(share["status"]["summary"], "4/5");
    player.until_shared_with(1, [1, 2, 4, 5]).await
}

#[tokio::test]
async fn the_owners_own_account_is_named_and_never_sent() -> Result<()> {
    let player = Player::with_image().await?;
    let own = player.owner();
    let mut ids = good(&player, 1..=3);
    ids.insert(1, own.clone());
    player.share_with("team", &ids, |_| {}).await?;
    let share = player.until_waiting("team", "RecipientIsOwner", &[(&own, "RecipientIsOwner")]).await?;
    says(&share, "Ready", &["spec.recipients", &own, "the owner of the image", "take it off"]);
    says(&share, "Shared", &["3 of 4 recipients"]);
    player.until_shared_with(1, 1..=3).await?;
    assert!(!player.asked_to_add(&player.image_id(1)).await?.contains(&own));
    Ok(())
}

#[tokio::test]
async fn unknown_and_closed_accounts_are_isolated_named_and_remembered() -> Result<()> {
    let player = Player::with_image().await?;
    let (unknown, closed) = ("9999999999999999".to_owned(), player.recipient(8));
    player.stage.cloud.patch(&format!("/accounts/{closed}"), &json!({"closed": true})).await?;
    let mut ids = good(&player, 1..=8);
    ids.insert(4, unknown.clone());
    player.share_with("team", &ids, |_| {}).await?;
    let both = [(unknown.as_str(), "InvalidRecipient"), (closed.as_str(), "InvalidRecipient")];
    let share = player.until_waiting("team", "InvalidRecipient", &both).await?;
    says(&share, "Ready", &["spec.recipients", &unknown, &closed, "no such account"]);
    player.until_shared_with(1, 1..=7).await?;
    let image = player.image_id(1);
    let calls = player.sent(&image).await?.len();
    assert!(calls <= 1 + 2 * (2 + 4), "{calls} calls for two bad ones of nine");
    player.looked::<imageshare_operator::api::CloudImage>("golden").await?;
    assert_eq!(player.sent(&image).await?.len(), calls, "what was refused is remembered, and not tried again at once");
    Ok(())
}

#[tokio::test]
async fn kinds_this_cloud_does_not_know_are_left_out_and_a_foreign_id_is_never_sent() -> Result<()> {
    let player = Player::with_image().await?;
    let (project, organization) = ("0123456789abcdef", "o-example/ou-one");
    let hex = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
    let edit = |spec: &mut ImageShareSpec| {
        push(spec, "Project", project);
        push(spec, "Organization", organization);
        push(spec, "Account", hex);
    };
    player.share_with("team", &good(&player, 1..=2), edit).await?;
    let unsupported = "RecipientKindUnsupported";
    let wanted = [(project, unsupported), (organization, unsupported), (hex, "InvalidRecipient")];
    let share = player.until_waiting("team", unsupported, &wanted).await?;
    says(
        &share,
        "Ready",
        &[
            "spec.recipients",
            project,
            organization,
            "of this type",
            "Alibaba Cloud: Account",
            "AWS: Account, Organization",
        ],
    );
    player.until_shared_with(1, 1..=2).await?;

    let ids = [good(&player, 1..=2), vec![hex.to_owned()]].concat();
    let accounts: Vec<Value> = ids.iter().map(|id| account(id)).collect();
    player.edit::<ImageShare>("team", json!({"spec": {"recipients": accounts}})).await?;
    let share = player.until::<ImageShare>("team", "False", "InvalidRecipient").await?;
    says(&share, "Ready", &[hex]);
    let asked = player.asked_to_add(&player.image_id(1)).await?;
    assert!(asked.iter().all(|id| good(&player, 1..=2).contains(id)), "{asked:?}");
    Ok(())
}

fn account(id: &str) -> Value {
    json!({"type": "Account", "id": id})
}

#[tokio::test]
async fn an_image_made_from_the_marketplace_stays_on_its_site() -> Result<()> {
    let player = Player::enter().await?;
    let id = player.new_image("marketplace", json!({"productCode": "cmjj000001"})).await?;
    player.account(|_| {}).await?;
    player.image("golden", |spec| id.clone_into(&mut spec.image_id)).await?;
    let elsewhere = player.recipient(3);
    let ids = good(&player, 1..=3);
    let edit = |spec: &mut ImageShareSpec| spec.recipients[2].site = Some(Site::China);
    player.share_with("declared", &ids, edit).await?;
    let share = player.until::<ImageShare>("declared", "False", "ImageNotShareable").await?;
    says(&share, "Ready", &[&elsewhere, "marketplace", "site"]);
    player.until_recipients(&id, &good(&player, 1..=2)).await?;
    assert!(!player.asked_to_add(&id).await?.contains(&elsewhere), "what was said to be elsewhere is never sent");

    // Nobody said that this one is of the other site: the cloud refuses it, by a code nobody knows.
    player.share_with("undeclared", &[player.recipient(4), CHINA_ACCOUNT.to_owned()], |_| {}).await?;
    let share = player.until::<ImageShare>("undeclared", "False", "RecipientRefused").await?;
    says(&share, "Ready", &[CHINA_ACCOUNT]);
    player.until_recipients(&id, &good(&player, [1, 2, 4])).await
}

#[tokio::test]
async fn more_recipients_than_a_share_may_name_are_refused_at_the_door() -> Result<()> {
    let player = Player::enter().await?;
    let ids = |count: u64| -> Vec<String> { (0..count).map(|n| (10_000_000 + n).to_string()).collect() };
    let refusal = player.share_with("crowd", &ids(1001), |_| {}).await.expect_err("1001 recipients were admitted");
    assert!(format!("{refusal:#}").contains("spec.recipients"), "{refusal:#}");
    let refusal = player.share_with("nobody", &[], |_| {}).await.expect_err("no recipient at all was admitted");
    assert!(format!("{refusal:#}").contains("spec.recipients"), "{refusal:#}");
    let twice = [player.recipient(1), player.recipient(1)];
    let refusal = player.share_with("twice", &twice, |_| {}).await.expect_err("a repetition was admitted");
    assert!(format!("{refusal:#}").contains("Duplicate"), "{refusal:#}");
    player.share_with("full", &ids(1000), |_| {}).await
}
