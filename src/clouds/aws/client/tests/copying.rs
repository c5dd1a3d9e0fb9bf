//! Copies: the requests, and the results of the answers.

use super::*;
use crate::clouds::{Copies, CopyMark, CopyOrder, CopyProgress, Copying};
use crate::domain::identifiers::{KeyId, ObjectUid};

const UID: &str = "7f3cb0a2-6a55-4a7c-9f0e-2b8d1c4e5f60";
const COPY: &str = "ami-0fedcba9876543210";

fn order() -> CopyOrder {
    CopyOrder {
        source: image(),
        region: region("us-west-2"),
        name: Provider::Aws.parse_image_name("golden copy").unwrap(),
        mark: CopyMark { uid: ObjectUid::parse(UID).unwrap(), attempt: 2 },
        agency: None,
        project: None,
        vault: None,
        key: None,
    }
}

fn copy() -> ImageId {
    ImageId::parse(COPY).unwrap()
}

fn described(id: &str, owner: &str, state: &str, description: &str) -> String {
    row(id, owner, state, &format!("<description>{description}</description>"))
}

/// The answer that shows the copy in a state.
fn is(state: &str) -> Scripted {
    images(&described(COPY, ACCOUNT, state, &order().mark.description()), "")
}

/// The region that a call was signed for.
fn signed_for(here: &Setting, call: usize) -> String {
    let seen = here.script.seen.lock().unwrap();
    let authorization = seen[call].headers["authorization"].to_str().unwrap();
    authorization.split('/').nth(2).unwrap().to_owned()
}

#[tokio::test]
async fn a_copy_is_asked_for_in_its_own_region_with_its_mark() {
    let begun = || answers("CopyImage", &format!("<imageId>{COPY}</imageId>"));
    let here = Setting::new([begun(), begun()]).await;
    assert_eq!(here.cloud.begin_copy(&order(), None, Priority::Edit).await, Ok(Copying::Image(copy())));
    let (description, token) = (format!("Made by imageshare-operator for ImageReplica {UID} (2)"), format!("{UID}-2"));
    let plain = [
        ("Name", "golden copy"),
        ("SourceImageId", IMAGE),
        ("SourceRegion", "eu-west-1"),
        ("ClientToken", token.as_str()),
        ("Description", description.as_str()),
    ];
    assert_eq!(here.asked(0), form("CopyImage", &plain));
    assert_eq!(signed_for(&here, 0), "us-west-2");

    let arn = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let key = KeyId::parse(arn).unwrap();
    let encrypted = CopyOrder { key: Some(key), ..order() };
    assert!(here.cloud.begin_copy(&encrypted, None, Priority::Edit).await.is_ok());
    let with_key = [("Encrypted", "true"), ("KmsKeyId", arn)];
    assert_eq!(here.asked(1), form("CopyImage", &[&plain[..], &with_key[..]].concat()));
}

#[tokio::test]
async fn a_copy_is_found_by_its_description_alone() {
    let mark = order().mark.description();
    let other = described("ami-0aaaaaaaaaaaaaaaa", ACCOUNT, "available", "mine");
    let here = Setting::new([images(&other, "t"), is("pending"), images(&other, ""), images("", "")]).await;
    assert_eq!(here.cloud.find_copy(&order(), Priority::Edit).await, Ok(Some(copy())));
    let scope = [("Owner.1", "self"), ("Filter.1.Name", "description"), ("Filter.1.Value.1", mark.as_str())];
    assert_eq!(here.asked(0)[2..5], form("", &scope)[2..]);
    assert_eq!(signed_for(&here, 0), "us-west-2");
    assert_eq!(here.cloud.find_copy(&order(), Priority::Edit).await, Ok(None));
    assert_eq!(here.cloud.find_copy(&order(), Priority::Edit).await, Ok(None));
}

#[tokio::test]
async fn a_mark_on_two_images_or_on_anothers_tells_nothing() {
    let mark = order().mark.description();
    let two = described(COPY, ACCOUNT, "available", &mark) + &described(IMAGE, ACCOUNT, "available", &mark);
    let anothers = described(COPY, "210987654321", "available", &mark);
    let answers = [images(&two, ""), images(&anothers, ""), error(400, "InvalidAMIID.NotFound", "")];
    let here = Setting::new(answers).await;
    for _ in 0..3 {
        assert_eq!(here.cloud.find_copy(&order(), Priority::Edit).await, Err(Fault::Unintelligible));
    }
}

#[tokio::test]
async fn progress_follows_the_state_of_the_copy() {
    let failed = |code: &str, message: &str| {
        let reason = format!("<stateReason><code>{code}</code><message>{message}</message></stateReason>");
        images(&row(COPY, ACCOUNT, "failed", &reason), "")
    };
    let refused = |refusal, code: &str| CopyProgress::Failed(Fault::Refused { refusal, code: code.to_owned() });
    let answers = [
        (is("pending"), CopyProgress::Running { percent: None }),
        (is("available"), CopyProgress::Made(copy())),
        (is("disabled"), CopyProgress::Made(copy())),
        (is("failed"), refused(Refusal::Unknown, "failed")),
        (
            failed("Client.InternalError", "Given key ID is not accessible"),
            refused(Refusal::Key, "Client.InternalError"),
        ),
        (failed("Client.SnapshotLimit", "Too many"), refused(Refusal::Unknown, "Client.SnapshotLimit")),
        (images("", ""), CopyProgress::Gone),
        (error(400, "InvalidAMIID.NotFound", ""), CopyProgress::Gone),
    ];
    for (answer, wanted) in answers {
        let here = Setting::new([answer]).await;
        let progress = here.cloud.follow_copy(&order(), &Copying::Image(copy()), Priority::Edit).await;
        assert_eq!((progress, signed_for(&here, 0).as_str()), (Ok(wanted), "us-west-2"));
    }
    let here = Setting::new([images(&row(COPY, "210987654321", "available", ""), "")]).await;
    let anothers = here.cloud.follow_copy(&order(), &Copying::Image(copy()), Priority::Edit).await;
    assert_eq!(anothers, Err(Fault::Unintelligible));
}

#[tokio::test]
async fn cancelling_removes_the_copy_with_its_snapshots() {
    for state in ["pending", "available", "failed"] {
        let here = Setting::new([is(state), done("DeregisterImage")]).await;
        assert_eq!(here.cloud.cancel_copy(&order(), &copy()).await, Ok(()));
        let wanted = form("DeregisterImage", &[("ImageId", COPY), ("DeleteAssociatedSnapshots", "true")]);
        assert_eq!((here.asked(1), signed_for(&here, 1).as_str()), (wanted, "us-west-2"));
    }
    let here = Setting::new([images("", "")]).await;
    assert_eq!((here.cloud.cancel_copy(&order(), &copy()).await, here.calls()), (Ok(()), 1));
    let here = Setting::new([is("pending"), error(400, "InvalidAMIID.Unavailable", "")]).await;
    assert_eq!(here.cloud.cancel_copy(&order(), &copy()).await, Ok(()));
}
