//! Who gets a permission, and what is refused.

use super::super::world_file::AwsFile;
use super::*;

#[test]
fn the_long_form_does_what_the_short_one_does() {
    let mut state = plain();
    let long = |direction: &str| {
        format!(
            "ImageId={GOLDEN}&Attribute=launchPermission&OperationType={direction}&UserId.1={RECIPIENT}&UserId.2=777788889999&OrganizationalUnitArn.1={}",
            encode(UNIT)
        )
    };
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &long("add"));
    assert_eq!(texts(&recipients(&mut state), "userId"), [RECIPIENT, "777788889999"]);
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &long("remove"));
    assert_eq!(recipients(&mut state), "");
    let form = format!("ImageId={GOLDEN}&UserId.1={RECIPIENT}");
    assert_eq!(code_of(&mut state, OWNER_KEY, "ModifyImageAttribute", &form), "MissingParameter");
}

#[test]
fn adding_a_present_and_removing_an_absent_recipient_changes_nothing() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let form = format!("{}&LaunchPermission.Remove.1.UserId=777788889999", add(&[RECIPIENT]));
    let answer = ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &form);
    assert_eq!((text(&answer, "return").as_str(), &last(&state).effect), ("true", &None));
    assert_eq!(texts(&recipients(&mut state), "userId"), [RECIPIENT]);
}

#[test]
fn one_bad_recipient_fails_the_whole_call_and_is_named() {
    let mut state = plain();
    let bad = [
        ("UserId", "12345", "userId"),
        ("Group", "everybody", "UserGroup"),
        ("OrganizationArn", "o-abcdefghij", "OrganizationArn"),
        ("OrganizationArn", "arn:aws:organizations::111122223333:account/o-abcdefghij/444455556666", "OrganizationArn"),
        ("OrganizationArn", UNIT, "OrganizationArn"),
        ("OrganizationalUnitArn", ORGANIZATION, "OrganizationalUnitArn"),
        ("OrganizationArn", "arn:aws-cn:organizations::111122223333:organization/o-abcdefghij", "OrganizationArn"),
    ];
    for (field, value, item) in bad {
        let form = format!("{}&LaunchPermission.Add.2.{field}={}", add(&[RECIPIENT]), encode(value));
        let (status, code, message) = refused(&mut state, OWNER_KEY, "ModifyImageAttribute", &form);
        assert_eq!((status, code.as_str()), (400, "InvalidAMIAttributeItemValue"), "{value}");
        assert_eq!(message, format!("Invalid attribute item value \"{value}\" for {item} item type."));
        assert_eq!(recipients(&mut state), "");
    }
    let two = format!("{}&LaunchPermission.Add.1.Group=all", add(&[RECIPIENT]));
    assert_eq!(code_of(&mut state, OWNER_KEY, "ModifyImageAttribute", &two), "InvalidParameterCombination");
    let empty = refused(&mut state, OWNER_KEY, "ModifyImageAttribute", &format!("ImageId={GOLDEN}"));
    assert_eq!(
        (empty.1.as_str(), empty.2.as_str()),
        ("MissingParameter", "The request must contain the parameter LaunchPermission")
    );
    let with_text = format!("{}&Description.Value=x", add(&[RECIPIENT]));
    assert_eq!(code_of(&mut state, OWNER_KEY, "ModifyImageAttribute", &with_text), "InvalidParameterCombination");
}

#[test]
fn an_account_that_is_not_there_is_refused_only_where_the_world_says_so() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&["000000000000"]));
    let mut strict = state_with("refusesUnknownAccounts: true", "");
    let code = code_of(&mut strict, OWNER_KEY, "ModifyImageAttribute", &add(&["000000000000"]));
    assert_eq!(code, "InvalidAMIAttributeItemValue");
    ask(&mut strict, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
}

