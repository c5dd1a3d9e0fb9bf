//! Who got access and when: every change of access is an event that names whom it concerns, on the image and on the share,
//! and one line of the audit log for each recipient.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudImage, ImageShare};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use support::{Kind, PATIENCE, Player, Stage, quick, start, world_of};
use tokio::sync::OnceCell;

/// Recipients of each player: more than an image may have at the vendor, and more than an event names.
const RECIPIENTS: u32 = 205;

/// An operator that logs in JSON, and no more than warnings beside the audit log.
async fn audited() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE
        .get_or_try_init(async || {
            let mut world = world_of(8, RECIPIENTS);
            world["rules"] = json!({"recipientsPerImage": 300});
            start(&world, &quick(&["--log", "warn", "--log-format", "json"])).await
        })
        .await
}

async fn enter() -> Result<Player> {
    let player = Player::enter_on(audited().await?).await?;
    player
        .account(|account| account.limits = serde_json::from_value(json!({"recipientsPerImage": 300})).unwrap())
        .await?;
    player.image("golden", |_| {}).await?;
    player.ready::<CloudImage>("golden").await?;
    Ok(player)
}

/// The fields of the audit log's lines about this player's images.
async fn lines(player: &Player) -> Result<Vec<Value>> {
    let log = player.stage.operator.lock().await.process.log();
    let mut found = Vec::new();
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let ours = [1, 2].iter().any(|n| entry["fields"]["image.id"] == player.image_id(*n).as_str());
        if entry["target"] == "audit" && ours {
            ensure!(entry["timestamp"].as_str().is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()), "{entry}");
            found.push(entry["fields"].clone());
        }
    }
    Ok(found)
}

/// Waits for the line about a change of one recipient; there must be one only.
async fn line(player: &Player, change: &str, recipient: &str) -> Result<Value> {
    eventually(PATIENCE, &format!("{change} {recipient}"), async || {
        let all = lines(player).await?;
        let is = |line: &&Value| line["change"] == change && line["recipient.id"] == recipient;
        let found: Vec<Value> = all.iter().filter(is).cloned().collect();
        ensure!(found.len() <= 1, "{found:?}");
        Ok(found.into_iter().next())
    })
    .await
}

/// Notes of the events of this reason about one object.
async fn notes<K: Kind>(player: &Player, name: &str, reason: &str) -> Result<Vec<String>> {
    let events = player.api::<Event>().list(&ListParams::default()).await?;
    let about = |event: &Event| {
        let regarding = event.regarding.clone().unwrap_or_default();
        event.reason.as_deref() == Some(reason)
            && regarding.kind.as_deref() == Some(K::kind(&()).as_ref())
            && regarding.name.as_deref() == Some(name)
    };
    Ok(events.items.into_iter().filter(about).filter_map(|event| event.note).collect())
}

async fn noted<K: Kind>(player: &Player, name: &str, reason: &str, text: &str) -> Result<String> {
    eventually(PATIENCE, &format!("{reason} about {text} on {name}"), async || {
        let notes = notes::<K>(player, name, reason).await?;
        let found = notes.iter().find(|note| note.contains(text)).cloned();
        ensure!(found.is_some(), "{notes:?}");
        Ok(found)
    })
    .await
}

/// The account of the experience report: granted beside others, and taken out soon after.
#[tokio::test]
async fn an_account_that_had_the_image_for_a_moment_is_named_everywhere() -> Result<()> {
    let player = enter().await?;
    player.share("team", [1, 2]).await?;
    player.ready::<ImageShare>("team").await?;
    let apply = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare", "metadata": {"name": "team"},
    "spec": {"imageRef": {"name": "golden"}, "recipients": [
        {"type": "Account", "id": player.recipient(1)},
        {"type": "Account", "id": player.recipient(3), "name": "Team Röd & Co"},
    ]}});
    // The API server tells the time of a change in seconds.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let params = PatchParams::apply("argocd-controller").force();
    player.raw::<ImageShare>().patch("team", &params, &Patch::Apply(apply)).await?;
    player.until_shared_with(1, [1, 2, 3]).await?;
    player.ready::<ImageShare>("team").await?;
    player.reshare("team", [1, 2]).await?;
    player.until_shared_with(1, [1, 2]).await?;
    player.ready::<ImageShare>("team").await?;

    let short = player.recipient(3);
    for (reason, shown) in [("Granted", "shared the image with"), ("Revoked", "no ImageShare names them")] {
        for note in [
            noted::<CloudImage>(&player, "golden", reason, &short).await?,
            noted::<ImageShare>(&player, "team", reason, &short).await?,
        ] {
            ensure!(note.contains(shown) && note.contains("\"Team Röd & Co\""), "{note}");
        }
    }
    let granted = line(&player, "granted", &short).await?;
    ensure!(granted["share.namespace"] == player.namespace.name() && granted["share.name"] == "team", "{granted}");
    ensure!(granted["share.manager"] == "argocd-controller", "{granted}");
    ensure!(granted["recipient.name"] == "Team Röd & Co" && granted["recipient.type"] == "Account", "{granted}");
    ensure!(granted["image.region"] == support::REGION, "{granted}");
    ensure!(granted["request.id"].is_string(), "{granted}");
    let revoked = line(&player, "revoked", &short).await?;
    ensure!(revoked["cause"] == "RecipientRemoved" && revoked["share.name"] == "team", "{revoked}");
    ensure!(revoked["recipient.name"] == "Team Röd & Co", "{revoked}");
    ensure!(revoked["request.id"].is_string() && revoked["request.id"] != granted["request.id"], "{revoked}");
    Ok(())
}

