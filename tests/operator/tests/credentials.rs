//! Credentials that are wrong, missing, half written, expired or another's, and clocks that differ: told on every object
//! that depends on them, one circuit an account and no storm, mended by correcting the Secret alone. Judged by the
//! cloud's journal.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{Simulator, eventually, run};
use imageshare_operator::api::cloud_image::ImageDeletionPolicy;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use serde_json::{Value, json};
use support::{PATIENCE, POLLING, Player, Stage, key, owner_id, quick, says, start, world};
use tokio::sync::OnceCell;

/// The stage, and a second cloud whose clock a test may move.
struct Scene {
    stage: Stage,
    skewed: Simulator,
}

/// How often a Secret is looked at here: `--credentials-interval` of `POLLING`.
const INTERVAL: SignedDuration = SignedDuration::from_secs(2);

fn spare_key(player: u32) -> Value {
    json!({"id": format!("LTAIspare{player:04}"), "secret": format!("AnotherCanarySecret{player:04}")})
}

fn passing_key(player: u32) -> Value {
    json!({
        "id": format!("STS.passing{player:04}"), "secret": format!("PassingCanarySecret{player:04}"),
        "securityToken": format!("PassingCanaryToken{player:04}"),
    })
}

/// Every owner has a second lasting key and a temporary one.
fn world_of_keys() -> Value {
    let mut world = world();
    for account in world["accounts"].as_array_mut().unwrap() {
        let number = (0..100).find(|n| account["id"] == owner_id(*n).as_str());
        if let Some(number) = number {
            account["keys"].as_array_mut().unwrap().extend([spare_key(number), passing_key(number)]);
        }
    }
    world
}

async fn scene() -> Result<&'static Scene> {
    static SCENE: OnceCell<Scene> = OnceCell::const_new();
    SCENE
        .get_or_try_init(async || {
            let skewed = Simulator::start(&run::folder_of_this_binary()?, &world_of_keys()).await?;
            let mut arguments = quick(&POLLING);
            arguments.extend(["--allowed-endpoint", skewed.cloud()]);
            Ok(Scene { stage: start(&world_of_keys(), &arguments).await?, skewed })
        })
        .await
}

async fn enter() -> Result<Player> {
    Player::enter_on(&scene().await?.stage).await
}

/// Writes the Secret whole, in one call.
async fn put_secret(player: &Player, fields: &[(&str, &str)]) -> Result<()> {
    let data: BTreeMap<String, ByteString> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
    let metadata = ObjectMeta { name: Some("golden".into()), ..ObjectMeta::default() };
    let secret = Secret { metadata, data: Some(data), ..Secret::default() };
    let (api, params) = (player.api::<Secret>(), PostParams::default());
    match api.get_opt("golden").await? {
        Some(_) => api.replace("golden", &params, &secret).await?,
        None => api.create(&params, &secret).await?,
    };
    Ok(())
}

/// The fields of a Secret with this key, whole.
async fn put_key(player: &Player, key: &Value) -> Result<()> {
    let names = [("accessKeyID", "id"), ("accessKeySecret", "secret"), ("securityToken", "securityToken")];
    let fields: Vec<(&str, &str)> =
        names.iter().filter_map(|(name, field)| Some((*name, key[*field].as_str()?))).collect();
    put_secret(player, &fields).await
}

/// Everything applied at once: account, image, share, and the Secret as given.
async fn everything(player: &Player, fields: &[(&str, &str)]) -> Result<()> {
    // The Secret first, and no other before it: a good one would be proven and used for an interval.
    if !fields.is_empty() {
        put_secret(player, fields).await?;
    }
    let spec = json!({"alibaba": {
        "accountID": player.owner(), "site": "International",
        "credentials": {"secretRef": {"name": "golden"}}, "endpoint": player.stage.cloud.cloud(),
    }});
    player.create(CloudAccount::new("golden", serde_json::from_value(spec)?)).await?;
    player.image("golden", |_| {}).await?;
    player.share("team", 1..=2).await
}

