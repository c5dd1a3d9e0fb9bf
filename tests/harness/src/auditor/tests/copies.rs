//! Copies: written down before, one of each, and gone only where somebody wanted them gone.

use serde_json::{Value, json};

use super::{ANNE, Invariant, OWNER, Story, at};
use crate::auditor::Auditor;
use crate::history::Change;

const BOB: &str = "2000000000000002";

/// The source `m-1` lives in the region `r`, where all else happens as well.
impl Story {
    fn owner(self, id: &str) -> Self {
        self.version(
            Change::Added,
            json!({"kind": "CloudAccount", "metadata": {"namespace": "n", "name": "mine", "uid": "account"},
                "spec": {"alibaba": {"accountID": id}}}),
        )
    }

    fn replica_with(self, change: Change, state: &str, number: u32, edit: impl FnOnce(&mut Value)) -> Self {
        let source = json!({"account": "mine", "region": "r", "imageID": "m-1"});
        let mut replica = json!({
            "kind": "ImageReplica", "metadata": {"namespace": "n", "name": "far", "uid": "e-f"},
            "spec": {"source": {"imageRef": {"name": "golden"}}, "destination": {"region": "away", "name": "gold"}},
            "status": {"copy": {"number": number, "state": state, "source": source}},
        });
        edit(&mut replica);
        self.version(change, replica)
    }

    fn replica(self, state: &str) -> Self {
        self.replica_with(Change::Modified, state, 1, |_| {})
    }

    fn asked_again(self, number: u32) -> Self {
        self.replica_with(Change::Modified, "Asked", number, |_| {})
    }

    fn leaving(self, state: &str) -> Self {
        self.replica_with(Change::Modified, state, 1, |replica| replica["metadata"]["deletionTimestamp"] = json!("x"))
    }

    fn left(self, edit: impl FnOnce(&mut Value)) -> Self {
        self.replica_with(Change::Deleted, "Clearing", 1, edit)
    }

    fn call(mut self, principal: &str, action: &str, image: &str, more: &Value) -> Self {
        self.now += 1;
        let region = if image == "m-1" { "r" } else { "away" };
        let mut entry = json!({"time": at(self.now), "principal": principal, "region": region, "image": image,
            "action": action, "code": "OK"});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.journal.push(entry);
        self
    }

    fn copies_to(self, principal: &str, region: &str, image: &str, number: u32) -> Self {
        let copy = json!({"state": "began", "image": image, "source": "m-1", "sourceRegion": "r",
            "destination": region, "name": "gold", "clientToken": format!("e-f-{number}")});
        self.call(principal, "CopyImage", "m-1", &json!({"effect": {"copy": copy}}))
    }

    fn copies(self, image: &str, number: u32) -> Self {
        self.copies_to(OWNER, "away", image, number)
    }

    fn ends(self, action: &str, image: &str) -> Self {
        self.call(OWNER, action, image, &json!({"effect": {"deleted": true}}))
    }

    fn standing(self, change: Change, policy: &str, leaving: bool) -> Self {
        let mut image = json!({
            "kind": "CloudImage", "metadata": {"namespace": "n", "name": "far", "uid": "standing"},
            "spec": {"region": "away", "imageID": "c-1", "deletionPolicy": policy},
        });
        if leaving {
            image["metadata"]["deletionTimestamp"] = json!("x");
        }
        self.version(change, image)
    }
}

fn asked() -> Story {
    Story::default().owner(OWNER).image(Change::Added, &[]).replica("Asked")
}

fn made() -> Story {
    asked().copies("c-1", 1).replica("Copying").replica("Made")
}

fn stood_for() -> Story {
    let recorded = |replica: &mut Value| replica["status"]["cloudImageUID"] = json!("standing");
    made().standing(Change::Added, "Retain", false).replica_with(Change::Modified, "Made", 1, recorded)
}

fn with_image(policy: &str) -> impl Fn(&mut Value) {
    move |replica| {
        replica["status"]["cloudImageUID"] = json!("standing");
        replica["spec"]["deletionPolicy"] = json!(policy);
    }
}

