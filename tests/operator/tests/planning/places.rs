//! Places, counted as each vendor counts them.

use imageshare_operator::api::conditions::Reason;
use imageshare_operator::domain::identifiers::RecipientKind::{Account, Organization};
use imageshare_operator::domain::image::{Answer, ImageKind};
use imageshare_operator::domain::provider::Provider;

use super::world::{World, of, project, share_for, share_of};

fn huawei(places: u32, projects: impl IntoIterator<Item = usize>) -> World {
    let mut world = World::at(Provider::Huawei, vec![share_of(1, projects)]);
    world.places = places;
    world.passes(3);
    world
}

#[test]
fn huawei_a_pending_or_rejected_offer_uses_no_place_and_an_accepted_one_does() {
    let mut world = huawei(2, 1..=3);
    assert_eq!((world.cloud.len(), world.plan().slots_taken), (3, 0));
    world.answer(&project(1), Answer::Rejected);
    assert_eq!(world.plan().slots_taken, 0);
    world.accept(2..=3);
    let plan = world.plan();
    assert_eq!((plan.slots_taken, plan.limit), (2, 2));
}

#[test]
fn huawei_a_full_quota_is_told_with_its_figure_and_pending_offers_beside_it_stay() {
    let mut world = huawei(128, 1..=133);
    world.passes(3);
    assert_eq!(world.cloud.len(), 133, "offers use no place");
    world.accept(1..=128);
    world.shares.push(share_of(2, [200]));
    let plan = world.pass();
    assert_eq!((plan.slots_taken, plan.limit), (128, 128));
    assert_eq!(world.ledger.declined[&project(200)], Reason::RecipientLimit);
    assert!((129..=133).all(|n| world.cloud[&project(n)] == Some(Answer::Pending)));
    world.assert_at_rest();
    assert!(world.revoked.is_empty());
    world.shares[0].recipients.remove(0);
    world.passes(4);
    assert_eq!(world.cloud[&project(200)], Some(Answer::Pending), "there is room again");
}

#[test]
fn huawei_ten_accept_a_full_server_image_and_the_eleventh_is_not_offered_it() {
    let mut world = World::at(Provider::Huawei, vec![share_of(1, 1..=10)]);
    world.image.kind = ImageKind::FullServer;
    world.passes(2);
    world.accept(1..=9);
    world.shares.push(share_of(2, [11]));
    world.passes(2);
    assert!(world.cloud.contains_key(&project(11)), "nine accepted: one more may");
    world.accept(10..=10);
    world.shares.push(share_of(3, [12]));
    let plan = world.pass();
    assert_eq!((plan.slots_taken, plan.limit), (10, 10));
    assert_eq!(world.ledger.declined[&project(12)], Reason::RecipientLimit);
}

#[test]
fn huawei_accounts_and_organizations_use_a_place_at_once() {
    let wanted = [of(Account, 1), of(Organization, 2), of(Account, 3)];
    let mut world = World::at(Provider::Huawei, vec![share_for(1, wanted.clone())]);
    world.places = 2;
    world.passes(2);
    assert!(world.cloud.keys().eq([&wanted[0], &wanted[1]]), "{:?}", world.cloud);
    assert_eq!(world.plan().slots_taken, 2);
    assert_eq!(world.ledger.declined[&wanted[2]], Reason::RecipientLimit);
    world.shares.push(share_of(2, [4]));
    world.passes(2);
    assert_eq!(world.ledger.declined[&project(4)], Reason::RecipientLimit, "no place it could accept into");
}

#[test]
fn huawei_an_older_wish_that_comes_later_displaces_nobody() {
    let mut world = World::at(Provider::Huawei, vec![share_of(5, 1..=3)]);
    world.places = 2;
    world.passes(2);
    world.accept(1..=2);
    world.shares.push(share_for(1, [of(Account, 9)]));
    world.passes(3);
    assert_eq!(world.cloud.len(), 3);
    assert!(world.revoked.is_empty());
    assert_eq!(world.ledger.declined[&of(Account, 9)], Reason::RecipientLimit);
}

#[test]
fn openstack_everybody_uses_a_place_whatever_they_answered() {
    let mut world = World::at(Provider::OpenStack, vec![share_of(1, 1..=3)]);
    world.places = 2;
    world.pass();
    assert_eq!(world.cloud.len(), 2);
    assert_eq!(world.ledger.declined[&project(3)], Reason::RecipientLimit);
    world.answer(&project(1), Answer::Rejected);
    world.accept(2..=2);
    let plan = world.pass();
    assert_eq!((plan.slots_taken, plan.limit), (2, 2));
    world.assert_at_rest();
    world.shares[0].recipients.remove(0);
    world.later(60);
    world.passes(2);
    assert!(world.cloud.keys().eq([&project(2), &project(3)]), "{:?}", world.cloud);
}

#[test]
fn openstack_one_hundred_and_twenty_eight_is_the_published_quota() {
    let mut world = World::at(Provider::OpenStack, vec![share_of(1, 1..=129)]);
    world.passes(3);
    assert_eq!((world.cloud.len(), world.plan().slots_taken), (128, 128));
    assert_eq!(world.ledger.declined[&project(129)], Reason::RecipientLimit);
}
