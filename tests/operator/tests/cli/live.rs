//! A plan against a cluster is the truth: what it says is what the cloud's journal says once the set was applied. It writes
//! nothing, and a right that is missing never makes it look whole.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudImage, ImageShare};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::stage::{Ran, plugin_as, stage, user, with_image};
use support::{PATIENCE, Player};

/// A folder of files that a test changes, as a repository before and after a commit.
struct Repository {
    folder: std::path::PathBuf,
}

impl Repository {
    fn new(player: &Player) -> Result<Self> {
        let folder = imageshare_harness::run::folder_of_this_binary()?.join(format!("set-{}", player.namespace.name()));
        for side in ["before", "after"] {
            std::fs::create_dir_all(folder.join(side))?;
        }
        Ok(Self { folder })
    }

    fn path(&self, side: &str) -> Result<String> {
        Ok(self.folder.join(side).to_str().context("UTF-8")?.to_owned())
    }

    fn write(&self, name: &str, object: &Value) -> Result<()> {
        Ok(std::fs::write(self.folder.join("after").join(format!("{name}.json")), object.to_string())?)
    }

    fn remove(&self, name: &str) -> Result<()> {
        Ok(std::fs::remove_file(self.folder.join("after").join(format!("{name}.json")))?)
    }

    fn names(&self, side: &str) -> Result<BTreeSet<String>> {
        let names = std::fs::read_dir(self.folder.join(side))?;
        names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// What stands there now is the state of before.
    fn commit(&self) -> Result<()> {
        for name in self.names("before")? {
            std::fs::remove_file(self.folder.join("before").join(name))?;
        }
        for name in self.names("after")? {
            std::fs::copy(self.folder.join("after").join(&name), self.folder.join("before").join(&name))?;
        }
        Ok(())
    }

    fn plan(&self, player: &Player, format: &str) -> Result<Ran> {
        let kubeconfig = player.stage.control_plane.kubeconfig_path();
        let (after, before) = (self.path("after")?, self.path("before")?);
        let mut args = vec!["plan", "--live", "-n", player.namespace.name(), "-o", format];
        for (flag, side, path) in [("-f", "after", &after), ("--base", "before", &before)] {
            if !self.names(side)?.is_empty() {
                args.extend([flag, path.as_str()]);
            }
        }
        let nothing = self.names("after")?.is_empty() && self.names("before")?.is_empty();
        if nothing {
            args.extend(["-f", "-"]);
        }
        tokio::task::block_in_place(|| plugin_as(Some(&kubeconfig), &args, ""))
    }

    /// Applies the set, and deletes what is not in it any more.
    async fn apply(&self, player: &Player, flags: &[&str]) -> Result<()> {
        let control_plane = player.stage.control_plane;
        if !self.names("after")?.is_empty() {
            let path = self.path("after")?;
            control_plane.kubectl(&[&["apply", "-f", &path], flags].concat()).await?;
        }
        for name in self.names("before")?.difference(&self.names("after")?) {
            let file = self.folder.join("before").join(name);
            let file = file.to_str().context("UTF-8")?;
            control_plane.kubectl(&["delete", "--wait=false", "-f", file]).await?;
        }
        self.commit()
    }
}

fn share(player: &Player, name: &str, numbers: &[u32]) -> Value {
    let recipients: Vec<Value> =
        numbers.iter().map(|n| json!({"type": "Account", "id": player.recipient(*n)})).collect();
    json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare",
        "metadata": {"name": name, "namespace": player.namespace.name()},
        "spec": {"imageRef": {"name": "golden"}, "recipients": recipients}})
}

/// What a plan says, or what the cloud did: who got the image, who lost it, and in how many calls.
#[derive(Debug, Default, PartialEq)]
struct Steps {
    added: BTreeSet<String>,
    removed: BTreeSet<String>,
    calls: u64,
}

fn planned(ran: &Ran) -> Result<Steps> {
    let plan = ran.json()?;
    let ids = |list: &str| -> BTreeSet<String> {
        let images = plan["images"].as_array().into_iter().flatten();
        let entries = images.flat_map(|image| image[list].as_array().into_iter().flatten());
        entries.filter_map(|entry| entry["id"].as_str()).map(ToOwned::to_owned).collect()
    };
    let calls = plan["summary"]["calls"].as_u64().context("calls")?;
    Ok(Steps { added: ids("grants"), removed: ids("revokes"), calls })
}

