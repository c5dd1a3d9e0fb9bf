//! Encrypted images: which are shared, what recipients need besides, and the way out where an image cannot be shared.

use anyhow::{Context as _, Result, ensure};
use imageshare_operator::api::image_replica::ImageReplicaSpec;
use imageshare_operator::api::{CloudImage, ImageReplica, ImageShare};
use serde_json::json;

use crate::with_image;
use support::aws::REGION;
use support::{condition, says};

#[tokio::test]
async fn an_image_encrypted_with_the_owners_key_is_shared_and_the_key_is_named() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let key = here.kms_key(0, REGION);
    let encrypted = here.image("encrypted", json!({"encryption": key})).await?;
    for name in ["golden", "encrypted"] {
        here.share(name, [here.account(1)]).await?;
        here.place.ready::<ImageShare>(name).await?;
    }
    let told =
        here.place.until_condition::<CloudImage>("encrypted", "KeyRequired", "True", "RecipientsNeedKey").await?;
    says(&told, "KeyRequired", &[&key, "kms:CreateGrant", "kms:Decrypt"]);
    ensure!(here.shared_with(&encrypted).await? == Some(vec![here.account(1)]));
    let plain = here.place.ready::<CloudImage>("golden").await?;
    ensure!(condition(&plain, "KeyRequired").is_none() && here.calls("DescribeSnapshots", &image).await?.is_empty());

    here.place.delete::<ImageShare>("encrypted").await?;
    here.place.gone::<ImageShare>("encrypted").await?;
    let nobody = |image: &serde_json::Value| condition(image, "KeyRequired").is_none();
    here.place.until_it::<CloudImage>("encrypted", "nobody needs the key", nobody).await?;
    Ok(())
}

/// The remedy as the message tells it: a copy with a key of one's own is shared instead.
#[tokio::test]
async fn an_image_encrypted_with_the_default_key_is_not_shareable_and_its_copy_with_an_own_key_is() -> Result<()> {
    let (here, image) = with_image(json!({"encryption": "default"})).await?;
    here.share("golden", [here.account(1)]).await?;
    let told = here.place.until::<CloudImage>("golden", "False", "ImageNotShareable").await?;
    says(&told, "Ready", &["default key", "ImageReplica", "spec.destination.encryption.keyID"]);
    here.place.until::<ImageShare>("golden", "False", "ImageNotShareable").await?;
    ensure!(condition(&told, "KeyRequired").is_none(), "nobody needs the key of an image that nobody has");
    ensure!(here.shared_with(&image).await? == Some(Vec::new()));

    let key = here.kms_key(0, REGION);
    let spec: ImageReplicaSpec = serde_json::from_value(json!({"source": {"imageRef": {"name": "golden"}},
        "destination": {"region": REGION, "name": "golden with our key", "encryption": {"keyID": key}}}))?;
    here.place.create(ImageReplica::new("ours", spec)).await?;
    let made = here.place.until::<ImageReplica>("ours", "True", "Replicated").await?;
    let copy = made["status"]["imageID"].as_str().context("a copy")?.to_owned();
    here.place.ready::<CloudImage>("ours").await?;
    here.share("ours", [here.account(1)]).await?;
    here.place.ready::<ImageShare>("ours").await?;
    here.until_shared_with(&copy, [here.account(1)]).await?;
    let told = here.place.until_condition::<CloudImage>("ours", "KeyRequired", "True", "RecipientsNeedKey").await?;
    says(&told, "KeyRequired", &[&key]);
    Ok(())
}