#[test]
fn a_copy_from_its_order_to_its_end_is_clean() {
    assert_eq!(stood_for().left(with_image("Retain")).found(), []);
    let along = stood_for().standing(Change::Modified, "Delete", true).ends("DeleteImage", "c-1");
    let along = along.standing(Change::Deleted, "Delete", true).wait(1).left(with_image("Delete"));
    assert_eq!(along.found(), []);
    let stopped = asked().copies("c-1", 1).leaving("Clearing").ends("CancelCopyImage", "c-1").wait(1).left(|_| {});
    assert_eq!(stopped.found(), []);
}

#[test]
fn a_copy_that_was_not_written_down_before_is_found() {
    let before = || Story::default().owner(OWNER).image(Change::Added, &[]);
    let found = [Invariant::IntentBeforeCopy];
    assert_eq!(before().copies("c-1", 1).found(), found);
    assert_eq!(before().copies("c-1", 1).wait(1).replica("Asked").found(), found);
    // Another stage, another try, another source, another destination, another account.
    assert_eq!(before().replica("Failed").copies("c-1", 1).found(), found);
    assert_eq!(asked().copies("c-1", 2).found(), found);
    let edited = |edit: fn(&mut Value)| before().replica_with(Change::Modified, "Asked", 1, edit).copies("c-1", 1);
    assert_eq!(edited(|replica| replica["status"]["copy"]["source"]["imageID"] = json!("m-2")).found(), found);
    assert_eq!(edited(|replica| replica["spec"]["source"]["imageRef"]["name"] = json!("silver")).found(), found);
    assert_eq!(edited(|replica| replica["spec"]["destination"]["region"] = json!("elsewhere")).found(), found);
    let other = Story::default().owner(BOB).image(Change::Added, &[]).replica("Asked");
    assert_eq!(other.copies("c-1", 1).found(), found);
    assert_eq!(edited(|_| {}).found(), []);
}

#[test]
fn a_copy_that_nobody_asked_for_is_found_and_one_out_of_band_is_nobodys() {
    let unmarked = |principal: &str| {
        let copy = json!({"state": "began", "image": "c-1", "source": "m-1", "sourceRegion": "r",
            "destination": "away", "name": "gold", "clientToken": null});
        asked().call(principal, "CopyImage", "m-1", &json!({"effect": {"copy": copy}})).found()
    };
    assert_eq!(unmarked(OWNER), [Invariant::IntentBeforeCopy]);
    assert_eq!(unmarked("out-of-band"), []);
}

#[test]
fn a_copy_that_was_written_down_by_who_saw_it_unwanted_is_found() {
    let leaving = Story::default().owner(OWNER).image(Change::Added, &[]).leaving("Asked").copies("c-1", 1);
    assert_eq!(leaving.found(), [Invariant::IntentBeforeCopy]);
    // Deleted after it was written down: nobody knew.
    let after = asked().leaving("Asked").copies("c-1", 1).found();
    assert_eq!(after, []);
}

#[test]
fn a_second_copy_is_found_and_one_after_the_first_is_gone_is_none() {
    let again = |story: Story| story.replica("Clearing").asked_again(2).copies("c-2", 2).found();
    assert_eq!(asked().copies("c-1", 1).asked_again(2).copies("c-2", 2).found(), [Invariant::OneCopy]);
    assert_eq!(asked().copies("c-1", 1).copies("c-2", 1).found(), [Invariant::OneCopy]);
    let failed = || {
        let copy = json!({"state": "failed", "image": "c-1", "source": "m-1", "sourceRegion": "r",
            "destination": "away", "name": "gold", "clientToken": "e-f-1"});
        asked().copies("c-1", 1).replica("Copying").call(OWNER, "CopyEnded", "c-1", &json!({"effect": {"copy": copy}}))
    };
    assert_eq!(again(failed()), [Invariant::OneCopy]);
    let cleared = failed().replica("Clearing").ends("DeleteImage", "c-1");
    assert_eq!(again(cleared), []);
    // Asked again by its token, the cloud makes none.
    let repeated = asked().copies("c-1", 1).call(OWNER, "CopyImage", "m-1", &json!({"effect": null}));
    assert_eq!(repeated.found(), []);
}

#[test]
fn a_copy_that_is_deleted_while_it_is_wanted_is_found() {
    let wrongful = [Invariant::NoWrongfulDeletion];
    assert_eq!(made().ends("DeleteImage", "c-1").found(), wrongful);
    assert_eq!(asked().copies("c-1", 1).replica("Copying").ends("CancelCopyImage", "c-1").found(), wrongful);
    assert_eq!(made().leaving("Clearing").ends("DeleteImage", "c-1").found(), []);
    // It failed.
    assert_eq!(made().replica("Clearing").ends("DeleteImage", "c-1").found(), []);
    assert_eq!(made().call("out-of-band", "PatchImage", "c-1", &json!({"effect": {"deleted": true}})).found(), []);
}

