//! Images made of snapshots and instances.

use super::*;

/// The snapshot of the system disk of [`GOLDEN`], and of its data disk.
const SYSTEM: &str = "SnapshotId=s-bp67acfmxazb4p0000a";
const DATA: &str = "SnapshotId=s-bp67acfmxazb4p0000b";
const HERE: &str = "RegionId=cn-hangzhou";

fn code(state: &mut State, key: (&str, &str), query: &str) -> String {
    let answer = ask(state, key, "CreateImage", &format!("{HERE}&{query}"));
    answer["Code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_image_is_made_of_a_snapshot_of_an_own_one() {
    let mut state = plain();
    let query = format!(
        "{HERE}&{SYSTEM}&ImageName=silver&Description=of+gold&ImageFamily=metals&Tag.1.Key=team&Tag.1.Value=core"
    );
    let made = ask(&mut state, OWNER_KEY, "CreateImage", &query);
    let id = made["ImageId"].as_str().unwrap().to_owned();
    assert_eq!(last(&state).effect.as_ref().unwrap().created.as_ref().unwrap().as_str(), id);
    let list = format!("{HERE}&ImageId={id}");
    let row = ask(&mut state, OWNER_KEY, "DescribeImages", &list)["Images"]["Image"][0].clone();
    assert_eq!([&row["ImageName"], &row["Description"], &row["ImageFamily"]], ["silver", "of gold", "metals"]);
    assert_eq!((&row["Status"], &row["IsCopied"]), (&json!("Available"), &json!(false)));
    assert_eq!(row["Tags"]["Tag"][0]["TagKey"], "team");
    assert_eq!(row["DiskDeviceMappings"]["DiskDeviceMapping"].as_array().unwrap().len(), 1);
    ask(&mut state, OWNER_KEY, "DeleteImage", &list);
    assert!(last(&state).effect.as_ref().unwrap().deleted);
}

#[test]
fn what_an_image_cannot_be_made_of_or_be_is_refused() {
    let mut state = plain();
    for (key, query, wanted) in [
        (OWNER_KEY, "ImageName=silver".to_owned(), "MissingParameter"),
        (OWNER_KEY, "SnapshotId=s-none".to_owned(), "InvalidSnapshotId.NotFound"),
        (RECIPIENT_KEY, SYSTEM.to_owned(), "InvalidSnapshotId.NotFound"),
        (OWNER_KEY, DATA.to_owned(), "OperationDenied"),
        (OWNER_KEY, "InstanceId=i-none".to_owned(), "InvalidInstanceId.NotFound"),
        (OWNER_KEY, format!("{SYSTEM}&ImageName=a%3Cb"), "InvalidImageName.Malformed"),
        (OWNER_KEY, format!("{SYSTEM}&Architecture=arm64"), "InvalidParameter"),
        (OWNER_KEY, format!("{SYSTEM}&Platform=Ubuntu"), "UnsupportedParameter"),
        (OWNER_KEY, format!("{SYSTEM}&DryRun=true"), "DryRunOperation"),
    ] {
        assert_eq!(code(&mut state, key, &query), wanted, "{query}");
        assert!(last(&state).effect.is_none(), "{query}");
    }
    let instances =
        WORLD.replace("TOKEN", "").replace("{id: '2000000000000000',", "{id: '2000000000000000', instances: [i-1],");
    let mut state = State::new(WorldFile::parse(&instances).unwrap()).unwrap();
    assert_eq!(code(&mut state, OWNER_KEY, "InstanceId=i-1"), "");
}

#[test]
fn a_repetition_makes_no_second_image() {
    let mut state = plain();
    let query = format!("{HERE}&{SYSTEM}&ImageName=silver&ClientToken=t");
    let first = ask(&mut state, OWNER_KEY, "CreateImage", &query)["ImageId"].clone();
    assert_eq!(ask(&mut state, OWNER_KEY, "CreateImage", &query)["ImageId"], first);
    assert!(last(&state).effect.is_none());
    let other = format!("{SYSTEM}&ImageName=other&ClientToken=t");
    assert_eq!(code(&mut state, OWNER_KEY, &other), "IdempotentParameterMismatch");
}