/// Demands the reason of account, image and share, and that nothing was said to the cloud about the image.
async fn rejected(player: &Player, reason: &str, words: &[&str]) -> Result<()> {
    let account = player.until::<CloudAccount>("golden", "False", reason).await?;
    says(&account, "Ready", words);
    assert_eq!(account["status"]["provider"], "Alibaba Cloud", "a column is blank though the spec tells it");
    // A Secret that is missing may still be applied.
    says(&account, if reason == "SecretNotFound" { "Reconciling" } else { "Stalled" }, words);
    let image = player.until::<CloudImage>("golden", "False", reason).await?;
    says(&image, "Ready", words);
    let share = player.until::<ImageShare>("team", "False", reason).await?;
    says(&share, "Ready", words);
    for object in [&account, &image, &share] {
        assert!(!object["status"].to_string().contains("Canary"), "a secret is shown: {}", object["status"]);
    }
    Ok(())
}

/// Corrects the Secret, and demands that this alone sets everything right within a few intervals.
async fn mended(player: &Player, key: &Value) -> Result<()> {
    let versions = generations(player).await?;
    put_key(player, key).await?;
    let corrected = Timestamp::now();
    player.ready::<CloudAccount>("golden").await?;
    player.ready::<ImageShare>("team").await?;
    player.until_shared_with(1, 1..=2).await?;
    let took = Timestamp::now().duration_since(corrected);
    assert!(took < INTERVAL + SignedDuration::from_secs(10), "mended only after {took:?}");
    assert_eq!(generations(player).await?, versions, "no other object was touched");
    Ok(())
}

async fn generations(player: &Player) -> Result<[Option<i64>; 3]> {
    Ok([
        player.api::<CloudAccount>().get("golden").await?.metadata.generation,
        player.api::<CloudImage>().get("golden").await?.metadata.generation,
        player.api::<ImageShare>().get("team").await?.metadata.generation,
    ])
}

async fn never_called_about_the_image(player: &Player) -> Result<()> {
    assert_eq!(player.about(&player.image_id(1)).await?, Vec::<Value>::new());
    Ok(())
}

fn text<'a>(key: &'a Value, field: &str) -> &'a str {
    key[field].as_str().unwrap()
}

#[tokio::test]
async fn a_wrong_secret_is_rejected_until_it_is_corrected() -> Result<()> {
    let player = enter().await?;
    let good = key(player.number);
    everything(&player, &[("accessKeyID", text(&good, "id")), ("accessKeySecret", "WrongCanary")]).await?;
    rejected(&player, "CredentialsRejected", &["SignatureDoesNotMatch", "Secret", "valid key"]).await?;
    never_called_about_the_image(&player).await?;
    mended(&player, &good).await
}

#[tokio::test]
async fn an_unknown_key_is_rejected_until_it_is_corrected() -> Result<()> {
    let player = enter().await?;
    everything(&player, &[("accessKeyID", "LTAInobodys"), ("accessKeySecret", "CanaryOfNobody")]).await?;
    rejected(&player, "CredentialsRejected", &["InvalidAccessKeyId.NotFound", "Secret"]).await?;
    never_called_about_the_image(&player).await?;
    mended(&player, &key(player.number)).await
}

#[tokio::test]
async fn a_key_of_another_account_is_rejected_by_both_names() -> Result<()> {
    let player = enter().await?;
    let (another, good) = (key(46), key(player.number));
    let fields = [("accessKeyID", text(&another, "id")), ("accessKeySecret", text(&another, "secret"))];
    everything(&player, &fields).await?;
    let (theirs, ours) = (owner_id(46), player.owner());
    rejected(&player, "CredentialsRejected", &[&theirs, &ours, "correct the Secret"]).await?;
    never_called_about_the_image(&player).await?;
    mended(&player, &good).await
}

