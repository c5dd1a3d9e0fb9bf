//! The vendor's rules on sharing and deleting, one by one.

use super::*;

mod copies;
mod copy_rules;

const OWNER: &str = "1000000000000000";
const REGION: &str = "cn-hangzhou";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn account(n: usize) -> AccountId {
    AccountId::from(format!("{}", 1_000_000_000_000_000 + n).as_str())
}

fn accounts(range: impl Iterator<Item = usize>) -> Vec<AccountId> {
    range.map(account).collect()
}

/// The owner, recipients 1 to 60, 90 on the China site, 91 with Hangzhou closed to it; `images` as YAML flow items.
fn world(rules: &str, images: &str) -> World {
    let recipients: Vec<_> = (1..=60).map(|n| format!("  - {{id: '{}'}}\n", account(n))).collect();
    let text = format!(
        "rules: {{{rules}}}\nregions: [cn-hangzhou, cn-beijing]\naccounts:\n  - {{id: '{OWNER}'}}\n{recipients}  \
         - {{id: '{}', site: China}}\n  - {{id: '{}', regions: [cn-beijing]}}\nimages: [{images}]\n",
        account(90),
        account(91),
        recipients = recipients.concat(),
    );
    World::load(WorldFile::parse(&text).unwrap(), at(0)).unwrap()
}

fn image(extra: &str) -> String {
    format!("{{id: m-golden, region: {REGION}, owner: '{OWNER}'{extra}}}")
}

fn shared_with(range: impl Iterator<Item = usize>) -> String {
    let ids: Vec<_> = range.map(|n| format!("'{}'", account(n))).collect();
    format!(", sharedWith: [{}]", ids.join(", "))
}

fn change(world: &mut World, add: Vec<AccountId>, remove: Vec<AccountId>) -> Result<Effect, String> {
    change_as(world, OWNER, &SharingChange { add, remove, ..SharingChange::default() })
}

fn change_as(world: &mut World, caller: &str, change: &SharingChange) -> Result<Effect, String> {
    let (caller, region, id) = (AccountId::from(caller), RegionId::from(REGION), ImageId::from("m-golden"));
    world.modify_sharing(&caller, &region, &id, change, at(100)).map_err(|refusal| refusal.code)
}

fn delete(world: &mut World, force: bool) -> Result<Effect, String> {
    let (caller, region, id) = (AccountId::from(OWNER), RegionId::from(REGION), ImageId::from("m-golden"));
    world.delete_image(&caller, &region, &id, force, false, at(200)).map_err(|refusal| refusal.code)
}

fn recipients(world: &World) -> Vec<AccountId> {
    let image = world.image(&ImageId::from("m-golden")).unwrap();
    image.grants().iter().map(|grant| grant.account.clone()).collect()
}

#[test]
fn additions_and_removals_past_the_tenth_are_dropped_silently() {
    let mut world = world("", &image(&shared_with(21..=32)));
    let effect = change(&mut world, accounts(1..=11), accounts(21..=32)).unwrap();
    assert_eq!(effect.added, accounts(1..=10));
    assert_eq!(effect.removed, accounts(21..=30));
    assert_eq!(recipients(&world), accounts((31..=32).chain(1..=10)));
}

#[test]
fn removals_make_room_for_additions_of_the_same_call() {
    let mut world = world("", &image(&shared_with(1..=50)));
    assert_eq!(change(&mut world, accounts(51..=51), vec![]), Err("QuotaExceed.ShareImageUser".to_owned()));
    assert_eq!(recipients(&world), accounts(1..=50));
    change(&mut world, accounts(51..=51), accounts(1..=1)).unwrap();
    assert_eq!(recipients(&world), accounts(2..=51));
}

#[test]
fn a_call_past_the_recipient_quota_adds_nobody() {
    let mut world = world("recipientsPerImage: 3", &image(&shared_with(1..=2)));
    assert_eq!(change(&mut world, accounts(3..=4), vec![]), Err("QuotaExceed.ShareImageUser".to_owned()));
    assert_eq!(recipients(&world), accounts(1..=2));
    change(&mut world, accounts(3..=3), vec![]).unwrap();
}

#[test]
fn adding_a_present_and_removing_an_absent_account_succeed_without_effect() {
    let mut world = world("recipientsPerImage: 2", &image(&shared_with(1..=2)));
    assert_eq!(change(&mut world, accounts(1..=2), accounts(7..=7)).unwrap().if_any(), None);
    assert_eq!(world.image(&ImageId::from("m-golden")).unwrap().grants()[0].since, at(0));
}

#[test]
fn an_account_removed_and_added_in_one_call_stays_with_a_new_date() {
    let mut world = world("", &image(&shared_with(1..=1)));
    let effect = change(&mut world, accounts(1..=1), accounts(1..=1)).unwrap();
    assert_eq!((effect.added, effect.removed), (accounts(1..=1), accounts(1..=1)));
    assert_eq!(world.image(&ImageId::from("m-golden")).unwrap().grants()[0].since, at(100));
}