/// By the cloud's journal, after the first `seen` calls about the image.
async fn done(player: &Player, seen: usize) -> Result<Steps> {
    let mut steps = Steps::default();
    for call in player.sent(&player.image_id(1)).await?.iter().skip(seen) {
        let ids = |list: &str| {
            let all = call["effect"][list].as_array().into_iter().flatten();
            all.filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect::<Vec<_>>()
        };
        steps.added.extend(ids("added"));
        steps.removed.extend(ids("removed"));
        steps.calls += 1;
    }
    Ok(steps)
}

/// Plans the set, applies it, and waits until the cloud did exactly what the plan says and nothing is left to do.
async fn plan_and_apply(player: &Player, repository: &Repository, flags: &[&str], what: &str) -> Result<Ran> {
    let seen = player.sent(&player.image_id(1)).await?.len();
    let ran = repository.plan(player, "json")?;
    let wanted = planned(&ran)?;
    ensure!(player.sent(&player.image_id(1)).await?.len() == seen, "{what}: the plan itself changed something");
    repository.apply(player, flags).await?;
    eventually(PATIENCE, &format!("{what}: the cloud to have done {wanted:?}"), async || {
        let done = done(player, seen).await?;
        ensure!(done == wanted, "it did {done:?}");
        // Until nothing is left: a step that the plan did not say would follow.
        let next = planned(&repository.plan(player, "json")?)?;
        ensure!(next == Steps::default(), "left: {next:?}");
        Ok(Some(()))
    })
    .await?;
    let done = done(player, seen).await?;
    ensure!(done == wanted, "{what}: planned {wanted:?}, and the cloud did {done:?}");
    Ok(ran)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_says_is_what_the_operator_then_does() -> Result<()> {
    let player = with_image().await?;
    let repository = Repository::new(&player)?;
    let step = async |what: &str| plan_and_apply(&player, &repository, &[], what).await;

    repository.write("a", &share(&player, "a", &[1, 2, 3]))?;
    let ran = step("a share is made").await?;
    ensure!(ran.exit == 2 && planned(&ran)?.added.len() == 3, "{ran:?}");
    let ran = repository.plan(&player, "text")?;
    ensure!(ran.exit == 0 && ran.out == "nothing changes\n", "nothing is left to do: {ran:?}");

    repository.write("a", &share(&player, "a", &[2, 3, 4]))?;
    let ran = step("one is added and one removed").await?;
    let plan = ran.json()?;
    let why = format!("taken out of {}/a", player.namespace.name());
    ensure!(plan["images"][0]["revokes"][0]["why"] == why.as_str(), "{plan}");
    ensure!(plan["images"][0]["slots"] == json!({"before": 3, "after": 3}), "{plan}");
    ensure!(plan["objects"][0]["change"] == "changed", "{plan}");

    repository.write("b", &share(&player, "b", &[4, 5]))?;
    step("another share names one of them too").await?;
    repository.remove("a")?;
    let ran = step("a share is deleted").await?;
    ensure!(planned(&ran)?.removed.len() == 2, "the other share keeps one: {ran:?}");
    ensure!(ran.json()?["objects"][0]["change"] == "deleted", "{ran:?}");

    let many: Vec<u32> = (10..40).collect();
    repository.write("b", &share(&player, "b", &many))?;
    let ran = step("thirty come and two go").await?;
    ensure!(planned(&ran)?.calls == 3, "ten a call: {ran:?}");
    repository.remove("b")?;
    step("all go").await?;
    ensure!(player.shared_with(1).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_limit_a_plan_is_refused_and_tells_who_waits() -> Result<()> {
    let player = Player::enter_on(stage().await?).await?;
    player.account(|account| account.limits = serde_json::from_value(json!({"recipientsPerImage": 3})).ok()).await?;
    player.image("golden", |_| {}).await?;
    player.ready::<CloudImage>("golden").await?;
    let repository = Repository::new(&player)?;
    repository.write("a", &share(&player, "a", &[1, 2, 3, 4]))?;
    let ran = plan_and_apply(&player, &repository, &[], "four for three slots").await?;
    let plan = ran.json()?;
    let told = plan["refused"][0]["message"].as_str().context("a message")?;
    ensure!(ran.exit == 1 && told.contains(&player.recipient(4)) && told.contains("RecipientLimit"), "{plan}");
    ensure!(plan["images"][0]["slots"] == json!({"before": 0, "after": 3}), "{plan}");

    repository.write("a", &share(&player, "a", &[2, 3, 4]))?;
    let ran = plan_and_apply(&player, &repository, &[], "a slot becomes free").await?;
    ensure!(ran.exit == 2 && planned(&ran)?.added == BTreeSet::from([player.recipient(4)]), "{ran:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_a_plan_grants_nothing_and_consent_that_ends_takes_access_away() -> Result<()> {
    let player = with_image().await?;
    let guest = player.guest().await?;
    let repository = Repository::new(&player)?;
    let mut of_guest = share(&player, "team", &[1]);
    of_guest["metadata"]["namespace"] = json!(guest.namespace.name());
    of_guest["spec"]["imageRef"]["namespace"] = json!(player.namespace.name());
    repository.write("team", &of_guest)?;
    let ran = repository.plan(&player, "json")?;
    ensure!(ran.exit == 1 && planned(&ran)? == Steps::default(), "{ran:?}");
    ensure!(ran.json()?["refused"][0]["field"] == "spec.imageRef.namespace", "{ran:?}");

    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"team": "yes"}}});
    let mut image = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "CloudImage",
        "metadata": {"name": "golden", "namespace": player.namespace.name()},
        "spec": {"accountRef": {"name": "golden"}, "region": support::REGION, "imageID": player.image_id(1),
            "shareableFrom": {"namespaces": selector}}});
    repository.write("image", &image)?;
    let ran = repository.plan(&player, "json")?;
    ensure!(ran.exit == 1 && planned(&ran)?.added.is_empty(), "the label is missing: {ran:?}");

    let labelled = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": guest.namespace.name(), "labels": {"team": "yes"}}});
    repository.write("namespace", &labelled)?;
    let ran = plan_and_apply(&player, &repository, &[], "the owner consents").await?;
    ensure!(planned(&ran)?.added == BTreeSet::from([player.recipient(1)]), "{ran:?}");

    image["spec"]["shareableFrom"] = json!({"namespaces": {"from": "Same"}});
    repository.write("image", &image)?;
    let ran = plan_and_apply(&player, &repository, &[], "the owner withdraws").await?;
    ensure!(planned(&ran)?.removed == BTreeSet::from([player.recipient(1)]), "{ran:?}");
    let why = ran.json()?["images"][0]["revokes"][0]["why"].as_str().context("why")?.to_owned();
    ensure!(why.contains("shareableFrom does not admit"), "{why}");
    Ok(())
}

