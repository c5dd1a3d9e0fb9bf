//! Images that others share with the account.

use super::*;

fn own() -> Recipient {
    recipient(RecipientKind::Project, PROJECT)
}

fn theirs() -> serde_json::Value {
    image_row(IMAGE, OTHER, "shared")
}

fn shared(status: &str, rest: &str) -> String {
    format!("__imagetype=shared&{rest}member_status={status}&visibility=shared")
}

async fn look(here: &Setting) -> Result<Option<ReceivedImage>, Fault> {
    here.cloud.observe_received(&image(), Priority::Acceptance).await
}

fn listed(status: &str) -> String {
    format!("GET /v2/cloudimages?{}", shared(status, &format!("id={IMAGE}&")))
}

#[tokio::test]
async fn an_offer_is_seen_with_its_answer_and_its_owner() {
    for (status, answer) in
        [("pending", Answer::Pending), ("accepted", Answer::Accepted), ("rejected", Answer::Rejected)]
    {
        let here = Setting::new([members(&[member(&own(), status)], None), images(&[theirs()])]).await;
        let seen = look(&here).await.unwrap().unwrap();
        assert_eq!((seen.answer, seen.through.as_str()), (Some(answer), PROJECT));
        assert_eq!(seen.owner.unwrap().as_str(), OTHER);
        assert_eq!(seen.via, BTreeMap::from([(own(), Some(answer))]));
        let path = format!("GET /v1/{PROJECT}/cloudimages/{IMAGE}/members?limit=1000");
        assert_eq!(here.asked(), [path, listed(status)]);
    }
}

#[tokio::test]
async fn strangers_see_nothing() {
    for code in ["IMG.0027", "IMG.0144", "IMG.0047", "IMG.0106"] {
        let here = Setting::new([error(code)]).await;
        assert_eq!(look(&here).await, Ok(None), "{code}");
        assert_eq!(here.calls(), 1);
    }
    let here = Setting::new([error("IMG.0161")]).await;
    assert!(look(&here).await.is_err(), "a missing permission does not prove that nothing is shared");
    let here = Setting::new([members(&[], None), images(&[])]).await;
    assert_eq!(look(&here).await, Ok(None));
    let here = Setting::new([members(&[], None), error("IMG.0061")]).await;
    assert_eq!(look(&here).await, Err(Fault::Unavailable));
}

#[tokio::test]
async fn image_of_the_whole_account_or_organization_needs_no_answer() {
    let (domain, organization) =
        (recipient(RecipientKind::Account, DOMAIN), recipient(RecipientKind::Organization, URN));
    let rows = [member(&domain, "accepted"), member(&organization, "accepted")];
    let here = Setting::new([members(&rows, None), images(&[theirs()])]).await;
    let seen = look(&here).await.unwrap().unwrap();
    let accepted = Some(Answer::Accepted);
    assert_eq!((seen.answer, seen.via), (None, BTreeMap::from([(domain, accepted), (organization, accepted)])));
    assert_eq!(here.asked()[1], listed("accepted"));
    // Without any row that names the grant, the list still shows the image.
    let here = Setting::new([members(&[], None), images(&[theirs()])]).await;
    let seen = look(&here).await.unwrap().unwrap();
    assert_eq!((seen.answer, seen.via.len()), (None, 0));
}

#[tokio::test]
async fn image_rejected_here_is_found_where_the_account_has_it_as_well() {
    let domain = recipient(RecipientKind::Account, DOMAIN);
    let rows = [member(&own(), "rejected"), member(&domain, "accepted")];
    let here = Setting::new([members(&rows, None), images(&[]), images(&[theirs()])]).await;
    let seen = look(&here).await.unwrap().unwrap();
    assert_eq!((seen.answer, seen.via.len()), (Some(Answer::Rejected), 2));
    assert_eq!(here.asked()[1..], [listed("rejected"), listed("accepted")]);
}

#[tokio::test]
async fn rows_of_others_are_no_grants_of_ours_and_own_images_are_not_received() {
    let strangers = [
        member(&recipient(RecipientKind::Project, OTHER), "accepted"),
        member(&recipient(RecipientKind::Account, OTHER), "accepted"),
    ];
    let mine = image_row(IMAGE, PROJECT, "shared");
    let here = Setting::new([members(&strangers, None), images(std::slice::from_ref(&mine))]).await;
    assert_eq!(look(&here).await, Ok(None));
    let organization = [member(&recipient(RecipientKind::Organization, URN), "accepted")];
    let here = Setting::new([members(&organization, None), images(&[]), images(&[mine])]).await;
    assert_eq!(look(&here).await, Ok(None));
}

