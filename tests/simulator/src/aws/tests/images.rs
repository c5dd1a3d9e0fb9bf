//! Who sees which images.

use super::*;

#[test]
fn images_are_listed_by_owner_by_id_and_by_who_may_launch_them() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let cases: [(Pair, &str, &[&str]); 12] = [
        (OWNER_KEY, "Owner.1=self", &["ami-00000001", "ami-00000002", GOLDEN]),
        (OWNER_KEY, "Owner.1=amazon", &["ami-00000004"]),
        (OWNER_KEY, "", &["ami-00000001", "ami-00000002", "ami-00000004", GOLDEN]),
        (OWNER_KEY, "ExecutableBy.1=self", &[]),
        (OWNER_KEY, "ExecutableBy.1=444455556666", &[GOLDEN]),
        (OWNER_KEY, "ExecutableBy.1=all", &["ami-00000004"]),
        (RECIPIENT_KEY, "ExecutableBy.1=self", &[GOLDEN]),
        (RECIPIENT_KEY, "ExecutableBy.1=444455556666", &[GOLDEN]),
        (RECIPIENT_KEY, "Owner.1=111122223333", &[GOLDEN]),
        (RECIPIENT_KEY, "Owner.1=self", &[]),
        (RECIPIENT_KEY, "ImageId.1=ami-00000004&ExecutableBy.1=self", &[]),
        (STRANGER_KEY, "", &["ami-00000004"]),
    ];
    for (key, form, expected) in cases {
        assert_eq!(list_ids(&mut state, key, form), expected, "{} {form}", key.0);
    }
}

#[test]
fn an_organization_and_its_units_reach_their_accounts() {
    let cases = [("OrganizationArn", ORGANIZATION), ("OrganizationalUnitArn", UNIT)];
    for (field, arn) in cases {
        let mut state = plain();
        let form = format!("ImageId={GOLDEN}&LaunchPermission.Add.1.{field}={}", encode(arn));
        ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &form);
        assert_eq!(list_ids(&mut state, RECIPIENT_KEY, "ExecutableBy.1=self"), [GOLDEN]);
        assert_eq!(
            list_ids(&mut state, OWNER_KEY, "ExecutableBy.1=444455556666"),
            [] as [&str; 0],
            "direct shares only"
        );
        assert_eq!(list_ids(&mut state, STRANGER_KEY, "ExecutableBy.1=self"), [] as [&str; 0]);
        let permission = recipients(&mut state);
        assert!(permission.contains(arn), "{permission}");
        // It is no permission of the recipient's own to give back.
        assert_eq!(
            code_of(&mut state, RECIPIENT_KEY, "CancelImageLaunchPermission", &format!("ImageId={GOLDEN}")),
            "InvalidAMIID.NotFound"
        );
    }
}

#[test]
fn an_image_that_an_account_does_not_see_is_not_there() {
    let mut state = plain();
    let (status, code, message) = refused(&mut state, RECIPIENT_KEY, "DescribeImages", &format!("ImageId.1={GOLDEN}"));
    assert_eq!((status, code.as_str()), (400, "InvalidAMIID.NotFound"));
    assert_eq!(message, format!("The image id '[{GOLDEN}]' does not exist"));
    let many = format!("ImageId.1={GOLDEN}&ImageId.2=ami-00000004&ImageId.3=ami-ffffffff");
    let (_, _, message) = refused(&mut state, RECIPIENT_KEY, "DescribeImages", &many);
    assert_eq!(message, format!("The image ids '[{GOLDEN}, ami-ffffffff]' do not exist"));
    for malformed in ["golden", "ami-1", "ami-0123456789ABCDEF0", "ami-0123456789abcdeg0"] {
        let code = code_of(&mut state, OWNER_KEY, "DescribeImages", &format!("ImageId.1={malformed}"));
        assert_eq!(code, "InvalidAMIID.Malformed", "{malformed}");
    }
    let elsewhere = Asking { region: "eu-central-1", ..by(OWNER_KEY) };
    let (_, body) = ask_as(&mut state, &elsewhere, "DescribeImages", &format!("ImageId.1={GOLDEN}"));
    assert_eq!(text(&body, "Code"), "InvalidAMIID.NotFound");
    let (_, body) = ask_as(&mut state, &elsewhere, "DescribeImages", "Owner.1=self");
    assert_eq!(texts(&body, "imageId"), ["ami-00000003"]);
}

