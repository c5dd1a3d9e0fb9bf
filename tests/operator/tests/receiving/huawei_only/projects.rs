//! Images belong to projects: another project of the same account is another owner.

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Ground, LIST, LOOK, REMOVE, ids, projects, undisturbed};
use support::arena::until_members;
use support::huawei::REGION;
use support::{PATIENCE, says};

/// An account with two projects in the region, and a ready image of its first one that two others have.
async fn shared() -> Result<(Ground, String)> {
    let ground = Ground::enter_as(|arena| arena.tenant(4)).await?;
    let image = ground.image("golden", json!({"project": ground.project(4)})).await?;
    ground.share("golden", projects(ids(0..2))).await?;
    ground.place.ready::<ImageShare>("golden").await?;
    Ok((ground, image))
}

async fn use_projects(ground: &Ground, projects: Value) -> Result<()> {
    ground.place.edit::<CloudAccount>("golden", json!({"spec": {"huawei": {"projects": projects}}})).await
}

fn owner(image: &Value) -> &str {
    image["status"]["owner"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn another_project_is_another_owner_and_ends_nothing_until_it_is_restored() -> Result<()> {
    let _operator = undisturbed().await;
    let (ground, image) = shared().await?;
    let (first, [second, _]) = (ground.project(4), ground.arena.further_projects());
    let before = ground.place.get::<CloudImage>("golden").await?;
    ensure!(owner(&before).ends_with(&format!(", project {first}")), "{}", before["status"]);

    use_projects(&ground, json!([{"region": REGION, "projectID": second}])).await?;
    let changed = ground.place.until::<CloudImage>("golden", "False", "AccountChanged").await?;
    says(&changed, "Ready", &[&first, &second, "no cloud API calls are made", "restore"]);
    ground.place.delete::<ImageShare>("golden").await?;
    ground.place.until::<ImageShare>("golden", "False", "Revoking").await?;
    for n in 0..2 {
        ground.place.look_now::<CloudImage>("golden", &format!("look {n}")).await?;
    }
    let held = ground.place.get::<CloudImage>("golden").await?;
    ensure!(held["status"]["grants"] == before["status"]["grants"], "the ledger stays: {}", held["status"]);
    ensure!(owner(&held) == owner(&before), "{}", held["status"]);
    let of_images = |call: &Value| [LOOK, LIST, REMOVE].iter().any(|action| call["action"] == *action);
    let asked: Vec<Value> = ground.by(&second).await?.into_iter().filter(of_images).collect();
    ensure!(asked.is_empty(), "{asked:?}");
    ensure!(ground.members(&image).await?.len() == 2);

    use_projects(&ground, Value::Null).await?;
    ground.place.gone::<ImageShare>("golden").await?;
    until_members(&ground.arena, &image, &[]).await
}

#[tokio::test]
async fn an_owner_recorded_without_its_project_is_taken_over_once() -> Result<()> {
    let _operator = undisturbed().await;
    let (ground, image) = shared().await?;
    let recorded = owner(&ground.place.get::<CloudImage>("golden").await?).to_owned();
    let account = recorded.split_once(", project ").unwrap().0;
    let status = Patch::Merge(json!({"status": {"owner": account}}));
    ground.place.api::<CloudImage>().patch_status("golden", &PatchParams::default(), &status).await?;
    ground.place.look_now::<CloudImage>("golden", "after the upgrade").await?;
    eventually(PATIENCE, "the project to be recorded", async || {
        let found = ground.place.ready::<CloudImage>("golden").await?;
        ensure!(owner(&found) == recorded, "{}", found["status"]);
        Ok(Some(()))
    })
    .await?;
    ensure!(ground.members(&image).await?.len() == 2);
    Ok(())
}

#[tokio::test]
async fn an_image_looked_for_in_the_wrong_project_is_found_once_that_is_corrected() -> Result<()> {
    let _operator = undisturbed().await;
    let ground = Ground::enter_as(|arena| arena.tenant(4)).await?;
    let [second, _] = ground.arena.further_projects();
    let image = ground.arena.image_with(json!({"project": second})).await?;
    ground.name_image("golden", REGION, &image).await?;
    ground.place.until::<CloudImage>("golden", "False", "ImageNotFound").await?;
    use_projects(&ground, json!([{"region": REGION, "projectID": second}])).await?;
    let found = ground.place.ready::<CloudImage>("golden").await?;
    ensure!(owner(&found).ends_with(&second), "{}", found["status"]);
    Ok(())
}
