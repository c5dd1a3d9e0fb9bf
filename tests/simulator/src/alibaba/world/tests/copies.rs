//! How copies go on: queue, progress, failure, cancellation, client tokens.

use super::*;
use crate::alibaba::world_file::Disk;
use crate::chassis::effect::{CopyRequest, CopyState};

const ABROAD: &str = "cn-beijing";

fn golden() -> ImageId {
    ImageId::from("m-golden")
}

fn named(name: &str) -> CopyRequest {
    CopyRequest { destination: Some(RegionId::from(ABROAD)), name: Some(name.to_owned()), ..CopyRequest::default() }
}

fn with_token(name: &str, token: &str) -> CopyRequest {
    CopyRequest { client_token: Some(token.to_owned()), ..named(name) }
}

fn copy_at(world: &mut World, request: &CopyRequest, seconds: i64) -> Result<(ImageId, Effect), String> {
    let (caller, region) = (AccountId::from(OWNER), RegionId::from(REGION));
    world.copy_image(&caller, &region, &golden(), request, at(seconds)).map_err(|refusal| refusal.code)
}

/// A copy by this name begun at 0.
fn begin(world: &mut World, name: &str) -> ImageId {
    copy_at(world, &named(name), 0).unwrap().0
}

fn cancel(world: &mut World, region: &str, id: &ImageId, seconds: i64) -> Result<Effect, String> {
    let caller = AccountId::from(OWNER);
    world.cancel_copy(&caller, &RegionId::from(region), id, at(seconds)).map_err(|refusal| refusal.code)
}

/// Lets the clock come to `seconds`; what ended, by name, state and second.
fn pass(world: &mut World, seconds: i64) -> Vec<(String, CopyState, i64)> {
    let mut ended = Vec::new();
    while let Some(end) = world.end_next_copy(at(seconds)) {
        ended.push((end.step.name, end.step.state, end.at.as_second()));
    }
    world.refresh_copies(at(seconds));
    ended
}

fn stand(world: &World, id: &ImageId) -> (Status, u8) {
    let spec = world.image(id).unwrap().spec();
    (spec.status, spec.copied_from.as_ref().unwrap().percent)
}

fn ids(names: &[&str], state: CopyState, second: i64) -> Vec<(String, CopyState, i64)> {
    names.iter().map(|name| ((*name).to_owned(), state, second)).collect()
}

#[test]
fn a_copy_goes_on_by_the_clock_and_is_then_an_image_of_the_caller() {
    let mut world = world("copySeconds: 100", &image(", encryption: CustomerKey, disks: [system, data], sizeGiB: 33"));
    let request = CopyRequest { description: Some("of gold".to_owned()), ..with_token("gold", "t") };
    let (id, effect) = copy_at(&mut world, &request, 0).unwrap();
    assert_eq!(stand(&world, &id), (Status::Creating, 0));
    assert_eq!(pass(&mut world, 40), []);
    assert_eq!(stand(&world, &id), (Status::Creating, 40));
    assert_eq!(pass(&mut world, 99), []);
    assert_eq!(stand(&world, &id), (Status::Creating, 99));
    assert_eq!(pass(&mut world, 150), ids(&["gold"], CopyState::Done, 100));
    assert_eq!(stand(&world, &id), (Status::Available, 100));
    let copy = world.owned(&AccountId::from(OWNER), &RegionId::from(ABROAD), &id).unwrap().spec();
    assert_eq!((copy.name.as_str(), copy.description.as_str(), copy.size_gib), ("gold", "of gold", 33));
    assert_eq!((copy.encryption, copy.disks.as_slice()), (Encryption::CustomerKey, &[Disk::System, Disk::Data][..]));
    let step = effect.copy.unwrap();
    assert_eq!((step.state, &step.image, &step.source), (CopyState::Began, &id, &golden()));
    assert_eq!((step.source_region.as_str(), step.destination.as_str()), (REGION, ABROAD));
    assert_eq!((step.name.as_str(), step.client_token.as_deref()), ("gold", Some("t")));
}

