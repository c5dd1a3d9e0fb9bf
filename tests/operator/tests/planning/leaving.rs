//! Recipients that give an image back by themselves: given again once, and then not before a share asks anew.

use imageshare_operator::api::cloud_image::GrantState;
use imageshare_operator::api::conditions::Reason;
use imageshare_operator::domain::identifiers::{PrincipalId, Recipient, RecipientKind};
use imageshare_operator::domain::image::ImageState;
use imageshare_operator::domain::provider::Provider;
use imageshare_operator::domain::share::Share;

use super::table::share;
use super::world::{World, ask};

const HOUR: i64 = 3600;

fn account(n: usize) -> Recipient {
    Recipient { kind: RecipientKind::Account, id: PrincipalId::parse(&format!("{n:0>12}")).unwrap() }
}

fn organization() -> Recipient {
    let id = PrincipalId::parse("arn:aws:organizations::111122223333:organization/o-abcdefghij").unwrap();
    Recipient { kind: RecipientKind::Organization, id }
}

/// An image of AWS that these have.
fn shared_with(recipients: &[Recipient]) -> World {
    let share = Share { recipients: recipients.iter().map(ask).collect(), ..share(1, &[]) };
    let mut world = World::at(Provider::Aws, vec![share]);
    world.passes(2);
    assert_eq!(world.cloud.len(), recipients.len());
    world
}

/// The recipient is gone from the cloud, and the operator reconciles for some minutes.
fn vanish(world: &mut World, recipient: &Recipient) {
    world.cloud.remove(recipient);
    world.passes(30);
}

fn has_left(world: &World, recipient: &Recipient) -> bool {
    world.ledger.grants.get(recipient).is_some_and(|entry| entry.refusal == Some(Reason::RecipientLeft))
}

#[test]
fn a_recipient_that_vanishes_twice_has_left_and_nobody_else_loses_anything() {
    let mut world = shared_with(&[account(1), account(2)]);
    vanish(&mut world, &account(1));
    assert!(world.cloud.contains_key(&account(1)), "given again once");
    world.later(23 * HOUR);
    vanish(&mut world, &account(1));
    assert!(has_left(&world, &account(1)) && !world.cloud.contains_key(&account(1)));
    assert_eq!(world.ledger.grants[&account(2)].state, GrantState::Granted);
    world.later(1000 * HOUR);
    world.assert_at_rest();
}

#[test]
fn what_vanishes_once_in_a_while_is_a_mistake_and_given_again_each_time() {
    let mut world = shared_with(&[account(1)]);
    for _ in 0..4 {
        vanish(&mut world, &account(1));
        assert!(world.cloud.contains_key(&account(1)));
        world.later(26 * HOUR);
    }
}

#[test]
fn an_edited_or_a_new_share_asks_anew_and_the_count_begins_again() {
    for edit in [true, false] {
        let mut world = shared_with(&[account(1), account(2)]);
        vanish(&mut world, &account(1));
        vanish(&mut world, &account(1));
        assert!(has_left(&world, &account(1)));
        if edit {
            world.shares[0].generation += 1;
        } else {
            world.shares.push(Share { recipients: vec![ask(&account(1))], ..share(2, &[]) });
        }
        world.passes(2);
        assert!(world.cloud.contains_key(&account(1)));
        vanish(&mut world, &account(1));
        assert!(world.cloud.contains_key(&account(1)), "once again");
        vanish(&mut world, &account(1));
        assert!(has_left(&world, &account(1)));
    }
}

#[test]
fn a_share_that_does_not_name_the_recipient_asks_for_nothing() {
    let mut world = shared_with(&[account(1), account(2)]);
    vanish(&mut world, &account(1));
    vanish(&mut world, &account(1));
    world.shares.push(Share { recipients: vec![ask(&account(3))], ..share(2, &[]) });
    world.passes(30);
    assert!(has_left(&world, &account(1)) && world.cloud.contains_key(&account(3)));
}

#[test]
fn a_recipient_that_left_ends_with_its_share_and_counts_as_granted_if_it_is_there_again() {
    let mut world = shared_with(&[account(1), account(2)]);
    vanish(&mut world, &account(1));
    vanish(&mut world, &account(1));
    // Somebody gave it back by hand.
    world.cloud.insert(account(1), None);
    world.passes(2);
    assert!(!has_left(&world, &account(1)));
    world.cloud.remove(&account(1));
    world.passes(30);
    world.shares.clear();
    world.passes(30);
    assert!(world.ledger.grants.is_empty() && world.cloud.is_empty());
}

#[test]
fn organizations_cannot_leave_nor_can_recipients_of_other_clouds() {
    let mut world = shared_with(&[organization()]);
    for _ in 0..3 {
        vanish(&mut world, &organization());
        assert!(world.cloud.contains_key(&organization()));
    }
    let uid = Recipient { kind: RecipientKind::Account, id: PrincipalId::parse("1000000000000001").unwrap() };
    let mut world = World::at(Provider::Alibaba, vec![Share { recipients: vec![ask(&uid)], ..share(1, &[]) }]);
    world.passes(2);
    for _ in 0..3 {
        vanish(&mut world, &uid);
        assert!(world.cloud.contains_key(&uid));
    }
}

/// Disabling an image takes it from everybody.
#[test]
fn who_lost_a_disabled_image_did_not_leave_it() {
    let mut world = shared_with(&[account(1), account(2)]);
    vanish(&mut world, &account(1));
    world.image.state = ImageState::Deprecated;
    world.cloud.clear();
    world.passes(30);
    assert!(!has_left(&world, &account(1)) && !has_left(&world, &account(2)));
    world.shares[0].generation += 1;
    world.image.state = ImageState::Available;
    world.passes(30);
    assert!(world.cloud.contains_key(&account(2)));
}
