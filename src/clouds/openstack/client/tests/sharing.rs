//! The owner's side.

use super::*;

#[tokio::test]
async fn one_recipient_is_added_by_one_call() {
    let setting = Setting::new([says(200, member(OTHER, "pending").to_string())]).await;
    assert_eq!(setting.add(OTHER).await, Ok(Submitted::Done));
    let body = format!(r#"{{"member":"{OTHER}"}}"#);
    assert_eq!(setting.asked(), [("POST".to_owned(), format!("/image/v2/images/{IMAGE}/members"), body)]);
}

#[tokio::test]
async fn more_than_one_recipient_is_refused_before_anything_is_sent() {
    let setting = Setting::new([]).await;
    let (one, two) = (vec![project("a")], vec![project("a"), project("b")]);
    let account = vec![Recipient { kind: RecipientKind::Account, ..project("a") }];
    for (add, remove) in
        [(two.clone(), vec![]), (vec![], two), (one.clone(), one), (account.clone(), vec![]), (vec![], account)]
    {
        let change = RecipientChange { add, remove };
        let fault = setting.cloud.change_recipients(&here(), &change, Priority::Edit).await.unwrap_err();
        assert!(matches!(fault, Fault::Refused { .. }), "{fault:?}");
    }
    let nothing = setting.cloud.change_recipients(&here(), &RecipientChange::default(), Priority::Edit).await;
    assert_eq!((nothing, setting.asked().len()), (Ok(Submitted::Done), 0));
    assert_eq!(setting.cloud.call_shape(), CallShape { recipients: 1, both_ways: false });
}

#[tokio::test]
async fn who_is_a_member_already_needs_no_adding() {
    let setting = Setting::new([error(409)]).await;
    assert_eq!(setting.add(OTHER).await, Ok(Submitted::Done));
}

#[tokio::test]
async fn a_full_image_is_told_by_status() {
    let setting = Setting::new([error(413)]).await;
    assert_eq!(setting.add(OTHER).await, Err(Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }));
}

#[tokio::test]
async fn a_refused_addition_is_explained_by_the_image() {
    let not_shared = || Fault::Refused { refusal: Refusal::Image, code: "NotShared".to_owned() };
    for (image, wanted) in [
        (image(PROJECT, "private", false), Fault::Conflict(Conflict::ImagePrivate)),
        (image(PROJECT, "community", false), not_shared()),
        (image(PROJECT, "public", false), not_shared()),
        (image(PROJECT, "shared", false), forbidden()),
        (image(OTHER, "shared", false), forbidden()),
        (says(502, ""), Fault::Unavailable),
    ] {
        let setting = Setting::new([error(403), image]).await;
        assert_eq!(setting.add(OTHER).await, Err(wanted));
        assert_eq!(setting.calls(), ["POST /members", "GET "]);
    }
    let setting = Setting::new([error(403), error(404), lists(&[])]).await;
    assert_eq!(setting.add(OTHER).await, Err(Fault::NotFound(Missing::Image)));
}

#[tokio::test]
async fn an_addition_whose_answer_names_another_proves_nothing() {
    let setting = Setting::new([says(200, member("x", "pending").to_string())]).await;
    assert_eq!(setting.add(OTHER).await, Err(Fault::Unintelligible));
}

#[tokio::test]
async fn a_removal_is_believed_when_a_list_shows_it() {
    for answer in [says(204, ""), error(404)] {
        let setting = Setting::new([answer, members(&[("x", "accepted")])]).await;
        assert_eq!(setting.remove(OTHER).await, Ok(Submitted::Done));
        assert_eq!(setting.calls(), [format!("DELETE /members/{OTHER}"), "GET /members".to_owned()]);
    }
}