#[test]
fn an_image_that_goes_without_its_cloud_image_is_found() {
    let wrongful = [Invariant::NoWrongfulDeletion];
    let deleted = |policy: &str, leaving: bool| {
        stood_for().standing(Change::Modified, policy, leaving).wait(1).ends("DeleteImage", "c-1").found()
    };
    assert_eq!(deleted("Retain", true), wrongful);
    assert_eq!(deleted("Delete", false), wrongful);
    assert_eq!(deleted("Delete", true), []);
    // Whoever leaves may clear what nobody stands for, and nothing else.
    assert_eq!(stood_for().leaving("Clearing").ends("DeleteImage", "c-1").found(), wrongful);
    // It need not be a copy.
    assert_eq!(asked().ends("DeleteImage", "m-1").found(), wrongful);
}

/// The operator asks Kubernetes to let the copy's `CloudImage` go, with an `ImageReplica` that is changed so.
fn asked_to_go(edit: impl FnOnce(&mut Value)) -> Vec<Invariant> {
    let recorded = |replica: &mut Value| {
        replica["status"]["cloudImageUID"] = json!("standing");
        edit(replica);
    };
    let mut story = made().standing(Change::Added, "Retain", false).replica_with(Change::Modified, "Made", 1, recorded);
    story = story.wait(1).wrote_again(0);
    let call = story.calls.last_mut().unwrap();
    call.method = "DELETE".into();
    call.path = "/apis/imageshare.dev/v1alpha1/namespaces/n/cloudimages/far?".into();
    story.found()
}

#[test]
fn a_cloud_image_that_is_asked_to_go_without_its_replica_is_found() {
    let leaving = |policy: &'static str| {
        move |replica: &mut Value| {
            replica["metadata"]["deletionTimestamp"] = json!("x");
            replica["spec"]["deletionPolicy"] = json!(policy);
        }
    };
    assert_eq!(asked_to_go(leaving("Delete")), []);
    assert_eq!(asked_to_go(leaving("Retain")), [Invariant::NoWrongfulDeletion]);
    assert_eq!(
        asked_to_go(|replica| replica["spec"]["deletionPolicy"] = json!("Delete")),
        [Invariant::NoWrongfulDeletion]
    );
}

#[test]
fn a_replica_that_leaves_its_copy_behind_is_found() {
    let behind = [Invariant::NoCopyLeftBehind];
    assert_eq!(asked().copies("c-1", 1).leaving("Clearing").wait(1).left(|_| {}).found(), behind);
    assert_eq!(stood_for().left(with_image("Delete")).found(), behind);
    assert_eq!(asked().left(|_| {}).found(), []);
    // Without its account there was nobody to end it.
    let orphan = Story::default().image(Change::Added, &[]).owner(OWNER).replica("Asked").copies("c-1", 1);
    let gone = json!({"kind": "CloudAccount", "metadata": {"namespace": "n", "name": "mine", "uid": "account"},
        "spec": {"alibaba": {"accountID": OWNER}}});
    assert_eq!(orphan.version(Change::Deleted, gone).left(|_| {}).found(), []);
}

fn received(edit: fn(&mut Value)) -> Story {
    let shared = Story::default().image(Change::Added, &[]).share("s", &[ANNE]).ledger(&[(ANNE, "Intended")]);
    shared.grants(&[ANNE]).owner(ANNE).replica_with(Change::Modified, "Asked", 1, |replica| {
        replica["spec"]["source"] = json!({"received": {"imageID": "m-1", "region": "r"}});
        replica["spec"]["destination"]["region"] = json!("r");
        edit(replica);
    })
}

#[test]
fn whoever_received_an_image_may_copy_it_in_its_region_and_nowhere_else() {
    assert_eq!(received(|_| {}).copies_to(ANNE, "r", "c-1", 1).found(), []);
    let away = received(|replica| replica["spec"]["destination"]["region"] = json!("away"));
    assert_eq!(away.copies_to(ANNE, "away", "c-1", 1).found(), [Invariant::OwnImagesOnly]);
    // The cloud refused it: that it was asked for is no harm.
    let refused = received(|_| {}).call(ANNE, "CopyImage", "m-1", &json!({"code": "SameRegionOnly", "effect": null}));
    assert_eq!(refused.found(), []);
    let other = received(|_| {}).call(ANNE, "ModifyImageSharePermission", "m-1", &json!({}));
    assert_eq!(other.found(), [Invariant::OwnImagesOnly]);
}