#[tokio::test]
async fn each_way_access_begins_and_ends_has_its_word_and_is_logged_once() -> Result<()> {
    let player = enter().await?;
    let (adopted, expiring, kept) = (player.recipient(1), player.recipient(2), player.recipient(3));
    player.share_by_hand(1, &[1], &[]).await?;
    player.share("adopting", [1]).await?;
    player.ready::<ImageShare>("adopting").await?;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(6);
    player
        .share_with("expiring", std::slice::from_ref(&expiring), |share| {
            share.expiration_time = serde_json::from_value(json!(soon.to_string())).unwrap();
        })
        .await?;
    player
        .share_with("keeping", std::slice::from_ref(&kept), |share| {
            share.deletion_policy = serde_json::from_value(json!("Retain")).unwrap();
        })
        .await?;
    player.ready::<ImageShare>("keeping").await?;
    player.delete::<ImageShare>("keeping").await?;
    player.gone::<ImageShare>("keeping").await?;
    player.delete::<ImageShare>("adopting").await?;
    player.gone::<ImageShare>("adopting").await?;
    player.until_shared_with(1, [3]).await?;
    for (change, recipient, cause, reason, share) in [
        ("adopted", &adopted, None, "Adopted", "adopting"),
        ("revoked", &adopted, Some("ShareDeleted"), "Revoked", "adopting"),
        ("granted", &expiring, None, "Granted", "expiring"),
        ("expired", &expiring, None, "Expired", "expiring"),
        ("granted", &kept, None, "Granted", "keeping"),
        ("retained", &kept, None, "Retained", "keeping"),
    ] {
        let line = line(&player, change, recipient).await?;
        ensure!(line["cause"] == json!(cause) && line["share.name"] == share, "{line}");
        noted::<CloudImage>(&player, "golden", reason, recipient).await?;
        noted::<ImageShare>(&player, share, reason, recipient).await?;
    }
    ensure!(lines(&player).await?.len() == 6, "{:?}", lines(&player).await?);
    Ok(())
}

#[tokio::test]
async fn two_hundred_recipients_are_one_event_and_two_hundred_lines() -> Result<()> {
    let player = enter().await?;
    player.share("many", 1..=200).await?;
    player.ready::<ImageShare>("many").await?;
    noted::<ImageShare>(&player, "many", "Granted", "and 180 more").await?;
    for notes in [
        notes::<CloudImage>(&player, "golden", "Granted").await?,
        notes::<ImageShare>(&player, "many", "Granted").await?,
    ] {
        let [note] = notes.as_slice() else { panic!("{notes:?}") };
        ensure!(note.matches("Account ").count() == 20, "{note}");
    }
    let named = |lines: &[Value]| -> BTreeSet<String> {
        lines.iter().filter_map(|line| line["recipient.id"].as_str().map(ToOwned::to_owned)).collect()
    };
    let all = lines(&player).await?;
    ensure!(all.len() == 200 && named(&all) == player.recipients(1..=200).into_iter().collect(), "{}", all.len());
    Ok(())
}