#[test]
fn five_copies_of_an_account_to_a_region_run_at_once_and_the_others_wait_in_order() {
    let mut world = world("copySeconds: 10", &image(""));
    let names = ["c1", "c2", "c3", "c4", "c5", "c6", "c7"];
    let copies = names.map(|name| begin(&mut world, name));
    let creating = |world: &World| copies.iter().filter(|id| stand(world, id).0 == Status::Creating).count();
    assert_eq!((creating(&world), stand(&world, &copies[5])), (5, (Status::Waiting, 0)));
    // Another region has a queue of its own.
    let here = copy_at(&mut world, &CopyRequest { destination: None, ..named("here") }, 0).unwrap().0;
    assert_eq!(stand(&world, &here).0, Status::Creating);
    // The queue went on when there was room, not when somebody looked.
    assert_eq!(pass(&mut world, 12).len(), 6);
    assert_eq!((creating(&world), stand(&world, &copies[5])), (2, (Status::Creating, 20)));
    assert_eq!(pass(&mut world, 100), ids(&["c6", "c7"], CopyState::Done, 20));
}

#[test]
fn accounts_do_not_wait_for_each_other() {
    let mut world = world("", &image(&shared_with(1..=1)));
    let mine = ["c1", "c2", "c3", "c4", "c5", "c6"].map(|name| begin(&mut world, name));
    assert_eq!(stand(&world, &mine[5]).0, Status::Waiting);
    let request = CopyRequest { destination: None, ..named("theirs") };
    let (caller, region) = (account(1), RegionId::from(REGION));
    let (id, _) = world.copy_image(&caller, &region, &golden(), &request, at(0)).unwrap();
    assert_eq!(stand(&world, &id).0, Status::Creating);
}

#[test]
fn a_cancelled_copy_is_gone_and_the_next_in_the_queue_begins() {
    let mut world = world("copySeconds: 10", &image(""));
    let [first, _, _, _, _, sixth, seventh] =
        ["c1", "c2", "c3", "c4", "c5", "c6", "c7"].map(|name| begin(&mut world, name));
    let effect = cancel(&mut world, ABROAD, &first, 4).unwrap();
    assert!(effect.deleted && effect.copy.unwrap().state == CopyState::Cancelled);
    assert_eq!((world.image(&first).is_none(), stand(&world, &sixth)), (true, (Status::Creating, 0)));
    cancel(&mut world, ABROAD, &seventh, 5).unwrap();
    assert_eq!(pass(&mut world, 13), ids(&["c2", "c3", "c4", "c5"], CopyState::Done, 10));
    assert_eq!(pass(&mut world, 100), ids(&["c6"], CopyState::Done, 14));
}

#[test]
fn only_a_copy_under_way_can_be_cancelled_and_only_where_it_is_made() {
    let mut world = world("", &image(""));
    let id = begin(&mut world, "gold");
    assert_eq!(cancel(&mut world, REGION, &id, 0), Err("InvalidImageId.NotFound".to_owned()));
    assert_eq!(cancel(&mut world, ABROAD, &ImageId::from("m-x"), 0), Err("InvalidImageId.NotFound".to_owned()));
    assert_eq!(cancel(&mut world, REGION, &golden(), 0), Err("ImageCreatedNotFromCopy".to_owned()));
    pass(&mut world, 2);
    assert_eq!(cancel(&mut world, ABROAD, &id, 2), Err("IncorrectImageStatus".to_owned()));
}

