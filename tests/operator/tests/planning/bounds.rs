//! The longest ledger that can be written fits what etcd stores.

use std::collections::BTreeSet;

use imageshare_operator::api::cloud_image::{CloudImageStatus, GrantState};
use imageshare_operator::api::conditions::Reason;
use imageshare_operator::api::limits::{SHARES_PER_IMAGE_MAX, UNMANAGED_LISTED_MAX};
use imageshare_operator::domain::identifiers::{PrincipalId, Recipient, RecipientKind, SnapshotId};
use imageshare_operator::domain::image::Answer;
use imageshare_operator::planning::attempts::{Attempt, ImageRefusal};
use imageshare_operator::planning::copies::{COPIES_MAX, Copies, SNAPSHOTS_MAX};
use imageshare_operator::planning::ledger::{DECLINED_MAX, Entry, GRANTS_MAX, Ledger, Served};
use jiff::Timestamp;

/// What etcd takes in one request, in bytes (its default), less what the object has beside its ledger: spec, labels, conditions,
/// managed fields.
const BYTES_MAX: usize = 1_572_864 - 200_000;

fn longest(n: usize) -> Recipient {
    Recipient { kind: RecipientKind::Organization, id: PrincipalId::parse(&format!("{n:x<255}")).unwrap() }
}

#[test]
fn the_longest_ledger_fits_etcd() {
    let now = Timestamp::UNIX_EPOCH;
    let attempt = Attempt { since: now, last: now, code: Some("c".repeat(64)) };
    let entry = Entry {
        refusal: Some(Reason::RecipientKindUnsupported),
        answer: Some(Answer::Accepted),
        absent: true,
        ..Entry::new(GrantState::ImageGone, now)
    };
    let uid = |n: usize| format!("{n:0>36}");
    let holders: BTreeSet<String> = (0..SHARES_PER_IMAGE_MAX).rev().take(20).map(uid).collect();
    let mut ledger = Ledger {
        image_refusal: Some(ImageRefusal { reason: Reason::CloudRefused, attempt: attempt.clone() }),
        deletion: Some(attempt.clone()),
        ..Ledger::default()
    };
    for n in 0..GRANTS_MAX {
        ledger.grants.insert(longest(n), entry);
        ledger.holders.insert(longest(n), holders.clone());
        ledger.attempts.insert(longest(n), attempt.clone());
    }
    ledger.declined = (0..2 * DECLINED_MAX).map(|n| (longest(n), Reason::RecipientKindUnsupported)).collect();
    ledger.unmanaged = (0..2 * UNMANAGED_LISTED_MAX).map(|n| (longest(n), Some(now))).collect();
    let served = |n| Served { namespace: "n".repeat(63), name: "s".repeat(253), generation: i64::MAX - n };
    ledger.shares = (0..SHARES_PER_IMAGE_MAX).map(|n| (uid(n), served(1))).collect();
    let account =
        |n: usize| Recipient { kind: RecipientKind::Account, id: PrincipalId::parse(&format!("{n:0>12}")).unwrap() };
    let snapshots: BTreeSet<SnapshotId> =
        (0..SNAPSHOTS_MAX).map(|n| SnapshotId::parse(&format!("snap-{n:0>17}")).unwrap()).collect();
    let attempt = Attempt { code: Some("c".repeat(32)), ..attempt };
    ledger.copies = Copies { snapshots: snapshots.clone(), ..Copies::default() };
    for n in 0..COPIES_MAX {
        ledger.copies.grants.insert(account(n), entry);
        ledger.copies.ours.insert(account(n), snapshots.clone());
        ledger.copies.attempts.insert(account(n), attempt.clone());
    }
    let mut status = CloudImageStatus::default();
    ledger.encode_into(&mut status);
    let bytes = serde_json::to_string(&status).unwrap().len();
    assert!(bytes < BYTES_MAX, "{bytes} bytes");
    assert!(bytes > BYTES_MAX / 2, "{bytes} bytes: the bounds could be higher");
}
