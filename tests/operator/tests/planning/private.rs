//! Images that are private at the cloud: their recipients are hidden, and come back when it is made shared.

use imageshare_operator::api::cloud_image::{GrantState, UnmanagedRecipients, VisibilityChange};
use imageshare_operator::api::conditions::Reason;
use imageshare_operator::domain::image::{Answer, Visibility};
use imageshare_operator::domain::provider::Provider;

use super::world::{World, project, share_of};

/// Shared with 1 and 2, and then made private behind our back.
fn made_private() -> World {
    let mut world = World::at(Provider::OpenStack, vec![share_of(1, 1..=2)]);
    world.passes(2);
    world.image.visibility = Visibility::Private;
    world
}

#[test]
fn of_a_private_image_nothing_is_added_removed_or_concluded() {
    let mut world = made_private();
    world.shares.push(share_of(2, [3]));
    let (calls, grants) = (world.calls, world.ledger.grants.clone());
    for _ in 0..5 {
        let plan = world.pass();
        assert!(!plan.acts());
        world.later(3600);
    }
    assert_eq!(
        (world.calls, &world.ledger.grants),
        (calls, &grants),
        "an empty list of a private image proves nothing"
    );
    assert_eq!(world.ledger.declined[&project(3)], Reason::ImagePrivate);
    assert_eq!(world.cloud.len(), 2);
}

#[test]
fn a_revoke_waits_until_the_private_image_shows_whom_it_has() {
    let mut world = made_private();
    world.shares[0].deleting = true;
    world.later(3600);
    world.passes(3);
    assert!(world.ledger.grants.values().all(|entry| entry.state == GrantState::Revoking));
    assert_eq!(world.ledger.grants.len(), 2);
    assert!(world.ledger.shares.contains_key("uid-1"), "the share is held until its grants are seen to have ended");
    world.image.visibility = Visibility::Shared;
    world.passes(3);
    assert!(world.cloud.is_empty() && world.ledger.grants.is_empty() && world.ledger.shares.is_empty());
}

#[test]
fn where_it_may_be_changed_a_revoke_opens_the_image_first() {
    let mut world = made_private();
    world.change = VisibilityChange::Allow;
    world.shares[0].deleting = true;
    let plan = world.pass();
    assert!(plan.open && plan.add.is_empty() && plan.remove.is_empty());
    world.passes(3);
    assert!(world.cloud.is_empty() && world.ledger.grants.is_empty());
}

#[test]
fn a_share_that_leaves_its_grants_behind_needs_no_sight_of_them() {
    let mut world = made_private();
    world.change = VisibilityChange::Allow;
    world.shares[0].deleting = true;
    world.shares[0].retain = true;
    let plan = world.pass();
    assert!(!plan.acts(), "nothing asks for the image to be opened");
    assert!(world.ledger.grants.values().all(|entry| entry.state == GrantState::Retained));
    assert!(world.ledger.shares.is_empty(), "the share may go");
}

#[test]
fn where_it_may_be_changed_a_wish_opens_the_image_before_anything_is_added() {
    let mut world = World::at(Provider::OpenStack, vec![share_of(1, [1])]);
    world.image.visibility = Visibility::Private;
    world.change = VisibilityChange::Allow;
    let plan = world.plan();
    assert!(plan.open && plan.add.is_empty());
    assert_eq!(plan.settled.declined[&project(1)], Reason::Pending);
    world.pass();
    assert!(world.cloud.is_empty());
    world.passes(1);
    assert!(world.cloud.keys().eq([&project(1)]));
    assert!(!world.plan().open);
}

#[test]
fn members_revived_by_the_opening_are_nobodys_we_asked_for() {
    let mut world = World::at(Provider::OpenStack, vec![share_of(1, [1])]);
    world.image.visibility = Visibility::Private;
    world.change = VisibilityChange::Allow;
    world.cloud.insert(project(7), Some(Answer::Accepted));
    world.passes(3);
    assert!(world.ledger.unmanaged.contains_key(&project(7)));
    assert!(!world.ledger.grants.contains_key(&project(7)));
    world.later(3600);
    world.passes(2);
    assert!(world.cloud.contains_key(&project(7)), "they are reported and left alone");
    world.policy = UnmanagedRecipients::Revoke;
    world.passes(2);
    assert!(world.cloud.keys().eq([&project(1)]), "unless the owner's policy says otherwise");
}

#[test]
fn an_image_nobody_wants_or_that_is_public_or_leaving_is_not_opened() {
    let private = |shares| {
        let mut world = World::at(Provider::OpenStack, shares);
        world.image.visibility = Visibility::Private;
        world.change = VisibilityChange::Allow;
        world
    };
    assert!(!private(vec![]).plan().open);
    let mut leaving = private(vec![share_of(1, [1])]);
    leaving.deleting = true;
    assert!(!leaving.plan().open);
    assert_eq!(leaving.plan().settled.declined[&project(1)], Reason::ImageDeleting);
    let mut public = private(vec![share_of(1, [1])]);
    public.image.visibility = Visibility::Public;
    assert!(!public.plan().acts());
    assert_eq!(public.plan().settled.declined[&project(1)], Reason::ImageNotShareable);
}

#[test]
fn a_suspended_share_neither_opens_a_private_image_nor_loses_what_it_had() {
    let mut world = made_private();
    world.change = VisibilityChange::Allow;
    world.shares[0].suspended = true;
    let grants = world.ledger.grants.clone();
    world.later(3600);
    world.assert_at_rest();
    assert_eq!((world.image.visibility, &world.ledger.grants), (Visibility::Private, &grants));
}
