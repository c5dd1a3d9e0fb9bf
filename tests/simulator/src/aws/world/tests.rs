//! Worlds from files, and what the admin interface does to them.

use super::*;
use crate::world_file::WorldFile;
use serde_json::json;

const WORLD: &str = "
regions: [us-east-1]
optInRegions: [af-south-1]
accounts: [{id: '111122223333', keys: [{id: k, secret: s}], optedIn: [af-south-1]}, {id: '444455556666'}]
organizations: [{id: o-abcdefghij, management: '111122223333'}]
snapshots: [{id: snap-00000001, region: us-east-1, owner: '111122223333', encryption: default, sharedWith: ['444455556666']}]
images:
  - {id: ami-00000001, region: us-east-1, owner: '111122223333', snapshots: [snap-00000001], sharedWith: ['444455556666', all]}
  - {id: ami-00000002, region: af-south-1, owner: '111122223333', encryption: 'arn:aws:kms:af-south-1:111122223333:key/1'}
";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn load(text: &str) -> Result<World, String> {
    let indented = text.replace('\n', "\n  ");
    let file = WorldFile::parse(&format!("regions: []\naccounts: []\naws:{indented}\n"))?;
    World::load(file.aws.unwrap(), at(0))
}

#[test]
fn a_world_that_contradicts_itself_is_refused() {
    load(WORLD).unwrap();
    for (from, to) in [
        ("id: '444455556666'", "id: '4444'"),
        ("id: '444455556666'", "id: '111122223333'"),
        ("id: '444455556666'", "id: '444455556666', keys: [{id: k, secret: s}]"),
        ("optedIn: [af-south-1]", "optedIn: [us-east-1]"),
        ("id: ami-00000002", "id: ami-00000001"),
        ("id: ami-00000002", "id: ami-2"),
        ("region: af-south-1", "region: eu-west-1"),
        ("region: af-south-1", "region: af-south-1, snapshots: [snap-00000001]"),
        ("region: af-south-1, owner: '111122223333'", "region: af-south-1, owner: '999999999999'"),
        ("['444455556666', all]", "['o-abcdefghij']"),
        ("id: snap-00000001", "id: snap-1"),
        ("id: o-abcdefghij", "id: o-1"),
        ("encryption: default", "encrypted: default"),
    ] {
        let text = WORLD.replace(from, to);
        assert_ne!(text, WORLD, "{from}");
        assert!(load(&text).is_err(), "{to}");
    }
}

#[test]
fn a_dumped_world_loads_as_the_same_world() {
    let mut world = load(WORLD).unwrap();
    let add = ["arn:aws:organizations::111122223333:organization/o-abcdefghij".into()];
    world.force_permissions(&"ami-00000001".into(), &add, &["all".into()], at(1)).unwrap().unwrap();
    world.patch_image(&"ami-00000002".into(), serde_json::from_value(json!({"delete": true})).unwrap(), at(2)).unwrap();
    let text = serde_json::to_string(&json!({"regions": [], "accounts": [], "aws": world.dump()})).unwrap();
    let again = World::load(WorldFile::parse(&text).unwrap().aws.unwrap(), at(0)).unwrap();
    assert_eq!(serde_json::to_string(&again.dump()).unwrap(), serde_json::to_string(&world.dump()).unwrap());
    let image = again.image(&"ami-00000001".into()).unwrap();
    assert_eq!((image.permissions().len(), image.is_public()), (2, false));
    assert!(World::default().dump().is_none());
}

#[test]
fn what_an_account_receives_counts_its_organization_and_not_everybodys_images() {
    let mut world = load(WORLD).unwrap();
    let received = |world: &World, id: &str| world.received(&id.into()).len();
    assert_eq!([received(&world, "444455556666"), received(&world, "777788889999")], [1, 0]);
    let patch = serde_json::from_value(json!({"state": "disabled"})).unwrap();
    let effect = world.patch_image(&"ami-00000001".into(), patch, at(1)).unwrap();
    assert_eq!((effect.removed, effect.published), (vec!["444455556666".into()], Some(false)));
    assert_eq!(received(&world, "444455556666"), 0);
}

#[test]
fn what_the_admin_interface_does_not_know_it_refuses() {
    let mut world = load(WORLD).unwrap();
    assert!(world.force_permissions(&"ami-00000001".into(), &["o-abcdefghij".into()], &[], at(1)).is_err());
    assert!(world.force_permissions(&"ami-ffffffff".into(), &[], &[], at(1)).unwrap().is_none());
    assert!(world.patch_image(&"ami-ffffffff".into(), ImagePatch::default(), at(1)).is_none());
    assert!(world.patch_snapshot(&"snap-ffffffff".into(), SnapshotPatch::default()).is_none());
    assert!(!world.patch_key("none", KeyPatch::default()) && world.patch_key("k", KeyPatch::default()));
    assert!(!world.patch_account(&"1".into(), AccountPatch::default()));
    assert!(serde_json::from_value::<ImagePatch>(json!({"status": "available"})).is_err());
}
