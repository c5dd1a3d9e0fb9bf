//! Whose keys are asked for, and what becomes of an image whose keys cannot be read.

use super::*;

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// The disks of an image: those of these snapshots are encrypted.
fn disks(encrypted: &[&str]) -> String {
    let disk = |id: &str, encrypted: bool| {
        format!("<item><ebs><snapshotId>{id}</snapshotId><encrypted>{encrypted}</encrypted></ebs></item>")
    };
    let rows: String = encrypted.iter().map(|id| disk(id, true)).collect();
    format!("<blockDeviceMapping>{}{rows}</blockDeviceMapping>", disk("snap-0fedcba9876543210", false))
}

fn keys(ids: &[&str]) -> Scripted {
    let row = |id: &&str| format!("<item><snapshotId>{id}</snapshotId><kmsKeyId>{KEY}</kmsKeyId></item>");
    answers("DescribeSnapshots", &format!("<snapshotSet>{}</snapshotSet>", ids.iter().map(row).collect::<String>()))
}

#[tokio::test]
async fn the_keys_of_an_own_encrypted_image_are_read_in_one_call_and_of_no_other_image() {
    let ids = ["snap-0123456789abcdef0", "snap-0123456789abcdef1"];
    let own = images(&row(IMAGE, ACCOUNT, "available", &disks(&ids)), "");
    let anothers = images(&row(IMAGE, "210987654321", "available", &disks(&ids)), "");
    let plain = images(&row(IMAGE, ACCOUNT, "available", &disks(&[])), "");
    let here = Setting::new([own, keys(&ids), anothers, plain]).await;
    let facts = here.cloud.observe_image(&image(), Priority::Edit).await.unwrap().unwrap();
    assert_eq!(facts.keys.iter().map(KeyId::as_str).collect::<Vec<_>>(), [KEY]);
    let pairs = [("SnapshotId.1", ids[0]), ("SnapshotId.2", ids[1])];
    assert_eq!(here.asked(1), form("DescribeSnapshots", &pairs));
    for encrypted in [true, false] {
        let facts = here.cloud.observe_image(&image(), Priority::Edit).await.unwrap().unwrap();
        assert!(facts.keys.is_empty() && facts.encrypted == encrypted);
    }
    assert_eq!(here.calls(), 4);
}

/// A capture of the vendor's SDK.
#[tokio::test]
async fn the_call_for_keys_is_that_of_the_sdk() {
    let id = "snap-0123456789abcdef0";
    let here = Setting::new([images(&row(IMAGE, ACCOUNT, "available", &disks(&[id])), ""), keys(&[id])]).await;
    here.cloud.observe_image(&image(), Priority::Edit).await.unwrap();
    let captured = include_str!("../../../../../tests/captures/aws/DescribeSnapshots.raw");
    let body = captured.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(here.script.seen.lock().unwrap()[1].body, body.as_bytes());
}

#[tokio::test]
async fn keys_that_may_not_be_read_hide_no_image_and_trouble_is_told_as_trouble() {
    let own = || images(&row(IMAGE, ACCOUNT, "available", &disks(&["snap-0123456789abcdef0"])), "");
    let forbidden = error(403, "UnauthorizedOperation", "You are not authorized to perform this operation.");
    let gone = error(400, "InvalidSnapshot.NotFound", "The snapshot does not exist.");
    let here = Setting::new([own(), forbidden, own(), gone, own(), error(500, "InternalError", "")]).await;
    for _ in 0..2 {
        let facts = here.cloud.observe_image(&image(), Priority::Edit).await.unwrap().unwrap();
        assert!(facts.encrypted && facts.keys.is_empty());
    }
    assert_eq!(here.cloud.observe_image(&image(), Priority::Edit).await, Err(Fault::Unavailable));
}
