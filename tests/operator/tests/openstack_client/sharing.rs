//! The owner's side.

use super::*;

fn forbidden() -> Fault {
    Fault::Forbidden { code: "Forbidden".to_owned() }
}

#[tokio::test]
async fn three_projects_are_offered_an_image_and_one_is_taken_off() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let image = openstack.create_image(&owner, "golden", NewImage::default()).await.unwrap();
    let cloud = client(&owner, openstack);
    let facts = cloud.observe_image(&at(&image), Priority::Edit).await.unwrap().unwrap();
    assert_eq!((facts.ownership, facts.state), (Ownership::Own, ImageState::Available));
    assert_eq!((facts.name.as_str(), facts.visibility, facts.encrypted), ("golden", Visibility::Shared, false));

    let mut members = Vec::new();
    for number in 0..3 {
        let member = openstack.create_project(&format!("member-{number}")).await.unwrap();
        assert_eq!(share(&cloud, &image, &member.id).await, Ok(Submitted::Done));
        assert_eq!(share(&cloud, &image, &member.id).await, Ok(Submitted::Done), "once more is no error");
        members.push(member);
    }
    let list = cloud.list_recipients(&at(&image), Priority::Edit).await.unwrap();
    let wanted = members.iter().map(|member| (recipient(&member.id), Some(Answer::Pending))).collect();
    assert_eq!((list.recipients, list.complete), (wanted, true));
    assert_eq!(openstack.members(&owner, &image).await.unwrap().len(), 3, "no row is doubled");

    assert_eq!(unshare(&cloud, &image, &members[1].id).await, Ok(Submitted::Done));
    assert_eq!(unshare(&cloud, &image, &members[1].id).await, Ok(Submitted::Done), "once more is no error");
    assert_eq!(openstack.image(&members[1], &image).await.unwrap(), None);
    assert_eq!(cloud.list_recipients(&at(&image), Priority::Edit).await.unwrap().recipients.len(), 2);
}

#[tokio::test]
async fn a_doubled_member_loses_its_access() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let member = openstack.create_project("member").await.unwrap();
    let image = openstack.create_image(&owner, "golden", NewImage::default()).await.unwrap();
    let cloud = client(&owner, openstack);
    share(&cloud, &image, &member.id).await.unwrap();
    openstack.double_member(&image, &member.id).await.unwrap();
    let list = cloud.list_recipients(&at(&image), Priority::Edit).await.unwrap();
    assert_eq!((list.recipients.len(), list.complete), (1, true));

    assert_eq!(unshare(&cloud, &image, &member.id).await, Ok(Submitted::Done));
    assert_eq!(openstack.members(&owner, &image).await.unwrap(), []);
    assert_eq!(openstack.download(&member, &image).await.unwrap(), None);
    assert_eq!(cloud.delete_image(&at(&image)).await, Ok(()));
}

#[tokio::test]
async fn what_a_token_may_not_see_is_not_absent() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let member = openstack.create_project("member").await.unwrap();
    let image = openstack.create_image(&owner, "golden", NewImage::default()).await.unwrap();
    let cloud = client_with(&owner, Credentials::password(&owner.user, &owner.password, "Default").unwrap(), openstack);
    share(&cloud, &image, &member.id).await.unwrap();

    openstack.let_use(&owner, false).await.unwrap();
    let denied = Fault::Forbidden { code: "get_images".to_owned() };
    assert_eq!(cloud.observe_image(&at(&image), Priority::Edit).await, Err(denied.clone()));
    assert_eq!(cloud.list_recipients(&at(&image), Priority::Edit).await, Err(denied.clone()));
    assert_eq!(unshare(&cloud, &image, &member.id).await, Err(denied.clone()));
    assert_eq!(cloud.delete_image(&at(&image)).await, Err(denied));

    openstack.let_use(&owner, true).await.unwrap();
    assert_eq!(cloud.list_recipients(&at(&image), Priority::Edit).await.unwrap().recipients.len(), 1);
    assert_eq!(unshare(&cloud, &image, &member.id).await, Ok(Submitted::Done));
    assert_eq!(cloud.delete_image(&at(&image)).await, Ok(()));
    assert_eq!(cloud.observe_image(&at(&image), Priority::Edit).await, Ok(None));
}

#[tokio::test]
async fn a_full_image_takes_no_one_more() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let image = openstack.create_image(&owner, "golden", NewImage::default()).await.unwrap();
    let cloud = client(&owner, openstack);
    for number in 0..SETTINGS.image_member_quota {
        share(&cloud, &image, &format!("member-{number}")).await.unwrap();
    }
    let full = Fault::QuotaExceeded { quota: Quota::RecipientsPerImage };
    assert_eq!(share(&cloud, &image, "one-more").await, Err(full.clone()));
    unshare(&cloud, &image, "member-0").await.unwrap();
    assert_eq!(share(&cloud, &image, "one-more").await, Ok(Submitted::Done));
    assert_eq!(share(&cloud, &image, "member-0").await, Err(full));
}

