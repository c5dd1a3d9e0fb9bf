//! Each invariant with a history that keeps it and one that breaks it: an auditor that cannot fail proves nothing.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Auditor, Invariant};
use crate::history::{Change, Version};
use crate::proxy::{Call, Upstream};

const OWNER: &str = "2000000000000001";
const ANNE: &str = "1000000000000001";
const BOB: &str = "1000000000000002";

/// Seconds of the story as a time.
fn at(seconds: i64) -> Timestamp {
    "2027-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// A story: each event a second after the one before it, unless it says otherwise.
#[derive(Default)]
struct Story {
    now: i64,
    journal: Vec<Value>,
    versions: Vec<Version>,
    calls: Vec<Call>,
}

impl Story {
    fn wait(mut self, seconds: i64) -> Self {
        self.now += seconds;
        self
    }

    fn version(mut self, change: Change, object: Value) -> Self {
        self.now += 1;
        let revision = u64::try_from(self.now).unwrap();
        self.versions.push(Version { change, revision, seen_at: at(self.now), object });
        self
    }

    fn image(self, change: Change, grants: &[(&str, &str)]) -> Self {
        let grants: Vec<Value> = grants.iter().map(|(id, state)| json!({"id": id, "state": state})).collect();
        self.version(
            change,
            json!({
                "kind": "CloudImage", "metadata": {"namespace": "n", "name": "golden", "uid": "image"},
                "spec": {"region": "r", "imageID": "m-1"}, "status": {"grants": grants},
            }),
        )
    }

    fn ledger(self, grants: &[(&str, &str)]) -> Self {
        self.image(Change::Modified, grants)
    }

    fn share_with(self, change: Change, name: &str, ids: &[&str], edit: impl FnOnce(&mut Value)) -> Self {
        let recipients: Vec<Value> = ids.iter().map(|id| json!({"type": "Account", "id": id})).collect();
        let mut share = json!({
            "kind": "ImageShare",
            "metadata": {"namespace": "n", "name": name, "uid": name, "finalizers": ["held"]},
            "spec": {"imageRef": {"name": "golden"}, "recipients": recipients},
        });
        edit(&mut share);
        self.version(change, share)
    }

    fn share(self, name: &str, ids: &[&str]) -> Self {
        self.share_with(Change::Modified, name, ids, |_| {})
    }

    fn share_deleting(self, name: &str, ids: &[&str]) -> Self {
        self.share_with(Change::Modified, name, ids, |share| share["metadata"]["deletionTimestamp"] = json!("x"))
    }

    fn share_gone(self, name: &str, ids: &[&str]) -> Self {
        self.share_with(Change::Deleted, name, ids, |share| share["metadata"]["deletionTimestamp"] = json!("x"))
    }

    fn act(mut self, principal: &str, added: &[&str], removed: &[&str]) -> Self {
        self.now += 1;
        self.journal.push(json!({
            "time": at(self.now), "principal": principal, "region": "r", "image": "m-1",
            "action": "ModifyImageSharePermission", "code": "OK", "effect": {"added": added, "removed": removed},
        }));
        self
    }

    fn grants(self, ids: &[&str]) -> Self {
        self.act(OWNER, ids, &[])
    }

    fn revokes(self, ids: &[&str]) -> Self {
        self.act(OWNER, &[], ids)
    }

    /// A write of the image's status that changed nothing, through the proxy.
    fn wrote_again(mut self, revision: u64) -> Self {
        self.now += 1;
        self.calls.push(Call {
            seq: 1,
            write: Some(1),
            upstream: Upstream::Kubernetes,
            method: "PATCH".into(),
            path: "/apis/imageshare.dev/v1alpha1/namespaces/n/cloudimages/golden/status?force=true".into(),
            action: String::new(),
            summary: String::new(),
            asked_at: at(self.now),
            answered_at: Some(at(self.now)),
            status: Some(200),
            version: Some(revision),
        });
        self
    }

    fn found(self) -> Vec<Invariant> {
        let world = json!({"images": [{"id": "m-1", "owner": OWNER}]});
        let auditor = Auditor::new(&self.journal, self.versions).owners_of(&world).carried(&self.calls);
        auditor.audit().into_iter().map(|violation| violation.invariant).collect()
    }
}

fn shared() -> Story {
    Story::default().image(Change::Added, &[]).share("s", &[ANNE]).ledger(&[(ANNE, "Intended")]).grants(&[ANNE])
}

fn ended() -> Story {
    shared().ledger(&[(ANNE, "Granted")]).share_deleting("s", &[ANNE]).ledger(&[(ANNE, "Revoking")])
}

#[test]
fn a_share_from_beginning_to_end_is_clean() {
    let left = ended().revokes(&[ANNE]).ledger(&[]).share_gone("s", &[ANNE]).image(Change::Deleted, &[]);
    assert_eq!(left.found(), []);
}

#[test]
fn a_grant_without_an_earlier_ledger_entry_is_found() {
    let late = Story::default().image(Change::Added, &[]).share("s", &[ANNE]).grants(&[ANNE]);
    let late = late.wait(1).ledger(&[(ANNE, "Intended")]);
    assert_eq!(late.found(), [Invariant::LedgerBeforeCall]);
}

#[test]
fn a_ledger_entry_told_within_the_lag_counts_unless_the_proxy_knows_better() {
    let story = || Story::default().image(Change::Added, &[]).share("s", &[ANNE]).grants(&[ANNE]);
    let lagging = |mut story: Story| {
        story = story.ledger(&[(ANNE, "Intended")]);
        story.versions.last_mut().unwrap().seen_at = at(story.now - 1) + SignedDuration::from_millis(300);
        story
    };
    assert_eq!(lagging(story()).found(), []);
    let mut known = lagging(story()).wrote_again(4);
    let then = at(3) + SignedDuration::from_millis(100);
    (known.calls[0].asked_at, known.calls[0].answered_at) = (then, Some(then));
    assert_eq!(known.found(), [Invariant::LedgerBeforeCall]);
}

#[test]
fn a_grant_that_no_live_share_wishes_is_found() {
    let begin = || Story::default().image(Change::Added, &[]).share("s", &[BOB]);
    assert_eq!(begin().ledger(&[(ANNE, "Intended")]).grants(&[ANNE]).found(), [Invariant::NoGrantWithoutWish]);
    let suspended = begin().share_with(Change::Modified, "s", &[ANNE], |share| share["spec"]["suspend"] = json!(true));
    assert_eq!(suspended.ledger(&[(ANNE, "Intended")]).grants(&[ANNE]).found(), [Invariant::NoGrantWithoutWish]);
    let elsewhere = begin().share_with(Change::Modified, "t", &[ANNE], |share| {
        share["metadata"]["namespace"] = json!("stranger");
        share["spec"]["imageRef"]["namespace"] = json!("n");
    });
    assert_eq!(elsewhere.ledger(&[(ANNE, "Intended")]).grants(&[ANNE]).found(), [Invariant::NoGrantWithoutWish]);
}

#[test]
fn a_write_that_changed_nothing_still_proves_that_the_share_was_seen_to_end() {
    let intended = || Story::default().image(Change::Added, &[]).share("s", &[ANNE]).ledger(&[(ANNE, "Intended")]);
    // The list after the first write could not show what came later …
    assert_eq!(intended().share_deleting("s", &[ANNE]).grants(&[ANNE]).found(), []);
    // … the list after the second one did.
    let again = intended().share_deleting("s", &[ANNE]).wait(1).wrote_again(3).grants(&[ANNE]);
    assert_eq!(again.found(), [Invariant::NoGrantWithoutWish]);
}

#[test]
fn a_revoke_of_somebody_wished_or_held_is_found() {
    let other = |edit: fn(&mut Value)| shared().share_with(Change::Added, "t", &[ANNE], edit);
    let revoke =
        |story: Story| story.share_deleting("s", &[ANNE]).ledger(&[(ANNE, "Revoking")]).revokes(&[ANNE]).found();
    assert_eq!(revoke(other(|_| {})), [Invariant::NoWrongfulRevoke]);
    assert_eq!(revoke(other(|t| t["spec"]["suspend"] = json!(true))), [Invariant::NoWrongfulRevoke]);
    assert_eq!(revoke(other(|t| t["spec"]["expirationTime"] = json!("2026-01-01T00:00:00Z"))), []);
    assert_eq!(revoke(other(|t| t["metadata"]["deletionTimestamp"] = json!("x"))), []);
}

#[test]
fn a_share_that_came_after_the_ledger_was_written_excuses_its_revoke() {
    assert_eq!(ended().share("t", &[ANNE]).revokes(&[ANNE]).found(), []);
}

#[test]
fn whoever_was_not_wanted_in_one_list_the_call_may_have_seen_may_be_revoked() {
    let marked = || shared().share("t", &[ANNE]).share_deleting("s", &[ANNE]).ledger(&[(ANNE, "Revoking")]);
    // The list after the intent may have shown the edit.
    assert_eq!(marked().share("t", &[BOB]).revokes(&[ANNE]).found(), []);
    assert_eq!(marked().share("t", &[BOB]).share("t", &[ANNE]).revokes(&[ANNE]).found(), []);
    assert_eq!(marked().share("t", &[BOB]).share("u", &[ANNE]).revokes(&[ANNE]).found(), []);
}

#[test]
fn a_revoke_of_somebody_wanted_in_every_list_the_call_may_have_seen_is_found() {
    let marked = || shared().share("t", &[ANNE]).share_deleting("s", &[ANNE]).ledger(&[(ANNE, "Revoking")]);
    let wrongful = [Invariant::NoWrongfulRevoke];
    // Edited, and still named; edited away too late; another took over before; the intent was written again after.
    assert_eq!(marked().share("t", &[ANNE, BOB]).revokes(&[ANNE]).found(), wrongful);
    assert_eq!(marked().revokes(&[ANNE]).wait(1).share("t", &[BOB]).found(), wrongful);
    assert_eq!(marked().share("u", &[ANNE]).share("t", &[BOB]).revokes(&[ANNE]).found(), wrongful);
    let again = marked().share("t", &[BOB]).share("t", &[ANNE]).wait(1).wrote_again(7);
    assert_eq!(again.revokes(&[ANNE]).found(), wrongful);
}

#[test]
fn a_revoke_without_the_ledger_saying_so_is_found() {
    let story = shared().ledger(&[(ANNE, "Granted")]).share_deleting("s", &[ANNE]).revokes(&[ANNE]);
    assert_eq!(story.found(), [Invariant::NoWrongfulRevoke]);
    let out_of_band = shared().ledger(&[(ANNE, "Granted")]).act("out-of-band", &[], &[ANNE]);
    assert_eq!(out_of_band.found(), []);
}

#[test]
fn a_share_that_leaves_its_grant_behind_is_found() {
    assert_eq!(ended().ledger(&[]).share_gone("s", &[ANNE]).found(), [Invariant::NoLeak]);
}

#[test]
fn what_another_share_wishes_or_policy_retains_may_stay() {
    assert_eq!(shared().share("t", &[ANNE]).share_deleting("s", &[ANNE]).share_gone("s", &[ANNE]).found(), []);
    let retain = |share: &mut Value| share["spec"]["deletionPolicy"] = json!("Retain");
    assert_eq!(shared().share_with(Change::Deleted, "s", &[ANNE], retain).found(), []);
    let leaving = |share: &mut Value| {
        retain(share);
        share["metadata"]["deletionTimestamp"] = json!("x");
    };
    let kept = shared().share_with(Change::Added, "t", &[ANNE], leaving).ledger(&[(ANNE, "Retained")]);
    assert_eq!(kept.share_deleting("s", &[ANNE]).share_gone("s", &[ANNE]).found(), []);
}

#[test]
fn what_another_share_claimed_while_one_was_leaving_is_that_ones() {
    let claimed = || ended().share("t", &[ANNE]);
    assert_eq!(claimed().share("t", &[BOB]).share_gone("s", &[ANNE]).found(), []);
    assert_eq!(claimed().share_deleting("t", &[ANNE]).share_gone("s", &[ANNE]).found(), []);
}

#[test]
fn what_no_other_share_claimed_while_one_was_leaving_is_a_leak() {
    let before = || shared().share("t", &[ANNE]).share("t", &[BOB]);
    let leak = [Invariant::NoLeak];
    // Given up before; claimed for somebody else; claimed only after.
    assert_eq!(before().share_deleting("s", &[ANNE]).share_gone("s", &[ANNE]).found(), leak);
    assert_eq!(ended().share("t", &[BOB]).share_gone("s", &[ANNE]).found(), leak);
    assert_eq!(ended().share_gone("s", &[ANNE]).wait(1).share("t", &[ANNE]).found(), leak);
}

#[test]
fn shares_that_leave_together_do_not_excuse_each_other() {
    let both = || shared().share("t", &[ANNE]).share_deleting("s", &[ANNE]).share_deleting("t", &[ANNE]);
    let leak = [Invariant::NoLeak];
    // `s` was let go because of `t`, which now answers, whichever leaves first.
    assert_eq!(both().share_gone("s", &[ANNE]).share_gone("t", &[ANNE]).found(), leak);
    assert_eq!(both().share_gone("t", &[ANNE]).share_gone("s", &[ANNE]).found(), leak);
    let revoked = both().ledger(&[(ANNE, "Revoking")]).revokes(&[ANNE]);
    assert_eq!(revoked.share_gone("t", &[ANNE]).share_gone("s", &[ANNE]).found(), []);
}

#[test]
fn whom_a_suspended_share_lost_from_its_list_is_still_its_own() {
    let pause = |story: Story, recipients: &[&str], paused: bool| {
        story.share_with(Change::Modified, "t", recipients, |t| t["spec"]["suspend"] = json!(paused))
    };
    let leaves = |story: Story| story.share_deleting("s", &[ANNE]).share_gone("s", &[ANNE]).found();
    let both = || shared().share("t", &[ANNE]);
    assert_eq!(leaves(pause(both(), &[BOB], true)), [], "suspended and shortened in one edit");
    assert_eq!(leaves(pause(pause(both(), &[ANNE], true), &[BOB], true)), []);
    assert_eq!(leaves(pause(pause(both(), &[BOB], true), &[BOB], false)), [Invariant::NoLeak], "it is active again");
    assert_eq!(leaves(pause(both().share("t", &[BOB]), &[BOB], true)), [Invariant::NoLeak], "given up before");
}

#[test]
fn what_a_share_lost_before_its_pause_and_nobody_acted_on_is_still_its_own() {
    // Bob replaces Anne, then the share is suspended; the ledger tells of these generations of it, one after the other.
    let story = |counted: &[i64]| {
        let versions = [(1, ANNE, false), (2, BOB, false), (3, BOB, true)];
        let mut story = versions.into_iter().fold(shared(), |story, (generation, id, paused)| {
            story.share_with(Change::Modified, "t", &[id], |t| {
                t["metadata"]["generation"] = json!(generation);
                t["spec"]["suspend"] = json!(paused);
            })
        });
        for generation in counted {
            story = story.ledger(&[(ANNE, "Granted")]);
            let served = json!([{"uid": "t", "generation": generation}, {"uid": "s"}]);
            story.versions.last_mut().unwrap().object["status"]["shares"] = served;
        }
        story.share_deleting("s", &[ANNE]).share_gone("s", &[ANNE]).found()
    };
    assert_eq!(story(&[1]), [], "nobody acted on the edit before the pause");
    assert_eq!(story(&[1, 3]), [], "nor after it");
    assert_eq!(story(&[1, 2, 3]), [Invariant::NoLeak], "the edit was acted on");
}

#[test]
fn a_share_of_an_image_that_never_granted_anything_left_nothing_behind() {
    let other = |mut story: Story| {
        let image = story.versions.first().unwrap().object.clone();
        let mut ledger = image;
        ledger["metadata"] = json!({"namespace": "o", "name": "theirs", "uid": "other"});
        ledger["status"] = json!({"grants": [{"id": ANNE, "state": "Granted"}]});
        story = story.version(Change::Added, ledger);
        story.grants(&[ANNE])
    };
    let story = |own: &[(&str, &str)]| {
        let story = other(Story::default().image(Change::Added, own).share("s", &[ANNE]));
        story.share_deleting("s", &[ANNE]).share_gone("s", &[ANNE]).found()
    };
    assert!(!story(&[]).contains(&Invariant::NoLeak));
    assert!(story(&[(ANNE, "Granted")]).contains(&Invariant::NoLeak));
}

#[test]
fn an_adopted_grant_is_ours_and_a_foreign_one_is_not() {
    let foreign = Story::default().image(Change::Added, &[]).act("out-of-band", &[ANNE], &[]).share("s", &[ANNE]);
    assert_eq!(foreign.share_gone("s", &[ANNE]).found(), []);
    let adopted = Story::default().image(Change::Added, &[]).act("world", &[ANNE], &[]).share("s", &[ANNE]);
    let adopted = adopted.ledger(&[(ANNE, "Granted")]).share_deleting("s", &[ANNE]).share_gone("s", &[ANNE]);
    assert_eq!(adopted.found(), [Invariant::NoLeak]);
}

#[test]
fn who_is_shared_with_again_by_others_after_the_end_is_foreign() {
    let again = ended().revokes(&[ANNE]).ledger(&[]).wait(2).act("out-of-band", &[ANNE], &[]).wait(1);
    assert_eq!(again.share_gone("s", &[ANNE]).found(), []);
}

#[test]
fn an_image_that_leaves_before_its_share_or_with_a_ledger_is_found() {
    let early = Story::default().image(Change::Added, &[]).share("s", &[ANNE]).wait(2).image(Change::Deleted, &[]);
    assert_eq!(early.found(), [Invariant::ImageLast]);
    let holding = Story::default().image(Change::Deleted, &[(ANNE, "Granted")]);
    assert_eq!(holding.found(), [Invariant::ImageLast]);
    let retaining = Story::default().image(Change::Deleted, &[(ANNE, "Retained")]);
    assert_eq!(retaining.found(), []);
    // It came in the very moment.
    let racing = Story::default().image(Change::Added, &[]).share("s", &[ANNE]);
    let mut racing = racing.image(Change::Deleted, &[]);
    racing.versions[1].seen_at = racing.versions[2].seen_at - SignedDuration::from_millis(20);
    assert_eq!(racing.found(), []);
}

#[test]
fn a_call_on_another_accounts_image_is_found() {
    let story = Story::default().image(Change::Added, &[]).act("2000000000000002", &[], &[]);
    assert_eq!(story.found(), [Invariant::OwnImagesOnly]);
}

#[test]
fn asking_for_more_than_the_limit_is_found() {
    let mut story = shared().grants(&[]);
    story.journal.last_mut().unwrap()["code"] = json!("QuotaExceed.ShareImageUser");
    assert_eq!(story.found(), [Invariant::WithinLimit]);
}

mod conduct;
mod copies;
mod foreign;
mod huawei;
mod promptness;
mod proof;
mod truth;
