//! Usage reports, and what in the caller's own account uses an image.

use crate::aws::answers::{Rows, done, instant};
use crate::aws::filters::Filters;
use crate::aws::operations::{Call, Outcome, read};
use crate::aws::recipient::is_account;
use crate::aws::rules::{bad_value, missing};
use crate::aws::world::{Report, ReportOrder, World};
use crate::chassis::effect::Effect;
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use serde_json::json;

/// What uses images, as far as reports tell.
const RESOURCE_TYPES: [&str; 4] =
    ["ec2:Instance", "ec2:LaunchTemplate", "imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe"];
/// Most accounts of a report. Model, `ImageUsageReportUserIdStringList`.
const MAX_ACCOUNTS: usize = 200;
/// Most images of `DescribeImageReferences`. Model.
const MAX_IMAGES: usize = 10;

fn resource_types(call: &Call<'_>) -> Result<Vec<String>, Refusal> {
    let mut types = Vec::new();
    for row in call.params.rows("ResourceType") {
        let name = row.required("ResourceType")?;
        if !RESOURCE_TYPES.contains(&name) {
            return Err(bad_value("ResourceType", name));
        }
        types.push(name.to_owned());
    }
    Ok(types)
}

/// `CreateImageUsageReport`.
pub(in crate::aws) fn create(call: &Call<'_>, world: &mut World) -> Outcome {
    let accounts = call.params.list("AccountId");
    if let Some(bad) = accounts.iter().find(|id| !is_account(id)) {
        return Err(bad_value("AccountId", bad));
    }
    if accounts.len() > MAX_ACCOUNTS {
        return Err(bad_value("AccountId", "more than 200 accounts"));
    }
    let order = ReportOrder {
        image: call.params.image()?,
        resource_types: resource_types(call)?,
        accounts: accounts.into_iter().map(AccountId::from).collect(),
        client_token: call.params.get("ClientToken").map(str::to_owned),
    };
    if order.resource_types.is_empty() {
        return Err(missing("ResourceType"));
    }
    let id = world.begin_report(&call.caller.asker, order, call.params.flag("DryRun")?, &call.view)?;
    Ok((json!({"reportId": id}), Effect::default()))
}

/// The reports that are named by their ids or by their images; all where none is.
fn named<'a>(call: &Call<'_>, world: &'a World) -> Vec<&'a Report> {
    let (reports, images) = (call.params.list("ReportId"), call.params.ids("ImageId"));
    let is_named = |report: &&Report| {
        (reports.is_empty() || reports.contains(&report.id.as_str()))
            && (images.is_empty() || images.contains(&report.order.image))
    };
    world.reports_of(&call.caller.asker, call.view.now).filter(is_named).collect()
}

/// `DescribeImageUsageReports`.
pub(in crate::aws) fn describe(call: &Call<'_>, world: &mut World) -> Outcome {
    let world = &*world;
    let filters = Filters::read(call.params, &["creation-time", "state"])?;
    let now = call.view.now;
    let row = |report: &Report| {
        let order = &report.order;
        let types: Vec<_> = order.resource_types.iter().map(|name| json!({"resourceType": name})).collect();
        json!({
            "imageId": order.image, "reportId": report.id, "resourceTypeSet": {"item": types},
            "accountIdSet": {"item": order.accounts}, "state": report.state(now),
            "creationTime": instant(report.created), "expirationTime": instant(report.expires),
        })
    };
    let value = |report: &Report, filter: &str| {
        vec![if filter == "state" { report.state(now).to_owned() } else { instant(report.created) }]
    };
    let kept = named(call, world).into_iter().filter(|report| filters.keep(|filter| value(report, filter)));
    let named = kept.map(|report| (report.id.clone(), report));
    let answer = Rows(named.collect()).page(call.params, world.rules(), "imageUsageReportSet", row)?;
    read(call, answer)
}

/// `DescribeImageUsageReportEntries`.
pub(in crate::aws) fn describe_entries(call: &Call<'_>, world: &mut World) -> Outcome {
    let world = &*world;
    let filters = Filters::read(call.params, &["account-id", "creation-time", "resource-type"])?;
    let mut rows = Vec::new();
    for report in named(call, world) {
        for (usage, number) in report.entries(call.view.now).iter().zip(0..) {
            let value = |filter: &str| match filter {
                "account-id" => vec![usage.account.to_string()],
                "resource-type" => vec![usage.resource_type.clone()],
                _ => vec![instant(report.created)],
            };
            let row = json!({
                "accountId": usage.account, "imageId": report.order.image, "resourceType": usage.resource_type,
                "usageCount": usage.count, "reportId": report.id, "reportCreationTime": instant(report.created),
            });
            if filters.keep(value) {
                rows.push((format!("{} {number:09}", report.id), row));
            }
        }
    }
    let answer = Rows(rows).page(call.params, world.rules(), "imageUsageReportEntrySet", |row| row)?;
    read(call, answer)
}

/// `DeleteImageUsageReport`.
pub(in crate::aws) fn delete(call: &Call<'_>, world: &mut World) -> Outcome {
    let id = call.params.required("ReportId")?;
    world.delete_report(&call.caller.asker, id, call.params.flag("DryRun")?, call.view.now)?;
    Ok((done(), Effect::default()))
}

/// `DescribeImageReferences`: what of the caller's uses these images, its own or others'.
pub(in crate::aws) fn references(call: &Call<'_>, world: &mut World) -> Outcome {
    let world = &*world;
    let (ids, all) = (call.params.ids("ImageId"), call.params.flag("IncludeAllResourceTypes")?);
    let types = resource_types(call)?;
    if ids.is_empty() {
        return Err(missing("ImageId"));
    }
    if ids.len() > MAX_IMAGES || (types.is_empty() && !all) {
        return Err(if types.is_empty() {
            missing("ResourceType")
        } else {
            bad_value("ImageId", "more than 10 images")
        });
    }
    let asker = &call.caller.asker;
    let rows = ids.iter().flat_map(|id| own_references(world, asker, id));
    let kept = rows.filter(|(name, _, _)| all || types.contains(name));
    let rows: Vec<_> =
        kept.map(|(name, id, arn)| (arn.clone(), json!({"imageId": id, "resourceType": name, "arn": arn}))).collect();
    let answer = Rows(rows).page(call.params, world.rules(), "imageReferenceSet", |row| row)?;
    read(call, answer)
}

/// Each resource of the caller's that uses an image: its type, the image, its ARN.
fn own_references(world: &World, asker: &crate::aws::world::Asker, id: &ImageId) -> Vec<(String, ImageId, String)> {
    let usage = world.image(id).map(|image| image.spec().usage.clone()).unwrap_or_default();
    let mut all = Vec::new();
    for own in usage.into_iter().filter(|usage| usage.account == asker.account) {
        let (service, kind) = own.resource_type.split_once(':').unwrap_or_default();
        for number in 0..own.count.min(1_000) {
            let (region, account) = (&asker.region, &asker.account);
            let partition = crate::aws::authentication::partition(asker).word();
            let arn = format!("arn:{partition}:{service}:{region}:{account}:{}/{number:017x}", kind.to_lowercase());
            all.push((own.resource_type.clone(), id.clone(), arn));
        }
    }
    all
}
