//! The images of the project itself.

use super::*;

/// Pages hold five images here.
#[tokio::test]
async fn all_own_images_are_listed_with_what_channels_choose_by_and_no_others() {
    let openstack = servers().await;
    let (owner, other) =
        (openstack.create_project("owner").await.unwrap(), openstack.create_project("other").await.unwrap());
    let shared = openstack.create_image(&other, "shared", NewImage::default()).await.unwrap();
    openstack.add_member(&other, &shared, &owner.id).await.unwrap();
    openstack.answer(&owner, &shared, "accepted").await.unwrap();
    let mut wanted = Vec::new();
    for number in 0..12 {
        let visibility = if number % 2 == 0 { "shared" } else { "private" };
        let fields = json!({"tags": ["stage=released", "lone"], "os_hidden": number == 3});
        let image = NewImage { visibility, bytes: None, fields, ..NewImage::default() };
        wanted.push(openstack.create_image(&owner, &format!("golden-{number}"), image).await.unwrap());
    }
    wanted.sort();
    let list = client(&owner, openstack).list_own(&at("x").region, Priority::Resync).await.unwrap();
    let seen: Vec<_> = list.images.iter().map(|image| image.image.to_string()).collect();
    assert_eq!((seen, list.complete), (wanted, true));
    for image in &list.images {
        assert!(image.name.starts_with("golden-") && image.created.is_some(), "{image:?}");
        let tags: Vec<_> = image.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!((tags, image.state), (vec![("lone", ""), ("stage", "released")], ImageState::Creating));
    }
    let none = client(&openstack.create_project("none").await.unwrap(), openstack);
    let list = none.list_own(&at("x").region, Priority::Resync).await.unwrap();
    assert_eq!((list.images.len(), list.complete), (0, true));
}
