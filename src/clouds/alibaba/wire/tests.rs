use super::*;

const ACCOUNT: &str = "1000000000000001";

fn image() -> ImageId {
    ImageId::parse("m-2ze1a2b3c4d5e6f7g8h9").unwrap()
}

fn principal(id: &str) -> PrincipalId {
    PrincipalId::parse(id).unwrap()
}

fn observed(body: &str) -> Result<Option<ImageFacts>, Fault> {
    read_image(body.as_bytes(), &image(), &principal(ACCOUNT))
}

/// An answer from the vendor's documentation, with fields that the parser ignores.
const FULL: &str = r#"{"RequestId":"473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E","RegionId":"cn-beijing","TotalCount":1,
    "PageNumber":1,"PageSize":10,"Images":{"Image":[{"ImageId":"m-2ze1a2b3c4d5e6f7g8h9","ImageName":"golden 镜像",
    "ImageOwnerAlias":"self","ImageOwnerId":1000000000000001,"Status":"Available","Progress":"100%","Size":40,
    "ProductCode":"","IsSelfShared":"true","Usable":true,"Tags":{"Tag":[{"TagKey":"k","TagValue":"v"}]},
    "DiskDeviceMappings":{"DiskDeviceMapping":[
      {"Device":"/dev/xvda","Type":"system","Size":"40","Encrypted":false},
      {"Device":"/dev/xvdb","Type":"data","Size":"100","Encrypted":true}]}}]}}"#;

#[test]
fn documented_answer_is_read() {
    let facts = observed(FULL).unwrap().unwrap();
    let wanted = ImageFacts {
        ownership: Ownership::Own,
        state: ImageState::Available,
        kind: ImageKind::FullServer,
        name: "golden 镜像".to_owned(),
        encrypted: true,
        keys: BTreeSet::new(),
        snapshots: BTreeSet::new(),
        from_marketplace: false,
        visibility: Visibility::Shared,
        size: Some(40 << 30),
    };
    assert_eq!(facts, wanted);
}

/// The documented answer with one text replaced.
fn with(from: &str, to: &str) -> Result<Option<ImageFacts>, Fault> {
    assert!(FULL.contains(from), "{from}");
    observed(&FULL.replace(from, to))
}

