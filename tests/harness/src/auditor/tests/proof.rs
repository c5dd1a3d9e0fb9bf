//! What a ledger may forget, and who may be retained.

use super::*;

impl Story {
    /// A request that reached the cloud.
    fn request(mut self, action: &str, more: Value) -> Self {
        self.now += 1;
        let mut entry = json!({
            "time": at(self.now), "principal": OWNER, "region": "r", "image": "m-1", "host": "ecs", "action": action,
            "code": "OK", "status": 200, "cut": "none", "parameters": {}, "weather": [], "effect": null,
        });
        if let (Some(fields), Value::Object(more)) = (entry.as_object_mut(), more) {
            fields.extend(more);
        }
        self.journal.push(entry);
        self
    }

    fn lists(self) -> Self {
        self.request("DescribeImageSharePermission", json!({}))
    }

    fn found_of(self, invariant: Invariant) -> usize {
        self.found().into_iter().filter(|found| *found == invariant).count()
    }
}

fn unproven(story: Story) -> bool {
    story.found_of(Invariant::NoEntryWithoutProof) > 0
}

#[test]
fn an_entry_goes_only_after_a_read_that_lacks_its_recipient() {
    assert!(!unproven(ended().revokes(&[ANNE]).lists().ledger(&[])));
    // No read after the removal; none at all while the recipient has the image; one before the entry came.
    assert!(unproven(ended().lists().revokes(&[ANNE]).ledger(&[])));
    assert!(unproven(ended().lists().ledger(&[])));
    assert!(unproven(
        Story::default()
            .lists()
            .act(OWNER, &[], &[])
            .image(Change::Added, &[(ANNE, "Granted")])
            .grants(&[ANNE])
            .revokes(&[ANNE])
            .ledger(&[])
    ));
}

#[test]
fn a_read_that_is_incomplete_or_about_another_image_proves_nothing() {
    let revoked = || ended().revokes(&[ANNE]);
    let listing = |more: Value| unproven(revoked().request("DescribeImageSharePermission", more).ledger(&[]));
    assert!(listing(json!({"weather": ["wrongJson"]})));
    assert!(listing(json!({"cut": "after"})));
    assert!(listing(json!({"code": "Throttling", "status": 400})));
    assert!(listing(json!({"image": "m-2"})));
    // A list of all images of the account, and the answer that there is no such image.
    assert!(!listing(json!({"action": "ListImages", "image": null})));
    assert!(!listing(json!({"code": "InvalidImageId.NotFound", "status": 404})));
}

#[test]
fn a_list_that_may_lack_rows_proves_something_only_where_it_had_none_to_lack() {
    let short = |story: Story| {
        let listed = story.request("DescribeImageSharePermission", json!({"weather": ["truncatedPage"]}));
        unproven(listed.ledger(&[(BOB, "Granted")]))
    };
    let both = || ended().grants(&[BOB]).revokes(&[ANNE]);
    assert!(short(both()));
    assert!(!short(both().revokes(&[BOB])));
}

#[test]
fn an_entry_that_was_never_acted_on_may_go_without_a_read() {
    let intended = || Story::default().image(Change::Added, &[]).share("s", &[ANNE]).ledger(&[(ANNE, "Intended")]);
    // Something of another image, for the journal to tell of requests at all.
    let elsewhere = json!({"image": "m-2"});
    assert!(!unproven(intended().request("DescribeImages", elsewhere).ledger(&[])));
    let asked = json!({"parameters": {"add": [ANNE]}, "code": "", "cut": "before", "status": 0});
    assert!(unproven(intended().request("ModifyImageSharePermission", asked).ledger(&[])));
    let refused = |more: Value| {
        let mut call = json!({"parameters": {"add": [ANNE]}, "code": "Throttling.User", "status": 400});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        unproven(intended().request("ModifyImageSharePermission", call).ledger(&[]))
    };
    assert!(!refused(json!({})), "a plain refusal is no act");
    assert!(refused(json!({"status": 500})) && refused(json!({"cut": "after"})));
}

