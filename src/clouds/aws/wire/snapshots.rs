//! Parser of snapshots.

use std::collections::BTreeSet;

use super::super::Operation;
use super::{RECIPIENTS_MAX, read, read_permission};
use crate::clouds::Fault;
use crate::domain::identifiers::{KeyId, Recipient, SnapshotId};

/// Numbered members of one direction of `CreateVolumePermission`, which knows accounts and everybody.
pub(in super::super) fn volume_permissions(
    direction: &str,
    recipients: &[Recipient],
) -> impl Iterator<Item = (String, String)> {
    (1_u32..).zip(recipients).map(move |(number, recipient)| {
        (format!("CreateVolumePermission.{direction}.{number}.UserId"), recipient.id.to_string())
    })
}

/// Reads `DescribeSnapshotAttribute` for volume permissions. The answer has no pages: it is all of them.
pub(in super::super) fn read_volume_permissions(body: &[u8], asked: &SnapshotId) -> Result<BTreeSet<Recipient>, Fault> {
    let root = read(body, Operation::DescribeSnapshotAttribute)?;
    let of_another = root.demand("snapshotId")? != asked.as_str();
    let rows = root.demand_rows("createVolumePermission")?;
    if of_another || rows.len() > RECIPIENTS_MAX {
        return Err(Fault::Unintelligible);
    }
    rows.iter().map(read_permission).collect()
}

/// Reads `DescribeSnapshots` for the keys of these snapshots. A key whose name is none of the vendor's is left out.
pub(in super::super) fn read_keys(body: &[u8], asked: &[String]) -> Result<BTreeSet<KeyId>, Fault> {
    let root = read(body, Operation::DescribeSnapshots)?;
    let mut keys = BTreeSet::new();
    for row in root.demand_rows("snapshotSet")? {
        let id = row.demand("snapshotId")?;
        if !asked.iter().any(|asked| asked == id) {
            return Err(Fault::Unintelligible);
        }
        keys.extend(row.text_of("kmsKeyId")?.and_then(|key| KeyId::parse(key).ok()));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn read_of(rows: &str) -> Result<Vec<String>, Fault> {
        let body = format!(
            "<DescribeSnapshotsResponse><requestId>r</requestId><snapshotSet>{rows}</snapshotSet></DescribeSnapshotsResponse>"
        );
        let asked = ["snap-1".to_owned(), "snap-2".to_owned()];
        Ok(read_keys(body.as_bytes(), &asked)?.iter().map(ToString::to_string).collect())
    }

    fn listed(rows: &str) -> Result<Vec<String>, Fault> {
        let body = format!(
            "<DescribeSnapshotAttributeResponse><requestId>r</requestId><snapshotId>snap-1</snapshotId>{rows}\
             </DescribeSnapshotAttributeResponse>"
        );
        let read = read_volume_permissions(body.as_bytes(), &SnapshotId::parse("snap-1").unwrap())?;
        Ok(read.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn volume_permissions_are_read_whole_or_not_at_all() {
        let rows = |rows: &str| format!("<createVolumePermission>{rows}</createVolumePermission>");
        let two = rows("<item><userId>210987654321</userId></item><item><group>all</group></item>");
        assert_eq!(listed(&two), Ok(vec!["Account 210987654321".to_owned(), "Organization all".to_owned()]));
        assert_eq!(listed("<createVolumePermission/>"), Ok(Vec::new()));
        let odd = rows("<item><userId>210987654321</userId><group>all</group></item>");
        for bad in ["", &rows("<item/>"), &rows("<item><userId>x</userId></item>"), &odd] {
            assert_eq!(listed(bad), Err(Fault::Unintelligible), "{bad}");
        }
        let another = two.replace("createVolumePermission>", "launchPermission>");
        assert_eq!(listed(&another), Err(Fault::Unintelligible));
    }

    #[test]
    fn permissions_of_another_snapshot_prove_nothing() {
        let body = "<DescribeSnapshotAttributeResponse><snapshotId>snap-2</snapshotId><createVolumePermission/>\
             </DescribeSnapshotAttributeResponse>";
        let read = read_volume_permissions(body.as_bytes(), &SnapshotId::parse("snap-1").unwrap());
        assert_eq!(read, Err(Fault::Unintelligible));
    }

    #[test]
    fn keys_of_the_snapshots_asked_for_are_read_once_each() {
        let row = |id: &str, key: &str| {
            format!("<item><snapshotId>{id}</snapshotId><encrypted>true</encrypted><kmsKeyId>{key}</kmsKeyId></item>")
        };
        assert_eq!(read_of(&(row("snap-1", KEY) + &row("snap-2", KEY))), Ok(vec![KEY.to_owned()]));
        assert_eq!(read_of("<item><snapshotId>snap-1</snapshotId></item>"), Ok(Vec::new()));
        assert_eq!(read_of(&row("snap-1", "key with spaces")), Ok(Vec::new()));
        assert_eq!(read_of(&row("snap-3", KEY)), Err(Fault::Unintelligible));
    }
}