#[test]
fn the_owner_alone_sees_and_changes_permissions() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let read = format!("ImageId={GOLDEN}&Attribute=launchPermission");
    let (status, code, message) = refused(&mut state, RECIPIENT_KEY, "DescribeImageAttribute", &read);
    assert_eq!((status, code.as_str()), (400, "AuthFailure"));
    assert_eq!(message, format!("Not authorized for image:{GOLDEN}"));
    for (action, form) in
        [("ModifyImageAttribute", add(&["777788889999"])), ("DeregisterImage", format!("ImageId={GOLDEN}"))]
    {
        assert_eq!(refused(&mut state, RECIPIENT_KEY, action, &form).1, "AuthFailure");
        assert_eq!(refused(&mut state, STRANGER_KEY, action, &form).1, "InvalidAMIID.NotFound");
    }
}

fn load(images: &str, rules: &str) -> State {
    let mut file = WorldFile::parse(&WORLD.replace("RULES", rules).replace("TOKEN", "")).unwrap();
    let aws: &mut AwsFile = file.aws.as_mut().unwrap();
    aws.images = serde_yaml::from_str(images).unwrap();
    State::new(file).unwrap()
}

#[test]
fn a_thousand_recipients_fit_and_one_more_does_not() {
    let shared: Vec<_> = (0..998).map(|n| format!("'{n:012}'")).collect();
    let image = format!("[{{id: {GOLDEN}, region: us-east-1, owner: '{OWNER}', sharedWith: [{}]}}]", shared.join(","));
    let mut state = load(&image, "");
    let form = format!("{}&LaunchPermission.Add.2.OrganizationArn={}", add(&[RECIPIENT]), encode(ORGANIZATION));
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &form);
    let (status, code, message) = refused(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&["777788889999"]));
    assert_eq!((status, code.as_str()), (400, "ResourceLimitExceeded"), "{message}");
    assert!(message.starts_with("You have reached your quota of 1000"), "{message}");
    // What the same call removes makes no room; a present one needs none; everybody does not count.
    let exchange = format!("{}&LaunchPermission.Remove.1.UserId={RECIPIENT}", add(&["777788889999"]));
    assert_eq!(refused(&mut state, OWNER_KEY, "ModifyImageAttribute", &exchange).1, "ResourceLimitExceeded");
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &format!("ImageId={GOLDEN}&LaunchPermission.Add.1.Group=all"));
    ask(
        &mut state,
        OWNER_KEY,
        "ModifyImageAttribute",
        &format!("ImageId={GOLDEN}&LaunchPermission.Remove.1.UserId={RECIPIENT}"),
    );
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&["777788889999"]));
    state
        .patch_aws_account(&OWNER.into(), serde_json::from_value(json!({"recipientsPerImage": 2000})).unwrap())
        .unwrap();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    assert_eq!(texts(&recipients(&mut state), "item").len(), 1002);
}

#[test]
fn five_images_of_a_region_are_public_at_most_and_none_where_the_account_blocks_it() {
    let images: Vec<_> =
        (0..6).map(|n| format!("{{id: ami-1000000{n}, region: us-east-1, owner: '{OWNER}'}}")).collect();
    let mut state = load(&format!("[{}]", images.join(",")), "");
    let publish = |n: u8| format!("ImageId=ami-1000000{n}&LaunchPermission.Add.1.Group=all");
    for n in 0..5 {
        ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &publish(n));
        assert_eq!(last(&state).effect.as_ref().unwrap().published, Some(true));
    }
    let (_, code, message) = refused(&mut state, OWNER_KEY, "ModifyImageAttribute", &publish(5));
    assert_eq!(code, "ResourceLimitExceeded");
    assert!(message.starts_with("You have reached your quota of 5 for the number of public images"), "{message}");
    assert_eq!(list_ids(&mut state, STRANGER_KEY, "").len(), 5);
    assert_eq!(list_ids(&mut state, STRANGER_KEY, "ExecutableBy.1=self"), [] as [&str; 0], "explicit permissions only");
    let patch = json!({"blocksPublicAccess": true});
    state.patch_aws_account(&OWNER.into(), serde_json::from_value(patch).unwrap()).unwrap();
    let (_, code, message) = refused(&mut state, OWNER_KEY, "ModifyImageAttribute", &publish(5));
    assert_eq!(code, "OperationNotPermitted");
    assert!(message.contains("block public access"), "{message}");
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &publish(0));
    let state_of = ask(&mut state, OWNER_KEY, "GetImageBlockPublicAccessState", "");
    assert_eq!(text(&state_of, "imageBlockPublicAccessState"), "block-new-sharing");
}

