//! One life a kind, each with what goes well, what goes on by itself, what somebody must mend, edits, and an end.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_harness::history::Version;
use imageshare_operator::api::acceptance::SharedImageAcceptanceSpec;
use imageshare_operator::api::cloud_account::CloudAccountSpec;
use imageshare_operator::api::image_replica::ImageReplicaSpec;
use imageshare_operator::api::{
    CloudAccount, CloudImage, ImageReplica, ImageShare, SharedImage, SharedImageAcceptance,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use crate::{REGION, domain, judges, life, project, said, theatre};
use support::sights::{MODIFY, strings, time_of};
use support::{Kind, PATIENCE, Player};

async fn enter() -> Result<Player> {
    Player::enter_on(&theatre().await?.stage).await
}

/// With a ready account and a ready image, both `golden`.
async fn with_image() -> Result<Player> {
    Player::with_image_on(&theatre().await?.stage).await
}

#[tokio::test]
async fn an_account_waits_for_its_secret_fails_with_a_wrong_one_and_is_current_with_the_right_one() -> Result<()> {
    let player = enter().await?;
    player.account(|_| {}).await?;
    player.api::<Secret>().delete("golden", &kube::api::DeleteParams::default()).await?;
    player.until::<CloudAccount>("golden", "False", "SecretNotFound").await?;
    player.account_secret().await?;
    player.ready::<CloudAccount>("golden").await?;
    player.edit::<CloudAccount>("golden", json!({"spec": {"limits": {"recipientsPerImage": 40}}})).await?;
    player.ready::<CloudAccount>("golden").await?;
    player.secret(&json!({"id": "LTAInobody", "secret": "wrong"})).await?;
    player.nudge::<CloudAccount>("golden").await?;
    player.until::<CloudAccount>("golden", "False", "CredentialsRejected").await?;
    player.account_secret().await?;
    player.nudge::<CloudAccount>("golden").await?;
    player.ready::<CloudAccount>("golden").await?;
    player.image("golden", |_| {}).await?;
    player.ready::<CloudImage>("golden").await?;
    player.delete::<CloudAccount>("golden").await?;
    player.until_condition::<CloudAccount>("golden", "Reconciling", "True", "StillReferenced").await?;
    player.delete::<CloudImage>("golden").await?;
    player.gone::<CloudAccount>("golden").await?;
    let life = life(&player, "CloudAccount", "golden").await?;
    let mut said = said(&life);
    // Whether the Secret was gone before the first look is a matter of luck.
    if said.len() == 9 {
        said.drain(1..3);
    }
    // A Secret that is missing may still be applied.
    let edited = ["InProgress", "Current", "InProgress", "Current", "Failed", "Current", "Terminating"];
    ensure!(said == edited, "{said:?}");
    Ok(())
}

#[tokio::test]
async fn an_image_fails_while_the_cloud_does_not_know_it_or_it_is_deprecated() -> Result<()> {
    let player = enter().await?;
    player.account(|_| {}).await?;
    let id = format!("m-bp1player{:04}later", player.number);
    player.image("golden", |image| image.image_id.clone_from(&id)).await?;
    player.until::<CloudImage>("golden", "False", "ImageNotFound").await?;
    player.new_image("later", json!({})).await?;
    player.ready::<CloudImage>("golden").await?;
    player.edit::<CloudImage>("golden", json!({"spec": {"unmanagedRecipients": "Revoke"}})).await?;
    player.ready::<CloudImage>("golden").await?;
    player.patch_image(&id, json!({"status": "Deprecated"})).await?;
    player.looked::<CloudImage>("golden").await?;
    player.until::<CloudImage>("golden", "False", "ImageNotShareable").await?;
    player.patch_image(&id, json!({"status": "Available"})).await?;
    player.nudge::<CloudImage>("golden").await?;
    player.ready::<CloudImage>("golden").await?;
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    player.delete::<CloudImage>("golden").await?;
    player.until_condition::<CloudImage>("golden", "Deletable", "False", "ShareExists").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<CloudImage>("golden").await?;
    let life = life(&player, "CloudImage", "golden").await?;
    let whole = ["InProgress", "Failed", "Current", "InProgress", "Current", "Failed", "Current", "Terminating"];
    ensure!(said(&life) == whole, "{:?}", said(&life));
    Ok(())
}

/// Whom the cloud had let have the image when this version was seen.
fn granted(journal: &[Value], version: &Version) -> BTreeSet<String> {
    let mut granted = BTreeSet::new();
    for entry in journal.iter().filter(|entry| time_of(entry) <= version.seen_at) {
        granted.extend(strings(&entry["effect"]["added"]));
        granted.retain(|id| !strings(&entry["effect"]["removed"]).contains(id));
    }
    granted
}

#[tokio::test]
async fn a_share_is_current_only_while_everybody_it_names_has_the_image() -> Result<()> {
    let player = with_image().await?;
    player.share("team", [1, 2]).await?;
    player.ready::<ImageShare>("team").await?;
    player.reshare_with("team", [player.recipient(1), "3999999900000001".to_owned()]).await?;
    player.until::<ImageShare>("team", "False", "InvalidRecipient").await?;
    player.reshare("team", [2, 3]).await?;
    player.ready::<ImageShare>("team").await?;
    player.edit::<ImageShare>("team", json!({"spec": {"suspend": true}})).await?;
    player.until::<ImageShare>("team", "False", "Suspended").await?;
    player.edit::<ImageShare>("team", json!({"spec": {"suspend": false}})).await?;
    player.ready::<ImageShare>("team").await?;
    player.edit::<ImageShare>("team", json!({"spec": {"expirationTime": "2020-01-01T00:00:00Z"}})).await?;
    player.until::<ImageShare>("team", "False", "Expired").await?;
    player.edit::<ImageShare>("team", json!({"spec": {"expirationTime": null}})).await?;
    player.ready::<ImageShare>("team").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    let life = life(&player, "ImageShare", "team").await?;
    let journal = player.calls(MODIFY).await?;
    for judged in life.iter().filter(|judged| judged.verdict.kstatus == "Current") {
        let named = support::sights::ids(&judged.version.object["spec"]["recipients"]);
        let granted = granted(&journal, &judged.version);
        ensure!(named.iter().all(|id| granted.contains(id)), "{named:?}, but the cloud has {granted:?}");
    }
    let whole = [
        "InProgress",
        "Current",
        "InProgress",
        "Failed",
        "InProgress",
        "Current",
        "InProgress",
        "Current",
        "InProgress",
        "Current",
        "Terminating",
    ];
    ensure!(said(&life) == whole, "{:?}", said(&life));
    let mut paused: Vec<&Value> = life
        .iter()
        .filter(|judged| judged.verdict.argo == "Suspended")
        .filter_map(|judged| Some(&judged.condition("Ready")?["reason"]))
        .collect();
    paused.dedup();
    ensure!(paused == ["Suspended", "Expired"], "{paused:?}");
    Ok(())
}

/// A share of an image that cannot be used is not current, and follows the image.
#[tokio::test]
async fn a_share_fails_with_its_image_and_waits_for_one_that_is_not_there_yet() -> Result<()> {
    let player = with_image().await?;
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    player.patch_image(&player.image_id(1), json!({"status": "Deprecated"})).await?;
    player.looked::<CloudImage>("golden").await?;
    player.until::<ImageShare>("team", "False", "ImageNotShareable").await?;
    player
        .share_with("lost", &[player.recipient(2)], |share| {
            share.image_ref = serde_json::from_value(json!({"name": "no-such-image"})).unwrap();
        })
        .await?;
    player.until::<ImageShare>("lost", "False", "ImageRefUnresolved").await?;
    let (team, lost) = (life(&player, "ImageShare", "team").await?, life(&player, "ImageShare", "lost").await?);
    ensure!(said(&team) == ["InProgress", "Current", "Failed"], "{:?}", said(&team));
    ensure!(said(&lost) == ["InProgress"], "an image that is missing may still be applied: {:?}", said(&lost));
    Ok(())
}

async fn partner(player: &Player) -> Result<()> {
    let text = |text: String| -> (String, String) { ("accessKeyID".to_owned(), text) };
    let secret = Secret {
        metadata: kube::api::ObjectMeta { name: Some("golden".into()), ..Default::default() },
        string_data: Some(
            [text("HWAKTENANT1".to_owned()), ("accessKeySecret".to_owned(), support::SECRET_CANARY.to_owned())].into(),
        ),
        ..Secret::default()
    };
    player.create(secret).await?;
    let spec: CloudAccountSpec = serde_json::from_value(json!({"huawei": {"domainID": domain(1), "site": "China",
        "credentials": {"secretRef": {"name": "golden"}}, "endpoint": player.stage.cloud.huawei()},
        "inventory": {"regions": [REGION]}}))?;
    player.create(CloudAccount::new("golden", spec)).await?;
    player.ready::<CloudAccount>("golden").await?;
    Ok(())
}

#[tokio::test]
async fn an_acceptance_waits_for_the_offer_and_fails_where_the_owner_is_not_the_trusted_one() -> Result<()> {
    let player = enter().await?;
    partner(&player).await?;
    let id = "0f0f0f0f-0000-4000-8000-000000000001";
    player.stage.cloud.post("/huawei/images", &json!({"id": id, "project": project(0), "name": "golden"})).await?;
    let spec: SharedImageAcceptanceSpec = serde_json::from_value(json!({"accountRef": {"name": "golden"},
        "region": REGION, "imageID": id, "owner": project(7), "decision": "Accept"}))?;
    player.create(SharedImageAcceptance::new("golden", spec)).await?;
    player.until::<SharedImageAcceptance>("golden", "False", "NotOffered").await?;
    let offer = json!({"image": id, "add": [{"type": "project", "id": project(1), "status": "pending"}]});
    player.stage.cloud.post("/huawei/members", &offer).await?;
    player.until::<SharedImageAcceptance>("golden", "False", "UntrustedOwner").await?;
    player.edit::<SharedImageAcceptance>("golden", json!({"spec": {"owner": project(0)}})).await?;
    player.until::<SharedImageAcceptance>("golden", "True", "Accepted").await?;
    player.edit::<SharedImageAcceptance>("golden", json!({"spec": {"decision": "Reject"}})).await?;
    player.until::<SharedImageAcceptance>("golden", "True", "Rejected").await?;
    player.edit::<SharedImageAcceptance>("golden", json!({"spec": {"deletionPolicy": "Reject"}})).await?;
    player.until::<SharedImageAcceptance>("golden", "True", "Rejected").await?;
    let taken = json!({"image": id, "remove": [{"type": "project", "id": project(1)}]});
    player.stage.cloud.post("/huawei/members", &taken).await?;
    player.until::<SharedImageAcceptance>("golden", "False", "Revoked").await?;
    player.delete::<SharedImageAcceptance>("golden").await?;
    player.gone::<SharedImageAcceptance>("golden").await?;
    let acceptance = life(&player, "SharedImageAcceptance", "golden").await?;
    let whole = [
        "InProgress",
        "Failed",
        "InProgress",
        "Current",
        "InProgress",
        "Current",
        "InProgress",
        "Current",
        "Failed",
        "Terminating",
    ];
    ensure!(said(&acceptance) == whole, "{:?}", said(&acceptance));

    let none_left =
        async || Ok(player.api::<SharedImage>().list(&ListParams::default()).await?.items.is_empty().then_some(()));
    eventually(PATIENCE, "the inventory to be empty", none_left).await?;
    let listed = theatre().await?.history.versions().await?;
    let name = listed.iter().find(|v| v.kind() == "SharedImage").map(|v| v.name().to_owned()).expect("it was listed");
    let entry = life(&player, "SharedImage", &name).await?;
    ensure!(entry.iter().all(|judged| judged.verdict.argo == "Healthy"), "{:?}", said(&entry));
    Ok(())
}

#[tokio::test]
async fn a_replica_is_current_only_once_the_copy_is_there() -> Result<()> {
    let player = enter().await?;
    player.account(|_| {}).await?;
    player.ready::<CloudAccount>("golden").await?;
    let copy = |name: &str, extra: Value| -> Result<ImageReplica> {
        let mut spec = json!({"source": {"imageRef": {"name": "golden"}},
            "destination": {"region": "cn-hongkong", "name": "copy"}});
        for (field, value) in extra.as_object().into_iter().flatten() {
            spec["destination"][field] = value.clone();
        }
        Ok(ImageReplica::new(name, serde_json::from_value::<ImageReplicaSpec>(spec)?))
    };
    player.create(copy("copy", json!({}))?).await?;
    player.until::<ImageReplica>("copy", "False", "SourceNotReady").await?;
    player.image("golden", |_| {}).await?;
    player.until::<ImageReplica>("copy", "True", "Replicated").await?;
    player.edit::<ImageReplica>("copy", json!({"spec": {"deletionPolicy": "Delete"}})).await?;
    player.until::<ImageReplica>("copy", "True", "Replicated").await?;
    player.create(copy("strange", json!({"region": "no-such-region"}))?).await?;
    player.until::<ImageReplica>("strange", "False", "RegionUnknown").await?;
    player.delete::<ImageReplica>("copy").await?;
    player.gone::<ImageReplica>("copy").await?;
    let (made, strange) =
        (life(&player, "ImageReplica", "copy").await?, life(&player, "ImageReplica", "strange").await?);
    for judged in made.iter().filter(|judged| judged.verdict.kstatus == "Current") {
        ensure!(judged.version.object["status"]["progress"] == 100, "{}", judged.version.object);
    }
    let whole = ["InProgress", "Current", "InProgress", "Current", "Terminating"];
    ensure!(said(&made) == whole, "{:?}", said(&made));
    ensure!(said(&strange) == ["InProgress", "Failed"], "{:?}", said(&strange));
    Ok(())
}

async fn fresh<K: Kind>(player: &Player, object: K) -> Result<Value> {
    Ok(serde_json::to_value(player.api::<K>().create(&PostParams::default(), &object).await?)?)
}

/// The answer to the call that makes it is the first that anybody sees of an object.
#[tokio::test]
async fn an_object_that_nobody_has_looked_at_yet_is_in_progress() -> Result<()> {
    let player = enter().await?;
    let account = json!({"name": "golden"});
    let objects = vec![
        fresh(
            &player,
            CloudAccount::new(
                "golden",
                serde_json::from_value(json!({"alibaba": {"accountID": player.owner(),
            "site": "International", "credentials": {"secretRef": {"name": "none"}}}}))?,
            ),
        )
        .await?,
        fresh(
            &player,
            CloudImage::new(
                "golden",
                serde_json::from_value(json!({"accountRef": account,
            "region": support::REGION, "imageID": player.image_id(1)}))?,
            ),
        )
        .await?,
        fresh(
            &player,
            ImageShare::new(
                "golden",
                serde_json::from_value(json!({"imageRef": account,
            "recipients": [{"type": "Account", "id": player.recipient(1)}]}))?,
            ),
        )
        .await?,
        fresh(
            &player,
            SharedImageAcceptance::new(
                "golden",
                serde_json::from_value(json!({"accountRef": account,
            "region": REGION, "imageID": "m-1", "owner": project(0), "decision": "Accept"}))?,
            ),
        )
        .await?,
        fresh(
            &player,
            ImageReplica::new(
                "golden",
                serde_json::from_value(json!({"source": {"imageRef": account},
            "destination": {"region": "cn-hongkong", "name": "copy"}}))?,
            ),
        )
        .await?,
    ];
    let verdicts = tokio::task::spawn_blocking(move || judges::judge(&objects)).await??;
    let in_progress = |verdict: &judges::Verdict| {
        verdict.is_one() && verdict.argo == "Progressing" && verdict.kstatus == "InProgress"
    };
    ensure!(verdicts.iter().all(in_progress), "{verdicts:?}");
    Ok(())
}
