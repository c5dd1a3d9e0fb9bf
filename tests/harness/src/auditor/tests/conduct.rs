//! Conduct: each rule with a story that keeps it and one that breaks it.

use super::*;
use crate::auditor::Pace;

fn pace(ended: &[i64]) -> Pace {
    Pace { per_second: 1, burst: 2, ended: ended.iter().map(|seconds| at(*seconds)).collect() }
}

fn found(journal: &[Value], versions: Vec<Version>, calls: &[Call], pace: Pace) -> Vec<Invariant> {
    let world = json!({"images": [{"id": "m-1", "owner": OWNER}]});
    let auditor = Auditor::new(journal, versions).owners_of(&world).carried(calls).paced(pace);
    auditor.audit().into_iter().map(|violation| violation.invariant).collect()
}

fn request(second: i64) -> Value {
    json!({"time": at(second), "principal": OWNER, "region": "r", "host": "cloud", "image": "m-1",
        "action": "DescribeImages", "code": "OK"})
}

#[test]
fn calls_beyond_the_budget_are_found_and_a_new_process_has_a_budget_of_its_own() {
    let asked = |seconds: &[i64]| seconds.iter().map(|second| request(*second)).collect::<Vec<_>>();
    assert_eq!(found(&asked(&[1, 1, 1, 2, 3, 4]), Vec::new(), &[], pace(&[])), []);
    assert_eq!(found(&asked(&[1, 1, 1, 1]), Vec::new(), &[], pace(&[])), [Invariant::WithinBudget]);
    assert_eq!(found(&asked(&[1, 1, 1, 3, 3, 3]), Vec::new(), &[], pace(&[2])), []);
    assert_eq!(found(&asked(&[1, 1, 1, 3, 3, 3]), Vec::new(), &[], pace(&[])), [Invariant::WithinBudget]);
}

#[test]
fn proofs_of_credentials_have_a_budget_of_their_own() {
    let asked = |proofs: usize| {
        let mut all: Vec<Value> = [1, 1, 1].map(request).into();
        all.extend(std::iter::repeat_n(1, proofs).map(|second| {
            let mut proof = request(second);
            proof["action"] = json!("GetCallerIdentity");
            proof
        }));
        all
    };
    assert_eq!(found(&asked(3), Vec::new(), &[], pace(&[])), []);
    assert_eq!(found(&asked(4), Vec::new(), &[], pace(&[])), [Invariant::WithinBudget]);
}

fn call(asked: i64, answered: Option<i64>, image: &str) -> Call {
    Call {
        seq: 1,
        write: Some(1),
        upstream: Upstream::Cloud,
        method: "POST".into(),
        path: format!("/?ImageId={image}"),
        action: "ModifyImageSharePermission".into(),
        summary: String::new(),
        asked_at: at(asked),
        answered_at: answered.map(at),
        status: Some(200),
        version: None,
    }
}

#[test]
fn two_changes_of_one_image_under_way_are_found_unless_the_first_ones_caller_is_gone() {
    let under_way = |calls: &[Call], ended: &[i64]| found(&[], Vec::new(), calls, pace(ended));
    let both = [call(1, Some(5), "m-1"), call(3, Some(6), "m-1")];
    assert_eq!(under_way(&both, &[]), [Invariant::OneCallInFlight]);
    assert_eq!(under_way(&both, &[2]), []);
    assert_eq!(under_way(&[call(1, Some(3), "m-1"), call(3, Some(6), "m-1")], &[]), []);
    // Given up after ten seconds; cut, and its caller knows; about another image.
    assert_eq!(under_way(&[call(1, Some(20), "m-1"), call(12, Some(21), "m-1")], &[]), []);
    assert_eq!(under_way(&[call(1, None, "m-1"), call(3, Some(6), "m-1")], &[]), []);
    assert_eq!(under_way(&[call(1, Some(5), "m-1"), call(3, Some(6), "m-2")], &[]), []);
}

#[test]
fn an_image_made_public_is_found() {
    let act = |principal: &str| {
        vec![json!({"time": at(1), "principal": principal, "region": "r", "image": "m-1", "code": "OK",
            "action": "ModifyImageSharePermission", "effect": {"added": [], "removed": [], "published": true}})]
    };
    assert_eq!(found(&act(OWNER), Vec::new(), &[], pace(&[])), [Invariant::NeverPublic]);
    assert_eq!(found(&act("out-of-band"), Vec::new(), &[], pace(&[])), []);
}