#[tokio::test]
async fn a_tenant_without_consent_sees_no_event_about_others() -> Result<()> {
    let host = enter().await?;
    let guest = host.guest().await?;
    let naming = |share: &mut imageshare_operator::api::image_share::ImageShareSpec| {
        share.image_ref =
            serde_json::from_value(json!({"name": "golden", "namespace": host.namespace.name()})).unwrap();
    };
    guest.share_with("curious", &[host.recipient(1)], naming).await?;
    guest.until::<ImageShare>("curious", "False", "ImageRefUnresolved").await?;
    host.share("team", [1, 2]).await?;
    host.ready::<ImageShare>("team").await?;
    host.delete::<ImageShare>("team").await?;
    host.gone::<ImageShare>("team").await?;
    noted::<CloudImage>(&host, "golden", "Revoked", &host.recipient(1)).await?;
    let told = guest.api::<Event>().list(&ListParams::default()).await?.items;
    ensure!(told.is_empty(), "{told:?}");
    let all = lines(&host).await?;
    ensure!(all.iter().all(|line| line["share.namespace"] == host.namespace.name()), "{all:?}");
    Ok(())
}

/// A name that is more than one line is refused; what is stored cannot break out of its field.
#[tokio::test]
async fn nothing_that_a_tenant_writes_breaks_out_of_its_line() -> Result<()> {
    let player = enter().await?;
    let with_name = |name: &str| {
        let recipient = json!({"type": "Account", "id": player.recipient(1), "name": name});
        let spec = json!({"imageRef": {"name": "golden"}, "recipients": [recipient]});
        ImageShare::new("team", serde_json::from_value(spec).unwrap())
    };
    let shares = player.api::<ImageShare>();
    for odd in ["two\nlines", "\u{1b}[31mred", "\u{202e}reversed", "a\u{2028}b", "", &"x".repeat(64)] {
        let refused = shares.create(&PostParams::default(), &with_name(odd)).await;
        ensure!(refused.is_err(), "{odd:?} was stored");
    }
    let quotes = r#"x","change":"revoked","y":"\"#;
    player.create(with_name(quotes)).await?;
    player.ready::<ImageShare>("team").await?;
    let line = line(&player, "granted", &player.recipient(1)).await?;
    ensure!(line["recipient.name"] == quotes && line["change"] == "granted", "{line}");
    Ok(())
}

/// The name takes no part in identity.
#[tokio::test]
async fn a_changed_name_changes_nothing_at_the_cloud() -> Result<()> {
    let player = enter().await?;
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    let before = player.mutations().await?.len();
    let named = json!([{"type": "Account", "id": player.recipient(1), "name": "Team A"}]);
    player.edit::<ImageShare>("team", json!({"spec": {"recipients": named}})).await?;
    player.ready::<ImageShare>("team").await?;
    ensure!(player.mutations().await?.len() == before, "{:?}", player.mutations().await?);
    ensure!(lines(&player).await?.len() == 1, "{:?}", lines(&player).await?);
    Ok(())
}

/// Refuses events in one namespace.
fn refusal(namespace: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: no-events}}
spec:
  matchConstraints:
    resourceRules:
      - {{apiGroups: [events.k8s.io], apiVersions: [v1], operations: [CREATE], resources: [events]}}
  validations: [{{expression: 'false', message: no events here}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: no-events}}
spec:
  policyName: no-events
  validationActions: [Deny]
  matchResources:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}
"
    )
}

#[tokio::test]
async fn while_events_cannot_be_written_access_is_given_and_logged_all_the_same() -> Result<()> {
    let player = enter().await?;
    player.stage.control_plane.apply(&refusal(player.namespace.name())).await?;
    let probe = |n: u32| -> Event {
        serde_json::from_value(json!({"metadata": {"generateName": "probe-"}, "action": "Probe", "reason": "Probe",
            "type": "Normal", "eventTime": format!("2026-01-01T00:00:00.{n:06}Z"),
            "reportingController": "test", "reportingInstance": "test",
            "regarding": {"kind": "ImageShare", "name": "team", "namespace": player.namespace.name()}}))
        .unwrap()
    };
    eventually(PATIENCE, "the refusal of events", async || {
        let refused = player.api::<Event>().create(&PostParams::default(), &probe(1)).await.err();
        Ok(refused.filter(|refused| refused.to_string().contains("no events here")))
    })
    .await?;
    let warned = async || {
        let log = player.stage.operator.lock().await.process.log();
        log.lines().filter(|line| line.contains("events cannot be written")).count()
    };
    let before = warned().await;
    player.share("team", 1..=3).await?;
    player.ready::<ImageShare>("team").await?;
    player.delete::<ImageShare>("team").await?;
    player.gone::<ImageShare>("team").await?;
    let all = lines(&player).await?;
    ensure!(all.len() == 6, "{all:?}");
    let refused = notes::<ImageShare>(&player, "team", "Granted").await?;
    ensure!(refused.is_empty(), "{refused:?}");
    let after = warned().await - before;
    // Other tests write events meanwhile, after which a failure is news again.
    ensure!((1..=4).contains(&after), "{after} warnings");
    Ok(())
}
