//! The receiving side.

use super::*;

#[tokio::test]
async fn an_offer_is_seen_accepted_rejected_and_accepted_again() {
    let openstack = servers().await;
    let (owner, member) =
        (openstack.create_project("owner").await.unwrap(), openstack.create_project("member").await.unwrap());
    let image = openstack.create_image(&owner, "golden", NewImage::default()).await.unwrap();
    let cloud = client(&member, openstack);
    let observed = async || cloud.observe_received(&at(&image), Priority::Edit).await.unwrap();
    assert_eq!(observed().await, None);
    assert_eq!(accept(&cloud, &image).await, Err(Fault::NotFound(Missing::Image)), "nothing is offered");

    openstack.add_member(&owner, &image, &member.id).await.unwrap();
    let offer = observed().await.unwrap();
    assert_eq!((offer.image.as_str(), offer.name.as_str()), (image.as_str(), "golden"));
    assert_eq!((offer.through.as_str(), offer.state), (member.id.as_str(), ImageState::Available));
    assert_eq!((offer.owner.unwrap().as_str(), offer.answer), (owner.id.as_str(), Some(Answer::Pending)));
    assert_eq!(offer.via, [(recipient(&member.id), Some(Answer::Pending))].into());

    for (accepts, answer, status) in [
        (true, Answer::Accepted, "accepted"),
        (true, Answer::Accepted, "accepted"),
        (false, Answer::Rejected, "rejected"),
        (true, Answer::Accepted, "accepted"),
    ] {
        let done = if accepts { accept(&cloud, &image).await } else { reject(&cloud, &image).await };
        assert_eq!(done, Ok(Submitted::Done));
        assert_eq!(observed().await.unwrap().answer, Some(answer));
        assert_eq!(openstack.members(&owner, &image).await.unwrap(), [(member.id.clone(), status.to_owned())]);
        assert_eq!(openstack.list_as(&member, status).await.unwrap(), std::slice::from_ref(&image));
    }
    let own = client(&owner, openstack);
    assert_eq!(own.observe_received(&at(&image), Priority::Edit).await, Ok(None), "an own image is not received");
    assert!(matches!(accept(&own, &image).await, Err(Fault::NotFound(Missing::Image) | Fault::Forbidden { .. })));

    openstack.remove_member(&owner, &image, &member.id).await.unwrap();
    assert_eq!(observed().await, None);
    openstack.add_member(&owner, &image, &member.id).await.unwrap();
    assert_eq!(observed().await.unwrap().answer, Some(Answer::Pending), "offered anew");
}

#[tokio::test]
async fn an_offer_goes_with_its_image() {
    let openstack = servers().await;
    let (owner, member) =
        (openstack.create_project("owner").await.unwrap(), openstack.create_project("member").await.unwrap());
    let image = openstack.create_image(&owner, "golden", NewImage::default()).await.unwrap();
    openstack.add_member(&owner, &image, &member.id).await.unwrap();
    let cloud = client(&member, openstack);
    assert!(cloud.observe_received(&at(&image), Priority::Edit).await.unwrap().is_some());
    openstack.delete_image(&owner, &image).await.unwrap();
    assert_eq!(cloud.observe_received(&at(&image), Priority::Edit).await, Ok(None));
    let list = cloud.list_received(&at(&image).region, Priority::Edit).await.unwrap();
    assert_eq!((list.images.len(), list.complete), (0, true));
}

/// Pages hold five images here.
#[tokio::test]
async fn all_pages_of_what_was_offered_are_listed_and_nothing_else_is_asked() {
    let openstack = servers().await;
    let (owner, member) =
        (openstack.create_project("owner").await.unwrap(), openstack.create_project("member").await.unwrap());
    let queued = || NewImage { bytes: None, ..NewImage::default() };
    // An own shared image is in every list of Glance's.
    openstack.create_image(&member, "own", queued()).await.unwrap();
    let mut wanted = Vec::new();
    for number in 0..18 {
        let image = openstack.create_image(&owner, &format!("image-{number}"), queued()).await.unwrap();
        openstack.add_member(&owner, &image, &member.id).await.unwrap();
        let (status, answer) = match number {
            0..12 => ("accepted", Answer::Accepted),
            12..15 => ("rejected", Answer::Rejected),
            _ => ("pending", Answer::Pending),
        };
        openstack.answer(&member, &image, status).await.unwrap();
        wanted.push((image, Some(answer)));
    }
    wanted.sort();
    let cloud = client(&member, openstack);
    let list = cloud.list_received(&at("x").region, Priority::Resync).await.unwrap();
    let seen: Vec<_> = list.images.iter().map(|image| (image.image.to_string(), image.answer)).collect();
    assert_eq!((seen, list.complete), (wanted, true));
    assert!(list.images.iter().all(|image| image.owner.as_ref().unwrap().as_str() == owner.id));
    let calls = openstack.image_calls().await.unwrap();
    let pages =
        |status: &str| count(&calls, "GET", &format!("/v2/images?visibility=shared&member_status={status}&limit="));
    assert!(pages("accepted") >= 3 && pages("pending") >= 1 && pages("rejected") >= 1);
    let asked = list.images.iter().map(|image| count(&calls, "GET", &format!("/v2/images/{}", image.image)));
    assert_eq!(asked.sum::<usize>(), 0, "no image is asked for by itself");
}

#[tokio::test]
async fn what_was_shared_with_others_is_not_seen() {
    let openstack = servers().await;
    let (owner, other) =
        (openstack.create_project("owner").await.unwrap(), openstack.create_project("other").await.unwrap());
    let image = openstack.create_image(&owner, "golden", NewImage::default()).await.unwrap();
    openstack.add_member(&owner, &image, "somebody").await.unwrap();
    let cloud = client(&other, openstack);
    assert_eq!(cloud.observe_image(&at(&image), Priority::Edit).await, Ok(None));
    assert_eq!(cloud.observe_received(&at(&image), Priority::Edit).await, Ok(None));
    assert_eq!(cloud.list_recipients(&at(&image), Priority::Edit).await, Err(Fault::NotFound(Missing::Image)));
}
