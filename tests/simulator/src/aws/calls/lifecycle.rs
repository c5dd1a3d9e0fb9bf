//! Deregistering images, disabling, deprecating and protecting them, and the Recycle Bin.

use crate::aws::answers::{Rows, done, instant};
use crate::aws::operations::{Call, Outcome, read};
use crate::aws::rules::bad_value;
use crate::aws::world::{Image, World};
use crate::aws::world_file::Protection;
use jiff::Timestamp;
use serde_json::json;

/// `DeregisterImage`.
pub(in crate::aws) fn deregister(call: &Call<'_>, world: &mut World) -> Outcome {
    let (id, dry_run) = (call.params.image()?, call.params.flag("DryRun")?);
    let deletes = call.params.flag("DeleteAssociatedSnapshots")?;
    let (ends, effect) = world.deregister(&call.caller.asker, &id, deletes, dry_run, &call.view)?;
    let mut answer = done();
    if let (true, Some(fields)) = (deletes, answer.as_object_mut()) {
        let rows: Vec<_> = ends.iter().map(|end| json!({"snapshotId": end.snapshot, "returnCode": end.code})).collect();
        fields.insert("deleteSnapshotResultSet".to_owned(), json!({"item": rows}));
    }
    Ok((answer, effect))
}

/// `DisableImage`.
pub(in crate::aws) fn disable(call: &Call<'_>, world: &mut World) -> Outcome {
    let (id, dry_run) = (call.params.image()?, call.params.flag("DryRun")?);
    Ok((done(), world.disable(&call.caller.asker, &id, dry_run, &call.view)?))
}

/// `EnableImage`.
pub(in crate::aws) fn enable(call: &Call<'_>, world: &mut World) -> Outcome {
    let (id, dry_run) = (call.params.image()?, call.params.flag("DryRun")?);
    Ok((done(), world.enable(&call.caller.asker, &id, dry_run, &call.view)?))
}

/// `EnableImageDeprecation`.
pub(in crate::aws) fn deprecate(call: &Call<'_>, world: &mut World) -> Outcome {
    let (id, dry_run) = (call.params.image()?, call.params.flag("DryRun")?);
    let text = call.params.required("DeprecateAt")?;
    let from: Timestamp = text.parse().map_err(|_| bad_value("DeprecateAt", text))?;
    Ok((done(), world.deprecate(&call.caller.asker, &id, Some(from), dry_run, &call.view)?))
}

/// `DisableImageDeprecation`.
pub(in crate::aws) fn undeprecate(call: &Call<'_>, world: &mut World) -> Outcome {
    let (id, dry_run) = (call.params.image()?, call.params.flag("DryRun")?);
    Ok((done(), world.deprecate(&call.caller.asker, &id, None, dry_run, &call.view)?))
}

/// `EnableImageDeregistrationProtection`: the answer is a word here.
pub(in crate::aws) fn protect(call: &Call<'_>, world: &mut World) -> Outcome {
    let cooldown = call.params.flag("WithCooldown")?;
    let protection = if cooldown { Protection::EnabledWithCooldown } else { Protection::EnabledWithoutCooldown };
    set_protection(call, world, protection)
}

/// `DisableImageDeregistrationProtection`.
pub(in crate::aws) fn unprotect(call: &Call<'_>, world: &mut World) -> Outcome {
    set_protection(call, world, Protection::Disabled)
}

fn set_protection(call: &Call<'_>, world: &mut World, protection: Protection) -> Outcome {
    let (id, dry_run) = (call.params.image()?, call.params.flag("DryRun")?);
    let effect = world.protect(&call.caller.asker, &id, protection, dry_run, &call.view)?;
    Ok((json!({"return": protection.word()}), effect))
}

/// `ListImagesInRecycleBin`.
pub(in crate::aws) fn list_recycled(call: &Call<'_>, world: &mut World) -> Outcome {
    let world = &*world;
    let found = world.recycled(&call.caller.asker, &call.params.ids("ImageId"), call.view.now);
    let row = |image: &Image| {
        let spec = image.spec();
        let exit = spec.recycled_until.map(instant);
        json!({"imageId": spec.id, "name": spec.name, "description": spec.description, "recycleBinExitTime": exit})
    };
    let named = found.into_iter().map(|image| (image.spec().id.to_string(), image));
    let answer = Rows(named.collect()).page(call.params, world.rules(), "imageSet", row)?;
    read(call, answer)
}

/// `RestoreImageFromRecycleBin`.
pub(in crate::aws) fn restore(call: &Call<'_>, world: &mut World) -> Outcome {
    let (id, dry_run) = (call.params.image()?, call.params.flag("DryRun")?);
    Ok((done(), world.restore(&call.caller.asker, &id, dry_run, call.view.now)?))
}