#[test]
fn encrypted_images_are_shared_by_their_key() {
    let mut state = plain();
    let share = |image: &str, who: &str| format!("ImageId={image}&LaunchPermission.Add.1.{who}");
    let (_, code, message) =
        refused(&mut state, OWNER_KEY, "ModifyImageAttribute", &share("ami-00000002", "UserId=444455556666"));
    assert_eq!(code, "InvalidParameter");
    assert_eq!(message, "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot");
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &share("ami-00000001", "UserId=444455556666"));
    let public = refused(&mut state, OWNER_KEY, "ModifyImageAttribute", &share("ami-00000001", "Group=all"));
    assert_eq!(public.1, "UnsupportedOperation");
    let keys = ask(&mut state, OWNER_KEY, "DescribeSnapshots", "SnapshotId.1=snap-00000001&SnapshotId.2=snap-00000002");
    assert_eq!(texts(&keys, "kmsKeyId"), ["arn:aws:kms:us-east-1:111122223333:key/1234"; 2]);
}

#[test]
fn a_recipient_can_leave_and_the_owner_can_share_again() {
    let mut state = plain();
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let leave = format!("ImageId={GOLDEN}");
    ask(&mut state, RECIPIENT_KEY, "CancelImageLaunchPermission", &leave);
    assert_eq!(last(&state).effect.as_ref().unwrap().removed, [account(RECIPIENT)]);
    assert_eq!(recipients(&mut state), "");
    assert_eq!(code_of(&mut state, RECIPIENT_KEY, "CancelImageLaunchPermission", &leave), "InvalidAMIID.NotFound");
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    ask(&mut state, OWNER_KEY, "ResetImageAttribute", &format!("{leave}&Attribute=launchPermission"));
    assert_eq!(recipients(&mut state), "");
}

#[test]
fn snapshots_have_permissions_of_their_own() {
    let mut state = plain();
    let change = |rest: &str| format!("SnapshotId={SNAPSHOT}&Attribute=createVolumePermission{rest}");
    let list = |state: &mut State| {
        text(&ask(state, OWNER_KEY, "DescribeSnapshotAttribute", &change("")), "createVolumePermission")
    };
    let add = "&CreateVolumePermission.Add.1.UserId=444455556666";
    ask(&mut state, OWNER_KEY, "ModifySnapshotAttribute", &change(add));
    assert_eq!(last(&state).image, Some(SNAPSHOT.into()));
    assert_eq!(list(&mut state), "<item><userId>444455556666</userId></item>");
    let seen =
        |state: &mut State, form: &str| texts(&ask(state, RECIPIENT_KEY, "DescribeSnapshots", form), "snapshotId");
    assert_eq!(seen(&mut state, ""), [SNAPSHOT]);
    assert_eq!(seen(&mut state, "RestorableBy.1=self"), [SNAPSHOT]);
    assert_eq!(seen(&mut state, "Owner.1=self"), [] as [&str; 0]);
    assert_eq!(
        code_of(&mut state, RECIPIENT_KEY, "DescribeSnapshots", "SnapshotId.1=snap-00000001"),
        "InvalidSnapshot.NotFound"
    );
    assert_eq!(code_of(&mut state, RECIPIENT_KEY, "ModifySnapshotAttribute", &change(add)), "AuthFailure");
    assert_eq!(code_of(&mut state, STRANGER_KEY, "ModifySnapshotAttribute", &change(add)), "InvalidSnapshot.NotFound");
    let both = change(&format!("{add}&CreateVolumePermission.Remove.1.UserId=777788889999"));
    assert_eq!(code_of(&mut state, OWNER_KEY, "ModifySnapshotAttribute", &both), "InvalidParameterCombination");
    let organization = change(&format!("&CreateVolumePermission.Add.1.OrganizationArn={}", encode(ORGANIZATION)));
    assert_eq!(
        code_of(&mut state, OWNER_KEY, "ModifySnapshotAttribute", &organization),
        "InvalidAMIAttributeItemValue"
    );
    let many = |count: usize| {
        let items: Vec<_> = (1..=count).map(|n| format!("&CreateVolumePermission.Add.{n}.UserId={n:012}")).collect();
        change(&items.concat())
    };
    assert_eq!(code_of(&mut state, OWNER_KEY, "ModifySnapshotAttribute", &many(501)), "InvalidParameterValue");
    ask(&mut state, OWNER_KEY, "ModifySnapshotAttribute", &many(500));
    ask(&mut state, OWNER_KEY, "ModifySnapshotAttribute", &change("&OperationType=remove&UserId.1=444455556666"));
    assert_eq!(texts(&list(&mut state), "userId").len(), 500);
    let default_key = "SnapshotId=snap-00000002&CreateVolumePermission.Add.1.UserId=444455556666";
    ask(&mut state, OWNER_KEY, "ModifySnapshotAttribute", default_key);
    let patch = serde_json::from_value(json!({"encryption": "default"})).unwrap();
    state.patch_aws_snapshot(&"snap-00000002".into(), patch).unwrap();
    let refused = refused(&mut state, OWNER_KEY, "ModifySnapshotAttribute", default_key);
    assert_eq!(
        (refused.1.as_str(), refused.2.as_str()),
        ("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
    );
}

#[test]
fn arns_come_back_normalized_where_the_world_says_so() {
    let mut state = state_with("normalizesArns: true", "");
    let other = ORGANIZATION.replace(OWNER, "999999999999");
    let form = format!("ImageId={GOLDEN}&LaunchPermission.Add.1.OrganizationArn={}", encode(&other));
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &form);
    assert!(recipients(&mut state).contains(ORGANIZATION));
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &form.replace("Add", "Remove"));
    assert_eq!(recipients(&mut state), "");
}