/// Anne is retained for a share of this namespace, where the image says this of shares from elsewhere.
fn retained(namespace: &str, shareable: &Value) -> bool {
    let with = |mut story: Story| {
        story.versions.last_mut().unwrap().object["spec"]["shareableFrom"] = shareable.clone();
        story
    };
    let leaving = |deleting: bool| {
        move |share: &mut Value| {
            share["metadata"]["namespace"] = json!(namespace);
            share["spec"]["imageRef"]["namespace"] = json!("n");
            share["spec"]["deletionPolicy"] = json!("Retain");
            if deleting {
                share["metadata"]["deletionTimestamp"] = json!("x");
            }
        }
    };
    let story =
        with(Story::default().image(Change::Added, &[])).share_with(Change::Added, "s", &[ANNE], leaving(false));
    let story = with(story.ledger(&[(ANNE, "Granted")])).share_with(Change::Modified, "s", &[ANNE], leaving(true));
    with(story.ledger(&[(ANNE, "Retained")])).found_of(Invariant::RetainNeedsConsent) == 0
}

#[test]
fn only_a_share_that_the_image_admits_and_lets_retain_leaves_anybody_behind() {
    assert!(retained("n", &json!({"namespaces": {"from": "Same"}})));
    assert!(retained("guests", &json!({"namespaces": {"from": "All"}, "retain": "Allow"})));
    assert!(!retained("guests", &json!({"namespaces": {"from": "All"}})));
    assert!(!retained("guests", &json!({"namespaces": {"from": "Same"}, "retain": "Allow"})));
}

#[test]
fn consent_that_was_withdrawn_before_a_share_went_lets_it_retain_nobody() {
    let guest = |deleting: bool| {
        move |share: &mut Value| {
            share["metadata"]["namespace"] = json!("guests");
            share["spec"]["imageRef"]["namespace"] = json!("n");
            share["spec"]["deletionPolicy"] = json!("Retain");
            if deleting {
                share["metadata"]["deletionTimestamp"] = json!("x");
            }
        }
    };
    let open = |mut story: Story| {
        let all = json!({"namespaces": {"from": "All"}, "retain": "Allow"});
        story.versions.last_mut().unwrap().object["spec"]["shareableFrom"] = all;
        story
    };
    let story = open(Story::default().image(Change::Added, &[])).share_with(Change::Added, "s", &[ANNE], guest(false));
    let story = open(story.ledger(&[(ANNE, "Granted")])).ledger(&[(ANNE, "Revoking")]);
    let story = story.share_with(Change::Modified, "s", &[ANNE], guest(true)).ledger(&[(ANNE, "Retained")]);
    assert_eq!(story.found_of(Invariant::RetainNeedsConsent), 1);
}

/// So many calls in a row, a few seconds apart; whether that is too often.
fn in_vain(times: usize, seconds: i64, action: &str, more: &Value) -> bool {
    let story = (0..times).fold(Story::default(), |story, _| story.request(action, more.clone()).wait(seconds - 1));
    let auditor = Auditor::new(&story.journal, story.versions).patient(5);
    auditor.audit().iter().any(|violation| violation.invariant == Invariant::NoCallInVain)
}

#[test]
fn a_call_is_repeated_five_times_a_minute_with_the_same_outcome_and_no_more() {
    let refused = json!({"code": "SomethingNew", "status": 400, "parameters": {"remove": [ANNE]}});
    let modify = "ModifyImageSharePermission";
    assert!(!in_vain(6, 5, modify, &refused));
    assert!(in_vain(7, 5, modify, &refused));
    assert!(!in_vain(20, 11, modify, &refused));
    // Without an effect; what passes by itself; what only reads; what started a job; what took effect.
    assert!(in_vain(7, 5, "DeleteImage", &json!({})));
    assert!(!in_vain(7, 5, modify, &json!({"code": "Throttling.User", "status": 400})));
    assert!(!in_vain(7, 5, modify, &json!({"code": "ServiceUnavailable", "status": 503})));
    assert!(!in_vain(7, 5, "DescribeImages", &json!({})));
    assert!(!in_vain(7, 5, "BatchAddMembers", &json!({"job": "j"})));
    assert!(!in_vain(7, 5, modify, &json!({"effect": {"removed": [ANNE]}})));
}

#[test]
fn calls_that_differ_in_whom_they_are_about_or_in_their_outcome_are_not_the_same() {
    let story = (0..12).fold(Story::default(), |story, number| {
        let (whom, code) = ([ANNE, BOB][number % 2], ["A", "B"][number / 2 % 2]);
        let more = json!({"code": code, "status": 400, "parameters": {"remove": [whom]}});
        story.request("ModifyImageSharePermission", more)
    });
    let auditor = Auditor::new(&story.journal, story.versions).patient(5);
    assert_eq!(auditor.audit(), []);
}