#[tokio::test]
async fn an_expired_token_is_rejected_while_in_use_until_there_is_another() -> Result<()> {
    let player = enter().await?;
    let passing = passing_key(player.number);
    let names = [("accessKeyID", "id"), ("accessKeySecret", "secret"), ("securityToken", "securityToken")];
    let fields = names.map(|(name, field)| (name, text(&passing, field)));
    everything(&player, &fields).await?;
    player.ready::<ImageShare>("team").await?;
    let expired = json!({"expired": true});
    player.stage.cloud.patch(&format!("/keys/{}", text(&passing, "id")), &expired).await?;
    player.looked::<CloudImage>("golden").await?;
    rejected(&player, "CredentialsRejected", &["InvalidSecurityToken.Expired", "Secret"]).await?;
    player.until_shared_with(1, 1..=2).await?;
    mended(&player, &key(player.number)).await
}

#[tokio::test]
async fn a_disabled_key_is_rejected_and_works_again_once_it_is_enabled() -> Result<()> {
    let player = enter().await?;
    let good = key(player.number);
    everything(&player, &[("accessKeyID", text(&good, "id")), ("accessKeySecret", text(&good, "secret"))]).await?;
    player.ready::<ImageShare>("team").await?;
    let path = format!("/keys/{}", text(&good, "id"));
    player.stage.cloud.patch(&path, &json!({"disabled": true})).await?;
    player.looked::<CloudImage>("golden").await?;
    rejected(&player, "CredentialsRejected", &["Forbidden.AccessKeyDisabled"]).await?;
    player.stage.cloud.patch(&path, &json!({"disabled": false})).await?;
    player.ready::<CloudAccount>("golden").await?;
    player.ready::<ImageShare>("team").await?;
    Ok(())
}

#[tokio::test]
async fn a_missing_secret_is_named_and_used_once_it_is_there() -> Result<()> {
    let player = enter().await?;
    everything(&player, &[]).await?;
    rejected(&player, "SecretNotFound", &["golden", "accessKeyID", "accessKeySecret", "restore"]).await?;
    assert_eq!(player.journal().await?, Vec::<Value>::new(), "without a key there is nothing to call with");
    mended(&player, &key(player.number)).await
}

#[tokio::test]
async fn a_half_written_secret_names_the_missing_key_and_a_mixed_one_is_rejected() -> Result<()> {
    let player = enter().await?;
    let (old, new) = (key(player.number), spare_key(player.number));
    everything(&player, &[("accessKeyID", text(&new, "id"))]).await?;
    rejected(&player, "SecretNotFound", &["no usable key \"accessKeySecret\""]).await?;
    put_secret(&player, &[("accessKeyID", ""), ("accessKeySecret", text(&new, "secret"))]).await?;
    eventually(PATIENCE, "the other key to be missed", async || {
        let account = serde_json::to_value(player.api::<CloudAccount>().get("golden").await?)?;
        let message = support::message(&account, "Ready");
        ensure!(message.contains("no usable key \"accessKeyID\""), "{message}");
        Ok(Some(()))
    })
    .await?;
    assert_eq!(player.journal().await?, Vec::<Value>::new(), "half a key is not tried");
    let mixed = [("accessKeyID", text(&new, "id")), ("accessKeySecret", text(&old, "secret"))];
    put_secret(&player, &mixed).await?;
    rejected(&player, "CredentialsRejected", &["SignatureDoesNotMatch"]).await?;
    never_called_about_the_image(&player).await?;
    mended(&player, &new).await
}

/// Every failure to authenticate with these keys, by the cloud's clock.
async fn failures(player: &Player, key_ids: &[&str]) -> Result<Vec<Timestamp>> {
    let ids: Vec<String> = key_ids.iter().map(|id| (*id).to_owned()).collect();
    let all = player.refused_signatures(&ids).await?;
    all.iter().map(|e| Ok(e["time"].as_str().context("an entry has a time")?.parse()?)).collect()
}

