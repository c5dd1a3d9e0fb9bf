//! Images that others share with the account.

use super::*;
use crate::domain::image::{ImageKind, ImageState};

const OWNER: &str = "210987654321";

fn id(number: usize) -> String {
    format!("ami-{number:017x}")
}

fn rows(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| row(&id(number), OWNER, "available", "")).collect()
}

fn received(number: usize) -> ReceivedImage {
    ReceivedImage {
        image: ImageId::parse(&id(number)).unwrap(),
        through: PrincipalId::parse(ACCOUNT).unwrap(),
        owner: Some(PrincipalId::parse(OWNER).unwrap()),
        name: "golden".to_owned(),
        kind: ImageKind::SystemDisk,
        state: ImageState::Available,
        answer: None,
        via: BTreeMap::new(),
    }
}

fn tokens(here: &Setting) -> Vec<Option<String>> {
    let token = |call| here.asked(call).into_iter().find(|(name, _)| name == "NextToken").map(|(_, token)| token);
    (0..here.calls()).map(token).collect()
}

#[tokio::test]
async fn pages_are_followed_to_the_end_though_they_are_short_or_empty() {
    let own = row(&id(99), ACCOUNT, "available", "");
    let here = Setting::new([images(&rows(0..2), "t+1/="), images("", "t2"), images(&(rows(1..3) + &own), "")]).await;
    let list = here.cloud.list_received(&region("eu-west-1"), Priority::Resync).await.unwrap();
    assert_eq!(list, ReceivedList { images: (0..3).map(received).collect(), complete: true });
    let wanted = form(
        "DescribeImages",
        &[
            ("ExecutableBy.1", "self"),
            ("IncludeDeprecated", "true"),
            ("IncludeDisabled", "true"),
            ("MaxResults", "200"),
        ],
    );
    assert_eq!(here.asked(0), wanted);
    assert_eq!(tokens(&here), [None, Some("t+1/=".to_owned()), Some("t2".to_owned())]);
}

#[tokio::test]
async fn list_that_fails_in_the_middle_fails_as_a_whole() {
    let here = Setting::new([images(&rows(0..2), "t"), error(503, "ServiceUnavailable", "")]).await;
    assert_eq!(here.cloud.list_received(&region("eu-west-1"), Priority::Edit).await, Err(Fault::Unavailable));
    // The same page again.
    let here = Setting::new([images(&rows(0..2), "t"), images(&rows(2..3), "t")]).await;
    assert_eq!(here.cloud.list_received(&region("eu-west-1"), Priority::Edit).await, Err(Fault::Unintelligible));
}

#[tokio::test]
async fn expired_token_begins_the_list_again_once() {
    let expired = || error(400, "InvalidPaginationToken", "The token is expired");
    let here = Setting::new([images(&rows(0..2), "t"), expired(), images(&rows(0..3), "")]).await;
    let list = here.cloud.list_received(&region("eu-west-1"), Priority::Edit).await.unwrap();
    assert_eq!((list.images.len(), list.complete, here.calls()), (3, true, 3));

    let here = Setting::new([images("", "t"), expired(), images("", "t"), expired()]).await;
    let listed = here.cloud.list_received(&region("eu-west-1"), Priority::Edit).await;
    assert!(matches!(listed, Err(Fault::Refused { .. })), "{listed:?}");
}

#[tokio::test]
async fn one_received_image_is_asked_for_within_what_is_shared() {
    let answers = [
        images(&row(IMAGE, OWNER, "available", ""), ""),
        images(&row(IMAGE, ACCOUNT, "available", ""), ""),
        images("", ""),
        error(400, "InvalidAMIID.NotFound", ""),
    ];
    let here = Setting::new(answers).await;
    let found = here.cloud.observe_received(&image(), Priority::Edit).await.unwrap().unwrap();
    assert_eq!(found, ReceivedImage { image: image().image, ..received(0) });
    assert_eq!(here.asked(0)[2..4], form("", &[("ImageId.1", IMAGE), ("ExecutableBy.1", "self")])[2..]);
    for _ in 0..3 {
        assert_eq!(here.cloud.observe_received(&image(), Priority::Edit).await, Ok(None));
    }
}

#[tokio::test]
async fn public_image_counts_as_received_only_if_it_is_shared_as_well() {
    let public = || images(&row(IMAGE, OWNER, "available", "<isPublic>true</isPublic>"), "");
    let here = Setting::new([public(), images(&rows(0..2), ""), public(), public()]).await;
    assert_eq!(here.cloud.observe_received(&image(), Priority::Edit).await, Ok(None));
    assert!(here.cloud.observe_received(&image(), Priority::Edit).await.unwrap().is_some());
}

#[tokio::test]
async fn offers_need_no_answer() {
    let here = Setting::new([]).await;
    let fault = here.cloud.answer(&image(), &Reply::Reject, Priority::Acceptance).await.unwrap_err();
    assert_eq!(fault.code(), Some("NoAnswerNeeded"));
}