#[test]
fn a_status_of_a_generation_to_come_or_of_an_older_one_than_before_is_found() {
    let story = |observed: &[i64], newest: i64| {
        observed.iter().fold(Story::default(), |story, observed| {
            story.share_with(Change::Modified, "s", &[ANNE], |share| {
                share["metadata"]["generation"] = json!(newest);
                share["status"] = json!({"observedGeneration": observed});
            })
        })
    };
    assert_eq!(story(&[1, 2, 2], 2).found(), []);
    assert_eq!(story(&[2, 1], 2).found(), [Invariant::StatusOfItsGeneration]);
    assert_eq!(story(&[3], 2).found(), [Invariant::StatusOfItsGeneration]);
}

/// The ledger says that Anne is granted, and which shares it serves.
fn serving(story: Story, served: &[&str]) -> Story {
    let shares: Vec<Value> = served.iter().map(|uid| json!({"uid": uid})).collect();
    story.version(
        Change::Modified,
        json!({
            "kind": "CloudImage", "metadata": {"namespace": "n", "name": "golden", "uid": "image"},
            "spec": {"region": "r", "imageID": "m-1"},
            "status": {"grants": [{"id": ANNE, "state": "Granted"}], "shares": shares},
        }),
    )
}

/// Anne was granted for `s`, which gives her up, and `late` names her too, and goes.
#[test]
fn a_share_that_was_never_served_leaves_nothing_of_its_own_behind() {
    let late = |served: &[&str]| {
        let story = serving(Story::default().share("s", &[ANNE]), &["s"]).grants(&[ANNE]).share("late", &[ANNE]);
        let story = serving(story.share("s", &[BOB]), served);
        story.share_deleting("late", &[ANNE]).share_gone("late", &[ANNE]).found()
    };
    assert_eq!(late(&["s"]), []);
    assert_eq!(late(&["s", "late"]), [Invariant::NoLeak]);
}

/// `late` was served, counted out and named Anne again; `s`, for which she was granted, gave her up before or after that.
#[test]
fn what_was_anothers_when_a_share_was_counted_out_is_nothing_of_its_own() {
    let late = |first: &str, given_up_before: bool| {
        let story = serving(Story::default().share("s", &[ANNE]), &["s"]).grants(&[ANNE]).share("late", &[first]);
        let story = serving(story, &["s", "late"]);
        let story = if given_up_before { story.share("s", &[BOB]) } else { story };
        let story = serving(story, &["s"]).share("late", &[ANNE]).share("s", &[BOB]);
        story.share_deleting("late", &[ANNE]).share_gone("late", &[ANNE]).found()
    };
    assert_eq!(late(BOB, true), []);
    assert_eq!(late(ANNE, false), []);
    assert_eq!(late(ANNE, true), [Invariant::NoLeak]);
}

#[test]
fn what_another_share_claimed_when_one_expired_is_that_ones() {
    let until = |ids: &[&str], expiry: i64| {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        move |story: Story| {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            story.share_with(Change::Modified, "s", &ids, |share| share["spec"]["expirationTime"] = json!(at(expiry)))
        }
    };
    let gone = |story: Story, expiry: i64| {
        story.share_with(Change::Deleted, "s", &[ANNE], |share| {
            share["metadata"]["deletionTimestamp"] = json!("x");
            share["spec"]["expirationTime"] = json!(at(expiry));
        })
    };
    // `t` names Anne when `s` expires at 10, and leaves when `s` does.
    let both = until(&[ANNE], 10)(shared().share("t", &[ANNE])).wait(10).share_deleting("t", &[ANNE]);
    assert_eq!(gone(both, 10).found(), []);
    let given_up = until(&[ANNE], 10)(shared().share("t", &[ANNE]).share("t", &[BOB])).wait(10);
    assert_eq!(gone(given_up, 10).found(), [Invariant::NoLeak]);
}

#[test]
fn a_call_whose_signature_was_refused_is_nobodys() {
    let refused = |key: Value| {
        vec![
            json!({"time": at(1), "principal": "LTAIkey", "keyId": key, "host": "cloud", "region": "r", "image": "m-1",
            "action": "ModifyImageSharePermission", "code": "Forbidden.AccessKeyDisabled"}),
        ]
    };
    assert_eq!(found(&refused(Value::Null), Vec::new(), &[], pace(&[])), []);
    assert_eq!(found(&refused(json!("LTAIkey")), Vec::new(), &[], pace(&[])), [Invariant::OwnImagesOnly]);
}

#[test]
fn a_wish_that_came_between_intent_and_call_may_be_granted() {
    let intended = || Story::default().image(Change::Added, &[]).share("s", &[BOB]).ledger(&[(ANNE, "Intended")]);
    assert_eq!(intended().share("s", &[ANNE]).grants(&[ANNE]).found(), []);
    assert_eq!(intended().grants(&[ANNE]).wait(1).share("s", &[ANNE]).found(), [Invariant::NoGrantWithoutWish]);
}