#[tokio::test]
async fn a_grant_without_a_listing_proves_nothing() {
    let row = || members(&[member(&own(), "pending")], None);
    for answers in [
        vec![row(), images(&[]), images(&[])],
        vec![row(), images(&[image_row("00000000-0000-4000-8000-000000000009", OTHER, "shared")])],
        vec![row(), says(200, r#"{"images":null}"#)],
        vec![members(&pending(0..2), Some("a")), members(&pending(0..2), None), images(&[]), images(&[])],
    ] {
        let here = Setting::new(answers).await;
        assert_eq!(look(&here).await, Err(Fault::Unintelligible));
    }
}

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn rows(numbers: std::ops::Range<usize>) -> Scripted {
    images(&numbers.map(|number| image_row(&id(number), OTHER, "shared")).collect::<Vec<_>>())
}

#[tokio::test]
async fn three_lists_of_all_pages_make_the_received_images() {
    let mine = image_row(&id(900), PROJECT, "shared");
    let accepted = images(&[mine, image_row(&id(901), OTHER, "shared")]);
    let here = Setting::new([accepted, rows(0..0), rows(0..100), rows(100..130), rows(0..0), rows(0..0)]).await;
    let list = here.cloud.list_received(&region(), Priority::Resync).await.unwrap();
    assert!(list.complete);
    let count = |answer| list.images.iter().filter(|image| image.answer == Some(answer)).count();
    assert_eq!([Answer::Accepted, Answer::Pending, Answer::Rejected].map(count), [1, 130, 0]);
    assert!(list.images.iter().all(|image| image.through.as_str() == PROJECT && image.via.is_empty()));
    let page = |status: &str, marker: &str| {
        format!("GET /v2/cloudimages?__imagetype=shared&limit=100&{marker}member_status={status}&visibility=shared")
    };
    let after = |status: &str, last: usize| page(status, &format!("marker={}&", id(last)));
    let wanted = [
        page("accepted", ""),
        after("accepted", 901),
        page("pending", ""),
        after("pending", 99),
        after("pending", 129),
        page("rejected", ""),
    ];
    assert_eq!(here.asked(), wanted);
}

#[tokio::test]
async fn a_page_longer_than_was_asked_for_is_not_believed() {
    let here = Setting::new([rows(0..101)]).await;
    assert_eq!(here.cloud.list_received(&region(), Priority::Resync).await, Err(Fault::Unintelligible));
}

#[tokio::test]
async fn a_list_whose_end_the_vendor_tells_is_not_asked_on() {
    let told = |rows: &[serde_json::Value], next: Option<&str>, count: usize| {
        let info = serde_json::json!({"next_marker": next, "current_count": count});
        says(200, serde_json::json!({"images": rows, "page_info": info}).to_string())
    };
    let row = |number| [image_row(&id(number), OTHER, "shared")];
    let script = [told(&row(1), Some("m"), 1), told(&row(2), None, 1), told(&[], None, 0), told(&[], None, 0)];
    let here = Setting::new(script).await;
    let list = here.cloud.list_received(&region(), Priority::Resync).await.unwrap();
    assert_eq!((list.images.len(), list.complete, here.calls()), (2, true, 4));
    assert!(here.asked()[1].contains("&marker=m&"));
    let here = Setting::new([told(&row(1), None, 2), told(&[], None, 0), told(&[], None, 0)]).await;
    assert!(!here.cloud.list_received(&region(), Priority::Resync).await.unwrap().complete, "fewer rows than it says");
}

#[tokio::test]
async fn an_answer_of_the_projects_own_stands_above_what_the_account_brings() {
    let here = Setting::new([rows(0..2), rows(0..0), rows(0..1), rows(0..0), rows(1..2), rows(0..0)]).await;
    let list = here.cloud.list_received(&region(), Priority::Resync).await.unwrap();
    let answers: Vec<_> = list.images.iter().map(|image| (image.image.to_string(), image.answer.unwrap())).collect();
    assert_eq!(answers, [(id(0), Answer::Pending), (id(1), Answer::Rejected)]);
    assert!(list.complete);
}

#[tokio::test]
async fn every_named_project_of_the_region_is_listed() {
    let key = Credentials::access_key("k", "s", None).unwrap();
    let second = format!("{:032x}", 2);
    let none = || rows(0..0);
    let answers = [rows(0..1), none(), none(), none(), rows(0..2), none(), none(), none()];
    let here = Setting::with(key, &[PROJECT, &second, PROJECT], answers).await;
    let list = here.cloud.list_received(&region(), Priority::Resync).await.unwrap();
    let through: Vec<&str> = list.images.iter().map(|image| image.through.as_str()).collect();
    assert_eq!(through, [PROJECT, &second, &second]);
    for call in 0..8 {
        let project = if call < 4 { PROJECT } else { &second };
        assert_eq!(here.header(call, "x-project-id").as_deref(), Some(project));
    }
    assert_eq!(here.calls(), 8);
}

#[tokio::test]
async fn lists_that_may_lack_an_image_are_incomplete_and_failing_ones_fail() {
    // The server ignores the marker and repeats the page.
    let here = Setting::new([rows(0..100), rows(0..100), images(&[]), images(&[])]).await;
    let list = here.cloud.list_received(&region(), Priority::Resync).await.unwrap();
    assert_eq!((list.images.len(), list.complete, here.calls()), (100, false, 4));
    // The marker's image disappears before the next page.
    let here = Setting::new([rows(0..100), error("IMG.0144"), images(&[]), images(&[])]).await;
    let list = here.cloud.list_received(&region(), Priority::Resync).await.unwrap();
    assert_eq!((list.images.len(), list.complete), (100, false));
    for (bad, wanted) in [(error("IMG.0061"), Fault::Unavailable), (says(200, "{}"), Fault::Unintelligible)] {
        let here = Setting::new([rows(0..100), bad]).await;
        assert_eq!(here.cloud.list_received(&region(), Priority::Resync).await, Err(wanted));
    }
}
