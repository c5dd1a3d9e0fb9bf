//! Who may copy an image: the calls about its snapshots are those of the vendor's SDK, and what the vendor would refuse is not sent.

use super::*;

const SNAPSHOT: &str = "snap-0123456789abcdef0";

fn snapshot() -> SnapshotId {
    SnapshotId::parse(SNAPSHOT).unwrap()
}

fn permitted(id: &str, rows: &str) -> Scripted {
    let content = format!("<snapshotId>{id}</snapshotId><createVolumePermission>{rows}</createVolumePermission>");
    answers("DescribeSnapshotAttribute", &content)
}

fn account(id: &str) -> Recipient {
    Recipient { kind: RecipientKind::Account, id: PrincipalId::parse(id).unwrap() }
}

/// The body of a request as the SDK sent it.
fn captured(raw: &'static str) -> &'static str {
    raw.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn calls_about_snapshots_are_those_of_the_sdk() {
    let here = Setting::new([permitted(SNAPSHOT, ""), done("ModifySnapshotAttribute")]).await;
    let listed = here.cloud.list_copy_permissions(&region("eu-west-1"), &snapshot(), Priority::Edit).await;
    assert_eq!(listed, Ok(BTreeSet::new()));
    let change = RecipientChange { add: vec![account("444455556666")], remove: Vec::new() };
    let changed = here.cloud.change_copy_permissions(&region("eu-west-1"), &snapshot(), &change, Priority::Edit).await;
    assert_eq!(changed, Ok(Submitted::Done));
    let bodies = [
        include_str!("../../../../../tests/captures/aws/DescribeSnapshotAttribute.raw"),
        include_str!("../../../../../tests/captures/aws/ModifySnapshotAttribute.raw"),
    ];
    for (call, raw) in bodies.into_iter().enumerate() {
        assert_eq!(here.script.seen.lock().unwrap()[call].body, captured(raw).as_bytes());
    }
}

/// The body of a removal in the signature vectors of the reference.
#[tokio::test]
async fn a_removal_names_its_direction() {
    let here = Setting::new([done("ModifySnapshotAttribute")]).await;
    let change = RecipientChange { add: Vec::new(), remove: vec![account("123456789012")] };
    here.cloud.change_copy_permissions(&region("eu-west-1"), &snapshot(), &change, Priority::Revoke).await.unwrap();
    let body = format!(
        "Action=ModifySnapshotAttribute&Version=2016-11-15&SnapshotId={SNAPSHOT}&Attribute=createVolumePermission\
         &CreateVolumePermission.Remove.1.UserId=123456789012"
    );
    assert_eq!(here.script.seen.lock().unwrap()[0].body, body.as_bytes());
}

#[tokio::test]
async fn what_a_snapshot_cannot_have_is_not_sent() {
    let here = Setting::new([]).await;
    let organization = Recipient { kind: RecipientKind::Organization, id: PrincipalId::parse(ORGANIZATION).unwrap() };
    let both = RecipientChange { add: vec![account("444455556666")], remove: vec![account("123456789012")] };
    for change in [RecipientChange { add: vec![organization], remove: Vec::new() }, both] {
        let answered =
            here.cloud.change_copy_permissions(&region("eu-west-1"), &snapshot(), &change, Priority::Edit).await;
        assert!(matches!(answered, Err(Fault::Refused { refusal: Refusal::Unknown, .. })), "{answered:?}");
    }
    let nothing = RecipientChange::default();
    let answered =
        here.cloud.change_copy_permissions(&region("eu-west-1"), &snapshot(), &nothing, Priority::Edit).await;
    assert_eq!((answered, here.calls()), (Ok(Submitted::Done), 0));
}

#[tokio::test]
async fn permissions_are_those_of_the_snapshot_asked_for_and_its_faults_are_told() {
    let row = "<item><userId>444455556666</userId></item>";
    let default_key = "Encrypted snapshots with EBS default key cannot be shared";
    let here = Setting::new([
        permitted(SNAPSHOT, row),
        permitted("snap-0fedcba9876543210", row),
        error(400, "InvalidSnapshot.NotFound", "The snapshot does not exist."),
        error(403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
        error(400, "OperationNotPermitted", default_key),
        error(400, "ResourceLimitExceeded", "The maximum number of accounts was reached"),
    ])
    .await;
    let list = async || here.cloud.list_copy_permissions(&region("eu-west-1"), &snapshot(), Priority::Edit).await;
    assert_eq!(list().await, Ok([account("444455556666")].into()));
    assert_eq!(list().await, Err(Fault::Unintelligible));
    assert_eq!(list().await, Err(Fault::NotFound(Missing::Image)));
    assert!(matches!(list().await, Err(Fault::Forbidden { .. })));
    let change = RecipientChange { add: vec![account("444455556666")], remove: Vec::new() };
    let add =
        async || here.cloud.change_copy_permissions(&region("eu-west-1"), &snapshot(), &change, Priority::Edit).await;
    assert!(matches!(add().await, Err(Fault::Refused { refusal: Refusal::Image, .. })));
    assert_eq!(add().await, Err(Fault::QuotaExceeded { quota: Quota::RecipientsPerImage }));
}