#[test]
fn one_bad_recipient_fails_the_whole_call() {
    let mut world = world("", &image(&shared_with(9..=9)));
    for (bad, code) in [(account(0), "InvalidAccount.Forbbiden"), (account(99), "InvalidAccount.NotFound")] {
        let add = vec![account(1), bad];
        assert_eq!(change(&mut world, add, accounts(9..=9)), Err(code.to_owned()));
        assert_eq!(recipients(&world), accounts(9..=9));
    }
}

#[test]
fn a_closed_account_cannot_receive_but_can_be_removed() {
    let mut world = world("", &image(&shared_with(1..=1)));
    world.patch_account(&account(1), AccountPatch { closed: Some(true), ..AccountPatch::default() });
    assert_eq!(change(&mut world, accounts(1..=1), vec![]), Err("InvalidAccount.NotFound".to_owned()));
    assert_eq!(change(&mut world, vec![], accounts(1..=1)).unwrap().removed, accounts(1..=1));
}

#[test]
fn a_recipient_that_holds_as_many_images_as_it_may_fails_the_call() {
    let other = format!("{{id: m-other, region: cn-beijing, owner: '{OWNER}'{}}}", shared_with(1..=1));
    let images = format!("{}, {other}", image(""));
    let mut full = world("receivedImages: 1", &images);
    assert_eq!(change(&mut full, accounts(1..=2), vec![]), Err("QuotaExceed.ReceivedImage".to_owned()));
    assert_eq!(recipients(&full), []);
    change(&mut full, accounts(2..=2), vec![]).unwrap();
    let mut unlimited = world("receivedImages: null", &images);
    change(&mut unlimited, accounts(1..=2), vec![]).unwrap();
}

#[test]
fn an_account_receives_thirty_images_unless_the_world_says_otherwise() {
    let mut images: Vec<_> =
        (0..30).map(|n| format!("{{id: m-{n}, region: cn-beijing, owner: '{OWNER}'{}}}", shared_with(1..=1))).collect();
    images.push(image(""));
    let mut world = world("", &images.join(", "));
    assert_eq!(world.received(&account(1)).len(), 30);
    assert_eq!(change(&mut world, accounts(1..=1), vec![]), Err("QuotaExceed.ReceivedImage".to_owned()));
    // Re-adding a present one needs no room.
    world.force_sharing(&ImageId::from("m-golden"), &accounts(1..=1), &[], at(1)).unwrap();
    change(&mut world, accounts(1..=1), vec![]).unwrap();
}

#[test]
fn images_encrypted_with_the_service_key_are_not_shareable_and_those_with_the_customers_are() {
    let mut service = world("", &image(", encryption: ServiceKey"));
    assert_eq!(change(&mut service, accounts(1..=1), vec![]), Err("OperationDeined.EncryptedSnapshot".to_owned()));
    let mut customer = world("", &image(", encryption: CustomerKey"));
    change(&mut customer, accounts(1..=1), vec![]).unwrap();
    let publish = SharingChange { public: Some(true), ..SharingChange::default() };
    assert_eq!(change_as(&mut customer, OWNER, &publish), Err("OperationDeined.EncryptedSnapshot".to_owned()));
}

#[test]
fn marketplace_images_stay_on_their_site() {
    let mut world = world("", &image(", productCode: cmjj1"));
    assert_eq!(
        change(&mut world, accounts(90..=90), vec![]),
        Err("OperationDenied.MarketplaceImageCrossSite".to_owned())
    );
    change(&mut world, accounts(1..=1), vec![]).unwrap();
}

#[test]
fn ordinary_images_cross_sites() {
    let mut world = world("", &image(""));
    change(&mut world, accounts(90..=90), vec![]).unwrap();
}

#[test]
fn images_not_available_take_no_recipients_but_lose_them() {
    for status in ["Creating", "Waiting", "UnAvailable", "CreateFailed", "Deprecated"] {
        let mut world = world("", &image(&format!(", status: {status}{}", shared_with(1..=1))));
        assert_eq!(change(&mut world, accounts(2..=2), vec![]), Err("IncorrectImageStatus".to_owned()));
        change(&mut world, vec![], accounts(1..=1)).unwrap();
    }
}

#[test]
fn only_the_owner_in_the_images_region_finds_the_image() {
    let mut shared = world("", &image(&shared_with(1..=1)));
    let add = || SharingChange { add: accounts(2..=2), ..SharingChange::default() };
    let not_found = Err("InvalidImageId.NotFound".to_owned());
    assert_eq!(change_as(&mut shared, account(1).as_str(), &add()), not_found);
    let refused_in = |region: &str| {
        let id = ImageId::from("m-golden");
        shared.owned(&AccountId::from(OWNER), &RegionId::from(region), &id).unwrap_err().code
    };
    assert_eq!(refused_in("cn-beijing"), "InvalidImageId.NotFound");
    assert_eq!(refused_in("cn-nowhere"), "InvalidRegionId.NotFound");
    for alias in ["system", "marketplace"] {
        let mut theirs = world("", &image(&format!(", alias: {alias}")));
        assert_eq!(change_as(&mut theirs, OWNER, &add()), not_found, "{alias}");
    }
}

