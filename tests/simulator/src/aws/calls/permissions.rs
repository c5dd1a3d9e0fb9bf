//! `ModifyImageAttribute`, `ModifySnapshotAttribute` and their kin: who gets a permission, in the short form and in the long.

use crate::aws::answers::done;
use crate::aws::operations::{Call, Outcome};
use crate::aws::params::Params;
use crate::aws::recipient::{Kind, Recipient};
use crate::aws::rules::{self, bad_value, missing};
use crate::aws::world::{PermissionChange, World, bad_recipient};
use crate::chassis::names::AccountId;
use crate::chassis::refusal::Refusal;

/// How recipients are named: in an item of the short form, in a list of the long form.
const NAMES: [(&str, &str, Kind); 4] = [
    ("UserId", "UserId", Kind::Account),
    ("Group", "UserGroup", Kind::Group),
    ("OrganizationArn", "OrganizationArn", Kind::Organization),
    ("OrganizationalUnitArn", "OrganizationalUnitArn", Kind::Unit),
];

/// What a request names to be added or removed, as it came.
type Named<'a> = Vec<(Kind, &'a str)>;

/// The recipients of one direction (`Add`, `Remove`): each item is one list, whose length a call must check.
fn items(rows: &[Params]) -> Vec<Named<'_>> {
    rows.iter().map(item).collect()
}

fn item(row: &Params) -> Named<'_> {
    NAMES.iter().filter_map(|(name, _, kind)| Some((*kind, row.get(name)?))).collect()
}

/// The recipients of the long form.
fn long_form(params: &Params) -> Named<'_> {
    let mut all = Vec::new();
    for (_, list, kind) in NAMES {
        all.extend(params.list(list).into_iter().map(|text| (kind, text)));
    }
    all
}

/// The recipients that a request adds and removes, as they came: for the journal and for fault injection.
pub(in crate::aws) fn asked(params: &Params) -> (Vec<AccountId>, Vec<AccountId>) {
    let of = |direction: &str, word: &str| {
        let mut all: Vec<AccountId> = Vec::new();
        for list in ["LaunchPermission", "CreateVolumePermission"] {
            let rows = params.rows(&format!("{list}.{direction}"));
            all.extend(items(&rows).into_iter().flatten().map(|(_, text)| AccountId::from(text)));
        }
        if params.get("OperationType") == Some(word) {
            all.extend(long_form(params).into_iter().map(|(_, text)| AccountId::from(text)));
        }
        all
    };
    (of("Add", "add"), of("Remove", "remove"))
}

/// The change that a request asks for in either form; `list` names the short one.
fn change(params: &Params, list: &str, kinds: &[Kind]) -> Result<PermissionChange, Refusal> {
    let recipient = |(kind, text): (Kind, &str)| {
        Recipient::of(kind, text).filter(|_| kinds.contains(&kind)).ok_or_else(|| bad_recipient(kind, text))
    };
    let short = |direction: &str| -> Result<Vec<Recipient>, Refusal> {
        let rows = params.rows(&format!("{list}.{direction}"));
        let only = |named: Named<'_>| match named.as_slice() {
            [one] => recipient(*one),
            _ => Err(rules::INVALID_COMBINATION.about(&format!("one recipient an item of {list}.{direction}"))),
        };
        items(&rows).into_iter().map(only).collect()
    };
    let (mut add, mut remove) = (short("Add")?, short("Remove")?);
    let long: Vec<_> = long_form(params).into_iter().map(recipient).collect::<Result<_, _>>()?;
    match params.get("OperationType") {
        None if long.is_empty() => {}
        None => return Err(missing("OperationType")),
        Some("add") => add.extend(long),
        Some("remove") => remove.extend(long),
        Some(other) => return Err(bad_value("OperationType", other)),
    }
    Ok(PermissionChange { add, remove, dry_run: params.flag("DryRun")? })
}

/// `ModifyImageAttribute`: one attribute a call.
pub(in crate::aws) fn modify_image(call: &Call<'_>, world: &mut World) -> Outcome {
    let (params, asker) = (call.params, &call.caller.asker);
    let id = params.image()?;
    let attribute = params.get("Attribute");
    let description = params.get("Description.Value").or(params.get("Value"));
    let kinds = [Kind::Account, Kind::Group, Kind::Organization, Kind::Unit];
    let change = change(params, "LaunchPermission", &kinds)?;
    let is_empty = change.add.is_empty() && change.remove.is_empty();
    let effect = match (attribute, description) {
        (None | Some("description"), Some(text)) if is_empty => {
            world.describe_as(asker, &id, text, change.dry_run, &call.view)?
        }
        (_, Some(_)) => return Err(rules::INVALID_COMBINATION.about("one attribute a call")),
        (None | Some("launchPermission"), None) if !is_empty => {
            world.modify_image_permissions(asker, &id, change, &call.view)?
        }
        (None | Some("launchPermission"), None) => return Err(missing("LaunchPermission")),
        (Some("description"), None) => return Err(missing("Description")),
        (Some(other), None) => return Err(bad_value("Attribute", other)),
    };
    Ok((done(), effect))
}

/// `ResetImageAttribute`.
pub(in crate::aws) fn reset_image(call: &Call<'_>, world: &mut World) -> Outcome {
    let id = call.params.image()?;
    let attribute = call.params.required("Attribute")?;
    if attribute != "launchPermission" {
        return Err(bad_value("Attribute", attribute));
    }
    if call.params.flag("DryRun")? {
        return Err(rules::DRY_RUN.refuse());
    }
    Ok((done(), world.reset_image_permissions(&call.caller.asker, &id, &call.view)?))
}

/// `CancelImageLaunchPermission`, which recipients ask.
pub(in crate::aws) fn cancel(call: &Call<'_>, world: &mut World) -> Outcome {
    let (id, dry_run) = (call.params.image()?, call.params.flag("DryRun")?);
    Ok((done(), world.cancel_permission(&call.caller.asker, &id, &call.view, dry_run)?))
}

/// `ModifySnapshotAttribute`: accounts and everybody, no organizations.
pub(in crate::aws) fn modify_snapshot(call: &Call<'_>, world: &mut World) -> Outcome {
    let id = call.params.snapshot()?;
    if let Some(other) = call.params.get("Attribute").filter(|attribute| *attribute != "createVolumePermission") {
        return Err(bad_value("Attribute", other));
    }
    let change = change(call.params, "CreateVolumePermission", &[Kind::Account, Kind::Group])?;
    if change.add.is_empty() && change.remove.is_empty() {
        return Err(missing("CreateVolumePermission"));
    }
    let effect = world.modify_snapshot_permissions(&call.caller.asker, &id, change, call.view.now)?;
    Ok((done(), effect))
}
