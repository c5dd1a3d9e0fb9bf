//! `CopyImage`, asked in the region where the copy is to be.

use crate::aws::operations::{Call, Outcome};
use crate::aws::params::Params;
use crate::aws::rules::bad_value;
use crate::aws::world::{CopyOrder, World};
use crate::chassis::effect::CopyRequest;
use crate::chassis::names::RegionId;
use crate::chassis::refusal::Refusal;
use serde_json::json;
use std::collections::BTreeMap;

/// The tags for resources of a kind.
fn tags(params: &Params, kind: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let mut tags = BTreeMap::new();
    for row in params.rows("TagSpecification") {
        match row.required("ResourceType")? {
            "image" | "snapshot" if row.get("ResourceType") == Some(kind) => tags.extend(row.tags("Tag")?),
            "image" | "snapshot" => {}
            other => return Err(bad_value("ResourceType", other)),
        }
    }
    Ok(tags)
}

/// What a request for a copy asks, for the journal; what cannot be read counts as absent.
pub(in crate::aws) fn asked(params: &Params, destination: Option<RegionId>) -> CopyRequest {
    let text = |name| params.get(name).map(str::to_owned);
    CopyRequest {
        destination,
        name: text("Name"),
        description: text("Description"),
        encrypted: params.maybe("Encrypted").ok().flatten(),
        kms_key: text("KmsKeyId"),
        client_token: text("ClientToken"),
        tags: tags(params, "image").unwrap_or_default(),
        resource_group: None,
        dry_run: params.flag("DryRun").unwrap_or_default(),
    }
}

/// `CopyImage`.
pub(in crate::aws) fn copy(call: &Call<'_>, world: &mut World) -> Outcome {
    let params = call.params;
    let order = CopyOrder {
        source: params.required("SourceImageId")?.to_owned(),
        source_region: params.required("SourceRegion")?.to_owned(),
        name: params.required("Name")?.to_owned(),
        description: params.get("Description").unwrap_or_default().to_owned(),
        encrypted: params.maybe("Encrypted")?,
        kms_key: params.get("KmsKeyId").map(str::to_owned),
        client_token: params.get("ClientToken").map(str::to_owned),
        copies_tags: params.flag("CopyImageTags")?,
        tags: tags(params, "image")?,
        snapshot_tags: tags(params, "snapshot")?,
        dry_run: params.flag("DryRun")?,
    };
    let (image, effect) = world.copy_image(&call.caller.asker, &order, &call.view)?;
    Ok((json!({"imageId": image}), effect))
}