#[test]
fn a_region_closed_to_an_account_does_not_exist_for_it() {
    let world = world("", "");
    let refused = world.seen_by(&account(91), &RegionId::from(REGION)).unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (404, "InvalidRegionId.NotFound"));
    assert_eq!(world.regions(&account(91)), [&RegionId::from("cn-beijing")]);
}

#[test]
fn a_dry_run_checks_and_changes_nothing() {
    let mut world = world("", &image(""));
    let dry = |add| SharingChange { add, dry_run: true, ..SharingChange::default() };
    assert_eq!(change_as(&mut world, OWNER, &dry(accounts(1..=1))), Err("DryRunOperation".to_owned()));
    assert_eq!(change_as(&mut world, OWNER, &dry(accounts(0..=0))), Err("InvalidAccount.Forbbiden".to_owned()));
    assert_eq!(recipients(&world), []);
}

#[test]
fn publishing_and_withdrawing_leave_direct_shares_alone() {
    let mut world = world("", &image(&shared_with(1..=1)));
    let publish = |public| SharingChange { public: Some(public), ..SharingChange::default() };
    assert_eq!(change_as(&mut world, OWNER, &publish(true)).unwrap().published, Some(true));
    assert_eq!(change_as(&mut world, OWNER, &publish(true)).unwrap().if_any(), None);
    let seen = world.seen_by(&account(2), &RegionId::from(REGION)).unwrap();
    assert_eq!(seen[0].1, Relation::Community);
    assert_eq!(change_as(&mut world, OWNER, &publish(false)).unwrap().published, Some(false));
    assert_eq!(recipients(&world), accounts(1..=1));
}

#[test]
fn deletion_is_refused_while_anything_holds_the_image() {
    let cases = [
        (shared_with(1..=1), "ImageUseShared"),
        (", inUse: true".to_owned(), "ImageUsingByInstance"),
        (", copying: true".to_owned(), "OperationDenied.ImageCopying"),
        (", protected: true".to_owned(), "OperationDenied.ImageProtected"),
    ];
    for (held, code) in cases {
        let mut world = world("", &image(&held));
        assert_eq!(delete(&mut world, false), Err(code.to_owned()));
        assert!(world.image(&ImageId::from("m-golden")).is_some());
        let forced = delete(&mut world, true);
        assert_eq!(forced.is_ok(), code == "ImageUsingByInstance", "force and {code}");
    }
}

#[test]
fn a_deleted_image_is_gone_for_owner_and_recipients() {
    let mut world = world("", &image(&shared_with(1..=1)));
    change(&mut world, vec![], accounts(1..=1)).unwrap();
    assert!(delete(&mut world, false).unwrap().deleted);
    assert_eq!(delete(&mut world, false), Err("InvalidImageId.NotFound".to_owned()));
    assert!(world.received(&account(1)).is_empty());
}

#[test]
fn sharing_as_it_was_is_remembered() {
    let mut world = world("", &image(&shared_with(1..=1)));
    change(&mut world, accounts(2..=2), vec![]).unwrap();
    let image = world.image(&ImageId::from("m-golden")).unwrap();
    let count = |seconds| image.grants_at(at(seconds)).len();
    assert_eq!([count(-5), count(0), count(99), count(100), count(500)], [1, 1, 1, 2, 2]);
}

#[test]
fn a_world_that_contradicts_itself_is_refused() {
    let bad = [
        "{regions: [a], accounts: [{id: x}]}",
        "{regions: [a], accounts: [{id: '-1'}]}",
        "{regions: [a], accounts: [{id: '1'}, {id: '1'}]}",
        "{regions: [a], accounts: [{id: '1', regions: [b]}]}",
        "{regions: [a], accounts: [{id: '1', keys: [{id: k, secret: s}]}, {id: '2', keys: [{id: k, secret: s}]}]}",
        "{regions: [a], accounts: [{id: '1'}], images: [{id: m, region: b, owner: '1'}]}",
        "{regions: [a], accounts: [{id: '1'}], images: [{id: m, region: a, owner: '2'}]}",
        "{regions: [a], accounts: [{id: '1'}], images: [{id: m, region: a, owner: '1'}, {id: m, region: a, owner: '1'}]}",
    ];
    for text in bad {
        assert!(World::load(WorldFile::parse(text).unwrap(), at(0)).is_err(), "{text}");
    }
    for text in ["{regions: [a], accounts: [], imags: []}", "{regions: [a]}", "{regions: [a], accounts: [{id: [1]}]}"] {
        assert!(WorldFile::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_dumped_world_loads_as_the_same_world() {
    let mut world = world("recipientsPerImage: 7", &image(&shared_with(1..=2)));
    change(&mut world, accounts(3..=3), accounts(1..=1)).unwrap();
    let text = serde_json::to_string(&world.dump()).unwrap();
    let again = World::load(WorldFile::parse(&text).unwrap(), at(0)).unwrap();
    assert_eq!(serde_json::to_string(&again.dump()).unwrap(), text);
    assert_eq!(recipients(&again), accounts(2..=3));
}
