//! The account's own images, for channels.

use super::*;
use crate::domain::image::ImageState;

const OTHER: &str = "ami-00000000000000001";

async fn listed(here: &Setting) -> Result<OwnList, Fault> {
    here.cloud.list_own(&region("eu-west-1"), Priority::Resync).await
}

#[tokio::test]
async fn own_images_are_listed_with_what_channels_choose_by_and_nobody_elses() {
    let dated = "<creationDate>2026-01-02T03:04:05.000Z</creationDate><tagSet><item><key>stage</key><value>released</value>\
                 </item><item><key>lone</key></item></tagSet>";
    let first = row(IMAGE, ACCOUNT, "available", dated);
    let here = Setting::new([images(&first, "t"), images(&row(OTHER, ACCOUNT, "pending", ""), "")]).await;
    let list = listed(&here).await.unwrap();
    assert!(list.complete);
    assert!(here.asked(0).contains(&("Owner.1".to_owned(), "self".to_owned())), "{:?}", here.asked(0));
    let [other, own] = &list.images[..] else { panic!("{:?}", list.images) };
    assert_eq!((other.image.as_str(), other.created, other.state), (OTHER, None, ImageState::Creating));
    assert_eq!((own.image.as_str(), own.family.as_deref()), (IMAGE, None));
    assert_eq!(own.created, Some("2026-01-02T03:04:05Z".parse().unwrap()));
    let tags: Vec<_> = own.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("lone", ""), ("stage", "released")]);
}

#[tokio::test]
async fn a_list_with_an_image_of_somebody_else_is_not_believed() {
    let here = Setting::new([images(&row(IMAGE, "210987654321", "available", ""), "")]).await;
    assert_eq!(listed(&here).await, Err(Fault::Unintelligible));
}
