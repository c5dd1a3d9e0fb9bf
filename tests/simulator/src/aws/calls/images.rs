//! `DescribeImages` and `DescribeImageAttribute`.

use crate::aws::answers::{Rows, image_row, permission_row, visible_tags};
use crate::aws::filters::Filters;
use crate::aws::operations::{Call, Outcome, read};
use crate::aws::rules::{self, bad_value};
use crate::aws::world::{Image, ImageQuery, Relation, World};
use crate::aws::world_file::{Alias, Encryption};
use serde_json::{Value, json};

const FILTERS: [&str; 17] = [
    "architecture",
    "block-device-mapping.encrypted",
    "block-device-mapping.snapshot-id",
    "description",
    "image-allowed",
    "image-id",
    "image-type",
    "is-public",
    "name",
    "owner-alias",
    "owner-id",
    "product-code",
    "root-device-type",
    "source-image-id",
    "source-image-region",
    "state",
    "tag:",
];
/// The filter on tags' keys alone.
const TAG_KEY: &str = "tag-key";

/// `DescribeImages`.
pub(in crate::aws) fn describe(call: &Call<'_>, world: &mut World) -> Outcome {
    let world = &*world;
    let (params, asker) = (call.params, &call.caller.asker);
    let texts = |name| params.list(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let query = ImageQuery {
        ids: params.ids("ImageId"),
        owners: texts("Owner"),
        executable_by: texts("ExecutableBy"),
        deprecated: params.flag("IncludeDeprecated")?,
        disabled: params.flag("IncludeDisabled")?,
    };
    let known: Vec<_> = FILTERS.iter().copied().chain([TAG_KEY]).collect();
    let filters = Filters::read(params, &known)?;
    let found = world.find_images(asker, &query, &call.view)?;
    let kept = found.into_iter().filter(|(image, relation)| {
        filters.is_empty() || filters.keep(|name| values(world, image, *relation, call, name))
    });
    let named = kept.map(|(image, relation)| (image.spec().id.to_string(), (image, relation)));
    let row = |(image, relation): (&Image, Relation)| image_row(world, image, relation, asker);
    let answer = Rows(named.collect()).page(params, world.rules(), "imagesSet", row)?;
    read(call, answer)
}

/// The values of an image that a filter is about.
fn values(world: &World, image: &Image, relation: Relation, call: &Call<'_>, filter: &str) -> Vec<String> {
    let spec = image.spec();
    let tags = || visible_tags(spec, relation);
    if let Some(key) = filter.strip_prefix("tag:") {
        return tags().into_iter().filter(|(one, _)| one.as_str() == key).map(|(_, value)| value.clone()).collect();
    }
    let source = spec.copied_from.as_ref().filter(|_| relation == Relation::Own);
    match filter {
        "architecture" => vec!["x86_64".to_owned()],
        "block-device-mapping.encrypted" => {
            let encrypted = |snapshot: &crate::aws::world::Snapshot| snapshot.spec().encryption != Encryption::None;
            world.snapshots_of(spec).map(|snapshot| encrypted(snapshot).to_string()).collect()
        }
        "block-device-mapping.snapshot-id" => spec.snapshots.iter().map(ToString::to_string).collect(),
        "description" => vec![spec.description.clone()],
        "image-allowed" => {
            world.is_allowed(image, &call.caller.asker.account).iter().map(ToString::to_string).collect()
        }
        "image-id" => vec![spec.id.to_string()],
        "image-type" => vec!["machine".to_owned()],
        "is-public" => vec![(image.is_public() || spec.is_offered_to_all()).to_string()],
        "name" => vec![spec.name.clone()],
        "owner-alias" => spec.alias.map(Alias::word).into_iter().map(str::to_owned).collect(),
        "owner-id" => vec![spec.owner.to_string()],
        "product-code" => spec.product_codes.clone(),
        "root-device-type" => vec![if spec.instance_store { "instance-store" } else { "ebs" }.to_owned()],
        "source-image-id" => source.iter().map(|from| from.image.to_string()).collect(),
        "source-image-region" => source.iter().map(|from| from.region.to_string()).collect(),
        "state" => vec![spec.state.word().to_owned()],
        TAG_KEY => tags().into_keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// `DescribeImageAttribute`, which its owner alone may ask.
pub(in crate::aws) fn describe_attribute(call: &Call<'_>, world: &mut World) -> Outcome {
    let id = call.params.image()?;
    let attribute = call.params.required("Attribute")?;
    let image = world.owned(&call.caller.asker, &id, &call.view)?;
    let spec = image.spec();
    let value = |text: &str| json!({"value": text});
    let shown = match attribute {
        "launchPermission" => {
            let rows: Vec<_> = image.permissions_at(call.view.owner).iter().map(permission_row).collect();
            json!({"item": rows})
        }
        "productCodes" => {
            let row = |code: &String| json!({"productCode": code, "type": "marketplace"});
            json!({"item": spec.product_codes.iter().map(row).collect::<Vec<_>>()})
        }
        "description" => value(&spec.description),
        "bootMode" => value("uefi-preferred"),
        "imdsSupport" => value("v2.0"),
        "deregistrationProtection" => value(spec.protection.word()),
        "tpmSupport" | "lastLaunchedTime" | "uefiData" | "sriovNetSupport" => Value::Null,
        "blockDeviceMapping" => return Err(rules::NOT_AUTHORIZED.saying(format!("Not authorized for image:{id}"))),
        _ => return Err(bad_value("Attribute", attribute)),
    };
    read(call, json!({"imageId": id, attribute: shown}))
}