#[test]
fn a_dry_run_checks_and_changes_nothing() {
    let mut state = plain();
    let calls = [
        ("ModifyImageAttribute", add(&[RECIPIENT])),
        ("DeregisterImage", format!("ImageId={GOLDEN}")),
        ("DescribeImages", String::new()),
        ("DescribeRegions", String::new()),
        ("ModifySnapshotAttribute", format!("SnapshotId={SNAPSHOT}&CreateVolumePermission.Add.1.UserId={RECIPIENT}")),
        ("CreateTags", format!("ResourceId.1={GOLDEN}&Tag.1.Key=a")),
    ];
    for (action, form) in calls {
        let (status, code, _) = refused(&mut state, OWNER_KEY, action, &format!("{form}&DryRun=true"));
        assert_eq!((status, code.as_str()), (412, "DryRunOperation"), "{action}");
        assert_eq!(last(&state).effect, None);
    }
    assert_eq!(recipients(&mut state), "");
}

#[test]
fn tags_are_given_and_taken() {
    let mut state = plain();
    let both = format!("ResourceId.1={GOLDEN}&ResourceId.2={SNAPSHOT}");
    ask(
        &mut state,
        OWNER_KEY,
        "CreateTags",
        &format!("{both}&Tag.1.Key=team&Tag.1.Value=web&Tag.2.Key=env&Tag.2.Value=dev"),
    );
    let row = ask(&mut state, OWNER_KEY, "DescribeImages", &format!("ImageId.1={GOLDEN}"));
    assert_eq!(
        (texts(&row, "key"), texts(&row, "value")),
        (
            vec!["ec2:SharedTag/os".into(), "env".into(), "team".into()],
            vec!["linux".into(), "dev".into(), "web".to_owned()]
        )
    );
    ask(&mut state, OWNER_KEY, "DeleteTags", &format!("{both}&Tag.1.Key=team&Tag.1.Value=core&Tag.2.Key=env"));
    let row = ask(&mut state, OWNER_KEY, "DescribeImages", &format!("ImageId.1={GOLDEN}"));
    assert_eq!(texts(&row, "key"), ["ec2:SharedTag/os", "team"]);
    assert_eq!(
        code_of(&mut state, OWNER_KEY, "CreateTags", &format!("{both}&Tag.1.Key=aws:x")),
        "InvalidParameterValue"
    );
    assert_eq!(code_of(&mut state, OWNER_KEY, "CreateTags", "ResourceId.1=i-1&Tag.1.Key=x"), "InvalidID");
}
