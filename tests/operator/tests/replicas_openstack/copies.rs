//! Own images, copied within their project, to another project and to another cloud.

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::openstack::NewImage;
use imageshare_operator::api::ImageShare;
use imageshare_operator::api::image_share::ImageShareSpec;
use serde_json::{Value, json};

use crate::scene::{MIB, Scene, Way, content, only};

/// Everything set that an image's user may depend on. More content than connections hold by themselves.
fn particular() -> NewImage {
    let mut bytes = content(24 * MIB);
    // Glance looks whether it is what it is said to be: the header of a disk of 1 GiB, version 2, without another below it.
    bytes[..512].fill(0);
    bytes[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
    bytes[20..32].copy_from_slice(&[0, 0, 0, 16, 0, 0, 0, 0, 0x40, 0, 0, 0]);
    NewImage {
        bytes: Some(bytes),
        fields: json!({"disk_format": "qcow2", "min_disk": 3, "min_ram": 512, "os_distro": "debian",
            "hw_disk_bus": "virtio", "our_team": "镜像 team"}),
        ..NewImage::default()
    }
}

fn ensure_particular(copy: &Value) -> Result<()> {
    ensure!(copy["disk_format"] == "qcow2" && copy["min_disk"] == 3 && copy["min_ram"] == 512, "{copy}");
    ensure!(copy["os_distro"] == "debian" && copy["hw_disk_bus"] == "virtio", "{copy}");
    ensure!(copy["our_team"] == "镜像 team", "{copy}");
    Ok(())
}

#[tokio::test]
async fn an_own_image_is_copied_under_a_new_name_and_shared_on() -> Result<()> {
    let scene = Scene::enter().await?;
    let source = scene.golden("golden", particular()).await?;
    scene.replicate(json!({})).await?;
    let id = scene.made().await?;
    let copy = scene.only_copy_beside(&source).await?;
    ensure!(copy["id"] == id.as_str() && copy["owner"] == scene.project.id.as_str(), "{copy}");
    ensure_particular(&copy)?;
    let note = scene.place.event("Replicated", &id).await?;
    ensure!(note.contains("CloudImage copy"), "{note}");

    let receiver = scene.clouds.here.create_project("receiver").await?;
    let spec = json!({"imageRef": {"name": "copy"}, "recipients": [{"type": "Project", "id": receiver.id}]});
    let spec: ImageShareSpec = serde_json::from_value(spec)?;
    scene.place.create(ImageShare::new("on", spec)).await?;
    scene.place.ready::<ImageShare>("on").await?;
    let members = scene.clouds.here.members(&scene.project, &id).await?;
    ensure!(members == [(receiver.id.clone(), "pending".to_owned())], "{members:?}");
    let source = source["id"].as_str().context("an id")?;
    ensure!(scene.clouds.here.members(&scene.project, source).await?.is_empty(), "the source is nobody else's");
    Ok(())
}

#[tokio::test]
async fn an_own_image_is_copied_to_another_project() -> Result<()> {
    let scene = Scene::enter().await?;
    let other = scene.clouds.here.create_project("other").await?;
    scene.seat("other", &scene.clouds.here, &other, Way::Straight).await?;
    let source = scene.golden("golden", particular()).await?;
    scene.replicate(json!({"destination": {"accountRef": {"name": "other"}}})).await?;
    let id = scene.made().await?;
    let copy = only(scene.clouds.here.images_of(&other).await?, &source)?;
    ensure!(copy["id"] == id.as_str() && copy["owner"] == other.id.as_str(), "{copy}");
    ensure_particular(&copy)?;
    ensure!(scene.clouds.here.images_of(&scene.project).await?.len() == 1, "the source's project has the source");
    Ok(())
}

#[tokio::test]
async fn an_own_image_is_copied_to_another_cloud() -> Result<()> {
    let scene = Scene::enter().await?;
    let there = scene.clouds.there.create_project("there").await?;
    scene.seat("there", &scene.clouds.there, &there, Way::Straight).await?;
    let source = scene.golden("golden", particular()).await?;
    scene.replicate(json!({"destination": {"accountRef": {"name": "there"}}})).await?;
    let id = scene.made().await?;
    let copy = only(scene.clouds.there.images_of(&there).await?, &source)?;
    ensure!(copy["id"] == id.as_str() && copy["owner"] == there.id.as_str(), "{copy}");
    ensure_particular(&copy)?;
    ensure!(scene.clouds.here.images_of(&scene.project).await?.len() == 1, "the source's cloud has the source");
    Ok(())
}
