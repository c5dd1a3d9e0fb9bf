//! `DescribeRegions`, and what an account has set for itself.

use crate::aws::authentication::partition;
use crate::aws::filters::Filters;
use crate::aws::operations::{Call, Outcome, read};
use crate::aws::rules;
use crate::aws::world::{AccountPatch, World};
use crate::aws::world_file::Allowing;
use crate::chassis::effect::Effect;
use serde_json::json;

const FILTERS: [&str; 2] = ["opt-in-status", "region-name"];

/// `DescribeRegions`: those that the account has, or all.
pub(in crate::aws) fn describe(call: &Call<'_>, world: &mut World) -> Outcome {
    let (all, named) = (call.params.flag("AllRegions")?, call.params.list("RegionName"));
    let filters = Filters::read(call.params, &FILTERS)?;
    let regions = world.regions(&call.caller.asker.account);
    if let Some(other) = named.iter().find(|name| !regions.iter().any(|(region, _)| region.as_str() == **name)) {
        return Err(rules::INVALID_VALUE.saying(format!("Invalid region provided: {other}")));
    }
    let status = |opted_in: Option<bool>| match opted_in {
        None => "opt-in-not-required",
        Some(true) => "opted-in",
        Some(false) => "not-opted-in",
    };
    let suffix = partition(&call.caller.asker).suffix();
    let shown = regions.into_iter().filter(|(region, opted_in)| {
        let name = region.as_str();
        let passes =
            filters.keep(|filter| vec![if filter == "region-name" { name } else { status(*opted_in) }.to_owned()]);
        (named.is_empty() || named.contains(&name)) && (all || *opted_in != Some(false)) && passes
    });
    let rows: Vec<_> = shown
        .map(|(region, opted_in)| {
            let endpoint = format!("ec2.{region}.{suffix}");
            json!({"regionName": region, "regionEndpoint": endpoint, "optInStatus": status(opted_in)})
        })
        .collect();
    read(call, json!({"regionInfo": {"item": rows}}))
}

/// `GetImageBlockPublicAccessState`.
pub(in crate::aws) fn block_public_access(call: &Call<'_>, world: &mut World) -> Outcome {
    let blocks = world.account(&call.caller.asker.account).is_some_and(|account| account.blocks_public_access);
    let state = if blocks { "block-new-sharing" } else { "unblocked" };
    read(call, json!({"imageBlockPublicAccessState": state, "managedBy": "account"}))
}

/// `EnableImageBlockPublicAccess`, in force at once here; at the vendor it takes up to ten minutes.
pub(in crate::aws) fn enable_block_public_access(call: &Call<'_>, world: &mut World) -> Outcome {
    let state = call.params.required("ImageBlockPublicAccessState")?;
    if state != "block-new-sharing" {
        return Err(rules::bad_value("ImageBlockPublicAccessState", state));
    }
    set_block_public_access(call, world, true)
}

/// `DisableImageBlockPublicAccess`.
pub(in crate::aws) fn disable_block_public_access(call: &Call<'_>, world: &mut World) -> Outcome {
    set_block_public_access(call, world, false)
}

fn set_block_public_access(call: &Call<'_>, world: &mut World, blocks: bool) -> Outcome {
    if call.params.flag("DryRun")? {
        return Err(rules::DRY_RUN.refuse());
    }
    world.patch_account(
        &call.caller.asker.account,
        AccountPatch { blocks_public_access: Some(blocks), ..AccountPatch::default() },
    );
    let state = if blocks { "block-new-sharing" } else { "unblocked" };
    Ok((json!({"imageBlockPublicAccessState": state}), Effect::default()))
}

/// `GetAllowedImagesSettings`.
pub(in crate::aws) fn allowed_images(call: &Call<'_>, world: &mut World) -> Outcome {
    let settings = world.account(&call.caller.asker.account).map(|account| account.allowed_images.clone());
    let settings = settings.unwrap_or_default();
    let state = match settings.state {
        Allowing::Disabled => "disabled",
        Allowing::AuditMode => "audit-mode",
        Allowing::Enabled => "enabled",
    };
    let criteria: Vec<_> = Some(settings.providers)
        .filter(|providers| !providers.is_empty())
        .map(|providers| json!({"imageProviderSet": {"item": providers}}))
        .into_iter()
        .collect();
    read(call, json!({"state": state, "managedBy": "account", "imageCriterionSet": {"item": criteria}}))
}