#[test]
fn a_row_has_the_vendors_fields_and_only_the_tags_that_are_meant_for_its_reader() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let row = |state: &mut State, key| ask(state, key, "DescribeImages", &format!("ImageId.1={GOLDEN}"));
    let own = row(&mut state, OWNER_KEY);
    for (field, value) in [
        ("imageOwnerId", OWNER),
        ("imageState", "available"),
        ("isPublic", "false"),
        ("name", "a&lt;b"),
        ("rootDeviceType", "ebs"),
        ("creationDate", "2026-11-30T08:56:45.000Z"),
        ("snapshotId", SNAPSHOT),
        ("encrypted", "false"),
        ("volumeSize", "8"),
        ("deregistrationProtection", "disabled"),
    ] {
        assert_eq!(text(&own, field), value, "{field}: {own}");
    }
    assert!(own.contains("<DescribeImagesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">"));
    assert_eq!(texts(&own, "key"), ["ec2:SharedTag/os", "team"]);
    let received = row(&mut state, RECIPIENT_KEY);
    assert_eq!(texts(&received, "key"), ["ec2:SharedTag/os"]);
    assert!(!received.contains("deregistrationProtection"));
}

#[test]
fn deprecated_images_are_hidden_from_recipients_lists_and_disabled_ones_from_all() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let deprecate = format!("ImageId={GOLDEN}&DeprecateAt=2026-11-30T09:00:00Z");
    ask(&mut state, OWNER_KEY, "EnableImageDeprecation", &deprecate);
    assert_eq!(list_ids(&mut state, RECIPIENT_KEY, "ExecutableBy.1=self"), [GOLDEN]);
    advance(&mut state, 600);
    assert_eq!(list_ids(&mut state, RECIPIENT_KEY, "ExecutableBy.1=self"), [] as [&str; 0]);
    assert_eq!(list_ids(&mut state, RECIPIENT_KEY, "ExecutableBy.1=self&IncludeDeprecated=true"), [GOLDEN]);
    assert_eq!(list_ids(&mut state, RECIPIENT_KEY, &format!("ImageId.1={GOLDEN}")), [GOLDEN]);
    assert!(list_ids(&mut state, OWNER_KEY, "Owner.1=self").contains(&GOLDEN.to_owned()));

    ask(&mut state, OWNER_KEY, "DisableImage", &format!("ImageId={GOLDEN}"));
    assert!(!list_ids(&mut state, OWNER_KEY, "Owner.1=self").contains(&GOLDEN.to_owned()));
    assert!(list_ids(&mut state, OWNER_KEY, "Owner.1=self&IncludeDisabled=true").contains(&GOLDEN.to_owned()));
    assert_eq!(recipients(&mut state), "");
    ask(&mut state, OWNER_KEY, "EnableImage", &format!("ImageId={GOLDEN}"));
    assert_eq!(recipients(&mut state), "", "the permissions are gone for good");
}

