//! The native reads of images (Glance v2): the same images with pages of their own.

use super::images;
use super::query::Query;
use super::world::World;
use super::{answers, rules};
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use crate::chassis::wire::encode;
use serde_json::{Value, json};

/// `GET /v2/images`: a page ends with the address of the next one, a path without a host.
pub(super) fn list(world: &World, project: &AccountId, query: &Query) -> Result<Value, Refusal> {
    let page = images::list(world, project, query, rules::DEFAULT_NATIVE_PAGE)?;
    let address = |marker: Option<&str>| {
        let kept = query.0.iter().filter(|(name, _)| name != "marker");
        let pairs = kept.map(|(name, value)| (name.as_str(), value.as_str())).chain(marker.map(|id| ("marker", id)));
        let pairs: Vec<_> = pairs.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        if pairs.is_empty() { "/v2/images".to_owned() } else { format!("/v2/images?{}", pairs.join("&")) }
    };
    let last = page.rows.last().and_then(|row| row.get("id")).and_then(Value::as_str).filter(|_| page.more);
    let mut answer = json!({"images": page.rows, "schema": "/v2/schemas/images", "first": address(None)});
    if let (Some(last), Some(fields)) = (last, answer.as_object_mut()) {
        fields.insert("next".to_owned(), json!(address(Some(last))));
    }
    Ok(answer)
}

/// `GET /v2/images/{id}`.
pub(super) fn show(world: &World, project: &AccountId, id: &ImageId) -> Result<Value, Refusal> {
    let found = world.visible(project, id).map_err(|_| rules::NATIVE_NOT_FOUND.about(id.as_str()))?;
    Ok(answers::image_row(found.0, found.1, false))
}
