//! Keys and tokens that are refused: told, not tried until the cloud locks the key, and mended by the Secret alone.

use std::time::Duration;

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use serde_json::{Value, json};

use super::{ADD, Ground, LOOK, ids, projects, undisturbed};
use crate::stage::polling;
use k8s_openapi::api::core::v1::Secret;
use support::{PATIENCE, Player, says};

/// More than twice the pause between looks at a Secret (`--credentials-interval` of `POLLING`): there is nothing to wait for
/// that shows that nothing happens.
const A_WHILE: Duration = Duration::from_secs(5);

async fn put(place: &Player, field: &str, value: &str) -> Result<()> {
    place.edit::<Secret>("golden", json!({"stringData": {field: value}})).await
}

/// Calls whose signature with a key was refused.
async fn refused(ground: &Ground, key: &str) -> Result<usize> {
    Ok(ground.by(key).await?.iter().filter(|entry| entry["status"] == 401).count())
}

async fn until_refused(ground: &Ground, key: &str, times: usize) -> Result<()> {
    eventually(PATIENCE, &format!("{times} refusals"), async || {
        let found = refused(ground, key).await?;
        ensure!(found >= times, "{found}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn a_wrong_key_is_tried_twice_not_locked_under_many_images_and_good_again_once_the_secret_is() -> Result<()> {
    futures::try_join!(gone_bad(), wrong_from_the_start(), gone_bad_under_many_images()).map(drop)
}

async fn gone_bad() -> Result<()> {
    let ground = Ground::enter_on(polling().await?).await?;
    let image = ground.image("golden", json!({})).await?;
    let key = ground.arena.key(0);
    ground.place.stage.cloud.patch(&format!("/huawei/keys/{key}"), &json!({"sk": "AnotherSecret"})).await?;
    until_refused(&ground, &key, 2).await?;
    let account = ground.place.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    says(&account, "Ready", &["APIGW.0301", "Secret"]);
    ground.share("golden", projects(ids(0..2))).await?;
    ground.place.until::<ImageShare>("golden", "False", "CredentialsRejected").await?;
    tokio::time::sleep(A_WHILE).await;
    ensure!(refused(&ground, &key).await? == 2, "the key is on its way to being locked");
    ensure!(ground.members(&image).await?.is_empty());

    put(&ground.place, "accessKeySecret", "AnotherSecret").await?;
    ground.place.ready::<ImageShare>("golden").await?;
    ensure!(refused(&ground, &key).await? == 2 && ground.members(&image).await?.len() == 2);
    Ok(())
}

async fn wrong_from_the_start() -> Result<()> {
    let ground = Ground::enter_on(polling().await?).await?;
    let mut tenant = ground.arena.tenant(1);
    tenant.secret.insert("accessKeySecret".to_owned(), "Wrong".to_owned());
    // It never gets ready, which is what seat waits for.
    let place = support::arena::seat_unready(&ground.place, &tenant, None).await?;
    let account = place.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    says(&account, "Ready", &["APIGW.0301"]);
    let key = ground.arena.key(1);
    until_refused(&ground, &key, 2).await?;
    tokio::time::sleep(A_WHILE).await;
    ensure!(refused(&ground, &key).await? == 2);
    put(&place, "accessKeySecret", &ground.arena.tenant(1).secret["accessKeySecret"]).await?;
    place.ready::<CloudAccount>("golden").await?;
    Ok(())
}

async fn gone_bad_under_many_images() -> Result<()> {
    let ground = Ground::enter_on(polling().await?).await?;
    let names: Vec<String> = (0..8).map(|n| format!("image-{n}")).collect();
    for name in &names {
        ground.image(name, json!({})).await?;
    }
    let key = ground.arena.key(0);
    ground.place.stage.cloud.patch(&format!("/huawei/keys/{key}"), &json!({"sk": "AnotherSecret"})).await?;
    futures::future::try_join_all(names.iter().map(|name| ground.share(name, projects(ids(0..1))))).await?;
    ground.place.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    tokio::time::sleep(A_WHILE).await;
    let wrong = refused(&ground, &key).await?;
    ensure!((1..5).contains(&wrong), "{wrong} refusals: 5 lock the key");
    put(&ground.place, "accessKeySecret", "AnotherSecret").await?;
    for name in &names {
        ground.place.ready::<ImageShare>(name).await?;
    }
    Ok(())
}

async fn tokens(ground: &Ground, who: &str) -> Result<usize> {
    Ok(ground.by(who).await?.iter().filter(|entry| entry["action"] == "KeystoneCreateUserTokenByPassword").count())
}

#[tokio::test]
async fn a_user_with_a_password_asks_for_a_token_once_and_again_when_the_cloud_forgot_it() -> Result<()> {
    let _operator = undisturbed().await;
    let ground = Ground::enter_as(|arena| arena.user(0)).await?;
    let (project, domain) = (ground.project(0), ground.arena.domain(0));
    let image = ground.image("golden", json!({})).await?;
    ground.share("golden", projects(ids(0..2))).await?;
    ground.place.ready::<ImageShare>("golden").await?;
    ground.until_looked(&image, 2).await?;
    ensure!(ground.calls(ADD, &image).await?.len() == 1 && ground.members(&image).await?.len() == 2);
    ensure!(tokens(&ground, &project).await? == 1 && tokens(&ground, &domain).await? == 1, "one a scope");

    let gone = json!({"kind": "refuse", "status": 401, "code": "APIGW.0301", "message": "decrypt token fail"});
    let fault = json!({"when": {"action": LOOK, "account": project}, "count": 1, "then": gone});
    ground.place.stage.cloud.post_fault(&fault).await?;
    let version = |account: &Value| account["metadata"]["resourceVersion"].clone();
    let before = version(&ground.place.get::<CloudAccount>("golden").await?);
    eventually(PATIENCE, "another token", async || {
        ensure!(tokens(&ground, &project).await? == 2);
        Ok(Some(()))
    })
    .await?;
    ground.until_looked(&image, 2).await?;
    ensure!(tokens(&ground, &project).await? == 2 && tokens(&ground, &domain).await? == 1, "renewed once");
    let account = ground.place.get::<CloudAccount>("golden").await?;
    ensure!(version(&account) == before, "nobody was bothered: {}", account["status"]);
    ground.place.ready::<CloudImage>("golden").await?;
    Ok(())
}
