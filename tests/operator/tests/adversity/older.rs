//! What an older definition let through: each such object says so on itself, can be deleted, and is nobody else's trouble.

use anyhow::Result;
use imageshare_harness::Kind;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageReplica, ImageShare, SharedImageAcceptance};
use serde_json::{Value, json};

use crate::behind;
use crate::loosened::{self, loosen};
use support::sights::LOOK;
use support::{Player, REGION, message, says};

#[tokio::test]
async fn a_share_whose_image_ref_can_name_nothing_says_so_and_can_be_deleted() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    let recipients = json!([{"type": "Account", "id": player.recipient(1)}]);
    for (name, image) in
        [("blank", "golden ubuntu"), ("percent", "golden%zz"), ("slash", "a/b"), ("query", "golden?x=y")]
    {
        loosened::create::<ImageShare>(&player, name, &loosened::share(json!({"name": image}), &recipients)).await?;
        let share = player.until::<ImageShare>(name, "False", "ImageRefUnresolved").await?;
        says(&share, "Ready", &["spec.imageRef"]);
        assert_eq!(share["metadata"]["finalizers"], json!(["imageshare.dev/operator"]), "or this test shows nothing");
        player.delete::<ImageShare>(name).await?;
        player.gone::<ImageShare>(name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_share_with_an_odd_time_is_paused_and_stops_nobody_else() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    let guest = player.guest().await?;
    player.edit::<CloudImage>("golden", json!({"spec": {"shareableFrom": {"namespaces": {"from": "All"}}}})).await?;
    player.share("team", 1..=2).await?;
    let abroad = json!({"name": "golden", "namespace": player.namespace.name()});
    let recipients: Value = player.recipients([2, 3]).iter().map(|id| json!({"type": "Account", "id": id})).collect();
    loosened::create::<ImageShare>(&guest, "never", &loosened::share(abroad, &recipients)).await?;
    player.ready::<ImageShare>("team").await?;
    guest.ready::<ImageShare>("never").await?;
    guest.edit::<ImageShare>("never", json!({"spec": {"expirationTime": "9999-12-31T23:59:59Z"}})).await?;
    let never = guest.until::<ImageShare>("never", "False", "Unreadable").await?;
    says(&never, "Ready", &["spec.expirationTime: \"9999-12-31T23:59:59Z\"", "leave it out"]);
    guest.reshare("never", 2..=4).await?;
    guest.until::<ImageShare>("never", "False", "Unreadable").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, [2, 3]).await?;
    assert_eq!(player.removed().await?, player.recipients([1]), "who is named by the paused share stays");
    guest.edit::<ImageShare>("never", json!({"spec": {"expirationTime": null}})).await?;
    guest.ready::<ImageShare>("never").await?;
    guest.edit::<ImageShare>("never", json!({"spec": {"expirationTime": "2027-01-31T00:00:00+99:00"}})).await?;
    guest.until::<ImageShare>("never", "False", "Unreadable").await?;
    guest.delete::<ImageShare>("never").await?;
    guest.gone::<ImageShare>("never").await?;
    player.until_shared_with(1, []).await?;
    behind.audit(&[&player, &guest], &[]).await
}

#[tokio::test]
async fn a_selector_that_is_none_is_told_on_both_sides_and_takes_nothing_away_until_it_is_mended() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    let guest = player.guest().await?;
    let namespaces = |namespaces: Value| json!({"spec": {"shareableFrom": {"namespaces": namespaces}}});
    player.edit::<CloudImage>("golden", namespaces(json!({"from": "All"}))).await?;
    player.share("team", [1]).await?;
    let abroad = json!({"name": "golden", "namespace": player.namespace.name()});
    let recipients = json!([{"type": "Account", "id": player.recipient(2)}]);
    loosened::create::<ImageShare>(&guest, "abroad", &loosened::share(abroad, &recipients)).await?;
    guest.ready::<ImageShare>("abroad").await?;
    let requirement = |operator: &str| {
        let requirement = json!({"key": "no-such-label", "operator": operator, "values": ["x"]});
        namespaces(json!({"from": "Selector", "selector": {"matchExpressions": [requirement]}}))
    };
    player.edit::<CloudImage>("golden", requirement("in")).await?;
    let image = player.until::<CloudImage>("golden", "False", "SelectorInvalid").await?;
    says(
        &image,
        "Ready",
        &["spec.shareableFrom.namespaces.selector", "operator must be In, NotIn, Exists or DoesNotExist"],
    );
    says(&image, "Stalled", &["matchExpressions[0]"]);
    let share = guest.until::<ImageShare>("abroad", "Unknown", "SelectorInvalid").await?;
    says(&share, "Ready", &["its owner must mend shareableFrom"]);
    player.ready::<ImageShare>("team").await?;
    player.share("more", [3]).await?;
    player.ready::<ImageShare>("more").await?;
    player.until_shared_with(1, 1..=3).await?;
    player.edit::<CloudImage>("golden", requirement("In")).await?;
    player.until_shared_with(1, [1, 3]).await?;
    player.ready::<CloudImage>("golden").await?;
    guest.until::<ImageShare>("abroad", "False", "ImageRefUnresolved").await?;
    behind.audit(&[&player, &guest], &[]).await
}

