//! Calls on snapshots, but for the change of their permissions.

use crate::aws::answers::{Rows, done, permission_row, snapshot_row};
use crate::aws::filters::Filters;
use crate::aws::operations::{Call, Outcome, read};
use crate::aws::rules::bad_value;
use crate::aws::world::{Snapshot, World};
use crate::aws::world_file::Encryption;
use serde_json::json;

const FILTERS: [&str; 6] = ["encrypted", "owner-id", "snapshot-id", "status", "volume-size", "tag:"];

/// `DescribeSnapshots`: the own ones, and those of others that the account may make volumes of.
pub(in crate::aws) fn describe(call: &Call<'_>, world: &mut World) -> Outcome {
    let world = &*world;
    let (params, asker) = (call.params, &call.caller.asker);
    let filters = Filters::read(params, &FILTERS)?;
    let own = |word: &str| if word == "self" { asker.account.to_string() } else { word.to_owned() };
    let owners: Vec<_> = params.list("Owner").into_iter().map(own).collect();
    let restorable: Vec<_> = params.list("RestorableBy").into_iter().map(own).collect();
    let found = world.find_snapshots(asker, &params.ids("SnapshotId"), &call.view)?;
    let is_for = |snapshot: &Snapshot, word: &String| {
        let spec = snapshot.spec();
        let given = snapshot.permissions_at(call.view.recipient).iter().any(|one| one.id().as_str() == word);
        given || spec.owner.as_str() == word
    };
    let kept = found.into_iter().filter(|snapshot| {
        let owner = snapshot.spec().owner.to_string();
        (owners.is_empty() || owners.contains(&owner))
            && (restorable.is_empty() || restorable.iter().any(|word| is_for(snapshot, word)))
            && filters.keep(|name| values(snapshot, name))
    });
    let named = kept.map(|snapshot| (snapshot.spec().id.to_string(), snapshot));
    let row = |snapshot: &Snapshot| snapshot_row(world, snapshot, asker, call.view.now);
    let answer = Rows(named.collect()).page(params, world.rules(), "snapshotSet", row)?;
    read(call, answer)
}

fn values(snapshot: &Snapshot, filter: &str) -> Vec<String> {
    let spec = snapshot.spec();
    match filter {
        "encrypted" => vec![(spec.encryption != Encryption::None).to_string()],
        "owner-id" => vec![spec.owner.to_string()],
        "snapshot-id" => vec![spec.id.to_string()],
        "status" => vec![spec.state.word().to_owned()],
        "volume-size" => vec![spec.size_gib.to_string()],
        filter => {
            let key = filter.strip_prefix("tag:").unwrap_or_default();
            spec.tags.get(key).cloned().into_iter().collect()
        }
    }
}

/// `DescribeSnapshotAttribute`, which its owner alone may ask.
pub(in crate::aws) fn describe_attribute(call: &Call<'_>, world: &mut World) -> Outcome {
    let id = call.params.snapshot()?;
    let attribute = call.params.required("Attribute")?;
    let snapshot = world.owned_snapshot(&call.caller.asker, &id)?;
    let rows: Vec<_> = match attribute {
        "createVolumePermission" => snapshot.permissions_at(call.view.owner).iter().map(permission_row).collect(),
        "productCodes" => Vec::new(),
        _ => return Err(bad_value("Attribute", attribute)),
    };
    read(call, json!({"snapshotId": id, attribute: {"item": rows}}))
}

/// `DeleteSnapshot`.
pub(in crate::aws) fn delete(call: &Call<'_>, world: &mut World) -> Outcome {
    let (id, dry_run) = (call.params.snapshot()?, call.params.flag("DryRun")?);
    Ok((done(), world.delete_snapshot(&call.caller.asker, &id, dry_run)?))
}
