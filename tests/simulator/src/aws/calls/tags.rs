//! `CreateTags` and `DeleteTags`, of images and snapshots.

use crate::aws::answers::done;
use crate::aws::operations::{Call, Outcome};
use crate::aws::params::Params;
use crate::aws::rules::missing;
use crate::aws::world::{Untag, World};
use crate::chassis::names::ImageId;
use crate::chassis::refusal::Refusal;

fn resources(params: &Params) -> Result<Vec<ImageId>, Refusal> {
    Some(params.ids("ResourceId")).filter(|ids| !ids.is_empty()).ok_or_else(|| missing("resourceIdSet"))
}

/// `CreateTags`.
pub(in crate::aws) fn create(call: &Call<'_>, world: &mut World) -> Outcome {
    let (ids, tags, dry_run) = (resources(call.params)?, call.params.tags("Tag")?, call.params.flag("DryRun")?);
    if tags.is_empty() {
        return Err(missing("tagSet"));
    }
    Ok((done(), world.tag(&call.caller.asker, &ids, &tags, dry_run, &call.view)?))
}

/// `DeleteTags`: those of these keys, and of these values where there are some; all where none is named.
pub(in crate::aws) fn delete(call: &Call<'_>, world: &mut World) -> Outcome {
    let (ids, dry_run) = (resources(call.params)?, call.params.flag("DryRun")?);
    let rows = call.params.rows("Tag");
    let untag = |row: &Params| -> Result<Untag, Refusal> {
        let value = row.pairs().iter().find(|(name, _)| name == "Value").map(|(_, value)| value.clone());
        Ok((row.required("Key")?.to_owned(), value))
    };
    let tags: Vec<_> = rows.iter().map(untag).collect::<Result<_, _>>()?;
    Ok((done(), world.untag(&call.caller.asker, &ids, &tags, dry_run, &call.view)?))
}
