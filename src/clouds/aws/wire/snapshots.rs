//! Parser of snapshots.

use std::collections::BTreeSet;

use super::super::Operation;
use super::read;
use crate::clouds::Fault;
use crate::domain::identifiers::KeyId;

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
