//! Copies, from the call to their end.

use super::*;

fn copy_form(rest: &str) -> String {
    format!("Name=copy&SourceImageId={GOLDEN}&SourceRegion=us-east-1{rest}")
}

fn copied(state: &mut State, key: Pair, form: &str) -> String {
    text(&ask(state, key, "CopyImage", form), "imageId")
}

fn image_state(state: &mut State, key: Pair, id: &str) -> String {
    text(&ask(state, key, "DescribeImages", &format!("ImageId.1={id}")), "imageState")
}

#[test]
fn a_copy_is_made_in_the_region_it_is_asked_in_and_ends_by_the_clock() {
    let mut state = state_with("copySeconds: 100", "");
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let there = Asking { region: "eu-central-1", ..by(OWNER_KEY) };
    let (_, body) = ask_as(&mut state, &there, "CopyImage", &copy_form("&Description=mark"));
    let id = text(&body, "imageId");
    let found = "Owner.1=self&Filter.1.Name=description&Filter.1.Value.1=mark";
    let (_, row) = ask_as(&mut state, &there, "DescribeImages", found);
    assert_eq!((text(&row, "imageState").as_str(), text(&row, "sourceImageId").as_str()), ("pending", GOLDEN));
    advance(&mut state, 43);
    let (_, snapshots) =
        ask_as(&mut state, &there, "DescribeSnapshots", "Owner.1=self&Filter.1.Name=status&Filter.1.Value.1=pending");
    assert_eq!((text(&snapshots, "status").as_str(), text(&snapshots, "progress").as_str()), ("pending", "43%"));
    advance(&mut state, 57);
    assert_eq!((last(&state).action.as_str(), last(&state).image.clone()), ("CopyEnded", Some(id.as_str().into())));
    let (_, row) = ask_as(&mut state, &there, "DescribeImages", &format!("ImageId.1={id}"));
    assert_eq!((text(&row, "imageState").as_str(), text(&row, "imageOwnerId").as_str()), ("available", OWNER));
    assert_eq!(texts(&row, "key"), [] as [&str; 0], "tags are not copied unless asked for");
    let (_, permissions) =
        ask_as(&mut state, &there, "DescribeImageAttribute", &format!("ImageId={id}&Attribute=launchPermission"));
    assert!(permissions.contains("<launchPermission/>"), "{permissions}");
}

#[test]
fn a_client_token_stands_for_one_copy_and_a_name_for_one_image() {
    let mut state = plain();
    let id = copied(&mut state, OWNER_KEY, &copy_form("&ClientToken=t"));
    assert_eq!(copied(&mut state, OWNER_KEY, &copy_form("&ClientToken=t")), id);
    assert_eq!(last(&state).effect, None);
    let other = copy_form("&ClientToken=t&Description=x");
    assert_eq!(code_of(&mut state, OWNER_KEY, "CopyImage", &other), "IdempotentParameterMismatch");
    assert_eq!(code_of(&mut state, OWNER_KEY, "CopyImage", &copy_form("")), "InvalidAMIName.Duplicate");
    let deregister = format!("ImageId={id}&DeleteAssociatedSnapshots=true");
    ask(&mut state, OWNER_KEY, "DeregisterImage", &deregister);
    let step = last(&state).effect.clone().unwrap();
    assert_eq!((step.deleted, serde_json::to_value(step.copy.unwrap().state).unwrap()), (true, json!("cancelled")));
    advance(&mut state, 100);
    assert_ne!(last(&state).action, "CopyEnded");
    ask(&mut state, OWNER_KEY, "CopyImage", &copy_form(""));
}

