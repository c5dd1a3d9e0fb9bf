//! The receiving side.

use super::*;

fn page(rows: &[Value], next: Option<&str>) -> Scripted {
    says(200, json!({"images": rows, "first": "/v2/images", "next": next}).to_string())
}

fn empty() -> Scripted {
    page(&[], None)
}

fn shared(id: &str) -> Value {
    row(id, OTHER, "shared", false)
}

#[tokio::test]
async fn a_received_image_is_seen_with_what_was_answered() {
    let setting =
        Setting::new([image(OTHER, "shared", false), says(200, member(PROJECT, "rejected").to_string())]).await;
    let received = setting.cloud.observe_received(&here(), Priority::Edit).await.unwrap().unwrap();
    assert_eq!(received.owner, Some(PrincipalId::parse(OTHER).unwrap()));
    assert_eq!((received.through.as_str(), received.answer), (PROJECT, Some(Answer::Rejected)));
    assert_eq!(received.via, [(project(PROJECT), Some(Answer::Rejected))].into());
    assert_eq!(setting.calls(), ["GET ".to_owned(), format!("GET /members/{PROJECT}")]);
}

#[tokio::test]
async fn what_is_own_public_or_gone_is_not_received() {
    for answers in [
        vec![image(PROJECT, "shared", false)],
        vec![image(OTHER, "public", false)],
        vec![image(OTHER, "community", false)],
        vec![error(404), lists(&[])],
        vec![image(OTHER, "shared", false), error(404)],
    ] {
        let setting = Setting::new(answers.clone()).await;
        assert_eq!(setting.cloud.observe_received(&here(), Priority::Edit).await, Ok(None));
        assert_eq!(setting.asked().len(), answers.len());
    }
    let setting = Setting::new([image(OTHER, "shared", false), says(404, "<html>")]).await;
    assert_eq!(setting.cloud.observe_received(&here(), Priority::Edit).await, Err(Fault::Unintelligible));
}

#[tokio::test]
async fn an_offer_is_answered_as_the_member() {
    for (reply, word) in [(Reply::Accept { vault: None }, "accepted"), (Reply::Reject, "rejected")] {
        let setting = Setting::new([says(200, member(PROJECT, word).to_string())]).await;
        assert_eq!(setting.cloud.answer(&here(), &reply, Priority::Acceptance).await, Ok(Submitted::Done));
        let path = format!("/image/v2/images/{IMAGE}/members/{PROJECT}");
        assert_eq!(setting.asked(), [("PUT".to_owned(), path, format!(r#"{{"status":"{word}"}}"#))]);
    }
    let setting = Setting::new([error(404), error(403)]).await;
    for wanted in [Fault::NotFound(Missing::Image), forbidden()] {
        assert_eq!(setting.cloud.answer(&here(), &Reply::Reject, Priority::Acceptance).await, Err(wanted));
    }
    let job = JobId::parse("j").unwrap();
    assert_eq!(setting.cloud.follow_job(&here().region, &job, Priority::Edit).await, Ok(JobProgress::Ended));
}

#[tokio::test]
async fn three_lists_make_the_inventory_and_own_images_are_none_of_it() {
    let own = row("own", PROJECT, "shared", false);
    let pending = page(&[own.clone(), shared("p1")], Some("/v2/images?limit=200&marker=p1"));
    let answers = [pending, page(&[own, shared("p2")], None), page(&[shared("r")], None), page(&[shared("a")], None)];
    let setting = Setting::new(answers).await;
    let list = setting.cloud.list_received(&here().region, Priority::Resync).await.unwrap();
    let rows: Vec<_> = list.images.iter().map(|image| (image.image.as_str(), image.answer)).collect();
    let wanted = [
        ("a", Some(Answer::Accepted)),
        ("p1", Some(Answer::Pending)),
        ("p2", Some(Answer::Pending)),
        ("r", Some(Answer::Rejected)),
    ];
    assert_eq!((rows.as_slice(), list.complete), (wanted.as_slice(), true));
    let query = |status: &str| format!("GET /image/v2/images?visibility=shared&member_status={status}&limit=200");
    let second = format!("{}&marker=p1", query("pending"));
    assert_eq!(setting.calls(), [query("pending"), second, query("rejected"), query("accepted")]);
}

#[tokio::test]
async fn an_offer_answered_between_two_lists_is_listed_once_with_its_answer() {
    let setting = Setting::new([page(&[shared("x")], None), empty(), page(&[shared("x")], None)]).await;
    let list = setting.cloud.list_received(&here().region, Priority::Edit).await.unwrap();
    assert_eq!((list.images.len(), list.images[0].answer), (1, Some(Answer::Accepted)));
}

#[tokio::test]
async fn a_foreign_link_to_the_next_page_leads_nowhere_else() {
    let elsewhere = Setting::new([]).await;
    let away = format!("{}/v2/images?marker=x", elsewhere.script.address.lock().unwrap());
    let setting = Setting::new([page(&[shared("x")], Some(&away)), empty(), empty(), empty()]).await;
    assert!(setting.cloud.list_received(&here().region, Priority::Edit).await.unwrap().complete);
    assert_eq!((setting.asked().len(), elsewhere.asked().len()), (4, 0));
}

#[tokio::test]
async fn an_endless_list_ends_incomplete_and_a_turning_one_fails() {
    let pages = (0..PAGES_MAX + 5).map(|number| page(&[], Some(&format!("/v2/images?marker=m{number}"))));
    let mut setting = Setting::new(pages).await;
    quicken(&mut setting);
    let mut images = BTreeMap::new();
    let list = ("pending", Answer::Pending);
    let complete = setting.cloud.list_answered(&here().region, list, &mut images, Priority::Edit).await;
    assert_eq!((complete, setting.asked().len()), (Ok(false), PAGES_MAX));

    let turning = || page(&[], Some("/v2/images?marker=m"));
    let setting = Setting::new([turning(), turning()]).await;
    assert_eq!(setting.cloud.list_received(&here().region, Priority::Edit).await, Err(Fault::Unintelligible));
}

#[tokio::test]
async fn a_page_longer_than_was_asked_for_is_not_believed() {
    let rows: Vec<Value> = (0..=PAGE_SIZE).map(|number| shared(&format!("x{number}"))).collect();
    let setting = Setting::new([page(&rows, None)]).await;
    assert_eq!(setting.cloud.list_received(&here().region, Priority::Edit).await, Err(Fault::Unintelligible));
    let setting = Setting::new([page(&rows[1..], None), empty(), empty()]).await;
    assert_eq!(setting.cloud.list_received(&here().region, Priority::Edit).await.unwrap().images.len(), PAGE_SIZE);
}

#[tokio::test]
async fn a_failing_page_fails_the_whole_list() {
    let setting = Setting::new([empty(), says(503, "")]).await;
    assert_eq!(setting.cloud.list_received(&here().region, Priority::Edit).await, Err(Fault::Unavailable));
}

/// Raises the rate limit for tests with many calls.
fn quicken(setting: &mut Setting) {
    let thousand = std::num::NonZeroU32::new(1000).unwrap();
    let settings = BudgetSettings { per_second: thousand, burst: thousand, ..BudgetSettings::default() };
    setting.cloud.client_context.budgets = Arc::new(crate::clouds::budget::Budgets::new(settings));
}
