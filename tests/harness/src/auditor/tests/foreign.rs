//! What is nobody's to take: what a share leaves behind, and for a while whom somebody added by hand; and to whom a grant
//! belongs that outlives a share.

use super::*;

/// The ledger of an image that counts these shares in, each by its uid and generation.
fn counting(story: Story, grants: &[(&str, &str)], shares: &[(&str, u64)]) -> Story {
    let mut story = story.ledger(grants);
    let served: Vec<Value> = shares.iter().map(|(uid, number)| json!({"uid": uid, "generation": number})).collect();
    story.versions.last_mut().unwrap().object["status"]["shares"] = json!(served);
    story
}

/// A share of Anne with this policy, at its first generation until it goes.
fn share_with(story: Story, policy: &str, leaving: bool) -> Story {
    story.share_with(Change::Modified, "s", &[ANNE], |share| {
        share["spec"]["deletionPolicy"] = json!(policy);
        share["metadata"]["generation"] = json!(if leaving { 2 } else { 1 });
        if leaving {
            share["metadata"]["deletionTimestamp"] = json!("x");
        }
    })
}

fn taken(policy: &str, counted: &[(&str, u64)]) -> Vec<Invariant> {
    let story = share_with(Story::default().image(Change::Added, &[]), policy, false);
    let story = story.ledger(&[(ANNE, "Intended")]).grants(&[ANNE]);
    let story = share_with(counting(story, &[(ANNE, "Granted")], counted), policy, true);
    counting(story, &[(ANNE, "Revoking")], counted).revokes(&[ANNE]).found()
}

#[test]
fn what_a_share_leaves_behind_is_not_taken_while_it_goes() {
    assert_eq!(taken("Retain", &[("s", 1)]), [Invariant::NoWrongfulRevoke]);
    assert_eq!(taken("Revoke", &[("s", 1)]), []);
    // What it never had, as it was last, it cannot leave behind.
    assert_eq!(taken("Retain", &[]), []);
    assert_eq!(taken("Retain", &[("s", 0)]), []);
}

/// Anne was added by hand at the third second and loses it so many seconds later.
fn lost_after(seconds: i64, before: &[(&str, &str)], meanwhile: &[(&str, &str)]) -> Vec<Invariant> {
    let story = Story::default().image(Change::Added, before).share("t", &[BOB]).act("world", &[ANNE], &[]);
    let story = story.ledger(meanwhile).wait(seconds - 3).ledger(&[(ANNE, "Revoking")]).revokes(&[ANNE]);
    let auditor = Auditor::new(&story.journal, story.versions).graced(SignedDuration::from_secs(5));
    let found = auditor.audit().into_iter().map(|violation| violation.invariant);
    found.filter(|invariant| *invariant == Invariant::GraceForForeign).collect()
}

#[test]
fn whom_somebody_added_by_hand_is_left_alone_for_a_while() {
    assert_eq!(lost_after(4, &[], &[]), [Invariant::GraceForForeign]);
    assert_eq!(lost_after(5, &[], &[]), []);
    // It was, or became, the operator's own.
    assert_eq!(lost_after(4, &[(ANNE, "Granted")], &[(ANNE, "Granted")]), []);
    assert_eq!(lost_after(4, &[], &[(ANNE, "Granted")]), []);
}

#[test]
fn who_was_there_by_hand_before_counts_from_then() {
    let story = Story::default().image(Change::Added, &[]).share("t", &[BOB]).act("world", &[ANNE], &[]).wait(4);
    let again = story.act("world", &[], &[ANNE]).act("world", &[ANNE], &[]).ledger(&[(ANNE, "Revoking")]);
    let again = again.revokes(&[ANNE]);
    let auditor = Auditor::new(&again.journal, again.versions).graced(SignedDuration::from_secs(5));
    assert_eq!(auditor.audit(), []);
}

#[test]
fn a_share_is_granted_nothing_before_it_is_held_and_whom_it_names_keeps_what_it_has() {
    let unheld = |share: &mut Value| drop(share["metadata"].as_object_mut().unwrap().remove("finalizers"));
    let newcomer = |story: Story, name| story.share_with(Change::Added, name, &[ANNE], unheld);
    let intended = || newcomer(Story::default().image(Change::Added, &[]), "s").ledger(&[(ANNE, "Intended")]);
    let early = || intended().grants(&[ANNE]).wait(1);
    assert_eq!(early().share("s", &[ANNE]).found(), [Invariant::NoGrantWithoutWish]);
    let never = early().share_with(Change::Deleted, "s", &[ANNE], unheld);
    assert_eq!(never.found(), [Invariant::NoGrantWithoutWish, Invariant::NoLeak]);
    let later = intended().share("s", &[ANNE]).ledger(&[(ANNE, "Intended")]);
    assert_eq!(later.grants(&[ANNE]).found(), []);
    let taken = newcomer(ended(), "t").wrote_again(7).revokes(&[ANNE]).wait(1).share("t", &[ANNE]);
    assert_eq!(taken.found(), [Invariant::NoWrongfulRevoke]);
}

#[test]
fn what_is_granted_after_a_share_was_counted_out_is_not_left_behind_by_it() {
    let over = |share: &mut Value| share["spec"]["expirationTime"] = json!(at(1));
    let story = || {
        let story = shared().share_with(Change::Modified, "s", &[ANNE], over);
        counting(story, &[(ANNE, "Granted")], &[("s", 1)])
    };
    let gone = |story: Story| story.share("t", &[BOB]).wait(1).share_with(Change::Deleted, "s", &[ANNE], over).found();
    let revoked = counting(story().ledger(&[(ANNE, "Revoking")]).revokes(&[ANNE]), &[], &[]);
    let again = counting(revoked.share("t", &[ANNE]), &[(ANNE, "Intended")], &[("t", 1)]).grants(&[ANNE]);
    assert_eq!(gone(again), []);
    // Counted out while the grant was still there: that is what it answers for.
    assert_eq!(gone(counting(story(), &[], &[])), [Invariant::NoLeak]);
}

/// `late` was served with Bob, named Anne too, whom `s` lets go, and went before that was acted on.
#[test]
fn a_wish_that_was_never_acted_on_leaves_nothing_of_its_own_behind() {
    let of = |number: u64| move |share: &mut Value| share["metadata"]["generation"] = json!(number);
    let leaving = |share: &mut Value| {
        of(3)(share);
        share["metadata"]["deletionTimestamp"] = json!("x");
    };
    let late = |acted_on: u64| {
        let story = counting(shared(), &[(ANNE, "Granted")], &[("s", 1)]);
        let story = story.share_with(Change::Modified, "late", &[BOB], of(1)).share("s", &[BOB]);
        let story = story.share_with(Change::Modified, "late", &[ANNE], of(2));
        let story = counting(story, &[(ANNE, "Revoking")], &[("s", 1), ("late", acted_on)]);
        let story = story.share_with(Change::Modified, "late", &[ANNE], leaving);
        story.share_with(Change::Deleted, "late", &[ANNE], leaving).found()
    };
    assert_eq!(late(1), []);
    assert_eq!(late(2), [Invariant::NoLeak]);
}
