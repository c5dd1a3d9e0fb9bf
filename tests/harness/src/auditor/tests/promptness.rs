//! How long anybody waits, and what does not count.

use super::*;
use crate::auditor::{Excuse, Promptness, Scope};

/// What a story finds of these invariants where it is known until this second, and this was in the way.
fn late(story: Story, until: i64, excuses: Vec<Excuse>) -> Vec<Invariant> {
    let world = json!({"images": [{"id": "m-1", "owner": OWNER}]});
    let owners = ["n".to_owned()].into();
    let promptness = Promptness { bound: SignedDuration::from_secs(30), excuses, owners, until: at(until) };
    let auditor = Auditor::new(&story.journal, story.versions).owners_of(&world).prompt(promptness);
    let timely = [Invariant::EndsInTime, Invariant::ServedInTime];
    let found = auditor.audit().into_iter().map(|violation| violation.invariant);
    found.filter(|invariant| timely.contains(invariant)).collect()
}

fn excuse(from: i64, until: i64, scope: Scope) -> Vec<Excuse> {
    vec![Excuse { from: at(from), until: at(until), scope }]
}

fn asked() -> Story {
    Story::default().image(Change::Added, &[]).share("s", &[ANNE])
}

#[test]
fn whoever_is_named_has_the_image_within_the_bound_or_the_wish_is_over() {
    assert_eq!(late(asked().wait(20).grants(&[ANNE]), 100, vec![]), []);
    assert_eq!(late(asked().wait(40).grants(&[ANNE]), 100, vec![]), [Invariant::ServedInTime]);
    assert_eq!(late(asked(), 100, vec![]), [Invariant::ServedInTime]);
    assert_eq!(late(asked(), 20, vec![]), []);
    assert_eq!(late(asked().wait(20).share("s", &[BOB]).grants(&[BOB]), 100, vec![]), []);
}

#[test]
fn time_in_which_something_was_in_the_way_of_that_image_does_not_count() {
    let slow = || asked().wait(40).grants(&[ANNE]);
    assert_eq!(late(slow(), 100, excuse(0, 25, Scope::Everybody)), []);
    assert_eq!(late(slow(), 100, excuse(0, 25, Scope::Account(OWNER.to_owned()))), []);
    assert_eq!(late(slow(), 100, excuse(0, 25, Scope::Image("m-1".to_owned()))), []);
    assert_eq!(late(slow(), 100, excuse(0, 25, Scope::Image("m-2".to_owned()))), [Invariant::ServedInTime]);
    assert_eq!(late(slow(), 100, excuse(0, 25, Scope::Account(ANNE.to_owned()))), [Invariant::ServedInTime]);
}

#[test]
fn nobody_waits_for_a_share_without_consent_or_of_a_strangers_image() {
    let foreign = Story::default().image(Change::Added, &[]).share_with(Change::Added, "s", &[ANNE], |share| {
        share["metadata"]["namespace"] = json!("stranger");
        share["spec"]["imageRef"]["namespace"] = json!("n");
    });
    assert_eq!(late(foreign, 100, vec![]), []);
    let mut stranger = asked();
    for version in &mut stranger.versions {
        version.object["metadata"]["namespace"] = json!("stranger");
    }
    assert_eq!(late(stranger, 100, vec![]), []);
}

#[test]
fn what_is_to_go_goes_within_the_bound_after_what_holds_it() {
    let going = || ended().revokes(&[ANNE]);
    assert_eq!(late(going().wait(10).share_gone("s", &[ANNE]), 100, vec![]), []);
    assert_eq!(late(going().wait(40).share_gone("s", &[ANNE]), 100, vec![]), [Invariant::EndsInTime]);
    assert_eq!(late(going(), 100, vec![]), [Invariant::EndsInTime]);
    let image_going = |story: Story| {
        let mut story = story.ledger(&[]);
        story.versions.last_mut().unwrap().object["metadata"]["deletionTimestamp"] = json!("x");
        story
    };
    // Held by a share, for as long as that is there.
    assert_eq!(late(image_going(shared()), 100, vec![]), []);
    let let_go = image_going(going()).wait(10).share_gone("s", &[ANNE]);
    assert_eq!(late(let_go, 100, vec![]), [Invariant::EndsInTime]);
}