#[test]
fn filters_find_images_by_name_description_tag_and_snapshot() {
    let mut state = plain();
    let cases: [(&str, &str, &[&str]); 8] = [
        ("name", "golden-*", &["ami-00000001"]),
        ("state", "available", &["ami-00000001", "ami-00000002", GOLDEN]),
        ("block-device-mapping.snapshot-id", "snap-00000002", &["ami-00000001"]),
        ("block-device-mapping.encrypted", "true", &["ami-00000001", "ami-00000002"]),
        ("tag:team", "c?re", &[GOLDEN]),
        ("tag-key", "team", &[GOLDEN]),
        ("is-public", "true", &[]),
        ("owner-id", OWNER, &["ami-00000001", "ami-00000002", GOLDEN]),
    ];
    for (name, value, expected) in cases {
        let form = format!("Owner.1=self&Filter.1.Name={name}&Filter.1.Value.1={}", encode(value));
        assert_eq!(list_ids(&mut state, OWNER_KEY, &form), expected, "{name}");
    }
    let form = "Filter.1.Name=kernel-id&Filter.1.Value.1=x";
    assert_eq!(code_of(&mut state, OWNER_KEY, "DescribeImages", form), "InvalidParameterValue");
    assert_eq!(code_of(&mut state, OWNER_KEY, "DescribeImages", "Kernel=x"), "UnknownParameter");
}

#[test]
fn an_account_that_allows_some_owners_images_does_not_see_the_others() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let allow = |state: &mut State, json: Value| {
        let patch = serde_json::from_value(json!({"allowedImages": json})).unwrap();
        state.patch_aws_account(&RECIPIENT.into(), patch).unwrap();
    };
    allow(&mut state, json!({"state": "audit-mode", "providers": ["amazon"]}));
    let answer = ask(&mut state, RECIPIENT_KEY, "DescribeImages", "ExecutableBy.1=self");
    assert_eq!((text(&answer, "imageId").as_str(), text(&answer, "imageAllowed").as_str()), (GOLDEN, "false"));
    allow(&mut state, json!({"state": "enabled", "providers": ["amazon"]}));
    assert_eq!(list_ids(&mut state, RECIPIENT_KEY, ""), ["ami-00000004"]);
    assert_eq!(
        code_of(&mut state, RECIPIENT_KEY, "DescribeImages", &format!("ImageId.1={GOLDEN}")),
        "InvalidAMIID.NotFound"
    );
    assert!(recipients(&mut state).contains(RECIPIENT), "the owner still sees the permission");
    let settings = ask(&mut state, RECIPIENT_KEY, "GetAllowedImagesSettings", "");
    assert_eq!(
        (text(&settings, "state").as_str(), text(&settings, "imageProviderSet").as_str()),
        ("enabled", "<item>amazon</item>")
    );
    allow(&mut state, json!({"state": "enabled", "providers": [OWNER]}));
    assert_eq!(list_ids(&mut state, RECIPIENT_KEY, ""), [GOLDEN]);
}

#[test]
fn a_deregistered_image_is_an_empty_list_and_unavailable_ever_after() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let answer =
        ask(&mut state, OWNER_KEY, "DeregisterImage", &format!("ImageId={GOLDEN}&DeleteAssociatedSnapshots=true"));
    assert_eq!((text(&answer, "return").as_str(), text(&answer, "returnCode").as_str()), ("true", "success"));
    let effect = last(&state).effect.clone().unwrap();
    assert_eq!((effect.deleted, effect.snapshots_deleted), (true, vec![ImageId::from(SNAPSHOT)]));
    assert_eq!(list_ids(&mut state, OWNER_KEY, &format!("ImageId.1={GOLDEN}")), [] as [&str; 0]);
    for (action, rest) in [
        ("DeregisterImage", ""),
        ("DescribeImageAttribute", "&Attribute=launchPermission"),
        ("ModifyImageAttribute", "&LaunchPermission.Add.1.UserId=444455556666"),
    ] {
        assert_eq!(
            code_of(&mut state, OWNER_KEY, action, &format!("ImageId={GOLDEN}{rest}")),
            "InvalidAMIID.Unavailable",
            "{action}"
        );
    }
    assert_eq!(
        code_of(&mut state, OWNER_KEY, "DescribeSnapshots", &format!("SnapshotId.1={SNAPSHOT}")),
        "InvalidSnapshot.NotFound"
    );
    assert_eq!(
        code_of(&mut state, RECIPIENT_KEY, "DescribeImages", &format!("ImageId.1={GOLDEN}")),
        "InvalidAMIID.NotFound"
    );
}