#[tokio::test]
async fn a_doubled_member_is_removed_until_no_row_is_left() {
    let twice = || members(&[(OTHER, "pending"), (OTHER, "accepted")]);
    let once = || members(&[(OTHER, "pending")]);
    let setting = Setting::new([says(204, ""), twice(), says(204, ""), once(), says(204, ""), members(&[])]).await;
    assert_eq!(setting.remove(OTHER).await, Ok(Submitted::Done));
    assert_eq!(setting.calls().len(), 6);
}

#[tokio::test]
async fn a_member_that_cannot_be_removed_ends_the_tries() {
    let rows = (0..20).flat_map(|_| [says(204, ""), members(&[(OTHER, "pending")])]);
    let setting = Setting::new(rows).await;
    assert_eq!(setting.remove(OTHER).await, Err(Fault::Conflict(Conflict::ImageBusy)));
    assert_eq!(setting.calls().len(), 2 * REMOVALS_MAX);
}

#[tokio::test]
async fn a_removal_that_no_list_confirms_failed() {
    let setting = Setting::new([says(204, ""), says(500, "")]).await;
    assert_eq!(setting.remove(OTHER).await, Err(Fault::Unavailable));
    for (list, wanted) in [
        (lists(&[]), Fault::NotFound(Missing::Image)),
        // This token may no longer read anything; the member may still exist.
        (error(403), denied()),
    ] {
        let setting = Setting::new([error(404), error(404), error(404), list]).await;
        assert_eq!(setting.remove(OTHER).await, Err(wanted));
    }
    let setting = Setting::new([error(403), image(PROJECT, "private", false)]).await;
    assert_eq!(setting.remove(OTHER).await, Err(Fault::Conflict(Conflict::ImagePrivate)));
    let setting = Setting::new([says(404, "<html>gateway</html>")]).await;
    assert_eq!(setting.remove(OTHER).await, Err(Fault::Unintelligible));
}

#[tokio::test]
async fn members_are_listed_whole() {
    let setting = Setting::new([members(&[("a", "pending"), ("b", "accepted")])]).await;
    let list = setting.cloud.list_recipients(&here(), Priority::Edit).await.unwrap();
    let wanted = [(project("a"), Some(Answer::Pending)), (project("b"), Some(Answer::Accepted))].into();
    assert_eq!(list, RecipientList { recipients: wanted, complete: true });
}

#[tokio::test]
async fn members_that_are_not_shown_are_explained_by_the_image() {
    for (said, image, wanted) in [
        (403, image(PROJECT, "private", false), Fault::Conflict(Conflict::ImagePrivate)),
        (404, image(PROJECT, "private", false), Fault::Conflict(Conflict::ImagePrivate)),
        (404, image(PROJECT, "shared", false), Fault::Unintelligible),
        (404, image(OTHER, "community", false), Fault::Forbidden { code: "NotOwner".to_owned() }),
    ] {
        let setting = Setting::new([error(said), image]).await;
        assert_eq!(setting.cloud.list_recipients(&here(), Priority::Edit).await, Err(wanted));
    }
    for (list, wanted) in [(lists(&[]), Fault::NotFound(Missing::Image)), (error(403), denied())] {
        let setting = Setting::new([error(404), error(404), list]).await;
        assert_eq!(setting.cloud.list_recipients(&here(), Priority::Edit).await, Err(wanted));
    }
}

/// The fault where the token may not list either.
fn denied() -> Fault {
    Fault::Forbidden { code: "get_images".to_owned() }
}

#[tokio::test]
async fn an_image_is_absent_only_if_glance_plainly_says_so() {
    let answers = [image(OTHER, "shared", false), says(404, "<html>"), says(200, "{}")];
    let setting = Setting::new(answers).await;
    let mut looks = Vec::new();
    for _ in 0..3 {
        looks.push(setting.cloud.observe_image(&here(), Priority::Edit).await);
    }
    let facts = looks[0].clone().unwrap().unwrap();
    assert_eq!(facts.ownership, Ownership::Received { owner: Some(PrincipalId::parse(OTHER).unwrap()) });
    assert_eq!(looks[1..], [Err(Fault::Unintelligible), Err(Fault::Unintelligible)]);
}

