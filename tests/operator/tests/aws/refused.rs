//! Recipients that cannot be: told each by name, without a call.

use anyhow::{Result, ensure};
use imageshare_operator::api::{CloudImage, ImageShare};
use serde_json::json;

use crate::with_image;
use support::says;

#[tokio::test]
async fn recipients_of_another_partition_are_told_and_never_asked_for() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let [china, gov] = ["aws-cn", "aws-us-gov"]
        .map(|partition| format!("arn:{partition}:organizations::111122223333:organization/o-abcdefghij"));
    here.share("golden", [here.account(1), china.clone(), gov.clone()]).await?;
    let waiting = [(china.as_str(), "RegionNotOnSite"), (gov.as_str(), "RegionNotOnSite")];
    let share = here.place.until_waiting("golden", "RegionNotOnSite", &waiting).await?;
    says(&share, "Ready", &["partition", &china]);
    ensure!(here.shared_with(&image).await? == Some(vec![here.account(1)]));
    ensure!(here.asked_to_add(&image).await? == [here.account(1)]);
    Ok(())
}

#[tokio::test]
async fn the_own_account_and_what_is_no_id_are_told_and_never_asked_for() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let bare = "o-abcdefghij".to_owned();
    let short = "12345678901".to_owned();
    let wished = json!([{"type": "Account", "id": here.account(1)}, {"type": "Account", "id": here.account(0)},
        {"type": "Account", "id": short}, {"type": "Organization", "id": bare}]);
    here.share("golden", [here.account(1)]).await?;
    here.place.edit::<ImageShare>("golden", json!({"spec": {"recipients": wished}})).await?;
    let own = here.account(0);
    let waiting = [(short.as_str(), "InvalidRecipient"), (&bare, "InvalidRecipient"), (&own, "RecipientIsOwner")];
    let share = here.place.until_waiting("golden", "InvalidRecipient", &waiting).await?;
    says(&share, "Ready", &["the owner of the image", "arn:aws:organizations::", &bare]);
    ensure!(here.asked_to_add(&image).await? == [here.account(1)]);
    Ok(())
}

#[tokio::test]
async fn images_that_cannot_be_shared_are_told_and_nobody_is_added() -> Result<()> {
    let (here, image) = with_image(json!({})).await?;
    let anothers = here.new_image(json!({"owner": here.account(1), "sharedWith": [here.account(0)]})).await?;
    let unknown = "ami-0123456789abcdef0";
    here.name_image("anothers", &anothers, json!({})).await?;
    here.name_image("unknown", unknown, json!({})).await?;
    here.name_image("nowhere", &image, json!({"region": "eu-north-9"})).await?;
    for name in ["anothers", "unknown", "nowhere"] {
        here.share(name, [here.account(2)]).await?;
    }
    for (name, reason, word) in [
        ("anothers", "ImageNotOwned", here.account(1)),
        ("unknown", "ImageNotFound", "imageID".to_owned()),
        ("nowhere", "RegionUnknown", "eu-north-9".to_owned()),
    ] {
        let told = here.place.until::<CloudImage>(name, "False", reason).await?;
        says(&told, "Ready", &[&word]);
        here.place.until::<ImageShare>(name, "False", reason).await?;
    }
    for id in [anothers.as_str(), unknown, image.as_str()] {
        ensure!(here.asked_to_add(id).await?.is_empty(), "{id}");
    }
    Ok(())
}