#[tokio::test]
async fn an_account_whose_secret_can_have_no_such_name_says_that_there_is_none() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    let credentials = json!({"secretRef": {"name": "golden?x=y"}});
    let spec = json!({"alibaba": {"accountID": player.owner(), "site": "International", "credentials": credentials}});
    loosened::create::<CloudAccount>(&player, "odd", &spec).await?;
    let account = player.until::<CloudAccount>("odd", "False", "SecretNotFound").await?;
    says(&account, "Ready", &["golden?x=y"]);
    player.delete::<CloudAccount>("odd").await?;
    player.gone::<CloudAccount>("odd").await
}

async fn says_so_and_goes<K: Kind>(player: &Player, spec: &Value, field: &str) -> Result<()> {
    loosened::create::<K>(player, "odd", spec).await?;
    let odd = player.until::<K>("odd", "False", "Unreadable").await?;
    says(&odd, "Ready", &[field, "unknown variant"]);
    says(&odd, "Stalled", &[field]);
    player.event("Unreadable", field).await?;
    player.look_now::<K>("odd", "now").await?;
    player.edit::<K>("odd", json!({"metadata": {"finalizers": ["imageshare.dev/operator"]}})).await?;
    player.delete::<K>("odd").await?;
    player.gone::<K>("odd").await
}

#[tokio::test]
async fn an_object_of_any_kind_that_cannot_be_read_names_the_field_and_can_be_deleted() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    says_so_and_goes::<CloudImage>(&player, &loosened::image(&player), "spec.unmanagedRecipients").await?;
    says_so_and_goes::<CloudAccount>(&player, &loosened::account(&player), "spec.sites[0].site").await?;
    says_so_and_goes::<ImageReplica>(&player, &loosened::replica(), "spec.deletionPolicy").await?;
    let acceptance = loosened::acceptance(&player);
    says_so_and_goes::<SharedImageAcceptance>(&player, &acceptance, "spec.decision").await?;
    assert!(player.calls(LOOK).await?.iter().all(|call| call["image"] != player.image_id(2).as_str()));
    Ok(())
}

#[tokio::test]
async fn an_image_that_cannot_be_read_any_more_keeps_its_ledger_and_goes_once_it_is_mended() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    let granted = player.get::<CloudImage>("golden").await?["status"]["grants"].clone();
    player.edit::<CloudImage>("golden", json!({"spec": {"unmanagedRecipients": "Tomorrow"}})).await?;
    player.until::<CloudImage>("golden", "False", "Unreadable").await?;
    player.until::<ImageShare>("team", "Unknown", "Unreadable").await?;
    player.delete::<CloudImage>("golden").await?;
    player.delete::<ImageShare>("team").await?;
    let told =
        |image: &Value| message(image, "Ready").contains("it is not released, since status.grants holds recipients");
    let image = player.until_it::<CloudImage>("golden", "what keeps it is told", told).await?;
    assert_eq!(image["status"]["grants"], granted, "the ledger is as it was");
    player.until_shared_with(1, 1..=2).await?;
    assert!(player.get::<ImageShare>("team").await?["metadata"]["finalizers"].is_array(), "its access has not ended");
    player.edit::<CloudImage>("golden", json!({"spec": {"unmanagedRecipients": "Report"}})).await?;
    player.gone::<ImageShare>("team").await?;
    player.gone::<CloudImage>("golden").await?;
    player.until_shared_with(1, []).await?;
    behind.audit(&[&player], &[]).await
}

#[tokio::test]
async fn an_account_that_cannot_be_read_any_more_is_not_taken_for_gone() -> Result<()> {
    let behind = behind().await?;
    let player = behind.player().await?;
    loosen(&player).await?;
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    let acceptance = json!({"accountRef": {"name": "golden"}, "region": REGION, "imageID": player.image_id(2),
        "owner": player.recipient(1), "decision": "Accept", "deletionPolicy": "Reject"});
    loosened::create::<SharedImageAcceptance>(&player, "offer", &acceptance).await?;
    player.until::<SharedImageAcceptance>("offer", "False", "NotOffered").await?;
    let former = player.get::<CloudAccount>("golden").await?["spec"]["sites"].clone();
    let odd = loosened::account(&player)["sites"].clone();
    player.edit::<CloudAccount>("golden", json!({"spec": {"sites": odd}})).await?;
    player.until::<CloudAccount>("golden", "False", "Unreadable").await?;
    let sentence =
        "spec.accountRef: the operator cannot read CloudAccount \"golden\": mend the field that its conditions name";
    let image = player.until::<CloudImage>("golden", "False", "Unreadable").await?;
    says(&image, "Ready", &[sentence]);
    player.delete::<SharedImageAcceptance>("offer").await?;
    let offer = player.until::<SharedImageAcceptance>("offer", "False", "Unreadable").await?;
    says(&offer, "Ready", &[sentence, "or set deletionPolicy: Retain"]);
    player.delete::<ImageShare>("team").await?;
    player.edit::<CloudAccount>("golden", json!({"spec": {"sites": former}})).await?;
    player.gone::<ImageShare>("team").await?;
    player.gone::<SharedImageAcceptance>("offer").await?;
    player.until_shared_with(1, []).await?;
    behind.audit(&[&player], &[]).await
}