/// A field that leaves the file is removed by a tool that had set it, and stays where somebody else had.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_follows_the_tool_that_applied_the_object() -> Result<()> {
    let player = with_image().await?;
    for (name, flags, number) in
        [("client", &[][..], 1_u32), ("server", &["--server-side", "--field-manager=kustomize-controller"][..], 4)]
    {
        let repository = Repository::new(&player)?;
        repository.write(name, &share(&player, name, &[number, number + 1]))?;
        plan_and_apply(&player, &repository, flags, name).await?;
        player.edit::<ImageShare>(name, json!({"spec": {"suspend": true}})).await?;
        repository.write(name, &share(&player, name, &[number]))?;
        let ran = repository.plan(&player, "json")?;
        ensure!(
            planned(&ran)? == Steps::default(),
            "{name}: a person suspended it, and the file says nothing: {ran:?}"
        );
        player.edit::<ImageShare>(name, json!({"spec": {"suspend": false}})).await?;
        let ran = plan_and_apply(&player, &repository, flags, name).await?;
        ensure!(planned(&ran)?.removed == BTreeSet::from([player.recipient(number + 1)]), "{name}: {ran:?}");
        repository.remove(name)?;
        plan_and_apply(&player, &repository, flags, name).await?;
    }
    Ok(())
}