#[tokio::test]
async fn a_private_image_is_opened_first_and_its_old_members_come_back() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let old = openstack.create_project("old").await.unwrap();
    let image = openstack.create_image(&owner, "golden", NewImage::default()).await.unwrap();
    openstack.add_member(&owner, &image, &old.id).await.unwrap();
    openstack.answer(&old, &image, "rejected").await.unwrap();
    openstack.change_image(&owner, &image, "visibility", json!("private")).await.unwrap();

    let cloud = client(&owner, openstack);
    let facts = cloud.observe_image(&at(&image), Priority::Edit).await.unwrap().unwrap();
    assert_eq!(facts.visibility, Visibility::Private);
    let private = Fault::Conflict(Conflict::ImagePrivate);
    assert_eq!(share(&cloud, &image, "new").await, Err(private.clone()));
    assert_eq!(unshare(&cloud, &image, &old.id).await, Err(private.clone()));
    assert_eq!(cloud.list_recipients(&at(&image), Priority::Edit).await, Err(private));
    assert_eq!(client(&old, openstack).observe_received(&at(&image), Priority::Edit).await, Ok(None));

    assert_eq!(cloud.open_for_sharing(&at(&image), Priority::Edit).await, Ok(()));
    assert_eq!(cloud.open_for_sharing(&at(&image), Priority::Edit).await, Ok(()), "once more is no error");
    let list = cloud.list_recipients(&at(&image), Priority::Edit).await.unwrap();
    assert_eq!(list.recipients, [(recipient(&old.id), Some(Answer::Rejected))].into());
    assert_eq!(share(&cloud, &image, "new").await, Ok(Submitted::Done));
}

#[tokio::test]
async fn what_everybody_may_use_has_no_members() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let community = NewImage { visibility: "community", ..NewImage::default() };
    let image = openstack.create_image(&owner, "golden", community).await.unwrap();
    let cloud = client(&owner, openstack);
    let facts = cloud.observe_image(&at(&image), Priority::Edit).await.unwrap().unwrap();
    assert_eq!(facts.visibility, Visibility::Public);
    assert!(matches!(share(&cloud, &image, "new").await, Err(Fault::Refused { .. })));
    assert!(matches!(cloud.list_recipients(&at(&image), Priority::Edit).await, Err(Fault::Refused { .. })));
    let stranger = openstack.create_project("stranger").await.unwrap();
    let other = client(&stranger, openstack);
    assert!(other.observe_image(&at(&image), Priority::Edit).await.unwrap().is_some());
    assert_eq!(other.observe_received(&at(&image), Priority::Edit).await, Ok(None));
}

#[tokio::test]
async fn a_member_cannot_share_on_nor_delete_nor_open() {
    let openstack = servers().await;
    let (owner, member) =
        (openstack.create_project("owner").await.unwrap(), openstack.create_project("member").await.unwrap());
    let image = openstack.create_image(&owner, "golden", NewImage::default()).await.unwrap();
    openstack.add_member(&owner, &image, &member.id).await.unwrap();
    openstack.answer(&member, &image, "accepted").await.unwrap();
    let cloud = client(&member, openstack);
    assert_eq!(share(&cloud, &image, "third").await, Err(forbidden()));
    assert_eq!(unshare(&cloud, &image, &member.id).await, Err(forbidden()));
    assert_eq!(cloud.open_for_sharing(&at(&image), Priority::Edit).await, Err(forbidden()));
    assert_eq!(cloud.delete_image(&at(&image)).await, Err(forbidden()));
    assert_eq!(openstack.members(&owner, &image).await.unwrap(), [(member.id, "accepted".to_owned())]);
}

#[tokio::test]
async fn a_protected_image_stays_and_a_deleted_one_is_absent() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let protected = NewImage { protected: true, ..NewImage::default() };
    let image = openstack.create_image(&owner, "golden", protected).await.unwrap();
    let cloud = client(&owner, openstack);
    assert_eq!(cloud.delete_image(&at(&image)).await, Err(Fault::Conflict(Conflict::ImageProtected)));
    openstack.change_image(&owner, &image, "protected", json!(false)).await.unwrap();
    assert_eq!(cloud.delete_image(&at(&image)).await, Ok(()));

    let gone = Fault::NotFound(Missing::Image);
    assert_eq!(cloud.observe_image(&at(&image), Priority::Edit).await, Ok(None));
    assert_eq!(cloud.delete_image(&at(&image)).await, Err(gone.clone()));
    assert_eq!(cloud.list_recipients(&at(&image), Priority::Edit).await, Err(gone.clone()));
    assert_eq!(share(&cloud, &image, "new").await, Err(gone.clone()));
    assert_eq!(unshare(&cloud, &image, "new").await, Err(gone));
}

#[tokio::test]
async fn an_image_still_being_made_may_be_shared() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let queued = NewImage { bytes: None, ..NewImage::default() };
    let image = openstack.create_image(&owner, "golden", queued).await.unwrap();
    let cloud = client(&owner, openstack);
    let facts = cloud.observe_image(&at(&image), Priority::Edit).await.unwrap().unwrap();
    assert_eq!(facts.state, ImageState::Creating);
    assert_eq!(share(&cloud, &image, "new").await, Ok(Submitted::Done));
}