#[tokio::test]
async fn an_image_is_absent_only_if_the_token_could_see_it() {
    for (list, wanted) in [
        (lists(&[]), Ok(None)),
        (lists(&[row("another", PROJECT, "shared", false)]), Ok(None)),
        (lists(&[row(IMAGE, PROJECT, "shared", false)]), Err(Fault::Unintelligible)),
        (error(403), Err(denied())),
        (error(404), Err(Fault::Unintelligible)),
        (says(500, ""), Err(Fault::Unavailable)),
    ] {
        let setting = Setting::new([error(404), list]).await;
        assert_eq!(setting.cloud.observe_image(&here(), Priority::Edit).await, wanted);
        let asked: Vec<String> =
            setting.asked().into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        let list = format!("GET /image/v2/images?id=in%3A{IMAGE}&limit=1");
        assert_eq!(asked, [format!("GET /image/v2/images/{IMAGE}"), list]);
    }
}

#[tokio::test]
async fn a_private_image_is_opened_by_a_patch_that_shows_in_its_answer() {
    let setting = Setting::new([image(PROJECT, "shared", false), image(PROJECT, "private", false)]).await;
    assert_eq!(setting.cloud.open_for_sharing(&here(), Priority::Edit).await, Ok(()));
    assert_eq!(setting.cloud.open_for_sharing(&here(), Priority::Edit).await, Err(Fault::Unintelligible));
    let (method, _, body) = setting.asked()[0].clone();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(method, "PATCH");
    assert_eq!(body, json!([{"op": "replace", "path": "/visibility", "value": "shared"}]));
}

#[tokio::test]
async fn a_deletion_that_is_refused_is_explained_by_the_image() {
    let setting = Setting::new([says(204, "")]).await;
    assert_eq!(setting.cloud.delete_image(&here()).await, Ok(()));
    for (answers, wanted) in [
        (vec![error(403), image(PROJECT, "shared", true)], Fault::Conflict(Conflict::ImageProtected)),
        (vec![error(403), image(PROJECT, "shared", false)], forbidden()),
        (vec![error(403), image(OTHER, "shared", true)], forbidden()),
        (vec![error(403), error(404), lists(&[])], Fault::NotFound(Missing::Image)),
        (vec![error(404), error(404), lists(&[])], Fault::NotFound(Missing::Image)),
        (vec![error(404), error(404), error(403)], denied()),
        (vec![error(404), image(PROJECT, "shared", false)], Fault::Unintelligible),
        (vec![error(409)], Fault::Conflict(Conflict::ImageInUse)),
    ] {
        let setting = Setting::new(answers).await;
        assert_eq!(setting.cloud.delete_image(&here()).await, Err(wanted));
    }
}

#[tokio::test]
async fn writes_to_one_image_go_one_at_a_time() {
    let setting = Setting::new([]).await;
    let at = here();
    let first = setting.cloud.write_lock(&at).await;
    let other = ImageRef { image: ImageId::parse("other").unwrap(), ..here() };
    drop(setting.cloud.write_lock(&other).await);
    let second = setting.cloud.write_lock(&at);
    tokio::pin!(second);
    assert!(futures::poll!(&mut second).is_pending());
    drop(first);
    drop(second.await);
    drop(setting.cloud.write_lock(&other).await);
    assert_eq!(setting.cloud.writing.lock().unwrap().len(), 1, "images nobody writes to are forgotten");
}

#[tokio::test]
async fn spent_budget_sends_nothing() {
    let setting = Setting::new((0..9).map(|_| members(&[]))).await;
    for _ in 0..2 {
        setting.cloud.list_recipients(&here(), Priority::Resync).await.unwrap();
    }
    let fault = setting.cloud.list_recipients(&here(), Priority::Resync).await.unwrap_err();
    assert!(matches!(fault, Fault::BudgetSpent { .. }));
    assert_eq!(setting.asked().len(), 2);
}