#[test]
fn a_recipient_copies_only_what_it_may_make_volumes_of() {
    let mut state = plain();
    assert_eq!(code_of(&mut state, RECIPIENT_KEY, "CopyImage", &copy_form("")), "InvalidAMIID.NotFound");
    ask(&mut state, OWNER_KEY, "ModifyImageAttribute", &add(&[RECIPIENT]));
    let (_, code, message) = refused(&mut state, RECIPIENT_KEY, "CopyImage", &copy_form(""));
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("InvalidRequest", "You do not have permission to access the storage of this ami")
    );
    ask(
        &mut state,
        OWNER_KEY,
        "ModifySnapshotAttribute",
        &format!("SnapshotId={SNAPSHOT}&CreateVolumePermission.Add.1.UserId={RECIPIENT}"),
    );
    let id = copied(&mut state, RECIPIENT_KEY, &copy_form("&CopyImageTags=true"));
    advance(&mut state, 2);
    let row = ask(&mut state, RECIPIENT_KEY, "DescribeImages", &format!("ImageId.1={id}"));
    assert_eq!(
        (text(&row, "imageOwnerId").as_str(), texts(&row, "key")),
        (RECIPIENT, vec!["ec2:SharedTag/os".to_owned()])
    );
    // Across regions as well, and it stays when the owner takes everything back.
    let there = Asking { region: "eu-central-1", ..by(RECIPIENT_KEY) };
    assert_eq!(ask_as(&mut state, &there, "CopyImage", &copy_form("")).0, 200);
    ask(&mut state, OWNER_KEY, "ResetImageAttribute", &format!("ImageId={GOLDEN}&Attribute=launchPermission"));
    assert_eq!(image_state(&mut state, RECIPIENT_KEY, &id), "available");
}

#[test]
fn a_copy_is_encrypted_as_asked_and_fails_later_where_the_key_cannot_be_used() {
    let key = "arn:aws:kms:us-east-1:111122223333:key/1234";
    let by_arn = format!("&Encrypted=true&KmsKeyId={}", encode(key));
    let cases = [
        ("&Encrypted=true", "available", "key/00000000-0000-4000-8000-111122223333"),
        ("&Encrypted=true&KmsKeyId=1234", "available", key),
        ("&Encrypted=true&KmsKeyId=alias/golden", "available", key),
        (by_arn.as_str(), "available", key),
        ("&Encrypted=true&KmsKeyId=arn:aws:kms:us-east-1:111122223333:alias/golden", "available", key),
        ("&Encrypted=true&KmsKeyId=none", "failed", ""),
    ];
    for (rest, expected, arn) in cases {
        let mut state = plain();
        let id = copied(&mut state, OWNER_KEY, &copy_form(rest));
        assert_eq!(image_state(&mut state, OWNER_KEY, &id), "pending");
        advance(&mut state, 2);
        let row = ask(&mut state, OWNER_KEY, "DescribeImages", &format!("ImageId.1={id}"));
        assert_eq!(text(&row, "imageState"), expected, "{rest}");
        let snapshot = text(&row, "snapshotId");
        let snapshot = ask(&mut state, OWNER_KEY, "DescribeSnapshots", &format!("SnapshotId.1={snapshot}"));
        assert!(text(&snapshot, "kmsKeyId").ends_with(arn), "{rest}: {snapshot}");
        if expected == "failed" {
            assert_eq!((last(&state).code.as_str(), text(&snapshot, "status").as_str()), ("OK", "error"));
            assert_eq!(text(&snapshot, "statusMessage"), "Given key ID is not accessible");
            assert!(row.contains("<message>Given key ID is not accessible</message>"), "{row}");
        }
    }
    let mut state = plain();
    assert_eq!(code_of(&mut state, OWNER_KEY, "CopyImage", &copy_form("&KmsKeyId=1234")), "InvalidParameterDependency");
    let encrypted = "Name=copy&SourceImageId=ami-00000001&SourceRegion=us-east-1";
    let (_, code, message) = refused(&mut state, OWNER_KEY, "CopyImage", encrypted);
    assert_eq!(code, "InvalidRequest");
    assert!(message.starts_with("Snapshot snap-00000001 is encrypted. Creating an unencrypted copy"), "{message}");
    ask(&mut state, OWNER_KEY, "CopyImage", &format!("{encrypted}&Encrypted=true"));
}