/// The image with these grants, which its owner lets other namespaces share or not.
fn admits(story: Story, from: &str, grants: &[(&str, &str)]) -> Story {
    let mut story = story.ledger(grants);
    let image = story.versions.last_mut().unwrap();
    image.object["spec"]["shareableFrom"] = json!({"namespaces": {"from": from}});
    story
}

#[test]
fn consent_that_changed_between_the_last_write_of_the_ledger_and_the_call_excuses_it() {
    let guest = |story: Story| {
        story.share_with(Change::Added, "guest", &[ANNE], |share| {
            share["metadata"]["namespace"] = json!("stranger");
            share["spec"]["imageRef"]["namespace"] = json!("n");
        })
    };
    let begin = |from| guest(admits(Story::default().image(Change::Added, &[]), from, &[]));
    let (intended, revoking) = ([(ANNE, "Intended")], [(ANNE, "Revoking")]);
    let withdrawn = || admits(admits(begin("All"), "All", &intended), "Same", &intended);
    assert_eq!(withdrawn().grants(&[ANNE]).found(), []);
    let again = withdrawn().wait(1).wrote_again(5).wait(1).grants(&[ANNE]).found();
    assert_eq!(again, [Invariant::NoGrantWithoutWish], "whoever wrote after it knew");
    let given = |at_last| admits(admits(begin("Same"), at_last, &revoking), "All", &revoking);
    assert_eq!(given("Same").revokes(&[ANNE]).found(), []);
    assert_eq!(given("All").revokes(&[ANNE]).found(), [Invariant::NoWrongfulRevoke]);
}

#[test]
fn an_image_that_went_before_anybody_looked_at_it_was_nobodys_to_hold() {
    let image = |story: Story, change: Change, status: Value| {
        story.version(
            change,
            json!({
                "kind": "CloudImage", "metadata": {"namespace": "n", "name": "golden", "uid": "image"},
                "spec": {"region": "r", "imageID": "m-1"}, "status": status,
            }),
        )
    };
    let left = |status: &Value| {
        let named = image(Story::default(), Change::Added, status.clone()).share("s", &[ANNE]).wait(1);
        let mut story = image(named, Change::Deleted, status.clone());
        let unseen = |version: &mut Version| version.object.as_object_mut().unwrap().retain(|_, v| !v.is_null());
        story.versions.iter_mut().for_each(unseen);
        story.found()
    };
    assert_eq!(left(&Value::Null), []);
    assert_eq!(left(&json!({"grants": []})), [Invariant::ImageLast]);
}

#[test]
fn more_recipients_than_the_account_says_are_found_unless_somebody_just_added_them_by_hand() {
    let limited = || {
        let account = json!({
            "kind": "CloudAccount", "metadata": {"namespace": "n", "name": "a", "uid": "a"},
            "spec": {"limits": {"recipientsPerImage": 1}},
        });
        let image = json!({
            "kind": "CloudImage", "metadata": {"namespace": "n", "name": "golden", "uid": "image"},
            "spec": {"accountRef": {"name": "a"}, "region": "r", "imageID": "m-1"},
            "status": {"grants": [{"id": ANNE, "state": "Intended"}, {"id": BOB, "state": "Intended"}]},
        });
        let story = Story::default().version(Change::Added, account).share("s", &[ANNE, BOB]);
        story.version(Change::Added, image)
    };
    assert_eq!(limited().grants(&[ANNE]).revokes(&[]).found(), []);
    assert_eq!(limited().grants(&[ANNE]).grants(&[BOB]).found(), [Invariant::WithinLimit]);
    assert_eq!(limited().act("out-of-band", &[ANNE], &[]).grants(&[BOB]).found(), []);
    let long_ago = limited().act("out-of-band", &[ANNE], &[]).wait(20).grants(&[BOB]);
    assert_eq!(long_ago.found(), [Invariant::WithinLimit]);
}

/// It left before it was held; another share names Anne all the while.
#[test]
fn a_share_that_nobody_held_takes_nothing_along() {
    let story = shared().share("late", &[ANNE]);
    assert_eq!(story.share_with(Change::Deleted, "late", &[ANNE], |_| {}).found(), []);
}

#[test]
fn a_request_signed_with_another_keys_secret_is_found_and_one_with_a_withdrawn_key_is_nobodys_fault() {
    let refused = |code: &str| {
        let mut request = request(1);
        (request["code"], request["principal"]) = (json!(code), json!("anonymous"));
        found(&[request], Vec::new(), &[], pace(&[]))
    };
    assert_eq!(refused("SignatureDoesNotMatch"), [Invariant::KeyOfOneRead]);
    assert_eq!(refused("InvalidAccessKeyId.Inactive"), []);
}