#[test]
fn the_recycle_bin_brings_back_an_image_with_its_permissions() {
    let mut state = plain();
    state.patch_aws_account(&OWNER.into(), serde_json::from_value(json!({"recycleBinDays": 1})).unwrap()).unwrap();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    ask(&mut state, OWNER_KEY, "DeregisterImage", &format!("ImageId={GOLDEN}"));
    assert_eq!(list_ids(&mut state, RECIPIENT_KEY, "ExecutableBy.1=self"), [] as [&str; 0]);
    let bin = ask(&mut state, OWNER_KEY, "ListImagesInRecycleBin", "");
    assert_eq!(
        (text(&bin, "imageId").as_str(), text(&bin, "recycleBinExitTime").as_str()),
        (GOLDEN, "2026-12-01T08:56:45.000Z")
    );
    ask(&mut state, OWNER_KEY, "RestoreImageFromRecycleBin", &format!("ImageId={GOLDEN}"));
    assert_eq!(last(&state).effect.as_ref().unwrap().added, [account(RECIPIENT)]);
    assert_eq!(list_ids(&mut state, RECIPIENT_KEY, "ExecutableBy.1=self"), [GOLDEN]);
    ask(&mut state, OWNER_KEY, "DeregisterImage", &format!("ImageId={GOLDEN}"));
    advance(&mut state, 25 * 3600);
    assert_eq!(
        code_of(&mut state, OWNER_KEY, "RestoreImageFromRecycleBin", &format!("ImageId={GOLDEN}")),
        "InvalidAMIID.NotFound"
    );
}

#[test]
fn a_protected_image_is_deregistered_a_day_after_its_protection() {
    let mut state = plain();
    let image = format!("ImageId={GOLDEN}");
    let word = ask(&mut state, OWNER_KEY, "EnableImageDeregistrationProtection", &format!("{image}&WithCooldown=true"));
    assert_eq!(text(&word, "return"), "enabled-with-cooldown");
    assert_eq!(code_of(&mut state, OWNER_KEY, "DeregisterImage", &image), "OperationNotPermitted");
    ask(&mut state, OWNER_KEY, "DisableImageDeregistrationProtection", &image);
    assert_eq!(code_of(&mut state, OWNER_KEY, "DeregisterImage", &image), "OperationNotPermitted");
    advance(&mut state, 24 * 3600);
    ask(&mut state, OWNER_KEY, "DeregisterImage", &image);
}

#[test]
fn regions_are_those_of_the_partition_and_their_opt_in() {
    let mut state = plain();
    let of = |answer: &str| (texts(answer, "regionName"), texts(answer, "optInStatus"));
    let (names, _) = of(&ask(&mut state, OWNER_KEY, "DescribeRegions", ""));
    assert_eq!(names, ["us-east-1", "eu-central-1"]);
    let (names, opted) = of(&ask(&mut state, OWNER_KEY, "DescribeRegions", "AllRegions=true"));
    assert_eq!(
        (names.last().map(String::as_str), opted.last().map(String::as_str)),
        (Some("af-south-1"), Some("not-opted-in"))
    );
    let answer = ask(&mut state, RECIPIENT_KEY, "DescribeRegions", "");
    assert!(of(&answer).1.contains(&"opted-in".to_owned()) && answer.contains("ec2.af-south-1.amazonaws.com"));
    let china = Asking { region: "cn-north-1", ..by(("AKIACHINA", "hush")) };
    let (_, body) = ask_as(&mut state, &china, "DescribeRegions", "");
    assert_eq!(
        (of(&body).0, text(&body, "regionEndpoint")),
        (vec!["cn-north-1".to_owned()], "ec2.cn-north-1.amazonaws.com.cn".to_owned())
    );
}
