//! What the plugin says is what the clouds and the operator say.

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::cloud_account::CloudAccountSpec;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use serde_json::{Value, json};

use crate::stage::{plugin, plugin_as, stage, with_image};
use support::{PATIENCE, Player};

fn ids(answer: &Value) -> Vec<&str> {
    answer["recipients"].as_array().into_iter().flatten().filter_map(|holding| holding["id"].as_str()).collect()
}

#[tokio::test]
async fn who_has_an_image_is_who_has_it_at_the_cloud_also_those_whom_nobody_here_asked_for() -> Result<()> {
    let player = with_image().await?;
    let namespace = player.namespace.name();
    player.share("team", [1, 2]).await?;
    player.ready::<ImageShare>("team").await?;
    player.share_by_hand(1, &[3], &[]).await?;
    player.nudge::<CloudImage>("golden").await?;
    let answer = eventually(PATIENCE, "the plugin to name all three", async || {
        let ran = plugin(&["who-has", "golden", "-n", namespace, "-o", "json"]).await?;
        let answer = ran.json()?;
        ensure!(ids(&answer) == player.shared_with(1).await? && ids(&answer).len() == 3, "{ran:?}");
        ensure!(ran.exit == 0 && answer["complete"] == true, "{ran:?}");
        Ok(Some(answer))
    })
    .await?;
    let states: Vec<&Value> = answer["recipients"].as_array().unwrap().iter().map(|h| &h["state"]).collect();
    ensure!(states == ["Granted", "Granted", "Unmanaged"], "{states:?}");
    ensure!(answer["recipients"][0]["imageShares"] == json!([format!("{namespace}/team")]), "{answer}");
    ensure!(answer["recipients"][0]["expires"] == "never", "{answer}");

    let of_account = plugin(&["who-has", "--account", &player.recipient(3), "-n", namespace, "-o", "json"]).await?;
    ensure!(ids(&of_account.json()?) == [player.recipient(3)] && of_account.exit == 0, "{of_account:?}");
    let of_stranger = plugin(&["who-has", "--account", &player.recipient(9), "-n", namespace]).await?;
    ensure!(of_stranger.exit == 3 && of_stranger.out.contains("has no image"), "{of_stranger:?}");
    let nowhere = plugin(&["who-has", "goldne", "-n", namespace]).await?;
    ensure!(nowhere.exit == 1 && nowhere.err.contains("no CloudImage is called goldne"), "{nowhere:?}");
    Ok(())
}

#[tokio::test]
async fn why_leads_to_the_first_broken_link_and_its_remedy_mends_it() -> Result<()> {
    let player = Player::enter_on(stage().await?).await?;
    let namespace = player.namespace.name().to_owned();
    let spec: CloudAccountSpec = serde_json::from_value(json!({"alibaba": {"accountID": player.owner(),
        "site": "International", "credentials": {"secretRef": {"name": "golden"}}, "endpoint": player.stage.cloud.cloud()}}))?;
    player.create(CloudAccount::new("golden", spec)).await?;
    player.image("golden", |_| {}).await?;
    player.share("team", [1]).await?;
    let why = ["why", "ish/team", "-n", &namespace];
    eventually(PATIENCE, "the Secret to be named", async || {
        let ran = plugin(&why).await?;
        let breaks = format!("at Secret {namespace}/golden (SecretNotFound): ");
        ensure!(ran.exit == 2 && ran.out.contains(&breaks) && ran.out.contains("do:    Create it"), "{ran:?}");
        Ok(Some(()))
    })
    .await?;

    player.account_secret().await?;
    player.ready::<ImageShare>("team").await?;
    eventually(PATIENCE, "no link to be broken", async || {
        let ran = plugin(&why).await?;
        ensure!(ran.exit == 0 && ran.out.ends_with("\nNo link of the chain is broken.\n"), "{ran:?}");
        Ok(Some(()))
    })
    .await?;

    let nothing = plugin(&["why", "ish/taem", "-n", &namespace]).await?;
    ensure!(
        nothing.exit == 1 && nothing.err.contains(&format!("the namespace {namespace} has no ImageShare taem")),
        "{nothing:?}"
    );
    let pod = plugin(&["why", "pod/x", "-n", &namespace]).await?;
    ensure!(pod.exit == 1 && pod.err.contains("name an object as KIND/NAME"), "{pod:?}");
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_or_a_kubeconfig_that_is_none_is_an_error_in_words() -> Result<()> {
    let folder = imageshare_harness::run::folder_of_this_binary()?;
    let broken = folder.join("broken.kubeconfig");
    std::fs::write(&broken, "clusters: 7\n")?;
    let ran = plugin_as(Some(&broken), &["offers"], "")?;
    ensure!(ran.exit == 1 && ran.err.starts_with("error: kubeconfig: ") && ran.out.is_empty(), "{ran:?}");

    let port = imageshare_harness::ports::free()?;
    let nobody = folder.join("nobody.kubeconfig");
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "c", "user": {}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]});
    std::fs::write(&nobody, config.to_string())?;
    let ran = plugin_as(Some(&nobody), &["who-has", "golden", "-A"], "")?;
    ensure!(ran.exit == 1 && ran.err.contains("reading cloudimages.imageshare.dev: "), "{ran:?}");
    ensure!(ran.out.is_empty(), "no answer is no empty answer: {ran:?}");
    let ran = plugin_as(Some(&nobody), &["offers", "--context", "d"], "")?;
    ensure!(ran.exit == 1 && ran.err.starts_with("error: kubeconfig: "), "{ran:?}");
    Ok(())
}