/// Any row of edits: planned, applied, and compared with the journal.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_edited_the_plan_and_the_operator_agree() -> Result<()> {
    let player = with_image().await?;
    let repository = Repository::new(&player)?;
    let mut rng = StdRng::seed_from_u64(22);
    for round in 0..14 {
        let name = ["a", "b", "c"][rng.random_range(0..3_usize)];
        let there = repository.names("after")?.contains(&format!("{name}.json"));
        if there && rng.random_range(0..3_u32) == 0 {
            repository.remove(name)?;
        } else {
            let chosen: Vec<u32> = (1..=12).filter(|n| *n == 1 || rng.random_range(0..3_u32) == 0).collect();
            let mut share = share(&player, name, &chosen);
            share["spec"]["suspend"] = json!(rng.random_range(0..5_u32) == 0);
            repository.write(name, &share)?;
        }
        plan_and_apply(&player, &repository, &[], &format!("round {round}")).await?;
        settled(&player, &repository).await?;
    }
    Ok(())
}

/// Waits until the operator has acted on the newest version of each share, and on each that is gone: a plan that follows then
/// starts from the same ledger as the operator.
async fn settled(player: &Player, repository: &Repository) -> Result<()> {
    let there: BTreeSet<String> =
        repository.names("after")?.iter().map(|name| name.trim_end_matches(".json").to_owned()).collect();
    eventually(PATIENCE, "the operator to have seen every share", async || {
        let shares = player.raw::<ImageShare>().list(&kube::api::ListParams::default()).await?.items;
        let names: BTreeSet<String> = shares.iter().map(kube::ResourceExt::name_any).collect();
        ensure!(names == there, "{names:?}");
        for share in &shares {
            let seen = share.data["status"]["observedGeneration"].as_i64();
            ensure!(seen == share.metadata.generation, "{}: {}", share.name_any(), share.data["status"]);
        }
        Ok(Some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_refuses_is_refused_with_its_line() -> Result<()> {
    let player = with_image().await?;
    let text = format!(
        "apiVersion: imageshare.dev/v1alpha1\nkind: CloudImage\nmetadata:\n  name: golden\nspec:\n  accountRef:\n    name: golden\n  \
         region: {}\n  imageID: m-another\n",
        support::REGION
    );
    let kubeconfig = player.stage.control_plane.kubeconfig_path();
    let args = ["plan", "--live", "-f", "-", "-n", player.namespace.name()];
    let ran = plugin_as(Some(&kubeconfig), &args, &text)?;
    let told = format!("refused  -:9: CloudImage {}/golden: spec.imageID: ", player.namespace.name());
    ensure!(ran.exit == 1 && ran.out.contains(&told) && ran.out.contains("cannot be changed"), "{ran:?}");
    let mut lost = share(&player, "team", &[1]);
    lost["metadata"]["namespace"] = json!("no-such-namespace");
    let ran = plugin_as(Some(&kubeconfig), &["plan", "--live", "-f", "-"], &lost.to_string())?;
    ensure!(ran.exit == 1 && ran.out.contains("namespaces \"no-such-namespace\" not found"), "{ran:?}");
    Ok(())
}

/// By the API server's own log, and by the version of what is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_writes_nothing_and_reads_no_secret() -> Result<()> {
    let player = with_image().await?;
    let namespace = player.namespace.name().to_owned();
    player.share("team", [1]).await?;
    player.ready::<ImageShare>("team").await?;
    let owner =
        user(&player, "planner", &[("get,list,create,patch,delete", "cloudaccounts,cloudimages,imageshares")]).await?;
    let before = player.raw::<ImageShare>().get("team").await?.resource_version();
    let files = json!({"apiVersion": "v1", "kind": "List", "items": [
        share(&player, "team", &[2]), share(&player, "new", &[3]),
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "golden"}, "stringData": {"accessKeyID": "x"}},
    ]});
    let ran =
        plugin_as(Some(&owner), &["plan", "--live", "-f", "-", "-n", &namespace, "-o", "json"], &files.to_string())?;
    ensure!(ran.exit == 2 && planned(&ran)?.added.len() == 2 && planned(&ran)?.removed.len() == 1, "{ran:?}");
    ensure!(ran.json()?["summary"]["others"] == 1, "{ran:?}");
    let base = share(&player, "team", &[1]).to_string();
    let ran = plugin_as(Some(&owner), &["plan", "--live", "--base", "-", "-n", &namespace, "-o", "json"], &base)?;
    ensure!(planned(&ran)?.removed.len() == 1, "{ran:?}");
    let requests = player.stage.control_plane.requests_of(&format!("system:serviceaccount:{namespace}:planner"))?;
    ensure!(requests.iter().any(|request| request.verb == "delete"), "{requests:?}");
    for request in requests {
        let reads = ["get", "list"].contains(&request.verb.as_str());
        ensure!(reads || request.uri.contains("dryRun=All") || request.verb == "delete", "{request:?}");
        ensure!(request.object_ref.api_group == "imageshare.dev", "{request:?}");
    }
    ensure!(player.raw::<ImageShare>().get("team").await?.resource_version() == before, "it was written");
    ensure!(player.raw::<ImageShare>().get_opt("new").await?.is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named_and_no_plan_looks_whole_without_it() -> Result<()> {
    let player = with_image().await?;
    let namespace = player.namespace.name();
    let set = share(&player, "team", &[1]).to_string();
    let args = ["plan", "--live", "-f", "-", "-n", namespace];
    let all = "cloudaccounts,cloudimages,imageshares";
    for (name, rights, missing) in [
        ("readonly", vec![("get,list", all)], "you may not create imageshares.imageshare.dev in the namespace"),
        (
            "blind",
            vec![("get,list,create", "imageshares")],
            "you may not get cloudimages.imageshare.dev in the namespace",
        ),
        (
            "narrow",
            vec![("create,get", "imageshares"), ("get", "cloudaccounts,cloudimages")],
            "you may not list imageshares.imageshare.dev in the namespace",
        ),
        ("stranger", vec![], "you may not get imageshares.imageshare.dev in the namespace"),
    ] {
        let kubeconfig = user(&player, name, &rights).await?;
        let ran = plugin_as(Some(&kubeconfig), &args, &set)?;
        ensure!(ran.exit == 1 && ran.out.contains(&format!("incomplete  {missing} {namespace}")), "{name}: {ran:?}");
    }
    // The labels that consent depends on.
    player.edit::<CloudImage>("golden", json!({"spec": {"shareableFrom": {"namespaces": {"from": "All"}}}})).await?;
    let kubeconfig = user(&player, "owner", &[("get,list,create", all)]).await?;
    let ran = plugin_as(Some(&kubeconfig), &[&args[..], &["-o", "json"]].concat(), &set)?;
    let plan = ran.json()?;
    ensure!(ran.exit == 1 && plan["complete"] == false, "others may share the image too: {ran:?}");
    ensure!(
        plan["missing"][0]["resource"] == "imageshares.imageshare.dev" && plan["missing"][0]["namespace"].is_null()
    );
    Ok(())
}

/// The labels of a namespace are changed for its own sake; the images shared from it are planned all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_goes_from_a_namespace_is_planned_as_the_access_that_ends() -> Result<()> {
    let player = with_image().await?;
    let guest = player.guest().await?;
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"team": "yes"}}});
    player.edit::<CloudImage>("golden", json!({"spec": {"shareableFrom": {"namespaces": selector}}})).await?;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(player.client.clone());
    let label = Patch::Merge(json!({"metadata": {"labels": {"team": "yes"}}}));
    namespaces.patch(guest.namespace.name(), &PatchParams::default(), &label).await?;
    let namespace = player.namespace.name().to_owned();
    guest.share_with("team", &[player.recipient(1)], |spec| spec.image_ref.namespace = Some(namespace.clone())).await?;
    guest.ready::<ImageShare>("team").await?;
    let repository = Repository::new(&player)?;
    repository.write(
        "namespace",
        &json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": guest.namespace.name(), "labels": {"team": "no"}}}),
    )?;
    let ran = plan_and_apply(&player, &repository, &[], "the label changes").await?;
    ensure!(planned(&ran)?.removed == BTreeSet::from([player.recipient(1)]), "{ran:?}");
    Ok(())
}