#[test]
fn a_copy_under_way_cannot_be_deleted_or_shared_and_a_finished_one_can() {
    let mut world = world("", &image(""));
    let id = begin(&mut world, "gold");
    let (caller, region) = (AccountId::from(OWNER), RegionId::from(ABROAD));
    let delete = |world: &mut World| world.delete_image(&caller, &region, &id, true, false, at(2)).map_err(|r| r.code);
    let share = |world: &mut World, add, remove| {
        let change = SharingChange { add, remove, ..SharingChange::default() };
        world.modify_sharing(&caller, &region, &id, &change, at(2)).map_err(|r| r.code)
    };
    assert_eq!(delete(&mut world), Err("OperationDenied.ImageCopying".to_owned()));
    assert_eq!(share(&mut world, accounts(1..=1), vec![]), Err("IncorrectImageStatus".to_owned()));
    pass(&mut world, 2);
    share(&mut world, accounts(1..=1), vec![]).unwrap();
    assert_eq!(delete(&mut world), Err("ImageUseShared".to_owned()));
    share(&mut world, vec![], accounts(1..=1)).unwrap();
    let on = CopyRequest { destination: Some(RegionId::from(REGION)), ..named("back") };
    world.copy_image(&caller, &region, &id, &on, at(2)).unwrap();
    assert!(delete(&mut world).unwrap().deleted);
}

#[test]
fn copies_of_an_image_that_is_to_fail_fail_at_sixty_percent_and_can_be_deleted() {
    let mut world = world("copySeconds: 100", &image(", copiesFail: true"));
    let id = begin(&mut world, "gold");
    assert_eq!(pass(&mut world, 59), []);
    assert_eq!(pass(&mut world, 300), ids(&["gold"], CopyState::Failed, 60));
    assert_eq!(stand(&world, &id), (Status::CreateFailed, 60));
    assert_eq!(cancel(&mut world, ABROAD, &id, 300), Err("IncorrectImageStatus".to_owned()));
    let (caller, region) = (AccountId::from(OWNER), RegionId::from(ABROAD));
    world.delete_image(&caller, &region, &id, false, false, at(300)).unwrap();
}

#[test]
fn a_copy_under_way_can_be_made_to_fail_but_not_in_the_past() {
    for (patched, ends) in [(10, 60), (80, 80)] {
        let mut world = world("copySeconds: 100", &image(""));
        begin(&mut world, "gold");
        let patch = ImagePatch { copies_fail: Some(true), ..ImagePatch::default() };
        world.patch_image(&golden(), patch, at(patched)).unwrap();
        assert_eq!(pass(&mut world, 99), ids(&["gold"], CopyState::Failed, ends));
    }
}

#[test]
fn copies_fail_when_their_source_is_deleted_and_so_do_the_queued_ones() {
    for out_of_band in [false, true] {
        let mut world = world("copySeconds: 100", &image(""));
        let names = ["c1", "c2", "c3", "c4", "c5", "c6"];
        let copies = names.map(|name| begin(&mut world, name));
        pass(&mut world, 30);
        if out_of_band {
            let patch = ImagePatch { delete: true, ..ImagePatch::default() };
            world.patch_image(&golden(), patch, at(30)).unwrap();
        } else {
            let (caller, region) = (AccountId::from(OWNER), RegionId::from(REGION));
            world.delete_image(&caller, &region, &golden(), false, false, at(30)).unwrap();
        }
        assert_eq!(pass(&mut world, 30), ids(&names, CopyState::Failed, 30));
        let stands = [&copies[0], &copies[5]].map(|id| stand(&world, id));
        assert_eq!(stands, [(Status::CreateFailed, 30), (Status::CreateFailed, 0)]);
        assert_eq!(pass(&mut world, 500), []);
    }
}

#[test]
fn the_same_request_with_the_same_token_is_the_same_copy_whatever_became_of_it() {
    let mut world = world("copySeconds: 10", &image(""));
    let request = with_token("gold", "t");
    let (id, _) = copy_at(&mut world, &request, 0).unwrap();
    let again = |world: &mut World, seconds| copy_at(world, &request, seconds).unwrap();
    assert_eq!(again(&mut world, 5), (id.clone(), Effect::default()));
    pass(&mut world, 10);
    assert_eq!(again(&mut world, 10).0, id);
    let (caller, region) = (AccountId::from(OWNER), RegionId::from(ABROAD));
    world.delete_image(&caller, &region, &id, false, false, at(11)).unwrap();
    assert_eq!(again(&mut world, 12), (id, Effect::default()));
    assert_eq!(world.images().count(), 1);
}

