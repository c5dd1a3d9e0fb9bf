//! Rights that are missing: each is named, and no answer that lacks a part looks whole. No command reads a Secret.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::json;

use crate::stage::{plugin_as, user, with_image};

#[tokio::test]
async fn who_may_read_one_namespace_gets_its_part_and_is_told_what_is_missing() -> Result<()> {
    let player = with_image().await?;
    let namespace = player.namespace.name();
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    let narrow = user(&player, "narrow", &[("list", "cloudimages,imageshares")]).await?;
    let not_all = "incomplete: you may not list cloudimages.imageshare.dev in all namespaces";

    let ran = plugin_as(Some(&narrow), &["who-has", &format!("{namespace}/golden")], "")?;
    ensure!(ran.exit == 0 && ran.out.contains(&player.recipient(1)), "nothing is missing: {ran:?}");
    let ran = plugin_as(Some(&narrow), &["who-has", "golden", "-n", namespace], "")?;
    ensure!(ran.exit == 0 && ran.out.contains("never"), "{ran:?}");

    let ran = plugin_as(Some(&narrow), &["who-has", "golden", "-A"], "")?;
    ensure!(ran.exit == 1 && ran.out.contains(not_all) && !ran.out.contains(&player.recipient(1)), "{ran:?}");
    let ran = plugin_as(Some(&narrow), &["who-has", "golden", "-A", "-o", "json"], "")?;
    let answer = ran.json()?;
    ensure!(answer["complete"] == false && answer["missing"][0]["verb"] == "list", "{answer}");
    ensure!(answer["missing"][0]["resource"] == "cloudimages.imageshare.dev", "{answer}");
    ensure!(ran.exit == 1 && ran.err.contains(not_all), "{ran:?}");
    Ok(())
}

/// The owner of an image need not see the `ImageShare`s of other namespaces.
#[tokio::test]
async fn a_share_that_may_not_be_read_leaves_its_expiry_unknown_and_the_answer_says_so() -> Result<()> {
    let player = with_image().await?;
    let namespace = player.namespace.name().to_owned();
    player.edit::<CloudImage>("golden", json!({"spec": {"shareableFrom": {"namespaces": {"from": "All"}}}})).await?;
    let guest = player.guest().await?;
    guest.share_with("team", &[player.recipient(1)], |spec| spec.image_ref.namespace = Some(namespace.clone())).await?;
    guest.ready::<ImageShare>("team").await?;
    let narrow = user(&player, "narrow", &[("list", "cloudimages,imageshares")]).await?;
    let ran = plugin_as(Some(&narrow), &["who-has", "golden", "-n", &namespace], "")?;
    ensure!(ran.exit == 1 && ran.out.contains("unknown") && ran.out.contains(&player.recipient(1)), "{ran:?}");
    let missing = format!("you may not list imageshares.imageshare.dev in the namespace {}", guest.namespace.name());
    ensure!(ran.out.contains(&missing), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn who_may_read_nothing_is_told_so_by_every_command() -> Result<()> {
    let player = with_image().await?;
    let namespace = player.namespace.name();
    let stranger = user(&player, "stranger", &[]).await?;
    for (command, missing) in [
        (vec!["who-has", "golden"], "list cloudimages.imageshare.dev in the namespace"),
        (vec!["who-has", "--account", "1000000000000001"], "list cloudimages.imageshare.dev in the namespace"),
        (vec!["why", "cla/golden"], "get cloudaccounts.imageshare.dev in the namespace"),
        (vec!["why", "ish/team"], "get imageshares.imageshare.dev in the namespace"),
        (vec!["offers"], "list sharedimages.imageshare.dev in the namespace"),
        (vec!["accept", "x", "--owner", "y"], "list sharedimages.imageshare.dev in the namespace"),
        (vec!["reject", "x", "--owner", "y"], "list sharedimages.imageshare.dev in the namespace"),
    ] {
        let ran = plugin_as(Some(&stranger), &[&command[..], &["-n", namespace]].concat(), "")?;
        let told = format!("{}{}", ran.out, ran.err);
        ensure!(ran.exit == 1 && told.contains(&format!("you may not {missing} {namespace}")), "{command:?}: {ran:?}");
        ensure!(!told.contains("No link of the chain is broken"), "{command:?}: {ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_link_that_may_not_be_read_leaves_the_rest_of_the_chain() -> Result<()> {
    let player = with_image().await?;
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    let guest = user(&player, "guest", &[("get", "imageshares")]).await?;
    let ran = plugin_as(Some(&guest), &["why", "ish/team", "-n", player.namespace.name()], "")?;
    ensure!(ran.exit == 1 && ran.out.contains("No link that you may read is broken."), "{ran:?}");
    ensure!(ran.out.contains("you may not get cloudimages.imageshare.dev in the namespace"), "{ran:?}");
    Ok(())
}

/// By the API server's own log.
#[tokio::test]
async fn no_command_reads_a_secret_or_writes_but_the_two_that_answer() -> Result<()> {
    let player = with_image().await?;
    let namespace = player.namespace.name();
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    let everything = "cloudaccounts,cloudimages,imageshares,sharedimages,sharedimageacceptances,imagereplicas";
    let owner = user(&player, "owner", &[("get,list,create", everything)]).await?;
    let commands = [
        vec!["who-has", "golden"],
        vec!["who-has", "--account", "1000000000000001", "-A"],
        vec!["why", "ish/team"],
        vec!["why", "cli/golden"],
        vec!["why", "cla/golden"],
        vec!["offers", "--all"],
        vec!["accept", "x", "--owner", "y", "--dry-run"],
        vec!["plan", "-f", "examples/quickstart"],
    ];
    for command in &commands {
        let namespaced = if command.contains(&"-A") { vec![] } else { vec!["-n", namespace] };
        plugin_as(Some(&owner), &[command.clone(), namespaced].concat(), "")?;
    }
    let requests = player.stage.control_plane.requests_of(&format!("system:serviceaccount:{namespace}:owner"))?;
    ensure!(requests.len() >= commands.len(), "{requests:?}");
    for request in requests {
        let object = &request.object_ref;
        ensure!(["get", "list"].contains(&request.verb.as_str()), "{request:?}");
        ensure!(object.api_group == "imageshare.dev" && everything.contains(&object.resource), "{request:?}");
    }
    Ok(())
}