#[tokio::test]
async fn a_rejected_key_is_tried_once_an_interval_however_many_images_want_it() -> Result<()> {
    let player = enter().await?;
    let good = key(player.number);
    everything(&player, &[("accessKeyID", text(&good, "id")), ("accessKeySecret", text(&good, "secret"))]).await?;
    for n in 0..6 {
        let id = player.new_image(&format!("more{n}"), json!({})).await?;
        player.image(&format!("more{n}"), |spec| spec.image_id = id).await?;
        player.ready::<CloudImage>(&format!("more{n}")).await?;
    }
    put_secret(&player, &[("accessKeyID", text(&good, "id")), ("accessKeySecret", "WrongCanary")]).await?;
    player.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    // All of them are looked at again and again, by request.
    for _ in 0..3 {
        for n in 0..6 {
            player.looked::<CloudImage>(&format!("more{n}")).await?;
        }
    }
    let tried = failures(&player, &[text(&good, "id")]).await?;
    let first = *tried.first().context("the wrong secret was never tried")?;
    eventually(PATIENCE, "10 s of wrong credentials", async || {
        Ok((Timestamp::now().duration_since(first) > SignedDuration::from_secs(10)).then_some(()))
    })
    .await?;
    let tried = failures(&player, &[text(&good, "id")]).await?;
    let over = Timestamp::now().duration_since(first);
    let at_most = usize::try_from(over.as_millis() / INTERVAL.as_millis())? + 2;
    assert!(tried.len() <= at_most, "{} tries in {over:?}", tried.len());
    assert!(tried.len() >= 3, "it must be tried again by itself: {} tries in {over:?}", tried.len());
    mended(&player, &good).await?;
    for n in 0..6 {
        player.ready::<CloudImage>(&format!("more{n}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_key_changed_elsewhere_opens_one_circuit_at_the_first_refusal() -> Result<()> {
    let player = enter().await?;
    let good = key(player.number);
    everything(&player, &[("accessKeyID", text(&good, "id")), ("accessKeySecret", text(&good, "secret"))]).await?;
    player.ready::<ImageShare>("team").await?;
    let path = format!("/keys/{}", text(&good, "id"));
    // The secret is changed at the cloud; the Secret here is as it was, and proven.
    player.stage.cloud.patch(&path, &json!({"secret": "ChangedElsewhere"})).await?;
    player.share("more", 3..=4).await?;
    rejected(&player, "CredentialsRejected", &["SignatureDoesNotMatch"]).await?;
    let first = *failures(&player, &[text(&good, "id")]).await?.first().context("never tried")?;
    for _ in 0..5 {
        player.looked::<CloudImage>("golden").await?;
    }
    let tried = failures(&player, &[text(&good, "id")]).await?;
    let over = Timestamp::now().duration_since(first);
    let at_most = usize::try_from(over.as_millis() / INTERVAL.as_millis())? + 2;
    assert!(tried.len() <= at_most, "{} tries in {over:?}", tried.len());
    put_key(&player, &spare_key(player.number)).await?;
    player.ready::<ImageShare>("team").await?;
    player.ready::<ImageShare>("more").await?;
    player.until_shared_with(1, 1..=4).await
}

#[tokio::test]
async fn a_rotated_key_is_used_within_the_interval_and_never_mixed_with_the_old_one() -> Result<()> {
    let player = enter().await?;
    let keys = [key(player.number), spare_key(player.number)];
    let first = [("accessKeyID", text(&keys[0], "id")), ("accessKeySecret", text(&keys[0], "secret"))];
    everything(&player, &first).await?;
    player.ready::<ImageShare>("team").await?;
    for turn in 1..=4_u32 {
        let new = &keys[turn as usize % 2];
        put_key(&player, new).await?;
        let written = Timestamp::now();
        // Calls are made all along, while the old key gives way to the new one.
        eventually(PATIENCE, "the new key to be used", async || {
            player.looked::<CloudImage>("golden").await?;
            let last = player.about(&player.image_id(1)).await?.pop();
            Ok(last.is_some_and(|e| e["keyId"] == new["id"]).then_some(()))
        })
        .await?;
        let took = Timestamp::now().duration_since(written);
        assert!(took < INTERVAL + SignedDuration::from_secs(5), "used only after {took:?}");
        player.share(&format!("turn{turn}"), [10 + turn]).await?;
        player.ready::<ImageShare>(&format!("turn{turn}")).await?;
    }
    let refused = failures(&player, &keys.each_ref().map(|key| text(key, "id"))).await?;
    assert_eq!(refused, Vec::<Timestamp>::new(), "id and secret of two keys were mixed");
    player.until_shared_with(1, [1, 2, 11, 12, 13, 14]).await
}

#[tokio::test]
async fn a_skewed_clock_is_told_as_such_and_mended_by_setting_it() -> Result<()> {
    let player = enter().await?;
    let cloud = &scene().await?.skewed;
    let shared = async || -> Result<Value> {
        let world = cloud.get("/world").await?;
        let images = world["images"].as_array().context("a world has images")?;
        let found = images.iter().find(|i| i["id"] == player.image_id(1).as_str());
        Ok(found.context("no such image")?["sharedWith"].clone())
    };
    cloud.set_clock_offset(3600).await?;
    player.account(|spec| spec.alibaba.as_mut().unwrap().endpoint = Some(cloud.cloud().to_owned())).await?;
    player.image("golden", |_| {}).await?;
    player.share("team", 1..=2).await?;
    rejected(&player, "ClockSkew", &["clock", "set the clock"]).await?;
    assert_eq!(shared().await?, json!([]));
    cloud.set_clock_offset(0).await?;
    player.ready::<ImageShare>("team").await?;
    assert_eq!(shared().await?, json!([player.recipient(1), player.recipient(2)]));
    cloud.set_clock_offset(-3600).await?;
    player.looked::<CloudImage>("golden").await?;
    rejected(&player, "ClockSkew", &["clock"]).await?;
    cloud.set_clock_offset(0).await?;
    player.ready::<CloudAccount>("golden").await?;
    player.ready::<ImageShare>("team").await?;
    Ok(())
}

#[tokio::test]
async fn without_the_secret_deletions_are_finished_and_nothing_new_is_granted() -> Result<()> {
    let player = enter().await?;
    let good = key(player.number);
    everything(&player, &[("accessKeyID", text(&good, "id")), ("accessKeySecret", text(&good, "secret"))]).await?;
    player.ready::<ImageShare>("team").await?;
    player
        .image("leaving", |spec| {
            spec.image_id = player.image_id(2);
            spec.deletion_policy = ImageDeletionPolicy::Delete;
        })
        .await?;
    player.ready::<CloudImage>("leaving").await?;
    player.api::<Secret>().delete("golden", &DeleteParams::default()).await?;
    player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    let image = player.until::<CloudImage>("golden", "False", "SecretNotFound").await?;
    says(&image, "Ready", &["Secret", "golden", "restore"]);
    player.share("more", 3..=4).await?;
    player.until::<ImageShare>("more", "False", "SecretNotFound").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    player.until_shared_with(1, []).await?;
    player.delete::<CloudImage>("leaving").await?;
    player.gone::<CloudImage>("leaving").await?;
    assert_eq!(player.recipients_of(&player.image_id(2)).await?, None, "deleted at the cloud");
    player.looked::<CloudImage>("golden").await?;
    assert!(!player.asked_to_add(&player.image_id(1)).await?.contains(&player.recipient(3)));
    put_key(&player, &good).await?;
    player.ready::<ImageShare>("more").await?;
    player.until_shared_with(1, 3..=4).await
}

#[tokio::test]
async fn an_image_that_a_refused_key_cannot_delete_names_the_way_out_and_takes_it() -> Result<()> {
    let player = enter().await?;
    let good = key(player.number);
    everything(&player, &[("accessKeyID", text(&good, "id")), ("accessKeySecret", text(&good, "secret"))]).await?;
    player
        .image("leaving", |spec| {
            spec.image_id = player.image_id(2);
            spec.deletion_policy = ImageDeletionPolicy::Delete;
        })
        .await?;
    player.ready::<CloudImage>("leaving").await?;
    put_secret(&player, &[("accessKeyID", "LTAIwrong"), ("accessKeySecret", "wrong")]).await?;
    player.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    player.delete::<CloudImage>("leaving").await?;
    let leaving = player.until::<CloudImage>("leaving", "False", "CredentialsRejected").await?;
    says(&leaving, "Ready", &["or set deletionPolicy: Retain to leave the image at the cloud"]);
    player.edit::<CloudImage>("leaving", json!({"spec": {"deletionPolicy": "Retain"}})).await?;
    player.gone::<CloudImage>("leaving").await?;
    assert!(player.recipients_of(&player.image_id(2)).await?.is_some(), "the image is left at the cloud");
    Ok(())
}

#[tokio::test]
async fn no_byte_of_a_secret_is_logged_or_told() -> Result<()> {
    let player = Player::with_image_on(&scene().await?.stage).await?;
    player.share("team", 1..=2).await?;
    player.ready::<ImageShare>("team").await?;
    put_secret(&player, &[("accessKeyID", "LTAIwrong"), ("accessKeySecret", "WrongCanary")]).await?;
    player.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    let log = player.stage.operator.lock().await.process.log();
    assert!(log.contains("imageshare_operator"), "the log is not what is looked at");
    assert!(!log.contains("Canary"), "a secret is in the log");
    let events = player.api::<k8s_openapi::api::events::v1::Event>().list(&ListParams::default()).await?;
    assert!(!events.items.is_empty());
    assert!(!serde_json::to_string(&events.items)?.contains("Canary"), "a secret is in an event");
    tokio::time::timeout(Duration::from_secs(60), player.namespace.delete()).await??;
    Ok(())
}

/// When the old key may be disabled: once the status speaks of the Secret that holds the new one.
#[tokio::test]
async fn a_new_key_in_force_is_told_with_the_version_of_its_secret_and_once() -> Result<()> {
    let player = enter().await?;
    everything(&player, &[]).await?;
    put_key(&player, &key(player.number)).await?;
    player.ready::<ImageShare>("team").await?;
    let version = async || -> Result<Option<String>> {
        let secret = player.api::<Secret>().get("golden").await?.metadata;
        ensure!(secret.finalizers.is_some(), "the operator is about to hold the Secret, which changes it");
        Ok(secret.resource_version)
    };
    let in_force = async || {
        eventually(PATIENCE, "the Secret's key to be in force", async || {
            let wanted = version().await?;
            let account = serde_json::to_value(player.api::<CloudAccount>().get("golden").await?)?;
            let credentials = account["status"]["credentials"].clone();
            ensure!(credentials["secretVersion"].as_str() == wanted.as_deref(), "{wanted:?}: {credentials}");
            Ok(Some((credentials, account)))
        })
        .await
    };
    let (former, _) = in_force().await?;
    ensure!(player.notes("CredentialsVerified").await?.is_empty(), "the first key is not a new one");
    // The status tells the time in seconds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    put_key(&player, &spare_key(player.number)).await?;
    let (credentials, written) = in_force().await?;
    ensure!(credentials["verifiedAt"] != former["verifiedAt"], "{credentials}");
    player.event("CredentialsVerified", "in force").await?;
    ensure!(!credentials.to_string().contains("LTAI"), "no part of the key: {credentials}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let account = in_force().await?.1;
    ensure!(account == written, "nothing is written while nothing changes: {written} {account}");
    Ok(())
}