#[test]
fn a_community_image_is_public() {
    let public = |value: &str| with(r#""Usable":true"#, &format!(r#""IsPublic":{value}"#)).unwrap().unwrap().visibility;
    let found = ["true", "false", "null"].map(public);
    assert_eq!(found, [Visibility::Public, Visibility::Shared, Visibility::Shared]);
}

#[test]
fn owner_is_told_from_alias_and_id() {
    let owner = Some(principal("1000000000000009"));
    for (alias, id, wanted) in [
        ("self", r#","ImageOwnerId":"1000000000000001""#, Ownership::Own),
        ("self", "", Ownership::Own),
        ("self", r#","ImageOwnerId":null"#, Ownership::Own),
        ("self", r#","ImageOwnerId":1000000000000009"#, Ownership::Received { owner: owner.clone() }),
        ("others", r#","ImageOwnerId":1000000000000009"#, Ownership::Received { owner }),
        ("others", "", Ownership::Received { owner: None }),
        ("system", r#","ImageOwnerId":0"#, Ownership::System),
        ("marketplace", r#","ImageOwnerId":1"#, Ownership::Marketplace),
    ] {
        let from = r#""self","ImageOwnerId":1000000000000001"#;
        let facts = with(from, &format!(r#""{alias}"{id}"#)).unwrap().unwrap();
        assert_eq!(facts.ownership, wanted, "{alias} {id}");
    }
}

#[test]
fn every_status_of_the_vendor_is_known() {
    for (status, wanted) in [
        ("Available", ImageState::Available),
        ("Creating", ImageState::Creating),
        ("Waiting", ImageState::Creating),
        ("CreateFailed", ImageState::Failed),
        ("UnAvailable", ImageState::Failed),
        ("Deprecated", ImageState::Deprecated),
    ] {
        assert_eq!(with("Available", status).unwrap().unwrap().state, wanted, "{status}");
    }
}

#[test]
fn disks_tell_the_kind() {
    assert_eq!(with(r#""data""#, r#""system""#).unwrap().unwrap().kind, ImageKind::SystemDisk);
    assert_eq!(with(r#""system""#, r#""data""#).unwrap().unwrap().kind, ImageKind::DataDisk);
    assert_eq!(with("DiskDeviceMappings", "Other").unwrap().unwrap().kind, ImageKind::SystemDisk);
    assert_eq!(with("DiskDeviceMapping\"", "Other\"").unwrap().unwrap().kind, ImageKind::SystemDisk);
    assert!(with("\"ProductCode\":\"\"", "\"ProductCode\":\"cmjj01\"").unwrap().unwrap().from_marketplace);
}

#[test]
fn unknown_image_is_an_empty_list() {
    let empty = r#"{"RequestId":"R","TotalCount":0,"Images":{"Image":[]}}"#;
    assert_eq!(observed(empty), Ok(None));
}

#[test]
fn answers_that_prove_nothing_are_unintelligible() {
    let row = FULL.split_once("\"Image\":[").unwrap().1.rsplit_once("]}}").unwrap().0;
    for body in [
        "",
        "null",
        "{}",
        "[]",
        "<html>",
        r#"{"Images":{"Image":[]}}"#,
        r#"{"TotalCount":0,"Images":{}}"#,
        r#"{"TotalCount":0,"Images":{"Image":null}}"#,
        r#"{"TotalCount":1,"Images":{"Image":[]}}"#,
        &FULL.replace("\"TotalCount\":1", "\"TotalCount\":2"),
        &FULL[..FULL.len() - 1],
        &FULL.replace("m-2ze1a2b3c4d5e6f7g8h9", "m-other"),
        &FULL.replace("\"self\"", "\"nobody\""),
        &FULL.replace("\"Available\"", "\"Melting\""),
        &FULL.replace("ImageOwnerAlias", "Other"),
        &FULL.replace("1000000000000001", "-1"),
        &format!(r#"{{"TotalCount":2,"Images":{{"Image":[{row},{row}]}}}}"#),
    ] {
        assert_eq!(observed(body), Err(Fault::Unintelligible), "{body}");
    }
}

#[test]
fn endless_names_are_cut() {
    let facts = with("golden 镜像", &"名".repeat(5000)).unwrap().unwrap();
    assert_eq!(facts.name.chars().count(), NAME_CHARS_MAX);
}

const PAGE: &str = r#"{"RequestId":"R","RegionId":"cn-beijing","ImageId":"m-2ze1a2b3c4d5e6f7g8h9","TotalCount":2,
    "PageNumber":1,"PageSize":100,"Accounts":{"Account":[
    {"AliyunId":"1000000000000002","SharedTime":"2024-05-06T07:08:09Z"},{"AliyunId":1000000000000003}]},
    "ShareGroups":{"ShareGroup":[]}}"#;

#[test]
fn page_of_recipients_is_read_with_text_and_number_ids() {
    let page = read_recipients(PAGE.as_bytes(), &image(), 1).unwrap();
    let ids: Vec<&str> = page.rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!((page.total, ids), (2, vec!["1000000000000002", "1000000000000003"]));
    assert!(page.rows.iter().all(|row| row.kind == RecipientKind::Account));
}

#[test]
fn total_and_duplicates_are_handed_on_as_sent() {
    let body = PAGE.replace("\"TotalCount\":2", "\"TotalCount\":7").replace("0003", "0002");
    let page = read_recipients(body.as_bytes(), &image(), 1).unwrap();
    assert_eq!((page.total, page.rows.len()), (7, 2));
    assert_eq!(page.rows[0], page.rows[1]);
}

#[test]
fn pages_of_something_else_are_unintelligible() {
    for body in [
        PAGE.replace("m-2ze1a2b3c4d5e6f7g8h9", "m-other"),
        PAGE.replace("\"PageNumber\":1", "\"PageNumber\":2"),
        PAGE.replace("TotalCount", "Other"),
        PAGE.replace("\"TotalCount\":2", "\"TotalCount\":-2"),
        PAGE.replace("1000000000000002", "somebody"),
        PAGE.replace("Accounts", "Other"),
        PAGE.replace("AliyunId", "Other"),
        PAGE[..PAGE.len() - 2].to_owned(),
        format!(
            r#"{{"TotalCount":1001,"Accounts":{{"Account":[{}]}}}}"#,
            vec![r#"{"AliyunId":"12345"}"#; ROWS_MAX + 1].join(",")
        ),
    ] {
        assert_eq!(read_recipients(body.as_bytes(), &image(), 1), Err(Fault::Unintelligible));
    }
}

#[test]
fn regions_and_identity_are_read() {
    let regions = br#"{"RequestId":"R","Regions":{"Region":[{"RegionId":"cn-beijing","LocalName":"x"},
        {"RegionId":"cn-hangzhou"}]}}"#;
    let names: Vec<String> = read_regions(regions).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["cn-beijing", "cn-hangzhou"]);
    assert_eq!(read_regions(br#"{"Regions":{"Region":[{"RegionId":"a/b"}]}}"#), Err(Fault::Unintelligible));

    let identity = br#"{"IdentityType":"Account","RequestId":"R","AccountId":"1000000000000001","UserId":"2"}"#;
    assert_eq!(read_identity(identity), Ok(principal(ACCOUNT)));
    assert_eq!(read_identity(br#"{"AccountId":"root"}"#), Err(Fault::Unintelligible));
}

#[test]
fn write_counts_only_with_a_request_id() {
    assert_eq!(read_write(br#"{"RequestId":"R"}"#), Ok(()));
    for body in [&b""[..], b"{}", b"<html>Welcome</html>", br#"{"RequestId":""}"#, br#"{"RequestId":1}"#] {
        assert_eq!(read_write(body), Err(Fault::Unintelligible));
    }
}