#[test]
fn a_token_with_other_parameters_is_refused_and_is_another_accounts_own() {
    let mut world = world("", &image(&shared_with(1..=1)));
    copy_at(&mut world, &with_token("gold", "t"), 0).unwrap();
    let mismatch = Err("IdempotentParameterMismatch".to_owned());
    assert_eq!(copy_at(&mut world, &with_token("other", "t"), 0), mismatch);
    let elsewhere = CopyRequest { destination: None, ..with_token("gold", "t") };
    assert_eq!(copy_at(&mut world, &elsewhere, 0), mismatch);
    let (caller, region) = (account(1), RegionId::from(REGION));
    world.copy_image(&caller, &region, &golden(), &elsewhere, at(0)).unwrap();
    // Without a token, two copies are two.
    let unnamed = CopyRequest { name: None, ..named("") };
    let two = [copy_at(&mut world, &unnamed, 0).unwrap().0, copy_at(&mut world, &unnamed, 0).unwrap().0];
    assert_ne!(two[0], two[1]);
}

#[test]
fn a_refused_or_dry_request_leaves_its_token_free() {
    let mut world = world("", &image(", status: Creating"));
    let request = with_token("gold", "t");
    assert_eq!(copy_at(&mut world, &request, 0), Err("IncorrectImageStatus".to_owned()));
    let patch = ImagePatch { status: Some(Status::Available), ..ImagePatch::default() };
    world.patch_image(&golden(), patch, at(0)).unwrap();
    let dry = CopyRequest { dry_run: true, ..request.clone() };
    assert_eq!(copy_at(&mut world, &dry, 0), Err("DryRunOperation".to_owned()));
    assert_eq!(world.images().count(), 1);
    copy_at(&mut world, &with_token("other", "t"), 0).unwrap();
}

#[test]
fn a_copy_of_a_received_image_stays_when_the_share_ends() {
    let mut world = world("", &image(&shared_with(1..=1)));
    let (caller, region) = (account(1), RegionId::from(REGION));
    let request = CopyRequest { destination: None, ..named("mine") };
    let (id, _) = world.copy_image(&caller, &region, &golden(), &request, at(0)).unwrap();
    change(&mut world, vec![], accounts(1..=1)).unwrap();
    assert_eq!(pass(&mut world, 2), ids(&["mine"], CopyState::Done, 2));
    delete(&mut world, false).unwrap();
    let copy = world.owned(&caller, &region, &id).unwrap().spec();
    let from = copy.copied_from.as_ref().unwrap();
    assert_eq!((copy.status, from.owner.as_str(), &from.image), (Status::Available, OWNER, &golden()));
}

#[test]
fn the_rules_and_an_image_say_how_long_copies_take() {
    let mut world = world("", &image(""));
    world.patch_rules(RulesPatch { copy_seconds: Some(30), ..RulesPatch::default() });
    begin(&mut world, "gold");
    assert_eq!(pass(&mut world, 1030), ids(&["gold"], CopyState::Done, 30));
    let patch = ImagePatch { copy_seconds: Some(7), ..ImagePatch::default() };
    world.patch_image(&golden(), patch, at(1030)).unwrap();
    copy_at(&mut world, &named("quick"), 1030).unwrap();
    assert_eq!(pass(&mut world, 2000), ids(&["quick"], CopyState::Done, 1037));
}

#[test]
fn a_dumped_copy_is_loaded_as_it_stood_and_stays_so_until_cancelled() {
    let mut world = world("copySeconds: 100", &image(""));
    let id = begin(&mut world, "gold");
    pass(&mut world, 40);
    let text = serde_json::to_string(&world.dump()).unwrap();
    let mut again = World::load(WorldFile::parse(&text).unwrap(), at(0)).unwrap();
    assert_eq!(serde_json::to_string(&again.dump()).unwrap(), text);
    assert_eq!((pass(&mut again, 1000), stand(&again, &id)), (vec![], (Status::Creating, 40)));
    // A new copy gets an id of its own.
    assert_ne!(begin(&mut again, "silver"), id);
    cancel(&mut again, ABROAD, &id, 1000).unwrap();
}