#[test]
fn a_copy_of_an_image_neither_own_nor_received_is_found_also_where_it_was_refused() {
    let refused = json!({"code": "InvalidImageId.NotFound", "effect": null});
    assert_eq!(received(|_| {}).call(BOB, "CopyImage", "m-1", &refused).found(), [Invariant::OwnImagesOnly]);
    let story = asked().call(BOB, "CopyImage", "m-1", &refused);
    let world = json!({"images": [{"id": "m-1", "owner": OWNER, "sharedWith": [BOB]}]});
    assert_eq!(Auditor::new(&story.journal, story.versions).owners_of(&world).audit(), []);
}

#[test]
fn a_copy_belongs_to_who_made_it() {
    let shared = json!({"effect": {"added": [], "removed": []}});
    let by = |principal: &str| made().call(principal, "ModifyImageSharePermission", "c-1", &shared).found();
    assert_eq!(by(OWNER), []);
    assert_eq!(by(BOB), [Invariant::OwnImagesOnly]);
}

mod by_jobs {
    use super::*;

    const PROJECT: &str = "0000000000000000000000000000aaaa";
    const FAR: &str = "0000000000000000000000000000abcd";

    fn copy(there: bool) -> Value {
        json!({"source": "m-1", "region": "away", "owner": FAR, "image": "c-1", "name": "gold", "there": there,
            "description": "Made by imageshare-operator for ImageReplica e-f (1)"})
    }

    fn asked() -> Story {
        let account = json!({"kind": "CloudAccount", "metadata": {"namespace": "n", "name": "mine", "uid": "account"},
            "spec": {"huawei": {"domainID": "d"}}});
        Story::default().version(Change::Added, account).image(Change::Added, &[]).replica("Asked")
    }

    fn copying() -> Story {
        asked().call(PROJECT, "CopyImageCrossRegion", "m-1", &json!({"copy": copy(false), "job": "j"}))
    }

    fn found(story: Story) -> Vec<Invariant> {
        let projects = json!([{"id": PROJECT, "region": "r"}, {"id": FAR, "region": "away"}]);
        let world = json!({"images": [], "huawei": {"images": [{"id": "m-1", "project": PROJECT}],
            "domains": [{"id": "d", "projects": projects}]}});
        let auditor = Auditor::new(&story.journal, story.versions).owners_of(&world);
        auditor.audit().into_iter().map(|violation| violation.invariant).collect()
    }

    #[test]
    fn a_copy_is_known_by_its_mark_and_may_be_ended_by_the_project_it_went_to() {
        let made = copying().replica("Copying").call(PROJECT, "JobEffect", "m-1", &json!({"copy": copy(true)}));
        let removed = made.leaving("Clearing").call(FAR, "JobEffect", "c-1", &json!({"effect": {"deleted": true}}));
        assert_eq!(found(removed.wait(1).left(|_| {})), []);
        let early = Story::default().call(PROJECT, "CopyImageCrossRegion", "m-1", &json!({"copy": copy(false)}));
        assert_eq!(found(early), [Invariant::IntentBeforeCopy]);
    }

    #[test]
    fn a_job_that_failed_before_it_made_anything_made_no_copy_and_one_that_failed_later_did() {
        let failed = |there: bool| {
            let told = json!({"copy": copy(there), "code": "IMG.0007"});
            copying()
                .replica("Copying")
                .call(PROJECT, "JobEffect", "m-1", &told)
                .leaving("Clearing")
                .wait(1)
                .left(|_| {})
        };
        assert_eq!(found(failed(false)), []);
        assert_eq!(found(failed(true)), [Invariant::NoCopyLeftBehind]);
    }

    #[test]
    fn a_second_job_for_the_same_copy_is_found() {
        let mut second = copy(false);
        second["image"] = json!("c-2");
        let twice = copying().call(PROJECT, "CopyImageCrossRegion", "m-1", &json!({"copy": second}));
        assert_eq!(found(twice), [Invariant::OneCopy]);
    }
}