#[test]
fn a_recipient_without_the_key_gets_a_copy_that_fails() {
    let mut state = plain();
    ask(
        &mut state,
        OWNER_KEY,
        "ModifyImageAttribute",
        &format!("ImageId=ami-00000001&LaunchPermission.Add.1.UserId={RECIPIENT}"),
    );
    for snapshot in ["snap-00000001", "snap-00000002"] {
        ask(
            &mut state,
            OWNER_KEY,
            "ModifySnapshotAttribute",
            &format!("SnapshotId={snapshot}&CreateVolumePermission.Add.1.UserId={RECIPIENT}"),
        );
    }
    let form = |name: &str| format!("Name={name}&SourceImageId=ami-00000001&SourceRegion=us-east-1&Encrypted=true");
    let lost = copied(&mut state, RECIPIENT_KEY, &form("one"));
    let keys = json!({"kmsKeys": [{"arn": "arn:aws:kms:us-east-1:111122223333:key/1234", "usableBy": [RECIPIENT]}]});
    state.patch_aws_account(&OWNER.into(), serde_json::from_value(keys).unwrap()).unwrap();
    let made = copied(&mut state, RECIPIENT_KEY, &form("two"));
    advance(&mut state, 2);
    assert_eq!([lost, made].map(|id| image_state(&mut state, RECIPIENT_KEY, &id)), ["failed", "available"]);
}

#[test]
fn what_a_copy_is_asked_with_is_checked() {
    let mut state = state_with("copiesAtOnce: 1, copySeconds: 10", "");
    let cases = [
        ("Name=copy&SourceRegion=us-east-1".to_owned(), "MissingParameter"),
        (format!("Name=ab&SourceImageId={GOLDEN}&SourceRegion=us-east-1"), "InvalidAMIName.Malformed"),
        (format!("Name=a%2Ab&SourceImageId={GOLDEN}&SourceRegion=us-east-1"), "InvalidAMIName.Malformed"),
        (copy_form(&format!("&Description={}", "d".repeat(256))), "InvalidParameterValue"),
        (copy_form(&format!("&ClientToken={}", "t".repeat(129))), "InvalidParameterValue"),
        (format!("Name=copy&SourceImageId={GOLDEN}&SourceRegion=cn-north-1"), "InvalidParameterValue"),
        (format!("Name=copy&SourceImageId={GOLDEN}&SourceRegion=af-south-1"), "InvalidParameterValue"),
        (format!("Name=copy&SourceImageId={GOLDEN}&SourceRegion=eu-central-1"), "InvalidAMIID.NotFound"),
        (copy_form("&DestinationOutpostArn=x"), "UnknownParameter"),
        (copy_form("&DryRun=true"), "DryRunOperation"),
    ];
    for (form, expected) in cases {
        assert_eq!(code_of(&mut state, OWNER_KEY, "CopyImage", &form), expected, "{form}");
    }
    ask(&mut state, OWNER_KEY, "CopyImage", &copy_form(""));
    let again = format!("Name=copy+(2)&SourceImageId={GOLDEN}&SourceRegion=us-east-1");
    assert_eq!(code_of(&mut state, OWNER_KEY, "CopyImage", &again), "ResourceLimitExceeded");
    advance(&mut state, 10);
    ask(&mut state, OWNER_KEY, "CopyImage", &again);
}

#[test]
fn a_copy_can_be_made_to_fail_and_a_snapshot_of_two_images_outlives_one() {
    let mut state = state_with("copySeconds: 100", "");
    let id = copied(&mut state, OWNER_KEY, &copy_form(""));
    state.patch_aws_image(&GOLDEN.into(), serde_json::from_value(json!({"copiesFail": true})).unwrap()).unwrap();
    advance(&mut state, 60);
    assert_eq!((last(&state).action.as_str(), last(&state).code.as_str()), ("CopyEnded", "failed"));
    assert_eq!(image_state(&mut state, OWNER_KEY, &id), "failed");

    let second = json!({"id": "ami-00000009", "region": "us-east-1", "owner": OWNER, "snapshots": [SNAPSHOT]});
    state.create_aws_image(serde_json::from_value(second).unwrap()).unwrap();
    assert_eq!(
        code_of(&mut state, OWNER_KEY, "DeleteSnapshot", &format!("SnapshotId={SNAPSHOT}")),
        "InvalidSnapshot.InUse"
    );
    let gone =
        ask(&mut state, OWNER_KEY, "DeregisterImage", &format!("ImageId={GOLDEN}&DeleteAssociatedSnapshots=true"));
    assert_eq!(text(&gone, "returnCode"), "skipped");
    ask(&mut state, OWNER_KEY, "DeregisterImage", "ImageId=ami-00000009");
    ask(&mut state, OWNER_KEY, "DeleteSnapshot", &format!("SnapshotId={SNAPSHOT}"));
    assert!(last(&state).effect.as_ref().unwrap().deleted);
}
